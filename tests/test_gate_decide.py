"""What passes: an interval beside a limit, at the limit and one float step on either side of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmaudit.gate.decide import decide, rounding, snapped

BELOW = math.nextafter(0.05, 0.0)
ABOVE = math.nextafter(0.05, 1.0)
NAN = math.nan
NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.01, 0.05, "pass"),
        (0.01, BELOW, "pass"),
        (0.01, ABOVE, "undecided"),
        (0.05, 0.09, "undecided"),
        (BELOW, 0.09, "undecided"),
        (ABOVE, 0.09, "fail"),
        (0.05, 0.05, "pass"),
        (0.05, ABOVE, "undecided"),
        (ABOVE, ABOVE, "fail"),
    ],
)
def test_an_upper_limit(low: float, high: float, outcome: str) -> None:
    assert decide(low, high, 0.05, upper=True) == outcome
    # The mirror image is a lower limit.
    assert decide(-high, -low, -0.05, upper=False) == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.05, 0.09, "pass"),
        (ABOVE, 0.09, "pass"),
        (BELOW, 0.09, "undecided"),
        (0.01, 0.05, "undecided"),
        (0.01, ABOVE, "undecided"),
        (0.01, BELOW, "fail"),
        (0.05, 0.05, "pass"),
    ],
)
def test_a_lower_limit(low: float, high: float, outcome: str) -> None:
    assert decide(low, high, 0.05, upper=False) == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (NAN, NAN, None),
        (NAN, 0.05, "pass"),
        (NAN, ABOVE, "undecided"),
        (0.05, NAN, "undecided"),
        (ABOVE, NAN, "fail"),
    ],
)
def test_an_open_end_decides_what_it_can(low: float, high: float, outcome: str | None) -> None:
    assert decide(low, high, 0.05, upper=True) == outcome
    assert decide(-high, -low, -0.05, upper=False) == outcome


def test_a_limit_of_zero_has_one_side_only() -> None:
    assert decide(-0.1, -0.0, 0.0, upper=True) == "pass"
    assert decide(-0.1, 5e-324, 0.0, upper=True) == "undecided"
    assert decide(5e-324, 0.1, 0.0, upper=True) == "fail"


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_a_looser_limit_never_does_worse(a: float, b: float, limit: float, more: float) -> None:
    order = ("pass", "undecided", "fail")
    low, high = min(a, b), max(a, b)
    strict = decide(low, high, limit, upper=True)
    loose = decide(low, high, limit + abs(more), upper=True)
    assert strict is not None
    assert loose is not None
    assert order.index(loose) <= order.index(strict)


@pytest.mark.parametrize(
    ("a", "b", "limit"), [(1.0, 0.95, 0.05), (0.95, 0.9, 0.05), (0.92, 0.9, 0.02), (0.3, 0.2, 0.1)]
)
def test_a_difference_that_is_the_limit_but_for_rounding_is_the_limit(a: float, b: float, limit: float) -> None:
    assert a - b != limit
    assert snapped(a - b, limit, rounding(a, b)) == limit
    assert snapped(b - a, -limit, rounding(a, b)) == -limit


def test_what_no_rounding_explains_stays_beyond() -> None:
    grain = rounding(1.0, 0.95)
    assert 0 < grain < 1e-15
    beyond = 0.05 + 2 * grain
    assert snapped(beyond, 0.05, grain) == beyond
    assert snapped(ABOVE, 0.05, 0.0) == ABOVE
    assert math.isnan(snapped(NAN, 0.05, grain))
    assert rounding(NAN, NAN) == 0.0
    assert rounding(4000.0, NAN) == 4 * math.ulp(4000.0)
