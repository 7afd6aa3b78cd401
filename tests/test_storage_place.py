"""Addresses of runs: what is a folder here, what is a URL, and that a URL behaves as a path does."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import reference_audits, retrieval_cases
from mmaudit import Run, audit
from mmaudit.errors import BadInput, StorageFailed
from mmaudit.folder import require_usable, whole, write_atomically
from mmaudit.outputs import opened, read_parquet, write_parquet
from mmaudit.place import address, identity, is_local, local_copy, place, readable, remove_folder, scratch
from mmaudit.reference.retrain import retrain
from mmaudit.types import CLEAN

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("upath")
local = pytest.importorskip("fsspec.implementations.local")

HERE = "memory://test-place/run"


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    fsspec.filesystem("memory").store.clear()
    yield
    fsspec.filesystem("memory").store.clear()


class Folders(local.LocalFileSystem):  # type: ignore[misc, name-defined]
    """A store that has folders and renames, as SFTP has; it counts renames."""

    protocol = "folders"
    cachable = False
    moved: list[str] = []  # noqa: RUF012 one for all, as fsspec makes objects at will

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).removeprefix("folders://").strip("/")

    def mv(self, old: str, new: str, **options: Any) -> None:
        self.moved.append(new)
        super().mv(old, new, **options)


# ---- addresses


@pytest.mark.parametrize("given", ["runs/mine", "/data/run", "run", ".", "C:/run", "a:b", "runs/s3:/x", "with space/ü"])
def test_a_path_of_this_machine_stays_what_it_is(given: str) -> None:
    assert place(given) == Path(given)
    assert place(Path(given)) == Path(given)
    assert type(place(given)) is type(Path(given))
    assert is_local(place(given))


@pytest.mark.parametrize("given", ["file:///data/run", "file:/data/run", "local:///data/run"])
def test_a_file_url_is_a_path_of_this_machine(given: str) -> None:
    assert place(given) == place(Path(given)) == Path("/data/run")


def test_a_url_survives_pathlib_which_takes_a_slash_of_it() -> None:
    found = place(HERE)
    assert str(found) == str(place(Path(HERE))) == str(place(str(Path(HERE)))) == HERE
    assert place(found) is found
    assert not is_local(found)
    assert not isinstance(found, Path)
    assert address(found) == HERE


def test_a_folder_that_looks_like_a_url_is_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memory:" / "test-place").mkdir(parents=True)
    assert is_local(place("memory:/test-place"))
    assert not is_local(place("memory:/elsewhere"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nonsense://x/y", "no store of kind 'nonsense' is known"),
        ("s3://me:secret@bucket/run", "holds a password"),
        ("simplecache::s3://bucket/run", "chains file systems"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(given: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as raised:
        place(given)
    assert "secret" not in str(raised.value)


def test_no_run_of_this_machine_loads_what_stores_need() -> None:
    code = (
        "import sys, mmaudit.store, mmaudit.place; mmaudit.place.place('runs/x');"
        "print([m for m in ('fsspec', 'upath', 's3fs', 'mmaudit.remote') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_without_the_packages_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mmaudit.remote", raising=False)
    monkeypatch.setitem(sys.modules, "upath", None)
    monkeypatch.setitem(sys.modules, "upath.extensions", None)
    with pytest.raises(ImportError, match=r"pip install 'mmaudit\[remote\]'"):
        place(HERE)


# ---- as a path


def test_what_callers_ask_of_a_path_a_url_answers() -> None:
    run = place(HERE)
    assert not run.exists()
    write_atomically(run / "a.json", b'"\xc3\xbc"')
    write_atomically(run / "deep" / "b.txt", b"b")
    (run / "deep").mkdir(exist_ok=True)
    assert (run.is_dir(), run.is_file(), (run / "a.json").is_file(), (run / "c").exists()) == (True, False, True, False)
    assert sorted(p.name for p in run.iterdir()) == ["a.json", "deep"]
    assert [str(p) for p in run.glob("*/b.txt")] == [f"{HERE}/deep/b.txt"]
    assert {p.name for p in run.rglob("*") if p.is_file()} == {"a.json", "b.txt"}
    assert (run / "a.json").read_text(encoding="utf-8") == '"ü"'
    assert (run / "a.json").stat().st_size == 4
    assert (run / "a.json").open("rb").read() == b'"\xc3\xbc"'
    assert (run / "deep" / "b.txt").parent.parent == run == run.resolve()
    assert run.with_suffix(".html").name == "run.html"
    assert pickle.loads(pickle.dumps(run)) == run
    assert hash(pickle.loads(pickle.dumps(run))) == hash(run)
    (run / "a.json").unlink()
    (run / "a.json").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (run / "a.json").unlink()
    remove_folder(run)
    remove_folder(run)
    assert not run.exists()


def test_a_file_of_a_store_cannot_be_opened_for_writing() -> None:
    with pytest.raises(io.UnsupportedOperation, match="written whole"):
        (place(HERE) / "a").open("wb")


def test_a_url_that_holds_other_files_is_no_place_for_a_run() -> None:
    write_atomically(place(HERE) / "thesis.tex", b"years of work")
    with pytest.raises(BadInput, match=r"thesis\.tex"):
        require_usable(place(HERE))
    with pytest.raises(BadInput, match="is a file"):
        require_usable(place(HERE) / "thesis.tex")


def test_what_fails_within_a_write_leaves_the_old_object() -> None:
    file = place(HERE) / "scores.parquet"
    write_atomically(file, b"old")
    seen: list[Path] = []

    def interrupted() -> None:
        with whole(file) as made:
            seen.append(made)
            made.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.read_bytes() == b"old"
    assert not seen[0].parent.exists()


def test_tables_are_read_in_whole_and_in_parts() -> None:
    file = place(HERE) / "t.parquet"
    table = pa.table({"x": np.arange(200_000), "y": np.random.default_rng(0).normal(size=200_000)})
    write_parquet(file, table)
    assert read_parquet(file).equals(table)
    groups = opened(file)
    assert pa.concat_tables([groups.read_row_group(i) for i in range(groups.num_row_groups)]).equals(table)
    assert opened(file, all_of_it=True).read().equals(table)
    assert pq.read_metadata(readable(file)).num_rows == 200_000
    before = identity(file)
    write_parquet(file, table.slice(1))
    assert identity(file) != before
    assert opened(file).metadata.num_rows == 199_999  # the footer that is remembered is the old file's


def test_ranges_read_as_a_file_does() -> None:
    content = bytes(range(256)) * 4
    write_atomically(place(HERE) / "bytes", content)
    here, there = io.BytesIO(content), readable(place(HERE) / "bytes")
    rng = np.random.default_rng(3)
    for _ in range(200):
        offset, whence, count = int(rng.integers(0, 1100)), int(rng.integers(0, 3)), int(rng.integers(-1, 300))
        offset = -offset if whence == io.SEEK_END else offset - 500 * (whence == io.SEEK_CUR)
        if here.tell() + offset < 0 and whence == io.SEEK_CUR:
            continue
        assert there.seek(offset, whence) == here.seek(offset, whence)
        assert there.read(count) == here.read(count)
        assert there.tell() == here.tell()


def test_other_libraries_get_a_copy_that_goes_away() -> None:
    write_atomically(place(HERE) / "weights", b"w")
    with local_copy(place(HERE) / "weights") as copy:
        assert copy.read_bytes() == b"w"
    assert not copy.exists()
    made = scratch(place(HERE) / "work")
    assert made.is_dir()
    remove_folder(made)
    assert not made.exists()


def test_a_store_with_folders_gets_files_by_renaming(tmp_path: Path) -> None:
    fsspec.register_implementation("folders", Folders, clobber=True)
    Folders.moved.clear()
    run = place(f"folders://{tmp_path}/run")
    write_atomically(run / "predictions" / "a.parquet", b"one")
    write_atomically(run / "predictions" / "a.parquet", b"two")
    assert (tmp_path / "run" / "predictions" / "a.parquet").read_bytes() == b"two"
    assert [p.name for p in (tmp_path / "run" / "predictions").iterdir()] == ["a.parquet"]
    assert Folders.moved == [f"{tmp_path}/run/predictions/a.parquet"] * 2


def test_two_writers_of_one_file_do_not_meet_before_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.register_implementation("folders", Folders, clobber=True)
    file = place(f"folders://{tmp_path}/run/a.parquet")
    sent = Folders.pipe_file

    def interrupted(self: Folders, path: str, value: bytes, **options: Any) -> None:
        sent(self, path, value, **options)
        if value == b"first":  # the other writer is faster
            write_atomically(file, b"second, longer")

    monkeypatch.setattr(Folders, "pipe_file", interrupted)
    write_atomically(file, b"first")
    assert file.read_bytes() == b"first"
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("fails", ["mv", "info", "pipe_file"])
def test_a_writer_that_fails_leaves_nothing_in_a_store_with_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    fsspec.register_implementation("folders", Folders, clobber=True)
    file = place(f"folders://{tmp_path}/run/a.parquet")
    write_atomically(file, b"one")
    done = getattr(Folders, fails)

    def broken(self: Folders, path: str, *rest: Any, **options: Any) -> None:
        if "partial" in path:
            if fails == "pipe_file":
                done(self, path, b"t")
            raise TimeoutError("the line is down")

    monkeypatch.setattr(Folders, fails, broken)
    with pytest.raises(StorageFailed, match=r"a\.parquet cannot be written: TimeoutError: the line is down"):
        write_atomically(file, b"two")
    assert (tmp_path / "run" / "a.parquet").read_bytes() == b"one"
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["a.parquet"]


# ---- a store whose client raises what it likes


@pytest.mark.parametrize("asked", ["exists", "is_file", "is_dir", "read_bytes", "iterdir", "stat", "unlink"])
def test_whatever_a_client_raises_is_one_error_and_never_an_absent_file(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    file = place(HERE) / "run.json"
    write_atomically(file, b"{}")

    class ClientTired(Exception):
        """What no caller could know of."""

    def tired(*_: Any, **__: Any) -> None:
        raise ClientTired("no route " + "x" * 10_000)

    for name in ("info", "cat_file", "ls", "rm_file", "isdir", "isfile", "exists", "iterdir"):
        if hasattr(file.fs, name):  # type: ignore[attr-defined]
            monkeypatch.setattr(file.fs, name, tired)  # type: ignore[attr-defined]
    with pytest.raises(
        StorageFailed, match=r"memory://test-place/run/run\.json cannot be .*ClientTired: no route"
    ) as said:
        getattr(file, asked)()
    assert len(str(said.value)) < 800


# ---- what writes more than tables


def test_a_retrieval_encodes_here_and_keeps_its_answers_there(tmp_path: Path) -> None:
    suite = {"probes": ["missing", "mismatch"], "baselines": ["zero"]}
    for out in (tmp_path / "run", HERE):
        audit(retrieval_cases.dual(), retrieval_cases.pairs(n=60), out=out, suite=suite, resamples=10)
    here, there = Run.open(tmp_path / "run"), Run.open(HERE)
    assert [p.name for p in place(HERE).iterdir() if p.name == "work"] == []
    for condition in here.conditions:
        np.testing.assert_array_equal(here.read(condition).outputs, there.read(condition).outputs)


def test_references_are_trained_into_a_url() -> None:
    from mmaudit.reference.loop import Budget

    net, test = reference_audits.net(), reference_audits.data(120, 1)
    audit(reference_audits.model(net), test, out=HERE, suite=["missing"], resamples=10)
    panels = [
        retrain(
            HERE,
            reference_audits.model(net),
            test,
            reference_audits.data(120, 2),
            methods=["late_mean"],
            seeds=1,
            tune=1,
            budget=Budget(epochs=2),
            resamples=10,
        )
        for _ in range(2)
    ]
    weights = list(place(HERE).glob("references/*/weights.safetensors"))
    assert len(weights) == 1
    assert panels[0].to_json() == panels[1].to_json()
    members = list(place(HERE).glob("references/*/seed-*/run.json"))
    assert len(members) == 1
    assert Run.open(members[0].parent).read(CLEAN).answered.any()
