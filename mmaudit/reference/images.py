"""Images of any size and number of channels as small maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mmaudit.reference.prepare import Preparation, one_shape
from mmaudit.types import Array, Modality

SIZE = 32
SMALLEST = 4  # pixels a side; smaller images are vectors
FEW = 4  # as many last or first entries are colours, where no layout says


class Image(Preparation):
    """Means over at most `size` × `size` areas, standardised per channel. Images of differing sizes all get `size`."""

    form = "image"
    together = (1, 2)

    def __init__(self, modality: Modality, size: int = SIZE) -> None:
        super().__init__(modality)
        self.size = size

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        channels, height, width = self.shape
        return f"{height} × {width} means over areas, {channels} channels, standardised per channel"

    def raw(self, values: Array) -> Tensor:
        """Return `float32[n, channels, height, width]`."""
        if one_shape(values, self.modality):
            x = _channels_first(torch.from_numpy(np.array(values, np.float32)), self.modality)
            return _resized(x, min(self.size, x.shape[2]), min(self.size, x.shape[3]))
        each = [_channels_first(torch.from_numpy(np.array(v, np.float32))[None], self.modality) for v in values]
        return torch.cat([_resized(x, self.size, self.size) for x in each])

    def spec(self) -> dict[str, Any]:
        """Plain values that, with `state`, make it again."""
        return {**super().spec(), "size": self.size}

    def restore(self, spec: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        """Become what was saved."""
        super().restore(spec, state)
        self.size = int(spec["size"])


def is_map(modality: Modality) -> bool:
    """Whether samples have two axes of places, each long enough for convolutions."""
    shape = modality.shape
    if len(shape) not in (2, 3):
        return False
    sides = _sides(modality)
    return all(n is None or n >= SMALLEST for n in sides)


def _sides(modality: Modality) -> tuple[int | None, ...]:
    shape = modality.shape
    if len(shape) == 2:
        return shape
    return shape[1:] if _layout(modality) == "CHW" else shape[:2]


def _layout(modality: Modality) -> str:
    shape = modality.shape
    if modality.layout in ("HW", "HWC", "CHW"):
        return modality.layout
    if len(shape) == 2:
        return "HW"
    first, last = shape[0], shape[2]
    return "CHW" if first is not None and first <= FEW and (last is None or last > FEW) else "HWC"


def _channels_first(x: Tensor, modality: Modality) -> Tensor:
    layout = _layout(modality)
    if layout == "HW":
        return x[:, None]
    return x if layout == "CHW" else x.movedim(3, 1)


def _resized(x: Tensor, height: int, width: int) -> Tensor:
    if x.shape[2:] == (height, width):
        return x.contiguous()
    if not x.shape[2] or not x.shape[3]:
        return x.new_zeros(len(x), x.shape[1], height, width)
    return F.adaptive_avg_pool2d(x.contiguous(), (height, width))
