"""Reading, checking, writing and asking a report."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.report import Report
from mmaudit.report_schema import schema, violations
from mmaudit.types import CLEAN, LEVELS
from report_samples import sample_report, small_report

ORACLE = jsonschema.Draft202012Validator(schema())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return sample_report(examples=2)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_what_is_written_satisfies_the_schema(task: str, tmp_path: Path) -> None:
    path = Report.from_json(sample_report(task=task, examples=2)).to_json(tmp_path / "report.json")
    written = json.loads(path.read_text(encoding="utf-8"))
    ORACLE.validate(written)
    assert list(violations(written)) == []


def test_round_trip_and_bytes(document: dict[str, Any], tmp_path: Path) -> None:
    report = Report.from_json(document)
    first, second = report.to_json(tmp_path / "a.json"), report.to_json(tmp_path / "b" / "b.json")
    assert first.read_bytes() == second.read_bytes()
    assert Report.read(first) == report
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == [], "no half-written file is left"


def test_read_takes_a_file_or_a_run_folder(document: dict[str, Any], tmp_path: Path) -> None:
    file = Report.from_json(document).to_json(tmp_path / "run" / "report.json")
    assert Report.read(file) == Report.read(tmp_path / "run") == Report.read(str(tmp_path / "run"))
    with pytest.raises(BadInput, match=r"does not exist.*mmaudit score"):
        Report.read(tmp_path)


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(doc: dict[str, Any]) -> None:
        *places, last = (int(p) if p.isdigit() else p for p in path.split("/"))
        target: Any = doc
        for p in places:
            target = target[p]
        target[last] = value

    return change


def _drop(path: str) -> Callable[[dict[str, Any]], None]:
    def change(doc: dict[str, Any]) -> None:
        *places, last = path.split("/")
        target: Any = doc
        for p in places:
            target = target[int(p) if p.isdigit() else p]
        del target[last]

    return change


BREAKING = {
    "wrong type": _set("conditions/3/severity", "strong"),
    "missing": _drop("model/name"),
    "not in enum": _set("findings/0/level", "terrible"),
    "negative count": _set("data/n", -1),
    "above one": _set("conditions/2/changed", 1.5),
    "list for text": _set("title", ["a"]),
    "text for list": _set("limits", "none"),
    "true for a number": _set("conditions/1/n", True),
    "fraction for a count": _set("conditions/1/n", 1.5),
    "unknown kind of sample": _set("examples/0/modalities/0/original", {"html": "<b>"}),
    "group count as text": _set("data/groups/answer/shape", "12"),
    "row holds a list": _set("scores/rows/0/6", [1]),
}


@pytest.mark.parametrize("name", BREAKING)
def test_own_checker_agrees_with_jsonschema_on_what_is_wrong(name: str, document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    BREAKING[name](broken)
    assert not ORACLE.is_valid(broken)
    assert list(violations(broken))
    with pytest.raises(DamagedRun, match=r"not a valid mmaudit.report/1: report"):
        Report.from_json(broken)


FINE = {
    "extra": _set("model/owner", "me"),
    "whole number as float": _set("data/n", 9.0),
    "null number": _set("findings/0/effect", None),
}


@pytest.mark.parametrize("name", FINE)
def test_own_checker_agrees_with_jsonschema_on_what_is_right(name: str, document: dict[str, Any]) -> None:
    fine = copy.deepcopy(document)
    FINE[name](fine)
    assert ORACLE.is_valid(fine)
    assert list(violations(fine)) == []
    Report.from_json(fine)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("primary", "guess"), "'guess' is not among report.metrics"),
        (_set("scores/rows/4", [1, 2]), r"rows\[4\]: 2 values for \d+ columns"),
        (_set("scores/rows/4/6", "high"), "'value' must be a number or null"),
        (_set("scores/rows/4/2", 3), "'metric' must be text"),
        (_set("reliability/0/low", [0.1]), r"reliability\[0\]: edges, count"),
        (_set("scores/columns/6", "amount"), "value missing"),
    ],
)
def test_inconsistent_reports_are_refused(
    change: Callable[[dict[str, Any]], None], says: str, document: dict[str, Any]
) -> None:
    broken = copy.deepcopy(document)
    change(broken)
    with pytest.raises(DamagedRun, match=says):
        Report.from_json(broken)


def test_two_conditions_with_one_key_are_refused(document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    broken["conditions"][2]["key"] = broken["conditions"][1]["key"]
    with pytest.raises(DamagedRun, match="same key"):
        Report.from_json(broken)


def test_versions(document: dict[str, Any]) -> None:
    with pytest.raises(StaleRun, match=r"'mmaudit.report/2' by a newer mmaudit \(0.1.0\).*pip install -U"):
        Report.from_json(document | {"schema": "mmaudit.report/2"})
    for other in ("mmaudit.report/1.5", "sarif/1", None, 3, "mmaudit.report/" + "9" * 5000):
        with pytest.raises(DamagedRun, match="not an mmaudit report"):
            Report.from_json(document | {"schema": other})


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "3", '{"a": NaN}', "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")]
)
def test_files_that_are_no_report(text: str | bytes, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DamagedRun):
        Report.read(file)


def test_nan_in_a_document_is_refused_with_advice(document: dict[str, Any]) -> None:
    with pytest.raises(DamagedRun, match="write NaN as null"):
        Report.from_json(document | {"timing": {"seconds": math.nan}})


def test_findings_are_values_ordered_by_level_and_size(document: dict[str, Any]) -> None:
    report = Report.from_json(document)
    ranks = [(LEVELS.index(f.level), -f.effect) for f in report.findings]
    assert ranks == sorted(ranks)
    assert {f.id for f in report.findings} == {f["id"] for f in document["findings"]}
    assert report.level_counts() == "1 critical, 2 major, 1 minor, 1 info"


def test_scores_frame_has_every_row_and_numbers(document: dict[str, Any]) -> None:
    frame = Report.from_json(document).scores
    assert len(frame) == len(document["scores"]["rows"])
    assert list(frame.columns) == document["scores"]["columns"]
    for column in ("value", "low", "delta", "p_adjusted", "mde", "lost"):
        assert frame[column].dtype == "float64"
    frame["value"] = 0.0
    assert Report.from_json(document).scores["value"].abs().sum() > 0, "a changed frame does not change the report"


def test_score_prefers_the_delta_against_clean(document: dict[str, Any]) -> None:
    doc = copy.deepcopy(document)
    columns = doc["scores"]["columns"]
    key = doc["conditions"][5]["key"]
    place = next(i for i, r in enumerate(doc["scores"]["rows"]) if r[0] == key and r[2] == "accuracy" and not r[3])
    other = list(doc["scores"]["rows"][place])
    other[columns.index("against")], other[columns.index("delta")] = "somewhere", 0.125
    doc["scores"]["rows"].insert(place, other)
    report = Report.from_json(doc)
    default, special = report.score(key, "accuracy"), report.score(key, "accuracy", against="somewhere")
    assert default is not None
    assert default.against == CLEAN.key
    assert special is not None
    assert special.delta == 0.125
    assert report.score(key, "accuracy", against="nowhere") is None
    assert report.score("nothing", "accuracy") is None


def test_conditions_keep_what_was_measured(document: dict[str, Any]) -> None:
    report = Report.from_json(document)
    assert [m.condition.key for m in report.conditions] == [c["key"] for c in document["conditions"]]
    assert report.clean == CLEAN.key
    assert math.isnan(report.conditions[0].moved)


def test_repr_says_what_matters(document: dict[str, Any]) -> None:
    text = repr(Report.from_json(document))
    assert "easy-VQA" in text
    assert "97.5\u00a0% [97.2,\u00a097.8], chance 36.9\u00a0%" in text
    assert "controls: all 3 passed" in text
    assert "CONTROLS FAILED" in repr(Report.from_json(sample_report(controls_ok=False, examples=0)))


def test_undefined_headline_says_why() -> None:
    doc = small_report()
    columns = doc["scores"]["columns"]
    for row in doc["scores"]["rows"]:
        if row[0] == CLEAN.key and row[2] == "accuracy":
            row[columns.index("value")], row[columns.index("reason")] = None, "one class only"
    assert Report.from_json(doc).headline() == "accuracy — (one class only)"


def test_cannot_write_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    report = Report.from_json(small_report())
    with pytest.raises(BadInput, match="cannot write"):
        report.to_json(tmp_path / "file" / "report.json")


def test_reading_a_report_loads_no_heavy_package() -> None:
    code = (
        "import sys, mmaudit.report, mmaudit.figures, mmaudit.render;"
        "bad = {'torch', 'pandas', 'netcal', 'streamlit', 'vl_convert'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
