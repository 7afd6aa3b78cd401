"""Which folders an audit writes to, one writer at a time; what it repairs there, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.run_cases import Rowwise, contents, dataset, stamps
from helpers.store_cases import header, samples
from mmaudit import Run, audit
from mmaudit.errors import BadInput, StaleRun
from mmaudit.folder import require_usable, writing

SUITE = {"probes": ["missing"], "baselines": ["zero", "marginal"]}


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
    said = {"model": "another model", "schema": "mmaudit.run/9"} | {d: f"other {d}" for d in ("data", "training data")}
    with pytest.raises(StaleRun, match=said[what]):
        audit(model, data, out=folder, suite="quick", resamples=20, **more)
    assert not model.calls
    assert contents(folder, leave_out=()) == before
