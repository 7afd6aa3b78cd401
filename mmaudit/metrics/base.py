"""A metric is a plain function with a declared direction, unit and chance floor: `f(predictions, resamples)`.

    @metric("accuracy", better="higher", unit="share", tasks=("classification",), floor=majority_share, range=(0, 1))
    def accuracy(p: Predictions, w: Resamples) -> FloatArray:
        '''Share of samples whose prediction is right.'''
        return w.mean(p.hit)

It returns one value per replicate and is exact: the value under a replicate is that of the repeated sample. The
estimate is its value under `Resamples.ones(n)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np

from mmaudit.errors import BadInput, ContractBroken, Undefined
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.metrics.predictions import Predictions
from mmaudit.registry import Registry
from mmaudit.types import Array, Better, FloatArray, Task, TaskKind

__all__ = ["DECISIONS", "Metric", "Predictions", "Resamples", "metric", "metrics"]

Function = Callable[[Predictions, Resamples], FloatArray]
Floor = Callable[[Task, Array, Resamples], FloatArray]

DECISIONS: tuple[TaskKind, ...] = ("classification", "multilabel")


@dataclass(frozen=True)
class Metric:
    """A registered metric; call it like its function.

    Attributes:
        name: registered name.
        better: direction of goodness; `neither` where no direction is good.
        tasks: kinds of task it is defined for.
        unit: of its values; `target` where it is that of the regression target (see `unit_of`).
        range: lowest and highest possible value.
        floor: `(task, target, resamples) -> float64[replicates]`, what the best prediction that ignores the inputs
            reaches; None where the metric has no such level.
        needs_clean: whether it compares with the clean condition (`Predictions.clean`).
        needs_rival: whether it needs the class that each side of a conflict speaks for (`Predictions.rival`).
        per_class: whether all classes or labels weigh alike in it, however few samples they have.
        answered: how far it is moved by a share of answers that turn out right instead of wrong, or wrong instead of
            right, at most, as a multiple of that share; 0 where that is not looked at.
        counts: whether it is a share of samples, each of which counts whole or not at all.
        doc: docstring of its function.
        fn: the function.
        each: `(predictions, resamples) -> float64[outputs, replicates]`, of each label or target by itself what it is
            the mean of, NaN where undefined; None where it is no mean over them.
    """

    name: str
    better: Better
    tasks: tuple[TaskKind, ...]
    unit: str
    range: tuple[float, float]
    floor: Floor | None
    needs_clean: bool
    doc: str
    fn: Function
    needs_rival: bool = False
    per_class: bool = False
    each: Function | None = None
    answered: float = 0.0
    counts: bool = False

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return self.doc.splitlines()[0]

    def __call__(self, p: Predictions, w: Resamples) -> FloatArray:
        """Return `float64[replicates]`; NaN for a replicate in which the metric is not defined.

        Raises:
            Undefined: when it has no value on these rows; the message is the reason.
            BadInput: when `w` has other samples than `p`.
        """
        if p.task.kind not in self.tasks:
            raise Undefined(f"{self.name} is for {' and '.join(self.tasks)}, the task is {p.task.kind}")
        if w.n != p.n:
            raise BadInput(f"metric {self.name!r}: predictions have {p.n} rows, resamples have {w.n}; take() the same.")
        if p.n == 0:
            raise Undefined("there are no samples")
        if self.needs_clean and p.clean is None:
            raise Undefined(f"{self.name} compares with the clean condition, which is not given")
        if self.needs_rival and p.rival is None:
            raise Undefined(f"{self.name} is about modalities that contradict each other, which these do not")
        values = self.fn(p, w)
        if np.shape(values) != (w.replicates,):
            raise ContractBroken(
                f"metric {self.name!r}",
                "one value per replicate",
                f"returned shape {np.shape(values)}, expected ({w.replicates},)",
            )
        return values

    def chance(self, task: Task, target: Array) -> float:
        """Return the floor on this target, NaN where there is none."""
        if self.floor is None or not len(target):
            return float("nan")
        return float(self.floor(task, np.asarray(target), Resamples.ones(len(target)))[0])

    def chances(self, task: Task, target: Array, w: Resamples) -> FloatArray:
        """Return `float64[1 + replicates]`: the floor on this target, then on each replicate; NaN where there is none.

        Replicates are moved to have the floor as their mean: the largest of several shares is larger in a resample
        than in the sample that is drawn from, for which a share of what is above chance would pay.
        """
        floor = self.chance(task, target)
        if self.floor is None or not np.isfinite(floor):
            return np.full(1 + w.replicates, np.nan)
        drawn = self.floor(task, np.asarray(target), w)
        known = drawn[~np.isnan(drawn)]
        return np.concatenate([[floor], drawn - known.mean() + floor if len(known) else drawn])

    def unit_of(self, task: Task) -> str:
        """Return the unit of its values for a task."""
        return task.unit if self.unit == "target" else self.unit


metrics: Registry[Metric] = Registry("metric", "'mmaudit list metrics'")


def metric(
    name: str,
    *,
    better: Better | None = None,
    unit: str | None = None,
    tasks: tuple[TaskKind, ...] = DECISIONS,
    floor: Floor | None = None,
    range: tuple[float, float] = (-np.inf, np.inf),  # noqa: A002  (the same word as the field)
    needs_clean: bool = False,
    needs_rival: bool = False,
    per_class: bool = False,
    each: Function | None = None,
    answered: float = 0.0,
    counts: bool = False,
) -> Callable[[Function], Function]:
    """Register a function `(Predictions, Resamples) -> float64[replicates]` as a metric; see `Metric` for the fields.

    Raises:
        ContractBroken: when direction, unit or docstring is missing, or the name is taken.
    """

    def register(fn: Function) -> Function:
        who, doc = f"metric {name!r}", (fn.__doc__ or "").strip()
        if better is None or better not in get_args(Better):
            raise ContractBroken(who, "direction", f"better={better!r}; declare one of {', '.join(get_args(Better))}")
        if unit is None:
            raise ContractBroken(who, "unit", "no unit declared; give e.g. unit='share', 'nats' or 'target'")
        if not tasks or set(tasks) - set(get_args(TaskKind)):
            raise ContractBroken(who, "tasks", f"tasks={tasks!r}; declare some of {', '.join(get_args(TaskKind))}")
        if not doc:
            raise ContractBroken(who, "docstring", "the function has no docstring; its first line is the summary")
        declared = (name, better, tuple(tasks), unit, range, floor, needs_clean, doc, fn, needs_rival, per_class, each)
        metrics.add(name, Metric(*declared, answered, counts))
        return fn

    return register
