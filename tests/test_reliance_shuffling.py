"""The perceptual score: whose values are exchanged, its normalisations, its direction for errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.probe_samples import source_of, whole
from helpers.reliance_runs import by_label, predicted, resamples
from helpers.run_cases import Rowwise, dataset
from mmaudit import ArrayData, FunctionModel, Task, reliance
from mmaudit.plan import Suite
from mmaudit.probes import probes
from mmaudit.types import Array, Batch

SUITE = Suite("shuffle", ("mismatch",), pools=("random",), repeats=3)


def identity_model(batch: Batch) -> Array:
    """Right where both modalities are of one sample, wrong wherever they are not: each row names itself."""
    together = (batch.inputs["a"] == batch.inputs["b"])[:, 0]
    answer = np.where(together, batch.target, 1 - batch.target)
    return np.stack([1.0 - answer, answer], axis=1)


def test_no_row_keeps_its_own_value(tmp_path: Path) -> None:
    """Every value is its row's number. A donor that were the row itself would leave an answer right: none is."""
    n = 250
    own = np.arange(n, dtype=np.float64)[:, None]
    data = ArrayData(
        {"a": own, "b": own}, np.arange(n) % 2, Task.classification(2), kinds={"a": "embedding", "b": "embedding"}
    )
    model = FunctionModel(identity_model, ("a", "b"), outputs="probabilities", call="batch", fingerprint="identity")
    run = predicted(tmp_path / "run", model, data, SUITE)
    found = by_label(reliance.estimates(run, resamples(run, 50)))
    bound = 1 - 0.025 ** (1 / n)
    for name in ("a", "b"):
        for how in ("", ", normalised=model"):
            e = found[f"perceptual_score[{name}{how}]"]
            assert e.value == 1
            # Nothing varies: the exact bound says how many rows may still behave otherwise, each by up to 2.
            assert (e.low, e.high) == pytest.approx((1 - 2 * bound, 1))
        assert found[f"perceptual_score[{name}, normalised=task]"].value == pytest.approx(2)


@pytest.mark.parametrize("repeat", [0, 1, 2])
def test_donors_are_others(repeat: int) -> None:
    """The contract of the pool that the score rests on: a permutation of the samples without fixed points."""
    data = dataset(n=101)
    batch = whole(data)
    condition = probes.get("mismatch").condition(("table",), options=(("pool", "random"),), repeat=repeat)
    donors = source_of(data).donors(condition, "table", batch, "random")
    assert (donors != batch.positions).all()
    assert sorted(donors.tolist()) == list(range(101))


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_normalisations(kind: str, tmp_path: Path) -> None:
    """By the clean value, and by what a perfect model has above the floor; helping is positive for every task."""
    data = dataset(kind, 240, noise=0.5)
    run = predicted(tmp_path / "run", Rowwise(kind), data, SUITE)
    found = by_label(reliance.estimates(run, resamples(run, 60)))
    values = reliance.table.Values(run, resamples(run, 5))
    clean = float(values.of(run.conditions[0])[0])
    for name in ("table", "note"):
        plain = found[f"perceptual_score[{name}]"]
        assert 0 < plain.low < plain.value < plain.high
        assert plain.p < 0.05
        model, task = (found[f"perceptual_score[{name}, normalised={how}]"] for how in ("model", "task"))
        assert model.value == pytest.approx(plain.value / clean)
        assert task.value == pytest.approx(plain.value / (1 - values.chance()[0]))
        assert model.low < model.value < model.high
    n, rank = len(data), np.arange(1, len(data) + 1)
    # Of labels the average precision of a random order, at each rank i.
    orders = [np.mean((1 + (rank - 1) * (k - 1) / (n - 1)) / rank) for k in np.atleast_2d(data.target.T).sum(axis=1)]
    chance = {"classification": 1 / 3, "regression": 0.0, "multilabel": np.mean(orders)}[kind]
    assert values.chance()[0] == pytest.approx(chance)


def test_a_worthless_model_has_no_share(tmp_path: Path) -> None:
    """R² below 0 on clean data: the score stands, its share of the model's value does not."""
    data = dataset("regression", 120)

    def off(batch: Batch, rows: Array) -> Array:
        return rows + 50

    run = predicted(tmp_path / "run", Rowwise("regression", fault=off), data, SUITE)
    found = by_label(reliance.estimates(run, resamples(run, 30)))
    assert np.isfinite(found["perceptual_score[table]"].value)
    assert "not above 0" in found["perceptual_score[table, normalised=model]"].reason
    assert np.isfinite(found["perceptual_score[table, normalised=task]"].value)
