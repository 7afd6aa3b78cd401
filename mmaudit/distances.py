"""How far a corruption moves samples, on scales that mean the same for every modality.

input      root mean square distance in σ, so that √2 is another sample's value: for numbers as `moved` has it; for
           texts the same of their hashed letter n-grams. In decibels, −20·log₁₀ of it is a signal-to-noise ratio.
embedding  Euclidean distance of what the model's own encoder makes of it, as a share of the mean distance between
           two samples: 1 is like another sample to the model.
unimodal   share of the above-chance performance lost by a plain model that reads this modality alone, fitted on
           clean samples and asked about others (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from mmaudit.models import TwoStage
from mmaudit.probes import Source
from mmaudit.probes.proof import moved
from mmaudit.types import Array, Batch, FloatArray

GRAMS, BUCKETS = (1, 2, 3), 1024


class Unmeasurable(Exception):
    """A modality has no distance on a scale; the message is the reason, without a full stop."""


class Measure(Protocol):
    """A scale of distances."""

    name: str
    unit: str

    def prepare(self, modality: str, clean: Batch) -> None:
        """Take in the clean samples of a modality; raises `Unmeasurable`."""

    def distance(self, modality: str, new: Array, batch: Batch) -> float:
        """Mean distance of the samples' new values, those of `batch`, from the clean ones."""


class InputDistance:
    """Root mean square distance of the input itself, in units of its own σ."""

    name = "input"
    unit = "σ of the input"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.clean: dict[str, Array] = {}
        self.texts: dict[str, tuple[FloatArray, float]] = {}

    def prepare(self, modality: str, clean: Batch) -> None:
        """Keep the clean samples; for texts their n-grams and σ."""
        self.clean[modality] = clean.inputs[modality]
        found = self.source.statistics.get(modality)
        if found is not None:
            if not np.any(np.asarray(found.std) > 0):
                raise Unmeasurable(f"all samples of {modality!r} are the same, so there is no σ to measure with")
            return
        grams = ngrams(clean.inputs[modality])
        sigma = float(np.sqrt(np.mean(grams.var(axis=0))))
        if sigma == 0:
            raise Unmeasurable(f"all texts of {modality!r} are the same, so there is no σ to measure with")
        self.texts[modality] = grams, sigma

    def distance(self, modality: str, new: Array, batch: Batch) -> float:
        """Mean over samples, in σ."""
        if modality in self.texts:
            grams, sigma = self.texts[modality]
            return float(np.sqrt(np.mean(np.square(ngrams(new) - grams), axis=1)).mean() / sigma)
        described = self.source.modality(modality)
        far = moved(self.clean[modality], new, described, self.source.statistics[modality])[1].astype(np.float64)
        return _mean(far)


class EmbeddingDistance:
    """Distance of the encoder's features, as a share of the mean distance between two samples."""

    name = "embedding"
    unit = "mean distance between two samples' features"

    def __init__(self, stage: TwoStage | None, batch_rows: int) -> None:
        self.stage = stage
        self.rows = max(1, batch_rows)
        self.clean: dict[str, list[Array]] = {}
        self.apart: dict[str, float] = {}

    def prepare(self, modality: str, clean: Batch) -> None:
        """Encode the clean samples and measure how far they lie apart."""
        if modality in self.clean:
            return
        leaves = self.features(modality, clean)
        if not leaves:
            raise Unmeasurable(f"the encoder of {modality!r} returns no numbers to measure distances of")
        apart = mean_distance(np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1))
        if not apart > 0:
            raise Unmeasurable(f"the encoder of {modality!r} returns the same features for every sample")
        self.clean[modality], self.apart[modality] = leaves, apart

    def distance(self, modality: str, new: Array, batch: Batch) -> float:
        """Mean over samples."""
        squares = np.zeros(len(batch))
        for before, after in zip(self.clean[modality], self.features(modality, batch), strict=True):
            a, b = aligned([before, after])
            squares += np.square(a.astype(np.float64) - b).reshape(len(a), -1).sum(axis=1)
        return _mean(np.sqrt(squares)) / self.apart[modality]

    def features(self, modality: str, batch: Batch) -> list[Array]:
        """What the encoder makes of one modality: its floating-point arrays, `[n, …]` each."""
        if self.stage is None:
            raise Unmeasurable(
                "severities on the scale of embeddings need the model's encoders, and this model is run whole; give it "
                "encode and fuse, or use severity_scale='input'"
            )
        parts: list[list[Array]] = []
        for start in range(0, len(batch), self.rows):
            piece = batch.take(slice(start, start + self.rows))
            try:
                parts.append(_floats(self.stage.encode(modality, piece)))
            except Exception as error:  # whatever a foreign encoder raises is a reason to decline
                raise Unmeasurable(f"the encoder of {modality!r} raises {type(error).__name__}: {error}") from error
        if len({len(part) for part in parts}) != 1:
            raise Unmeasurable(f"the encoder of {modality!r} returns features of another form for other samples")
        return [np.concatenate(aligned(list(leaf))) for leaf in zip(*parts, strict=True)]


def ngrams(texts: Array) -> FloatArray:
    """Return `float64[n, 1024]`: counts of each text's 1- to 3-letter sequences, hashed, scaled to length 1."""
    strings = [str(text) for text in texts.tolist()]
    letters = np.frombuffer("".join(strings).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    row = np.repeat(np.arange(len(strings)), [len(text) for text in strings])
    counts = np.zeros(len(strings) * BUCKETS)
    code = np.zeros(len(letters), np.uint64)
    for size in GRAMS:
        if len(letters) < size:
            break
        # Fibonacci hashing of the sequence, one more letter each time; uint64 wraps round.
        code = (code[: len(letters) - size + 1] + letters[size - 1 :] + np.uint64(size)) * np.uint64(0x9E3779B97F4A7C15)
        code ^= code >> np.uint64(29)
        start, end = row[: len(code)], row[size - 1 :]
        place = start * BUCKETS + (code >> np.uint64(54)).astype(np.int64)
        counts += np.bincount(place[start == end], minlength=len(counts))
    table = counts.reshape(len(strings), BUCKETS)
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-300))


def mean_distance(x: Array) -> float:
    """Return the mean Euclidean distance between two different rows."""
    n = len(x)
    if n < 2:
        return 0.0
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    squares = np.square(centred).sum(axis=1)
    apart = squares[:, None] + squares[None, :] - 2 * (centred @ centred.T)
    np.fill_diagonal(apart, 0)
    return float(np.sqrt(np.maximum(apart, 0)).sum() / (n * (n - 1)))


def aligned(arrays: list[Array]) -> list[Array]:
    """Return the arrays with all axes but the first filled up with zeros to the same lengths."""
    shape = np.max([a.shape[1:] for a in arrays], axis=0).astype(int) if arrays[0].ndim > 1 else ()
    return [np.pad(a, [(0, 0), *((0, int(m) - k) for m, k in zip(shape, a.shape[1:], strict=True))]) for a in arrays]


def _floats(tree: Any) -> list[Array]:
    """The floating-point arrays or tensors of a nested structure, in its order, as NumPy arrays."""
    if tree is None or isinstance(tree, str | bytes):
        return []
    if isinstance(tree, Mapping):
        return [leaf for key in sorted(tree, key=str) for leaf in _floats(tree[key])]
    if isinstance(tree, list | tuple):
        return [leaf for item in tree for leaf in _floats(item)]
    if hasattr(tree, "detach"):  # a tensor; torch itself is imported in its adapter only
        tree = tree.detach().cpu()
        tree = tree.float().numpy() if tree.is_floating_point() else tree.numpy()
    array = np.asarray(tree)
    return [array] if array.dtype.kind == "f" and array.ndim else []


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0
