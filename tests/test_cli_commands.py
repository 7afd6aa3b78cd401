"""The commands beside `mmaudit audit`: what they print, write and return."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from helpers.cli_cases import AUDIT, BASE, Command
from helpers.run_cases import contents
from mmaudit.folder import writing
from mmaudit.probes import probes

OWN = '''
from mmaudit.probes.base import corruption
from toy_model import factory


@corruption("shouted", kinds=("text",), severities=(1, 2, 3, 4, 5), unit="words", source="this test")
def shouted(x, severity, rng):
    """Everything is shouted."""
    return x.upper()
'''

pytestmark = pytest.mark.usefixtures("place")


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


def test_a_metric_of_another_task_is_told_from_none(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    done = mmaudit("score", "run", "--metric", "brier")
    assert done.code == 2
    assert "metric 'brier' is one of classification and multilabel, and the task of this run is regression" in done.err
    assert "'mmaudit list metrics'" in done.err
    tasks = {row["name"]: row["tasks"] for row in mmaudit("list", "metrics", "--json").json}
    assert tasks["rmse"] == "regression"


SLIPS = {
    "suite": ("quik", "did you mean 'quick'"),
    "probe": (["missing", "text.keybord"], "did you mean 'text.keyboard'"),
    "stand-in": ({"baselines": ["zeroo"]}, "did you mean 'zero'"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_name_nobody_knows_is_refused_before_the_model_is_made(place: Path, mmaudit: Command, slip: str) -> None:
    (place / "slow_model.py").write_text("def factory():\n    raise RuntimeError('the model was made')\n")
    suite, hint = SLIPS[slip]
    written = "{" + ", ".join(f"{k} = {v}" for k, v in suite.items()) + "}" if isinstance(suite, dict) else repr(suite)
    (place / "slip.toml").write_text(f"suite = {written}\n")
    done = mmaudit("audit", "--model", "slow_model:factory", *BASE, "--config", "slip.toml", "--out", "run")
    assert (done.code, hint in done.err) == (2, True), done.err
    assert "the model was made" not in done.err
    assert not (place / "run").exists()


UNUSABLE = {
    "resamples": ("0", "resamples=0 is not usable; give a whole number of at least 1."),
    "seed": ("-1", "seed=-1 is not usable; give a whole number of at least 0."),
    "batch-rows": ("many", "batch_rows='many' is not usable; give a whole number of at least 1, or \"auto\"."),
    "keep-samples": ("-1", "keep_samples=-1 is not usable; give a whole number of samples, 0 to keep none."),
    "budget": ("10", "budget='10' is not usable; give a time above 0 with its unit: 90s, 10m, 1.5h or 2d."),
    "forwards": ("0", "forwards=0 is not usable; give a whole number of at least 1."),
    "jobs": ("0", "jobs=0 is not usable; give a whole number of at least 1, or -1 for all cores."),
    "executor": ("rai", "executor 'rai' is not registered; did you mean 'ray'?"),
    "worker-gpus": ("1", "worker_gpus=1.0 has no place with executor 'inprocess'; it is for 'ray'."),
    "time-limit": ("5", "time_limit=5.0 has no place with executor 'inprocess'; choose 'loky' or 'ray'"),
    "outputs": ("logit", "model 'no_such_module:factory': outputs='logit' is not one of 'logits', 'probabilities', "),
    "weights": ("none.pt", "model file 'none.pt' does not exist; give the path of a file."),
    "out": ("data.npz", "out='data.npz' is a file; give a folder."),
}


@pytest.mark.parametrize("option", UNUSABLE)
def test_an_option_that_is_not_usable_is_refused_before_anything_is_read(
    place: Path, mmaudit: Command, option: str
) -> None:
    value, says = UNUSABLE[option]
    given = {"--model": "no_such_module:factory", "--data": "no_such.npz", "--out": "run", f"--{option}": value}
    done = mmaudit("audit", *(part for pair in given.items() for part in pair))
    assert (done.code, done.err.splitlines()) == (2, [f"mmaudit: {done.err.removeprefix('mmaudit: ').strip()}"])
    assert done.err.startswith(f"mmaudit: {says}")
    assert not (place / "run").exists()


@pytest.mark.parametrize("command", ["plan", "work", "merge"])
def test_the_options_of_shares_are_looked_at_first_too(place: Path, mmaudit: Command, command: str) -> None:
    (place / "a.toml").write_text('model = "no_such:factory"\ndata = "no.npz"\nout = "run"\nbatch_rows = 0\n')
    done = mmaudit(command, "--config", "a.toml")
    assert (done.code, "batch_rows=0 is not usable" in done.err) == (2, True), done.err


def test_probes_that_the_models_module_registers_are_known(
    place: Path, mmaudit: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "own_model.py").write_text(OWN)
    (place / "own.toml").write_text("suite = ['text.shouted']\n")
    monkeypatch.setattr(probes, "_items", dict(probes._items))
    done = mmaudit("audit", "--model", "own_model:factory", *BASE, "--config", "own.toml", "--out", "run")
    assert done.code == 0, done.err
    assert [row for row in mmaudit("list", "run", "--json").json if row["name"].startswith("text.shouted")]


def test_a_method_nobody_knows_is_refused_before_the_model_is_made(place: Path, mmaudit: Command) -> None:
    assert mmaudit(*AUDIT, "--out", "run").code == 0
    (place / "slow_model.py").write_text("def factory():\n    raise RuntimeError('the model was made')\n")
    given = ("--model", "slow_model:factory", *BASE, "--train", "data.npz")
    done = mmaudit("reference", "run", "--methods", "concatenaton", *given)
    assert (done.code, "did you mean 'concatenation'" in done.err) == (2, True), done.err
    for option, said in (("--seeds", "seeds=0"), ("--width", "width=0"), ("--epochs", "epochs is 0")):
        done = mmaudit("reference", "run", option, "0", *given)
        assert (done.code, said in done.err) == (2, True), done.err
    done = mmaudit("reference", "run", "--encoders", "frozn", *given)
    assert (done.code, "encoders='frozn'" in done.err) == (2, True), done.err


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
