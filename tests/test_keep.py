"""Kept inputs: which samples, that they show what the model was given, and that the budget holds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from helpers.probe_samples import everything
from helpers.retrieval_cases import dual, pairs
from helpers.run_cases import Rowwise, contents, dataset
from mmaudit.auditing import prepare
from mmaudit.browse.kept import FILE, Kept
from mmaudit.choosing import choose
from mmaudit.data import ArrayData, Dataset
from mmaudit.errors import BadInput
from mmaudit.keep import keep
from mmaudit.kept_sample import MAX_CHARACTERS, KeptExhibits
from mmaudit.models import FunctionModel
from mmaudit.predict import predict
from mmaudit.probes import Source, probes
from mmaudit.store import Run
from mmaudit.types import CLEAN, Batch, Modality, Task

SUITE = {"probes": ["missing", "keyboard", "tabular.gaussian_noise_additive"], "baselines": ["zero", "marginal"]}


def predicted(folder: Path, data: Dataset, model: object, suite: Any = SUITE) -> tuple[Run, Source]:
    prepared = prepare(model, data, suite=suite)
    run = prepared.open_run(folder, batch_rows=64, title=None, command="")
    predict(run, data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=64)
    return run, prepared.source


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Source]:
    data = dataset(n=120, ids=[f"s{i}" for i in range(120)], present={"table": np.arange(120) % 4 != 1})
    return predicted(tmp_path_factory.mktemp("keep") / "run", data, Rowwise(native=True))


# ---- what is kept


def test_the_kept_inputs_are_those_that_the_model_was_given(audited: tuple[Run, Source]) -> None:
    run, source = audited
    keep(run, source.data, source, 20)
    kept, whole = Kept(run.folder), source.data.rows(np.arange(run.n))
    assert len(kept.positions()) == 20
    assert kept.left_out == ""
    assert kept.unmade == {}
    seen = set()
    for condition in run.conditions[1:]:
        after = probes.get(condition.probe).apply(whole, condition, source)
        for position in kept.positions():
            assert condition.key in kept.conditions(position)
            table, note = kept.sides(position, condition.key)
            for side, batch in ((table.original, whole), (table.perturbed, after)):
                if side is None:
                    assert np.array_equal(after.inputs["table"][position], whole.inputs["table"][position])
                    assert after.present["table"][position] == whole.present["table"][position]
                elif "absent" in side:
                    assert not batch.present["table"][position]
                else:
                    assert side["of"] == 3
                    assert np.allclose(side["values"], batch.inputs["table"][position], rtol=1e-3)
            for side, batch in ((note.original, whole), (note.perturbed, after)):
                if side is None:
                    assert after.inputs["note"][position] == whole.inputs["note"][position]
                else:
                    assert side == (
                        {"text": batch.inputs["note"][position]}
                        if batch.present["note"][position]
                        else {"absent": True}
                    )
            assert {s.reason for s in (table, note)} <= {"", "Unchanged by this condition."}
            assert all((s.perturbed is None) == bool(s.reason) for s in (table, note))
            seen |= {(s.modality, s.perturbed is None) for s in (table, note)}
    assert seen == {("table", True), ("table", False), ("note", True), ("note", False)}


def test_originals_come_without_a_condition(audited: tuple[Run, Source]) -> None:
    run, source = audited
    keep(run, source.data, source, 3)
    kept = Kept(run.folder)
    for key in ("", CLEAN.key):
        sides = kept.sides(kept.positions()[0], key)
        assert [(s.modality, s.kind, s.perturbed, s.reason) for s in sides] == [
            ("table", "tabular", None, ""),
            ("note", "text", None, ""),
        ]
    with pytest.raises(BadInput, match="position 7777 are not kept"):
        kept.sides(7777)


def test_every_kind_of_modality_absent_and_ragged_ones_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = everything(n=24)
    names = [m.name for m in data.modalities]
    model = FunctionModel(lambda **x: x["embedding"][:, :4].astype(float), names, outputs="logits", call="keyword")
    run, source = predicted(
        tmp_path / "run", data, model, {"probes": ["gaussian_noise_additive", "keyboard"], "positions": [5]}
    )
    keep(run, data, source, 18)
    kept = Kept(run.folder)
    forms: dict[str, set[frozenset[str]]] = {}
    for position in kept.positions():
        for condition in run.conditions[1:]:
            for side in kept.sides(position, condition.key):
                for shown in (side.original, side.perturbed or {}):
                    if shown:
                        forms.setdefault(side.kind, set()).add(frozenset(shown) - {"of"})
                    if "image" in shown:
                        with Image.open(io.BytesIO(shown["image"])) as image:
                            assert (image.format, image.width, image.height) == ("PNG", shown["width"], shown["height"])
    absent, picture = frozenset({"absent"}), frozenset({"image", "width", "height"})
    sound = frozenset({"curves", "audio", "rate", "seconds"})
    assert forms == {
        "image": {absent, picture},
        "audio": {absent, sound, picture},
        "text": {absent, frozenset({"text"})},
        "tabular": {absent, frozenset({"values"})},
        "series": {frozenset({"curves"})},
        "embedding": {absent, frozenset({"values"})},
    }


def test_a_small_picture_is_kept_exactly_and_enlarged_for_the_eye(tmp_path: Path) -> None:
    data = everything(n=24, only=["hwc", "table"])
    model = FunctionModel(lambda hwc, table: table[:, :4] / [1, 5, 100, 1e4], ["hwc", "table"], outputs="logits")
    run, source = predicted(tmp_path / "run", data, model, {"probes": ["image.gaussian_noise*"], "positions": [5]})
    keep(run, data, source, 24)
    kept = Kept(run.folder)
    for position in kept.positions():
        shown = kept.sides(position)[0].original
        value = data.rows(np.array([position])).inputs["hwc"][0]
        if "image" in shown:
            with Image.open(io.BytesIO(shown["image"])) as image:
                assert np.array_equal(np.asarray(image), value.repeat(8, axis=0).repeat(8, axis=1))


def test_long_texts_are_cut_and_odd_numbers_have_no_value(tmp_path: Path) -> None:
    n = 40
    table = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    texts = ["ab\ud800 <b>" + "x" * MAX_CHARACTERS] * n
    data = ArrayData({"table": table, "note": texts}, np.arange(n) % 3, Task.classification(3))
    model = FunctionModel(lambda table, note: table, ["table", "note"], outputs="logits")
    run, source = predicted(tmp_path / "run", data, model, {"probes": ["keyboard"], "positions": [1]})
    keep(run, data, source, 2)
    sides = Kept(run.folder).sides(Kept(run.folder).positions()[0])
    assert sides[1].original["of"] == len(texts[0])
    assert sides[1].original["text"].startswith("ab� <b>xxx")
    assert len(sides[1].original["text"]) == MAX_CHARACTERS
    odd = Batch({"odd": np.array([[np.inf, np.nan, 1.0]])}, {"odd": np.ones(1, bool)}, *[np.zeros(1, np.int64)] * 3)
    made = KeptExhibits(choose(run, 1)[0][0], 1000)
    made.originals(odd, 0, [Modality("odd", "embedding", (3,))])
    assert json.loads(made.rows["", "odd"]) == {"values": [None, None, 1.0], "of": 3}


@pytest.mark.parametrize("kind", ["multilabel", "regression", "retrieval"])
def test_every_task(tmp_path: Path, kind: str) -> None:
    data, model = (pairs(n=60), dual()) if kind == "retrieval" else (dataset(kind, n=60), Rowwise(kind))
    suite = {"probes": ["*gaussian_noise*", "missing", "keyboard"], "baselines": ["zero"], "positions": [5]}
    run, source = predicted(tmp_path / "run", data, model, suite)
    keep(run, data, source, 8)
    kept = Kept(run.folder)
    assert sum(s.why.startswith("damaged by") for s in kept.samples) == 6
    for sample in kept.samples[:6]:
        assert any(side.perturbed is not None for side in kept.sides(sample.position, sample.condition))


# ---- the file


def test_the_same_run_gives_the_same_bytes(audited: tuple[Run, Source]) -> None:
    run, source = audited
    keep(run, source.data, source, 12)
    once = contents(run.folder)[FILE]
    (run.folder / FILE).write_bytes(b"damaged")
    fresh = Source(source.data, source.statistics)
    keep(Run.open(run.folder), source.data, fresh, 12)
    assert contents(run.folder)[FILE] == once
    assert not list(run.folder.glob("*.partial"))


def test_the_budget_holds_the_worst_come_first_and_what_is_left_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = everything(n=40, only=["hwc", "table", "sound"])
    names = ["hwc", "table", "sound"]
    model = FunctionModel(lambda hwc, table, sound: sound[:, :4] * 9.0, names, outputs="logits")
    run, source = predicted(tmp_path / "run", data, model, {"probes": ["*gaussian*", "missing"], "baselines": ["zero"]})
    budget = 300_000
    monkeypatch.setattr("mmaudit.keep.BUDGET", budget)
    keep(run, data, source, 24)
    kept, size = Kept(run.folder), (run.folder / FILE).stat().st_size
    assert 0.5 * budget < size < 1.1 * budget
    assert len(kept.samples) == 24
    assert "0.3 MB" in kept.left_out
    assert "conditions" in kept.left_out
    missed = 0
    for sample in kept.samples:
        have = kept.conditions(sample.position)
        assert not sample.condition or sample.condition in have, "the condition that chose it comes first"
        assert all(s.original for s in kept.sides(sample.position))
        for condition in run.conditions[1:]:
            if condition.key not in have:
                missed += 1
                for side in kept.sides(sample.position, condition.key):
                    assert side.perturbed is None
                    assert "not kept for this sample" in side.reason
    assert missed
    monkeypatch.setattr("mmaudit.keep.BUDGET", 20_000)
    (run.folder / FILE).unlink()
    keep(run, data, source, 24)
    assert (run.folder / FILE).stat().st_size < 40_000
    assert "of 24 samples" in Kept(run.folder).left_out
    assert "no sample" in Kept(run.folder).reason


def test_an_input_that_repeats_is_stored_once(tmp_path: Path) -> None:
    """Stand-ins are the same under every subset of modalities: they must not use up the budget."""
    data = everything(n=30, only=["hwc", "chw", "table"])
    model = FunctionModel(
        lambda hwc, chw, table: table[:, :4] / [1, 5, 100, 1e4], ["hwc", "chw", "table"], outputs="logits"
    )
    run, source = predicted(
        tmp_path / "run", data, model, {"probes": ["missing"], "baselines": ["noise"], "subsets": "all"}
    )
    keep(run, data, source, 10)
    table = pq.read_table(run.folder / FILE).to_pandas()
    texts = table.exhibit.str.len().sum()
    once = table.drop_duplicates(["position", "exhibit"]).exhibit.str.len().sum()
    assert texts > 2 * once
    assert (run.folder / FILE).stat().st_size < 1.1 * once


def test_large_samples_are_read_a_few_at_a_time(audited: tuple[Run, Source], monkeypatch: pytest.MonkeyPatch) -> None:
    run, source = audited
    keep(run, source.data, source, 10)
    whole = Kept(run.folder)
    monkeypatch.setattr("mmaudit.keep.MAX_BATCH_BYTES", 1000)
    most, rows = [], source.data.rows

    class Watched(type(source.data)):  # type: ignore[misc]
        def rows(self, positions: Any) -> Any:
            most.append(len(positions))
            return rows(positions)

    watched = object.__new__(Watched)
    watched.__dict__ = source.data.__dict__
    keep(run, watched, source, 10)
    assert max(most) < 10
    again = Kept(run.folder)
    assert again.samples == whole.samples
    for position in again.positions():
        for condition in run.conditions:
            assert again.sides(position, condition.key) == whole.sides(position, condition.key)


def test_the_form_is_the_documented_one(audited: tuple[Run, Source]) -> None:
    run, source = audited
    keep(run, source.data, source, 4)
    file = pq.ParquetFile(run.folder / FILE)
    assert file.num_row_groups == 4
    for group, position in enumerate(Kept(run.folder).positions()):
        table = file.read_row_group(group).to_pandas()
        assert list(table.columns) == ["position", "condition", "modality", "exhibit"]
        assert set(table.position) == {position}
        assert list(table.condition[:2]) == ["", ""]
        assert list(table.modality[:2]) == ["table", "note"]
        assert all(json.loads(text) for text in table.exhibit[table.modality != ""])
        assert set(table.condition) == {"", *(c.key for c in run.conditions[1:])}
