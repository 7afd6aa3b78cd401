"""AV-MNIST: a written and a spoken digit (Vielzeuf et al. 2018), as MFAS and MultiBench publish it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.npy_cells import NpyCells, open_npy
from mmaudit.data.public.sets import PublicSet
from mmaudit.data.streamed import StreamedData
from mmaudit.errors import BadInput
from mmaudit.types import Modality, Task

# MultiBench trains on the first 55,000 of the 60,000 and validates on the rest.
_TRAIN = 55_000


def read_av_mnist(
    folder: str | os.PathLike[str],
    split: str | None = None,
    modalities: Any = None,
    *,
    whole: bool = False,
) -> StreamedData:
    """Read AV-MNIST from `image/` and `audio/` arrays and label arrays; rows are read from disk on request.

    Args:
        folder: holds `image/test_data.npy` [n, 784], `audio/test_data.npy` [n, 112, 112], `test_labels.npy` [n], and
            the same for `train`.
        split: `test` (default), `train` (the first 55,000 training rows) or `valid` (the others), as MultiBench has it.
        modalities: `image` ([28, 28]), `audio` (a spectrogram [112, 112]) or both; values 0 to 255 as published. A
            model that was trained on values divided by 255 must divide for itself.
        whole: as in `StreamedData`.

    Raises:
        BadInput: a file is missing or is not as published.
    """
    base = Path(folder)
    chosen, names = AV_MNIST.split(split), AV_MNIST.chosen(modalities)
    part = "test" if chosen == "test" else "train"
    AV_MNIST.need(base, *(f"{name}/{part}_data.npy" for name in names), f"{part}_labels.npy")
    labels = np.asarray(open_npy(base / f"{part}_labels.npy")).reshape(-1)
    rows = np.arange(len(labels))
    rows = rows if part == "test" else rows[:_TRAIN] if chosen == "train" else rows[_TRAIN:]
    if not len(rows):
        raise BadInput(f"AV-MNIST: train_labels.npy has {len(labels):,} rows, so there is no split {chosen!r}.")
    made = {"image": ("image", (28, 28), "HW"), "audio": ("audio", (112, 112), "FT")}
    cells, kinds = {}, {}
    for name in names:
        kind, shape, layout = made[name]
        path = base / name / f"{part}_data.npy"
        if len(open_npy(path)) != len(labels):
            raise BadInput(f"AV-MNIST: {path} has another number of rows than the {len(labels):,} labels.")
        dtype = str(open_npy(path).dtype)
        cells[name] = NpyCells(path, rows, shape, "float32" if dtype == "float64" else dtype)
        kinds[name] = Modality(name, kind, layout=layout, range=(0.0, 255.0))  # type: ignore[arg-type]
    return StreamedData(
        cells, labels[rows], Task.classification(10), kinds=kinds, ids=rows, source=f"AV-MNIST, {chosen}", whole=whole
    )


AV_MNIST = PublicSet(
    "av_mnist",
    "AV-MNIST",
    "the avmnist archive that github.com/pliang279/MultiBench and github.com/juanmanpr/mfas link to.",
    (
        *("image/train_data.npy", "image/test_data.npy", "audio/train_data.npy", "audio/test_data.npy"),
        *("train_labels.npy", "test_labels.npy"),
    ),
    ("test", "train", "valid"),
    ("image", "audio"),
    read_av_mnist,
)
