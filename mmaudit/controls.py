"""A run's own controls: what must have no effect, what must leave nothing, and whether each probe did anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmaudit.formats import NBSP, number, readable
from mmaudit.store import Run
from mmaudit.types import CLEAN, Condition, Score


@dataclass(frozen=True)
class Control:
    """What a run says about its own soundness: one control condition, and whether it behaved.

    Attributes:
        control: `identity`, `destroy` or `applied`.
        condition: the condition it looks at.
        ok: whether the run can be trusted in this respect.
        message: one sentence.
        left: of `applied`, the modalities that it left as they were where it changed others; empty where it changed
            nothing at all.
    """

    control: str
    condition: Condition
    ok: bool
    message: str
    left: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        about = {"control": self.control, "label": self.condition.label, "ok": self.ok, "message": self.message}
        return about | ({"left": list(self.left)} if self.left else {})


# A copied input may take other code paths through the model, so the last bits may differ: this share of the spread.
IDENTITY_TOLERANCE = 1e-4
STANDARD_ERRORS = 4.0


def controls(run: Run, rows: Iterable[Score], applied: Sequence[Mapping[str, Any]], primary: str) -> list[Control]:
    """Judge a scored run by its controls.

    Args:
        run: the run.
        rows: its scores.
        applied: per condition the share of samples that it changed.
        primary: name of the primary metric.
    """
    scores = {s.condition: s for s in rows if s.metric == primary and not s.group and s.against == CLEAN.key}
    proof = {row["condition"]: row for row in applied}
    found = [_identity(run, c) for c in run.conditions if c.probe == "identity"]
    found += [_destroy(c, scores[c.key]) for c in run.conditions if c.probe == "destroy"]
    perturbed = (c for c in run.conditions if c.family not in ("clean", "control"))
    return found + [control for c in perturbed for control in _applied(run, c, proof[c.key])]


def _applied(run: Run, condition: Condition, proof: Mapping[str, Any]) -> Iterator[Control]:
    """A perturbation must change some sample, and one of several modalities a value of each: else it is not tested."""
    measured, label = run.count(condition), condition.label
    none = "no sample" if measured == run.n else f"none of the {measured} samples that a budget left it"
    if proof["changed"] == 0.0:
        yield Control("applied", condition, False, f"{label} changed {none}, so it says nothing about the model.")
    elif left := _left(proof["left"], condition):
        names = ", ".join(left)
        message = f"{label} changed {names} in {none}, so it says nothing about damage to {names}."
        yield Control("applied", condition, False, message, left)


def _left(written: str, condition: Condition) -> tuple[str, ...]:
    """The names of modalities that a run's table says were left, as far as the condition has them."""
    try:
        names = json.loads(written)
    except ValueError:
        return ()
    return tuple(m for m in condition.modalities if isinstance(names, list) and m in names)


def _identity(run: Run, condition: Condition) -> Control:
    """A copy of every input must be received as the input is, and give its outputs."""
    original, repeated = run.read(CLEAN), run.read(condition)
    there = slice(None) if repeated.measured is None else repeated.measured
    digests = (original.received, repeated.received) if repeated.measured is None else _both_received(run, condition)
    if digests[0] != digests[1]:
        message = "copied inputs do not reach the model unchanged (their digests differ)."
        return Control("identity", condition, False, message)
    clean, copy = original.outputs[there], repeated.outputs[there]
    same = np.isnan(copy) == np.isnan(clean)
    gap = float(np.nanmax(np.abs(copy - clean), initial=0.0))
    ok = bool(same.all()) and gap <= IDENTITY_TOLERANCE * (float(np.nanstd(clean)) or 1.0)
    said = "copied inputs give the same outputs" if ok else "copied, unchanged inputs give other outputs"
    return Control("identity", condition, ok, f"{said} (largest difference {gap:.2g}).")


def _both_received(run: Run, condition: Condition) -> tuple[list[int | None], list[int | None]]:
    """Digests of what the model received clean and under a condition, of the portions that both are in."""
    clean, now = run.received(CLEAN), run.received(condition)
    shared = [samples for samples in now if samples in clean]
    return [clean[samples] for samples in shared], [now[samples] for samples in shared]


def _destroy(condition: Condition, score: Score) -> Control:
    """With every modality taken from other samples nothing but chance may be left."""
    if score.value != score.value:
        return Control("destroy", condition, False, f"{readable(score.metric)} could not be measured: {score.reason}.")
    # A failed control takes back the whole audit, so chance must not do it: four standard errors, not two.
    error = (score.high - score.low) / (2 * 1.96)
    slack = (0.01 if score.unit == "share" else 0.02 * score.floor) + STANDARD_ERRORS * error
    above = score.value > score.floor + slack if score.better == "higher" else score.value < score.floor - slack
    said = "better than chance, so something other than the inputs gives answers away" if above else "chance is reached"
    value, low, high, floor = (number(x, score.unit) for x in (score.value, score.low, score.high, score.floor))
    return Control(
        "destroy",
        condition,
        not above,
        f"with every modality taken from other samples {readable(score.metric)} is {value} (95{NBSP}% interval {low} "
        f"to {high}), chance is {floor}: {said}.",
    )
