"""SynIB and masking-only: their divergences, their masks, and that a masked pass is really masked."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

import mmaudit.reference.methods  # noqa: F401  (registers them)
from helpers.synib_steps import CLASSES, NAMES, WIDTHS, a_step, parts, rows, variant
from mmaudit.errors import BadInput
from mmaudit.reference.base import Parts, references
from mmaudit.reference.loop import build
from mmaudit.reference.losses import row_losses
from mmaudit.reference.methods import synib_references as divergences
from mmaudit.reference.methods.synib import SynIBLearned, SynIBRandom
from mmaudit.reference.methods.synib_masks import (
    DECAY,
    LearnedMask,
    destroy,
    donors,
    learned_gates,
    no_moments,
    remember,
)
from mmaudit.types import Task

DIRECTIONS = ("masked_to_reference", "reference_to_masked")


@pytest.fixture(autouse=True)
def few_inner_steps(monkeypatch):
    monkeypatch.setattr(SynIBLearned, "gates", LearnedMask(steps=4))


# ---- divergences


@pytest.mark.parametrize("task", [CLASSES, Task.multilabel(2)], ids=["classification", "multilabel"])
def test_divergence_to_uniform_is_log_k_minus_entropy(task):
    logits = torch.randn(7, task.width, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    table = divergences.log_probabilities(logits, task)
    outcomes = table.shape[2]
    entropy = -(table.exp() * table).sum(2)
    found = divergences.categorical(table, divergences.uniform(task), "masked_to_reference")
    torch.testing.assert_close(found, (math.log(outcomes) - entropy).mean(1))
    level = torch.full_like(logits, 0.0 if task.kind == "multilabel" else 1.7)
    for direction in DIRECTIONS:
        even = divergences.categorical(divergences.log_probabilities(level, task), divergences.uniform(task), direction)
        torch.testing.assert_close(even, torch.zeros_like(even), atol=1e-7, rtol=0)


def test_directions_are_each_others_mirror_and_never_negative():
    g = torch.Generator().manual_seed(2)
    one, two = (divergences.log_probabilities(torch.randn(9, 3, generator=g), CLASSES) for _ in range(2))
    there = divergences.categorical(one, two, "masked_to_reference")
    back = divergences.categorical(two, one, "reference_to_masked")
    torch.testing.assert_close(there, back)
    assert (there > 0).all()
    assert not torch.allclose(there, divergences.categorical(one, two, "reference_to_masked"))


def test_gaussian_divergence_is_torchs():
    g = torch.Generator().manual_seed(3)
    mean, ell, centre, spread = torch.randn(4, 5, 2, generator=g).unbind()
    q, r = Normal(mean, (ell / 2).exp()), Normal(centre, (spread / 2).exp())
    found = divergences.gaussian(mean, ell, centre, spread, "masked_to_reference")
    torch.testing.assert_close(found, kl_divergence(q, r).sum(1))
    found = divergences.gaussian(mean, ell, centre, spread, "reference_to_masked")
    torch.testing.assert_close(found, kl_divergence(r, q).sum(1))


# ---- what is destroyed


@pytest.mark.parametrize("name", NAMES)
def test_masked_passes_really_change_one_modality_and_no_other(name):
    # The released PID-XOR scripts returned their inputs unchanged and nobody noticed.
    module = build(references.get(name), parts(), 0)
    table = rows(64, missing=0.0)
    step = a_step(module, table)
    features = module.encode(step.inputs, step.present)
    for p in module.passes(step, features):
        assert p.rows.all()
        changed = (p.features[p.modality] != features[p.modality]).float().mean()
        assert changed > 0.2
        if name in ("synib", "synib_gaussian", "synib_anchor", "masking_only"):
            assert changed == pytest.approx(0.3, abs=0.1)
        for other in set(WIDTHS) - {p.modality}:
            assert torch.equal(p.features[other], features[other])


def test_an_oracle_mask_destroys_exactly_its_block():
    cls = variant(SynIBRandom, masks="oracle", block={"image": (1, 4), "text": (0,), "sound": (2,)})
    module = cls(parts())
    step = a_step(module, rows(40, missing=0.0))
    features = module.encode(step.inputs, step.present)
    for p in module.passes(step, features):
        hit = (p.features[p.modality] != features[p.modality]).any(0)
        assert tuple(hit.nonzero()[:, 0].tolist()) == cls.block[p.modality]
        assert (p.features[p.modality] != features[p.modality])[:, list(cls.block[p.modality])].all()
    with pytest.raises(BadInput, match="'block' names none for 'text'"):
        variant(SynIBRandom, masks="oracle", block={"image": (1,)})(parts())


def test_masks_at_input_level_are_encoded_again():
    made = {m: lambda m=m: nn.Sequential(nn.Linear(WIDTHS[m], 5), nn.Tanh()) for m in WIDTHS}
    given = Parts(tuple(WIDTHS), made, dict.fromkeys(WIDTHS, 5), CLASSES)
    block = {"image": (0,), "text": (1,), "sound": (2,)}
    options = {"level": "input", "masks": "oracle", "fill": "standard", "block": block}
    module = variant(SynIBRandom, shapes={m: (w,) for m, w in WIDTHS.items()}, **options)(given)
    table = rows(30)
    step = a_step(module, table)
    features = module.encode(step.inputs, step.present)
    for i, p in enumerate(module.passes(step, features)):
        m = p.modality
        values = table.inputs[m].clone()
        values[:, block[m][0]] = step.draws[f"noise {i}"][:, block[m][0]]
        expected = module.encode_one(m, values) * table.present[m][:, None]
        torch.testing.assert_close(p.features[m], expected)
    with pytest.raises(BadInput, match="'shapes' of Variant has none for 'image'"):
        variant(SynIBRandom, level="input")(given).draws(4)


@pytest.mark.parametrize("seed", range(5))
def test_donors_go_round_those_who_are_there(seed):
    g = torch.Generator().manual_seed(seed)
    present = torch.rand(12, generator=g) < 0.6
    found = donors(torch.rand(12, generator=g), present)
    assert present[found].all()
    there = present.nonzero()[:, 0]
    assert (found[there] != there).all()
    assert sorted(found[there].tolist()) == there.tolist()  # everyone gives to exactly one
    assert donors(torch.rand(3), torch.tensor([False, True, False])).tolist() == [1, 1, 1]
    assert donors(torch.rand(3), torch.zeros(3, dtype=torch.bool)).shape == (3,)  # nothing there: any row, unused


def test_running_moments_are_those_of_what_was_there():
    g = torch.Generator().manual_seed(0)
    state = no_moments("x", (2,))
    empty = torch.zeros(8, dtype=torch.bool)
    mean, deviation = remember(state, "x", torch.randn(8, 2), empty)
    assert mean.eq(0).all()
    assert deviation.eq(1).all()
    batches = [(torch.randn(8, 2, generator=g) * 2 + 5, torch.rand(8, generator=g) < 0.7) for _ in range(3)]
    for values, present in batches:
        mean, deviation = remember(state, "x", values, present)
    weights = torch.tensor([DECAY**2, DECAY, 1.0]) / (DECAY**2 + DECAY + 1)
    expected = sum(w * v[p].mean(0) for w, (v, p) in zip(weights, batches, strict=True))
    squares = sum(w * v[p].square().mean(0) for w, (v, p) in zip(weights, batches, strict=True))
    torch.testing.assert_close(mean, expected)
    torch.testing.assert_close(deviation, (squares - expected.square()).sqrt(), rtol=1e-4, atol=1e-4)


@pytest.fixture
def head():
    """Answers from the first two of eight coordinates alone."""
    linear = nn.Linear(8, 2)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.zero_()
        linear.weight[1, :2] = 2.0
    return linear


@pytest.mark.parametrize("hard", [False, True])
def test_a_learned_mask_breaks_the_unimodal_answer_and_its_complement_does_not(head, hard):
    g = torch.Generator().manual_seed(0)
    values, noise = torch.randn(200, 8, generator=g), torch.randn(200, 8, generator=g)
    target = (values[:, :2].sum(1) > 0).long()
    task, present, sparsity = Task.classification(2), torch.ones(200), torch.tensor(0.3)

    def accuracy(x):
        return float((head(x).argmax(1) == target).float().mean())

    def loss(x):
        return row_losses(head(x), target, task)

    how = LearnedMask(steps=40, hard=hard)
    found = learned_gates(loss, values, noise, present, sparsity, how)
    rest = learned_gates(loss, values, noise, present, sparsity, replace(how, reading="rest"))
    torch.testing.assert_close(found + rest, torch.ones_like(found))
    assert accuracy(values) == 1.0
    assert accuracy(destroy(values, found, noise)) < 0.8
    assert found[:, :2].mean() < found[:, 2:].mean() - 0.1
    assert accuracy(destroy(values, rest, noise)) > accuracy(destroy(values, found, noise))
    if hard:
        assert found.unique().tolist() == [0.0, 1.0]
