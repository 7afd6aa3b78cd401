"""On which lines of a TOML file its tables begin, so that a failed requirement can be shown where it stands."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\[?\s*(\"?)(\w+)\1\s*\]\]?\s*(#.*)?$")
# What may hold a line that looks like a header and is none, and what says how deep in an array or table one is.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def table_lines(text: str) -> dict[str, list[int]]:
    """Return per top-level table, or array of tables, the lines (from 1) of its headers; of `[[require]]` one each.

    A line that looks like a header within a multi-line string or array is none. Takes time in proportion to the text,
    which must be TOML.
    """
    found: dict[str, list[int]] = {}
    lines = text.split("\n")
    number, depth = 0, 0
    for token in _TOKEN.finditer("\n" + text):
        said = token[0]
        depth += _DEPTH.get(said, 0)
        number += said.count("\n")
        if said == "\n" and not depth and (header := _HEADER.match(lines[number - 1])):
            found.setdefault(header[2], []).append(number)
    return found
