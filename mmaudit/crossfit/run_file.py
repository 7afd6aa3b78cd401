"""The file of a run: made where it is not there yet, or was made from something else."""

from __future__ import annotations

import hashlib

import numpy as np

from mmaudit.crossfit.fit import FOLDS, ROWS, SEEDS, Progress, crossfit
from mmaudit.data import Dataset
from mmaudit.errors import DamagedRun
from mmaudit.information.crossfitted import CrossFitted, read_crossfit, write_crossfit
from mmaudit.models import TwoStage
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, digest

NAME = "crossfit.parquet"
VERSION = 2  # of features, folds and learner: another one makes the file again


def write_crossfit_of(
    run: Run,
    data: Dataset,
    stage: TwoStage | None,
    *,
    rows: int = ROWS,
    folds: int = FOLDS,
    seeds: int = SEEDS,
    seed: int = 0,
    progress: Progress | None = None,
) -> CrossFitted:
    """Return the run's cross-fitted predictions; fit and write them first unless the same are there.

    Args:
        run: predicted under the clean condition; the file is written into its folder.
        data, stage: of the audit; `stage` is the model's two-stage view, or None.
        rows, folds, seeds, seed, progress: see `crossfit`.

    Raises:
        BadInput, Undefined: see `crossfit`.
        DamagedRun: the run's predictions cannot be read.
    """
    path = run.folder / NAME
    answers = run.read(CLEAN).outputs
    clean = digest("crossfit", VERSION, rows, folds, seeds, seed, data.fingerprint, stage is not None, _sum(answers))
    try:
        known = read_crossfit(path)
    except DamagedRun:
        known = None
    if known is not None and known.about.get("spec") == clean:
        return known
    made = crossfit(
        data, stage=stage, model_answers=answers, rows=rows, folds=folds, seeds=seeds, seed=seed, progress=progress
    )
    made.about["spec"] = clean
    write_crossfit(path, made)
    return made


def _sum(answers: Array) -> str:
    """Digest of the model's answers."""
    return hashlib.blake2b(np.ascontiguousarray(answers).data, digest_size=8).hexdigest()
