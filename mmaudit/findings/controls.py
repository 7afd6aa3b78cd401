"""The report's own controls: what must have no effect, what must leave nothing, and what must have been applied."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.controls import Control
from mmaudit.findings.base import Draft, Evidence, rule
from mmaudit.findings.wording import enumerated, listing


@rule("control_failed", level="critical")
def control_failed(evidence: Evidence) -> Iterator[Draft]:
    """A control did not behave as it must: the other numbers cannot be trusted until it does."""
    failed: dict[str, list[Control]] = {}
    for control in evidence.controls:
        if not control.ok and control.control != "applied":
            failed.setdefault(control.control, []).append(control)
    for name, controls in failed.items():
        more = f" So it did in {len(controls)} repetitions." if len(controls) > 1 else ""
        yield Draft(
            f"The control '{name}' failed, so no other number here can be trusted: {controls[0].message}{more}",
            (),
            tuple(evidence.score(c.condition) for c in controls),
            1.0,
            condition=controls[0].condition,
        )


@rule("probe_without_effect", level="info")
def probe_without_effect(evidence: Evidence) -> Iterator[Draft]:
    """A probe changed no sample, or left one of its modalities, so that its condition says nothing about the model."""
    unapplied = [c for c in evidence.controls if not c.ok and c.control == "applied"]
    idle = [c.condition for c in unapplied if not c.left]
    if idle:
        count = "One condition" if len(idle) == 1 else f"{len(idle)} conditions"
        yield Draft(
            f"{count} changed no sample and so tell{'s' if len(idle) == 1 else ''} nothing about the model: "
            f"{enumerated(evidence.words(c) for c in idle)}.",
            tuple(dict.fromkeys(m for c in idle for m in c.modalities)),
            (),
            0.0,
            condition=idle[0],
        )
    for left in dict.fromkeys(c.left for c in unapplied if c.left):
        partly = [c.condition for c in unapplied if c.left == left]
        count = "One condition" if len(partly) == 1 else f"{len(partly)} conditions"
        yield Draft(
            f"{count} left {listing(left)} as it was in every sample and so tell{'s' if len(partly) == 1 else ''} "
            f"nothing about it: {enumerated(evidence.words(c) for c in partly)}.",
            left,
            (),
            0.0,
            condition=partly[0],
        )
