"""A run grows by what a larger suite asks for; nothing that was measured is measured again or touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, contents, dataset, stamps
from mmaudit import Report, Run, audit

N = 1500


def run(out: Path, suite: Any) -> tuple[Rowwise, Report]:
    model = Rowwise("regression")
    present = {"table": np.arange(N) % 9 != 0}
    report = audit(model, dataset("regression", N, present=present), out=out, suite=suite, resamples=30)
    return model, report


def test_a_larger_suite_adds_to_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    small, _ = run(tmp_path / "grown", "quick")
    quick = Run.open(tmp_path / "grown").conditions
    before = set(stamps(tmp_path / "grown" / "predictions"))
    more, grown = run(tmp_path / "grown", "standard")
    direct, expected = run(tmp_path / "direct", "standard")
    a, b = Run.open(tmp_path / "grown"), Run.open(tmp_path / "direct")

    assert before < set(stamps(tmp_path / "grown" / "predictions"))
    assert {c.key for c in a.conditions} == {c.key for c in b.conditions}
    assert [len(i) for i in a.increments] == [len(quick), len(b.conditions) - len(quick)]
    # The doctor's rows come on top of each; of a condition the model answers nothing twice.
    assert small.rows["fuse"] + more.rows["fuse"] < direct.rows["fuse"] + N
    for condition in b.conditions:
        one, other = a.read(condition), b.read(condition)
        np.testing.assert_array_equal(one.outputs, other.outputs, err_msg=condition.label)
        for name in one.changed:
            np.testing.assert_array_equal(one.changed[name], other.changed[name])
            np.testing.assert_array_equal(one.moved[name], other.moved[name])

    assert a.header["suite"] == b.header["suite"]
    assert {str(d) for d in b.header["declined"]} <= {str(d) for d in a.header["declined"]}

    def scored(report: Report) -> Any:
        return report.scores.sort_values(["condition", "metric", "group", "against"]).reset_index(drop=True)

    # Summaries that average over conditions add them up in another order.
    one, other = scored(grown), scored(expected)
    numbers = one.select_dtypes("number").columns
    np.testing.assert_allclose(one[numbers], other[numbers], rtol=1e-9, atol=1e-12)
    texts = [c for c in one.columns if c not in numbers]
    assert one[texts].equals(other[texts])
    assert [f.claim for f in grown.findings] == [f.claim for f in expected.findings]

    whole = contents(tmp_path / "grown")
    again, _ = run(tmp_path / "grown", "quick")
    assert again.rows["fuse"] < N
    assert contents(tmp_path / "grown") == whole


def test_the_report_is_headed_by_what_was_said_last_and_the_command_that_asked_for_most(tmp_path: Path) -> None:
    def report(suite: Any, **said: str) -> tuple[str, str]:
        data = dataset("regression", 60)
        document = audit(Rowwise("regression"), data, out=tmp_path / "run", suite=suite, resamples=9, **said).document
        return document["title"], document["command"]

    assert report(["missing"], title="First", command="audit missing") == ("First", "audit missing")
    assert report(["missing"], command="audit again") == ("First", "audit missing")
    assert report("quick", title="Second", command="audit quick") == ("Second", "audit quick")
    assert report(["missing"]) == ("Second", "audit quick")


def test_what_was_declined_stays_on_record(tmp_path: Path) -> None:
    run(tmp_path / "run", ["missing"])
    _, report = run(tmp_path / "run", ["mismatch"])
    assert {d["probe"] for d in report.document["declined"]} == {"missing", "mismatch"}
    assert {c.condition.family for c in report.conditions} == {"clean", "control", "missing", "mismatch"}
