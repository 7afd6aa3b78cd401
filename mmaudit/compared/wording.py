"""A comparison in sentences: shared by the page and the Markdown summary."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Literal

from mmaudit.compared.result import CHANGE, VALUE, Compared, Comparison
from mmaudit.formats import DASH, NBSP, change, count, estimate, number, readable, shorten

Namer = Callable[[str], str]
"""From a condition's key to its name."""

LONGEST_NAME = 40
MARKS = {"worse": "▼", "better": "▲", "undecided": "○"}


def side_name(name: str) -> str:
    """A run's name at a length that fits into sentences and columns."""
    return shorten(name, LONGEST_NAME)


def delta_text(row: Compared) -> str:
    """The difference with unit and interval."""
    return change(row.delta, row.delta_low, row.delta_high, row.unit)


def value_text(row: Compared, side: Literal["first", "other"]) -> str:
    """One run's number with unit and interval: a value, or a change against clean data."""
    numbers = [getattr(row, f"{name}_{side}") for name in ("value", "low", "high")]
    if not math.isfinite(numbers[0]):
        return DASH
    value, low, high = numbers
    return (change if row.quantity == CHANGE else estimate)(value, low, high, row.unit)


def verdict_text(row: Compared) -> str:
    """The verdict with a mark that does not need colour."""
    return f"{MARKS[row.verdict]}{NBSP}{row.verdict}"


def ranked(rows: list[Compared]) -> list[Compared]:
    """Worst for the other run first; undefined ones last."""
    return sorted(rows, key=lambda r: (0, r.gain) if math.isfinite(r.gain) else (1, 0.0))


def sentences(comparison: Comparison, other: int, name: Namer, quote: Callable[[str], str]) -> list[str]:
    """What a reader should know first about another run, in up to four sentences.

    Args:
        comparison: the whole.
        other: which of the other runs.
        name: says a condition's name.
        quote: marks a run's name as such.
    """
    m = comparison.primary
    first, its = quote(side_name(comparison.first.name)), quote(side_name(comparison.others[other].name))
    pairing = comparison.pairings[other]
    counts = comparison.counts(other)
    compared = sum(counts.values())
    how = f"paired on {count(pairing.n_first)} samples"
    if not pairing.paired:
        how = f"not paired: {count(pairing.n_first)} and {count(pairing.n_other)} samples"
    lost = [r for r in comparison.select(metric=m.name, other=other, quantity=VALUE) if not math.isfinite(r.delta)]
    apart = f", {count(len(lost))} of them not compared" if lost else ""
    said = [
        f"{its} is worse than {first} under {counts['worse']} of {many(compared)} and better under {counts['better']}; "
        f"{counts['undecided']} {'is' if counts['undecided'] == 1 else 'are'} undecided{apart} "
        f"({readable(m.name)}, {how})."
    ]
    clean = comparison.row(comparison.clean, m.name, other)
    if clean is not None:
        text = delta_text(clean) if math.isfinite(clean.delta) else f"not compared ({clean.reason})"
        said.append(f"On clean data the difference is {text}{_judged(clean)}.")
    rows = ranked([r for r in comparison.select(metric=m.name, other=other, quantity=VALUE) if math.isfinite(r.delta)])
    if rows and rows[0].verdict == "worse":
        said.append(f"The largest loss is under {name(rows[0].condition)}: {delta_text(rows[0])}.")
    elif rows and rows[-1].verdict == "better":
        said.append(f"The largest gain is under {name(rows[-1].condition)}: {delta_text(rows[-1])}.")
    changes = comparison.counts(other, quantity=CHANGE)
    if changes["worse"] or changes["better"]:
        said.append(
            f"Apart from clean quality, its robustness is worse under {many(changes['worse'])} and better under "
            f"{changes['better']}."
        )
    seen = [row.mde for row in rows if row.verdict == "undecided" and math.isfinite(row.mde)]
    if seen:
        typical = number(median(seen), m.unit, change=True)
        said.append(
            f"Undecided is not “the same”: a single test at the 5{NBSP}% level finds a difference of {typical} with "
            f"80{NBSP}% power, in the median of these conditions; a verdict takes more, as p is adjusted over all rows"
            f"{' and the margin comes on top' if m.margin else ''}."
        )
    return said


def many(conditions: int) -> str:
    """How many conditions, in words."""
    return f"{count(conditions)} condition{'' if conditions == 1 else 's'}"


def _judged(row: Compared) -> str:
    return f", {row.verdict}" if math.isfinite(row.delta) else ""


def level(comparison: Comparison, other: int) -> str:
    """How much another run should alarm: `major` where it is worse anywhere, `none` where only better, else `info`."""
    counts = comparison.counts(other)
    if counts["worse"]:
        return "major"
    return "none" if counts["better"] else "info"


def method_sentences(comparison: Comparison) -> list[str]:
    """How the numbers were made."""
    m = comparison.primary
    said = [
        f"Intervals are 95 %, from {count(comparison.resamples)} bootstrap resamples (seed {comparison.seed}). Where "
        "two runs hold the same samples, one set of resamples serves both, so each sample is compared with itself.",
        "A verdict needs both: an interval that lies beyond the margin, and an adjusted p of at most 0.05 "
        "(Benjamini and Hochberg 1995, over every row on all samples; over groups, and over means, apart).",
    ]
    margins = [f"{readable(x.name)} {number(x.margin, x.unit, change=True)}" for x in comparison.measures if x.margin]
    said.append(
        f"Margin: {', '.join(margins)}." if margins else f"No margin: any sure difference of {readable(m.name)} counts."
    )
    said.append(
        "The intervals cover the sampling of the data. How another training of either model would have come out is in "
        "none of them: this compares two models as they are, not two recipes."
    )
    return said
