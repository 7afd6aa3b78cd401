"""Every probe with graded severities on real data of every kind: more severity moves samples further; form is kept.

The specimens of the contract are made up; these are pictures, speech, reviews, tables and embeddings that somebody
recorded. The clauses are those of `mmaudit.contract`.
"""

from __future__ import annotations

from collections.abc import Callable
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
from mmaudit.data.dataset import Dataset
from mmaudit.probes import Declined, Probe, Scope, Source, probes
from mmaudit.types import Array, Condition

VIEWS = ("fac", "fou", "kar", "mor", "pix", "zer")


# ---- the data


def speech() -> ArrayData:
    """Spoken digits as they are seldom declared: as a series, as a spectrogram, and that as a series of 33 channels."""
    found = real_data.columns("avmnist", ("audio", "label"), "test", 48)
    sound = found["audio"]
    _, _, spectrogram = scipy.signal.stft(sound / 32768, nperseg=64, noverlap=0)
    loudness = np.log1p(1000 * np.abs(spectrogram)).astype(np.float32)
    return ArrayData(
        {"wave": sound[:, :4000], "spectrogram": loudness, "bands": loudness},
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
# What a whole set gives a probe nothing to do with, and a word of the reason that it states.
DECLINED: dict[tuple[str, str], str] = {}
# Severities of these order the conditions, but a larger one is not a larger distance: a sample that came out of step,
# or another one's value, is already as far away as any other.
OUT_OF_STEP = ("stale_order", "temporal_shift", "temporal_shift_samples")


@cache
def prepared(name: str) -> tuple[Dataset, Source, Scope]:
    data = SETS[name].make()
    return data, source_of(data), scope_of(data)


def bench(data: str, probe: Probe) -> Bench:
    return Bench(probe, *prepared(data))


def cases(chosen: Callable[[Probe], bool]) -> list[tuple[str, str]]:
    return [(s, p.name) for s, given in SETS.items() for p in probes if chosen(p) and given.kinds & set(p.kinds)]


# ---- severities of a table: corruptions, adversarial probes, scenarios, the displaced image


@pytest.mark.parametrize(("data", "name"), cases(lambda p: bool(p.severities)))
def test_more_severity_moves_real_samples_further(data, name):
    tried = bench(data, probes.get(name))
    refused = [d for d in tried.probe.grid(tried.scope) if isinstance(d, Declined)]
    if not tried.conditions:
        assert DECLINED[data, name] in refused[0].reason
        return
    assert len(tried.curves) > 0
    assert all(len(curve) == 5 for curve in tried.curves)
    assert list(more_severity_moves_further(tried)) == []
    assert list(keeps_form(tried)) == []
