"""The templates of the folder `reports/`: everything is escaped unless this package made it."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from mmaudit.formats import count, printable, readable, unbroken
from mmaudit.report_schema import asset

_QUOTED = re.compile(r"`(\w+)`")


@cache
def environment() -> Environment:
    """Jinja with autoescaping always on and undefined names an error."""
    env = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_final,
    )
    env.filters |= {"count": count, "readable": readable, "unbroken": unbroken}
    env.filters |= {"rows": rows, "sentence": sentence, "worded": worded}
    env.tests["in_rows"] = lambda name: str(name).endswith("_rows")
    return env


def render(template: str, **context: Any) -> str:
    """Fill a template of `reports/`."""
    return environment().get_template(template).render(**context)


def macro(template: str, name: str, *values: Any) -> str:
    """What one macro of a template writes for these values."""
    return str(getattr(environment().get_template(template).module, name)(*values))


def style(name: str) -> Markup:
    """A style sheet or script of `reports/`; ours, so not escaped."""
    return Markup(_source(name))


def rows(number: int) -> str:
    """A number of rows with the word: `1 row`, `270 rows`."""
    return f"{count(number)} row{'' if number == 1 else 's'}"


def worded(text: str) -> str:
    """A description from the code for a reader of the page: a metric's name in backquotes becomes its words."""
    return _QUOTED.sub(lambda found: readable(found[1]), text)


def sentence(text: str) -> str:
    """A text that starts with a capital and ends with a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text[-1] in ".!?…" else ".")


def _source(name: str) -> str:
    return asset(name).read_text(encoding="utf-8")


def _final(value: Any) -> Any:
    """Last stop of every expression in a template: text from outside loses what HTML cannot hold."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)
