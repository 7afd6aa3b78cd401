"""`mmaudit audit`: what it prints, writes and returns."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.cli_cases import AUDIT, BASE, Command, write_data
from helpers.run_cases import contents
from mmaudit import Run, console

pytestmark = pytest.mark.usefixtures("place")

# ---- audit


def test_an_audit_from_the_shell(place: Path, mmaudit: Command) -> None:
    done = mmaudit(*AUDIT, "--out", "runs/mine", "--group", "site", "--cluster", "visit", "--title", "Toys")
    assert done.code == 0, done.err
    page = place / "runs" / "mine" / "report.html"
    assert page.is_file()
    assert "Toys" in done.out
    assert str(Path("runs/mine/report.html")) in done.out
    assert page.as_uri() in done.out
    run = Run.open(place / "runs" / "mine")
    assert run.header["title"] == "Toys"
    assert run.header["command"].startswith("mmaudit audit --model toy_model:factory --data data.npz")
    assert run.task.unit == "mm"
    assert [(m.name, m.kind) for m in run.modalities] == [("table", "tabular"), ("note", "text")]
    assert set(run.samples.groups["site"]) == {"north", "south"}
    assert len(set(run.samples.cluster.tolist())) == 100  # type: ignore[union-attr]
    again = mmaudit(*AUDIT, "--out", "runs/mine", "--group", "site", "--cluster", "visit", "--json")
    assert again.code == 0
    assert set(again.json) == {"out", "findings"}
    assert again.json["out"] == str(Path("runs/mine"))
    assert {"rule", "level", "claim", "reproduce", "id"} <= set(again.json["findings"][0])


def test_findings_are_printed_with_the_command_that_shows_them_again(place: Path, mmaudit: Command) -> None:
    said = mmaudit(*AUDIT, "--out", "run")
    findings = json.loads((place / "run" / "findings.json").read_text())
    assert findings
    for finding in findings:
        assert finding["reproduce"] in said.out
        shown = mmaudit(*shlex.split(finding["reproduce"])[1:], "--json")
        assert shown.code == 0
        cited = finding["evidence"][0]
        assert any(s["condition"] == cited["condition"] and s["value"] == cited["value"] for s in shown.json)


def test_a_file_may_hold_the_options_and_the_command_line_wins(place: Path, mmaudit: Command) -> None:
    (place / "audit.toml").write_text(
        'model = "toy_model:factory"\ndata = "data.npz"\ntask = "regression:mm"\nout = "run"\nseed = 5\n'
        'resamples = 20\nbatch_rows = 64\ntitle = "From the file"\n\n'
        '[modality]\ntable = "tabular"\nnote = "text"\n\n'
        '[suite]\nbase = "quick"\nprobes = ["missing"]\nbaselines = ["zero"]\n'
    )
    assert mmaudit("audit", "--config", "audit.toml").code == 0
    run = Run.open(place / "run")
    assert (run.header["title"], run.header["batch_rows"]) == ("From the file", 64)
    assert [c.label for c in run.conditions if c.family == "missing"] == [
        f"missing[{m}, baseline=zero]" for m in ("table", "note", "note+table")
    ]
    with_five = (place / "run" / "scores.parquet").read_bytes()
    assert mmaudit("audit", "--config", "audit.toml", "--seed", "0", "--out", "other", "--title", "Mine").code == 0
    assert (place / "other" / "scores.parquet").read_bytes() != with_five
    assert Run.open(place / "other").header["title"] == "Mine"


COMPLETE = (
    'model = "toy_model:factory"\ndata = "data.npz"\ntask = "regression"\nout = "r"\n'
    'modality = {table = "tabular", note = "text"}\n'
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('modle = "x"', "did you mean 'model'"),
        ("model = ", "is not TOML"),
        ('data = "data.npz"', "--model and --out are missing"),
        (COMPLETE + 'resamples = "many"', "resamples='many' is not usable"),
        (COMPLETE + 'suite = {repeats = "many"}', "repeats='many' is not usable"),
    ],
)
def test_a_file_with_a_slip_is_refused(place: Path, mmaudit: Command, text: str, says: str) -> None:
    (place / "audit.toml").write_text(text)
    done = mmaudit("audit", "--config", "audit.toml")
    assert done.code == 2
    assert re.search(says, done.err), done.err
    assert mmaudit("audit", "--config", "none.toml").code == 2


def test_a_dry_run_says_what_would_run_and_touches_nothing(place: Path, mmaudit: Command) -> None:
    before = contents(place)
    done = mmaudit(*AUDIT, "--out", "run", "--dry-run")
    assert done.code == 0
    assert "missing[note+table, baseline=zero]" in done.out
    assert "declined: missing on table, note" in done.out
    assert "15 conditions" in done.out
    assert "3,000 through the model" in done.out
    assert " s on this machine" in done.out
    assert "Not counted: checks of the model, and analyses" in done.out
    found = mmaudit(*AUDIT, "--dry-run", "--json")
    assert len(found.json["conditions"]) == 15
    assert found.json["passes"] == {"model": 3000}
    assert found.json["seconds"] >= 0
    assert found.json["not_counted"][0] == "checks"
    assert {d["probe"] for d in found.json["declined"]} == {"missing"}
    assert not (place / "run").exists()
    assert {k: v for k, v in contents(place).items() if "__pycache__" not in k} == before


def test_parquet_with_columns(place: Path, mmaudit: Command) -> None:
    import pandas as pd

    with np.load(place / "data.npz") as file:
        frame = pd.DataFrame(file["table"], columns=["x", "y", "z"]).assign(
            text=file["note"], score=file["target"], key=[f"s{i}" for i in range(200)]
        )
    frame.to_parquet(place / "data.parquet")
    options = (
        *("audit", "--model", "toy_model:factory", "--data", "data.parquet", "--task", "regression"),
        *("--target", "score", "--ids", "key", "--modality", "table=tabular", "--modality", "note=text"),
        *("--columns", "table=x,y,z", "--columns", "note=text", "--suite", "quick", "--resamples", "20"),
    )
    done = mmaudit(*options, "--out", "run")
    assert done.code == 0, done.err
    assert mmaudit(*AUDIT, "--out", "other").code == 0
    a, b = Run.open(place / "run"), Run.open(place / "other")
    assert a.samples.ids[3] == "s3"
    np.testing.assert_array_equal(a.read(a.conditions[0]).outputs, b.read(b.conditions[0]).outputs)


# ---- exit codes


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("audit",), 2, "--model, --data and --out are missing"),
        (("audit", "--model", "no_such:thing", *BASE, "--out", "r"), 2, "there is no module 'no_such'"),
        (("audit", "--model", "toy_model:factroy", *BASE, "--out", "r"), 2, "did you mean 'factory'"),
        (
            ("audit", "--model", "toy_model:factory", "--data", "no.npz", "--task", "regression", "--out", "r"),
            2,
            "no.npz",
        ),
        (("audit", "--model", "toy_model:factory", "--data", "a.csv", "--out", "r"), 2, ".csv"),
        ((*AUDIT, "--suite", "quik", "--out", "r"), 2, "did you mean 'quick'"),
        ((*AUDIT, "--resamples", "0", "--out", "r"), 2, "resamples=0"),
        ((*AUDIT, "--out", "data.npz"), 2, "is a file"),
        (("audit", "--model", "toy_model:restless", *BASE, "--out", "r"), 3, "determinism"),
        (("doctor", "--model", "toy_model:restless", *BASE), 3, ""),
        (("audit", "--model", "toy_model:impatient", *BASE, "--out", "r"), 130, "run the same command again"),
        (("score", "nowhere"), 2, "is not a run folder"),
        (("report", "nowhere"), 2, "does not exist"),
        (("list", "probs"), 2, "did you mean 'probes'"),
        (("frobnicate",), 2, "No such command"),
        (("audit", "--frobnicate"), 2, "No such option"),
    ],
)
def test_exit_codes(place: Path, mmaudit: Command, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = mmaudit(*arguments)
    assert done.code == code, done.err
    assert says in done.err
    assert "Traceback" not in done.err
    assert not (place / "r").exists()


def test_scores_that_are_shown_are_not_drawn_anew(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    before = (place / "run" / "report.json").read_bytes()
    for option in (("--resamples", "50"), ("--seed", "3")):
        refused = mmaudit("score", "run", "--metric", "rmse", *option)
        assert (refused.code, "first, then show them" in refused.err) == (2, True)
    assert (place / "run" / "report.json").read_bytes() == before
    assert mmaudit("score", "run", "--resamples", "50").code == 0
    assert (place / "run" / "report.json").read_bytes() != before
    shown = mmaudit("score", "run", "--metric", "rmse")
    assert shown.code == 0, shown.err


def test_a_stale_or_damaged_run_is_exit_code_4(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    write_data(place, seed=1)
    stale = mmaudit(*AUDIT, "--out", "run")
    assert (stale.code, "other data" in stale.err) == (4, True)
    shard = next((place / "run" / "predictions").iterdir())
    shard.write_bytes(shard.read_bytes()[:100])
    damaged = mmaudit("score", "run")
    assert (damaged.code, "Audit again to the same folder" in damaged.err) == (4, True)
    (place / "run" / "run.json").write_text("{")
    assert mmaudit("score", "run").code == 4
    assert mmaudit("list", "run").code == 4


def test_the_installed_command_runs_an_audit(place: Path) -> None:
    arguments = [*AUDIT, "--out", "run", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "mmaudit.cli", *arguments], capture_output=True, text=True, cwd=place, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["out"] == "run"
    assert done.stderr == ""
    failed = subprocess.run(
        [sys.executable, "-m", "mmaudit.cli", "score", "nowhere"], capture_output=True, text=True, cwd=place
    )
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("mmaudit: nowhere is not a run folder")
    assert len(failed.stderr.splitlines()) == 1


def test_the_package_runs_as_the_command_does(place: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "mmaudit", "--version"], capture_output=True, text=True, cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mmaudit ")


def test_progress_says_what_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    """`mmaudit work` makes no scores and no report, so its bar does not end with them."""
    for given, last in (({}, "synergy, scores, report"), ({"then": "share answered"}, "share answered")):
        with console.progress_bar(False, **given) as progress:
            progress(2, 2)
        shown = capsys.readouterr().err
        assert last in shown
        assert ("scores" in shown) == (not given)
