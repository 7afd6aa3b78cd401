"""Runs that can be compared in part: the reason stands beside each number that is missing, and in the remarks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.compare_cases import PLAN, WITHOUT, blur, logits, of_task, write
from mmaudit import Run, compare
from mmaudit.types import CLEAN, Array, Condition, Modality, Task

TARGET = np.random.default_rng(0).integers(0, 3, 90)


def answers(conditions: tuple[Condition, ...] = PLAN, seed: int = 1) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {c.key: logits(TARGET, 0.8, rng) for c in conditions}


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write(tmp_path / "first", TARGET, answers())


def reasons(*folders: Path) -> dict[str, str]:
    found = compare(*folders, resamples=50, groups=False)
    return {r.label: r.reason for r in found.select(quantity="value")}


def test_another_order_of_modalities_is_named(tmp_path: Path, first: Path) -> None:
    there = Run.open(first)
    names = [m.name for m in there.modalities]
    both = Condition("missing", "missing", 1, tuple(names), options=(("baseline", "zero"),))
    turned = replace(both, modalities=tuple(reversed(names)))
    runs = [
        write(tmp_path / x, TARGET, answers((CLEAN, c)), conditions=(CLEAN, c))
        for x, c in zip("ab", (both, turned), strict=True)
    ]
    found = compare(*runs, resamples=50)
    said = {r.condition: r.reason for r in found.rows if r.quantity == "value" and not r.group}
    for condition in (both, turned):
        assert "with its modalities in another order" in said[condition.key]


def test_a_condition_in_one_run_is_named_with_the_reason(tmp_path: Path, first: Path) -> None:
    sharper, renewed = blur(1, severity=1.5), blur(3, version=2)
    plan = (CLEAN, sharper, renewed, blur(5))
    other = write(tmp_path / "other", TARGET, answers(plan), conditions=plan)
    found = compare(first, other, resamples=50)
    said = {(r.condition, r.quantity): r for r in found.rows if not r.group}
    expected = {
        blur(1): "other has it at severity 1.5 px, the other run at 1 px",
        sharper: "first has it at severity 1 px, the other run at 1.5 px",
        blur(3): "other has version 2 of this probe, the other run version 1",
        renewed: "first has version 1 of this probe, the other run version 2",
        blur(5): "first was not measured under it",
        WITHOUT: "other was not measured under it",
    }
    for condition, reason in expected.items():
        for quantity in ("value", "change"):
            row = said[condition.key, quantity]
            assert (row.reason, row.verdict) == (reason, "undecided")
            assert np.isnan(row.delta)
            assert np.isnan(row.p_adjusted)
    assert found.counts()["undecided"] == 7
    assert said[CLEAN.key, "value"].reason == ""


def test_modalities_that_are_not_shared_leave_clean_data_to_compare(tmp_path: Path, first: Path) -> None:
    sound = (Modality("sound", "audio", (100,), sample_rate=8000.0),)
    hiss = Condition("audio.gaussian_snr", "corruption", 1, ("sound",), 20.0, 1, unit="dB")
    other = write(tmp_path / "other", TARGET, answers((CLEAN, hiss)), conditions=(CLEAN, hiss), modalities=sound)
    said = reasons(first, other)
    assert said.pop("clean") == ""
    assert said == {
        "missing[text, baseline=zero]": "other has no modality 'text'",
        "image.gaussian_blur[image]@1": "other has no modality 'image'",
        "image.gaussian_blur[image]@3": "other has no modality 'image'",
        "audio.gaussian_snr[sound]@1": "first has no modality 'sound'",
    }
    remarks = compare(first, other, resamples=50).pairings[0].remarks
    assert "the modalities differ: image, text; and sound" in remarks


def test_ranks_among_other_numbers_of_candidates_are_not_compared(tmp_path: Path) -> None:
    folders = []
    for n in (40, 60):
        task, target, outputs = of_task("retrieval", n, 0)
        folders.append(write(tmp_path / str(n), target, outputs, task=task))
    found = compare(*folders, resamples=50)
    assert {r.reason for r in found.rows} == {"ranks among 40 to 40 and among 60 to 60 candidates cannot be compared"}
    assert found.counts()["undecided"] == 4


def test_batches_in_another_order_are_remarked(tmp_path: Path) -> None:
    _, target, outputs = of_task("retrieval", 40, 0)
    target[:, 1] = 8
    task = Task.retrieval("image", "text", 8)
    first = write(tmp_path / "a", target, outputs, task=task)
    other = write(tmp_path / "b", target, outputs, task=task, order=np.arange(40)[::-1])
    (pairing,) = compare(first, other, resamples=50).pairings
    assert pairing.paired
    assert pairing.remarks == ("the samples are in another order, so the batches hold other candidates",)


def test_other_inputs_are_remarked(tmp_path: Path, first: Path) -> None:
    blurred = write(tmp_path / "b", TARGET, answers(), received=8)
    remarks = compare(first, blurred, resamples=50).pairings[0].remarks
    assert remarks == ("the models did not receive the same inputs, not even on clean data",)


def test_the_same_model_in_two_folders_is_remarked(tmp_path: Path, first: Path) -> None:
    prints = {"model": "first", "data": "d"}
    second = write(tmp_path / "second", TARGET, answers(seed=2), fingerprints=prints)
    assert "both runs are of the same model" in compare(first, second, resamples=50).pairings[0].remarks[0]


def test_other_clusters_are_remarked(tmp_path: Path) -> None:
    half, third = np.arange(90) // 2, np.arange(90) // 3
    folders = [
        write(tmp_path / str(i), TARGET, answers(seed=i), cluster=c) for i, c in enumerate((half, half + 7, third))
    ]
    found = compare(*folders, resamples=50)
    assert found.pairings[0].remarks == ()
    assert "the runs name different clusters" in found.pairings[1].remarks[0]


def test_a_tiny_overlap_is_not_paired(tmp_path: Path, first: Path) -> None:
    other = write(tmp_path / "other", TARGET, answers(seed=3), ids=np.arange(90) * 3 + 3 * 60)
    assert compare(first, other, resamples=50).pairings[0].reason == "only 30 of 90 sample ids are in both runs"


def test_runs_of_one_name_are_told_apart_by_their_path(tmp_path: Path) -> None:
    folders = [write(tmp_path / day / "run", TARGET, answers(seed=i)) for i, day in enumerate(("monday", "friday"))]
    found = compare(*folders, resamples=50)
    assert [found.first.name, found.others[0].name] == ["monday/run", "friday/run"]
