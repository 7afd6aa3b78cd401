"""Textures of ice on a window, made of blades, periodic, and views of them at any size. Tested by their statistics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

from mmaudit.kernels.plasma import diamond_square

Plane = npt.NDArray[np.float32]
SIDE = 512


@dataclass(frozen=True)
class Ice:
    """One texture.

    Attributes:
        levels: luminance around 0, float32 [n, n] for n = 512, 256, …, 1, each the means over 2×2 pixels of the last.
        colour: float32 [3], mean red, green and blue; luminance is added to each.
    """

    levels: tuple[Plane, ...]
    colour: Plane


@dataclass(frozen=True)
class _Recipe:
    """How a texture is made.

    Attributes:
        colour: mean colour it is brought to.
        sigma: standard deviation of luminance it is brought to.
        crystals: how many.
        length: of the shortest and the longest crystal, in px.
        width: of the narrowest and the widest, to one side, in px.
        branches: per px of a crystal and side, 0 for plain blades.
        cover: share of what lies below that a crystal hides, 0 to 1.
        light: of the crystals, against that of the ground, in units of the ground's light and shade.
        cloud: strength of light and shade in the ground.
        grain: strength of the ground's white noise.
    """

    colour: tuple[float, float, float]
    sigma: float
    crystals: int
    length: tuple[float, float]
    width: tuple[float, float]
    branches: float
    cover: float
    light: float
    cloud: float
    grain: float


# Colours and σ are those of 224 px crops of the photographs in imagecorruptions, as it enlarges them.
_RECIPES = (
    _Recipe((0.32, 0.59, 0.65), 0.062, 9000, (6, 40), (0.6, 2.0), 0, 0.5, 0.1, 0.5, 0.1),
    _Recipe((0.77, 0.79, 0.83), 0.076, 5000, (15, 120), (1.0, 6.0), 0, 0.6, 0.1, 0.5, 0.1),
    _Recipe((0.77, 0.79, 0.83), 0.076, 900, (30, 120), (1.2, 2.5), 0.15, 0.6, 0.1, 0.6, 0.1),
    _Recipe((0.55, 0.61, 0.66), 0.108, 14000, (3, 24), (0.7, 3.0), 0, 0.7, 0.1, 0.6, 0.15),
    _Recipe((0.43, 0.48, 0.52), 0.145, 750, (25, 100), (0.7, 1.2), 0.25, 0.75, 0.7, 0.8, 0.12),
)
COUNT = len(_RECIPES)


@lru_cache(maxsize=COUNT)
def ice(index: int) -> Ice:
    """Return texture `index` of `COUNT`, always the same; made at its first use, in about a tenth of a second."""
    recipe = _RECIPES[index]
    rng = np.random.Generator(np.random.Philox(key=[0x1CE, index]))
    noise = rng.random((SIDE, SIDE), dtype=np.float32) * 2 - 1
    plane = np.float32(recipe.cloud) * _standard(diamond_square(noise, 1.5))
    plane += np.float32(recipe.grain) * rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    _grow(plane, _crystals(recipe, rng))
    top: Plane = (_standard(plane) * recipe.sigma).astype(np.float32)
    levels = [top]
    while levels[-1].shape[0] > 1:
        fine = levels[-1]
        coarse = (fine[::2, ::2] + fine[1::2, ::2]) + (fine[::2, 1::2] + fine[1::2, 1::2])
        levels.append(coarse * np.float32(0.25))
    return Ice(tuple(levels), np.array(recipe.colour, np.float32))


def _standard(x: Plane) -> Plane:
    return np.asarray((x - x.mean()) / x.std(), np.float32)


def _crystals(recipe: _Recipe, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Blades, one a row: row, column, angle, length, half width, light, cover. Later ones lie on earlier ones."""
    n = recipe.crystals
    u = rng.random((n, 6))
    angle = u[:, 2] * 2 * np.pi
    # Long crystals are rare.
    length = recipe.length[0] * (recipe.length[1] / recipe.length[0]) ** (u[:, 3] ** 1.5)
    width = recipe.width[0] * (recipe.width[1] / recipe.width[0]) ** u[:, 4]
    light = recipe.light + 0.5 * rng.standard_normal(n)
    cover = np.full(n, recipe.cover)
    stems = np.column_stack([u[:, 0] * SIDE, u[:, 1] * SIDE, angle, length, width, light, cover])
    if not recipe.branches:
        return stems
    rows = []
    for stem in stems:
        rows.append(stem[None])
        y, x, towards, far, wide, glow = stem[:6].tolist()
        steps = np.arange(3, far, 1 / recipe.branches * 1.2)
        for side in (-1, 1):
            t = steps + rng.uniform(-0.6, 0.6, len(steps))
            # Branches are longest in the middle and stand at 60 degrees, as in ice.
            reach = 0.55 * far * np.minimum(t / far * 1.5 + 0.1, 1 - t / far) * rng.uniform(0.6, 1.1, len(t))
            turned = towards + side * (np.pi / 3 + rng.uniform(-0.08, 0.08, len(t)))
            branch = np.empty((len(t), stems.shape[1]))
            branch[:, 0], branch[:, 1], branch[:, 2] = y + t * np.sin(towards), x + t * np.cos(towards), turned
            branch[:, 3], branch[:, 4] = np.maximum(reach, 1.5), 0.9 * wide
            branch[:, 5] = glow + 0.3 * rng.standard_normal(len(t))
            branch[:, 6:] = stem[6:]
            rows.append(branch)
    return np.concatenate(rows)


@numba.njit(nogil=True, cache=True)
def _grow(plane: Plane, blades: npt.NDArray[np.float64]) -> None:
    """Lay blades on a periodic plane: pointed at both ends, one flank towards the light, one away from it."""
    side = plane.shape[0]
    for k in range(len(blades)):
        y, x, angle, length, width, light, cover = blades[k]
        sin, cos = np.sin(angle), np.cos(angle)
        # The flank on the left of the blade's direction; light comes from the upper left.
        lit = 0.7071 * (sin - cos)
        reach = width + 1
        top = int(np.floor(min(y, y + length * sin) - reach))
        bottom = int(np.ceil(max(y, y + length * sin) + reach))
        left = int(np.floor(min(x, x + length * cos) - reach))
        right = int(np.ceil(max(x, x + length * cos) + reach))
        for i in range(top, bottom + 1):
            for j in range(left, right + 1):
                along = ((i - y) * sin + (j - x) * cos) / length
                if along < 0 or along > 1:
                    continue
                across = (i - y) * cos - (j - x) * sin
                half = width * min(1.0, 4 * along + 0.25) * np.sqrt(1 - along)
                edge = min(max(half - abs(across) + 0.5, 0.0), 1.0)
                if edge > 0:
                    # Flat near its ridge on a wide blade, so that flanks of all widths have the same slope.
                    shade = light + lit * min(max(across / 0.8, -1.0), 1.0) * (
                        0.6 + 0.4 * min(abs(across) / width, 1.0)
                    )
                    a = cover * edge
                    place = plane[i % side, j % side]
                    plane[i % side, j % side] = place + np.float32(a) * (np.float32(shade) - place)


def view(texture: Ice, height: int, width: int, scale: float, top: int, left: int, turn: int) -> Plane:
    """Return float32 [height, width]: the luminance of part of a texture, around 0.

    Args:
        texture: periodic, so the view may be larger.
        height, width: of the view, in pixels.
        scale: px of the texture per pixel of the view, above 0. Above 1 pixels are means over the texture, below 1
            they lie between its pixels (trilinear interpolation).
        top, left: where the view begins, in px of the texture.
        turn: 0 to 7, the eight ways to turn and mirror a square.
    """
    level = min(max(np.log2(scale), 0.0), len(texture.levels) - 1.0)
    fine = int(level)
    near, far = texture.levels[fine], texture.levels[min(fine + 1, len(texture.levels) - 1)]
    return np.asarray(
        _view(near, far, level - fine, height, width, scale / 2**fine, top / 2**fine, left / 2**fine, turn)
    )


@numba.njit(nogil=True, cache=True, inline="always")
def _between(x, y, z):  # type: ignore[no-untyped-def]
    """Bilinear on a periodic plane whose side is a power of two; pixel i reaches from i to i + 1."""
    last = x.shape[0] - 1
    i, j = int(np.floor(y - 0.5)), int(np.floor(z - 0.5))
    s, t = np.float32(y - 0.5 - i), np.float32(z - 0.5 - j)
    above, below = x[i & last], x[(i + 1) & last]
    upper = above[j & last] + t * (above[(j + 1) & last] - above[j & last])
    return upper + s * (below[j & last] + t * (below[(j + 1) & last] - below[j & last]) - upper)


@numba.njit(nogil=True, cache=True)
def _view(
    near: Plane, far: Plane, mix: float, height: int, width: int, scale: float, top: float, left: float, turn: int
) -> Plane:
    out = np.empty((height, width), np.float32)
    share = np.float32(mix)
    down, right = -scale if turn & 1 else scale, -scale if turn & 2 else scale
    for i in range(height):
        for j in range(width):
            y, z = top + (i + 0.5) * down, left + (j + 0.5) * right
            if turn & 4:
                y, z = z, y
            value = _between(near, y, z)
            if share > 0:
                value += share * (_between(far, y / 2, z / 2) - value)
            out[i, j] = value
    return out
