"""Whether validation rows are easier for the audited model than audited ones: then it was trained on them.

References on its frozen encoders choose their epoch on features of the validation rows. Where the encoders have learned
those rows by heart, the loss there goes on falling, so training stops too late and references come out weaker than they
are. What the model was trained on is not known here; its own loss tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch

from mmaudit.answering import to_logits
from mmaudit.crossfit.folds import units
from mmaudit.data import Dataset
from mmaudit.errors import MMAuditError
from mmaudit.kernels.positions import spread
from mmaudit.models import Model
from mmaudit.models.failure import raise_if_out_of_memory
from mmaudit.outputs import Float32Array
from mmaudit.passes import checked, one_by_one
from mmaudit.reference.losses import row_losses
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Batch, FloatArray, IntArray, Task

MOST_ROWS = 10_000  # of the validation rows; their mean is known well enough then
RETRIEVAL = (
    "whether the audited model was trained on the validation rows is not measured for retrieval; if it was, the choice "
    "of epoch is optimistic"
)


@dataclass(frozen=True)
class Optimism:
    """The audited model's mean loss on rows that references are chosen on, beside that on the audited rows.

    Attributes:
        validation, audited: mean `row_losses`, of regressions in variances of the training target.
        low, high: 95 % interval of `audited − validation`, Welch's, over clusters where they are named; NaN where
            either has fewer than 2 of them.
        given: whether the validation data are the user's own.
    """

    validation: float
    audited: float
    low: float
    high: float
    given: bool

    @property
    def found(self) -> bool:
        """Whether the model surely does better on the validation rows."""
        return self.low > 0

    @property
    def note(self) -> str:
        """What a reader must know, in words."""
        interval = f"[{self.low:+.3g}, {self.high:+.3g}]" if self.low == self.low else "(no interval)"
        text = (
            f"the audited model's loss is {self.validation:.3g} on the validation rows and {self.audited:.3g} on the "
            f"audited ones, a difference of {self.audited - self.validation:+.3g} {interval}"
        ).replace("-", "−")
        if not self.found:
            return text
        remedy = "" if self.given else "; give validation data that it has not seen"
        return f"{text}: it knows the validation rows, so the choice of epoch is optimistic{remedy}"

    def to_json(self) -> dict[str, float | bool]:
        """Plain values."""
        return {
            "validation": self.validation,
            "audited": self.audited,
            "difference": self.audited - self.validation,
            "low": self.low,
            "high": self.high,
            "found": self.found,
        }


def optimism(
    run: Run,
    model: Model,
    data: Dataset,
    rows: IntArray,
    centre: FloatArray,
    scale: FloatArray,
    *,
    given: bool = False,
) -> Optimism | None:
    """Measure the audited model on validation rows and compare with its stored answers to the audited ones.

    At most ten thousand validation rows are asked, evenly spread. Rows without an answer count on neither side.

    Args:
        run: complete, of the audited model.
        model: the audited one.
        data, rows: validation data and positions in it.
        centre, scale: of a regression's training target; not used otherwise.
        given: whether the data are the user's own.

    Returns:
        None for retrieval, whose loss hangs on the other candidates.
    """
    if run.task.kind == "retrieval":
        return None
    chosen = spread(rows, MOST_ROWS)
    answers = np.concatenate([_answers(model, data.rows(part), run.task) for part in _blocks(run, chosen)])
    sides = []
    for outputs, target, cluster in (
        (answers, np.asarray(data.target)[chosen], None if data.cluster is None else np.asarray(data.cluster)[chosen]),
        (run.read(CLEAN).outputs, run.samples.target, run.samples.cluster),
    ):
        good = np.isfinite(outputs).all(axis=1)
        losses = _losses(outputs[good], target[good], run.task, centre, scale)
        sides.append(_mean(losses, units(None if cluster is None else np.asarray(cluster)[good], len(losses))))
    (low_mean, low_variance, few), (high_mean, high_variance, many) = sides
    low, high = _welch(high_mean - low_mean, (low_variance, high_variance), (few, many))
    return Optimism(low_mean, high_mean, low, high, given)


def _blocks(run: Run, rows: IntArray) -> list[IntArray]:
    size = int(run.header["batch_rows"])
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _answers(model: Model, batch: Batch, task: Task) -> Float32Array:
    """`float32[n, k]`, logits or values; NaN where the model has no answer."""
    try:
        found = checked(model.predict(batch), len(batch), task.width)
    except (MMAuditError, MemoryError):
        raise
    except Exception as error:
        raise_if_out_of_memory(error, len(batch))
        found = one_by_one(model.predict, batch, task.width, lambda: None)
    usable = np.asarray(np.isfinite(found).all(axis=1))
    logits = to_logits(np.where(usable[:, None], found, 0), model.outputs, task)
    logits[~usable] = np.nan
    return logits


def _losses(outputs: Array, target: Array, task: Task, centre: FloatArray, scale: FloatArray) -> FloatArray:
    found = torch.from_numpy(np.asarray(outputs, np.float64))
    truth = torch.from_numpy(np.array(target))
    if task.kind == "regression":
        found = (found - torch.from_numpy(centre)) / torch.from_numpy(scale)
        truth = (truth.double().reshape(len(truth), -1) - torch.from_numpy(centre)) / torch.from_numpy(scale)
    elif task.kind == "classification":
        truth = truth.long()
    return np.asarray(row_losses(found, truth, task).numpy(), np.float64)


def _mean(losses: FloatArray, unit: IntArray) -> tuple[float, float, int]:
    """Mean, the variance of it over units that are drawn whole, and their number."""
    if not len(losses):
        return float("nan"), float("nan"), 0
    count = int(unit.max()) + 1
    mean = float(losses.mean())
    sums = np.bincount(unit, losses - mean, count)
    variance = float((sums**2).sum()) * count / (count - 1) / len(losses) ** 2 if count > 1 else float("nan")
    return mean, variance, count


def _welch(difference: float, variances: tuple[float, float], counts: tuple[int, int]) -> tuple[float, float]:
    """95 % interval of a difference of two independent means."""
    total = sum(variances)
    if not total > 0:
        return (difference, difference) if total == 0 else (float("nan"), float("nan"))
    freedom = total**2 / sum(v**2 / (n - 1) for v, n in zip(variances, counts, strict=True))
    wide = float(scipy.stats.t.ppf(0.975, freedom)) * total**0.5
    return difference - wide, difference + wide
