"""Every adapter keeps the contract: its models pass the doctor, and have what `Model` asks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor

import mmaudit.models
from helpers.architectures import CLASSES, Tokens
from mmaudit.models import FunctionModel, Model, SklearnModel, TorchModel, as_model, check_model
from mmaudit.types import Batch, Task
from model_cases import (
    CASES,
    batch_of,
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    questions,
    random_batch,
    seeded,
    tokenize,
)

N = 24
NAMES = ("image", "text")
CLASSIFICATION = Task.classification(CLASSES)


def flat(batch: Batch) -> np.ndarray:
    return np.hstack([batch.inputs[name].reshape(len(batch), -1) for name in NAMES])


def fitted(estimator: Any, y: Any) -> Any:
    return estimator.fit(flat(random_batch(N)), y)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def scores(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    return 3 * image.reshape(len(image), -1)[:, :CLASSES] + text[:, :CLASSES]


def some(image: np.ndarray | None, text: np.ndarray | None) -> np.ndarray:
    return sum(x.reshape(len(x), -1)[:, :CLASSES] for x in (image, text) if x is not None)


def torch_model(name: str) -> TorchModel:
    case = CASES[name]
    return TorchModel(module_of(name), case.modalities, outputs="logits", device="cpu", **case.options)


Made = Callable[[], tuple[Model, Task]]

MODELS: dict[str, Made] = {
    **{
        f"torch {name}": lambda name=name: (torch_model(name), CLASSIFICATION)
        for name in CASES
        if name not in ("noisy", "batch coupled", "none needs image", "function output")
    },
    "torch with a tokeniser": lambda: (
        TorchModel(seeded(Tokens), NAMES, outputs="logits", prepare={"text": tokenize}, device="cpu"), CLASSIFICATION
    ),
    "torch values": lambda: (
        TorchModel(module_of("product"), NAMES, outputs="values", device="cpu"),
        Task.regression(CLASSES),
    ),
    "torch probabilities": lambda: (
        TorchModel(module_of("product"), NAMES, outputs="probabilities", output=lambda z: z.softmax(1), device="cpu"),
        CLASSIFICATION,
    ),
    "torch labels": lambda: (
        TorchModel(module_of("product"), NAMES, outputs="probabilities", output=lambda z: z.sigmoid(), device="cpu"),
        Task.multilabel(CLASSES),
    ),
    "function": lambda: (FunctionModel(scores, NAMES, outputs="logits"), CLASSIFICATION),
    "function probabilities": lambda: (
        FunctionModel(lambda b: softmax(scores(b.inputs["image"], b.inputs["text"])), NAMES,
                      outputs="probabilities", call="batch"),
        CLASSIFICATION,
    ),
    "function none": lambda: (FunctionModel(some, NAMES, outputs="logits", absence="none"), CLASSIFICATION),
    "function mask": lambda: (
        FunctionModel(
            lambda inputs, present: some(
                *(np.where(present[m].reshape(-1, *[1] * (inputs[m].ndim - 1)), inputs[m], 0) for m in NAMES)
            ),
            NAMES, outputs="logits", absence="mask", call="dict",
        ),
        CLASSIFICATION,
    ),
    "forest": lambda: (
        SklearnModel(fitted(RandomForestClassifier(10, random_state=0), np.arange(N) % CLASSES), NAMES),
        CLASSIFICATION,
    ),
    "forest of labels": lambda: (
        SklearnModel(
            fitted(RandomForestClassifier(10, random_state=0), (flat(random_batch(N))[:, :3] > 0).astype(int)), NAMES
        ),
        Task.multilabel(3),
    ),
    "logistic decision values": lambda: (
        SklearnModel(fitted(LogisticRegression(), np.arange(N) % 2), NAMES, outputs="logits"),
        Task.classification(2),
    ),
    "regression": lambda: (
        SklearnModel(fitted(RandomForestRegressor(10, random_state=0), np.arange(N) / 5), NAMES), Task.regression()
    ),
    "regression of two": lambda: (
        SklearnModel(fitted(KNeighborsRegressor(), np.arange(2.0 * N).reshape(N, 2)), NAMES), Task.regression(2)
    ),
    "boosting with missing values": lambda: (
        SklearnModel(
            fitted(HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2, random_state=0),
                   (flat(random_batch(N))[:, 0] > 0).astype(int) + (flat(random_batch(N))[:, -1] > 0)),
            NAMES, absence="nan",
        ),
        Task.classification(3),
    ),
}  # fmt: skip


def batch_for(name: str) -> Batch:
    batch = random_batch(N)
    return batch.replace({"text": questions(N)}) if name == "torch with a tokeniser" else batch


@pytest.mark.parametrize("name", MODELS)
def test_the_doctor_finds_nothing_broken(name: str) -> None:
    model, task = MODELS[name]()
    broken = [check for check in check_model(model, batch_for(name), task) if check.ok is False]
    assert not broken, broken


@pytest.mark.parametrize("name", MODELS)
def test_it_is_a_model(name: str) -> None:
    model, task = MODELS[name]()
    assert as_model(model) is model
    assert model.name
    assert isinstance(model.modalities, tuple)
    assert model.outputs in ("logits", "probabilities", "values")
    assert model.fingerprint == MODELS[name]()[0].fingerprint, "made again, it is the same model"
    outputs = model.predict(batch_for(name))
    assert outputs.dtype == np.float32
    assert outputs.shape == (N, task.width)


def test_fingerprints_differ() -> None:
    found = {name: make()[0].fingerprint for name, make in MODELS.items()}
    assert len(set(found.values())) == len(found)


def test_rows_may_be_naturally_absent() -> None:
    batch = batch_of({name: random_batch(N).inputs[name] for name in NAMES})
    batch = batch.replace(present={"image": np.arange(N) % 4 != 0, "text": np.arange(N) % 4 != 1})
    for name in ("torch mask", "torch none", "function none", "function mask", "boosting with missing values"):
        model, task = MODELS[name]()
        assert model.native_absence
        assert not [c for c in check_model(model, batch, task) if c.ok is False], name


def test_importing_the_package_loads_no_framework() -> None:
    program = (
        "import sys, mmaudit.models as m; m.check_model, m.FunctionModel, m.as_model, m.load_model;"
        "print([n for n in ('torch', 'sklearn', 'pandas', 'netcal', 'scipy') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_public_names() -> None:
    for name in mmaudit.models.__all__:
        assert getattr(mmaudit.models, name) is not None
    assert dir(mmaudit.models) == sorted(mmaudit.models.__all__)
    with pytest.raises(AttributeError, match="no attribute 'TorchModl'"):
        mmaudit.models.TorchModl  # noqa: B018
