"""What a budget makes of the answers that it has seen: who gets more, and that it is kept whatever they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from helpers.budget_cases import Answered, spent
from mmaudit.budget import Budget, raised, steps
from mmaudit.spending import spend, widths
from mmaudit.timing import Timing
from mmaudit.types import CLEAN, Array, Condition, Task

N = 900


def noise(position: int) -> Condition:
    return Condition("a.noise", "corruption", 1, ("a",), float(position), position, unit="σ")


def missing(*names: str, baseline: str = "zero") -> Condition:
    return Condition("missing", "missing", 1, names, options=(("baseline", baseline),))


def classified(share: Mapping[str, float], conditions: Sequence[Condition], n: int = N) -> Answered:
    """Two classes; under a condition the share of samples that is named gets the other answer than on clean data."""
    rng = np.random.default_rng(5)
    target = rng.integers(0, 2, n)
    said = np.where(rng.random(n) < 0.8, target, 1 - target)
    outputs = {}
    for c in conditions:
        other = rng.random(n) < share.get(c.key, 0.0)
        outputs[c.key] = (4.0 * np.eye(2)[np.where(other, 1 - said, said)]).astype(np.float32)
    return Answered(Task.classification(2), target, outputs, conditions)


def test_a_larger_suite_on_a_finished_run_keeps_the_budget() -> None:
    """The block that reliance is made of then holds conditions with all samples, and new ones."""
    old = [CLEAN, *(missing(*m) for m in ("a", "b", "ab"))]
    new = [missing(*m, baseline="mean") for m in ("a", "b", "ab")]
    run = classified({c.key: 0.2 for c in (*old[1:], *new)}, [*old, *new])
    run.grow([N] * len(old) + [0] * len(new))
    forwards = N * len(old) + 600
    counts = spent(run, Budget(forwards))
    assert sum(counts) <= forwards
    assert counts[: len(old)] == [N] * len(old)
    assert len(set(counts[len(old) :])) == 1
    assert counts[-1] == 161


def test_of_a_unit_those_with_fewer_catch_up_first() -> None:
    units, counts = [(0,), (1, 2)], [100, 100, 32]
    assert raised(units, counts, [0.0, 0.5], steps(100), 8) == [100, 100, 40]
    assert raised(units, counts, [0.0, 0.5], steps(100), 68) == [100, 100, 100]
    assert raised([(0,), (2, 1)], counts, [0.0, 0.5], steps(100), 8) == [100, 100, 40]


def test_equal_widths_share_alike() -> None:
    assert raised([(0,), (1,), (2,)], [32] * 3, [0.0] * 3, steps(1000), 3 * 32) == [64] * 3


def test_a_model_that_refuses_everything_is_not_asked_again() -> None:
    conditions = [CLEAN, *(noise(p) for p in (1, 2, 3))]
    run = classified({c.key: 0.2 for c in conditions[1:]}, conditions)
    run.outputs = {**run.outputs, conditions[2].key: np.full((N, 2), np.nan, np.float32)}
    counts = spent(run, Budget(1_800))
    # It has its first samples, and what is too little for a step of another one.
    assert 1.5 * counts[2] < min(counts[1], counts[3])


def regressed(seldom: float) -> Answered:
    """A regression with a condition that changes few samples, and two that change all."""
    rng = np.random.default_rng(6)
    conditions = [CLEAN, *(noise(p) for p in (1, 2, 3))]
    target = rng.normal(size=(N, 1))
    clean = (target + 0.3 * rng.normal(size=(N, 1))).astype(np.float32)
    hit = rng.random((N, 1)) < seldom
    off: list[Array] = [0 * clean, np.where(hit, 3.0, 0.0), *(rng.normal(size=(N, 1)) for _ in range(2))]
    outputs = {c.key: (clean + x).astype(np.float32) for c, x in zip(conditions, off, strict=True)}
    return Answered(Task.regression(1), target, outputs, conditions)


def test_an_error_that_was_not_seen_to_change_is_not_taken_for_known() -> None:
    """No change in 32 samples leaves 11 % of the rest open; that interval of width 0 once ended all asking."""
    run = regressed(0.0)
    run.grow([32] * 4)
    known, exact = widths(run)
    assert exact == [False, True, False, False]
    assert 0 < known[1] < min(known[2:])
    # Four times the samples, and a quarter of the width: it is a bound on a share.
    run.grow([128] * 4)
    assert widths(run)[0][1] < 0.4 * known[1]
    counts = spent(run, Budget(2_000))
    assert 128 <= counts[1] < min(counts[2:])


def test_an_error_that_nothing_changes_is_measured_alike() -> None:
    run = regressed(0.0)
    run.outputs = dict.fromkeys(run.outputs, run.outputs[CLEAN.key])
    counts = spent(run, Budget(1_000))
    assert max(counts[1:]) <= 1.3 * min(counts[1:])
    assert sum(counts) > 900


def test_within_a_time_the_first_samples_are_the_fewest() -> None:
    """How long an answer takes is not known before the first; many answers beside a time are no reason to ask more."""
    conditions = [CLEAN, *(noise(p) for p in (1, 2, 3))]
    run = classified({c.key: 0.2 for c in conditions[1:]}, conditions)
    seen = []

    def answers(told: object, first: int) -> Timing:
        seen.append(run.counts)
        return Timing()

    limit = Budget(10**6, 3600.0)
    run.header["budget"] = limit.to_json()
    spend(run, limit, answers)
    assert seen[0] == [32] * 4
    assert run.counts == [N] * 4


def test_half_of_the_rest_too_little_for_any_step_is_no_end() -> None:
    """Fifteen subsets go together: a step of all of them costs more than half of what is left."""
    subsets = [missing(*names) for k in (1, 2, 3, 4) for names in combinations("abcd", k)]
    for seconds in (None, 3600.0):
        run = classified({c.key: 0.2 for c in subsets}, [CLEAN, *subsets], n=64)
        run.grow([64] + [32] * 15)
        left = sum(run.counts) // 3 + 2
        assert left / 2 < 15 * 8 <= left
        assert spent(run, Budget(64 + 15 * 32 + left, seconds)) == [64] + [40] * 15
