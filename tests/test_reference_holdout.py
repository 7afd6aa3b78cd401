"""What references are chosen on: rows cut off or data given, and whether the audited model knows them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from torch import nn

import mmaudit
from mmaudit.errors import BadInput
from mmaudit.models import TorchModel
from mmaudit.reference.budget import Budget
from mmaudit.reference.holdout import hold_out
from mmaudit.reference.optimism import Optimism, _mean, _welch
from mmaudit.reference.splits import split


def samples(n: int, seed: int, classes: int = 2, **options: object) -> mmaudit.ArrayData:
    """40 numbers of which one says little about the label, and 2 that say more."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, n)
    side = (2 * target - 1)[:, None]
    a, b = rng.normal(size=(n, 40)), rng.normal(size=(n, 2)) + 0.5 * side
    a[:, :1] += 0.3 * side
    inputs = {"a": a.astype(np.float32), "b": b.astype(np.float32)}
    options = {"ids": [f"{seed}-{i}" for i in range(n)], **options}
    return mmaudit.ArrayData(inputs, target, mmaudit.Task.classification(classes), **options)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 8))
        self.b = nn.Sequential(nn.Linear(2, 8), nn.ReLU())
        self.head = nn.Linear(16, 2)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(torch.cat([self.a(a), self.b(b)], dim=1))
        return out


TEST, TRAIN, NEW = samples(200, 0), samples(160, 1), samples(120, 2)


@pytest.fixture(scope="module")
def model() -> TorchModel:
    """One that has learned its training data by heart."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
    rows = TRAIN.rows(np.arange(len(TRAIN)))
    a, b, y = (torch.tensor(x) for x in (rows.inputs["a"], rows.inputs["b"], rows.target))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(a, b), y)
        torch.autograd.backward(loss)
        optimiser.step()
    assert loss.item() < 0.01
    return TorchModel(net.eval(), ["a", "b"], outputs="logits")


@pytest.fixture(scope="module")
def run(model: TorchModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("holdout") / "run"
    suite = {"name": "s", "probes": ["missing"], "baselines": ["zero"], "subsets": [["a"]]}
    mmaudit.audit(model, TEST, out=out, suite=suite, resamples=10)
    return out


def retrained(run: Path, model: TorchModel, **options: object) -> tuple[dict, str]:  # type: ignore[type-arg]
    plain = {"seeds": 1, "tune": 1, "budget": Budget(epochs=2), "resamples": 10, "encoders": "frozen"}
    panel = mmaudit.retrain(run, model, TEST, TRAIN, methods=["concatenation"], **plain, **options)
    about = json.loads((run / "references" / "concatenation" / "reference.json").read_text("utf-8"))
    return about, panel.methods[0].note


def loss_of(model: TorchModel, data: mmaudit.ArrayData, rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    logits = np.asarray(model.predict(data.rows(rows)), np.float64)
    return np.asarray(scipy.special.logsumexp(logits, axis=1) - logits[np.arange(len(rows)), data.target[rows]])


def test_validation_rows_that_the_frozen_encoders_know_are_told_and_new_ones_replace_them(
    run: Path, model: TorchModel
) -> None:
    about, note = retrained(run, model)
    kept = split(TRAIN)[1]
    assert (about["n_train"], about["n_validation"]) == (len(TRAIN) - len(kept), len(kept))
    mine, theirs = loss_of(model, TRAIN, kept), loss_of(model, TEST, np.arange(len(TEST)))
    interval = scipy.stats.ttest_ind(theirs, mine, equal_var=False).confidence_interval(0.95)
    found = about["optimism"]
    assert [found[k] for k in ("validation", "audited", "low", "high")] == pytest.approx(
        [mine.mean(), theirs.mean(), interval.low, interval.high], rel=1e-3
    )
    assert found["found"]
    assert "so the choice of epoch is optimistic; give validation data that it has not seen" in note
    assert "so the choice of epoch is optimistic" in (run / "report.html").read_text("utf-8")

    about, note = retrained(run, model, validation=NEW)
    assert (about["n_train"], about["n_validation"]) == (len(TRAIN), len(NEW)), "another choice is trained again"
    assert not about["optimism"]["found"]
    assert "the audited model's loss is" in note
    assert "optimistic" not in note


def test_a_share_is_cut_and_data_given_are_taken_whole() -> None:
    cut = hold_out(TRAIN, TEST, 0.25)
    assert cut.other is TRAIN
    assert not cut.given
    assert np.array_equal(np.sort(np.concatenate([cut.training, cut.validation])), np.arange(len(TRAIN)))
    given = hold_out(TRAIN, TEST, NEW)
    assert given.given
    assert (len(given.training), len(given.validation)) == (len(TRAIN), len(NEW))


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (samples(30, 3, 3), "another task than the training data"),
        (samples(3, 3), "the validation data has 3 samples; references need at least 4"),
        (mmaudit.data.Subset(TRAIN, np.arange(20)), "20 of 20 validation samples are in the training data too"),
        (mmaudit.data.Subset(TEST, np.arange(20)), "20 of 20 validation samples are audited too"),
        (1.0, "expected the share of rows to hold out"),
    ],
)
def test_validation_data_that_cannot_be_used(validation: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        hold_out(TRAIN, TEST, validation)  # type: ignore[arg-type]


def test_clusters_of_the_validation_data_are_new_unless_allowed() -> None:
    train, new = (samples(60, seed, cluster=np.arange(60) % 12 + first) for seed, first in ((4, 0), (5, 9)))
    with pytest.raises(BadInput, match="3 clusters of the validation data are in the training data too"):
        hold_out(train, TEST, new)
    assert hold_out(train, TEST, new, shared_clusters=True).given


def test_variance_of_a_mean_over_clusters_is_that_of_repeated_samples() -> None:
    losses = np.random.default_rng(0).normal(size=20)
    mean, variance, count = _mean(losses, np.arange(20))
    assert (mean, variance, count) == pytest.approx((losses.mean(), losses.var(ddof=1) / 20, 20))
    assert _mean(np.repeat(losses, 3), np.repeat(np.arange(20), 3)) == pytest.approx((mean, variance, count))


def test_edges_of_the_interval() -> None:
    assert _welch(0.5, (0.0, 0.0), (9, 9)) == (0.5, 0.5)
    assert np.isnan(_welch(0.5, (float("nan"), 0.1), (1, 9))).all()
    assert "(no interval)" in Optimism(0.1, 0.6, float("nan"), float("nan"), given=False).note
    assert Optimism(0.6, 0.1, -0.7, -0.3, given=False).note.endswith("a difference of −0.5 [−0.7, −0.3]")
