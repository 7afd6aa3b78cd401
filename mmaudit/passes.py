"""A batch's way through the model: whole where it fits the device, in halves of halves where it does not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmaudit.errors import ContractBroken, MMAuditError
from mmaudit.memo import FeatureMemo
from mmaudit.models import Model, TwoStage
from mmaudit.models.failure import out_of_memory, raise_if_out_of_memory
from mmaudit.outputs import Float32Array
from mmaudit.repeats import Repeats
from mmaudit.timing import Timing
from mmaudit.types import Array, Batch, BoolArray


@dataclass
class Fit:
    """What is known of the device: most rows of a pass; None until it once ran out of memory."""

    rows: int | None = None


class Passes:
    """The passes of one batch under all conditions.

    Where the device runs out of memory, the batch goes on in halves, from the condition at which it did; the answers so
    far stand. Later batches begin at the size that fitted.

    Args:
        model: run whole where there is no `stage`.
        stage: the model's two-stage view, whose encodings are kept for the life of this object.
        clean: the batch under no condition.
        width: columns of an answer.
        timing: is added to.
        fit: shared by the batches of a worker; changed where a batch does not fit.
        repeats: shared likewise; encodes rows of the stage that a batch holds several times once.
    """

    def __init__(
        self,
        model: Model,
        stage: TwoStage | None,
        clean: Batch,
        width: int,
        timing: Timing,
        fit: Fit,
        repeats: Repeats | None = None,
    ) -> None:
        self._model, self._stage, self._clean = model, stage, clean
        self._width, self._timing, self._fit, self._repeats = width, timing, fit, repeats
        self._begin()

    def predict(self, batch: Batch, changed: dict[str, BoolArray] | None = None) -> Array:
        """Return what the model answers to the batch under a condition, [n, width], in its own scale.

        Args:
            batch: with the rows of the clean one.
            changed: as `FeatureMemo.predict` takes it.

        Raises:
            BadInput: the device runs out of memory even on one row.
            ContractBroken: the model returns something else than a row of `width` numbers for each row.
            Exception: whatever else the model raises.
        """
        while True:
            try:
                return self._in_pieces(batch, changed)
            except (MMAuditError, MemoryError):
                raise
            except Exception as error:
                raise_if_out_of_memory(error, self._rows)
                if not out_of_memory(error):
                    raise
            # Outside of the handler: with the error goes its traceback, and with that the failed pass's tensors.
            self._halve()

    def _in_pieces(self, batch: Batch, changed: dict[str, BoolArray] | None) -> Array:
        parts: list[Array] = []
        for i, rows in enumerate(self._slices):
            piece = self._cut.batch(batch, i, rows) if len(self._slices) > 1 else batch
            memo = self._memos[i]
            if memo is None:
                found = self._model.predict(piece)
            else:
                found = memo.predict(piece, changed and {name: x[rows] for name, x in changed.items()})
            parts.append(checked(found, len(piece), self._width))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _begin(self) -> None:
        n = len(self._clean)
        self._rows = min(n, self._fit.rows or n)
        self._slices = [slice(start, min(start + self._rows, n)) for start in range(0, n, max(1, self._rows))]
        self._cut = _Cut(len(self._clean.inputs))
        self._memos: list[FeatureMemo | None] = []
        for i, rows in enumerate(self._slices):
            whole = len(self._slices) == 1
            clean = self._clean if whole else self._cut.batch(self._clean, i, rows)
            about = (self._model.modalities, clean, self._timing, self._repeats)
            self._memos.append(FeatureMemo(self._stage, *about) if self._stage else None)

    def _halve(self) -> None:
        self._fit.rows = self._rows // 2
        self._memos = []
        release: Callable[[], None] | None = getattr(self._model, "release_memory", None)
        if release is not None:
            release()
        self._timing.halved += 1
        self._timing.least_rows = self._fit.rows
        self._begin()


class _Cut:
    """Pieces of arrays: the same array gives the same pieces, so that what is kept by identity is found again."""

    def __init__(self, modalities: int) -> None:
        # A subset's stand-ins are a column and its marks for each modality; the clean ones are asked for all the time.
        self._most = 6 * modalities
        self._known: OrderedDict[int, tuple[Array, dict[int, Array]]] = OrderedDict()

    def batch(self, batch: Batch, i: int, rows: slice) -> Batch:
        """Return piece `i` of a batch."""
        whole: dict[str, Any] = {name: self._piece(x, i, rows) for name, x in batch.inputs.items()}
        marks = {name: self._piece(x, i, rows) for name, x in batch.present.items()}
        return Batch(whole, marks, batch.target[rows], batch.ids[rows], batch.positions[rows])

    def _piece(self, array: Array, i: int, rows: slice) -> Array:
        # The array is held beside its pieces: an id is only unique while its object lives.
        _, pieces = self._known.setdefault(id(array), (array, {}))
        self._known.move_to_end(id(array))
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return pieces.setdefault(i, array[rows])


def checked(rows: Array, n: int, width: int) -> Array:
    """Return the rows; raises `ContractBroken` unless they are `[n, width]`."""
    if np.shape(rows) != (n, width):
        raise ContractBroken("model", "output shape", f"gave outputs of shape {np.shape(rows)}, expected {(n, width)}")
    return rows


def one_by_one(predict: Callable[[Batch], Array], batch: Batch, width: int, keep: Callable[[], None]) -> Float32Array:
    """Return answers where the model answers, NaN where it raises, found by halving.

    Args:
        predict: of the model run whole.
        batch: that it raised for.
        width: columns of an answer.
        keep: called while the exception of a single row is being handled.
    """
    try:
        return np.asarray(checked(predict(batch), len(batch), width))
    except (MMAuditError, MemoryError):
        raise
    except Exception as error:
        raise_if_out_of_memory(error, len(batch))
        if len(batch) == 1:
            keep()
            return np.full((1, width), np.nan, np.float32)
    half = len(batch) // 2
    parts = [one_by_one(predict, batch.take(h), width, keep) for h in (slice(None, half), slice(half, None))]
    return np.concatenate(parts)
