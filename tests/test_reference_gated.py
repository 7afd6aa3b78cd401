"""Gated Symile: the exact scorer against its definition, the limits of the gate, what is missing, what is trained."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmaudit.reference.base import Parts, Reference, references
from mmaudit.reference.loop import Budget, Table, build, train
from mmaudit.reference.methods.gate import Gate, GateOptions, gated_products, materialised_products
from mmaudit.reference.methods.gated_symile import GatedSymile
from mmaudit.reference.trained import Trial
from mmaudit.types import Task

NAMES = ("image", "text", "sound", "touch")
VARIANTS = [
    GateOptions(),
    GateOptions(null=False),
    GateOptions(weights="softmax"),
    GateOptions(weights="softmax", null=False),
    GateOptions(mode="matrix"),
    GateOptions(mode="matrix", weights="softmax"),
    GateOptions(neutral="random"),
    GateOptions(neutral="ones"),
    GateOptions(neutral="none"),
    GateOptions(renormalise=False),
    GateOptions(temperature=0.05, strength=-3.0),
]


def unit(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def gate(options: GateOptions, modalities: int, width: int = 12) -> Gate:
    torch.manual_seed(7)
    made = Gate(NAMES[:modalities], NAMES[:modalities], width, options).double()
    with torch.no_grad():  # away from the start, where several variants are the same
        for p in made.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return made


def present(names: tuple[str, ...], rows: int) -> dict[str, Tensor]:
    return {m: torch.ones(rows, dtype=torch.bool) for m in names}


def parts(modalities: int = 3, width: int = 6, task: Task | None = None) -> Parts:
    names = NAMES[:modalities]
    target = None if task is not None else names[0]
    return Parts(
        names,
        {m: (lambda: nn.Linear(5, width)) for m in names},
        dict.fromkeys(names, width),
        task or Task.retrieval(names[1:], names[0]),
        target,
    )


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("modalities", [3, 4])
def test_the_closed_form_is_the_product_of_materialised_pairs(modalities: int, options: GateOptions) -> None:
    names, made = NAMES[1:modalities], gate(options, modalities)
    query = {m: unit(9, 12, seed=i) for i, m in enumerate(names)}
    candidates = unit(7, 12, seed=99)
    there = present(names, 9)
    drawn = [b.expand(9, 7) for b in made.drawn(query, candidates, there, NAMES[0])]
    directions = made.directions(names)
    found = made.scores(query, candidates, there, NAMES[0])
    renormalise = options.renormalise and options.neutral != "none"
    if options.neutral == "none":
        directions = [torch.zeros_like(d) for d in directions]
    expected = materialised_products(list(query.values()), directions, drawn, candidates, renormalise=renormalise)
    assert found.shape == (9, 7)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)


def test_gradients_of_the_closed_form_are_those_of_materialised_pairs() -> None:
    def slopes(scorer) -> list[Tensor]:
        made = gate(GateOptions(), 3)
        raw = [unit(6, 12, seed=i).requires_grad_() for i in range(3)]
        text, sound, candidates = (F.normalize(x, dim=1) for x in raw)  # the closed form counts on unit length
        query = {"text": text, "sound": sound}
        drawn = made.drawn(query, candidates, present(NAMES[1:3], 6), NAMES[0])
        scores = scorer(list(query.values()), made.directions(NAMES[1:3]), drawn, candidates)
        (scores * torch.arange(36).reshape(6, 6)).sum().backward()
        return [t.grad for t in (*raw, *made.parameters()) if t.grad is not None]

    exact, pairs = slopes(gated_products), slopes(materialised_products)
    assert len(exact) == len(pairs) > 8
    for one, other in zip(exact, pairs, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_full_weights_are_symile_and_no_weight_is_a_bilinear_score() -> None:
    e, f, c = unit(5, 12, seed=1), unit(5, 12, seed=2), unit(4, 12, seed=3)
    n, o = unit(12, seed=4), unit(12, seed=5)
    zero, one = torch.zeros(1, 1).double(), torch.ones(1, 1).double()
    symile = (e * f) @ c.T
    assert torch.allclose(gated_products([e, f], [n, o], [zero, zero], c), symile, atol=1e-15)
    bilinear = (e * o) @ c.T
    assert torch.allclose(gated_products([e, f], [n, o], [zero, one], c), bilinear, atol=1e-15)


def test_the_limits_of_strength_and_weight() -> None:
    query = {m: unit(5, 12, seed=i) for i, m in enumerate(NAMES[1:3])}
    c, there = unit(4, 12, seed=3), present(NAMES[1:3], 5)
    symile = (query["text"] * query["sound"]) @ c.T
    made = gate(GateOptions(null=False), 3)
    with torch.no_grad():
        made.strength.fill_(-40.0)  # α → 0: the gate does nothing
        assert torch.allclose(made.scores(query, c, there, "image"), symile, atol=1e-12)
    constant = gate(GateOptions(mode="matrix"), 3)
    with torch.no_grad():
        constant.strength.fill_(40.0)
        constant.table.fill_(40.0)  # w = 1
        assert torch.allclose(constant.scores(query, c, there, "image"), symile, atol=1e-12)
        constant.table[0, 2] = -40.0  # w = 0 for the sound
        bilinear = (query["text"] * constant.directions(["sound"])[0]) @ c.T
        assert torch.allclose(constant.scores(query, c, there, "image"), bilinear, atol=1e-12)


@torch.no_grad()
def test_weights_are_those_of_the_equations() -> None:
    query = {m: unit(3, 12, seed=i) for i, m in enumerate(NAMES[1:3])}
    c, there = unit(2, 12, seed=3), present(NAMES[1:3], 3)
    made = gate(GateOptions(), 3)
    temperature = float(F.softplus(made.log_temperature)) + 0.1
    found = made.weights(query, c, there, "image")
    for i in range(3):
        for j in range(2):
            null = float(made.null_head(c[j])) + float(made.null_logits[0])
            for m, w in zip(query, found, strict=True):
                k = made.context_keys[NAMES.index(m)](query[m][i])
                cosine = float(F.cosine_similarity(made.target_keys[0](c[j]), k, dim=0))
                expected = torch.sigmoid(torch.tensor(cosine / temperature)) * (
                    1 - torch.sigmoid(torch.tensor(null / temperature))
                )
                assert float(w[i, j]) == pytest.approx(float(expected), abs=1e-6)


def test_softmax_weights_share_one_with_null() -> None:
    query = {m: unit(5, 12, seed=i) for i, m in enumerate(NAMES[1:3])}
    c, there = unit(4, 12, seed=3), present(NAMES[1:3], 5)
    without = sum(gate(GateOptions(weights="softmax", null=False), 3).weights(query, c, there, "image"))
    assert torch.allclose(without, torch.ones(5, 4).double())
    with_null = sum(gate(GateOptions(weights="softmax"), 3).weights(query, c, there, "image"))
    assert bool((with_null < 1).all())
    assert bool((with_null > 0).all())


@torch.no_grad()
def test_the_temperature_starts_where_the_source_says() -> None:
    assert float(Gate(NAMES[:3], NAMES[:3], 8, GateOptions(temperature=0.7)).temperature) == pytest.approx(
        0.6306, abs=1e-4
    )
    assert float(Gate(NAMES[:3], NAMES[:3], 8, GateOptions(strength=-3.0)).share) == pytest.approx(0.0474, abs=1e-4)


@pytest.mark.parametrize(("neutral", "trained"), [("trainable", True), ("random", False), ("ones", False)])
def test_only_trainable_directions_are_trained(neutral: str, trained: bool) -> None:
    made = Gate(NAMES[:3], NAMES[:3], 16, GateOptions(neutral=neutral))
    assert ("neutral" in dict(made.named_parameters())) is trained
    assert torch.allclose(torch.stack(made.directions(NAMES[:3])).norm(dim=1), torch.ones(3))
    assert bool((made.neutral == 0.25).all()) is (neutral == "ones")


@pytest.mark.parametrize("name", ["gated_symile", "gated_symile_matrix", "gated_symile_no_null"])
def test_an_absent_modality_is_its_neutral_direction(name: str) -> None:
    module = build(references.get(name), parts(), 3)
    assert isinstance(module, GatedSymile)
    e, c = unit(4, 6, seed=1).float(), unit(5, 6, seed=2).float()
    there = {"text": torch.ones(4, dtype=torch.bool), "sound": torch.zeros(4, dtype=torch.bool)}
    found = module.scores({"text": e, "sound": torch.zeros(4, 6)}, c, there)
    direction = module.gate.directions(["sound"])[0]
    told = module.scores({"text": e, "sound": direction.expand(4, 6)}, c, present(("text", "sound"), 4))
    assert torch.isfinite(found).all()
    assert torch.allclose(found, told, atol=1e-6)  # drawn towards itself a neutral direction stays where it is
    nobody = {m: torch.zeros(4, dtype=torch.bool) for m in there}
    nothing = module.scores({m: torch.zeros(4, 6) for m in there}, c, nobody)
    prior = module.factor(3) * (torch.stack(module.gate.directions(["text", "sound"])).prod(dim=0) @ c.T)
    assert torch.allclose(nothing, prior.expand(4, 5), atol=1e-6)


def test_the_gate_learns_at_its_own_rate_and_does_not_decay() -> None:
    module = build(references.get("gated_symile"), parts(), 0)
    names = [n for n, _ in module.named_parameters()]
    gates = [n for n in names if n.startswith("gate.")]
    assert {"gate.neutral", "gate.strength", "gate.log_temperature", "gate.null_logits"} <= set(gates)
    for n in names:
        assert module.rate(n) == ("gate_rate" if n in gates else None)
        assert module.decays(n) is (n not in gates)
    assert references.get("gated_symile").hyper["gate_rate"].default == 2.0


@pytest.mark.parametrize("name", ["gated_symile_matrix", "gated_symile_no_null"])
def test_ablations_lack_what_they_are_named_after(name: str) -> None:
    names = {n for n, _ in build(references.get(name), parts(), 0).named_parameters()}
    assert not any("null" in n for n in names)
    assert ("gate.table" in names) is (name == "gated_symile_matrix")
    assert any("keys" in n for n in names) is (name == "gated_symile_no_null")


def disagreement(rows: int, seed: int) -> Table:
    """Two views of one identity, of which one is always somebody else's: an OR that only a gate per candidate is."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(rows, 5, generator=generator)
    other = target[torch.randperm(rows, generator=generator)]
    swap = torch.rand(rows, 1, generator=generator) < 0.5
    first, second = torch.where(swap, other, target), torch.where(swap, target, other)
    inputs = {"image": target, "text": first, "sound": second}
    return Table(inputs, present(NAMES[:3], rows), torch.arange(rows))


def test_it_learns_to_trust_the_modality_that_fits_the_candidate() -> None:
    made, budget = parts(width=24), Budget(epochs=7, batch=64, patience=0)
    training, validation, test = (disagreement(n, i) for i, n in enumerate((768, 128, 256)))
    won: dict[str, float] = {}
    for name in ("gated_symile", "symile_pair"):
        trained = train(references.get(name), made, training, validation, [Trial(0, {"lr": 1e-2})], budget)
        assert trained.outcomes == [""]
        won[name] = float(trained.call("goodness", test.inputs, test.present, test.target).mean())
        if name == "gated_symile":
            weights = trained.call("own_weights", test.inputs, test.present)
            fits = (test.inputs["text"] == test.inputs["image"]).all(dim=1)
            difference = (weights["text"] - weights["sound"])[0]
            assert float(difference[fits].mean()) > float(difference[~fits].mean()) + 0.1
    assert won["gated_symile"] > won["symile_pair"] + 0.1


def test_streamed_scores_are_those_of_the_whole_bank() -> None:
    module: Reference = build(references.get("gated_symile"), parts(4, 32), 1)
    assert isinstance(module, GatedSymile)
    query = {m: unit(11, 32, seed=i).float() for i, m in enumerate(NAMES[1:])}
    bank = unit(1000, 32, seed=9).float()
    whole = module.scores(query, bank)
    blocks = torch.cat([module.scores(query, bank[i : i + 64]) for i in range(0, 1000, 64)], dim=1)
    assert torch.allclose(whole, blocks, atol=1e-5)
