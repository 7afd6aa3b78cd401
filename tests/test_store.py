"""The run folder: what is written comes back, whole or not at all, and nothing foreign or damaged is taken for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, contents, dataset, stamps
from mmaudit import Run, audit
from mmaudit.errors import BadInput, DamagedRun, MMAuditError, StaleRun, UnknownName
from mmaudit.folder import require_usable, writing
from mmaudit.header import SCHEMA, modality_from_json, modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.samples_file import Samples
from mmaudit.types import CLEAN, Condition, Modality, Task

SUITE = {"probes": ["missing"], "baselines": ["zero", "marginal"]}
N = 40
MODALITIES = (
    Modality("photo.left", "image", (4, 4, 3), "uint8", "HWC", (0.0, 255.0), "count"),
    Modality("voice", "audio", (None,), "float32", sample_rate=8000.0),
    Modality("note", "text", (), "str"),
)


def header(**more: Any) -> dict[str, Any]:
    return {
        "fingerprints": {"model": "m", "data": "d"},
        "model": {"name": "model"},
        "data": {"n": N},
        "task": {"kind": "classification", "names": ["a", "b"], "unit": ""},
        "modalities": [modality_to_json(m) for m in MODALITIES],
        "suite": {},
        "increments": [[CLEAN.to_json(), removal("voice").to_json()]],
        "declined": [],
        "shard_rows": 16,
        **more,
    }


def removal(*names: str) -> Condition:
    return Condition("missing", "missing", 1, names, options=(("baseline", "zero"),))


def samples(**more: Any) -> Samples:
    given: dict[str, Any] = {
        "ids": np.arange(N) * 7,
        "target": np.arange(N) % 2,
        "groups": {"site": np.array([f"site {i % 3}" for i in range(N)])},
        "cluster": np.arange(N) // 4,
        "present": {m.name: np.arange(N) % 5 != 0 for m in MODALITIES},
    }
    return Samples(**given | more)


def outputs(rows: int, seed: int, width: int = 2) -> ConditionOutputs:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, width)).astype(np.float32)
    values[0] = np.nan
    return ConditionOutputs(
        values,
        {m.name: rng.random(rows) < 0.5 for m in MODALITIES},
        {m.name: np.where(rng.random(rows) < 0.2, np.nan, rng.random(rows)).astype(np.float32) for m in MODALITIES},
    )


def filled(folder: Path) -> tuple[Run, dict[tuple[int, int], ConditionOutputs]]:
    run = Run.create(folder, header(), samples())
    given = {(s, c): outputs(len(rows), 10 * s + c) for s, rows in enumerate(run.shards()) for c in range(2)}
    for shard in range(len(run.shards())):
        run.write_shard(shard, 0, [given[shard, c] for c in range(2)])
    return run, given


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


# ---- which folders may be written to


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match=r"thesis\.tex"):
        require_usable(tmp_path)
    with pytest.raises(BadInput, match=r"thesis\.tex"):
        Run.create(tmp_path, header(), samples())
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="is a file"):
        require_usable(tmp_path / "file")
    with pytest.raises(BadInput, match=r"file is a file; choose another folder"):
        require_usable(tmp_path / "file" / "deeper" / "run")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(BadInput, match="no permission"):
        require_usable(tmp_path / "locked" / "run")


def test_what_a_killed_writer_left_is_swept_and_the_rest_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "predictions").mkdir(parents=True)
    (folder / "run.json.123.partial").write_text("{")
    (folder / ".report.html.77.tmp").write_text("<ht")
    (folder / "predictions" / "00000-aaaaaaaa.parquet.123.partial").write_text("PAR1")
    (folder / "samples.parquet").write_bytes(b"half")
    (folder / "run.json.123.partial").touch()
    with writing(folder):
        assert set(contents(folder)) == {"samples.parquet"}
        require_usable(folder)
        run = Run.create(folder, header(), samples())
    np.testing.assert_array_equal(run.samples.ids, samples().ids)


HOLD = """
import sys
from mmaudit.folder import writing
with writing(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no advisory locks")
def test_a_second_writer_is_refused_before_its_model_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    audit(Rowwise("regression"), dataset("regression"), out=folder, suite=SUITE, resamples=20)
    before = set(stamps(folder))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    second = Rowwise("regression")
    try:
        with pytest.raises(BadInput, match="another audit is writing"), writing(folder):
            pytest.fail("two writers at once")
        with pytest.raises(BadInput, match="another audit is writing"):
            audit(second, dataset("regression"), out=folder, suite="quick", resamples=20)
        assert not second.calls
        assert set(stamps(folder)) == before
    finally:
        holder.communicate("\n", timeout=30)
    with writing(folder):
        pass


# ---- damage that an audit repairs


def test_a_damaged_shard_is_made_again_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    data = dataset("regression", 2500)
    folder = tmp_path / "run"

    def again() -> Rowwise:
        model = Rowwise("regression")
        audit(model, data, out=folder, suite=SUITE, resamples=20)
        return model

    again()
    whole = contents(folder)
    shards = sorted(name for name in whole if name.startswith("predictions"))
    assert len(shards) == 3
    untouched = again()
    assert untouched.rows["fuse"] < 2500  # the doctor's rows only
    assert contents(folder) == whole
    damage: list[tuple[str, bytes]] = [
        (shards[1], whole[shards[1]][: len(whole[shards[1]]) // 2]),
        (shards[2], b"PAR1 and nothing like it"),
        (shards[0], whole[shards[2]]),
        ("samples.parquet", whole["samples.parquet"][:100]),
        ("scores.parquet", b""),
        ("report.json", b"{"),
        ("conditions.parquet", b"PAR1"),
    ]
    for name, content in damage:
        (folder / name).write_bytes(content)
    repaired = again()
    assert contents(folder) == whole
    conditions = len(Run.open(folder).conditions)
    assert repaired.rows["fuse"] >= 2500 * conditions
    for name in (shards[1], "samples.parquet", "scores.parquet", "report.html"):
        (folder / name).unlink()
    assert again().rows["fuse"] < repaired.rows["fuse"]
    assert contents(folder) == whole


# ---- what does not belong to a run


@pytest.mark.parametrize("what", ["model", "data", "training data", "schema"])
def test_a_run_of_something_else_is_refused_with_its_name_and_left_alone(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "run"
    audit(Rowwise("regression"), dataset("regression"), out=folder, suite=SUITE, resamples=20)
    model, data, more = Rowwise("regression"), dataset("regression"), {}
    if what == "model":
        model.fingerprint = "retrained"
    if what == "data":
        data = dataset("regression", seed=1)
    if what == "training data":
        more["train"] = dataset("regression", seed=2)
    if what == "schema":
        header = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**header, "schema": "mmaudit.run/9"}))
    before = contents(folder, leave_out=())
    with pytest.raises(StaleRun, match=f"another {what}" if what != "schema" else "mmaudit.run/9"):
        audit(model, data, out=folder, suite="quick", resamples=20, **more)
    assert not model.calls
    assert contents(folder, leave_out=()) == before
