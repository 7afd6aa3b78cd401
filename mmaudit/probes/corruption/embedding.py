"""Corruptions of embeddings and other feature vectors.

`x` is [n, …, features]: the last axis holds the features. Where a sample has several rows of them (tokens, patches),
the same features are hit in all its rows. Each docstring says whether the L2 norm of a row is kept, since many models
get vectors of norm 1 and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.probes import canonical
from mmaudit.probes.base import corruption, probe, probes
from mmaudit.probes.class_means import class_means, declines
from mmaudit.probes.corruption.nested import require_share
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.randomness import Draws, generator, stream_key
from mmaudit.types import Array, Batch, BoolArray, Condition, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics

OURS = "mmaudit"
CLASS_MEAN = "embedding.class_mean"


def _whole(modality: Modality) -> str | None:
    if np.dtype(modality.dtype).kind in "iub":
        return f"{modality.name!r} holds whole numbers, which are quantised already"
    return None


def _flat(modality: Modality) -> str | None:
    if (modality.shape[-1] if modality.shape else 1) == 1:
        return f"{modality.name!r} has one feature, and a rotation needs two"
    return None


def _unsigned(modality: Modality) -> str | None:
    limits = canonical.legal_range(modality, np.dtype(modality.dtype))
    if limits is not None and limits[0] >= 0:
        return f"{modality.name!r} has no negative values, so a flipped sign would leave its legal range"
    return None


@corruption(
    "feature_dropout",
    kinds=("embedding",),
    severities=(0.1, 0.2, 0.3, 0.5, 0.7),
    unit="share of features",
    source="dropout (Srivastava et al. 2014), without its rescaling; severities: mmaudit",
    batched=True,
)
def feature_dropout(x: Array, severity: float, draws: Draws) -> Array:
    """Features set to zero.

    Severity is the probability of each feature, in [0, 1], to be lost, and so the share of them on average. The others
    keep their values: nothing is scaled up to make good for the loss, as dropout does in training, so the L2 norm
    shrinks. What is lost at one severity is lost at every higher one.
    """
    require_share("feature_dropout", severity, "the features")
    rows, hit = _hit(x, severity, draws)
    rows[hit] = 0
    return x


@corruption(
    "sign_flip",
    kinds=("embedding",),
    severities=(0.05, 0.1, 0.2, 0.3, 0.5),
    unit="share of features",
    source=OURS,
    declines=_unsigned,
    batched=True,
)
def sign_flip(x: Array, severity: float, draws: Draws) -> Array:
    """Features with the opposite sign.

    Severity is the probability of each feature, in [0, 1], to have its sign turned, and so the share of them on
    average. At 0.5 the product of a vector with what it was is 0 on average; at 1 it points the other way. The L2 norm
    is kept. What is turned at one severity is turned at every higher one.
    """
    require_share("sign_flip", severity, "the features")
    rows, hit = _hit(x, severity, draws)
    rows[hit] *= -1
    return x


@corruption(
    "quantisation",
    kinds=("embedding",),
    severities=(0.25, 0.5, 1, 2, 4),
    unit="step, in σ of the feature",
    source="uniform scalar quantisation of vectors, as in FAISS (Douze et al. 2024); severities: mmaudit",
    declines=_whole,
    batched=True,
)
def quantisation(x: Array, severity: float, statistics: ModalityStatistics) -> Array:
    """Features rounded to a few levels.

    Each feature is rounded to mean + k · step, k whole, with its own mean and σ. Severity is the step in σ: over
    mean ± 4 σ the table's steps leave about as many levels as 5, 4, 3, 2 and 1 bits hold. A step far above σ leaves the
    mean alone. A feature of σ = 0 stays. The L2 norm changes a little.
    """
    mean, step = statistics.mean, severity * statistics.std
    varies = step > 0
    rounded = mean + step * np.rint((x - mean) / np.where(varies, step, 1))
    return np.asarray(np.where(varies, rounded, x))


@corruption(
    "rotation",
    kinds=("embedding",),
    severities=(10, 20, 30, 45, 60),
    unit="degrees",
    source=OURS,
    declines=_flat,
    batched=True,
)
def rotation(x: Array, severity: float, draws: Draws) -> Array:
    """Vectors turned by an angle, in a random plane.

    Every row of features is turned in a plane through itself and a direction drawn uniformly from all those at right
    angles to it: x' = cos θ x + sin θ |x| u. So the angle between x and x' is exactly the severity, in [0, 180]
    degrees, and their cosine similarity its cosine, whatever the number of features. The L2 norm is kept; a row of
    zeros stays.
    """
    if severity > 180:
        raise BadInput(f"rotation: severity {severity:g} is above 180 degrees, the largest angle between two vectors.")
    rows = _rows(x)
    if not rows.size or rows.shape[-1] < 2:
        return x
    # float64, so that a vector of norm 1 has norm 1 afterwards to the last digit of its own type.
    old = rows.astype(np.float64)
    u = draws.normal(rows[0].size).astype(np.float64).reshape(rows.shape)
    square = np.sum(old * old, axis=-1, keepdims=True)
    u -= np.sum(u * old, axis=-1, keepdims=True) / np.where(square > 0, square, 1) * old
    u *= np.sqrt(square) / np.sqrt(np.sum(u * u, axis=-1, keepdims=True))
    angle = np.deg2rad(severity)
    rows[...] = np.cos(angle) * old + np.sin(angle) * u
    return x


@corruption(
    "mean_shift",
    kinds=("embedding",),
    severities=(0.25, 0.5, 1, 1.5, 2),
    unit="σ of the feature",
    source=OURS,
    batched=True,
)
def mean_shift(x: Array, severity: float, modality: Modality, statistics: ModalityStatistics) -> Array:
    """The same offset added to all samples: a covariate shift.

    Every feature moves by severity · σ, up or down; which way is drawn once per modality, so all samples move together
    and differences between them stay. (Were it the same way for all features, a layer normalisation would take the
    shift out again.) A feature of σ = 0 stays. The L2 norm is not kept.
    """
    width = x.shape[-1] if x.ndim > 1 else 1
    up = generator(stream_key("embedding.mean_shift", modality.name), 0).random(width) < 0.5
    signs = np.where(up, 1, -1).astype(x.dtype)
    return np.asarray(x + severity * statistics.std * (signs if x.ndim > 1 else signs[0]))


@corruption(
    "stale",
    kinds=("embedding",),
    severities=(0.1, 0.25, 0.5, 0.75, 1),
    unit="share of samples",
    source=OURS,
    batched=True,
)
def stale(x: Array, severity: float, draws: Draws, donor: Array) -> Array:
    """Another sample's embedding, as from a store that was not updated.

    Severity is the probability, in [0, 1], that a sample gets the embedding of another random sample instead of its
    own, in full; the rest are untouched. A sample that is stale at one severity is stale, with the same other
    embedding, at every higher one. At 1 this is `mismatch` with random donors. Each vector is a real one, so the L2
    norm is that of some sample.
    """
    require_share("stale", severity, "the samples")
    hit = draws.uniform(1)[:, 0] < severity
    x[hit] = donor[hit]
    return x


def _class_mean_grid(scope: Scope) -> Iterator[Condition | Declined]:
    for modality in scope.modalities:
        if modality.kind != "embedding":
            continue
        if reason := declines(modality, scope.task):
            yield Declined(CLASS_MEAN, (modality.name,), reason)
            continue
        chosen = probes.get(CLASS_MEAN)
        for position in scope.positions:
            yield chosen.condition((modality.name,), chosen.severities[position - 1])


@probe(
    CLASS_MEAN,
    family="corruption",
    grid=_class_mean_grid,
    kinds=("embedding",),
    severities=(0.2, 0.4, 0.6, 0.8, 1),
    unit="share of the way",
    source="mmaudit; at 1 every sample is its class's prototype (Snell et al. 2017)",
)
def class_mean(batch: Batch, condition: Condition, source: Source) -> Batch:
    """Interpolation towards the mean of the sample's class: (1 − α) x + α μ.

    Severity is α, in [0, 1]; μ is the mean of the sample's true class over the audited data, recorded samples only. At
    1 nothing is left of what tells a sample from others of its class. The true class is put in, so a model that reads
    the class from this modality answers better than before; one that answers worse relied on differences within the
    class, or does not know the centre of the class that it was trained on. The L2 norm shrinks.

    Raises:
        BadInput: a severity above 1.
        NotApplicable: the task is not classification, or samples differ in shape.
    """
    alpha = float(condition.severity or 0)
    require_share("class_mean", alpha, "the way to the class mean")
    inputs = {}
    for name in condition.modalities:
        modality, old = source.modality(name), batch.inputs[name]
        rows = np.flatnonzero(batch.present[name])
        means = class_means(source, name)
        x = canonical.forward(old[rows], modality)
        towards = means.astype(x.dtype)[batch.target[rows]]
        new = old.copy()
        new[rows] = canonical.backward(x + x.dtype.type(alpha) * (towards - x), old.dtype, modality)
        inputs[name] = new
    return batch.replace(inputs)


def _rows(x: Array) -> Array:
    """View [n, …, features] as [n, rows, features]."""
    width = x.shape[-1] if x.ndim > 1 else 1
    return x.reshape(len(x), x[0].size // width if len(x) and width else 0, width)


def _hit(x: Array, severity: float, draws: Draws) -> tuple[Array, BoolArray]:
    """Return a view [n, features, rows] of x and which features are hit, `bool[n, features]`."""
    rows = np.swapaxes(_rows(x), 1, 2)
    return rows, np.asarray(draws.uniform(rows.shape[1]) < severity)
