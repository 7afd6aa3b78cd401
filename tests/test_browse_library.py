"""The listing says what each folder is, how far it is and what is wrong with it, and only listed runs are opened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.big_run import big_run
from helpers.hostile_case import conditions, sound
from helpers.hostile_runs import SOUND, TRAVERSALS
from mmaudit.browse.library import Entry, locate, open_run, runs
from mmaudit.errors import BadInput, StaleRun
from mmaudit.folder import writing
from mmaudit.report import Report
from report_samples import small_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    sound(tmp_path / "runs" / SOUND)
    return tmp_path / "runs"


def only(root: Path) -> Entry:
    (entry,) = runs(root)
    return entry


def test_a_complete_run_is_described(root: Path) -> None:
    (root / SOUND / "findings.json").write_text('[{"level": "minor"}, {"level": "major"}, {"level": "minor"}]')
    entry = only(root)
    assert (entry.name, entry.folder, entry.state, entry.reason) == (SOUND, root / SOUND, "complete", "")
    assert (entry.title, entry.model, entry.suite) == ("Random answers", "random answers", "big")
    assert entry.task == "classification, 10 classes"
    assert entry.modalities == ("photo", "voice", "caption")
    assert (entry.n, entry.conditions, entry.done, entry.total) == (40, len(conditions()), 3, 3)
    assert entry.created == "2026-01-01T00:00:00+00:00"
    assert entry.level == "major"
    assert entry.counts == {"critical": 0, "major": 1, "minor": 2, "info": 0}
    files = [p for p in (root / SOUND).rglob("*") if p.is_file()]
    assert entry.bytes == sum(p.stat().st_size for p in files)
    assert entry.modified == max(p.stat().st_mtime for p in (*files, root / SOUND, root / SOUND / "predictions"))


def test_a_run_being_written_shows_its_progress(root: Path) -> None:
    sorted((root / SOUND / "predictions").iterdir())[1].unlink()
    for name in ("findings.json", "report.json"):
        (root / SOUND / name).unlink()
    with writing(root / SOUND):
        entry = only(root)
        assert (entry.state, entry.done, entry.total, entry.level) == ("running", 2, 3, "")
    entry = only(root)
    assert (entry.state, entry.done, entry.total) == ("partial", 2, 3)
    assert entry.reason == "1 of 3 prediction files are missing. Audit again to the same folder."


def test_looking_does_not_keep_a_writer_out(root: Path) -> None:
    runs(root)
    with writing(root / SOUND):
        pass


def test_a_run_without_report_says_what_to_run(root: Path) -> None:
    (root / SOUND / "report.json").unlink()
    entry = only(root)
    assert (entry.state, entry.level) == ("partial", "none")
    assert "mmaudit score" in entry.reason


def test_a_report_alone_is_listed_from_its_values(tmp_path: Path) -> None:
    document = small_report()
    (tmp_path / "alone").mkdir()
    Report.from_json(document).to_json(tmp_path / "alone" / "report.json")
    entry = only(tmp_path)
    assert entry.state == "partial"
    assert "Only report.json is here" in entry.reason
    assert (entry.title, entry.n) == (document["title"], document["data"]["n"])
    assert sum(entry.counts.values()) == len(document["findings"])
    (tmp_path / "alone" / "report.json").write_text("{}")
    assert only(tmp_path).state == "damaged"


def test_the_newest_run_comes_first(root: Path) -> None:
    for name, created in (("b", "2026-03-01T00:00:00+02:00"), ("c", "2026-02-28T23:30:00Z"), ("d", "2025-12-31")):
        shutil.copytree(root / SOUND, root / name)
        header = json.loads((root / name / "run.json").read_text())
        (root / name / "run.json").write_text(json.dumps(header | {"created": created}))
    assert [e.name for e in runs(root)] == ["c", "b", SOUND, "d"]


def test_where_runs_are_looked_for(root: Path) -> None:
    big_run(root / SOUND / "references" / "method" / "seed-0", 12, conditions()[:2], scored=False)
    for place in ("team/2026/vqa", "a/b/c/d", "a/b/c/d2/too-deep", ".hidden/run"):
        shutil.copytree(root / SOUND, root / place)
    (root / "empty").mkdir()
    (root / "notes.txt").write_text("x")
    (root / "loop").symlink_to(root, target_is_directory=True)
    outside = root.parent / "outside"
    shutil.copytree(root / SOUND, outside)
    (root / "linked").symlink_to(outside, target_is_directory=True)
    assert sorted(e.name for e in runs(root)) == ["a/b/c/d", SOUND, "team/2026/vqa"]
    assert locate(root, "team/2026/vqa") == root / "team" / "2026" / "vqa"
    with pytest.raises(BadInput, match="there is no run 'linked'"):
        open_run(root, "linked")


def test_the_root_itself_may_be_a_run(root: Path) -> None:
    assert only(root / SOUND).name == "."
    assert open_run(root / SOUND, ".").n == 40


def test_a_root_behind_a_link_is_as_good(root: Path) -> None:
    (root.parent / "link").symlink_to(root, target_is_directory=True)
    assert only(root.parent / "link").state == "complete"
    assert open_run(root.parent / "link", SOUND).folder == root / SOUND


def test_links_within_the_root_are_followed_to_files(root: Path) -> None:
    (root / "store").mkdir()
    path = sorted((root / SOUND / "predictions").iterdir())[0]
    shutil.move(path, root / "store" / path.name)
    path.symlink_to(root / "store" / path.name)
    assert only(root).state == "complete"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are any bytes on Linux alone")
def test_folders_whose_names_are_no_text(root: Path) -> None:
    for raw in (b"caf\xe9", b"new\nline\x07", "שלום \u202e".encode()):
        shutil.copytree(root / SOUND, root / os.fsdecode(raw))
    names = [e.name for e in runs(root)]
    assert sorted(names) == sorted([SOUND, "caf\\xe9", "new\nline\ufffd", "שלום \ufffd"])
    for name in names:
        name.encode("utf-8")
        assert open_run(root, name).n == 40


def test_no_root_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, said in (("gone", "does not exist"), ("file", "is not a folder")):
        for ask in (runs, lambda root: locate(root, "x")):
            with pytest.raises(BadInput, match=said):
                ask(tmp_path / path)
    assert runs(tmp_path) == []


def test_only_listed_names_are_opened(root: Path) -> None:
    shutil.copytree(root / SOUND, root.parent / "outside")
    big_run(root / SOUND / "references" / "method" / "seed-0", 12, conditions()[:2], scored=False)
    for name in (*TRAVERSALS, None, 7):
        for ask in (locate, open_run):
            with pytest.raises(BadInput, match="there is no run"):
                ask(root, name)  # type: ignore[arg-type]
    assert locate(root, SOUND) == root / SOUND


def test_a_newer_run_is_stale(root: Path) -> None:
    file = root / SOUND / "run.json"
    file.write_text(file.read_text().replace("mmaudit.run/1", "mmaudit.run/2"))
    with pytest.raises(StaleRun, match="update mmaudit"):
        open_run(root, SOUND)
    assert "update mmaudit" in only(root).reason


def test_a_newer_report_is_said_in_the_listing(root: Path) -> None:
    file = root / SOUND / "report.json"
    Report.from_json(small_report()).to_json(file)
    assert only(root).state == "complete"
    file.write_text(file.read_text().replace("mmaudit.report/1", "mmaudit.report/2"))
    assert only(root).state == "damaged"
    assert "pip install -U mmaudit" in only(root).reason


def test_browsing_loads_no_torch() -> None:
    modules = ("library", "answers", "fragility", "kept")
    code = "import sys\n" + "".join(f"import mmaudit.browse.{m}\n" for m in modules)
    code += "print([m for m in ('torch', 'captum', 'netcal', 'streamlit', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
