"""Rules about what breaks the model: nothing above chance, inputs it cannot take, collapses, cliffs, corruptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mmaudit import formats
from mmaudit.findings.base import Draft, Evidence, rule
from mmaudit.findings.certainty import SMALLEST, widened
from mmaudit.findings.wording import (
    amount,
    enumerated,
    listing,
    loss,
    measure,
    percent,
    plain_name,
    sentence,
    span,
)
from mmaudit.metrics.primary import BETWEEN_GROUPS
from mmaudit.types import CLEAN, Condition, Level, Score

# Share of the above-chance performance that goes in one step of five; an even decline to nothing loses a fifth.
CLIFF = 0.40
# It is a cliff only if most was still there before the step.
INTACT = 0.25
# Share lost at the middle of a corruption's table or below it that a reader should act on.
FRAGILE = 0.25
MIDDLE = 3
# A group's shortfall, as a share of what the model has above chance.
GAP = 0.05
# One that no reader may leave: a third and more of what makes the model worth having is not there for the group.
WIDE_GAP = 0.30
# Distance below chance that is more than rounding, as a share of the chance level; for R² (chance is 0) as it is.
BELOW = 0.04
BELOW_R2 = 0.10
# Rows without an answer: fewer than this share of them is grave, but not the first thing to repair.
MANY_RAISED = 0.01


@rule("too_few_samples", level="info")
def too_few_samples(evidence: Evidence) -> Iterator[Draft]:
    """There are too few samples for any claim about performance."""
    if 0 < evidence.n < SMALLEST:
        yield Draft(
            f"With {evidence.n} samples no claim about performance is sound: at least {SMALLEST} are needed, and "
            "differences of a few points take thousands.",
            (),
            (evidence.clean,),
            0.0,
            condition=CLEAN,
        )


@rule("no_signal", level="critical")
def no_signal(evidence: Evidence) -> Iterator[Draft]:
    """On clean data the model is not surely better than chance: losses then mean nothing."""
    clean = evidence.loss(CLEAN)
    if clean.value != clean.value or clean.floor != clean.floor or evidence.has_signal:
        return
    nothing = "always the mean" if evidence.task.kind == "regression" else "knowing nothing"
    level = f"{measure(clean)} is {span(clean)}, {nothing} reaches {amount(clean, clean.floor)}"
    worse = clean.high < clean.floor if clean.better == "higher" else clean.low > clean.floor
    fair = evidence.score(CLEAN, "balanced_accuracy")
    if fair.high < fair.floor and not evidence.absent:
        claim = f"On clean data the model is worse than chance; check the order of its classes: {level}."
    elif fair.low > fair.floor:
        better = "does worse than" if worse else "is not surely better than"
        claim = (
            f"On clean data the model tells classes apart (balanced accuracy {span(fair)}), but {better} "
            f"the most frequent answer: {level}. What a condition costs cannot be stated as a share of that."
        )
    elif worse:
        order = "targets" if evidence.task.kind == "regression" else "classes"
        claim = (
            f"On clean data the model does worse than an answer that reads nothing: {level}. Check that its outputs "
            f"mean what the data's {order} mean, in the same order."
        )
    else:
        claim = f"On clean data the model cannot be told from one that knows nothing: {level}."
    yield Draft(
        claim,
        (),
        (clean, fair) if fair.value == fair.value else (clean,),
        1.0,
        condition=CLEAN,
        level="major" if fair.low > fair.floor else "critical",
    )


@rule("model_raised", level="critical")
def model_raised(evidence: Evidence) -> Iterator[Draft]:
    """The model raises an error, or answers with numbers that are not finite."""

    def share(condition: Condition) -> float:
        return evidence.raised.get(condition.key, 0) / max(evidence.asked[condition.key], 1)

    on_clean = evidence.raised.get(CLEAN.key, 0) / max(evidence.asked.get(CLEAN.key, 0), 1)
    by_names: dict[tuple[str, ...], list[Condition]] = {}
    for condition in evidence.conditions:
        # Samples that already fail on clean data are told once.
        if share(condition) > (0 if condition.key == CLEAN.key else on_clean):
            names = () if condition.family == "control" else condition.modalities
            by_names.setdefault(names, []).append(condition)
    for names, conditions in by_names.items():
        if any(other and set(other) < set(names) for other in by_names):
            continue
        worst = max(conditions, key=lambda c: (c.key == CLEAN.key, share(c)))
        more = f"; so under {len(conditions)} conditions that change {listing(names)}" if len(conditions) > 1 else ""
        yield Draft(
            f"{'On' if worst.key == CLEAN.key else 'With'} {evidence.words(worst)} the model gives no usable answer to "
            f"{formats.count(evidence.raised[worst.key])} of "
            f"{formats.count(evidence.asked[worst.key])} samples ({percent(share(worst))}): it raises an error or "
            f"returns numbers that are not finite{more if names else ''}. Scores there cover the other samples only.",
            names,
            (evidence.score(worst),),
            share(worst),
            condition=worst,
            level=_raised_level(evidence, worst, share(worst)),
        )


def _raised_level(evidence: Evidence, condition: Condition, share: float) -> Level:
    """An answer to nothing at all is not to be expected; few rows are grave, but not what to repair first."""
    if condition.probe == "missing" and set(condition.modalities) == set(evidence.removable):
        return "info"
    return "critical" if condition.key == CLEAN.key or share >= MANY_RAISED else "major"


@rule("cliff", level="major", needs_signal=True)
def cliff(evidence: Evidence) -> Iterator[Draft]:
    """Between two neighbouring severities most of the performance goes at once."""
    for fall, before, after in _cliffs(evidence):
        # A step's own share is never told as all that the model has: part of it went before.
        start = "clean data" if before is CLEAN else f"severity {before.position}"
        yield Draft(
            f"There is a cliff in {plain_name(after)} of {listing(after.modalities)}: in the one step from {start} to "
            f"severity {after.position} of 5 the model loses {loss(fall)}.",
            after.modalities,
            (fall, evidence.loss(after)) if fall.against != CLEAN.key else (fall,),
            fall.lost,
            condition=after,
            subject=f"{plain_name(after)} of {listing(after.modalities)}",
        )


def _cliffs(evidence: Evidence) -> Iterator[tuple[Score, Condition, Condition]]:
    """The steepest sure cliff of each curve.

    Only steps between neighbouring places of a corruption's own table count: a rate of missing samples loses in
    proportion by construction, and a step over places that were not run is as steep as the suite is coarse.
    """
    for steps in evidence.steps():
        sure = [
            (step, before, after)
            for before, after in steps
            for step in [_step(evidence, before, after)]
            if step.lost_low >= CLIFF and (before is CLEAN or evidence.loss(before).lost_high <= INTACT)
        ]
        if sure:
            yield max(sure, key=lambda s: s[0].lost)


def _step(evidence: Evidence, before: Condition, after: Condition) -> Score:
    """What one step loses, as a share of what clean data has above chance.

    Steps are scored for the primary metric only. For another judge (R²) the bounds are those of the two losses.
    """
    if before is CLEAN or evidence.judge == evidence.primary:
        return evidence.score(after, evidence.judge, against=before)
    one, other = evidence.loss(before), evidence.loss(after)
    return Score(
        **{
            **{name: getattr(other, name) for name in Score.__dataclass_fields__},
            "against": before.key,
            "lost": other.lost - one.lost,
            "lost_low": other.lost_low - one.lost_high,
            "lost_high": other.lost_high - one.lost_low,
        }
    )


@rule("fragile_to_corruption", level="major", needs_signal=True)
def fragile_to_corruption(evidence: Evidence) -> Iterator[Draft]:
    """A corruption of middling severity or less already costs much."""
    told = {after.stream for _, _, after in _cliffs(evidence) if (after.position or 0) <= MIDDLE}
    found: dict[tuple[str, ...], list[tuple[Condition, Score]]] = {}
    for condition in evidence.by_family("corruption"):
        score = evidence.loss(condition)
        middling = condition.position is not None and condition.position <= MIDDLE
        if middling and score.lost_low >= FRAGILE and condition.stream not in told:
            found.setdefault(condition.modalities, []).append((condition, score))
    for names, cases in found.items():
        condition, score = max(cases, key=lambda case: case[1].lost)
        others = sorted({plain_name(c) for c, _ in cases} - {plain_name(condition)})
        more = f" So {'does' if len(others) == 1 else 'do'} {enumerated(others)}." if others else ""
        yield Draft(
            f"{sentence(evidence.words(condition))} costs the model {loss(score)}: {measure(score)} is "
            f"{span(score)}.{more}",
            names,
            (score,),
            score.lost,
        )


@rule("below_chance", level="major")
def below_chance(evidence: Evidence) -> Iterator[Draft]:
    """With a modality missing or corrupted the model is worse than one that knows nothing.

    Judged by balanced accuracy, on which every constant or random answer expects exactly one in the number of
    classes, by AUROC for labels, or by R², on which the mean answer scores 0. Donors of another class are meant to
    mislead, and random stand-ins add variance to a regression, so neither counts. Where a class does not occur in the
    audited data, whoever answers it is wrong and knows nothing of that: then nothing is claimed.
    """
    if evidence.absent:
        return
    metric = {"multilabel": "auroc", "regression": "r2"}.get(evidence.task.kind, "balanced_accuracy")
    clean = evidence.score(CLEAN, metric)
    if clean.high < clean.floor:
        return  # no_signal says so, and no modality is to blame
    candidates = [
        c
        for c in evidence.by_family("missing", "corruption")
        if metric != "r2" or c.option("baseline") not in ("marginal", "noise")
    ]
    scores = [(c, s) for c in candidates for s in [evidence.score(c, metric)] if s.value == s.value]
    worst: dict[tuple[str, ...], tuple[Condition, Score]] = {}
    for condition, score in scores:
        slack = BELOW_R2 if metric == "r2" else BELOW * score.floor
        # Exactly chance is common, so it must be sure for all conditions at once.
        high = widened(score.value, score.low, score.high, len(scores))[1]
        names = condition.modalities
        if high < score.floor - slack and (names not in worst or score.value < worst[names][1].value):
            worst[names] = (condition, score)
    for names, (condition, score) in _smallest(worst.items()):
        yield Draft(
            f"With {evidence.words(condition)} the model is worse than one that knows nothing: "
            f"{measure(score)} is {span(score)}, chance {amount(score, score.floor)}.",
            names,
            (score,),
            min(1.0, abs(score.floor - score.value) / (score.floor or 1.0)),
        )


def _smallest(
    items: Iterable[tuple[tuple[str, ...], tuple[Condition, Score]]],
) -> Iterator[tuple[tuple[str, ...], tuple[Condition, Score]]]:
    """Leave out sets of modalities that contain another one with the same trouble."""
    known = list(items)
    for names, case in known:
        if not any(set(other) < set(names) for other, _ in known):
            yield names, case


@rule("group_gap", level="minor", needs_signal=True)
def group_gap(evidence: Evidence) -> Iterator[Draft]:
    """On clean data one group is served clearly worse than all samples together.

    Judged by the primary metric; of labels by AUROC, because average precision falls where a label is rarer although
    the model ranks as well.
    """
    clean = evidence.score(CLEAN, BETWEEN_GROUPS.get(evidence.task.kind))
    sign = 1.0 if clean.better == "higher" else -1.0
    scale = abs(clean.value - clean.floor)
    scores = evidence.group_scores(clean.metric)
    worst: dict[str, tuple[Score, float]] = {}
    for score in scores:
        # Of twenty groups one is always last: its interval must hold for the worst of them.
        low, high = widened(score.value, score.low, score.high, len(scores))
        shortfall = clean.low - high if sign > 0 else low - clean.high
        column = score.group.split("=", 1)[0]
        if shortfall > GAP * scale and (column not in worst or sign * score.value < sign * worst[column][0].value):
            worst[column] = score, shortfall
    for score, shortfall in worst.values():
        column, _, value = score.group.partition("=")
        yield Draft(
            f"Where {listing([column])} is {listing([value])} ({formats.count(score.n)} samples) "
            f"{measure(clean)} is {span(score)}, over all samples {span(clean)}.",
            (),
            (score, clean),
            min(1.0, abs(clean.value - score.value) / scale),
            condition=CLEAN,
            level="major" if shortfall > WIDE_GAP * scale else None,
            subject=score.group,
        )
