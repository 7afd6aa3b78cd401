"""Runs with reference methods beside them, whose answers are drawn so that every model's accuracy is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.panel.read import Trained
from mmaudit.panel.values import Method
from mmaudit.samples_file import Samples
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Condition, Modality, Task

MODALITIES = (Modality("image", "image", (8, 8, 3), "uint8", "HWC", (0.0, 255.0)), Modality("text", "text", (), "str"))
CLASSES = Task.classification(4)
SHARD = 4096


def missing(modality: str, baseline: str = "zero") -> Condition:
    return Condition("missing", "missing", 1, (modality,), options=(("baseline", baseline),))


def blur(position: int) -> Condition:
    return Condition("image.gaussian_blur", "corruption", 1, ("image",), float(position), position, unit="px")


def swapped(modality: str) -> Condition:
    return Condition("mismatch", "mismatch", 1, (modality,), options=(("pool", "random"),))


IDENTITY = Condition("identity", "control", 1, ("image", "text"))
PLAN = (
    CLEAN,
    IDENTITY,
    *(missing(m, b) for m in ("image", "text") for b in ("zero", "mean", "marginal")),
    *(blur(p) for p in (1, 3, 5)),
    swapped("text"),
)
# What every test that does not say otherwise uses as the audited model's accuracy.
AUDITED = {"clean": 0.85, "missing[image]": 0.5, "missing[text]": 0.7, "corruption": 0.7, "mismatch": 0.5}

Outputs = Mapping[str, Array]


def kind(c: Condition) -> str:
    """The name that accuracies are given by."""
    return f"missing[{c.modalities[0]}]" if c.probe == "missing" else "clean" if c.family == "control" else c.family


def logits(target: Array, right: Array, rng: np.random.Generator, width: int = 4, sure: float = 2.0) -> Array:
    """Logits whose largest is the target's where `right`, else another class's."""
    other = (target + rng.integers(1, width, len(target))) % width
    said = np.where(right, target, other)
    out = rng.normal(size=(len(target), width)) * 0.3
    out[np.arange(len(target)), said] = out.max(axis=1) + sure * (0.2 + rng.random(len(target)))
    return out.astype(np.float32)


class World:
    """Samples that differ in difficulty, so that models which are right on the same share agree on most of them.

    A model with accuracy a under a condition is right where difficulty + own noise is below its a-quantile.
    """

    def __init__(self, n: int = 1000, seed: int = 0, conditions: Sequence[Condition] = PLAN) -> None:
        self.n = n
        self.rng = np.random.default_rng([seed, 1])
        self.conditions = tuple(conditions)
        self.target = self.rng.integers(0, 4, n)
        self.difficulty = {c.key: self.rng.normal(size=n) for c in self.conditions}

    def answers(self, accuracy: Mapping[str, float], own: float = 0.5) -> dict[str, Array]:
        """Outputs under every condition of a model with these accuracies; `own`: share of its own in its errors."""
        from scipy.stats import norm

        out = {}
        for c in self.conditions:
            difficulty = self.difficulty[c.key]
            score = np.sqrt(1 - own) * difficulty + np.sqrt(own) * self.rng.normal(size=self.n)
            right = norm.cdf(score) < accuracy[kind(c)]
            out[c.key] = logits(self.target, right, self.rng)
        return out


def header(
    conditions: Sequence[Condition], n: int, task: Task, name: str, modalities: Sequence[Modality]
) -> dict[str, Any]:
    return {
        "fingerprints": {"model": name, "data": "d"},
        "title": "panel",
        "created": "2026-01-01T00:00:00Z",
        "command": "",
        "model": {
            "name": name,
            "fingerprint": "ab" * 20,
            "outputs": "logits",
            "native_absence": False,
            "stages": "whole",
            "device": "cpu",
        },
        "data": {"n": n, "fingerprint": "sha256:" + "00" * 32, "train": True},
        "task": task.to_json(),
        "modalities": [modality_to_json(m) for m in modalities],
        "suite": {"name": "made"},
        "increments": [[c.to_json() for c in conditions]],
        "declined": [],
        "checks": [],
        "environment": {"python": "3"},
        "shard_rows": SHARD,
    }


def make_run(
    folder: Path,
    target: Array,
    outputs: Outputs,
    conditions: Sequence[Condition] = PLAN,
    task: Task = CLASSES,
    name: str = "mine",
    cluster: Array | None = None,
    modalities: Sequence[Modality] = MODALITIES,
) -> Run:
    """A run folder with these outputs, by key of the condition."""
    n = len(target)
    names = [m.name for m in modalities]
    samples = Samples(np.arange(n) * 3, target, {}, cluster, {m: np.ones(n, np.bool_) for m in names})
    run = Run.create(folder, header(conditions, n, task, name, modalities), samples)
    for shard, rows in enumerate(run.shards()):
        results = []
        for c in conditions:
            changed = {m: np.full(len(rows), m in c.modalities) for m in names}
            moved = {m: np.zeros(len(rows), np.float32) for m in names}
            results.append(ConditionOutputs(np.asarray(outputs[c.key], np.float32)[rows], changed, moved, 7))
        run.write_shard(shard, 0, results)
    return run


ABOUT: dict[str, Any] = {
    "schema": 1,
    "hyper": {"lr": 0.001},
    "tuning": [],
    "budget": {"steps": 100},
    "features": {"image": "frozen encoder of the audited model", "text": "frozen encoder of the audited model"},
    "parameters": 12345,
    "seconds_training": 2.5,
    "microseconds_fusion": 1.01,
    "microseconds_audited_fusion": 1.0,
    "n_train": 4000,
    "n_validation": 800,
    "told_missing": True,
}


def add_reference(
    run: Run,
    method: str,
    seeds: Sequence[Outputs | str],
    conditions: Sequence[Condition] = PLAN,
    cluster: Array | None = None,
    modalities: Sequence[Modality] = MODALITIES,
    **about: Any,
) -> Path:
    """A reference of this method with the outputs of each seed, or the reason why it failed."""
    folder = run.folder / "references" / method
    folder.mkdir(parents=True)
    outcomes = [s if isinstance(s, str) else "" for s in seeds]
    said = {**ABOUT, "method": method, "title": method.replace("_", " ").capitalize(), "source": "somebody 2020"}
    said |= {"seeds": list(range(len(seeds))), "outcomes": outcomes, **about}
    (folder / "reference.json").write_text(json.dumps(said), encoding="utf-8")
    for i, outputs in enumerate(seeds):
        if not isinstance(outputs, str):
            make_run(
                folder / f"seed-{i}",
                run.samples.target,
                outputs,
                conditions,
                run.task,
                f"{method} {i}",
                cluster,
                modalities,
            )
    return folder


def panel_run(
    folder: Path,
    references: Mapping[str, Mapping[str, float]],
    *,
    n: int = 1000,
    seeds: int = 3,
    seed: int = 0,
    spread: float = 0.0,
    audited: Mapping[str, float] = AUDITED,
    own: float = 0.3,
    edit: Callable[[str, int, dict[str, Array]], None] | None = None,
    **about: Any,
) -> Run:
    """A run with references of these accuracies (over the audited model's) whose seeds vary by `spread`."""
    world = World(n, seed)
    run = make_run(folder, world.target, world.answers(audited, own))
    for method, better in references.items():
        outputs = []
        for s in range(seeds):
            luck = world.rng.normal() * spread
            wanted = {k: min(max(v + luck, 0.0), 1.0) for k, v in {**audited, **better}.items()}
            made = world.answers(wanted, own)
            if edit:
                edit(method, s, made)
            outputs.append(made)
        add_reference(run, method, outputs, **about)
    return run


class Remembered(Run):
    """A run whose answers are in memory: for simulations of many panels."""

    def __init__(self, target: Array, outputs: Outputs, conditions: Sequence[Condition], name: str = "mine") -> None:
        super().__init__(Path(name), header(conditions, len(target), CLASSES, name, MODALITIES))
        present = {m.name: np.ones(len(target), np.bool_) for m in MODALITIES}
        self.__dict__["samples"] = Samples(np.arange(len(target)), target, {}, None, present)
        self.outputs = outputs

    def read(self, condition: Condition) -> ConditionOutputs:
        return ConditionOutputs(self.outputs[condition.key], {}, {})


def remembered(world: World, name: str, answers: Sequence[Outputs]) -> Trained:
    """A reference in memory."""
    runs = tuple(Remembered(world.target, a, world.conditions, f"{name} {i}") for i, a in enumerate(answers))
    return Trained(Method(name, name, "somebody 2020", seeds=tuple(range(len(runs))), relative_time=1.0), runs)
