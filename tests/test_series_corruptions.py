"""Corruptions of series: what each does to which reading, layouts, short and constant series, and real ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from helpers.one_modality import OneModality
from mmaudit.errors import BadInput, NotApplicable
from mmaudit.probes import probes
from mmaudit.probes.corruption import series_time, series_values
from mmaudit.types import Array, Modality

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
TWO_CHANNELS = ("channel_swap", "missing_channel")
SHARES = ("spikes", "stuck_at", "saturation", "missing_channel", "dropout", "resample", "channel_swap")
NUMERIC = ("gaussian_noise_additive", "gaussian_noise_convex")
ANY = ("gaussian_noise", "drift", "jitter", "time_warp", *(n for n in SHARES if n not in TWO_CHANNELS))
EVERY = (*ANY, *TWO_CHANNELS)


class Series(OneModality):
    def __init__(self, x: Array | list[Array], layout: str | None = "TC") -> None:
        super().__init__(x, Modality("x", "series", layout=layout))


def waves(n: int = 300, length: int = 200, channels: int = 3, seed: int = 0) -> Array:
    """Smooth series: channels differ in mean and σ."""
    rng = np.random.default_rng(seed)
    t = np.arange(length)[None, :, None]
    phase, speed = rng.uniform(0, 6.3, (n, 1, channels)), rng.uniform(0.02, 0.1, (n, 1, channels))
    level, size = 50.0 * np.arange(channels), 10.0 ** np.arange(channels)
    return (level + size * np.sin(phase + speed * t) + 0.1 * size * rng.normal(size=(n, length, channels))).astype("f4")


@pytest.fixture(scope="module")
def series() -> Series:
    return Series(waves())


def sigma(x: Array) -> Array:
    return np.asarray(x.std(axis=(0, 1), dtype=np.float64))


def test_gaussian_noise_has_the_channels_sigma(series):
    for severity in (0.05, 0.8):
        noise = (series.after("gaussian_noise", severity) - series.x) / sigma(series.x)
        np.testing.assert_allclose(noise.std(axis=(0, 1)), severity, rtol=0.02)
        np.testing.assert_allclose(noise.mean(axis=(0, 1)), 0, atol=severity * 0.02)


def test_drift_begins_at_nothing_is_smooth_and_strays_by_sigma(series):
    new = (series.after("drift", 2.0) - series.x) / sigma(series.x)
    np.testing.assert_allclose(new[:, 0], 0, atol=1e-4)
    np.testing.assert_allclose(np.abs(new).max(axis=1), 2, rtol=1e-3)
    assert np.abs(np.diff(new, axis=1)).max() < 0.3
    # Channels drift independently of each other.
    assert abs(np.corrcoef(new[:, -1, 0], new[:, -1, 1])[0, 1]) < 0.2


def test_spikes_are_single_readings_off_by_five_sigma(series):
    off = (series.after("spikes", 0.02) - series.x) / sigma(series.x)
    hit = off != 0
    np.testing.assert_allclose(np.abs(off[hit]), 5, rtol=1e-3)
    assert hit.mean() == pytest.approx(0.02, abs=0.002)
    assert (off[hit] > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert np.array_equal(series.after("spikes", 0.1)[hit], series.after("spikes", 0.02)[hit])


def test_stuck_at_repeats_three_readings_at_most(series):
    everywhere = series.after("stuck_at", 1.0)
    changes = np.diff(everywhere, axis=1) != 0
    assert changes.sum(axis=1).max() == 2
    half = series.after("stuck_at", 0.5)
    # Stuck is what equals its predecessor: the clean series never does.
    assert (np.diff(series.x, axis=1) == 0).mean() < 1e-4
    assert (np.diff(half, axis=1) == 0).mean() == pytest.approx(0.5, abs=0.01)
    stuck = half != series.x
    assert np.array_equal(half[stuck], everywhere[stuck]), "the same readings are repeated at every severity"
    assert not stuck[:, 0].any()


def test_saturation_cuts_the_range_of_each_series_and_channel(series):
    x, new = series.x.astype(np.float64), series.after("saturation", 0.25).astype(np.float64)
    mean = x.mean(axis=1, keepdims=True)
    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    expected = np.clip(x, low + 0.25 * (mean - low), high - 0.25 * (high - mean))
    np.testing.assert_allclose(new, expected, rtol=1e-5)
    np.testing.assert_allclose(series.after("saturation", 1.0), np.broadcast_to(mean, x.shape), rtol=1e-5, atol=1e-4)


def test_missing_channel_leaves_the_mean(series):
    for severity, channels in ((1 / 3, 1), (2 / 3, 2), (1.0, 3)):
        lost = (series.after("missing_channel", severity) != series.x).all(axis=1)
        assert np.array_equal(lost, (series.after("missing_channel", severity) != series.x).any(axis=1))
        assert lost.sum(axis=1).mean() == pytest.approx(channels, abs=1e-3)
    np.testing.assert_allclose(series.after("missing_channel", 1.0)[0], series.x.mean(axis=0), rtol=1e-4, atol=1e-3)


def test_dropout_is_three_gaps_in_all_channels(series):
    for severity in (0.05, 0.4, 1.0):
        lost = series.after("dropout", severity) == 0
        assert np.array_equal(lost.any(axis=2), lost.all(axis=2))
        gap = lost[:, :, 0]
        assert gap.mean() == pytest.approx(severity, abs=0.005)
        starts = np.diff(np.pad(gap, ((0, 0), (1, 0))).astype(int), axis=1) == 1
        assert starts.sum(axis=1).max() <= 3
    low, high = (series.after("dropout", s) == 0 for s in (0.1, 0.2))
    assert not (low & ~high).any()


def test_jitter_reads_a_ramp_at_jittered_times():
    ramp = np.broadcast_to(np.arange(400, dtype=np.float32)[:, None] * [1, -1], (50, 400, 2))
    for severity in (0.1, 2.0):
        error = Series(ramp.copy()).after("jitter", severity) - ramp
        np.testing.assert_allclose(error[:, 20:-20, 0].std(), severity, rtol=0.03)
        np.testing.assert_allclose(error[:, :, 0], -error[:, :, 1], atol=1e-4)


def test_time_warp_keeps_start_end_and_order():
    ramp = np.broadcast_to(np.arange(300, dtype=np.float32)[:, None], (60, 300, 1)).copy()
    ways = [Series(ramp).after("time_warp", severity) for severity in (0.05, 0.2, 0.8, 5.0)]
    for new in ways:
        np.testing.assert_allclose(new[:, [0, -1], 0], np.broadcast_to([0, 299], (60, 2)), atol=1e-3)
        assert (np.diff(new, axis=1) >= 0).all()
    displaced = [np.abs(new - ramp).mean(axis=(1, 2)) for new in ways]
    assert all((a < b).all() for a, b in pairwise(displaced[:3]))


def test_resample_takes_away_what_is_above_the_band():
    t = np.arange(256) + 0.5
    slow, fast = np.cos(np.pi * 20 * t / 256), np.cos(np.pi * 200 * t / 256)
    both = Series(np.stack([slow + fast + 7, slow + 7]).astype("f4")[:, :, None])
    new = both.after("resample", 0.5)
    np.testing.assert_allclose(new[0, :, 0], slow + 7, atol=1e-4)
    np.testing.assert_allclose(new[1, :, 0], slow + 7, atol=1e-4)
    np.testing.assert_allclose(both.after("resample", 1.0), 7, atol=1e-4)


def test_channel_swap_exchanges_whole_channels(series):
    new = series.after("channel_swap", 1.0)
    assert np.array_equal(np.sort(new, axis=2), np.sort(series.x, axis=2))
    origin = (new[:, 0, :, None] == series.x[:, 0, None, :]).argmax(axis=2)
    assert (np.sort((origin == np.arange(3)), axis=1) == [False, False, True]).all(), "one pair of three"
    assert np.array_equal(new, np.take_along_axis(series.x, origin[:, None, :], axis=2))


@pytest.mark.parametrize("name", EVERY)
def test_layout_makes_no_difference(series, name):
    severity = probes.get(f"series.{name}").severities[2]
    other = Series(np.ascontiguousarray(series.x.swapaxes(1, 2)), "CT").after(name, severity)
    np.testing.assert_allclose(other.swapaxes(1, 2), series.after(name, severity), rtol=1e-5, atol=1e-5)
    if name in ANY:
        flat = Series(series.x[:, :, 0], None).after(name, severity)
        one = Series(series.x[:, :, :1]).after(name, severity)
        np.testing.assert_allclose(flat, one[:, :, 0], rtol=1e-5, atol=1e-5)


def test_one_channel_and_unknown_time_decline():
    flat, unknown = Series(waves()[:, :, 0], None), Modality("x", "series", (20, 4), "float32")
    assert {n for n in EVERY if flat.declined(n)} == set(TWO_CHANNELS)
    assert flat.declined("channel_swap") == ["'x' has one channel, and two are needed"]
    for module in (series_time, series_values):
        assert "declares no layout; series of two axes need 'TC' or 'CT'" in str(module.no_time_axis(unknown))
    assert "declares no layout" in str(series_values.one_channel(unknown))
    with pytest.raises(NotApplicable, match="declares no layout"):
        series_values.saturation(np.zeros((2, 20, 4), np.float32), 0.5, unknown)


@pytest.mark.parametrize("name", SHARES)
def test_shares_above_one_are_refused(series, name):
    with pytest.raises(BadInput, match=f"{name}: severity 1.5 is above 1; it is a share of the"):
        series.after(name, 1.5)


@pytest.mark.parametrize("name", EVERY)
def test_constant_series_stay_or_lose_their_level_only(name):
    """No σ, nothing to warp, nothing to cut; a dropout still reads 0, and swapped channels swap."""
    levels = np.array([3.0, -2.0], np.float32)
    constant = Series(np.broadcast_to(levels, (20, 50, 2)).copy())
    new = constant.after(name, probes.get(f"series.{name}").severities[4])
    assert np.isfinite(new).all()
    if name == "dropout":
        assert set(np.unique(new)) == {0.0, 3.0, -2.0}
    elif name == "channel_swap":
        assert np.array_equal(new, np.broadcast_to(levels[::-1], new.shape))
    else:
        assert np.array_equal(new, constant.x)


@pytest.mark.parametrize("name", EVERY)
def test_series_of_one_sample_between_longer_ones(name):
    long = waves(30)
    lengths = [200 if i % 3 else 1 for i in range(30)]
    ragged = Series([x[:length].copy() for x, length in zip(long, lengths, strict=True)])
    new = ragged.after(name, probes.get(f"series.{name}").severities[3])
    assert [x.shape for x in new] == [x.shape for x in ragged.x]
    assert all(np.isfinite(x).all() for x in new)
    assert any(not np.array_equal(a, b) for a, b in zip(new, ragged.x, strict=True))


@pytest.mark.parametrize("layout", ["TC", "CT"])
def test_series_of_differing_length_know_each_channels_sigma_and_mean(layout):
    """Channels of σ 0.7, 7 and 70: by one σ for all, the quiet one would drown in the noise of the loud one."""
    lengths = np.random.default_rng(1).integers(40, 200, 300)
    parts = [x[:length] for x, length in zip(waves(), lengths, strict=True)]
    everything = np.concatenate(parts).astype(np.float64)
    level, size = everything.mean(axis=0), everything.std(axis=0)
    ragged = Series([np.ascontiguousarray(x if layout == "TC" else x.T) for x in parts], layout)

    def in_sigma(name: str, severity: float) -> list[Array]:
        new = ragged.after(name, severity)
        return [((b if layout == "TC" else b.T) - a) / size for a, b in zip(parts, new, strict=True)]

    noise = np.concatenate(in_sigma("gaussian_noise", 0.2))
    np.testing.assert_allclose(noise.std(axis=0), 0.2, rtol=0.02)
    spikes = np.concatenate(in_sigma("spikes", 0.1))
    np.testing.assert_allclose(np.abs(spikes[spikes != 0]), 5, rtol=1e-3)
    strayed = [np.abs(x).max(axis=0) for x in in_sigma("drift", 2.0)]
    np.testing.assert_allclose(strayed, 2, rtol=1e-3)
    for a, lost in zip(parts, in_sigma("missing_channel", 1.0), strict=True):
        np.testing.assert_allclose(a + lost * size, np.broadcast_to(level, a.shape), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float16, np.float64])
def test_any_dtype_is_kept(dtype):
    x = (waves(30, channels=2) * 4 + 100).clip(0, 255).astype(dtype)
    for name in EVERY:
        new = Series(x).after(name, probes.get(f"series.{name}").severities[4])
        assert new.dtype == dtype
        assert (new != x).any(), name


def shared(name: str, key: str) -> Array:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"shared data {name} is not on this machine")
    with np.load(path) as file:
        x: Array = file[key]
    return x


def assert_grows(series: Series, names: tuple[str, ...]) -> None:
    for name in names:
        far = series.curve(name)
        assert len(far) == 5
        assert all(a < b for a, b in pairwise([0.0, *far])), (name, far)


@pytest.mark.parametrize("view", ["fac", "fou", "kar", "mor", "pix", "zer"])
def test_more_severity_moves_real_features_further(view):
    assert_grows(Series(shared("mfeat.npz", view)[::5], None), ANY + NUMERIC)


@pytest.mark.parametrize("layout", ["TC", "CT"])
def test_more_severity_moves_real_images_by_line_further(layout):
    """mfeat's pixel averages, 16 lines of 15: a series of several channels whose neighbours are alike."""
    assert_grows(Series(shared("mfeat.npz", "pix")[::5].reshape(-1, 16, 15), layout), EVERY)


def test_more_severity_moves_real_sound_further():
    """8,000 samples at 8 kHz: all but time_warp, which leaves the correlation time of sound at its first severity."""
    sound = Series(shared("avmnist.npz", "audio")[::20], None)
    assert_grows(sound, tuple(name for name in ANY + NUMERIC if name != "time_warp"))
    assert probes.get("series.time_warp").not_monotone
    far = sound.curve("time_warp")
    assert min(far) > 1, "each severity moves it about as far as another recording"
