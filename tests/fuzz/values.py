"""Plain values (of JSON or TOML) with one thing changed somewhere, and written as TOML."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from helpers.hostile_texts import TEXTS

DEEP = "@deep@"
"""Stands for lists in lists that neither `json.dumps` nor `copy` could follow; `nested` puts them in."""

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 5, 7, 1_000, 2**31, 2**63, -(2**63), 10**30, 10**400,
    0.0, -0.5, 0.5, 1.5, 1e300, 1e-320, float("inf"), float("-inf"), float("nan"),
    "", " ", "x", "0", "clean", "image", "zero", "../../etc/passwd", "/etc/passwd", "a" * 10_000, "\x00", "\ud800",
    [], {}, [None], [[]], [0], ["a", "a"], {"a": 1}, {"": {}}, [[[[[[]]]]]], DEEP, *TEXTS.values(),
)  # fmt: skip


def changed(value: Any, rng: Random) -> Any:
    """The value with one part replaced, removed, renamed, doubled, or put in another's place.

    Only the way to that part is copied: the rest is shared with the value given, which stays as it was.
    """
    place = _somewhere(value, rng)
    if not place:
        return rng.choice(ODD)
    holder = found = copy.copy(value)
    for step in place[:-1]:
        holder[step] = copy.copy(holder[step])
        holder = holder[step]
    key = place[-1]
    kind = rng.randrange(8)
    if kind <= 2:
        holder[key] = rng.choice(ODD)
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        holder[key] = _at(value, _somewhere(value, rng))
    elif kind == 5:
        holder[key] = _near(holder[key], rng)
    elif isinstance(holder, list):
        holder[key:key] = [holder[key]] * rng.choice((1, 2, 50))
    else:
        holder[rng.choice(("", "x", "name", "version", "schema", f"{key} ", str(key).upper()))] = holder.pop(key)
    return found


def _somewhere(value: Any, rng: Random) -> tuple[Any, ...]:
    """A place, found by walking down: shallow ones are as likely as deep ones, however many there are of these."""
    place: tuple[Any, ...] = ()
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        place, value = (*place, key), value[key]
        if rng.random() < 0.25:
            break
    return place


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def _near(value: Any, rng: Random) -> Any:
    """Something like it: of another type, a little more, cut, or deep inside lists."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return rng.choice(
            (value + 1, value - 1, -value, value * 10**6, value / 2 if abs(value) < 2**60 else 0.5, hex(value))
        )
    if isinstance(value, float):
        return rng.choice((-value, value * 1e6, value * 1e300, str(value)))
    if isinstance(value, str):
        cut = rng.randrange(len(value) + 1)
        return rng.choice(
            (
                value[:cut],
                value + "x",
                value.upper(),
                [value],
                (value * 50)[:20_000] if len(value) < 20_000 else value[:9],
                value[:cut] + "\n" + value[cut:],
            )
        )
    if isinstance(value, list):
        return rng.choice((value[:1], value[::-1], value * 3, dict.fromkeys(map(str, range(len(value))), 0), [value]))
    return DEEP if rng.random() < 0.5 else [value]


def nested(text: str, rng: Random) -> str:
    """Text of JSON or TOML in which every `DEEP` is a list in lists in lists."""
    depth = rng.choice((3, 60, 900, 30_000))
    return text.replace(f'"{DEEP}"', "[" * depth + "]" * depth)


def toml(value: Any) -> str:
    """A table as TOML, one key a line; what TOML cannot say (null) is left out."""
    if not isinstance(value, dict):
        return f"x = {_inline(value)}\n"
    return "".join(f"{_quoted(k)} = {_inline(v)}\n" for k, v in value.items() if v is not None)


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)} = {_inline(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(v) for v in value if v is not None) + "]"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: object) -> str:
    """Every letter as an escape would be safe and slow to read; only what must be escaped is."""
    plain = str(text).encode("utf-8", "replace").decode()
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in plain) + '"'
