"""Estimates as the charts of reliance and synergy need them: looked up, in words, and as cells of tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmaudit.estimates import Estimate
from mmaudit.figures.base import Cell, number_cell
from mmaudit.figures.dots import Dot
from mmaudit.figures.marks import series_style
from mmaudit.formats import change, estimate, factor, number, p_value, readable, shorten
from mmaudit.report import Metric, Report

# What the value of reliance is, by kind of task: as mmaudit.reliance has it, which charts know nothing of.
VALUE = {"classification": "accuracy", "multilabel": "average_precision", "regression": "r2", "retrieval": "mrr"}
# Differences of two values of the primary metric; where that is a share, they are in percentage points.
DIFFERENCES = frozenset(
    {
        *("shapley_value", "shapley_interaction", "shapley_efficiency_error", "leave_one_out", "perceptual_score"),
        *("emap_gap", "shape_contribution", "shape_cooperation"),
    }
)
NO_NULL = "where there is nothing it would be 0, or that value is not known"
NO_TEST = "there is no test of this number"
NO_ROW = "not measured"
NAME_LIMIT = 24


def of_family(report: Report, family: str) -> tuple[Estimate, ...]:
    """All estimates of a family, `reliance` or `synergy`, in the order of the report."""
    return tuple(e for entry, e in _entries(report) if entry["family"] == family)


def by_key(report: Report) -> dict[tuple[str, str], tuple[str, Estimate]]:
    """Family and estimate by the key that scores and findings call it by, and group."""
    return {(entry["key"], entry["group"]): (entry["family"], e) for entry, e in _entries(report)}


def _entries(report: Report) -> Iterator[tuple[Mapping[str, Any], Estimate]]:
    return zip(report.document.get("estimates", ()), report.estimates, strict=True)


def select(estimates: Iterable[Estimate], name: str, group: str = "", **options: str | None) -> list[Estimate]:
    """The estimates of this estimator and group whose options are as given; None asks for an option's absence."""
    return [
        e
        for e in estimates
        if e.estimator == name and e.group == group and all(e.option(k) == v for k, v in options.items())
    ]


def first(
    estimates: Iterable[Estimate], name: str, modalities: Sequence[str] | None = None, baseline: str | None = None
) -> Estimate | None:
    """The first such estimate, of these modalities where they are given; None where there is none."""
    found = select(estimates, name) if baseline is None else select(estimates, name, baseline=baseline)
    return next((e for e in found if modalities is None or e.modalities == tuple(modalities)), None)


def together(modalities: Sequence[str]) -> str:
    """Modalities in words: `image + question`."""
    return " + ".join(shorten(m, NAME_LIMIT) for m in modalities)


def sides(e: Estimate) -> str:
    """Whose synergy an estimate is about: `image + question`, or `image + the rest`."""
    return f"{together(e.modalities)} + the rest" if e.option("against") else together(e.modalities)


def extra(e: Estimate) -> tuple[tuple[str, str], ...]:
    """The options that tell two estimates of the same sides and of the same thing apart, such as the baseline."""
    return tuple(option for option in e.options if option[0] not in ("of", "against", "beside"))


def variant(options: Iterable[tuple[str, str]]) -> str:
    """Such options in words."""
    return ", ".join(shorten(readable(value), 20) for _, value in options)


def value_metric(report: Report) -> Metric:
    """The metric that values of reliance are made of; higher is better."""
    name = VALUE.get(report.document["task"]["kind"], report.primary.name)
    return report.metrics.get(name) or Metric(name, "higher", "")


def named(e: Estimate) -> str:
    """What an estimate estimates, without modalities and baseline: `attribution share, integrated gradients`."""
    said = [shorten(readable(e.estimator), 40)]
    for name, value in e.options:
        if name == "normalised":
            said.append(f"as a share of the {'model’s value' if value == 'model' else 'room the task leaves'}")
        elif name == "order":
            said.append(
                "three and more together" if value == "3+" else f"{value} together" if value != "1" else "alone"
            )
        elif name == "parts":
            said.append(f"{shorten(value, NAME_LIMIT)} parts")
        elif name not in ("baseline", "of", "against", "beside"):
            said.append(shorten(readable(value), NAME_LIMIT))
    return ", ".join(said)


def is_difference(e: Estimate) -> bool:
    """Whether the value is a difference of two values of the primary metric."""
    return e.estimator in DIFFERENCES and e.option("normalised") is None


def text(e: Estimate) -> str:
    """Value, unit and interval; a dash where it is undefined."""
    return change(e.value, e.low, e.high, e.unit) if is_difference(e) else estimate(e.value, e.low, e.high, e.unit)


def cell(e: Estimate | None, reason: str = NO_ROW) -> Cell:
    """A table cell: value, unit and interval, or a dash and why."""
    if e is None:
        return number_cell(math.nan, reason=reason)
    if not math.isfinite(e.value):
        return number_cell(e.value, reason=e.reason)
    # A value without its interval keeps the reason for that.
    return Cell(text(e), e.value, e.reason)


def null_cell(e: Estimate | None) -> Cell:
    """What the value would be if there were nothing to find."""
    if e is None:
        return number_cell(math.nan, reason=NO_ROW)
    return number_cell(e.null, e.unit, NO_NULL, change=is_difference(e))


def p_cell(e: Estimate | None) -> Cell:
    """The p of "nothing to find"."""
    if e is None or not math.isfinite(e.p):
        return number_cell(math.nan, reason=NO_ROW if e is None else NO_TEST)
    return Cell(p_value(e.p), e.p)


def null_text(e: Estimate) -> str:
    """The null in words, for those who hover; empty where there is none."""
    return f"; {number(e.null, e.unit, change=is_difference(e))} if there were nothing" if math.isfinite(e.null) else ""


def tip(e: Estimate, what: str) -> str:
    """What a reader sees on hover."""
    return f"{what}: {text(e)}{null_text(e)}"


def dot(e: Estimate, series: str, what: str) -> Dot:
    """An estimate as a dot with its interval and null, in shown units; `what` is said on hover."""
    value, low, high, null = (factor(e.unit) * v for v in (e.value, e.low, e.high, e.null))
    return Dot(series, value, low, high, null, tip=tip(e, what))


def modality_styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and shape of each modality."""
    return {shorten(m, NAME_LIMIT): series_style(i) for i, m in enumerate(names)}
