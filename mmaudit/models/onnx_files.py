"""Which files an ONNX model consists of, found without running anything, and kept to the model's own folder.

An ONNX file can name other files that hold its weights ("external data"). Such a name comes from whoever made the
file: `../../.ssh/id_rsa` would be read as weights as readily as `model.onnx.data`. The names are therefore read here,
from the file's protobuf encoding (https://protobuf.dev/programming-guides/encoding/, field numbers of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), and checked before onnxruntime sees the model.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from mmaudit.errors import BadInput

__all__ = ["content_digest", "external_files"]

# The messages that lead to a tensor, by field number. What no entry names is skipped without being looked at.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _LENGTH, _START, _END, _FIXED32 = range(6)
# Graphs lie within attributes of nodes of graphs; protobuf itself stops at 100.
_DEEPEST = 200
# onnxruntime's own mark for weights that lie in its memory: the "offset" of such an entry is an address.
_IN_MEMORY = "_ORT_MEM_ADDR_"


def external_files(path: Path) -> list[Path]:
    """Return the files of weights that an ONNX model names, each once, sorted by name; resolved paths.

    Args:
        path: of the `.onnx` file. It is read without being executed, and its weights without being loaded.

    Raises:
        BadInput: the file is no ONNX model; or it names a file that is absolute, leads out of the model's folder (by
            `..` or by a symbolic link), is missing, or is not a regular file.
    """
    home = path.resolve().parent
    found: dict[str, Path] = {}
    for name in sorted(_locations(path)):
        found[name] = _confined(path, home, name)
    return list(dict.fromkeys(found.values()))


def content_digest(path: Path) -> str:
    """Return 64 hex digits of the bytes of an ONNX model and of every file of weights that it names."""
    home = path.resolve().parent
    content = hashlib.sha256(_digest(path))
    for file in external_files(path):
        content.update(file.relative_to(home).as_posix().encode("utf-8", "surrogatepass") + b"\0" + _digest(file))
    return content.hexdigest()


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _confined(path: Path, home: Path, name: str) -> Path:
    who, shown = f"ONNX model {path.name!r}", repr(name[:200])
    advice = "the files of its weights must lie in its own folder or below; a model that names others is not loaded."
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor
    if absolute or ".." in PurePosixPath(name.replace("\\", "/")).parts or _IN_MEMORY in name or "\0" in name:
        raise BadInput(f"{who} names {shown} as a file of weights: {advice}")
    try:
        file = (home / name).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise BadInput(
            f"{who} keeps weights in {shown}, which is not beside it; put the files it was exported with together."
        ) from error
    if not file.is_relative_to(home):
        raise BadInput(f"{who} names {shown} as a file of weights, a link out of its folder: {advice}")
    if not file.is_file():
        raise BadInput(f"{who} names {shown} as a file of weights, which is no regular file: {advice}")
    return file


def _locations(path: Path) -> set[str]:
    """Every `location` of external data in the model, whether or not the tensor says that it uses it."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                return set(_of_message(view, 0, len(view), "model", 0))
            finally:
                view.release()
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise BadInput(f"ONNX model {str(path)!r} cannot be read: {error}.") from error
    except _Damaged as error:
        raise BadInput(f"{path.name!r} is no ONNX model, or is damaged: {error}.") from error


class _Damaged(Exception):
    """The bytes are no protobuf message."""


def _of_message(view: memoryview, start: int, end: int, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise _Damaged("its graphs are nested too deeply")
    if kind == "entry":
        yield from _of_entry(view, start, end)
        return
    inner = _FIELDS[kind]
    for field, begin, stop in _fields(view, start, end):
        if field in inner:
            yield from _of_message(view, begin, stop, inner[field], depth + 1)


def _of_entry(view: memoryview, start: int, end: int) -> Iterator[str]:
    # A field that is given twice counts by its last value, but readers differ: all values are looked at.
    keys: list[str] = []
    values: list[str] = []
    for field, begin, stop in _fields(view, start, end):
        if field in (_KEY, _VALUE):
            text = bytes(view[begin:stop]).decode("utf-8", "surrogateescape")
            (keys if field == _KEY else values).append(text)
    if "location" in keys:
        yield from values


def _fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Field number and extent of every field of a message that has a length; all others are stepped over."""
    at, groups = start, 0
    while at < end:
        tag, at = _varint(view, at, end)
        field, wire = tag >> 3, tag & 7
        if not field:
            raise _Damaged("it has a field without a number")
        if wire == _LENGTH:
            length, at = _varint(view, at, end)
            if at + length > end:
                raise _Damaged("it is cut short")
            if not groups:
                yield field, at, at + length
            at += length
        elif wire == _VARINT:
            at = _varint(view, at, end)[1]
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        elif wire in (_START, _END):
            groups += 1 if wire == _START else -1
        else:
            raise _Damaged(f"it has a field of the unknown type {wire}")
    if at != end or groups:
        raise _Damaged("it is cut short")


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _Damaged("it is cut short")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Damaged("it holds a number of more than 64 bits")
