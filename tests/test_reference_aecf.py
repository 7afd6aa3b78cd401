"""AECF's parts against closed forms and independent code, and its variants trained."""

from __future__ import annotations

from itertools import permutations
from math import log

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmaudit.errors import BadInput
from mmaudit.metrics.calibration import expected_calibration_error
from mmaudit.reference.base import Parts, references
from mmaudit.reference.loop import Budget, Table, train
from mmaudit.reference.methods import aecf_calibration as calibration
from mmaudit.reference.methods import aecf_entropy as coefficient
from mmaudit.reference.methods.aecf import mode
from mmaudit.reference.methods.aecf_gate import entropy, unit, unit_mean_square, weights
from mmaudit.reference.methods.aecf_masks import drop_probability, kept, ramp
from mmaudit.reference.methods.aecf_repository import focal
from mmaudit.reference.trained import Trial
from mmaudit.types import Task
from reference_aecf_cases import CLASSES, VARIANTS, inputs, module, one_thread, parts, step  # noqa: F401

ONE = torch.tensor(1.0)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# ---- gate


def test_weights_over_what_is_kept_are_the_renormalised_softmax() -> None:
    scores, keep = 3 * uniform(50, 4) - 1, uniform(50, 4, seed=1) > 0.4
    p = torch.softmax(scores, dim=-1) * keep
    expected = p / p.sum(dim=-1, keepdim=True).clamp(min=1e-12)
    assert torch.allclose(weights(scores, keep), expected, atol=1e-6)


def test_features_are_scaled_and_zero_vectors_stay_zero_with_a_finite_gradient() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    assert unit(x).tolist() == pytest.approx(np.array([[0.6, 0.8], [0.0, 0.0]]))
    assert unit_mean_square(x)[0].square().mean().item() == pytest.approx(1.0)
    unit(x).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


# ---- coefficient of the entropy


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0), (1.5, 0.025), (3, 0.05), (20, 0.05), (27, 0.05), (28.5, 0.025), (30, 0)]
)
def test_schedule_of_the_repository(epoch: float, expected: float) -> None:
    found = coefficient.scheduled(torch.tensor(epoch), 30.0, torch.tensor(0.05))
    assert found.item() == pytest.approx(expected, abs=1e-7)


def test_schedule_is_zero_in_its_free_epochs() -> None:
    found = [coefficient.scheduled(torch.tensor(t), 15.0, ONE, free=2.0, warm=5.0).item() for t in (1.0, 2.0, 4.5)]
    assert found == pytest.approx([0, 0, 0.5])


def test_adaptive_coefficient_follows_the_variance_up_to_its_bound() -> None:
    v = torch.tensor([0.0, 0.02, 0.1, 1.0, 50.0], requires_grad=True)
    found = coefficient.adaptive(v, 0.01, torch.tensor(0.05))
    expected = [0.01, 0.01 + log((1 + np.exp(0.02)) / 2), 0.05, 0.05, 0.05]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    assert not found.requires_grad
    # As printed, without − ln 2, it is the bound for every variance.
    assert (0.01 + F.softplus(v) > 0.05).all()


def test_variance_of_many_passes_is_the_closed_form() -> None:
    hidden, weight = uniform(3, 2, 5) - 0.5, uniform(4, 5, seed=1) - 0.5
    passes = coefficient.variance_of_passes(hidden, weight, uniform(20_000, 3, 2, 5, seed=2), 0.1)
    assert torch.allclose(passes, coefficient.exact_variance(hidden, weight, 0.1), rtol=0.05)


def test_mean_over_present_modalities() -> None:
    values, present = torch.tensor([[1.0, 3.0], [1.0, 3.0], [1.0, 3.0]]), torch.tensor([[1, 1], [0, 1], [0, 0]]).bool()
    assert coefficient.mean_over_present(values, present).tolist() == [2.0, 3.0, 0.0]


def test_passes_and_closed_form_reward_entropy_alike() -> None:
    # The same weights and masks: only how the variance is found differs, and the bound is out of reach.
    exact = module(mode(coefficient="exact", calibration="none"))
    passes = mode(coefficient="passes", calibration="none")
    passes.make.passes = 1000  # type: ignore[attr-defined]
    found = [m.loss(step(k, entropy=100.0)) for m, k in ((exact, mode(calibration="none")), (module(passes), passes))]
    without = exact.loss(step(mode(calibration="none"), entropy=0.0))
    assert (without - found[0]).item() == pytest.approx((without - found[1]).item(), rel=0.05)
    assert without > found[0]


# ---- masks


def test_ramp() -> None:
    assert [ramp(torch.tensor(t), 15.0).item() for t in (0.0, 7.5, 15.0, 30.0)] == [0.0, 0.5, 1.0, 1.0]
    assert ramp(torch.tensor(0.0), 0.0).item() == 1.0


def test_probabilities_of_dropping() -> None:
    present = torch.tensor([[True, True], [True, False]])
    p = torch.tensor([[0.9, 0.1], [1.0, 0.0]])
    share = -(0.9 * log(0.9) + 0.1 * log(0.1)) / log(2)
    at = {r: drop_probability(r, p, present, torch.tensor(0.3), torch.tensor(0.5)) for r in ("none", "random", "ramp")}  # type: ignore[arg-type]
    assert at["none"].tolist() == [[0, 0], [0, 0]]
    assert at["random"].flatten().tolist() == pytest.approx([0.3, 0.3, 0.3, 0])
    assert at["ramp"].flatten().tolist() == pytest.approx([0.15, 0.15, 0.15, 0])
    released = drop_probability("release", p, present, torch.tensor(0.3), torch.tensor(0.5))
    assert released.flatten().tolist() == pytest.approx([0.3 * share, 0.3 * share, 0, 0], abs=1e-6)
    rfc = drop_probability("rfc", p, present, torch.tensor(0.3), torch.tensor(0.5))
    assert rfc.flatten().tolist() == pytest.approx([0.3 * (1 - share), 0.3 * (1 - share), 0.3, 0], abs=1e-6)
    dominant = drop_probability("dominant", p, present, torch.tensor(0.3), torch.tensor(0.5))
    assert dominant.flatten().tolist() == pytest.approx([0.15 * (1 - share), 0, 0.15, 0], abs=1e-6)


def test_share_masked_with_a_rescue_is_p_minus_half_its_square() -> None:
    # Uniform weights over two modalities, base 0.15, at least one kept: p − p²/2 of all are masked, 2p − p² of rows.
    n, p = 200_000, 0.15
    even, present = torch.full((n, 2), 0.5), torch.ones(n, 2, dtype=torch.bool)
    found = kept(torch.full((n, 2), p), uniform(n, 2), even, present)
    assert 1 - found.float().mean().item() == pytest.approx(p - p**2 / 2, abs=0.003)
    assert (found.sum(dim=1) == 1).float().mean().item() == pytest.approx(2 * p - p**2, abs=0.005)
    lost = kept(torch.full((n, 2), p), uniform(n, 2), even, present, rescue=False)
    assert (lost.sum(dim=1) == 0).float().mean().item() == pytest.approx(p**2, abs=0.003)


# ---- calibration


def test_chains_are_nested_end_at_what_is_present_and_take_every_order() -> None:
    present = torch.tensor([[True, True, True], [True, False, True], [False] * 3]).repeat_interleave(600, dim=0)
    found = calibration.chains(uniform(1800, 3), present)
    assert (found[:-1] <= found[1:]).all()
    assert torch.equal(found[-1], present)
    assert found.sum(dim=-1)[:, [0, 600, 1200]].T.tolist() == [[1, 2, 3], [1, 2, 2], [0, 0, 0]]
    orders = [tuple((~found[:, i]).sum(dim=0).tolist()) for i in range(600)]
    assert all(orders.count(o) > 60 for o in permutations((0, 1, 2)))


def test_monotonicity_counts_what_the_smaller_subset_has_too_much() -> None:
    along = torch.tensor([[0.6, 0.9], [0.5, 0.4], [0.8, 0.1]])
    three = calibration.chains(uniform(2, 3), torch.tensor([[True, True, True], [True, False, False]]))
    assert calibration.monotonicity(along, three).item() == pytest.approx(0.1 / 2)
    single = calibration.chains(uniform(2, 3), torch.tensor([[True, False, False], [False] * 3]))
    assert calibration.monotonicity(along, single).item() == 0.0


def test_confidence() -> None:
    outputs = torch.tensor([[0.7, 0.3], [0.1, 0.9]]).log()
    assert calibration.confidence(outputs, Task.classification(2)).tolist() == pytest.approx([0.7, 0.9])
    logits = torch.logit(torch.tensor([[0.7, 0.4], [0.0, 1.0]]))
    assert calibration.confidence(logits, Task.multilabel(2)).tolist() == pytest.approx([0.3, 1.0])


def test_consistency_pulls_single_modalities_and_not_the_fused_prediction() -> None:
    alone = torch.tensor([[[0.8, 0.2], [0.5, 0.5]]]).log().requires_grad_()
    fused = torch.tensor([[0.6, 0.4]]).log().requires_grad_()
    task, both = Task.classification(2), torch.ones(1, 2, dtype=torch.bool)
    found = calibration.consistency(alone, fused, both, task)
    assert found.item() == pytest.approx(0.04 + 0.01)
    assert calibration.consistency(alone, fused, torch.tensor([[True, False]]), task).item() == pytest.approx(0.04)
    found.backward()  # type: ignore[no-untyped-call]
    assert fused.grad is None
    assert alone.grad is not None
    assert (alone.grad != 0).all()


def test_ece_of_a_batch_is_the_metric_and_has_a_gradient() -> None:
    logits = (4 * torch.randn(300, 5, generator=torch.Generator().manual_seed(0))).requires_grad_()
    target = torch.arange(300) % 5
    found = calibration.batch_ece(logits, target, CLASSES)
    p = torch.softmax(logits.detach(), dim=-1).numpy()
    assert found.item() == pytest.approx(expected_calibration_error(p, target.numpy()), abs=1e-6)
    found.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0
    labels = (uniform(300, 5) > 0.5).float()
    score, truth = torch.sigmoid(logits.detach()).flatten().numpy(), labels.flatten().numpy()
    gaps = np.bincount(np.minimum((score * 15).astype(int), 14), truth - score, 15)
    assert calibration.batch_ece(logits, labels, Task.multilabel(5)).item() == pytest.approx(np.abs(gaps).sum() / 1500)


# ---- the repository's variant, and the release's


def test_focal_loss_of_the_repository() -> None:
    logits, target, weight = torch.tensor([[0.5, -1.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([3.0, 2.0])
    p = 1 / (1 + np.exp(-np.array([0.5, -1.0])))
    y = np.array([0.975, 0.025])
    each = -0.25 * (1 - p) ** 2 * [3.0, 2.0] * y * np.log(p) - 0.75 * p**2 * (1 - y) * np.log(1 - p)
    assert focal(logits, target, weight).item() == pytest.approx(each.mean(), rel=1e-5)


def test_repository_masks_after_the_gate_without_renormalising() -> None:
    found = module("aecf_repository")
    x, present = inputs()
    draws = torch.ones(8, 3)
    draws[:, 1] = 0.0
    given = step("aecf_repository", mask=draws, epoch=0.0)
    p = found.gate_weights(x, present)  # type: ignore[operator]
    z = p[:, :1] * unit(x["a"]) + p[:, 2:] * unit(x["c"])
    out = found.head(z)  # type: ignore[operator]
    ece = calibration.batch_ece(out, given.target, CLASSES)
    expected = F.cross_entropy(out, given.target) + 0.5 * ece + 1e-4 * out.square().mean()
    assert found.loss(given).item() == pytest.approx(expected.item(), rel=1e-5)


def test_repository_gate_is_never_cooler_than_its_floor() -> None:
    found = module("aecf_repository")
    x, present = inputs()
    scores = found.gate(torch.cat([unit(v) for v in x.values()], dim=-1))  # type: ignore[operator]
    for temperature, used in ((2.0, 2.0), (0.1, 1.5), (4.0, 4.0)):
        found.log_temperature.data.fill_(log(temperature))  # type: ignore[operator,union-attr]
        p = found.gate_weights(x, present)  # type: ignore[operator]
        assert torch.allclose(p, torch.softmax(scores / used, dim=-1), atol=1e-6)


def test_repository_refuses_unequal_widths() -> None:
    uneven = Parts(("a", "b"), dict.fromkeys("ab", nn.Identity), {"a": 6, "b": 4}, CLASSES)
    with pytest.raises(BadInput, match=r"a 6, b 4.*'aecf'"):
        references.get("aecf_repository").require(uneven)
    references.get("aecf").require(uneven)


def test_repository_weighs_rare_labels_by_how_often_they_applied() -> None:
    task = Task.multilabel(3)
    found = module("aecf_repository", task=task)
    given = step("aecf_repository", task=task)
    found.loss(given)
    assert torch.equal(given.state["positives"], given.target.sum(dim=0))
    assert given.state["rows"].item() == 8


def test_pool_of_the_release_is_multi_head_attention_with_a_padding_mask() -> None:
    found = module("aecf_release")
    peer = nn.MultiheadAttention(256, 8, batch_first=True)
    three = ("to_query", "to_key", "to_value")
    state = found.state_dict()
    peer.load_state_dict(
        {
            "in_proj_weight": torch.cat([state[f"{k}.weight"] for k in three]),
            "in_proj_bias": torch.cat([state[f"{k}.bias"] for k in three]),
            "out_proj.weight": state["pooled.weight"],
            "out_proj.bias": state["pooled.bias"],
        }
    )
    x, present = inputs()
    present["b"][::2] = False
    projected = torch.stack([f(x[m]) for f, m in zip(found.project, "abc", strict=True)], dim=1)  # type: ignore[arg-type,call-overload]
    padding = ~torch.stack([present[m] for m in "abc"], dim=1)
    query = state["query"].expand(8, 1, 256)
    pooled, p = peer(query, projected, projected, key_padding_mask=padding)
    assert torch.allclose(found.gate_weights(x, present), p[:, 0], atol=1e-6)  # type: ignore[operator]
    assert torch.allclose(found.fuse(x, present), found.head(pooled[:, 0]), atol=1e-5)  # type: ignore[operator]


# ---- trained


def table(task: Task, n: int, seed: int, missing: float = 0.2) -> Table:
    """Two bits, each in two of three modalities, and every pattern of presence."""
    numbers = torch.Generator().manual_seed(seed)
    bits = torch.randint(2, (n, 2), generator=numbers)
    x = {m: torch.randn(n, 6, generator=numbers) for m in "abc"}
    for m, held in {"a": (0,), "b": (1,), "c": (0, 1)}.items():
        for b in held:
            x[m][:, b] += 4.0 * bits[:, b] - 2.0
    present = {m: torch.rand(n, generator=numbers) >= missing for m in "abc"}
    target = 2 * bits[:, 0] + bits[:, 1] if task.kind == "classification" else bits.float()
    return Table({m: v * present[m][:, None] for m, v in x.items()}, present, target)


@pytest.mark.parametrize("task", [CLASSES, Task.multilabel(2), Task.regression(2)], ids=lambda t: t.kind)
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_learn_from_rows_that_lack_modalities(name: str, task: Task) -> None:
    trials = [Trial(s, {"lr": 1e-2}) for s in range(2)]
    budget = Budget(epochs=15, batch=50, patience=0)
    found = train(references.get(name), parts(task), table(task, 300, 0), table(task, 100, 1), trials, budget)
    assert found.outcomes == ["", ""]
    test = table(task, 400, 2, missing=0.0)
    outputs = found.outputs(test.inputs, test.present)
    assert torch.isfinite(outputs).all()
    if task.kind == "classification":
        right = (outputs.argmax(dim=-1) == test.target).float().mean(dim=1)
    else:
        cut = 0.0 if task.kind == "multilabel" else 0.5
        right = ((outputs > cut) == (test.target > 0.5)).float().mean(dim=(1, 2))
    # The repository's adds features without projections, so that modalities share one head; chance is 1/4 and 1/2.
    weak = name == "aecf_repository"
    assert (right > ((0.45, 0.65) if weak else (0.8, 0.85))[task.kind != "classification"]).all()


def test_entropy_reward_keeps_the_gate_open() -> None:
    trials = [Trial(0, {"lr": 1e-2, "entropy": e, "gate_rate": 3.0}) for e in (0.0, 2.0)]
    budget = Budget(epochs=12, batch=50, patience=0)
    method = mode(coefficient="schedule", masking="none", calibration="none")
    found = train(method, parts(), table(CLASSES, 300, 0, 0.0), table(CLASSES, 100, 1, 0.0), trials, budget)
    test = table(CLASSES, 200, 2, missing=0.0)
    p = found.call("gate_weights", test.inputs, test.present)
    without, rewarded = entropy(p).mean(dim=1).tolist()
    assert rewarded > without + 0.05
    assert rewarded > 0.95 * log(3)


def test_modes_are_named_and_differ() -> None:
    method = mode(masking="rfc", calibration="mse", coefficient="schedule")
    assert method.name == "aecf (coefficient schedule, masking rfc, calibration mse)"
    assert set(module(method).draws(8)) == {"mask"}
    assert set(module("aecf_paper").draws(8)) == {"mask", "chain", "dropout"}
    found = {k: module(mode(calibration=k)).loss(step(mode(calibration=k))).item() for k in ("none", "mse", "mono")}  # type: ignore[arg-type]
    assert found["mse"] > found["none"]
    assert found["mono"] >= found["none"]
