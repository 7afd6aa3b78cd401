"""The defects measured in PyPI `aecf` 0.1.0, each as a test that all our variants pass."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from mmaudit.reference.base import Step
from mmaudit.reference.methods.aecf import mode
from mmaudit.reference.methods.aecf_gate import entropy, normalised, weights
from mmaudit.reference.methods.aecf_masks import Masking, drop_probability, kept
from reference_aecf_cases import VARIANTS, inputs, module, one_thread, step  # noqa: F401

PRESENCE_AWARE = ("aecf", "aecf_paper", "aecf_release")


def losses(name: str, **given: object) -> Tensor:
    return module(name).loss(step(name, **given))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", VARIANTS)
def test_mask_touches_what_is_trained_on(name: str) -> None:
    # Released: with a mask probability of 1, training outputs are bit-identical from call to call, and to evaluation.
    untouched = losses(name, mask=1.0 - 1e-6)
    assert losses(name, mask=0.0) != untouched
    assert losses(name, mask=torch.rand(8, 3, generator=torch.Generator().manual_seed(1))) != untouched


@pytest.mark.parametrize("name", PRESENCE_AWARE)
def test_masked_row_is_answered_as_a_row_with_that_modality_missing(name: str) -> None:
    # Masks are of presence, so what is practised in training is what is met in evaluation.
    found = module(name)
    x, present = inputs()
    features = found.encode(x, present)
    without = {**present, "b": torch.zeros_like(present["b"])}
    garbage = {**features, "b": torch.full_like(features["b"], 7.0)}
    assert torch.equal(found.fuse(features, without), found.fuse(garbage, without))
    assert not torch.allclose(found.fuse(features, without), found.fuse(features, present))


@pytest.mark.parametrize("padded", [False, True], ids=["complete", "with a modality missing"])
@pytest.mark.parametrize("name", VARIANTS)
def test_entropy_term_has_a_finite_gradient_that_is_not_zero(name: str, padded: bool) -> None:
    # Released: detached, so no gradient at all; worked around, NaN as soon as a modality is padded.
    def gradients(strength: float) -> dict[str, Tensor]:
        found = module(name)
        found.loss(step(name, padded=padded, entropy=strength)).backward()  # type: ignore[no-untyped-call]
        return {k: p.grad for k, p in found.named_parameters() if p.grad is not None}

    with_term, without = gradients(0.4), gradients(0.0)
    assert all(torch.isfinite(g).all() for g in with_term.values())
    gate = [k for k in with_term if k.startswith(("gate.", "query", "to_key"))]
    assert gate
    assert any(not torch.allclose(with_term[k], without[k]) for k in gate)


def test_gradient_of_the_entropy_is_finite_at_a_weight_of_zero() -> None:
    p = torch.tensor([0.4, 0.6, 0.0], requires_grad=True)
    entropy(p).backward()  # type: ignore[no-untyped-call]
    assert p.grad is not None
    assert torch.isfinite(p.grad).all()
    assert entropy(p).item() == pytest.approx(-(0.4 * log(0.4) + 0.6 * log(0.6)), abs=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_row_without_any_modality_has_finite_outputs_loss_and_gradients(name: str) -> None:
    found = module(name)
    x, present = inputs()
    nothing = {m: torch.zeros_like(p) for m, p in present.items()}
    out = found({m: torch.zeros_like(v) for m, v in x.items()}, nothing)
    assert torch.isfinite(out).all()
    assert torch.allclose(out, out[:1].expand_as(out))
    value = found.loss(step(name, nothing=True))
    value.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(value)
    assert all(torch.isfinite(p.grad).all() for p in found.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", PRESENCE_AWARE)
def test_missing_modality_has_no_weight_and_entropy_is_at_most_that_of_the_others(name: str) -> None:
    # Released: a zeroed modality draws about 1/M of the attention, and the target 0.7 ln M may be out of reach.
    found = module(name)
    x, present = inputs()
    features = found.encode(x, present)
    for missing in (("a",), ("b", "c"), ("a", "b", "c")):
        shown = {m: p & (m not in missing) for m, p in present.items()}
        p = found.gate_weights(features, shown)  # type: ignore[operator]
        assert all((p[:, i] == 0).all() for i, m in enumerate("abc") if m in missing)
        left = 3 - len(missing)
        assert torch.allclose(p.sum(dim=1), torch.full((8,), float(left > 0)))
        assert (entropy(p) <= log(max(left, 1)) + 1e-6).all()


def test_normalised_entropy_is_one_for_uniform_weights_over_what_is_present() -> None:
    present = torch.tensor([[True, True, True], [True, False, True], [False, True, False], [False, False, False]])
    p = weights(torch.zeros(4, 3), present)
    assert normalised(entropy(p), present).tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("rule", ["rfc", "dominant"])
def test_collapsed_gate_is_masked_more(rule: Masking) -> None:
    # Released: base · H, so that a gate of [.99, .01] is masked in 1.2 % of rows at base 0.15, and never challenged.
    present = torch.ones(2, 2, dtype=torch.bool)
    p = torch.tensor([[0.99, 0.01], [0.5, 0.5]])
    probability = drop_probability(rule, p, present, torch.tensor(0.15), torch.tensor(1.0))
    assert probability[0].max() > 0.13
    assert probability[1].max() < 1e-6
    released = drop_probability("release", p, present, torch.tensor(0.15), torch.tensor(1.0))
    assert released[0].max() < 0.02
    assert released[1].tolist() == pytest.approx([0.15, 0.15])


def test_dominant_masks_nothing_but_the_strongest_modality() -> None:
    present = torch.tensor([[True, True, True], [True, True, False]])
    p = torch.tensor([[0.1, 0.8, 0.1], [0.3, 0.7, 0.0]])
    found = drop_probability("dominant", p, present, torch.tensor(1.0), torch.tensor(1.0))
    assert (found[:, [0, 2]] == 0).all()
    assert (found[:, 1] > 0).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_evaluation_is_deterministic_and_without_masks(name: str) -> None:
    found = module(name)
    x, present = inputs()
    torch.manual_seed(0)
    first = found.train()(x, present)
    torch.manual_seed(1)
    assert torch.equal(first, found.eval()(x, present))


@pytest.mark.parametrize("name", VARIANTS)
def test_loss_uses_no_random_numbers_but_its_draws(name: str) -> None:
    state = torch.random.get_rng_state()
    first = losses(name)
    assert torch.equal(first, losses(name))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("name", VARIANTS)
def test_state_dict_round_trip_with_and_without_masking(name: str) -> None:
    # Released: a pool with masking holds a buffer that a pool without it refuses; the query is no parameter of it.
    one, other = module(name, seed=0), module(name, seed=1)
    x, present = inputs()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x, present), other(x, present))
    assert not list(one.named_buffers())
    plain = mode(masking="none").make(module("aecf").parts)
    plain.load_state_dict(module("aecf").state_dict())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_is_the_modules_own_and_learns(name: str) -> None:
    found = module(name)
    found.loss(step(name, entropy=0.4)).backward()  # type: ignore[no-untyped-call]
    lazy = [k for k, p in found.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # The temperature of the repository starts at 2, above its floor of 1.5, and a key's bias shifts all scores alike.
    assert set(lazy) <= {"to_key.bias"}


def test_rescue_keeps_the_strongest_of_what_is_present() -> None:
    # Released: with one-dimensional weights the rescue silently does nothing.
    p, present = torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.0, 0.7]]), torch.tensor([[True] * 3, [True, False, True]])
    everything = torch.ones(2, 3)
    uniform = torch.zeros(2, 3)
    assert kept(everything, uniform, p, present).tolist() == [[False, True, False], [False, False, True]]
    assert not kept(everything, uniform, p, present, rescue=False).any()
    alone = kept(everything[0], uniform[0], p[0], present[0])
    assert alone.tolist() == [False, True, False]


@pytest.mark.parametrize("name", VARIANTS)
def test_vmapped_gradients_are_those_of_each_trial_alone(name: str) -> None:
    trials = [module(name, seed=i) for i in range(2)]
    stacked = {k: torch.stack([t.state_dict()[k] for t in trials]) for k in trials[0].state_dict()}
    given = step(name, padded=True)

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        class Calling(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.module = trials[0]

            def forward(self, s: Step) -> Tensor:
                return self.module.loss(s)

        named = {f"module.{k}": v for k, v in parameters.items()}
        value: Tensor = functional_call(Calling(), named, (given,))
        return value

    together = vmap(grad(loss))(stacked)
    for i, trial in enumerate(trials):
        trial.loss(step(name, padded=True)).backward()  # type: ignore[no-untyped-call]
        for k, p in trial.named_parameters():
            assert p.grad is not None
            assert torch.allclose(together[k][i], p.grad, atol=1e-6), k
