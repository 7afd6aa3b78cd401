"""Runs that tests of scoring look at: an audited one, and one of twenty samples that can be checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from helpers.run_cases import Rowwise, dataset
from mmaudit import Report, Run, audit
from mmaudit.auditing import CHECK_ROWS, spread
from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.samples_file import Samples
from mmaudit.types import CLEAN, Array, Batch, Condition, Modality

SUITE = {
    "probes": ["missing", "mismatch", "tabular.gaussian_noise_convex", "missing_rate"],
    "baselines": ["zero", "marginal"],
    "pools": ["random"],
    "positions": [1, 3, 5],
    "rates": [0.3, 0.9],
}
N = 400
UNLUCKY = np.setdiff1d(np.arange(5, N, 17), spread(N, CHECK_ROWS))


def no_answer(batch: Batch, rows: Array) -> Array:
    """Nothing usable for some samples that the doctor does not look at, unless their table is taken away."""
    rows = rows.copy()
    rows[np.isin(batch.ids, UNLUCKY) & (batch.inputs["table"] != 0).any(axis=1)] = np.nan
    return rows


def audited(folder: Path, kind: str, **more: Any) -> tuple[Run, Report]:
    rng = np.random.default_rng(8)
    sites = np.where(rng.random(N) < 0.05, "C", np.where(rng.random(N) < 0.4, "A", "B"))
    data = dataset(kind, N, seed=3, groups={"site": sites}, cluster=np.arange(N) // 2, noise=1.2)
    model = Rowwise(kind, **more)
    report = audit(model, data, out=folder, suite=SUITE, resamples=400)
    return Run.open(folder), report


def values(report: Report, name: str, group: str = "") -> dict[str, float]:
    """A metric by condition label, over all samples, as compared with clean data."""
    clean = report.clean
    return {s.label: s.value for s in report.rows if s.metric == name and s.group == group and s.against in ("", clean)}


def by_hand(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """The header of a run of twenty samples in two classes, of two modalities a and b."""
    return {
        "fingerprints": {},
        "model": {"name": "by hand"},
        "data": {"n": 20},
        "task": {"kind": "classification", "names": ["no", "yes"], "unit": ""},
        "modalities": [modality_to_json(Modality(name, "tabular", (1,))) for name in ("a", "b")],
        "suite": {},
        "increments": [conditions],
        "declined": [],
        "shard_rows": 20,
    }


def hand_made(folder: Path, right: dict[str, int], unanswered: dict[str, int] | None = None) -> Run:
    def removal(*names: str) -> Condition:
        return Condition("missing", "missing", 1, names, options=(("baseline", "zero"),))

    def noise(severity: float, position: int) -> Condition:
        return Condition("tabular.noise", "corruption", 1, ("a",), severity, position, unit="σ")

    conditions = {
        "clean": CLEAN,
        "a1": removal("a"),
        "b1": removal("b"),
        "ab": removal("a", "b"),
        "n1": noise(0.2, 1),
        "n3": noise(0.5, 3),
        "n5": noise(1.0, 5),
    }
    header = by_hand([c.to_json() for c in conditions.values()])
    y = np.arange(20) % 2
    present = {m: np.ones(20, bool) for m in ("a", "b")}
    run = Run.create(folder, header, Samples(np.arange(20), y, {}, None, present))
    results = []
    for i, (name, condition) in enumerate(conditions.items()):
        # The first ones are right; who is wrong differs between conditions.
        order = np.roll(np.arange(20), i)
        said = y.copy()
        said[order[right[name] :]] = 1 - said[order[right[name] :]]
        logits = np.where(said[:, None] == np.arange(2), 1.0, -1.0).astype(np.float32)
        logits[np.arange(20) < (unanswered or {}).get(name, 0)] = np.nan
        changed = {m: np.full(20, m in condition.modalities) for m in present}
        moved = {m: np.full(20, 0.5, np.float32) for m in present}
        results.append(ConditionOutputs(logits, changed, moved))
    run.write_shard(0, 0, results)
    return run
