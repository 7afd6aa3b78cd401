"""Small default encoders, one per form of input: what is trained with a reference method where nothing else is given.

They run under `torch.func.vmap` (no batch normalisation, no dropout, nothing in place), each row's features depend on
that row alone, and inputs are expected to be centred and of about unit variance (`mmaudit.reference.inputs`).
"""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

from torch import Tensor, nn

from mmaudit.errors import BadInput
from mmaudit.reference.base import EncoderFactory

Projection = Literal["linear", "mlp", "none"]
PROJECTIONS: tuple[str, ...] = get_args(Projection)
FIRST, CHANNELS = 16, 32  # channels after the first convolution and after all others
SIDE, STEPS = 8, 16  # convolutions halve a map until no side, and a series until its length, is longer


class ConvolutionEncoder(nn.Module):
    """Features `[n, width]` of maps `[n, channels, height, width]`: images and spectrograms.

    Convolutions of 4 × 4 with stride 2 and ReLU until no side is longer than 8, then layer normalisation of the whole
    map and a linear layer, so that features know where in the map something is.

    Args:
        shape: of one map, (channels, height, width), each at least 1.
        width: features.
    """

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, *sides = shape
        layers: list[nn.Module] = []
        for down, across in _steps(sides, SIDE, 4, 1):
            out = CHANNELS if layers else FIRST
            kernel, stride, padding = zip(down, across, strict=True)
            layers += [nn.Conv2d(channels, out, kernel, stride, padding), nn.ReLU()]
            channels, sides = out, [_after(n, *c) for n, c in zip(sides, (down, across), strict=True)]
        self.layers = nn.Sequential(*layers)
        places = channels * sides[0] * sides[1]
        self.scale = nn.LayerNorm(places)
        self.out = nn.Linear(places, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return `[n, width]`."""
        found: Tensor = self.out(self.scale(self.layers(x).flatten(1)))
        return found


class SeriesEncoder(nn.Module):
    """Features `[n, width]` of series `[n, channels, steps]`, as `ConvolutionEncoder` in one dimension.

    Args:
        shape: of one series, (channels, steps), each at least 1.
        width: features.
    """

    def __init__(self, shape: tuple[int, int], width: int) -> None:
        super().__init__()
        channels, *sides = shape
        layers: list[nn.Module] = []
        for (time,) in _steps(sides, STEPS, 6, 2):
            out = CHANNELS if layers else FIRST
            layers += [nn.Conv1d(channels, out, *time), nn.ReLU()]
            channels, sides = out, [_after(sides[0], *time)]
        self.layers = nn.Sequential(*layers)
        self.scale = nn.LayerNorm(channels * sides[0])
        self.out = nn.Linear(channels * sides[0], width)

    def forward(self, x: Tensor) -> Tensor:
        """Return `[n, width]`."""
        found: Tensor = self.out(self.scale(self.layers(x).flatten(1)))
        return found


class PerceptronEncoder(nn.Module):
    """Features `[n, width]` of vectors `[n, d]`: a hidden layer of `width` with ReLU, and a linear one.

    Args:
        d: numbers in a vector.
        width: features.
    """

    def __init__(self, d: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(d, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return `[n, width]`."""
        found: Tensor = self.layers(x)
        return found


def encoder(shape: tuple[int, ...], width: int, projection: Projection = "linear") -> tuple[EncoderFactory, int]:
    """Return what makes an encoder of inputs of one sample's shape, and how many features it gives.

    Args:
        shape: `(d,)` a vector, `(channels, steps)` a series, `(channels, height, width)` a map.
        width: features of a series or a map, and of a projected vector.
        projection: of vectors: `linear` to `width`, `mlp` to `width` through a hidden layer, `none` as they are (then
            there are `d` features, whatever the width).

    Raises:
        BadInput: another shape or projection, or a width below 1.
    """
    if projection not in PROJECTIONS:
        raise BadInput(f"projection is {projection!r}; expected one of {', '.join(PROJECTIONS)}.")
    if width < 1:
        raise BadInput(f"width is {width}; an encoder returns at least 1 feature.")
    match shape:
        case (d,) if projection == "none":
            return nn.Identity, d
        case (d,) if projection == "mlp":
            return partial(PerceptronEncoder, d, width), width
        case (d,):
            return partial(nn.Linear, d, width), width
        case (channels, steps):
            return partial(SeriesEncoder, (channels, steps), width), width
        case (channels, height, across):
            return partial(ConvolutionEncoder, (channels, height, across), width), width
    raise BadInput(f"inputs of shape {list(shape)} have no default encoder; expected 1 to 3 axes.")


Step = tuple[int, int, int]  # kernel, stride and padding along one axis


def _steps(sides: list[int], longest: int, kernel: int, padding: int) -> list[list[Step]]:
    """Each convolution's kernel, stride and padding along every axis; at least one, and a short axis is left alone."""
    found: list[list[Step]] = []
    while not found or max(sides) > longest:
        halved = [n > longest or (not found and n >= kernel) for n in sides]
        found.append([(kernel, 2, padding) if h else (1, 1, 0) for h in halved])
        sides = [_after(n, *step) for n, step in zip(sides, found[-1], strict=True)]
    return found


def _after(n: int, kernel: int, stride: int, padding: int) -> int:
    return (n + 2 * padding - kernel) // stride + 1
