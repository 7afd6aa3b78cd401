"""Asking a model for combinations of different samples' modalities: encoded once and fused often, or run whole."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmaudit.answering import to_logits
from mmaudit.data import Dataset
from mmaudit.errors import BadInput, ContractBroken, MMAuditError
from mmaudit.models import Model, TwoStage
from mmaudit.models.failure import out_of_memory, raise_if_out_of_memory
from mmaudit.types import Array, Batch, IntArray, Task

TRIED = 16
# Two ways to the same answer may differ by rounding, relative to the largest of them.
ROUNDING = 1e-3


class Unequal(Exception):
    """Encodings of several batches do not fit each other."""


class Combiner:
    """Answers to combinations of some samples, whose modalities were all recorded.

    With a two-stage view every modality is encoded once, and combinations gather rows of its features. Features may be
    of any form; where gathered ones do not give the model's own answer (tried on a few combinations), or cannot be
    gathered, inputs are gathered and the model is run whole.

    Attributes:
        how: in words.
        error: traceback of the model, where it raised; empty otherwise.
    """

    def __init__(
        self, model: Model, stage: TwoStage | None, data: Dataset, positions: IntArray, task: Task, batch_rows: int
    ) -> None:
        self.model = model
        self.task = task
        self.data = data
        self.positions = positions
        self.step = max(1, min(batch_rows, len(positions)))
        self.error = ""
        self.how = "run whole"
        self._stage: TwoStage | None = None
        self._features: dict[str, Any] = {}
        self._inputs: Batch | None = None
        if stage is not None:
            try:
                self._features = {name: self._encoded(stage, name) for name in model.modalities}
                self._stage = stage
                self._try()
                self.how = "fused from encodings"
            except (BadInput, MemoryError):
                raise
            except Exception:  # whatever features are made of does not bear gathering: run whole
                self._stage, self._features = None, {}

    def answer(self, index: IntArray) -> Array:
        """Return `float32[c, k]` logits, or values; a row of NaN where the model gives none.

        Args:
            index: `int64[M, c]`, which of the samples gives each of the model's modalities.
        """
        parts = [self._logits(index[:, a : a + self.step]) for a in range(0, index.shape[1], self.step)]
        return np.concatenate(parts)

    # ---- asking

    def _logits(self, index: IntArray) -> Array:
        rows = self._asked(index)
        usable = np.asarray(np.isfinite(rows).all(axis=1))
        logits = to_logits(np.where(usable[:, None], rows, 0), self.model.outputs, self.task)
        logits[~(usable & np.isfinite(logits).all(axis=1))] = np.nan
        return logits

    def _asked(self, index: IntArray) -> Array:
        """The model's rows; NaN where it raises, found by halving."""
        try:
            rows = self._fused(index) if self._stage else self._whole(index)
            if np.shape(rows) != (index.shape[1], self.task.width):
                expected = (index.shape[1], self.task.width)
                raise ContractBroken("model", "output shape", f"gave outputs of shape {np.shape(rows)}, not {expected}")
            return rows
        except (MMAuditError, MemoryError):
            raise
        except Exception as error:
            raise_if_out_of_memory(error, index.shape[1])
            if not out_of_memory(error):
                self.error = self.error or traceback.format_exc()
            if index.shape[1] == 1:
                return np.full((1, self.task.width), np.nan, np.float32)
        half = index.shape[1] // 2
        return np.concatenate([self._asked(index[:, :half]), self._asked(index[:, half:])])

    def _fused(self, index: IntArray) -> Array:
        assert self._stage is not None
        features = {name: take_rows(self._features[name], index[m]) for m, name in enumerate(self.model.modalities)}
        # Of the batch only presence and length are read, and every modality of these samples is there.
        return self._stage.fuse(features, self._some(index.shape[1]))

    def _whole(self, index: IntArray) -> Array:
        return self.model.predict(self._gathered(index))

    def _gathered(self, index: IntArray) -> Batch:
        if self._inputs is None:
            self._inputs = self.data.rows(self.positions)
        inputs = self._inputs
        exchanged = {name: inputs.inputs[name][index[m]] for m, name in enumerate(self.model.modalities)}
        return inputs.take(index[0]).replace(exchanged)

    def _some(self, count: int) -> Batch:
        if not hasattr(self, "_first"):
            self._first = self.data.rows(self.positions[: self.step])
        return self._first.take(slice(0, count))

    # ---- encoding

    def _encoded(self, stage: TwoStage, name: str) -> Any:
        parts = [
            stage.encode(name, self.data.rows(self.positions[a : a + self.step]))
            for a in range(0, len(self.positions), self.step)
        ]
        sizes = [min(self.step, len(self.positions) - a) for a in range(0, len(self.positions), self.step)]
        try:
            return joined(parts, sizes)
        except Unequal:
            # Texts padded to the longest of each batch: all of them at once are padded alike.
            return stage.encode(name, self.data.rows(self.positions))

    def _try(self) -> None:
        """Raise unless gathered features give what the model answers to gathered inputs."""
        n, modalities = len(self.positions), len(self.model.modalities)
        some = min(TRIED, n, self.step)
        # Another order for every modality, and another length than that of the whole.
        index = np.stack([(np.arange(some) * (m + 2) + m) % n for m in range(modalities)])
        places, inverse = np.unique(index, return_inverse=True)
        held = self.data.rows(self.positions[places])
        local = inverse.reshape(index.shape)
        exchanged = {name: held.inputs[name][local[m]] for m, name in enumerate(self.model.modalities)}
        plain = self.model.predict(held.take(local[0]).replace(exchanged))
        staged = self._fused(index)
        if plain.shape != staged.shape or not np.array_equal(np.isfinite(plain), np.isfinite(staged)):
            raise Unequal("fusing gathered features gives outputs of another form")
        finite = np.isfinite(plain)
        if np.abs(plain - staged)[finite].max(initial=0.0) > ROUNDING * np.abs(plain[finite]).max(initial=0.0):
            raise Unequal("fusing gathered features gives other outputs")


def take_rows(features: Any, rows: IntArray) -> Any:
    """Return features whose row i is row `rows[i]` of the given ones: a tensor, or tuples, lists and dicts of them."""
    if isinstance(features, Mapping):
        return {key: take_rows(value, rows) for key, value in features.items()}
    if isinstance(features, tuple) and hasattr(features, "_fields"):
        return type(features)(*(take_rows(value, rows) for value in features))
    if isinstance(features, tuple | list):
        return type(features)(take_rows(value, rows) for value in features)
    if isinstance(features, _Same):
        return features.value
    return features[rows]


class _Same:
    """A part of the features that does not go by rows: the same for every batch."""

    def __init__(self, value: Any) -> None:
        self.value = value


def joined(parts: list[Any], sizes: list[int]) -> Any:
    """Join features of several batches; raises `Unequal` where they do not fit each other.

    Args:
        parts: what an encoder returned for each batch.
        sizes: rows of each.
    """
    first = parts[0]
    if isinstance(first, Mapping):
        return {key: joined([part[key] for part in parts], sizes) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(joined(list(values), sizes) for values in zip(*parts, strict=True)))
    if isinstance(first, tuple | list):
        return type(first)(joined(list(values), sizes) for values in zip(*parts, strict=True))
    shape = getattr(first, "shape", None)
    if shape is None or not len(shape) or int(shape[0]) != sizes[0]:
        if shape is None and any(part != first for part in parts):
            raise Unequal("a part of the features differs between batches")
        return _Same(first)
    if any(tuple(part.shape) != (size, *tuple(shape)[1:]) for part, size in zip(parts, sizes, strict=True)):
        raise Unequal("features of different batches have different shapes")
    if len(parts) == 1:
        return first
    whole = (sum(sizes), *(int(s) for s in tuple(shape)[1:]))
    # Tensors make room of their own kind, on their own device.
    room = first.new_empty(whole) if hasattr(first, "new_empty") else np.empty(whole, first.dtype)
    start = 0
    for part, size in zip(parts, sizes, strict=True):
        room[start : start + size] = part
        start += size
    return room
