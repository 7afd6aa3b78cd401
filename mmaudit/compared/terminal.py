"""A comparison as plain lines for a terminal: the sentences, what is decided, and what could not be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mmaudit.compared.result import CHANGE, VALUE, Compared, Comparison
from mmaudit.compared.wording import delta_text, many, ranked, sentences, verdict_text
from mmaudit.formats import count, p_value, readable, shorten

MOST_ROWS = 10
WIDEST = 56


def lines(comparison: Comparison) -> Iterator[str]:
    """Yield the lines; texts of the runs hold nothing that a terminal would act on."""
    names = {c.key: shorten(c.label, WIDEST) for c in comparison.conditions}
    for i in range(len(comparison.others)):
        pairing = comparison.pairings[i]
        yield from sentences(comparison, i, lambda key: names.get(key, key), lambda name: f"“{name}”")
        if not pairing.paired:
            yield f"Not paired: {pairing.reason}."
        for remark in pairing.remarks:
            yield f"Note: {remark}."
        for m in comparison.measures:
            for quantity in (VALUE, CHANGE):
                rows = [r for r in comparison.rows if (r.other, r.metric, r.quantity) == (i, m.name, quantity)]
                what = f"{readable(m.name)}{', change against clean' if quantity == CHANGE else ''}"
                yield from _decided(what, ranked([r for r in rows if r.verdict != "undecided"]))
        measured = comparison.select(metric=comparison.primary.name, other=i, quantity=VALUE)
        absent = [r for r in measured if not math.isfinite(r.delta)]
        if absent:
            yield f"Not compared: {many(len(absent))}; {names[absent[0].condition]}: {absent[0].reason}."
        if i < len(comparison.others) - 1:
            yield ""


def _decided(what: str, rows: list[Compared]) -> Iterator[str]:
    if not rows:
        return
    yield f"{what}:"
    for r in rows[:MOST_ROWS]:
        label = shorten(f"{r.label} {r.group}".strip(), WIDEST)
        yield f"  {verdict_text(r):<8}  {label:<{WIDEST}}  {delta_text(r)}  adjusted p {p_value(r.p_adjusted)}"
    if len(rows) > MOST_ROWS:
        yield f"  and {count(len(rows) - MOST_ROWS)} more; --json has all"
