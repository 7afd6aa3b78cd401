"""Objects for other processes of this machine: pickled once to a private file, large arrays mapped and not copied.

The file lies in a folder of its own that only this user may read, and that is gone after the audit. It is never part of
a run: nothing that is found in a run folder is unpickled.
"""

from __future__ import annotations

import io
import mmap
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array

# Arrays from this size on stay outside the pickle; smaller ones are not worth a page of their own.
LARGE = 1 << 20


def pack(obj: Any, file: Path, who: str) -> None:
    """Write an object to a file, with what it is made of.

    Args:
        obj: anything; functions and classes of the user's own script travel with it (cloudpickle).
        file: new.
        who: for messages: "model 'fusion'".

    Raises:
        BadInput: it holds something that no other process can have, or there is no room.
    """
    buffers: list[pickle.PickleBuffer] = []

    def apart(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < LARGE:
            return True
        buffers.append(buffer)
        return False

    stream = io.BytesIO()
    try:
        _pickler(stream, apart).dump(obj)
    except Exception as error:
        raise BadInput(unsendable(who, error)) from error
    head = stream.getbuffer()
    try:
        with file.open("xb") as out:
            sizes = [len(head), *(b.raw().nbytes for b in buffers)]
            out.write(np.array([len(sizes), *sizes], "<i8").tobytes())
            for part in (head, *(b.raw() for b in buffers)):
                out.seek(_aligned(out.tell()))
                out.write(part)
    except OSError as error:
        raise BadInput(
            f"{who} cannot be handed to other processes: {file.parent} has no room ({error.strerror}); "
            "set TMPDIR to a folder with more."
        ) from error


def unpack(file: Path) -> Any:
    """Return what `pack` wrote. Large arrays are the file's own pages, shared by all who read it, until written to."""
    with file.open("rb") as stream:
        # A private mapping: arrays may be written to, as the originals may, and nobody else sees it.
        mapped = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))
    count = int(np.frombuffer(mapped, "<i8", 1)[0])
    sizes = np.frombuffer(mapped, "<i8", count, offset=8).tolist()
    parts, at = [], 8 * (1 + count)
    for size in sizes:
        at = _aligned(at)
        parts.append(mapped[at : at + size])
        at += size
    return pickle.loads(parts[0], buffers=parts[1:])  # written by this audit's own driver, see above


def unsendable(who: str, error: Exception) -> str:
    """What to say of an object that cannot be pickled."""
    return (
        f"{who} cannot be sent to another process ({type(error).__name__}: {error}). Give the executor a function that "
        "makes it there, as in mmaudit.execution.Loky(2, make_model=my_module.make), or audit with jobs=1."
    )


def _aligned(place: int) -> int:
    return -(-place // mmap.PAGESIZE) * mmap.PAGESIZE


def _pickler(stream: io.BytesIO, apart: Any) -> Any:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, np.memmap) and (place := _place(obj)) is not None:
                return _mapped, (*place, obj.dtype, obj.shape)
            return super().reducer_override(obj)

    return Pickler(stream, protocol=5, buffer_callback=apart)


def _place(array: Any) -> tuple[str, int] | None:
    """File and offset of a mapped array that is a piece of its file, in order; None for any other."""
    name, base = getattr(array, "filename", None), getattr(array, "_mmap", None)
    if name is None or base is None or array.mode == "c" or not array.flags.c_contiguous or array.dtype.hasobject:
        return None
    # A slice keeps the offset of the whole: where it lies is told by addresses alone.
    start = np.frombuffer(base, np.uint8).ctypes.data
    return str(Path(name).absolute()), array.offset - array.offset % mmap.ALLOCATIONGRANULARITY + (
        array.ctypes.data - start
    )


def _mapped(name: str, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    return np.memmap(name, dtype, "r", offset, shape)
