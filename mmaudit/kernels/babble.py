"""Babble: several people talking at once, synthesised by formants. Its spectrum and rhythm are checked in the tests."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft

FloatArray = npt.NDArray[np.float64]

SECONDS = 30.0
TALKERS = 8
# First three formants of ten American English vowels, men's means, in Hz (Peterson and Barney 1952).
VOWELS = np.array(
    [
        (270, 2290, 3010),
        (390, 1990, 2550),
        (530, 1840, 2480),
        (660, 1720, 2410),
        (730, 1090, 2440),
        (570, 840, 2410),
        (440, 1020, 2240),
        (300, 870, 2240),
        (640, 1190, 2390),
        (490, 1350, 1690),
    ],
    np.float64,
)
BANDWIDTHS = np.array([60.0, 90.0, 150.0])
FRICTION = 4500.0  # Hz, where the noise of consonants is strongest
_CONTROL = 200.0  # control values per second
# Long-term average speech spectrum (Byrne et al. 1994): centres of thirds of an octave in Hz, and levels in dB.
# fmt: off
THIRDS, LEVELS = np.array(
    [
        (63, 38.6), (80, 43.5), (100, 54.4), (125, 57.7), (160, 56.8), (200, 60.2), (250, 60.3),
        (315, 59.0), (400, 62.1), (500, 62.1), (630, 60.5), (800, 56.8), (1000, 53.7), (1250, 53.0),
        (1600, 52.0), (2000, 48.7), (2500, 48.1), (3150, 46.8), (4000, 45.6), (5000, 44.5), (6300, 44.3),
        (8000, 43.7), (10000, 43.4), (12500, 41.3), (16000, 40.7),
    ]
).T
# fmt: on


@lru_cache(maxsize=2)
def babble(sample_rate: float) -> npt.NDArray[np.float32]:
    """Return 30 s of babble at `sample_rate` Hz, 2,000 at least, RMS 1: the same recording every time.

    Eight talkers, men and women in turns, each on their own: a pulse train at the pitch of the voice, or noise, through
    three resonances that glide from vowel to vowel, four to five syllables per second with pauses between phrases. The
    spectrum of all together is brought to that of speech in twelve languages (Byrne et al., "An international
    comparison of long-term average speech spectra", 1994).
    """
    size = int(SECONDS * sample_rate)
    out = np.zeros(size)
    for talker in range(TALKERS):
        rng = np.random.Generator(np.random.Philox(key=[0xBABB1E, talker]))
        female = talker % 2
        controls = _phrases(rng, pitch=(110.0 + 95.0 * female) * rng.uniform(0.85, 1.15), tract=1.0 + 0.17 * female)
        voice = _spoken(controls, BANDWIDTHS, rng.standard_normal(size), sample_rate, _CONTROL, FRICTION)
        out += voice / np.sqrt(np.mean(np.square(voice)))
    out = _speech_shaped(out, sample_rate)
    recorded: npt.NDArray[np.float32] = (out / np.sqrt(np.mean(np.square(out)))).astype(np.float32)
    recorded.flags.writeable = False
    return recorded


def third_levels(x: FloatArray, sample_rate: float) -> FloatArray:
    """Return the power of `x` in dB in each of those `THIRDS` of an octave that lie below its Nyquist frequency."""
    power = np.square(np.abs(fft.rfft(x)))
    frequency = np.arange(len(power)) * sample_rate / len(x)
    centres = THIRDS[sample_rate / 2 > THIRDS * 2 ** (1 / 6)]
    edges = np.searchsorted(frequency, np.stack([centres * 2 ** (-1 / 6), centres * 2 ** (1 / 6)]))
    total = np.concatenate(([0.0], np.cumsum(power)))
    return np.asarray(10 * np.log10(np.maximum(total[edges[1]] - total[edges[0]], 1e-30)), np.float64)


def _speech_shaped(x: FloatArray, sample_rate: float) -> FloatArray:
    centres = np.log(THIRDS[: len(third_levels(x, sample_rate))])
    if not len(centres):
        return x
    # Pulses have a mean; below the lowest third there is no speech.
    x = x - x.mean()
    frequency = np.log(np.maximum(np.arange(len(x) // 2 + 1) * sample_rate / len(x), 1.0))
    lowest = centres[0] - np.log(2) / 6
    # Gains are smooth in frequency, so a third gets a little of its neighbours' too; three rounds settle that.
    for _ in range(3):
        wanted = LEVELS[: len(centres)] - third_levels(x, sample_rate)
        gain = np.interp(frequency, centres, wanted - wanted.mean()) + np.minimum(0, 80 * (frequency - lowest))
        x = np.asarray(fft.irfft(fft.rfft(x) * 10 ** (gain / 20), len(x)))
    return x


def _phrases(rng: np.random.Generator, pitch: float, tract: float) -> FloatArray:
    """Return [steps, 6] at the control rate: pitch and three formants in Hz, levels of the voice and of the noise."""
    steps = int(SECONDS * _CONTROL) + 2
    out = np.zeros((steps, 6))
    out[:, 0], out[:, 1:4] = pitch, VOWELS[0] * tract
    at = int(rng.uniform(0, 0.5) * _CONTROL)
    while at < steps:
        syllables = int(rng.integers(4, 12))
        for syllable in range(syllables):
            long = int(rng.uniform(0.14, 0.3) * _CONTROL)
            consonant = int(long * rng.uniform(0.15, 0.4))
            part = out[at : at + long]
            # The pitch falls over a phrase, and each syllable has an accent of its own.
            part[:, 0] = pitch * (1.15 - 0.3 * syllable / syllables) * rng.uniform(0.94, 1.06)
            part[:, 1:4] = VOWELS[rng.integers(len(VOWELS))] * tract
            shape = np.sin(np.pi * (np.arange(long) + 0.5) / long)[: len(part)]
            loud = rng.uniform(0.5, 1)
            part[consonant:, 4] = loud * shape[consonant:]
            part[:consonant, 5] = loud * rng.uniform(0, 0.5) * shape[:consonant]
            at += long
        at += int(rng.uniform(0.15, 0.6) * _CONTROL)
    # Tongue and vocal folds need about 40 ms from one place to the next.
    glide = np.hanning(11)[1:-1] / np.hanning(11)[1:-1].sum()
    return np.stack([np.convolve(np.pad(c, 4, "edge"), glide, "valid") for c in out.T], axis=1)


@numba.njit(nogil=True, cache=True)
def _spoken(controls, bandwidths, noise, sample_rate, control, friction):  # type: ignore[no-untyped-def]
    """Return the voice: a source through three resonators in a row (Klatt 1980), and noise through one of its own."""
    out = np.empty(len(noise))
    memory = np.zeros((4, 2))
    coefficients = np.zeros((4, 3))
    phase, source, last = 0.0, 0.0, -1
    fall = 1 - np.exp(-2 * np.pi * 100 / sample_rate)
    for i in range(len(noise)):
        step = i * control / sample_rate
        row = int(step)
        between = step - row
        if row != last:
            last = row
            for f in range(4):
                centre = friction if f == 3 else controls[row, 1 + f]
                width = 2000.0 if f == 3 else bandwidths[f]
                centre = min(centre, 0.45 * sample_rate)
                radius = np.exp(-np.pi * width / sample_rate)
                coefficients[f, 1] = 2 * radius * np.cos(2 * np.pi * centre / sample_rate)
                coefficients[f, 2] = -radius * radius
                coefficients[f, 0] = 1 - coefficients[f, 1] - coefficients[f, 2]
        pitch = controls[row, 0] + between * (controls[row + 1, 0] - controls[row, 0])
        voiced = controls[row, 4] + between * (controls[row + 1, 4] - controls[row, 4])
        hiss = controls[row, 5] + between * (controls[row + 1, 5] - controls[row, 5])
        phase += pitch / sample_rate
        pulse = 0.0
        if phase >= 1:
            phase -= 1
            pulse = np.sqrt(sample_rate / pitch)
        # Glottal pulses fall by 12 dB per octave, and radiation from the lips gives 6 back.
        source += fall * (pulse - source)
        value = (source * np.sqrt(sample_rate / 1000) + 0.02 * noise[i]) * voiced
        for f in range(3):
            value = _resonator(value, coefficients[f], memory[f])
        out[i] = value + 0.1 * _resonator(noise[i] * hiss, coefficients[3], memory[3])
    return out


@numba.njit(nogil=True, cache=True)
def _resonator(value, coefficients, memory):  # type: ignore[no-untyped-def]
    y = coefficients[0] * value + coefficients[1] * memory[0] + coefficients[2] * memory[1]
    memory[1] = memory[0]
    memory[0] = y
    return y
