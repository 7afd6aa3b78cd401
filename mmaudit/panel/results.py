"""From stored answers to the numbers of a panel: every reference method beside the audited model, paired.

One set of resamples of the samples (of clusters, where they are named) serves the audited model, every method and every
seed. A method's value is the mean over its seeds; `intervals.py` says how the draw of the seeds enters its interval.
The audited model is the one that was given: how another training of it would have come out is not covered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmaudit.decomposition.samples import CLASSES_ONLY, right_of
from mmaudit.decomposition.whole import TAGS_FILE
from mmaudit.kernels.bootstrap import ratio
from mmaudit.metrics import Metric, Resamples, metrics
from mmaudit.metrics.primary import PRIMARY
from mmaudit.outputs import ConditionOutputs, column, read_parquet
from mmaudit.panel.answers import Paired, Reader
from mmaudit.panel.groups import groups_of
from mmaudit.panel.intervals import draw_of
from mmaudit.panel.line import panel_line, residuals
from mmaudit.panel.numbers import adjusted, filled
from mmaudit.panel.panel import Panel
from mmaudit.panel.read import Trained, audited_name
from mmaudit.panel.values import (
    AUDITED,
    CLEAN,
    ECE,
    EFFECTIVE,
    EVERYTHING,
    RELATIVE,
    RETAINED,
    RIGHT,
    SYNERGY,
    VALUE,
    Line,
    Row,
)
from mmaudit.store import Run
from mmaudit.types import CLEAN as CLEAN_CONDITION
from mmaudit.types import BoolArray, FloatArray

SMALLEST = 30
NO_SUBSET = "the run has no synergy analysis, so it is not known which samples need several modalities"
NO_FLOOR = "this metric has no chance level"


def compare(run: Run, found: Sequence[Trained], *, resamples: int = 1000, seed: int = 0) -> Panel:
    """Work out the panel of these references from stored answers.

    Args:
        run: of the audited model.
        found: the references, by name; see `mmaudit.panel.read.trained`.
        resamples: bootstrap replicates.
        seed: of the bootstrap.

    Raises:
        BadInput: the audited model answered no sample on clean data.
        DamagedRun: stored answers cannot be read.
    """
    samples = run.samples
    w = Resamples.draw(len(samples), resamples, seed, samples.cluster)
    table = _Table(run, Reader(run, {t.method.name: t.runs for t in found if t.runs}, w))
    rows = adjusted(table.rows())
    return Panel(
        audited=audited_name(run),
        metric=table.metric.name,
        unit=table.metric.unit_of(run.task),
        better=table.metric.better,
        floor=table.primary[AUDITED, CLEAN_CONDITION.key].floor,
        n=run.n,
        conditions=tuple(c.key for c in run.conditions),
        methods=tuple(t.method for t in found),
        groups=table.groups,
        lines=table.lines,
        rows=tuple(rows),
        resamples=resamples,
        seed=seed,
    )


class _Table:
    """The rows of one panel."""

    def __init__(self, run: Run, reader: Reader) -> None:
        self.run = run
        self.reader = reader
        self.metric = metrics.get(PRIMARY[run.task.kind])
        self.unit = self.metric.unit_of(run.task)
        self.methods = list(reader.members)
        self.conditions = [c for c in run.conditions if c.family not in ("clean", "control")]
        self.primary = reader.all_of(self.metric, [CLEAN_CONDITION, *self.conditions])
        sign = 1.0 if self.metric.better == "higher" else -1.0
        goodness = {c.key: sign * float(self.primary[AUDITED, c.key].audited[0]) for c in self.conditions}
        removable = [m.name for m in run.modalities if m.name != run.task.target_modality]
        self.groups = groups_of(self.conditions, removable, goodness)
        self.lines: tuple[Line, ...] = ()

    def rows(self) -> list[Row]:
        """All rows, p values not yet adjusted."""
        found: list[Row] = []
        for name in (AUDITED, *self.methods):
            clean = self.primary[name, CLEAN_CONDITION.key]
            found.append(self._value(name, CLEAN, clean))
            for c in self.conditions:
                found += self._kept(name, c.key, [self.primary[name, c.key]], clean)
            for place, parts in self._places(name):
                found += self._kept(name, place, parts, clean)
                found.append(self._relative(name, place, parts, clean))
        found += self._effective()
        found += self._calibration()
        found += self._synergy()
        return found

    def _places(self, name: str) -> list[tuple[str, list[Paired]]]:
        """Per group its conditions; then everything that counts, each group once."""
        groups = [(g, [self.primary[name, key] for key in g.conditions]) for g in self.groups]
        counting = [_mean_of(parts) for g, parts in groups if g.counts]
        return [(g.key, parts) for g, parts in groups] + ([(EVERYTHING, counting)] if counting else [])

    # ---- values and what is kept of them

    def _value(self, name: str, place: str, p: Paired) -> Row:
        about = Row(name, VALUE, place, unit=self.unit, better=self.metric.better)
        return filled(about, p.mean, p.audited, [draw_of(p.seeds)], p, self.metric.range)

    def _kept(self, name: str, place: str, parts: Sequence[Paired], clean: Paired) -> list[Row]:
        """The value at a place, and the share of the above-chance clean value that is left."""
        here = _mean_of(parts)
        p = self._paired(here, clean)
        value = self._value(name, place, here)
        about = Row(name, RETAINED, place, unit="share", better="higher")
        if reason := p.reason or self._nothing_to_keep(clean):
            return [value, replace(about, n=p.n, seeds=self._seeds(name), reason=reason)]
        sign = 1.0 if self.metric.better == "higher" else -1.0

        def share(values: FloatArray, start: FloatArray) -> FloatArray:
            room = start - clean.chance
            return ratio(values - clean.chance, np.where(sign * room > 1e-12, room, 0.0))

        left = share(p.mean, clean.mean)
        # To first order: what each seed does to the quotient of the means.
        seeds = ((p.seeds - clean.floor) - left[0] * (clean.seeds - clean.floor)) / (clean.mean[0] - clean.floor)
        audited = share(p.audited, clean.audited)
        return [value, filled(about, left, audited, [draw_of(seeds)], p, size=self._size(clean, clean.floor))]

    def _nothing_to_keep(self, clean: Paired) -> str:
        if np.isnan(clean.floor):
            return NO_FLOOR
        room = float(clean.mean[0]) - clean.floor
        better = room > 0 if self.metric.better == "higher" else room < 0
        return "" if better else "its clean value is not better than chance, so there is nothing to keep"

    def _paired(self, p: Paired, clean: Paired) -> Paired:
        """The same; undefined where some samples have no answer: leaving them out would flatter a model."""
        if p.reason or p.n == clean.n:
            return p
        return replace(p, reason=f"{clean.n - p.n} samples have no answer here from some model, unlike on clean data")

    def _relative(self, name: str, place: str, parts: Sequence[Paired], clean: Paired) -> Row:
        """Mean over conditions of the share of the clean value kept: errors the other way round (rPC)."""
        about = Row(name, RELATIVE, place, unit="share", better="higher")
        p = self._paired(_mean_of(parts), clean)
        if p.reason:
            return replace(about, n=p.n, seeds=self._seeds(name), reason=p.reason)
        up = self.metric.better == "higher"
        kept: list[FloatArray] = []
        audited: list[FloatArray] = []
        seeds = np.zeros_like(clean.seeds)
        for part in parts:
            top, bottom = (part, clean) if up else (clean, part)
            kept.append(_quotient(top.mean, bottom.mean))
            audited.append(_quotient(top.audited, bottom.audited))
            seeds = seeds + ratio(top.seeds - kept[-1][0] * bottom.seeds, np.asarray(bottom.mean[0])) / len(parts)
        size = self._size(clean)
        return filled(about, np.mean(kept, axis=0), np.mean(audited, axis=0), [draw_of(seeds)], p, size=size)

    def _size(self, clean: Paired, floor: float = 0.0) -> float:
        """What the metric's whole range is, as a share of the clean value above the floor."""
        return (self.metric.range[1] - self.metric.range[0]) / max(abs(float(clean.mean[0]) - floor), 1e-12)

    def _seeds(self, name: str) -> int:
        return len(self.reader.members[name]) if name else 0

    # ---- the panel's line

    def _effective(self) -> list[Row]:
        """Residuals to the line of the other models, per group and over everything."""
        names = [AUDITED, *self.methods]
        found: list[Row] = []
        clean = [self.primary[name, CLEAN_CONDITION.key] for name in names]
        parts = [self._places(name) for name in names]
        for number, (place, _) in enumerate(parts[0]):
            under = [self._paired(_mean_of(p[number][1]), c) for p, c in zip(parts, clean, strict=True)]
            usable = [i for i, (c, u) in enumerate(zip(clean, under, strict=True)) if not (c.reason or u.reason)]
            x, y = (np.stack([p[i].mean for i in usable]) if usable else np.zeros((0, 1)) for p in (clean, under))
            line = panel_line(x[:, 0], y[:, 0], self.run.n, self.unit)
            if line is not None:
                self.lines = (*self.lines, Line(place, *line))
            above = dict(zip(usable, residuals(x, y, self.run.n, self.unit), strict=True))
            for i, name in enumerate(names):
                about = Row(name, EFFECTIVE, place, unit=self.unit, better=self.metric.better)
                if i not in above:
                    why = under[i].reason or clean[i].reason
                    found.append(replace(about, n=under[i].n, seeds=self._seeds(name), reason=why))
                    continue
                r = above[i]
                # The line hangs on the seeds of all other models, too.
                draws = [
                    draw_of(r.by_clean[place_of] * clean[k].seeds + r.by_value[place_of] * under[k].seeds)
                    for place_of, k in enumerate(usable)
                    if names[k]
                ]
                found.append(filled(about, r.values, None, draws, replace(under[i], reason=r.reason)))
        return found

    # ---- calibration, and the samples that need several modalities

    def _calibration(self) -> list[Row]:
        """ECE on clean data and for every set of present modalities."""
        ece: Metric = metrics.get("ece")
        missing = [c for c in self.conditions if c.probe == "missing" and not c.repeat]
        places = [(CLEAN, CLEAN_CONDITION), *((c.key, c) for c in missing)]
        if self.run.task.kind not in ece.tasks:
            why = f"{self.run.task.kind} states no probabilities to be calibrated"
            return [
                Row(name, ECE, CLEAN, unit="share", better="lower", reason=why) for name in (AUDITED, *self.methods)
            ]
        found = self.reader.all_of(ece, [c for _, c in places])
        rows = []
        for name in (AUDITED, *self.methods):
            for place, c in places:
                p = found[name, c.key]
                about = Row(name, ECE, place, unit="share", better="lower")
                rows.append(filled(about, p.mean, p.audited, [draw_of(p.seeds)], p, ece.range))
        return rows

    def _synergy(self) -> list[Row]:
        """Share of right answers on the samples that no modality alone can answer, and on all others of those known."""
        about = Row("", RIGHT, SYNERGY, unit="share", better="higher")
        member = self._subset()
        few = f"fewer than {SMALLEST} samples" if not isinstance(member, str) and member.sum() < SMALLEST else ""
        if isinstance(member, str) or few:
            why = member if isinstance(member, str) else few
            names = (AUDITED, *self.methods)
            return [replace(about, method=name, seeds=self._seeds(name), reason=why) for name in names]
        target = self.run.samples.target

        def right(answers: ConditionOutputs) -> FloatArray:
            found = right_of(self.run.task, answers.outputs, target)
            return np.full(len(target), np.nan) if found is None else found

        means = self.reader.mean_of(right, CLEAN_CONDITION, member)
        rows = []
        for name, p in means.items():
            rows.append(filled(replace(about, method=name), p.mean, p.audited, [draw_of(p.seeds)], p, (0.0, 1.0)))
        return rows

    def _subset(self) -> BoolArray | str:
        """The synergy subset that the run's synergy analysis left, or why there is none."""
        file = self.run.folder / TAGS_FILE
        if not file.exists():
            return NO_SUBSET
        table = read_parquet(file)
        if table.column("majority").null_count:
            return CLASSES_ONLY
        member = np.zeros(self.run.n, np.bool_)
        member[column(table, "position")] = column(table, "majority").astype(bool)
        return member


def _mean_of(parts: Sequence[Paired]) -> Paired:
    """Mean over conditions; undefined where one of them is, or where they are not of the same samples."""
    reason = next((p.reason for p in parts if p.reason), "")
    if not reason and len({p.n for p in parts}) > 1:
        reason = "some samples have no answer under one of the conditions from some model"
    seeds, audited = (np.mean([getattr(p, name) for p in parts], axis=0) for name in ("seeds", "audited"))
    return Paired(seeds, audited, parts[0].w, parts[0].chance, reason, parts[0].rarest)


def _quotient(top: FloatArray, bottom: FloatArray) -> FloatArray:
    return ratio(top, np.where(bottom > 0, bottom, 0.0))
