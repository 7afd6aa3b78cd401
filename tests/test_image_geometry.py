"""elastic_transform, rotation, occlusion, channel_drop: angles, areas, displacements, and what is declined."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from helpers.photographs import crops
from mmaudit.data.statistics import ModalityStatistics
from mmaudit.errors import BadInput
from mmaudit.probes import Declined, Scope, probes
from mmaudit.probes.corruption.image_geometry import channel_drop, elastic_transform, occlusion, rotation
from mmaudit.types import Modality, Task


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def photographs(side: int = 224) -> list[np.ndarray]:
    step = 224 // side
    return [c.reshape(side, step, side, step, 3).mean((1, 3)).astype(np.float32) / 255 for c in crops()]


def rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


def about(mean: float | np.ndarray) -> ModalityStatistics:
    return ModalityStatistics(mean=np.asarray(mean, np.float64), std=np.asarray(0.2))


# ---- elastic


def displacements(side: int, severity: float, seed: int) -> np.ndarray:
    """Where each pixel comes from: what the corruption makes of the coordinates themselves, less the coordinates."""
    grid = np.stack(np.indices((side, side)), 2).astype(np.float32) / side
    return (elastic_transform(grid.copy(), severity, rng(seed)) - grid)[10:-10, 10:-10] * side


@pytest.mark.parametrize(("severity", "px"), [(12.5, 1.02), (21.25, 1.73), (30, 2.44)])
def test_displacement_is_imagecorruptions(severity, px):
    """σ of uniform noise in ±1.12 px, blurred by 2.24 px, times α; along each axis."""
    blurred = ndimage.gaussian_filter(np.random.default_rng(0).uniform(-1.12, 1.12, (400, 400)), 2.24, truncate=3)
    assert blurred.std() * severity == pytest.approx(px, rel=0.03)
    moved = np.stack([displacements(224, severity, seed) for seed in range(5)])
    assert moved.std((0, 1, 2)) == pytest.approx([px, px], rel=0.04)
    assert displacements(56, severity, 0).std() == pytest.approx(px / 4, rel=0.15)


def test_neighbours_move_together():
    moved = displacements(224, 12.5, 1)[:, :, 0]
    for lag in (1, 2, 4):
        expected = np.exp(-(lag**2) / (4 * 2.24**2))
        assert np.corrcoef(moved[lag:].ravel(), moved[:-lag].ravel())[0, 1] == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("shape", [(1, 40, 3), (40, 1, 1), (2, 2, 1), (1, 1, 3)])
def test_elastic_of_thin_images(shape):
    x = rng(2).random(shape, dtype=np.float32)
    y = elastic_transform(x.copy(), 30, rng(3))
    assert y.shape == shape
    assert x.min() - 1e-6 <= y.min()
    assert y.max() <= x.max() + 1e-6
    assert np.array_equal(x, y) == (shape[:2] == (1, 1))


# ---- rotation


def test_rotation_by_right_angles():
    x = rng(4).random((31, 31, 2), dtype=np.float32)
    quarter = rotation(x.copy(), 90, rng(0))
    assert min(np.abs(quarter - np.rot90(x, k)).max() for k in (1, 3)) < 1e-5
    assert rotation(x.copy(), 180, rng(0)) == pytest.approx(x[::-1, ::-1], abs=1e-5)


def test_both_sides_are_drawn_and_kept_at_every_severity():
    x = np.zeros((41, 41, 1), np.float32)
    x[12, 20] = 1
    sides = []
    for seed in range(40):
        places = [np.argmax(rotation(x.copy(), angle, rng(seed))[:, :, 0].max(0)) - 20 for angle in (20, 30, 45)]
        assert len({int(np.sign(p)) for p in places}) == 1
        assert np.abs(places) == pytest.approx([8 * np.sin(np.deg2rad(a)) for a in (20, 30, 45)], abs=1)
        sides.append(int(np.sign(places[0])))
    assert 8 < sides.count(1) < 32


def test_rotation_mirrors_at_the_edges_and_stays_in_range():
    x = rng(5).random((20, 50, 3), dtype=np.float32)
    for angle in (0.01, 5, 45, 180):
        y = rotation(x.copy(), angle, rng(6))
        assert x.min() - 1e-6 <= y.min()
        assert y.max() <= x.max() + 1e-6
    assert rotation(np.full((9, 7, 1), 0.3, np.float32), 30, rng(6)) == pytest.approx(np.full((9, 7, 1), 0.3), abs=1e-6)


def test_more_than_half_a_turn_is_refused():
    with pytest.raises(BadInput, match="above 180 degrees"):
        rotation(np.zeros((4, 4, 1), np.float32), 200, rng())


@pytest.mark.parametrize("side", [224, 56, 28])
@pytest.mark.parametrize("corruption", [elastic_transform, rotation])
def test_on_photographs_more_severity_moves_further(corruption, side):
    table = probes.get(f"image.{corruption.__name__}").severities
    far = [np.mean([rms(corruption(x.copy(), s, rng(k)), x) for k, x in enumerate(photographs(side))]) for s in table]
    assert far == sorted(far)
    assert far[0] > 0.005


# ---- occlusion


@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 12, 3), (28, 28, 1), (4, 60, 3), (60, 4, 2), (224, 224, 3)])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.2, 0.5, 0.93, 1])
def test_occluded_area_is_exact_and_nested(shape, share):
    x = np.zeros(shape, np.float32)
    for seed in range(5):
        y = occlusion(x.copy(), share, rng(seed), about(1.0))
        assert y.mean() == pytest.approx(share, rel=1e-4)
        assert y.max() <= 1 + 1e-6
        less = occlusion(x.copy(), 0.9 * share, rng(seed), about(1.0))
        assert (less <= y + 1e-5).all()


def test_occlusion_is_a_square_anywhere_in_the_data_sets_colour():
    colour = np.array([0.1, 0.5, 0.9], np.float32)
    middles = []
    for seed in range(60):
        y = occlusion(np.full((40, 40, 3), 0.3, np.float32), 0.16, rng(seed), about(np.tile(colour, (40, 40, 1))))
        covered = ((y - 0.3) / (colour - 0.3)).mean(2)
        rows, columns = np.flatnonzero(covered.max(1) > 0.5), np.flatnonzero(covered.max(0) > 0.5)
        assert len(rows) == len(columns) == 16
        assert covered[np.ix_(rows[1:-1], columns[1:-1])] == pytest.approx(np.ones((14, 14)), abs=1e-5)
        middles.append((rows.mean(), columns.mean()))
    assert np.std(middles, 0) == pytest.approx([24 / np.sqrt(12)] * 2, rel=0.3)


def test_more_than_the_image_is_refused():
    with pytest.raises(BadInput, match="above 1; it is a share"):
        occlusion(np.zeros((4, 4, 1), np.float32), 1.2, rng(), about(0.5))
    with pytest.raises(BadInput, match="above 1; it is the share"):
        channel_drop(np.zeros((4, 4, 3), np.float32), 1.2, rng())


# ---- channels


@pytest.mark.parametrize("channels", [2, 3, 7])
def test_one_channel_loses_its_share(channels):
    x = rng(7).random((6, 5, channels), dtype=np.float32)
    dropped = set()
    for seed in range(80):
        for severity in (0.2, 0.6, 1):
            y = channel_drop(x.copy(), severity, rng(seed))
            changed = [c for c in range(channels) if not np.array_equal(x[:, :, c], y[:, :, c])]
            assert len(changed) == 1
            assert y[:, :, changed[0]] == pytest.approx((1 - severity) * x[:, :, changed[0]], abs=1e-6)
        dropped.add(changed[0])
    assert dropped == set(range(channels))


def test_grey_images_are_declined_and_ragged_ones_left_alone():
    task = Task.classification(2)
    shapes = {"hw": ((8, 8), "HW"), "hwc": ((8, 8, 1), "HWC"), "chw": ((1, 8, 8), "CHW")}
    for name, (shape, layout) in shapes.items():
        found = list(
            probes.get("image.channel_drop").grid(Scope((Modality(name, "image", shape, "uint8", layout),), task))
        )
        assert [type(c) for c in found] == [Declined]
        assert "single channel" in found[0].reason
    x = rng(8).random((6, 5, 1), dtype=np.float32)
    assert np.array_equal(channel_drop(x.copy(), 1, rng()), x)


@pytest.mark.parametrize("name", ["elastic_transform", "rotation"])
@pytest.mark.parametrize(("shape", "layout"), [((1, 1), "HW"), ((1, 1, 3), "HWC"), ((3, 1, 1), "CHW")])
def test_single_pixels_are_declined(name, shape, layout):
    found = list(
        probes.get(f"image.{name}").grid(
            Scope((Modality("dot", "image", shape, "uint8", layout),), Task.classification(2))
        )
    )
    assert [type(c) for c in found] == [Declined]
    assert "single pixel" in found[0].reason
