"""The gate on real runs: finished or not, against a previous one, from the command line, in a workflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.gate_runs import audited, samples, worse
from helpers.run_cases import contents
from mmaudit.cli import main
from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.folder import writing
from mmaudit.gate import judge, policy_from
from mmaudit.gate.result import Judged
from mmaudit.report import Report
from mmaudit.store import Run

ROOT = Path(__file__).parents[1]
CLEAN = '[[require]]\nname = "clean"\ncondition = "clean"\nmin = 0.5\n'
STRICT = CLEAN.replace("0.5", "0.999")
MISSING = 'condition = "missing[note, baseline=zero]"\n'
NO_WORSE = '[[require]]\nname = "it"\n{}max_regression = {}\n'


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`old` and `new` hold the same samples; `new` is wrong on every twelfth, and has other conditions."""
    folder = tmp_path_factory.mktemp("runs")
    audited(folder / "old", suite=["missing", "keyboard"])
    audited(folder / "new", worse(12), suite=["missing", "mismatch"])
    return folder


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    """A copy of `new` to do things to."""
    return Path(shutil.copytree(runs / "new", tmp_path / "run"))


# ---- finished, stale, damaged


def test_judging_needs_the_report_alone_and_changes_nothing(run: Path, tmp_path: Path) -> None:
    before = contents(run, leave_out=())
    assert judge(run, policy_from(CLEAN)).ok
    assert contents(run, leave_out=()) == before
    (tmp_path / "alone").mkdir()
    shutil.copy(run / "report.json", tmp_path / "alone" / "report.json")
    assert judge(tmp_path / "alone", policy_from(CLEAN)).ok
    assert judge(tmp_path / "alone" / "report.json", policy_from(CLEAN)).ok


def unfinished(folder: Path, text: str = CLEAN) -> str:
    verdict = judge(folder, policy_from(text))
    assert not verdict.ok
    assert {c.kind for j in verdict.judged for c in j.checks} == {"run"}
    return verdict.judged[0].checks[0].sentence


def test_a_run_without_report_fails(run: Path) -> None:
    (run / "report.json").unlink()
    assert "1 of 1 prediction files and no report; score it" in unfinished(run)
    next((run / "predictions").iterdir()).unlink()
    assert "0 of 1 prediction files" in unfinished(run)
    assert "not finished" in unfinished(run, 'undecided = "allow"\n[findings]\nmax_level = "none"')


def test_a_run_that_grew_since_its_report_fails(run: Path, runs: Path) -> None:
    Run.open(run).extend(Run.open(runs / "old").conditions)
    assert "5 planned conditions are not in its report" in unfinished(run)


@pytest.mark.skipif(sys.platform == "win32", reason="no advisory locks")
def test_a_run_being_written_fails(run: Path) -> None:
    with writing(run):
        assert "another process is writing" in unfinished(run)
    assert judge(run, policy_from(CLEAN)).ok


def test_a_report_of_another_model_is_stale(run: Path, runs: Path) -> None:
    shutil.copy(runs / "old" / "report.json", run / "report.json")
    with pytest.raises(StaleRun, match="is of another model"):
        judge(run, policy_from(CLEAN))


@pytest.mark.parametrize(
    "damage", [b"{", b"[]", b'{"schema": "mmaudit.run/1"}', b'{"schema": "mmaudit.run/9"}', b"\xff", b"[" * 100_000]
)
def test_a_damaged_run_is_an_error_whatever_the_policy(run: Path, damage: bytes) -> None:
    (run / "run.json").write_bytes(damage)
    with pytest.raises((DamagedRun, StaleRun)):
        judge(run, policy_from(CLEAN))


@pytest.mark.parametrize(
    ("name", "value"), [("increments", [[3]]), ("increments", 3), ("model", 3), ("shard_rows", 0), ("data", {})]
)
def test_a_header_that_lies_is_damage(run: Path, name: str, value: object) -> None:
    header = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**header, name: value}))
    if name == "shard_rows":
        (run / "report.json").unlink()
    with pytest.raises(DamagedRun, match=r"run\.json"):
        judge(run, policy_from(CLEAN))


# ---- against a previous run


def against(runs: Path, text: str, new: str = "new", old: str = "old") -> Judged:
    return judge(runs / new, policy_from(text), against=runs / old).judged[0]


def test_a_regression_is_held_against_its_limit(runs: Path) -> None:
    found = against(runs, NO_WORSE.format('condition = "clean"\n', 0.01))
    (check,) = found.checks
    assert (check.kind, found.outcome) == ("regression", "fail")
    before, after = (Report.read(runs / name) for name in ("old", "new"))
    values = [r.score(r.clean, "accuracy").value for r in (before, after)]  # type: ignore[union-attr]
    assert check.value == pytest.approx(values[0] - values[1])
    assert check.low < check.value < check.high
    assert against(runs, NO_WORSE.format('condition = "clean"\n', check.high)).outcome == "pass"
    just = float(np.nextafter(check.high, 0) - 1e-15)
    assert against(runs, NO_WORSE.format('condition = "clean"\n', just)).outcome == "undecided"
    # The other way round it is an improvement.
    better = against(runs, NO_WORSE.format('condition = "clean"\n', 0), "old", "new")
    assert (better.outcome, better.checks[0].high) == ("pass", pytest.approx(-check.low, abs=0.02))


def test_a_metric_that_is_better_when_lower(runs: Path) -> None:
    (check,) = against(runs, NO_WORSE.format('condition = "clean"\nmetric = "ece"\n', 1)).checks
    before, after = (Report.read(runs / name) for name in ("old", "new"))
    values = [r.score(r.clean, "ece").value for r in (before, after)]  # type: ignore[union-attr]
    assert check.value == pytest.approx(values[1] - values[0])


def test_a_drop_that_grew(runs: Path) -> None:
    text = f'[[require]]\nname = "it"\n{MISSING}max_drop_growth = 0.5\n'
    (check,) = against(runs, text).checks
    assert (check.kind, check.outcome) == ("growth", "pass")
    before, after = (Report.read(runs / name) for name in ("old", "new"))
    drops = []
    for report in (before, after):
        key = next(m.key for m in report.conditions if m.condition.label == "missing[note, baseline=zero]")
        drops.append(-report.score(key, "accuracy").delta)  # type: ignore[union-attr]
    assert check.value == pytest.approx(drops[1] - drops[0])
    clean = against(runs, '[[require]]\nname = "it"\ncondition = "clean"\nmax_drop_growth = 0.5\n')
    assert (clean.outcome, "give max_regression" in clean.checks[0].sentence) == ("fail", True)


def test_groups_are_compared_too(runs: Path) -> None:
    found = against(runs, NO_WORSE.format('condition = "clean"\ngroup = "age"\n', 1))
    assert {c.group for c in found.checks} == {"age=old", "age=young"}
    assert found.outcome == "pass"
    # Every twelfth sample is wrong now, all of them among the young.
    worst = {c.group: c.value for c in found.checks}
    assert worst["age=young"] > worst["age=old"]
    other = against(runs, NO_WORSE.format('condition = "clean"\nmetric = "ece"\ngroup = "age"\n', 1))
    assert "by the primary metric alone" in other.checks[-1].sentence


def test_a_condition_that_is_gone_fails_and_a_new_one_is_undecided(runs: Path) -> None:
    gone = against(runs, 'undecided = "allow"\n' + NO_WORSE.format('probe = "text.keyboard"\n', 1))
    assert not gone.ok
    assert sum("the previous run has this condition" in c.sentence for c in gone.checks) == 5
    new = against(runs, NO_WORSE.format('probe = "mismatch"\n', 1))
    assert {c.outcome for c in new.checks} == {"undecided"}
    assert "only this run has this condition" in new.checks[0].sentence
    nowhere = against(runs, NO_WORSE.format('probe = "conflict"\n', 1))
    assert [c.kind for c in nowhere.checks] == ["policy"]


def test_a_summary_has_no_previous_value(runs: Path) -> None:
    found = against(runs, NO_WORSE.format('condition = "missing"\nmetric = "worst_case"\n', 1))
    assert (found.outcome, "no previous run" in found.checks[0].sentence) == ("fail", True)


def test_other_samples_are_compared_as_such_and_it_is_said(runs: Path, tmp_path: Path) -> None:
    audited(tmp_path / "other", data=samples(200, seed=3), suite=["missing"])
    verdict = judge(tmp_path / "other", policy_from(NO_WORSE.format('condition = "clean"\n', 1)), against=runs / "old")
    assert verdict.ok
    assert verdict.against["paired"] is False
    assert verdict.against["reason"]
    assert verdict.to_json()["against"]["folder"] == str(runs / "old")


def test_a_previous_run_is_given_where_and_only_where_it_is_asked_for(runs: Path) -> None:
    with pytest.raises(BadInput, match="'it' compares with a previous run; give it by --against"):
        judge(runs / "new", policy_from(NO_WORSE.format(MISSING, 0)))
    with pytest.raises(BadInput, match="no requirement compares with it"):
        judge(runs / "new", policy_from(CLEAN), against=runs / "old")
    with pytest.raises(BadInput, match="is no run folder"):
        judge(runs / "new" / "report.json", policy_from(NO_WORSE.format(MISSING, 0)), against=runs / "old")
    with pytest.raises(BadInput, match="is not a run folder"):
        judge(runs / "new", policy_from(NO_WORSE.format(MISSING, 0)), against=runs / "nowhere")


# ---- the command


@pytest.fixture
def gate(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)

    def call(policy: str, *arguments: str, run: str | Path = runs / "new") -> tuple[int, str, str]:
        (tmp_path / "policy.toml").write_text(policy, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["mmaudit", "gate", str(run), "policy.toml", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


def test_exit_codes(gate: Callable[..., tuple[int, str, str]], run: Path) -> None:
    code, out, err = gate(CLEAN)
    assert (code, err) == (0, "")
    assert "PASS       clean (1 check)" in out
    assert "gate open: policy, 2 pass" in out
    code, out, _ = gate(STRICT)
    assert (code, "FAIL       clean" in out, "gate shut: policy, 1 pass, 1 fail" in out) == (1, True, True)
    code, _, err = gate(CLEAN + "mx = 1")
    assert (code, "no key 'mx'" in err, err.startswith("mmaudit: policy.toml, line 1")) == (2, True, True)
    assert gate(CLEAN, run="nowhere")[0] == 2
    (run / "run.json").write_text("{")
    assert gate(CLEAN, run=run)[0] == 4


def test_files_are_written_whether_the_gate_is_open_or_shut(
    gate: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    files = ("--junit", "out/gate.xml", "--sarif", "out/gate.sarif", "--summary", "out/gate.md")
    for policy, failures in ((CLEAN, 0), (STRICT, 1)):
        assert gate(policy, *files)[0] == failures
        assert ET.parse(tmp_path / "out" / "gate.xml").getroot().get("failures") == str(failures)
        assert len(json.loads((tmp_path / "out" / "gate.sarif").read_text())["runs"][0]["results"]) == failures
        assert (tmp_path / "out" / "gate.md").read_text(encoding="utf-8").count("## ") >= 1
    code, _, err = gate(CLEAN, "--junit", str(tmp_path / "policy.toml" / "x.xml"))
    assert (code, "cannot write" in err) == (2, True)


def test_json_is_all_that_stands_on_standard_output(
    gate: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    code, out, err = gate('name = "##[error]x"\n' + STRICT, "--json")
    plain = json.loads(out)
    assert (code, plain["ok"], plain["policy"]) == (1, False, "##[error]x")
    assert "##[" not in out
    assert err.startswith("::error file=policy.toml,line=2,title=mmaudit gate%3A clean::accuracy on clean data is ")


def test_a_workflow_gets_annotations_and_its_summary_is_added_to(
    gate: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = tmp_path / "step.md"
    steps.write_text("from before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(steps))
    code, out, _ = gate(STRICT)
    assert (code, out.count("::error ")) == (1, 1)
    text = steps.read_text(encoding="utf-8")
    assert text.startswith("from before\n## ")
    gate(CLEAN, "--summary", str(steps))
    assert steps.read_text(encoding="utf-8").startswith(text)
    gate(CLEAN, "--summary", "own.md")
    assert "from before" not in (tmp_path / "own.md").read_text(encoding="utf-8")


def test_the_gate_loads_neither_torch_nor_numba(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(CLEAN)
    code = (
        "import sys; from mmaudit.cli import main\n"
        "sys.argv = ['mmaudit', 'gate', sys.argv[1], sys.argv[2]]\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'numba', 'scipy', 'sklearn', 'netcal', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(runs / "new"), str(tmp_path / "policy.toml")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GITHUB_ACTIONS": ""},
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("file", ["examples/github-actions.yml", "examples/gate_policy.toml", "docs/gate.md"])
def test_every_documented_command_exists_with_its_options(file: str) -> None:
    from typer.main import get_command

    from mmaudit.cli import app

    commands = get_command(app).commands
    text = (ROOT / file).read_text(encoding="utf-8")
    found = re.findall(
        r"(?:run: |`|: |^ +)mmaudit ([a-z]+)((?: (?!mmaudit)[^`\n]*\n?(?: +-[^\n]*\n)*)?)", text, re.MULTILINE
    )
    assert found
    for name, rest in found:
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z][a-z-]*", rest)) <= known, (name, rest)
