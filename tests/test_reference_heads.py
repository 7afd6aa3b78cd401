"""Fusion heads: their formulas, what they do without a modality, what each can learn and cannot."""

from itertools import product as combinations

import pytest
import torch
from torch import nn

from mmaudit.errors import BadInput
from mmaudit.reference.base import Parts, Step, references
from mmaudit.reference.loop import build
from mmaudit.reference.losses import row_losses, task_loss
from mmaudit.reference.methods import (
    attention,
    concatenation,
    late,
    modality_dropout,
    product,
    tensor,
    unimodal,
)
from mmaudit.types import Task

HEADS = ("concatenation", "product", "tensor", "late_mean", "late_learned", "attention", "modality_dropout")
TASKS = {
    "classification": Task.classification(3),
    "multilabel": Task.multilabel(4),
    "regression": Task.regression(2),
}
NAMES = ("a", "b", "c")
TWO = Task.classification(2)


def parts_of(task=TWO, widths=(6, 6)):
    names = NAMES[: len(widths)]
    return Parts(names, dict.fromkeys(names, nn.Identity), dict(zip(names, widths, strict=True)), task)


def rows_of(parts, n, seed=0, *, absent=0.0):
    source = torch.Generator().manual_seed(seed)
    inputs = {m: torch.randn(n, parts.widths[m], generator=source) for m in parts.modalities}
    present = {m: torch.rand(n, generator=source) >= absent for m in parts.modalities}
    return inputs, present


def patterns(parts):
    """Every pattern of presence once, and one row for each."""
    every = torch.tensor(list(combinations([True, False], repeat=len(parts.modalities))))
    present = {m: every[:, i] for i, m in enumerate(parts.modalities)}
    return rows_of(parts, len(every))[0], present


def target_of(task, n):
    source = torch.Generator().manual_seed(3)
    if task.kind == "classification":
        return torch.randint(task.width, (n,), generator=source)
    if task.kind == "multilabel":
        return torch.randint(2, (n, task.width), generator=source)
    return torch.randn(n, task.width, generator=source)


def step_of(module, inputs, present, target, hyper):
    n = len(target)
    source = torch.Generator().manual_seed(5)
    draws = {k: torch.rand(d.shape, generator=source) for k, d in module.draws(n).items()}
    settings = {k: torch.tensor(h.default) for k, h in hyper.items()}
    return Step(inputs, present, target, draws, settings, {}, torch.tensor(0.0), 1.0)


# ---- formulas


def test_product_is_the_two_pass_formula_element_by_element():
    parts = parts_of(widths=(5, 5))
    module = build(references.get("product"), parts, 0)
    inputs, present = rows_of(parts, 7)
    a, b = inputs["a"], inputs["b"]
    n = 5
    expected = torch.zeros(7, 2 * n + 2)
    for j in range(n):
        expected[:, j] = a[:, j] * b[:, j]
        expected[:, n + j] = a[:, j] * b[:, n - 1 - j]
    expected[:, 2 * n :] = 1.0
    assert torch.equal(module(inputs, present), module.head(expected))


def test_product_of_three_modalities_takes_all_pairs():
    parts = parts_of(widths=(4, 4, 4))
    module = build(references.get("product"), parts, 0)
    inputs, present = rows_of(parts, 6)
    a, b, c = inputs.values()
    terms = [a * b, a * b.flip(1), a * c, a * c.flip(1), b * c, b * c.flip(1), torch.ones(6, 3)]
    assert torch.equal(module(inputs, present), module.head(torch.cat(terms, dim=1)))


def test_product_of_an_absent_modality_is_the_other_one():
    parts = parts_of(widths=(4, 4))
    module = build(references.get("product"), parts, 0)
    inputs, _ = rows_of(parts, 6)
    here, gone = torch.ones(6, dtype=torch.bool), torch.zeros(6, dtype=torch.bool)
    only_a = torch.cat([inputs["a"], inputs["a"], torch.tensor([[1.0, 0.0]]).expand(6, 2)], dim=1)
    assert torch.equal(module(inputs, {"a": here, "b": gone}), module.head(only_a))
    only_b = torch.cat([inputs["b"], inputs["b"].flip(1), torch.tensor([[0.0, 1.0]]).expand(6, 2)], dim=1)
    assert torch.equal(module(inputs, {"a": gone, "b": here}), module.head(only_b))
    assert torch.equal(module(inputs, {"a": gone, "b": gone}), module.head(torch.zeros(6, 10)))


@pytest.mark.parametrize("widths", [(5, 5), (3, 7), (4, 2, 6)])
def test_tensor_equals_a_layer_on_the_outer_product(widths):
    """Outputs and gradients, in float64, against a plain linear layer on the materialised outer products."""
    parts = parts_of(TASKS["classification"], widths)
    module = build(references.get("tensor"), parts, 0).double()
    inputs, present = rows_of(parts, 9, absent=0.3)
    inputs = {m: x.double() * present[m][:, None] for m, x in inputs.items()}
    outers, weights = [], []
    for (one, two), form in zip(module.pairs, module.forms, strict=True):
        a = torch.where(present[one][:, None], inputs[one], present[two][:, None].double())
        b = torch.where(present[two][:, None], inputs[two], present[one][:, None].double())
        outers.append((a[:, :, None] * b[:, None, :]).flatten(1))
        weights.append(form.weight.transpose(0, 1).flatten(1))
    layer = nn.Linear(sum(x.shape[1] for x in outers) + len(widths), 32).double()
    told = torch.stack([present[m] for m in parts.modalities], dim=1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.cat([*weights, module.told.weight], dim=1))
        layer.bias.copy_(module.told.bias)
    expected = module.second(layer(torch.cat([*outers, told], dim=1)).relu())
    found = module(inputs, present)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    scale = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (ours,) = torch.autograd.grad((found * scale).sum(), module.forms[0].weight)
    (theirs,) = torch.autograd.grad((expected * scale).sum(), layer.weight)
    first = theirs[:, : outers[0].shape[1]].unflatten(1, ours.shape[::2]).transpose(0, 1)
    assert torch.allclose(ours, first, rtol=1e-12, atol=1e-12)


def test_tensor_never_makes_the_outer_product():
    sizes = []

    class Watching(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                sizes.append(out.numel())
            return out

    parts = parts_of(widths=(96, 96))
    module = build(references.get("tensor"), parts, 0)
    inputs, present = rows_of(parts, 200)
    with Watching():
        module(inputs, present).sum()
    assert max(sizes) == max(200 * 32 * 96, 96 * 32 * 96)  # the half-contracted rows; the weights
    assert max(sizes) < 200 * 96 * 96


def test_tensor_starts_as_the_linear_layer_would():
    weights = build(references.get("tensor"), parts_of(widths=(20, 30)), 0).forms[0].weight.detach()
    bound = 1 / 600**0.5
    assert weights.abs().max() <= bound
    assert weights.std() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_sizes_are_the_paper_s_plus_the_mask():
    def size(name, width):
        with torch.device("meta"):
            return sum(p.numel() for p in references.get(name).make(parts_of(widths=(width, width))).parameters())

    for name in ("concatenation", "product"):
        assert size(name, 768) == 49_250 + 2 * 32
    assert size("tensor", 768) == 18_874_466 + 2 * 32


def test_head_without_activation_is_linear():
    class Linear(concatenation.Concatenation):
        rectified = False

    parts = parts_of()
    inputs, present = rows_of(parts, 4)
    doubled = {m: 2 * x for m, x in inputs.items()}
    zeros = {m: 0 * x for m, x in inputs.items()}
    for make, straight in ((Linear, True), (concatenation.Concatenation, False)):
        module = make(parts)
        at = [module(x, present) for x in (zeros, inputs, doubled)]
        assert torch.allclose(at[2] - at[1], at[1] - at[0], atol=1e-5) is straight


def test_late_mean_is_the_mean_of_those_present():
    parts = parts_of(TASKS["classification"], (3, 5, 4))
    module = build(references.get("late_mean"), parts, 0)
    with torch.no_grad():
        module.nothing.copy_(torch.tensor([1.0, 2.0, 3.0]))
    inputs, present = patterns(parts)
    found = module(inputs, present)
    alone = [head(inputs[m]) for m, head in zip(NAMES, module.heads, strict=True)]
    for row in range(8):
        there = [alone[i][row] for i, m in enumerate(NAMES) if present[m][row]]
        expected = torch.stack(there).mean(dim=0) if there else torch.tensor([1.0, 2.0, 3.0])
        assert torch.allclose(found[row], expected, atol=1e-6)
    # For classes: the geometric mean of the modalities' probabilities.
    geometric = torch.stack([x[0].log_softmax(0) for x in alone]).mean(dim=0).softmax(0)
    assert torch.allclose(found[0].softmax(0), geometric, atol=1e-6)


def test_late_mean_trains_every_head_on_its_own_loss():
    parts = parts_of(TASKS["classification"], (3, 5))
    module = build(references.get("late_mean"), parts, 0)
    inputs, present = rows_of(parts, 12)
    target = target_of(parts.task, 12)
    step = step_of(module, inputs, present, target, references.get("late_mean").hyper)
    own = [row_losses(h(inputs[m]), target, parts.task).mean() for m, h in zip("ab", module.heads, strict=True)]
    assert torch.allclose(module.loss(step), sum(own) / 2)
    step.present = {"a": present["a"], "b": torch.zeros(12, dtype=torch.bool)}
    assert torch.allclose(module.loss(step), own[0])


@pytest.mark.parametrize("name", ["late_mean", "late_learned"])
def test_late_fusion_is_additive(name):
    """No interaction: changing one modality moves the answer by the same amount whatever the other one is."""
    parts = parts_of(TASKS["regression"], (4, 4))
    module = build(references.get(name), parts, 0)
    (x, present), (y, _) = rows_of(parts, 10, 1), rows_of(parts, 10, 2)
    at = {key: module({"a": a["a"], "b": b["b"]}, present) for key, (a, b) in
          {"xx": (x, x), "xy": (x, y), "yx": (y, x), "yy": (y, y)}.items()}  # fmt: skip
    assert torch.allclose(at["xx"] - at["yx"], at["xy"] - at["yy"], atol=1e-6)
    interaction = build(references.get("product"), parts, 0)
    at = {key: interaction({"a": a["a"], "b": b["b"]}, present) for key, (a, b) in
          {"xx": (x, x), "xy": (x, y), "yx": (y, x), "yy": (y, y)}.items()}  # fmt: skip
    assert not torch.allclose(at["xx"] - at["yx"], at["xy"] - at["yy"], atol=1e-2)


def test_learned_weights_start_equal_and_are_shared_out_among_those_present():
    parts = parts_of(TASKS["classification"], (3, 5, 4))
    module = build(references.get("late_learned"), parts, 0)
    inputs, present = patterns(parts)
    alone = module.alone(inputs)
    every = {m: torch.ones_like(p) for m, p in present.items()}
    assert torch.allclose(module(inputs, every), alone.mean(dim=1), atol=1e-6)
    with torch.no_grad():
        module.weights.copy_(torch.tensor([[0.0], [0.7], [-50.0]]).expand(3, 3))
    shares = torch.tensor([0.0, 0.7]).softmax(0)
    expected = shares[0] * alone[:, 0] + shares[1] * alone[:, 1]
    assert torch.allclose(module(inputs, every), expected, atol=1e-5)
    only_c = {m: torch.full_like(p, m == "c") for m, p in present.items()}
    assert torch.allclose(module(inputs, only_c), alone[:, 2], atol=1e-5)  # alone, its weight does not matter


def test_attention_equals_torch_s_own():
    """Against `nn.MultiheadAttention` with the same weights and padding."""
    torch.manual_seed(0)
    ours, theirs = attention.Attention(), nn.MultiheadAttention(attention.TOKEN, attention.HEADS, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.k.weight, ours.v.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.q.bias, ours.k.bias, ours.v.bias]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    queries, tokens = torch.randn(6, 2, attention.TOKEN), torch.randn(6, 4, attention.TOKEN)
    seen = torch.rand(6, 4) > 0.4
    seen[:, 3] = True
    expected, _ = theirs(queries, tokens, tokens, key_padding_mask=~seen)
    assert torch.allclose(ours(queries, tokens, seen), expected, atol=1e-6)


def test_attention_decays_neither_norms_nor_tokens():
    module = build(references.get("attention"), parts_of(), 0)
    decayed = {n for n, _ in module.named_parameters() if module.decays(n)}
    assert decayed
    assert not any(n.startswith("norms.") or n.endswith("bias") for n in decayed)
    assert not decayed & {"always", "query", "kinds"}


# ---- modality dropout


def test_modality_dropout_keeps_at_least_one_each_as_often():
    names = ("a", "b", "c")
    n = 30_000
    source = torch.Generator().manual_seed(0)
    there = torch.ones(n, 3, dtype=torch.bool)
    there[: n // 2, 2] = False
    drawn = torch.rand(n, 3, generator=source)
    rate = 0.6
    kept = modality_dropout.kept({m: there[:, i] for i, m in enumerate(names)}, drawn, torch.tensor(rate), names)
    stays = torch.stack(list(kept.values()), dim=1)
    assert not (stays & ~there).any()
    assert stays.any(dim=1).all()
    for first, last, m in ((0, n // 2, 2), (n // 2, n, 3)):
        # Of m modalities, one stays by its own draw or because all m were dropped and it was chosen.
        expected = (1 - rate) + rate**m / m
        found = stays[first:last, :m].float().mean(dim=0)
        assert torch.allclose(found, torch.full((m,), expected), atol=0.015)


def test_modality_dropout_at_its_ends():
    source = torch.Generator().manual_seed(0)
    present = {"a": torch.tensor([True, True, False, False] * 50), "b": torch.tensor([True, False, True, False] * 50)}
    drawn = torch.rand(200, 2, generator=source)
    none = modality_dropout.kept(present, drawn, torch.tensor(0.0), ("a", "b"))
    assert all(torch.equal(none[m], present[m]) for m in present)
    most = modality_dropout.kept(present, drawn, torch.tensor(1.0), ("a", "b"))
    counts = torch.stack([most["a"], most["b"]]).sum(dim=0)
    assert torch.equal(counts, (present["a"] | present["b"]).long())


def test_modality_dropout_is_told_what_it_dropped_and_answers_without_dropping():
    parts = parts_of()
    method = references.get("modality_dropout")
    module = build(method, parts, 0)
    plain = build(references.get("concatenation"), parts, 0)
    plain.load_state_dict(module.state_dict())
    inputs, present = rows_of(parts, 20)
    target = target_of(TWO, 20)
    step = step_of(module, inputs, present, target, method.hyper)
    kept = modality_dropout.kept(present, step.draws["drop"], step.hyper["rate"], NAMES[:2])
    assert any(not torch.equal(kept[m], present[m]) for m in kept)
    assert torch.equal(module.loss(step), task_loss(plain(inputs, kept), target, TWO))
    assert torch.equal(module(inputs, present), plain(inputs, present))


# ---- missing modalities, tasks


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("kind", sorted(TASKS))
@pytest.mark.parametrize("widths", [(6, 6), (4, 4, 4)])
def test_every_pattern_of_presence_gives_finite_answers_and_gradients(name, kind, widths):
    parts = parts_of(TASKS[kind], widths)
    method = references.get(name)
    method.require(parts)
    module = build(method, parts, 0)
    inputs, present = patterns(parts)
    assert module(inputs, present).shape == (2 ** len(widths), parts.task.width)
    step = step_of(module, inputs, present, target_of(parts.task, 2 ** len(widths)), method.hyper)
    loss = module.loss(step)
    gradients = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True)
    assert torch.isfinite(module(inputs, present)).all()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in gradients if g is not None)
    gone = {m: torch.zeros_like(p) for m, p in present.items()}
    answers = module(inputs, gone)
    assert torch.allclose(answers, answers[:1].expand_as(answers))  # nothing there: one answer for all


@pytest.mark.parametrize("name", HEADS)
def test_values_of_absent_modalities_do_not_matter_and_presence_does(name):
    parts = parts_of(widths=(6, 6, 6))
    module = build(references.get(name), parts, 1)
    inputs, present = rows_of(parts, 40, absent=0.4)
    other = {m: torch.where(present[m][:, None], x, 1e3 * x.sin()) for m, x in inputs.items()}
    assert torch.equal(module(inputs, present), module(other, present))
    for m in parts.modalities:
        zero = {**inputs, m: torch.zeros_like(inputs[m])}
        here, gone = ({**present, m: torch.full_like(present[m], there)} for there in (True, False))
        assert not torch.allclose(module(zero, here), module(zero, gone))  # zeros are not the same as nothing


# ---- what they refuse


def test_product_refuses_unequal_widths_and_says_what_to_do():
    with pytest.raises(BadInput, match="equal widths, and they are a 4, b 5") as error:
        references.get("product").require(parts_of(widths=(4, 5)))
    assert "'tensor' or 'concatenation'" in str(error.value)
    references.get("tensor").require(parts_of(widths=(4, 5)))


def test_unimodal_takes_one_modality_and_the_others_take_more():
    references.get("unimodal").require(parts_of(widths=(4,)))
    with pytest.raises(BadInput, match="one modality, and there are 2"):
        references.get("unimodal").require(parts_of(widths=(4, 4)))
    for name in HEADS:
        with pytest.raises(BadInput, match="at least 2 modalities"):
            references.get(name).require(parts_of(widths=(4,)))


def test_heads_refuse_retrieval():
    task = Task.retrieval(("a",), "b")
    parts = Parts(("a", "b"), dict.fromkeys("ab", nn.Identity), {"a": 4, "b": 4}, task, target="b")
    for name in (*HEADS, "unimodal"):
        with pytest.raises(BadInput, match="the task is retrieval"):
            references.get(name).require(parts)


def test_each_names_its_source():
    for module in (attention, concatenation, late, modality_dropout, product, tensor, unimodal):
        assert any(m.source in vars(module).values() for m in references if m.make.__module__ == module.__name__)
