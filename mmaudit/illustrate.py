"""The worst samples of a run, shown: what the model was given, before and after a probe, and what it made of it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmaudit.data import Dataset
from mmaudit.decomposition import TAGS_FILE
from mmaudit.findings.base import Evidence, find
from mmaudit.folder import write_atomically
from mmaudit.metrics import Predictions
from mmaudit.metrics.retrieval import ranks, reciprocal_ranks
from mmaudit.outputs import column, read_parquet
from mmaudit.probes import Source, probes
from mmaudit.store import Run
from mmaudit.types import (
    CANDIDATES,
    CLEAN,
    HIGHER,
    TIED,
    TIED_RIGHT,
    Array,
    Batch,
    BoolArray,
    Condition,
    IntArray,
    Modality,
    Score,
)

CONDITIONS = 6
SAMPLES = 3
MAX_PIXELS = 160
MAX_CHARACTERS = 600
MAX_VALUES = 24


def worth_showing(seen: Evidence) -> list[Condition]:
    """Conditions that findings rest on; where they rest on none, those that cost most, one of each severity curve.

    Not those that surely help: what they turn from right to wrong is not what their finding is about.
    """
    changed = [c for c in seen.conditions if c.modalities and c.family != "control" and not _helps(seen.score(c))]
    cited = {e["condition"] for f in find(seen) for e in f.evidence}
    if found := [c for c in changed if c.key in cited]:
        return found
    # Where another answer than the original truth may be right, a changed answer is no harm.
    cost = {c: _cost(seen.score(c)) for c in changed if c.family not in ("conflict", "contrast_set")}
    worst: dict[str, Condition] = {}
    for condition in sorted((c for c in cost if cost[c] > 0), key=lambda c: -cost[c]):
        worst.setdefault(condition.stream, condition)
    return list(worst.values())


def _helps(score: Score) -> bool:
    """Whether the model is surely better than on clean data."""
    return score.delta_high < 0 if score.better == "lower" else score.delta_low > 0


def _cost(score: Score) -> float:
    """How far a score fell against clean in the direction of goodness; NaN where undefined."""
    return score.delta if score.better == "lower" else -score.delta


def illustrate(run: Run, data: Dataset, source: Source, conditions: Sequence[Condition]) -> None:
    """Write `examples.json`: for each condition the samples it turned from right to most confidently wrong.

    Inputs are made again from the data set and the probe; the model is not needed.
    """
    examples: list[dict[str, Any]] = []
    clean, answered = _predictions(run, CLEAN)
    for condition in conditions[:CONDITIONS]:
        perturbed, usable = _predictions(run, condition)
        positions = worst_samples(clean, perturbed, answered & usable)
        if not len(positions):
            continue
        batch = data.rows(positions)
        shown = probes.get(condition.probe).apply(batch, condition, source)
        for row, position in enumerate(positions):
            examples.append(
                {
                    "condition": condition.key,
                    "label": condition.label,
                    "sample": str(batch.ids[row]),
                    "target": _say(clean, batch.target[row]),
                    "clean": _answer(clean, int(position), run.samples.ids),
                    "perturbed": _answer(perturbed, int(position), run.samples.ids),
                    "modalities": [_sides(m, batch, shown, row, condition) for m in data.modalities],
                }
            )
    content = json.dumps(examples, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(run.folder / "examples.json", content.encode("utf-8", "replace"))


def illustrate_synergy(run: Run, data: Dataset) -> None:
    """Write `synergy_samples.json`: samples that only several modalities together tell, shown as they are.

    Those whose tag is the most stable and that the modalities together say most about, half of them answered right by
    the model, half wrong. Nothing is written where samples have no tags.
    """
    file = run.folder / TAGS_FILE
    if not file.exists():
        return
    table = read_parquet(file)
    positions, tag, stability = (column(table, name) for name in ("position", "tag", "stability"))
    bits = {name.removeprefix("pvi."): column(table, name) for name in table.column_names if name.startswith("pvi.")}
    everything = bits["+".join(m.name for m in run.modalities)]
    clean, answered = _predictions(run, CLEAN)
    # By what all together say beyond the best of each alone, in the seeds' agreement.
    alone = np.max([bits[m.name] for m in run.modalities], axis=0)
    order = np.lexsort((positions, alone - everything, -stability))
    order = order[(tag[order] == "synergy") & answered[positions[order]]]
    if run.task.kind == "regression":
        chosen = order[: 2 * SAMPLES]
    else:
        hit = clean.hit[positions[order]]
        chosen = np.concatenate([order[hit][:SAMPLES], order[~hit][:SAMPLES]])
    if not len(chosen):
        return
    batch = data.rows(positions[chosen])
    shown = [
        {
            "sample": str(batch.ids[row]),
            "target": _say(clean, batch.target[row]),
            "answer": _answer(clean, int(positions[place]), run.samples.ids),
            "tag": "synergy",
            "pvi": {name: round(float(values[place]), 3) for name, values in bits.items()},
            "modalities": [
                {
                    "name": m.name,
                    "kind": m.kind,
                    "shown": show(m, batch.inputs[m.name][row], bool(batch.present[m.name][row])),
                }
                for m in data.modalities
            ],
        }
        for row, place in enumerate(chosen)
    ]
    content = json.dumps(shown, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(run.folder / "synergy_samples.json", content.encode("utf-8", "replace"))


def worst_samples(clean: Predictions, perturbed: Predictions, usable: BoolArray) -> IntArray:
    """Positions of the usable samples that the condition harmed most, at most `SAMPLES`, gravest first.

    Classification and multilabel: right on clean data, wrong now, most confident first. Regression: largest growth
    of the absolute error. Retrieval: largest loss of 1 / rank of the right candidate, then the lowest rank now.
    """
    if clean.task.kind == "retrieval":
        before, after = (reciprocal_ranks(p) for p in (clean, perturbed))
        found = np.flatnonzero(usable & (after < before))
        order = np.lexsort((found, after[found], after[found] - before[found]))[:SAMPLES]
        return np.asarray(found[order], np.int64)
    if clean.task.kind == "regression":
        before = np.abs(clean.outputs - clean.target).sum(axis=1)
        harm = np.abs(perturbed.outputs - perturbed.target).sum(axis=1) - before
        chosen = usable & (harm > 0)
    else:
        harm = perturbed.confidence
        chosen = usable & clean.hit & ~perturbed.hit
    order = np.argsort(-np.where(chosen, harm, -np.inf), kind="stable")[:SAMPLES]
    return np.asarray(order[chosen[order]], np.int64)


def _predictions(run: Run, condition: Condition) -> tuple[Predictions, BoolArray]:
    """Predictions of a condition and which of them the model gave; the others are zeros in its place."""
    answers = run.read(condition)
    outputs = np.where(answers.answered[:, None], answers.outputs, 0.0)
    return Predictions(run.task, outputs, run.samples.target), answers.answered


def _say(predictions: Predictions, target: Array) -> str:
    """A target or an answer in words."""
    task = predictions.task
    if task.kind == "retrieval":
        return f"the right {task.target_modality} first"
    if task.kind == "classification":
        return task.names[int(target)]
    if task.kind == "multilabel":
        return ", ".join(name for name, on in zip(task.names, target, strict=True) if on) or "none"
    return ", ".join(f"{value:.4g}" for value in np.atleast_1d(target)) + (f" {task.unit}" if task.unit else "")


def _answer(predictions: Predictions, position: int, ids: Array) -> dict[str, Any]:
    if predictions.task.kind == "retrieval":
        return {"prediction": _ranking(predictions, position, ids), "confidence": None}
    if predictions.task.kind == "regression":
        return {"prediction": _say(predictions, predictions.outputs[position]), "confidence": None}
    confidence = float(predictions.confidence[position])
    return {"prediction": _say(predictions, predictions.predicted[position]), "confidence": round(confidence, 6)}


def _ranking(predictions: Predictions, position: int, ids: Array) -> str:
    """Where a query's right candidate stands, and what stands first instead."""
    row = predictions.outputs[position : position + 1]
    if row[0, HIGHER] == 0 and row[0, TIED] == 0:
        return _say(predictions, predictions.target[position])
    place = float(ranks(row[:, HIGHER], row[:, TIED], row[:, TIED_RIGHT])[0])
    where = f"the right one at rank {place:g} of {int(predictions.target[position, CANDIDATES])}"
    if row[0, TIED]:
        return f"{int(row[0, TIED] + row[0, TIED_RIGHT])} candidates score the same, {where} in the middle of them"
    return f"{ids[int(predictions.predicted[position])]} first, {where}"


def _sides(modality: Modality, before: Batch, after: Batch, row: int, condition: Condition) -> dict[str, Any]:
    name = modality.name
    return {
        "name": name,
        "kind": modality.kind,
        "changed": name in condition.modalities,
        "original": show(modality, before.inputs[name][row], bool(before.present[name][row])),
        "perturbed": show(modality, after.inputs[name][row], bool(after.present[name][row])),
    }


def show(modality: Modality, value: Any, present: bool) -> dict[str, Any]:
    """A sample's value as plain JSON: text, a PNG in base64, or the first numbers."""
    if not present:
        return {"absent": True}
    if modality.kind == "text":
        text = str(value)
        return {"text": text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + " …"}
    if modality.kind == "image" and modality.range is not None:
        return {"png": _png(modality, value)}
    numbers = np.asarray(value, np.float64).ravel()[:MAX_VALUES]
    return {"values": [float(f"{x:.4g}") for x in numbers]}


def _png(modality: Modality, value: Array) -> str:
    from PIL import Image

    assert modality.range is not None
    low, high = modality.range
    x = (np.asarray(value, np.float32) - low) / (high - low)
    if modality.layout == "CHW":
        x = np.moveaxis(x, 0, -1)
    if x.ndim == 3 and x.shape[-1] != 3:
        x = x.mean(axis=-1)
    image = Image.fromarray(np.clip(np.rint(x * 255.0), 0, 255).astype(np.uint8))
    image.thumbnail((MAX_PIXELS, MAX_PIXELS))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
