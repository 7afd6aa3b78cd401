"""The command: what it prints, writes and returns; that `--help` teaches and loads nothing heavy."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import contents, dataset
from mmaudit import Run
from mmaudit.cli import app, main
from mmaudit.folder import writing

MODEL = '''
import numpy as np
import mmaudit

WORDS = ("red", "green", "blue")


def says(table, note):
    """Adds up the table and the words of the note."""
    counts = np.array([[text.split().count(word) for word in WORDS] for text in note], float)
    return (table + 0.7 * counts).sum(axis=1, keepdims=True)


def factory():
    return mmaudit.FunctionModel(says, ["table", "note"], outputs="values")


def restless():
    rng = np.random.default_rng(0)
    return mmaudit.FunctionModel(lambda table, note: rng.normal(size=(len(table), 1)), ["table", "note"],
                                 outputs="values", fingerprint="restless")


def impatient():
    def stops(table, note):
        raise KeyboardInterrupt
    return mmaudit.FunctionModel(stops, ["table", "note"], outputs="values")
'''

Command = Callable[..., "Done"]


class Done:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def mmaudit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in this process, through the same entry point as the installed script."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["mmaudit", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "160")
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


def write_data(folder: Path, n: int = 200, seed: int = 0) -> Path:
    data = dataset("regression", n, seed=seed)
    batch = data.rows(np.arange(n))
    sites = np.array(["north", "south"])[np.arange(n) % 2]
    inputs = {"table": batch.inputs["table"], "note": np.array(batch.inputs["note"].tolist())}
    np.savez(folder / "data.npz", **inputs, target=data.target[:, 0], site=sites, visit=np.arange(n) // 2)
    return folder / "data.npz"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, its data, and a run of it to come."""
    # One name for every test: a module is only imported once.
    (tmp_path / "toy_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "toy_model", raising=False)
    write_data(tmp_path)
    return tmp_path


BASE = ("--data", "data.npz", "--task", "regression:mm", "--modality", "table=tabular", "--modality", "note=text")
AUDIT = ("audit", "--model", "toy_model:factory", *BASE, "--suite", "quick", "--resamples", "20")


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
        f"missing[{m}, baseline=zero]" for m in ("table", "note", "table+note")
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
        ('data = "data.npz"', "--model and --out missing"),
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
    assert "missing[table+note, baseline=zero]" in done.out
    assert "declined: missing on table, note" in done.out
    assert "15 conditions" in done.out
    assert "3,000 through the model" in done.out
    assert " s on this machine" in done.out
    found = mmaudit(*AUDIT, "--dry-run", "--json")
    assert len(found.json["conditions"]) == 15
    assert found.json["passes"] == {"model": 3000}
    assert found.json["seconds"] >= 0
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
        (("audit",), 2, "--model and --data and --out missing"),
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


def test_a_stale_or_damaged_run_is_exit_code_4(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    write_data(place, seed=1)
    stale = mmaudit(*AUDIT, "--out", "run")
    assert (stale.code, "another data" in stale.err) == (4, True)
    shard = next((place / "run" / "predictions").iterdir())
    shard.write_bytes(shard.read_bytes()[:100])
    damaged = mmaudit("score", "run")
    assert (damaged.code, "Audit again to the same folder" in damaged.err) == (4, True)
    (place / "run" / "run.json").write_text("{")
    assert mmaudit("score", "run").code == 4
    assert mmaudit("list", "run").code == 4


# ---- the other commands


def test_score_shows_and_renews(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    before = contents(place / "run", leave_out=())
    shown = mmaudit("score", "run", "--metric", "mae", "--condition", "missing[note, baseline=zero]")
    assert shown.code == 0
    assert "mae" in shown.out
    assert "missing[note, baseline=zero]" in shown.out
    found = mmaudit("score", "run", "--metric", "mae", "--json").json
    assert {s["metric"] for s in found} == {"mae"}
    assert len(found) == 15
    assert contents(place / "run", leave_out=()) == before
    renewed = mmaudit("score", "run", "--resamples", "40")
    assert renewed.code == 0
    assert "report.html" in renewed.out
    after = contents(place / "run", leave_out=())
    assert {name for name in after if after[name] != before[name]} == {
        "bootstrap.json",
        "scores.parquet",
        "report.json",
        "report.html",
        *({"findings.json"} if after["findings.json"] != before["findings.json"] else set()),
    }
    for slip, hint in (("--metric", "did you mean 'rmse'"), ("--condition", "is not registered")):
        done = mmaudit("score", "run", slip, "rmsee")
        assert (done.code, hint in done.err) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="no advisory locks")
def test_scores_are_not_written_while_an_audit_is(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    before = contents(place / "run", leave_out=())
    with writing(place / "run"):
        done = mmaudit("score", "run")
        assert (done.code, "another audit is writing to run" in done.err) == (2, True)
        assert mmaudit("score", "run", "--metric", "rmse").code == 0
    assert contents(place / "run", leave_out=()) == before


def test_an_audit_killed_before_its_scores_says_what_to_do(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    whole = contents(place / "run")
    for name in ("scores.parquet", "conditions.parquet", "findings.json", "report.json", "report.html"):
        (place / "run" / name).unlink()
    done = mmaudit("score", "run", "--metric", "rmse")
    assert (done.code, "run: mmaudit score run" in done.err) == (4, True)
    missing = mmaudit("report", "run")
    assert (missing.code, "mmaudit score" in missing.err) == (2, True)
    assert mmaudit("score", "run", "--resamples", "20").code == 0
    assert contents(place / "run") == whole


def test_report_writes_the_page_again(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    page = (place / "run" / "report.html").read_bytes()
    (place / "run" / "report.html").unlink()
    assert mmaudit("report", "run").code == 0
    assert (place / "run" / "report.html").read_bytes() == page
    assert mmaudit("report", "run/report.json", "--html", "elsewhere/mine.html").code == 0
    assert (place / "elsewhere" / "mine.html").read_bytes() == page
    assert mmaudit("report", "run", "--json").json["schema"] == "mmaudit.report/1"


def test_doctor_lists_every_clause(mmaudit: Command) -> None:
    done = mmaudit("doctor", "--model", "toy_model:factory", *BASE)
    assert done.code == 0
    assert "ok    determinism: the same batch twice gives the same bits" in done.out
    assert "FAIL" not in done.out
    found = mmaudit("doctor", "--model", "toy_model:factory", *BASE, "--json").json
    assert found["model"] == "says"
    assert {c["clause"]: c["ok"] for c in found["checks"]}["finite"] is True
    ill = mmaudit("doctor", "--model", "toy_model:restless", *BASE)
    assert (ill.code, "FAIL  determinism" in ill.out) == (3, True)


def test_probes_are_listed_by_kind_with_their_severities_and_sources(mmaudit: Command) -> None:
    shown, found = mmaudit("list", "probes"), mmaudit("list", "probes", "--json").json
    assert shown.code == 0
    named = [line.split()[0] for line in shown.out.splitlines() if line.startswith("  ") and line[2] != " "]
    assert sorted(named) == [row["name"] for row in found]
    assert "corruption: image" in shown.out.splitlines()
    assert "  image.gaussian_noise  v1  0.08 0.12 0.18 0.26 0.38  σ, of the legal range" in shown.out
    assert all(row["kinds"] and row["source"] and row["summary"] for row in found)
    assert {row["name"] for row in found if row["changes_meaning"]} == {"text.negation"}


@pytest.mark.parametrize("what", ["metrics", "rules", "suites"])
def test_lists(mmaudit: Command, what: str) -> None:
    shown, found = mmaudit("list", what), mmaudit("list", what, "--json").json
    assert shown.code == 0
    assert found
    lines = shown.out.splitlines()
    assert [line.split()[0] for line in lines] == [row["name"] for row in found]
    assert all(row.get("summary", row.get("probes")) for row in found)


def test_the_conditions_of_a_run_are_listed(mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    names = [row["name"] for row in mmaudit("list", "run", "--json").json]
    assert names[0] == "clean"
    assert len(names) == 15


# ---- help, and what a fresh process loads


COMMANDS = [c.name or c.callback.__name__ for c in app.registered_commands]  # type: ignore[union-attr]


def test_every_command_of_the_issue_is_there() -> None:
    assert set(COMMANDS) >= {"audit", "score", "report", "doctor", "list", "demo"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(mmaudit: Command, command: str) -> None:
    done = mmaudit(command, "--help")
    assert done.code == 0
    assert "Usage: mmaudit" in done.out
    parameters = next(c for c in app.registered_commands if (c.name or c.callback.__name__) == command)  # type: ignore[union-attr]
    first = (parameters.callback.__doc__ or "").split()[:3]
    assert " ".join(first) in " ".join(done.out.split())


def test_the_front_page_names_all_commands_and_exit_codes(mmaudit: Command) -> None:
    done = mmaudit("--help")
    said = " ".join(done.out.replace("│", " ").split())
    assert done.code == 0
    assert all(command in said for command in COMMANDS)
    for code in ("0 done", "2 wrong input", "3 the model broke its contract", "4 the run folder is stale", "130"):
        assert code in said, code


HEAVY = ("torch", "captum", "netcal", "streamlit", "pandas", "sklearn", "scipy.stats", "numba", "pyarrow", "matplotlib")


@pytest.mark.parametrize("how", ["import mmaudit", "help"])
def test_a_fresh_process_loads_nothing_heavy(how: str) -> None:
    run = how if how != "help" else "sys.argv = ['mmaudit', '--help']; from mmaudit.cli import main; main()"
    loaded = f"json.dumps([m for m in {HEAVY!r} if m in sys.modules])"
    code = f"import atexit, json, sys\natexit.register(lambda: print({loaded}, file=sys.stderr))\n{run}"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    print(f"{how}: {time.perf_counter() - started:.2f} s")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.splitlines()[-1]) == []


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


# ---- synergy


def test_synergy_of_a_run_and_of_data_alone(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "runs/mine").code == 0
    shown = mmaudit("synergy", "runs/mine")
    assert shown.code == 0, shown.err
    assert "Reliance" in shown.out
    assert "Shapley value" in shown.out
    found = mmaudit("synergy", "runs/mine", "--json").json
    assert {"shapley_value", "synergy", "emap_gap"} <= {e["estimator"] for e in found["estimates"]}
    assert all(e["value"] is not None or e["reason"] for e in found["estimates"])
    alone = mmaudit("synergy", *BASE, "--resamples", "50", "--json")
    assert alone.code == 0, alone.err
    assert {e["options"].get("of", "data") for e in alone.json["estimates"]} == {"data"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give either a run folder or --data"),
        (("runs/mine", "--data", "data.npz"), "give either a run folder or --data"),
        (("nowhere",), "is not a run folder"),
    ],
)
def test_synergy_asked_of_nothing(arguments: tuple[str, ...], said: str, mmaudit: Command) -> None:
    done = mmaudit("synergy", *arguments)
    assert done.code == 2
    assert said in done.err
