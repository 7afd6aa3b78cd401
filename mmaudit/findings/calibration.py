"""Rules about whether the model knows when it is broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mmaudit import formats
from mmaudit.findings.base import Draft, Evidence, rule
from mmaudit.findings.wording import all_but, amount, enumerated, gap, listing, percent, span
from mmaudit.types import CLEAN, Condition, Level, Score

# Accuracy must surely fall by this many points before its silence is worth a finding.
FALL = 0.05
# A failure is silent if confidence surely falls by less than this share of what accuracy falls. A calibrated model's
# falls by all of it; with logits twice too large it still falls by 40 to 60 % (two Gaussian views, one missing).
UNMOVED = 0.25
# For contradicting modalities the share must be far lower: even the Bayes-optimal posterior of matched data reacts
# little to a mismatch, as strong evidence on both sides mostly leaves one side ahead. With two Gaussian views of
# equal strength its confidence falls by 23 % of what accuracy falls at 95 % accuracy and by 17 % at 99.9 %; with logits
# twice too large by 13 % and 9 %.
UNNOTICED = 0.05
# A mismatch could be noticed if each side alone keeps this much above chance: then they say different things.
TELLING = 0.5
# Mean confidence above accuracy by this many points, for sure, is overconfidence a reader should act on …
OVERCONFIDENT = 0.05
# … and by this many it is a major one.
GROSSLY_OVERCONFIDENT = 0.15
# Beyond the middle of a corruption's table a failure is expected; that it is silent weighs less than elsewhere.
MIDDLE = 3
# Of further conditions under which the same holds.
MOST_NAMED = 3


@dataclass(frozen=True)
class _Fall:
    """How far right answers and confidence surely fall under a condition."""

    condition: Condition
    right: Score
    confidence: Score
    at_least: float
    confidence_at_most: float

    def silent(self, share: float) -> bool:
        return self.at_least >= FALL and self.confidence_at_most <= share * self.at_least

    @property
    def level(self) -> Level:
        return "major" if (self.condition.position or 0) > MIDDLE else "critical"


def _fall(evidence: Evidence, condition: Condition) -> _Fall:
    """Multilabel: right is the share of right labels, confidence minus overconfidence, as confidence is per label."""
    confidence, right = evidence.score(condition, "mean_confidence"), evidence.score(condition, "accuracy")
    at_least = -right.delta_high
    if evidence.task.kind == "multilabel":
        right = evidence.score(condition, "overconfidence")
        at_least = right.delta_low - confidence.delta_high
    return _Fall(condition, right, confidence, at_least, -confidence.delta_low)


@rule("silent_failure", level="critical")
def silent_failure(evidence: Evidence) -> Iterator[Draft]:
    """Accuracy falls and confidence does not: nobody would notice."""
    absent = [c for removed in evidence.removals() for c in evidence.absences(removed)]
    candidates = [*absent, *evidence.by_family("corruption")]
    silent = [f for f in (_fall(evidence, c) for c in candidates) if f.silent(UNMOVED)]
    for names, falls in _minimal({f.condition.modalities for f in silent}, silent):
        worst = max(falls, key=lambda f: (f.level == "critical", f.at_least))
        others = [evidence.words(f.condition) for f in falls if f is not worst]
        more = f" So it does with {enumerated(others, MOST_NAMED)}." if others else ""
        yield Draft(
            f"With {evidence.words(worst.condition)} the model fails silently: {_course(evidence, worst)}.{more}",
            names,
            (worst.right, worst.confidence),
            worst.at_least,
            condition=worst.condition,
            level=worst.level,
        )


def _minimal(sets: Iterable[tuple[str, ...]], falls: list[_Fall]) -> Iterator[tuple[tuple[str, ...], list[_Fall]]]:
    """Sets of modalities without another one inside: what fails without a alone need not be told of a and b."""
    known = set(sets)
    for names in sorted(known, key=lambda s: (len(s), s)):
        if not any(set(other) < set(names) for other in known):
            yield names, [f for f in falls if f.condition.modalities == names]


def _course(evidence: Evidence, fall: _Fall) -> str:
    """From what to what right answers and confidence go."""
    before = evidence.score(CLEAN, fall.right.metric), evidence.score(CLEAN, "mean_confidence")
    sure = f"while mean confidence goes from {amount(before[1])} to {amount(fall.confidence)}"
    if fall.right.metric == "overconfidence":
        right = [percent(c.value - o.value) for c, o in ((before[1], before[0]), (fall.confidence, fall.right))]
        at_least = formats.number(fall.at_least, "share", change=True)
        return f"the share of right labels goes from {right[0]} to {right[1]} (surely by {at_least} or more), {sure}"
    return f"accuracy goes from {amount(before[0])} to {span(fall.right)}, {sure}"


@rule("mismatch_not_noticed", level="major", needs_signal=True)
def mismatch_not_noticed(evidence: Evidence) -> Iterator[Draft]:
    """Modalities that contradict each other make answers wrong and leave confidence where it was.

    Claimed only where a mismatch could be noticed: the exchanged modality and the others each keep half of what is
    above chance on their own, so exchanged ones say different things. Where modalities only mean something together
    (any question fits any picture), an exchanged one makes another valid sample, which no model can tell.
    """
    for modality in evidence.modalities:
        swaps = [c for c in evidence.by_family("mismatch") if c.modalities == (modality,)]
        pools = {c.option("pool"): c for c in reversed(swaps)}
        swap = pools.get("across_class") or pools.get("random")
        if swap is None or not _telling(evidence, modality):
            continue
        fall = _fall(evidence, swap)
        if not fall.silent(UNNOTICED):
            continue
        others = listing(all_but(evidence.modalities, (modality,)))
        yield Draft(
            f"The model does not notice that {listing([modality])} contradicts {others}: with {evidence.words(swap)}, "
            f"{_course(evidence, fall)}.",
            (modality,),
            (fall.right, fall.confidence),
            fall.at_least,
        )


def _telling(evidence: Evidence, modality: str) -> bool:
    """Whether a modality and the others surely keep half of the above-chance performance, each without the other."""
    others = all_but(evidence.modalities, (modality,))
    sides = [evidence.missing((modality,), neutral_only=True), evidence.missing(others, neutral_only=True)]
    return all(any(evidence.loss(c).lost_high <= TELLING for c in side) for side in sides)


@rule("overconfident_subset", level="minor", implied_by=("silent_failure",))
def overconfident_subset(evidence: Evidence) -> Iterator[Draft]:
    """On some subset of modalities the model claims more than it delivers."""
    everything = evidence.score(CLEAN, "overconfidence")
    told: dict[tuple[str, ...], Score] = {}
    if everything.low > OVERCONFIDENT:
        told[()] = everything
        yield _overconfident(evidence, (), [everything], [everything], CLEAN)
    for removed in evidence.removals():
        conditions = {c.key: c for c in evidence.absences(removed)}
        scores = [_over(evidence, c) for c in conditions.values()]
        # Where the model is overconfident anyway, a subset is news only if it is surely worse.
        over = [s for s in scores if s.low > OVERCONFIDENT and (not told.get(()) or s.delta_low > OVERCONFIDENT)]
        worst = max(over, key=lambda s: s.value, default=None)
        inside = [s.value for names, s in told.items() if names and set(names) < set(removed)]
        # A larger set is news only if it is much worse than the smaller one that it contains.
        if worst is None or (inside and worst.value < 2 * max(inside)):
            continue
        told[removed] = worst
        yield _overconfident(evidence, removed, over, scores, conditions[worst.condition])


def _over(evidence: Evidence, condition: Condition) -> Score:
    return evidence.score(condition, "overconfidence")


def _overconfident(
    evidence: Evidence, removed: tuple[str, ...], over: list[Score], scores: list[Score], condition: Condition
) -> Draft:
    worst = next(s for s in over if s.condition == condition.key)
    confidence = evidence.score(condition, "mean_confidence")
    right = "labels" if evidence.task.kind == "multilabel" else "answers"
    where = evidence.words(condition) if removed else "every modality in place"
    return Draft(
        f"With {where} the model claims more than it delivers: mean confidence is {amount(confidence)}, "
        f"{percent(confidence.value - worst.value)} of the {right} are right, a gap of {gap(worst)}."
        f"{_tried(removed, len(over), len(scores))}",
        removed,
        (worst, confidence),
        worst.value,
        condition=condition,
        level="major" if worst.low > GROSSLY_OVERCONFIDENT else "minor",
        subject=f"{listing(removed)} missing" if removed else "every modality in place",
    )


def _tried(removed: tuple[str, ...], over: int, measured: int) -> str:
    """Of how many stand-ins the same is true, where several were measured."""
    if measured < 2:
        return ""
    such = "1 leaves" if over == 1 else f"{over} leave"
    widest = "" if over == 1 else ", the one named here the widest"
    return (
        f" Of the {measured} stand-ins for a missing {listing(removed)} that were measured, {such} such a gap{widest}."
    )
