"""Where a budget's passes go: the grid, the choice of the widest, the portions, and what a user may say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmaudit.budget import FEWEST, Budget, raised, steps
from mmaudit.errors import BadInput
from mmaudit.formats import duration
from mmaudit.portions import ShardPositions, grown, random_order
from mmaudit.types import CLEAN, Condition


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("90s", 90), ("10m", 600), (" 1.5h ", 5400), ("2d", 172_800), (30, 30), (0.5, 0.5)],
)
def test_times(time: Any, seconds: float) -> None:
    assert Budget.given(time, None) == Budget(seconds=seconds)


@pytest.mark.parametrize(
    "time", ["10", "ten minutes", "0s", "-1m", "", "1e3s", "10 m 3 s", 0, -5, 10**400, 1e300, math.inf, math.nan, True]
)
def test_what_is_no_time_is_refused_with_an_example(time: Any) -> None:
    with pytest.raises(
        BadInput, match=r"budget=.*is not usable; give a time above 0 with its unit: 90s, 10m, 1\.5h or 2d"
    ):
        Budget.given(time, None)


@pytest.mark.parametrize("forwards", [0, -1, 2.5, "50000", True])
def test_what_is_no_number_of_answers_is_refused(forwards: Any) -> None:
    with pytest.raises(BadInput, match=r"forwards=.*give a whole number of at least 1"):
        Budget.given(None, forwards)


def test_no_budget() -> None:
    assert Budget.given(None, None) is None
    assert Budget.given("10m", np.int64(7)) == Budget(7, 600)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, "0.5 s"), (90, "90 s"), (60, "1 min"), (600, "10 min"), (5400, "90 min"), (259_200, "3 d")],
)
def test_times_in_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said


# ---- the grid


def test_the_grid_is_coarse_and_ends_with_everything() -> None:
    assert steps(300) == [32, 40, 51, 64, 81, 102, 128, 161, 203, 256, 300]
    assert steps(20) == [20]
    assert steps(32) == [32]


def test_on_the_grid_clusters_stay_whole() -> None:
    ends = np.arange(5, 205, 5)  # 40 clusters of 5
    assert steps(200, ends) == [160, 200]
    assert steps(100, np.array([10, 40, 41, 90, 100])) == [100]


# ---- the choice


def test_the_widest_interval_is_served_first() -> None:
    # Two conditions beside clean; one's interval is twice as wide: it gets four times the samples.
    after = raised([(0,), (1,), (2,)], [32, 32, 32], [0.0, 0.1, 0.2], steps(10_000), 2 * (512 - 32) + 128 - 32)
    assert after == [512, 128, 512]


def test_an_exact_bound_narrows_faster() -> None:
    after = raised([(0,), (1,), (2,)], [32] * 3, [0.0, 0.4, 0.4], steps(10_000), 2 * 800, [0.5, 0.5, 1.0])
    assert after[1] > 1.5 * after[2]


def test_conditions_of_one_unit_stay_together() -> None:
    after = raised([(0,), (1, 3), (2,)], [32] * 4, [0.0, 0.3, 0.1], steps(500), 3 * 8)
    assert after == [40, 40, 32, 40]


def test_what_cannot_be_narrowed_leaves_the_rest_to_others() -> None:
    assert raised([(0,), (1,), (2,)], [100, 100, 32], [0.5, 0.5, 0.0], steps(100), 1000) == [100, 100, 100]


def test_an_unknown_interval_counts_as_the_widest() -> None:
    assert raised([(0,), (1,), (2,)], [64, 32, 32], [0.1, math.nan, 0.2], steps(64), 8 + 8) == [64, 40, 40]
    assert raised([(0,)], [32], [math.nan], steps(64), 8) == [40]


@given(
    n=st.integers(33, 3000),
    widths=st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=12),
    answers=st.integers(0, 40_000),
    data=st.data(),
)
def test_no_budget_is_exceeded_and_none_wasted(n: int, widths: list[float], answers: int, data: Any) -> None:
    grid = steps(n)
    counts = [data.draw(st.sampled_from(grid)) for _ in widths]
    counts[0] = max(counts)
    after = raised([(i,) for i in range(len(widths))], counts, widths, grid, answers)
    spent = sum(after) - sum(counts)
    assert spent <= answers
    assert all(b >= a and (b == a or b in grid) for a, b in zip(counts, after, strict=True))
    assert after[0] == max(after)  # every difference from clean is paired
    for i, k in enumerate(after):
        if k < n:
            step = min(s for s in grid if s > k)
            assert step - k + (max(step - after[0], 0) if i else 0) > answers - spent


# ---- portions


CONDITIONS = [CLEAN, *(Condition("missing", "missing", 1, (m,)) for m in "abcdef")]


@given(data=st.data(), n=st.integers(1, 400))
def test_portions_take_every_condition_from_before_to_after(data: Any, n: int) -> None:
    k = data.draw(st.integers(1, len(CONDITIONS)))
    before = data.draw(st.lists(st.integers(0, n), min_size=k, max_size=k))
    after = [data.draw(st.integers(b, n)) for b in before]
    reached = list(before)
    for portion in grown(CONDITIONS[:k], before, after, n):
        low, high = portion.samples or (0, n)
        assert portion.places
        assert portion.conditions == tuple(CONDITIONS[i] for i in portion.places)
        for i in portion.places:
            assert reached[i] == low  # without gap or overlap
            reached[i] = high
    assert reached == after


def test_everything_at_once_is_what_an_audit_without_a_budget_does() -> None:
    (whole,) = grown(CONDITIONS[:3], [0, 0, 0], [50, 50, 50], 50)
    assert whole.samples is None
    assert grown(CONDITIONS[:3], [50] * 3, [50] * 3, 50) == []


def test_the_order_depends_on_the_ids_alone() -> None:
    ids = np.arange(1000)
    order = random_order(ids, None)
    assert sorted(order) == list(range(1000))
    shuffled = np.random.default_rng(0).permutation(1000)
    assert np.array_equal(ids[shuffled][random_order(ids[shuffled], None)], ids[order])
    # As random as a permutation is: the first half of it holds half of the first half.
    assert abs(int((order[:500] < 500).sum()) - 250) < 4 * math.sqrt(1000) / 4


def test_the_order_keeps_clusters_whole() -> None:
    cluster = np.random.default_rng(0).integers(0, 40, 500)
    ordered = cluster[random_order(np.arange(500), cluster)]
    assert (ordered[1:] != ordered[:-1]).sum() + 1 == len(np.unique(cluster))


def test_positions_of_shards() -> None:
    some = np.array([3, 5, 8, 9, 11])
    shards = ShardPositions(5, 2, some)
    assert [list(rows) for rows in shards] == [[3, 5], [8, 9], [11]]
    assert [shards.size(i) for i in range(len(shards))] == [2, 2, 1]
    assert [list(rows) for rows in ShardPositions(5, 2)] == [[0, 1], [2, 3], [4]]


def test_the_fewest_is_the_first_step() -> None:
    assert steps(10_000)[0] == FEWEST
