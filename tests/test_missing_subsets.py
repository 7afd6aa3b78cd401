"""Which subsets of modalities are run: all of up to six modalities, a sample of those of more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit import ArrayData, FunctionModel
from mmaudit.auditing import prepare
from mmaudit.data import read_npz
from mmaudit.errors import BadInput
from mmaudit.plan import Suite, make_plan
from mmaudit.predict import predict
from mmaudit.probes import present_subset
from mmaudit.probes.subset_sampling import core_subsets, sampled_subsets
from mmaudit.types import Array, Batch, Modality, Task

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
ZERO = {"probes": ["missing"], "baselines": ["zero"]}
TASK = Task.classification(3)


def tables(count: int) -> tuple[Modality, ...]:
    return tuple(replace(Modality("t", "tabular", (3,)), name=f"t{i}") for i in range(count))


def present(count: int, **suite: Any) -> list[tuple[str, ...]]:
    modalities = tables(count)
    names = tuple(m.name for m in modalities)
    plan = make_plan(ZERO | suite, modalities, TASK)
    return [present_subset(c, names) for c in plan.conditions if c.probe == "missing"]


def complement(subset: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(n for n in names if n not in subset)


def test_all_subsets_are_run_where_the_budget_has_room_and_nothing_is_said() -> None:
    for count, budget in ((2, 64), (6, 64), (7, 127)):
        assert len(present(count, subset_budget=budget)) == 2**count - 1
        assert not make_plan(ZERO | {"subset_budget": budget}, tables(count), TASK).declined


@pytest.mark.parametrize(("count", "run"), [(7, 63), (10, 63), (20, 63), (31, 63)])
def test_beyond_the_budget_the_core_and_complementary_pairs_are_run(count: int, run: int) -> None:
    names = tuple(m.name for m in tables(count))
    found = present(count)
    assert found == present(count)
    assert len(set(found)) == len(found) == run
    assert core_subsets(names) <= set(found)
    assert set(found) - {()} == {complement(s, names) for s in found if s}
    # Each modality is present in half of them: none is seen more than another.
    assert set(Counter(n for s in found for n in s).values()) == {(run - 1) // 2}


def test_the_same_subsets_are_drawn_whatever_the_order_of_the_modalities() -> None:
    plans = [make_plan(ZERO, modalities, TASK) for modalities in (tables(9), tables(9)[::-1])]
    here, there = ({c.key for c in plan.conditions if c.probe == "missing"} for plan in plans)
    assert here == there


def test_the_plan_says_that_subsets_were_drawn_and_how_many() -> None:
    plan = make_plan(ZERO, tables(10), TASK)
    assert [(d.probe, len(d.modalities)) for d in plan.declined] == [("missing", 10)]
    assert plan.declined[0].reason == (
        "of the 1,023 proper subsets of 10 modalities 63 are run (subset_budget=64): no modality, each alone, all but "
        "each, and 42 of the other 1,002, drawn at random in complementary pairs"
    )


def test_a_budget_that_does_not_hold_the_core_is_refused_with_what_would_do() -> None:
    with pytest.raises(BadInput, match=r"40 modalities .* subset_budget=64.*subset_budget=81 or more.*leave-one-out"):
        present(40)
    assert len(present(40, subset_budget=81)) == 81
    for bad in (0, -3, "many", 2.5):
        with pytest.raises(BadInput, match="subset_budget="):
            Suite(subset_budget=bad)  # type: ignore[arg-type]
    # Nobody asks for subsets here, so nobody minds how many there would be.
    assert make_plan(["tabular.gaussian_noise_convex"], tables(40), TASK).conditions


def test_an_explicit_choice_is_run_whatever_the_budget() -> None:
    assert len(present(10, subsets="leave-one-out", subset_budget=1)) == 10
    assert len(present(10, subsets=[["t1", "t2"], []], subset_budget=1)) == 2


@settings(max_examples=40, deadline=None, derandomize=True)
@given(count=st.integers(2, 12), extra=st.integers(0, 300))
def test_any_budget_is_kept_to_and_used_up_to_one(count: int, extra: int) -> None:
    names = tuple(f"m{i}" for i in range(count))
    core = core_subsets(names)
    budget = min(len(core) + extra, 2**count - 1)
    found = sampled_subsets(names, budget)
    assert budget - 1 <= len(found) <= budget
    assert len(set(found)) == len(found)
    assert core <= set(found)
    assert names not in found
    assert [len(s) for s in found] == sorted((len(s) for s in found), reverse=True)
    assert set(found) - {()} == {complement(s, names) for s in found if s}


def test_sizes_get_their_share_of_the_shapley_kernel() -> None:
    names = tuple(f"m{i}" for i in range(14))
    budget = 29 + 900
    sizes = Counter(len(s) for s in sampled_subsets(names, budget))
    # Small sizes have few subsets: they are run completely, and what they cannot take goes to the others.
    assert sizes[2] == sizes[12] == comb(14, 2)
    weight = {s: 1 / (s * (14 - s)) for s in range(3, 12)}
    rest = 900 - 2 * comb(14, 2)
    for s, w in weight.items():
        assert sizes[s] == pytest.approx(rest * w / sum(weight.values()), abs=3)


def test_within_a_size_every_subset_has_the_same_chance() -> None:
    seen: Counter[tuple[int, ...]] = Counter()
    for run in range(400):
        names = tuple(f"{run}-{i}" for i in range(8))
        for subset in sampled_subsets(names, 17 + 20):
            if len(subset) == 3:
                seen[tuple(names.index(n) for n in subset)] += 1
    counts = np.array([seen[c] for c in combinations(range(8), 3)])
    assert counts.min() > 0
    # χ² of equal chances, 55 degrees of freedom; drawing without replacement makes it smaller still.
    assert np.sum((counts - counts.mean()) ** 2 / counts.mean()) < 93


def test_six_views_of_real_digits_are_run_in_all_63_subsets() -> None:
    if not (SHARED / "mfeat.npz").exists():
        pytest.skip("shared data mfeat.npz is not on this machine")
    views = ("fac", "fou", "kar", "mor", "pix", "zer")
    data = read_npz(SHARED / "mfeat.npz", "classification", modalities=list(views), split="test")
    plan = make_plan(ZERO, data.modalities, data.task)
    assert {present_subset(c, views) for c in plan.conditions if c.probe == "missing"} == {
        s for size in range(6) for s in combinations(views, size)
    }
    assert not plan.declined


def test_a_run_of_ten_modalities_keeps_what_was_drawn_and_answers_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    target = np.arange(90) % 3
    inputs = {f"t{i}": (np.eye(3)[target] + rng.normal(size=(90, 3))).astype(np.float32) for i in range(10)}

    def logits(batch: Batch) -> Array:
        rows: Array = np.sum([batch.inputs[m] for m in inputs], axis=0)
        return rows

    data = ArrayData(inputs, target, TASK)
    model = FunctionModel(logits, list(inputs), outputs="logits", call="batch", name="sum of ten")
    prepared = prepare(model, data, suite=ZERO)
    run = prepared.open_run(tmp_path / "run", batch_rows=None, title=None, command="")
    predict(run, data, prepared.model, prepared.source, stage=prepared.stage)
    # What the report shows under "declined" and "suite".
    assert ["63 are run (subset_budget=64)" in d["reason"] for d in run.header["declined"]] == [True]
    assert run.header["suite"]["subset_budget"] == 64
    assert sum(c.probe == "missing" for c in run.conditions) == 63
