"""What each audio corruption does, beside closed forms and scipy.signal: levels, spectra, decay, pitch, pace."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import signal

from helpers.audio_bench import Recordings
from helpers.audio_signals import RATE, envelope_shift, rms, sounds
from mmaudit.probes import probes

LENGTH = 32000


@pytest.fixture(scope="module")
def voices() -> Recordings:
    return Recordings(np.stack(sounds()))


@pytest.fixture(scope="module")
def white() -> Recordings:
    return Recordings(np.random.default_rng(0).standard_normal((6, LENGTH)).astype(np.float32))


@pytest.fixture(scope="module")
def impulses() -> Recordings:
    x = np.zeros((6, LENGTH), np.float32)
    x[:, LENGTH // 2] = 1
    return Recordings(x)


def severities(name):
    return probes.get(f"audio.{name}").severities


def frequencies(length=LENGTH):
    return np.fft.rfftfreq(length, 1 / RATE)


def power(x):
    return np.square(np.abs(np.fft.rfft(np.asarray(x, np.float64), axis=-1)))


@pytest.mark.parametrize(
    ("name", "decibels"),
    [
        ("gaussian_snr", (40, 30, 20, 10, 0)),
        *((name, (20, 15, 10, 5, 0)) for name in ("background_babble", "background_music", "hum")),
    ],
)
def test_the_signal_to_noise_ratio_is_met_within_a_tenth_of_a_decibel(voices, name, decibels):
    for severity, wanted in zip(severities(name), decibels, strict=True):
        for x, y in zip(voices.x, voices.after(name, severity), strict=True):
            assert 20 * np.log10(rms(x) / rms(np.subtract(y, x, dtype=np.float64))) == pytest.approx(wanted, abs=0.1)


def test_gaussian_noise_is_white_and_normal(voices):
    noise = np.subtract(voices.after("gaussian_snr", 1.0), voices.x, dtype=np.float64)
    noise /= noise.std(axis=1, keepdims=True)
    assert abs(np.mean(noise**3)) < 0.03
    assert np.mean(noise**4) == pytest.approx(3, abs=0.06)
    bands = power(noise)[:, :-1].reshape(len(noise), 16, -1).mean(axis=(0, 2))
    np.testing.assert_allclose(bands / bands.mean(), 1, atol=0.06)
    assert abs(np.corrcoef(noise)[0, 1]) < 0.03


def test_hum_is_harmonics_of_the_mains(voices):
    noise = np.subtract(voices.after("hum", 1.0), voices.x, dtype=np.float64)
    found = power(noise * np.hanning(LENGTH))
    fundamentals = set()
    for spectrum in found:
        lines = frequencies()[spectrum > 1e-4 * spectrum.max()]
        fundamental = 50 if np.any(np.abs(lines - 50) < 1) else 60
        fundamentals.add(fundamental)
        assert np.abs(lines / fundamental - np.rint(lines / fundamental)).max() < 2 / fundamental
        heights = [np.sqrt(spectrum[np.abs(frequencies() - k * fundamental) < 2].sum()) for k in range(1, 23)]
        np.testing.assert_allclose(np.array(heights[:20]) / heights[0], 1 / np.arange(1, 21), rtol=0.02)
        assert max(heights[20:]) < 1e-2 * heights[0]
    assert fundamentals == {50, 60}


def test_gain_is_up_or_down_by_decibels(voices):
    ratios = set()
    for severity in severities("gain"):
        for x, y in zip(voices.x, voices.after("gain", severity), strict=True):
            ratios.add(round(20 * np.log10(rms(y) / rms(x)), 2))
    assert ratios == {sign * s for s in severities("gain") for sign in (-1, 1)}


def test_the_share_clipped_is_the_severity(voices):
    for severity in severities("clipping"):
        for x, y in zip(voices.x, voices.after("clipping", severity), strict=True):
            assert np.mean((y <= y.min()) | (y >= y.max())) == pytest.approx(severity, abs=2e-4)
            np.testing.assert_allclose([y.min(), y.max()], np.quantile(x, [severity / 2, 1 - severity / 2]), rtol=1e-5)
            inside = (x > y.min()) & (x < y.max())
            assert np.array_equal(x[inside], y[inside])


def response(order_two, f):
    """Magnitude of scipy's filter there and back."""
    _, h = signal.sosfreqz(order_two, f, fs=RATE)
    return np.abs(h) ** 2


def expected_filter(name, severity):
    if name == "low_pass":
        return signal.butter(2, 8000 * 2.0**-severity, "low", output="sos", fs=RATE)
    if name == "high_pass":
        return signal.butter(2, severity, "high", output="sos", fs=RATE)
    half = 500 / severity
    low = np.hypot(1000, half) - half
    assert low * (low + 1000 / severity) == pytest.approx(1e6)
    return signal.butter(2, (low, low + 1000 / severity), "bandpass", output="sos", fs=RATE)


@pytest.mark.parametrize("name", ["low_pass", "high_pass", "band_pass"])
def test_filters_have_scipys_magnitude_response_and_no_delay(impulses, name):
    for severity in severities(name):
        y = impulses.after(name, severity)[0].astype(np.float64)
        h = np.fft.rfft(np.roll(y, -LENGTH // 2))
        wanted = response(expected_filter(name, severity), frequencies())
        np.testing.assert_allclose(h.real, wanted, atol=2e-3)
        assert np.abs(h.imag).max() < 2e-3


@pytest.mark.parametrize(("name", "severity", "cutoff"), [("low_pass", 4, 500), ("high_pass", 1200, 1200)])
def test_cut_off_is_at_half_the_amplitude_and_slopes_have_24_decibels_per_octave(impulses, name, severity, cutoff):
    h = np.abs(np.fft.rfft(impulses.after(name, severity)[0].astype(np.float64)))
    octave = (cutoff / 4, cutoff / 8) if name == "high_pass" else (cutoff * 2, cutoff * 4)
    at, nearer, farther = 20 * np.log10(h[np.searchsorted(frequencies(), [cutoff, *octave])])
    assert at == pytest.approx(-6.02, abs=0.05)
    assert nearer - farther == pytest.approx(24, abs=1.2)  # the bilinear transform bends it a little


def test_resampling_is_scipys_there_and_back(voices):
    for severity in severities("resample"):
        kept = Fraction(1 - severity)
        for x, y in zip(voices.x, voices.after("resample", severity), strict=True):
            low = signal.resample_poly(x.astype(np.float64), kept.numerator, kept.denominator)
            back = signal.resample_poly(low, kept.denominator, kept.numerator)[: len(x)]
            np.testing.assert_allclose(y, back, atol=2e-6)


def test_resampling_leaves_nothing_above_the_lower_nyquist_frequency(white):
    for severity in severities("resample"):
        spectrum = power(white.after("resample", severity)).mean(axis=0)
        limit = 8000 * (1 - severity)
        assert spectrum[frequencies() > 1.2 * limit].max() < 1e-4 * spectrum[frequencies() < 0.8 * limit].mean()


def test_reverb_decays_by_60_decibels_in_rt60(impulses):
    for severity in severities("reverb"):
        tail = impulses.after("reverb", severity)[:, LENGTH // 2 + 1 :].astype(np.float64)
        # Schroeder's backward integral, from −5 to −20 dB.
        left = np.cumsum((tail**2).mean(axis=0)[::-1])[::-1]
        level = 10 * np.log10(np.maximum(left / left[0], 1e-12))
        # What is cut at the end of the recording is missing in the integral, so only what decays well before it counts.
        first, last = np.searchsorted(-level, 5), np.searchsorted(-level, 20)
        rt60 = 60 / 15 * (last - first) / RATE
        assert rt60 == pytest.approx(severity, rel=0.12 if severity < 1 else 0.2)


def test_reverb_has_the_ratio_of_its_room_and_keeps_the_level(impulses, voices):
    for severity in severities("reverb")[:4]:
        y = impulses.after("reverb", severity).astype(np.float64)
        direct = y[:, LENGTH // 2] ** 2
        reverberant = (y[:, LENGTH // 2 + 1 :] ** 2).sum(axis=1)
        critical = 0.057 * np.sqrt(60 / severity)
        assert np.mean(reverberant / direct) == pytest.approx(1 / critical**2, rel=0.12)
        np.testing.assert_array_equal(y[:, : LENGTH // 2 - 10] < 1e-5, True)
    for severity in severities("reverb"):
        for x, y in zip(voices.x, voices.after("reverb", severity), strict=True):
            assert rms(y) == pytest.approx(rms(x), rel=1e-4)


def test_packets_are_lost_whole_in_bursts_and_at_the_rate_asked_for():
    x = np.ones((40, 20 * RATE), np.float32)
    made = Recordings(x)
    for severity in severities("packet_loss"):
        lost = made.after("packet_loss", severity).reshape(40, 1000, 320) == 0
        assert np.array_equal(lost.all(axis=2), lost.any(axis=2))
        lost = lost[:, :, 0]
        assert lost.mean() == pytest.approx(severity, abs=0.015)
        ends = np.sum(lost[:, :-1] & ~lost[:, 1:])
        assert lost[:, :-1].sum() / ends == pytest.approx(2 / (1 - severity), rel=0.1)


def test_dropout_hits_single_samples_at_its_rate(white):
    for severity in severities("dropout"):
        y = white.after("dropout", severity)
        lost = y == 0
        assert lost.mean() == pytest.approx(severity, abs=0.01)
        assert np.mean(lost[:, 1:] & lost[:, :-1]) == pytest.approx(severity**2, abs=0.01)
        assert np.array_equal(y[~lost], white.x[~lost])


def test_time_mask_silences_one_stretch(white):
    for severity in severities("time_mask"):
        for x, y in zip(white.x, white.after("time_mask", severity), strict=True):
            touched = np.flatnonzero(x != y)
            assert touched[-1] - touched[0] + 1 == pytest.approx(severity * LENGTH, abs=3)
            assert np.mean(y == 0) == pytest.approx(severity - 2 * 80 / LENGTH, abs=1e-4)


def test_frequency_mask_removes_one_band_and_keeps_the_rest(white):
    for severity in severities("frequency_mask"):
        after = np.pad(white.after("frequency_mask", severity), ((0, 0), (0, LENGTH)))
        before = np.pad(white.x, ((0, 0), (0, LENGTH)))
        for x, y in zip(power(before), power(after), strict=True):
            ratio = (np.convolve(y, np.ones(40), "same") / np.convolve(x, np.ones(40), "same"))[::2]
            blank = ratio < 0.01
            assert blank.mean() == pytest.approx(severity, abs=0.02)
            inside = np.flatnonzero(blank)
            assert np.mean(blank[inside[0] : inside[-1] + 1]) > 0.98
            far = np.ones(len(ratio), bool)
            far[max(inside[0] - 400, 0) : inside[-1] + 400] = False
            np.testing.assert_allclose(np.sqrt(ratio[far]).mean(), 1, atol=0.01)


def tones(frequency=440.0, count=12, seconds=2):
    t = np.arange(seconds * RATE) / RATE
    return Recordings(np.stack([np.sin(2 * np.pi * frequency * t + p) for p in range(count)]).astype(np.float32))


def peak(y):
    y = y[4000:-8000].astype(np.float64)
    return float(np.argmax(power(y * np.hanning(len(y)))) * RATE / len(y))


@pytest.mark.parametrize("semitones", [0.5, 1, 2, 3, 4, 7, 12])
def test_a_sine_shifted_in_pitch_peaks_where_it_should(semitones):
    shifts, one_bin = set(), RATE / (2 * RATE - 12000)
    for y in tones().after("pitch_shift", semitones):
        shift = semitones if peak(y) > 440 else -semitones
        shifts.add(shift)
        assert abs(peak(y) - 440 * 2 ** (shift / 12)) <= one_bin
        steady = np.abs(signal.hilbert(y[4000:-8000].astype(np.float64)))[200:-200]
        np.testing.assert_allclose(steady, 1, atol=0.03)
    assert len(shifts) == 2


@pytest.mark.parametrize("severity", [0.05, 0.25, 0.6])
def test_a_stretched_sine_keeps_its_pitch_and_level(severity):
    for y in tones().after("time_stretch", severity):
        assert abs(peak(y) - 440) <= RATE / (2 * RATE - 12000)
        np.testing.assert_allclose(np.abs(signal.hilbert(y[4000:-14000].astype(np.float64)))[200:-200], 1, atol=0.03)


def clicks(*times):
    x = np.zeros((12, LENGTH), np.float32)
    for t in times:
        x[:, int(t * RATE)] = 1
    return Recordings(x)


def test_stretching_moves_events_by_the_rate():
    rates = set()
    for y in clicks(1.0).after("time_stretch", 0.25):
        at = np.sum(np.arange(LENGTH) * y.astype(np.float64) ** 2) / np.sum(y.astype(np.float64) ** 2) / RATE
        rate = 1.25 if at < 1 else 0.8
        rates.add(rate)
        assert at == pytest.approx(1 / rate, abs=0.012)
    assert rates == {0.8, 1.25}
    for y in clicks(1.0).after("pitch_shift", 4):
        at = np.sum(np.arange(LENGTH) * y.astype(np.float64) ** 2) / np.sum(y.astype(np.float64) ** 2) / RATE
        assert at == pytest.approx(1, abs=0.012)


def test_stretching_changes_the_pace_of_syllables():
    """Bursts of noise four times per second come 5 or 3.2 times per second afterwards."""
    t = np.arange(LENGTH) / RATE
    bursts = np.random.default_rng(3).standard_normal((8, LENGTH)) * np.clip(np.sin(2 * np.pi * 4 * t), 0, None) ** 2
    made = Recordings(bursts.astype(np.float32))
    paces = []
    for y in made.after("time_stretch", 0.25):
        envelope = np.abs(y[: int(1.5 * RATE)]).reshape(-1, 160).mean(axis=1)
        found = np.abs(np.fft.rfft(envelope - envelope.mean(), 4096))
        paces.append(float(np.argmax(found) / 4096 * 100))
    assert set(np.round(paces, 1)) <= {3.1, 3.2, 3.3, 4.9, 5.0, 5.1}
    assert min(paces) < 4 < max(paces)
    assert envelope_shift(made.x[0]) == pytest.approx(4, rel=0.5)


def test_coded_noise_grows_and_the_band_shrinks_with_compression(white):
    distances, tops = [], []
    for severity in severities("mp3_compression"):
        y = white.after("mp3_compression", severity)
        distances.append(rms(y.astype(np.float64) - white.x))
        spectrum = power(y).mean(axis=0)
        smooth = np.convolve(spectrum, np.ones(200) / 200, "same")
        tops.append(frequencies()[np.flatnonzero(smooth > 0.01 * smooth.max())[-1]])
    assert distances == sorted(distances)
    # LAME's low-pass at 16 kHz and 64, 43, 26, 16 and 8 kbit/s, the third between its rates.
    np.testing.assert_allclose(tops, (7250, 7250, 6120, 5600, 3040), atol=160)
