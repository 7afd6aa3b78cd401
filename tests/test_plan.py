"""From a suite to an ordered list of conditions, before anything is run; and what an audit would cost."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from helpers.run_cases import TASKS, Rowwise, Whole, dataset
from mmaudit.auditing import estimate, prepare
from mmaudit.errors import BadInput, MMAuditError, UnknownName
from mmaudit.plan import SUITES, Suite, as_suite, make_plan
from mmaudit.predict import predict
from mmaudit.probes import present_subset, probes
from mmaudit.types import CLEAN, Modality, Task

TABLE = Modality("table", "tabular", (3,))
NOTE = Modality("note", "text", (), "str")
IMAGE = Modality("photo", "image", (8, 8, 3), "uint8", "HWC", (0.0, 255.0))
TASK = TASKS["classification"]
MISSING_ZERO = {"probes": ["missing"], "baselines": ["zero"]}


def tables(count: int) -> tuple[Modality, ...]:
    return tuple(replace(TABLE, name=f"t{i}") for i in range(count))


def labels(suite: Any, modalities: tuple[Modality, ...] = (IMAGE, NOTE), task: Task = TASK, **more: Any) -> list[str]:
    return [c.label for c in make_plan(suite, modalities, task, **more).conditions]


@pytest.mark.parametrize("suite", list(SUITES))
@pytest.mark.parametrize("native", [False, True])
def test_every_suite_gives_distinct_conditions_clean_and_controls_first(suite: str, native: bool) -> None:
    plan = make_plan(suite, (IMAGE, NOTE, TABLE), TASK, native=native)
    keys = [c.key for c in plan.conditions]
    assert len(set(keys)) == len(keys)
    assert len({c.label for c in plan.conditions}) == len(keys)
    assert plan.conditions[0] == CLEAN
    families = [c.family for c in plan.conditions]
    order = ["clean", "control", "missing", "mismatch", "conflict", "scenario", "corruption", "contrast_set"]
    left_out = {
        "quick": {"conflict", "scenario", "contrast_set"},
        "standard": {"scenario", "contrast_set"},
        "full": set(),
    }
    assert set(families) == set(order) - left_out[suite]
    assert families == sorted(families, key=order.index)
    assert plan.suite == SUITES[suite]
    assert make_plan(suite, (IMAGE, NOTE, TABLE), TASK, native=native) == plan


def test_a_larger_suite_holds_the_smaller_one() -> None:
    quick, standard, full = (set(labels(name)) for name in ("quick", "standard", "full"))
    assert quick < standard < full
    assert 10 < len(quick) < 30 < len(standard) < 100 < len(full)


def test_missing_covers_every_subset_with_every_baseline_that_applies() -> None:
    plan = make_plan({"probes": ["missing"]}, (IMAGE, NOTE, TABLE), TASK, native=True)
    names = ("note", "photo", "table")
    removed = {
        baseline: {c.modalities for c in plan.conditions if c.option("baseline") == baseline}
        for baseline in ("native", "zero", "mean", "marginal", "noise")
    }
    every = {s for size in (1, 2, 3) for s in combinations(names, size)}
    without_text = {s for s in every if "note" not in s}
    assert removed == {**dict.fromkeys(("native", "zero", "marginal", "noise"), every), "mean": without_text}
    assert [d.modalities for d in plan.declined] == [("note",)]
    assert "text" in plan.declined[0].reason


def test_stand_ins_that_are_shared_follow_each_other() -> None:
    plan = make_plan({"probes": ["missing"], "repeats": 2}, (IMAGE, NOTE, TABLE), TASK)
    order = [(c.option("baseline"), c.repeat) for c in plan.conditions if c.family == "missing"]
    assert len(set(order)) == sum(a != b for a, b in zip(order, [None, *order], strict=False))


def test_what_cannot_be_run_is_declined_with_a_reason() -> None:
    plan = make_plan("standard", (NOTE,), TASKS["regression"])
    said = {(d.probe, d.modalities): d.reason for d in plan.declined}
    assert said["mismatch", ("note",)] == "one modality alone cannot mismatch another"
    two = make_plan("standard", (NOTE, IMAGE), TASKS["regression"])
    pools = [d.reason for d in two.declined if d.probe == "mismatch"]
    assert len(pools) == 2
    assert all("need classes; the task is regression" in reason for reason in pools)
    floats = replace(IMAGE, dtype="float32", range=None)
    refused = [d for d in make_plan("quick", (floats, NOTE), TASK).declined if d.probe == "image.gaussian_blur"]
    assert [d.modalities for d in refused] == [("photo",)]
    assert "range" in refused[0].reason
    for entry in plan.declined_json:
        assert set(entry) == {"probe", "modalities", "reason"}
        assert entry["reason"]


# ---- what a user may write


def test_a_suite_may_be_a_name_a_list_a_table_or_itself() -> None:
    assert as_suite("quick") is SUITES["quick"]
    assert as_suite(SUITES["full"]) is SUITES["full"]
    assert as_suite(["missing", "image.*"]) == Suite(probes=("missing", "image.*"))
    table = as_suite({"base": "quick", "name": "mine", "positions": [1, 2], "subsets": [["photo"], ["note"]]})
    assert table == replace(SUITES["quick"], name="mine", positions=(1, 2), subsets=(("photo",), ("note",)))
    assert as_suite({"rates": [0.2]}) == replace(SUITES["standard"], name="custom", rates=(0.2,))
    assert as_suite(Suite(probes=["missing", "missing"])).probes == ("missing",)


@pytest.mark.parametrize(
    ("suite", "error", "says"),
    [
        ("standart", UnknownName, "did you mean 'standard'"),
        (["tabular.gausian_noise_additive"], UnknownName, r"did you mean 'tabular\.gaussian_noise_additive'"),
        (["mising"], UnknownName, "did you mean 'missing'.*mmaudit list probes"),
        ({"probs": ["missing"]}, UnknownName, "did you mean 'probes'"),
        ({"base": "ful"}, UnknownName, "did you mean 'full'"),
        ({"probes": "missing"}, BadInput, r"probes='missing' is not a list; write \['missing'\]"),
        ({"positions": 3}, BadInput, "positions=3 is not a list"),
        ({"positions": [0]}, BadInput, "outside 1 to 5"),
        ({"rates": [1.5]}, BadInput, "outside"),
        ({"baselines": ["zeros"]}, UnknownName, "did you mean 'zero'"),
        ({"pools": ["same_class"]}, UnknownName, "donor pool 'same_class'"),
        ({"repeats": 0}, BadInput, "repeats=0"),
        ({"repeats": "two"}, BadInput, "repeats='two'"),
        ({"subsets": "leave-one-ot"}, UnknownName, "did you mean 'leave-one-out'"),
        ({"subsets": [["photos"]]}, UnknownName, "did you mean 'photo'"),
        ({"subsets": ["photo"]}, BadInput, r"as in \[\['photo'\]\]"),
        ({"subsets": [["photo", "note"]]}, BadInput, "clean condition"),
    ],
)
def test_a_slip_in_a_suite_is_named(suite: Any, error: type[MMAuditError], says: str) -> None:
    with pytest.raises(error, match=says):
        make_plan(suite, (IMAGE, NOTE), TASK)


# ---- subsets


def test_more_than_64_subsets_are_sampled_and_more_than_can_be_sampled_need_a_choice() -> None:
    for count, run in ((6, 63), (7, 63)):
        assert sum(c.probe == "missing" for c in make_plan(MISSING_ZERO, tables(count), TASK).conditions) == run
    with pytest.raises(BadInput, match=rf"40 modalities have {2**40 - 1:,} proper subsets.*leave-one-out"):
        make_plan(MISSING_ZERO, tables(40), TASK)
    assert len(make_plan(["tabular.gaussian_noise_convex"], tables(40), TASK).conditions) == 3 + 40 * 5


def test_explicit_choices_of_subsets() -> None:
    names = tuple(m.name for m in tables(8))

    def present(subsets: Any) -> set[tuple[str, ...]]:
        plan = make_plan(MISSING_ZERO | {"subsets": subsets}, tables(8), TASK)
        return {present_subset(c, names) for c in plan.conditions if c.probe == "missing"}

    assert present("leave-one-out") == set(combinations(names, 7))
    assert present("one-at-a-time") == set(combinations(names, 1))
    # In any order, each once, in the order of the modalities.
    assert present([["t3", "t1"], ["t1", "t3"], []]) == {("t1", "t3"), ()}


# ---- what it would cost


def test_an_estimate_counts_what_an_audit_then_does(tmp_path: Path) -> None:
    model = Rowwise("regression", ("table", "note", "signal"))
    data = dataset("regression", 60, modalities=("table", "note", "signal"))
    prepared = prepare(model, data, suite="standard")
    cost = estimate(prepared)
    assert cost.conditions == len(prepared.plan.conditions)
    assert cost.seconds > 0
    model.rows.clear()
    run = prepared.open_run(tmp_path / "run", batch_rows=60, title=None, command="")
    predict(run, data, model, prepared.source, stage=prepared.stage, batch_rows=60)
    counted = {f"{m} encoder": model.rows[m] for m in model.modalities} | {"fusion": model.rows["fuse"]}
    assert cost.passes == counted
    whole = estimate(prepare(Whole(model), data, suite="standard"))
    assert whole.passes == {"model": 60 * len(prepared.plan.conditions)}


def test_an_estimate_survives_a_model_that_raises(tmp_path: Path) -> None:
    def no_text(batch: Any, rows: Any) -> Any:
        if set(batch.inputs["note"]) == {""}:
            raise RuntimeError("no text")
        return rows

    prepared = prepare(Rowwise("regression", fault=no_text), dataset("regression", 40), suite=MISSING_ZERO)
    assert estimate(prepared).conditions == len(prepared.plan.conditions)


def test_planning_needs_no_model_and_every_probe_can_be_planned() -> None:
    every = {p.name for p in probes}
    series = Modality("ecg", "series", (50, 3), layout="TC")
    codes = Modality("codes", "tabular", (3,), "int64")
    sound = Modality("voice", "audio", (80,), sample_rate=8000.0)
    vector = Modality("vector", "embedding", (4,))
    given = (IMAGE, NOTE, TABLE, codes, series, sound, vector)
    gradients = {m.name: "" if m.numeric else "text" for m in given}
    plan = make_plan("full", given, TASK, incomplete=("photo",), gradients=gradients)
    assert {c.probe for c in plan.conditions} - {"clean"} == every


@pytest.mark.parametrize("suite", ["quik", ["text.keybord"]])
def test_a_name_nobody_knows_is_refused_before_anything_is_looked_at(suite: str | list[str]) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        prepare(object(), None, suite=suite)  # type: ignore[arg-type]
