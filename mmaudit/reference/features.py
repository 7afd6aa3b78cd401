"""From whatever a frozen encoder returns to one vector per row.

Vectors stay as they are. Sequences of tokens are averaged over tokens (those that a mask among the features leaves in,
where there is one). Maps of at most 4,096 numbers are flattened, larger ones averaged over a grid of places as fine as
fits. Several arrays are put side by side. The form is decided once, on the first rows, and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mmaudit.errors import BadInput
from mmaudit.models import TwoStage
from mmaudit.models.torch_replay import ReplayEngine
from mmaudit.types import Batch, Modality

WIDEST = 4096  # numbers of a map that is flattened


@dataclass(frozen=True)
class Form:
    """How each array that an encoder returns becomes a vector: `vector`, `tokens`, `flat`, `grid` or `places`.

    Attributes:
        ways: by array, in the order of the encoder's structure.
        shapes: of one row of each array when the form was decided; the first axis of tokens may vary.
    """

    ways: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, modality: Modality, arrays: list[Tensor]) -> Form:
        """Decide from the first rows' arrays."""
        return cls(tuple(_way(modality, a) for a in arrays), tuple(tuple(a.shape[1:]) for a in arrays))

    @property
    def width(self) -> int:
        """Numbers in the vector."""
        return sum(_width(way, shape) for way, shape in zip(self.ways, self.shapes, strict=True))

    @property
    def described(self) -> str:
        """In words, for people."""
        return "; ".join(_said(way, shape) for way, shape in zip(self.ways, self.shapes, strict=True))


def encoded(stage: TwoStage, modality: str, batch: Batch, given: Any = None) -> tuple[list[Tensor], list[Tensor]]:
    """Return the floating-point arrays `[n, …]` that the encoder makes of a modality, and its masks `bool[n, tokens]`.

    Args:
        stage: the audited model.
        modality: its name.
        batch: rows.
        given: what `stage.encode` returned for these rows, where it has been called already.
    """
    tree = stage.encode(modality, batch) if given is None else given
    numbers: list[Tensor] = []
    masks: list[Tensor] = []
    if isinstance(getattr(stage, "_engine", None), ReplayEngine) and tree is not None and tree[1]:
        # Prepared inputs, whose numbers the fusion does not read though a mask may be among them, and recorded outputs.
        _collect(tree[0], [], masks)
        tree = tree[1]
    _collect(tree, numbers, masks)
    n = len(batch)
    for array in numbers:
        if len(array) != n:
            raise BadInput(
                f"the audited model's encoder of {modality!r} returns an array of {list(array.shape)} for {n} rows; "
                "features need one entry per row to train another fusion on them."
            )
    return [a.detach() for a in numbers], [m for m in masks if m.ndim == 2 and len(m) == n]


def vectors(form: Form, modality: str, arrays: list[Tensor], masks: list[Tensor]) -> Tensor:
    """Return `float32[n, d]`: the arrays, brought into the form decided and put side by side.

    Raises:
        BadInput: the encoder returns other arrays than for the rows that the form was decided on.
    """
    if len(arrays) != len(form.ways):
        raise BadInput(
            f"the audited model's encoder of {modality!r} returns {len(arrays)} arrays for these rows and "
            f"{len(form.ways)} for others, so it has no features of one form; train on default encoders instead."
        )
    parts = []
    for array, way, shape in zip(arrays, form.ways, form.shapes, strict=True):
        now = tuple(array.shape[1:])
        same = {"tokens": now[1:] == shape[1:], "places": now[:1] == shape[:1]}.get(way, now == shape)
        if not same or len(now) != len(shape):
            raise BadInput(
                f"the audited model's encoder of {modality!r} returns arrays of {list(now)} for some rows and "
                f"of {list(shape)} for others; train on default encoders instead."
            )
        parts.append(_vector(array, way, masks))
    return torch.cat(parts, dim=1)


def _way(modality: Modality, array: Tensor) -> str:
    if array.ndim <= 2:
        return "vector"
    varies = modality.kind == "text" or modality.ragged
    if array.ndim == 3 and varies:
        return "tokens"
    if varies:
        return "places"
    if array[0].numel() <= WIDEST:
        return "flat"
    # Three axes: a transformer's tokens [n, t, d]. A map of channels first has at least two axes of places.
    return "tokens" if array.ndim == 3 else "grid"


def _vector(array: Tensor, way: str, masks: list[Tensor]) -> Tensor:
    n = len(array)
    if way == "tokens":
        fitting = [m for m in masks if m.shape[1] == array.shape[1]]
        if not fitting:
            return array.to(torch.float32).mean(dim=1)
        kept = fitting[0].to(torch.float32)[:, :, None]
        return (array.to(torch.float32) * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)
    if way == "places":
        return array.to(torch.float32).flatten(2).mean(dim=2)
    if way == "grid":
        side = grid_side(array.shape[1], array.ndim - 2)
        x = array.to(torch.float32)
        if array.ndim == 4:
            return F.adaptive_avg_pool2d(x, (min(side, x.shape[2]), min(side, x.shape[3]))).flatten(1)
        return x.flatten(2).mean(dim=2)
    return array.to(torch.float32).reshape(n, -1)


def grid_side(channels: int, axes: int) -> int:
    """Places along each axis of a map that `WIDEST` numbers leave room for, at least 1."""
    return max(1, int((WIDEST / channels) ** (1 / axes) + 1e-9))


def _width(way: str, shape: tuple[int, ...]) -> int:
    if way == "tokens":
        return shape[-1]
    if way == "places":
        return shape[0]
    if way == "grid":
        side = grid_side(shape[0], len(shape) - 1)
        return shape[0] * (min(side, shape[1]) * min(side, shape[2]) if len(shape) == 3 else 1)
    return int(np.prod(shape))


def _said(way: str, shape: tuple[int, ...]) -> str:
    if way == "tokens":
        return f"{shape[-1]} numbers, the mean over tokens"
    if way == "places":
        return f"{shape[0]} numbers, the mean over places"
    if way == "grid":
        side = grid_side(shape[0], len(shape) - 1)
        grid = f"{min(side, shape[1])} × {min(side, shape[2])}" if len(shape) == 3 and side > 1 else "all"
        return f"{shape[0]} channels of {' × '.join(map(str, shape[1:]))}, means over {grid} places"
    return f"{_width(way, shape)} numbers"


def _collect(tree: Any, numbers: list[Tensor], masks: list[Tensor]) -> None:
    if tree is None or isinstance(tree, str | bytes | int | float):
        return
    if isinstance(tree, Mapping):
        for key in sorted(tree, key=str):
            _collect(tree[key], numbers, masks)
        return
    if isinstance(tree, list | tuple):
        for item in tree:
            _collect(item, numbers, masks)
        return
    tensor = tree if isinstance(tree, Tensor) else _tensor(tree)
    if tensor is None or tensor.ndim == 0:
        return
    if tensor.is_floating_point():
        numbers.append(tensor)
    elif tensor.dtype == torch.bool or _zeros_and_ones(tensor):
        masks.append(tensor)


def _tensor(value: Any) -> Tensor | None:
    array = np.asarray(value)
    return torch.from_numpy(np.array(array)) if array.dtype.kind in "fiub" else None


def _zeros_and_ones(tensor: Tensor) -> bool:
    return bool(((tensor == 0) | (tensor == 1)).all())
