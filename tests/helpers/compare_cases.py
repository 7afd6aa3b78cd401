"""Runs for comparisons: any task, ids, groups and clusters, with answers that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from helpers.panel_runs import header
from mmaudit.outputs import ConditionOutputs
from mmaudit.samples_file import Samples
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Condition, Modality, Task

MODALITIES = (Modality("image", "image", (8, 8, 3), "uint8", "HWC", (0.0, 255.0)), Modality("text", "text", (), "str"))
CLASSES = Task.classification(3)
SHARD = 256
CONTROL = Condition("identity", "control", 1, ("image", "text"))
WITHOUT = Condition("missing", "missing", 1, ("text",), options=(("baseline", "zero"),))


def blur(position: int, severity: float | None = None, version: int = 1) -> Condition:
    return Condition(
        "image.gaussian_blur", "corruption", version, ("image",), severity or float(position), position, unit="px"
    )


PLAN = (CLEAN, CONTROL, WITHOUT, blur(1), blur(3))


def write(
    folder: Path,
    target: Array,
    outputs: Mapping[str, Array],
    *,
    conditions: Sequence[Condition] = PLAN,
    task: Task = CLASSES,
    ids: Array | None = None,
    groups: Mapping[str, Array] | None = None,
    cluster: Array | None = None,
    modalities: Sequence[Modality] = MODALITIES,
    received: int = 7,
    order: Array | None = None,
    **head: Any,
) -> Path:
    """Write a run with these answers by key of the condition; `order` puts its samples into another order."""
    n = len(target)
    order = np.arange(n) if order is None else order
    ids = np.arange(n) * 3 if ids is None else ids
    names = [m.name for m in modalities]
    samples = Samples(
        ids[order],
        target[order],
        {k: v[order] for k, v in (groups or {}).items()},
        None if cluster is None else cluster[order],
        {m: np.ones(n, np.bool_) for m in names},
    )
    about = header(conditions, n, task, folder.name, modalities) | {"shard_rows": SHARD} | head
    run = Run.create(folder, about, samples)
    for shard, rows in enumerate(run.shards()):
        results = [
            ConditionOutputs(
                np.asarray(outputs[c.key], np.float32)[order][rows],
                {m: np.full(len(rows), m in c.modalities) for m in names},
                {m: np.zeros(len(rows), np.float32) for m in names},
                received,
            )
            for c in conditions
        ]
        run.write_shard(shard, 0, results)
    return folder


def logits(target: Array, accuracy: float, rng: np.random.Generator, width: int = 3) -> Array:
    """Answers that are right with this probability, each for itself."""
    said = np.where(rng.random(len(target)) < accuracy, target, (target + rng.integers(1, width, len(target))) % width)
    return (rng.normal(size=(len(target), width)) * 0.3 + 3.0 * np.eye(width)[said]).astype(np.float32)


def two_models(
    n: int,
    seed: int,
    accuracy: Mapping[str, tuple[float, float]],
    own: float = 0.3,
    conditions: Sequence[Condition] = PLAN,
) -> tuple[Array, dict[str, Array], dict[str, Array]]:
    """Target and the answers of two models with these accuracies by family, which find the same samples hard."""
    from scipy.stats import norm

    rng = np.random.default_rng([seed, 5])
    target = rng.integers(0, 3, n)
    both: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for c in conditions:
        hard = rng.normal(size=n)
        for answers, share in zip(both, accuracy.get(c.family, accuracy["clean"]), strict=True):
            right = norm.cdf(np.sqrt(1 - own) * hard + np.sqrt(own) * rng.normal(size=n)) < share
            said = np.where(right, target, (target + rng.integers(1, 3, n)) % 3)
            answers[c.key] = (rng.normal(size=(n, 3)) * 0.3 + 3.0 * np.eye(3)[said]).astype(np.float32)
    return target, *both


def of_task(kind: str, n: int, seed: int, quality: float = 1.0) -> tuple[Task, Array, dict[str, Array]]:
    """Task, target and answers; the target depends on n alone, the answers on seed and quality."""
    truth, rng = np.random.default_rng(n), np.random.default_rng([seed, 9])
    if kind == "classification":
        target: Array = truth.integers(0, 3, n)
        answers = {c.key: rng.normal(size=(n, 3)) + quality * np.eye(3)[target] for c in PLAN}
        return CLASSES, target, answers
    if kind == "multilabel":
        target = truth.integers(0, 2, (n, 3))
        return Task.multilabel(3), target, {c.key: rng.normal(size=(n, 3)) + quality * (2 * target - 1) for c in PLAN}
    if kind == "regression":
        target = truth.normal(size=(n, 1))
        task = Task.regression(1, unit="mm")
        return task, target, {c.key: target + rng.normal(size=(n, 1)) / (1 + quality) for c in PLAN}
    target = np.stack([np.arange(n), np.full(n, n), np.ones(n, np.int64)], axis=1)
    answers = {}
    for c in PLAN:
        higher = np.minimum(rng.geometric(0.2 * quality, n) - 1, n - 1)
        rows = np.zeros((n, 6))
        rows[:, 0], rows[:, 2], rows[:, 3] = higher, 1, np.where(higher == 0, np.arange(n), 0)
        rows[:, 4], rows[:, 5] = -np.log1p(higher) - 0.1, -0.1
        answers[c.key] = rows
    return Task.retrieval("image", "text"), target, answers
