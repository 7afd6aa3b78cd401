"""OGM-GE, AGM and MLB: coefficients by hand, what they do to a training, and what they leave alone."""

from __future__ import annotations

from functools import cache
from math import exp, log, tanh

import numpy as np
import pytest
import torch
from torch import nn

import mmaudit.reference.methods  # noqa: F401  (registers them)
from helpers.imbalance import PLAIN, accuracy_alone, parts, planted, step, trained
from mmaudit.errors import BadInput
from mmaudit.reference.base import Parts, references
from mmaudit.reference.loop import Budget, Table, build, train
from mmaudit.reference.methods.agm import agm_coefficients
from mmaudit.reference.methods.balancing import certainty, mean_of_others, scores
from mmaudit.reference.methods.mlb import mlb_coefficients
from mmaudit.reference.methods.ogm_ge import ogm_coefficients
from mmaudit.reference.optimiser import AdamW
from mmaudit.reference.trained import Trial
from mmaudit.types import Task

METHODS = ("ogm_ge", "agm", "pmr", "mlb", "mcr")
SCALING = ("ogm_ge", "agm", "mlb")
OFF = {
    "ogm_ge": {"alpha": 0.0, "noise": 0.0},
    "agm": {"alpha": 0.0},
    "pmr": {"alpha": 0.0, "entropy": 0.0},
    "mlb": {"alpha": 0.0, "unimodal": 0.0},
    "mcr": {"game": 0.0, "unimodal": 0.0, "contrast": 0.0, "ceb": 0.0},
}
BOTH = torch.tensor([True, True])
CLASSES = Task.classification(3)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# ---- closed forms


def test_scores_are_the_mean_probability_of_the_truth_over_the_rows_that_have_the_modality():
    logits = {"a": np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]]), "b": np.array([[0.0, 1.0, 0.0], [9.0, 9.0, 9.0]])}
    target = torch.tensor([0, 2])
    rows = {m: certainty(torch.tensor(x), target, CLASSES) for m, x in logits.items()}
    here = {"a": torch.tensor([True, True]), "b": torch.tensor([True, False])}
    score, known = scores(rows, here)
    expected = [softmax(logits["a"])[[0, 1], [0, 2]].mean(), softmax(logits["b"])[0, 0]]
    np.testing.assert_allclose(score.numpy(), expected, rtol=1e-12)
    assert known.tolist() == [True, True]


def test_certainty_of_labels_is_the_mean_probability_of_each_labels_truth():
    logits, target = torch.tensor([[1.0, -2.0]], dtype=torch.float64), torch.tensor([[1, 0]])
    expected = (1 / (1 + exp(-1)) + 1 / (1 + exp(-2))) / 2
    assert certainty(logits, target, Task.multilabel(2)).item() == pytest.approx(expected, rel=1e-12)


def test_ogm_damps_the_better_modality_only():
    found = ogm_coefficients(torch.tensor([0.9, 0.3], dtype=torch.float64), BOTH, torch.tensor(0.8))
    np.testing.assert_allclose(found.numpy(), [1 - tanh(0.8 * 3), 1], rtol=1e-7)
    three = ogm_coefficients(
        torch.tensor([0.6, 0.4, 0.2], dtype=torch.float64), torch.ones(3).bool(), torch.tensor(0.5)
    )
    np.testing.assert_allclose(three.numpy(), [1 - tanh(0.5 * 2), 1, 1], rtol=1e-7)


def test_agm_speeds_up_whom_fell_behind_its_usual_place():
    score = torch.tensor([0.2, 1.0], dtype=torch.float64)
    usual = torch.tensor([0.5, 0.6], dtype=torch.float64)
    expected = [exp(1.5 * (exp(0.1) - exp(0.8))), exp(1.5 * (exp(-0.1) - exp(-0.8)))]
    np.testing.assert_allclose(agm_coefficients(score, usual, BOTH, torch.tensor(1.5)).numpy(), expected, rtol=1e-7)


def test_agm_differences_are_capped_at_10_and_with_three_modalities_at_7():
    far = torch.tensor([5.0, 0.0], dtype=torch.float64)
    found = agm_coefficients(far, far.flip(0), BOTH, torch.tensor(0.1))
    assert found[0].item() == pytest.approx(exp(1.0), rel=1e-7)
    three = torch.tensor([5.0, 0.0, 0.0], dtype=torch.float64)
    found = agm_coefficients(
        three, three.flip(0) * 0 + torch.tensor([0.0, 5, 5]), torch.ones(3).bool(), torch.tensor(0.1)
    )
    assert found[0].item() == pytest.approx(exp(0.7), rel=1e-7)


def test_agm_ratio_of_three_is_the_published_one():
    # exp(3/2 (mean of all - own)), as the authors' code for three modalities has it.
    score, usual = np.array([0.3, 0.9, 0.5]), np.array([0.4, 0.5, 0.6])
    ratio, target = (np.exp(1.5 * (s.mean() - s)) for s in (score, usual))
    found = agm_coefficients(torch.tensor(score), torch.tensor(usual), torch.ones(3).bool(), torch.tensor(0.7))
    np.testing.assert_allclose(found.numpy(), np.exp(0.7 * (target - ratio)), rtol=1e-6)


def test_mlb_moves_both_ways_and_has_a_largest_coefficient():
    score = torch.tensor([0.8, 0.2], dtype=torch.float64)
    others, comparable = mean_of_others(score, BOTH)
    ratio = others / score
    found = mlb_coefficients(ratio, comparable, torch.tensor(0.8), torch.tensor(2.0))
    np.testing.assert_allclose(found.numpy(), [1 + tanh(0.8 * (0.25 - 1)), 1 + tanh(0.8 * 3)], rtol=1e-7)
    found = mlb_coefficients(ratio, comparable, torch.tensor(0.8), torch.tensor(10.0))
    np.testing.assert_allclose(found.numpy(), [1 + tanh(0.8 * (0.25 - 1)), 1 + 9 * tanh(0.8 * 3)], rtol=1e-7)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_equal_modalities_are_left_alone(count):
    score, known, one = torch.full((count,), 0.37), torch.ones(count).bool(), torch.tensor(1.0)
    others, comparable = mean_of_others(score, known)
    for found in (
        ogm_coefficients(score, known, one),
        agm_coefficients(score, score, known, one),
        mlb_coefficients(others / score, comparable, one, torch.tensor(10.0)),
    ):
        torch.testing.assert_close(found, torch.ones(count), rtol=0, atol=1e-6)


def test_a_modality_that_no_row_has_is_neither_balanced_nor_counted():
    score, known = torch.tensor([0.9, 0.3, 0.0]), torch.tensor([True, True, False])
    found = ogm_coefficients(score, known, torch.tensor(0.8))
    torch.testing.assert_close(found, torch.tensor([1 - tanh(0.8 * 3), 1.0, 1.0]))
    alone = torch.tensor([True, False, False])
    assert ogm_coefficients(score, alone, torch.tensor(0.8)).tolist() == [1, 1, 1]
    assert agm_coefficients(score, score * 2, alone, torch.tensor(0.8)).tolist() == [1, 1, 1]


# ---- the model


def test_the_answer_is_the_sum_of_what_modalities_say_which_is_their_shapley_value():
    made = parts(3, CLASSES)
    model = build(references.get("agm"), made, 0)
    batch = step(made, torch.zeros(6, dtype=torch.int64), "agm", absent=0.2)
    split = model.split(model.encode(batch.inputs, batch.present), batch.present)
    torch.testing.assert_close(sum(split.values()), model(batch.inputs, batch.present))

    # Shapley value of the first among three, others zero-padded, and a third of the bias, which all subsets share.
    def padded(*kept):
        return model(batch.inputs, {m: p & (m in kept) for m, p in batch.present.items()})

    a, b, c = made.modalities
    value = (padded(a, b, c) - padded(b, c)) / 3 + (padded(a, b) - padded(b) + padded(a, c) - padded(c)) / 6
    value = value + (padded(a) - padded()) / 3 + model.bias / 3
    torch.testing.assert_close(split[a], value)


def test_the_model_is_told_what_is_missing_and_does_not_read_it():
    made = parts()
    model = build(references.get("mlb"), made, 0)
    batch = step(made, torch.zeros(4, dtype=torch.int64), "mlb")
    there = model(batch.inputs, batch.present)
    gone = {**batch.present, "slow": torch.zeros(4, dtype=torch.bool)}
    without = model(batch.inputs, gone)
    other = {**batch.inputs, "slow": torch.full_like(batch.inputs["slow"], 99.0)}
    torch.testing.assert_close(model(other, gone), without, rtol=0, atol=0)
    zeros = model.fuse({m: torch.zeros(4, 4) for m in made.modalities}, batch.present)
    assert not torch.allclose(there, without)
    assert not torch.allclose(zeros, model.fuse({m: torch.zeros(4, 4) for m in made.modalities}, gone))


def test_features_that_nothing_encodes_get_a_layer_to_balance():
    made = Parts(("a", "b"), {"a": nn.Identity, "b": nn.Identity}, {"a": 5, "b": 3}, Task.classification(2))
    model = build(references.get("ogm_ge"), made, 0)
    assert set(model.draws(4)) == {"encoders.m0.1.weight", "encoders.m1.1.weight"}
    out = model({"a": torch.ones(2, 5), "b": torch.ones(2, 3)}, {m: torch.ones(2).bool() for m in "ab"})
    assert out.shape == (2, 2)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("absent", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("modalities", [2, 4])
def test_losses_and_gradients_are_finite_whatever_is_missing(name, absent, modalities):
    made = parts(modalities, CLASSES)
    model = build(references.get(name), made, 0)
    batch = step(made, torch.tensor([0, 1, 2, 0, 1]), name, absent=absent)
    loss = model.loss(batch)
    loss.backward()
    assert torch.isfinite(loss)
    gradients = {n: p.grad if p.grad is not None else torch.zeros_like(p) for n, p in model.named_parameters()}
    for n, g in {**gradients, **model.after_gradients(gradients, batch), **model.paces(batch.state)}.items():
        assert torch.isfinite(g).all(), n
    assert all(torch.isfinite(s.float()).all() for s in batch.state.values())
    if absent == 1.0:
        noisy = 2**0.5 if name == "ogm_ge" else 1  # a gradient and noise as large: the sum is longer
        assert all(v.item() == pytest.approx(noisy) for v in model.paces(batch.state).values())


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n in METHODS for k in ("multilabel", "regression")])
def test_other_tasks_train_where_the_quantity_exists(name, kind):
    method = references.get(name)
    made = parts(2, Task.multilabel(3) if kind == "multilabel" else Task.regression(2))
    if kind not in method.tasks:
        with pytest.raises(BadInput, match=f"'{name}' is for"):
            method.require(made)
        return
    source = torch.Generator().manual_seed(0)
    table = planted(96, 0)
    target = (
        torch.randint(2, (96, 3), generator=source) if kind == "multilabel" else table.inputs["easy"][:, :2].clone()
    )
    found = train(method, made, Table(table.inputs, table.present, target), Table(table.inputs, table.present, target),
                  [Trial(0, {"lr": 1e-2})], Budget(epochs=8, batch=32, patience=0))  # fmt: skip
    assert found.outcomes == [""]
    assert found.history[-1]["validation"][0] > found.history[0]["validation"][0]


# ---- training


@pytest.mark.parametrize("name", METHODS)
def test_switched_off_it_is_the_plain_model_bit_by_bit(name):
    # Compared is what both have: the other heads of MLB and MCR are not part of the answer and get no gradient. The
    # common norm of all gradients is rounded differently beside them, so nothing is clipped.
    same = {"rows": 256, "epochs": 2, "clip": float("inf"), "weight_decay": 0.01}
    found, plain = (trained(m, (0,), **same, **off) for m, off in ((references.get(name), OFF[name]), (PLAIN, {})))
    for key, value in plain.parameters.items():
        assert torch.equal(found.parameters[key], value), key


@pytest.mark.parametrize("name", METHODS)
def test_three_trials_together_are_three_trials_one_by_one(name):
    method = references.get(name)
    together = trained(method, (0, 1, 2), rows=256, epochs=2)
    for i in range(3):
        alone = trained(method, (i,), rows=256, epochs=2)
        for key, value in alone.parameters.items():
            torch.testing.assert_close(together.parameters[key][i], value[0], rtol=1e-5, atol=1e-5, msg=f"{key} of {i}")


@pytest.mark.parametrize("name", SCALING)
def test_the_step_of_the_better_modalitys_encoder_is_multiplied_by_its_coefficient(name):
    hyper = {"noise": 0.0} if name == "ogm_ge" else {}
    budget, table = Budget(epochs=1, batch=64, patience=0), planted(64, 1)
    method = references.get(name)
    start = build(method, parts(width=16), 0)
    # Make the easy modality the better one from the first step on.
    with torch.no_grad():
        features = start.encode(table.inputs, table.present)
    batch = step(parts(width=16), table.target, name)
    batch.inputs, batch.present = table.inputs, table.present
    start.loss(batch)
    coefficients = batch.state["coefficients"]
    assert len(features) == 2
    on = train(method, parts(width=16), table, table, [Trial(0, hyper)], budget)
    off = train(method, parts(width=16), table, table, [Trial(0, {**hyper, "alpha": 0.0})], budget)
    for m in (0, 1):
        key = f"encoders.m{m}.weight"
        before = start.get_parameter(key).detach()
        moved, usual = on.parameters[key][0] - before, off.parameters[key][0] - before
        torch.testing.assert_close(moved, coefficients[m] * usual, rtol=1e-3, atol=1e-6)
    assert coefficients.min() < 1


def ogm_step(coefficients, noise=1.0, epoch=0.0):
    """A step of a model whose modalities have these coefficients, and gradients of its weights."""
    made = parts(width=64)
    model = build(references.get("ogm_ge"), made, 0)
    batch = step(made, torch.tensor([0, 1, 1, 0]), "ogm_ge")
    batch.hyper["noise"], batch.epoch = torch.tensor(noise), torch.tensor(epoch)
    model.loss(batch).backward()
    if epoch == 0:
        batch.state["coefficients"] = torch.tensor(coefficients)
    return model, batch, {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_ogm_steps_along_the_damped_gradient_and_noise_that_is_not_damped(noise):
    """Peng et al. 2022: k·g + n, n of the unmodulated gradient's own spread; never k·(g + n)."""
    coefficients = (0.05, 1.0)
    model, batch, gradients = ogm_step(coefficients, noise)
    noisy, paces = model.after_gradients(gradients, batch), model.paces(batch.state)
    for m, k in enumerate(coefficients):
        name = f"encoders.m{m}.weight"
        g, draw = gradients[name], batch.draws[name]
        torch.testing.assert_close(paces[name] * noisy[name], k * g + noise * g.std() * draw, rtol=1e-4, atol=1e-6)
        # What AdamW and clipping see is as large as the gradient itself.
        assert noisy[name].std().item() == pytest.approx(g.std().item(), rel=0.15)
        assert torch.equal(gradients[f"encoders.m{m}.bias"], noisy[f"encoders.m{m}.bias"])


def test_ogm_without_modulation_and_noise_leaves_gradients_as_they_are_bit_by_bit():
    model, batch, gradients = ogm_step((1.0, 1.0), 0.0)
    assert all(torch.equal(g, gradients[n]) for n, g in model.after_gradients(gradients, batch).items())
    model, batch, gradients = ogm_step((0.0, 1.0), 0.0)
    found = model.after_gradients(gradients, batch)
    assert torch.isfinite(found["encoders.m0.weight"]).all()
    assert model.paces(batch.state)["encoders.m0.weight"] == 0


def test_ogm_noise_ends_with_the_modulation():
    model, batch, gradients = ogm_step((1.0, 1.0), epoch=5.0)  # of 10, and `until` is one half
    late = model.after_gradients(gradients, batch)
    assert all(torch.equal(late[n], g) for n, g in gradients.items())
    assert all(p == 1 for p in model.paces(batch.state).values())


def test_ogm_under_adamw_moves_weights_by_the_published_mixture():
    """Over many steps noise averages out, and a gradient damped to a fifth moves the weights a fifth as far."""
    generator, moved = torch.Generator().manual_seed(0), {}
    for k in (0.2, 1.0):
        model, batch, gradients = ogm_step((k, 1.0))
        name = "encoders.m0.weight"
        gradients[name] = torch.where(gradients[name] > 0, 1.0, -1.0)
        weights = {name: torch.zeros(1, *gradients[name].shape)}
        optimiser = AdamW.of(weights)
        for _ in range(500):
            batch.draws[name] = torch.randn(gradients[name].shape, generator=generator)
            given = {name: model.after_gradients(gradients, batch)[name][None]}
            rate = {name: 1e-3 * model.paces(batch.state)[name][None]}
            optimiser.step(weights, given, rate, {name: torch.zeros(1)})
        moved[k] = (weights[name][0] * -gradients[name]).mean().item()
    assert moved[1.0] == pytest.approx(0.5, rel=0.1), "as far as without noise: 500 steps of 0.001"
    assert moved[0.2] == pytest.approx(0.1, rel=0.1)


def test_agm_remembers_the_mean_of_the_batches_before():
    made = parts()
    model = build(references.get("agm"), made, 0)
    seen = []
    state = model.initial_state()
    for seed in range(3):
        batch = step(made, torch.tensor([0, 1, 1, 0]), "agm", seed=seed)
        batch.state = state
        model.loss(batch)
        split = model.split(model.encode(batch.inputs, batch.present), batch.present)
        seen.append([-certainty(u, batch.target, made.task).log().mean().item() for u in split.values()])
    np.testing.assert_allclose(state["usual"].numpy(), np.mean(seen, axis=0), rtol=1e-5)
    assert state["batches"].tolist() == [3, 3]
    certain = {m: torch.full_like(x, 1e4) for m, x in batch.inputs.items()}
    batch.inputs = certain
    model.loss(batch)
    assert state["usual"].max() <= -log(1e-8)


@cache
def plainly() -> torch.Tensor:
    return accuracy_alone(trained(PLAIN))


@pytest.mark.parametrize(
    ("name", "hyper"), [("ogm_ge", {"noise": 0.0}), ("agm", {}), ("pmr", {}), ("mlb", {}), ("mcr", {})]
)
def test_the_slow_modality_learns_more_than_in_plain_concatenation(name, hyper):
    plain = plainly()
    found = accuracy_alone(trained(references.get(name), **hyper))
    assert plain[:, 0].min() > 0.99
    assert found[:, 0].min() > 0.98
    assert found[:, 1].mean() > plain[:, 1].mean() + 0.02, (plain[:, 1], found[:, 1])
    assert (found[:, 1] > plain[:, 1]).all()


def test_agm_multiplies_no_step_by_more_than_ten():
    made = parts()
    model = build(references.get("agm"), made, 0)
    batch = step(made, torch.tensor([0, 1]), "agm")
    paces = model.paces({**batch.state, "coefficients": torch.tensor([exp(15.0), 0.5])})
    assert {round(p.item(), 3) for p in paces.values()} == {10.0, 0.5}
    assert set(paces) == {f"encoders.m{i}.{p}" for i in (0, 1) for p in ("weight", "bias")} | {"weights.0", "weights.1"}
