"""What could have been seen goes with what is tested: few seeds widen both."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mmaudit.kernels.inference import minimum_detectable_effect, standard_error
from mmaudit.panel.intervals import NO_SEEDS, Draw, both, detectable, p_of


def replicates(value: float, error: float) -> np.ndarray:
    spread = np.random.default_rng(0).normal(size=1000)
    spread = (spread - spread.mean()) / spread.std(ddof=1)
    return np.concatenate([[value], value + error * spread])


def test_two_seeds_see_little() -> None:
    delta, draws = replicates(-0.413, 1e-6), [Draw(0.08**2, 2)]
    low, high = both(delta, draws)
    assert low < -1 < 0.5 < high
    t = scipy.stats.t(1)
    assert detectable(delta, draws) == pytest.approx((t.ppf(0.975) + t.ppf(0.8)) * 0.08, rel=1e-4)
    assert p_of(delta, draws) > 0.05, "what is smaller than could be seen was not seen"


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_could_be_seen_is_beyond_what_is_just_seen(seeds: int, share: float) -> None:
    draws = [Draw(share * 0.03**2, seeds), NO_SEEDS]
    least = detectable(replicates(0.0, 0.03 * (1 - share) + 1e-9), draws)
    assert p_of(replicates(least, 0.03 * (1 - share) + 1e-9), draws) < 0.05
    assert p_of(replicates(0.6 * least, 0.03 * (1 - share) + 1e-9), draws) > 0.05


def test_without_seeds_it_is_that_of_the_samples() -> None:
    delta = replicates(0.1, 0.03)
    for draws in ([], [NO_SEEDS], [Draw(0.0, 1)]):
        assert detectable(delta, draws) == pytest.approx(minimum_detectable_effect(standard_error(delta[1:])))
    assert np.isnan(detectable(np.zeros(50), [NO_SEEDS]))
    assert detectable(np.zeros(50), [NO_SEEDS], unseen=0.02) == 0.02
