"""Rules about which modalities matter: ignored, indispensable, harmful, and conclusions that hang on a stand-in."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.findings.base import Draft, Evidence, listing, lost_span, percent, rule, span
from mmaudit.types import CLEAN, Condition

# Shares of the above-chance performance. Below HARMLESS a loss does not matter to a reader; above SEVERE it does.
HARMLESS = 0.05
SEVERE = 0.30
NEARLY_ALL = 0.75


def mismatched(evidence: Evidence, modality: str) -> Condition | None:
    """The condition that gives every sample another random sample's value of this modality alone."""
    for condition in evidence.by_family("mismatch"):
        if condition.modalities == (modality,) and condition.option("pool") == "random" and not condition.repeat:
            return condition
    return None


@rule("ignored_modality", level="major")
def ignored_modality(evidence: Evidence) -> Iterator[Draft]:
    """Exchanging a modality between samples changes next to nothing: the model does not use it."""
    for modality in evidence.modalities:
        condition = mismatched(evidence, modality)
        if condition is None:
            continue
        score = evidence.score(condition)
        flips = evidence.score(condition, "flip_rate")
        if not score.lost_high <= HARMLESS or flips.high > HARMLESS:
            continue
        # The two could hide each other in a regression, where nothing flips: ask every stand-in as well.
        removed = [evidence.score(c) for c in evidence.missing((modality,)).get((modality,), [])]
        if any(r.lost_low > HARMLESS for r in removed):
            continue
        answers = f" and {percent(flips.value)} of the answers" if flips.value == flips.value else ""
        yield Draft(
            f"The model hardly uses {modality}: giving every sample another sample's {modality} changes "
            f"{score.metric} by {lost_span(score)} of what it has above chance{answers}.",
            (modality,),
            tuple(s for s in (score, flips, *removed) if s.value == s.value),
            1.0 - max(score.lost, 0.0),
        )


@rule("single_point_of_failure", level="major")
def single_point_of_failure(evidence: Evidence) -> Iterator[Draft]:
    """Without one modality next to nothing above chance is left, whatever stands in for it."""
    if len(evidence.modalities) < 2:
        return
    for modality in evidence.modalities:
        scores = [evidence.score(c) for c in evidence.missing((modality,)).get((modality,), [])]
        if not scores or not all(s.lost_low >= NEARLY_ALL for s in scores):
            continue
        best = min(scores, key=lambda s: s.lost)
        yield Draft(
            f"Without {modality} the model loses {lost_span(best)} of what it has above chance, under the most "
            f"favourable of {len(scores)} ways to fill the gap: {modality} is a single point of failure.",
            (modality,),
            (best, *(s for s in scores if s is not best)),
            best.lost,
        )


@rule("non_monotone_subset", level="major")
def non_monotone_subset(evidence: Evidence) -> Iterator[Draft]:
    """Giving the model one modality more makes it worse."""
    worst: dict[str, tuple[float, Draft]] = {}
    subsets = [c for c in evidence.by_family("missing") if c.probe == "missing"]
    for larger in [CLEAN, *subsets]:
        for smaller in subsets:
            edge = evidence.score(larger, against=smaller)
            # `lost` of an edge: share of the above-chance performance that the larger subset gives away.
            if not (edge.lost_low > 0.01 and edge.p_adjusted < 0.05):
                continue
            added = next(iter(set(smaller.modalities) - set(larger.modalities)))
            kept = [m for m in evidence.modalities if m not in smaller.modalities]
            draft = Draft(
                f"Adding {added} to {listing(kept)} makes the model worse: {edge.metric} goes from "
                f"{span(evidence.score(smaller))} to {span(evidence.score(larger))}"
                f"{_filled(smaller)}.",
                (added,),
                (edge, evidence.score(smaller), evidence.score(larger)),
                edge.lost,
                condition=smaller,
            )
            if added not in worst or edge.lost > worst[added][0]:
                worst[added] = (edge.lost, draft)
    yield from (draft for _, draft in worst.values())


@rule("baseline_dependent", level="minor")
def baseline_dependent(evidence: Evidence) -> Iterator[Draft]:
    """Whether a missing modality matters depends on what stands in for it."""
    for removed, conditions in evidence.missing().items():
        scores = [(c.option("baseline"), evidence.score(c)) for c in conditions]
        harmless = [(b, s) for b, s in scores if s.lost_high < HARMLESS]
        severe = [(b, s) for b, s in scores if s.lost_low > SEVERE]
        if not harmless or not severe:
            continue
        mildest = min(harmless, key=lambda pair: pair[1].lost)
        gravest = max(severe, key=lambda pair: pair[1].lost)
        yield Draft(
            f"What a missing {listing(removed)} costs depends on its stand-in: {lost_span(mildest[1])} of what the "
            f"model has above chance with {mildest[0]}, {lost_span(gravest[1])} with {gravest[0]}. "
            "State the stand-in with every such number.",
            removed,
            (gravest[1], mildest[1]),
            gravest[1].lost - mildest[1].lost,
        )


def _filled(condition: Condition) -> str:
    baseline = condition.option("baseline")
    return f" (missing ones filled with: {baseline})" if baseline and baseline != "native" else ""
