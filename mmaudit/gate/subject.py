"""What requirements are held against: a report, the policy's choices, and the comparison with a previous run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mmaudit.gate.policy import Policy
from mmaudit.gate.selection import APART, Planned
from mmaudit.report import Measured, Report
from mmaudit.types import Score

if TYPE_CHECKING:
    from mmaudit.compared.result import Comparison


@dataclass(frozen=True)
class Previous:
    """The run before, and this one beside it: `comparison` has the previous run first."""

    comparison: Comparison
    conditions: tuple[Planned, ...]

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys of its conditions."""
        return frozenset(p.key for p in self.conditions)


@dataclass(frozen=True, eq=False)
class Subject:
    """A run as requirements see it."""

    report: Report
    policy: Policy
    previous: Previous | None = None
    _by_key: Mapping[str, Measured] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {m.key: m for m in self.report.conditions})

    @cached_property
    def planned(self) -> tuple[Planned, ...]:
        """The conditions, in plan order."""
        return tuple(Planned(m.key, m.condition) for m in self.report.conditions)

    @cached_property
    def declined(self) -> dict[str, str]:
        """By probe, why the run does not have (all of) its conditions."""
        return {d["probe"]: d["reason"] for d in self.report.document["declined"]}

    @cached_property
    def group_columns(self) -> dict[str, dict[str, int]]:
        """Samples by value, for each group column."""
        groups: dict[str, dict[str, int]] = self.report.document["data"].get("groups") or {}
        return groups

    @cached_property
    def metrics(self) -> dict[str, list[Score]]:
        """Scores by metric, estimates left out."""
        estimated = {(e["key"], e["estimator"]) for e in self.report.document.get("estimates", ())}
        found: dict[str, list[Score]] = {}
        for score in self.report.rows:
            if (score.condition, score.metric) not in estimated:
                found.setdefault(score.metric, []).append(score)
        return found

    def sums_up(self, metric: str) -> bool:
        """Whether a metric's rows are of families and curves, not of conditions."""
        return not any(score.condition in self._by_key for score in self.metrics[metric])

    def score(self, key: str, metric: str, group: str) -> Score | None:
        """The score of a condition, with its difference from clean data where there is one."""
        clean = self.report.score(key, metric, group, against=self.report.clean)
        return clean or self.report.score(key, metric, group, against="")

    def unsound(self, key: str) -> str:
        """Why a condition's numbers must not be relied on; empty where they may."""
        seen = self._by_key.get(key)
        if seen is None:
            return ""
        if seen.raised and self.policy.errors == "fail":
            return f"the model raised an error on {seen.raised} samples, which are not in the numbers: {seen.error}"
        if seen.changed == 0 and seen.condition.family not in APART:
            return "the probe changed no sample, so this says nothing about the model"
        return ""
