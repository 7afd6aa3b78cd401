"""SynIB and masking-only: their loss, and how they train."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

import mmaudit.reference.methods  # noqa: F401  (registers them)
from helpers.synib_steps import CLASSES, NAMES, WIDTHS, a_step, parts, rows, variant
from mmaudit.errors import BadInput
from mmaudit.reference.base import Parts, references
from mmaudit.reference.loop import Budget, build, train
from mmaudit.reference.losses import task_loss
from mmaudit.reference.methods.masking import MaskingOnly
from mmaudit.reference.methods.synib import SynIB, SynIBAnchor, SynIBFull, SynIBLearned, SynIBRandom
from mmaudit.reference.methods.synib_masks import (
    LearnedMask,
    donors,
)
from mmaudit.reference.trained import Trial
from mmaudit.types import Task


@pytest.fixture(autouse=True)
def few_inner_steps(monkeypatch):
    monkeypatch.setattr(SynIBLearned, "gates", LearnedMask(steps=4))


# ---- the loss


@pytest.mark.parametrize("task", [CLASSES, Task.multilabel(2)], ids=["classification", "multilabel"])
def test_zero_weight_is_concatenation_bit_for_bit(task):
    table, checked = rows(96, task), rows(40, task, seed=1)
    settings = {"lr": 0.01, "weight_decay": 0.0}
    plain = train(
        references.get("concatenation"), parts(task), table, checked, [Trial(0, settings)], Budget(epochs=3, batch=32)
    )
    zero = train(
        references.get("synib"),
        parts(task),
        table,
        checked,
        [Trial(0, {**settings, "kl_weight": 0.0})],
        Budget(epochs=3, batch=32),
    )
    assert [h["loss"] for h in plain.history] == [h["loss"] for h in zero.history]
    assert plain.parameters.keys() == zero.parameters.keys()
    for name, p in plain.parameters.items():
        assert torch.equal(p, zero.parameters[name]), name
    module = build(references.get("synib"), parts(task), 0)
    assert module.loss(a_step(module, table)) > module.loss(a_step(module, table, {"kl_weight": 0.0}))


@pytest.mark.parametrize("name", NAMES)
def test_absent_rows_stay_absent_whatever_they_hold(name):
    module = build(references.get(name), parts(), 0)
    table = rows(48, missing=0.5)
    step = a_step(module, table)
    for p in module.passes(step, module.encode(step.inputs, step.present)):
        for m, present in table.present.items():
            assert p.features[m][~present].eq(0).all()
        count = torch.stack(list(table.present.values())).sum(0)
        assert torch.equal(p.rows > 0, table.present[p.modality] & (count > 1))
    rubbish = {m: torch.where(table.present[m][:, None], x, 1e6) for m, x in table.inputs.items()}
    assert torch.equal(module.loss(step), module.loss(replace(a_step(module, table), inputs=rubbish)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("there", [(), ("text",), ("image", "sound")])
def test_any_pattern_of_presence_is_finite(name, there):
    module = build(references.get(name), parts(), 0)
    table = rows(9, missing=0.0)
    present = {m: torch.full((9,), m in there) for m in WIDTHS}
    step = replace(a_step(module, table), present=present)
    loss = module.loss(step)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)
    assert all(torch.isfinite(s).all() for s in step.state.values())


def test_one_lonely_row_is_not_penalised():
    module = SynIBRandom(parts())
    step = a_step(module, rows(1, missing=0.0))
    assert all(p.rows.eq(0).all() for p in module.passes(step, step.inputs))  # nobody to be filled from


@pytest.mark.parametrize("pulled_to", ["anchor", "masked_own"])
def test_an_anchor_is_fixed(pulled_to):
    chosen = variant(SynIBAnchor, pulled_to=pulled_to)(parts())
    step = a_step(chosen, rows(32))
    features = chosen.encode(step.inputs, step.present)
    penalty = chosen.penalty(step, features, chosen.fuse(features, step.present), chosen.unimodal_outputs(features))
    penalty.backward()
    assert penalty > 0
    assert all(p.grad is None for p in chosen.unimodal.parameters())
    assert all(p.grad.abs().sum() > 0 for p in chosen.head.parameters())


def test_a_complementary_anchor_is_what_the_others_say():
    module = SynIBAnchor(parts())
    table = rows(20)
    step = a_step(module, table)
    features = module.encode(step.inputs, step.present)
    alone = module.unimodal_outputs(features)
    passes = module.passes(step, features)
    found = module._reference(step, passes, alone)[:20, 0].exp()  # image is masked
    shown = {m: o.softmax(1) for m, o in alone.items()}
    for i in range(20):
        said = [shown[m][i] for m in ("text", "sound") if table.present[m][i]]
        expected = torch.stack(said).mean(0) if said else torch.full((3,), 1 / 3)
        torch.testing.assert_close(found[i], expected)


def test_the_prior_follows_the_labels():
    module = variant(SynIBRandom, pulled_to="prior")(parts())
    table = replace(rows(30), target=torch.tensor([0] * 20 + [1] * 10))
    step = a_step(module, table)
    assert step.state["prior"].tolist() == [pytest.approx([1 / 3] * 3)]
    for _ in range(600):
        module._reference(step, [], {})
    assert step.state["prior"].tolist() == [pytest.approx([2 / 3, 1 / 3, 0.0], abs=1e-2)]
    assert torch.isfinite(module.loss(step))


def test_weight_grows_linearly_over_its_epochs():
    module = variant(SynIBRandom, anneal_epochs=4.0)(parts())
    weights = [float(module.kl_weight(a_step(module, rows(8), {"kl_weight": 2.0}, epoch=e))) for e in (0, 0.9, 1, 3, 7)]
    assert weights == [0.5, 0.5, 1.0, 2.0, 2.0]


def test_the_penalty_is_what_it_says():
    module = SynIBFull(parts())
    table = rows(40)
    step = a_step(module, table, {"kl_weight": 0.7})
    expected = task_loss(module(step.inputs, step.present), step.target, CLASSES)
    count = torch.stack(list(table.present.values())).sum(0)
    for i, m in enumerate(WIDTHS):
        swapped = {**table.inputs, m: table.inputs[m][donors(step.draws[f"donor {i}"], table.present[m])]}
        q = module(swapped, table.present).softmax(1)
        rows_in = table.present[m] & (count > 1)
        expected = expected + 0.7 * (math.log(3) + (q * q.log()).sum(1))[rows_in].mean()
    torch.testing.assert_close(module.loss(step), expected)


def test_masking_only_wants_the_right_answer_on_masked_samples():
    module = variant(MaskingOnly, masks="full")(parts())
    table = rows(40, missing=0.0)
    step = a_step(module, table, {"masked_weight": 0.5})
    expected = task_loss(module(step.inputs, step.present), step.target, CLASSES)
    for i, m in enumerate(WIDTHS):
        swapped = {**table.inputs, m: table.inputs[m][donors(step.draws[f"donor {i}"], table.present[m])]}
        expected = expected + 0.5 * task_loss(module(swapped, table.present), step.target, CLASSES)
    torch.testing.assert_close(module.loss(step), expected)


def test_learned_masks_do_not_reach_the_encoders():
    made = {m: lambda m=m: nn.Linear(WIDTHS[m], 5) for m in WIDTHS}
    given = Parts(tuple(WIDTHS), made, dict.fromkeys(WIDTHS, 5), CLASSES)
    module = SynIBLearned(given)
    step = a_step(module, rows(32))
    features = module.encode(step.inputs, step.present)
    module.penalty(step, features, module.fuse(features, step.present), {}).backward()
    assert all(p.grad is None for p in module.encoders.parameters())
    assert all(p.grad is not None for p in module.head.parameters())


def test_learned_masks_are_found_under_vmap_as_alone():
    module = SynIBLearned(parts())
    step = a_step(module, rows(16))
    parameters = {f"module.{k}": p.detach() for k, p in module.named_parameters()}

    class Loss(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, step):
            return self.module.loss(step)

    def gradient(parameters, draws):
        return grad(lambda p: functional_call(Loss(), p, (replace(step, draws=draws, state=module.initial_state()),)))(
            parameters
        )

    alone = gradient(parameters, step.draws)
    twice = vmap(gradient)(*({k: torch.stack([t, t]) for k, t in d.items()} for d in (parameters, step.draws)))
    for name, g in alone.items():
        torch.testing.assert_close(twice[name][1], g, rtol=1e-4, atol=1e-6)


# ---- in the loop


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", [CLASSES, Task.multilabel(2), Task.regression(2)], ids=lambda t: t.kind)
def test_every_variant_trains_on_its_tasks(name, task):
    method = references.get(name)
    if task.kind not in method.tasks:
        with pytest.raises(BadInput, match=f"reference '{name}' is for .*; the task is {task.kind}"):
            method.require(parts(task))
        return
    made = train(method, parts(task), rows(64, task), rows(32, task, seed=1), [Trial(0), Trial(1)], Budget(2, 32))
    assert made.outcomes == ["", ""]
    assert torch.isfinite(torch.tensor(made.validation)).all()
    assert made.outputs(rows(5, task).inputs, rows(5, task).present).shape == (2, 5, task.width)


def test_a_regression_has_no_uniform_answer():
    with pytest.raises(BadInput, match="use 'synib_gaussian'"):
        SynIB(parts(Task.regression(1)))
    with pytest.raises(BadInput, match="knows no reference 'anchor'"):
        variant(SynIBAnchor, divergence="gaussian")(parts())


def test_a_regression_is_pulled_to_the_mean_of_its_targets():
    module = build(references.get("synib_gaussian"), parts(Task.regression(1)), 0)
    table = rows(50, Task.regression(1))
    step = a_step(module, replace(table, target=table.target * 3 + 20))
    features = module.encode(step.inputs, step.present)
    near = module.penalty(step, features, features["image"], {})
    with torch.no_grad():
        module.head.second.bias += 20
    assert module.penalty(step, features, features["image"], {}) < near
    torch.testing.assert_close(step.state["sum target"] / step.state["weight target"], step.target.mean(0))
