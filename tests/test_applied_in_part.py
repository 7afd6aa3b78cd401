"""A condition of several modalities that leaves one of them as it was says so: on every surface, and for old runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from helpers.finding_tables import Table
from mmaudit import ArrayData, FunctionModel, Modality, Run, Task, audit
from mmaudit.assemble import assemble
from mmaudit.cards.sections import alarms
from mmaudit.controls import Control
from mmaudit.render import page
from mmaudit.report import Report
from mmaudit.types import Array, Condition
from report_html import Page

N = 40
LATIN, HEBREW = "a red brick wall in the sun", "שלום עולם"  # OCR confuses Latin letters and digits


def picture_and_text(note: Array) -> ArrayData:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (N, 16, 16, 3)).astype(np.uint8)
    kinds = [Modality("photo", "image", layout="HWC", range=(0, 255)), Modality("note", "text")]
    return ArrayData({"photo": photo, "note": note}, np.arange(N) % 2, Task.classification(2), modalities=kinds)


def brightness(photo: Array, note: Array) -> Array:
    mean = photo.mean(axis=(1, 2, 3))
    return np.stack([np.zeros(N)[: len(mean)], mean - 127.0], axis=1)


def audited(folder: Path, notes: list[str]) -> Report:
    model = FunctionModel(brightness, ["photo", "note"], outputs="logits")
    return audit(model, picture_and_text(np.array(notes)), out=folder, suite=["scenario.bad_scan"], resamples=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("part") / "run"
    audited(folder, [HEBREW] * N)
    return folder


def test_a_step_that_changes_nothing_is_told(folder: Path) -> None:
    report = assemble(Run.open(folder))
    scenarios = [m for m in report.conditions if m.condition.family == "scenario"]
    assert scenarios
    assert all(m.changed == 1 for m in scenarios), "the picture did change"
    told = report.partly_applied()
    assert len(told) == len(scenarios)
    assert all("changed note in no sample, so it says nothing about damage to note." in line for line in told)
    assert report.idle_conditions() == ()
    assert report.failed_controls() == ()
    (finding,) = [f for f in report.findings if f.rule == "probe_without_effect"]
    assert finding.modalities == ("note",)
    assert finding.claim.startswith(f"{len(scenarios)} conditions left note as it was in every sample")
    text = Page(page(report)).text()
    assert "! applied in part" in text
    assert f"{len(scenarios)} left one of their modalities as it was" in text
    assert "APPLIED IN PART" in repr(report)
    assert any("applied in part" in line for line in alarms(report, 3))


def test_one_text_that_can_change_is_enough(tmp_path: Path) -> None:
    report = audited(tmp_path / "run", [LATIN] + [HEBREW] * (N - 1))
    strongest = [c for c in report.document["controls"] if c["control"] == "applied" and "@5" in c["label"]]
    assert strongest == []


def test_runs_scored_before_this_was_kept_can_be_read(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    copied.mkdir()
    for path in folder.rglob("*"):
        target = copied / path.relative_to(folder)
        target.mkdir(parents=True, exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    table = pq.read_table(copied / "conditions.parquet")
    pq.write_table(table.drop_columns(["left"]), copied / "conditions.parquet")
    assert assemble(Run.open(copied)).partly_applied() == ()


def test_findings_tell_each_modality_once() -> None:
    def joint(position: int) -> Condition:
        return Condition("scenario.x", "scenario", 1, ("a", "b"), severity=float(position), position=position)

    table = Table().clean()
    table.conditions += [joint(1), joint(2)]
    table.controls = [Control("applied", joint(i), False, "in part.", ("b",)) for i in (1, 2)]
    table.controls.append(Control("applied", joint(1), False, "in part.", ("a",)))
    found = table.find("probe_without_effect")
    assert [f.modalities for f in found] == [("a",), ("b",)]
    assert "2 conditions left b" in found[1].claim
