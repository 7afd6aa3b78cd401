"""What every chart returns: the Figure, its panels and the table of the same numbers; and the words for a condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mmaudit.errors import BadInput
from mmaudit.figures.marks import Spec
from mmaudit.formats import change, count, digits, estimate, measure, number, p_value, readable, shorten
from mmaudit.joint import parts
from mmaudit.report import Report
from mmaudit.types import Condition, Score


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, whether it holds numbers, and a sentence for those who ask."""

    title: str
    numeric: bool = True
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell: the text shown, the number behind it, and why there is none."""

    text: str
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Table:
    """The numbers of a chart, or any table of the report."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Panel:
    """One drawing: a Vega-Lite specification and the same in words.

    Attributes:
        title: what it shows; stands above it, outside the specification.
        alt: the picture in a sentence, for those who cannot see it.
        spec: a complete Vega-Lite 5 specification with inline data; fetches nothing.
        size: `small` (several side by side), `half`, or `full` width.
        show: `wide` or `narrow` where two drawings of the same exist; empty for both.
        folded: better behind a click.
    """

    title: str
    alt: str
    spec: Spec
    size: Literal["small", "half", "full"] = "small"
    show: Literal["", "wide", "narrow"] = ""
    folded: bool = False


# Letters of a modality's name in a sentence, and the fewest that are left of it where there is no room.
LONGEST, SHORTEST = 24, 4


@dataclass(frozen=True)
class Figure:
    """A chart of the report: one or more panels and one table of the same numbers.

    Attributes:
        id: anchor in the page.
        title, caption: what it is and how to read it.
        panels: what is drawn; empty where every value is undefined.
        table: the numbers that are drawn, and reasons for those that could not be.
    """

    id: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    table: Table


def words(c: Condition) -> str:
    """A condition in words a reader scans: `gaussian blur 3/5 · image`, `without question · zero`."""
    return _words(c, " + ".join(shorten(m, LONGEST) for m in c.modalities))


def brief(c: Condition, limit: int, everyone: Sequence[str]) -> str:
    """`words` in at most `limit` letters: names of modalities give way alike, so that conditions stay told apart.

    Args:
        c: the condition.
        limit: letters.
        everyone: names of all modalities; where most of them are missing, those that are left are named, if any.
    """
    text = words(c)
    left = [m for m in everyone if m not in c.modalities]
    if len(text) > limit and c.probe == "missing" and everyone and not left:
        return shorten(_words(c, f"all {len(everyone)} modalities"), limit)
    few = c.probe == "missing" and 0 < len(left) < len(c.modalities)
    for length in range(LONGEST, SHORTEST - 1, -1):
        if len(text) <= limit:
            return text
        names = " + ".join(shorten(m, length) for m in (left if few else c.modalities))
        text = _words(c, names).replace("without", "only", 1) if few else _words(c, names)
    return shorten(text, limit)


def _words(c: Condition, names: str) -> str:
    options = " ".join(shorten(v, 24) for v in _said(c))
    if c.family == "clean":
        text = "clean"
    elif c.family == "control":
        text = f"control: {readable(c.probe)}"
    elif c.probe == "missing":
        text = f"without {names}"
    elif c.probe == "missing_pattern":
        text = f"{names} absent as in another sample"
    elif c.family == "missing" and c.severity is not None:
        text = f"{number(c.severity, 'share', decimals=0)} without {names}"
    elif c.probe == "mismatch":
        text, options = f"{names} of another sample", options.replace("random", "any")
    elif c.probe == "mismatch_share" and c.severity is not None:
        text = f"{number(c.severity, 'share', decimals=0)} with {names} of another sample"
    elif c.probe in ("temporal_shift", "temporal_shift_samples") and c.severity is not None:
        others = shorten(c.option("relative_to") or "", 24)
        text = f"{names} {c.severity:g} {c.unit} {c.option('direction')}"
        options = f"relative to {others}" if others != "static" else ""
    elif c.probe == "stale_order" and c.severity is not None:
        text = f"{names} stale by {c.severity:g} sample{'s' if c.severity != 1 else ''}"
    elif both := joined(c):
        text, options = " with ".join(words(part) for part in both), ""
    elif c.family == "conflict":
        text = f"{names} of another class, in conflict"
    else:
        text = f"{readable(c.probe.split('.', 1)[-1])}{_severity(c)} · {names}"
    return text + (f" · {options}" if options else "") + (f" · repeat {c.repeat}" if c.repeat else "")


def _severity(c: Condition) -> str:
    if c.position is not None:
        return f" {c.position}/5"
    return "" if c.severity is None else f" {c.severity:g}"


def _said(c: Condition) -> list[str]:
    """A condition's options in words, those left out that a reader need not see."""
    said = {
        ("latent", "shared"): "",
        ("latent", "independent"): "separately",
        ("keep", "one"): "one kept",
        ("by", "itself"): "by its own value",
    }
    phrases = {"scale": "{} scale", "by": "by {}", "similarity_floor": "similarity ≥ {}"}
    hidden = ("definition", "mechanism")
    texts = [said.get((n, v), phrases.get(n, "{}").format(v)) for n, v in c.options if n not in hidden]
    return [text.replace("_", " ") for text in texts if text]


def joined(c: Condition) -> tuple[Condition, Condition] | None:
    """The two conditions that one of a surface applies at once; None for any other, or where it cannot be read."""
    if c.probe != "surface":
        return None
    try:
        return parts(c)
    except BadInput:
        return None


def variant(c: Condition) -> str:
    """What tells two curves of one probe apart: its options and its repeat."""
    said = _said(c) + ([f"repeat {c.repeat}"] if c.repeat else [])
    return ", ".join(shorten(text, 24) for text in said)


def text_cell(text: str) -> Cell:
    """A cell of words."""
    return Cell(text)


def count_cell(n: int) -> Cell:
    """A cell with a whole number."""
    return Cell(count(n), float(n))


def value_cell(score: Score | None, name: Literal["value", "delta", "lost"] = "value") -> Cell:
    """A cell with a number of a score and its interval; a dash and the reason where it is undefined."""
    if score is None:
        return number_cell(math.nan, reason="not measured for this condition")
    if name == "delta":
        value, low, high = score.delta, score.delta_low, score.delta_high
        text = change(value, low, high, score.unit)
    elif name == "lost":
        value, low, high = score.lost, score.lost_low, score.lost_high
        text = estimate(value, low, high, "share")
    else:
        value, low, high = score.value, score.low, score.high
        text = estimate(value, low, high, score.unit)
    if not math.isfinite(value):
        return number_cell(value, reason=why(score, name))
    return Cell(text, value, "" if math.isfinite(low) and math.isfinite(high) else score.reason)


def number_cell(value: float, unit: str = "", reason: str = "", change: bool = False) -> Cell:
    """A cell with one number and its unit; a dash and the reason where it is undefined."""
    text = number(value, unit, signed=change, change=change)
    return Cell(text, value) if math.isfinite(value) else Cell(text, None, reason or "no reason was recorded")


def p_cell(score: Score) -> Cell:
    """A cell with the adjusted p-value."""
    p = score.p_adjusted
    return Cell(p_value(p), p) if math.isfinite(p) else number_cell(p, reason=why(score, "p_adjusted"))


def mde_cell(score: Score) -> Cell:
    """A cell with the minimum detectable effect, in the metric's unit."""
    if not math.isfinite(score.mde):
        return number_cell(score.mde, reason=why(score, "mde"))
    # As many decimals as an interval of that width would have: never 0.0 where something was needed to be seen.
    decimals = digits(score.unit, score.mde, -score.mde, score.mde) if score.unit == "share" else None
    return Cell(number(score.mde, score.unit, change=True, decimals=decimals), score.mde)


def why(score: Score, name: str) -> str:
    """Why a number of a score is undefined."""
    if score.reason:
        return score.reason
    if name != "value" and not score.against:
        return "nothing to compare with: this is the clean condition or a summary"
    if name == "lost" and not math.isfinite(score.floor):
        return "this metric has no chance floor"
    if name == "lost" and math.isfinite(score.delta):
        return "the clean value is not better than chance, so there is nothing to lose"
    if name == "mde" and math.isfinite(score.delta):
        return "the change is the same in every resample, which says nothing about what would have been seen"
    return "no reason was recorded"


def loss(score: Score) -> float:
    """How far a score fell against clean in the direction of goodness; NaN where undefined."""
    return score.delta if score.better == "lower" else -score.delta


def primary_title(report: Report) -> str:
    """The primary metric with unit and direction, for axes and columns."""
    return measure(report.primary.name, report.primary.unit, report.primary.better)


def axis_title(report: Report) -> str | list[str]:
    """`primary_title`, in two lines where one would be longer than a small panel is high."""
    title = primary_title(report)
    name, bracket, rest = title.partition(" (")
    return [name, f"({rest}"] if bracket and len(title) > 24 else title


def comparison_columns(report: Report) -> tuple[Column, ...]:
    """Columns of the primary metric: value, change, adjusted p, detectable change, share lost above chance."""
    return (
        Column(primary_title(report)),
        Column("change against clean"),
        Column("adjusted p", note="Benjamini-Hochberg over all conditions and metrics"),
        Column("detectable change", note="minimum detectable effect: 80 % power at α = 0.05"),
        Column("share lost above chance", note="(clean − value) / (clean − chance)"),
    )


def comparison_cells(score: Score) -> tuple[Cell, ...]:
    """Cells for `comparison_columns`."""
    return (value_cell(score), value_cell(score, "delta"), p_cell(score), mde_cell(score), value_cell(score, "lost"))
