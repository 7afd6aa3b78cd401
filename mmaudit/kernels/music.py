"""Music-like background: chords, bass, a tune and drums, synthesised. Its pitches and beat are checked in the tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mmaudit.kernels.mix import repeated

FloatArray = npt.NDArray[np.float32]

BEAT = 0.5  # seconds
BARS, BEATS = 16, 4
SECONDS = BARS * BEATS * BEAT
# Triads of C major in MIDI note numbers: I, V, vi, IV.
CHORDS = ((60, 64, 67), (55, 59, 62), (57, 60, 64), (53, 57, 60))
SCALE = (72, 74, 76, 79, 81, 84)  # C major pentatonic
_POINTS = 2048


@lru_cache(maxsize=2)
def music(sample_rate: float) -> FloatArray:
    """Return 32 s of music at `sample_rate` Hz, RMS 1: the same recording every time.

    16 bars of 4/4 at 120 beats per minute over I-V-vi-IV in C major at A4 = 440 Hz: sustained triads, a plucked bass
    and tune, and noise bursts for drums. No recording and no composition of anyone's.
    """
    out = np.zeros(int(SECONDS * sample_rate), np.float32)
    rng = np.random.Generator(np.random.Philox(key=[0x50FA, 0]))
    for beat, note, beats, level, decay in _score(rng):
        _add(out, beat, level * _tone(440 * 2 ** ((note - 69) / 12), beats * BEAT, decay, sample_rate), sample_rate)
    for beat in range(0, BARS * BEATS * 2):
        # A drum on every beat, softer and shorter between them.
        seconds, level = (0.12, 0.35) if beat % 4 == 2 else (0.03, 0.12)
        size = int(seconds * 3 * sample_rate)
        burst = rng.standard_normal(size) * np.exp(-np.arange(size) / (seconds / 3 * sample_rate))
        _add(out, beat / 2, (level * burst).astype(np.float32), sample_rate)
    out /= np.sqrt(np.mean(np.square(out, dtype=np.float64)))
    out.flags.writeable = False
    return out


def _score(rng: np.random.Generator) -> Iterator[tuple[float, int, float, float, float]]:
    """Yield notes: beat, MIDI number, length in beats, level, decay in seconds."""
    for bar in range(BARS):
        chord, start = CHORDS[bar % len(CHORDS)], bar * BEATS
        for note in chord:
            yield start, note, BEATS, 0.25, 4.0
        for beat in range(BEATS):
            yield start + beat, chord[0] - 24 if chord[0] > 59 else chord[0] - 12, 1, 0.6, 0.4
        for half in range(2 * BEATS):
            if rng.random() < 0.7:
                yield start + half / 2, SCALE[rng.integers(len(SCALE))], rng.choice([0.5, 1.0]), 0.45, 0.35


def _tone(frequency: float, seconds: float, decay: float, sample_rate: float) -> FloatArray:
    """A tone with harmonics that fall by 6 dB per octave, up to the Nyquist frequency, with soft start and end."""
    size = int(seconds * sample_rate)
    highest = min(12, int(0.45 * sample_rate / frequency))
    if highest < 1 or size < 2:
        return np.zeros(size, np.float32)
    turn = 2 * np.pi * np.arange(_POINTS) / _POINTS
    period = sum(np.sin(k * turn) / k for k in range(1, highest + 1)).astype(np.float32)  # type: ignore[union-attr]
    seconds_in = np.arange(size) / sample_rate
    soft = np.minimum(1, np.minimum(seconds_in, seconds_in[::-1]) / 0.01)
    envelope = (soft * np.exp(-seconds_in / decay)).astype(np.float32)
    return np.asarray(repeated(period, frequency / sample_rate, 0.0, size) * envelope)


def _add(out: FloatArray, beat: float, sound: FloatArray, sample_rate: float) -> None:
    start = int(beat * BEAT * sample_rate)
    part = out[start : start + len(sound)]
    part += sound[: len(part)]
