"""Whole run folders of any size from random answers: what a finished audit leaves, without model, data or forward pass.

The plan is a real one (`make_plan` for an image, a sound and a text); answers get worse with severity, some modalities
matter more than others, the identity control changes nothing and total destruction reaches chance. So scores, findings
and report look like those of an audit.

    python tests/helpers/big_run.py FOLDER [--samples 3334] [--conditions 300]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.assemble import assemble
from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.plan import Suite, make_plan
from mmaudit.predict import shard_rows
from mmaudit.samples_file import Samples
from mmaudit.score import score
from mmaudit.store import Run
from mmaudit.types import Array, Condition, Modality, Task

MODALITIES = (
    Modality("photo", "image", (64, 64, 3), "uint8", "HWC", (0.0, 255.0)),
    Modality("voice", "audio", (16_000,), "float32", None, (-1.0, 1.0), None, 16_000.0),
    Modality("caption", "text", (), "str"),
)
CLASSES = ("bark", "siren", "rain", "speech", "music", "engine", "bird", "bell", "wind", "laughter")
# How much of what the model knows each modality carries, and how much every severity position leaves of it.
WEIGHT = {"photo": 0.6, "voice": 0.3, "caption": 0.1}
LEFT = (0.95, 0.85, 0.7, 0.5, 0.3)


def plan(conditions: int) -> tuple[Condition, ...]:
    """So many conditions of a real plan, at least half of them corruptions; repeats where it has too few."""
    task = Task.classification(CLASSES)
    names = ("control", "missing", "missing_rate", "mismatch", "image.*", "audio.*", "text.*")
    base = make_plan(Suite("big", names, pools=("random",)), MODALITIES, task).conditions
    found = list(base)
    repeat = 0
    while len(found) < conditions:
        repeat += 1
        found += [replace(c, repeat=repeat) for c in base if c.family in ("mismatch", "corruption")]
    first = [c for c in found if c.family in ("clean", "control", "missing", "mismatch") and not c.repeat]
    rest = [c for c in found if c not in first]
    return tuple([*first[: max(3, conditions // 2)], *rest][:conditions])


def big_run(
    folder: str | Path,
    n: int = 3_334,
    conditions: int | Sequence[Condition] = 300,
    *,
    seed: int = 0,
    resamples: int = 100,
    scored: bool = True,
    rows: int | None = None,
    **header: Any,
) -> Run:
    """Write a run folder of `n` samples of ten classes under this many (or these) conditions.

    Args:
        folder: absent or empty.
        resamples: bootstrap resamples of the scores.
        scored: whether to make scores, findings and report, too; without it only what the audit's first half writes.
        rows: samples per shard; as an audit chooses by default.
        header: values of run.json to set otherwise (`title=…`).
    """
    chosen = plan(conditions) if isinstance(conditions, int) else tuple(conditions)
    rng = np.random.default_rng(seed)
    target = rng.integers(0, len(CLASSES), n)
    groups = {
        "site": np.array(["north", "east", "south", "west"])[rng.integers(0, 4, n)],
        "device": np.array(["phone", "headset"])[rng.integers(0, 2, n)],
    }
    present = {m.name: np.ones(n, np.bool_) for m in MODALITIES}
    samples = Samples(np.arange(n) + 10_000, target, groups, None, present)
    run = Run.create(folder, {**_header(chosen, n, rows or shard_rows(n)), **header}, samples)
    ease = rng.normal(size=n).astype(np.float32)
    clean = _logits(target, 0.9, ease, rng)
    for shard, positions in enumerate(run.shards()):
        run.write_shard(shard, 0, [_answers(c, positions, target, ease, clean, seed) for c in chosen])
    if scored:
        score(run, resamples=resamples)
        assemble(run)
    return run


def _answers(c: Condition, positions: Array, target: Array, ease: Array, clean: Array, seed: int) -> ConditionOutputs:
    rows = len(positions)
    rng = np.random.default_rng([seed, int(c.key[:8], 16), int(positions[0])])
    same = c.family == "clean" or c.probe == "identity"
    out = clean[positions] if same else _logits(target[positions], _accuracy(c), ease[positions], rng)
    touched = () if same else c.modalities
    unit = {m.name: 0.1 if m.kind == "text" else 0.3 for m in MODALITIES}
    step = np.nan if c.family == "missing" else float(c.position or 3)
    return ConditionOutputs(
        out,
        {m.name: np.full(rows, m.name in touched) for m in MODALITIES},
        {m.name: np.full(rows, unit[m.name] * step if m.name in touched else 0.0, np.float32) for m in MODALITIES},
        int(c.key[:8], 16) if touched else 1,
    )


def _accuracy(c: Condition) -> float:
    if c.probe == "destroy":
        return 1 / len(CLASSES)
    hit = sum(WEIGHT[m] for m in c.modalities)
    left = LEFT[c.position - 1] if c.position else 1 - (c.severity or 1.0)
    return 0.1 + 0.8 * (1 - hit * (1 - max(left, 0.0)))


def _logits(target: Array, accuracy: float, ease: Array, rng: np.random.Generator) -> Array:
    """Answers right on this share of samples, the easy ones rather than the others, and surer there."""
    n, width = len(target), len(CLASSES)
    if accuracy <= 1 / width:
        return rng.normal(size=(n, width)).astype(np.float32)
    score = ease + rng.normal(size=n).astype(np.float32)
    right = score > np.quantile(score, 1 - accuracy)
    said = np.where(right, target, (target + rng.integers(1, width, n)) % width)
    out = rng.normal(size=(n, width)).astype(np.float32)
    out[np.arange(n), said] = out.max(axis=1) + 0.2 + 2 * rng.random(n) * (0.3 + right)
    return out


def _header(conditions: Sequence[Condition], n: int, rows: int) -> dict[str, Any]:
    return {
        "mmaudit": "0.1.0",
        "created": "2026-01-01T00:00:00+00:00",
        "title": "Random answers",
        "command": "python tests/helpers/big_run.py",
        "fingerprints": {"model": "ab" * 8, "data": "sha256:" + "cd" * 32},
        "model": {
            "name": "random answers",
            "fingerprint": "ab" * 8,
            "outputs": "logits",
            "native_absence": False,
            "stages": "whole",
            "device": "cpu",
        },
        "data": {"n": n, "fingerprint": "sha256:" + "cd" * 32, "train": True},
        "task": Task.classification(CLASSES).to_json(),
        "modalities": [modality_to_json(m) for m in MODALITIES],
        "suite": {"name": "big"},
        "increments": [[c.to_json() for c in conditions]],
        "declined": [],
        "checks": [],
        "environment": {"python": "3"},
        "batch_rows": 256,
        "shard_rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=3_334)
    parser.add_argument("--conditions", type=int, default=300)
    given = parser.parse_args()
    run = big_run(given.folder, given.samples, given.conditions)
    print(f"{run.folder}: {run.n} samples, {len(run.conditions)} conditions")


if __name__ == "__main__":
    main()
