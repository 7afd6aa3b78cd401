"""What references left in a run: read as it is, listed where a seed failed, refused where it is another run's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.panel_runs import ABOUT, AUDITED, PLAN, World, add_reference, make_run
from mmaudit.errors import BadInput, DamagedRun, MMAuditError, StaleRun
from mmaudit.panel.file import panel_or_reason, read_panel, score_panel
from mmaudit.panel.read import NOT_FINISHED, trained
from mmaudit.store import Run


@pytest.fixture(scope="module")
def world() -> World:
    return World(120)


@pytest.fixture
def run(tmp_path: Path, world: World) -> Run:
    return make_run(tmp_path / "run", world.target, world.answers(AUDITED))


def test_a_run_without_references_has_none(run: Run) -> None:
    assert trained(run) == []
    assert read_panel(run) is None
    assert panel_or_reason(run) == (None, "")
    with pytest.raises(BadInput, match="mmaudit reference"):
        score_panel(run)


def test_what_was_written_is_read(run: Run, world: World) -> None:
    add_reference(
        run, "synib", [world.answers(AUDITED) for _ in range(2)], tuning=[{"hyper": {}, "validation": 0.5}] * 4
    )
    add_reference(run, "aecf", [world.answers(AUDITED)], microseconds_audited_fusion=None, parameters=7)
    aecf, synib = trained(run)
    assert (aecf.method.name, synib.method.name) == ("aecf", "synib")
    assert synib.method.seeds == (0, 1)
    assert synib.method.trials == 4
    assert synib.method.relative_time == pytest.approx(1.01)
    assert np.isnan(aecf.method.relative_time)
    assert aecf.method.parameters == 7
    assert aecf.method.hyper == (("lr", 0.001),)
    assert [r.folder.name for r in synib.runs] == ["seed-0", "seed-1"]


def test_seeds_that_failed_are_listed_with_their_reason(run: Run, world: World) -> None:
    seeds = [world.answers(AUDITED), "the loss diverged at step 3", world.answers(AUDITED), world.answers(AUDITED)]
    folder = add_reference(run, "agm", seeds)
    shutil.rmtree(folder / "seed-2")
    next((folder / "seed-3" / "predictions").iterdir()).unlink()
    (one,) = trained(run)
    assert one.method.seeds == (0,)
    assert one.method.failed == ((1, "the loss diverged at step 3"), (2, NOT_FINISHED), (3, NOT_FINISHED))
    assert len(one.runs) == 1


def test_a_method_that_was_refused_says_why(run: Run) -> None:
    folder = run.folder / "references" / "product"
    folder.mkdir(parents=True)
    about = {k: ABOUT[k] for k in ("schema",)} | {"method": "product", "title": "Product fusion", "source": "x"}
    said = json.dumps({**about, "seeds": [], "outcomes": [], "refused": "the widths 3 and 5 differ"})
    (folder / "reference.json").write_text(said, encoding="utf-8")
    (one,) = trained(run)
    assert one.method.reason == "the widths 3 and 5 differ"
    assert one.runs == ()
    panel = score_panel(run, resamples=20)
    assert panel.scored == ()
    assert {r.method for r in panel.rows} == {""}


def broken(**values: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "reference.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}), encoding="utf-8")

    return edit


def cut_short(folder: Path) -> None:
    file = folder / "reference.json"
    file.write_bytes(file.read_bytes()[:50])


def other_samples(folder: Path) -> None:
    shutil.rmtree(folder / "seed-0")
    world = World(120, seed=5)
    make_run(folder / "seed-0", world.target, world.answers(AUDITED))


def fewer_samples(folder: Path) -> None:
    shutil.rmtree(folder / "seed-0")
    world = World(90)
    make_run(folder / "seed-0", world.target, world.answers(AUDITED))


def fewer_conditions(folder: Path) -> None:
    shutil.rmtree(folder / "seed-0")
    world = World(120, conditions=PLAN[:4])
    make_run(folder / "seed-0", Run.open(folder.parent.parent).samples.target, world.answers(AUDITED), PLAN[:4])


def no_json(folder: Path) -> None:
    (folder / "seed-0" / "run.json").write_text("{", encoding="utf-8")


def twice(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("again"))


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (cut_short, DamagedRun, "cannot be read"),
        (no_json, DamagedRun, "not readable"),
        (broken(schema=2), StaleRun, "update mmaudit"),
        (broken(schema="1"), DamagedRun, "schema is '1'"),
        (broken(seeds=[0, 0]), DamagedRun, "seeds"),
        (broken(outcomes=[]), DamagedRun, "outcomes"),
        (broken(parameters="many"), DamagedRun, "parameters is not a number"),
        (broken(hyper={"lr": "fast"}), DamagedRun, "hyper"),
        (broken(told_missing=1), DamagedRun, "told_missing"),
        (broken(title=None), DamagedRun, "title is not text"),
        (other_samples, DamagedRun, "not the 120 samples"),
        (fewer_samples, DamagedRun, "90 samples"),
        (fewer_conditions, StaleRun, "lacks 8 conditions of the run"),
        (twice, DamagedRun, "two references called 'aecf'"),
    ],
)
def test_what_does_not_belong_is_refused(
    run: Run, world: World, damage: Callable[[Path], None], error: type[MMAuditError], said: str
) -> None:
    damage(add_reference(run, "aecf", [world.answers(AUDITED)]))
    with pytest.raises(error, match=said) as found:
        trained(run)
    assert "references" in str(found.value) or "aecf" in str(found.value)


def test_conditions_that_the_run_has_not_are_refused(tmp_path: Path, world: World) -> None:
    run = make_run(tmp_path / "run", world.target, world.answers(AUDITED), PLAN[:6])
    add_reference(run, "aecf", [world.answers(AUDITED)])
    with pytest.raises(StaleRun, match="has 6 conditions that the run has not"):
        trained(run)


def test_a_panel_of_another_plan_is_told_not_shown(run: Run, world: World) -> None:
    add_reference(run, "aecf", [world.answers(AUDITED)])
    score_panel(run, resamples=20)
    index = run.folder / "references.json"
    whole = index.read_text(encoding="utf-8")
    index.write_text(json.dumps({**json.loads(whole), "conditions": ["ab"]}), encoding="utf-8")
    panel, reason = panel_or_reason(run)
    assert panel is None
    assert "compares 1 conditions, the run has 12" in reason
    index.write_text(whole[:80], encoding="utf-8")
    with pytest.raises(DamagedRun, match=r"references.json cannot be read"):
        read_panel(run)
    index.write_text(whole.replace("references/1", "references/2"), encoding="utf-8")
    with pytest.raises(StaleRun, match="references/2"):
        read_panel(run)
