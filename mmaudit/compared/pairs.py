"""The first run and another one, measured on the same samples under every condition that both have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from mmaudit.compared.absent import why_absent
from mmaudit.compared.matching import Matched, matched
from mmaudit.compared.numbers import filled
from mmaudit.compared.result import CHANGE, QUANTITIES, VALUE, Compared, Pairing, Side
from mmaudit.compared.view import View, answered, change
from mmaudit.comparison import Measured
from mmaudit.formats import count, shorten
from mmaudit.metrics import Metric, Resamples
from mmaudit.outputs import Float32Array
from mmaudit.store import Run
from mmaudit.summaries import Group
from mmaudit.summaries import groups as groups_of
from mmaudit.threads import workers
from mmaudit.types import CLEAN, Array, BoolArray, Condition

# What measuring a condition of two runs takes at its peak, and what all that are measured at a time may take.
BYTES_PER_ROW, BYTES_PER_OUTPUT, BYTES = 200, 120, 256 * 2**20
# Families whose groups are compared, as in the scores of a run; and how many groups, of how many samples.
GROUPED = ("clean", "missing", "mismatch")
MOST_GROUPS, SMALLEST_GROUP = 20, 30
LONGEST_LABEL = 60
APART = 0x9E3779B97F4A7C15


@dataclass(eq=False)
class Pair:
    """Another run beside the first.

    Attributes:
        index: of the other run in the comparison.
        first, other: what takes part of each.
        sides: both, described.
        match: how the samples were found.
        clean: which samples both answered on clean data (not paired: each run its own).
    """

    index: int
    first: View
    other: View
    sides: tuple[Side, Side]
    match: Matched
    clean: tuple[BoolArray, BoolArray]
    inputs_differ: dict[str, str] = field(default_factory=dict)
    _primary: dict[str, tuple[Measured, Measured]] = field(default_factory=dict)

    # ---- all rows

    def rows(
        self, metrics: Sequence[Metric], conditions: Sequence[Condition], margins: Mapping[str, float], groups: bool
    ) -> list[Compared]:
        """Compare every metric under every condition, in no particular order; those of one run only have a reason."""
        mine, its = ({c.key for c in view.run.conditions} for view in (self.first, self.other))
        both = [c for c in conditions if c.key in mine and c.key in its and not self.match.refused]
        about = [self._about(m, margins) for m in metrics]
        # The clean condition comes first: all others are measured against it.
        with ThreadPoolExecutor(self._threads()) as pool:
            first = self._condition(CLEAN, metrics, about, groups) if CLEAN in both else []
            rest = list(pool.map(lambda c: self._condition(c, metrics, about, groups), [c for c in both if c != CLEAN]))
        found = [row for part in (first, *rest) for row in part]
        self.inputs_differ = {c.key: c.label for c in both if c.key in self.inputs_differ}
        for c in conditions:
            if c in both or not (c.key in mine or c.key in its):
                continue
            why = self.match.refused or why_absent(c, (self.first.run, self.other.run), self.sides)
            found += [replace(row, reason=why) for row, _, _ in self._asked(c, metrics, about)]
        return found

    def means(
        self, metric: Metric, conditions: Sequence[Condition], margins: Mapping[str, float]
    ) -> Iterator[Compared]:
        """Compare the mean over the conditions of every family; after `rows`."""
        about = self._about(metric, margins)
        clean = self._primary.get(CLEAN.key)
        for group in families([c for c in conditions if c.key in self._primary]):
            members = [self._primary[c.key] for c in group.conditions]
            for quantity in QUANTITIES:
                row = replace(about, condition=group.name, label=group.name, quantity=quantity)
                if clean is None:
                    yield replace(row, reason="the clean condition was not compared")
                    continue
                first, other = (_mean([m[side] for m in members], clean[side], quantity == CHANGE) for side in (0, 1))
                yield filled(row, metric, first, other)

    def _about(self, metric: Metric, margins: Mapping[str, float]) -> Compared:
        unit = metric.unit_of(self.first.run.task)
        known = Compared(self.index, self.sides[1].name, "", "", metric.name, paired=self.match.paired)
        return replace(known, margin=margins[metric.name], better=metric.better, unit=unit)

    def pairing(self) -> Pairing:
        """How the two were compared; after `rows`."""
        first, other = (int(usable.sum()) for usable in self.clean)
        return Pairing(self.index, self.match.paired, first, other, self.match.reason, tuple(self._remarks()))

    def _remarks(self) -> Iterator[str]:
        a, b = self.sides
        if a.fingerprint == b.fingerprint:
            yield "both runs are of the same model, by its fingerprint: what differs is not the model"
        if set(a.modalities) != set(b.modalities):
            names = [shorten(", ".join(side.modalities), 120) for side in self.sides]
            yield f"the modalities differ: {names[0]}; and {names[1]}"
        yield from self.match.remarks
        for side, view in zip(self.sides, (self.first, self.other), strict=True):
            if partial := sum(k < view.run.n for k in view.run.counts):
                name = shorten(side.name, LONGEST_LABEL)
                yield f"a budget left {count(partial)} conditions of {name} on a part of the samples"
        if self.match.paired and (lost := self.first.n - int(self.clean[0].sum())):
            yield f"{count(lost)} samples are left out: one of the runs has no answer to them on clean data"
        if CLEAN.key in self.inputs_differ:
            yield "the models did not receive the same inputs, not even on clean data"
        elif self.inputs_differ:
            label = shorten(next(iter(self.inputs_differ.values())), LONGEST_LABEL)
            yield (
                f"under {count(len(self.inputs_differ))} conditions the models did not receive the same inputs (first: "
                f"{label}): the perturbation was drawn or filled in another way"
            )

    def _threads(self) -> int:
        rows = max(self.first.n, self.other.n)
        per_row = BYTES_PER_ROW + BYTES_PER_OUTPUT * self.first.run.task.width
        return max(1, min(workers(), BYTES // (rows * per_row)))

    def _asked(
        self, c: Condition, metrics: Sequence[Metric], about: Sequence[Compared]
    ) -> Iterator[tuple[Compared, Metric, bool]]:
        """What is compared under a condition: the empty row, its metric, and whether it is the change."""
        for metric, row in zip(metrics, about, strict=True):
            if metric.needs_clean and c.key == CLEAN.key:
                continue
            here = replace(row, condition=c.key, label=c.label)
            yield here, metric, False
            if not metric.needs_clean and c.key != CLEAN.key:
                yield replace(here, quantity=CHANGE), metric, True

    # ---- one condition

    def _condition(
        self, c: Condition, metrics: Sequence[Metric], about: Sequence[Compared], groups: bool
    ) -> list[Compared]:
        views = (self.first, self.other)
        (mine, seen), (its, got) = (view.read(c) for view in views)
        if self.match.paired and None not in (seen, got) and seen != got and self._same_modalities():
            self.inputs_differ[c.key] = c.label
        usable = [base & answered(outputs) for base, outputs in zip(self.clean, (mine, its), strict=True)]
        if self.match.paired:
            usable = [usable[0] & usable[1]] * 2
        plain = [m for m in metrics if not m.needs_clean]
        wanted = plain if c.key == CLEAN.key else metrics
        here = [
            view.measured(wanted, c, outputs, u) for view, outputs, u in zip(views, (mine, its), usable, strict=True)
        ]
        clean = [view.measured(plain, CLEAN, view.clean, u) for view, u in zip(views, usable, strict=True)]
        rows = []
        for row, metric, changed in self._asked(c, metrics, about):
            pair = [h[metric.name] for h in here]
            if changed:
                pair = [change(h, k[metric.name]) for h, k in zip(pair, clean, strict=True)]
            missed = partial(self.first.missed, metric, mine, usable[0], here[0][metric.name])
            rows.append(filled(row, metric, pair[0], pair[1], missed))
            if metric is metrics[0] and not changed:
                self._primary[c.key] = (pair[0], pair[1])
        if groups and c.family in GROUPED and c.severity is None:
            rows += self._groups(c, metrics[0], about[0], (mine, its), usable)
        return rows

    def _same_modalities(self) -> bool:
        return set(self.sides[0].modalities) == set(self.sides[1].modalities)

    # ---- groups

    def _groups(
        self,
        c: Condition,
        metric: Metric,
        about: Compared,
        outputs: tuple[Float32Array, Float32Array],
        usable: Sequence[BoolArray],
    ) -> Iterator[Compared]:
        """The metric within the largest groups of every column that both runs have."""
        mine, its = (view.run.samples.groups for view in (self.first, self.other))
        for column in (name for name in mine if name in its):
            # Of the same sample the first run's word counts.
            columns = [mine[column][self.first.rows], (mine if self.match.paired else its)[column][self.other.rows]]
            columns[1] = columns[0] if self.match.paired else columns[1]
            texts = [np.asarray(values[u]).astype(str) for values, u in zip(columns, usable, strict=True)]
            names, sizes = np.unique(texts[0], return_counts=True)
            for name in names[np.argsort(-sizes, kind="stable")[:MOST_GROUPS]]:
                rows = [np.flatnonzero(u)[text == name] for u, text in zip(usable, texts, strict=True)]
                row = replace(about, condition=c.key, label=c.label, group=f"{column}={name}", quantity=VALUE)
                yield self._group(row, metric, outputs, rows)

    def _group(
        self, row: Compared, metric: Metric, outputs: tuple[Float32Array, Float32Array], rows: Sequence[Array]
    ) -> Compared:
        sizes = [len(r) for r in rows]
        if min(sizes) < SMALLEST_GROUP:
            return replace(row, n_first=sizes[0], n_other=sizes[1], reason=f"fewer than {SMALLEST_GROUP} samples")
        views = (self.first, self.other)
        first, other = (view.part(metric, o, r) for view, o, r in zip(views, outputs, rows, strict=True))
        return filled(row, metric, first, other, partial(self.first.missed, metric, outputs[0], rows[0], first))


def families(conditions: Sequence[Condition]) -> list[Group]:
    """The families among the conditions, as the summaries of a run take them."""
    known = {c.family for c in conditions}
    return [group for group in groups_of(conditions) if not group.curve and group.name in known]


def _mean(members: Sequence[Measured], clean: Measured, changed: bool) -> Measured:
    """Mean over conditions; undefined where one is, or where samples without an answer would flatter a model."""
    reason = next((m.reason for m in members if m.reason), "")
    if not reason and any(m.n != clean.n for m in members):
        reason = "not every sample has an answer under every condition of the family"
    values = np.mean([m.values for m in members if m.n == clean.n] or [np.full_like(clean.values, np.nan)], axis=0)
    if reason:
        values = np.full_like(clean.values, np.nan)
    return Measured(values - clean.values if changed else values, clean.w, reason=reason, rarest=clean.rarest)


def paired_with(runs: Sequence[Run], sides: Sequence[Side], resamples: int, seed: int) -> list[Pair]:
    """Put every other run beside the first; what is the same of the first is measured once."""
    first = runs[0]
    known: dict[tuple[bytes, bytes], View] = {}
    pairs = []
    for i, run in enumerate(runs[1:]):
        match = matched(first, run)
        cluster = _clusters(first, run, match)
        mark = (match.first.tobytes(), b"" if cluster is None else str(cluster.tolist()).encode("utf-8", "replace"))
        mine = known.get(mark)
        if mine is None:
            mine = known[mark] = View(first, match.first, Resamples.draw(len(match.first), resamples, seed, cluster))
        # Independent of the first run's resamples: another key, so that no replicate repeats one of them.
        apart = (seed + (i + 1) * APART) % 2**63
        w = mine.w if match.paired else Resamples.draw(run.n, resamples, apart, run.samples.cluster)
        other = View(run, match.other, w)
        mine_known, its_known = answered(mine.clean), answered(other.clean)
        both = mine_known & its_known if match.paired else None
        clean = (mine_known, its_known) if both is None else (both, both)
        pairs.append(Pair(i, mine, other, (sides[0], sides[i + 1]), match, clean))
    return pairs


def _clusters(first: Run, other: Run, match: Matched) -> Array | None:
    """What is resampled whole: the first run's clusters; where it names none, those of a paired run that does."""
    if first.samples.cluster is not None:
        return np.asarray(first.samples.cluster[match.first])
    if match.paired and other.samples.cluster is not None:
        return np.asarray(other.samples.cluster[match.other])
    return None
