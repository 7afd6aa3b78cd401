"""The table v(S): what the audited model is worth with each subset of its modalities, per missing baseline.

v is the run's value metric on the answers to all samples (accuracy; average precision; for regression R², by which the
findings judge, too), in the direction of goodness: higher is better. v(N) is clean data, every other v(S) the condition
`missing` that removes N∖S, the mean over its repeats where a stand-in is drawn at random. All have the estimate and the
bootstrap replicates that the whole run shares, so every index made of them is paired. Each is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mmaudit.comparison import measure
from mmaudit.kernels.bootstrap import ratio
from mmaudit.memory import give_back
from mmaudit.metrics import Metric, Predictions, Resamples, metrics
from mmaudit.store import Run
from mmaudit.threads import workers
from mmaudit.types import CLEAN, Array, BoolArray, Condition, FloatArray, IntArray, Task

VALUE = {"classification": "accuracy", "multilabel": "average_precision", "regression": "r2", "retrieval": "mrr"}
SMALLEST_GROUP = 30
MOST_GROUPS = 20
CLASS = "class"
MANY = 250_000  # samples of which two conditions at a time take more memory than they save time


def value_metric(task: Task) -> Metric:
    """Return the metric whose values the reliance on modalities is made of."""
    return metrics.get(VALUE[task.kind])


class Values:
    """The value metric of the conditions that reliance is made of, over all samples and per group.

    Args:
        run: predicted.
        w: resamples of all its samples.
        measured: `float64[1 + B]` of the value metric by condition key, as far as it is known already, over exactly
            the samples answered on clean data.

    Attributes:
        w: the resamples, of the samples answered on clean data; of those among them that a budget left to all
            conditions here.
        metric: the metric.
        reasons: by condition key, why a condition has no value.
    """

    def __init__(self, run: Run, w: Resamples, measured: Mapping[str, FloatArray] | None = None) -> None:
        self.run, self.task, self.metric = run, run.task, value_metric(run.task)
        self.sign = 1.0 if self.metric.better == "higher" else -1.0
        answered = run.read(CLEAN).answered
        wanted = [CLEAN, *subset_conditions(run.conditions), *shuffle_conditions(run.conditions)]
        self.usable = answered & _measured(run, wanted)
        if (self.usable != answered).any():
            measured = None  # of other samples
        self.w = w.take(self.usable)
        self.target = run.samples.target[self.usable]
        self.reasons: dict[str, str] = {}
        self._measured = dict(measured or {})
        self._values: dict[str, dict[str, FloatArray]] = {}
        self._chance: dict[str, FloatArray] = {}
        _ = self._totals  # made once, before several threads ask for it
        with ThreadPoolExecutor(min(1 if len(self.target) > MANY else 2, workers())) as pool:
            for condition, found in zip(wanted, pool.map(self._read, wanted), strict=True):
                if found is not None:
                    self._values[condition.key] = found

    def of(self, condition: Condition, group: str = "") -> FloatArray | None:
        """`float64[1 + B]`, higher is better; None where not every sample has an answer."""
        return self._values.get(condition.key, {}).get(group)

    def mean(self, conditions: Sequence[Condition], group: str = "") -> FloatArray | None:
        """The mean over repeats; None where one of them has no value."""
        each = [v for c in conditions if (v := self.of(c, group)) is not None]
        return np.mean(each, axis=0) if each and len(each) == len(conditions) else None

    @cached_property
    def players(self) -> tuple[str, ...]:
        """Modalities that any condition changes, in the data set's order: those that the model reads.

        Of a retrieval those of the query: what is to be found cannot be taken away.
        """
        changed = {m for c in self.run.conditions for m in c.modalities} - {self.task.target_modality}
        return tuple(m.name for m in self.run.modalities if m.name in changed)

    @cached_property
    def columns(self) -> dict[str, dict[str, IntArray]]:
        """Per group column the rows of each value with at least 30 samples, largest first, at most 20.

        The true class of a classification is a column, too, unless the data set has one of that name.
        """
        columns: dict[str, Array] = {k: v[self.usable].astype(str) for k, v in self.run.samples.groups.items()}
        if self.task.kind == "classification" and CLASS not in columns:
            columns[CLASS] = np.array(self.task.names)[self.target]
        found: dict[str, dict[str, IntArray]] = {}
        for column, values in columns.items():
            names, place, sizes = np.unique(values, return_inverse=True, return_counts=True)
            largest = [i for i in np.argsort(-sizes, kind="stable")[:MOST_GROUPS] if sizes[i] >= SMALLEST_GROUP]
            if largest:
                found[column] = {f"{column}={names[i]}": np.flatnonzero(place == i) for i in largest}
        return found

    @property
    def groups(self) -> dict[str, IntArray]:
        """Rows of each group, as `column=value`."""
        return {name: rows for members in self.columns.values() for name, rows in members.items()}

    @property
    def positions(self) -> dict[str, IntArray]:
        """The same as rows of the run."""
        there = np.flatnonzero(self.usable)
        return {name: there[rows] for name, rows in self.groups.items()}

    def chance(self, group: str = "") -> FloatArray:
        """`float64[1 + B]`: value of the best answer that reads nothing, among all samples or a group's."""
        if group not in self._chance:
            rows = self.groups[group] if group else np.arange(len(self.target))
            found = self.metric.chances(self.task, self.target[rows], self.w.take(rows))
            self._chance[group] = self.sign * found
        return self._chance[group]

    # ---- reading

    def _read(self, condition: Condition) -> dict[str, FloatArray] | None:
        answers = self.run.read(condition)
        if not answers.answered[self.usable].all():
            self.reasons[condition.key] = f"not every sample has an answer under {condition.label}"
            return None
        outputs = answers.outputs if self.usable.all() else answers.outputs[self.usable]
        p = Predictions(self.task, outputs, self.target)
        whole = self._measured.get(condition.key)
        if whole is None:
            measured = measure(self.metric, p, self.w)
            whole = measured.values
            if measured.reason:
                self.reasons[condition.key] = measured.reason
        parts = self._accuracies(p) if self.metric.name == "accuracy" else self._slowly(p)
        if len(self.target) > MANY:
            del answers
            give_back()
        return {"": self.sign * whole, **{name: self.sign * v for name, v in zip(self.groups, parts, strict=True)}}

    def _accuracies(self, p: Predictions) -> list[FloatArray]:
        """Accuracy of each group: all groups of a column in one pass over the samples."""
        out: list[FloatArray] = []
        hit = p.hit.astype(np.float64)
        for place, part, totals in self._totals:
            there = slice(None) if part is self.w else place >= 0
            sums = part.sums(hit[there], place[there], len(totals))[:, 0]
            sizes = np.bincount(place[there], minlength=len(totals))
            exact = np.bincount(place[there], hit[there], len(totals)) / sizes
            out += list(np.concatenate([exact[:, None], ratio(sums, totals)], axis=1))
        return out

    @cached_property
    def _totals(self) -> list[tuple[IntArray, Resamples, FloatArray]]:
        """Per group column each row's group (−1: none), the rows' resamples, and how many of a group they hold."""
        found = []
        for members in self.columns.values():
            place = np.full(len(self.target), -1, np.int64)
            for number, rows in enumerate(members.values()):
                place[rows] = number
            everywhere = bool((place >= 0).all())
            part = self.w if everywhere else self.w.take(place >= 0)
            ones = np.ones(part.n)
            found.append((place, part, part.sums(ones, place[place >= 0], len(members))[:, 0]))
        return found

    def _slowly(self, p: Predictions) -> Iterator[FloatArray]:
        for rows in self.groups.values():
            yield measure(self.metric, p.take(rows), self.w.take(rows)).values


@dataclass(frozen=True, eq=False)
class Game:
    """v(S) of one missing baseline.

    Attributes:
        players: modalities; bit i of a subset's mask is player i.
        baseline: what stands in for what is absent.
        values: `float64[1 + B]` by mask, higher is better; v(N) included.
        reason: why subsets are lacking; empty where none is.
        chance: `float64[1 + B]`, value of the best answer that reads nothing.
    """

    players: tuple[str, ...]
    baseline: str
    values: Mapping[int, FloatArray]
    reason: str = ""
    chance: FloatArray = field(default_factory=lambda: np.full(1, np.nan))

    @property
    def full(self) -> int:
        """Mask of all players."""
        return int(2 ** len(self.players)) - 1

    @property
    def complete(self) -> bool:
        """Whether all 2^M subsets are there."""
        return len(self.values) == self.full + 1

    @cached_property
    def masks(self) -> IntArray:
        """`int64[k]`: subsets measured, ascending."""
        return np.array(sorted(self.values), np.int64)

    @cached_property
    def table(self) -> FloatArray:
        """`float64[k, 1 + B]`: v of each subset measured; the row is the mask where all are."""
        return np.stack([self.values[int(mask)] for mask in self.masks])

    def without(self, player: int) -> FloatArray | None:
        """v(N∖i), None where it was not measured."""
        return self.values.get(self.full - (1 << player))

    def alone(self, player: int) -> FloatArray | None:
        """v({i}), None where it was not measured."""
        return self.values.get(1 << player)


def _measured(run: Run, conditions: Sequence[Condition]) -> BoolArray:
    """`bool[n]`: samples that a budget let all of these conditions be measured on."""
    there = np.zeros(run.n, np.bool_)
    fewest = min(run.count(c) for c in conditions)
    there[run.order[:fewest] if fewest < run.n else slice(None)] = True
    return there


def games(values: Values, group: str = "") -> list[Game]:
    """Return the table of each missing baseline of the run; of one group of samples where it is named."""
    clean = values.of(CLEAN, group)
    if clean is None:
        return []
    players = values.players
    by_baseline: dict[str, dict[int, list[Condition]]] = {}
    for condition in subset_conditions(values.run.conditions):
        mask = sum(1 << i for i, name in enumerate(players) if name not in condition.modalities)
        by_baseline.setdefault(condition.option("baseline") or "", {}).setdefault(mask, []).append(condition)
    found = []
    for baseline, subsets in by_baseline.items():
        known = {2 ** len(players) - 1: clean}
        reasons = []
        for mask, conditions in subsets.items():
            v = values.mean(conditions, group)
            if v is None or not np.isfinite(v[0]):
                reasons += [values.reasons[c.key] for c in conditions if c.key in values.reasons]
            else:
                known[mask] = v
        reason = ""
        if len(known) < 2 ** len(players):
            reason = f"with this baseline {len(known)} of the {2 ** len(players)} subsets of modalities have a value"
            reason += f" ({reasons[0]})" if reasons else ""
        found.append(Game(players, baseline, known, reason, values.chance(group)))
    return found


def subset_conditions(conditions: Sequence[Condition]) -> list[Condition]:
    """Conditions that take some modalities from every sample."""
    return [c for c in conditions if c.probe == "missing" and c.severity is None]


def shuffle_conditions(conditions: Sequence[Condition]) -> list[Condition]:
    """Conditions that give one modality of any other sample to every sample."""
    return [c for c in conditions if c.probe == "mismatch" and c.option("pool") == "random" and c.severity is None]
