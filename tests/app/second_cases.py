"""Small whole runs for the tests of the dashboard's second half: two of one data set, one regression, kept inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import big_run as answered
from helpers.big_run import MODALITIES, big_run
from mmaudit.assemble import assemble
from mmaudit.exhibits import exhibit
from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.report import Report
from mmaudit.samples_file import Samples
from mmaudit.score import score
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Condition, Modality, Task

N = 96
CAPTION = "text.char_delete"
TEXTS = ("it barks at the postman", "it barks <b>at</b> a postman [x](y)")


def plan() -> list[Condition]:
    """Clean, controls, every subset missing once, two severity curves."""
    found = []
    for c in answered.plan(300):
        curve = c.probe in ("image.gaussian_blur", CAPTION) and not c.repeat
        gone = c.probe == "missing" and c.option("baseline") == "zero"
        if c.family in ("clean", "control") or curve or gone:
            found.append(c)
    return found


def blur(position: int) -> Condition:
    """One of the plan's conditions."""
    return next(c for c in plan() if c.probe == "image.gaussian_blur" and c.position == position)


def write_runs(root: Path) -> Path:
    """`first` and `second` on the same samples, the second surer of the photo and without the controls; `numbers`."""
    with pytest.MonkeyPatch.context() as patch:
        # The dashboard reads report.json; drawing every page of the report as well would take seconds.
        patch.setattr(Report, "to_html", lambda self, path: Path(path))
        keep_inputs(big_run(root / "first", N, plan(), resamples=20).folder)
        patch.setattr(answered, "WEIGHT", {"photo": 0.05, "voice": 0.3, "caption": 0.65})
        patch.setattr(answered, "LEFT", (0.9, 0.7, 0.5, 0.3, 0.1))
        some = [c for c in plan() if c.probe != CAPTION or c.position != 5]
        big_run(root / "second", N, some, resamples=20, title="second")
        regression(root / "numbers")
    return root


def keep_inputs(folder: Path) -> None:
    """Inputs of the first two samples, clean and under the strongest blur, which also rewrites the caption."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for position in (0, 1):
        clean = (rng.integers(0, 255, (8, 8, 3)), 0.3 * rng.normal(size=800), TEXTS[0])
        other = (rng.integers(0, 255, (8, 8, 3)), None, TEXTS[1])
        for key, values in (("", clean), (blur(5).key, other)):
            for modality, value, before in zip(MODALITIES, values, clean, strict=True):
                if value is not None:
                    shown = json.dumps(exhibit(modality, value, before))
                    rows.append({"position": position, "condition": key, "modality": modality.name, "exhibit": shown})
    about = {
        "version": 1,
        "modalities": [[m.name, m.kind] for m in MODALITIES],
        "samples": [{"position": p, "sample": str(10_000 + p), "why": "", "condition": ""} for p in (0, 1)],
        "left_out": "",
        "unmade": {},
    }
    table = pa.Table.from_pylist(rows).replace_schema_metadata({b"mmaudit.kept": json.dumps(about).encode()})
    pq.write_table(table, folder / "exhibits.parquet", row_group_size=len(rows) // 2)


def regression(folder: Path) -> Run:
    """Forty numbers with a model that adds one per severity."""
    modality = Modality("vitals", "tabular", (3,))
    curve = [Condition("tabular.shift", "corruption", 1, ("vitals",), float(p), p, unit="σ") for p in (1, 2)]
    target: Array = np.arange(40.0)[:, None]
    samples = Samples(np.arange(40), target, {}, None, {"vitals": np.ones(40, np.bool_)})
    header = {
        "mmaudit": "0.1.0",
        "created": "2026-01-01T00:00:00+00:00",
        "title": "numbers",
        "command": "",
        "fingerprints": {"model": "ab" * 8, "data": "sha256:" + "cd" * 32},
        "model": {
            "name": "numbers",
            "fingerprint": "ab" * 8,
            "outputs": "values",
            "native_absence": False,
            "stages": "whole",
            "device": "cpu",
        },
        "data": {"n": 40, "fingerprint": "sha256:" + "cd" * 32, "train": True},
        "task": Task.regression(["pain"], unit="mm").to_json(),
        "modalities": [modality_to_json(modality)],
        "suite": {"name": "small"},
        "increments": [[c.to_json() for c in (CLEAN, *curve)]],
        "declined": [],
        "checks": [],
        "environment": {"python": "3"},
        "batch_rows": 40,
        "shard_rows": 40,
    }
    run = Run.create(folder, header, samples)
    answers = [
        ConditionOutputs(
            (target + (c.severity or 0) * np.linspace(0, 1, 40)[:, None]).astype(np.float32),
            {"vitals": np.full(40, c != CLEAN)},
            {"vitals": np.full(40, c.severity or 0.0, np.float32)},
            1,
        )
        for c in (CLEAN, *curve)
    ]
    run.write_shard(0, 0, answers)
    score(run, resamples=20)
    assemble(run)
    return run
