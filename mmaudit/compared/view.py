"""One run as a comparison sees it: the samples that take part, in the comparison's order, with their resamples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from mmaudit.compared.opening import FOREIGN
from mmaudit.comparison import Measured, measure, nothing
from mmaudit.errors import BadInput, DamagedRun, MMAuditError
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.outputs import Float32Array
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, BoolArray, Condition, FloatArray, IntArray
from mmaudit.unseen import unseen

NO_SAMPLE = "no sample has an answer here and on clean data"


class View:
    """Some samples of a run, and metrics of them under its conditions.

    Args:
        run: whole, see `opening`.
        rows: `int64[n]`, positions of the samples that take part.
        w: resamples of these samples.
    """

    def __init__(self, run: Run, rows: IntArray, w: Resamples) -> None:
        self.run = run
        self.rows = rows
        self.w = w
        self.everything = len(rows) == run.n and bool((rows == np.arange(run.n)).all())
        self.target: Array = run.samples.target[rows]
        self._measured: dict[tuple[str, str, bytes], Measured] = {}

    @property
    def n(self) -> int:
        """Samples that take part."""
        return len(self.rows)

    @cached_property
    def clean(self) -> Float32Array:
        """`float32[n, k]`: answers on clean data; a row of NaN where there is none."""
        outputs, _ = self.read(CLEAN)
        known = answered(outputs)
        try:
            Predictions(self.run.task, outputs[known], self.target[known])
        except BadInput as error:
            raise DamagedRun(f"{self.run.folder} does not hold what its run.json says: {error}") from error
        if not known.any():
            errors = self.run.folder / "errors"
            raise BadInput(
                f"{self.run.folder}: the model answered none of the compared samples on clean data; {errors} has its "
                "traceback. Mend the model and audit again."
            )
        return outputs

    def read(self, condition: Condition) -> tuple[Float32Array, int | None]:
        """Return the answers under a condition, `float32[n, k]`, and the digest of what the model received.

        The digest is that of all samples of the run; None where some do not take part or were not measured, and where
        it was not recorded.
        """
        try:
            answers = self.run.read(condition)
        except MMAuditError:
            raise
        except FOREIGN as error:
            raise DamagedRun(
                f"{self.run.folder}: the answers under {condition.label} cannot be read ({type(error).__name__}: "
                f"{error}); audit again to the same folder."
            ) from error
        expected = (self.run.n, self.run.task.width)
        if answers.outputs.shape != expected:
            raise DamagedRun(
                f"{self.run.folder}: the answers under {condition.label} have shape {answers.outputs.shape}, run.json "
                f"says {expected}; audit again to the same folder."
            )
        whole = self.n == self.run.n and answers.measured is None
        outputs = answers.outputs if self.everything else answers.outputs[self.rows]
        return outputs, answers.received if whole else None

    def measured(
        self, metrics: Sequence[Metric], condition: Condition, outputs: Float32Array, usable: BoolArray
    ) -> dict[str, Measured]:
        """Measure metrics on the usable rows of the answers under a condition; what was measured before is kept."""
        mark = b"" if usable.all() else np.packbits(usable).tobytes()
        wanted = [m for m in metrics if (condition.key, m.name, mark) not in self._measured]
        for metric, found in self._fresh(wanted, condition, outputs, usable):
            self._measured[condition.key, metric.name, mark] = found
        return {m.name: self._measured[condition.key, m.name, mark] for m in metrics}

    def _fresh(
        self, metrics: Sequence[Metric], condition: Condition, outputs: Float32Array, usable: BoolArray
    ) -> list[tuple[Metric, Measured]]:
        if not metrics:
            return []
        w = self.w if usable.all() else self.w.take(usable)
        if not usable.any():
            return [(m, nothing(w, NO_SAMPLE)) for m in metrics]
        clean = self._predictions(self.clean, usable) if any(m.needs_clean for m in metrics) else None
        predictions = self._predictions(outputs, usable, clean if condition.key != CLEAN.key else None)
        return [(m, measure(m, predictions, w)) for m in metrics]

    def missed(self, metric: Metric, outputs: Float32Array, usable: Array, found: Measured) -> float:
        """How far a metric of these rows may be from what no sample was seen to change (`mmaudit.unseen`)."""
        return unseen(metric, self._predictions(outputs, usable), found, found)

    def part(self, metric: Metric, outputs: Float32Array, rows: IntArray) -> Measured:
        """Measure a metric on some rows of the answers, such as those of a group."""
        return measure(metric, Predictions(self.run.task, outputs[rows], self.target[rows]), self.w.take(rows))

    def _predictions(self, outputs: Array, usable: Array, clean: Predictions | None = None) -> Predictions:
        if usable.dtype == np.bool_ and usable.all():
            return Predictions(self.run.task, outputs, self.target, clean)
        return Predictions(self.run.task, outputs[usable], self.target[usable], clean)


def answered(outputs: Float32Array) -> BoolArray:
    """`bool[n]`: whether there is a usable answer."""
    return np.asarray(np.isfinite(outputs).all(axis=1))


def change(here: Measured, clean: Measured) -> Measured:
    """The metric minus its clean value, in every replicate on the same resample."""
    values: FloatArray = here.values - clean.values
    return Measured(values, here.w, reason=here.reason or clean.reason, rarest=here.rarest)
