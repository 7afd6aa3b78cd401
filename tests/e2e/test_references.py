"""Reference methods end to end: trained, asked what the audited model was asked, kept, and finished after a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import mmaudit
from helpers.reference_audits import audited, data, model, net, whole
from mmaudit.cli import app
from mmaudit.errors import BadInput, StaleRun, UnknownName
from mmaudit.outputs import ConditionOutputs
from mmaudit.panel import Panel
from mmaudit.panel.file import read_panel
from mmaudit.reference import saved
from mmaudit.reference.base import Hyper, Parts, Reference, Step, reference, references
from mmaudit.reference.loop import Budget
from mmaudit.reference.methods.late import LateMean
from mmaudit.store import Run
from mmaudit.types import CLEAN

BUDGET = Budget(epochs=6, batch=32)
TEST, TRAIN = data(seed=1), data(seed=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit with two references of two seeds each."""
    out = tmp_path_factory.mktemp("references") / "run"
    audited(out, net(), TEST)
    retrain(out, ["concatenation", "late_mean"])
    return out


def retrain(out: Path, methods: list[str], **more: object) -> Panel:
    options = {"seeds": 2, "tune": 2, "budget": BUDGET, "resamples": 50, **more}
    return mmaudit.retrain(out, model(net()), TEST, TRAIN, methods=methods, **options)


def members(out: Path) -> dict[str, Run]:
    return {str(f.relative_to(out)): Run.open(f) for f in sorted((out / "references").glob("*/seed-*"))}


def bytes_of(out: Path) -> dict[str, bytes]:
    """Everything that training and asking wrote, but what depends on the clock."""
    kept = [p for p in (out / "references").rglob("*") if p.suffix in (".parquet", ".safetensors")]
    found = {str(p.relative_to(out)): p.read_bytes() for p in kept if p.name != saved.WEIGHTS}
    for p in kept:
        if p.name == saved.WEIGHTS:
            tensors, _ = saved.read_tensors(p, "cpu")  # the metadata beside them holds seconds
            found[str(p.relative_to(out))] = b"".join(tensors[k].numpy().tobytes() for k in sorted(tensors))
    return found


def answers(run: Run, label: str) -> ConditionOutputs:
    return run.read(run.condition(label))


def test_every_seed_answers_the_runs_own_conditions_and_samples(run: Path) -> None:
    original, found = Run.open(run), members(run)
    assert list(found) == [f"references/{m}/seed-{s}" for m in ("concatenation", "late_mean") for s in (0, 1)]
    for member in found.values():
        assert [c.key for c in member.conditions] == [c.key for c in original.conditions]
        assert (member.samples.ids == original.samples.ids).all()
        for condition in original.conditions:
            mine, theirs = member.read(condition), original.read(condition)
            assert mine.received == theirs.received
            assert mine.answered.all()
    one, other = (found[f"references/concatenation/seed-{s}"].read(CLEAN).outputs for s in (0, 1))
    assert not np.array_equal(one, other)


def test_equal_rows_taken_for_chance_are_told_with_every_method(tmp_path: Path) -> None:
    def codes(seed: int) -> mmaudit.ArrayData:
        inputs = {m: np.zeros((120, 6), np.float32) for m in ("one", "two")}
        for i, x in enumerate(inputs.values()):
            x[:, :3] = np.random.default_rng([seed, i]).integers(0, 2, (120, 3))
        target = (inputs["one"][:, 0] + inputs["two"][:, 0] > 0).astype(np.int64)
        return mmaudit.ArrayData(
            inputs, target, mmaudit.Task.classification(2), ids=[f"{seed}-{i}" for i in range(120)]
        )

    test, options = codes(1), {"seeds": 1, "tune": 1, "budget": Budget(epochs=1), "resamples": 10}
    mmaudit.audit(model(net()), test, out=tmp_path / "run", suite=["missing"], resamples=10)
    panel = mmaudit.retrain(tmp_path / "run", model(net()), test, codes(2), methods=["late_mean"], **options)
    assert "audited samples have the values of a training row" in panel.methods[0].note
    assert "taken for chance, not for copies" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_references_learn_the_task_and_the_panel_says_so(run: Path) -> None:
    panel = read_panel(Run.open(run))
    assert panel is not None
    row = panel.row("concatenation", "value", "clean")
    assert row.value > 0.75  # the audited model was never trained
    assert row.delta_low > 0.2
    table = panel.table.set_index(["method", "quantity", "place"])
    assert table.loc[("concatenation", "value", "clean"), "value"] == row.value
    assert "2 reference methods beside audited" in repr(panel)
    about = saved.read_json(run / "references" / "concatenation" / saved.ABOUT)
    assert about is not None
    assert all("frozen encoder" in said for said in about["features"].values())
    assert len(about["tuning"]) == 2
    assert about["hyper"] in [t["hyper"] for t in about["tuning"]]
    assert about["n_train"] + about["n_validation"] == len(TRAIN)
    assert "reference" in (run / "report.html").read_text(encoding="utf-8")


def test_references_are_told_what_is_missing_whatever_stands_in_for_it(run: Path) -> None:
    member = members(run)["references/concatenation/seed-0"]
    baselines = ("zero", "mean", "marginal")
    outputs = [answers(member, f"missing[one, baseline={b}]").outputs for b in baselines]
    assert np.array_equal(outputs[0], outputs[1])
    assert np.array_equal(outputs[0], outputs[2])
    assert not np.array_equal(outputs[0], member.read(CLEAN).outputs)
    original = Run.open(run)
    stand_ins = [answers(original, f"missing[one, baseline={b}]").outputs for b in baselines]
    assert not np.array_equal(stand_ins[0], stand_ins[2])


def test_a_second_call_trains_nothing_and_adds_what_is_new(run: Path) -> None:
    folder = run / "references" / "concatenation"
    kept = [folder / saved.WEIGHTS, *folder.glob("seed-*/predictions/*.parquet")]
    assert len(kept) == 3
    before = [path.stat().st_mtime_ns for path in kept]
    panel = retrain(run, ["concatenation", "product"])
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert {"concatenation", "late_mean", "product"} <= {m.name for m in panel.scored}


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("at", ["training concatenation", "asking the references"])
def test_what_a_killed_call_left_is_finished_to_the_same_bytes(
    tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmaudit.reference.checkpoint.SECONDS", -1.0)

    def kill(what: str, done: int, total: int) -> None:
        if what == at and done >= 3:
            raise Killed

    outs = [tmp_path / name for name in ("whole", "killed")]
    for out in outs:
        audited(out, net(), TEST, suite=["missing"])
    retrain(outs[0], ["concatenation"])
    with pytest.raises(Killed):
        retrain(outs[1], ["concatenation"], progress=kill)
    retrain(outs[1], ["concatenation"])
    assert bytes_of(outs[0]) == bytes_of(outs[1])


def test_conditions_that_an_audit_adds_are_answered_by_the_next_call(tmp_path: Path) -> None:
    out = tmp_path / "run"
    audited(out, net(), TEST, suite=["missing"])
    retrain(out, ["concatenation"], tune=1)
    audited(out, net(), TEST)  # a larger suite; its report must not trip over references that lack it
    panel = retrain(out, ["concatenation"], tune=1)
    assert panel.conditions == tuple(c.key for c in Run.open(out).conditions)


class AlwaysNaN(Reference):
    """Its loss is never finite."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.head = torch.nn.Linear(1, parts.task.width)

    def fuse(self, features: dict[str, torch.Tensor], present: dict[str, torch.Tensor]) -> torch.Tensor:
        out: torch.Tensor = self.head(next(iter(features.values()))[:, :1])
        return out

    def loss(self, step: Step) -> torch.Tensor:
        return super().loss(step) * float("nan")


class Broken(AlwaysNaN):
    """Raises in its loss."""

    def loss(self, step: Step) -> torch.Tensor:
        raise ZeroDivisionError("a mistake of its author's")


class Five(AlwaysNaN):
    """Needs five modalities."""


@pytest.fixture
def faulty() -> Iterator[list[str]]:
    """Names of methods that cannot be trained, registered for one test: other tests go through all that are."""
    reference("always_nan", title="Never finite", source="a test of what diverges")(AlwaysNaN)
    reference("broken", title="Raises", source="a test of what goes wrong")(Broken)
    reference("five_modalities", title="Needs five", source="a test of what is refused", fewest=5)(Five)
    names = ["always_nan", "broken", "five_modalities"]
    yield names
    for name in names:
        references._items.pop(name)


def test_what_cannot_be_trained_is_listed_with_the_reason_and_the_others_go_on(
    tmp_path: Path, faulty: list[str]
) -> None:
    out = tmp_path / "run"
    audited(out, net(), TEST, suite=["missing"])
    panel = retrain(out, [*faulty, "late_mean"])
    assert [m.name for m in panel.scored] == ["late_mean"]
    reasons = {m.name: m.reason for m in panel.methods}
    assert "no longer finite" in reasons["always_nan"]
    assert "needs at least 5 modalities" in reasons["five_modalities"]
    assert "ZeroDivisionError: a mistake of its author's" in reasons["broken"]
    assert "raise ZeroDivisionError" in (out / "references" / "broken" / "error.txt").read_text()


class FirstFails(LateMean):
    """Its published learning rate is none; every other one will do."""

    def loss(self, step: Step) -> torch.Tensor:
        return super().loss(step) * torch.where(step.hyper["lr"] > 1, torch.nan, 1.0)


def test_failed_trials_of_a_search_are_told(tmp_path: Path) -> None:
    out = tmp_path / "run"
    audited(out, net(), TEST, suite=["missing"])
    lr = Hyper(2.0, 1e-3, 1e-2, log=True)
    reference("first_fails", title="First fails", source="a test of the search", hyper={"lr": lr})(FirstFails)
    try:
        panel = retrain(out, ["first_fails"], tune=3)
    finally:
        references._items.pop("first_fails")
    (found,) = panel.scored
    assert found.trials == 2
    assert "1 of 3 trials of the search failed (" in found.note
    assert dict(found.hyper)["lr"] <= 1e-2


def test_one_modality_alone_is_trained_once_for_each(tmp_path: Path) -> None:
    out = tmp_path / "run"
    audited(out, net(), TEST, suite=["missing"])
    panel = retrain(out, ["unimodal"], tune=1)
    assert [m.name for m in panel.scored] == ["unimodal[one]", "unimodal[two]"]
    gone = next(g for g in panel.groups if g.modalities == ("one",) and g.family == "missing")
    assert (
        abs(panel.row("unimodal[two]", "value", gone.key).value - panel.row("unimodal[two]", "value", "clean").value)
        < 1e-9
    )


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_other_tasks(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "run"
    test, train = data(seed=1, kind=kind), data(seed=2, kind=kind)
    outputs = "values" if kind == "regression" else "logits"
    audited(out, net(), test, outputs, ["missing"])
    panel = mmaudit.retrain(
        out,
        model(net(), outputs),
        test,
        train,
        methods=["concatenation"],
        seeds=1,
        tune=1,
        budget=Budget(epochs=30, batch=32),
        resamples=50,
    )
    row = panel.row("concatenation", "value", "clean")
    better = row.delta > 0 if row.better == "higher" else row.delta < 0
    assert better
    if kind == "regression":
        member = members(out)["references/concatenation/seed-0"]
        assert abs(float(member.read(CLEAN).outputs.mean()) - 40) < 3  # metres, not standard deviations


def test_a_model_without_a_border_gets_default_encoders(tmp_path: Path) -> None:
    out = tmp_path / "run"
    mmaudit.audit(model(whole()), TEST, out=out, suite=["missing"], resamples=50)
    options = {"seeds": 1, "tune": 1, "budget": BUDGET, "resamples": 50}
    with pytest.raises(BadInput, match="not two-stage"):
        mmaudit.retrain(out, model(whole()), TEST, TRAIN, methods=["late_mean"], encoders="frozen", **options)
    mmaudit.retrain(out, model(whole()), TEST, TRAIN, methods=["late_mean"], **options)
    about = saved.read_json(out / "references" / "late_mean" / saved.ABOUT)
    assert about is not None
    assert all(said.startswith("values") for said in about["features"].values())


def test_bad_input_is_one_clear_error_before_anything_is_trained(run: Path, tmp_path: Path) -> None:
    before = bytes_of(run)
    with pytest.raises(UnknownName, match="did you mean 'concatenation'"):
        retrain(run, ["concatenatoin"])
    with pytest.raises(BadInput, match="methods is empty"):
        retrain(run, [])
    with pytest.raises(BadInput, match="seeds=0"):
        retrain(run, ["product"], seeds=0)
    with pytest.raises(BadInput, match="encoders='fast'"):
        retrain(run, ["product"], encoders="fast")
    with pytest.raises(BadInput, match="audited samples are in the training data too"):
        mmaudit.retrain(run, model(net()), TEST, TEST, methods=["product"])
    with pytest.raises(StaleRun, match="another model"):
        mmaudit.retrain(run, model(net(seed=9)), TEST, TRAIN, methods=["product"])
    with pytest.raises(StaleRun, match="other data"):
        mmaudit.retrain(run, model(net()), data(seed=5), TRAIN, methods=["product"])
    one_class = data(seed=7)
    rows = np.flatnonzero(one_class.target == 0)
    with pytest.raises(BadInput, match="one class"):
        mmaudit.retrain(run, model(net()), TEST, mmaudit.data.subset(one_class, rows), methods=["product"])
    assert bytes_of(run) == before


def test_from_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in (("test", TEST), ("train", TRAIN), ("new", data(60, seed=3))):
        batch = rows.rows(np.arange(len(rows)))
        values = {m: np.where(batch.present[m][:, None], x, np.nan) for m, x in batch.inputs.items()}
        np.savez(tmp_path / f"{name}.npz", label=rows.target, **values)
    (tmp_path / "mine.py").write_text(
        "from helpers.reference_audits import model, net\n\n\ndef make():\n    return model(net())\n"
    )
    (tmp_path / "audit.toml").write_text(
        'model = "mine:make"\ndata = "test.npz"\ntarget = "label"\ntask = "classification"\n'
        'modality = {one = "embedding", two = "embedding"}\nsuite = {probes = ["missing"]}\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def shell(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    shell("audit", "--config", "audit.toml", "--out", "run", "--resamples", "50")
    said = shell(
        *("reference", "run", "--config", "audit.toml", "--train", "train.npz", "--methods", "late_mean"),
        *("--seeds", "1", "--tune", "1", "--epochs", "3"),
    )
    assert "Late fusion" in said
    assert "report.html" in said
    assert "Late fusion" in shell("panel", "run", "--resamples", "50")
    again = json.loads(shell("panel", "run", "--resamples", "50", "--json"))
    assert [m["name"] for m in again["methods"]] == ["late_mean"]
    shell(
        *("reference", "run", "--config", "audit.toml", "--train", "train.npz", "--methods", "late_mean"),
        *("--seeds", "1", "--tune", "1", "--epochs", "3", "--validation", "new.npz"),
    )
    about = saved.read_json(tmp_path / "run" / "references" / "late_mean" / saved.ABOUT)
    assert about is not None
    assert (about["n_train"], about["n_validation"]) == (len(TRAIN), 60)
    before = (tmp_path / "run" / "references.parquet").stat().st_mtime_ns
    shell("score", "run", "--resamples", "50")
    assert (tmp_path / "run" / "references.parquet").stat().st_mtime_ns > before
    listed = json.loads(shell("list", "references", "--json"))
    assert {"aecf", "synib", "gated_symile"} <= {row["name"] for row in listed}
