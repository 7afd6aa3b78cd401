"""One analysis of an audit: as many rounds of combinations as the EMAP gap needs, within a budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmaudit.crossing.answers import Combiner
from mmaudit.crossing.design import all_combinations, draw_rounds, fewest_rounds
from mmaudit.data import Dataset
from mmaudit.errors import BadInput
from mmaudit.kernels.positions import spread
from mmaudit.metrics import Metric
from mmaudit.models import Model, TwoStage
from mmaudit.reliance.additive import Design
from mmaudit.reliance.combinations import FILE, Crossed, read_about, write_crossed
from mmaudit.reliance.emap import estimate_emap
from mmaudit.reliance.table import value_metric
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, IntArray, Task, digest

VERSION = 1
ROWS = 500
BUDGET = 0.05
EVERY = 6  # rounds between looks at the interval
MOST_INPUT_BYTES = 512 * 2**20
MOST_OUTPUT_BYTES = 128 * 2**20

Progress = Callable[[int, int], None]


def cross(
    run: Run,
    data: Dataset,
    model: Model,
    stage: TwoStage | None = None,
    *,
    rows: int = ROWS,
    tolerance: float | None = None,
    budget: float = BUDGET,
    batch_rows: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write the model's answers to combinations of some samples' modalities; see `mmaudit.reliance.combinations`.

    Rounds are added, a few at a time, until half of the interval of the EMAP gap over donors is within the tolerance,
    or the budget is spent. All combinations are asked for where they are no more than that. The same arguments, run
    and seed give the same file; where it is there already, nothing is done.

    Args:
        run: predicted: the answers to clean data are read from it.
        data, model: of the audit.
        stage: the model's two-stage view; with one, each sample is encoded once and only the fusion is run.
        rows: samples at most, spread over those that have every modality of the model; fewer where samples or outputs
            are large.
        tolerance: in the unit of the run's value metric; 0.005, half a point, without it (regression: of R²).
        budget: most passes as a share of rows². A few rounds are always asked: 8, and from three modalities on one for
            each pair.
        batch_rows: most combinations per forward pass.
        seed: of the combinations.
        progress: called with (passes done, passes at most).

    Raises:
        BadInput: an argument is out of range, the task is a retrieval, or the device ran out of memory.
    """
    tolerance = 0.005 if tolerance is None else float(tolerance)
    if rows < 2 or not 0 < budget <= 1 or not tolerance >= 0:
        raise BadInput(
            f"cross needs rows ≥ 2, a budget in (0, 1] and a tolerance ≥ 0; got {rows}, {budget} and {tolerance}."
        )
    run.task.require_outputs("EMAP")
    spec = digest("crossed", VERSION, rows, tolerance, budget, seed, run.header["fingerprints"])
    path = run.folder / FILE
    known = read_about(path)
    if known is not None and known.get("spec") == spec:
        return
    names = tuple(model.modalities)
    positions, why = _positions(run, data, names, rows)
    about: dict[str, Any] = {"spec": spec, "seed": seed, "tolerance": tolerance, "budget": budget, "passes": 0}
    if why:
        empty = Design(np.zeros((len(names), 0, 0), np.int64), np.zeros((0, 0), np.bool_), np.zeros(0, np.int64), ())
        nothing = np.zeros((0, 0, run.task.width), np.float32)
        write_crossed(path, Crossed(np.zeros(0, np.int64), names, empty, nothing, {**about, "reason": why}))
        return
    asking = _Asking(run, Combiner(model, stage, data, positions, run.task, batch_rows), positions, progress)
    design, outputs, said = asking.rounds(names, tolerance, budget, seed)
    n = len(positions)
    about |= {
        "reason": "",
        "passes": design.rounds * n,
        "share": design.rounds / n,
        "how": asking.combiner.how,
        "error": asking.combiner.error.strip().splitlines()[-1] if asking.combiner.error else "",
        **said,
    }
    write_crossed(path, Crossed(positions, names, design, outputs, about))


class _Asking:
    """Adds rounds until there are enough."""

    def __init__(self, run: Run, combiner: Combiner, positions: IntArray, progress: Progress | None) -> None:
        self.combiner = combiner
        self.task: Task = run.task
        self.metric: Metric = value_metric(run.task)
        self.clean: Array = run.read(CLEAN).outputs[positions]
        self.target: Array = run.samples.target[positions]
        self.progress = progress
        self.n = len(positions)

    def rounds(
        self, names: tuple[str, ...], tolerance: float, budget: float, seed: int
    ) -> tuple[Design, Array, dict[str, Any]]:
        n, modalities = self.n, len(names)
        fewest = fewest_rounds(modalities)
        most = max(fewest, int(budget * n))
        fit = MOST_OUTPUT_BYTES // (4 * n * self.task.width)
        most = max(fewest, min(most, fit))
        if n ** (modalities - 1) <= most:
            design = all_combinations(modalities, n)
            return design, *self._whole(design)
        drawn = draw_rounds(names, n, most, seed)
        outputs = np.empty((most, n, self.task.width), np.float32)
        done, width, stopped = 0, float("nan"), "the budget is spent"
        while done < most:
            upto = fewest if not done else min(done + EVERY, most)
            for r in range(done, upto):
                outputs[r] = self.combiner.answer(drawn.index[:, r])
                if self.progress:
                    self.progress((r + 1) * n, most * n)
            done = upto
            design = _used(drawn.first(done), outputs[:done])
            width = self._half_width(design, outputs[:done])
            if width <= tolerance:
                stopped = "the interval over donors is within the tolerance"
                break
        return (
            design,
            outputs[:done],
            {"stopped": stopped, "half_width": None if width != width else float(f"{width:.6g}")},
        )

    def _whole(self, design: Design) -> tuple[Array, dict[str, Any]]:
        outputs = np.stack([self.combiner.answer(design.index[:, r]) for r in range(design.rounds)])
        return outputs, {"stopped": "all combinations were asked for", "half_width": 0.0}

    def _half_width(self, design: Design, outputs: Array) -> float:
        found = estimate_emap(design, outputs, self.clean, self.target, self.task, self.metric, donors_only=True)
        return found.donor_half_width


def _used(design: Design, outputs: Array) -> Design:
    answered = np.asarray(np.isfinite(outputs).all(axis=2))
    return Design(design.index, answered, design.family, design.kept, design.whole)


def _positions(run: Run, data: Dataset, names: tuple[str, ...], rows: int) -> tuple[IntArray, str]:
    """The samples to combine, ascending, or why there are none."""
    nothing = np.zeros(0, np.int64)
    if len(names) < 2:
        return nothing, "the model reads one modality only, so there is nothing to combine"
    there = np.all([data.presence(name) for name in names], axis=0)
    complete = np.flatnonzero(there & run.read(CLEAN).answered)
    if len(complete) < 2:
        return nothing, f"{len(complete)} samples have every modality and an answer; two are needed"
    first = data.rows(complete[:1])
    size = sum(np.asarray(first.inputs[name][0]).nbytes for name in names)
    outputs = 4 * run.task.width * fewest_rounds(len(names))
    most = min(rows, max(50, MOST_INPUT_BYTES // max(size, 1)), max(50, MOST_OUTPUT_BYTES // outputs))
    return spread(complete, most), ""
