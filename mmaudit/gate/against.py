"""Requirements on a previous run: how much worse this one is, sample by sample where both have the same samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mmaudit.compared.result import CHANGE, VALUE, Compared
from mmaudit.errors import BadInput
from mmaudit.gate.conditions import worsening
from mmaudit.gate.decide import rounding
from mmaudit.gate.holding import Number, held, missing, unusable
from mmaudit.gate.policy import AGAINST, Bound, Policy, Requirement
from mmaudit.gate.result import Check
from mmaudit.gate.selection import Planned, select
from mmaudit.gate.subject import Previous, Subject
from mmaudit.gate.wording import where
from mmaudit.place import place
from mmaudit.report import Report
from mmaudit.store import Run


def compared(run: str | Path, previous: str | Path, policy: Policy, report: Report) -> Previous:
    """Compare a run with the previous one, in what the policy asks for.

    Raises:
        BadInput: one of them is no run folder; see `mmaudit.compare` for more.
    """
    from mmaudit.compared.compare import compare
    from mmaudit.metrics import metrics as registered

    if not place(run).is_dir():
        raise BadInput(f"{run} is no run folder; a comparison needs the stored answers, so give the folder.")
    asked = [r for r in policy.requirements if r.needs_previous]
    names = {report.primary.name if m == "primary" else m for r in asked for m in r.metrics}
    before = Run.open(previous)
    # What is no metric of conditions is reported where the requirement is judged.
    known = [m.name for m in registered if m.name in names and report.document["task"]["kind"] in m.tasks]
    comparison = compare(previous, run, metrics=known, groups=any(r.groups for r in asked))
    return Previous(comparison, tuple(Planned(c.key, c) for c in before.conditions))


def of_differences(requirement: Requirement, subject: Subject, metric: str, groups: Sequence[str]) -> Iterator[Check]:
    """Hold the differences from the previous run against the limits.

    A condition that only the previous run has fails. One that only this run has is undecided: there is nothing to
    compare it with yet.
    """
    if subject.previous is None:
        yield missing("there is no previous run to compare with; give one by --against")
        return
    here = {p.key for p in subject.planned}
    everything = (*subject.planned, *(p for p in subject.previous.conditions if p.key not in here))
    # What neither run has is reported where the requirement is held against this run's conditions.
    for planned in select(requirement, everything).conditions:
        for group in groups:
            for bound in requirement.bounds:
                if bound.measure in AGAINST:
                    yield _check(bound, subject, subject.previous, planned, metric, group)


def _check(bound: Bound, subject: Subject, previous: Previous, planned: Planned, metric: str, group: str) -> Check:
    label, place = planned.condition.label, where(planned.condition.label, group)
    growth = bound.measure == "max_drop_growth"
    row = previous.comparison.row(planned.key, metric, 0, CHANGE if growth else VALUE, group)
    values = previous.comparison.row(planned.key, metric, 0, VALUE, group)
    number = _number(row, values, label, planned.key, metric, group)
    if all(p.key != planned.key for p in subject.planned):
        return unusable(bound, number, place, "the previous run has this condition, this run has not")
    if reason := subject.unsound(planned.key):
        return unusable(bound, number, place, reason)
    if planned.key not in previous.keys:
        new = unusable(bound, number, place, "only this run has this condition, so there is nothing to compare it with")
        return replace(new, outcome="undecided")
    return held(bound, number, place) if row else unusable(bound, number, place, _absent(growth, planned, group))


def _number(row: Compared | None, values: Compared | None, label: str, key: str, metric: str, group: str) -> Number:
    """A difference in the direction of badness; `values` is the row of the metric itself, of which it is made."""
    if row is None:
        return Number(label, key, metric, group, 0, "")
    reason = row.reason or ("no direction of it is good, so it cannot be worse" if row.better == "neither" else "")
    worse = worsening(row.better, row.delta, row.delta_low, row.delta_high)
    grain = rounding(*(x for r in (row, values) if r for x in (r.value_first, r.value_other)))
    return Number(label, key, metric, group, row.n_other, row.unit, row.better, *worse, reason, grain)


def _absent(growth: bool, planned: Planned, group: str) -> str:
    """Why a comparison has no row of a condition that both runs have."""
    if growth and planned.condition.family == "clean":
        return "drops are measured against clean data, which has none; give max_regression"
    if planned.condition.family == "control":
        return "controls are not compared"
    return "groups are compared by the primary metric alone" if group else "it was not compared"
