"""Contrastive references of a retrieval run: trained on the model's own features, ranked on the same candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import mmaudit
from mmaudit.errors import StaleRun
from mmaudit.probes import Source, probes
from mmaudit.reference import saved
from mmaudit.reference.loop import Budget
from mmaudit.store import Run
from mmaudit.types import CLEAN, Batch, Condition

TASK = mmaudit.Task.retrieval(("a", "b"), "c")


def pairs(n: int, seed: int) -> mmaudit.ArrayData:
    """The target is the element-wise product of the query's signs: neither modality alone says anything about it."""
    rng = np.random.default_rng(seed)
    a, b = (rng.choice([-1.0, 1.0], size=(n, 8)) for _ in range(2))
    noise = rng.normal(scale=0.1, size=(n, 8))
    values = {"a": a, "b": b, "c": a * b + noise}
    kinds = dict.fromkeys(values, "embedding")
    return mmaudit.ArrayData(
        {m: x.astype(np.float32) for m, x in values.items()},
        None,
        TASK,
        kinds=kinds,
        ids=[f"{seed}-{i}" for i in range(n)],
    )


def dual_encoder() -> mmaudit.RetrievalModel:
    """Sums of pairwise products, which cannot see it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoders = {m: torch.nn.Linear(8, 16).eval() for m in ("a", "b", "c")}
    return mmaudit.RetrievalModel(encoders, "dot", normalise=True, temperature=0.07, name="dual encoder")


def test_symile_finds_what_pairwise_scores_cannot(tmp_path: Path) -> None:
    out, test, train = tmp_path / "run", pairs(128, 1), pairs(1500, 2)
    mmaudit.audit(dual_encoder(), test, out=out, suite=["missing", "embedding.sign_flip"], resamples=50)
    panel = mmaudit.retrain(
        *(out, dual_encoder(), test, train),
        methods=["clip", "symile_pair", "concatenation", "unimodal"],
        seeds=2,
        tune=1,
        budget=Budget(epochs=25, batch=64),
        encoders="default",
        resamples=50,
    )
    refused = {m.name: m.reason for m in panel.methods if not m.seeds}
    assert "the task is retrieval" in refused["concatenation"]
    chance = panel.floor
    assert panel.metric == "mrr"
    assert panel.row("clip", "value", "clean").value < 3 * chance
    found = panel.row("symile_pair", "value", "clean")
    assert found.value > 0.8
    assert found.delta_low > 0.5
    original = Run.open(out)
    for seed in (0, 1):
        member = Run.open(out / "references" / "symile_pair" / f"seed-{seed}")
        assert [c.key for c in member.conditions] == [c.key for c in original.conditions]
        for condition in original.conditions:
            assert member.read(condition).received == original.read(condition).received
    about = saved.read_json(out / "references" / "clip" / saved.ABOUT)
    assert about is not None
    assert about["told_missing"] is False


def test_the_audited_models_own_features_are_used_where_nothing_else_is_asked(tmp_path: Path) -> None:
    out, test, train = tmp_path / "run", pairs(64, 1), pairs(200, 2)
    mmaudit.audit(dual_encoder(), test, out=out, suite=["missing"], resamples=50)
    mmaudit.retrain(
        *(out, dual_encoder(), test, train), methods=["clip"], seeds=1, tune=1, budget=Budget(epochs=1), resamples=50
    )
    about = saved.read_json(out / "references" / "clip" / saved.ABOUT)
    assert about is not None
    assert all(said.startswith("frozen encoder") for said in about["features"].values())
    member = Run.open(out / "references" / "clip" / "seed-0")
    assert member.read(CLEAN).answered.all()
    assert member.task == TASK


def test_other_inputs_than_the_audited_model_received_are_refused(tmp_path: Path) -> None:
    out, test, train = tmp_path / "run", pairs(64, 1), pairs(200, 2)
    mmaudit.audit(dual_encoder(), test, out=out, suite=["embedding.sign_flip"], resamples=50)
    probe = probes.get("embedding.sign_flip")
    before = probe.apply

    def other(batch: Batch, condition: Condition, source: Source) -> Batch:
        made = before(batch, condition, source)
        return made.replace(inputs={m: made.inputs[m] * 3 for m in condition.modalities})

    object.__setattr__(probe, "apply", other)
    try:
        with pytest.raises(StaleRun, match="does not give now what the audited model received"):
            mmaudit.retrain(
                *(out, dual_encoder(), test, train), methods=["clip"], seeds=1, tune=1, budget=Budget(epochs=1)
            )
    finally:
        object.__setattr__(probe, "apply", before)


def test_fewer_than_three_modalities_are_refused_by_what_needs_three(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def two(seed: int) -> mmaudit.ArrayData:
        x = {m: rng.normal(size=(80, 4)).astype(np.float32) for m in ("a", "c")}
        task = mmaudit.Task.retrieval("a", "c")
        kinds = dict.fromkeys(x, "embedding")
        return mmaudit.ArrayData(x, None, task, kinds=kinds, ids=[f"{seed}-{i}" for i in range(80)])

    model = mmaudit.RetrievalModel({"a": lambda x: x, "c": lambda x: x}, "dot", name="raw", fingerprint="raw")
    test, train = two(1), two(2)
    mmaudit.audit(model, test, out=tmp_path / "run", suite=["missing"], resamples=50)
    panel = mmaudit.retrain(
        *(tmp_path / "run", model, test, train),
        methods=["clip", "triangle"],
        seeds=1,
        tune=1,
        budget=Budget(epochs=1),
        resamples=50,
    )
    assert [m.name for m in panel.scored] == ["clip"]
    assert "modalit" in next(m.reason for m in panel.methods if m.name == "triangle")


@pytest.mark.parametrize("encoders", ["auto", "default"])
def test_every_contrastive_method_runs(tmp_path: Path, encoders: str) -> None:
    out, test, train = tmp_path / "run", pairs(40, 1), pairs(120, 2)
    mmaudit.audit(dual_encoder(), test, out=out, suite=["missing"], resamples=50)
    names = ["clip", "clip_sum", "symile", "symile_pair", "gated_symile", "gated_symile_matrix", "pairwise_lse", "gram"]
    panel = mmaudit.retrain(
        *(out, dual_encoder(), test, train),
        methods=names,
        seeds=1,
        tune=1,
        budget=Budget(epochs=1, batch=32),
        encoders=encoders,
        resamples=50,
    )
    assert [m.name for m in panel.scored] == sorted(names)
