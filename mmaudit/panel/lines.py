"""The panel as rows of text, for a terminal."""

from __future__ import annotations

import math

from mmaudit.formats import DASH, change, count, estimate, plain, readable, shorten
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import AUDITED, CLEAN, ECE, EFFECTIVE, EVERYTHING, RETAINED, VALUE, Method, Row

HEADS = (
    "method",
    "clean",
    "against yours",
    "worst when",
    "value there",
    "against yours there",
    "kept",
    "ECE",
    "above the line",
    "parameters",
    "fusion time",
    "seeds",
)


def lines(panel: Panel) -> list[tuple[str, ...]]:
    """Return a table as rows of text, the heads first: the audited model, then every method, the most robust first.

    Columns: clean value and its difference from the audited model; the group that hurts the method most, its value
    there and the difference there; share of the above-chance value kept over everything that counts; ECE on clean
    data; effective robustness; parameters; time of the fusion relative to the audited model's; seeds scored of those
    trained. A method without numbers has the reason in the second column.
    """
    methods = sorted(panel.scored, key=lambda m: _order(panel, m.name))
    body = [_line(panel, name) for name in (AUDITED, *(m.name for m in methods))]
    empty = [""] * (len(HEADS) - 3)
    failed = [m for m in panel.methods if not m.seeds]
    body += [(shorten(m.title, 40), shorten(m.reason, 90), *empty, f"0 of {len(m.failed)}") for m in failed]
    return [HEADS, *body]


def _order(panel: Panel, name: str) -> float:
    value = panel.row(name, VALUE, EVERYTHING).value
    if math.isnan(value):
        return math.inf
    return -value if panel.better == "higher" else value


def _line(panel: Panel, name: str) -> tuple[str, ...]:
    clean, worst = panel.row(name, VALUE, CLEAN), panel.worst(name)
    there = panel.row(name, VALUE, worst.key) if worst else Row(name, VALUE, "")
    kept, ece = panel.row(name, RETAINED, EVERYTHING), panel.row(name, ECE, CLEAN)
    above = panel.row(name, EFFECTIVE, EVERYTHING)
    return (
        shorten(panel.method(name).title, 40) if name else f"{shorten(panel.audited, 32)} (yours)",
        _value(clean),
        _difference(clean),
        shorten(worst.words, 44) if worst else DASH,
        _value(there),
        _difference(there),
        _value(kept),
        _value(ece),
        change(above.value, above.low, above.high, above.unit),
        *(_cost(panel.method(name)) if name else ("", "", "")),
    )


def _cost(m: Method) -> tuple[str, str, str]:
    time = f"{plain(m.relative_time, 2)} ×" if math.isfinite(m.relative_time) else DASH
    return count(m.parameters) if m.parameters else DASH, time, f"{len(m.seeds)} of {len(m.seeds) + len(m.failed)}"


def _value(row: Row) -> str:
    return estimate(row.value, row.low, row.high, row.unit)


def _difference(row: Row) -> str:
    return change(row.delta, row.delta_low, row.delta_high, row.unit) if row.method else ""


def title(panel: Panel) -> str:
    """What the table is about, for the line above it."""
    return f"{readable(panel.metric)} of {len(panel.scored)} reference methods beside {shorten(panel.audited, 40)}"
