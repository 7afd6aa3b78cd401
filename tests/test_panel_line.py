"""Effective robustness: residuals to the line of the other models, where there is a line."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from mmaudit.panel.line import CLOSE, FAR, FEW, panel_line, residuals
from mmaudit.types import FloatArray

RNG = np.random.default_rng(0)


def spread(values: list[float], noise: float = 0.002, replicates: int = 100) -> FloatArray:
    """Values with replicates around them."""
    found = np.array(values)[:, None] + RNG.normal(size=(len(values), 1 + replicates)) * noise
    found[:, 0] = values
    return found


def on_line(clean: list[float], slope: float = 0.7, start: float = -1.0) -> list[float]:
    return list(scipy.special.expit(start + slope * scipy.special.logit(clean)))


def test_models_on_a_line_of_logits_have_nothing_above_it() -> None:
    clean = [0.7, 0.8, 0.85, 0.9]
    for found in residuals(spread(clean), spread(on_line(clean)), 1000, "share"):
        assert found.reason == ""
        assert found.values[0] == pytest.approx(0.0, abs=1e-12)


def test_what_stands_above_the_line_is_told_in_the_metrics_own_unit() -> None:
    clean = [0.7, 0.8, 0.85, 0.9]
    values = on_line(clean)
    values[1] += 0.05
    found = residuals(spread(clean), spread(values), 1000, "share")
    assert found[1].values[0] == pytest.approx(0.05, abs=1e-12)
    # It does not define what is expected of itself, but it bends what is expected of the others.
    assert all(r.values[0] < 0 for i, r in enumerate(found) if i in (0, 2))


def test_errors_make_a_straight_line() -> None:
    clean = [1.0, 1.5, 2.0, 2.5]
    values = [2 * x + 1 for x in clean]
    values[3] -= 0.25
    found = residuals(spread(clean), spread(values), 1000, "mm")
    assert found[3].values[0] == pytest.approx(-0.25)
    line = panel_line(np.array(clean[:3]), np.array(values[:3]), 1000, "mm")
    assert line == (pytest.approx(1.0), pytest.approx(2.0), False)


def test_without_three_models_there_is_no_line() -> None:
    for clean in ([], [0.8], [0.8, 0.9], [0.8, 0.8, 0.8]):
        found = residuals(spread(clean), spread(clean), 100, "share") if clean else []
        assert [r.reason for r in found] == [FEW] * len(clean)
        assert all(np.isnan(r.values).all() for r in found)
        assert panel_line(np.array(clean), np.array(clean), 100, "share") is None


def test_models_that_are_equally_good_make_no_line() -> None:
    clean = [0.801, 0.8, 0.802, 0.8015]
    assert {r.reason for r in residuals(spread(clean, 0.01), spread(clean, 0.01), 100, "share")} == {CLOSE}


def test_a_model_far_from_the_others_is_not_judged_by_their_line() -> None:
    clean = [0.3, 0.8, 0.85, 0.9]
    found = residuals(spread(clean), spread(on_line(clean)), 1000, "share")
    assert [r.reason for r in found] == [FAR, "", "", ""]


def test_shares_of_zero_and_one_have_a_place() -> None:
    clean, values = [0.7, 0.9, 1.0], [0.0, 0.5, 0.6]
    found = residuals(spread(clean, 0.0), spread(values, 0.0), 100, "share")
    assert all(np.isfinite(r.values[0]) for r in found if not r.reason)


def test_how_the_residual_hangs_on_every_model() -> None:
    clean, values = [0.7, 0.8, 0.85, 0.9], [0.5, 0.55, 0.7, 0.72]
    before = residuals(spread(clean), spread(values), 1000, "share")[2]
    step = 1e-5
    for k in range(4):
        moved = [v + step * (i == k) for i, v in enumerate(values)]
        after = residuals(spread(clean), spread(moved), 1000, "share")[2]
        assert (after.values[0] - before.values[0]) / step == pytest.approx(before.by_value[k], rel=1e-3, abs=1e-5)
        moved = [v + step * (i == k) for i, v in enumerate(clean)]
        after = residuals(spread(moved), spread(values), 1000, "share")[2]
        assert (after.values[0] - before.values[0]) / step == pytest.approx(before.by_clean[k], rel=1e-2, abs=1e-4)
