"""Runs of strangers: nothing is raised but mmaudit's own errors, and the damage is named, by whom it should be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.hostile_case import Hostile
from helpers.hostile_runs import HOSTILE, SOUND, write
from helpers.hostile_texts import TEXTS
from mmaudit.browse.answers import Answers
from mmaudit.browse.fragility import Flip, fragility, passport
from mmaudit.browse.kept import Kept, Side
from mmaudit.browse.library import Entry, open_run, runs
from mmaudit.browse.shards import Shards
from mmaudit.errors import DamagedRun, MMAuditError, StaleRun, Undefined
from mmaudit.formats import printable
from mmaudit.header import require_sound
from mmaudit.store import Run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "runs"


def of(*where: str) -> list[Hostile]:
    return [case for case in HOSTILE if case.where in where]


def entry_of(case: Hostile, root: Path) -> Entry:
    (entry,) = runs(write(case, root))
    return entry


def everything(run: Run) -> None:
    """All that a dashboard would ask for."""
    answers = Answers(run)
    for condition in run.conditions:
        answers.table(condition)
    for position in (0, 17, 39):
        answers.sample(position)
        answers.distribution(position, run.conditions[1])
    fragility(answers)


@pytest.mark.parametrize("case", of("listing"), ids=lambda c: c.name)
def test_the_listing_names_the_damage(root: Path, case: Hostile) -> None:
    entry = entry_of(case, root)
    assert entry.state == "damaged"
    reason = entry.reason
    assert re.search(case.said, reason), reason
    assert len(reason) < 700
    assert str(root) not in reason
    if case.name.startswith(("findings", "report", "pipe-findings", "pipe-report")):
        everything(open_run(root, case.name))  # the answers are as sound as before
        return
    with pytest.raises((DamagedRun, StaleRun)) as caught:
        everything(open_run(root, case.name))
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("case", of("listing"), ids=lambda c: c.name)
def test_what_lies_in_its_header_or_is_a_link_is_not_opened(root: Path, case: Hostile) -> None:
    if not (root / case.name).exists():
        write(case, root)
    if case.name.startswith(("lie", "json", "link", "pipe-run")):
        with pytest.raises((DamagedRun, StaleRun), match=case.said):
            open_run(root, case.name)
    if case.name.startswith(("lie", "json")):
        with pytest.raises(MMAuditError):  # opened without the listing, the answers are as careful
            Answers(Run.open(root / case.name))


@pytest.mark.parametrize("case", of("samples", "answers"), ids=lambda c: c.name)
def test_files_that_are_not_what_the_header_says(root: Path, case: Hostile) -> None:
    entry = entry_of(case, root)
    assert entry.state == "complete"
    run = open_run(root, case.name)
    if case.where == "samples":
        with pytest.raises(DamagedRun, match=case.said):
            Answers(run)
        return
    answers = Answers(run)
    said = re.compile(case.said, re.DOTALL)
    for ask in (
        lambda: answers.table(run.conditions[4]),
        lambda: answers.sample(17),
        lambda: answers.distribution(17, run.conditions[4]),
        lambda: passport(answers, 17),
        lambda: fragility(answers),
    ):
        with pytest.raises(DamagedRun, match=said) as caught:
            ask()
        assert len(str(caught.value)) < 800


@pytest.mark.parametrize("case", of("kept"), ids=lambda c: c.name)
def test_kept_inputs_are_refused_or_made_anew(root: Path, case: Hostile) -> None:
    folder = write(case, root)
    key = open_run(root, case.name).conditions[4].key

    def sides() -> list[Side]:
        kept = Kept(folder)
        return [side for position in kept.positions() for side in kept.sides(position, key)]

    if case.name in ("exhibit-png-lies", "exhibit-wav-lies"):
        # Sound in what is read of them: what is handed on is made anew, and small.
        assert all(len(side.original.get(kind, b"")) < 10_000 for side in sides() for kind in ("image", "audio"))
        return
    with pytest.raises(DamagedRun) as caught:
        sides()
    assert len(str(caught.value)) < 800


def test_texts_are_only_texts(root: Path) -> None:
    (case,) = of("fine")
    entry = entry_of(case, root)
    assert entry.state == "complete"
    shown = [getattr(entry, name) for name in ("title", "model", "task", "suite", "created")]
    run = open_run(root, case.name)
    answers = Answers(run)
    everything(run)
    for frame in (answers.table(run.conditions[1]), answers.sample(3), answers.distribution(3, run.conditions[1])):
        shown += [str(x) for name in frame for x in frame[name] if isinstance(x, str)]
    shown += [x for f in _passport(answers) for x in (f.modality, f.probe, f.unit)]
    assert all(text == printable(text) for text in shown)
    assert entry.created == ""
    table = answers.table(run.conditions[1])
    assert max(map(len, table["answer"])) <= 60
    groups = [name for name in table if name.startswith("group.")]
    assert len(groups) == 2
    assert set(table[groups[0]]) == {printable(t.encode("utf-8", "replace").decode()) for t in TEXTS.values()}


def _passport(answers: Answers) -> tuple[Flip, ...]:
    for position in range(answers.run.n):
        try:
            return passport(answers, position)
        except Undefined:
            continue
    raise AssertionError("no sample is right on clean data")


ODD = (None, True, -1, 0, 3, 10**30, 0.5, float("inf"), "", "x", "../x", [], {}, ["a", "a"], [None], {"a": 1})


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value in nested JSON stands, the outer ones included."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*place, key)
        yield from places(part, (*place, key))


def test_any_odd_value_anywhere_in_the_header_is_refused_or_harmless(root: Path) -> None:
    """Two conditions suffice: what is accepted must be fit to be used without a further thought."""
    if not (root / SOUND).exists():
        write(of("fine")[0], root)
    text = (root / SOUND / "run.json").read_text()
    sound = json.loads(text) | {"increments": [json.loads(text)["increments"][0][:2]]}
    refused = accepted = 0
    for place in places(sound):
        for odd in (*ODD, KeyError):
            header = json.loads(json.dumps(sound))
            at = header
            for step in place[:-1]:
                at = at[step]
            if odd is KeyError:
                del at[place[-1]]
            else:
                at[place[-1]] = odd
            try:
                require_sound(header, "run.json")
            except DamagedRun:
                refused += 1
                continue
            accepted += 1
            run = Run(root / SOUND, header)
            assert run.task.width > 0
            assert len(run.modalities) > 0
            assert run.conditions[0].family == "clean"
            assert Shards(run).count * run.shard_rows >= run.n > 0
            assert all(isinstance(c.label, str) for c in run.conditions)
    assert refused > 1_000
    assert accepted > 100


def test_the_sound_run_is_sound(root: Path) -> None:
    if not (root / SOUND).exists():
        write(of("fine")[0], root)
    everything(open_run(root, SOUND))
    assert next(e for e in runs(root) if e.name == SOUND).state == "complete"
