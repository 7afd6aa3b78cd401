"""What few clusters, or the few samples of a rare class, leave open: no width of 0, and nobody accused by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mmaudit
from mmaudit import ArrayData, FunctionModel, Suite, Task
from mmaudit.comparison import measure, score_row, unseen_share
from mmaudit.metrics import Predictions, Resamples, metrics, predictions
from mmaudit.types import CLEAN

SPEAKERS, EACH = 12, 40


def speech(seed: int) -> ArrayData:
    """Every speaker is as easy as the next: voice and lips each give 85 % of what is said."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(SPEAKERS), EACH)
    y = rng.integers(0, 2, len(speaker))
    inputs = {m: (2.0 * np.where(rng.random(len(y)) < 0.85, y, 1 - y) - 1)[:, None] for m in ("voice", "lips")}
    groups = {"speaker": np.array([f"s{i:02}" for i in speaker])}
    return ArrayData(inputs, y, Task.classification(2), groups=groups, cluster=speaker)


def trusting(share: float) -> FunctionModel:
    """A model that goes by the voice to this share, else by the lips."""

    def answers(voice: np.ndarray, lips: np.ndarray) -> np.ndarray:
        z = share * voice[:, 0] + (1 - share) * lips[:, 0]
        return np.stack([-z, z], axis=1)

    return FunctionModel(answers, ["voice", "lips"], outputs="logits", fingerprint=str(share))


@pytest.mark.parametrize("seed", range(2))
def test_of_equal_groups_of_one_cluster_each_none_is_served_worse(tmp_path: Path, seed: int) -> None:
    suite = Suite("one", ("missing",), baselines=("zero",))
    hears, sees = (
        mmaudit.audit(trusting(share), speech(seed), out=tmp_path / str(share), suite=suite, resamples=200)
        for share in (0.9, 0.1)
    )
    for report in (hears, sees):
        scores = report.scores
        groups = scores[(scores.metric == "accuracy") & (scores.label == "clean") & (scores.group != "")]
        assert len(groups) == SPEAKERS
        # One cluster says nothing of others of its kind: all that a share can be is possible.
        assert (groups.high - groups.low > 0.95).all()
        assert not [f for f in report.findings if f.rule == "group_gap"]
    rows = mmaudit.compare(tmp_path / "0.9", tmp_path / "0.1", resamples=100).rows
    assert {row.verdict for row in rows if row.group and row.label == "clean"} == {"undecided"}


def rare(positives: int, n: int = 1000) -> tuple[Predictions, Resamples]:
    """Everything right, of two classes of which one has few samples."""
    target = (np.arange(n) < positives).astype(np.int64)
    p = Predictions(Task.classification(2), np.where(target[:, None] == np.arange(2), 9.0, -9.0), target)
    return p, Resamples.draw(n, 100)


@pytest.mark.parametrize(
    ("name", "units"),
    [("accuracy", 1000), ("balanced_accuracy", 8), ("macro_f1", 8), ("auroc", 8), ("average_precision", 8)],
)
def test_no_error_seen_is_one_among_the_samples_of_the_rarest_class(name: str, units: int) -> None:
    """8 of 1,000 samples right do not show that 99.6 % of such samples are."""
    p, w = rare(8)
    found = measure(metrics.get(name), p, w)
    bound = 1 - 0.025 ** (1 / units)
    assert unseen_share(metrics.get(name), found.values, found) == pytest.approx(bound)
    row = score_row(p.task, CLEAN, metrics.get(name), found)
    assert (row.low, row.high) == (pytest.approx(1 - bound), 1.0)


def test_clusters_of_the_rarest_class_count_once() -> None:
    p, _ = rare(8)
    w = Resamples.draw(1000, 50, cluster=np.arange(1000) // 4)
    assert p.rarest(w)[:2] == (2, 1)
    labels = np.stack([np.arange(1000) < 8, np.arange(1000) < 994, np.zeros(1000)], axis=1).astype(np.int8)
    p = Predictions(Task.multilabel(3), np.where(labels, 9.0, -9.0), labels)
    assert p.rarest(Resamples.draw(1000, 50))[:2] == (6, 2), "without the second label; the third is in no metric"
    assert p.rarest(w)[:2] == (2, 2)


def test_a_mean_over_many_classes_moves_by_its_share_of_the_rarest() -> None:
    """The bound covers: of ten classes one has 20 samples, and 15 % of such samples are answered wrongly."""
    rng, task, metric = np.random.default_rng(0), Task.classification(10), metrics.get("balanced_accuracy")
    held = []
    for seed in range(200):
        target = np.concatenate([np.zeros(20, np.int64), rng.integers(1, 10, 980)])
        wrong = (target == 0) & (rng.random(1000) < 0.15)
        said = np.where(wrong, 1, target)
        w = Resamples.draw(1000, 60, seed)
        p = Predictions(task, np.where(said[:, None] == np.arange(10), 9.0, -9.0), target)
        assert p.rarest(w)[:2] == (20, 10)
        row = score_row(task, CLEAN, metric, measure(metric, p, w))
        held.append(row.low <= 1 - 0.15 / 10 <= row.high)
    assert np.mean(held) >= 0.9


def test_units_of_classes_are_those_of_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a table, and by sorting where the table would be too large."""
    rng = np.random.default_rng(0)
    target, unit = rng.integers(0, 5, 300), rng.integers(0, 40, 300)
    expected = [len(set(unit[target == c].tolist())) for c in range(5)]
    assert predictions._units_per_class(target, unit).tolist() == expected
    monkeypatch.setattr(predictions, "_TABLE", 0)
    assert predictions._units_per_class(target, unit).tolist() == expected


def test_a_worst_case_of_few_clusters_stays_a_share(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    cluster = np.arange(400) // 80
    y = rng.integers(0, 2, 400)
    table = rng.normal(0, 0.3, (400, 4)) + 1.6 * y[:, None]
    table[(cluster == 0) & (rng.random(400) < 0.12)] *= -1
    data = ArrayData({"table": table, "spare": rng.normal(size=(400, 2))}, y, Task.classification(2), cluster=cluster)

    def answers(table: np.ndarray, spare: np.ndarray) -> np.ndarray:
        z = 8 * (table.mean(axis=1) - 0.8)
        return np.stack([-z, z], axis=1)

    model = FunctionModel(answers, ["table", "spare"], outputs="logits", fingerprint="by the table")
    suite = Suite(probes=("tabular.gaussian_noise_additive",), positions=(1, 2))
    report = mmaudit.audit(model, data, out=tmp_path / "run", suite=suite, resamples=200)
    worst = [s for s in report.rows if s.metric in ("worst_case", "instance_worst_case") and s.low == s.low]
    assert worst
    assert all(0 <= s.low <= s.value <= s.high <= 1 for s in worst)
    assert max(s.high for s in worst) == 1  # which the unclipped interval leaves
