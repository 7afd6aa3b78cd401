"""Audio corruptions on layouts, spectrograms, unknown sampling rates, short and real recordings."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from helpers.audio_bench import NAMES, Recordings
from helpers.audio_signals import RATE, rms, sounds
from helpers.probe_samples import source_of, whole
from mmaudit.data import ArrayData
from mmaudit.errors import BadInput
from mmaudit.probes import probes
from mmaudit.types import Modality, Task

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
HERTZ = ("background_babble", "background_music", "band_pass", "high_pass", "hum", "packet_loss", "reverb")
BOTH = ("dropout", "frequency_mask", "gain", "gaussian_snr", "packet_loss", "pitch_shift", "time_mask", "time_stretch")
SHARES = ("clipping", "dropout", "frequency_mask", "packet_loss", "resample", "time_mask")
# Each channel gets noise, or a place in the background, of its own.
APART = ("background_babble", "gaussian_snr", "reverb")
# Levels, steps and the like are those of all channels together.
TOGETHER = ("clipping", "gaussian_snr", "background_babble", "background_music", "hum", "mp3_compression", "reverb")


def stereo() -> np.ndarray:
    x = np.stack(sounds(4))
    return np.stack([x, np.roll(x, 50, axis=1) * np.float32(0.5)], axis=1)[:, :, :16000]


def spectrogram(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 1, (6, 40, 50)).astype(np.float32)


def test_there_are_the_eighteen():
    wanted = (
        "background_babble background_music band_pass clipping dropout frequency_mask gain gaussian_snr high_pass hum"
    )
    wanted += " low_pass mp3_compression packet_loss pitch_shift resample reverb time_mask time_stretch"
    assert sorted(NAMES) == wanted.split()


@pytest.mark.parametrize("name", NAMES)
def test_unknown_sampling_rate_declines_what_needs_it(name):
    reasons = Recordings(np.stack(sounds(2)), rate=None).reasons(name)
    if name in HERTZ:
        assert reasons == ["'x' declares no sample_rate, and this is measured in Hz or seconds"]
    else:
        assert not reasons
        made = Recordings(np.stack(sounds(2))[:, :8000], rate=None)
        assert min(made.curve(name)) > 0


def test_low_sampling_rates_decline_what_does_not_fit_into_them():
    for rate, declined in (
        (4000, {"high_pass"}),
        (1000, {"high_pass", "band_pass", "background_babble", "background_music"}),
    ):
        made = Recordings(np.stack(sounds(2))[:, :4000], rate=rate)
        assert {n for n in NAMES if made.reasons(n)} == declined
        assert str(rate) in made.reasons("high_pass")[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["FT", "TF"])
def test_spectrograms_get_what_makes_sense_for_them(name, layout):
    x = spectrogram() if layout == "FT" else spectrogram().swapaxes(1, 2)
    made = Recordings(x, layout=layout)
    if name not in BOTH:
        assert made.reasons(name) == ["'x' is a spectrogram, and this is done to waveforms"]
        return
    curve = made.curve(name)
    assert all(a < b for a, b in pairwise(curve))
    other = Recordings(spectrogram(), layout="FT")
    for severity in probes.get(f"audio.{name}").severities:
        ours = made.after(name, severity)
        np.testing.assert_array_equal(ours if layout == "FT" else ours.swapaxes(1, 2), other.after(name, severity))


def test_spectrograms_in_decibels():
    """Silence is the lowest value, masks take the mean, gain adds: whatever the zero of the scale."""
    level = 10 * np.log10(spectrogram()) - 60
    made = Recordings(level, layout="FT", unit="dB FS")
    difference = made.after("gain", 6.0) - made.x
    np.testing.assert_allclose(np.abs(difference), 6, atol=1e-4)
    lowest = level.min(axis=(1, 2))
    for name, blank in (("dropout", lowest), ("packet_loss", lowest), ("time_mask", level.mean(axis=(1, 2)))):
        new = made.after(name, probes.get(f"audio.{name}").severities[-1])
        for x, y, value in zip(made.x, new, blank, strict=True):
            frames = np.flatnonzero((x != y).any(axis=0))
            assert len(frames) > 5
            np.testing.assert_allclose(y[:, frames[1:-1]][x[:, frames[1:-1]] != y[:, frames[1:-1]]], value, atol=1e-3)
    noise = made.after("gaussian_snr", 1.0) - made.x
    np.testing.assert_allclose(noise.std(axis=(1, 2)), level.std(axis=(1, 2)), rtol=0.02)


def test_the_pitch_of_a_spectrogram_moves_along_its_frequencies():
    x = np.zeros((12, 64, 5), np.float32)
    x[:, 20] = 1
    found = Recordings(x, layout="FT").after("pitch_shift", 12.0)
    tops = {int(np.argmax(y[:, 0])) for y in found}
    assert tops == {10, 40}


@pytest.mark.parametrize("name", NAMES)
def test_channels_first_and_channels_last_are_the_same(name):
    first = Recordings(stereo(), layout="CT")
    last = Recordings(stereo().swapaxes(1, 2), layout="TC")
    for severity in probes.get(f"audio.{name}").severities[::2]:
        np.testing.assert_array_equal(first.after(name, severity), last.after(name, severity).swapaxes(1, 2))


@pytest.mark.parametrize("name", NAMES)
def test_channels_share_what_they_share_in_reality(name):
    twice = np.repeat(stereo()[:, :1], 2, axis=1)
    severity = probes.get(f"audio.{name}").severities[2]
    new = Recordings(twice, layout="CT").after(name, severity)
    assert np.array_equal(new[:, 0], new[:, 1]) == (name not in APART)
    if name not in TOGETHER:
        alone = Recordings(twice[:, 0]).after(name, severity)
        np.testing.assert_array_equal(new[:, 0], alone)


@pytest.mark.parametrize("name", NAMES)
def test_recordings_of_all_lengths(name):
    """Of several lengths in one data set; nothing is raised, and long ones change."""
    rng = np.random.default_rng(0)
    x = [rng.normal(0, 0.1, n).astype(np.float32) for n in (1, 2, 3, 5, 16, 50, 333, 4000)]
    made = Recordings(x)
    for severity in probes.get(f"audio.{name}").severities:
        new = made.after(name, severity)
        for before, after in zip(x, new, strict=True):
            assert after.shape == before.shape
            assert np.isfinite(after).all()
        assert not np.array_equal(new[-1], x[-1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_silence_stays_silence(name, dtype):
    new = Recordings(np.zeros((3, 2000), dtype)).after(name, probes.get(f"audio.{name}").severities[-1])
    assert new.dtype == dtype
    assert not new.any()


@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers_and_fractions_agree(name):
    """int16 and float are corrupted alike, up to rounding to whole numbers and what is clipped."""
    x = np.stack(sounds(3))[:, :8000]
    whole = np.rint(x * 8000).astype(np.int16)
    severity = probes.get(f"audio.{name}").severities[1]
    one = Recordings(whole).after(name, severity)
    other = Recordings(whole.astype(np.float32)).after(name, severity)
    assert one.dtype == np.int16
    # Whole numbers stay only as near as half a step.
    assert np.abs(one - np.clip(other, -32768, 32767)).max() <= 0.51


@pytest.mark.parametrize("name", NAMES)
def test_the_legal_range_is_kept(name):
    x = np.clip(np.stack(sounds(3))[:, :8000] * 3, -1, 1)
    for severity in probes.get(f"audio.{name}").severities:
        new = Recordings(x, limits=(-1, 1)).after(name, severity)
        assert np.abs(new).max() <= 1


@pytest.mark.parametrize("name", SHARES)
def test_a_share_above_one_is_refused(name):
    with pytest.raises(BadInput, match=f"{name}: severity 1.2 is above 1"):
        Recordings(np.stack(sounds(2))).after(name, 1.2)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in SHARES])
@pytest.mark.parametrize("severity", [1e-6, 1e-3, 50.0, 1e5])
def test_severities_far_from_the_table_are_finite_or_refused(name, severity):
    made = Recordings(np.stack(sounds(2))[:, :3000])
    if name in ("gain", "pitch_shift") and severity > 200:
        with pytest.raises(BadInput, match=r"severity 100000 is above (200 dB|60 semitones)"):
            made.after(name, severity)
    else:
        assert np.isfinite(made.after(name, severity)).all()


@pytest.mark.parametrize("name", NAMES)
def test_severities_near_nothing_do_nearly_nothing(name):
    made = Recordings(np.stack(sounds(6)))
    first = probes.get(f"audio.{name}").severities[0]
    near = rms(made.after(name, first / 1000) - made.x)
    assert near < 0.4 * rms(made.after(name, first) - made.x)


@pytest.mark.parametrize("name", ["dropout", "packet_loss", "time_mask"])
def test_what_is_lost_stays_lost_at_higher_severities(name):
    made = Recordings(np.random.default_rng(1).standard_normal((20, RATE)).astype(np.float32))
    before = np.zeros(made.x.shape, bool)
    for severity in (*probes.get(f"audio.{name}").severities, 0.95, 1.0):
        lost = made.after(name, severity) == 0
        assert not np.any(before & ~lost)
        before = lost


def test_real_spoken_digits_move_further_with_every_severity():
    path = SHARED / "avmnist.npz"
    if not path.exists():
        pytest.skip("shared data avmnist.npz is not on this machine")
    with np.load(path) as file:
        x, length = file["audio"][::100], file["audio_length"][::100]
    for made in (Recordings(x, rate=8000), Recordings([a[:n] for a, n in zip(x, length, strict=True)], rate=8000)):
        for name in NAMES:
            curve = made.curve(name)
            assert curve[0] > 0
            if not made.probe(name).not_monotone:
                assert all(a < b for a, b in pairwise(curve)), (name, curve)


def test_clipping_does_not_count_what_a_recording_is_padded_with():
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.2, 2000).astype(np.float32)
    padded = np.concatenate([np.zeros(500, np.float32), sound, np.zeros(5500, np.float32)])
    for severity in (0.05, 0.4, 1.0):
        alone, inside = (_clipped(x, severity) for x in (sound, padded))
        assert np.array_equal(inside[500:2500], alone)
        assert np.count_nonzero(alone != sound) == pytest.approx(severity * 2000, abs=2)
    silence = np.zeros(300, np.float32)
    assert np.array_equal(_clipped(silence, 0.4), silence)


def _clipped(x, severity):
    data = ArrayData({"a": x[None]}, [1.0], Task.regression(), modalities=[Modality("a", "audio")])
    probe = probes.get("audio.clipping")
    return probe.apply(whole(data), probe.condition(("a",), severity), source_of(data)).inputs["a"][0]


WAVEFORM = sorted(p.name for p in probes if p.kinds == ("audio",) and p.family == "corruption")


def corrupted(x, name: str, severity: float) -> np.ndarray:
    data = ArrayData({"x": x}, np.arange(len(x)) % 2, Task.classification(2), modalities=[recorded()])
    probe = probes.get(name)
    return probe.apply(whole(data), probe.condition(("x",), severity), source_of(data)).inputs["x"]


def recorded() -> Modality:
    return Modality("x", "audio", sample_rate=RATE)


def test_the_readings_of_gaussian_noise_are_among_the_probes_of_sounds():
    assert len(WAVEFORM) == len(NAMES) + 2
    assert {"audio.gaussian_noise_additive", "audio.gaussian_noise_convex"} < set(WAVEFORM)


@pytest.mark.parametrize("name", WAVEFORM)
def test_the_same_sound_as_unsigned_numbers_is_corrupted_in_the_same_way(name):
    """Silence of unsigned PCM is the middle of its range: 128 of 8 bits, 32,768 of 16."""
    x = np.stack(sounds(3))[:, :8000]
    signed = np.rint(x / np.abs(x).max() * 20_000).astype(np.int16)
    unsigned = (signed.astype(np.int32) + 2**15).astype(np.uint16)
    severity = probes.get(name).severities[2]
    expected, found = corrupted(signed, name, severity), corrupted(unsigned, name, severity)
    assert found.dtype == np.uint16
    assert (expected != signed).any()
    assert np.array_equal(found.astype(np.int32) - 2**15, expected)
    ragged = [row[: 8000 - 100 * i] for i, row in enumerate(unsigned)]
    first = corrupted(ragged, name, severity)[0]
    assert np.abs(first - 2.0**15).mean() < 2 * np.abs(expected[0].astype(float)).mean(), "no offset of half the range"
    # 8 bits are coarser, and else the same.
    coarse = np.rint(signed / 256 + 128).astype(np.uint8)
    change = rms(corrupted(coarse, name, severity).astype(float) - coarse) / rms(coarse - 128.0)
    assert change == pytest.approx(rms(expected.astype(float) - signed) / rms(signed.astype(float)), rel=0.2, abs=0.02)
