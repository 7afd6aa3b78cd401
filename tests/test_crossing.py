from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, Whole, dataset
from mmaudit import ArrayData
from mmaudit.auditing import Prepared, prepare
from mmaudit.crossing import cross
from mmaudit.crossing.answers import Combiner
from mmaudit.errors import BadInput, DamagedRun
from mmaudit.metrics import Resamples
from mmaudit.predict import predict
from mmaudit.reliance.combinations import FILE, Crossed, read_crossed
from mmaudit.reliance.crossed import about, estimates
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Batch, Task

SUITE = {"probes": ["missing"], "baselines": ["zero"]}


class Product(Rowwise):
    """Multiplies what two modalities say, and adds a little of each."""

    def _fuse(self, features: Mapping[str, Array], batch: Batch) -> Array:
        a, b = (features[m] - 0.6 for m in self.modalities[:2])
        rows = np.asarray(3 * a * b + a + b, np.float32)
        return rows if self.fault is None else self.fault(batch, rows)


def started(folder: Path, model: Any, data: ArrayData) -> tuple[Run, Prepared]:
    """A run with its predictions."""
    prepared = prepare(model, data, suite=SUITE)
    run = prepared.open_run(folder, batch_rows=64, title=None, command="")
    predict(run, data, prepared.model, prepared.source, stage=prepared.stage)
    return run, prepared


def crossed(folder: Path, model: Any, data: ArrayData, **options: Any) -> tuple[Run, Crossed]:
    run, prepared = started(folder, model, data)
    cross(run, data, prepared.model, prepared.stage, **options)
    found = read_crossed(run.folder / FILE)
    assert found is not None
    return run, found


def estimated(run: Run) -> dict[str, Any]:
    samples = run.samples
    return {e.label: e for e in estimates(run, Resamples.draw(len(samples), 20, 0, samples.cluster))}


@pytest.mark.parametrize("modalities", [("table", "note"), ("table", "note", "signal")])
def test_every_round_uses_every_value_of_every_modality_once(tmp_path: Path, modalities: tuple[str, ...]) -> None:
    data = dataset(n=90, modalities=modalities)
    _, found = crossed(tmp_path, Product(modalities=modalities), data, rows=60, seed=3)
    design = found.design
    assert found.outputs.shape == (design.rounds, 60, 3)
    assert (np.sort(design.index, axis=2) == np.arange(60)).all()
    assert found.about["passes"] == design.rounds * 60
    for r, kept in enumerate(design.kept):
        for m in range(len(modalities)):
            same = (design.index[m, r] == design.index[m, design.family[r]]).mean()
            assert same == 1 if (m in kept or not kept) else same < 0.3
    if len(modalities) == 2:
        cells = Counter(zip(*design.index.reshape(2, -1).tolist(), strict=True))
        assert max(cells.values()) == 1
    else:
        assert {k for k in design.kept if k} == {(0, 1), (0, 2), (1, 2)}


def test_answers_are_those_to_the_combined_inputs(tmp_path: Path) -> None:
    data = dataset(n=80)
    model = Product()
    _, found = crossed(tmp_path, model, data, rows=80)
    rows = data.rows(found.positions)
    for r in (0, 5):
        table, note = found.design.index[0, r], found.design.index[1, r]
        batch = rows.replace({"table": rows.inputs["table"][table], "note": rows.inputs["note"][note]})
        np.testing.assert_array_equal(found.outputs[r], model.predict(batch))


def test_two_stages_encode_once_and_give_what_the_whole_model_gives(tmp_path: Path) -> None:
    data = dataset(n=80)
    model, alone = Product(), Product()
    run, prepared = started(tmp_path / "staged", model, data)
    model.rows.clear()
    cross(run, data, prepared.model, prepared.stage, batch_rows=32)
    staged = read_crossed(run.folder / FILE)
    assert staged is not None
    # A few more for the trial of gathered features against the whole model.
    assert model.rows["table"] == 80
    assert model.rows["predict"] <= 16
    assert staged.about["how"] == "fused from encodings"
    _, whole = crossed(tmp_path / "whole", Whole(alone), data, batch_rows=32)
    assert whole.about["how"] == "run whole"
    np.testing.assert_array_equal(staged.outputs, whole.outputs)
    np.testing.assert_array_equal(staged.design.index, whole.design.index)


def test_the_same_file_again_and_nothing_done_where_it_is_there(tmp_path: Path) -> None:
    data = dataset(n=60)
    run, _ = crossed(tmp_path / "a", Product(), data)
    first = (run.folder / FILE).read_bytes()
    model = Product()
    cross(run, data, model, None)
    assert not model.calls
    assert (run.folder / FILE).read_bytes() == first
    other, _ = crossed(tmp_path / "b", Product(), data)
    assert (other.folder / FILE).read_bytes() == first
    cross(run, data, model, None, seed=1)
    assert (run.folder / FILE).read_bytes() != first
    (run.folder / FILE).write_bytes(first[:-30])
    cross(run, data, model, model)
    assert (run.folder / FILE).read_bytes() == first
    assert not list(run.folder.glob("*.partial"))


def test_it_stops_where_the_interval_is_narrow_enough_or_the_budget_is_spent(tmp_path: Path) -> None:
    data = dataset(n=200)
    _, additive = crossed(tmp_path / "a", Rowwise(), data)
    assert additive.design.rounds == 8
    assert additive.about["half_width"] == 0
    assert additive.about["stopped"] == "the interval over donors is within the tolerance"
    _, spent = crossed(tmp_path / "b", Product(), data, tolerance=0)
    assert spent.design.rounds == 10
    assert spent.about["share"] == 0.05
    assert spent.about["stopped"] == "the budget is spent"
    _, few = crossed(tmp_path / "c", Product(), data, tolerance=1)
    assert few.design.rounds == 8
    seen: list[tuple[int, int]] = []
    run, found = crossed(
        tmp_path / "d", Product(), data, budget=1.0, rows=30, progress=lambda a, b: seen.append((a, b))
    )
    assert found.design.whole
    assert found.about["passes"] == 900
    assert about(run) is not None


def test_rows_that_lack_a_modality_or_an_answer_are_not_combined(tmp_path: Path) -> None:
    present = {"note": np.arange(100) % 4 > 0}

    def fault(batch: Batch, rows: Array) -> Array:
        return np.where(np.isin(batch.ids, (1, 2))[:, None], np.nan, rows).astype(np.float32)

    data = dataset(n=100, present=present)
    run, found = crossed(tmp_path, Product(fault=fault), data)
    assert (found.positions % 4 > 0).all()
    assert {0, 1, 2}.isdisjoint(found.positions)
    assert not run.read(CLEAN).answered[[1, 2]].any()
    assert len(found.positions) == 73


def test_a_model_that_raises_leaves_combinations_out_with_its_error(tmp_path: Path) -> None:
    def fault(batch: Batch, rows: Array) -> Array:
        # Only combinations can be like this: clean rows are in order of their ids, and note and table agree.
        odd = (batch.inputs["table"][:, 0] > 1.2) & np.array(["blue blue" in t for t in batch.inputs["note"]])
        if odd.any() and len(batch.ids) < 200:
            raise ValueError("too odd")
        return rows

    data = dataset(n=200)
    run, found = crossed(tmp_path, Whole(Product(fault=fault)), data, batch_rows=32)
    lost = 1 - found.design.use.mean()
    assert 0 < lost < 0.3
    assert found.about["error"] == "ValueError: too odd"
    gap = estimated(run)["emap_gap"]
    assert np.isfinite([gap.value, gap.low, gap.high]).all()


def test_one_modality_has_nothing_to_combine(tmp_path: Path) -> None:
    data = dataset(n=40)
    run, found = crossed(tmp_path, Rowwise(modalities=("table",)), data)
    assert found.about["passes"] == 0
    known = estimated(run)
    assert set(known) == {"emap", "emap_gap", "anova_share[table]", "anova_order_share[order=1]"}
    for e in known.values():
        assert np.isnan(e.value)
        assert e.reason == "the model reads one modality only, so there is nothing to combine"


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_estimates_of_every_task(tmp_path: Path, kind: str) -> None:
    data = dataset(kind, n=150)
    run, _ = crossed(tmp_path, Rowwise(kind), data)
    known = estimated(run)
    assert known["emap_gap"].value == 0
    gap = known["emap_gap"]
    assert gap.p == 1
    if kind == "regression":  # a metric without ends: nothing bounds what was not seen
        assert np.isnan([gap.low, gap.high]).all()
        assert gap.reason.startswith("no interval: no resample differs")
    else:
        assert gap.low < 0 < gap.high
    assert known["emap"].low < known["emap"].value < known["emap"].high
    assert known["emap"].null < known["emap"].value
    assert known["anova_order_share[order=1]"].value == pytest.approx(1)
    assert known["anova_share[table]"].value + known["anova_share[note]"].value == pytest.approx(1)
    assert all(e.n == 150 for e in known.values())


def test_a_model_that_multiplies_has_a_gap(tmp_path: Path) -> None:
    data = dataset(n=300, noise=0.5)
    run, found = crossed(tmp_path, Product(), data)
    known = estimated(run)
    shares = known["anova_share[table+note]"], known["anova_order_share[order=2]"]
    assert shares[0].value == shares[1].value > 0.1
    assert shares[0].low > 0
    gap, emap = known["emap_gap"], known["emap"]
    right = (run.read(CLEAN).outputs[found.positions].argmax(axis=1) == run.samples.target[found.positions]).mean()
    assert emap.value + gap.value == pytest.approx(right)
    # A missing file has no estimates, a damaged one says so.
    (run.folder / FILE).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DamagedRun, match="delete it"):
        estimated(run)
    (run.folder / FILE).unlink()
    assert estimated(run) == {}
    assert about(run) is None


def test_arguments_out_of_range(tmp_path: Path) -> None:
    data = dataset(n=40)
    run, prepared = started(tmp_path, Rowwise(), data)
    for wrong in ({"rows": 1}, {"budget": 0.0}, {"budget": 2.0}, {"tolerance": -1.0}):
        with pytest.raises(BadInput, match="cross needs"):
            cross(run, data, prepared.model, None, **wrong)  # type: ignore[arg-type]


# ---- features of any form


class Formed(Product):
    """The same model whose features have another form."""

    def __init__(self, form: Callable[[Array, Batch], Any], back: Callable[[Any, int], Array], **more: Any) -> None:
        super().__init__(**more)
        self.form = form
        self.back = back

    def encode(self, modality: str, batch: Batch) -> Any:
        return self.form(super().encode(modality, batch), batch)

    def fuse(self, features: Mapping[str, Any], batch: Batch) -> Array:
        return super().fuse({name: self.back(f, len(batch)) for name, f in features.items()}, batch)


def _padded(x: Array, batch: Batch) -> Array:
    width = 3 + int(np.abs(x).sum()) % 5  # as texts are padded to the longest of the batch
    return np.concatenate([x, np.zeros((len(x), width - 3))], axis=1)


FORMS: dict[str, tuple[Callable[[Array, Batch], Any], Callable[[Any, int], Array], str]] = {
    "tuple of dicts": (
        lambda x, b: ({"values": x, "again": [x * 2]}, None, 7),
        lambda f, n: f[0]["values"] + 0 * f[0]["again"][0] + 0 * f[2],
        "fused from encodings",
    ),
    "constant beside it": (
        lambda x, b: (x, np.ones(3)),
        lambda f, n: f[0] * f[1],
        "fused from encodings",
    ),
    "padded": (_padded, lambda f, n: f[:, :3], "fused from encodings"),
    "counts its rows": (lambda x, b: (x, len(b)), lambda f, n: f[0] * (f[1] == n), "run whole"),
    "bears no gathering": (lambda x, b: {"function": lambda: x}, lambda f, n: f["function"](), "run whole"),
}


@pytest.mark.parametrize("form", FORMS)
def test_features_of_any_form(form: str) -> None:
    make, back, how = FORMS[form]
    data = dataset(n=50)
    model = Formed(make, back)
    combiner = Combiner(model, model, data, np.arange(50), data.task, 16)
    assert combiner.how == how
    index = np.stack([np.arange(50), np.arange(50)[::-1]])
    rows = data.rows(np.arange(50))
    expected = Product().predict(rows.replace({"note": rows.inputs["note"][::-1]}))
    np.testing.assert_allclose(combiner.answer(index), expected, rtol=1e-6)


def test_probabilities_become_logits() -> None:
    data = dataset(n=30)
    model = Rowwise(outputs="probabilities")
    answers = Combiner(model, model, data, np.arange(30), data.task, 16).answer(np.stack([np.arange(30)] * 2))
    np.testing.assert_allclose(np.exp(answers).sum(axis=1), 1, rtol=1e-5)
    assert Task.classification(3).width == answers.shape[1]
