"""Small audits with training data beside them, for tests of reference methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import mmaudit
from mmaudit.data import Dataset

SUITE = ["missing", "mismatch", "embedding.sign_flip"]


class Net(nn.Module):
    """Two encoders and a head on their concatenation: the fusion that references are to beat."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
        self.two = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
        self.head = nn.Linear(16, outputs)

    def forward(self, one: Tensor, two: Tensor) -> Tensor:
        out: Tensor = self.head(torch.cat([self.one(one), self.two(two)], dim=1))
        return out


class Whole(nn.Module):
    """A model without a border between encoders and fusion."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, one: Tensor, two: Tensor) -> Tensor:
        out: Tensor = self.layers(torch.cat([one, two], dim=1))
        return out


def net(outputs: int = 2, seed: int = 0) -> Net:
    """A net with random weights: nothing here depends on how good it is."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Net(outputs).eval()


def whole() -> Whole:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Whole().eval()


def model(module: nn.Module, outputs: str = "logits") -> mmaudit.TorchModel:
    return mmaudit.TorchModel(module, ["one", "two"], outputs=outputs, name="audited")


def data(n: int = 300, seed: int = 0, kind: str = "classification", missing: float = 0.1) -> Dataset:
    """The label follows from the signs of both modalities' first numbers, a little noisy; ids differ by seed."""
    rng = np.random.default_rng(seed)
    inputs = {m: rng.normal(size=(n, 6)).astype(np.float32) for m in ("one", "two")}
    for x in inputs.values():
        x[rng.random(n) < missing] = np.nan  # a row that is wholly NaN was not recorded
    score = np.nan_to_num(inputs["one"][:, 0]) + np.nan_to_num(inputs["two"][:, 0]) + 0.3 * rng.normal(size=n)
    tasks = {
        "classification": (mmaudit.Task.classification(2), (score > 0).astype(np.int64)),
        "multilabel": (mmaudit.Task.multilabel(2), np.stack([score > 0, score > 0.5], axis=1).astype(np.int8)),
        "regression": (mmaudit.Task.regression(2, unit="m"), 40 + 5 * np.stack([score, -score], axis=1)),
    }
    task, target = tasks[kind]
    return mmaudit.ArrayData(inputs, target, task, ids=[f"{seed}-{i}" for i in range(n)])


def audited(
    out: Path, module: nn.Module, test: Dataset, outputs: str = "logits", suite: list[str] | None = None
) -> None:
    """Audit a module on a data set."""
    mmaudit.audit(model(module, outputs), test, out=out, suite=suite or SUITE, resamples=50)
