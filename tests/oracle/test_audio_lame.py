"""mp3_compression beside LAME, as recorded by scripts/record_lame.py: noise and spectrum at each bit rate."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from helpers.audio_bench import Recordings
from helpers.coded_audio import DIGITS, EDGES, RATES, coding, mean_of, recordings

RECORD = json.loads((Path(__file__).parents[1] / "golden" / "lame.json").read_text(encoding="utf-8"))
CASES = [(name, kbit_s) for name, rates in RATES.items() for kbit_s in rates]
# dB. LAME's own recordings differ from one another by 1 to 5 dB at one bit rate.
SNR, NOISE, POWER = 1.5, 4.5, 1.5


@cache
def ours(name, kbit_s):
    if name == "digits" and not DIGITS.exists():
        pytest.skip("shared data avmnist.npz is not on this machine")
    clean, rate = recordings(name)
    new = Recordings(clean, rate=rate).after("mp3_compression", 16 * rate / (1000 * kbit_s))
    return mean_of([coding(x, y) for x, y in zip(clean, new, strict=True)])


def theirs(name, kbit_s):
    return RECORD["statistics"][name][str(kbit_s)]


def test_everything_is_recorded():
    assert {name: tuple(map(int, rates)) for name, rates in RECORD["statistics"].items()} == RATES
    assert tuple(RECORD["edges"]) == EDGES
    assert "3.100" in RECORD["version"]


@pytest.mark.parametrize(("name", "kbit_s"), CASES)
def test_signal_to_noise_ratio_is_lames(name, kbit_s):
    assert ours(name, kbit_s)["snr"] == pytest.approx(theirs(name, kbit_s)["snr"], abs=SNR)


@pytest.mark.parametrize(("name", "kbit_s"), CASES)
def test_noise_and_spectrum_are_lames_in_every_band(name, kbit_s):
    one, other = ours(name, kbit_s), theirs(name, kbit_s)
    np.testing.assert_allclose(one["noise"], other["noise"], atol=NOISE)
    for mine, lames in zip(one["power"], other["power"], strict=True):
        if lames > -3:
            assert mine == pytest.approx(lames, abs=POWER)
        else:  # where LAME filters, or most coefficients round to 0
            assert mine < -0.3
            assert (mine < -25) == (lames < -25)


def test_lame_lowers_the_level_and_this_does_not():
    for name, kbit_s in CASES:
        assert 0.88 < theirs(name, kbit_s)["gain"] < 0.96
        if name == "voices":
            assert ours(name, kbit_s)["gain"] > theirs(name, kbit_s)["gain"] + 0.02
            # What is lost without LAME's scale is what is filtered away and rounded to 0.
            assert 1 >= ours(name, kbit_s)["gain"] > (0.98 if kbit_s >= 24 else 0.94)
