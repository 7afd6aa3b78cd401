"""Which number of an output row is explained: a weighted sum of its columns, the weights fixed by the clean answer."""

from __future__ import annotations

import numpy as np
import scipy.special

from mmaudit.outputs import Float32Array
from mmaudit.types import Array, FloatArray, Task


def target_scale(task: Task, target: Array) -> FloatArray:
    """Return `float64[k]`, in what each output is counted: regressions of several targets in their deviations, else 1.

    A sum of unlike units would be about the target of the largest numbers alone.
    """
    if task.kind != "regression" or task.width < 2:
        return np.ones(task.width)
    spread = np.asarray(target, np.float64).std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def explained_weights(task: Task, logits: Array, scale: FloatArray) -> Float32Array:
    """Return `float32[n, k]`: the explained output of a row is the sum of its logits times these.

    Args:
        task: what a row means.
        logits: `[n, k]`, the clean answers (regression: values).
        scale: of `target_scale`, for all rows of a data set alike.

    Classification: 1 for the predicted class, and −softmax over the others for each of them: to first order its log
    odds. So what moves all logits alike, which no probability shows, is not counted, nor what becomes of classes that
    are out of the question. Multilabel: 1 for every predicted label (logit above 0), or for the most probable
    label where none is. Regression: 1 / scale for every dimension.
    """
    if task.kind == "regression":
        return np.broadcast_to(1 / scale, logits.shape).astype(np.float32)
    weights = np.zeros(logits.shape, np.float32)
    if task.kind == "multilabel":
        weights[logits > 0] = 1
    none = ~weights.any(axis=1)
    top = logits.argmax(axis=1)
    weights[none, top[none]] = 1
    if task.kind == "classification":
        rest = np.where(weights > 0, -np.inf, np.asarray(logits, np.float64))
        weights -= scipy.special.softmax(rest, axis=1).astype(np.float32)
    return weights


def in_words(task: Task, scale: str) -> str:
    """Say which output is explained."""
    if task.kind == "regression":
        if task.width == 1:
            return "the value"
        return f"the sum of the {task.width} targets' values, each in standard deviations of its target"
    one = "logit" if scale == "logits" else "log probability" if task.kind == "classification" else "log odds"
    if task.kind == "classification":
        return f"the {one} of the class predicted on the clean sample, above those of the others by how likely each is"
    return (
        f"the sum of the {one.replace('logit', 'logits')} of the labels predicted on the clean sample "
        "(where there is none: of the most probable label)"
    )


def explained(logits: Array, weights: Array) -> FloatArray:
    """Return `float64[n]`, the explained output of each row."""
    return np.asarray((np.asarray(logits, np.float64) * weights).sum(axis=1))
