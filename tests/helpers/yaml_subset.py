"""Reads the YAML that `mmaudit.cards.yaml` writes, and nothing else: block style, scalars of JSON. No product code."""

from __future__ import annotations

import json
from typing import Any


def read(text: str) -> Any:
    """Return the value; `AssertionError` where a line is none of the known forms."""
    lines = text.split("\n")
    assert lines.pop() == "", "the text must end with a line end"
    value, rest = _block(lines, 0)
    assert not rest, rest[:3]
    return value


def _block(lines: list[str], indent: int) -> tuple[Any, list[str]]:
    if lines[0].startswith(" " * indent + "- "):
        return _list(lines, indent)
    if len(lines) == 1 and ": " not in lines[0] and not lines[0].endswith(":"):
        return json.loads(lines[0]), []
    return _mapping(lines, indent)


def _list(lines: list[str], indent: int) -> tuple[list[Any], list[str]]:
    out = []
    while lines and lines[0].startswith(" " * indent + "- "):
        mine = [lines[0][indent + 2 :]]
        lines = lines[1:]
        while lines and lines[0].startswith(" " * (indent + 2)):
            mine.append(lines[0][indent + 2 :])
            lines = lines[1:]
        out.append(json.loads(mine[0]) if len(mine) == 1 and mine[0][0] in '"[{-0123456789' else _whole(mine))
    return out, lines


def _mapping(lines: list[str], indent: int) -> tuple[dict[str, Any], list[str]]:
    out: dict[str, Any] = {}
    while lines and lines[0].startswith(" " * indent) and lines[0][indent : indent + 1] not in ("", " ", "-"):
        name, rest = _key(lines[0][indent:])
        lines = lines[1:]
        assert name not in out, f"key {name!r} twice"
        if rest:
            assert rest[0] == " ", rest
            out[name] = json.loads(rest)
            continue
        mine = []
        while lines and lines[0].startswith(" " * (indent + 2)):
            mine.append(lines[0][indent + 2 :])
            lines = lines[1:]
        out[name] = _whole(mine)
    return out, lines


def _whole(lines: list[str]) -> Any:
    value, rest = _block(lines, 0)
    assert not rest, rest[:3]
    return value


def _key(line: str) -> tuple[str, str]:
    if line[0] == '"':
        name, end = json.JSONDecoder().raw_decode(line)
        assert line[end] == ":", line
        return name, line[end + 1 :]
    name, colon, rest = line.partition(":")
    assert colon, line
    assert name.replace("-", "").replace("_", "").isalnum(), line
    return name, rest
