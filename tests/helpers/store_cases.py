"""A run folder written by hand: its header, its samples, and outputs of its conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mmaudit import Run
from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.samples_file import Samples
from mmaudit.types import CLEAN, Condition, Modality

N = 40
MODALITIES = (
    Modality("photo.left", "image", (4, 4, 3), "uint8", "HWC", (0.0, 255.0), "count"),
    Modality("voice", "audio", (None,), "float32", sample_rate=8000.0),
    Modality("note", "text", (), "str"),
)


def header(**more: Any) -> dict[str, Any]:
    return {
        "fingerprints": {"model": "m", "data": "d"},
        "model": {"name": "model"},
        "data": {"n": N},
        "task": {"kind": "classification", "names": ["a", "b"], "unit": ""},
        "modalities": [modality_to_json(m) for m in MODALITIES],
        "suite": {},
        "increments": [[CLEAN.to_json(), removal("voice").to_json()]],
        "declined": [],
        "shard_rows": 16,
        **more,
    }


def removal(*names: str) -> Condition:
    return Condition("missing", "missing", 1, names, options=(("baseline", "zero"),))


def samples(**more: Any) -> Samples:
    given: dict[str, Any] = {
        "ids": np.arange(N) * 7,
        "target": np.arange(N) % 2,
        "groups": {"site": np.array([f"site {i % 3}" for i in range(N)])},
        "cluster": np.arange(N) // 4,
        "present": {m.name: np.arange(N) % 5 != 0 for m in MODALITIES},
    }
    return Samples(**given | more)


def outputs(rows: int, seed: int, width: int = 2) -> ConditionOutputs:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, width)).astype(np.float32)
    values[0] = np.nan
    return ConditionOutputs(
        values,
        {m.name: rng.random(rows) < 0.5 for m in MODALITIES},
        {m.name: np.where(rng.random(rows) < 0.2, np.nan, rng.random(rows)).astype(np.float32) for m in MODALITIES},
    )


def filled(folder: Path) -> tuple[Run, dict[tuple[int, int], ConditionOutputs]]:
    run = Run.create(folder, header(), samples())
    given = {(s, c): outputs(len(rows), 10 * s + c) for s, rows in enumerate(run.shards()) for c in range(2)}
    for shard in range(len(run.shards())):
        run.write_shard(shard, 0, [given[shard, c] for c in range(2)])
    return run, given
