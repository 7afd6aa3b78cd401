"""Synergy: what modalities say only together, how much of it the data offers and how much the model uses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mmaudit.estimates import Estimate
from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, count_cell, number_cell, text_cell
from mmaudit.figures.dots import FULL, HALF, PHONE, Dot, Line, Row, Scale, dot_rows
from mmaudit.figures.estimates import cell, dot, extra, null_cell, of_family, p_cell, select, sides, text, tip, variant
from mmaudit.figures.marks import BLUE, GREEN, INK, PURPLE, RED, SOLID
from mmaudit.figures.subsets import modality_names
from mmaudit.figures.synergy_parts import information, parts
from mmaudit.figures.synergy_samples import tags
from mmaudit.formats import p_value, shorten
from mmaudit.report import Report

# Of what an estimate speaks, and how the reader is told.
OF = {"data": "in the data", "model": "used by the model", "decision": "in the model’s answers"}
STYLES = {
    OF["data"]: (BLUE, "circle"),
    OF["model"]: (RED, "square"),
    OF["decision"]: (PURPLE, "diamond"),
    "left unused": (GREEN, "triangle-up"),
}
POINTS = ("synergy", "synergy_low", "synergy_high")
BOUNDS_AND_POINT = ("synergy_low", "synergy_high", "synergy")
# What stands in the table alone.
BESIDE = {"synergy_spread": "spread over seeds, data", "plug_in_synergy": "plug-in estimate, data"}
TESTS = {"label_shuffle": "label shuffle", "within_class_shuffle": "within-class shuffle"}
# Of more sides only those with most synergy in the data are drawn.
MOST_DRAWN = 12

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sides:
    """Two sides whose synergy was asked for: a pair of modalities, or one against all others (`against`)."""

    modalities: tuple[str, ...]
    against: str | None

    @property
    def words(self) -> str:
        """Both sides: `image + question`, `image + the rest`."""
        return sides(Estimate("", self.modalities, (("against", self.against),) if self.against else ()))

    def own(self, estimates: Sequence[Estimate], name: str, of: str | None = None) -> list[Estimate]:
        """Every estimate of this name about these sides; `of` is data, model or decision."""
        found = select(estimates, name, against=self.against)
        return [e for e in found if e.modalities == self.modalities and of in (None, e.option("of"))]

    def get(
        self, estimates: Sequence[Estimate], name: str, of: str | None = None, which: Options | None = None
    ) -> Estimate | None:
        """The first of them, with exactly these further options where they are given."""
        return next((e for e in self.own(estimates, name, of) if which is None or extra(e) == which), None)

    def variants(self, estimates: Sequence[Estimate], of: str) -> list[Options]:
        """The further options (missing baselines, for the model) of what was estimated; most synergy first.

        The first is drawn: a model is not to be blamed for a stand-in that it cannot read.
        """
        value = {extra(e): e.value for e in self.own(estimates, "synergy", of) if math.isfinite(e.value)}
        found = dict.fromkeys(extra(e) for name in POINTS for e in self.own(estimates, name, of))
        return sorted(found, key=lambda options: -value.get(options, -math.inf))


def synergy(report: Report) -> tuple[Figure, ...]:
    """Data beside model, parts of the information, tests, and samples by tag; empty where nothing was estimated."""
    estimates = of_family(report, "synergy")
    if not estimates:
        return ()
    every = every_sides(estimates, modality_names(report))
    return (
        *_beside(estimates, every),
        *parts(report, estimates, every, most_synergy(estimates, every)),
        *_tests(estimates, every),
        *information(estimates, every),
        *tags(report, estimates),
    )


def every_sides(estimates: Sequence[Estimate], names: Sequence[str]) -> list[Sides]:
    """Pairs in the order of the report, then one against the rest (of two modalities that is the pair again)."""
    found: dict[Sides, None] = {}
    for e in estimates:
        against = e.option("against")
        wanted = len(e.modalities) == 2 if against is None else len(e.modalities) == 1 and len(names) > 2
        if wanted and e.estimator in (*POINTS, "synergy_unused", "plug_in_synergy", *TESTS):
            found[Sides(e.modalities, against)] = None
    return sorted(found, key=lambda s: s.against is not None)


def most_synergy(estimates: Sequence[Estimate], every: Sequence[Sides]) -> list[Sides]:
    """The sides that are drawn: all, or those with most synergy in the data, in their order."""
    value = {s: e.value for s in every if (e := s.get(estimates, "synergy", "data")) is not None and e.value == e.value}
    kept = sorted(every, key=lambda s: -value.get(s, -math.inf))[:MOST_DRAWN]
    return [s for s in every if s in kept]


def drawn_only(every: Sequence[Sides]) -> str:
    """What a caption says where not all sides are drawn."""
    return f" Drawn are the {MOST_DRAWN} of {len(every)} with most synergy." if len(every) > MOST_DRAWN else ""


def _beside(estimates: Sequence[Estimate], every: Sequence[Sides]) -> list[Figure]:
    """The interval that holds without assumptions, the point value, its null, and what is left unused."""
    rows: list[Row] = []
    body = []
    said = []
    shown = most_synergy(estimates, every)
    for s in every:
        own: list[Row] = []
        for of, words in OF.items():
            for i, which in enumerate(s.variants(estimates, of)):
                low, high, point = (s.get(estimates, name, of, which) for name in BOUNDS_AND_POINT)
                more = f"{words} ({variant(which)})" if which else words
                if i == 0:
                    own += _row(words, more, low, high, point)
                body.append(_cells(s, more, low, high, point))
                if i == 0 and point is not None and math.isfinite(point.value):
                    said.append(f"{s.words} {more} {text(point)}")
        for unused in s.own(estimates, "synergy_unused"):
            more = f" ({variant(extra(unused))})" if extra(unused) else ""
            if math.isfinite(unused.value):
                drawn = dot(unused, "left unused", f"{s.words}, left unused{more}")
                own.append(Row(f"left unused{more}", (drawn,), text(unused)))
            body.append(_cells(s, f"left unused{more}", None, None, unused))
        for name, words in BESIDE.items():
            body += [_cells(s, words, None, None, e) for e in s.own(estimates, name)]
        if own and s in shown:
            rows += [Row(s.words, kind="heading"), *own]
    if not body:
        return []
    panels: tuple[Panel, ...] = ()
    if rows:
        alt = f"Synergy in bits. {'; '.join(said[:8])}. All numbers are in the table."
        title = "synergy (bits of information about the target)"
        panels = tuple(
            Panel("", alt, _picture(rows, title, stacked), "full", "narrow" if stacked else "wide")
            for stacked in (False, True)
        )
    caption = (
        "Synergy is what two sides say about the target only together. The pale bar runs from the least to the most "
        "synergy that any non-negative decomposition allows, its thin ends are 95 % confidence limits: this needs no "
        "further assumption. The dot is the point value by the BROJA convention with its 95 % interval, the upright "
        "tick beside it what the same estimator reads where there is none: an interval that holds the tick is no "
        "evidence of synergy. Of the model’s missing baselines the one under which it uses most is drawn. Left unused "
        "is what is to be had, by the better of predictors and model, minus what the model uses by its best answers to "
        "every subset (each under the baseline with which they say most), and no more and no surer than the synergy "
        f"in the data.{drawn_only(every)}"
    )
    columns = (
        Column("sides", numeric=False),
        Column("synergy", numeric=False),
        Column("at least (bits)"),
        Column("at most (bits)"),
        Column("point value (bits)"),
        Column("if there were none (bits)"),
        Column("p", note="of nothing to find; not adjusted for the number of tests"),
        Column("n"),
    )
    title = "Synergy to be had, and synergy used"
    return [Figure("synergy-beside", title, caption, panels, Table(columns, tuple(body)))]


def _row(series: str, words: str, low: Estimate | None, high: Estimate | None, point: Estimate | None) -> Iterator[Row]:
    def value(e: Estimate | None, name: str) -> float:
        return math.nan if e is None else float(getattr(e, name))

    shown = point if point is not None and math.isfinite(point.value) else None
    # With the ends the wrong way round there is no interval; the table says so.
    low, high = (low, high) if value(low, "value") <= value(high, "value") else (None, None)
    bounds = f"between {_short(low)} and {_short(high)}" if low is not None else "no interval"
    drawn = replace(
        dot(point, series, words) if point is not None else Dot(series, math.nan),
        floor=value(low, "value"),
        ceiling=value(high, "value"),
        floor_low=value(low, "low"),
        ceiling_high=value(high, "high"),
        tip=f"{tip(shown, words)}; {bounds}" if shown is not None else f"{words}: {bounds}",
    )
    if any(math.isfinite(v) for v in (drawn.value, drawn.floor)):
        yield Row(words, (drawn,), text(shown) if shown is not None else "")


def _short(e: Estimate | None) -> str:
    return text(e) if e is not None else "an unknown value"


def _cells(
    s: Sides, words: str, low: Estimate | None, high: Estimate | None, point: Estimate | None
) -> tuple[Cell, ...]:
    no_bounds = "bounds are given for data, model and answers"
    some = next((e for e in (point, low, high) if e is not None), None)
    return (
        text_cell(s.words),
        text_cell(words),
        cell(low, no_bounds),
        cell(high, no_bounds),
        cell(point),
        null_cell(point),
        p_cell(point),
        count_cell(some.n) if some else number_cell(math.nan, reason="not measured"),
    )


def _picture(rows: Sequence[Row], title: str, stacked: bool) -> dict[str, object]:
    lines = (Line(0.0, "", SOLID, INK),)
    # On a phone the numbers stand beside the words above each dot, without their unit: the axis names it.
    some = [Row(r.label, r.dots, r.numbers.replace("\u00a0bits", ""), r.kind) for r in rows]
    return dot_rows(some, STYLES, Scale(title, lines), width=PHONE if stacked else FULL, legend=False)


def _tests(estimates: Sequence[Estimate], every: Sequence[Sides]) -> list[Figure]:
    """Two shuffles: of the labels, and of one side within each class."""
    panels, body = [], []
    for i, (name, words) in enumerate(TESTS.items()):
        rows = []
        for s in every:
            e = s.get(estimates, name)
            if e is None:
                continue
            body.append((text_cell(s.words), text_cell(words), cell(e), null_cell(e), p_cell(e), count_cell(e.n)))
            if math.isfinite(e.value):
                drawn = replace(dot(e, words, s.words), tip=f"{tip(e, s.words)}; p {p_value(e.p)}")
                rows.append(Row(shorten(s.words, 30), (drawn,), f"p {p_value(e.p)}"))
        if rows:
            style = {words: ((BLUE, "circle"), (PURPLE, "diamond"))[i]}
            said = "; ".join(f"{r.label} {r.numbers}" for r in rows[:8])
            picture = dot_rows(rows, style, Scale("statistic (bits)", (Line(0.0, "", SOLID, INK),)), width=HALF)
            panels.append(
                Panel(words[:1].upper() + words[1:], f"{words}: {said}. All numbers are in the table.", picture, "half")
            )
    if not body:
        return []
    columns = (
        Column("sides", numeric=False),
        Column("test", numeric=False),
        Column("statistic (bits)"),
        Column("after shuffling (bits)"),
        Column("p", note="of nothing to find; not adjusted for the number of tests"),
        Column("n"),
    )
    caption = (
        "Two permutation tests on coarse codes of the two sides, which hold whatever the predictors are worth. Label "
        "shuffle: do both sides together say anything about the target? Within-class shuffle: do the two sides go "
        "together among samples of one class? Exchanging one of them there keeps what each says of the class and "
        "breaks what binds them. The tick is the mean after shuffling. Synergy alone is no sign of an interaction: "
        "two noisy views of one thing have synergy, too. A large p in the second test shows none and does not rule one "
        "out: coarse codes do not keep everything. The joint predictor sees more: beyond independence, in the table of "
        "what each subset says."
    )
    return [Figure("synergy-tests", "Is it more than chance?", caption, tuple(panels), Table(columns, tuple(body)))]
