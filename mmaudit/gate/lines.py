"""On which lines of a TOML file its tables begin, so that a failed requirement can be shown where it stands."""

from __future__ import annotations

import re
import tomllib

_HEADER = re.compile(r"\s*\[\[?\s*(\"?)(\w+)\1\s*\]\]?\s*(#.*)?$")


def table_lines(text: str) -> dict[str, list[int]]:
    """Return per top-level table, or array of tables, the lines (from 1) of its headers; of `[[require]]` one each.

    A line that looks like a header within a multi-line string or array is none: what stands before it must parse.
    """
    found: dict[str, list[int]] = {}
    lines, start = text.split("\n"), 0
    for number, line in enumerate(lines, 1):
        header = _HEADER.match(line)
        if header and _parses("\n".join(lines[start : number - 1])):
            found.setdefault(header[2], []).append(number)
            start = number - 1
    return found


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):  # TOMLDecodeError is a ValueError; so is a number of 5,000 digits
        return False
    return True
