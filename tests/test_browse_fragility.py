"""The smallest severity that flips a sample, against a search by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.browse_cases import FIRST, PLAN, N, blur, browse_run, random_outputs, typos
from mmaudit.browse.answers import Answers
from mmaudit.browse.fragility import Flip, fragility, passport
from mmaudit.errors import BadInput, DamagedRun, Undefined
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Task

TASK = Task.classification(["a", "b", "c"])
CURVES = {
    ("photo.left", "image.blur"): [blur(1), blur(3), blur(5)],
    ("note", "text.typos"): [typos(2), typos(4)],
    ("photo.left", "image.blur#1"): [blur(3, repeat=1)],
}


def logits(said: Array) -> Array:
    return np.eye(3, dtype=np.float32)[said] * 4


def made(folder: Path, seed: int = 0, task: Task = TASK) -> tuple[Answers, dict[str, Array], Array]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, N)
    outputs = {c.key: logits(np.where(rng.random(N) < 0.6, target, rng.integers(0, 3, N))) for c in PLAN}
    outputs[CLEAN.key] = logits(np.where(np.arange(N) < 15, target, (target + 1) % 3))
    outputs[CLEAN.key][2] = np.nan
    outputs[blur(3).key][[3, 5]] = np.nan
    browse_run(folder, task, target, outputs)
    return Answers(Run.open(folder)), outputs, target


def by_hand(outputs: dict[str, Array], target: Array, position: int, curve: list) -> list[tuple[int, bool]]:
    """Severity position and whether the answer is wrong there, where there is one."""
    rows = [(c.position, outputs[c.key][position]) for c in curve]
    return [(p, bool(row.argmax() != target[position])) for p, row in rows if np.isfinite(row).all()]


def test_passports_are_those_found_by_hand(tmp_path: Path) -> None:
    answers, outputs, target = made(tmp_path / "run")
    kinds = set()
    for position in [p for p in range(15) if p != 2]:
        flips = {(f.modality, f.probe): f for f in passport(answers, position)}
        assert list(flips) == list(CURVES)
        for name, curve in CURVES.items():
            steps, flip = by_hand(outputs, target, position, curve), flips[name]
            wrong = [p for p, is_wrong in steps if is_wrong]
            first = min(wrong) if wrong else None
            assert flip.position == first
            assert flip.severity == next((c.severity for c in curve if c.position == first), None)
            assert flip.tested == tuple(p for p, _ in steps)
            assert flip.unit == curve[0].unit
            assert flip.monotone == all(is_wrong for p, is_wrong in steps if first and p >= first)
            kinds.add((first is None, flip.monotone))
    assert kinds == {(True, True), (False, True), (False, False)}


def test_the_table_of_all_samples_is_the_passports_in_short(tmp_path: Path) -> None:
    answers, outputs, target = made(tmp_path / "run")
    table = fragility(answers.run)
    assert list(table) == ["position", "right", "flips.photo.left", "flips.note"]
    assert table["position"].tolist() == list(range(N))
    for position in range(N):
        right = bool(position < 15 and position != 2)
        assert table["right"][position] == right
        for modality in ("photo.left", "note"):
            steps = [s for n, c in CURVES.items() if n[0] == modality for s in by_hand(outputs, target, position, c)]
            wrong = [p for p, is_wrong in steps if is_wrong]
            expected = float(min(wrong)) if right and wrong else np.nan
            np.testing.assert_equal(float(table[f"flips.{modality}"][position]), expected)


def test_a_sample_that_is_wrong_already_has_no_passport(tmp_path: Path) -> None:
    answers, _, _ = made(tmp_path / "run")
    with pytest.raises(Undefined, match="'s15' is wrong on clean data"):
        passport(answers, 15)
    with pytest.raises(Undefined, match="'s02' has no answer on clean data"):
        passport(answers, 2)
    with pytest.raises(BadInput, match="no sample at position 23"):
        passport(answers.run, N)


def test_without_right_answers_or_severities_there_is_nothing_to_find(tmp_path: Path) -> None:
    outputs = random_outputs(1)
    run = browse_run(tmp_path / "numbers", Task.regression(1, "mm"), np.zeros((N, 1)), outputs)
    for ask in (lambda: fragility(run), lambda: passport(run, 0)):
        with pytest.raises(Undefined, match="not right or wrong"):
            ask()
    flat = random_outputs(3)
    run = browse_run(tmp_path / "flat", TASK, np.zeros(N, np.int64), flat, increments=[FIRST[:3]])
    with pytest.raises(Undefined, match="no probe of a single modality"):
        fragility(run)


@pytest.mark.parametrize("kind", ["multilabel", "retrieval"])
def test_every_task_with_right_answers_has_passports(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(3)
    if kind == "multilabel":
        task, target = Task.multilabel(3), rng.integers(0, 2, (N, 3)).astype(np.int8)
        outputs = {c.key: (target - 0.5 + rng.normal(size=(N, 3)) * 0.4).astype(np.float32) for c in PLAN}
        right = {key: ((rows > 0) == target).all(axis=1) for key, rows in outputs.items()}
    else:
        task = Task.retrieval("photo.left", "note")
        target = np.stack([np.arange(N), np.full(N, N), np.ones(N, np.int64)], axis=1)
        ranks = {c.key: rng.integers(0, 2, N) for c in PLAN}
        zero, one = np.zeros(N), np.ones(N)
        outputs = {k: np.stack([r, zero, one, zero, zero - 1, zero - 1], axis=1) for k, r in ranks.items()}
        right = {key: rows == 0 for key, rows in ranks.items()}
    answers = Answers(browse_run(tmp_path / "run", task, target, outputs))
    table = fragility(answers)
    assert table["right"].tolist() == right[CLEAN.key].tolist()
    position = int(np.flatnonzero(right[CLEAN.key] & ~right[typos(2).key])[0])
    assert table["flips.note"][position] == 2
    flip = next(f for f in passport(answers, position) if f.modality == "note")
    stays = bool(not right[typos(4).key][position])
    assert flip == Flip("note", "text.typos", 2, pytest.approx(0.2), "share", (2, 4), stays)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    answers, _, _ = made(tmp_path / "run")
    path = answers.run.file(1, 1)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedRun, match=path.name):
        fragility(answers)
    assert passport(answers, 0)
