"""Rules about whether the model knows when it is broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mmaudit.findings.base import Draft, Evidence, amount, listing, rule, span, words
from mmaudit.types import CLEAN, Condition, Score

# Accuracy must fall by this much for sure before unchanged confidence is worth a finding; in points of accuracy.
FALL = 0.05
# Confidence counts as unmoved if it falls by less than this share of what accuracy falls.
UNMOVED = 0.25
# Mean confidence above accuracy by this much, for sure, is overconfidence a reader should act on.
OVERCONFIDENT = 0.05


@rule("silent_failure", level="critical")
def silent_failure(evidence: Evidence) -> Iterator[Draft]:
    """Accuracy falls and confidence does not: nobody would notice."""
    yield from _unnoticed(evidence, evidence.by_family("missing", "corruption"), "silently")


@rule("mismatch_not_noticed", level="major")
def mismatch_not_noticed(evidence: Evidence) -> Iterator[Draft]:
    """A modality that belongs to another sample makes answers wrong and leaves confidence where it was."""
    conditions = [c for c in evidence.by_family("mismatch") if c.option("pool") == "random"]
    yield from _unnoticed(evidence, conditions, "unnoticed")


def _unnoticed(evidence: Evidence, conditions: Iterable[Condition], how: str) -> Iterator[Draft]:
    """The worst condition per probe and set of modalities whose accuracy falls while confidence stays."""
    worst: dict[tuple[str, tuple[str, ...]], tuple[float, Draft]] = {}
    for condition in conditions:
        accuracy, confidence = evidence.score(condition, "accuracy"), evidence.score(condition, "mean_confidence")
        fall = -accuracy.delta_high
        if not (fall >= FALL and -confidence.delta_low <= UNMOVED * fall and accuracy.p_adjusted < 0.05):
            continue
        clean = evidence.score(CLEAN, "accuracy"), evidence.score(CLEAN, "mean_confidence")
        draft = Draft(
            f"Under {words(condition)} the model fails {how}: accuracy goes from {amount(clean[0])} to "
            f"{span(accuracy)}, mean confidence from {amount(clean[1])} to {span(confidence)}.",
            condition.modalities,
            (accuracy, confidence),
            -accuracy.delta,
            condition=condition,
        )
        place = (condition.probe, condition.modalities)
        if place not in worst or -accuracy.delta > worst[place][0]:
            worst[place] = (-accuracy.delta, draft)
    yield from (draft for _, draft in worst.values())


@rule("overconfident_subset", level="minor")
def overconfident_subset(evidence: Evidence) -> Iterator[Draft]:
    """On some subset of modalities the model claims more than it delivers."""
    candidates: list[tuple[str, tuple[str, ...], list[Condition]]] = [("all modalities", (), [CLEAN])]
    for removed, conditions in evidence.missing().items():
        candidates.append((f"{listing(removed)} missing", removed, conditions))
    for name, removed, conditions in candidates:
        scores = [(c, evidence.score(c, "overconfidence")) for c in conditions]
        over = [(c, s) for c, s in scores if s.low > OVERCONFIDENT]
        if not over:
            continue
        condition, worst = max(over, key=lambda pair: pair[1].value)
        confidence, accuracy = evidence.score(condition, "mean_confidence"), evidence.score(condition, "accuracy")
        where = f" (filled with: {condition.option('baseline')}; {_count(over, scores)})" if removed else ""
        yield Draft(
            f"With {name}{where} the model claims more than it delivers: mean confidence {amount(confidence)}, "
            f"accuracy {amount(accuracy)}, a gap of {_points(worst)}.",
            removed,
            (worst, confidence, accuracy),
            worst.value,
            level="major" if worst.low > 3 * OVERCONFIDENT else "minor",
            condition=condition,
        )


def _count(over: list[tuple[Condition, Score]], scores: list[tuple[Condition, Score]]) -> str:
    return f"so under {len(over)} of {len(scores)} stand-ins"


def _points(score: Score) -> str:
    return f"{score.value * 100:.0f} points (95 % interval {score.low * 100:.0f} to {score.high * 100:.0f})"
