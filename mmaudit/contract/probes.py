"""What every probe keeps to, clause by clause: mmaudit's own in its tests, yours by `mmaudit check-plugin`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from mmaudit.contract.specimens import scope_of, source_of, specimens
from mmaudit.data import subset
from mmaudit.data.dataset import Dataset
from mmaudit.probes import Probe, Scope, Source
from mmaudit.probes.canonical import legal_range
from mmaudit.probes.proof import moved
from mmaudit.types import Array, Batch, Condition, IntArray


class Bench:
    """A data set on which probes are tried, and one probe on it.

    Args:
        probe: what is tried.
        data: on what; the specimens without it.
        source: the data set's, to be shared between benches; made without it.
        scope: likewise.
    """

    def __init__(
        self, probe: Probe, data: Dataset | None = None, source: Source | None = None, scope: Scope | None = None
    ) -> None:
        self.probe = probe
        self.data = data if data is not None else specimens()
        self.source = source or source_of(self.data)
        self.scope = scope or scope_of(self.data)

    @cached_property
    def conditions(self) -> list[Condition]:
        """Everything that the probe's grid gives."""
        return [c for c in self.probe.grid(self.scope) if isinstance(c, Condition)]

    @cached_property
    def sparse(self) -> list[Condition]:
        """One condition for each set of modalities and options: the most severe."""
        return list({(c.modalities, c.options): c for c in self.conditions}.values())

    @cached_property
    def curves(self) -> list[list[Condition]]:
        """The conditions that differ in severity alone, by position in the probe's table."""
        found: dict[str, list[Condition]] = {}
        for condition in self.conditions:
            if condition.position is not None:
                found.setdefault(condition.stream, []).append(condition)
        return [sorted(curve, key=lambda c: c.position or 0) for curve in found.values()]

    @property
    def whole(self) -> Batch:
        """The whole data set, the same arrays every time."""
        return self._whole

    @cached_property
    def _whole(self) -> Batch:
        return self.data.rows(np.arange(len(self.data)))

    def apply(self, condition: Condition) -> Batch:
        """The whole data set under a condition."""
        return self.probe.apply(self.whole, condition, self.source)

    def apply_rows(self, rows: IntArray, condition: Condition) -> Batch:
        """Some rows under a condition, by a source that remembers nothing."""
        fresh = Source(self.data, self.source.statistics, self.source.gradient)
        return self.probe.apply(self.data.rows(rows), condition, fresh)

    def distance(self, condition: Condition) -> float:
        """Mean over modalities and samples of how far the condition moves them; a withheld value counts as 1."""
        new, far = self.apply(condition), []
        for m in condition.modalities:
            present = self.whole.present[m]
            if not present.any():
                continue
            _, distance = moved(self.whole.inputs[m], new.inputs[m], self.source.modality(m), self.source.statistics[m])
            withheld = present & ~new.present[m]
            far.append(float(np.where(withheld, 1.0, distance)[present].mean()))
        return float(np.mean(far)) if far else 0.0


Clause = Callable[[Bench], Iterator[str]]


def speaks_for_itself(bench: Bench) -> Iterator[str]:
    """Summary, version, unit and conditions are complete, distinct and survive JSON."""
    probe, conditions = bench.probe, bench.conditions
    if not probe.summary:
        yield "has no summary; the first line of its docstring is what lists and reports show"
    if probe.version < 1:
        yield f"has version {probe.version}; versions begin at 1"
    if probe.severities and not probe.unit:
        yield "has severities without a unit"
    if not conditions:
        yield "gives no condition for any modality of the specimens"
    if len({c.key for c in conditions}) < len(conditions) or len({c.label for c in conditions}) < len(conditions):
        yield "gives two conditions of the same key or label; options or repeats must tell them apart"
    for c in conditions:
        if Condition.from_json(c.to_json()) != c:
            yield f"{c.label} does not survive JSON; options must be pairs of text"
        if (c.family, c.unit) != (probe.family, probe.unit):
            yield f"{c.label} states family {c.family!r} and unit {c.unit!r}, not the probe's own"


def severity_zero_is_identity(bench: Bench) -> Iterator[str]:
    """At severity 0 the batch itself comes back."""
    for c in bench.sparse:
        if c.severity is None:
            continue
        if bench.probe.apply(bench.whole, dataclasses.replace(c, severity=0.0, position=None), bench.source) is not (
            bench.whole
        ):
            yield f"{c.label}: severity 0 does not return the batch itself"


def keeps_form(bench: Bench) -> Iterator[str]:
    """Only what is declared changes; form and legal range stay, values are finite, the input is not written to."""
    before = fresh(bench.whole)
    for c in bench.conditions:
        new = bench.apply(c)
        if (
            new.ids is not bench.whole.ids
            or new.target is not bench.whole.target
            or list(new.inputs) != list(before.inputs)
        ):
            yield f"{c.label}: changed ids, target or the order of modalities"
        for modality in bench.data.modalities:
            m = modality.name
            if not same(bench.whole.inputs[m], before.inputs[m]):
                yield f"{c.label}: wrote to the array of {m!r} it was given"
                return
            if m not in c.modalities:
                if new.inputs[m] is not bench.whole.inputs[m] or new.present[m] is not bench.whole.present[m]:
                    yield f"{c.label}: changed {m!r}, which it does not declare"
                continue
            yield from (f"{c.label}: {m!r} {fault}" for fault in _faults(bench, new, m))


def _faults(bench: Bench, new: Batch, m: str) -> Iterator[str]:
    old, array, present = bench.whole.inputs[m], new.inputs[m], new.present[m]
    if present.dtype != np.bool_ or present.shape != (len(bench.whole),):
        yield "has presence marks of another form"
    if array.dtype != old.dtype or array.shape != old.shape:
        yield f"comes back as {array.dtype}{array.shape}, was {old.dtype}{old.shape}"
        return
    modality = bench.source.modality(m)
    for before, after in zip(old, array, strict=True):
        if modality.kind == "text":
            if not isinstance(after, str):
                yield f"holds {type(after).__name__}, not str"
                return
            continue
        if after.dtype != before.dtype or after.ndim != before.ndim:
            yield f"holds a sample of {after.dtype}{after.shape}, was {before.dtype}{before.shape}"
            return
        if bench.probe.family in ("corruption", "contrast_set", "adversarial") and after.shape != before.shape:
            yield f"holds a sample of shape {after.shape}, was {before.shape}"
            return
        limits = legal_range(modality, after.dtype)
        if not np.isfinite(after).all():
            yield "holds a value that is not finite"
            return
        if limits is not None and after.size and (after.min() < limits[0] or after.max() > limits[1]):
            yield f"leaves its legal range {limits}"
            return


def leaves_absent_rows(bench: Bench) -> Iterator[str]:
    """Rows in which the modality was not recorded stay as they are."""
    if bench.probe.name == "destroy":  # the control that exchanges presence together with the values
        return
    for c in bench.sparse:
        new = bench.apply(c)
        for m in c.modalities:
            absent = ~bench.whole.present[m]
            if not same(new.inputs[m][absent], bench.whole.inputs[m][absent]) or new.present[m][absent].any():
                yield f"{c.label}: changed rows in which {m!r} is absent"


def same_for_any_batch(bench: Bench) -> Iterator[str]:
    """A sample is perturbed the same way whatever the batch size, the order, the source and its history."""
    n = len(bench.data)
    order = np.random.default_rng(1).permutation(n)
    for c in bench.sparse:
        whole = bench.apply(c)
        parts = {
            "in another order": (order, order),
            "in two batches": (np.arange(n // 2), np.arange(n // 2)),
            "alone": (np.array([n // 4]), np.array([n // 4])),
        }
        for how, (rows, places) in parts.items():
            part = bench.apply_rows(rows, c)
            for m in c.modalities:
                if not same(part.inputs[m], whole.inputs[m][places]):
                    yield f"{c.label}: {m!r} of the same samples differs {how}"
                if not np.array_equal(part.present[m], whole.present[m][places]):
                    yield f"{c.label}: presence of {m!r} of the same samples differs {how}"


def same_for_any_data_order(bench: Bench) -> Iterator[str]:
    """Draws and donors go by sample id, so a data set stored in another order gives the same samples."""
    if bench.probe.by_order:
        return
    order = np.random.default_rng(2).permutation(len(bench.data))
    turned = subset(bench.data, order)
    # The same statistics: summing in another order changes their last bits.
    source = Source(turned, bench.source.statistics, bench.source.gradient)
    batch = turned.rows(np.arange(len(turned)))
    for c in bench.sparse:
        here, there = bench.apply(c), bench.probe.apply(batch, c, source)
        for m in c.modalities:
            if not same(there.inputs[m], here.inputs[m][order]) or not np.array_equal(
                there.present[m], here.present[m][order]
            ):
                yield f"{c.label}: {m!r} depends on the order in which the data set is stored"


def same_for_any_order_of_modalities(bench: Bench) -> Iterator[str]:
    """Conditions and what they give do not hang on the order in which a data set lists its modalities."""
    turned = _Turned(bench.data)
    scope = dataclasses.replace(bench.scope, modalities=bench.scope.modalities[::-1])
    there = {c.key for c in bench.probe.grid(scope) if isinstance(c, Condition)}
    for c in bench.conditions:
        if c.key not in there:
            yield f"{c.label}: is another condition where modalities are listed in another order; see `Scope.together`"
            return
    source = Source(turned, bench.source.statistics, bench.source.gradient)
    batch = turned.rows(np.arange(len(bench.data)))
    for c in bench.sparse:
        if len(c.modalities) == 1:
            continue
        here, new = bench.apply(c), bench.probe.apply(batch, c, source)
        for m in c.modalities:
            if not same(new.inputs[m], here.inputs[m]) or not np.array_equal(new.present[m], here.present[m]):
                yield f"{c.label}: {m!r} depends on the order in which the data set lists its modalities"


class _Turned:
    """A data set that lists its modalities the other way round."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.modalities = data.modalities[::-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def __len__(self) -> int:
        return len(self._data)

    def rows(self, positions: IntArray) -> Batch:
        """The same rows, their modalities the other way round."""
        batch = self._data.rows(positions)
        names = [m.name for m in self.modalities]
        turned = {m: batch.inputs[m] for m in names}, {m: batch.present[m] for m in names}
        return Batch(*turned, batch.target, batch.ids, batch.positions)


def more_severity_moves_further(bench: Bench) -> Iterator[str]:
    """Every severity changes something, and moves samples further on average than the one before it."""
    for curve in bench.curves:
        far = [bench.distance(c) for c in curve]
        where = "+".join(curve[0].modalities)
        if min(far) <= 0:
            yield f"{where}: severity {curve[int(np.argmin(far))].position} changes no sample"
        elif not bench.probe.not_monotone and not all(a < b for a, b in pairwise(far)):
            shown = ", ".join(f"{x:.4g}" for x in far)
            yield f"{where}: mean distance moved does not grow with severity ({shown})"


def severities_in_between(bench: Bench) -> Iterator[str]:
    """A severity outside the table is allowed; it has no position, and moves samples by a distance in between."""
    table = bench.probe.severities
    for curve in bench.curves:
        if len(curve) < 2 or len(table) < 2 or bench.probe.not_monotone:
            continue
        middle = dataclasses.replace(curve[0], severity=(table[0] + table[1]) / 2, position=None)
        low, between, high = (bench.distance(c) for c in (curve[0], middle, curve[1]))
        if not low <= between <= high:
            yield f"{middle.label}: moves by {between:.4g}, not between {low:.4g} and {high:.4g}"


def repeats_differ(bench: Bench) -> Iterator[str]:
    """Repetitions of a probe that draws random numbers give other samples at some severity."""
    if bench.probe.family == "adversarial":  # a search may reach the same worst point from every start
        return
    twice = dataclasses.replace(bench.scope, repeats=2)
    found: dict[tuple[object, ...], dict[float, list[Condition]]] = {}
    for c in bench.probe.grid(twice):
        if isinstance(c, Condition) and c.severity is not None:
            found.setdefault((c.modalities, c.options), {}).setdefault(c.severity, []).append(c)
    for by_severity in found.values():
        pairs = [conditions for conditions in by_severity.values() if len(conditions) > 1]
        if pairs and all(_alike(bench, *conditions[:2]) for conditions in pairs):
            yield f"{pairs[0][1].label}: the repetition is no other than the first, at any severity"


def _alike(bench: Bench, one: Condition, other: Condition) -> bool:
    first, second = bench.apply(one), bench.apply(other)
    return all(
        same(first.inputs[m], second.inputs[m]) and np.array_equal(first.present[m], second.present[m])
        for m in one.modalities
    )


CLAUSES: dict[str, Clause] = {
    "speaks for itself": speaks_for_itself,
    "severity 0 is the identity": severity_zero_is_identity,
    "keeps form and what it does not declare": keeps_form,
    "leaves absent rows": leaves_absent_rows,
    "same for any batch": same_for_any_batch,
    "same for any order of the data": same_for_any_data_order,
    "same for any order of modalities": same_for_any_order_of_modalities,
    "more severity moves further": more_severity_moves_further,
    "severities in between": severities_in_between,
    "repeats differ": repeats_differ,
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One clause of one probe: what was found to break it, empty where it holds."""

    probe: str
    clause: str
    violations: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the clause holds."""
        return not self.violations


def check_probes(chosen: Sequence[Probe]) -> Iterator[Verdict]:
    """Yield a verdict for every clause of every probe, tried on the specimens.

    A probe that raises breaks the clause that was being tried; the message is its first line.
    """
    data = specimens()
    source, scope = source_of(data), scope_of(data)
    for probe in chosen:
        bench = Bench(probe, data, source, scope)
        for name, clause in CLAUSES.items():
            found: list[str] = []
            try:
                found.extend(clause(bench))
            except Exception as error:
                found.append(f"raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            yield Verdict(probe.name, name, tuple(dict.fromkeys(found)))


def same(a: Array, b: Array) -> bool:
    """Whether two modality arrays hold the same, bit for bit, in the same dtypes."""
    if a.dtype != object:
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return len(a) == len(b) and all(
        x == y if isinstance(x, str) else x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    )


def fresh(batch: Batch) -> Batch:
    """A batch that shares no array with the given one."""
    inputs = {}
    for name, array in batch.inputs.items():
        inputs[name] = array.copy()
        if array.dtype == object:
            for row, value in enumerate(array.tolist()):
                inputs[name][row] = value if isinstance(value, str) else value.copy()
    present = {name: marks.copy() for name, marks in batch.present.items()}
    return Batch(inputs, present, batch.target.copy(), batch.ids.copy(), batch.positions.copy())
