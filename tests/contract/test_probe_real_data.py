"""Every probe with graded severities on real data of every kind: more severity moves samples further; form is kept.

The specimens of the contract are made up; these are pictures, speech, reviews, tables and embeddings that somebody
recorded. The clauses are those of `mmaudit.contract`.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
import scipy.signal

from helpers import real_data
from mmaudit import ArrayData, Modality, Task
from mmaudit.contract import Bench, scope_of, source_of
from mmaudit.contract.probes import keeps_form, more_severity_moves_further
from mmaudit.data import subset
from mmaudit.data.dataset import Dataset
from mmaudit.joint import parts
from mmaudit.probes import Declined, Probe, Scope, Source, probes
from mmaudit.types import Condition

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VIEWS = ("fac", "fou", "kar", "mor", "pix", "zer")


# ---- the data


def speech() -> ArrayData:
    """Spoken digits as a series, as a spectrogram, and that as a series of 33 channels; with what was said.

    The transcripts are single words, in which there is nothing to swap, cut short or punctuate: they are there for
    the scenario that misreads speech and text together, not for the probes of text.
    """
    found = real_data.columns("avmnist", ("audio", "label"), "test", 48)
    sound = found["audio"]
    _, _, spectrogram = scipy.signal.stft(sound / 32768, nperseg=64, noverlap=0)
    loudness = np.log1p(1000 * np.abs(spectrogram)).astype(np.float32)
    return ArrayData(
        {
            "wave": sound[:, :4000],
            "spectrogram": loudness,
            "bands": loudness,
            "transcript": [DIGITS[i] for i in found["label"]],
        },
        found["label"],
        Task.classification(10),
        modalities=[
            Modality("wave", "series", sample_rate=8000),
            Modality("spectrogram", "audio", layout="FT", sample_rate=8000),
            Modality("bands", "series", layout="CT", sample_rate=125),
        ],
    )


def mfeat() -> ArrayData:
    """Six views of a digit as tables, one of them as a series too, two as embeddings."""
    found = real_data.columns("mfeat", (*VIEWS, "label"), "test", 200)
    views = {name: found[name] for name in VIEWS}
    more = {"kar_series": found["kar"], "fac_features": found["fac"], "zer_features": found["zer"]}
    kinds = {"kar_series": "series", "fac_features": "embedding", "zer_features": "embedding"}
    return ArrayData({**views, **more}, found["label"], Task.classification(10), kinds=kinds)


def clothing() -> ArrayData:
    """Reviews, their sentence embeddings (float16), two numbers and three category codes."""
    found = real_data.columns("clothing", ("text", "text_emb", "tab_num", "tab_cat", "label"), 2, 256)
    inputs = {name: found[name] for name in ("text", "text_emb", "tab_num", "tab_cat")}
    return ArrayData(inputs, found["label"].astype(int), Task.classification(2), kinds={"text_emb": "embedding"})


def emoji() -> ArrayData:
    """Drawings, and the embeddings (float16) of their names."""
    found = real_data.columns("emoji", ("image_twitter", "text_name", "name_emb", "label"), 2, 64)
    inputs = {name: found[name] for name in ("image_twitter", "text_name", "name_emb")}
    return ArrayData(inputs, found["label"].astype(int), Task.classification(9), kinds={"name_emb": "embedding"})


class Set(NamedTuple):
    make: Callable[[], Dataset]
    kinds: frozenset[str]


SETS = {
    "easy-VQA": Set(lambda: real_data.easy_vqa(64), frozenset({"image", "text"})),
    "avmnist": Set(lambda: real_data.avmnist(64), frozenset({"image", "audio"})),
    "speech": Set(speech, frozenset({"audio", "series"})),
    "mfeat": Set(mfeat, frozenset({"tabular", "series", "embedding"})),
    "clothing": Set(clothing, frozenset({"text", "tabular", "embedding"})),
    "emoji": Set(emoji, frozenset({"image", "text", "embedding"})),
}
WAVEFORM_ONLY = (
    *("background_babble", "background_music", "band_pass", "clipping", "high_pass", "hum", "low_pass"),
    *("mp3_compression", "resample", "reverb"),
)
# Adversarial probes take ten times as long as others, for the gradient of every value.
FEW = 16
# Which probes refuse all that a set has for them, and a word of the reason they give.
REFUSED = {
    "easy-VQA": {"joint.*": "fewer than two modalities have a gradient"},
    "avmnist": {"image.channel_drop": "single channel", "image.saturate": "1 channel"},
    "speech": {f"audio.{name}": "done to waveforms" for name in WAVEFORM_ONLY},
    "mfeat": {
        "series.channel_swap": "one channel",
        "series.missing_channel": "one channel",
        "tabular.category_flip": "not category codes",
    },
    "clothing": {},
    "emoji": {},
}
# The severity of these is no amount of damage: a sample that is out of step, or is another one's, is already as far
# away as any other sample.
OUT_OF_STEP = ("stale_order", "temporal_shift", "temporal_shift_samples")


# Marked `not_monotone`, yet on these data every severity moves further than the one before it.
STEADY = ("audio.time_stretch", "image.glass_blur", "image.rotation")
# The others end further than they begin, but for those that may be as far as it goes from the first severity on.
FAR_AT_ONCE = ("audio.pitch_shift", "series.time_warp")


@cache
def prepared(name: str, few: bool) -> tuple[Dataset, Source, Scope]:
    data = SETS[name].make()
    if few:
        data = subset(data, real_data.spread(len(data), FEW))
    return data, source_of(data), scope_of(data)


def bench(data: str, name: str) -> Bench:
    probe = probes.get(name)
    return Bench(probe, *prepared(data, few=probe.family == "adversarial"))


def cases(chosen: Callable[[Probe], bool]) -> list[tuple[str, str]]:
    return [(s, p.name) for s, given in SETS.items() for p in probes if chosen(p) and given.kinds & set(p.kinds)]


def refused(tried: Bench) -> list[str]:
    return [d.reason for d in tried.probe.grid(tried.scope) if isinstance(d, Declined)]


# ---- severities of a table: corruptions, adversarial probes, the displaced image, scenarios


@pytest.mark.parametrize(("data", "name"), cases(lambda p: bool(p.severities)))
def test_more_severity_moves_real_samples_further(data, name):
    tried = bench(data, name)
    expected = next((word for glob, word in REFUSED[data].items() if fnmatchcase(name, glob)), None)
    assert (expected is not None) == (not tried.conditions), refused(tried)
    if expected is not None:
        assert any(expected in reason for reason in refused(tried))
        return
    assert tried.curves
    assert all(len(curve) == 5 for curve in tried.curves)
    assert list(more_severity_moves_further(tried)) == []
    assert list(keeps_form(tried)) == []
    for curve in tried.curves if tried.probe.not_monotone else ():
        far = [tried.distance(c) for c in curve]
        assert name in FAR_AT_ONCE or far[0] < far[-1], far
        assert name not in STEADY or all(a < b for a, b in pairwise(far)), far


SCENARIOS = {
    "scenario.bad_scan": ("easy-VQA", "emoji"),
    "scenario.cheap_video_call": ("avmnist",),
    "scenario.noisy_sensor_storm": ("mfeat",),
    "scenario.rainy_night_call": ("avmnist",),
    "scenario.stale_record": ("mfeat", "clothing", "emoji"),
    "scenario.transcription_errors": ("speech",),
}


def test_every_scenario_is_tried():
    assert set(SCENARIOS) == {p.name for p in probes if p.family == "scenario" and p.name != "surface"}


@pytest.mark.parametrize(("data", "name"), [(data, name) for name, sets in SCENARIOS.items() for data in sets])
def test_a_worse_scenario_moves_real_samples_further(data, name):
    tried = bench(data, name)
    assert {c.option("latent") for c in tried.conditions} == {"shared", "independent"}
    assert len(tried.curves) == 2
    assert list(more_severity_moves_further(tried)) == []
    assert list(keeps_form(tried)) == []


def test_a_surface_moves_further_along_both_severities():
    for name in ("easy-VQA", "emoji"):
        tried = bench(name, "surface")
        far: dict[tuple[str, ...], dict[tuple[int | None, ...], float]] = {}
        for c in tried.conditions:
            far.setdefault(c.modalities, {})[tuple(p.position for p in parts(c))] = tried.distance(c)
        assert far
        for pair, grid in far.items():
            assert len(grid) == 25, pair
            for (a, b), distance in grid.items():
                milder = [grid[place] for place in ((a - 1, b), (a, b - 1)) if place in grid]
                assert distance > max(milder, default=0.0), (pair, a, b)


# ---- severities of the suite: shares, rates, shifts, lags


def test_a_larger_share_of_samples_is_further_away():
    for data in SETS:
        for name in ("mismatch_share", "missing_rate", "missing_rate_shared", "missing_mar", "missing_mnar"):
            tried = bench(data, name)
            assert tried.conditions
            for curve in by_severity(tried):
                far = [tried.distance(c) for c in curve]
                assert far[0] > 0
                assert all(a < b for a, b in pairwise(far)), (curve[0].label, far)


def test_whatever_is_out_of_step_changed():
    for data in SETS:
        for name in OUT_OF_STEP:
            if (data, name) == ("easy-VQA", "stale_order"):
                continue  # order is that within a cluster, an image there, and of each image one question was taken
            tried = bench(data, name)
            for c in tried.conditions:
                assert tried.distance(c) > 0, c.label


def by_severity(tried: Bench) -> list[list[Condition]]:
    found: dict[str, list[Condition]] = {}
    for c in tried.conditions:
        found.setdefault(c.stream, []).append(c)
    return [sorted(curve, key=lambda c: c.severity or 0) for curve in found.values()]


def test_every_graded_probe_is_tried_on_real_data():
    """Beside those above: `missing_pattern` needs data that lack something, which none of these sets does."""
    reached = {name for s, name in cases(lambda p: bool(p.severities)) if bench(s, name).curves}
    assert reached == {p.name for p in probes if p.severities}
