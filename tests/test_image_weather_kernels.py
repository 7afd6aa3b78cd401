"""Kernels of weather and geometry against NumPy and SciPy twins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from mmaudit.kernels import exposure, ice, plasma, random_field, spatter, warp

PLANES = [(1, 1), (1, 7), (9, 2), (40, 31), (64, 64)]


def normal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


# ---- resampling


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 3), (9, 2, 1), (40, 31, 2)])
@pytest.mark.parametrize("factor", [0.0, 0.3, 4.0, 200.0])
def test_displaced_is_map_coordinates_mirrored(shape, factor):
    x = np.random.default_rng(1).random(shape, dtype=np.float32)
    down, right = normal(shape[:2], 2), normal(shape[:2], 3)
    rows, columns = np.indices(shape[:2])
    places = rows + factor * down, columns + factor * right
    theirs = [
        ndimage.map_coordinates(x[..., c].astype(float), places, order=1, mode="reflect") for c in range(shape[2])
    ]
    assert np.abs(warp.displaced(x, down, right, factor) - np.stack(theirs, 2)).max() < 1e-4


@pytest.mark.parametrize("degrees", [0.0, 3.0, 45.0, 90.0, 170.0, -30.0])
def test_rotated_is_scipys(degrees):
    x = np.random.default_rng(1).random((33, 46, 2), dtype=np.float32)
    theirs = ndimage.rotate(x.astype(float), degrees, reshape=False, order=1, mode="reflect")
    assert np.abs(warp.rotated(x, np.deg2rad(degrees)) - theirs).max() < 1e-4


@pytest.mark.parametrize("shape", PLANES)
@pytest.mark.parametrize("zoom", [1.0, 2.0, 3.7])
def test_zoomed_is_scipys_zoom_of_the_middle(shape, zoom):
    x = normal(shape)
    sizes = [n / zoom for n in shape]
    places = [
        (n - size) / 2 + np.arange(n) * (max(size - 1, 0) / max(n - 1, 1)) for n, size in zip(shape, sizes, strict=True)
    ]
    theirs = ndimage.map_coordinates(x.astype(float), np.meshgrid(*places, indexing="ij"), order=1, mode="reflect")
    assert np.abs(warp.zoomed(x, *sizes) - theirs).max() < 1e-4


def test_zoomed_whole_is_itself():
    x = normal((20, 30))
    assert np.array_equal(warp.zoomed(x, 20, 30), x)


# ---- random fields


@pytest.mark.parametrize("shape", [(9, 12), (40, 31), (64, 64)])
@pytest.mark.parametrize("sigma", [0.05, 0.8, 1.0, 2.3, 7.0])
def test_smooth_field_is_scipys_periodic_gaussian(shape, sigma):
    noise = normal(shape)
    theirs = ndimage.gaussian_filter(noise.astype(float), sigma, mode="wrap", truncate=3)
    ours = random_field.smooth_field(noise, sigma)
    # Up to the factor that brings the variance back.
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 1 - 1e-8


def test_smooth_field_has_variance_one_everywhere():
    fields = np.stack([random_field.smooth_field(normal((12, 16), seed), 2.0) for seed in range(4000)])
    assert fields.std(0) == pytest.approx(np.ones((12, 16)), abs=0.06)
    assert fields.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2)])
def test_smooth_field_of_images_smaller_than_the_kernel(shape):
    fields = np.stack([random_field.smooth_field(normal(shape, seed), 4.0) for seed in range(3000)])
    assert fields.std() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("sigma", [1.0, 2.24, 5.0])
def test_spread_is_that_of_blurred_noise(sigma):
    blurred = ndimage.gaussian_filter(normal((600, 600)).astype(float), sigma, mode="wrap", truncate=3)
    assert blurred.std() == pytest.approx(random_field.spread(sigma), rel=0.03)
    assert random_field.spread(sigma) == pytest.approx(1 / (2 * np.sqrt(np.pi) * sigma), rel=0.02)


# ---- fog


def numpy_diamond_square(noise: np.ndarray, decay: float) -> np.ndarray:
    """Whole arrays and rolls instead of loops; float64."""
    n = len(noise)
    out, step, size = np.zeros((n, n)), n, 1.0
    while step >= 2:
        half = step // 2
        corner = out[::step, ::step]
        squares = corner + np.roll(corner, -1, 0)
        squares = squares + np.roll(squares, -1, 1)
        middle = out[half::step, half::step]
        middle[:] = squares / 4 + size * noise[half::step, half::step]
        corner = out[::step, ::step].copy()
        top = middle + np.roll(middle, 1, 0) + corner + np.roll(corner, -1, 1)
        side = middle + np.roll(middle, 1, 1) + corner + np.roll(corner, -1, 0)
        out[::step, half::step] = top / 4 + size * noise[::step, half::step]
        out[half::step, ::step] = side / 4 + size * noise[half::step, ::step]
        step, size = half, size / decay**2
    return (out - out.min()) / (out.max() - out.min())


@pytest.mark.parametrize("side", [2, 4, 32, 256])
@pytest.mark.parametrize("decay", [1.4, 1.7, 2.0])
def test_diamond_square_is_its_twin(side, decay):
    noise = np.random.default_rng(side).uniform(-1, 1, (side, side)).astype(np.float32)
    ours = plasma.diamond_square(noise, decay)
    assert np.abs(ours - numpy_diamond_square(noise.astype(float), decay)).max() < 1e-5
    assert ours.min() == 0
    assert ours.max() == pytest.approx(1, abs=1e-6)


# ---- spatter


def numpy_water(field: np.ndarray, mean: float, spread: float, threshold: float, sigma: float, unit: float):
    f = field.astype(float)
    u = min((threshold - mean) / spread, f.max() - 0.5)
    rims = np.sqrt(1 / (2 * sigma**2)) / 2 * np.exp(-(u**2) / 2)
    slope = unit * np.hypot(np.roll(f, -1, 0) - np.roll(f, 1, 0), np.roll(f, -1, 1) - np.roll(f, 1, 1)) / 2
    height = np.maximum(f - u, 0)
    bend = np.maximum(f, 0.1) / (4 * sigma**2)
    inside = 2 * height / (np.sqrt(slope**2 + 4 * bend * height) + slope + 1e-9)
    distance = np.minimum(np.where(f > u, inside, (u - f) / (slope + 1e-9)), 20)
    share = 1 - np.exp(-2 * rims * np.maximum(ndimage.uniform_filter(distance, 3, mode="nearest") - 0.25, 0))
    light = np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]])
    lit = np.clip(share + unit * ndimage.correlate(share, light, mode="nearest"), 0, 1)
    layer = ndimage.uniform_filter(lit, 3, mode="nearest") * (mean / spread + f) * (f > u)
    return layer / layer.max()


@pytest.mark.parametrize("shape", [(9, 12), (40, 31), (64, 64)])
@pytest.mark.parametrize(("sigma", "threshold", "unit"), [(4.0, 0.69, 1.0), (2.0, 0.68, 1.0), (3.0, 0.68, 0.4)])
def test_water_is_its_twin(shape, sigma, threshold, unit):
    field = random_field.smooth_field(normal(shape, 5), sigma * unit)
    given = 0.65, 0.3 * random_field.spread(sigma), threshold, sigma, unit
    ours, theirs = spatter.water(field, *given), numpy_water(field, *given)
    assert ours.max() == 1
    assert np.abs(ours - theirs).max() < 2e-3
    assert (ours[field <= min((threshold - 0.65) / given[1], field.max() - 0.5)] == 0).all()


def test_distance_to_the_rim_is_exact_for_a_paraboloid():
    """2 h / (√(g² + 4 a h) + g) with h = a (R² − r²), g = 2 a r is R − r."""
    a, radius, r = 0.3, 5.0, np.linspace(0, 5, 50)
    height, slope = a * (radius**2 - r**2), 2 * a * r
    assert 2 * height / (np.sqrt(slope**2 + 4 * a * height) + slope) == pytest.approx(radius - r)


def test_rims_are_as_long_as_rice_says():
    """Length of the level lines of a Gaussian field per area, counted by crossings: pixel edges overcount by 4/π."""
    sigma, u = 4.0, 0.7
    field = random_field.smooth_field(normal((800, 800)), sigma)
    wet = field > u
    crossings = (wet != np.roll(wet, 1, 0)).sum() + (wet != np.roll(wet, 1, 1)).sum()
    expected = np.sqrt(1 / (2 * sigma**2)) / 2 * np.exp(-(u**2) / 2)
    assert crossings / wet.size * np.pi / 4 == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("shape", PLANES)
def test_averaged_is_scipys(shape):
    x = normal(shape)
    assert np.abs(spatter.averaged(x) - ndimage.uniform_filter(x, 3, mode="nearest")).max() < 1e-6


def test_mud_keeps_what_is_above_four_fifths():
    blurred = np.linspace(0, 1, 101, dtype=np.float32)[None]
    covered = spatter.mud(blurred)[0]
    assert (covered[:75] == 0).all()
    assert covered[86:] == pytest.approx(blurred[0, 86:])
    assert (np.diff(covered) >= 0).all()
    assert covered[80] == pytest.approx(0.4, abs=1e-3)


# ---- low light


def test_underexposed_is_the_formula():
    rng = np.random.default_rng(0)
    x, noise = rng.random((30, 20, 3), dtype=np.float32), normal((30, 20, 3))
    for kept in (0.5, 0.03):
        v = x.astype(float)
        light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
        light = kept * light + noise * np.sqrt(kept * (1 - kept) * light / 1000 + (1 - kept**2) * (3 / 1000) ** 2)
        light = np.clip(light, 0, 1)
        theirs = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        assert np.abs(exposure.underexposed(x, noise, kept, 1000, 3) - theirs).max() < 2e-5


def test_underexposed_leaves_not_a_number_where_it_is():
    x = np.full((2, 2, 1), 0.5, np.float32)
    x[0, 1] = np.nan
    out = exposure.underexposed(x, np.zeros_like(x), 0.25, 1000, 3)
    assert np.isnan(out[0, 1, 0]) or 0 <= out[0, 1, 0] <= 1
    assert np.isfinite(out[[0, 1, 1], [0, 0, 1]]).all()


# ---- frost


def test_ice_has_the_colours_and_the_contrast_of_the_photographs():
    """Means and σ of 224 px crops of imagecorruptions' photographs, as it enlarges them."""
    for index, (mean, sigma) in enumerate([(0.52, 0.062), (0.79, 0.076), (0.79, 0.076), (0.60, 0.101), (0.48, 0.137)]):
        texture = ice.ice(index)
        top = texture.levels[0]
        assert top.shape == (ice.SIDE, ice.SIDE)
        assert top.mean() == pytest.approx(0, abs=1e-4)
        assert top.std() == pytest.approx(sigma, rel=0.1)
        assert texture.colour.mean() == pytest.approx(mean, abs=0.02)
        crops = [np.roll(top, (i, j), (0, 1))[:224, :224] for i in range(0, 512, 64) for j in range(0, 512, 64)]
        assert np.mean([crop.std() for crop in crops]) == pytest.approx(sigma, rel=0.25)
        # Fine structure: neighbours differ by a third of σ to all of it, where a cloud's would by a few percent.
        assert 0.3 < np.sqrt(np.mean(np.diff(top) ** 2)) / sigma < 1


def test_ice_is_periodic_and_its_levels_are_means():
    for index in range(ice.COUNT):
        levels = ice.ice(index).levels
        assert [len(level) for level in levels] == [512, 256, 128, 64, 32, 16, 8, 4, 2, 1]
        for fine, coarse in pairwise(levels):
            n = len(coarse)
            assert coarse == pytest.approx(fine.reshape(n, 2, n, 2).mean((1, 3)), abs=1e-6)
        top = levels[0]
        seam = np.sqrt(np.mean((top[0] - top[-1]) ** 2))
        assert seam < 2 * np.sqrt(np.mean(np.diff(top, axis=0) ** 2))


def test_view_at_its_own_size_is_a_part_of_the_texture():
    texture = ice.ice(1)
    top = texture.levels[0]
    part = np.roll(top, (-500, -30), (0, 1))[:40, :50]
    assert np.array_equal(ice.view(texture, 40, 50, 1.0, 500, 30, 0), part)
    mirrored = np.roll(top[::-1], 500, 0)[:40]
    assert np.array_equal(ice.view(texture, 40, 50, 1.0, 500, 30, 1), np.roll(mirrored, -30, 1)[:, :50])
    assert np.array_equal(ice.view(texture, 40, 50, 1.0, 500, 30, 4), np.roll(top.T, (-500, -30), (0, 1))[:40, :50])


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.0, 2.9, 8.0])
def test_view_is_scipys_trilinear(scale):
    texture = ice.ice(4)
    level = max(np.log2(scale), 0)
    fine = int(level)
    parts = []
    for at in (fine, fine + 1):
        rows, columns = np.indices((25, 33))
        places = [(start + (grid + 0.5) * scale) / 2**at - 0.5 for start, grid in ((100, rows), (490, columns))]
        parts.append(ndimage.map_coordinates(texture.levels[at].astype(float), places, order=1, mode="grid-wrap"))
    theirs = parts[0] + (level - fine) * (parts[1] - parts[0])
    assert np.abs(ice.view(texture, 25, 33, scale, 100, 490, 0) - theirs).max() < 1e-5


def test_view_of_more_than_the_texture_and_of_one_pixel():
    texture = ice.ice(0)
    assert ice.view(texture, 1, 1, 224.0, 3, 4, 6).shape == (1, 1)
    assert abs(float(ice.view(texture, 1, 1, 1e6, 0, 0, 7)[0, 0])) < 1e-3
