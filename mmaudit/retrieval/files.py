"""Features of a whole data set in a file: written once, row after row, and read in blocks, so memory stays small."""

from __future__ import annotations

import os
import uuid
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmaudit.errors import BadInput, ContractBroken, StorageFailed
from mmaudit.folder import storing, whole
from mmaudit.types import Array, BoolArray, IntArray

Float32Array = npt.NDArray[np.float32]


class FeatureFile:
    """Features of n samples, `float32[n, *shape]`, and which of them have any, in two .npy files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether the file is there; a file that is there is whole."""
        return self.path.exists()

    @cached_property
    def usable(self) -> BoolArray:
        """`bool[n]`: whether a sample has features."""
        return np.asarray(np.load(_beside(self.path), allow_pickle=False), np.bool_)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample's features."""
        return tuple(self._open().shape[1:])

    def read(self, positions: IntArray) -> Float32Array:
        """Return the features of some samples, `float32[rows, *shape]`, as a copy."""
        # Mapped anew each time: what stays mapped counts as this process's memory.
        mapped = self._open()
        if len(positions) and positions[-1] - positions[0] == len(positions) - 1 and (np.diff(positions) == 1).all():
            return np.array(mapped[positions[0] : positions[-1] + 1])
        return np.asarray(mapped[positions])

    def remove(self) -> None:
        """Delete the files."""
        self.path.unlink(missing_ok=True)
        _beside(self.path).unlink(missing_ok=True)

    def _open(self) -> Float32Array:
        mapped: Float32Array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return mapped


class FeatureWriter:
    """Writes a `FeatureFile`, row after row; nothing is there under its name before `close`."""

    def __init__(self, path: Path, n: int, who: str) -> None:
        self._path, self._n, self._who = path, n, who
        # A name that no other process has: those of containers that share the folder often have equal numbers.
        self._partial = path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.partial")
        self._usable = np.zeros(n, np.bool_)
        self._shape: tuple[int, ...] | None = None
        self._rows = 0
        self._size = 0

    def add(self, features: Array | None, usable: BoolArray) -> None:
        """Write the next rows.

        Args:
            features: `[rows, *shape]`; None where none of them has any.
            usable: `bool[rows]`; the others are written as zeros.
        """
        if features is not None:
            self._begin(features.shape[1:])
        self._usable[self._rows : self._rows + len(usable)] = usable
        if self._shape is not None:
            block = np.zeros((len(usable), *self._shape), np.float32)
            if features is not None:
                block[usable] = features[usable]
            # Opened anew each time: whatever an encoder raises, no file stays open.
            with storing(self._path), self._partial.open("ab") as file:
                file.write(block.tobytes())
        self._rows += len(usable)

    def _begin(self, shape: tuple[int, ...]) -> None:
        if self._shape is not None:
            if shape != self._shape:
                raise ContractBroken(
                    self._who, "shape", f"gives features of shape {list(shape)} here, {list(self._shape)} before"
                )
            return
        self._shape = shape
        about = {"descr": "<f4", "fortran_order": False, "shape": (self._n, *shape)}
        with storing(self._path), self._partial.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, about)
            self._size = file.tell() + 4 * self._n * int(np.prod(shape))
            # What came before had no features, so its shape was not known.
            file.write(bytes(4 * self._rows * int(np.prod(shape))))

    def close(self) -> FeatureFile:
        """Put the files in their place; the one that says that both are whole comes last.

        Raises:
            BadInput: no sample has features.
            StorageFailed: what was written is not all there, or cannot be put in place.
        """
        if self._shape is None:
            raise BadInput(f"{self._who} gives usable features for no sample.")
        with storing(self._path):
            size = self._partial.stat().st_size
        if size != self._size:
            self._partial.unlink(missing_ok=True)
            raise StorageFailed(
                f"{self._path} was written with {size:,} bytes where {self._size:,} were meant: the file system lost "
                "some, or something else wrote there. Run the same again, which goes on from what is whole."
            )
        beside = _beside(self._path)
        with whole(beside) as partial, partial.open("wb") as file:
            np.save(file, self._usable)
        with storing(self._path):
            self._partial.replace(self._path)
        return FeatureFile(self._path)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.usable.npy")
