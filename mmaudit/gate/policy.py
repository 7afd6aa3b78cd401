"""What a policy asks of a run: values only. `mmaudit.gate.reading` makes one of a TOML file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mmaudit.types import Level

Undecided = Literal["fail", "allow"]
Choice = Literal["fail", "ignore"]
Measure = Literal["min", "max", "max_drop", "max_lost", "max_regression", "max_drop_growth"]
Allowed = Literal["none", "info", "minor", "major"]

MEASURES: tuple[Measure, ...] = get_args(Measure)
AGAINST: tuple[Measure, ...] = ("max_regression", "max_drop_growth")
"""Bounds that need a previous run."""


@dataclass(frozen=True)
class Bound:
    """A limit that an interval must keep to; the limit itself is allowed.

    Attributes:
        measure: what is limited. `min`, `max`: the value. `max_drop`: how much worse it is than on clean data, in the
            metric's unit. `max_lost`: share lost of what clean data has above chance. `max_regression`: how much worse
            it is than in the previous run. `max_drop_growth`: how much larger the drop is than in the previous run.
        limit: in the metric's unit (a share: 0.05 is five percentage points); `max_lost` is a share.
    """

    measure: Measure
    limit: float

    @property
    def upper(self) -> bool:
        """Whether the limit is the largest allowed value."""
        return self.measure != "min"


@dataclass(frozen=True)
class Requirement:
    """One `[[require]]` of a policy: what is looked at, and its limits. All that match must keep to all limits.

    Attributes:
        name: of the requirement, unique in the policy.
        bounds: the limits, at least one.
        line: of the policy's file, from 1.
        undecided: what an interval that reaches beyond the limit means; None for the policy's choice.
        metrics: registered names; `primary` is the run's primary metric. Empty for an estimate.
        conditions: labels, or patterns with `*` and `?`, of conditions, estimates or robustness summaries.
        families, probes: of conditions; probes may be patterns.
        positions: places 1-5 in the probes' severity tables; every one must be measured.
        severity_from, severity_to: severities in the probe's unit, ends included.
        modalities: exactly these are perturbed (an estimate: it is about exactly these); None for any.
        options: name and value pairs that conditions must have, e.g. `("baseline", "zero")`.
        groups: `column=value`, or a column for each of its values; empty for all samples.
        smallest_group: groups of fewer samples are left out, and named.
        estimate: registered name of an estimator, such as `shapley_value`; empty for metrics of conditions.
    """

    name: str
    bounds: tuple[Bound, ...]
    line: int = 1
    undecided: Undecided | None = None
    metrics: tuple[str, ...] = ("primary",)
    conditions: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    severity_from: float | None = None
    severity_to: float | None = None
    modalities: tuple[str, ...] | None = None
    options: tuple[tuple[str, str], ...] = ()
    groups: tuple[str, ...] = ()
    smallest_group: int = 0
    estimate: str = ""

    @property
    def needs_previous(self) -> bool:
        """Whether it compares with a previous run."""
        return any(bound.measure in AGAINST for bound in self.bounds)


@dataclass(frozen=True)
class FindingsAllowed:
    """The `[findings]` of a policy.

    Attributes:
        worst: gravest level that findings may have; `none`: there must be no finding.
        accept: names of rules, or ids of findings, that are accepted at any level.
        line: of the policy's file, from 1.
    """

    worst: Allowed
    accept: tuple[str, ...] = ()
    line: int = 1

    def accepts(self, rule: str, identity: str, level: Level) -> bool:
        """Whether a finding is allowed."""
        order = ("none", "info", "minor", "major", "critical")
        return rule in self.accept or identity in self.accept or order.index(level) <= order.index(self.worst)


@dataclass(frozen=True)
class Policy:
    """What is asked of a run.

    Attributes:
        name: heads what the gate says.
        requirements: in the order of the file.
        findings: limit on findings; None for no limit.
        undecided: what a requirement comes out as whose interval reaches beyond its limit.
        controls: whether a failed control of the run fails the gate.
        errors: whether a condition under which the model raised an error fails what is asked of it.
        file: where it was read from; empty where it was not.
    """

    name: str
    requirements: tuple[Requirement, ...]
    findings: FindingsAllowed | None = None
    undecided: Undecided = "fail"
    controls: Choice = "fail"
    errors: Choice = "fail"
    file: str = ""

    @property
    def needs_previous(self) -> bool:
        """Whether some requirement compares with a previous run."""
        return any(r.needs_previous for r in self.requirements)

    def allows_undecided(self, requirement: Requirement) -> bool:
        """Whether the gate lets a requirement through that could not be decided."""
        return (requirement.undecided or self.undecided) == "allow"
