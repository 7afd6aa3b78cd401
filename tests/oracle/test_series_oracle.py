"""Second opinions on series: NumPy and SciPy, tsaug's drift and Um et al.'s time warping as published, and tsaug."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import CubicSpline
from scipy.signal import resample as scipy_resample
from scipy.stats import kstest

from mmaudit.data.statistics import ModalityStatistics
from mmaudit.kernels import bits, sensor, warp1d
from mmaudit.probes.corruption import series_time, series_values
from mmaudit.randomness import Draws
from mmaudit.types import Array, Modality

ONE = Modality("x", "series", (None,), "float64")


def draws(n: int) -> Draws:
    return Draws("oracle", "x", np.arange(n, dtype=np.uint64))


def unit_statistics(length: int) -> ModalityStatistics:
    return ModalityStatistics(np.zeros(length), np.ones(length))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_reading_at_times_is_numpys_interp(length, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, length, 2)).astype(dtype)
    times = rng.uniform(-2, length + 1, (6, length))
    times[0] = np.arange(length)
    ours = warp1d.at_times(x, times)
    for i in range(6):
        for c in range(2):
            theirs = np.interp(times[i], np.arange(length), x[i, :, c])
            np.testing.assert_allclose(ours[i, :, c], theirs, atol=1e-6 if dtype == np.float32 else 1e-12)
    assert np.array_equal(ours[0], x[0])


@pytest.mark.parametrize("count", [2, 3, 5, 6])
@pytest.mark.parametrize("length", [2, 7, 400])
def test_smooth_curves_are_scipys_splines(count, length):
    knots = np.random.default_rng(1).normal(size=(9, count))
    theirs = CubicSpline(np.linspace(0, length - 1, count), knots, axis=1)(np.arange(length))
    np.testing.assert_allclose(warp1d.smooth(knots, length), theirs, atol=1e-9)


@pytest.mark.parametrize("length", [1, 2, 60])
def test_clock_is_the_integral_of_speed(length):
    log_speed = np.random.default_rng(2).normal(0, 3, (5, length))
    passed = cumulative_trapezoid(np.exp(log_speed), axis=1, initial=0)
    theirs = passed / np.maximum(passed[:, -1:], 1e-300) * (length - 1)
    np.testing.assert_allclose(warp1d.clock(log_speed), theirs, atol=1e-9)
    assert np.isfinite(warp1d.clock(log_speed * 1e4)).all()


@pytest.mark.parametrize("share", [0.0, 0.13, 0.5, 1.0])
def test_gaps_are_where_they_are_said_to_be(share):
    rng = np.random.default_rng(3)
    cuts, anchors, length = np.sort(rng.random((40, 2)), axis=1), rng.random((40, 3)), 97
    ours = sensor.gaps(cuts, anchors, share, length)
    middle = np.arange(length) + 0.5
    for i in range(40):
        edges = np.concatenate(([0], cuts[i], [1])) * length
        place = edges[:-1] + anchors[i] * np.diff(edges)
        first, last = place - share * (place - edges[:-1]), place + share * (edges[1:] - place)
        theirs = ((middle[:, None] >= first) & (middle[:, None] < last)).any(axis=1)
        assert np.array_equal(ours[i], theirs)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_held_readings_are_pythons_slices(share):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(10, 53, 2))
    cuts, rounding = np.sort(rng.random((10, 2, 2)), axis=2), rng.random((10, 2, 3))
    theirs = x.copy()
    for i, c in np.ndindex(10, 2):
        edges = [0, *np.ceil(cuts[i, c] * 53).astype(int).tolist(), 53]
        for k in range(3):
            first, end = edges[k], edges[k + 1]
            last = min(end, first + 1 + int(share * (end - first - 1) + rounding[i, c, k]))
            theirs[i, first:last, c] = theirs[i, first, c] if first < 53 else 0
    assert np.array_equal(sensor.held(x, cuts, rounding, share), theirs)


def test_clipping_is_numpys():
    x = np.random.default_rng(5).normal(size=(8, 40, 3))
    mean, low, high = x.mean(axis=1, keepdims=True), x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    for share in (0.0, 0.4, 1.0):
        theirs = np.clip(x, low + share * (mean - low), high - share * (high - mean))
        np.testing.assert_allclose(sensor.clipped(x, share), theirs, atol=1e-12)


def test_random_bits_are_numpys_philox():
    ours = bits.random_bits(np.uint64(2**63 + 5), np.array([0, 7], np.uint64), 21)
    for row, key in zip(ours, (0, 7), strict=True):
        theirs = np.random.Philox(key=np.array([2**63 + 5, key], np.uint64)).random_raw(11)
        assert row.tolist() == np.stack([theirs & 0xFFFFFFFF, theirs >> 32], axis=1).ravel()[:21].tolist()


def test_normals_are_normal_and_made_by_box_and_muller():
    drawn = bits.random_bits(np.uint64(1), np.arange(40, dtype=np.uint64), 5000)
    ours = bits.normals(drawn)
    u = (drawn >> 8).astype(np.float64) / 2**24
    radius, angle = np.sqrt(-2 * np.log(u[:, :2500] + 2.0**-25)), 2 * np.pi * u[:, 2500:]
    theirs = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert kstest(ours.ravel(), "norm").pvalue > 0.01
    # Kurtosis and correlation of the two halves, at 4 standard errors of 200,000 numbers.
    assert (ours.astype(np.float64) ** 4).mean() == pytest.approx(3, abs=4 * np.sqrt(96 / ours.size))
    assert abs(np.corrcoef(ours[:, :2500].ravel(), ours[:, 2500:].ravel())[0, 1]) < 4 / np.sqrt(100_000)
    assert bits.normals(np.zeros((1, 2), np.uint32))[0, 0] == pytest.approx(5.887, abs=1e-3)


@pytest.mark.parametrize("height", [np.array([2.0]), np.array([1.0, 2.0, 4.0])])
def test_spikes_are_numpys_where(height):
    x = np.random.default_rng(10).normal(size=(20, 50, 3))
    drawn = bits.random_bits(np.uint64(1), np.arange(20, dtype=np.uint64), 150)
    words = drawn.reshape(20, 50, 3)
    theirs = np.where((words >> 1) / 2**31 < 0.2, np.where(words & 1, x + height, x - height), x)
    assert np.array_equal(sensor.spiked(x, drawn, 0.2, height), theirs)


def test_rewired_channels_are_numpys_take():
    x = np.random.default_rng(11).normal(size=(9, 20, 5))
    origin = np.random.default_rng(12).permuted(np.tile(np.arange(5), (9, 1)), axis=1)
    assert np.array_equal(sensor.rewired(x, origin), np.take_along_axis(x, origin[:, None, :], axis=2))


def test_replaced_channels_are_numpys_where():
    rng = np.random.default_rng(14)
    x, lost, mean = rng.normal(size=(7, 12, 3)), rng.random((7, 3)) < 0.5, rng.normal(size=(12, 3))
    mean[4, 1] = np.nan
    theirs = np.where(lost[:, None, :] & np.isfinite(mean), mean, x)
    assert np.array_equal(sensor.replaced(x, lost, mean), theirs)


def test_strayed_is_a_spline_scaled_to_its_farthest():
    rng = np.random.default_rng(13)
    x, knots, farthest = rng.normal(size=(6, 30, 2)), rng.normal(size=(6, 2, 5)), np.array([0.5, 3.0])
    curve = warp1d.smooth(knots.reshape(12, 5), 30).reshape(6, 2, 30).swapaxes(1, 2)
    curve = curve - curve[:, :1]
    np.testing.assert_allclose(
        warp1d.strayed(x, knots, farthest), x + farthest * curve / np.abs(curve).max(axis=1, keepdims=True), atol=1e-12
    )
    assert np.array_equal(warp1d.strayed(x, np.ones((6, 2, 5)), np.zeros(1)), x)


@pytest.mark.parametrize(("length", "kept"), [(60, 31), (101, 11), (8, 2)])
def test_resample_is_scipys_there_and_back(length, kept):
    """With the series continued by its mirror image, and as many cosines kept as the lower rate holds."""
    x = np.random.default_rng(6).normal(size=(4, length)).cumsum(axis=1)
    mirrored = np.concatenate([x, x[:, ::-1]], axis=1)
    theirs = scipy_resample(scipy_resample(mirrored, 2 * kept - 1, axis=1), 2 * length, axis=1)[:, :length]
    # Sampling times of the mirrored series are t + ½; resampling keeps the first at 0, so both come back to the same.
    ours = series_time.resample(x.copy(), 1 - (kept - 1) / (length - 1), ONE)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def tsaug_drift(rng: np.random.Generator, n: int, length: int) -> Array:
    """Drift of tsaug 0.2.1 with three drift points, before it is scaled to the series' range: largest value 1."""
    anchors = np.cumsum(rng.normal(size=(n, 5)), axis=1)
    curve = CubicSpline(np.linspace(0, length, 5), anchors, axis=1)(np.arange(length))
    curve -= curve[:, :1]
    return np.asarray(curve / np.abs(curve).max(axis=1, keepdims=True))


def test_drift_is_distributed_as_tsaugs():
    """Root mean square, mean and roughness of 4,000 drifts: within 3 %."""
    n, length = 4000, 300
    ours = series_values.drift(np.zeros((n, length)), 1.0, draws(n), ONE, unit_statistics(length))
    theirs = tsaug_drift(np.random.default_rng(7), n, length)
    for summary in (
        lambda d: np.sqrt(np.square(d).mean()),
        lambda d: np.abs(d.mean(axis=1)).mean(),
        lambda d: np.abs(np.diff(d, axis=1)).mean(),
        lambda d: np.abs(d[:, -1]).mean(),
    ):
        assert summary(ours) == pytest.approx(summary(theirs), rel=0.03)


def um_times(rng: np.random.Generator, n: int, length: int, sigma: float) -> Array:
    """Warped times of Um et al. 2017 (their published DistortTimesteps): a spline of speed, summed, scaled to the end.

    Theirs begin one step late, at the first speed; here they begin at 0.
    """
    speed = CubicSpline(np.linspace(0, length - 1, 6), rng.normal(1, sigma, (n, 6)), axis=1)(np.arange(length))
    times = np.cumsum(speed, axis=1) - speed[:, :1]
    return np.asarray(times * (length - 1) / times[:, -1:])


@pytest.mark.parametrize("severity", [0.05, 0.1, 0.2])
def test_time_warp_displaces_as_um_et_al_do(severity):
    """Mean distance by which a sample is moved, and its standard deviation over time: within 5 % up to their σ."""
    n, length = 4000, 200
    ramp = np.broadcast_to(np.arange(length, dtype=np.float64), (n, length)).copy()
    ours = series_time.time_warp(ramp.copy(), severity, draws(n), ONE) - ramp
    theirs = um_times(np.random.default_rng(8), n, length, severity) - ramp
    assert np.abs(ours).mean() == pytest.approx(np.abs(theirs).mean(), rel=0.05)
    assert ours[:, 100].std() == pytest.approx(theirs[:, 100].std(), rel=0.05)


def test_against_tsaug_itself():
    """Noise σ, and how far drift and dropout move a series, within 5 % of tsaug 0.2.1 at the same parameters."""
    tsaug = pytest.importorskip("tsaug", reason="tsaug is not installed")
    n, length = 2000, 120
    x = np.random.default_rng(9).normal(size=(n, length))
    statistics = unit_statistics(length)

    def rms(new: Array) -> float:
        return float(np.sqrt(np.square(new - x).mean()))

    noise = tsaug.AddNoise(scale=0.2, normalize=False, seed=1).augment(x)
    assert rms(series_values.gaussian_noise(x.copy(), 0.2, draws(n), ONE, statistics)) == pytest.approx(
        rms(noise), rel=0.05
    )
    drift = tsaug.Drift(max_drift=0.5, normalize=False, seed=1).augment(x)
    assert rms(series_values.drift(x.copy(), 0.5, draws(n), ONE, statistics)) == pytest.approx(rms(drift), rel=0.05)
    # tsaug's p is the chance that a gap begins, so that gaps of one sample cover p of the time.
    dropout = tsaug.Dropout(p=0.1, size=1, fill=0.0, seed=1).augment(x)
    assert rms(series_time.dropout(x.copy(), 0.1, draws(n), ONE)) == pytest.approx(rms(dropout), rel=0.05)
