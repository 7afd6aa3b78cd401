"""Values that people write by hand, in a configuration, a suite or a table, checked to be of the kind that is meant.

The ranges of numbers and the names that there are is for those to say who use them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mmaudit.errors import BadInput

Fits = Callable[[Any], bool]

# Python's own `int` and `float` also take `1_0`, and the digits of other scripts.
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?|[+-]?inf")


def whole(text: str) -> int:
    """Return the whole number that a text says, in digits 0 to 9; blanks around it do not matter.

    Raises:
        ValueError: it says none of at most 18 digits.
    """
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"{text[:60]!r} is no whole number")
    return int(text)


def number(text: str) -> float:
    """Return the number that a text says, as `0.5`, `-3`, `1e-3` or `inf`; blanks around it do not matter.

    Raises:
        ValueError: it says none.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text[:60]!r} is no number")
    return float(text)


def is_text(value: Any) -> bool:
    """Whether it is a text."""
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    """Whether it is a number that a computation can take; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def is_whole(value: Any) -> bool:
    """Whether it is a whole number of 64 bits; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_flag(value: Any) -> bool:
    """Whether it is true or false."""
    return isinstance(value, bool)


def listed(fits: Fits) -> Fits:
    """Whether it is a list of what fits."""
    return lambda value: isinstance(value, list | tuple) and all(map(fits, value))


def either(*fits: Fits) -> Fits:
    """Whether it is one of these."""
    return lambda value: any(fit(value) for fit in fits)


def table_of(fits: Fits) -> Fits:
    """Whether it is a table of what fits."""
    return lambda value: isinstance(value, Mapping) and all(map(fits, value.values()))


TEXT: tuple[Fits, str] = (is_text, "a text in quotes")
TEXTS: tuple[Fits, str] = (either(is_text, listed(is_text)), "a text, or a list of texts")
LIST_OF_TEXTS: tuple[Fits, str] = (listed(is_text), "a list of texts")
NUMBER: tuple[Fits, str] = (is_number, "a number")
NUMBERS: tuple[Fits, str] = (listed(is_number), "a list of numbers")
WHOLE: tuple[Fits, str] = (is_whole, "a whole number")
WHOLES: tuple[Fits, str] = (listed(is_whole), "a list of whole numbers")
FLAG: tuple[Fits, str] = (is_flag, "true or false")
PAIRS: tuple[Fits, str] = (
    either(is_text, table_of(is_text), listed(is_text)), 'a table of texts, or a list such as ["name=value"]'
)  # fmt: skip
COLUMNS: tuple[Fits, str] = (
    either(is_text, table_of(either(is_text, listed(is_text))), listed(is_text)),
    'a table of texts or lists of them, or a list such as ["name=column,column"]',
)


def require(given: Mapping[str, Any], kinds: Mapping[str, tuple[Fits, str]], where: str) -> None:
    """Check the values that are given; names that `kinds` does not know are left to others.

    Raises:
        BadInput: a value is of another kind; names it, and says what is meant.
    """
    for name, value in given.items():
        if name in kinds and not kinds[name][0](value):
            said = repr(value) if not isinstance(value, int) or abs(value) < 2**64 else "a number beyond all use"
            said = said if len(said) <= 80 else f"{said[:77]}…"
            raise BadInput(f"{where}: {name}={said} is not usable; expected {kinds[name][1]}.")
