"""Rules about what breaks the model: collapses, cliffs, corruptions, and inputs it cannot take."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.findings.base import Draft, Evidence, amount, lost_span, percent, rule, span, words
from mmaudit.types import CLEAN, Condition, Score

CLIFF = 0.40
FRAGILE = 0.25
GAP = 0.05


@rule("no_signal", level="critical")
def no_signal(evidence: Evidence) -> Iterator[Draft]:
    """On clean data the model is not better than chance: robustness numbers then mean little."""
    clean = evidence.clean
    better = clean.low > clean.floor if clean.better == "higher" else clean.high < clean.floor
    if clean.value == clean.value and clean.floor == clean.floor and not better:
        yield Draft(
            f"On clean data the model is not better than chance: {clean.metric} is {span(clean)}, chance gives "
            f"{amount(clean, clean.floor)}. Losses relative to it mean little.",
            (),
            (clean,),
            1.0,
            condition=CLEAN,
        )


@rule("model_raised", level="critical")
def model_raised(evidence: Evidence) -> Iterator[Draft]:
    """The model raises an error, or answers with numbers that are not finite."""
    for condition in evidence.conditions:
        rows = evidence.raised.get(condition.key, 0)
        if rows:
            yield Draft(
                f"Under {words(condition) if condition.modalities else 'clean data'} the model gives no usable answer "
                f"to {rows} of {evidence.n} samples ({percent(rows / max(evidence.n, 1))}): it raises an error or "
                "returns values that are not finite. Scores of this condition cover the other samples only.",
                condition.modalities,
                (evidence.score(condition),),
                rows / max(evidence.n, 1),
                condition=condition,
            )


@rule("cliff", level="major")
def cliff(evidence: Evidence) -> Iterator[Draft]:
    """Between two neighbouring severities most of the performance goes at once."""
    for curve in evidence.curves():
        steps = list(zip([CLEAN, *curve], curve, strict=False))
        falls = [(evidence.score(after, against=before), before, after) for before, after in steps]
        sure = [f for f in falls if f[0].lost_low >= CLIFF]
        if not sure:
            continue
        fall, before, after = max(sure, key=lambda f: f[0].lost)
        start = "clean data" if before is CLEAN else words(before)
        yield Draft(
            f"There is a cliff between {start} and {words(after)}: in that one step the model loses "
            f"{lost_span(fall)} of what it has above chance.",
            after.modalities,
            (fall, evidence.score(after)),
            fall.lost,
            condition=after,
        )


@rule("fragile_to_corruption", level="major")
def fragile_to_corruption(evidence: Evidence) -> Iterator[Draft]:
    """A corruption of middling severity or less already costs much."""
    worst: dict[tuple[str, ...], tuple[Condition, Score]] = {}
    for condition in evidence.by_family("corruption"):
        score = evidence.score(condition)
        if condition.position is None or condition.position > 3 or not score.lost_low >= FRAGILE:
            continue
        known = worst.get(condition.modalities)
        if known is None or score.lost > known[1].lost:
            worst[condition.modalities] = (condition, score)
    for condition, score in worst.values():
        yield Draft(
            f"{words(condition).capitalize()} costs {lost_span(score)} of what the model has above chance: "
            f"{score.metric} is {span(score)}.",
            condition.modalities,
            (score,),
            score.lost,
        )


@rule("below_chance", level="major")
def below_chance(evidence: Evidence) -> Iterator[Draft]:
    """With a modality missing or corrupted the model is worse than one that knows nothing.

    Judged by balanced accuracy, on which every constant or random answer scores exactly one in the number of
    classes, or by R², on which the mean answer scores 0. Donors of another class are meant to mislead, and random
    stand-ins add variance to a regression, so neither counts.
    """
    metric, slack = ("balanced_accuracy", 0.02) if evidence.task.kind == "classification" else ("r2", 0.1)
    if evidence.task.kind == "multilabel":
        metric, slack = "auroc", 0.02
    worst: dict[tuple[str, ...], tuple[Condition, Score]] = {}
    for condition in evidence.by_family("missing", "corruption"):
        if metric == "r2" and (condition.option("baseline") in ("marginal", "noise") or "noise" in condition.probe):
            continue
        score = evidence.score(condition, metric)
        if not (score.value == score.value and score.high < score.floor - slack):
            continue
        known = worst.get(condition.modalities)
        if known is None or score.value < known[1].value:
            worst[condition.modalities] = (condition, score)
    for condition, score in worst.values():
        yield Draft(
            f"Under {words(condition)} the model is worse than chance: {score.metric.replace('_', ' ')} is "
            f"{span(score)}, a model that knows nothing has {amount(score, score.floor)}.",
            condition.modalities,
            (score,),
            abs(score.floor - score.value),
            condition=condition,
        )


@rule("group_gap", level="minor")
def group_gap(evidence: Evidence) -> Iterator[Draft]:
    """On clean data one group is served clearly worse than all samples together."""
    clean = evidence.clean
    sign = 1.0 if clean.better == "higher" else -1.0
    scale = abs(clean.value - clean.floor)
    worst: dict[str, Score] = {}
    for score in evidence.group_scores(evidence.primary):
        bound = score.high if sign > 0 else score.low
        reference = clean.low if sign > 0 else clean.high
        if not (sign * (reference - bound) > GAP * scale):
            continue
        column = score.group.split("=", 1)[0]
        if column not in worst or sign * score.value < sign * worst[column].value:
            worst[column] = score
    for score in worst.values():
        yield Draft(
            f"For {score.group.replace('=', ' ', 1)} (n = {score.n}) {score.metric} is {span(score)}, over all samples "
            f"{span(clean)}.",
            (),
            (score, clean),
            min(1.0, abs(clean.value - score.value) / scale if scale else 0.0),
            condition=CLEAN,
        )
