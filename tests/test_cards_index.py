"""The metadata of a model card: what the Hub's readers require, the report's own numbers, and nothing undefined."""

from __future__ import annotations

import importlib.util
import json
import math
from typing import Any

import pytest

from helpers.yaml_subset import read
from mmaudit.cards import Published, model_card, model_index
from mmaudit.cards.index import MOST_CONDITIONS, slug, worst
from mmaudit.errors import BadInput
from mmaudit.report import Report
from report_samples import poisoned, sample_report, small_report

HUB = importlib.util.find_spec("huggingface_hub") is not None
HOSTILE = "\"\n---\n- !!python/object/apply:os.system ['x'] # \u202e\u2028<b> ' : {"


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.from_json(sample_report(examples=0))


def results(index: dict[str, Any]) -> list[dict[str, Any]]:
    (model,) = index["model-index"]
    assert set(model) == {"name", "results"}
    found: list[dict[str, Any]] = model["results"]
    return found


def check_structure(index: dict[str, Any]) -> None:
    """What `model_index_to_eval_results` of huggingface_hub reads, and what JSON can hold."""
    assert set(index) == {"model-index"}
    json.dumps(index, allow_nan=False)
    for result in results(index):
        assert set(result) <= {"task", "dataset", "metrics", "source"}
        assert set(result["task"]) == {"type", "name"}
        assert {"type", "name", "args"} <= set(result["dataset"]) <= {
            "type", "name", "config", "split", "revision", "args",
        }  # fmt: skip
        assert result["metrics"]
        for metric in result["metrics"]:
            assert set(metric) == {"type", "value", "name", "args"}
            assert isinstance(metric["value"], float)
            assert math.isfinite(metric["value"])
        texts = [*result["task"].values(), *(v for k, v in result["dataset"].items() if k != "args")]
        assert all(isinstance(text, str) and text and "\n" not in text for text in texts)


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_structure(task: str) -> None:
    index = model_index(Report.from_json(sample_report(task=task, examples=0)))
    check_structure(index)
    assert 2 <= len(results(index)) <= 1 + MOST_CONDITIONS


def test_values_are_those_of_the_report(report: Report) -> None:
    by_label = {m.condition.label: m for m in report.conditions}
    found = results(model_index(report))
    assert found[0]["dataset"]["args"] == {"condition": "clean"}
    assert {"accuracy", "f1", "roc_auc", "ece", "brier"} <= {m["type"] for m in found[0]["metrics"]}
    for result in found:
        measured = by_label[result["dataset"]["args"]["condition"]]
        metric = result["metrics"][0]
        score = report.score(measured.key, "accuracy")
        assert score is not None
        assert metric["type"] == "accuracy"
        assert metric["value"] == pytest.approx(score.value, rel=1e-5)
        assert metric["args"]["low"] == pytest.approx(score.low, rel=1e-5)
        assert metric["args"]["n"] == score.n
        assert metric["args"]["condition"] == measured.condition.label
        if measured.condition.position:
            assert result["dataset"]["args"]["severity"] == measured.condition.position
            assert result["dataset"]["args"]["severity_unit"] == measured.condition.unit


def test_the_conditions_that_cost_most_are_kept_and_controls_are_not(report: Report) -> None:
    costs = [report.score(m.key, "accuracy").delta for m in worst(report)]  # type: ignore[union-attr]
    assert costs == sorted(costs)
    assert len(costs) == sum(m.condition.family not in ("clean", "control") for m in report.conditions)
    kept = [r["dataset"]["args"]["condition"] for r in results(model_index(report))]
    assert kept[1:] == [m.condition.label for m in worst(report)[:MOST_CONDITIONS]]


def test_what_only_the_publisher_knows() -> None:
    report = Report.from_json(small_report())
    about = Published(
        "image-classification", "Shapes", "org/data", "Data", "main", "test", "abc", "us", "https://example.org/r"
    )
    for result in results(model_index(report, about)):
        assert result["task"] == {"type": "image-classification", "name": "Shapes"}
        dataset = {k: v for k, v in result["dataset"].items() if k != "args"}
        assert dataset == {"type": "org/data", "name": "Data", "config": "main", "split": "test", "revision": "abc"}
        assert result["source"] == {"name": "us", "url": "https://example.org/r"}
    plain = results(model_index(report))[0]
    assert "source" not in plain  # a name without an address is refused by the Hub
    assert plain["dataset"]["revision"] == report.document["data"]["fingerprint"]
    assert "split" not in plain["dataset"]
    assert plain["task"]["type"] == "image-classification"
    with pytest.raises(BadInput, match="https://"):
        Published(source_url="javascript:alert(1)")


def test_undefined_numbers_are_left_out() -> None:
    document = small_report()
    columns = document["scores"]["columns"]
    value, condition = columns.index("value"), columns.index("condition")
    gone = document["conditions"][5]["key"]
    for row in document["scores"]["rows"]:
        if row[condition] == gone:
            for name in ("value", "low", "high", "delta", "delta_low", "delta_high"):
                row[columns.index(name)] = None
    index = model_index(Report.from_json(document))
    check_structure(index)
    assert document["conditions"][5]["label"] not in [r["dataset"]["args"]["condition"] for r in results(index)]
    for row in document["scores"]["rows"]:
        row[value] = None
    assert results(model_index(Report.from_json(document))) == []


def test_slug() -> None:
    assert slug("easy-VQA: CNN & BoW!") == "easy-vqa-cnn-bow"
    assert slug("\u05d0") == "dataset"
    assert len(slug("x" * 500)) == 60


@pytest.mark.parametrize("text", [HOSTILE, "x" * 10_000, "\u05d0\u0627"])
def test_a_card_of_a_hostile_report_starts_with_one_block_that_says_the_same(text: str) -> None:
    report = Report.from_json(poisoned(small_report(), text))
    index = model_index(report)
    check_structure(index)
    card = model_card(report)
    start, block, rest = card.split("---\n", 2)
    assert start == ""
    assert read(block) == json.loads(json.dumps(index))
    assert rest.startswith("\n## Robustness")
    assert not any(line.startswith("---") for line in rest.split("\n"))
    assert len(card.encode()) < 400_000


@pytest.mark.skipif(not HUB, reason="huggingface_hub is no dependency")
def test_the_hub_reads_the_card(report: Report) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard(model_card(report, Published(source_url="https://example.org/r")))
    index = results(model_index(report))
    assert card.data.model_name == report.document["model"]["name"]
    assert len(card.data.eval_results) == sum(len(r["metrics"]) for r in index)
    assert [r.metric_value for r in card.data.eval_results] == [m["value"] for r in index for m in r["metrics"]]
    assert [r.dataset_args for r in card.data.eval_results] == [
        r["dataset"]["args"] for r in index for _ in r["metrics"]
    ]
