"""A report as large as an audit of 300 conditions makes it: four modalities, groups, estimates, reference methods."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from helpers.report_scores import none_if_nan, scores_of
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import (
    AUDITED,
    CLEAN,
    ECE,
    EFFECTIVE,
    EVERYTHING,
    RELATIVE,
    RETAINED,
    VALUE,
    Group,
    Line,
    Method,
    Row,
)
from mmaudit.types import Condition
from report_estimates import with_estimates
from report_samples import CLASSIFICATION, sample_report

MODALITIES = ("image", "question", "sound", "lab values")
KINDS = ("image", "text", "audio", "tabular")
GROUPS = ("answer=yes/no", "answer=shape", "answer=colour")
METHODS = ("aecf", "agm", "gated", "late", "ogm_ge", "synib", "tensor")


def big_report(conditions: int = 300, examples: int = 40) -> dict[str, Any]:
    """The plain value of a report with at least this many conditions and all sections; deterministic."""
    document = sample_report(MODALITIES, KINDS, examples=examples)
    for condition, keep in more(conditions - len(document["conditions"])):
        measured = {"n": 9673, "changed": 1.0, "moved": 0.1 * (condition.position or 1), "raised": 0, "error": ""}
        document["conditions"].append(condition.to_json() | measured | {"received": condition.key})
        scores = scores_of(condition, keep, CLASSIFICATION, 9673, "")
        for i, group in enumerate(GROUPS):
            alone = {"accuracy": CLASSIFICATION["accuracy"]}
            scores += scores_of(condition, max(keep - 0.04 * i, 0.0), alone, 3224, group)
        document["scores"]["rows"] += [[none_if_nan(v) for v in asdict(s).values()] for s in scores]
    return with_estimates(document) | {"references": references(document).to_json()}


def more(many: int) -> Iterator[tuple[Condition, float]]:
    """Severity curves of corruptions that do not exist, and the share of its knowledge the model keeps under each."""
    for i in range(max(many, 0)):
        curve, position = divmod(i, 5)
        kind, modality = KINDS[curve % 4], MODALITIES[curve % 4]
        hurt = 0.2 + 0.6 * ((7 * curve) % 11) / 10
        keep = 1 - hurt / (1 + math.exp(-1.6 * (position - 2.4)))
        probe = f"{kind}.made_up_{curve // 4:02d}"
        yield Condition(probe, "corruption", 1, (modality,), 0.1 * (position + 1), position + 1, unit="share"), keep


def references(document: dict[str, Any]) -> Panel:
    """Seven methods under every condition, and the groups that sum conditions up."""
    keys = tuple(c["key"] for c in document["conditions"])
    chosen = [
        (f"{family}[{m}]", f"{m} {family}", family, (m,))
        for family in ("missing", "corruption", "mismatch")
        for m in MODALITIES
    ]
    groups = tuple(
        Group(key, words, family, on, keys[i :: len(chosen)], family != "mismatch")
        for i, (key, words, family, on) in enumerate(chosen)
    )
    places = (CLEAN, EVERYTHING, *(g.key for g in groups), *keys)
    methods = tuple(
        Method(
            name, name.upper(), "Somebody et al. (2024)", (0, 1, 2), parameters=120_000 + i, seconds=31.0 + i,
            microseconds=2.0, relative_time=1.1, n_train=30_000, n_validation=3_000,
        )
        for i, name in enumerate(METHODS)
    )  # fmt: skip
    rows = tuple(row for i, name in enumerate((AUDITED, *METHODS)) for row in numbers(name, i, places))
    lines = tuple(Line(place, 0.05, 0.8, False) for place in (EVERYTHING, *(g.key for g in groups)))
    return Panel(
        "easy-vqa-cnn-bow", "accuracy", "share", "higher", 0.369, 9673, keys, methods, groups, lines, rows, 1000, 0
    )


def numbers(name: str, i: int, places: Sequence[str]) -> Iterator[Row]:
    """The numbers of one model everywhere."""
    for j, place in enumerate(places):
        for quantity in (VALUE, RETAINED, RELATIVE, EFFECTIVE, ECE):
            value = 0.95 - 0.5 * ((j * 37) % 101) / 100 + 0.01 * math.sin(i + j)
            paired: dict[str, Any] = {}
            if name != AUDITED:
                delta = 0.03 * math.sin(i + 0.1 * j)
                paired = {"delta": delta, "delta_low": delta - 0.01, "delta_high": delta + 0.01, "p_adjusted": 0.03}
            yield Row(name, quantity, place, value=value, low=value - 0.01, high=value + 0.01, n=9673, **paired)
