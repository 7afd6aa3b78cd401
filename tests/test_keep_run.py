"""Keeping inputs as users do: with an audit, without any, and more of them later, without the model."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, contents, dataset
from mmaudit import audit
from mmaudit.auditing import prepare
from mmaudit.browse.kept import FILE, Kept
from mmaudit.cli import main
from mmaudit.data import ArrayData
from mmaudit.errors import BadInput, StaleRun
from mmaudit.keep import INPUT_FILES, keep, keep_more
from mmaudit.predict import predict
from mmaudit.probes import probes, scenario
from mmaudit.store import Run
from mmaudit.types import Array, Batch, FloatArray, Task

SUITE = {"probes": ["missing", "keyboard"], "baselines": ["zero"], "positions": [5], "analyses": []}
SCENARIO = """
name = "wet_form"
summary = "Coffee over the form"
[[step]]
kind = "tabular"
probe = "gaussian_noise_convex"
[[step]]
kind = "text"
probe = "keyboard"
"""


def few(n: int = 60, **more: Any) -> ArrayData:
    return dataset(n=n, ids=[f"s{i}" for i in range(n)], **more)


class Sloped(Rowwise):
    """With the gradient of its loss with respect to the table."""

    def gradient(self, batch: Batch, inputs: Mapping[str, Array], task: Task) -> tuple[FloatArray, dict[str, Array]]:
        z = self.predict(batch.replace(inputs)).astype(float)
        log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
        slope = 2 * (np.exp(log_p) - np.eye(3)[batch.target])
        return -log_p[np.arange(len(z)), batch.target], dict.fromkeys(inputs, slope)


def predicted(folder: Path, suite: Any, model: Any = None) -> Run:
    data = few()
    prepared = prepare(model or Rowwise(), data, suite=suite)
    run = prepared.open_run(folder, batch_rows=64, title=None, command="")
    predict(run, data, prepared.model, prepared.source, batch_rows=64)
    keep(run, data, prepared.source, 8)
    return run


# ---- with an audit


def test_an_audit_keeps_48_samples_and_with_0_no_input_anywhere_which_is_remembered(tmp_path: Path) -> None:
    secret = "zebra"
    base = few(400, noise=1.5)  # so noisy that a finding follows, and with it examples
    columns = base.rows(np.arange(400)).inputs
    notes = [f"{secret} {text} {secret}" for text in columns["note"]]
    data = ArrayData({"table": columns["table"], "note": notes}, base.target, base.task, ids=base.ids)
    report = audit(Rowwise(), data, out=tmp_path / "run", suite=SUITE, resamples=20)
    assert secret in json.dumps(report.document), "examples show inputs"
    assert len(Kept(tmp_path / "run").positions()) == 48
    assert "keep_samples" not in Run.open(tmp_path / "run").header
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    keep_more(tmp_path / "copy", data, count=0)
    for name, content in contents(tmp_path / "copy").items():
        assert secret.encode() not in content, f"{name} of a run that is to hold no inputs any more"
    for keep_samples in (0, None):
        report = audit(Rowwise(), data, out=tmp_path / "run", suite=SUITE, resamples=20, keep_samples=keep_samples)
        there = contents(tmp_path / "run")
        assert not set(INPUT_FILES) & set(there)
        assert not [name for name, content in there.items() if secret.encode() in content]
        assert report.document["examples"] == []
        assert report.document["gallery"] is False
    assert "keep_samples=0" in Kept(tmp_path / "run").reason
    with pytest.raises(BadInput, match="made to keep no inputs"):
        keep_more(tmp_path / "run", data, samples=["s1"])
    assert len(keep_more(tmp_path / "run", data, samples=["s1"], count=2).positions()) == 3
    keep_more(tmp_path / "run", data, count=0)
    assert FILE not in contents(tmp_path / "run")


def test_a_second_audit_keeps_what_was_asked_for_in_between(tmp_path: Path) -> None:
    audit(Rowwise(), few(), out=tmp_path / "run", suite=SUITE, resamples=20, keep_samples=4)
    keep_more(tmp_path / "run", few(), samples=["s7"], megabytes=3)
    before = contents(tmp_path / "run")[FILE]
    audit(Rowwise(), few(), out=tmp_path / "run", suite=SUITE, resamples=20)
    assert contents(tmp_path / "run")[FILE] == before
    audit(Rowwise(), few(), out=tmp_path / "run", suite={**SUITE, "positions": [4, 5]}, resamples=20)
    kept = Kept(tmp_path / "run")
    assert kept.samples[0].sample == "s7"
    assert kept.samples[0].why == "asked for"
    assert len(kept.conditions(7)) == len(Run.open(tmp_path / "run").conditions) - 1


@pytest.mark.parametrize("given", [-1, 1.5, "many", True])
def test_what_is_no_number_of_samples_is_refused_before_anything_runs(tmp_path: Path, given: Any) -> None:
    with pytest.raises(BadInput, match="keep_samples"):
        audit(Rowwise(), few(), out=tmp_path / "run", keep_samples=given)
    assert not (tmp_path / "run").exists()


# ---- later, without the model


def test_more_samples_later_are_as_the_audit_would_have_kept_them(tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", SUITE)
    before = Kept(run.folder)
    first = {p: {c.key: before.sides(p, c.key) for c in run.conditions} for p in before.positions()}
    chosen = [s.sample for s in before.samples]
    new, newer = [i for i in range(60) if i not in first][:2]
    kept = keep_more(run.folder, few(), samples=[f"s{new}", f"s{new}"], count=8)
    assert [s.sample for s in kept.samples] == [f"s{new}", *chosen]
    for condition in run.conditions:
        for position, shown in first.items():
            assert kept.sides(position, condition.key) == shown[condition.key]
    assert before.samples == kept.samples, "a file that was written anew is read anew"
    assert [s.sample for s in keep_more(run.folder, few(), samples=[f"s{newer}"]).samples][:2] == [
        f"s{new}",
        f"s{newer}",
    ]


def test_wrong_data_ids_and_numbers_are_one_clear_error(tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", SUITE)
    before = contents(run.folder)
    with pytest.raises(StaleRun, match="other data"):
        keep_more(run.folder, few(seed=1))
    with pytest.raises(StaleRun, match="other training data"):
        keep_more(run.folder, few(), train=few(seed=1))
    with pytest.raises(BadInput, match="no sample has the id 'nobody'; ids look like 's0'"):
        keep_more(run.folder, few(), samples=["nobody"])
    for megabytes in (0, -1, float("nan")):
        with pytest.raises(BadInput, match="megabytes"):
            keep_more(run.folder, few(), megabytes=megabytes)
    with pytest.raises(BadInput, match="is not a run folder"):
        keep_more(tmp_path, few())
    assert contents(run.folder) == before


def test_adversarial_inputs_are_kept_by_the_audit_and_not_made_again_without_the_model(tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", {"probes": ["adversarial", "keyboard"], "positions": [5]}, Sloped())
    attacks = [c for c in run.conditions if c.family == "adversarial"]
    kept = Kept(run.folder)
    assert attacks
    assert not kept.unmade
    assert all({c.key for c in attacks} <= kept.conditions(p) for p in kept.positions())
    again = keep_more(run.folder, few())
    assert set(again.unmade) == {c.key for c in attacks}
    side = again.sides(again.positions()[0], attacks[0].key)[0]
    assert side.perturbed is None
    assert "the model offers no gradient" in side.reason


@pytest.fixture
def forgetful() -> Iterator[Callable[[], None]]:
    """Forgets the scenarios that tests registered, as a new process has."""
    names, known = set(probes.names()), dict(scenario.known)

    def forget() -> None:
        for name in set(probes.names()) - names:
            probes._items.pop(name)
        scenario.known.clear()
        scenario.known.update(known)

    yield forget
    forget()


def test_a_users_scenario_is_made_again_from_its_file_or_the_reason_is_said(
    tmp_path: Path, forgetful: Callable[[], None]
) -> None:
    file = tmp_path / "wet.toml"
    file.write_text(SCENARIO, encoding="utf-8")
    suite = {
        "probes": ["keyboard"],
        "positions": [5],
        "scenarios": [str(file)],
        "surface": [["tabular.gaussian_noise_convex", "text.keyboard"]],
    }
    run = predicted(tmp_path / "run", suite)
    several = [c for c in run.conditions if c.probe in ("scenario.wet_form", "surface")]
    before = Kept(run.folder)
    first = {p: {c.key: before.sides(p, c.key) for c in several} for p in before.positions()}
    assert {c.probe for c in several} == {"scenario.wet_form", "surface"}
    forgetful()
    again = keep_more(run.folder, few(), count=8)
    assert again.unmade == {}
    for condition in several:
        for position in again.positions():
            assert again.sides(position, condition.key) == first[position][condition.key]
    forgetful()
    file.unlink()
    lost = keep_more(run.folder, few(), count=8)
    assert set(lost.unmade) == {c.key for c in several if c.probe == "scenario.wet_form"}
    assert "scenario.wet_form" in lost.sides(lost.positions()[0], next(iter(lost.unmade)))[0].reason


def test_a_probe_that_has_changed_since_is_not_taken_for_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = predicted(tmp_path / "run", SUITE)
    key = next(c.key for c in run.conditions if c.probe == "text.keyboard")
    probe = probes.get("text.keyboard")
    new = type(probe)(**{**vars(probe), "version": probe.version + 1})
    monkeypatch.setitem(probes._items, "text.keyboard", new)
    assert f"version {new.version} is installed" in keep_more(run.folder, few()).unmade[key]


# ---- from the shell


def test_from_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mmaudit", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    data = few()
    batch = data.rows(np.arange(60))
    np.savez(
        tmp_path / "data.npz",
        target=data.target,
        table=batch.inputs["table"],
        name=np.asarray(data.ids),
        note=np.array(batch.inputs["note"].tolist()),
    )
    (tmp_path / "kept_model.py").write_text(
        "import mmaudit\n\ndef says(table, note):\n    return table\n\n"
        "def factory():\n    return mmaudit.FunctionModel(says, ['table', 'note'], outputs='logits')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "audit.toml").write_text(
        'model = "kept_model:factory"\ndata = "data.npz"\ntask = "classification:3"\nids = "name"\nout = "run"\n'
        'resamples = 20\nkeep_samples = 3\n[modality]\ntable = "tabular"\nnote = "text"\n'
        '[suite]\nprobes = ["keyboard"]\nanalyses = []\n'
    )
    base = ("--config", "audit.toml")
    made = command("audit", *base)
    assert made[0] == 0, made[2]
    assert len(Kept("run").positions()) == 3
    assert Run.open("run").header["keep_samples"] == 3
    assert command("audit", *base, "--keep-samples", "2")[0] == 0
    assert len(Kept("run").positions()) == 2, "the command line wins"
    code, said, _ = command("keep", "run", *base, "--sample", "s5")
    assert code == 0
    assert said.startswith("run: inputs of 3 samples, 0.0 MB")
    code, said, _ = command("keep", "run", *base, "--keep-samples", "5", "--megabytes", "0.002", "--json")
    shown = json.loads(said)
    assert shown["samples"][0] == {"sample": "s5", "why": "asked for"}
    assert "0.002 MB" in shown["left_out"]
    assert 0 < shown["bytes"] < 20_000
    code, _, wrong = command("keep", "run", *base, "--sample", "nobody")
    assert code == 2
    assert "no sample has the id 'nobody'" in wrong
    assert command("keep", "run", *base, "--keep-samples", "0")[1].startswith("run: inputs of 0 samples")
