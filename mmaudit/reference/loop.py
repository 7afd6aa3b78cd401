"""The one training loop: all trials of a method (seeds × hyper-parameters) are trained as one batched model.

Heads are small, so a step costs its launches, not its arithmetic: parameters are stacked and the loss is mapped over
them (`torch.func.vmap`), and twenty seeds take hardly longer than one. Each trial has its own initial weights, order of
rows, random numbers, learning rate, early stop and best epoch: it is what it would be if trained alone, to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mmaudit.errors import BadInput
from mmaudit.reference.base import Method, Parts
from mmaudit.reference.batched import Progress, Training, build
from mmaudit.reference.budget import Budget
from mmaudit.reference.tables import Table, require_usable
from mmaudit.reference.trained import Trained, Trial

__all__ = ["Budget", "Progress", "Table", "build", "train"]


def train(
    method: Method,
    parts: Parts,
    training: Table,
    validation: Table,
    trials: Sequence[Trial],
    budget: Budget | None = None,
    *,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train every trial and keep each one's best epoch on the validation rows.

    A trial whose loss is no longer finite is stopped and reported (`Trained.outcomes`); the others go on. Where memory
    runs out, the batch is halved once.

    Args:
        method, parts: what to build.
        training, validation: rows; they must not share samples.
        trials: what differs: seed and hyper-parameters.
        budget: the same for all trials.
        device: where to train.
        folder: where to keep checkpoints, so that a killed training goes on where it was; none without it.
        progress: called with (epochs done, epochs planned).

    Raises:
        BadInput: nothing to train on, NaN inputs, a hyper-parameter the method does not know, or not enough memory.
    """
    budget = budget or Budget()
    method.require(parts)
    require_usable(parts, training, validation)
    known = {name: h.default for name, h in method.hyper.items()}
    for trial in trials:
        if unknown := sorted(set(trial.hyper) - set(known)):
            raise BadInput(
                f"reference {method.name!r} has no hyper-parameter {unknown[0]!r}; it has {', '.join(known)}."
            )
    if not trials:
        raise BadInput(f"reference {method.name!r}: no trials; give at least one seed.")
    filled = [Trial(t.seed, {**known, **t.hyper}) for t in trials]
    for halved in (False, True):
        rows = max(1, min(budget.batch, len(training)) // (2 if halved else 1))
        try:
            # In one expression, so that nothing of a run that failed is kept while the next one is made.
            return Training(
                method, parts, training.to(device), validation.to(device), filled, budget, rows, device
            ).run(folder, progress, note=f"batch halved to {rows}: out of memory" if halved else "")
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            if halved:
                raise BadInput(
                    f"reference {method.name!r} ran out of memory on {device} with a batch of {rows} rows and "
                    f"{len(trials)} trials; train fewer seeds at a time, or give a smaller batch."
                ) from error
    raise AssertionError("unreachable")


def _out_of_memory(error: Exception) -> bool:
    said = str(error)  # of the allocators of Windows and Linux; a GPU's has an error of its own
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in said or "can't allocate memory" in said
