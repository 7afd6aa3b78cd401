"""What a disk or a clock can do to a run: every file is whole or not there, the error is one, and the run goes on.

A full disk is the kernel's own: `/dev/full` in place of one file at a time, and a small tmpfs where one can be mounted.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, contents, dataset
from mmaudit import Run, audit, folder
from mmaudit.errors import BadInput, MMAuditError, StorageFailed
from mmaudit.folder import contributing, write_atomically, writing
from mmaudit.outputs import ConditionOutputs, opened, write_predictions
from mmaudit.predict import predict
from mmaudit.preparing import prepare
from mmaudit.report import Report
from mmaudit.types import CLEAN

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no /dev/full, no advisory locks")

SUITE = {"probes": ["missing"], "baselines": ["zero"], "analyses": ["emap", "off_data"]}


def run_audit(out: Path, model: Rowwise | None = None) -> Report:
    return audit(model or Rowwise("regression"), dataset("regression", n=60), out=out, suite=SUITE, resamples=10)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[str]]:
    """The files of an audit that nothing befell, and their names in the order in which they are written."""
    out, written = Path("run"), list[str]()  # findings name the folder, so that each is called the same
    named = folder._partial

    def watched(path: Path) -> Path:
        written.append(path.relative_to(out).as_posix())
        return named(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("reference"))
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        patch.setattr(folder, "_partial", watched)
        run_audit(out)
        return contents(out), list(dict.fromkeys(written))


def require_whole(out: Path, reference: dict[str, bytes]) -> None:
    """Raise unless everything in the folder is a finished file of the audit."""
    found = contents(out)
    assert [name for name in found if name not in reference] == []
    assert [n for n, c in found.items() if reference[n] != c] == []


# ---- a full disk


def test_a_disk_that_is_full_at_any_file_loses_none_and_the_run_ends_the_same(
    reference: tuple[dict[str, bytes], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    whole, order = reference
    monkeypatch.chdir(tmp_path)
    out, faults = Path("run"), 0
    named, full = folder._partial, ""

    def at_full(path: Path) -> Path:
        partial = named(path)
        if path.relative_to(out).as_posix() == full:
            partial.symlink_to("/dev/full")
        return partial

    monkeypatch.setattr(folder, "_partial", at_full)
    for full in order:
        with pytest.raises(MMAuditError, match="No space left") as raised:
            run_audit(out)
        assert str(out / full) in str(raised.value)
        assert full not in contents(out)
        require_whole(out, whole)
        faults += 1
    assert faults == len(order) > 12
    full = ""
    run_audit(out)
    require_whole(out, whole)
    assert set(contents(out)) == set(whole)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; the test is skipped where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "mmaudit-test", str(place)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def answers(rows: int, seed: int) -> ConditionOutputs:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 3)).astype(np.float32)
    names = ("table", "note")
    return ConditionOutputs(values, dict.fromkeys(names, rng.random(rows) < 0.5), dict.fromkeys(names, values[:, 0]))


def test_a_file_system_that_fills_up_keeps_every_shard_that_was_written(small_disk: Path) -> None:
    names = ("table", "note")
    written: list[int] = []

    def write_next() -> None:
        write_predictions(small_disk / f"{len(written)}.parquet", [answers(2000, len(written))], names)
        written.append(len(written))

    def fill() -> None:
        while len(written) < 100:
            write_next()

    with pytest.raises(StorageFailed, match=r"parquet cannot be written: .*No space left"):
        fill()
    assert 1 < len(written) < 30
    assert {p.name for p in small_disk.iterdir()} == {f"{shard}.parquet" for shard in written}
    for shard in written:
        table = opened(small_disk / f"{shard}.parquet").read()
        np.testing.assert_array_equal(
            table.column("output").combine_chunks().flatten().to_numpy().reshape(-1, 3), answers(2000, shard).outputs
        )
    (small_disk / "0.parquet").unlink()  # somebody makes room
    write_predictions(small_disk / f"{written[-1] + 1}.parquet", [answers(100, 1)], names)


def test_a_read_only_file_system_is_said_before_the_model_is_asked(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    run_audit(small_disk / "run")
    before = contents(small_disk / "run")
    next((small_disk / "run" / "predictions").iterdir()).unlink()
    (small_disk / "run" / "run.json.7.partial").write_text("{")  # a writer was killed
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for out in (small_disk / "run", small_disk / "new"):
        model = Rowwise("regression")
        with pytest.raises(MMAuditError, match=r"no permission|Read-only"):
            run_audit(out, model)
        assert not model.calls
    with pytest.raises(MMAuditError, match="Read-only"), writing(small_disk / "run"):
        pytest.fail("a read-only folder was held for writing")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    run_audit(small_disk / "run")
    assert contents(small_disk / "run") == before


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT, errno.EMFILE])
def test_whatever_the_system_says_is_one_error_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    file = tmp_path / "run.json"
    write_atomically(file, b"old")

    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    for name in ("fsync", "replace", "open"):
        with monkeypatch.context() as patch:
            if name == "fsync":
                patch.setattr(os, "fsync", refuse)
            else:
                patch.setattr(Path, name, refuse)
            with pytest.raises(StorageFailed, match=rf"run\.json cannot be written: {os.strerror(code)}"):
                write_atomically(file, b"new")
        assert contents(tmp_path) == {"run.json": b"old"}


# ---- files that changed behind its back


def predict_again(out: Path) -> Rowwise:
    """Make what the run lacks, without scoring it again."""
    model, data = Rowwise("regression"), dataset("regression", n=60)
    prepared = prepare(model, data, suite=SUITE, out=out)
    model.calls.clear()
    with writing(out):
        run = prepared.open_run(out, batch_rows=None, title=None, command="")
        predict(run, data, prepared.model, prepared.source, stage=prepared.stage)
    return model


def test_times_of_files_decide_nothing(reference: tuple[dict[str, bytes], list[str]], tmp_path: Path) -> None:
    for name, content in reference[0].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for moment in (0, 86_400, 4_102_444_800):  # 1970, a day later, 2100
        for name in reference[0]:
            os.utime(tmp_path / name, (moment, moment))
        assert not predict_again(tmp_path).calls
    assert contents(tmp_path) == reference[0]


def test_a_file_written_while_the_clock_goes_back_is_read_as_it_is_now(tmp_path: Path) -> None:
    file, names = tmp_path / "0.parquet", ("table", "note")
    for seed, moment in enumerate((4_102_444_800, 4_102_444_800, 1000, 1000)):  # not moving counts, too
        write_predictions(file, [answers(50, seed)], names)
        os.utime(file, (moment, moment))
        found = opened(file).read().column("output").combine_chunks().flatten().to_numpy()
        np.testing.assert_array_equal(found.reshape(-1, 3), answers(50, seed).outputs)


def test_a_shard_cut_at_any_length_is_made_again(reference: tuple[dict[str, bytes], list[str]], tmp_path: Path) -> None:
    for name, content in reference[0].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    run = Run.open(tmp_path)
    shard = run.file(0, 0)
    whole = shard.read_bytes()
    assert run.is_done(0, 0)
    lengths = [*range(0, 12), *range(12, len(whole), max(1, len(whole) // 60)), len(whole) - 1]
    for length in lengths:
        shard.write_bytes(whole[:length])
        assert not run.is_done(0, 0), length
    assert predict_again(tmp_path).calls
    assert shard.read_bytes() == whole


# ---- who else is there


def test_workers_stand_beside_each_other_and_not_beside_a_driver(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    left = tmp_path / "predictions" / "00000-aaaaaaaa.parquet.1-2.partial"
    left.write_bytes(b"PAR1")
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(contributing(tmp_path))
        with pytest.raises(BadInput, match="another audit is writing"), writing(tmp_path):
            pytest.fail("a driver beside workers")
        assert left.exists()  # it may be a worker's
    with (
        writing(tmp_path),
        pytest.raises(BadInput, match="another audit is writing"),
        contributing(tmp_path),
    ):
        pytest.fail("a worker beside a driver")
    assert not left.exists()
    with pytest.raises(BadInput, match="plan the run first"), contributing(tmp_path / "nothing"):
        pytest.fail("a worker without a run")


def test_two_writers_of_one_file_never_write_into_each_other(tmp_path: Path) -> None:
    """Containers have the same process number."""
    file = tmp_path / "shard"
    with folder.whole(file) as one, folder.whole(file) as other:
        one.write_bytes(b"of one")
        other.write_bytes(b"of the other")
    assert contents(tmp_path) == {"shard": b"of one"}  # that of the one that ended last


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_where_there_are_no_locks_a_run_is_written_and_nothing_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    import fcntl

    def none(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", none)
    left = tmp_path / "run.json.5.partial"
    left.write_bytes(b"{")
    with writing(tmp_path), contributing(tmp_path):
        write_atomically(tmp_path / "run.json", b"{}")
    assert contents(tmp_path) == {"run.json": b"{}", left.name: b"{"}


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with folder.whole(tmp_path / "a") as partial:
            partial.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert contents(tmp_path) == {}


def test_clean_answers_outlive_every_fault(reference: tuple[dict[str, bytes], list[str]], tmp_path: Path) -> None:
    """The reference itself is a run that can be read."""
    for name, content in reference[0].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert Run.open(tmp_path).read(CLEAN).answered.all()
