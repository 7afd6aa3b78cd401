"""Symile's binary experiment and Synthetic-XNOR: the data are as published, and a small run has the right rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import mmaudit.reproduce.experiments.synthetic_xnor as xnor
from mmaudit.errors import BadInput
from mmaudit.reference.base import references
from mmaudit.reference.loop import train
from mmaudit.reference.methods.contrastive import ContrastiveReference
from mmaudit.reference.trained import Trained, Trial
from mmaudit.reproduce.base import Row, Settings, reproductions
from mmaudit.reproduce.experiments import symile_binary as binary


def test_the_third_variable_is_the_switch_of_the_published_experiment() -> None:
    for p in (0.0, 1.0):
        rows = binary.table(p, 4000, 0)
        a, b, c = (rows.inputs[m].long() for m in "abc")
        assert torch.equal(c, a ^ b if p else a)
    assert not torch.equal(binary.table(1, 100, 0).inputs["a"], binary.table(1, 100, 1).inputs["a"])
    half = binary.table(0.5, 4000, 0)
    same = (half.inputs["a"] == half.inputs["c"]).all(dim=1).double().mean()
    assert float(same) == pytest.approx(0.5 + 0.5 / 32, abs=0.03)


def test_candidates_are_all_vectors_in_the_order_of_the_target() -> None:
    rows = binary.table(1, 50, 0)
    bank = binary.candidates()
    assert len(torch.unique(bank, dim=0)) == 32
    assert torch.equal(bank[rows.target], rows.inputs["b"])


def test_symile_solves_xor_where_clip_stays_at_chance() -> None:
    done: list[tuple[int, int]] = []
    rows = binary.run(Settings(1, "quick", progress=lambda a, b: done.append((a, b))))
    assert [(r.setting, r.seeds) for r in rows] == [("p̂ = 0", 1)] * 2 + [("p̂ = 1", 1)] * 2
    assert done[-1] == (4, 4)
    end = rows[2]
    assert (end.measured, end.reported, end.agrees) == (1.0, 1.0, True)
    assert end.origin == "the paper's figure"
    assert rows[3].measured < 0.1
    assert rows[0].origin != end.origin
    assert "reaches the figure's 1.00" in binary.conclude(rows)[0]


def test_clean_samples_multiply_to_the_target() -> None:
    samples = xnor.generate(0.0, 500, 1)
    a, b, c = (samples.inputs[m] for m in "abc")
    assert torch.equal(a[:, :48], b[:, :48] * c[:, :48])
    assert set(a[:, :48].unique().tolist()) == {-1.0, 1.0}
    assert float(a[:, 48:].std()) == pytest.approx(3, abs=0.05)
    assert not samples.wrong.any()


def test_exactly_one_context_is_wrong_and_the_target_never() -> None:
    clean, samples = xnor.generate(0.0, 4000, 1), xnor.generate(0.6, 4000, 1)
    assert torch.equal(samples.inputs["a"], clean.inputs["a"])
    shares = [float((samples.wrong == k).double().mean()) for k in range(3)]
    assert shares == pytest.approx([0.4, 0.3, 0.3], abs=0.03)
    for place, name in ((1, "b"), (2, "c")):
        x, truth = samples.inputs[name], clean.inputs[name]
        assert torch.equal(x[:, 48:], truth[:, 48:])
        changed = (x != truth).any(dim=1)
        assert torch.equal(changed, samples.wrong == place)  # another sample's 16 fair bits differ but once in 65,536
    less = xnor.generate(0.2, 4000, 1)
    assert bool((samples.wrong[less.wrong > 0] == less.wrong[less.wrong > 0]).all())


def test_the_split_keeps_rows_apart() -> None:
    made = xnor.split(xnor.generate(0.4, 1000, 1))
    assert [len(t) for t, _ in made] == [800, 100, 100]
    assert len(torch.cat([t.target for t, _ in made]).unique()) == 1000
    table, wrong = made[2]
    samples = xnor.generate(0.4, 1000, 1)
    assert torch.equal(samples.inputs["b"][table.target], table.inputs["b"])
    assert torch.equal(samples.wrong[table.target], wrong)


def test_every_product_is_scaled_alike() -> None:
    for name in ("symile", "symile_pair", "gated_symile", "gated_symile_matrix", "gated_symile_no_null"):
        made = xnor.method(name).make
        assert issubclass(made, ContrastiveReference)
        assert made.scaled
        assert made.start == -0.5


def test_the_learning_rate_is_the_one_with_the_best_validation() -> None:
    samples = xnor.split(xnor.generate(0.0, 400, 1))
    trials = [Trial(seed, {"lr": rate}) for rate in (1e-3, 3e-3) for seed in (0, 1)]
    size = xnor.Size(400, 1, (1e-3, 3e-3), {})
    trained = train(xnor.method("clip"), xnor.parts(), samples[0][0], samples[1][0], trials, xnor.budget(size))
    trained = replace(trained, validation=[0.3, 0.9, 0.6, 0.7])
    assert xnor.choose(trained, size.rates) == (3e-3, [2, 3])
    failed: Trained = replace(trained, outcomes=["", "", "", "diverged"])
    assert xnor.choose(failed, size.rates) == (1e-3, [0, 1])
    with pytest.raises(BadInput, match="every learning rate"):
        xnor.choose(replace(trained, outcomes=["diverged"] * 4), size.rates)


def test_a_small_run_of_xnor_has_a_row_for_every_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {"clip": (0.0,), "gated_symile": (0.4,)}
    monkeypatch.setattr(xnor, "QUICK", xnor.Size(600, 1, (3e-3,), plan))
    done: list[int] = []
    rows = xnor.run(Settings(2, "quick", progress=lambda a, _: done.append(a)))
    assert done == [2, 4]
    assert [(r.setting, r.method) for r in rows[:2]] == [("p = 0", "CLIP, mean of pairs"), ("p = 0.4", "Gated Symile")]
    assert len(rows) == 5
    assert {r.unit for r in rows[2:]} == {"difference of weights"}
    for r in rows[:2]:
        assert 0 <= r.measured <= 1
        assert np.isnan(r.reported)  # not comparable at the small size
        assert r.agrees is None


def test_the_conclusion_names_who_is_above_whom() -> None:
    gated, clip = (references.get(n).title for n in ("gated_symile", "clip"))
    control = references.get("pairwise_lse").title
    rows = [
        Row("p = 1", gated, 0.7, 0.68, 0.72, 3),
        Row("p = 1", clip, 0.3, 0.28, 0.32, 3),
        Row("p = 1", control, 0.71, 0.6, 0.8, 3),
        Row("p = 1, b is wrong", gated, -0.3, -0.4, -0.2, 3, unit="difference of weights"),
    ]
    (said,) = xnor.conclude(rows)
    assert f"{gated} (0.700) is above {clip}" in said
    assert f"cannot be told from {control}" in said


def test_both_are_registered() -> None:
    assert {"symile_binary", "synthetic_xnor"} <= set(reproductions.names())
