"""Rules about reliance: when estimators of what a model relies on contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit import formats
from mmaudit.findings.base import Draft, Evidence, rule
from mmaudit.findings.wording import INTERVAL, listing

# Orders of the modalities that agree less than this (mean Kendall's τ: 1 the same, 0 random) cannot be told as one.
AGREEMENT = 0.5


@rule("reliance_disagrees", level="minor", needs_signal=True)
def reliance_disagrees(evidence: Evidence) -> Iterator[Draft]:
    """Estimators of reliance put the modalities in different orders."""
    for agreement in evidence.estimated("reliance_agreement"):
        steady = agreement.high != agreement.high  # no resample changes an order: then the value itself is all there is
        if not (agreement.value if steady else agreement.high) < AGREEMENT:
            continue
        why = " ".join(evidence.disagreements[:1])
        value, low, high = (formats.plain(x, 2) for x in (agreement.value, agreement.low, agreement.high))
        sure = "in every resample" if steady else f"{INTERVAL} {low} to {high}"
        yield Draft(
            f"Which of {listing(evidence.modalities)} matters most depends on how one asks: the estimators of reliance "
            f"agree to {value} ({sure}), where 1 is one order, 0 what random orders give, and "
            f"below 0 they contradict each other. {why}".strip(),
            tuple(evidence.modalities),
            (agreement.score(),),
            1 - agreement.value,
        )
