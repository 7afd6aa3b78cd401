"""What a run came out as: checks, requirements, verdict. Values only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mmaudit.types import digest

Outcome = Literal["pass", "fail", "undecided"]
Kind = Literal["value", "estimate", "drop", "lost", "regression", "growth", "finding", "control", "run", "policy"]
GRAVITY: tuple[Outcome, ...] = ("pass", "undecided", "fail")
"""From best to worst."""
SCHEMA = "mmaudit.gate/1"


@dataclass(frozen=True)
class Check:
    """One number beside its limit, or one thing that must hold.

    Attributes:
        kind: what was checked. `policy`: what was asked for is not in the run; `run`: the run as a whole.
        outcome: `pass`: the whole interval keeps to the limit; `fail`: none of it does, or nothing could be checked;
            `undecided`: it reaches beyond the limit.
        sentence: what was found, beside the limit, in words.
        about: label of the condition or estimate, or what else it is about.
        condition: its key; empty where there is none.
        metric, group: as in `Score`.
        limit: of the policy; NaN where there is none.
        upper: whether the limit is the largest allowed value.
        value, low, high: what the limit is held against, with its 95 % interval, in `unit`. NaN where undefined.
        n: samples it rests on.
        unit: of value, interval and limit.
        reason: why it could not be checked; empty where it could.
    """

    kind: Kind
    outcome: Outcome
    sentence: str
    about: str = ""
    condition: str = ""
    metric: str = ""
    group: str = ""
    limit: float = math.nan
    upper: bool = True
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    unit: str = ""
    reason: str = ""

    @property
    def id(self) -> str:
        """16 hex digits: the same in every run for the same question."""
        return digest(self.kind, self.condition or self.about, self.metric, self.group, self.upper)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, NaN as None."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


@dataclass(frozen=True)
class Judged:
    """A requirement and what came out.

    Attributes:
        name: of the requirement.
        line: of the policy's file.
        checks: what was looked at; never empty.
        allows_undecided: whether the gate lets it through where it is undecided.
        left_out: groups that were too small, in words.
    """

    name: str
    line: int
    checks: tuple[Check, ...]
    allows_undecided: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst of its checks."""
        return max((check.outcome for check in self.checks), key=GRAVITY.index)

    @property
    def ok(self) -> bool:
        """Whether the gate lets it through."""
        return self.outcome == "pass" or (self.outcome == "undecided" and self.allows_undecided)

    def stops(self, check: Check) -> bool:
        """Whether one of its checks keeps the gate shut."""
        return check.outcome == "fail" or (check.outcome == "undecided" and not self.allows_undecided)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "line": self.line,
            "outcome": self.outcome,
            "ok": self.ok,
            "left_out": list(self.left_out),
            "checks": [check.to_json() for check in self.checks],
        }


@dataclass(frozen=True)
class Verdict:
    """Whether a run meets a policy.

    Attributes:
        policy: its name.
        file: that it was read from, or empty.
        run: what was judged, in plain values: folder, title, model, fingerprints, samples, when it was made.
        against: the same of the previous run; empty without one.
        judged: every requirement, in the order of the policy; then findings and controls.
    """

    policy: str
    file: str
    run: Mapping[str, Any]
    judged: tuple[Judged, ...]
    against: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the gate is open."""
        return all(requirement.ok for requirement in self.judged)

    @property
    def outcome(self) -> Outcome:
        """The worst of its requirements; an undecided one that the policy allows leaves it undecided."""
        return max((requirement.outcome for requirement in self.judged), key=GRAVITY.index)

    def counts(self) -> dict[Outcome, int]:
        """Requirements by outcome."""
        found = [requirement.outcome for requirement in self.judged]
        return {outcome: found.count(outcome) for outcome in GRAVITY}

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "outcome": self.outcome,
            "policy": self.policy,
            "file": self.file,
            "run": dict(self.run),
            "against": dict(self.against) or None,
            "counts": self.counts(),
            "requirements": [requirement.to_json() for requirement in self.judged],
        }
