"""Rank metrics: ties against every order they could be broken in, chance levels against random rankings, medians."""

from __future__ import annotations

from itertools import permutations
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.errors import BadInput
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.metrics.retrieval import expected_hit, expected_reciprocal, ranks
from mmaudit.types import Array, Task

TASK = Task.retrieval("image", "text")
NAMES = ("mrr", "recall_at_1", "recall_at_5", "recall_at_10", "median_rank", "info_nce")


def answers(higher: Array, tied: Array, right: Array, first: Array | None = None) -> Array:
    rows = np.zeros((len(higher), 6), np.float32)
    rows[:, 0], rows[:, 1], rows[:, 2] = higher, tied, right
    rows[:, 3] = 0 if first is None else first
    rows[:, 4], rows[:, 5] = -1.5, -0.5
    return rows


def truth(n: int, candidates: Array | int, right: Array | int = 1) -> Array:
    return np.stack([np.arange(n), np.broadcast_to(candidates, n), np.broadcast_to(right, n)], axis=1)


def value(name: str, p: Predictions) -> float:
    return float(metrics.get(name)(p, Resamples.ones(p.n))[0])


def every_rank(higher: int, tied: int, right: int) -> list[int]:
    """The rank of the first right one under each order of those that tie."""
    group = ["wrong"] * tied + ["right"] * right
    return [higher + 1 + order.index("right") for order in permutations(group)]


@given(higher=st.integers(0, 12), tied=st.integers(0, 4), right=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_ties_count_as_the_mean_over_every_order(higher: int, tied: int, right: int) -> None:
    orders = np.array(every_rank(higher, tied, right))
    columns = [np.array([x]) for x in (higher, tied, right)]
    assert expected_reciprocal(*columns)[0] == pytest.approx((1 / orders).mean())
    for k in (1, 5, 10):
        assert expected_hit(k, *columns)[0] == pytest.approx((orders <= k).mean(), abs=1e-12)
    assert ranks(*columns)[0] == np.median(orders)


def test_all_candidates_tied_is_exactly_chance() -> None:
    for total, right in ((381, 1), (10, 1), (40, 7)):
        p = Predictions(TASK, answers(*np.array([[0], [total - right], [right]])), truth(1, total, right))
        for name in NAMES[:5]:
            assert value(name, p) == pytest.approx(metrics.get(name).chance(TASK, p.target)), name


def test_chance_in_closed_form() -> None:
    target = truth(50, 381)
    harmonic = float(np.sum(1 / np.arange(1, 382)))
    expected = {"mrr": harmonic / 381, "recall_at_1": 1 / 381, "recall_at_10": 10 / 381, "median_rank": 191.0}
    for name, level in expected.items():
        assert metrics.get(name).chance(TASK, target) == pytest.approx(level), name
    assert metrics.get("info_nce").chance(TASK, target) == pytest.approx(np.log(381))
    several = truth(3, 20, 4)
    assert metrics.get("recall_at_5").chance(TASK, several) == pytest.approx(1 - comb(16, 5) / comb(20, 5))


def test_chance_is_what_random_rankings_reach() -> None:
    rng = np.random.default_rng(0)
    total, right = rng.integers(2, 60, 4000), np.ones(4000, int)
    right[::3] = np.minimum(total[::3], rng.integers(1, 6, len(right[::3])))
    place = np.array([rng.permutation(t)[:r].min() for t, r in zip(total, right, strict=True)])
    p = Predictions(TASK, answers(place, np.zeros(4000), np.ones(4000)), truth(4000, total, right))
    for name in ("mrr", "recall_at_1", "recall_at_5", "recall_at_10"):
        assert value(name, p) == pytest.approx(metrics.get(name).chance(TASK, p.target), abs=0.025), name
    assert value("median_rank", p) == pytest.approx(metrics.get("median_rank").chance(TASK, p.target), abs=1)


def test_chance_of_a_bank_of_a_million() -> None:
    target = truth(5, 10**6)
    assert metrics.get("mrr").chance(TASK, target) == pytest.approx((np.log(1e6) + 0.5772157 + 5e-7) / 1e6, rel=1e-6)
    assert metrics.get("median_rank").chance(TASK, target) == 500_000.5
    classes = truth(5, 10**6, 1000)
    # The first of R right ones among N: 1 − (1 − x/N)^R ≈ ½ at x ≈ N·ln 2 / R.
    assert metrics.get("median_rank").chance(TASK, classes) == pytest.approx(1e6 * np.log(2) / 1000, rel=0.002)
    assert expected_reciprocal(np.zeros(1), np.array([10.0**6 - 1000]), np.array([1000.0]))[0] == pytest.approx(
        metrics.get("mrr").chance(TASK, classes)
    )


def test_a_perfect_and_a_last_model() -> None:
    best = Predictions(TASK, answers(np.zeros(30), np.zeros(30), np.ones(30)), truth(30, 100))
    assert [value(name, best) for name in NAMES[:5]] == [1, 1, 1, 1, 1]
    last = Predictions(TASK, answers(np.full(30, 99), np.zeros(30), np.ones(30)), truth(30, 100))
    assert [value(name, last) for name in NAMES[:5]] == pytest.approx([0.01, 0, 0, 0, 100])
    assert value("info_nce", last) == 1.5


def test_flip_rate_counts_other_first_candidates() -> None:
    clean = Predictions(TASK, answers(*np.zeros((2, 4)), np.ones(4), np.array([3, 1, 2, 2**24])), truth(4, 9))
    now = Predictions(TASK, answers(*np.zeros((2, 4)), np.ones(4), np.array([3, 2, 2, 2**24 - 1])), truth(4, 9), clean)
    assert value("flip_rate", now) == 0.5


@given(seed=st.integers(0, 10_000), n=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_a_replicate_is_the_repeated_sample(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows = answers(rng.integers(0, 6, n), rng.integers(0, 3, n), rng.integers(1, 3, n))
    rows[:, 4] = -rng.random(n)
    p = Predictions(TASK, rows, truth(n, 20, 3))
    w = Resamples.draw(n, 7, seed)
    for name in NAMES:
        found = metrics.get(name)(p, w)
        for b in range(7):
            again = value(name, p.take(w.repeat(b)))
            assert found[b] == pytest.approx(again, abs=1e-9), name


def test_median_over_replicates_against_numpy() -> None:
    rng = np.random.default_rng(1)
    higher = rng.integers(0, 9, 101)
    p = Predictions(TASK, answers(higher, np.zeros(101), np.ones(101)), truth(101, 20))
    w = Resamples.draw(101, 200, 3)
    expected = [np.median(higher[w.repeat(b)] + 1) for b in range(200)]
    assert metrics.get("median_rank")(p, w).tolist() == expected


@pytest.mark.parametrize("few", [True, False])
def test_median_counts_every_order_of_ties_alike(few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not few:  # every query by itself, as where they are of many kinds
        monkeypatch.setattr("mmaudit.metrics.retrieval.MOST_WEIGHTS", 0)
    rng = np.random.default_rng(2)
    higher, tied, right = rng.integers(0, 9, 40), rng.integers(0, 5, 40), rng.integers(1, 4, 40)
    w = Resamples.draw(40, 30, 3)
    p = Predictions(TASK, answers(higher, tied, right), truth(40, 30, right))
    found = metrics.get("median_rank")(p, w)
    # Each query's ranks, repeated so that all have as many: 7! orders of 7 candidates, and so on, divide 7!.
    each = [np.array(every_rank(*row)) for row in zip(higher, tied, right, strict=True)]
    ranks_of = np.stack([np.repeat(x, factorial(7) // len(x)) for x in each])
    assert found.tolist() == [np.median(ranks_of[w.repeat(b)]) for b in range(30)]


def test_a_model_without_opinion_has_the_floor_of_banks_of_any_sizes() -> None:
    rng = np.random.default_rng(4)
    total = rng.integers(5, 400, 60)
    target = truth(60, total, rng.integers(1, 4, 60))
    p = Predictions(TASK, answers(np.zeros(60), target[:, 1] - target[:, 2], target[:, 2]), target)
    for name in NAMES[:5]:
        assert value(name, p) == pytest.approx(metrics.get(name).chance(TASK, target), rel=1e-9), name


@pytest.mark.parametrize(
    ("rows", "target", "words"),
    [
        (answers(*np.zeros((3, 2))), np.zeros((2, 1), int), r"needs \[2, 3\]"),
        (np.zeros((2, 5), np.float32), truth(2, 9), r"needs \[n, 6\]"),
        (answers(*np.zeros((3, 2))), truth(2, 3, 4), "not legal"),
    ],
)
def test_other_shapes_are_refused(rows: Array, target: Array, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Predictions(TASK, rows, target)
