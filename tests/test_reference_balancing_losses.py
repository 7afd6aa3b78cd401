"""PMR and MCR: prototypes, weights and the terms of the loss against NumPy, and which gradients flow where."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, jensenshannon
from scipy.special import log_softmax, softmax

import mmaudit.reference.methods  # noqa: F401  (registers them)
from helpers.imbalance import parts, step
from mmaudit.reference.base import references
from mmaudit.reference.loop import build
from mmaudit.reference.methods.mcr import divergence, mipd, nt_xent, same_answer
from mmaudit.reference.methods.pmr import pmr_weights, similarities
from mmaudit.types import Task

CLASSES = Task.classification(3)
TARGETS = [torch.tensor([0, 1, 2, 0, 1, 0]), torch.tensor([2, 2, 1, 0, 1, 2])]


# ---- PMR


def test_similarity_is_minus_the_distance_to_the_prototype():
    source = np.random.default_rng(0)
    features, prototypes = source.normal(size=(5, 7)), source.normal(size=(3, 7))
    known = torch.tensor([True, False, True])
    found = similarities(torch.tensor(features), torch.tensor(prototypes), known).numpy()
    np.testing.assert_allclose(found[:, [0, 2]], -cdist(features, prototypes)[:, [0, 2]], rtol=1e-9)
    assert (found[:, 1] < -1e8).all()


@pytest.mark.parametrize(
    ("score", "behind", "ahead"),
    [
        ([0.6, 0.4], [0, 0.5], [0.5, 0]),
        ([0.9, 0.1], [0, 1], [1, 0]),
        ([0.5, 0.5], [0, 0], [0, 0]),
        ([0.6, 0.3, 0.45], [0, 0.75, 0], [0.6, 0, 0]),
    ],
)
def test_only_the_worse_is_pulled_and_only_the_better_is_spread(score, behind, ahead):
    found = pmr_weights(torch.tensor(score), torch.ones(len(score), dtype=torch.bool))
    torch.testing.assert_close(found[0], torch.tensor(behind, dtype=torch.float32), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1], torch.tensor(ahead, dtype=torch.float32), rtol=1e-5, atol=1e-6)


def epochs_of_pmr(model, made, count, momentum):
    """Two batches per epoch of one unchanging model; yields each batch."""
    state = model.initial_state()
    for epoch in range(count):
        for number, target in enumerate(TARGETS):
            batch = step(made, target, "pmr", seed=2 * epoch + number, absent=0.2, epoch=epoch + number / 2)
            batch.state, batch.hyper["momentum"] = state, torch.tensor(momentum)
            model.loss(batch)
            yield batch


def class_means(model, batches, m):
    features = torch.cat([model.encode(b.inputs, b.present)[m] for b in batches]).detach().numpy()
    here = torch.cat([b.present[m] for b in batches]).numpy()
    target = torch.cat([b.target for b in batches]).numpy()
    return np.stack([features[here & (target == k)].mean(axis=0) for k in range(3)])


def test_prototypes_are_the_class_means_of_the_epoch_before_with_momentum():
    made = parts(2, CLASSES)
    model = build(references.get("pmr"), made, 0)
    batches = list(epochs_of_pmr(model, made, 3, momentum=0.2))
    first, second = (
        {m: class_means(model, batches[at : at + 2], m) for m in made.modalities} for at in (0, 2)
    )  # fmt: skip
    for m in made.modalities:
        np.testing.assert_allclose(
            batches[-1].state[f"prototypes {m}"].numpy(), 0.8 * second[m] + 0.2 * first[m], rtol=1e-5, atol=1e-6
        )


def test_the_first_epoch_has_the_class_means_so_far():
    made = parts(2, CLASSES)
    model = build(references.get("pmr"), made, 0)
    again = step(made, TARGETS[0], "pmr")
    again.present["slow"][0] = False
    again.hyper["entropy"] = torch.tensor(0.3)
    features = {m: f.detach().numpy() for m, f in model.encode(again.inputs, again.present).items()}
    logs = {m: log_softmax(-cdist(features[m], class_means(model, [again], m)), axis=1) for m in made.modalities}
    here = {m: again.present[m].numpy() for m in made.modalities}
    truth = {m: logs[m][np.arange(6), again.target.numpy()] for m in made.modalities}
    score = [np.exp(truth[m])[here[m]].mean() for m in made.modalities]
    behind, ahead = (
        np.clip([score[1] / score[0] - 1, score[0] / score[1] - 1], 0, 1),
        np.clip([score[0] / score[1] - 1, score[1] / score[0] - 1], 0, 1),
    )
    answer = model(again.inputs, again.present).detach().numpy()
    expected = -log_softmax(answer, axis=1)[np.arange(6), again.target.numpy()].mean()
    for i, m in enumerate(made.modalities):
        entropy = -(np.exp(logs[m]) * logs[m]).sum(axis=1)[here[m]].mean()
        expected += -behind[i] * truth[m][here[m]].mean() - 0.3 * ahead[i] * entropy
    assert model.loss(again).item() == pytest.approx(expected, rel=1e-4)
    assert behind.max() > 0


def test_a_class_never_seen_pulls_nobody():
    made = parts(2, Task.classification(5))
    model = build(references.get("pmr"), made, 0)
    state = model.initial_state()
    for epoch, target in enumerate(([0, 1, 0, 1], [4, 4, 4, 4])):
        batch = step(made, torch.tensor(target), "pmr", epoch=float(epoch))
        batch.state = state
        loss = model.loss(batch)
    # In the second epoch class 4 has no prototype yet, so the loss is the task's alone.
    answer = model(batch.inputs, batch.present)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(answer, batch.target))


def test_prototypes_of_state_averaged_over_processes_are_those_of_one():
    """A class with one row in the whole epoch counts as a quarter of a row after averaging over four processes."""
    made = parts(2, Task.classification(3))
    model = build(references.get("pmr"), made, 0)
    targets = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 2, 1, 0]), torch.tensor([1, 0, 1, 0]), torch.tensor([0] * 4)
    batches = [step(made, target, "pmr", seed=i) for i, target in enumerate(targets)]
    for batch in batches:
        batch.state = model.initial_state()
        model.loss(batch)
    mean = {k: torch.stack([b.state[k].float() for b in batches]).mean(dim=0) for k in batches[0].state}
    mean |= {k: t > 0 for k, t in mean.items() if k.startswith("known")}
    later = step(made, targets[0], "pmr", seed=9, epoch=1.0)
    later.state = mean
    assert torch.isfinite(model.loss(later))
    for m in made.modalities:
        np.testing.assert_allclose(
            later.state[f"prototypes {m}"].numpy(), class_means(model, batches, m), rtol=1e-5, atol=1e-6
        )


def test_terms_end_with_their_share_of_the_epochs():
    made = parts(2, CLASSES)
    model = build(references.get("pmr"), made, 0)
    batch = step(made, TARGETS[0], "pmr", epoch=0.0)
    batch.hyper |= {"alpha": torch.tensor(50.0), "until": torch.tensor(0.0), "entropy_until": torch.tensor(0.0)}
    plain = torch.nn.functional.cross_entropy(model(batch.inputs, batch.present), batch.target)
    torch.testing.assert_close(model.loss(batch), plain)


# ---- MCR


def test_divergence_is_that_of_scipy():
    one, two = np.random.default_rng(0).normal(size=(2, 6, 4)) * 3
    found = divergence(torch.tensor(one), torch.tensor(two), CLASSES).numpy()
    np.testing.assert_allclose(found, jensenshannon(softmax(one, axis=1), softmax(two, axis=1), axis=1) ** 2, rtol=1e-9)
    p, q = (1 / (1 + np.exp(-x)) for x in (one, two))
    labels = jensenshannon(np.stack([p, 1 - p]), np.stack([q, 1 - q]), axis=0) ** 2
    found = divergence(torch.tensor(one), torch.tensor(two), Task.multilabel(4)).numpy()
    np.testing.assert_allclose(found, labels.mean(axis=1), rtol=1e-9)
    found = divergence(torch.tensor(one), torch.tensor(two), Task.regression(4)).numpy()
    np.testing.assert_allclose(found, ((one - two) ** 2).mean(axis=1))


def test_divergence_of_certain_answers_is_log_2_and_has_a_gradient():
    one = torch.tensor([[200.0, -200.0]], requires_grad=True)
    value = divergence(one, -one.detach(), Task.classification(2)).sum()
    value.backward()
    assert value.item() == pytest.approx(np.log(2), rel=1e-6)
    assert torch.isfinite(one.grad).all()


def test_contrast_is_the_mean_over_positive_pairs_of_each_against_the_negatives():
    z = np.random.default_rng(0).normal(size=(6, 3))
    target = torch.tensor([0, 1, 0, 2, 1, 0])
    here = np.array([True, True, True, True, True, False])
    close = (z / np.linalg.norm(z, axis=1, keepdims=True)) @ (z / np.linalg.norm(z, axis=1, keepdims=True)).T / 0.5
    terms = []
    for i, j in product(range(6), repeat=2):
        if i != j and here[i] and here[j] and target[i] == target[j]:
            others = [np.exp(close[i, k]) for k in range(6) if here[k] and target[k] != target[i]]
            terms.append(-np.log(np.exp(close[i, j]) / (np.exp(close[i, j]) + sum(others))))
    found = nt_xent(torch.tensor(z), same_answer(target, CLASSES), torch.tensor(here))
    assert found.item() == pytest.approx(np.mean(terms), rel=1e-9)
    alone = nt_xent(torch.tensor(z), torch.eye(6, dtype=torch.bool), torch.tensor(here))
    assert alone.item() == 0


def test_who_has_the_same_answer():
    labels = torch.tensor([[1, 0], [1, 0], [1, 1]])
    assert same_answer(labels, Task.multilabel(2)).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]
    assert same_answer(torch.zeros(2, 1), Task.regression()).tolist() == [[True, False], [False, True]]


def game(modalities, rows=7, seed=0):
    source = torch.Generator().manual_seed(seed)
    names = [f"m{i}" for i in range(modalities)]
    made = {m: torch.randn(rows, 3, generator=source, dtype=torch.float64, requires_grad=True) for m in names}
    present = {m: torch.rand(rows, generator=source) > 0.2 for m in names}
    orders = torch.rand(4, modalities, rows, generator=source).argsort(dim=2)
    return made, torch.randn(3, generator=source, dtype=torch.float64), present, orders


@pytest.mark.parametrize("modalities", [2, 3])
def test_each_modality_raises_its_own_divergence_and_lowers_the_others(modalities):
    made, bias, present, orders = game(modalities)
    names = list(made)
    mipd(made, bias, present, orders, CLASSES).backward()
    subsets = [s for s in product([0, 1], repeat=modalities) if 0 < sum(s) < modalities]
    for at, m in enumerate(names):
        own = made[m].detach().clone().requires_grad_()
        total = 0.0
        for s in subsets:
            parts_of = {n: own if n == m else made[n].detach() for n in names}
            plain = sum(parts_of.values()) + bias
            values, weights = 0.0, 0
            for order in orders:
                rows = sum(parts_of[n][order[i]] if s[i] else parts_of[n] for i, n in enumerate(names)) + bias
                here = torch.ones(len(plain), dtype=torch.bool)
                for i, n in enumerate(names):
                    here &= (present[n] & present[n][order[i]]) if s[i] else True
                values = values + divergence(rows, plain, CLASSES)[here].sum()
                weights += int(here.sum())
            total = total + (-1 if s[at] else 1) * values / weights
        (expected,) = torch.autograd.grad(total, own)
        torch.testing.assert_close(made[m].grad, expected)


def test_nothing_is_at_stake_where_rows_stay_in_place():
    made, bias, present, _ = game(2)
    orders = torch.arange(7).expand(3, 2, 7)
    assert mipd(made, bias, present, orders, CLASSES).item() == pytest.approx(0, abs=1e-12)


def test_the_prediction_of_features_does_not_move_the_answer():
    made = parts(2, CLASSES)
    model = build(references.get("mcr"), made, 0)
    batch = step(made, TARGETS[0], "mcr", absent=0.3)
    features = model.encode(batch.inputs, batch.present)
    answer = model.fuse(features, batch.present)
    value = model._ceb(features, answer, batch)
    value.backward()
    assert all(w.grad is None for w in model.weights)
    assert all(p.grad is not None for p in model.predicted.parameters())
    assert model.get_parameter("encoders.m0.weight").grad.abs().sum() > 0
    wanted = torch.cat([f[batch.present[m]] for m, f in features.items()], dim=0)
    guess = model.predicted(answer.detach()).split(4, dim=1)
    error = torch.cat([g[batch.present[m]] for g, m in zip(guess, features, strict=True)], dim=0)
    torch.testing.assert_close(value, (wanted - error).square().mean())


def test_features_of_different_widths_meet_in_the_smallest():
    made = parts(2, CLASSES)
    made = type(made)(made.modalities, made.encoders, {"easy": 4, "slow": 4}, made.task)
    assert all(isinstance(s, torch.nn.Identity) for s in build(references.get("mcr"), made, 0).shared)
    wider = type(made)(
        made.modalities,
        {"easy": lambda: torch.nn.Linear(8, 4), "slow": lambda: torch.nn.Linear(8, 6)},
        {"easy": 4, "slow": 6},
        made.task,
    )
    model = build(references.get("mcr"), wider, 0)
    assert [tuple(s.weight.shape) for s in model.shared] == [(4, 4), (4, 6)]
    assert torch.isfinite(model.loss(step(wider, TARGETS[0], "mcr")))
