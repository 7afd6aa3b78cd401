"""What each fusion head can learn and what it cannot: an interaction, a sum."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mmaudit.reference.base import Parts, references
from mmaudit.reference.loop import Budget, Table, train
from mmaudit.reference.methods import concatenation
from mmaudit.reference.trained import Trial
from mmaudit.types import Task


def world(n, seed, label, d=8):
    source = torch.Generator().manual_seed(seed)
    x = {m: torch.randn(n, d, generator=source) for m in "ab"}
    score = (x["a"] * x["b"]).sum(dim=1) if label == "dot" else x["a"].sum(dim=1) + x["b"][:, :4].sum(dim=1)
    return Table(x, {m: torch.ones(n, dtype=torch.bool) for m in "ab"}, (score > 0).long())


def accuracy(method, label, epochs):
    trials = [Trial(seed, {"lr": 5e-3}) for seed in range(2)]
    parts = Parts(("a", "b"), dict.fromkeys("ab", nn.Identity), dict.fromkeys("ab", 8), Task.classification(2))
    trained = train(method, parts, world(512, 0, label), world(256, 1, label), trials, Budget(epochs, 64, patience=0))
    assert trained.usable == [0, 1]
    test = world(1000, 2, label)
    return (trained.outputs(test.inputs, test.present).argmax(dim=2) == test.target).float().mean().item()


@pytest.mark.parametrize("name", ["product", "tensor"])
def test_products_learn_the_sign_of_the_dot_product(name):
    assert accuracy(references.get(name), "dot", 30) > 0.9


@pytest.mark.parametrize("name", ["late_mean", "late_learned"])
def test_additive_heads_stay_at_chance_on_the_dot_product(name):
    assert accuracy(references.get(name), "dot", 15) == pytest.approx(0.5, abs=0.06)


def test_concatenation_without_activation_stays_at_chance_on_the_dot_product():
    class Linear(concatenation.Concatenation):
        rectified = False

    assert accuracy(replace(references.get("concatenation"), make=Linear), "dot", 15) == pytest.approx(0.5, abs=0.06)
    assert accuracy(replace(references.get("concatenation"), make=Linear), "sum", 15) > 0.9


@pytest.mark.parametrize("name", ["concatenation", "late_learned", "late_mean", "attention", "modality_dropout"])
def test_heads_learn_an_additive_label(name):
    assert accuracy(references.get(name), "sum", 12) > 0.88


def test_product_has_no_first_order_terms_of_centred_features():
    """What product features lose: an additive label is learned worse by them than by concatenation."""
    assert accuracy(references.get("product"), "sum", 15) < 0.8
