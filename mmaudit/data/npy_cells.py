"""Rows of .npy files on disk, read on request."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tokenize import TokenError  # NumPy reads an array's header as Python text
from typing import Any

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, IntArray


def open_npy(path: str | os.PathLike[str]) -> Array:
    """Return a .npy file's array, memory-mapped and read-only.

    Raises:
        BadInput: it is missing, damaged or pickled.
    """
    try:
        values: Array = np.lib.format.open_memmap(path, mode="r", max_header_size=1_000)
    except FileNotFoundError as error:
        raise BadInput(f"file {os.fspath(path)!r} does not exist.") from error
    except (ValueError, OSError, EOFError, MemoryError, OverflowError, SyntaxError, TypeError, TokenError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"file {os.fspath(path)!r} is not a readable .npy file of numbers ({reason}); copy it again "
            "(pickled arrays are refused)."
        ) from error
    if not isinstance(values, np.ndarray) or values.ndim == 0:
        raise BadInput(f"file {os.fspath(path)!r} holds no rows.")
    if values.dtype.kind not in "biuf":
        raise BadInput(
            f"file {os.fspath(path)!r} holds values of type {str(values.dtype)!r:.60}, where numbers belong."
        )
    return values


class NpyCells:
    """Rows of one .npy file, each brought to a shape.

    Args:
        path: the file; opened anew in every process that reads, and never copied into another.
        rows: which row of the file each sample has; None: all, in order.
        shape: of one sample, of the same number of values as a row; None: as the file has it.
        dtype: to convert to; None: as the file has it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rows: IntArray | None = None,
        shape: tuple[int, ...] | None = None,
        dtype: str | None = None,
    ) -> None:
        self._path = Path(path)
        values = open_npy(path)
        self._rows = np.arange(len(values)) if rows is None else rows
        if len(self._rows) and self._rows.max() >= len(values):
            raise BadInput(
                f"file {self._path} has {len(values):,} rows, fewer than {self._rows.max() + 1:,}; copy it again."
            )
        self._shape = values.shape[1:] if shape is None else shape
        self._dtype = np.dtype(dtype or values.dtype)
        self._said = f"{self._path.name} {list(values.shape)} {values.dtype}"
        if int(np.prod(self._shape)) != int(np.prod(values.shape[1:])):
            raise BadInput(
                f"file {self._path} has rows of shape {list(values.shape[1:])}; expected {list(self._shape)} each."
            )

    @property
    def recorded(self) -> BoolArray:
        """bool[n], all True."""
        return np.ones(len(self._rows), np.bool_)

    def traits(self) -> Iterator[str]:
        """The file's name, shape and type."""
        yield self._said

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the rows."""
        values = open_npy(self._path)
        taken = np.asarray(values[self._rows[positions]]).reshape(len(positions), *self._shape)
        with np.errstate(over="ignore"):  # too large a value becomes infinite, and is refused as such
            return list(taken.astype(self._dtype, copy=False))
