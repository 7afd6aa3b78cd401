"""A rule about conflicts: which modality the model believes when they contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.findings.base import Draft, Evidence, rule
from mmaudit.findings.wording import all_but, amount, listing, span
from mmaudit.types import CLEAN

# A modality that wins fewer conflicts than three in four does not decide them.
DECIDES = 0.75
HALF = 0.5


@rule("conflict_winner", level="info", needs_signal=True)
def conflict_winner(evidence: Evidence) -> Iterator[Draft]:
    """One modality decides most conflicts against all the others.

    No fault by itself: the others may be weak. A reader should know whom the model believes, and how sure it then is.
    With two modalities both sides must agree: exchanged, the modality is followed; kept in place, it is too.
    """
    conflicts = {c.modalities[0]: c for c in reversed(evidence.by_family("conflict"))}
    for modality, condition in conflicts.items():
        follows = evidence.score(condition, "follows_exchanged")
        others = all_but(evidence.modalities, (modality,))
        if not follows.low > DECIDES:
            continue
        if len(others) == 1 and others[0] in conflicts:
            kept = evidence.score(conflicts[others[0]], "follows_kept")
            if not kept.low > HALF:
                continue
        confidence, clean = evidence.score(condition, "confidence_exchanged"), evidence.score(CLEAN, "mean_confidence")
        sure = ""
        if confidence.value == confidence.value and clean.value == clean.value:
            sure = f", with a mean confidence of {span(confidence)}; on clean data it is {amount(clean)}"
        yield Draft(
            f"In a conflict the model believes {listing([modality])}: where it says another class than "
            f"{listing(others)}, the answer is that class in {span(follows)} of the samples{sure}.",
            (modality,),
            (follows, confidence) if sure else (follows,),
            follows.value,
        )
