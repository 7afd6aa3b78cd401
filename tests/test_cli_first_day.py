"""What somebody meets who uses the command for the first time: where to begin, and what is said when it goes wrong."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer

from helpers.cli_cases import AUDIT, BASE, Command
from mmaudit import cli, console
from mmaudit.cli.application import JOURNEY, app
from mmaudit.cli.report import _make
from mmaudit.errors import BadInput, UnknownName
from mmaudit.models.clauses import Check

# ---- where to begin


def test_help_lists_every_command_once_in_the_order_of_use(mmaudit: Command) -> None:
    names = [name for heading in JOURNEY.values() for name in heading]
    assert sorted(names) == sorted(c.name or c.callback.__name__ for c in app.registered_commands)  # type: ignore[union-attr]
    done = mmaudit("-h")
    assert done.code == 0
    firsts = [line.split()[1] for line in done.out.splitlines() if line.startswith("│ ") and line[2].isalpha()]
    assert firsts == names
    assert all(f"─ {heading} ─" in done.out for heading in JOURNEY)


def test_list_alone_says_what_there_is_to_list(mmaudit: Command) -> None:
    done = mmaudit("list")
    assert done.code == 0
    listed = {line.split()[0]: int(line.split()[1]) for line in done.out.splitlines()}
    assert set(listed) >= {"probes", "metrics", "rules", "suites", "references"}
    assert len(mmaudit("list", "rules", "--json").json) == listed["rules"]


def test_list_of_a_folder_of_runs_names_the_runs(place: Path, mmaudit: Command) -> None:
    (place / "runs" / "mine").mkdir(parents=True)
    empty = mmaudit("list", "runs")
    assert empty.code == 2
    assert "there is no run in it" in empty.err
    (place / "runs" / "mine" / "run.json").write_text("{}", encoding="utf-8")
    done = mmaudit("list", "runs")
    assert done.code == 2
    assert f"give one of the runs in it: {Path('runs/mine')}." in done.err


# ---- what goes wrong


def test_an_error_of_ones_own_code_says_where_it_was_raised(place: Path, mmaudit: Command) -> None:
    (place / "broken.py").write_text("def make():\n    raise RuntimeError('not trained yet')\n", encoding="utf-8")
    done = mmaudit("audit", "--model", "broken:make", *BASE, "--out", "runs/mine")
    assert done.code == 2
    assert "not trained yet. (broken.py, line 2, in make)" in done.err
    # An error that mmaudit itself found in a file is no one's line of code.
    assert "line" not in mmaudit("audit", "--config", "nowhere.toml").err


def test_what_is_a_group_in_the_audit_is_no_modality_to_the_doctor(place: Path, mmaudit: Command) -> None:
    with np.load(place / "data.npz") as data:
        np.savez(place / "sites.npz", **{name: data[name] for name in ("table", "note", "target", "site")})
    taken = ("doctor", "--model", "toy_model:factory", "--data", "sites.npz", "--task", "regression:mm")
    without = mmaudit(*taken)
    assert "the model does not read 'site'" in without.out, without.err
    done = mmaudit(*taken, "--group", "site")
    assert done.code == 0, done.err
    assert "ok    modalities: the model reads 'table', 'note', and the data has 'table', 'note'" in done.out


def test_the_doctor_says_one_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    why = "not tested, because 'shape' is broken"
    console.show_checks(
        [
            Check("shape", False, "no"),
            Check("finite", None, why),
            Check("absence", None, why),
            Check("x", True, "whole"),
        ],
        "whole",
    )
    assert capsys.readouterr().out.splitlines() == [
        "FAIL  shape: no",
        "ok    x: whole",
        f"note  {why}: finite, absence",
    ]
    console.show_checks([Check("shape", True, "yes")], "in one stage")
    assert capsys.readouterr().out.splitlines()[-1] == "note  stages: in one stage"


def test_a_file_where_no_folder_can_be_made_is_refused_in_one_line(place: Path) -> None:
    (place / "file").write_text("", encoding="utf-8")
    target = place / "file" / "deep" / "x.pdf"
    with pytest.raises(BadInput, match=r"cannot write .*x\.pdf: .*choose a place"):
        _make(target.parent, target)


def test_an_unknown_name_is_not_answered_with_a_wall_of_names() -> None:
    few = UnknownName("rule", "clif", ["cliff", "no_signal"])
    assert str(few) == "rule 'clif' is not registered; did you mean 'cliff'? Known: cliff, no_signal."
    known = [f"metric_{i}" for i in range(60)] + ["accuracy", "balanced_accuracy"]
    many = str(UnknownName("metric", "acuracy", known))
    assert many.startswith(
        "metric 'acuracy' is not registered; did you mean 'accuracy'? Known are 62, such as accuracy, b"
    )
    assert "metric_7" not in many
    assert "metric_0, " in str(UnknownName("metric", "???", known[:60]))


# ---- what is shown


def test_a_table_has_no_row_that_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table([{"n": "9", "from": ""}, {"n": "9", "from": "clean"}])
    assert capsys.readouterr().out.splitlines() == ["n: 9", "from", "clean"]


def test_progress_in_a_file_is_lines_and_not_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimpleNamespace(at=0.0)
    monkeypatch.setattr(time, "monotonic", lambda: now.at)
    with console.progress_bar(False) as progress:
        for step in range(11):
            now.at = 20.0 * step
            progress(step, 10)
    assert capsys.readouterr().err.splitlines() == [
        "0:00:00  preparing",
        "0:00:00  asking the model",
        "0:01:00  asking the model, 30 %",
        "0:02:00  asking the model, 60 %",
        "0:03:00  asking the model, 90 %",
        "0:03:20  synergy, scores, report",
    ]
    with console.progress_bar(True) as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""


def test_preparing_is_told_on_a_terminal_and_is_one_line_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminal in (False, True):
        if terminal:
            monkeypatch.setenv("FORCE_COLOR", "1")
            monkeypatch.setenv("COLUMNS", "120")
            monkeypatch.setenv("TERM", "xterm")
        with console.preparing(False) as step, console.progress_bar(True) as quiet:
            step("making the model")
            quiet.preparing("nothing that is shown")
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "nothing" not in shown.err
        if terminal:
            assert "preparing: making the model" in shown.err
        else:
            assert shown.err.splitlines() == ["0:00:00  preparing"]


def test_a_model_that_takes_long_to_make_is_waited_for_in_words(place: Path, mmaudit: Command) -> None:
    """What is said is said before the data are read and the model is made."""
    (place / "slow.py").write_text(
        "import sys\n\ndef make():\n    print('factory', file=sys.stderr)\n    raise OSError\n"
    )
    for command in (("audit", "--out", "run"), ("audit", "--dry-run"), ("doctor",)):
        done = mmaudit(*command, "--model", "slow:make", *BASE)
        assert done.code == 2
        assert done.err.splitlines()[:2] == ["0:00:00  preparing", "factory"], done.err
    assert "preparing" not in mmaudit("doctor", "--model", "slow:make", *BASE, "--json").err


def test_no_line_of_a_finding_ends_between_a_number_and_its_unit() -> None:
    from rich.console import Console

    text = "gap  " + "of the answers 19.8 % are right, a gap of 50.1 pp and more " * 6
    for width in range(40, 80):
        lines = console._wrapped(text, Console(width=width)).plain.split("\n")
        assert max(map(len, lines)) <= width
        assert not any(line[0] in "%" or line.startswith("pp") for line in lines)
        assert " ".join(lines).split() == text.split()


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("", True)])
def test_no_color_is_heeded_everywhere(monkeypatch: pytest.MonkeyPatch, value: str, coloured: bool) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    context = typer.main.get_command(app).make_context("mmaudit", ["list", "rules"])
    with context:
        cli.application._root(context)  # type: ignore[arg-type]
    assert (context.color is not False) == coloured


# ---- runs in a store


def test_a_run_in_a_store_is_named_by_its_url(place: Path, mmaudit: Command) -> None:
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("upath")
    fsspec.filesystem("memory").store.clear()
    try:
        assert mmaudit(*AUDIT, "--out", "memory://first-day/run").code == 0
        for command in (("score",), ("keep", *BASE, "--keep-samples", "2")):
            done = mmaudit(command[0], "memory://first-day/run", *command[1:])
            assert done.code == 0, done.err
            assert "memory://first-day/run" in done.out
            assert "memory:/f" not in done.out
            assert "mmaudit dashboard" not in done.out  # it reads folders of this machine
    finally:
        fsspec.filesystem("memory").store.clear()
    assert not (place / "memory:").exists()
