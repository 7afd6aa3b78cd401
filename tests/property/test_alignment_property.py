"""Half-widths, shifts, nearest donors and arbitration on random input: what must hold for each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.probe_samples import source_of, whole
from mmaudit.data import ArrayData, subset
from mmaudit.desync import asymmetry, half_width
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.metrics.arbitration import matrix
from mmaudit.probes import Source, probes
from mmaudit.probes.shift import shifted
from mmaudit.types import Modality, Task

usual = settings(deadline=None, derandomize=True, max_examples=120)
unit = st.floats(0, 1)


@st.composite
def curves(draw):
    k = draw(st.integers(1, 6))
    shift = np.cumsum(draw(st.lists(st.floats(0.1, 50), min_size=k, max_size=k)))
    values = np.array(draw(st.lists(unit, min_size=k, max_size=k)))
    floor = draw(st.floats(0, 0.4))
    return shift, np.array([draw(st.floats(0.5, 1))]), values[:, None], floor


@usual
@given(curves())
def test_half_width_lies_where_the_straight_lines_cross_half(curve):
    shift, clean, values, floor = curve
    (width,) = half_width(shift, clean, values, floor, "higher")
    kept = np.concatenate([[1.0], (values[:, 0] - floor) / (clean[0] - floor)])
    at = np.concatenate([[0.0], shift])
    if np.isinf(width):
        assert (kept > 0.5).all()
        return
    assert 0 < width <= shift[-1]
    assert np.interp(width, at, kept) == pytest.approx(0.5, abs=1e-6)
    earlier = np.linspace(0, width * (1 - 1e-9), 50, endpoint=False)
    assert (np.interp(earlier, at, kept) > 0.5 - 1e-9).all(), "the first crossing"


@usual
@given(curves(), st.floats(0.01, 1000))
def test_half_width_scales_with_the_axis_and_not_with_the_metric(curve, factor):
    shift, clean, values, floor = curve
    width = half_width(shift, clean, values, floor, "higher")
    assert half_width(factor * shift, clean, values, floor, "higher") == pytest.approx(factor * width)
    # An error metric, where less is better: the same curve upside down.
    assert half_width(shift, -3 * clean, -3 * values, -3 * floor, "lower") == pytest.approx(width)


@usual
@given(curves())
def test_half_width_needs_something_to_lose(curve):
    shift, clean, values, _ = curve
    assert np.isnan(half_width(shift, clean, values, float(clean[0]), "higher")).all()
    values[0] = np.nan
    assert np.isnan(half_width(shift, clean, values, 0.0, "higher")).all()


@usual
@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_asymmetry_is_bounded_and_changes_sign(a, b):
    one, other = np.array([a]), np.array([b])
    value = asymmetry(one, other)[0]
    if a == b == 0:
        assert np.isnan(value)
        return
    assert -1 <= value <= 1
    assert value == pytest.approx(-asymmetry(other, one)[0])
    never = np.array([np.inf])
    assert (asymmetry(one, never)[0], asymmetry(never, one)[0]) == (1, -1)
    assert np.isnan(asymmetry(never, never)[0])


@usual
@given(st.integers(1, 30), st.integers(-40, 40), st.sampled_from(["audio", "series"]), st.data())
def test_shifts_move_every_value_by_the_same_count(length, by, kind, data):
    x = np.array(data.draw(st.lists(st.integers(-99, 99), min_size=length, max_size=length)), np.int16)[None]
    new = shifted(x, by, Modality("m", kind, (length,), "int16"))[0]
    assert new.dtype == np.int16
    assert new.shape == (length,)
    fill = {"audio": [0] * length, "series": [x[0, 0 if by > 0 else -1]] * length}[kind]
    padded = [*fill, *x[0], *fill]
    count = max(-length, min(length, by))
    assert new.tolist() == padded[length - count : 2 * length - count]


@st.composite
def data_sets(draw):
    n = draw(st.integers(2, 25))
    whole_numbers = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=n, max_size=n)
    texts = draw(st.lists(st.text(max_size=6), min_size=n, max_size=n))
    ids = draw(st.lists(st.integers(0, 2**40), min_size=n, max_size=n, unique=True))
    present = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    present[0] = True
    return ArrayData(
        {"codes": np.array(draw(whole_numbers), np.int64), "text": texts},
        np.arange(n) % 2,
        Task.classification(2),
        ids=ids,
        present={"codes": present},
    )


@usual
@given(data_sets(), st.randoms(use_true_random=False))
def test_nearest_donors_are_other_values_and_go_by_id(data, random):
    n = len(data)
    source, batch = source_of(data), whole(data)
    order = list(range(n))
    random.shuffle(order)
    turned = subset(data, order)
    for m in ("codes", "text"):
        condition = probes.get("mismatch").condition((m,), options=(("pool", "nearest"),))
        donors = source.donors(condition, m, batch, "nearest")
        values = batch.inputs[m]
        present = data.presence(m)
        for row in range(n):
            others = [j for j in range(n) if present[j] and np.any(values[j] != values[row])]
            if not present[row] or not others:
                assert donors[row] == -1
                continue
            assert donors[row] in others
        elsewhere = Source(turned, source.statistics).donors(condition, m, whole(turned), "nearest")
        back = np.where(elsewhere < 0, -1, np.array(order)[elsewhere])
        assert np.array_equal(back, donors[order])


@usual
@given(st.integers(1, 60), st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_matrix_and_shares_agree(n, classes, seed):
    rng = np.random.default_rng(seed)
    kept = rng.integers(0, classes, n)
    rival = np.where(rng.random(n) < 0.2, -1, (kept + rng.integers(1, classes, n)) % classes)
    p = Predictions(Task.classification(classes), rng.normal(size=(n, classes)), kept, rival=rival)
    found = matrix(p)
    counts = np.array(found["n"])
    assert counts.sum() == (rival >= 0).sum()
    if not counts.sum():
        assert found["classes"] == []
        return
    for side in ("kept", "exchanged"):
        share = metrics.get(f"follows_{side}")(p, Resamples.ones(n))[0]
        assert np.nansum(np.array(found[side], float) * counts) / counts.sum() == pytest.approx(share)
