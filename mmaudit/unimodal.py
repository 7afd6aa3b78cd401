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
from mmaudit.distances import Unmeasurable, ngrams
from mmaudit.errors import Undefined
from mmaudit.kernels.positions import spread
from mmaudit.probes import Source, canonical
from mmaudit.types import Array, Batch, FloatArray, IntArray, Modality, Task

FOLDS, FIT_ROWS = 3, 2000
# Images are averaged to this many cells a side, time series and spectra to this many segments.
CELLS, SEGMENTS, CHANNELS, WIDEST = 12, 24, 16, 512
GUESSED, DECLARED = 20, 256  # distinct values that count as categories in a column, see `category_limits`
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


def features(values: Array, modality: Modality) -> FloatArray:
    """Return simple features, `float64[n, d]`, of the same length for every sample of a modality.

    Texts: hashed letter n-grams. Images: means over a 12 × 12 grid. Audio and series: mean and spread over 24
    segments of time, and 24 bands of the logarithmic spectrum. Others: the values themselves, at most 512 of them.
    """
    if modality.kind == "text":
        return ngrams(values)
    table = np.stack([_one(np.asarray(v), modality) for v in values])
    return np.asarray(np.nan_to_num(table, nan=0.0, posinf=0.0, neginf=0.0))


def category_limits(modality: Modality, columns: int) -> IntArray:
    """Return `int64[columns]`: the most distinct values that count as categories in each number; 0: it is an amount.

    Categories have no order, so each value deserves a number of its own. Declared columns (`Modality.categorical`) have
    up to 256; where nothing is declared, columns of whole numbers may be codes and have up to 20.

    Args:
        modality: of any kind; only tables have categories.
        columns: numbers per sample, or `WIDEST` of them as `features` chooses.
    """
    found = np.zeros(columns, np.int64)
    if modality.kind != "tabular" or (modality.categorical is not None and modality.ragged):
        return found
    if modality.categorical is None:
        found[:] = GUESSED if np.dtype(modality.dtype).kind in "iub" else 0
        return found
    width = int(np.prod(np.array(modality.shape, np.int64)))
    chosen = np.arange(width) if width == columns else _chosen(width)
    found[np.isin(chosen, modality.categorical)] = DECLARED
    return found


def _chosen(width: int) -> IntArray:
    """Which of too many numbers stand for all."""
    return np.linspace(0, width - 1, WIDEST).astype(np.int64)


def _one(value: Array, modality: Modality) -> FloatArray:
    if modality.kind == "image":
        x = canonical.forward(value[None], modality)[0].astype(np.float64)
        return _segments(np.moveaxis(_segments(x, CELLS), 1, 0), CELLS).ravel()
    x = value.astype(np.float64)
    if modality.kind in ("audio", "series"):
        axis = modality.time_axis or 0
        x = np.moveaxis(x, axis, 0) if x.shape[axis] else np.zeros((1, *np.delete(x.shape, axis)))
        x = x.reshape(len(x), -1)[:, :CHANNELS]
        power = np.log1p(np.square(np.abs(np.fft.rfft(x, axis=0))))
        mean, square = _segments(x, SEGMENTS), _segments(np.square(x), SEGMENTS)
        spreads = np.sqrt(np.maximum(square - np.square(mean), 0))
        return np.concatenate([mean, spreads, _segments(power, SEGMENTS)]).ravel()
    flat = x.ravel()
    if modality.ragged:
        flat = np.concatenate([flat, np.zeros(max(0, WIDEST - len(flat)))])
    return flat if len(flat) <= WIDEST else flat[_chosen(len(flat))]


def _segments(x: FloatArray, count: int) -> FloatArray:
    """Means of `count` stretches of the first axis; a short axis repeats its values."""
    edges = np.linspace(0, len(x), count + 1)
    start = np.minimum(edges[:-1].astype(np.int64), len(x) - 1)
    end = np.maximum(np.ceil(edges[1:]).astype(np.int64), start + 1)
    total = np.concatenate([np.zeros((1, *x.shape[1:])), np.cumsum(x, axis=0)])
    return np.asarray((total[end] - total[start]) / (end - start).reshape(-1, *[1] * (x.ndim - 1)))
