"""Requirements on estimates: what a modality, or several together, are worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmaudit.estimates import Estimate
from mmaudit.formats import readable, shorten
from mmaudit.gate.holding import Number, held, missing
from mmaudit.gate.policy import Requirement
from mmaudit.gate.result import Check
from mmaudit.gate.selection import named, nearest
from mmaudit.gate.subject import Subject
from mmaudit.gate.wording import LABEL


def of_estimates(requirement: Requirement, subject: Subject, groups: Sequence[str]) -> Iterator[Check]:
    """Hold every estimate that a requirement means against its limits."""
    everything, name = subject.report.estimates, requirement.estimate
    known = {e.estimator for e in everything}
    if name not in known:
        yield missing(f"the run has no estimate '{shorten(name, LABEL)}'{nearest(name, known)}")
        return
    meant = [e for e in everything if e.estimator == name and _fits(e, requirement)]
    labels = {e.label for e in meant}
    if not meant:
        variants = ", ".join(dict.fromkeys(e.label for e in everything if e.estimator == name))
        said = f"no {readable(name)} is of these modalities and options"
        yield missing(f"{said}; there are {shorten(variants, 4 * LABEL)}")
        return
    for pattern in requirement.conditions:
        if not any(named(label, pattern, labels) for label in labels):
            yield missing(f"no {readable(name)} is called '{shorten(pattern, LABEL)}'{nearest(pattern, labels)}")
    if requirement.conditions:
        meant = [e for e in meant if any(named(e.label, p, labels) for p in requirement.conditions)]
    for group in groups:
        found = [e for e in meant if e.group == group]
        if meant and not found:
            yield missing(f"{readable(name)} was not estimated for {_group(group)}")
        for estimate in found:
            yield from _checks(requirement, estimate)


def columns_of(estimator: str, subject: Subject) -> dict[str, dict[str, int]]:
    """Samples by value, for each column that an estimator's groups are of: the data set's, and classes."""
    known = {f"{column}={value}": (column, value) for column, v in subject.group_columns.items() for value in v}
    found: dict[str, dict[str, int]] = {}
    for e in subject.report.estimates:
        if e.estimator == estimator and e.group:
            start, _, rest = e.group.partition("=")
            column, value = known.get(e.group, (start, rest))
            sizes = found.setdefault(column, {})
            sizes[value] = max(e.n, sizes.get(value, 0))
    return found


def _checks(requirement: Requirement, e: Estimate) -> Iterator[Check]:
    inside = e.label.removeprefix(e.estimator)
    place = f"of {shorten(inside.strip('[]'), LABEL)}" if inside else "of the model"
    place += f", {_group(e.group)}" if e.group else ""
    number = Number(e.label, e.key, e.estimator, e.group, e.n, e.unit, e.better, e.value, e.low, e.high, e.reason)
    for bound in requirement.bounds:
        yield held(bound, number, place)


def _fits(e: Estimate, r: Requirement) -> bool:
    """Whether an estimate is about the modalities, and has the options, that are asked for."""
    if r.modalities is not None and set(e.modalities) != set(r.modalities):
        return False
    return all(e.option(name) == value for name, value in r.options)


def _group(group: str) -> str:
    return f"group {shorten(group, LABEL)}" if group else "all samples"
