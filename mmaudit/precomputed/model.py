"""A table of answers in the place of a model: it gives what the table says, and can be asked nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from mmaudit.errors import BadInput, NotApplicable
from mmaudit.models import Check, Outputs
from mmaudit.models.arguments import declared_outputs
from mmaudit.models.check import CLAUSES
from mmaudit.models.clauses import outputs as fitting_scale
from mmaudit.outputs import Float32Array
from mmaudit.types import Batch, Condition, Task, digest

STAGES = "answers from a table: they were made elsewhere, and are taken to be to the inputs that mmaudit writes"


class PrecomputedModel:
    """What an audit sees of a model whose answers lie in a table. Made by `audit_predictions`.

    Args:
        name: shown in the report.
        modalities: of the data set.
        outputs: scale of the answers.
        answers: per condition's key float32 [n, k], a row per sample of the data set.
        native_absence: whether some condition takes modalities away and puts nothing in their place.
    """

    def __init__(
        self,
        name: str,
        modalities: Sequence[str],
        outputs: Outputs | None,
        answers: Mapping[str, Float32Array],
        clean: str,
        native_absence: bool,
    ) -> None:
        self.name = name
        self.modalities = tuple(modalities)
        self.outputs = declared_outputs("a table of answers", outputs)
        self.native_absence = native_absence
        self.answers = answers
        self._clean = clean
        self._now: str | None = None

    @property
    def fingerprint(self) -> str:
        """Digest of scale and clean answers: a later table with more conditions is of the same model."""
        clean = hashlib.sha256(np.ascontiguousarray(self.answers[self._clean]).tobytes()).hexdigest()
        return digest("precomputed", self.outputs, clean)

    @contextmanager
    def under(self, condition: Condition) -> Iterator[None]:
        """Within, `predict` answers as the table does under this condition."""
        self._now = condition.key
        try:
            yield
        finally:
            self._now = None

    def predict(self, batch: Batch) -> Float32Array:
        """Return the table's answers to these samples under the condition at hand.

        Raises:
            NotApplicable: outside of `under`: something asks about inputs that are under no condition of the table.
        """
        if self._now is None:
            raise NotApplicable("the audit is of a table of answers; this asks the model about other inputs")
        return np.asarray(self.answers[self._now][batch.positions])


def checks(model: PrecomputedModel, task: Task) -> list[Check]:
    """What can be told of the contract from clean answers; all else is a note.

    Raises:
        BadInput: no sample has an answer, or the answers are not on the scale that was declared.
    """
    clean = model.answers[model._clean]
    answered = np.asarray(np.isfinite(clean).all(axis=1))
    if not answered.any():
        raise BadInput("the table has no usable answer to clean inputs; each is null or not finite.")
    scale = fitting_scale(model, task)
    if scale.ok is False:
        raise BadInput(f"table of answers: {scale.message}.")
    found = {
        "modalities": Check("modalities", True, f"the data has {', '.join(map(repr, model.modalities))}"),
        "outputs": scale,
        "shape": Check("shape", True, f"{clean.shape[1]} outputs for each of {len(clean)} samples"),
        "finite": Check(
            "finite",
            True if answered.all() else None,
            "every clean answer is finite"
            if answered.all()
            else f"{int((~answered).sum())} samples have no answer; they count as the model's failure",
        ),
    }
    if model.outputs == "probabilities":
        found["probabilities"] = _probabilities(clean[answered], task)
    note = "not tested: the answers were made elsewhere"
    return [found.get(clause, Check(clause, None, note)) for clause in CLAUSES]


def _probabilities(rows: Float32Array, task: Task) -> Check:
    low, high = float(rows.min()), float(rows.max())
    if low < 0 or high > 1 + 1e-3:
        raise BadInput(
            f"outputs='probabilities' declared, but clean answers go from {low:.3g} to {high:.3g}; say "
            "outputs='logits', or give probabilities."
        )
    if task.kind == "classification":
        off = float(np.abs(rows.sum(axis=1, dtype=np.float64) - 1).max())
        if off > 1e-2:
            raise BadInput(
                f"outputs='probabilities' declared, but the classes of a clean answer add up to 1 only within "
                f"{off:.3g}; give those of all classes."
            )
    return Check("probabilities", True, "clean answers are probabilities")
