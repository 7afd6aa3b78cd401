"""Small data sets and models whose attributions are known, and the way from both to attributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmaudit import ArrayData, Task
from mmaudit.attribution.attribute import attributions
from mmaudit.attributions_file import Attributions, MethodAttributions
from mmaudit.auditing import staged
from mmaudit.data.dataset import Dataset
from mmaudit.data.statistics import all_statistics
from mmaudit.models import Model, TorchModel
from mmaudit.probes import Source
from mmaudit.types import Array

IG, DEEP_LIFT, SHAP, ABLATION = "integrated_gradients", "deep_lift", "gradient_shap", "ablation"


def source_of(data: Dataset) -> Source:
    return Source(data, all_statistics(data))


def pair(n: int = 20, seed: int = 0, task: Task | None = None, **more: Any) -> ArrayData:
    """`a` float32[3] and `b` float32[2]; classes, labels or numbers without meaning."""
    rng = np.random.default_rng(seed)
    task = task or Task.regression(1)
    target: Array = rng.integers(0, 2, n)
    if task.kind == "multilabel":
        target = rng.integers(0, 2, (n, task.width))
    elif task.kind == "regression":
        target = rng.normal(size=(n, task.width))
    inputs = {
        "a": rng.normal(1.0, 1.0, (n, 3)).astype(np.float32),
        "b": rng.normal(-0.5, 2.0, (n, 2)).astype(np.float32),
    }
    return ArrayData(inputs, target, task, kinds={"a": "embedding", "b": "embedding"}, **more)


def torch_model(module: nn.Module, modalities: Sequence[str] = ("a", "b"), **options: Any) -> TorchModel:
    return TorchModel(module.eval(), modalities, **{"outputs": "values", "device": "cpu", **options})


def attributed(model: Model, data: Dataset, *, look: bool = True, **options: Any) -> Attributions:
    """Attributions, with the model's boundary looked for or not."""
    stage = staged(model, data.rows(np.arange(min(len(data), 64))))[0] if look else None
    return attributions(data, model, stage, source_of(data), **options)


def baseline_of(data: Dataset, name: str) -> Array:
    """The mean as the model receives it."""
    mean = all_statistics(data)[name]
    assert mean is not None
    return np.asarray(mean.mean, np.float32).astype(np.float64)


def shares(method: MethodAttributions, what: Mapping[str, Array]) -> dict[str, float]:
    """Each modality's share of the sum of absolute values, over all samples."""
    sizes = {name: float(np.abs(x).sum()) for name, x in what.items()}
    return {name: size / sum(sizes.values()) for name, size in sizes.items()}


def drawn(make: type[nn.Module], *args: Any, seed: int = 0) -> nn.Module:
    """A module with fixed random weights, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make(*args).eval()


class Linear(nn.Module):
    """f = w·a + v·b + c, through two linear encoders."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 4)
        self.two = nn.Linear(2, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(self.one(a) + self.two(b))

    def weights(self) -> dict[str, Array]:
        head = self.head.weight.detach().double()
        parts = {"a": self.one, "b": self.two}
        return {name: (head @ m.weight.detach().double()).numpy()[0] for name, m in parts.items()}


class Additive(nn.Module):
    """f = g(a) + h(b), curved on both sides."""

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 5))
        self.two = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 5))
        self.head = nn.Linear(5, width)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(self.one(a) + self.two(b))


class Product(nn.Module):
    """f = (w·a)(v·b)."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 1, bias=False)
        self.two = nn.Linear(2, 1, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.one(a) * self.two(b)


class Fused(nn.Module):
    """Linear encoders, and a fusion with a hidden layer whose activation is given as a module or a function."""

    def __init__(self, activation: Any, classes: int = 1) -> None:
        super().__init__()
        self.one = nn.Linear(3, 8)
        self.two = nn.Linear(2, 8)
        self.activation = activation
        self.head = nn.Linear(8, classes)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(self.activation(self.one(a) + self.two(b)))


def above_rivals(logits: Tensor, clean: Tensor) -> Tensor:
    """Written out apart: the logit of the class `clean` predicts, less the others' by how likely they are there."""
    top = clean.argmax(1, keepdim=True)
    p = clean.double().softmax(1).scatter(1, top, 0.0)
    return logits.gather(1, top)[:, 0] - (logits * (p / p.sum(1, keepdim=True)).to(logits.dtype)).sum(1)
