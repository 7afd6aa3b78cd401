"""From a run to scores: every metric of every condition, with interval, paired difference, adjusted p and power.

One set of bootstrap resamples serves all conditions and metrics, so every difference is between the same samples.
Needs neither the model nor the data set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from mmaudit import decomposition, reliance
from mmaudit.beside import Beside, beside, opened, widened
from mmaudit.by_group import by_group
from mmaudit.comparison import Measured, adjust, measure, score_row
from mmaudit.controls import controls
from mmaudit.desync import Reference, tolerance
from mmaudit.errors import BadInput, DamagedRun
from mmaudit.estimates import Estimate
from mmaudit.estimates_file import read_estimates, write_estimates
from mmaudit.findings.base import Evidence
from mmaudit.folder import write_atomically
from mmaudit.formats import count
from mmaudit.interaction import interactions
from mmaudit.memory import give_back
from mmaudit.metrics import Metric, Predictions, Resamples, metrics
from mmaudit.metrics.arbitration import conflicts
from mmaudit.metrics.primary import PRIMARY
from mmaudit.metrics.retrieval import reciprocal_ranks
from mmaudit.outputs import ConditionOutputs, Float32Array, read_parquet, write_parquet
from mmaudit.panel.file import panel_or_reason
from mmaudit.scored_tables import APPLIED, SCORES, read_rows, score_of
from mmaudit.side_tables import TABLES, SideTables, how_applied
from mmaudit.store import Run
from mmaudit.summaries import INSTANCE_WORST_CASE, Group, Summary, groups, neighbours, summarise
from mmaudit.summary_rows import summary_row
from mmaudit.types import CLEAN, RIGHT, Array, BoolArray, Condition, FloatArray, Score, digest
from mmaudit.unseen import unseen

BOOTSTRAP_FILE = "bootstrap.json"  # how many replicates the scores rest on, and their seed
THREADS = 2
# What scoring a condition takes at its peak (benchmarks/memory.py), and what all that are scored at a time may take.
BYTES_PER_ROW = 100
BYTES_PER_OUTPUT = 60
SCORING_BYTES = 256 * 2**20
MANY = 100_000  # rows from which on what one condition frees is worth giving back before the next


def score(run: Run, *, only: Sequence[str] | None = None, resamples: int = 1000, seed: int = 0) -> list[Score]:
    """Score every condition of a finished run and write `scores.parquet`, `reliability.parquet` and the rest beside it.

    Args:
        run: the run.
        only: names of metrics; all that the task allows without it. The primary metric is always scored.
        resamples: bootstrap replicates.
        seed: of the bootstrap.

    Returns:
        All scores: per condition and metric, per group, per edge of the subset lattice, per step of a severity curve,
        and summaries over curves and families.

    Raises:
        UnknownName: a metric is not registered.
        DamagedRun: predictions are missing or unreadable.
    """
    table = ScoreTable(run, only=only, resamples=resamples, seed=seed)
    rows = adjust(table.rows())
    # Tests of reliance and synergy are a family of their own: they ask of the data, not of a condition.
    estimated = table.estimates()
    rows += adjust([estimate.score() for estimate in estimated])
    _write_table(run, "scores.parquet", [vars_of(s) for s in rows])
    for name in TABLES:
        _write_table(run, f"{name}.parquet", table.side.rows(name))
    _write_table(run, "conditions.parquet", list(table.condition_rows()))
    write_estimates(run, estimated)
    write_atomically(run.folder / BOOTSTRAP_FILE, json.dumps({"replicates": resamples, "seed": seed}).encode())
    return rows


class ScoreTable:
    """Scores of one run; conditions are read one at a time, so that memory does not grow with the plan."""

    def __init__(self, run: Run, *, only: Sequence[str] | None = None, resamples: int = 1000, seed: int = 0) -> None:
        self.run = run
        self.task = run.task
        self.conditions = run.conditions
        self.primary = PRIMARY[run.task.kind]
        names = {*(only or metrics.names()), self.primary}
        self.metrics = [m for m in (metrics.get(n) for n in sorted(names)) if run.task.kind in m.tasks]
        samples = run.samples
        self.target = samples.target
        self.w = Resamples.draw(len(samples), resamples, seed, samples.cluster)
        answers = run.read(CLEAN)
        self.clean_usable = answers.answered
        # A query none of whose candidates is right has no answer, which is no failure of the model.
        self.askable = self.target[:, RIGHT] > 0 if self.task.kind == "retrieval" else np.ones(len(samples), np.bool_)
        if not self.clean_usable.any():
            raise BadInput(f"the model answered no sample on clean data; {run.folder / 'errors'} has its traceback.")
        outputs, target = _usable(answers.outputs, self.clean_usable), _usable(self.target, self.clean_usable)
        self.clean = Predictions(self.task, outputs, target)
        self.measured: dict[tuple[str, str], Measured] = {}
        self.beside: dict[str, Measured] = {}
        self.sides: dict[str, Beside] = {}
        self.missed: dict[str, float] = {}
        self.clean_on: dict[tuple[str, str], Measured] = {}
        self.applied: dict[str, dict[str, Any]] = {}
        self.worst: dict[str, Float32Array] = {}
        self.unanswered: dict[str, str] = {}
        self.side = SideTables(self.conditions, self.task, self.metrics)
        self.lock = Lock()

    def rows(self) -> list[Score]:
        """All scores, p values not yet adjusted."""
        first = self._condition(CLEAN)
        with ThreadPoolExecutor(_threads(self.run.n, self.task.width)) as pool:
            rest = list(pool.map(self._condition, self.conditions[1:]))
        rows = [row for part in (first, *rest) for row in part]
        rows += self._edges()
        rows += self._summaries()
        rows += self._interactions()
        rows += self._tolerances()
        return rows

    def estimates(self) -> list[Estimate]:
        """Reliance and synergy, from the same answers and resamples; after `rows`."""
        if self.run.n >= MANY:
            give_back()
        metric = reliance.value_metric(self.task).name
        n = int(self.clean_usable.sum())
        values = {key: m.values for (key, name), m in self.measured.items() if name == metric and m.n == n}
        return [*reliance.estimates(self.run, self.w, measured=values), *decomposition.estimates(self.run, self.w)]

    # ---- one condition

    def _condition(self, condition: Condition) -> list[Score]:
        answers = self.run.read(condition)
        usable = answers.answered & self.clean_usable
        asked = self.clean_usable if answers.measured is None else self.clean_usable & answers.measured
        kinds = {m.name: m.kind for m in self.run.modalities}
        said = self.run.error(condition)
        self.applied[condition.key] = how_applied(condition, answers, usable, self.askable, said, kinds)
        everything = bool((usable == self.clean_usable).all())
        clean = self.clean if everything else self.clean.take(usable[self.clean_usable])
        # All answered is the usual case: then nothing is copied, and what is kept of conditions shares its resamples.
        w = self.w if usable.all() else self.w.take(usable)
        is_clean = condition.key == CLEAN.key
        outputs, target = _usable(answers.outputs, usable), _usable(self.target, usable)
        rival = self._rival(condition, answers, usable)
        predictions = clean if is_clean else Predictions(self.task, outputs, target, clean, rival)
        contradicting = conflicts(predictions, w)
        limited = answers.measured is not None
        same = digest(np.packbits(usable).tobytes().hex()) if limited else ""
        del answers
        if self.run.n >= MANY:
            give_back()
        rows = []
        for metric in self.metrics:
            if (is_clean and metric.needs_clean) or (rival is None and metric.needs_rival):
                continue
            reference = None
            if not (is_clean or metric.needs_clean or metric.needs_rival):
                whole = self.measured[CLEAN.key, metric.name]
                reference = whole if everything else self._clean_on(same, metric, clean, w)
            chance = metric.chances(self.task, target, w) if is_clean else reference.chance if reference else None
            found = measure(metric, *(contradicting if metric.needs_rival else (predictions, w)), chance=chance)
            self.measured[condition.key, metric.name] = found
            row = score_row(self.task, condition, metric, found, reference)
            side, missed = Beside(found), 0.0
            if reference and (limited or row.delta_low != row.delta_low):
                missed = unseen(metric, predictions, found, reference)
                row = opened(row, metric, missed, reference)
            if limited and reference:
                # An audit of all samples has as many as there are; a budget's few may have missed what is seldom.
                side = beside(self.measured[CLEAN.key, metric.name], found, reference, missed)
            rows.append(row)
            if metric.name == self.primary:
                self.sides[condition.key], self.beside[condition.key] = side, side.spread
                self.missed[condition.key], primary = missed, row
        rows += by_group(self.run, self.metrics, condition, predictions, clean, w, usable)
        if everything:
            self._keep_worst(condition, predictions)
        if not (usable == asked).all():
            self.unanswered[condition.key] = f"not every sample has an answer under {condition.label}"
        self.side.add(condition, predictions, w, shared=everything)
        self.side.add_outputs(condition, predictions, None if is_clean else clean, w, primary, shared=everything)
        if is_clean:  # it stays while the others are scored, which need little of it
            clean.forget()
        if self.run.n >= MANY:
            give_back()
        return rows

    def _clean_on(self, rows: str, metric: Metric, clean: Predictions, w: Resamples) -> Measured:
        """A metric of clean data on some samples; a budget leaves many conditions the same ones, which have a name."""
        if not (found := self.clean_on.get((rows, metric.name))):
            found = measure(metric, clean, w, chance=metric.chances(self.task, clean.target, w))
        if rows:
            self.clean_on[rows, metric.name] = found
        return found

    def _rival(self, condition: Condition, answers: ConditionOutputs, usable: BoolArray) -> Array | None:
        """The class of each row's donor; −1 where the row has none, or where the donor's value is the row's own."""
        if condition.family != "conflict" or answers.donor is None or self.task.kind != "classification":
            return None
        if answers.donor.max(initial=-1) >= len(self.target):
            raise DamagedRun(f"{self.run.folder} names donors it has no samples of under {condition.label}.")
        exchanged = np.any([answers.changed[m] for m in condition.modalities], axis=0)
        return np.where((answers.donor >= 0) & exchanged, self.target[answers.donor], -1)[usable]

    def _keep_worst(self, condition: Condition, predictions: Predictions) -> None:
        """Fold a condition into each sample's worst result over every group that it belongs to."""
        if self.task.kind == "regression":
            exact: Array = np.abs(predictions.outputs - predictions.target).mean(axis=1)
            worse: np.ufunc = np.maximum
        elif self.task.kind == "retrieval":
            exact, worse = reciprocal_ranks(predictions), np.minimum
        else:
            exact, worse = predictions.correct, np.minimum
        result = exact.astype(np.float32)  # one column per group is kept until the end
        for group in groups([condition]):
            with self.lock:
                known = self.worst.get(group.name)
                self.worst[group.name] = result if known is None else worse(known, result)

    # ---- between conditions

    def _edges(self) -> Iterator[Score]:
        """Neighbours: subsets that differ by one modality, and severities that follow each other."""
        metric = metrics.get(self.primary)
        clean = self.measured[CLEAN.key, self.primary]
        sign = 1.0 if metric.better == "higher" else -1.0
        room = sign * (clean.values - clean.chance)
        for before, after in neighbours(self.conditions):
            if before.key in self.unanswered or after.key in self.unanswered:
                continue
            one, other = self.sides[before.key], self.sides[after.key]
            row = score_row(self.task, after, metric, other.measured, one.measured, against=before, room=room)
            if row.reason and clean.w.units > 1:
                one, other = (replace(s, unseen=self.missed[c.key]) for s, c in ((one, before), (other, after)))
            yield widened(row, one, other, float(room[0]))

    def _interactions(self) -> Iterator[Score]:
        """What two corruptions do together beyond what each does alone."""
        clean, metric = self.beside[CLEAN.key], metrics.get(self.primary)
        return interactions(self.conditions, clean, self.beside, metric, self.task, self.unanswered)

    def _summaries(self) -> Iterator[Score]:
        """Robustness summaries of the primary metric over severity curves, missing baselines and families."""
        metric = metrics.get(self.primary)
        clean = self.measured[CLEAN.key, self.primary]
        values = {key: m.values for key, m in self.beside.items()}
        for group in groups(self.conditions):
            undefined = (c for c in group.conditions if c.key in self.unanswered or np.isnan(values[c.key][0]))
            why = next((self._undefined(c) for c in undefined), "")
            for summary, result in summarise(group, clean.values, values, clean.chance, metric.better):
                yield self._summary(group, summary, result, metric, clean, why)
            if not group.curve:
                why = next((w for c in group.conditions if (w := self._not_everywhere(c))), "")
                worst = self.worst.get(group.name, np.zeros(clean.n, np.float32))
                found = self.w.take(self.clean_usable).mean(worst)
                estimate = Resamples.ones(len(worst)).mean(worst)
                result = np.concatenate([estimate, found])
                yield self._summary(group, INSTANCE_WORST_CASE, result, metric, clean, why)

    def _undefined(self, condition: Condition) -> str:
        """Why a condition has no value: answers are missing, or the metric is not defined on those there are."""
        return self.unanswered.get(condition.key) or f"under {condition.label}: {self.beside[condition.key].reason}"

    def _not_everywhere(self, condition: Condition) -> str:
        """Why a condition says nothing of some sample that has a clean answer; empty where it does of all."""
        if why := self.unanswered.get(condition.key):
            return why
        found, clean = self.beside[condition.key].n, self.beside[CLEAN.key].n
        if found == clean:
            return ""
        return f"within the budget {condition.label} was measured on {count(found)} of {count(clean)} samples"

    def _tolerances(self) -> Iterator[Score]:
        """How far sequences may be out of step."""
        clean, better = self.beside[CLEAN.key], metrics.get(self.primary).better
        reference = Reference(clean.values, clean.chance, better, clean.n, clean.w.units)
        yield from tolerance(self.conditions, self.beside, reference, self.unanswered)

    def _summary(
        self,
        group: Group,
        summary: Summary,
        result: FloatArray,
        metric: Metric,
        clean: Measured,
        reason: str,
    ) -> Score:
        """A row; undefined where some condition is, as leaving that one out would make the model look better."""
        missed = max(self.missed[c.key] for c in group.conditions) if summary.fn else 0.0
        n = min(clean.n, *(self.beside[c.key].n for c in group.conditions))
        return summary_row(group, summary, result, metric, self.task, clean, n=n, missed=missed, reason=reason)

    def condition_rows(self) -> Iterator[dict[str, Any]]:
        """One row per condition: how many samples it changed, how far, and how often the model raised."""
        return iter([self.applied[c.key] for c in self.conditions])


def _threads(n: int, width: int) -> int:
    """How many conditions to score at a time: as many as fit the memory set aside for them, at least one."""
    return max(1, min(THREADS, SCORING_BYTES // (n * (BYTES_PER_ROW + BYTES_PER_OUTPUT * width))))


def _usable(rows: Array, usable: BoolArray) -> Array:
    """The usable rows; the array itself where all are."""
    return rows if usable.all() else rows[usable]


def evidence(run: Run) -> Evidence:
    """What rules may look at: the scores of a scored run, its controls, and where the model raised."""
    again = f"mmaudit score {run.folder}"
    rows = [score_of(row) for row in read_rows(run.folder / "scores.parquet", SCORES, again)]
    applied = read_rows(run.folder / "conditions.parquet", APPLIED, again)
    if [row["condition"] for row in applied] != [c.key for c in run.conditions]:
        raise DamagedRun(f"{run.folder} is not scored yet, or older than its plan; run: mmaudit score {run.folder}")
    return evidence_from(run, rows, applied)


def evidence_from(run: Run, rows: Sequence[Score], applied: Sequence[Mapping[str, Any]], folder: str = "") -> Evidence:
    """The same from scores and condition rows at hand; `folder` is what commands call the run, its path without it."""
    estimated = read_estimates(run, rows)
    return Evidence(
        run.task,
        PRIMARY[run.task.kind],
        run.conditions,
        rows,
        estimates=estimated,
        explanations=decomposition.explanations(estimated),
        disagreements=reliance.explain_disagreement(estimated, besides=reliance.about_others(run)),
        panel=panel_or_reason(run)[0],
        controls=controls(run, rows, applied, PRIMARY[run.task.kind]),
        raised={row["condition"]: row["raised"] for row in applied},
        asked={c.key: run.count(c) for c in run.conditions},
        changed={row["condition"]: row["changed"] for row in applied},
        n=run.n,
        folder=folder or str(run.folder),
        absent=run.task.absent(run.samples.target),
        kinds={m.name: m.kind for m in run.modalities},
    )


def vars_of(row: Score) -> dict[str, Any]:
    """A score as a table row."""
    return {name: getattr(row, name) for name in Score.__dataclass_fields__}


def _write_table(run: Run, name: str, rows: list[dict[str, Any]]) -> None:
    try:
        table = pa.Table.from_pylist(rows)
    except UnicodeEncodeError:  # a lone surrogate, from a file name that is not UTF-8: as its escape
        table = pa.Table.from_pylist([{k: _escaped(v) for k, v in row.items()} for row in rows])
    write_parquet(run.folder / name, table)


def _escaped(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def read_table(run: Run, name: str) -> list[dict[str, Any]]:
    """Rows of one of the run's derived tables; an empty list where it was never written."""
    path = run.folder / name
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = read_parquet(path).to_pylist()
    return rows
