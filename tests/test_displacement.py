"""Time and pitch of real speech move further at every severity, where the distance between waveforms cannot tell.

Once an oscillation is displaced by half of its period, the mean square distance has said all it can. So displacement
itself is measured here, from what comes out.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from helpers.audio_bench import Recordings
from helpers.one_modality import OneModality
from mmaudit.probes import probes
from mmaudit.types import Array, Modality

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
RATE = 8000
HOP, WINDOW = 40, 200  # 5 and 25 ms


@pytest.fixture(scope="module")
def speech() -> Array:
    path = SHARED / "avmnist.npz"
    if not path.exists():
        pytest.skip("shared data avmnist.npz is not on this machine")
    with np.load(path) as file:
        return file["audio"][::200]


def lag(x: Array, y: Array) -> int:
    """By how many samples y comes later than x: the maximum of their cross-correlation."""
    return int(np.argmax(scipy.signal.correlate(y.astype(float), x.astype(float)))) - (len(x) - 1)


def spectrogram(x: Array) -> Array:
    return np.abs(scipy.signal.stft(x, RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)[2])


def speed(x: Array, y: Array) -> float:
    """|log₂| of the speed at which x's spectrogram, read from the start, is most like that of y."""
    before, after = np.log(spectrogram(x) + 1e-3), np.log(spectrogram(y) + 1e-3)
    frames = np.arange(before.shape[1])

    def alike(log: float) -> float:
        read = frames * 2.0**log
        inside = read <= frames[-1]
        there = np.array([np.interp(read[inside], frames, row) for row in before])
        return float(np.corrcoef(there.ravel(), after[:, inside].ravel())[0, 1])

    tried = np.linspace(-0.5, 0.5, 101)
    return float(abs(tried[np.argmax([alike(log) for log in tried])]))


def pitch(x: Array, y: Array) -> float:
    """How many semitones lie between x's mean spectrum and that of y, up or down."""
    semitones = np.arange(0, 60, 0.1)
    hertz = 100 * 2.0 ** (semitones / 12)

    def spectrum(sound: Array) -> Array:
        power = scipy.signal.welch(sound, RATE, nperseg=2048)
        row = np.log(np.interp(hertz, *power) + 1e-9)
        return row - row.mean()

    return abs(lag(spectrum(x), spectrum(y))) / 10


def test_speech_is_stretched_and_shifted_by_what_is_stated(speech):
    made = Recordings(speech, rate=RATE)
    for name, measure, stated in (
        ("time_stretch", speed, lambda severity: np.log2(1 + severity)),
        ("pitch_shift", pitch, lambda severity: severity),
    ):
        table = probes.get(f"audio.{name}").severities
        found = [
            float(np.median([measure(x, y) for x, y in zip(made.x, made.after(name, severity), strict=True)]))
            for severity in table
        ]
        assert all(a < b for a, b in pairwise([0.0, *found])), (name, found)
        np.testing.assert_allclose(found, [stated(severity) for severity in table], atol=0.015)


@pytest.mark.parametrize(("probe", "unit"), [("temporal_shift", RATE / 1000), ("temporal_shift_samples", 1)])
def test_speech_comes_later_and_earlier_by_what_is_stated(speech, probe, unit):
    """Unit: samples of one step of severity."""
    rate = RATE if probe == "temporal_shift" else None
    made = Recordings(speech, rate=rate)
    for direction, sign in (("later", 1), ("earlier", -1)):
        options = (("direction", direction), ("relative_to", "static"))
        for severity in (5.0, 10.0, 20.0, 40.0):
            condition = probes.get(probe).condition(("x",), severity, options)
            new = probes.get(probe).apply(made.batch, condition, made.source).inputs["x"]
            assert {lag(x, y) for x, y in zip(made.x, new, strict=True)} == {sign * severity * unit}


def test_warped_time_strays_further(speech):
    """Beside the sound runs a clock, which says of every sample when it was taken."""
    clock = np.broadcast_to(np.arange(speech.shape[1], dtype=np.float32), speech.shape)
    made = OneModality(np.stack([speech, clock], axis=2), Modality("x", "series", layout="TC"))
    found = []
    for severity in probes.get("series.time_warp").severities:
        now = made.after("time_warp", severity)[:, :, 1]
        assert (np.diff(now, axis=1) >= 0).all(), "time never runs backwards"
        found.append(np.abs(now - clock).max(axis=1))
    assert (np.diff(found, axis=0) > 0).all(), "further in every recording, not only in the mean"
