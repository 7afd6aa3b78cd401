"""Kernels of the image corruptions against NumPy, SciPy, Pillow and colorsys."""

from __future__ import annotations

import colorsys
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from mmaudit.kernels import colour, disk, displace, motion, noise, packing, zoom
from mmaudit.kernels.pixelate import pixelate
from mmaudit.probes.corruption import jpeg

SHAPES = [(1, 1, 1), (1, 7, 3), (9, 12, 3), (40, 31, 2), (64, 64, 3)]


def image(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def correlated(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    planes = [ndimage.correlate(x[..., c].astype(np.float64), kernel, mode="nearest") for c in range(x.shape[2])]
    return np.stack(planes, axis=2)


# ---- blur


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", [0.12, 0.7, 1.0, 3.3, 10.0])
def test_disk_is_scipys_correlation(shape, radius):
    x = image(shape)
    assert np.abs(disk.disk_blur(x, radius) - correlated(x, disk.weights(radius))).max() < 2e-6


@pytest.mark.parametrize("radius", [0.2, 1.0, 2.6, 6.0])
def test_disk_weights_are_the_mean_over_a_disk(radius):
    """By brute force: points of a fine grid in the disk, each shared out to the four pixels around it."""
    reach = int(np.ceil(radius))
    axis = (np.arange(1200) + 0.5) / 1200 * 2 * radius - radius
    v, u = np.meshgrid(axis, axis, indexing="ij")
    inside = v**2 + u**2 <= radius**2
    v, u = v[inside], u[inside]
    expected = np.zeros((2 * reach + 3, 2 * reach + 3))
    i, j = np.floor(v).astype(int), np.floor(u).astype(int)
    for di in (0, 1):
        for dj in (0, 1):
            share = np.abs(1 - di - (v - i)) * np.abs(1 - dj - (u - j))
            np.add.at(expected, (i + di + reach + 1, j + dj + reach + 1), share / inside.sum())
    assert expected[0].max() == expected[-1].max() == 0
    assert np.abs(disk.weights(radius) - expected[1:-1, 1:-1]).max() < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("sigma", "end", "angle"), [(0.12, 0.9, 0.3), (3.0, 20.5, -0.7), (8.0, 30.5, 0.0)])
def test_motion_is_scipys_correlation(shape, sigma, end, angle):
    x = image(shape)
    row, column, weight = motion.line(sigma, -0.5, end, angle)
    reach = max(np.abs(row).max(), np.abs(column).max())
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    kernel[reach + row, reach + column] = weight
    assert np.abs(motion.motion_blur(x, sigma, -0.5, end, angle) - correlated(x, kernel)).max() < 3e-6


@pytest.mark.parametrize("angle", [-0.6, 0.0, 0.4, 2.0])
@pytest.mark.parametrize(("sigma", "end"), [(0.3, 2.0), (3.0, 20.5), (15.0, 40.5)])
def test_motion_moves_along_its_line(angle, sigma, end):
    """The kernel's centre lies on the line, at the mean of the weights."""
    row, column, weight = motion.line(sigma, -0.5, end, angle)
    assert weight.sum() == pytest.approx(1, abs=1e-6)
    t = np.linspace(-0.5, end, 20_001)
    mean = np.average(t, weights=np.exp(-0.5 * (t / sigma) ** 2))
    assert (weight * row).sum() == pytest.approx(mean * np.sin(angle), abs=0.01 * mean)
    assert (weight * column).sum() == pytest.approx(mean * np.cos(angle), abs=0.01 * mean)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("step", "layers"), [(0.01, 12.0), (0.03, 11.0), (0.02, 3.25), (0.1, 1.0), (0.1, 0.5)])
def test_zoom_is_the_mean_of_scipys(shape, step, layers):
    x = image(shape).astype(np.float64)
    middle = (np.array(shape[:2]) - 1) / 2
    total = x.copy()
    for k in range(int(np.ceil(layers))):
        at = [m + (np.arange(n) - m) / (1 + step * k) for n, m in zip(shape, middle, strict=False)]
        places = np.meshgrid(*at, np.arange(shape[2]), indexing="ij")
        total += min(layers - k, 1) * ndimage.map_coordinates(x, places, order=1, mode="nearest")
    expected = total / (1 + layers)
    assert np.abs(zoom.zoom_blur(x.astype(np.float32), step, layers) - expected).max() < 2e-6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [0.05, 1.0, 30.0])
def test_displacement_is_scipys(shape, size):
    x = image(shape)
    down, across = (np.random.default_rng(1).random((2, *shape[:2]), dtype=np.float32) - 0.5) * np.float32(2 * size)
    i, j, c = (grid.astype(np.float64) for grid in np.indices(shape))
    expected = ndimage.map_coordinates(x, [i + down[..., None], j + across[..., None], c], order=1, mode="nearest")
    assert np.abs(displace.displace(x, down, across) - expected).max() < 1e-5


# ---- noise


@pytest.mark.parametrize("photons", [3.0, 12.0, 60.0])
def test_photon_counts_are_poisson_quantiles(photons):
    x, u = image((60, 60, 1)), image((60, 60, 1), 1)
    expected = np.minimum(stats.poisson.ppf(u.astype(np.float64), x.astype(np.float64) * photons) / photons, 1)
    assert np.mean(np.abs(noise.photon_counts(x, u, photons) - expected) > 1e-6) < 1e-3


@pytest.mark.parametrize("photons", [150.0, 1000.0, 1e5])
def test_many_photons_are_counted_by_an_expansion(photons):
    x, u = 0.5 + image((100, 100, 1)) / 2, image((100, 100, 1), 1)
    found = np.round(noise.photon_counts(x, u, photons).astype(np.float64) * photons)
    expected = np.minimum(stats.poisson.ppf(u.astype(np.float64) + 2.0**-25, x.astype(np.float64) * photons), photons)
    digits = photons * 2.0**-22  # of the float32 that comes back
    assert np.abs(found - expected).max() <= 1 + digits
    if digits < 0.1:
        assert np.mean(found != expected) < 0.02


def test_no_light_no_photons():
    x = np.array([[[0.0], [-0.5], [np.nan], [1.0]]], np.float32)
    counts = noise.photon_counts(x, np.full_like(x, 0.999), 5.0)
    assert counts.ravel().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_salt_and_pepper_is_numpys(share):
    x, u = image((50, 50, 3)), image((50, 50, 3), 1)
    expected = np.where(u < np.float32(share / 2), 0, np.where(u >= np.float32(1) - np.float32(share / 2), 1, x))
    assert np.array_equal(noise.salt_and_pepper(x, u, np.float32(share)), expected)


# ---- colour


def colours() -> np.ndarray:
    """Random colours, and the corners, edges and the grey diagonal of the cube."""
    corners = np.stack(np.meshgrid(*[[0, 0.5, 1]] * 3), -1).reshape(-1, 3)
    return np.concatenate([corners, np.random.default_rng(0).random((173, 3))]).reshape(10, 20, 3).astype(np.float32)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.5])
def test_value_is_colorsys(amount):
    expected = []
    for pixel in colours().reshape(-1, 3).tolist():
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        expected.append(colorsys.hsv_to_rgb(h, s, min(v + amount, 1)))
    assert np.abs(colour.add_to_value(colours(), np.float32(amount)).reshape(-1, 3) - expected).max() < 1e-6


@pytest.mark.parametrize(("factor", "amount"), [(1.0, 0.0), (0.3, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)])
def test_saturation_is_colorsys(factor, amount):
    expected = []
    for pixel in colours().reshape(-1, 3).tolist():
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        expected.append(colorsys.hsv_to_rgb(h, min(s * factor + amount, 1), v))
    found = colour.scale_saturation(colours(), np.float32(factor), np.float32(amount)).reshape(-1, 3)
    assert np.abs(found - expected).max() < 2e-6


@pytest.mark.parametrize("shape", [*SHAPES, (2100, 3, 2)])
def test_contrast_is_numpys(shape):
    x = image(shape)
    mean = x.astype(np.float64).mean((0, 1))
    assert np.abs(colour.scale_contrast(x, np.float32(0.2)) - (mean + (x - mean) * 0.2)).max() < 1e-6


# ---- pixels and files


# Not 0.4: Pillow averages a pixel whose middle is on the border of two cells into one and shows it the other.
@pytest.mark.parametrize("kept", [0.6, 0.5, 0.3, 0.25])
@pytest.mark.parametrize("shape", [(200, 200), (60, 120)])
def test_cells_are_pillows(kept, shape):
    """Where a whole number of cells spans the image: Pillow's box filter, then nearest neighbour. It rounds twice."""
    x = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    small = Image.fromarray(x).resize((round(shape[1] * kept), round(shape[0] * kept)), Image.Resampling.BOX)
    expected = np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.NEAREST), np.float64)
    assert np.abs(pixelate(x.astype(np.float32), kept) - expected).max() <= 1.01


@pytest.mark.parametrize("kept", [1.0, 0.37, 0.01])
@pytest.mark.parametrize("shape", SHAPES)
def test_cells_are_numpys(kept, shape):
    x = image(shape)
    rows, columns = (((np.arange(n) + 0.5) * kept).astype(int) for n in shape[:2])
    expected = np.empty(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            expected[i, j] = x[np.ix_(rows == rows[i], columns == columns[j])].mean((0, 1), dtype=np.float64)
    assert np.abs(pixelate(x, kept) - expected).max() < 2e-6


@pytest.mark.parametrize("quality", [1, 7, 10, 15, 18, 25, 49, 50, 77, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows_at_whole_qualities(quality, channels):
    x = np.random.default_rng(0).integers(0, 256, (37, 50, channels), np.uint8)
    file = io.BytesIO()
    Image.fromarray(x if channels == 3 else x[..., 0]).save(file, "JPEG", quality=quality)
    with Image.open(file) as stored:
        expected = np.asarray(stored).reshape(x.shape)
    found = jpeg.roundtrip(x.astype(np.float32) / 255, quality)
    assert found.dtype == np.float32
    assert np.array_equal(np.rint(found * 255), expected)


def test_jpeg_between_whole_qualities():
    low, between, high = (np.array(jpeg._tables(q)) for q in (15, 15.5, 16))
    assert (low >= between).all()
    assert (between >= high).all()
    assert (between != low).any()
    assert (between != high).any()


def test_jpeg_keeps_other_numbers_of_channels_apart():
    x = image((16, 16, 5))
    alone = [jpeg.roundtrip(x[:, :, c : c + 1].copy(), 10) for c in range(5)]
    assert np.array_equal(jpeg.roundtrip(x, 10), np.concatenate(alone, axis=2))


def test_packing_is_numpys():
    x = image((7, 5, 3)) * 1.4 - 0.2
    packed = packing.rgbx(x)
    assert np.array_equal(packed[:, :, :3], np.rint(np.clip(x, 0, 1) * np.float32(255)))
    assert not packed[:, :, 3].any()
    found = np.empty_like(x)
    packing.unpack(np.ascontiguousarray(packed[:, :, :3]), found)
    assert np.abs(found - packed[:, :, :3] / 255).max() < 1e-7
