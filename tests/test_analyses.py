"""Analyses in an audit: which are run, what they leave behind, what becomes of one that fails; a data set alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmaudit
from helpers.run_cases import Rowwise, contents, dataset
from mmaudit import Suite, audit
from mmaudit.errors import BadInput, Undefined, UnknownName
from mmaudit.plan import ANALYSES, SUITES
from mmaudit.report import Report
from mmaudit.types import Array, Batch

FILES = {
    "emap": "crossed.parquet",
    "attribution": "attributions.parquet",
    "off_data": "offdata.parquet",
    "synergy": "crossfit.parquet",
}
PROBES = ("missing", "mismatch")


def suite(*analyses: str) -> Suite:
    return Suite("small", PROBES, baselines=("zero",), pools=("random",), analyses=analyses)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    out = tmp_path_factory.mktemp("analyses") / "run"
    return out, audit(Rowwise(), dataset(n=200), out=out, suite=suite(*ANALYSES))


def test_named_suites_have_all_and_probes_by_name_have_none() -> None:
    assert all(set(s.analyses) == set(ANALYSES) == set(FILES) for s in SUITES.values())
    assert mmaudit.Suite(probes=("missing",)).analyses == ()
    with pytest.raises(UnknownName, match="synergi"):
        suite("synergi")


def test_each_writes_its_file_and_its_estimates(whole: tuple[Path, Report]) -> None:
    out, report = whole
    assert all((out / file).exists() for file in FILES.values())
    found = {e.estimator for e in report.estimates}
    assert {"shapley_value", "emap_gap", "anova_share", "attribution_share", "off_data_distance"} <= found
    assert {"synergy", "redundancy", "unique", "synergy_unused", "label_shuffle", "tag_share"} <= found
    assert {"crossfit", "crossed", "attributions"} <= set(report.document["synergy"])
    assert report.document["synergy"]["not_analysed"] == {}


def test_every_estimate_is_a_score_with_a_unit_and_an_interval_or_a_reason(whole: tuple[Path, Report]) -> None:
    _, report = whole
    scores = {(s.condition, s.metric, s.group): s for s in report.rows}
    for e in report.estimates:
        assert scores[e.key, e.estimator, e.group].label == e.label
        assert e.unit or e.estimator == "reliance_agreement"
        if e.value == e.value:
            assert e.low <= e.value <= e.high or e.reason, e.label
        else:
            assert e.reason, e.label
    labels = [(e.label, e.group) for e in report.estimates]
    assert len(set(labels)) == len(labels)


def test_added_later_they_end_with_the_same_bytes(whole: tuple[Path, Report], tmp_path: Path) -> None:
    out = tmp_path / "run"
    model, data = Rowwise(), dataset(n=200)
    audit(model, data, out=out, suite=suite())
    assert not any((out / file).exists() for file in FILES.values())
    audit(model, data, out=out, suite=suite(*ANALYSES))
    for file in (*FILES.values(), "scores.parquet", "estimates.json", "tags.parquet"):
        assert (out / file).read_bytes() == (whole[0] / file).read_bytes(), file
    before = contents(out)
    audit(model, data, out=out, suite=suite(*ANALYSES))
    assert contents(out).keys() == before.keys()


def test_scores_can_be_made_again_without_the_model(whole: tuple[Path, Report]) -> None:
    out, report = whole
    before = (out / "scores.parquet").read_bytes()
    mmaudit_score(out)
    assert (out / "scores.parquet").read_bytes() == before
    assert Report.read(out).estimates == report.estimates or _same(Report.read(out), report)


def _same(one: Report, other: Report) -> bool:
    return json.dumps(one.document["scores"]) == json.dumps(other.document["scores"])


def mmaudit_score(out: Path) -> None:
    from mmaudit.assemble import assemble
    from mmaudit.score import score

    run = mmaudit.Run.open(out)
    score(run)
    assemble(run)


def test_a_model_that_fails_on_recombined_samples_does_not_end_the_audit(tmp_path: Path) -> None:
    data = dataset(n=120)
    known = data.rows(np.arange(120))
    pairs = {(t.tobytes(), str(n)) for t, n in zip(known.inputs["table"], known.inputs["note"], strict=True)}

    checked = []  # only after the doctor's checks, which recombine samples, too

    def moody(batch: Batch, outputs: Array) -> Array:
        for table, note in zip(batch.inputs["table"], batch.inputs["note"], strict=True):
            if checked and table.any() and note and (table.tobytes(), str(note)) not in pairs:
                raise RuntimeError("never seen together")
        return outputs

    only_missing = Suite("small", ("missing",), baselines=("zero",), analyses=tuple(ANALYSES))
    out = tmp_path / "run"
    report = audit(Rowwise(fault=moody), data, out=out, suite=only_missing, progress=lambda *_: checked.append(True))
    (gap,) = (e for e in report.estimates if e.estimator == "emap_gap" and not e.group)
    assert gap.value != gap.value
    assert "answers less than half of the combinations" in gap.reason
    assert "shapley_value" in {e.estimator for e in report.estimates if e.value == e.value}


def test_an_analysis_that_raises_leaves_its_reason_and_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmaudit import analyses

    def fails(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("no way")

    monkeypatch.setitem(analyses._ANALYSES, "emap", fails)
    out = tmp_path / "run"
    report = audit(Rowwise(), dataset(n=120), out=out, suite=suite("emap", "off_data"))
    assert "ZeroDivisionError: no way" in report.document["synergy"]["not_analysed"]["emap"]
    assert "ZeroDivisionError" in (out / "errors" / "emap.txt").read_text()
    monkeypatch.undo()
    again = audit(Rowwise(), dataset(n=120), out=out, suite=suite("emap", "off_data"))
    assert again.document["synergy"]["not_analysed"] == {}
    assert "emap_gap" in {e.estimator for e in again.estimates}


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_other_tasks(kind: str, tmp_path: Path) -> None:
    report = audit(Rowwise(kind), dataset(kind, n=200), out=tmp_path / "run", suite=suite(*ANALYSES))
    found = {e.label: e for e in report.estimates}
    assert found["information[table+note, of=data]"].low > 0
    assert found["shapley_value[table, baseline=zero]"].low > 0
    assert report.document["synergy"]["not_analysed"] == {}


def test_a_data_set_alone() -> None:
    found = mmaudit.synergy(dataset(n=400), resamples=200)
    values = {e.label: e for e in found.estimates}
    assert values["information[table, of=data]"].low > 0
    assert values["redundancy[table+note, of=data]"].low > 0
    assert set(found.table["metric"]) == {e.estimator for e in found.estimates}
    assert "synergy[table+note, of=data]" in repr(found)
    assert found.about["features"] == {"table": "plain", "note": "plain"}


def test_nothing_to_predict_is_one_clear_error() -> None:
    data = dataset(n=40)
    object.__setattr__(data, "target", np.zeros(40, np.int64))
    with pytest.raises((Undefined, BadInput), match=r"same|class"):
        mmaudit.synergy(data)
