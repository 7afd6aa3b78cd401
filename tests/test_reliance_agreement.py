"""Rank agreement of estimators: by hand, against SciPy, its null, and why they disagree."""

from __future__ import annotations

from itertools import combinations, permutations, product
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from helpers.reliance_runs import predicted
from mmaudit import ArrayData, FunctionModel, Task
from mmaudit.estimates import Estimate
from mmaudit.metrics import Resamples
from mmaudit.plan import Suite
from mmaudit.reliance import about_others, explain_disagreement
from mmaudit.reliance.agreement import ON_RECORDED, agreement, mean_tau, orders, p_random
from mmaudit.reliance.found import Found

N, B = 200, 100
W = Resamples.draw(N, B)


def estimate(name: str, modality: str, value: float, half: float = 0.01, **options: str) -> Estimate:
    return Estimate(
        name, (modality,), tuple(options.items()), n=N, value=value, low=value - half, high=value + half, unit="share"
    )


def ranking(name: str, values: dict[str, float], half: float = 0.01, **options: str) -> list[Estimate]:
    return [estimate(name, m, v, half, **options) for m, v in values.items()]


def noisy(estimates: list[Estimate], error: float, seed: int) -> list[Found]:
    rng = np.random.default_rng(seed)
    return [Found(e, np.concatenate([[e.value], e.value + error * rng.normal(size=B)])) for e in estimates]


def signs(values: np.ndarray) -> np.ndarray:
    return np.array([np.sign(values[i] - values[j]) for i, j in combinations(range(len(values)), 2)])


@pytest.mark.parametrize("seed", range(5))
def test_mean_of_pairwise_tau_b(seed: int) -> None:
    """As the mean over pairs of SciPy's τ-b, ties included."""
    values = np.random.default_rng(seed).integers(0, 4, (5, 6)).astype(float)
    expected = np.mean([scipy.stats.kendalltau(a, b).statistic for a, b in combinations(values, 2)])
    assert mean_tau(np.stack([signs(v) for v in values])) == pytest.approx(expected)


def test_two_modalities_and_one_that_contradicts() -> None:
    """Three say a, one says b: of six pairs three agree and three contradict each other."""
    found: list[Estimate] = []
    for name in ("shapley_value", "leave_one_out", "perceptual_score"):
        found += ranking(name, {"a": 0.5, "b": 0.1})
    found += ranking("attribution_share", {"a": 0.2, "b": 0.8}, method="ablation")
    (made,) = agreement(found, W)
    assert made.estimate.value == pytest.approx(0)
    assert made.estimate.null == 0
    # Of the 8 ways to turn three of four coins, 2 agree wholly (τ = 1), 3 are 3 : 1 and 3 are 2 : 2 (τ = −1/3).
    assert made.estimate.p == 1.0


def test_all_of_one_mind() -> None:
    found = [
        e for name in ("shapley_value", "leave_one_out", "only_one") for e in ranking(name, {"a": 3, "b": 2, "c": 1})
    ]
    (made,) = agreement(found, W)
    assert made.estimate.value == 1
    assert np.isnan([made.estimate.low, made.estimate.high]).all()  # no replicate differs: a width of 0 is never stated
    assert made.estimate.reason.startswith("no interval: hardly a resample changes the order")
    assert made.estimate.p == pytest.approx(1 / 36)


def test_p_of_every_combination_of_orders() -> None:
    """Against an enumeration with SciPy's τ, and for more estimators within the error of 4,999 draws."""
    three = [np.array(v, float) for v in permutations(range(3))]
    chosen = np.array([[3, 2, 1], [3, 1, 2], [1, 3, 2]], float)
    value = float(mean_tau(np.stack([signs(v) for v in chosen])))

    def tau(values: tuple[np.ndarray, ...]) -> float:
        return float(np.mean([scipy.stats.kendalltau(a, b).statistic for a, b in combinations(values, 2)]))

    every = np.array([tau(v) for v in product(three, repeat=3)])
    expected = (np.abs(every) >= abs(value) - 1e-9).mean()
    assert p_random(np.stack([signs(v) for v in chosen]).astype(np.int8), 3, value) == pytest.approx(expected)
    more = np.concatenate([chosen, chosen, chosen])
    many = np.stack([signs(v) for v in more]).astype(np.int8)
    drawn = np.random.default_rng(3).permuted(np.tile(np.arange(3.0), (20000, 9, 1)), axis=2)
    taus = mean_tau(
        np.stack([np.sign(drawn[..., i] - drawn[..., j]) for i, j in combinations(range(3), 2)]).transpose(2, 0, 1)
    )
    value = float(mean_tau(many.astype(float)))
    assert p_random(many, 3, value) == pytest.approx((np.abs(taus) >= abs(value) - 1e-9).mean(), abs=0.02)


def test_what_cannot_be_told_apart_is_tied() -> None:
    """By paired replicates where they are known, else by intervals that overlap."""
    close = ranking("shapley_value", {"a": 0.5, "b": 0.48}, half=0.05)
    assert not orders(close)[0].ordered
    shared = np.random.default_rng(0).normal(size=B)
    paired = [Found(e, np.concatenate([[e.value], e.value + 0.05 * shared])) for e in close]
    assert orders(paired, B)[0].signs[0, 0] == 1  # they move together, so the difference is sure
    assert not orders(noisy(close, 0.05, 1), B)[0].ordered


def test_no_order_is_no_disagreement() -> None:
    """An estimator that sees no difference does not count; where fewer than two see one there is nothing to compare."""
    clear, unclear = ranking("shapley_value", {"a": 0.5, "b": 0.1}), ranking("only_one", {"a": 0.5, "b": 0.5})
    (made,) = agreement([*clear, *unclear], W)
    assert np.isnan(made.estimate.value)
    assert "of 2 estimators one can tell the modalities apart" in made.estimate.reason
    (made,) = agreement(unclear, W)
    assert "none" in made.estimate.reason
    assert list(agreement([], W)) == []
    assert list(agreement(ranking("shapley_value", {"a": 1.0}), W)) == []


def test_incomplete_estimators_and_variants_do_not_count() -> None:
    found = ranking("shapley_value", {"a": 0.5, "b": 0.1}) + ranking("leave_one_out", {"a": 0.4, "b": 0.2})
    more = [
        *ranking("only_one", {"a": 0.5}),
        estimate("only_one", "b", float("nan")),
        *ranking("perceptual_score", {"a": 0.1, "b": 0.5}, normalised="model"),
        *ranking("attribution_share", {"a": 0.1, "b": 0.9}, method="ablation", parts="absolute"),
        *ranking("conditional_utilisation", {"a": 0.1, "b": 0.9}),
    ]
    assert [o.estimator for o in orders([*found, *more])] == ["shapley_value", "leave_one_out"]


def test_interval_follows_the_noise() -> None:
    """Clear orders leave it narrow; orders that a resample can change make it wide."""
    names = ("shapley_value", "leave_one_out", "only_one", "perceptual_score")
    sure = [f for i, name in enumerate(names) for f in noisy(ranking(name, {"a": 3, "b": 2, "c": 1}), 0.05, i)]
    (made,) = agreement(sure, W)
    assert made.estimate.reason.startswith("no interval: hardly a resample changes the order")
    weak = [f for i, name in enumerate(names) for f in noisy(ranking(name, {"a": 3, "b": 2, "c": 1}), 0.3, i)]
    (made,) = agreement(weak, W)
    assert made.estimate.low < 0.9 <= made.estimate.high


def test_one_baseline_is_to_blame_and_its_distance_is_quoted() -> None:
    found = []
    for baseline, values in (("mean", (0.5, 0.1)), ("marginal", (0.6, 0.2)), ("zero", (0.1, 0.7))):
        for name in ("shapley_value", "leave_one_out"):
            found += ranking(name, dict(zip(("image", "text"), values, strict=True)), baseline=baseline)
    (said,) = explain_disagreement(found)
    assert "image matters more than text by Shapley value (mean, marginal)" in said
    assert said.endswith("The difference comes from the missing baseline zero.")
    found += ranking("off_data_distance", {"image": 0.8, "text": 9.3}, baseline="zero")
    (said,) = explain_disagreement(found)
    assert "missing baseline zero, whose stand-ins are unlike the data" in said
    assert "9.3 times as far for text" in said


def test_a_way_of_asking_is_to_blame() -> None:
    """Alone against beside the others; what moves the output against what makes it right."""
    beside = ranking("leave_one_out", {"a": 0.5, "b": 0.1}, baseline="zero")
    alone = ranking("only_one", {"a": 0.5, "b": 0.8}, baseline="zero")
    (said,) = explain_disagreement(beside + alone)
    assert "What a modality is worth alone" in said
    moved = ranking("attribution_share", {"a": 0.1, "b": 0.9}, method="integrated_gradients")
    far = ranking("off_data_distance", {"a": 5.0, "b": 1.0}, baseline="zero")
    (said,) = explain_disagreement(beside + moved + far)
    assert "what moves the output" in said
    assert "zero for a (5.0 times)" in said


def test_one_estimator_against_all_others_is_what_is_explained() -> None:
    """Also where what a modality is worth alone is among the others."""
    found = []
    for name in ("shapley_value", "leave_one_out", "only_one", "perceptual_score", "anova_share"):
        found += ranking(name, {"a": 0.5, "b": 0.1})
    for name, why in (("attribution_share", "Attributions say"), ("only_one", "What a modality is worth alone")):
        others = [e for e in found if e.estimator != name]
        (said,) = explain_disagreement(others + ranking(name, {"a": 0.1, "b": 0.9}))
        assert why in said


def test_agreement_needs_no_explanation() -> None:
    beside = ranking("leave_one_out", {"a": 0.5, "b": 0.1}, baseline="zero")
    assert explain_disagreement(beside + ranking("only_one", {"a": 0.9, "b": 0.2}, baseline="zero")) == []
    assert explain_disagreement(beside + ranking("only_one", {"a": 0.5, "b": 0.505}, baseline="zero")) == []
    assert explain_disagreement([]) == []


def test_estimators_about_other_samples_contradict_nobody() -> None:
    """ANOVA and attributions rest on what is recorded in full; where that is a part, they are about other samples."""
    found: list[Estimate] = []
    for name in ("shapley_value", "leave_one_out"):
        found += ranking(name, {"a": 0.1, "b": 0.5})
    for name in ON_RECORDED:
        found += ranking(name, {"a": 0.9, "b": 0.1})
    assert explain_disagreement(found)
    assert explain_disagreement(found, besides=ON_RECORDED) == []
    (made,) = agreement(found, W, besides=ON_RECORDED)
    assert made.estimate.value == pytest.approx(1)


@pytest.mark.parametrize(("recorded", "expected"), [(1.0, ()), (0.4, ON_RECORDED)])
def test_whether_estimators_are_about_other_samples(tmp_path: Path, recorded: float, expected: tuple[str, ...]) -> None:
    there = np.arange(60) < 60 * recorded
    inputs = {"a": np.arange(60.0)[:, None], "b": np.ones((60, 1)) * np.arange(60)[:, None]}
    data = ArrayData(inputs, np.arange(60) % 2, Task.classification(2), present={"a": there})

    def answer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.stack([0 * b[:, 0], np.nan_to_num(a)[:, 0] + b[:, 0] - 60], axis=1)

    model = FunctionModel(answer, ["a", "b"], outputs="logits", fingerprint="sum")
    run = predicted(tmp_path / "run", model, data, Suite("one", ("missing",), baselines=("zero",)))
    assert about_others(run) == expected
