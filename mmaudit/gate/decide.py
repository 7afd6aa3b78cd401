"""An interval beside a limit: the one place where it is decided what passes."""

from __future__ import annotations

import math

from mmaudit.gate.result import Outcome


def decide(low: float, high: float, limit: float, *, upper: bool) -> Outcome | None:
    """Hold an interval against a limit; None where neither of its ends is known.

    The limit itself is allowed, and numbers are compared as they are: one float step beyond is beyond.

        upper limit:   pass  high ≤ limit     fail  low > limit      undecided  low ≤ limit < high
        lower limit:   pass  low ≥ limit      fail  high < limit     undecided  low < limit ≤ high

    Where one end of the interval is open (NaN) the other may still decide; where it does not, it is undecided.
    """
    if math.isnan(low) and math.isnan(high):
        return None
    if not upper:
        low, high, limit = -high, -low, -limit
    if high <= limit:
        return "pass"
    return "fail" if low > limit else "undecided"


def snapped(end: float, limit: float, grain: float) -> float:
    """Return the limit itself for an end that misses it by rounding alone, else the end.

    0.95 − 0.9 is 0.04999999999999993 to a computer, and 1 − 0.95 is 0.050000000000000044; to whoever wrote
    `max_drop = 0.05` both are the limit.

    Args:
        end: of an interval.
        limit: of the policy.
        grain: rounding error of the end (see `rounding`); 0 for a number that is no difference.
    """
    return limit if abs(end - limit) <= grain else end


def rounding(*terms: float) -> float:
    """Return how far a difference of such terms may be off by rounding: four units in the last place of the largest."""
    known = [abs(term) for term in terms if math.isfinite(term)]
    return 4 * math.ulp(max(known)) if known else 0.0
