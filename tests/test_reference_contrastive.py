"""Contrastive references against plain NumPy, with missing modalities, and as classifiers."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product as every

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmaudit.errors import BadInput
from mmaudit.reference.base import Parts, Step, references
from mmaudit.reference.loop import Budget, Table, build, train
from mmaudit.reference.methods.contrastive import ContrastiveReference, info_nce, reciprocal_ranks
from mmaudit.reference.methods.gram import volumes
from mmaudit.reference.methods.triangle import squared_areas
from mmaudit.reference.trained import Trial
from mmaudit.types import Task

NAMES = ("image", "text", "sound", "touch")
BOTH = (
    "clip", "symile", "gated_symile", "gated_symile_matrix", "gated_symile_no_null", "gram", "triangle", "pairwise_lse",
)  # fmt: skip
RETRIEVAL = (*BOTH, "clip_sum", "symile_n_squared", "symile_pair")


def affine(width: int) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(5, width)


def parts(modalities: int = 3, width: int = 6, task: Task | None = None, frozen: bool = False) -> Parts:
    names = NAMES[:modalities]
    encoders = {m: nn.Identity if frozen else affine(width) for m in names}
    widths = dict.fromkeys(names, 5 if frozen else width)
    return Parts(
        names, encoders, widths, task or Task.retrieval(names[1:], names[0]), None if task is not None else names[0]
    )


def table(rows: int, modalities: int = 3, seed: int = 0, missing: float = 0.0, classes: int = 4) -> Table:
    """Modalities share a class and what is the row's own."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(classes, (rows,), generator=generator)
    shared = torch.randn(rows, 5, generator=generator) + 2 * F.one_hot(target, 5)
    inputs, present = {}, {}
    for m in NAMES[:modalities]:
        there = torch.rand(rows, generator=generator) >= missing
        x = shared + 0.2 * torch.randn(rows, 5, generator=generator)
        inputs[m], present[m] = torch.where(there[:, None], x, torch.zeros_like(x)), there
    return Table(inputs, present, target)


def module(name: str, made: Parts, seed: int = 0) -> ContrastiveReference:
    found = build(references.get(name), made, seed).double()
    assert isinstance(found, ContrastiveReference)
    return found


def step(of: ContrastiveReference, rows: Table) -> Step:
    generator = torch.Generator().manual_seed(3)
    draws = {k: torch.randperm(d.shape[0], generator=generator) for k, d in of.draws(len(rows)).items()}
    inputs = {m: x.double() for m, x in rows.inputs.items()}
    # Of a retrieval every row is an identity of its own.
    target = rows.target if of.parts.target is None else torch.arange(len(rows.target))
    return Step(inputs, rows.present, target, draws, {}, {}, torch.zeros(()), 1.0)


def embeddings(of: ContrastiveReference, rows: Table) -> dict[str, np.ndarray]:
    inputs = {m: x.double() for m, x in rows.inputs.items()}
    return {m: e.detach().numpy() for m, e in of.embed(of.encode(inputs, rows.present), rows.present).items()}


def cross_entropy(logits: np.ndarray, right: int) -> float:
    return float(np.log(np.exp(logits).sum()) - logits[right])


# ---- losses by brute force


@pytest.mark.parametrize(("name", "sum_of_pairs"), [("clip", False), ("clip_sum", True)])
def test_clip_is_symmetric_cross_entropy_of_pairs(name: str, sum_of_pairs: bool) -> None:
    made, rows = module(name, parts()), table(6)
    e, scale = embeddings(made, rows), made.logit_scale.exp().item()
    losses = []
    for one, other in (("image", "text"), ("image", "sound"), ("text", "sound")):
        logits = scale * e[one] @ e[other].T
        losses.append(np.mean([(cross_entropy(logits[i], i) + cross_entropy(logits[:, i], i)) / 2 for i in range(6)]))
    expected = np.sum(losses) if sum_of_pairs else np.mean(losses)
    assert made.loss(step(made, rows)).item() == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("modalities", [3, 4])
def test_symile_overwrites_the_diagonal_of_shuffled_tuples(modalities: int) -> None:
    made, rows = module("symile", parts(modalities)), table(6, modalities)
    given = step(made, rows)
    e, scale, names = embeddings(made, rows), made.logit_scale.exp().item(), NAMES[:modalities]
    losses = []
    for t, anchor in enumerate(names):
        others = [(k, m) for k, m in enumerate(names) if m != anchor]
        for i in range(6):
            logits = np.zeros(6)
            for j in range(6):
                fake = np.prod([e[m][i if j == i else int(given.draws[f"m{t}_m{k}"][j])] for k, m in others], axis=0)
                logits[j] = scale * (e[anchor][i] * fake).sum()
            losses.append(cross_entropy(logits, i))
    assert made.loss(given).item() == pytest.approx(float(np.mean(losses)), abs=1e-12)


@pytest.mark.parametrize("modalities", [3, 4])
def test_all_combinations_are_brute_force(modalities: int) -> None:
    made, rows, n = module("symile_n_squared", parts(modalities)), table(4, modalities), 4
    e, scale, names = embeddings(made, rows), made.logit_scale.exp().item(), NAMES[:modalities]
    losses = []
    for anchor in names:
        others = [m for m in names if m != anchor]
        tuples = list(every(range(n), repeat=len(others)))
        for i in range(n):
            fakes = [np.prod([e[m][k] for m, k in zip(others, ks, strict=True)], axis=0) for ks in tuples]
            logits = scale * np.asarray(fakes) @ e[anchor][i]
            losses.append(cross_entropy(logits, tuples.index((i,) * len(others))))
    assert made.loss(step(made, rows)).item() == pytest.approx(float(np.mean(losses)), abs=1e-12)


def test_pair_negatives_differ_in_the_target_alone() -> None:
    made, rows = module("symile_pair", parts()), table(6)
    e = embeddings(made, rows)
    scale = made.logit_scale.exp().item() * 6  # D^((M − 1) / 2) with D = 6 and M = 3
    losses = []
    for anchor in NAMES[:3]:
        one, other = (m for m in NAMES[:3] if m != anchor)
        logits = scale * (e[one] * e[other]) @ e[anchor].T
        losses += [cross_entropy(logits[i], i) for i in range(6)]
    assert made.loss(step(made, rows)).item() == pytest.approx(float(np.mean(losses)), abs=1e-12)


def test_log_sum_exp_of_pairwise_scores() -> None:
    made, rows = module("pairwise_lse", parts()), table(6)
    e, scale = embeddings(made, rows), made.logit_scale.exp().item()
    query = {m: torch.from_numpy(e[m]) for m in ("text", "sound")}
    found = made.scores(query, torch.from_numpy(e["image"])).detach().numpy()
    text, sound = scale * e["text"] @ e["image"].T, scale * e["sound"] @ e["image"].T
    assert np.allclose(found, np.log((np.exp(text) + np.exp(sound)) / 2), atol=1e-12)


# ---- volumes and areas


@pytest.mark.parametrize("others", [1, 2, 3])
def test_gram_volume_is_the_root_of_the_determinant(others: int) -> None:
    rng = np.random.default_rng(0)
    e = rng.standard_normal((others + 1, 5, 9))
    e /= np.linalg.norm(e, axis=-1, keepdims=True)
    found = volumes([torch.from_numpy(x) for x in e[1:]], torch.from_numpy(e[0])).numpy()
    for i in range(5):
        for j in range(5):
            vectors = np.stack([*(x[i] for x in e[1:]), e[0][j]])
            assert found[i, j] == pytest.approx(np.sqrt(np.linalg.det(vectors @ vectors.T)), abs=1e-9)


def test_triangle_area_is_that_of_its_corners() -> None:
    rng = np.random.default_rng(0)
    a, b, c = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.standard_normal((3, 4, 3)))
    there = torch.ones(4, dtype=torch.bool)
    found = squared_areas(*(torch.from_numpy(x) for x in (a, b, c)), there, there).numpy()
    for i in range(4):
        for j in range(4):
            area = np.linalg.norm(np.cross(a[i] - c[j], b[i] - c[j])) / 2
            assert found[i, j] == pytest.approx(area**2, abs=1e-12)
    gram = np.stack([a[1] - c[2], b[1] - c[2]])
    assert found[1, 2] == pytest.approx(np.linalg.det(gram @ gram.T) / 4, abs=1e-12)


def test_equal_embeddings_have_finite_gradients() -> None:
    x = F.normalize(torch.ones(3, 4), dim=1).requires_grad_()
    there = torch.ones(3, dtype=torch.bool)
    (volumes([x, x], x).sum() + squared_areas(x, x, x, there, there).sum()).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


# ---- what is missing


@pytest.mark.parametrize("name", RETRIEVAL)
def test_any_pattern_of_presence_is_finite(name: str) -> None:
    made = module(name, parts())
    patterns = torch.tensor(list(every([False, True], repeat=3))).repeat(2, 1)
    rows = table(16)
    rows = Table(
        {m: torch.where(patterns[:, k, None], rows.inputs[m], 0.0) for k, m in enumerate(NAMES[:3])},
        {m: patterns[:, k] for k, m in enumerate(NAMES[:3])},
        rows.target,
    )
    given = step(made, rows)
    loss = made.loss(given)
    assert torch.isfinite(loss)
    loss.backward()
    for n, p in made.named_parameters():
        assert p.grad is None or torch.isfinite(p.grad).all(), n
    assert torch.isfinite(made(given.inputs, given.present)).all()
    goodness = made.goodness(given.inputs, given.present, given.target)
    assert bool((goodness[~rows.present["image"]] == 0).all())
    assert bool((goodness[rows.present["image"]] > 0).all())


@pytest.mark.parametrize("name", [n for n in RETRIEVAL if n not in ("symile", "symile_n_squared")])
def test_rows_without_target_change_no_loss(name: str) -> None:
    made, rows = module(name, parts()), table(8)
    there = torch.tensor([True] * 6 + [False] * 2)
    absent = dict.fromkeys(NAMES[:3], there)
    padded = Table({m: torch.where(there[:, None], x, 0.0) for m, x in rows.inputs.items()}, absent, rows.target)
    six = ({m: x[:6] for m, x in table.items()} for table in (rows.inputs, rows.present))
    whole = Table(*six, rows.target[:6])
    assert made.loss(step(made, padded)).item() == pytest.approx(made.loss(step(made, whole)).item(), abs=1e-9)


@pytest.mark.parametrize("name", RETRIEVAL)
def test_nothing_present_is_a_loss_of_zero(name: str) -> None:
    made = module(name, parts())
    nobody = {m: torch.zeros(4, dtype=torch.bool) for m in NAMES[:3]}
    rows = Table({m: torch.zeros(4, 5) for m in NAMES[:3]}, nobody, torch.arange(4))
    assert made.loss(step(made, rows)).item() == 0


def left_out(name: str) -> tuple[Tensor, ContrastiveReference, Tensor, Tensor]:
    made = module(name, parts())
    e = torch.from_numpy(embeddings(made, table(5))["text"])
    c = torch.from_numpy(embeddings(made, table(7, seed=1))["image"])
    there = {"text": torch.ones(5, dtype=torch.bool), "sound": torch.zeros(5, dtype=torch.bool)}
    return made.scores({"text": e, "sound": torch.zeros_like(e)}, c, there), made, e, c


def test_an_absent_modality_leaves_the_score_of_the_others() -> None:
    for name in ("clip", "pairwise_lse"):
        found, made, e, c = left_out(name)
        assert torch.allclose(found, made.factor(1) * e @ c.T)
    found, made, e, c = left_out("symile_pair")
    assert torch.allclose(found, made.factor(3) * e @ c.T / 6**0.5)
    found, made, e, c = left_out("gram")
    assert torch.allclose(found, -made.factor(1) * (1 - (e @ c.T) ** 2).sqrt())
    found, made, e, c = left_out("triangle")
    assert torch.allclose(found, -made.factor(1) * (e[:, None] - c[None]).square().sum(dim=2) / 2)


# ---- scores, ranks, banks


@pytest.mark.parametrize("name", RETRIEVAL)
def test_a_bank_in_blocks_scores_as_a_whole(name: str) -> None:
    made = build(references.get(name), parts(width=32), 0)
    assert isinstance(made, ContrastiveReference)
    query = {m: F.normalize(torch.randn(9, 32, generator=torch.Generator().manual_seed(i)), dim=1)
             for i, m in enumerate(NAMES[1:3])}  # fmt: skip
    bank = torch.randn(300, 5, generator=torch.Generator().manual_seed(9))
    candidates = made.embed_one("image", bank)
    whole = made.scores(query, candidates)
    blocks = [made.scores(query, made.embed_one("image", bank[i : i + 70])) for i in range(0, 300, 70)]
    assert torch.allclose(whole, torch.cat(blocks, dim=1), atol=1e-5)


def test_reciprocal_ranks_share_ties() -> None:
    scores = torch.tensor([[3.0, 1, 2], [5, 4, 4], [1, 1, 1]])
    there = torch.ones(3, dtype=torch.bool)
    apart = torch.arange(3)
    assert reciprocal_ranks(scores, there, apart).tolist() == pytest.approx([1, 1 / 2.5, 1 / 2])
    there[0] = False
    assert reciprocal_ranks(scores, there, apart).tolist() == pytest.approx([0, 1 / 1.5, 1 / 1.5])


def test_rows_of_one_identity_are_right_for_each_other() -> None:
    """By hand: the first of several right candidates counts, and none of them is a negative."""
    scores = torch.tensor([[1.0, 3, 2, 0], [2, 2, 2, 5], [4, 4, 1, 4], [0, 1, 2, 3]])
    identity = torch.tensor([7, 7, 8, 9])
    there = torch.ones(4, dtype=torch.bool)
    # Row 0: its double has 3, above all. Row 1: two right ones tie with one wrong, below one: ranks 2, 2, 3.
    assert reciprocal_ranks(scores, there, identity).tolist() == pytest.approx([1, 1 / (2 + 1 / 3), 1 / 4, 1])
    there[1] = False
    assert reciprocal_ranks(scores, there, identity).tolist() == pytest.approx([1 / 2, 0, 1 / 3, 1])
    there[1] = True
    losses = [float(info_nce(scores, torch.arange(4) == i, there, identity)) for i in range(2)]
    expected = [math.log(1 + math.exp(1) + math.exp(-1)), math.log(2 + math.exp(3))]
    assert losses == pytest.approx(expected, abs=1e-6)


def test_masked_columns_are_nobodys_negatives() -> None:
    logits = torch.tensor([[1.0, 50], [2, 3]])
    usable = torch.tensor([True, False])
    apart = torch.arange(2)
    assert float(info_nce(logits, usable, usable, apart)) == 0
    assert float(info_nce(logits, usable, torch.tensor([True, True]), apart)) == pytest.approx(49, abs=1e-4)


# ---- training


@pytest.mark.parametrize("name", RETRIEVAL)
def test_it_learns_to_retrieve_with_rows_missing(name: str) -> None:
    budget = Budget(epochs=5, batch=32, patience=0)
    trained = train(
        references.get(name),
        parts(width=16, frozen=name == "clip"),
        table(384, missing=0.1),
        table(64, seed=1),
        [Trial(0, {"lr": 1e-2}), Trial(1, {"lr": 1e-2})],
        budget,
    )
    assert trained.outcomes == ["", ""]
    chance = sum(1 / k for k in range(1, 65)) / 64
    assert min(trained.validation) > 2 * chance, trained.validation


@pytest.mark.parametrize("name", BOTH)
def test_it_learns_to_classify(name: str) -> None:
    made = parts(2, 16, Task.classification(4), frozen=True)
    trained = train(references.get(name), made, table(256, 2, missing=0.1), table(128, 2, seed=1),
                    [Trial(0, {"lr": 1e-2})], Budget(epochs=8, batch=32, patience=0))  # fmt: skip
    test = table(256, 2, seed=2)
    logits = trained.outputs(test.inputs, test.present)[0]
    assert logits.shape == (256, 4)
    assert float((logits.argmax(dim=1) == test.target).float().mean()) > 0.6


def test_unequal_or_frozen_features_get_a_projection() -> None:
    trained = module("clip", parts(width=6))
    assert len(trained.projections) == 0
    assert trained.width == 6
    frozen = module("clip", parts(frozen=True))
    assert len(frozen.projections) == 3
    assert frozen.width == 256


def test_too_few_or_too_many_modalities_are_refused_with_the_reason() -> None:
    for name in ("symile", "symile_pair", "gated_symile", "triangle", "pairwise_lse"):
        with pytest.raises(BadInput, match="needs at least 2 modalities"):
            references.get(name).require(parts(2))
    for name in ("clip", "gram"):
        references.get(name).require(parts(2))
    with pytest.raises(BadInput, match="three corners"):
        references.get("triangle").require(parts(4))
    with pytest.raises(BadInput, match="the task is regression"):
        references.get("symile").require(parts(2, task=Task.regression(1)))
    with pytest.raises(BadInput, match="the task is classification"):
        references.get("symile_pair").require(parts(2, task=Task.classification(3)))
