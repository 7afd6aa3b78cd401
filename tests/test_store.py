"""The run folder: what is written comes back, whole or not at all, and nothing damaged is taken for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import contents, stamps
from helpers.store_cases import MODALITIES, N, filled, header, outputs, removal, samples
from mmaudit import Run
from mmaudit.errors import BadInput, DamagedRun, MMAuditError, StaleRun, UnknownName
from mmaudit.header import SCHEMA, modality_from_json, modality_to_json
from mmaudit.types import CLEAN, Task


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    _, given = filled(tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.modalities == MODALITIES
    assert run.task == Task.classification(["a", "b"])
    assert run.conditions == [CLEAN, removal("voice")]
    assert [len(s) for s in run.shards()] == [16, 16, 8]
    for c, condition in enumerate(run.conditions):
        read = run.read(condition)
        parts = [given[s, c] for s in range(3)]
        assert read.outputs.dtype == np.float32
        np.testing.assert_array_equal(read.outputs, np.concatenate([p.outputs for p in parts]))
        assert not read.answered[0]
        assert read.answered[1:16].all()
        for m in MODALITIES:
            np.testing.assert_array_equal(read.changed[m.name], np.concatenate([p.changed[m.name] for p in parts]))
            np.testing.assert_array_equal(read.moved[m.name], np.concatenate([p.moved[m.name] for p in parts]))
    back, there = run.samples, samples()
    np.testing.assert_array_equal(back.ids, there.ids)
    np.testing.assert_array_equal(back.target, there.target)
    np.testing.assert_array_equal(back.groups["site"], there.groups["site"])
    assert back.cluster is not None
    assert back.cluster.tolist() == [str(c) for c in range(N // 4) for _ in range(4)]
    for m in MODALITIES:
        np.testing.assert_array_equal(back.present[m.name], there.present[m.name])


@pytest.mark.parametrize(
    ("task", "target"),
    [
        (Task.multilabel(3), np.random.default_rng(0).integers(0, 2, (N, 3)).astype(np.int8)),
        (Task.regression(2, "mm"), np.random.default_rng(0).normal(size=(N, 2))),
        (Task.regression(1), np.random.default_rng(0).normal(size=(N, 1))),
    ],
)
def test_wide_targets_come_back(tmp_path: Path, task: Task, target: Any) -> None:
    described = {"kind": task.kind, "names": list(task.names), "unit": task.unit}
    Run.create(tmp_path / "run", header(task=described), samples(target=target, cluster=None, groups={}))
    run = Run.open(tmp_path / "run")
    assert run.task == task
    np.testing.assert_array_equal(run.samples.target, target)
    assert run.samples.target.dtype == target.dtype
    assert run.samples.cluster is None


def test_names_and_ids_of_any_text_are_kept(tmp_path: Path) -> None:
    awkward = ['<b>&"', "no\udc80utf8", "ä€\U0001f600", "new\nline", ""]
    ids = np.array([f"{awkward[i % 5]}{i}" for i in range(N)])
    task = {"kind": "classification", "names": ["<i>a</i>", "no\udc80utf8"], "unit": ""}
    Run.create(tmp_path / "run", header(task=task), samples(ids=ids, groups={"a b": ids}, cluster=ids))
    run = Run.open(tmp_path / "run")
    assert run.task.names == ("<i>a</i>", "no\udc80utf8")
    assert len(set(run.samples.ids.tolist())) == N
    for i in range(N):
        expected = ids[i].replace("\udc80", "\\udc80")
        assert run.samples.ids[i] == run.samples.groups["a b"][i] == expected


def test_a_modality_survives_json() -> None:
    for modality in MODALITIES:
        assert modality_from_json(json.loads(json.dumps(modality_to_json(modality)))) == modality


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    filled(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_missing_shard_says_that_the_audit_has_not_finished(tmp_path: Path) -> None:
    run, _ = filled(tmp_path / "run")
    run.file(1, 0).unlink()
    assert [run.is_done(s, 0) for s in range(3)] == [True, False, True]
    with pytest.raises(DamagedRun, match="has not finished"):
        run.read(CLEAN)


def test_whatever_byte_is_damaged_a_shard_is_refused_or_reads_as_before(tmp_path: Path) -> None:
    run, _ = filled(tmp_path / "run")
    file = run.file(0, 0)
    whole = file.read_bytes()
    before = [run.read(c) for c in run.conditions]
    rng = np.random.default_rng(3)
    refused = 0
    for place in rng.choice(len(whole), 150, replace=False).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        file.write_bytes(bytes(damaged))
        if not run.is_done(0, 0):
            refused += 1
            continue
        for condition, old in zip(run.conditions, before, strict=True):
            new = run.read(condition)
            np.testing.assert_array_equal(new.outputs, old.outputs)
            for m in MODALITIES:
                np.testing.assert_array_equal(new.changed[m.name], old.changed[m.name])
                np.testing.assert_array_equal(new.moved[m.name], old.moved[m.name])
    assert refused > 75


def test_a_truncated_shard_is_refused(tmp_path: Path) -> None:
    run, _ = filled(tmp_path / "run")
    file = run.file(0, 0)
    whole = file.read_bytes()
    for length in (0, 3, 4, len(whole) // 3, len(whole) - 9, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert not run.is_done(0, 0)
        with pytest.raises(DamagedRun, match="cannot be read"):
            run.read(CLEAN)


def test_another_runs_shard_is_refused(tmp_path: Path) -> None:
    run, _ = filled(tmp_path / "run")
    wide = {"kind": "classification", "names": ["a", "b", "c"], "unit": ""}
    other = Run.create(tmp_path / "other", header(task=wide), samples())
    other.write_shard(0, 0, [outputs(16, c, width=3) for c in range(2)])
    shutil.copy(other.file(0, 0), run.file(0, 0))
    assert not run.is_done(0, 0)
    short = run.file(2, 0)  # of this run, but with fewer rows
    shutil.copy(short, run.file(0, 0))
    assert not run.is_done(0, 0)
    run.samples.ids.tofile(run.file(0, 0))
    assert not run.is_done(0, 0)
    shutil.copy(run.folder / "samples.parquet", run.file(0, 0))
    assert not run.is_done(0, 0)


def test_extending_leaves_old_files_alone_and_adds_only_what_is_new(tmp_path: Path) -> None:
    run, _ = filled(tmp_path / "run")
    before = set(stamps(run.folder / "predictions"))
    run.extend([CLEAN, removal("voice"), removal("note")], declined=[{"probe": "x"}])
    assert run.increments == [[CLEAN, removal("voice")], [removal("note")]]
    assert Run.open(run.folder).header["declined"] == [{"probe": "x"}]
    assert [run.is_done(0, i) for i in (0, 1)] == [True, False]
    for shard, rows in enumerate(run.shards()):
        run.write_shard(shard, 1, [outputs(len(rows), shard)])
    assert before < set(stamps(run.folder / "predictions"))
    assert run.read(removal("note")).outputs.shape == (N, 2)
    header_bytes = (run.folder / "run.json").read_bytes()
    run.extend([removal("note")], declined=["would be lost"])
    assert (run.folder / "run.json").read_bytes() == header_bytes


def test_a_condition_is_found_by_label_or_key_and_a_slip_is_helped(tmp_path: Path) -> None:
    run, _ = filled(tmp_path / "run")
    wanted = removal("voice")
    assert run.condition(wanted.label) == run.condition(wanted.key) == wanted
    with pytest.raises(UnknownName, match=r"did you mean 'missing\[voice, baseline=zero\]'"):
        run.condition("missing[voice, baseline=zer]")
    with pytest.raises(BadInput, match="not part of the run"):
        run.read(removal("note"))


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", DamagedRun, "not readable"),
        (b"{", DamagedRun, "not readable"),
        (b"[1, 2]", DamagedRun, "expected a JSON object"),
        (b"\xff\xfe\x00", DamagedRun, "not readable"),
        (b"[" * 100_000, DamagedRun, "not readable"),
        (b"{}", DamagedRun, "its schema is None"),
        (json.dumps({"schema": SCHEMA}).encode(), DamagedRun, "fingerprints is missing"),
        (json.dumps({"schema": "mmaudit.run/2"}).encode(), StaleRun, "update mmaudit"),
    ],
)
def test_an_unusable_header_is_refused(tmp_path: Path, content: bytes, error: type[MMAuditError], says: str) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(error, match=says) as caught:
        Run.open(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert (tmp_path / "run.json").read_bytes() == content


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no run\.json"):
        Run.open(tmp_path)
    with pytest.raises(BadInput, match=r"no run\.json"):
        Run.open(tmp_path / "nowhere")
