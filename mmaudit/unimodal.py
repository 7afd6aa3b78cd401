"""How much a plain model that reads one modality alone loses under a corruption of it.

A logistic regression (regression tasks: ridge) on simple features, fitted on clean samples in three folds; each sample
is answered by a model that has seen neither it nor another of its cluster. Performance is counted softly, so that it
moves continuously: the mean probability given to the truth for classes and labels, the mean squared error for numbers.
The share lost is then

    (clean − corrupted) / (clean − chance),   chance: what the training folds' class shares, or mean, would get.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmaudit.crossfit.folds import grouped_folds, strata, units
from mmaudit.distances import Unmeasurable
from mmaudit.errors import Undefined
from mmaudit.kernels.positions import spread
from mmaudit.probes import Source
from mmaudit.simple_features import features
from mmaudit.types import Array, Batch, FloatArray, Task

FOLDS, FIT_ROWS = 3, 2000
STANDARD_ERRORS = 2.0


class UnimodalLoss:
    """Share of a unimodal probe's above-chance performance lost."""

    name = "unimodal"
    unit = "share of a unimodal probe's above-chance performance lost"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.probes: dict[str, _CrossFitted] = {}
        self.refused: dict[str, str] = {}

    def prepare(self, modality: str, clean: Batch) -> None:
        """Fit the modality's probe; raises where it is no better than chance."""
        if modality not in self.probes and modality not in self.refused:
            try:
                self.probes[modality] = _CrossFitted(self.source, modality, clean)
            except Unmeasurable as error:
                self.refused[modality] = str(error)
        if modality in self.refused:
            raise Unmeasurable(self.refused[modality])

    def distance(self, modality: str, new: Array, batch: Batch) -> float:
        """Share lost, over all samples."""
        return self.probes[modality].lost(new)


class _CrossFitted:
    """One model per fold, and what they make of the clean samples."""

    def __init__(self, source: Source, modality: str, clean: Batch) -> None:
        self.modality = source.modality(modality)
        self.task = source.data.task
        self.target = clean.target
        recorded = np.flatnonzero(source.data.presence(modality))
        rows = np.union1d(spread(recorded, FIT_ROWS), clean.positions)
        batch = source.data.rows(rows)
        unit = units(None if source.data.cluster is None else source.data.cluster[rows], len(rows))
        try:
            fold = grouped_folds(unit, strata(batch.target), FOLDS, seed=0)
        except Undefined as error:
            raise Unmeasurable(f"{error}") from None
        x = features(batch.inputs[modality], self.modality)
        self.fold = fold[np.searchsorted(rows, clean.positions)]
        self.models = [_fit(self.task, x[fold != k], batch.target[fold != k]) for k in range(int(fold.max()) + 1)]
        each = self.each(clean.inputs[modality])
        chance = np.zeros(len(clean))
        for k, model in enumerate(self.models):
            mine = self.fold == k
            chance[mine] = model.chance(self.target[mine])
        self.clean, self.chance = float(each.mean()), float(chance.mean())
        gain = each - chance
        # Samples of one cluster err together: the sum of a cluster's deviations is what varies independently.
        together = np.bincount(unit[np.searchsorted(rows, clean.positions)], weights=gain - gain.mean())
        if not gain.mean() > STANDARD_ERRORS * np.sqrt(np.square(together).sum()) / len(gain):
            raise Unmeasurable(
                f"a plain model that reads {modality!r} alone is no better than chance, so it has nothing to lose"
            )

    def each(self, values: Array) -> FloatArray:
        """Performance per sample, higher is better."""
        x = features(values, self.modality)
        out = np.zeros(len(x))
        for k, model in enumerate(self.models):
            mine = np.flatnonzero(self.fold == k)
            if len(mine):
                out[mine] = model.performance(x[mine], self.target[mine])
        return out

    def lost(self, values: Array) -> float:
        """Share of what it has above chance that it loses on these values."""
        return (self.clean - float(self.each(values).mean())) / (self.clean - self.chance)


class _Fitted:
    """A model fitted on one choice of folds; `kind` is the task's."""

    def __init__(self, kind: str, models: list[Any], mean: FloatArray, scale: FloatArray, prior: Array) -> None:
        self.kind, self.models, self.mean, self.scale, self.prior = kind, models, mean, scale, prior

    def performance(self, x: FloatArray, target: Array) -> FloatArray:
        """Probability of the truth, or the negative squared error; per sample."""
        # Beyond ten σ a corrupted value says no more than at ten, and would drown all others.
        z = np.clip((x - self.mean) / self.scale, -10, 10)
        if self.kind == "regression":
            guess = self.models[0].predict(z).reshape(len(z), -1)
            return np.asarray(-np.square(guess - target).mean(axis=1))
        if self.kind == "multilabel":
            p = np.stack([_probability(m, z, prior) for m, prior in zip(self.models, self.prior, strict=True)], axis=1)
            return np.asarray(np.where(target > 0, p, 1 - p).mean(axis=1))
        p = np.zeros((len(z), len(self.prior)))
        p[:, self.models[0].classes_] = self.models[0].predict_proba(z)
        return p[np.arange(len(z)), target]

    def chance(self, target: Array) -> FloatArray:
        """The same for a model that knows the training folds' class shares, or mean, alone."""
        if self.kind == "regression":
            return np.asarray(-np.square(self.prior - target).mean(axis=1))
        if self.kind == "multilabel":
            return np.asarray(np.where(target > 0, self.prior, 1 - self.prior).mean(axis=1))
        return np.asarray(self.prior[target], np.float64)


def _fit(task: Task, x: FloatArray, target: Array) -> _Fitted:
    from sklearn.linear_model import LogisticRegression, Ridge

    if task.kind == "retrieval":
        raise Unmeasurable(
            "a unimodal probe needs classes or numbers to predict; the target of a retrieval is a sample"
        )
    if len(x) < 10:
        raise Unmeasurable("there are too few samples to fit a unimodal probe")
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    z = (x - mean) / scale
    kind = task.kind
    if kind == "regression":
        model = Ridge(alpha=float(len(x)) ** 0.5 + x.shape[1] / 10).fit(z, target)
        return _Fitted(kind, [model], mean, scale, target.mean(axis=0))
    if kind == "multilabel":
        models = [LogisticRegression(C=0.02, max_iter=200).fit(z, y) if 0 < y.mean() < 1 else None for y in target.T]
        return _Fitted(kind, models, mean, scale, target.mean(axis=0))
    if len(np.unique(target)) < 2:
        raise Unmeasurable("its samples are all of one class, which a unimodal probe cannot learn from")
    fitted = LogisticRegression(C=0.02, max_iter=200).fit(z, target)
    return _Fitted(kind, [fitted], mean, scale, np.bincount(target, minlength=task.width) / len(target))


def _probability(model: Any, z: FloatArray, prior: float) -> FloatArray:
    return np.full(len(z), prior) if model is None else np.asarray(model.predict_proba(z)[:, 1])
