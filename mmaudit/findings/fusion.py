"""Rules about which modalities matter: ignored, indispensable, harmful, and conclusions that hang on a stand-in."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.findings.base import Draft, Evidence, rule
from mmaudit.findings.certainty import at_most, unseen, widened
from mmaudit.findings.wording import all_but, change, listing, loss, measure, span, stand_in
from mmaudit.summaries import neutral
from mmaudit.types import CLEAN, Condition, Score

# All in shares of the above-chance performance.
# A loss below this does not matter to a reader: a model of 90 % against a chance of 50 % still has 88 %.
HARMLESS = 0.05
# A loss above this does: it is more than what separates most published models from each other.
SEVERE = 0.30
# With this much gone, what is left is closer to guessing than to the model.
NEARLY_ALL = 0.75
# An added modality that costs less than this of what the model had without it is not something to act on.
HURTS = 0.01
# A swap that changes fewer samples than this (a constant modality, most rows without it) says little about the model.
ENOUGH_CHANGED = 0.5


@rule("ignored_modality", level="major", needs_signal=True, implied_by=("non_monotone_subset",))
def ignored_modality(evidence: Evidence) -> Iterator[Draft]:
    """Exchanging a modality between samples changes next to nothing: the model does not use it."""
    for modality in evidence.modalities:
        swaps = _swaps(evidence, modality)
        if not swaps or not all(_unmoved(evidence, c) for c in swaps) or _needed_somewhere(evidence, modality):
            continue
        swap = max(swaps, key=lambda c: evidence.loss(c).lost)
        score, flips = evidence.loss(swap), evidence.score(swap, "flip_rate")
        measured = flips.value == flips.value
        answers = f"{span(flips)} of its answers and " if measured else ""
        yield Draft(
            f"The model hardly uses {listing([modality])}: giving every sample another sample's changes "
            f"{answers}{measure(score)} by {change(score)}.{_not_passed_on(evidence, swap)}",
            (modality,),
            (score, flips) if measured else (score,),
            1.0 - max(score.lost, 0.0),
        )


def _not_passed_on(evidence: Evidence, swap: Condition) -> str:
    """What else may be the reason where no probability moved by a bit."""
    brier = evidence.score(swap, "brier")
    if not (brier.delta == 0 and evidence.score(swap, "mean_confidence").delta == 0):
        return ""
    return " Nothing moved at all: make sure that the adapter passes it on to the model."


def _swaps(evidence: Evidence, modality: str) -> list[Condition]:
    """Conditions that give every sample another random sample's value of this modality alone."""
    mismatched = [
        c
        for c in evidence.by_family("mismatch")
        if c.modalities == (modality,) and c.option("pool") == "random" and evidence.loss(c).n
    ]
    marginal = [c for c in evidence.missing((modality,)) if c.option("baseline") == "marginal"]
    return mismatched or marginal


def _unmoved(evidence: Evidence, swap: Condition) -> bool:
    """Whether a swap surely changes next to nothing: neither answers, nor performance, nor probabilities."""
    share = evidence.changed.get(swap.key, 1.0)
    score, flips = evidence.loss(swap), evidence.score(swap, "flip_rate")
    # Of what a swap of every sample would change, this swap can show this much.
    limit = HARMLESS * share
    if share < ENOUGH_CHANGED or not score.n or unseen(score.n) > limit:
        return False
    if flips.value != flips.value:
        return _still(score) or (-limit <= score.lost_low and score.lost_high <= limit)
    # No flip at all settles the loss too, however little there is above chance for it to be a share of.
    settled = score.lost_high <= limit or flips.value == 0
    return at_most(flips) <= limit and settled and not _changes_confidence(evidence, swap)


def _changes_confidence(evidence: Evidence, swap: Condition) -> bool:
    """Whether probabilities may depend on a modality that decides no answer: it can say how far to trust another."""
    sure, brier = evidence.score(swap, "mean_confidence"), evidence.score(swap, "brier")
    return brier.lost_low > HARMLESS or sure.delta_low < -HARMLESS or sure.delta_high > HARMLESS


def _needed_somewhere(evidence: Evidence, modality: str) -> bool:
    """Whether the model may react to a neutral stand-in, or use the modality once another one is missing."""
    alone = [c for c in evidence.missing((modality,), neutral_only=True) if not _answers_stay(evidence, c)]
    # What the modality adds to everything else was asked above; here, what it adds while another one is missing.
    edges = [edge for edge in evidence.edges if edge.added == modality and edge.larger.key != CLEAN.key]
    added = [edge.score for edge in edges if neutral(edge.smaller)]
    doubtful = (*(evidence.loss(c) for c in alone), *added)
    return any(s.lost_high > HARMLESS or s.lost_low < -HARMLESS for s in doubtful if not _still(s))


def _answers_stay(evidence: Evidence, condition: Condition) -> bool:
    """Whether next to no answer changes: then no loss can be large, though its interval may be wide near chance."""
    return at_most(evidence.score(condition, "flip_rate")) <= HARMLESS


def _still(score: Score) -> bool:
    """Whether no resample differs, so no sample does: the interval holds no more than what was not seen."""
    if score.delta != 0:
        return False
    # What was not seen has no bound in a metric without ends; how far it may reach is its interval and its mde alike.
    endless = score.unit != "share" or score.metric == "r2"
    return (endless and score.mde == score.delta_high) or score.delta_high - score.delta_low <= 2 * unseen(score.n)


@rule("single_point_of_failure", level="major", needs_signal=True)
def single_point_of_failure(evidence: Evidence) -> Iterator[Draft]:
    """Without one modality next to nothing above chance is left, whatever stands in for it."""
    if len(evidence.removable) < 2:
        return
    fatal: dict[str, list[Score]] = {}
    for modality in evidence.modalities:
        scores = [evidence.loss(c) for c in evidence.missing((modality,))]
        # Deceptive stand-ins ruin every model that uses the modality; one neutral one at least must be as bad.
        if evidence.missing((modality,), neutral_only=True) and all(s.lost_low >= NEARLY_ALL for s in scores):
            fatal[modality] = sorted(scores, key=lambda s: s.lost)
    if len(fatal) > 1:
        best = min((scores[0] for scores in fatal.values()), key=lambda s: s.lost)
        yield Draft(
            f"The model works only with {listing(fatal)} together: without any one of them it loses at least "
            f"{loss(best)}, whatever stands in for it.",
            tuple(fatal),
            (best, *(s for scores in fatal.values() for s in scores if s is not best)),
            best.lost,
        )
    for modality, scores in fatal.items() if len(fatal) == 1 else ():
        ways = f", under the most favourable of {len(scores)} ways to fill the gap" if len(scores) > 1 else ""
        yield Draft(
            f"Without {listing([modality])} the model loses {loss(scores[0])}{ways}: it is a single point of failure.",
            (modality,),
            tuple(scores),
            scores[0].lost,
        )


@rule("non_monotone_subset", level="major")
def non_monotone_subset(evidence: Evidence) -> Iterator[Draft]:
    """Giving the model one modality more makes it worse."""
    absences = {CLEAN.key} | {c.key for removed in evidence.removals() for c in evidence.absences(removed)}
    # Not from the empty subset: below_chance says the same, whatever the most frequent class happens to be.
    edges = [
        e
        for e in evidence.edges
        if {e.larger.key, e.smaller.key} <= absences and set(e.smaller.modalities) < set(evidence.removable)
    ]
    worst: dict[str, tuple[float, Score, Score, Score]] = {}
    for edge, larger, smaller, added in edges:
        before, after = evidence.score(smaller), evidence.score(larger)
        sign = 1.0 if edge.better == "higher" else -1.0
        # No effect at all is common, so the worst of all edges must be sure.
        low, high = widened(edge.delta, edge.delta_low, edge.delta_high, len(edges))
        harm = -high if sign > 0 else low
        surely_above = before.low > before.floor if sign > 0 else before.high < before.floor
        share = abs(edge.delta) / abs(before.value - before.floor) if surely_above else 0.0
        if surely_above and harm > HURTS * abs(before.value - before.floor) and share > worst.get(added, (0.0,))[0]:
            worst[added] = (share, edge, before, after)
    for added, (share, edge, before, after) in worst.items():
        smaller = next(c for c in evidence.conditions if c.key == before.condition)
        kept = listing(all_but(evidence.removable, smaller.modalities))
        filled = stand_in(smaller, evidence.kinds)
        filled = f"; what is missing is {filled}" if filled else ""
        yield Draft(
            f"Adding {listing([added])} to {kept} makes the model worse: {measure(edge)} goes from {span(before)} to "
            f"{span(after)}{filled}.",
            (added,),
            (edge, before),
            share,
        )


@rule("baseline_dependent", level="minor", needs_signal=True)
def baseline_dependent(evidence: Evidence) -> Iterator[Draft]:
    """Whether a missing modality matters depends on what stands in for it."""
    told: list[set[str]] = []
    for removed in evidence.removals():
        # Stand-ins that contradict the rest ruin what neutral ones do not, in every model that uses the modality.
        scores = {c.option("baseline"): evidence.loss(c) for c in evidence.missing(removed, neutral_only=True)}
        harmless = {b: s for b, s in scores.items() if s.lost_high < HARMLESS}
        severe = {b: s for b, s in scores.items() if s.lost_low > SEVERE}
        if not harmless or not severe or any(t <= set(removed) for t in told):
            continue
        told.append(set(removed))
        mildest = min(harmless, key=lambda b: harmless[b].lost)
        gravest = max(severe, key=lambda b: severe[b].lost)
        yield Draft(
            f"What a missing {listing(removed)} costs depends on what stands in for it: with '{mildest}' the model "
            f"loses {loss(harmless[mildest])}, with '{gravest}' {loss(severe[gravest])}. State the stand-in with "
            "every such number, and fill gaps in use as here.",
            removed,
            (severe[gravest], harmless[mildest]),
            severe[gravest].lost - harmless[mildest].lost,
        )
