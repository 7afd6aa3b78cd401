"""AV-MNIST (a handwritten digit and the same digit spoken) and what frozen encoders make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import mmaudit.reference.methods  # noqa: F401  registers the methods
from mmaudit.errors import BadInput
from mmaudit.reference.audio import Waveform
from mmaudit.reference.base import Parts, Tensors, references
from mmaudit.reference.encoders import ConvolutionEncoder
from mmaudit.reference.loop import Budget, Table, train
from mmaudit.reference.trained import Trial
from mmaudit.types import Array, IntArray, Modality, Task

COLUMNS = ("image", "audio", "label", "split")
SPLITS = ("train", "val", "test")
CLASSES = 10
WIDTH = 64  # features of each encoder
TASK = Task.classification(CLASSES)


@dataclass(frozen=True)
class Digits:
    """Pairs of a picture and a sound of the same digit.

    Attributes:
        inputs: `image` and `audio`, `float32[n, 1, …]`, standardised by the training rows.
        label: `int64[n]`.
        rows: by split, positions.
    """

    inputs: Tensors
    label: Tensor
    rows: Mapping[str, IntArray]


def read(path: Path | None) -> dict[str, Array]:
    """Return the file's columns.

    Raises:
        BadInput: no path, no such file, or not the columns `image`, `audio`, `label` and `split`.
    """
    if path is None:
        raise BadInput("reproduction 'aecf_avmnist' needs AV-MNIST; give the path of avmnist.npz as its data file.")
    if not Path(path).is_file():
        raise BadInput(f"reproduction 'aecf_avmnist': there is no file {str(path)!r}; give the path of avmnist.npz.")
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [c for c in COLUMNS if c not in file]:
                raise BadInput(f"{str(path)!r} has no column {missing[0]!r}; AV-MNIST has {', '.join(COLUMNS)}.")
            return {c: file[c] for c in COLUMNS}
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{str(path)!r} cannot be read as an .npz file: {error}; give the path of avmnist.npz."
        ) from error


def digits(columns: Mapping[str, Array], share: float | None, at_most: int | None = None) -> Digits:
    """Return standardised pictures and spectrograms.

    Args:
        columns: of the file.
        share: of the training pictures' variance that is kept: pictures are projected on their first principal
            components until these hold at least that much, as AV-MNIST is made (Vielzeuf et al. 2018 remove three
            quarters). None leaves pictures as they are.
        at_most: rows per split, evenly spread over it; None for all.
    """
    rows = {s: _spread(np.flatnonzero(columns["split"] == s), at_most) for s in SPLITS}
    picture = columns["image"].reshape(len(columns["label"]), -1).astype(np.float64)
    known = picture[rows["train"]]
    mean = known.mean(axis=0)
    if share is not None:
        _, scale, axes = np.linalg.svd(known - mean, full_matrices=False)
        held = np.cumsum(scale**2) / np.sum(scale**2)
        kept = axes[: int(np.searchsorted(held, share)) + 1]
        picture = mean + (picture - mean) @ kept.T @ kept
    known = picture[rows["train"]]
    picture = (picture - known.mean()) / known.std()
    sound = Waveform(Modality("audio", "audio", columns["audio"].shape[1:], "int16", sample_rate=8000.0))
    powers = sound.raw(columns["audio"])
    sound.fit(powers[torch.from_numpy(rows["train"])])
    image = torch.from_numpy(picture.astype(np.float32)).reshape(len(picture), 1, *columns["image"].shape[1:])
    label = torch.from_numpy(columns["label"].astype(np.int64))
    return Digits({"image": image, "audio": sound.finish(powers)}, label, rows)


def _spread(rows: IntArray, at_most: int | None) -> IntArray:
    if at_most is None or len(rows) <= at_most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, at_most).astype(np.int64)]


def encode(data: Digits, epochs: int, device: str) -> Digits:
    """Return features `float32[n, 64]` in place of pictures and spectrograms, centred, of unit variance over all.

    Each modality's encoder (`ConvolutionEncoder`) is trained by itself with a small head on the training rows, with
    learning rate 10⁻³ and one seed, the best epoch on the validation rows is kept, and then it is frozen. So no fusion
    that is trained on the features ever changes them. Encoders fit the training rows nearly perfectly, as they saw
    them: fusions see surer features in training than in the test.
    """
    found = {}
    known = torch.from_numpy(data.rows["train"])
    for name, values in data.inputs.items():
        channels, height, width = values.shape[1:]
        make = partial(ConvolutionEncoder, (channels, height, width), WIDTH)
        parts = Parts((name,), {name: make}, {name: WIDTH}, TASK)
        training, validation = (table(data, s, (name,)) for s in ("train", "val"))
        budget = Budget(epochs=epochs, batch=100, patience=0)
        trained = train(references.get("unimodal"), parts, training, validation, [Trial(0)], budget, device=device)
        features: Tensor = trained.call("encode_one", name, values.to(device))[0].cpu()
        found[name] = (features - features[known].mean(dim=0)) / features[known].std()
    return Digits(found, data.label, data.rows)


def table(data: Digits, split: str, names: tuple[str, ...] = ("image", "audio")) -> Table:
    """A split's rows, nothing missing."""
    rows = torch.from_numpy(data.rows[split])
    present = torch.ones(len(rows), dtype=torch.bool)
    return Table({m: data.inputs[m][rows] for m in names}, dict.fromkeys(names, present), data.label[rows])
