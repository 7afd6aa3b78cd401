"""Corruptions of tables and series on anything: short, constant, huge, not finite, severities outside the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmaudit.data.statistics import ModalityStatistics
from mmaudit.errors import BadInput
from mmaudit.probes.corruption import series_time, series_values, tabular
from mmaudit.randomness import Draws
from mmaudit.types import Array, Modality

Corruption = Callable[..., Array]

TABULAR: dict[str, Corruption] = {
    name: getattr(tabular, name)
    for name in (
        "missing_mcar", "missing_mar", "missing_mnar", "scaling", "shift", "outliers", "column_swap", "category_flip",
        "rounding", "stale_row",
    )
}  # fmt: skip
SERIES: dict[str, Corruption] = {
    name: getattr(module, name)
    for module, names in (
        (series_values, ("gaussian_noise", "drift", "spikes", "stuck_at", "saturation", "missing_channel")),
        (series_time, ("dropout", "jitter", "time_warp", "resample", "channel_swap")),
    )
    for name in names
}
# What is hit at one severity is hit at every higher one; all others move every value by more and more.
NESTED = (
    "missing_mcar", "missing_mar", "missing_mnar", "outliers", "column_swap", "category_flip", "stale_row", "spikes",
    "stuck_at", "missing_channel", "dropout", "channel_swap", "saturation",
)  # fmt: skip
# Multiples of these are added and σ are multiplied with: float32 has room for all of it.
numbers = st.floats(-(2.0**100), 2.0**100, width=32)
severities = st.one_of(st.floats(1e-3, 1), st.floats(1, 4))


def apply(fn: Corruption, x: Array, severity: float, modality: Modality, statistics: ModalityStatistics) -> Array:
    """The corruption with all it asks for; sample i's draws are those of id i, its donor is the next one."""
    given_ = {
        "draws": Draws("property", "x", np.arange(len(x), dtype=np.uint64)),
        "modality": modality,
        "statistics": statistics,
        "donor": np.roll(x, -1, axis=0),
    }
    wanted = list(inspect.signature(fn).parameters)[2:]
    return fn(x.copy(), severity, **{name: given_[name] for name in wanted})


def statistics_of(x: Array) -> ModalityStatistics:
    """Over the finite values; NaN where a place has none, as with a column that was never recorded."""
    shown = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    with np.errstate(all="ignore"):
        some = np.isfinite(shown).any(axis=0)
        mean = np.where(some, np.nansum(shown, axis=0) / np.maximum(np.isfinite(shown).sum(axis=0), 1), np.nan)
        std = np.where(some, np.sqrt(np.nansum(np.square(shown - mean), axis=0) / len(x)), np.nan)
    return ModalityStatistics(mean.astype(x.dtype), std.astype(x.dtype))


def check(fn: Corruption, x: Array, severity: float, modality: Modality, bad: float) -> None:
    clean = statistics_of(x)
    try:
        new = apply(fn, x, severity, modality, clean)
    except BadInput as error:
        assert "is above" in str(error)  # noqa: PT017
        return
    assert new.shape == x.shape
    assert np.isfinite(new).all()
    # One sample with a value that is not a number: every other one, but for the one it is a donor to, as before.
    if x[0].size:
        spoilt = x.copy()
        spoilt[1].reshape(-1)[0] = bad
        other = apply(fn, spoilt, severity, modality, clean)
        alone = [0, 1] if "donor" in inspect.signature(fn).parameters else [1]
        for i in range(len(x)):
            assert i in alone or other[i].tobytes() == new[i].tobytes()
    if "donor" not in inspect.signature(fn).parameters:
        one = apply(fn, x[:1], severity, modality, clean)
        assert one[0].tobytes() == new[0].tobytes(), "the same bits alone"


@pytest.mark.parametrize("name", TABULAR)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_tables(name, data):
    shape = data.draw(st.tuples(st.integers(3, 6), st.integers(1, 7)))
    x = data.draw(hnp.arrays(data.draw(st.sampled_from([np.float32, np.float64])), shape, elements=numbers))
    modality = Modality("x", "tabular", shape[1:], str(x.dtype))
    severity = data.draw(severities)
    check(TABULAR[name], x, severity, modality, data.draw(st.sampled_from([np.nan, np.inf, -np.inf])))


@pytest.mark.parametrize("name", SERIES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_series(name, data):
    n, length, channels = data.draw(st.tuples(st.integers(3, 5), st.integers(0, 20), st.integers(1, 4)))
    layout = data.draw(st.sampled_from(["TC", "CT", None]))
    shape = {"TC": (length, channels), "CT": (channels, length), None: (length,)}[layout]
    if layout is None and name in ("missing_channel", "channel_swap"):
        shape, layout = (length, channels), "TC"
    x = data.draw(hnp.arrays(data.draw(st.sampled_from([np.float32, np.float64])), (n, *shape), elements=numbers))
    modality = Modality("x", "series", shape, str(x.dtype), layout)
    severity = data.draw(severities)
    check(SERIES[name], x, severity, modality, data.draw(st.sampled_from([np.nan, np.inf, -np.inf])))


@pytest.mark.parametrize("name", [*TABULAR, *SERIES])
def test_places_without_statistics_are_left_alone_or_need_none(name):
    """A column (or a time of a channel) that no sample holds has neither mean nor σ; nothing turns into NaN."""
    x = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    unknown = ModalityStatistics(np.full(8, np.nan, np.float32), np.full(8, np.nan, np.float32))
    fn, kind = (TABULAR | SERIES)[name], "tabular" if name in TABULAR else "series"
    if name in ("missing_channel", "channel_swap"):
        x, unknown = x[:, :, None], ModalityStatistics(unknown.mean[:, None], unknown.std[:, None])
    modality = Modality("x", kind, x.shape[1:], "float32", "TC" if x.ndim == 3 else None)
    assert np.isfinite(apply(fn, x, 0.5, modality, unknown)).all()


@pytest.mark.parametrize("name", NESTED)
@settings(max_examples=20, deadline=None)
@given(low=st.floats(0.01, 0.5), high=st.floats(0.01, 0.5), seed=st.integers(0, 50))
def test_what_is_hit_once_stays_hit(name, low, high, seed):
    """Shares are nested: every value that a low severity changes, a higher one changes too."""
    rng = np.random.default_rng(seed)
    is_table = name in TABULAR
    x = rng.normal(size=(20, 6)) if is_table else rng.normal(size=(20, 30, 4))
    modality = Modality("x", "tabular" if is_table else "series", x.shape[1:], "float64", None if is_table else "TC")
    fn, statistics = (TABULAR | SERIES)[name], statistics_of(x)
    mild, severe = (apply(fn, x, s, modality, statistics) != x for s in (min(low, high), max(low, high)))
    assert not (mild & ~severe).any()
