"""Why estimators of reliance disagree, in plain sentences, from the estimates alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

from mmaudit.estimates import Estimate
from mmaudit.formats import readable
from mmaudit.reliance.agreement import Order, orders
from mmaudit.reliance.standins import DISTANCE

# A stand-in this many times as far from the data as real values are from each other is unlike anything recorded.
FAR = 2.0
SHOWN = 3

REASONS = {
    "attribution_share": "Attributions say what moves the output, not what makes it right: a modality can move it a "
    "lot and help little.",
    "anova_share": "The share of the outputs' variance says what moves the output, not what makes it right: a modality "
    "can move it a lot and help little.",
    "perceptual_score": "The value of another sample contradicts the other modalities, an absent one says nothing: a "
    "model can bear the one and not the other.",
}
"""By estimator, why it may stand against the others."""

ASKED = "They ask in different ways: what is lost without a modality depends on what else is present."


def explain_disagreement(estimates: Sequence[Estimate], *, besides: Collection[str] = ()) -> list[str]:
    """Return sentences for every two modalities that estimators put in opposite orders; none where they agree.

    Each names who says what, then what sets the minority apart, as far as the numbers tell: one missing baseline (with
    the distance of its stand-ins from the data, where that was measured), or one way of asking, such as what a modality
    is worth alone against what it adds to the others. Estimates whose intervals overlap are tied and contradict nobody.

    Args:
        estimates: of a run; those of groups and of synergy are passed over.
        besides: estimators to leave out, because they are about other samples (`agreement.about_others`).
    """
    ranked = orders(list(estimates), besides=besides)
    if not ranked:
        return []
    found = []
    names = ranked[0].modalities
    for pair, (a, b) in enumerate(combinations(names, 2)):
        first = [o for o in ranked if o.signs[pair, 0] > 0]
        second = [o for o in ranked if o.signs[pair, 0] < 0]
        if first and second:
            found.append(_conflict(a, b, first, second, estimates))
    return found


def _conflict(a: str, b: str, first: list[Order], second: list[Order], estimates: Sequence[Estimate]) -> str:
    said = f"{a} matters more than {b} by {_named(first)}, but {b} more than {a} by {_named(second)}."
    few, many = (first, second) if len(first) <= len(second) else (second, first)
    for group, rest in ((few, many), (many, few)):
        baselines = {o.baseline for o in group}
        others = {o.baseline for o in rest}
        # To blame is a baseline where all that rests on it, and nothing else that rests on one, says so.
        if len(baselines) == 1 and None not in baselines and others - {None} and not baselines & others:
            baseline = baselines.pop()
            far = _distance(baseline, (a, b), estimates)
            return f"{said} The difference comes from the missing baseline {baseline}{far}."
    kinds = {o.estimator for o in few}, {o.estimator for o in many}
    if kinds[0].isdisjoint(kinds[1]):
        return f"{said} {_ways(*kinds)}{_far(few + many, (a, b), estimates)}"
    return (
        f"{said} Neither one missing baseline nor one way of asking explains it.{_far(few + many, (a, b), estimates)}"
    )


def _named(ranked: list[Order]) -> str:
    """Estimators in words, those with several baselines once: `Shapley value (zero, mean) and leave one out (zero)`."""
    by_name: dict[str, list[str]] = {}
    for order in ranked:
        by_name.setdefault(order.estimator, []).extend(value for _, value in order.options)
    texts = [
        f"{readable(name)} ({', '.join(map(readable, of))})" if of else readable(name) for name, of in by_name.items()
    ]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _ways(few: set[str], many: set[str]) -> str:
    """What the fewer ask that the others do not; of estimators on both sides that would explain it, the fewer's."""
    if few == {"only_one"} or many == {"only_one"}:
        return (
            "What a modality is worth alone and what it adds to the others differ where modalities say the same, or "
            "where one is of use only beside another."
        )
    for name, reason in REASONS.items():
        if name in few:
            return reason
    return next((reason for name, reason in REASONS.items() if name in many and len(many) == 1), ASKED)


def _stand_ins(baseline: str | None, modalities: Sequence[str], estimates: Sequence[Estimate]) -> list[Estimate]:
    return [
        e
        for e in estimates
        if e.estimator == DISTANCE
        and not e.group
        and e.value == e.value
        and e.modalities[0] in modalities
        and e.option("baseline") == baseline
    ]


def _distance(baseline: str | None, modalities: Sequence[str], estimates: Sequence[Estimate]) -> str:
    """How far a baseline's stand-ins are from the data, as the end of a sentence."""
    known = _stand_ins(baseline, modalities, estimates)
    if not known:
        return ""
    texts = [f"{e.value:.1f} times as far for {e.modalities[0]}" for e in known]
    off = "unlike the data" if max(e.value for e in known) > FAR else "like the data"
    return (
        f", whose stand-ins are {off}: from the nearest real value they are {' and '.join(texts)} as real values are "
        "from each other"
    )


def _far(ranked: list[Order], modalities: Sequence[str], estimates: Sequence[Estimate]) -> str:
    """A further sentence where stand-ins that these estimators rest on are far off the data."""
    used = {o.baseline for o in ranked if o.baseline}
    far = [e for b in sorted(used) for e in _stand_ins(b, modalities, estimates) if e.low > FAR]
    far = sorted(far, key=lambda e: -e.value)[:SHOWN]
    if not far:
        return ""
    texts = [f"{e.option('baseline')} for {e.modalities[0]} ({e.value:.1f} times)" for e in far]
    return f" Some stand-ins are much farther from the data than real values are from each other: {', '.join(texts)}."
