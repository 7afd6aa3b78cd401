"""Arrays of HDF5 files, read on request: only what lies in the file itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.errors import BadInput, MissingExtra
from mmaudit.types import Array, BoolArray, IntArray

MOST_PACKED = 1_100
"""How many times its size in the file an array may have: deflate makes no more than 1,032 of one byte."""
_SLACK = 2**20


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open an HDF5 file for reading.

    Raises:
        BadInput: it is missing or damaged, also where that shows only while it is read.
        MissingExtra: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "hdf5") from None
    if not Path(path).is_file():
        raise BadInput(f"file {os.fspath(path)!r} does not exist.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadInput(f"file {os.fspath(path)!r} is not a readable HDF5 file ({reason}); copy it again.") from error


def inside(file: Any, *names: str) -> Any:
    """Return the group or array that `names` lead to.

    Raises:
        BadInput: there is none; or it lies in another file (external link, external storage, virtual array), which a
            file from elsewhere must not make mmaudit read; or it states more values than the file can hold.
    """
    import h5py

    here = file
    for name in names:
        link = here.get(name, getlink=True) if isinstance(here, h5py.Group) else None
        if link is None:
            raise BadInput(f"{Path(file.file.filename).name} has no {'/'.join(names)!r:.200}.")
        if not isinstance(link, h5py.HardLink):
            raise BadInput(f"{Path(file.file.filename).name}: {name!r:.200} is a link; only the file itself is read.")
        here = here[name]
    if isinstance(here, h5py.Dataset) and (here.is_virtual or here.external):
        raise BadInput(f"{Path(file.file.filename).name}: {'/'.join(names)!r:.200} lies in another file.")
    if isinstance(here, h5py.Dataset) and (here.size or 0) * here.dtype.itemsize > _SLACK + MOST_PACKED * _stored(here):
        raise BadInput(
            f"{Path(file.file.filename).name}: {'/'.join(names)!r:.200} states a shape of {here.shape!r:.100}, which "
            "is more than the file holds."
        )
    return here


def array_inside(file: Any, *names: str) -> Any:
    """Return the array that `names` lead to; raises `BadInput` as `inside`, or where it is a group or a type."""
    import h5py

    found = inside(file, *names)
    if not isinstance(found, h5py.Dataset):
        raise BadInput(f"{Path(file.file.filename).name}: {'/'.join(names)!r:.200} is no array.")
    return found


def _stored(array: Any) -> int:
    """Bytes that an array takes in its file."""
    return int(array.id.get_storage_size())


class Hdf5Cells:
    """One array per sample in an HDF5 file, under the sample's key; None for a key that the file lacks.

    Args:
        path: the file.
        keys: one per sample.
        dtype: to convert to.
    """

    def __init__(self, path: str | os.PathLike[str], keys: Sequence[str], dtype: str = "float32") -> None:
        self._path, self._keys, self._dtype = Path(path), list(keys), dtype
        with open_hdf5(path) as file:
            self._shapes = [array_inside(file, key).shape if key in file else None for key in self._keys]

    @property
    def recorded(self) -> BoolArray:
        """bool[n]: the file has an array of at least one value for the sample."""
        return np.array([shape is not None and 0 not in shape for shape in self._shapes], np.bool_)

    def traits(self) -> Iterator[str]:
        """The shape of each array."""
        yield from map(str, self._shapes)

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the arrays."""
        with open_hdf5(self._path) as file:
            return [self._one(file, row) for row in positions.tolist()]

    def _one(self, file: Any, row: int) -> Array | None:
        if self._shapes[row] is None:
            return None
        with np.errstate(over="ignore"):  # too large a value becomes infinite, and is refused as such
            return np.asarray(array_inside(file, self._keys[row])[()]).astype(self._dtype)
