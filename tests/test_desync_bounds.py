"""Intervals where half of the value is never lost in some replicates."""

from __future__ import annotations

import numpy as np
import pytest

from mmaudit.desync import _asymmetry


def test_replicates_that_never_lose_half_count_in_the_asymmetry() -> None:
    rng = np.random.default_rng(0)
    earlier = np.concatenate([[40.0], rng.normal(40, 2, 1000)])
    later = np.concatenate([[560.0], rng.normal(560, 40, 1000)])
    before = _asymmetry("a", {"earlier": earlier, "later": later}, 300, None)
    later[1:][rng.random(1000) < 0.3] = np.inf
    for sides, sign in (({"earlier": earlier, "later": later}, 1), ({"earlier": later, "later": earlier}, -1)):
        row = _asymmetry("a", sides, 300, None)
        assert row.value == sign * before.value
        ends = sorted([sign * row.low, sign * row.high])
        assert ends[1] == 1
        assert ends[0] == pytest.approx(before.low, abs=0.01)


def test_a_width_that_is_not_known_has_no_asymmetry() -> None:
    earlier, later = np.full(101, 40.0), np.full(101, 500.0)
    later[0] = np.inf
    row = _asymmetry("a", {"earlier": earlier, "later": later}, 300, None)
    assert np.isnan([row.value, row.low, row.high]).all()
    assert row.reason == "the half-width is not known in both directions"
