"""What could have been seen goes with what is tested: few seeds widen both."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mmaudit.kernels.inference import minimum_detectable_effect, standard_error
from mmaudit.metrics import Resamples
from mmaudit.metrics.predictions import Rarest
from mmaudit.panel.answers import Paired
from mmaudit.panel.intervals import NO_SEEDS, Draw, both, detectable, draw_of, p_of
from mmaudit.panel.numbers import filled
from mmaudit.panel.values import AUDITED, RETAINED, VALUE, Row


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


@pytest.mark.parametrize("units", [2, 5, 12, 29, 30, None])
def test_few_clusters_see_less(units: int | None) -> None:
    delta = replicates(0.1, 0.03)
    expected = minimum_detectable_effect(standard_error(delta[1:]), units=units)
    assert detectable(delta, [NO_SEEDS], units=units) == pytest.approx(expected)
    # And with seeds: what is just detectable is found.
    draws = [Draw(0.02**2, 5)]
    least = detectable(delta, draws, units=units)
    assert least > expected
    assert p_of(replicates(least, 0.03), draws, units) < 0.05 < p_of(replicates(0.5 * least, 0.03), draws, units)


def test_one_cluster_sees_nothing_but_what_a_share_can_be() -> None:
    assert np.isnan(detectable(replicates(0.1, 0.0), [NO_SEEDS], units=1))
    assert detectable(replicates(0.1, 0.0), [NO_SEEDS], unseen=0.9, units=1) == 0.9


def paired(values: np.ndarray, w: Resamples, rarest: Rarest | None = None) -> Paired:
    return Paired(values[None], values, w, rarest=rarest)


def test_a_metric_over_classes_has_the_bound_of_its_rarest_class() -> None:
    w, still = Resamples.draw(1000, 50), np.ones(51)
    about = Row(AUDITED, VALUE, "clean", unit="share")
    known = (None, Rarest(8, 1, 8))
    rows = [filled(about, still, None, [], paired(still, w, rarest), within=(0.0, 1.0)) for rarest in known]
    assert [r.low for r in rows] == [pytest.approx(0.025 ** (1 / 1000)), pytest.approx(0.025 ** (1 / 8))]
    other = Row("late", VALUE, "clean", unit="share")
    row = filled(other, still, still, [], paired(still, w, Rarest(8, 4, 30)), within=(0.0, 1.0))
    bound = (1 - 0.025 ** (1 / 8)) / 4
    assert (row.delta_low, row.delta_high, row.mde) == tuple(pytest.approx(x) for x in (-bound, bound, bound))


def test_what_no_resample_moves_and_nothing_bounds_has_no_interval() -> None:
    w, still = Resamples.draw(1000, 50), np.zeros(51)
    row = filled(Row("late", VALUE, "clean", unit="m"), still, still, [], paired(still, w), within=(0.0, np.inf))
    assert np.isnan([row.low, row.high, row.delta_low, row.delta_high, row.mde]).all()
    assert (row.value, row.delta) == (0.0, 0.0)
    assert "no resample differs" in row.reason
    kept = filled(Row("late", RETAINED, "x", unit="share"), still + 1, still + 1, [], paired(still, w), size=4.0)
    bound = 4 * (1 - 0.025 ** (1 / 1000))
    assert (kept.low, kept.high) == (pytest.approx(1 - bound), pytest.approx(1 + bound))
    assert not kept.reason


@pytest.mark.parametrize("seeds", range(2, 12))
def test_seeds_that_answer_as_the_audited_model_does_differ_by_nothing(seeds: int) -> None:
    rng = np.random.default_rng(0)
    audited = rng.binomial(300, 0.7, 1001) / 300
    p = Paired(np.tile(audited, (seeds, 1)), audited, Resamples.draw(300))
    row = filled(
        Row("product", VALUE, "clean", unit="share", better="higher"),
        p.mean,
        p.audited,
        [draw_of(p.seeds)],
        p,
        (0.0, 1.0),
    )
    assert row.delta == 0
    assert row.p == 1
    assert row.delta_high == -row.delta_low == row.mde == pytest.approx(1 - 0.025 ** (1 / 300))
