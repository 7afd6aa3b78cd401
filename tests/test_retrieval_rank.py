"""Streamed ranks against brute force: any block size, bank and tie gives what the whole matrix of scores says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.retrieval_cases import InMemory, by_hand, dual, pairs, triple, triples
from mmaudit.data import subset
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.retrieval import Bank, Ranker
from mmaudit.retrieval import bank as bank_module
from mmaudit.types import Array, Task

EVERYWHERE = {"left": np.ones(40, np.bool_)}


def listed(data: object, n: int) -> list[Array]:
    """Each query's candidates, one query at a time."""
    bank = Bank(data)  # type: ignore[arg-type]
    out = []
    for position in range(n):
        (group,) = bank.groups(np.array([position]))
        out.append(group.candidates if group.allowed is None else group.candidates[group.allowed[0]])
    return out


def same(found: Array, expected: list[tuple[float, ...] | None]) -> None:
    for row, wanted in zip(found, expected, strict=True):
        if wanted is None:
            assert np.isnan(row).all()
        else:
            assert row[:4].tolist() == list(wanted[:4])
            assert row[4:] == pytest.approx(wanted[4:], abs=1e-5)


@st.composite
def cases(draw: st.DrawFn) -> tuple[object, Array, Array]:
    n = draw(st.integers(3, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    target = rng.integers(0, max(2, n // 3), n) if draw(st.booleans()) else None
    if target is not None:
        target[:2] = [0, 1]
    kind = draw(st.sampled_from(["all", "batch", "lists"]))
    present = rng.random(n) < (0.8 if draw(st.booleans()) else 1.1)
    present[0] = True
    lists = None
    if kind == "lists":
        others = [rng.permutation(np.delete(np.arange(n), i))[: min(4, n - 1)] for i in range(n)]
        lists = np.array([[i, *rest] for i, rest in enumerate(others)])
    bank = draw(st.integers(2, 9)) if kind == "batch" else 0
    task = Task.retrieval("left", "right", bank=bank)
    data = pairs(n, 3, task=task, target=target, candidates=lists, present={"right": present})
    # Whole numbers tie a lot.
    features = rng.integers(-2, 3, (2, n, 3)).astype(np.float32)
    return data, features, rng.random(n) < 0.9


@given(case=cases(), block=st.sampled_from([1, 2, 3, 7, 64, None]), step=st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_every_bank_block_and_tie_against_brute_force(
    case: tuple[object, Array, Array], block: int | None, step: int
) -> None:
    data, (query, targets), usable = case
    n = len(query)
    ranker = Ranker(dual().scores, Bank(data), block)  # type: ignore[arg-type]
    store = InMemory(targets, usable)
    parts = []
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        parts.append(ranker.answers({"left": query[rows]}, {"left": np.ones(len(rows), bool)}, rows, store))
    same(np.concatenate(parts), by_hand(query @ targets.T, data.target, listed(data, n), usable))  # type: ignore[attr-defined]
    assert block is None or store.most <= block


@given(case=cases())
@settings(max_examples=40, deadline=None)
def test_counts_of_candidates_and_right_ones(case: tuple[object, Array, Array]) -> None:
    data = case[0]
    identity: Array = data.target  # type: ignore[attr-defined]
    bank = Bank(data)  # type: ignore[arg-type]
    for i, mine in enumerate(listed(data, len(identity))):
        assert bank.counts[i].tolist() == [len(mine), int((identity[mine] == identity[i]).sum())]


def test_scores_do_not_depend_on_the_block() -> None:
    rng = np.random.default_rng(0)
    data = pairs(1000, 33)
    targets = rng.normal(size=(1000, 33)).astype(np.float32)
    targets[500:] = targets[:500]  # every candidate has a twin, which ties wherever it stands
    query, rows = targets + rng.normal(size=(1000, 33)).astype(np.float32), np.arange(1000)
    there = {"left": np.ones(1000, np.bool_)}
    whole = Ranker(dual(normalise=True).scores, Bank(data), 1000).answers(
        {"left": query}, there, rows, InMemory(targets)
    )
    assert (whole[:, 1] == 1).all()
    for block in (1, 17, 256, 999):
        found = Ranker(dual(normalise=True).scores, Bank(data), block).answers(
            {"left": query}, there, rows, InMemory(targets)
        )
        assert np.array_equal(found[:, :4], whole[:, :4])
        assert found[:, 4:] == pytest.approx(whole[:, 4:], abs=1e-5)


def test_only_the_product_solves_xor() -> None:
    data = triples(200)
    features = {m: data.values(m, np.arange(200)) for m in "abc"}
    there = {m: np.ones(200, np.bool_) for m in "ab"}
    reached = {}
    for score in ("mip", "dot"):
        rows = Ranker(triple(score).scores, Bank(data)).answers(
            {m: features[m] for m in "ab"}, there, np.arange(200), InMemory(features["c"])
        )
        p = Predictions(data.task, rows, Bank(data).truth)
        reached[score] = float(metrics.get("recall_at_1")(p, Resamples.ones(200))[0])
    assert reached["mip"] > 0.95
    assert reached["dot"] < 0.05


def test_a_score_that_is_not_finite_is_no_answer() -> None:
    data = pairs(40)

    def score(query: dict[str, Array], candidates: Array) -> Array:
        found = query["left"] @ candidates.T
        found[3, 5] = np.nan
        found[4, 4] = np.inf
        return found

    left = data.values("left", np.arange(40))
    found = Ranker(dual(score=score).scores, Bank(data)).answers(
        {"left": left}, EVERYWHERE, np.arange(40), InMemory(data.values("right", np.arange(40)))
    )
    assert np.flatnonzero(np.isnan(found).any(axis=1)).tolist() == [3, 4]


def test_a_score_of_another_shape_is_refused() -> None:
    data = pairs(40)
    features = data.values("left", np.arange(40))
    ranker = Ranker(lambda query, candidates, present: candidates @ query["left"].T, Bank(data), 7)
    with pytest.raises(ContractBroken, match="score shape"):
        ranker.answers({"left": features[:3]}, {"left": np.ones(3, bool)}, np.arange(3), InMemory(features))


def test_lists_of_a_subset_keep_what_is_left() -> None:
    lists = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 0], [3, 0, 1]])
    data = subset(pairs(4, candidates=lists), [0, 2, 3])
    assert data.candidates.tolist() == [[0, -1, 1], [1, 2, 0], [2, 0, -1]]
    assert Bank(data).counts.tolist() == [[2, 1], [3, 1], [2, 1]]


def test_more_samples_than_ranks_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_module, "MOST_SAMPLES", 10)
    with pytest.raises(BadInput, match=r"11 samples.*up to 10"):
        Bank(pairs(11))


def test_memory_is_that_of_a_block_not_of_the_bank() -> None:
    """256 queries among 200,000 candidates: all scores at once are 195 MiB, the bank 49 MiB."""
    script = Path(__file__).parents[1] / "benchmarks" / "retrieval.py"
    command = [sys.executable, str(script), "--candidates", "200000", "--case", "streamed"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mib"] < 110
