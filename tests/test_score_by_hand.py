"""Scores of a run small enough to check by hand: edges, summaries, missing answers, and scoring it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.budget_cases import Answered
from helpers.score_cases import hand_made
from mmaudit import Run, metric
from mmaudit.errors import BadInput, DamagedRun, UnknownName
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.score import ScoreTable, evidence, score
from mmaudit.types import CLEAN, Condition, Task


@pytest.fixture
def tiny(tmp_path: Path) -> Run:
    """Ten samples of class 1 and ten of class 0, and answers that are right as often as the table says."""
    right = {"clean": 20, "a1": 16, "b1": 14, "ab": 10, "n1": 18, "n3": 15, "n5": 11}
    return hand_made(tmp_path / "tiny", right)


def test_edges_join_neighbours_and_their_losses_share_one_scale(tiny: Run) -> None:
    rows = score(tiny, resamples=50)
    labels = {c.key: c.label for c in tiny.conditions}
    edges = {
        (labels[s.against], s.label): (s.delta, s.lost)
        for s in rows
        if s.metric == "accuracy" and s.against not in ("", CLEAN.key)
    }
    a, b, ab = (f"missing[{m}, baseline=zero]" for m in ("a", "b", "a+b"))
    n1, n3, n5 = (f"tabular.noise[a]@{i}" for i in (1, 3, 5))
    # (after − before), and its loss as a share of what clean data has above chance: 1 − 0.5.
    expected = {
        (a, "clean"): 0.2,
        (b, "clean"): 0.3,
        (ab, a): 0.3,
        (ab, b): 0.2,
        (n1, n3): -0.15,
        (n3, n5): -0.2,
    }
    assert edges.keys() == expected.keys()
    for edge, delta in expected.items():
        assert edges[edge] == (pytest.approx(delta), pytest.approx(-delta / 0.5)), edge


def test_summaries_are_what_their_formulas_say(tiny: Run) -> None:
    rows = {(s.label, s.metric): s for s in score(tiny, resamples=50)}

    def value(label: str, name: str) -> float:
        return rows[label, name].value

    shares = np.array([16, 14, 10]) / 20
    for label in ("missing", "missing[baseline=zero]"):
        assert value(label, "mmi") == pytest.approx(1 - shares.mean())
        assert value(label, "relative_robustness") == pytest.approx(shares.mean())
        assert value(label, "chance_normalised_drop") == pytest.approx((1 - shares.mean()) / 0.5)
        assert value(label, "worst_case") == pytest.approx(0.5)
        # Wrong: 1 + the last of 0…19 rolled by one, two and three places; together they leave 8 right everywhere.
        wrong = set(np.roll(np.arange(20), 1)[16:]) | set(np.roll(np.arange(20), 2)[14:])
        wrong |= set(np.roll(np.arange(20), 3)[10:])
        assert value(label, "instance_worst_case") == pytest.approx(1 - len(wrong) / 20)
    kept = (np.array([1, 0.9, 0.75, 0.55]) - 0.5) / 0.5
    area = 0.2 * (kept[0] + kept[1]) / 2 + 0.3 * (kept[1] + kept[2]) / 2 + 0.5 * (kept[2] + kept[3]) / 2
    assert value("tabular.noise[a]", "severity_area") == pytest.approx(area)
    assert value("corruption", "mmi") == pytest.approx(1 - np.mean([0.9, 0.75, 0.55]))
    assert ("missing", "severity_area") not in rows
    for (_, name), s in rows.items():
        if name in ("mmi", "worst_case", "severity_area"):
            assert s.low <= s.value <= s.high
            assert s.reason == ""


def test_samples_without_an_answer_are_left_out_everywhere(tmp_path: Path) -> None:
    right = {"clean": 18, "a1": 16, "b1": 14, "ab": 10, "n1": 18, "n3": 15, "n5": 11}
    run = hand_made(tmp_path / "run", right, unanswered={"clean": 3, "b1": 5})
    rows = score(run, resamples=50)
    y = run.samples.target
    answers = {c.label: run.read(c) for c in run.conditions}
    hits = {label: a.outputs.argmax(axis=1) == y for label, a in answers.items()}
    for s in rows:
        if s.metric != "accuracy" or s.against not in ("", CLEAN.key):
            continue
        both = answers[s.label].answered & answers["clean"].answered
        assert s.n == both.sum()
        assert s.value == pytest.approx(hits[s.label][both].mean())
        if s.against:
            # Against clean data on the very same samples.
            assert s.delta == pytest.approx(hits[s.label][both].mean() - hits["clean"][both].mean())
    by = {(s.label, s.metric): s for s in rows}
    seen = answers["clean"].answered
    worst = np.min([hits[f"tabular.noise[a]@{i}"][seen] for i in (1, 3, 5)], axis=0)
    assert by["corruption", "instance_worst_case"].value == pytest.approx(worst.mean())
    assert by["corruption", "instance_worst_case"].n == 17
    for name in ("instance_worst_case", "mmi", "relative_robustness", "chance_normalised_drop", "worst_case"):
        lost = by["missing", name]  # clean on all samples beside a condition on some would compare different samples
        assert np.isnan(lost.value), name
        assert lost.reason == "not every sample has an answer under missing[b, baseline=zero]", name
    assert by["corruption", "mmi"].reason == ""


def test_a_summary_that_no_replicate_moves_is_not_taken_for_known(tmp_path: Path) -> None:
    names = ("clean", "a1", "b1", "ab", "n1", "n3", "n5")
    rows = score(hand_made(tmp_path / "run", dict.fromkeys(names, 20)), resamples=50)
    bound = 1 - 0.025 ** (1 / 20)  # Clopper and Pearson's, of no event in twenty
    ends = {s.metric: (s.value, s.low, s.high) for s in rows if s.label == "missing"}
    assert ends["mmi"] == pytest.approx((0, -bound, bound))
    assert ends["chance_normalised_drop"] == pytest.approx((0, -2 * bound, 2 * bound))  # half is above chance
    for name in ("worst_case", "instance_worst_case"):
        assert ends[name] == pytest.approx((1, 1 - bound, 1))


def test_a_summary_of_what_is_not_defined_says_why() -> None:
    """No sample has the label, so nothing can be ranked; every sample has an answer."""
    conditions = [CLEAN, Condition("missing", "missing", 1, ("a",), options=(("baseline", "zero"),))]
    outputs = {c.key: np.linspace(-1, 1, 40, dtype=np.float32)[:, None] for c in conditions}
    run = Answered(Task.multilabel(1), np.zeros((40, 1), np.int64), outputs, conditions)
    run.grow([40, 40])
    (found,) = [s for s in ScoreTable(run, resamples=20).rows() if (s.label, s.metric) == ("missing", "mmi")]
    assert np.isnan(found.value)
    assert "not every sample has an answer" not in found.reason
    assert found.reason.startswith("under missing[a, baseline=zero]: ")
    assert "label" in found.reason


def test_no_answer_at_all_is_said_so(tmp_path: Path) -> None:
    right = dict.fromkeys(("clean", "a1", "b1", "ab", "n1", "n3", "n5"), 15)
    run = hand_made(tmp_path / "run", right, unanswered={"clean": 20})
    with pytest.raises(BadInput, match="answered no sample on clean data"):
        score(run)


# ---- scoring again


@pytest.fixture
def spread_metric() -> Iterator[str]:
    @metric("confidence_spread", better="neither", unit="share", tasks=("classification",))
    def confidence_spread(p: Predictions, w: Resamples) -> Any:
        """Mean distance of the confidence from one half."""
        return w.mean(np.abs(p.confidence - 0.5))

    yield "confidence_spread"
    del metrics._items["confidence_spread"]


def test_a_new_metric_needs_no_model(tiny: Run, spread_metric: str) -> None:
    rows = [s for s in score(Run.open(tiny.folder), resamples=20) if s.metric == spread_metric]
    assert len(rows) == len(tiny.conditions)
    confidence = 1 / (1 + np.exp(-2.0))
    assert {round(s.value, 9) for s in rows} == {round(confidence - 0.5, 9)}
    assert any(s.metric == spread_metric for s in evidence(Run.open(tiny.folder)).scores)


def test_only_the_metrics_asked_for_and_the_primary_one(tiny: Run) -> None:
    rows = score(tiny, only=["brier"], resamples=20)
    assert {s.metric for s in rows if s.condition == CLEAN.key} == {"brier", "accuracy"}
    with pytest.raises(UnknownName, match="did you mean 'brier'"):
        score(tiny, only=["briar"])


def test_the_same_run_and_seed_give_the_same_bytes_and_another_seed_other_intervals(tiny: Run) -> None:
    def tables() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in tiny.folder.glob("*.parquet")}

    score(tiny, resamples=50)
    first = tables()
    score(tiny, resamples=50)
    assert tables() == first
    score(tiny, resamples=50, seed=1)
    assert tables()["scores.parquet"] != first["scores.parquet"]
    assert tables()["conditions.parquet"] == first["conditions.parquet"]


def test_a_run_without_scores_says_how_to_get_them(tiny: Run) -> None:
    with pytest.raises(DamagedRun, match="mmaudit score"):
        evidence(tiny)
    score(tiny, resamples=20)
    assert evidence(tiny).scores
    tiny.extend([Condition("missing", "missing", 1, ("a",), options=(("baseline", "mean"),))])
    with pytest.raises(DamagedRun, match="older than its plan"):
        evidence(tiny)
    with pytest.raises(DamagedRun, match="has not finished"):
        score(tiny)
