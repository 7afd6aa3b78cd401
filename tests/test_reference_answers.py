"""What references are told is missing: what the probe withholds, whatever stands in for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mmaudit
from mmaudit.data.statistics import all_statistics
from mmaudit.probes import Scope, Source, probes
from mmaudit.probes.scope import Declined
from mmaudit.reference.budget import Budget
from mmaudit.reference.member_runs import member_run
from mmaudit.store import Run
from mmaudit.types import FloatArray

WITHHOLDING = ("missing", "missing_rate", "missing_rate_shared", "missing_mar", "missing_mnar", "missing_pattern")


class Net(nn.Module):
    """Reads the first modality's only number; the second is noise."""

    def forward(self, one: Tensor, two: Tensor) -> Tensor:
        z = 4 * (one[:, :1] - 0.5) + 0 * two[:, :1]
        return torch.cat([-z, z], dim=1)


def samples(n: int, seed: int) -> mmaudit.ArrayData:
    """Half of all values of the first modality are 0, which is its stand-in under baseline zero; nearly the label."""
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 2, n)
    target = np.where(rng.random(n) < 0.95, one, 1 - one)
    inputs = {"one": one[:, None].astype(np.float32), "two": rng.normal(size=(n, 2)).astype(np.float32)}
    return mmaudit.ArrayData(inputs, target, "classification:2", ids=[f"{seed}-{i}" for i in range(n)])


DATA = samples(400, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("told") / "run"
    model = mmaudit.TorchModel(Net().eval(), ["one", "two"], outputs="logits")
    train = samples(600, 1)
    suite = {"name": "s", "probes": ["missing", "missing_rate", "missing_mnar"], "baselines": ["zero", "mean"]}
    mmaudit.audit(model, DATA, out=out, train=train, suite=suite, resamples=20)
    options = {"seeds": 1, "tune": 1, "budget": Budget(epochs=4), "resamples": 20, "encoders": "default"}
    mmaudit.retrain(out, model, DATA, train, methods=["concatenation"], **options)
    return out


def outputs(run: Path, label: str) -> FloatArray:
    member = Run.open(run / "references" / "concatenation" / "seed-0")
    return np.asarray(member.read(member.condition(label)).outputs)


def right(answers: FloatArray) -> float:
    return float((answers.argmax(axis=1) == DATA.target).mean())


def test_values_that_equal_their_stand_in_are_told_as_absent(run: Path) -> None:
    zero, mean = (outputs(run, f"missing[one, baseline={b}]") for b in ("zero", "mean"))
    original = Run.open(run)
    changed = original.read(original.condition("missing[one, baseline=zero]")).changed["one"]
    assert changed.mean() == pytest.approx(0.5, abs=0.1), "the others already are what stands in for them"
    assert np.array_equal(zero, mean)
    assert right(outputs(run, "clean")) > 0.9
    assert right(zero) < 0.6, "nothing but noise is left to read"


@pytest.mark.parametrize("probe", ["missing_rate", "missing_mnar"])
def test_of_every_sample_references_are_told_what_was_drawn(run: Path, probe: str) -> None:
    opened = Run.open(run)
    clean, gone = outputs(run, "clean"), outputs(run, "missing[one, baseline=zero]")
    conditions = [c for c in opened.conditions if c.probe == probe and c.modalities == ("one",)]
    source = Source(DATA, all_statistics(DATA))
    batch = DATA.rows(np.arange(len(DATA)))
    for condition in conditions:
        withheld = probes.get(probe).withheld
        assert withheld is not None
        lost = withheld(batch, condition, source)["one"]
        found = outputs(run, condition.label)
        # A batch of one shape gives the same bits; features differ by rounding from one batch to another.
        np.testing.assert_allclose(found, np.where(lost[:, None], gone, clean), atol=1e-5)
    assert len(conditions) > 4


@pytest.mark.parametrize("name", WITHHOLDING)
def test_a_probe_withholds_what_it_marks_where_the_model_handles_absence(name: str) -> None:
    # Native absence, as a model sees it that handles it: marks instead of stand-ins.
    present = {"one": np.arange(400) % 5 > 0, "two": np.arange(400) % 7 > 0}
    data = mmaudit.ArrayData(
        {m: DATA.rows(np.arange(400)).inputs[m] for m in ("one", "two")}, DATA.target, DATA.task, present=present
    )
    source = Source(data, all_statistics(data))
    scope = Scope(data.modalities, data.task, native=True, incomplete=("one", "two"), baselines=("native",))
    batch = data.rows(np.arange(50, 350))
    probe = probes.get(name)
    assert probe.withheld is not None
    seen = 0
    for condition in probe.grid(scope):
        assert not isinstance(condition, Declined)
        after, lost = probe.apply(batch, condition, source), probe.withheld(batch, condition, source)
        assert set(lost) == set(condition.modalities)
        for m in batch.inputs:
            expected = batch.present[m] & ~lost[m] if m in lost else batch.present[m]
            assert np.array_equal(after.present[m], expected)
            seen += int((batch.present[m] & ~after.present[m]).sum())
    assert seen > 0


def test_every_probe_of_the_family_says_what_it_withholds() -> None:
    assert {p.name for p in probes if p.withheld} == set(WITHHOLDING)
    assert {p.name for p in probes if p.family == "missing"} == set(WITHHOLDING)


def test_runs_of_references_that_were_told_otherwise_are_not_used(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Run.open(run)
    prints = {"data": "d", "plan": "p"}
    kept = member_run(opened, tmp_path / "member", "a", "w", prints)
    (kept.folder / "mark").touch()
    assert (member_run(opened, tmp_path / "member", "a", "w", prints).folder / "mark").exists()
    monkeypatch.setattr("mmaudit.reference.member_runs.VERSION", 1)
    assert not (member_run(opened, tmp_path / "member", "a", "w", prints).folder / "mark").exists()
