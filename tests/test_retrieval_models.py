"""The adapter for encoders and a score, and the doctor's clauses for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.retrieval_cases import as_is, dual, pairs, triple, triples
from mmaudit import ArrayData, FunctionModel, RetrievalModel, Task, TorchModel
from mmaudit.auditing import examine, prepare
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models import Retriever, as_model, check_model
from mmaudit.models.check import CLAUSES, Check
from mmaudit.types import Array, Batch

ROWS = np.arange(24)


def everyone(data: ArrayData) -> Batch:
    return data.rows(np.arange(len(data)))


def scores(model: RetrievalModel, data: ArrayData) -> Array:
    batch = everyone(data)
    query = {m: model.encode(m, batch) for m in data.task.query}
    present = {m: batch.present[m] for m in data.task.query}
    return model.scores(query, model.encode(data.task.target_modality, batch), present)


# ---- the adapter


def test_dot_mip_and_a_function_say_what_they_should() -> None:
    data = triples(24)
    a, b, c = (data.values(m, ROWS) for m in "abc")
    assert scores(triple("dot"), data) == pytest.approx((a + b) @ c.T)
    assert scores(triple("mip"), data) == pytest.approx(np.einsum("id,id,jd->ij", a, b, c))

    def least(query: dict[str, Array], candidates: Array) -> Array:
        return np.minimum(query["a"] @ candidates.T, query["b"] @ candidates.T)

    assert scores(triple(least), data) == pytest.approx(np.minimum(a @ c.T, b @ c.T))
    warm = triple("dot", temperature=0.5)
    assert scores(warm, data) == pytest.approx(2 * (a + b) @ c.T)
    assert (warm.outputs, triple("dot").outputs) == ("logits", "values")
    assert isinstance(warm, Retriever)


def test_normalised_features_have_length_one() -> None:
    data = pairs(24)
    batch = everyone(data)
    features = dual(normalise=True).encode("left", batch)
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(24))
    blank = batch.replace({"left": np.zeros_like(batch.inputs["left"])})
    assert not dual(normalise=True).encode("left", blank).any()


def test_what_is_absent_is_left_out() -> None:
    there = np.arange(24) % 3 > 0
    data = triples(24, present={"a": there})
    a, b, c = (data.values(m, ROWS) for m in "abc")
    none = np.zeros_like(a)
    assert scores(triple("dot", absence="skip"), data) == pytest.approx((np.where(there[:, None], a, 0) + b) @ c.T)
    alone = scores(triple("mip", absence="skip"), data)
    assert alone == pytest.approx((np.where(there[:, None], a, 1) * b) @ c.T)
    # Without it the values that stand in are used like any others.
    assert scores(triple("mip"), data)[~there] == pytest.approx((none * b @ c.T)[~there])

    def counted(query: dict[str, Array], candidates: Array, present: dict[str, Array]) -> Array:
        assert not query["a"][~present["a"]].any()
        return np.repeat((present["a"] * 1.0 + present["b"])[:, None], len(candidates), axis=1)

    assert scores(triple(counted, absence="mask"), data)[:, 0].tolist() == (there + 1.0).tolist()


class Linear(nn.Module):
    def __init__(self, width: int = 8, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_torch_encoders_and_scores_on_tensors() -> None:
    data = pairs(24)
    left, right = Linear().eval(), Linear(seed=1).eval()
    with torch.inference_mode():
        one, other = (e(torch.from_numpy(data.values(m, ROWS))) for e, m in ((left, "left"), (right, "right")))
    expected = (one @ other.T).numpy()
    assert scores(RetrievalModel({"left": left, "right": right}), data) == pytest.approx(expected, abs=1e-5)

    class Cosine(nn.Module):
        def forward(self, query: dict[str, Tensor], candidates: Tensor) -> Tensor:
            return nn.functional.cosine_similarity(query["left"][:, None], candidates[None], dim=2)

    found = scores(RetrievalModel({"left": left, "right": right}, Cosine().eval()), data)
    length = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)
    assert found == pytest.approx(expected / length, abs=1e-5)
    mixed = RetrievalModel({"left": left, "right": lambda x: right(torch.from_numpy(x)).detach()})
    assert scores(mixed, data) == pytest.approx(expected, abs=1e-5)


def test_prepare_comes_before_the_encoder() -> None:
    texts = ArrayData(
        {"left": np.ones((4, 2), np.float32), "right": ["a", "bb", "ccc", "dddd"]}, None, "retrieval:left->right"
    )

    def lengths(values: Array) -> Array:
        return np.array([[len(v), 1] for v in values], np.float32)

    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    for encoder in (as_is, Same().eval()):
        model = RetrievalModel({"left": as_is, "right": encoder}, prepare={"right": lengths})
        assert scores(model, texts)[0].tolist() == [2, 3, 4, 5]


def test_the_fingerprint_is_that_of_all_that_decides() -> None:
    kinds: list[RetrievalModel] = [dual(), dual(normalise=True), dual(temperature=2.0), dual(score="mip")]
    kinds += [dual(absence="skip"), dual(outputs="logits"), dual(score=lambda query, candidates: candidates)]
    kinds += [RetrievalModel({"left": Linear(seed=s).eval(), "right": Linear().eval()}) for s in (1, 2)]
    assert len({m.fingerprint for m in kinds}) == len(kinds)
    assert dual().fingerprint == dual().fingerprint
    assert dual(fingerprint="v1").fingerprint == dual(fingerprint="v1").fingerprint != dual().fingerprint


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RetrievalModel([as_is, as_is]), "give a mapping"),  # type: ignore[arg-type]
        (lambda: RetrievalModel({"left": as_is}), "one encoder alone"),
        (lambda: RetrievalModel({"left": as_is, "right": 3}), "no function"),
        (lambda: dual(score="cosine"), "'dot', 'mip'"),
        (lambda: dual(temperature=0), "above 0"),
        (lambda: dual(outputs="probabilities"), "'logits', 'values'"),
        (lambda: dual(absence="mask"), "'skip'"),
        (lambda: dual(score=min, absence="skip"), "'mask'"),
        (lambda: dual(score=min, normalise=True), "a function normalises"),
        (lambda: dual(prepare={"middle": as_is}), "'middle'"),
    ],
)
def test_arguments_that_do_not_go_together(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        make()


def test_training_mode_is_refused() -> None:
    with pytest.raises(ContractBroken, match="training mode"):
        RetrievalModel({"left": Linear(), "right": Linear().eval()})


def test_features_that_do_not_go_together() -> None:
    narrow = RetrievalModel({"left": as_is, "right": lambda x: x[:, :3]})
    with pytest.raises(ContractBroken, match=r"left \[8\], the target \[3\]"):
        scores(narrow, pairs(24))
    flat = RetrievalModel({"left": lambda x: x[:, 0], "right": as_is})
    with pytest.raises(ContractBroken, match=r"expected numbers \[n, D\]"):
        flat.encode("left", everyone(pairs(24)))
    with pytest.raises(BadInput, match="no encoder of 'middle'"):
        dual().encode("middle", everyone(pairs(24)))


# ---- models and tasks that do not go together


def test_a_retrieval_needs_a_model_that_retrieves() -> None:
    whole = FunctionModel(lambda left, right: left, ["left", "right"], outputs="logits")
    with pytest.raises(BadInput, match=r"does not score candidates.*RetrievalModel"):
        prepare(whole, pairs(24))
    classes = ArrayData({m: np.ones((6, 2), np.float32) for m in ("left", "right")}, [0, 1] * 3, "classification:2")
    with pytest.raises(BadInput, match=r"scores candidates, but the task is classification"):
        prepare(dual(), classes)
    assert as_model(dual()).name == "retrieval model"
    with pytest.raises(BadInput, match="not a model"):
        as_model(object())
    assert TorchModel  # what a dual encoder is not wrapped in


# ---- the doctor


def checks(model: object, data: ArrayData) -> dict[str, Check]:
    found = examine(model, data)[0]
    assert list(dict.fromkeys(c.clause for c in found)) == list(CLAUSES)
    worst: dict[str, Check] = {}
    for check in found:
        if check.clause not in worst or check.ok is False:
            worst[check.clause] = check
    return worst


@pytest.mark.parametrize("absence", [None, "skip"])
def test_a_sound_model_passes(absence: Any) -> None:
    found = checks(triple("mip", absence=absence), triples(40))
    assert all(c.ok is not False for c in found.values())
    assert found["absence"].ok is (True if absence else None)
    assert found["two stages"].ok
    assert "raises" not in examine(dual(), pairs(40))[1]


class Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


def in_place(values: Array) -> Array:
    values *= 2
    return values


def by_batch(values: Array) -> Array:
    return values - values.mean(axis=0)


def constant(values: Array) -> Array:
    return np.ones_like(values)


def infinite(values: Array) -> Array:
    return np.where(np.arange(len(values))[:, None] == 2, np.inf, values)


def raising(values: Array) -> Array:
    raise RuntimeError("out of order")


def vector(values: Array) -> Array:
    return values[:, 0]


@pytest.mark.parametrize(
    ("encoder", "clause", "words"),
    [
        (Random().eval(), "determinism", "differs by up to"),
        (in_place, "inputs not mutated", "changed 'right' in place"),
        (by_batch, "independence of the batch", "with the rest of its batch"),
        (infinite, "finite", "the features of 'right' of sample 2 are not finite"),
        (raising, "raises nothing", "out of order"),
        (vector, "shape", "expected numbers"),
    ],
)
@pytest.mark.parametrize("side", ["query", "target"])
def test_a_broken_encoder_is_named(encoder: Any, clause: str, words: str, side: str) -> None:
    task = Task.retrieval("left", "right") if side == "target" else Task.retrieval("right", "left")
    found = checks(RetrievalModel({"left": as_is, "right": encoder}), pairs(40, task=task))
    assert found[clause].ok is False
    assert words in found[clause].message


def test_an_encoder_that_ignores_its_input_is_a_note() -> None:
    found = checks(RetrievalModel({"left": as_is, "right": constant}), pairs(40))
    assert found["reads its inputs"].ok is None
    assert "'right'" in found["reads its inputs"].message


class ByHand:
    """A retrieval model of the user's own, with one fault."""

    name, modalities, native_absence, fingerprint = "by hand", ("left", "right"), True, "1"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.outputs = "probabilities" if fault == "outputs" else "values"

    def encode(self, modality: str, batch: Batch) -> Array:
        found: Array = batch.inputs[modality].copy()
        return found.astype(np.float64) if self.fault == "dtype" else found

    def scores(self, query: Any, candidates: Array, present: Any) -> Array:
        found = query["left"] @ candidates.T
        if self.fault == "in place":
            candidates *= 2
        if self.fault == "bank":
            found = found - found.max(axis=1, keepdims=True)
        if self.fault == "transposed":
            found = candidates[:-1] @ query["left"].T
        return np.asarray(found)


@pytest.mark.parametrize(
    ("fault", "clause", "words"),
    [
        ("outputs", "outputs", "logits or values"),
        ("dtype", "shape", "expected a float32 array"),
        ("in place", "inputs not mutated", "features of 'the candidates' in place"),
        ("bank", "independence of the batch", "changes by"),
        ("transposed", "shape", "expected [32, 32]"),
    ],
)
def test_a_broken_score_is_named(fault: str, clause: str, words: str) -> None:
    assert all(c.ok is not False for c in checks(ByHand(), pairs(40)).values())
    found = checks(ByHand(fault), pairs(40))
    assert found[clause].ok is False
    assert words in found[clause].message


def test_a_model_without_the_tasks_encoders() -> None:
    model = RetrievalModel({"left": as_is, "middle": as_is})
    found = check_model(model, everyone(pairs(24)), Task.retrieval("left", "right"))
    assert found[0].ok is False
    assert "'right' missing" in found[0].message


def test_values_of_what_is_absent_must_not_matter() -> None:
    class Peeking(ByHand):
        modalities = ("a", "b", "c")

        def scores(self, query: Any, candidates: Array, present: Any) -> Array:
            return np.asarray((query["a"] + query["b"]) @ candidates.T)

    found = checks(Peeking(), triples(40))
    assert found["absence"].ok is False
    assert "still change the output" in found["absence"].message
