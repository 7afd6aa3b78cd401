"""What references train on, and what their epochs and hyper-parameters are chosen on.

The latter is cut from the training data, or data of the user's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmaudit.data import Dataset
from mmaudit.data.checks import some_samples
from mmaudit.errors import BadInput
from mmaudit.reference.splits import FEWEST_TRAINING, FEWEST_VALIDATION, require_variation, shared, split
from mmaudit.types import IntArray


@dataclass(frozen=True, eq=False)
class Holdout:
    """Rows to train on and rows to choose on.

    Attributes:
        train, training: a data set and positions in it.
        other, validation: the data set to choose on, `train` itself where rows of it are held out, and positions.
        given: whether that is data of the user's own.
    """

    train: Dataset
    training: IntArray
    other: Dataset
    validation: IntArray
    given: bool


def hold_out(
    train: Dataset, audited: Dataset, validation: float | Dataset, *, shared_clusters: bool = False
) -> Holdout:
    """Cut rows off the training data where `validation` is their share; else take all of both data sets.

    Args:
        train: what references are trained on.
        audited: the samples of the run.
        validation: share of `train` to hold out, see `split`; or other data, none of them trained on or audited.
        shared_clusters: allow clusters of the validation data in the others.

    Raises:
        BadInput: see `split`; or validation data of another task, too few or all of one class, or that overlap.
    """
    if not isinstance(validation, Dataset):
        return Holdout(train, *_cut(train, validation), given=False)
    if validation.task != train.task:
        raise BadInput(
            f"the validation data has another task than the training data: {validation.task}, not {train.task}; give "
            "both with the same task and classes."
        )
    for data, part, fewest in ((train, "training", FEWEST_TRAINING), (validation, "validation", FEWEST_VALIDATION)):
        if len(data) < fewest:
            raise BadInput(f"the {part} data has {len(data)} samples; references need at least {fewest}.")
        require_variation(data.task, data.target, part)
    _require_apart(train, validation, "in the training data", "would be taken for new", shared_clusters)
    _require_apart(audited, validation, "audited", "would flatter the reference chosen on them", shared_clusters)
    return Holdout(train, np.arange(len(train)), validation, np.arange(len(validation)), given=True)


def _cut(train: Dataset, share: float) -> tuple[IntArray, Dataset, IntArray]:
    training, validation = split(train, validation=share)
    return training, train, validation


def _require_apart(others: Dataset, validation: Dataset, where: str, wrong: str, shared_clusters: bool) -> None:
    found = shared(others, validation)
    if len(found.audited):
        raise BadInput(
            f"{len(found.audited):,} of {len(validation):,} validation samples are {where} too: "
            f"{some_samples(validation.ids, found.audited)}; these {wrong}. Leave them out of the validation data."
        )
    if found.clusters and not shared_clusters:
        names = ", ".join(map(repr, found.clusters[:3]))
        raise BadInput(
            f"{len(found.clusters):,} clusters of the validation data are {where} too ({names}); their samples "
            f"{wrong}. Leave them out of the validation data, or allow shared clusters."
        )
