"""Whether, and for which modalities, a model offers gradients that an attack can follow."""

from __future__ import annotations

import numpy as np

from mmaudit.errors import MMAuditError
from mmaudit.models.protocol import Differentiable, Model
from mmaudit.models.rows import head
from mmaudit.types import Array, Batch, FloatArray, Task

ROWS = 8
# A pass with gradients may take other code paths through the model, so the last bits may differ.
TOLERANCE = 1e-3


def gradient_reasons(model: Model, batch: Batch, task: Task) -> dict[str, str] | None:
    """Try the model's gradient on a few rows, one modality at a time.

    Returns:
        Per modality the empty string where its gradient can be followed, else why not; None where the model offers
        no gradient at all.
    """
    if not isinstance(model, Differentiable):
        return None
    few = head(batch, ROWS)
    expected = losses(task, model.outputs, model.predict(few), few.target)
    return {name: _reason(model, few, name, task, expected) for name in model.modalities}


def _reason(model: Differentiable, batch: Batch, name: str, task: Task, expected: FloatArray) -> str:
    values = batch.inputs[name]
    if values.dtype.kind not in "fiu":
        return f"{name!r} is text or ragged; its values have no gradient"
    if not batch.present[name].any():
        return f"{name!r} is absent in all rows tried"
    try:
        loss, found = model.gradient(batch, {name: values.astype(np.float32)}, task)
    except MMAuditError as error:
        return str(error).rstrip(".")
    except Exception as error:
        return f"the gradient with respect to {name!r} cannot be taken: {type(error).__name__}: {error}".rstrip(".")
    gradient = found[name]
    if not np.isfinite(gradient).all():
        return f"the gradient with respect to {name!r} is not finite"
    if not np.allclose(loss, expected, rtol=TOLERANCE, atol=TOLERANCE):
        return f"with {name!r} as floating-point numbers the model answers differently, so its gradient is another's"
    if not gradient.any():
        return f"the gradient with respect to {name!r} is 0 on all rows tried, so it shows no direction"
    return ""


def losses(task: Task, scale: str, outputs: Array, target: Array) -> FloatArray:
    """Return `float64[n]`, each sample's cross-entropy in nats (multilabel: summed) or squared error (summed)."""
    rows = np.asarray(outputs, np.float64)
    if task.kind == "regression":
        return np.asarray(np.square(rows - target).sum(axis=1))
    tiny = float(np.finfo(np.float32).tiny)
    if task.kind == "classification":
        if scale == "logits":
            rows = rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)
        else:
            rows = np.log(np.maximum(rows, tiny))
        return np.asarray(-rows[np.arange(len(rows)), target])
    if scale == "logits":
        yes, no = -np.logaddexp(0, -rows), -np.logaddexp(0, rows)
    else:
        yes, no = np.log(np.maximum(rows, tiny)), np.log(np.maximum(1 - rows, tiny))
    return np.asarray(-np.where(np.asarray(target) > 0, yes, no).sum(axis=1))
