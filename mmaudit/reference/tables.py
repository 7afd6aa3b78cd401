"""Rows that references are trained and validated on, and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmaudit.errors import BadInput
from mmaudit.reference import checkpoint
from mmaudit.reference.base import Parts, Tensors
from mmaudit.types import Task


@dataclass(frozen=True)
class Table:
    """Rows to train or to validate on, all on one device.

    Attributes:
        inputs: by modality `[n, …]`; zeros where it is absent.
        present: by modality `bool[n]`.
        target: `int64[n]`, or `[n, k]`.
    """

    inputs: Tensors
    present: Tensors
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def only(self, modalities: Sequence[str]) -> Table:
        """The same rows with some of the modalities."""
        return Table({m: self.inputs[m] for m in modalities}, {m: self.present[m] for m in modalities}, self.target)

    def to(self, device: torch.device | str) -> Table:
        """The same rows on another device."""

        def move(tensors: Tensors) -> Tensors:
            return {k: t.to(device) for k, t in tensors.items()}

        return Table(move(self.inputs), move(self.present), self.target.to(device))

    def content(self) -> list[str]:
        """Digests of all that is in it."""
        return [checkpoint.content(t) for t in (self.inputs, self.present, {"target": self.target})]


def require_usable(parts: Parts, training: Table, validation: Table) -> None:
    """Raise `BadInput` where rows lack a modality, hold what is not finite, or do not fit the task or each other."""
    for what, table in (("training", training), ("validation", validation)):
        if not len(table):
            raise BadInput(f"there are no {what} rows; references need both training and validation rows.")
        _require_targets(parts.task, what, table.target)
        for m in parts.modalities:
            if m not in table.inputs or m not in table.present:
                raise BadInput(f"{what} rows have no modality {m!r}; they have {', '.join(table.inputs)}.")
            lengths = {len(table.inputs[m]), len(table.present[m]), len(table)}
            if len(lengths) > 1:
                raise BadInput(
                    f"modality {m!r}: {len(table.inputs[m])} {what} inputs, presence of {len(table.present[m])} rows "
                    f"and {len(table)} targets; there must be one of each per row."
                )
            bad = ~torch.isfinite(table.inputs[m].flatten(1)).all(dim=1)
            if bad.any():
                raise BadInput(
                    f"modality {m!r}: {int(bad.sum())} {what} rows hold NaN or infinity (first: row "
                    f"{int(bad.nonzero()[0])}); mark them as not present, or repair them."
                )


def _require_targets(task: Task, what: str, target: Tensor) -> None:
    if task.kind == "retrieval":
        return
    if task.kind == "classification":
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= task.width:
            raise BadInput(f"{what} target: classes {low} to {high} occur; the task has 0 to {task.width - 1}.")
    elif not torch.isfinite(target.float()).all():
        raise BadInput(f"{what} target: there are NaN or infinite values; leave those rows out.")
