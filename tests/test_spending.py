"""Audits within a budget: what is measured is what an audit without one measures, and what is not is marked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.budget_cases import SUITE, N, run
from helpers.run_cases import Rowwise, contents, dataset
from mmaudit import Report, Run, audit, compare
from mmaudit.browse.answers import NOT_MEASURED, Answers
from mmaudit.browse.fragility import fragility, passport
from mmaudit.execution import Loky
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.spending import widths
from mmaudit.types import CLEAN, Array, Batch

FORWARDS = 9_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    """Without a budget."""
    out = tmp_path_factory.mktemp("spending") / "whole"
    report = run(out)
    return Run.open(out), report


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    """A fifth of it."""
    out = tmp_path_factory.mktemp("spending") / "part"
    report = run(out, forwards=FORWARDS)
    return Run.open(out), report


def measured(run: Run, condition: Any) -> Array:
    rows = np.zeros(run.n, np.bool_)
    rows[run.order[: run.count(condition)]] = True
    return rows


# Findings name the folder in their commands.
NAMES_THE_FOLDER = ("timing.json", "findings.json", "report.json", "report.html")


# ---- what is measured


def test_the_budget_is_spent_and_not_exceeded(part: tuple[Run, Report]) -> None:
    counts = part[0].counts
    assert 0.95 * FORWARDS < sum(counts) <= FORWARDS
    assert min(counts) >= 32
    assert counts[0] == max(counts)
    assert len(set(counts)) > 5


def test_answers_are_those_of_an_audit_without_a_budget(part: tuple[Run, Report], whole: tuple[Run, Report]) -> None:
    for condition in part[0].conditions:
        some, every, rows = part[0].read(condition), whole[0].read(condition), measured(part[0], condition)
        assert some.measured is not None
        np.testing.assert_array_equal(some.measured, rows)
        np.testing.assert_array_equal(some.outputs[rows], every.outputs[rows])
        assert np.isnan(some.outputs[~rows]).all()
        for name in every.changed:
            np.testing.assert_array_equal(some.changed[name], every.changed[name] & rows)
            np.testing.assert_array_equal(some.moved[name][rows], every.moved[name][rows])


def test_scores_are_those_of_the_measured_samples(part: tuple[Run, Report], whole: tuple[Run, Report]) -> None:
    of = whole[0]
    clean, target, accuracy = of.read(CLEAN).outputs, of.samples.target, metrics.get("accuracy")
    for condition in part[0].conditions[1:]:
        rows = measured(part[0], condition)
        score = part[1].score(condition.key, "accuracy")
        assert score is not None
        assert score.n == rows.sum()

        def value(outputs: Array, rows: Array = rows) -> float:
            found = accuracy(Predictions(of.task, outputs[rows], target[rows]), Resamples.ones(int(rows.sum())))
            return float(found[0])

        now = value(of.read(condition).outputs)
        assert score.value == pytest.approx(now)
        assert score.delta == pytest.approx(now - value(clean))


def test_intervals_hold_what_all_samples_say(part: tuple[Run, Report], whole: tuple[Run, Report]) -> None:
    held = []
    for condition in part[0].conditions[1:]:
        for metric in ("accuracy", "cross_entropy", "ece"):
            some, every = part[1].score(condition.key, metric), whole[1].score(condition.key, metric)
            if some is not None and every is not None and np.isfinite(some.delta):
                held.append(some.delta_low <= every.delta <= some.delta_high)
    assert len(held) > 80
    assert np.mean(held) > 0.9


def test_passes_go_where_the_intervals_are_widest(part: tuple[Run, Report]) -> None:
    """In the end all are about as wide, but for those that had their few from the start."""
    known, counts = np.array(widths(part[0])[0]), np.array(part[0].counts)
    grown = (counts > counts.min()) & (np.array([c.family for c in part[0].conditions]) != "control")
    assert grown.sum() > 15
    assert known[grown].max() < 2.5 * np.median(known[grown])
    assert known[counts == counts.min()].mean() < np.median(known[grown]) * 1.5


def test_reliance_is_of_the_same_samples(part: tuple[Run, Report], whole: tuple[Run, Report]) -> None:
    of = {c.label: k for c, k in zip(part[0].conditions, part[0].counts, strict=True)}
    together = {k for label, k in of.items() if label.startswith("missing[") or "pool=random]" in label}
    assert len(together) == 1
    some = {(e.estimator, e.label): e for e in part[1].estimates if not e.group}
    found = 0
    for e in whole[1].estimates:
        mine = some.get((e.estimator, e.label))
        if e.estimator == "shapley_value" and mine is not None and not e.group and not e.reason:
            assert {mine.n} == together
            assert mine.low - 0.02 <= e.value <= mine.high + 0.02
            found += 1
    assert found >= 2


def test_a_model_that_fails_is_told_from_what_was_not_measured(tmp_path: Path) -> None:
    def fault(batch: Batch, rows: Array) -> Array:
        empty = np.array([not text for text in batch.inputs["note"]])
        return np.where((empty & (batch.inputs["table"][:, 0] > 0.5))[:, None], np.nan, rows)

    report = run(tmp_path / "run", "quick", model=Rowwise(fault=fault), forwards=2_500)
    of = Run.open(tmp_path / "run")
    for seen, condition in zip(report.conditions, of.conditions, strict=True):
        answers = of.read(condition)
        assert answers.measured is not None
        assert seen.raised == int((answers.measured & ~answers.answered).sum())
    emptied = [(c.raised, c.n + c.raised) for c in report.conditions if c.raised]
    assert emptied
    assert all(raised < 0.9 * asked for raised, asked in emptied)
    (finding,) = [f for f in report.findings if f.rule == "model_raised"]
    assert any(f"to {raised} of {asked} samples" in finding.claim for raised, asked in emptied)


# ---- going on


def test_the_same_call_measures_nothing_more(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    run(tmp_path / "run", "quick", forwards=2_000)
    before = contents(tmp_path / "run")
    model = Rowwise()
    run(tmp_path / "run", "quick", forwards=2_000, model=model)
    assert contents(tmp_path / "run") == before
    assert model.rows["fuse"] < 300  # the checks


def test_interrupted_at_any_round_it_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    pytest.importorskip("torch")  # run.json names its version once it is loaded
    run(tmp_path / "straight", "quick", forwards=3_000)

    class Interrupted(Exception):
        pass

    for after in (1, 600, 900, 1_800, 2_600):

        def stop(done: int, total: int, after: int = after) -> None:
            if done >= after:
                raise Interrupted

        with pytest.raises(Interrupted):
            run(tmp_path / "killed", "quick", forwards=3_000, progress=stop)
    run(tmp_path / "killed", "quick", forwards=3_000)
    assert contents(tmp_path / "killed", NAMES_THE_FOLDER) == contents(tmp_path / "straight", NAMES_THE_FOLDER)


def test_two_processes_end_with_the_same_bytes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    pytest.importorskip("torch")  # run.json names its version once it is loaded
    run(tmp_path / "one", "quick", forwards=3_000)
    run(tmp_path / "two", "quick", forwards=3_000, executor=Loky(2))
    assert contents(tmp_path / "one", NAMES_THE_FOLDER) == contents(tmp_path / "two", NAMES_THE_FOLDER)


def test_a_larger_budget_goes_on(tmp_path: Path) -> None:
    run(tmp_path / "run", "quick", forwards=2_000)
    before = Run.open(tmp_path / "run").counts
    run(tmp_path / "run", "quick", forwards=4_000)
    after = Run.open(tmp_path / "run").counts
    assert all(a <= b for a, b in zip(before, after, strict=True))
    assert 3_500 < sum(after) <= 4_000


def test_without_a_budget_the_rest_is_measured(tmp_path: Path, whole: tuple[Run, Report]) -> None:
    first = run(tmp_path / "run", forwards=5_000)
    assert first.document["budget"]["partial"] > 0
    assert set(first.document["synergy"]["not_analysed"]) == {"emap"}
    report, of = run(tmp_path / "run"), Run.open(tmp_path / "run")
    assert of.counts == [N] * len(of.conditions)
    for condition in of.conditions:
        np.testing.assert_array_equal(of.read(condition).outputs, whole[0].read(condition).outputs)
    mine, its = report.document, whole[1].document
    assert mine["budget"] is None
    assert mine["synergy"]["not_analysed"] == its["synergy"]["not_analysed"]
    assert mine["scores"] == its["scores"]
    assert [f["claim"] for f in mine["findings"]] == [f["claim"] for f in its["findings"]]


def test_a_budget_on_a_finished_run_adds_to_it(tmp_path: Path) -> None:
    run(tmp_path / "run", "quick")
    before = contents(tmp_path / "run" / "predictions")
    quick = len(Run.open(tmp_path / "run").conditions)
    run(tmp_path / "run", SUITE, forwards=quick * N + 3_000)
    of = Run.open(tmp_path / "run")
    assert of.counts[:quick] == [N] * quick
    assert 32 <= min(of.counts[quick:]) < N
    assert before.items() <= contents(tmp_path / "run" / "predictions").items()


def test_time_runs_out(tmp_path: Path) -> None:
    def slow(batch: Batch, rows: Array) -> Array:
        time.sleep(len(batch) * 2e-4)
        return rows

    report = run(tmp_path / "run", "quick", model=Rowwise(fault=slow), budget="1s")
    of = Run.open(tmp_path / "run")
    assert of.header["budget"]["seconds"] == 1.0
    assert sum(of.header["budget"]["rounds"]) > 0.5
    assert sum(of.counts) < N * len(of.conditions)
    assert "Within a budget of 1 s" in report.budget()
    before = of.counts
    run(tmp_path / "run", "quick", model=Rowwise(fault=slow), budget="1s")
    assert Run.open(tmp_path / "run").counts == before


def test_a_time_on_a_run_that_was_not_timed_is_kept(tmp_path: Path) -> None:
    """How fast answers come is not concluded from answers whose time nobody knows."""

    def slow(batch: Batch, rows: Array) -> Array:
        time.sleep(len(batch) * 2e-4)
        return rows

    run(tmp_path / "run", "quick", model=Rowwise(fault=slow), forwards=2_000)
    run(tmp_path / "run", "quick", model=Rowwise(fault=slow), budget=1.0)
    of = Run.open(tmp_path / "run")
    assert 2_100 < sum(of.counts) < N * len(of.conditions)


def test_more_than_enough_measures_everything(tmp_path: Path) -> None:
    report = run(tmp_path / "run", "quick", n=200, forwards=10**9)
    assert report.document["budget"] is None
    assert report.budget() == ""
    assert set(Run.open(tmp_path / "run").counts) == {200}


def test_clusters_are_measured_whole(tmp_path: Path) -> None:
    patient = np.random.default_rng(0).integers(0, 60, 600)
    data = dataset(n=600, seed=1, cluster=patient)
    audit(Rowwise(), data, out=tmp_path / "run", suite="quick", forwards=6_000, resamples=50, keep_samples=0)
    of = Run.open(tmp_path / "run")
    some = [m for c in of.conditions if (m := of.read(c).measured) is not None]
    assert len(some) > 5
    for there in some:
        assert not set(patient[there]) & set(patient[~there])
        assert len(set(patient[there])) >= 32


# ---- how it is said


def test_the_report_says_what_was_left_out(part: tuple[Run, Report], tmp_path: Path) -> None:
    report = part[1]
    assert report.document["budget"] == {
        "forwards": FORWARDS,
        "seconds": None,
        "answers": sum(part[0].counts),
        "planned": N * len(part[0].counts),
        "partial": len(part[0].counts),
        "fewest": min(part[0].counts),
        "most": max(part[0].counts),
    }
    assert report.budget() in repr(report)
    page = report.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Within a budget of" in page
    assert "a budget left" in page
    assert report.failed_controls() == ()
    worst = [s for s in report.rows if s.metric.startswith("instance_worst")]
    assert any("within the budget" in s.reason for s in worst)
    assert all("within the budget" in s.reason or np.isfinite(s.value) for s in worst)


def test_the_dashboard_tells_not_measured_from_no_answer(part: tuple[Run, Report], whole: tuple[Run, Report]) -> None:
    some, every = Answers(part[0]), Answers(whole[0])
    condition = next(c for c in part[0].conditions if c.position == 5)
    rows = measured(part[0], condition)
    table, full = some.table(condition), every.table(condition)
    assert (table["answer"][~rows] == NOT_MEASURED).all()
    assert table[rows & measured(part[0], CLEAN)].equals(full[rows & measured(part[0], CLEAN)])
    assert table["damage"][~rows].isna().all()
    position = int(np.flatnonzero(rows)[0])
    one, its = some.sample(position), every.sample(position)
    there = np.array([measured(part[0], c)[position] for c in part[0].conditions])
    assert ((one["answer"] == NOT_MEASURED) == ~there).all()
    assert (one["answer"][there] == its["answer"][there]).all()
    assert list(one["key"]) == list(its["key"])
    found = fragility(some)
    graded = [c for c in part[0].conditions if c.position and len(c.modalities) == 1]
    everywhere = np.all([measured(part[0], c) for c in graded], axis=0)
    position = int(found.index[found["right"] & rows & ~everywhere][0])
    tested = sum(len(flip.tested) for flip in passport(some, position))
    assert tested == sum(measured(part[0], c)[position] for c in graded) < len(graded)


def test_two_runs_with_budgets_are_compared_on_what_both_measured(part: tuple[Run, Report], tmp_path: Path) -> None:
    run(tmp_path / "other", forwards=7_000)
    other = Run.open(tmp_path / "other")
    found = compare(part[0], other, resamples=50)
    assert any("a budget left" in remark for remark in found.pairings[0].remarks)
    rows = [
        r for r in found.rows if r.metric == "accuracy" and r.condition == part[0].conditions[9].key and not r.group
    ]
    assert rows
    assert {r.n_first for r in rows} == {min(of.count(part[0].conditions[9]) for of in (part[0], other))}
    assert {r.delta for r in rows if np.isfinite(r.delta)} == {0.0}
