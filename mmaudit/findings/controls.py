"""The report's own controls: what must have no effect, what must leave nothing, and what must have been applied."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.findings.base import Draft, Evidence, rule


@rule("control_failed", level="critical")
def control_failed(evidence: Evidence) -> Iterator[Draft]:
    """A control did not behave as it must: the other numbers cannot be trusted until it does."""
    for control in evidence.controls:
        if not control.ok and control.control != "applied":
            yield Draft(
                f"Control '{control.control}' failed: {control.message}",
                (),
                (evidence.score(control.condition),),
                1.0,
                condition=control.condition,
            )


@rule("probe_without_effect", level="info")
def probe_without_effect(evidence: Evidence) -> Iterator[Draft]:
    """A probe changed no sample, so its condition says nothing about the model."""
    for control in evidence.controls:
        if not control.ok and control.control == "applied":
            yield Draft(control.message, control.condition.modalities, (), 0.0, condition=control.condition)
