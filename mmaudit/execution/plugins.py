"""Probes and scenarios that only this process knows, for workers: those of a script, a notebook, a user's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmaudit.probes import Probe, probes, scenario
from mmaudit.probes.scenario_file import Scenario
from mmaudit.types import Condition


@dataclass(frozen=True)
class Plugins:
    """What a fresh process lacks.

    Attributes:
        probes: registered by other modules than mmaudit's.
        scenarios: of the user's files.
    """

    probes: tuple[Probe, ...]
    scenarios: tuple[Scenario, ...]

    @classmethod
    def needed(cls, conditions: Sequence[Condition]) -> Plugins:
        """Collect what these conditions, or a scenario among them, may ask for."""
        named = {c.option("definition") for c in conditions if c.probe.startswith("scenario.")}
        own = [s for s in scenario.known.values() if s.definition in named and s.name not in scenario.packaged()]
        return cls(tuple(p for p in probes if not f"{p.module}.".startswith("mmaudit.")), tuple(own))

    def register(self) -> None:
        """Make them known here, unless an entry point or an import already did."""
        for probe in self.probes:
            if probe.name not in probes:
                probes.add(probe.name, probe)
        for own in self.scenarios:
            scenario.known[own.definition] = own
            if own.probe not in probes:
                scenario.register(own.name, own.summary, "the user's file")
