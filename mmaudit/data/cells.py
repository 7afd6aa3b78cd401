"""Where the values of one modality come from, when they are read on request: files, or a column in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from mmaudit.data.columns import Column
from mmaudit.data.confined import Root
from mmaudit.data.decoder import MAX_BYTES, Decoder
from mmaudit.data.scan import wholly_nan
from mmaudit.errors import BadInput
from mmaudit.types import BoolArray, IntArray


class Cells(Protocol):
    """The values of one modality, one cell per sample, read on request and the same at each reading.

    It must survive pickling, so that a worker process can read for itself: no open files.
    """

    @property
    def recorded(self) -> BoolArray:
        """bool[n]: what is known without reading any value; False where there is surely none."""

    def traits(self) -> Iterator[str]:
        """What tells of a changed cell without reading it, such as a file's name and size; part of the fingerprint."""

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the values at these positions: arrays of numbers or text; None where it was not recorded."""


class Held:
    """A column in memory. What is wholly NaN, as the empty cells of a table, was not recorded."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._recorded = column.recorded() & ~wholly_nan(column)

    @property
    def recorded(self) -> BoolArray:
        """bool[n], False where the value was given as None or is wholly NaN."""
        return self._recorded

    def traits(self) -> Iterator[str]:
        """Nothing: values in memory are read quickly."""
        return iter(())

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the values; None where it was not recorded."""
        here = self._recorded[positions]
        return [x if there else None for x, there in zip(self._column.take(positions, here), here, strict=True)]


class Chosen:
    """Some rows of other cells."""

    def __init__(self, cells: Cells, rows: IntArray) -> None:
        self._cells = cells
        self._rows = rows

    @property
    def recorded(self) -> BoolArray:
        """bool[rows]."""
        return self._cells.recorded[self._rows]

    def traits(self) -> Iterator[str]:
        """Those of all rows, as the base has them."""
        return self._cells.traits()

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the values of the chosen rows at these positions."""
        return self._cells.read(self._rows[positions])


class FileCells:
    """One file per sample, under a root.

    Args:
        name: of the modality, for messages.
        root: the folder that names are resolved under.
        names: relative path per sample, None where none is recorded.
        decoder: of the files.

    A named file that does not exist was not recorded: natural missingness is often kept that way. If not a single one
    exists, the root is wrong.

    Raises:
        BadInput: a name leads out of the root or to no regular file; or none of the files exists.
    """

    def __init__(self, name: str, root: str | os.PathLike[str], names: Sequence[str | None], decoder: Decoder) -> None:
        self._modality = name
        self._root = Root(root)
        self._names = list(names)
        self._decoder = decoder
        self._sizes = np.full(len(self._names), -1, np.int64)
        for row, file in enumerate(self._names):
            found = None if file is None else self._root.find(file, f"modality {name!r}, row {row}")
            if found is not None:
                self._sizes[row] = found[1]
        self.absent_files = sum(file is not None for file in self._names) - int((self._sizes >= 0).sum())
        named = [file for file in self._names if file is not None]
        if named and self.absent_files == len(named):
            raise BadInput(
                f"modality {name!r}: none of its {len(named):,} files exists under {self._root.path}; the first is "
                f"{named[0]!r:.200}. Give the folder that these paths start from as the root."
            )

    @property
    def recorded(self) -> BoolArray:
        """bool[n]: a file is named and exists."""
        return self._sizes >= 0

    def traits(self) -> Iterator[str]:
        """Name and size of each file."""
        yield from (f"{name or ''}\0{size}" for name, size in zip(self._names, self._sizes.tolist(), strict=True))

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the decoded files."""
        return [self._one(row) for row in positions.tolist()]

    def _one(self, row: int) -> Any:
        name = self._names[row]
        if name is None or self._sizes[row] < 0:
            return None
        content = self._root.read(name, f"modality {self._modality!r}, row {row}", MAX_BYTES)
        return self._decoder.decode(content, f"{name!r:.200}")
