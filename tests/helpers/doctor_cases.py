"""Models for the doctor, and what it says of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.architectures import CLASSES
from mmaudit.models import Check, FunctionModel, Model, check_model
from mmaudit.types import Batch, Task
from model_cases import batch_of, random_batch

NAMES = ("image", "text")
TASK = Task.classification(CLASSES)


def batch_with(n: int = 20) -> Batch:
    given = random_batch(n)
    return batch_of({name: given.inputs[name] for name in NAMES})


def logits(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    return image.reshape(len(image), -1)[:, :CLASSES] * 3 + text[:, :CLASSES]


def function(f: Any = logits, **options: Any) -> FunctionModel:
    return FunctionModel(f, **{"modalities": NAMES, "outputs": "logits", **options})


def check_of(model: Model, clause: str, batch: Batch | None = None, task: Task = TASK) -> Check:
    checks = check_model(model, batch if batch is not None else batch_with(), task)
    return next((c for c in checks if c.clause == clause and c.ok is False), None) or next(
        c for c in checks if c.clause == clause
    )


def broken(model: Model, batch: Batch | None = None, task: Task = TASK) -> list[str]:
    checks = check_model(model, batch if batch is not None else batch_with(), task)
    return [c.clause for c in checks if c.ok is False]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


class Bare:
    """A model without an adapter."""

    name = "bare"
    modalities = NAMES
    outputs = "logits"
    native_absence = False
    fingerprint = "0"

    def predict(self, batch: Batch) -> Any:
        return logits(batch.inputs["image"], batch.inputs["text"]).astype(np.float32)
