"""The file that attributions are kept in: written once, for what was asked, and for models of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attribution_cases import (
    ABLATION,
    DEEP_LIFT,
    IG,
    SHAP,
    Additive,
    Fused,
    above_rivals,
    attributed,
    baseline_of,
    drawn,
    pair,
    source_of,
    torch_model,
)
from helpers.run_cases import Rowwise, dataset
from mmaudit.attribution import attribute
from mmaudit.attribution.attribute import attributions, complete
from mmaudit.attributions_file import FILE, read_attributions
from mmaudit.auditing import staged
from mmaudit.data.dataset import Dataset, values
from mmaudit.errors import BadInput, UnknownName
from mmaudit.models import FunctionModel, Model
from mmaudit.store import Run
from mmaudit.types import Batch
from model_cases import one_thread  # noqa: F401  (a fixture)

GRADIENTS = (IG, DEEP_LIFT, SHAP)


def run_of(folder: Path, model: Model, data: Dataset) -> Run:
    fingerprints = {"model": model.fingerprint, "data": data.fingerprint, "training data": "the audited data"}
    return Run(folder, {"fingerprints": fingerprints})


def written(folder: Path, model: Any, data: Dataset, **options: Any) -> bytes:
    stage = staged(model, data.rows(np.arange(len(data))))[0]
    attribute(run_of(folder, model, data), data, model, stage, source_of(data), **options)
    return (folder / FILE).read_bytes()


def test_file_holds_what_was_attributed_and_is_the_same_every_time(tmp_path: Path) -> None:
    data, model = pair(), torch_model(drawn(Additive))
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    assert written(first, model, data) == written(second, model, data)
    assert [p.name for p in first.iterdir()] == [FILE]
    read = read_attributions(first / FILE)
    assert read is not None
    assert read.modalities == ("a", "b")
    made = attributed(model, data)
    assert set(read.methods) == {*GRADIENTS, ABLATION} == set(made.methods)
    for method, part in made.methods.items():
        kept = read.get(method)
        for name in "ab":
            assert np.array_equal(kept.total[name], part.total[name])
            assert np.array_equal(kept.magnitude[name], part.magnitude[name])
        for what in ("positions", "delta", "output", "baseline"):
            assert np.array_equal(getattr(kept, what), getattr(part, what))
    assert {k: v for k, v in read.about.items() if k != "spec"} == made.about
    assert set(read.about["versions"]) == {"captum", "torch"}
    assert read.about["baseline"] == dict.fromkeys("ab", "the data's mean per dimension")


def test_file_is_made_once_for_the_same_question_and_again_for_another(tmp_path: Path) -> None:
    data, model = pair(), torch_model(drawn(Additive))
    asked: list[int] = []
    written(tmp_path, model, data, rows=8, progress=lambda done, total: asked.append(done))
    assert asked == [8]
    before = (tmp_path / FILE).stat().st_mtime_ns
    kept = written(tmp_path, model, data, rows=8, progress=lambda done, total: asked.append(done))
    assert asked == [8]
    assert (tmp_path / FILE).stat().st_mtime_ns == before
    assert written(tmp_path, model, data, rows=8, seed=1) != kept  # other baselines are drawn
    assert written(tmp_path, model, data, rows=8, methods=[IG]) != kept
    assert written(tmp_path, torch_model(drawn(Additive, seed=1)), data, rows=8) != kept
    assert written(tmp_path, model, data, rows=8) == kept
    (tmp_path / FILE).write_bytes(kept[: len(kept) // 2])
    assert written(tmp_path, model, data, rows=8) == kept


def test_seed_matters_to_drawn_baselines_alone() -> None:
    data, model = pair(), torch_model(drawn(Fused, nn.Tanh()))
    one, same, other = (attributed(model, data, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.methods[SHAP].total["a"], same.methods[SHAP].total["a"])
    assert not np.array_equal(one.methods[SHAP].total["a"], other.methods[SHAP].total["a"])
    assert np.array_equal(one.methods[IG].total["a"], other.methods[IG].total["a"])


def test_rows_are_spread_over_the_complete_samples(tmp_path: Path) -> None:
    there = np.arange(20) % 3 > 0
    data, model = pair(present={"b": there}), torch_model(drawn(Additive))
    found = attributed(model, data, rows=5)
    positions = found.methods[IG].positions
    assert len(positions) == 5
    assert there[positions].all()
    assert np.array_equal(positions, complete(data, ["a", "b"], 5))
    assert positions[0] < 4 < 15 < positions[-1]
    assert np.array_equal(attributed(model, data).methods[IG].positions, np.flatnonzero(there))


def test_fewer_samples_are_taken_where_each_takes_long() -> None:
    data, model = pair(n=80), torch_model(drawn(Additive))
    assert len(attributed(model, data).methods[IG]) == 80
    whole = attributed(model, data, look=False).methods[IG]
    assert len(whole) == 64
    assert whole.positions[[0, -1]].tolist() == [0, 79]


def test_without_a_complete_sample_there_is_nothing_to_attribute(tmp_path: Path) -> None:
    half = np.arange(20) < 10
    data, model = pair(present={"a": half, "b": ~half}), torch_model(drawn(Additive))
    attribute(run_of(tmp_path, model, data), data, model, None, source_of(data))
    read = read_attributions(tmp_path / FILE)
    assert read is not None
    assert read.methods == {}
    assert set(read.declined) == {*GRADIENTS, ABLATION}
    assert set(read.declined.values()) == {"no sample has every modality that the model reads"}


# Models that are no torch modules


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_any_model_is_ablated_by_its_answers(kind: str) -> None:
    data, model = dataset(kind, n=30), Rowwise(kind)
    found = attributions(data, model, None, source_of(data))
    part = found.methods[ABLATION]
    assert set(found.methods) == {ABLATION}
    assert set(found.declined) == set(GRADIENTS)
    assert "offers no gradients" in found.declined[IG]
    assert found.about["where"] == {"table": "ablation", "note": "ablation"}
    assert found.about["baseline"] == {"table": "the data's mean per dimension", "note": "the empty text"}
    # It adds up what each modality says, so that nothing is left over.
    assert np.abs(part.delta).max() < 1e-4
    batch = data.rows(part.positions)
    clean = model.predict(batch).astype(np.float64)
    column = batch.inputs["note"].copy()
    column[:] = ""
    silent = model.predict(batch.replace({"note": column})).astype(np.float64)
    if kind == "classification":
        expected = above_rivals(*(torch.from_numpy(x) for x in (clean, clean))).numpy()
        expected -= above_rivals(*(torch.from_numpy(x) for x in (silent, clean))).numpy()
    elif kind == "regression":
        expected = (clean - silent).sum(1)
    else:
        predicted = clean > 0
        predicted[~predicted.any(1), clean.argmax(1)[~predicted.any(1)]] = True
        expected = ((clean - silent) * predicted).sum(1)
    np.testing.assert_allclose(part.total["note"], expected, atol=1e-4)


def test_linear_function_model_has_the_attributions_of_a_linear_model() -> None:
    data = pair()
    w, v = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.0])

    def answer(a: Any, b: Any) -> Any:
        return (a @ w + b @ v)[:, None]

    model = FunctionModel(answer, ["a", "b"], outputs="values")
    part = attributions(data, model, None, source_of(data)).methods[ABLATION]
    for name, weight in (("a", w), ("b", v)):
        x = values(data, name, np.arange(len(data))).astype(np.float64)
        np.testing.assert_allclose(part.total[name], (x - baseline_of(data, name)) @ weight, rtol=1e-3, atol=1e-3)


def test_a_model_that_raises_leaves_a_reason(tmp_path: Path) -> None:
    def answer(a: Any, b: Any) -> Any:
        raise ValueError("no licence")

    data, model = pair(), FunctionModel(answer, ["a", "b"], outputs="values")
    attribute(run_of(tmp_path, model, data), data, model, None, source_of(data))
    read = read_attributions(tmp_path / FILE)
    assert read is not None
    assert read.methods == {}
    assert "no licence" in read.declined[ABLATION]


def test_a_text_that_must_not_be_empty_is_replaced_by_another_samples() -> None:
    data = dataset(n=30)
    inner = Rowwise()

    def answer(table: Any, note: Any) -> Any:
        if any(not text for text in note):
            raise ValueError("empty text")
        n = len(note)
        batch = Batch(
            {"table": table, "note": note},
            {name: np.ones(n, bool) for name in ("table", "note")},
            np.zeros(n, np.int64),
            np.arange(n),
            np.arange(n),
        )
        return inner.predict(batch)

    model = FunctionModel(answer, ["table", "note"], outputs="logits")
    found = attributions(data, model, None, source_of(data))
    assert found.about["baseline"]["note"] == "another sample's value, drawn at random"
    assert np.abs(found.methods[ABLATION].total["note"]).max() > 0


# Bad arguments, and what is imported


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    data, model = pair(), torch_model(drawn(Additive))
    with pytest.raises(BadInput, match="rows=0"):
        written(tmp_path, model, data, rows=0)
    with pytest.raises(UnknownName, match="integrated_gradients"):
        written(tmp_path, model, data, methods=["integrated_gradient"])
    assert not (tmp_path / FILE).exists()


def test_the_demo_is_attributed_in_its_features(tmp_path: Path) -> None:
    pytest.importorskip("easy_vqa")
    from mmaudit.data import subset
    from mmaudit.demo import run as demo

    data = subset(demo.data(), np.arange(0, 2000, 50))
    found = attributed(demo.model(), data)
    assert found.about["where"] == {"image": "features", "question": "features"}
    assert found.about["baseline"]["question"] == "the empty text"
    assert {IG, SHAP, ABLATION} == set(found.methods)
    assert found.about["error"][IG] < 0.01
    assert "product of features" in found.declined[DEEP_LIFT]
    part = found.methods[IG]
    assert all(np.abs(part.total[name]).mean() > 1 for name in found.modalities)  # it needs both
