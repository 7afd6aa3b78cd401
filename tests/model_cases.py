"""Batches and wrapped modules that the model tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.architectures import (
    CLASSES,
    IMAGE,
    TEXT,
    WORDS,
    BatchCoupled,
    Branching,
    BranchingPieces,
    BranchingSkip,
    Concat,
    ConstantPart,
    CrossAttention,
    DictInput,
    EarlyAttention,
    Gated,
    InPlaceFusion,
    InPlaceInput,
    Masked,
    MaskedBranching,
    MaskedEarly,
    NeedsImage,
    NestedOutput,
    Noisy,
    OpaqueEncoder,
    Optional,
    OptionalBranching,
    OptionalHeads,
    OptionalOtherEncoder,
    Product,
    Recurrent,
    Remembering,
    Shared,
    Three,
    TupleOutput,
)
from mmaudit.types import Batch


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """These modules are tiny: with more threads, a busy machine spends its time waiting for them to meet."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch_of(inputs: dict[str, Any], ids: Any = None, present: dict[str, Any] | None = None) -> Batch:
    """A batch of these columns, everything present unless said otherwise."""
    n = len(next(iter(inputs.values())))
    masks = {name: np.ones(n, bool) for name in inputs} | (present or {})
    return Batch(
        {name: np.asarray(x) for name, x in inputs.items()},
        masks,
        np.zeros(n, np.int64),
        np.arange(100, 100 + n) if ids is None else np.asarray(ids),
        np.arange(n),
    )


def random_batch(n: int = 12, seed: int = 0) -> Batch:
    """Images [n, 3, 8, 8], vectors called text [n, 5], and token ids [n, 6]."""
    rng = np.random.default_rng(seed)
    return batch_of(
        {
            "image": rng.normal(size=(n, *IMAGE)).astype(np.float32),
            "text": rng.normal(size=(n, TEXT)).astype(np.float32),
            "tokens": rng.integers(1, 20, size=(n, 6)),
        }
    )


def questions(n: int, seed: int = 0) -> np.ndarray:
    """Random strings of one to six words."""
    rng = np.random.default_rng(seed)
    column = np.empty(n, dtype=object)
    for row in range(n):
        column[row] = " ".join(rng.choice(WORDS, size=rng.integers(1, 7)))
    return column


def tokenize(column: np.ndarray) -> dict[str, Tensor]:
    """Token ids padded to the longest text of the batch, and their mask: what a tokeniser returns."""
    rows = [[1 + WORDS.index(word) for word in text.split()] for text in column]
    ids = torch.zeros((len(rows), max((len(row) for row in rows), default=1)), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return {"ids": ids, "mask": ids > 0}


@dataclass(frozen=True)
class Case:
    """A module and how to wrap it; `found` says how its boundary is found: "traced", "replaying", or "" for none."""

    make: Callable[[], nn.Module]
    found: str
    modalities: tuple[str, ...] = ("image", "text")
    options: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "product": Case(Product, "traced"),
    "concat": Case(Concat, "traced"),
    "gated": Case(Gated, "traced"),
    "shared encoder": Case(Shared, "traced"),
    "early attention": Case(EarlyAttention, ""),
    "cross attention": Case(CrossAttention, "traced", ("image", "tokens")),
    "recurrent": Case(Recurrent, "traced", ("image", "tokens")),
    "branching": Case(Branching, "replaying"),
    "branching pieces": Case(BranchingPieces, "replaying"),
    "branching skip": Case(BranchingSkip, "replaying"),
    "opaque encoder": Case(OpaqueEncoder, "traced"),
    "keyword": Case(Product, "traced", ("text", "image"), {"call": "keyword"}),
    "dict": Case(DictInput, "traced", options={"call": "dict"}),
    "tuple output": Case(TupleOutput, "traced", options={"output": 1}),
    "dict output": Case(NestedOutput, "traced", options={"output": "logits"}),
    "function output": Case(NestedOutput, "traced", options={"output": lambda found: found["logits"].sigmoid()}),
    "in-place fusion": Case(InPlaceFusion, "traced"),
    "in-place input": Case(InPlaceInput, "traced"),
    "constant part": Case(ConstantPart, "traced"),
    "batch coupled": Case(BatchCoupled, "replaying"),
    "remembering": Case(Remembering, "traced"),
    "noisy": Case(Noisy, ""),
    "mask": Case(Masked, "traced", options={"absence": "mask"}),
    "mask early": Case(MaskedEarly, "traced", options={"absence": "mask"}),
    "mask branching": Case(MaskedBranching, "replaying", options={"absence": "mask"}),
    "none": Case(Optional, "traced", options={"absence": "none"}),
    "none branching": Case(OptionalBranching, "replaying", options={"absence": "none"}),
    "none heads": Case(OptionalHeads, "traced", options={"absence": "none"}),
    "none other encoder": Case(OptionalOtherEncoder, "replaying", options={"absence": "none"}),
    "none needs image": Case(NeedsImage, "traced", options={"absence": "none"}),
    "three": Case(Three, "traced", ("image", "text", "tokens")),
    "half": Case(lambda: Product().bfloat16(), "traced"),
    "double": Case(lambda: Product().double(), "traced"),
    "autocast": Case(Product, "traced", options={"autocast": "bfloat16"}),
    "one": Case(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES)), "", ("image",)),
}


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A module with fixed random weights, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()


def module_of(name: str, seed: int = 0) -> nn.Module:
    """The case's module with fixed random weights and statistics, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    module = seeded(CASES[name].make, seed)
    for buffer_name, buffer in module.named_buffers():
        if "running" in buffer_name:
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return module
