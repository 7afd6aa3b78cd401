"""Metadata of a model card: the `model-index` of the Hugging Face Hub, one result per condition."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmaudit.errors import BadInput
from mmaudit.figures.base import loss, words
from mmaudit.formats import printable, readable, shorten
from mmaudit.report import Measured, Metric, Report
from mmaudit.types import Score

MOST_CONDITIONS = 40
LONGEST = 120
SIGNIFICANT = 6

# Names of the Hub's metrics, where a metric here is the same number.
HUB_METRICS = {"macro_f1": "f1", "auroc": "roc_auc", "r2": "r_squared"}
HUB_ARGS = {"macro_f1": {"average": "macro"}}
# Clean data has these beside the primary metric; conditions have the primary metric alone.
ON_CLEAN = (
    *("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision"),
    *("rmse", "mae", "r2", "mrr", "recall_at_1", "recall_at_5", "recall_at_10", "ece", "brier", "nll"),
)
# The Hub's name of a task with one modality; several together have none.
ONE_KIND = {"image": "image", "audio": "audio", "text": "text", "tabular": "tabular"}


@dataclass(frozen=True)
class Published:
    """What only the person who publishes knows; what is empty is filled from the report, or left out.

    Attributes:
        task_type, task_name: the Hub's name of the task, such as `image-classification`; and the same in words.
        dataset_type: identifier of the data set on the Hub, such as `org/name`.
        dataset_name, dataset_config, dataset_split, dataset_revision: its name in words, and what of it was audited.
        source_name, source_url: where the report can be read; the name needs the address.
    """

    task_type: str = ""
    task_name: str = ""
    dataset_type: str = ""
    dataset_name: str = ""
    dataset_config: str = ""
    dataset_split: str = ""
    dataset_revision: str = ""
    source_name: str = "mmaudit report"
    source_url: str = ""

    def __post_init__(self) -> None:
        if self.source_url and not re.match(r"https?://[^\s]+$", self.source_url):
            raise BadInput(f"source_url {self.source_url!r} is not an address; give one that starts with https://.")


def model_index(report: Report, published: Published | None = None) -> dict[str, Any]:
    """Return the metadata `model-index` as plain values, as `EvalResult` of huggingface_hub reads them.

    One result for clean data, with every metric the Hub knows, and one for each of the 40 conditions that cost most,
    with the primary metric. The condition stands in the arguments of the data set and of the metric, because libraries
    that put results of one data set together keep only the latter. Values are in the metric's own unit (a share in
    [0, 1]); interval, chance and number of samples are arguments of the metric. Undefined numbers are left out, as the
    Hub has no form for them.
    """
    about = published or Published()
    shown = [m for m in report.conditions if m.key == report.clean][:1] + worst(report)[:MOST_CONDITIONS]
    results = [result for m in shown if (result := _result(report, m, about))]
    return {"model-index": [{"name": shorten(report.document["model"]["name"], LONGEST), "results": results}]}


def worst(report: Report) -> list[Measured]:
    """Conditions by what they cost, most first; controls and those without a value left out."""
    found: list[tuple[float, Measured]] = []
    for m in report.conditions:
        score = report.score(m.key, report.primary.name)
        if m.condition.family in ("clean", "control") or score is None or not math.isfinite(loss(score)):
            continue
        found.append((loss(score), m))
    return [m for _, m in sorted(found, key=lambda e: -e[0])]


def _result(report: Report, m: Measured, about: Published) -> dict[str, Any]:
    """One result; empty where no metric has a value."""
    metrics = list(_metrics(report, m))
    if not metrics:
        return {}
    result: dict[str, Any] = {"task": _task(report, about), "dataset": _dataset(report, m, about), "metrics": metrics}
    if about.source_url:
        result["source"] = {"name": printable(about.source_name), "url": printable(about.source_url)}
    return result


def _task(report: Report, about: Published) -> dict[str, str]:
    kind = report.document["task"]["kind"]
    kinds = {m["kind"] for m in report.document["data"]["modalities"]}
    one = ONE_KIND.get(next(iter(kinds)), "") if len(kinds) == 1 else ""
    return {
        "type": about.task_type or f"{one or 'multimodal'}-{kind}",
        "name": about.task_name or f"{readable(kind)} from {' + '.join(sorted(kinds))}",
    }


def _dataset(report: Report, m: Measured, about: Published) -> dict[str, Any]:
    title, data = report.document["title"], report.document["data"]
    named = {
        "type": about.dataset_type or slug(title),
        "name": about.dataset_name or shorten(title, LONGEST),
        "config": about.dataset_config,
        "split": about.dataset_split,
        "revision": about.dataset_revision or shorten(data["fingerprint"], LONGEST),
    }
    return {**{k: printable(v) for k, v in named.items() if v}, "args": _condition(m)}


def slug(title: str) -> str:
    """A title as an identifier: lower case, hyphens; `dataset` where nothing is left of it."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower())[:60].strip("-") or "dataset"


def _condition(m: Measured) -> dict[str, Any]:
    c = m.condition
    said: dict[str, Any] = {"condition": shorten(c.label, LONGEST)}
    if c.family != "clean":
        said |= {"probe": shorten(c.probe, LONGEST), "modalities": [shorten(x, LONGEST) for x in c.modalities]}
    if c.severity is not None and math.isfinite(c.severity):
        said |= {"severity": c.position if c.position is not None else rounded(c.severity)}
        said |= {"severity_value": rounded(c.severity), "severity_unit": shorten(c.unit, LONGEST)}
    return said


def _metrics(report: Report, m: Measured) -> Iterator[dict[str, Any]]:
    primary = report.primary.name
    names = [primary, *(n for n in ON_CLEAN if n != primary)] if m.key == report.clean else [primary]
    where = "" if m.key == report.clean else f", {words(m.condition)}"
    for name in names:
        score = report.score(m.key, name)
        if name in report.metrics and score is not None and math.isfinite(score.value):
            yield {
                "type": HUB_METRICS.get(name, shorten(name, LONGEST)),
                "value": rounded(score.value),
                "name": shorten(f"{readable(name)}{where}", LONGEST),
                "args": _args(report.metrics[name], score, m),
            }


def _args(metric: Metric, score: Score, m: Measured) -> dict[str, Any]:
    numbers = {"low": score.low, "high": score.high, "chance": score.floor, "change_against_clean": score.delta}
    known = {name: rounded(value) for name, value in numbers.items() if math.isfinite(value)}
    said: dict[str, Any] = {**HUB_ARGS.get(metric.name, {}), **known}
    if "low" in known:
        said["confidence_level"] = 0.95
    said |= {"n": score.n, "unit": shorten(score.unit, LONGEST), "better": metric.better}
    return {**said, **{k: v for k, v in _condition(m).items() if k in ("condition", "severity")}}


def rounded(value: float) -> float:
    """Six significant digits: more than any interval supports."""
    return float(f"{value:.{SIGNIFICANT}g}")
