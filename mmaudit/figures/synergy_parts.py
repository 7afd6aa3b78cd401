"""The information about the target in parts: redundancy, unique to each side, synergy; and by subset of modalities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmaudit.estimates import Estimate
from mmaudit.figures.bars import Bar, Segment, stacked_bars
from mmaudit.figures.base import Column, Figure, Panel, Table, count_cell, text_cell
from mmaudit.figures.dots import PHONE, Line, Row, Scale, dot_rows
from mmaudit.figures.estimates import cell, dot, extra, null_cell, select, sides, text, tip, together, variant
from mmaudit.figures.marks import BLUE, DASHED, INK, MUTED, PURPLE, RED, SOLID, TEAL
from mmaudit.figures.subsets import modality_names
from mmaudit.formats import number, readable, shorten
from mmaudit.report import Report

if TYPE_CHECKING:
    from mmaudit.figures.synergy import Sides

Options = tuple[tuple[str, str], ...]

OF = {"data": "data", "model": "model", "decision": "answers"}
PARTS = {
    "redundancy": (MUTED, "square"),
    "unique, first": (BLUE, "square"),
    "unique, second": (TEAL, "square"),
    "synergy": (RED, "square"),
}
STYLES = {"data": (BLUE, "circle"), "model": (RED, "square"), "answers": (PURPLE, "diamond")}
# The uncertainty about the target that there is to begin with.
ENTROPY = "entropy"


def parts(
    report: Report, estimates: Sequence[Estimate], every: Sequence[Sides], shown: Sequence[Sides]
) -> list[Figure]:
    """R, U1, U2 and S of every pair of sides: data, model and answers below each other; `shown` are drawn."""
    bars: list[Bar] = []
    body = []
    said = []
    for s in every:
        own = []
        for of, words in OF.items():
            for i, which in enumerate(s.variants(estimates, of)):
                found = _four(estimates, s, of, which)
                more = f"{words} ({variant(which)})" if which else words
                total = _total(report, estimates, s, of, which)
                segments = [
                    Segment(part, e.value, _mark(part), tip(e, f"{s.words}, {more}: {_part(part, s)}"))
                    for part, e in found.items()
                    if e is not None and math.isfinite(e.value)
                ]
                if segments and i == 0:
                    known = total is not None and math.isfinite(total.value)
                    own.append(
                        Bar(
                            more,
                            tuple(segments),
                            f"of {number(total.value, 'bits', decimals=2)}" if known and total else "",
                        )
                    )
                    said.append(
                        f"{s.words}, {more}: " + ", ".join(f"{x.part} {number(x.value, 'bits')}" for x in segments)
                    )
                body.append((text_cell(s.words), text_cell(more), *(cell(e) for e in found.values()), cell(total)))
        if own and s in shown:
            bars += [Bar(f"{_first(s)} (first) + {_second(s)} (second)", heading=True), *own]
    if not body:
        return []
    entropy = uncertainty(estimates)
    panels: tuple[Panel, ...] = ()
    if bars:
        lines = [Line(0.0, "", SOLID, INK)]
        if "data" in entropy:
            lines.append(Line(entropy["data"], f"H(Y) {number(entropy['data'], 'bits', decimals=2)}", DASHED, MUTED))
        alt = (
            f"Parts of the information about the target, in bits. {'; '.join(said[:4])}. All numbers are in the table."
        )
        title = "information about the target (bits)"
        scale = Scale(title, tuple(lines))
        panels = (
            Panel("", alt, stacked_bars(bars, PARTS, scale), "full", "wide"),
            Panel("", alt, stacked_bars(bars, PARTS, scale, width=PHONE), "full", "narrow"),
        )
    columns = (
        Column("sides", numeric=False),
        Column("of", numeric=False),
        Column("redundancy (bits)", note="what either side says alone"),
        Column("unique to the first (bits)"),
        Column("unique to the second (bits)"),
        Column("synergy (bits)", note="what only both together say"),
        Column("together (bits)", note="held-out information of all these modalities: a lower bound of what they say"),
    )
    figure = Figure(
        "synergy-parts",
        "What is shared, unique, and only there together",
        _caption(entropy, len(shown), len(every), numbers=report.document["task"]["kind"] == "regression"),
        panels,
        Table(columns, tuple(body)),
    )
    return [figure]


# An answer that is a number is known exactly from all inputs.
NUMBERS = (
    " Where answers are numbers, what is said of them has no largest value: it tells how closely a predictor can "
    "follow the model, not how much there is to know."
)


def _caption(entropy: Mapping[str, float], shown: int, every: int, *, numbers: bool) -> str:
    whole = (
        f"The dashed line is H(Y) = {number(entropy['data'], 'bits', decimals=2)}, the uncertainty about the target "
        "before anything is seen; no bar can be longer."
        if "data" in entropy
        else "No bar can be longer than H(Y), the uncertainty about the target before anything is seen."
    )
    some = f" Drawn are the {shown} of {every} with most synergy." if shown < every else ""
    more = NUMBERS if numbers else ""
    return (
        "Each bar divides what two sides say about the target: redundancy (R, either says it), unique (U, only this "
        f"side says it), synergy (S, only both together say it). {whole} Data: what cross-fitted predictors can learn "
        "of the truth. Model: what the audited model’s own answers with modalities taken away say of the truth. "
        "Answers: what predicts the model’s answer, right or wrong. Parts below 0 are laid to the left: there the "
        f"predictor of one side knows more than that of both, which is an error of estimation.{more}{some}"
    )


def _four(estimates: Sequence[Estimate], s: Sides, of: str, which: Options) -> dict[str, Estimate | None]:
    redundancy, point = s.get(estimates, "redundancy", of, which), s.get(estimates, "synergy", of, which)
    found = [e for e in select(estimates, "unique", of=of) if extra(e) == which]
    return dict(zip(PARTS, (redundancy, *_unique(found, s), point), strict=True))


def _unique(found: Sequence[Estimate], s: Sides) -> tuple[Estimate | None, Estimate | None]:
    """What only the first and only the second side says."""
    a = s.modalities[0]
    if s.against is None:
        b = s.modalities[1]
        one = (e for e in found if e.modalities == (a,) and e.option("beside") == b)
        other = (e for e in found if e.modalities == (b,) and e.option("beside") == a)
    else:
        rest = [e for e in found if s.against in (e.option("beside"), e.option("against"))]
        one = (e for e in rest if e.modalities == (a,))
        other = (
            e for e in found if e.option("beside") == a and (len(e.modalities) > 1 or e.modalities == (s.against,))
        )
    return next(one, None), next(other, None)


def _total(report: Report, estimates: Sequence[Estimate], s: Sides, of: str, which: Options) -> Estimate | None:
    """What both sides say together."""
    subset = s.modalities if s.against is None else modality_names(report)
    own = [e for e in select(estimates, "information", of=of) if e.modalities == subset]
    return next((e for e in own if extra(e) == which), None)


def _first(s: Sides) -> str:
    return shorten(s.modalities[0], 24)


def _second(s: Sides) -> str:
    return "the rest" if s.against else shorten(s.modalities[1], 24)


def _part(part: str, s: Sides) -> str:
    return {"unique, first": f"unique to {_first(s)}", "unique, second": f"unique to {_second(s)}"}.get(part, part)


def _mark(part: str) -> str:
    return {"redundancy": "R", "synergy": "S", "unique, first": "U1"}.get(part, "U2")


def uncertainty(estimates: Sequence[Estimate]) -> dict[str, float]:
    """H of truth and answers in bits, by `of`, where the report has it."""
    found: dict[str, float] = {}
    for e in select(estimates, ENTROPY):
        if math.isfinite(e.value):
            found.setdefault(e.option("of") or "data", e.value)
    return found


def information(estimates: Sequence[Estimate], every: Sequence[Sides]) -> list[Figure]:
    """What every subset of modalities says, and the balance over all of them (O-information)."""
    found = [e for e in select(estimates, "information") if e.option("of") in OF]
    named_too = ("o_information", "interaction_information", "beyond_independence", "ksg_information", ENTROPY)
    balance = [e for e in estimates if e.estimator in named_too and not e.group]
    if not found and not balance:
        return []
    styles = _styles(found)
    drawn = _drawn(found, estimates, every)
    rows = []
    for subset in sorted(dict.fromkeys(e.modalities for e in found), key=len):
        dots = tuple(
            dot(e, _series(e), f"{together(subset)}, {_series(e)}")
            for e in drawn
            if e.modalities == subset and math.isfinite(e.value)
        )
        rows.append(Row(shorten(together(subset), 34), dots))
    panels: tuple[Panel, ...] = ()
    if any(r.dots for r in rows):
        entropy = uncertainty(estimates)
        lines = [Line(0.0, "", SOLID, INK)]
        if "data" in entropy:
            lines.append(Line(entropy["data"], "H(Y)", DASHED, MUTED))
        said = "; ".join(f"{together(e.modalities)} {number(e.value, e.unit)}" for e in drawn[:8])
        alt = f"Information about the target by subset of modalities: {said}. All numbers are in the table."
        scale = Scale("information about the target (bits, → more)", tuple(lines))
        panels = (
            Panel("", alt, dot_rows(rows, styles, scale), "full", "wide"),
            Panel("", alt, dot_rows(rows, styles, scale, width=PHONE), "full", "narrow"),
        )
    columns = (
        Column("modalities", numeric=False),
        Column("quantity", numeric=False),
        Column("of", numeric=False),
        Column("value (bits)"),
        Column("if there were none (bits)"),
        Column("n"),
    )
    body = tuple(
        (
            text_cell(_about(e)),
            text_cell(readable(e.estimator)),
            text_cell(_series(e)),
            cell(e),
            null_cell(e),
            count_cell(e.n),
        )
        for e in [*found, *balance]
    )
    caption = (
        "What each subset of modalities says about the target on samples that its predictor has not seen: H(Y) minus "
        "the cross-entropy. Below 0 a predictor is worse than one that reads nothing. Interaction information is the "
        "synergy minus the redundancy of a pair, O-information the redundancy minus the synergy of all: they are "
        "balances, 0 can hide much of both."
    )
    extra = "; ".join(f"{readable(e.estimator)}: {text(e)}" for e in balance if e.estimator == "o_information")
    caption += f" Here, {extra}." if extra else ""
    return [Figure("synergy-information", "What each subset says", caption, panels, Table(columns, body))]


def _drawn(found: Sequence[Estimate], estimates: Sequence[Estimate], every: Sequence[Sides]) -> list[Estimate]:
    """Those of data and answers, and of the model those of the baseline that is drawn elsewhere, too."""
    known = dict.fromkeys(extra(e) for e in found if e.option("of") == "model")
    best = next((v for s in every for v in s.variants(estimates, "model")[:1] if v in known), next(iter(known), ()))
    return [e for e in found if e.option("of") != "model" or extra(e) == best]


def _series(e: Estimate) -> str:
    of = OF.get(e.option("of") or "data", "data")
    return f"{of}, {variant(extra(e))}" if extra(e) else of


def _styles(found: Sequence[Estimate]) -> dict[str, tuple[str, str]]:
    return {_series(e): STYLES[OF[e.option("of") or ""]] for e in found}


def _about(e: Estimate) -> str:
    if not e.modalities:
        return "all modalities"
    return sides(e)
