"""Small run folders of every task, from outputs at hand, in several shards and two increments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.samples_file import Samples
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Condition, Modality, Task

MODALITIES = (Modality("photo.left", "image", (2, 2), "float32", "HW", (0.0, 1.0)), Modality("note", "text", (), "str"))
N, ROWS = 23, 10


def blur(position: int, repeat: int = 0) -> Condition:
    return Condition("image.blur", "corruption", 1, ("photo.left",), position * 0.5, position, (), repeat, "px")


def typos(position: int) -> Condition:
    return Condition("text.typos", "corruption", 1, ("note",), position * 0.1, position, unit="share")


BOTH = Condition("missing", "missing", 1, ("photo.left", "note"), options=(("baseline", "zero"),))
FIRST = (CLEAN, Condition("identity", "control", 1, ("photo.left", "note")), BOTH, blur(1), blur(3), blur(5))
SECOND = (typos(2), typos(4), blur(3, repeat=1))
PLAN = (*FIRST, *SECOND)


def browse_run(
    folder: Path,
    task: Task,
    target: Array,
    outputs: Mapping[str, Array],
    *,
    increments: Sequence[Sequence[Condition]] = (FIRST, SECOND),
    moved: float = 0.25,
    **samples: Any,
) -> Run:
    """A run with these outputs by condition key; every condition but clean and identity changes the odd samples."""
    n = len(target)
    given = {
        "ids": np.array([f"s{i:02d}" for i in range(n)], object),
        "groups": {"site": np.array(["a", "b"], object)[np.arange(n) % 2]},
        "cluster": None,
        "present": {m.name: np.ones(n, np.bool_) for m in MODALITIES},
    }
    header = {
        "title": "t",
        "created": "2026-01-01T00:00:00+00:00",
        "fingerprints": {"model": "m", "data": "d"},
        "model": {"name": "model", "fingerprint": "m"},
        "data": {"n": n, "fingerprint": "d", "train": True},
        "task": task.to_json(),
        "modalities": [modality_to_json(m) for m in MODALITIES],
        "suite": {"name": "made"},
        "increments": [[c.to_json() for c in part] for part in increments],
        "declined": [],
        "shard_rows": ROWS,
    }
    run = Run.create(folder, header, Samples(target=target, **(given | samples)))
    for shard, rows in enumerate(run.shards()):
        for i, part in enumerate(increments):
            run.write_shard(shard, i, [_outputs(c, rows, outputs[c.key], moved) for c in part])
    return run


def _outputs(c: Condition, rows: Array, outputs: Array, moved: float) -> ConditionOutputs:
    touched = (rows % 2 == 1) & (c.family not in ("clean", "control"))
    distance = np.where(touched, np.nan if c.family == "missing" else moved, 0.0).astype(np.float32)
    still = np.zeros(len(rows), np.float32)
    return ConditionOutputs(
        np.asarray(outputs, np.float32)[rows],
        {m.name: touched & (m.name in c.modalities) for m in MODALITIES},
        {m.name: distance if m.name in c.modalities else still for m in MODALITIES},
        1,
    )


def random_outputs(width: int, n: int = N, seed: int = 0, plan: Sequence[Condition] = PLAN) -> dict[str, Array]:
    """Outputs under every condition; rows 4 and 15 have no answer under `BOTH`, row 7 none on clean data."""
    rng = np.random.default_rng(seed)
    out = {c.key: rng.normal(size=(n, width)).astype(np.float32) * 2 for c in plan}
    out[BOTH.key][[4, 15]] = np.nan
    out[CLEAN.key][7] = np.nan
    out[FIRST[1].key] = out[CLEAN.key].copy()
    return out
