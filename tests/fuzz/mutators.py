"""Changes to bytes that were sound: blind ones, and ones that keep the container whole so that what is inside is read.

Every draw comes from a `random.Random`, so that an input is known by its seed, and Hypothesis, which gives a generator
of its own, can shrink it.

    mutated("json", data, random.Random(7))
"""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

from fuzz import tables, values

TIMES = (1, 1, 1, 2, 2, 3, 5, 8)
"""How many changes one input has: mostly one, so that one defence is tried at a time."""
BLIND = 0.25
"""Share of the inputs of a known form that are changed blindly all the same."""
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1)
LARGEST = 2**18
"""Bytes of an input at most: a campaign looks for faults in small files; bombs are written by hand."""


def mutated(form: str, data: bytes, rng: Random) -> bytes:
    """Return `data` with a few changes; `form` is one of `FORMS`."""
    change = FORMS[form] if form != "bytes" and rng.random() > BLIND else _bytes
    try:
        found = change(data, rng)
    except _Unfit:
        found = _bytes(data, rng)
    return found[:LARGEST]


class _Unfit(Exception):
    """The bytes are not of the form (they were changed blindly before), so only a blind change is possible."""


# ---- blind


def _bytes(data: bytes, rng: Random) -> bytes:
    raw = bytearray(data)
    for _ in range(rng.choice(TIMES)):
        rng.choice(_BLIND)(raw, rng)
    return bytes(raw)


def _flip(raw: bytearray, rng: Random) -> None:
    if raw:
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)


def _set(raw: bytearray, rng: Random) -> None:
    if raw:
        raw[rng.randrange(len(raw))] = rng.randrange(256)


def _number(raw: bytearray, rng: Random) -> None:
    """A number that is an edge of its type, in either order of bytes."""
    width = rng.choice((1, 2, 4, 8))
    if len(raw) >= width:
        at = rng.randrange(len(raw) - width + 1)
        value = rng.choice(INTERESTING) % 256**width
        raw[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))


def _cut(raw: bytearray, rng: Random) -> None:
    del raw[rng.randrange(len(raw) + 1) :]


def _drop(raw: bytearray, rng: Random) -> None:
    at = rng.randrange(len(raw) + 1)
    del raw[at : at + rng.choice((1, 2, 4, 16, 256))]


def _insert(raw: bytearray, rng: Random) -> None:
    at = rng.randrange(len(raw) + 1)
    raw[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 2, 4, 16))))


def _repeat(raw: bytearray, rng: Random) -> None:
    at = rng.randrange(len(raw) + 1)
    part = bytes(raw[at : at + rng.choice((1, 8, 64))])
    raw[at:at] = part * rng.choice((1, 3, 200))


def _zero(raw: bytearray, rng: Random) -> None:
    at = rng.randrange(len(raw) + 1)
    end = min(at + rng.choice((4, 32, 256)), len(raw))
    raw[at:end] = bytes(end - at)


def _move(raw: bytearray, rng: Random) -> None:
    a, b = rng.randrange(len(raw) + 1), rng.randrange(len(raw) + 1)
    part = bytes(raw[a : a + 32])
    raw[b : b + len(part)] = part


_BLIND: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip, _flip, _set, _number, _number, _cut, _drop, _insert, _repeat, _zero, _move,
)  # fmt: skip


# ---- texts


def _json(data: bytes, rng: Random) -> bytes:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise _Unfit from None
    for _ in range(rng.choice(TIMES)):
        found = values.changed(found, rng)
    text = values.nested(json.dumps(found, ensure_ascii=rng.random() < 0.5), rng)
    return text.encode("utf-8", "surrogatepass")


def _toml(data: bytes, rng: Random) -> bytes:
    import tomllib

    try:
        found: Any = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _Unfit from None
    for _ in range(rng.choice(TIMES)):
        found = values.changed(found, rng)
    return values.nested(values.toml(found), rng).encode("utf-8", "replace")


# ---- containers


def _npz(data: bytes, rng: Random) -> bytes:
    """Members changed and packed again, with sums that are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:
        raise _Unfit from None
    for _ in range(rng.choice(TIMES)):
        members = _members(members, rng)
    file = io.BytesIO()
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", packing) as archive:
        warnings.simplefilter("ignore")  # a name that is there twice is meant
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def _members(members: list[tuple[str, bytes]], rng: Random) -> list[tuple[str, bytes]]:
    if not members:
        return [("x.npy", b"\x93NUMPY\x01\x00")]
    at = rng.randrange(len(members))
    name, content = members[at]
    kind = rng.randrange(6)
    if kind == 0:
        return members[:at] + members[at + 1 :]
    if kind == 1:
        other = members[rng.randrange(len(members))][1]
        return [*members[:at], (name, other), *members[at + 1 :]]
    if kind == 2:
        odd = rng.choice(("", ".npy", "../x.npy", "/x.npy", "task.npy", "classes.npy", name, f"{name[:-4]}.index.npy"))
        return [*members, (odd, content)]
    if kind in (3, 4):
        return [*members[:at], (name, _npy(content, rng)), *members[at + 1 :]]
    return [*members[:at], (name, _bytes(content, rng)), *members[at + 1 :]]


_TYPES = ("<f4", "<f8", "<i8", "|b1", "|u1", "<U4", "|S3", "|O", "<c16", "<M8[s]", "|V8", "<f2", ">i4", "<U0")
_SHAPES = ("()", "(0,)", "(1,)", "(12,)", "(12, 1)", "(2, 2, 3)", "(-1,)", "(10**12,)", "(1000000000000,)", "(12, 0)")


def _npy(content: bytes, rng: Random) -> bytes:
    """Another header before the same numbers."""
    if content[:6] != b"\x93NUMPY" or len(content) < 10:
        raise _Unfit
    size = struct.unpack_from("<H", content, 8)[0]
    header, rest = content[10 : 10 + size].decode("latin1"), content[10 + size :]
    kind = rng.randrange(4)
    if kind == 0:
        before, _, after = header.partition("'descr': ")
        header = f"{before}'descr': {rng.choice(_TYPES)!r}{after[after.find(',') :]}"
    elif kind == 1:
        before, _, after = header.partition("'shape': ")
        header = f"{before}'shape': {rng.choice(_SHAPES)}{after[after.find(')') + 1 :]}"
    elif kind == 2:
        header = header.replace("False", "True")
    else:
        header = _bytes(header.encode("latin1"), rng).decode("latin1")
    packed = header.encode("latin1")[:60_000]
    return content[:8] + struct.pack("<H", len(packed)) + packed + rest


def _safetensors(data: bytes, rng: Random) -> bytes:
    """Its JSON header changed, its length stated rightly."""
    if len(data) < 8:
        raise _Unfit
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8:
        raise _Unfit
    header = _json(data[8 : 8 + size], rng)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def _parquet(data: bytes, rng: Random) -> bytes:
    """Columns, types, rows, row groups and metadata changed and written again."""
    try:
        table, metadata = tables.read(data)
    except Exception:
        raise _Unfit from None
    for _ in range(rng.choice(TIMES)):
        table, metadata = tables.changed(table, metadata, rng)
    try:
        return tables.written(table, metadata, rng)
    except Exception:  # pyarrow cannot write every table that it can hold
        raise _Unfit from None


FORMS: dict[str, Callable[[bytes, Random], bytes]] = {
    "bytes": _bytes,
    "json": _json,
    "toml": _toml,
    "npz": _npz,
    "safetensors": _safetensors,
    "parquet": _parquet,
}
