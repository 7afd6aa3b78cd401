"""Read a pickle that holds nothing but containers, numbers, text and NumPy arrays; anything else in it is refused.

No function or class that the file names is called, NumPy's own included: a forged array state makes NumPy write where
it must not. Stand-ins take the state, and arrays are made of it afterwards, with checked types and sizes.
"""

from __future__ import annotations

import pickle  # nosec B403  # only with the user's trust, and nothing that the file names is called
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array

Plain = Callable[[Any], Any]
_TYPES = re.compile(r"[biufSU]\d{1,6}|O8?")


class _Type:
    """Stands in for `numpy.dtype`."""

    def __init__(self, name: str = "", *_: object) -> None:
        self._name, self._order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise BadInput("it holds an array of records, which no modality has.")
        self._order = {"<": "<", ">": ">"}.get(state[1], "=")

    def real(self) -> np.dtype[Any]:
        if not _TYPES.fullmatch(self._name):
            raise BadInput(f"it holds an array of type {self._name!r:.40}, which no modality has.")
        return np.dtype(self._name).newbyteorder(self._order)  # type: ignore[arg-type]


class _Values:
    """Stands in for `numpy.ndarray`."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def real(self, plain: Plain) -> Array:
        _, shape, kind, fortran, content = self.state
        return _array(content, kind, shape, "F" if fortran else "C", plain)


class _Buffered:
    """Stands in for what `numpy._core.numeric._frombuffer` and `numpy._core.multiarray.scalar` return."""

    def __init__(self, content: Any, kind: _Type, shape: tuple[int, ...], order: str = "C") -> None:
        self._given = (content, kind, shape, order)

    def real(self, plain: Plain) -> Any:
        found = _array(*self._given, plain)
        return found if found.ndim else found.item()


def _array(content: Any, kind: _Type, shape: tuple[int, ...], order: str, plain: Plain) -> Array:
    dtype = kind.real()
    if dtype.kind != "O":
        return np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C").copy()
    out = np.empty(len(content), dtype=object)
    out[:] = [plain(x) for x in content]
    return out.reshape(shape, order="F" if order == "F" else "C")


def _latin(text: str, _: str = "latin1") -> bytes:
    return text.encode("latin1")


_STAND_INS = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): (lambda *_: _Values()) for core in ("core", "_core")},
    **{
        (f"numpy.{core}.multiarray", "scalar"): (lambda kind, content=b"": _Buffered(content, kind, ()))
        for core in ("core", "_core")
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Buffered for core in ("core", "_core")},
    ("numpy", "ndarray"): _Values,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _latin,
}


class _NumbersOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise BadInput(f"it asks for {module}.{name}, which is neither a number, nor text, nor an array.")
        return _STAND_INS[module, name]


class _Plain:
    """Turns stand-ins into arrays, at any depth, each once however often it is named."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        """Return the plain value; a container within itself ends in a RecursionError."""
        if isinstance(value, str | bytes | int | float | complex | None):
            return value
        # What is named twice would be made twice, and thirty lists of two of the list before a thousand million times.
        if id(value) not in self._known:
            self._known[id(value)] = self._made(value)
        return self._known[id(value)]

    def _made(self, value: Any) -> Any:
        if isinstance(value, _Values | _Buffered):
            return value.real(self)
        if isinstance(value, dict):
            return {key: self(x) for key, x in value.items()}
        if isinstance(value, list | tuple):
            return [self(x) for x in value]
        raise BadInput(f"it holds a {type(value).__name__}, which is neither a number, nor text, nor an array.")


def _require_bounded(file: BinaryIO) -> None:
    """Refuse a place in the unpickler's memory that no writer comes to: as much as it says is allocated at once."""
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        puts = operation.name in ("PUT", "BINPUT", "LONG_BINPUT")
        if puts and not (isinstance(argument, int) and 0 <= argument <= count + 1):
            raise BadInput(f"it keeps its value number {count} as number {argument}.")


def load_numbers(path: Path) -> Any:
    """Return the content of a pickle of plain values and arrays; tuples come as lists.

    Raises:
        BadInput: it is damaged, or would build anything else.
    """
    try:
        with path.open("rb") as file:
            _require_bounded(file)
            file.seek(0)
            held = _NumbersOnly(file).load()  # nosec B301
            return _Plain()(held)
    except BadInput as error:
        raise BadInput(f"file {path}: {error} It is not as published; get it anew.") from error
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadInput(f"file {path} is not a readable pickle ({reason}); copy it again.") from error
