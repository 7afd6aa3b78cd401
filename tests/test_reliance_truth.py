"""Reliance of models whose every subset value is known in closed form: each interval must hold the truth."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.reliance_runs import by_label, predicted, resamples, shapley_by_orders
from mmaudit import reliance
from mmaudit.estimates import Estimate
from mmaudit.plan import Suite
from mmaudit.probes import probes
from mmaudit.types import CLEAN
from theory.known_fusion import Xor
from theory.known_truth import gaussian
from theory.scenarios import correlated

N = 6000
SUITE = Suite("truth", ("missing", "mismatch"), baselines=("native", "zero", "marginal"), pools=("random",))
WORLDS = {
    "both": gaussian([1.0, 0.6]),
    "only a": gaussian([1.3, 0.0]),
    "redundant": gaussian([1.0, 1.0], cov=correlated(0.4)),
    "three": gaussian([0.7, 0.9, 1.1]),
    "unbalanced": gaussian([0.8, 0.8], prior=0.8),
    "xor": Xor(2.0),
}


def values(world: Any, baseline: str) -> dict[frozenset[str], float]:
    """v(S) in closed form."""
    found = {frozenset(world.names): world.truth(CLEAN).accuracy}
    for size in range(1, len(world.names) + 1):
        for gone in combinations(world.names, size):
            condition = probes.get("missing").condition(gone, options=(("baseline", baseline),))
            found[frozenset(world.names) - set(gone)] = world.truth(condition).accuracy
    return found


def truths(world: Any) -> dict[str, float]:
    """Every estimate that has a known truth, by label."""
    names, out = world.names, {}
    clean = world.truth(CLEAN).accuracy
    for baseline in SUITE.baselines:
        v = values(world, baseline)
        whole, floor = frozenset(names), world.floor
        phi = shapley_by_orders(v, names)
        shape = shapley_by_orders({**v, frozenset(): floor}, names)
        for m in names:
            out[f"shapley_value[{m}, baseline={baseline}]"] = phi[m]
            out[f"shape_contribution[{m}, baseline={baseline}]"] = shape[m]
            out[f"leave_one_out[{m}, baseline={baseline}]"] = clean - v[whole - {m}]
            out[f"only_one[{m}, baseline={baseline}]"] = v[frozenset({m})]
            out[f"conditional_utilisation[{m}, baseline={baseline}]"] = 1 - v[whole - {m}] / clean
        for size in range(2, len(names) + 1):
            for chosen in combinations(names, size):
                joint, parts = v[frozenset(chosen)], sum(v[frozenset({m})] - floor for m in chosen)
                out[f"shape_cooperation[{'+'.join(chosen)}, baseline={baseline}]"] = joint - floor - parts
        if len(names) == 2:
            a, b = (v[frozenset({m})] for m in names)
            out[f"shapley_interaction[{'+'.join(names)}, baseline={baseline}]"] = clean - a - b + v[frozenset()]
        out[f"shapley_efficiency_error[baseline={baseline}]"] = 0.0
    for m in names:
        shuffled = probes.get("mismatch").condition((m,), options=(("pool", "random"),))
        score = clean - world.truth(shuffled).accuracy
        out[f"perceptual_score[{m}]"] = score
        out[f"perceptual_score[{m}, normalised=model]"] = score / clean
        out[f"perceptual_score[{m}, normalised=task]"] = score / (1 - world.floor)
    return out


@pytest.mark.parametrize("name", WORLDS)
def test_estimates_hold_the_truth(name: str, tmp_path: Path) -> None:
    """Each is right within four standard errors, and no estimate of the run is without a truth here."""
    world = WORLDS[name]
    data = world.data(N, np.random.default_rng([5, *name.encode()]))
    run = predicted(tmp_path / "run", world.model(), data, SUITE)
    found = by_label(reliance.estimates(run, resamples(run)))
    expected = truths(world.given(data))
    three = {label for label in found if label.startswith("shapley_interaction") and len(world.names) > 2}
    assert found.keys() - {"reliance_agreement"} == expected.keys() | three
    for label, truth in expected.items():
        e = found[label]
        assert e.low <= e.value <= e.high, label
        # The floor is that of the sample; in a balanced world its majority share is above one half by chance.
        error = max((e.high - e.low) / 3.92, 1e-12) + (1 / N**0.5 if "shape" in label or "task" in label else 0.0)
        assert e.value == pytest.approx(truth, abs=4 * error), label


def test_null_and_significance(tmp_path: Path) -> None:
    """A model that ignores b: nothing varies, so its bounds are exact; what it relies on is significant."""
    world = WORLDS["only a"]
    run = predicted(tmp_path / "run", world.model(), world.data(N, np.random.default_rng(0)), SUITE)
    found = by_label(reliance.estimates(run, resamples(run)))
    bound = 1 - 0.025 ** (1 / N)
    for label in ("shapley_value[b, baseline=zero]", "leave_one_out[b, baseline=zero]", "perceptual_score[b]"):
        e = found[label]
        assert (e.value, e.p) == (pytest.approx(0, abs=1e-15), 1.0)
        assert (e.low, e.high) == pytest.approx((-bound, bound))
    share = found["conditional_utilisation[b, baseline=zero]"]
    assert share.high == pytest.approx(bound / found["only_one[a, baseline=zero]"].value)
    assert found["shapley_value[a, baseline=zero]"].p < 1e-6
    assert found["only_one[b, baseline=native]"].null == pytest.approx(0.5, abs=0.05)
    assert found["reliance_agreement"].value == 1


def interactions_by_hand(v: dict[frozenset[str], float]) -> dict[str, float]:
    """Of three players: the pair's dividend plus half that of all three, and that of all three."""

    def dividend(*chosen: str) -> float:
        subsets = [frozenset(s) for k in range(len(chosen) + 1) for s in combinations(chosen, k)]
        return sum((-1) ** (len(chosen) - len(s)) * v[s] for s in subsets)

    every = dividend("a", "b", "c")
    pairs = {"+".join(p): dividend(*p) + every / 2 for p in combinations("abc", 2)}
    return {**pairs, "a+b+c": every}


def test_three_way_interactions(tmp_path: Path) -> None:
    world = WORLDS["three"]
    data = world.data(N, np.random.default_rng(1))
    run = predicted(tmp_path / "run", world.model(), data, SUITE)
    found = by_label(reliance.estimates(run, resamples(run)))
    for baseline in SUITE.baselines:
        for together, truth in interactions_by_hand(values(world.given(data), baseline)).items():
            e: Estimate = found[f"shapley_interaction[{together}, baseline={baseline}]"]
            assert e.value == pytest.approx(truth, abs=4 * (e.high - e.low) / 3.92), e.label
