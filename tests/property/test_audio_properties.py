"""Audio corruptions on anything: NaN, infinities, huge and tiny numbers, no samples at all, any layout and severity."""

from __future__ import annotations

import inspect
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.audio_bench import NAMES, Recordings
from mmaudit.contract.probes import same
from mmaudit.probes import probes
from mmaudit.types import Modality

SPECTROGRAMS = ("dropout", "frequency_mask", "gain", "gaussian_snr", "packet_loss", "pitch_shift", "time_mask")
LAYOUTS = {None: 1, "CT": 2, "TC": 2, "FT": 2, "TF": 2}
# Of what moves in time or frequency, or mixes all times, only that nothing spreads can be said.
MOVES = ("time_stretch", "pitch_shift")


def corrupted(name, x, severity, layout=None, seed=0, rate=16000.0):
    probe = probes.get(f"audio.{name}")
    fn = getattr(import_module(probe.module), name)
    modality = Modality("x", "audio", tuple(x.shape), str(x.dtype), layout, sample_rate=rate)
    given = {"modality": modality, "rng": np.random.default_rng(seed)}
    wanted = {k: v for k, v in given.items() if k in inspect.signature(fn).parameters}
    return np.asarray(fn(x.copy(), severity, **wanted))


def arrays(axes, dtype, broken):
    bits = 32 if dtype == "float32" else 64
    values = st.floats(width=bits, allow_nan=broken, allow_infinity=broken)
    shape = hnp.array_shapes(min_dims=axes, max_dims=axes, min_side=0, max_side=40 if axes == 1 else 12)
    return hnp.arrays(dtype, shape, elements=values)


@st.composite
def cases(draw, broken=True):
    name = draw(st.sampled_from(NAMES))
    layouts = [k for k in LAYOUTS if name in SPECTROGRAMS or k not in ("FT", "TF")]
    layout = draw(st.sampled_from(layouts))
    x = draw(arrays(LAYOUTS[layout], draw(st.sampled_from(["float32", "float64"])), broken))
    table = probes.get(f"audio.{name}").severities
    severity = draw(st.one_of(st.sampled_from(table), st.floats(table[0] / 100, table[-1])))
    return name, x, severity, layout, draw(st.integers(0, 99))


@settings(max_examples=500, deadline=None)
@given(cases())
def test_anything_goes_and_what_is_not_finite_stays_in_its_place(case):
    name, x, severity, layout, seed = case
    y = corrupted(name, x, severity, layout, seed)
    assert y.shape == x.shape
    broken = ~np.isfinite(x)
    np.testing.assert_array_equal(y[broken], x[broken])
    assert np.isfinite(y[~broken]).all()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([n for n in NAMES if n not in MOVES]), st.integers(50, 300), st.integers(0, 9))
def test_a_nan_counts_as_silence_for_everything_else(name, length, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(length)
    silent, broken = x.copy(), x.copy()
    at = rng.integers(0, length, 3)
    silent[at], broken[at] = 0, [np.nan, np.inf, -np.inf]
    severity = probes.get(f"audio.{name}").severities[2]
    one, other = corrupted(name, silent, severity, seed=seed), corrupted(name, broken, severity, seed=seed)
    elsewhere = np.isfinite(broken)
    np.testing.assert_array_equal(one[elsewhere], other[elsewhere])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.floats(-12, 12),
    st.integers(60, 300),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 9),
)
def test_louder_recordings_are_corrupted_alike(name, decades, length, dtype, seed):
    """All of them scale with the recording, however loud or faint it is."""
    x = np.random.default_rng(seed).standard_normal(length)
    severity = probes.get(f"audio.{name}").severities[seed % 5]
    one = corrupted(name, x.astype(dtype), severity, seed=seed).astype(np.float64)
    other = corrupted(name, (x * 10.0**decades).astype(dtype), severity, seed=seed) / 10.0**decades
    # Coding rounds, so a last bit may tip a coefficient over to its next step.
    tolerance = 0.3 if name == "mp3_compression" else 2e-4
    np.testing.assert_allclose(other, one, atol=tolerance * np.abs(one).max())


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.lists(st.integers(1, 60), min_size=2, max_size=6),
    st.sampled_from([None, 0.5, 120.0, 121.0, 2000.0, 2500.0, 4800.0, 4801.0, 8000.0, 44100.0]),
    st.integers(0, 4),
)
def test_any_data_set_is_corrupted_or_declined_with_a_reason(name, lengths, rate, position):
    rng = np.random.default_rng(sum(lengths))
    made = Recordings([rng.normal(0, 1000, n).astype(np.int16) for n in lengths], rate=rate)
    if reasons := made.reasons(name):
        assert all("'x'" in r and not r.endswith(".") for r in reasons)
        return
    severity = probes.get(f"audio.{name}").severities[position]
    whole = made.after(name, severity)
    assert [a.shape for a in whole] == [(n,) for n in lengths]
    assert all(a.dtype == np.int16 for a in whole)
    probe = made.probe(name)
    condition = probe.condition(("x",), severity)
    alone = probe.apply(made.batch.take(slice(1, 2)), condition, made.source).inputs["x"]
    assert same(alone, whole[1:2])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", [None, "CT", "TC"])
def test_no_samples_at_all(name, layout):
    shape = {None: (0,), "CT": (2, 0), "TC": (0, 2)}[layout]
    for severity in probes.get(f"audio.{name}").severities:
        assert corrupted(name, np.zeros(shape, np.float32), severity, layout).shape == shape
