"""The audio kernels beside SciPy, NumPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal, stats

from helpers.audio_signals import RATE, centroid, rms, sounds
from mmaudit.kernels import babble, biquad, convolve, mdct, mix, music, normals, packets, polyphase, quantiles, vocoder

RNG = np.random.default_rng(0)
NOISE = RNG.standard_normal((2, 5000))


@pytest.mark.parametrize("cutoff", [0.0001, 0.003, 0.05, 0.25, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("high", [False, True])
def test_butterworth_is_scipys(cutoff, high):
    theirs = signal.butter(2, cutoff, "high" if high else "low", output="sos")
    np.testing.assert_allclose(biquad.butterworth(cutoff, high), theirs, rtol=1e-9, atol=1e-15)


FILTERS = {
    "low": biquad.butterworth(0.3, False),
    "high": biquad.butterworth(0.02, True),
    "band": biquad.butterworth_band(0.1, 0.4),
    "three sections": np.concatenate([biquad.butterworth_band(0.05, 0.5), biquad.butterworth(0.3, False)]),
}


@pytest.mark.parametrize("sections", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("length", [1, 2, 7, 5000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_phase_is_scipys_filter_there_and_back(sections, length, dtype):
    x = np.ascontiguousarray(NOISE[:, :length].astype(dtype))
    reach = 40
    pad = min(reach, length - 1)
    y = np.pad(x.astype(np.float64), ((0, 0), (pad, pad)), mode="reflect") if pad else x.astype(np.float64)
    for _ in range(2):
        # Once forwards, then backwards; each time from the steady state of the mean.
        start = signal.sosfilt_zi(sections)[:, None] * y.mean(axis=1)[None, :, None]
        y = signal.sosfilt(sections, y, axis=1, zi=start)[0][:, ::-1]
    ours = biquad.zero_phase(x, sections, reach)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, y[:, pad : pad + length], atol=3e-7 if dtype == np.float32 else 1e-12)


def test_zero_phase_in_the_middle_of_a_long_signal_is_sosfiltfilt():
    sections = biquad.butterworth(0.2, False)
    theirs = signal.sosfiltfilt(sections, NOISE)
    np.testing.assert_allclose(biquad.zero_phase(NOISE, sections, 50)[:, 200:-200], theirs[:, 200:-200], atol=1e-9)


@pytest.mark.parametrize(("up", "down"), [(1, 2), (2, 1), (3, 4), (4, 3), (1, 16), (16, 1), (5, 8), (196, 185), (1, 1)])
@pytest.mark.parametrize("length", [1, 3, 50, 4999])
def test_resampling_is_resample_poly(up, down, length):
    x = NOISE[:, :length]
    theirs = signal.resample_poly(x, up, down, axis=1)
    ours = polyphase.resample(x, up, down)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    np.testing.assert_allclose(polyphase.resample(x.astype(np.float32), up, down), theirs, atol=3e-6)


def test_mdct_is_its_definition_and_keeps_energy_and_signal():
    x = NOISE[:, :2000]
    lines = mdct.mdct(x)
    n, k = np.arange(2 * mdct.LINES), np.arange(mdct.LINES)
    window = np.sin(np.pi * (n + 0.5) / (2 * mdct.LINES))
    basis = np.cos(np.pi / mdct.LINES * np.outer(n + 0.5 + mdct.LINES / 2, k + 0.5)) * np.sqrt(2 / mdct.LINES)
    padded = np.pad(x, ((0, 0), (mdct.LINES, 3 * mdct.LINES)))
    for t in range(lines.shape[1]):
        frame = padded[:, t * mdct.LINES : (t + 2) * mdct.LINES]
        np.testing.assert_allclose(lines[:, t], (frame * window) @ basis, atol=1e-10)
    assert np.sum(lines**2) == pytest.approx(np.sum(x**2), rel=1e-10)
    for length in (0, 1, 575, 576, 577, 2000):
        np.testing.assert_allclose(mdct.inverse(mdct.mdct(x[:, :length]), length), x[:, :length], atol=1e-12)


@pytest.mark.parametrize("bits", [0.5, 1, 2, 4])
def test_coding_rounds_to_steps_that_meet_the_budget(bits):
    x = np.concatenate(sounds(2))[None].astype(np.float64)
    lines = mdct.mdct(x)[0]
    wide = int(np.ceil(mdct.bandwidth(bits) * mdct.LINES))
    lines[:, wide:] = 0
    width = np.diff(mdct.BANDS)
    level = np.sqrt(np.add.reduceat(lines**2, mdct.BANDS[:-1], axis=1) / width)
    steps = np.repeat(level**0.12 * np.mean(level**2, axis=1, keepdims=True) ** 0.44, width, axis=1)
    ratios = np.divide(np.abs(lines), steps, out=np.zeros_like(lines), where=steps > 0)
    budget = bits**2 / (bits + 0.1) * x.size / len(lines)
    gains = mdct._gains(np.log2(np.where(ratios > 0, ratios, 1e-300)), budget, wide)
    size = ratios / gains[:, None]
    spent = np.sum(np.where(size > 0.5, 2.1 + 0.8 * np.log2(np.maximum(2 * size, 1)), 0), axis=1)
    share = np.mean(size[:, :wide] > 0.5, axis=1)
    spent += 0.75 * wide * stats.entropy([share, 1 - share], base=2)
    # The last frame is mostly beyond the end. A line more or less costs bits, and lines come in bins of 1/8 octave.
    np.testing.assert_allclose(spent[:-1], budget, atol=0.05 * budget + 60)
    steps *= gains[:, None]
    size = np.divide(np.abs(lines), steps, out=np.zeros_like(lines), where=steps > 0)
    want = np.sign(lines) * np.floor(size**0.75 + 0.4054) ** (4 / 3) * steps
    np.testing.assert_allclose(mdct.coded(x, bits), mdct.inverse(want[None], x.size), atol=1e-9)


def test_rounding_goes_beyond_the_largest_number_of_mp3():
    lines = np.array([[0.0, 0.4, -0.6, 3.0, -2e5, 2e6] + [0.0] * (mdct.LINES - 6)])
    new = mdct._rounded(lines, np.ones((1, len(mdct.BANDS) - 1)), np.array(mdct.BANDS), mdct._companded())[0, :6]
    np.testing.assert_allclose(new, [0, 0, -1, 2 ** (4 / 3), -2e5, 2e6], rtol=2e-4)


def test_little_is_dropped_where_bits_abound():
    assert mdct.bandwidth(4) == mdct.bandwidth(2.5) == 0.906
    opens = [mdct.bandwidth(bits) for bits in (0.01, 0.5, 1, 1.5, 2, 4, 4.01, 8, 16, 1e6)]
    assert opens == sorted(opens)
    assert opens[-1] == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_quantiles_are_numpys(dtype, size):
    rng = np.random.default_rng(size)
    for x in (rng.standard_normal(size), np.round(rng.standard_normal(size), 1), np.zeros(size), -np.ones(size)):
        shares = (0.0, 0.01, 0.3, 0.5, 0.975, 1.0)
        ours = quantiles.quantiles(x.astype(dtype), shares)
        np.testing.assert_allclose(ours, np.quantile(x.astype(dtype).astype(np.float64), shares), rtol=1e-6, atol=1e-9)


def test_mixing_is_numpys():
    for dtype, digits in ((np.float32, 1e-6), (np.float64, 1e-12)):
        x, noise = NOISE[:, :777].astype(dtype), NOISE[:, 1000:1777].astype(dtype)
        centre = 0.3
        assert mix.mean_square(x, centre) == pytest.approx(np.mean((x.astype(np.float64) - centre) ** 2), rel=1e-12)
        want = x + 0.25 * rms(x.astype(np.float64) - centre) / rms(noise) * noise
        mixed = x.copy()
        mix.add_at_ratio(mixed, noise, 0.25, centre)
        np.testing.assert_allclose(mixed, want, atol=10 * digits)
        same = x.copy()
        mix.add_at_ratio(same, noise[0], 0.25, centre)
        alike = x.copy()
        mix.add_at_ratio(alike, np.stack([noise[0], noise[0]]), 0.25, centre)
        np.testing.assert_allclose(same, alike, atol=10 * digits)
    silent = np.zeros((1, 9))
    mix.add_at_ratio(silent, NOISE[:1, :9].copy(), 1.0, 0.0)
    assert not silent.any()


@pytest.mark.parametrize("length", [0, 1, 100, 5000])
@pytest.mark.parametrize("taps", [1, 7, 300, 3000])
def test_convolution_in_blocks_is_scipys(length, taps):
    x, h = NOISE[:, :length], RNG.standard_normal((2, taps))
    for start in {0, taps // 2, taps - 1}:
        theirs = signal.fftconvolve(x, h, axes=1)[:, start : start + length] if length else x
        np.testing.assert_allclose(convolve.convolve(x, h, start), theirs, atol=1e-10)
        np.testing.assert_allclose(convolve.convolve(x, h[:1], start)[:1], theirs[:1], atol=1e-10)


def test_a_designed_filter_has_the_gains_asked_for():
    wanted = np.clip(np.abs(np.arange(129) - 60) / 20, 0, 1)
    taps = convolve.linear_phase(wanted)
    h = np.fft.rfft(np.roll(taps, -128))
    np.testing.assert_allclose(h.imag, 0, atol=1e-12)
    np.testing.assert_allclose(
        h.real, np.convolve(np.pad(wanted, 1, "reflect"), (0.25, 0.5, 0.25), "valid"), atol=1e-12
    )


def test_normal_numbers_are_normal_independent_and_the_same_for_any_count():
    many = normals.normals(np.random.default_rng(5), 1_000_001)
    assert many.dtype == np.float32
    np.testing.assert_array_equal(normals.normals(np.random.default_rng(5), 777), many[:777])
    x = many.astype(np.float64)
    assert stats.kstest(x, "norm").pvalue > 0.01
    for lag in (1, 2, 3):
        assert abs(np.mean(x[lag:] * x[:-lag])) < 0.004
        assert abs(np.mean(x[lag:] ** 2 * x[:-lag] ** 2) - 1) < 0.01
    np.testing.assert_allclose([np.mean(x**k) for k in (1, 2, 3, 4)], [0, 1, 0, 3], atol=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_amplified_and_replaced_values_are_numpys_and_leave_what_is_not_finite(dtype):
    most = np.finfo(dtype).max
    x = np.concatenate([NOISE[0, :70], [np.nan, np.inf, -np.inf, most, -most, 0]]).astype(dtype)[None]
    for factor in (0.25, 4.0):
        louder = x.copy()
        mix.amplify(louder, factor, float(most))
        with np.errstate(over="ignore"):
            want = np.where(np.isfinite(x), np.clip(x * dtype(factor), -most, most), x)
        np.testing.assert_array_equal(louder, want)
    weights, blank = np.linspace(0, 1, x.shape[1] - 2), 0.3
    mixed = x.copy()
    packets.replace(mixed, 2, weights, blank)
    part = x[:, 2:].astype(np.float64)
    with np.errstate(invalid="ignore"):
        want = np.where(np.isfinite(part), (1 - weights) * part + weights * blank, part)
    np.testing.assert_array_equal(mixed[:, :2], x[:, :2])
    np.testing.assert_allclose(mixed[:, 2:], want, rtol=1e-5, atol=1e-6)


def test_a_wave_is_read_linearly_and_repeated():
    period = np.arange(8, dtype=np.float32)
    ours = mix.repeated(period, 0.13, 0.9, 50)
    places = (0.9 + 0.13 * np.arange(50)) % 1 * 8
    np.testing.assert_allclose(ours, np.interp(places, np.arange(9), np.append(period, 0)), atol=1e-4)


def plain_vocoder(x, rate, size, window):
    """The same frame by frame, with angles."""
    hop, out, total = window // 4, np.zeros(size), np.zeros(size)
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.concatenate([np.zeros(window), x, np.zeros(size + 4 * window + int(size * rate))])

    def frame(middle):
        start = middle + window - window // 2
        return np.fft.rfft(padded[start : start + window] * shape)

    def locked(y):
        y = np.pad(y, 1)
        return y[1:-1] - y[:-2] - y[2:]

    before, t = None, 0
    while t * hop < size + window / 2:
        middle = round(t * hop * rate)
        y = frame(middle)
        if before is not None:
            y = y * np.exp(1j * (np.angle(locked(before)) - np.angle(locked(frame(middle - hop)))))
        before = y
        piece, start = np.fft.irfft(y, window) * shape, t * hop - window // 2
        for i in range(max(0, -start), min(window, size - start)):
            out[start + i] += piece[i]
            total[start + i] += shape[i] ** 2
        t += 1
    return out / np.where(total > 0, total, 1)


@pytest.mark.parametrize("rate", [0.8, 0.93, 1.25])
def test_the_vocoder_is_its_definition(rate):
    x = NOISE[0, :1200]
    size = 900
    np.testing.assert_allclose(
        vocoder.stretch(x[None], rate, size, 128)[0], plain_vocoder(x, rate, size, 128), atol=1e-6
    )


@pytest.mark.parametrize("length", [1, 5, 100, 3000])
def test_the_vocoder_at_rate_one_is_the_identity(length):
    x = NOISE[:, :length]
    np.testing.assert_allclose(vocoder.stretch(x, 1.0, length, 64), x, atol=1e-9)


def test_bursts_are_gilberts_chain():
    rng = np.random.default_rng(1)
    for share in (0.05, 0.3, 0.5):
        u = rng.random(400_000)
        lost = packets.bursts(u, share, 0.5)
        assert lost.mean() == pytest.approx(share, abs=0.005)
        again = lost[1:][lost[:-1]].mean()
        assert again == pytest.approx(0.5 + 0.5 * share, abs=0.01)
        assert lost[1:][~lost[:-1]].mean() == pytest.approx(0.5 * share, abs=0.005)
        assert not np.any(lost & ~packets.bursts(u, share + 0.1, 0.5))
    assert packets.bursts(u, 1.0, 0.5).all()
    assert not packets.bursts(u, 0.0, 0.5).any()


@pytest.mark.parametrize("fade", [0.0, 1.0, 8.0, 200.0])
@pytest.mark.parametrize("place", [0.0, 0.31, 1.0])
def test_a_mask_grows_with_its_share_and_covers_it(fade, place):
    before = np.zeros(100)
    for share in np.linspace(0.003, 1, 40):
        weights = np.zeros(100)
        first, some = packets.stretch_weights(place, share, 100, fade)
        weights[first : first + len(some)] = some
        assert weights.min() >= 0
        assert weights.max() <= 1
        assert np.all(weights >= before - 1e-12)
        assert weights.sum() > before.sum()
        assert weights.sum() <= 100 * share + 1.01
        if fade <= 1 and share > 0.02:
            assert weights.sum() == pytest.approx(100 * share, abs=1.01)
        before = weights


@pytest.mark.parametrize("rate", [2001.0, 8000.0, 16000.0])
def test_babble_has_the_spectrum_and_the_rhythm_of_speech(rate):
    x = babble.babble(rate).astype(np.float64)
    assert len(x) == int(30 * rate)
    assert rms(x) == pytest.approx(1, abs=1e-3)
    levels = babble.third_levels(x, rate)
    off = levels - babble.LEVELS[: len(levels)]
    assert np.abs(off - off.mean()).max() < 0.5
    spectrum = np.square(np.abs(np.fft.rfft(x)))
    assert spectrum[np.fft.rfftfreq(len(x), 1 / rate) < 50].sum() < 1e-3 * spectrum.sum()
    # Syllables: the envelope varies most below 8 Hz, where noise of the same spectrum varies evenly.
    frame = int(0.01 * rate)
    envelope = np.abs(x[: len(x) // frame * frame].reshape(-1, frame)).mean(axis=1)
    power = np.square(np.abs(np.fft.rfft(envelope - envelope.mean())))
    frequency = np.fft.rfftfreq(len(envelope), 0.01)
    assert power[(frequency > 0.2) & (frequency < 8)].mean() > 4 * power[(frequency > 15) & (frequency < 45)].mean()


@pytest.mark.parametrize("rate", [2001.0, 16000.0])
def test_music_has_its_pitches_and_its_beat(rate):
    x = music.music(rate).astype(np.float64)
    assert len(x) == int(32 * rate)
    assert rms(x) == pytest.approx(1, abs=1e-3)
    power = np.square(np.abs(np.fft.rfft(x)))
    frequency = np.arange(len(power)) / 32
    for note in (60, 64, 67):  # the tonic triad: strong at each pitch, weak a quarter tone beside it
        pitch = 440 * 2 ** ((note - 69) / 12)
        at = power[np.abs(frequency - pitch) < 0.3].max()
        assert at > 20 * power[np.abs(frequency - pitch * 2 ** (1 / 24)) < 0.3].max()
    frame = int(0.01 * rate)
    envelope = np.abs(x[: len(x) // frame * frame].reshape(-1, frame)).mean(axis=1)
    beats = np.square(np.abs(np.fft.rfft(envelope - envelope.mean())))
    frequency = np.fft.rfftfreq(len(envelope), frame / rate)
    assert frequency[1 + np.argmax(beats[1:])] == pytest.approx(2, abs=0.05)


def test_signals_of_the_recordings_are_voice_like():
    x = sounds(1)[0]
    assert np.abs(x).max() == pytest.approx(0.5)
    assert 200 < centroid(x, RATE) < 800
