"""Plain values as YAML, without a YAML library: block style, every string in double quotes.

The strings are JSON strings, which YAML 1.2 takes over and YAML 1.1 readers (PyYAML) read alike, so no word can become
a number, a date, a tag or a second key. Numbers are written with a point before their exponent: `1e-05` is a string to
YAML 1.1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from mmaudit.errors import BadInput
from mmaudit.formats import printable

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# Words that YAML 1.1 takes for a truth value or nothing where they stand without quotes.
_NO_KEY = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
# Line ends and marks that JSON leaves as they are and YAML does not.
_ESCAPED = {c: f"\\u{ord(c):04x}" for c in "\u0085\u2028\u2029\ufeff"}


def to_yaml(value: Any) -> str:
    """Return a mapping, list or scalar of plain values as YAML, ending with a line end.

    Raises:
        BadInput: a value is no str, bool, int, finite float, None, list, tuple or mapping with keys of type str.
    """
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _under(f"{_key(name)}:", item)
    elif isinstance(value, list | tuple) and value:
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _under(head: str, item: Any) -> Iterator[str]:
    if isinstance(item, dict | list | tuple) and item:
        yield head
        yield from (f"  {line}" for line in _lines(item))
    else:
        yield f"{head} {_scalar(item)}"


def _key(name: Any) -> str:
    if not isinstance(name, str):
        raise BadInput(f"YAML key {name!r} is a {type(name).__name__}; give a str.")
    return name if _KEY.fullmatch(name) and name.lower() not in _NO_KEY else _scalar(name)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        text = json.dumps(printable(value), ensure_ascii=False)
        return "".join(_ESCAPED.get(c, c) for c in text)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    if value == [] or value == {} or value == ():
        return "{}" if isinstance(value, dict) else "[]"
    raise BadInput(f"{value!r} cannot be written as YAML; give plain values, finite numbers, keys of type str.")
