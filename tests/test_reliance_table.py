"""The table of subset values and what is made of it, against sums written out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk

from helpers.reliance_runs import by_label, predicted, resamples
from helpers.run_cases import Rowwise, dataset
from mmaudit import ArrayData, FunctionModel, Task, reliance
from mmaudit.auditing import CHECK_ROWS, spread
from mmaudit.metrics import Predictions, Resamples
from mmaudit.plan import Suite
from mmaudit.reliance.table import Values, games, value_metric
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Batch
from theory.known_truth import gaussian

N = 300
SUITE = Suite(
    "table",
    ("missing", "mismatch"),
    baselines=("zero", "mean", "marginal"),
    pools=("random", "within_class"),
    repeats=2,
)
UNLUCKY = np.setdiff1d(np.arange(5, N, 17), spread(N, CHECK_ROWS))


def no_answer(batch: Batch, rows: Array) -> Array:
    """Nothing usable for some samples once their table is taken away."""
    rows = rows.copy()
    rows[np.isin(batch.ids, UNLUCKY) & (batch.inputs["table"] == 0).all(axis=1)] = np.nan
    return rows


def run_of(folder: Path, kind: str = "classification", **more: object) -> Run:
    rng = np.random.default_rng(8)
    sites = np.where(rng.random(N) < 0.05, "C", np.where(rng.random(N) < 0.4, "A", "B"))
    data = dataset(kind, N, seed=3, groups={"site": sites}, cluster=np.arange(N) // 2, noise=1.2)
    return predicted(folder, Rowwise(kind, **more), data, SUITE)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(tmp_path_factory.mktemp("reliance") / "run")


def value(run: Run, label: str, rows: Array | slice = slice(None)) -> float:
    outputs, target = run.read(run.condition(label)).outputs[rows], run.samples.target[rows]
    if run.task.kind == "classification":
        return float((outputs.argmax(axis=1) == target).mean())
    if run.task.kind == "regression":
        return float(sk.r2_score(target, outputs))
    return float(sk.average_precision_score(target, outputs))


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_indices_by_hand(kind: str, tmp_path: Path) -> None:
    """Of every task, by an independent computation of the metric; a drawn stand-in's repeats are averaged."""
    run = run_of(tmp_path / "run", kind)
    found = by_label(reliance.estimates(run, resamples(run, 50)))
    for baseline, repeats in (("zero", ("",)), ("marginal", ("", "#1"))):

        def v(gone: str, baseline: str = baseline, repeats: tuple[str, ...] = repeats) -> float:
            return float(np.mean([value(run, f"missing[{gone}, baseline={baseline}]{r}") for r in repeats]))

        whole, table, note, nothing = value(run, "clean"), v("note"), v("table"), v("note+table")
        expected = {
            f"shapley_value[table, baseline={baseline}]": (whole - note + table - nothing) / 2,
            f"shapley_interaction[table+note, baseline={baseline}]": whole - note - table + nothing,
            f"leave_one_out[note, baseline={baseline}]": whole - table,
            f"only_one[table, baseline={baseline}]": table,
            f"conditional_utilisation[table, baseline={baseline}]": (whole - note) / whole,
        }
        for label, truth in expected.items():
            assert found[label].value == pytest.approx(truth, abs=1e-6), label
            assert found[label].unit == "share"
    shuffled = np.mean([value(run, f"mismatch[table, pool=random]{r}") for r in ("", "#1")])
    assert found["perceptual_score[table]"].value == pytest.approx(value(run, "clean") - shuffled, abs=1e-6)


def test_text_has_no_mean_so_the_reason_stands_there(classified: Run) -> None:
    found = by_label(reliance.estimates(classified, resamples(classified, 50)))
    assert found["leave_one_out[table, baseline=mean]"].value == pytest.approx(
        value(classified, "clean") - value(classified, "missing[table, baseline=mean]")
    )
    for label in (
        "shapley_value[table, baseline=mean]",
        "leave_one_out[note, baseline=mean]",
        "conditional_utilisation[note, baseline=mean]",
        "only_one[table, baseline=mean]",
        "shapley_interaction[baseline=mean]",
    ):
        assert np.isnan([found[label].value, found[label].low, found[label].p]).all()
        assert "2 of the 4 subsets" in found[label].reason
    assert not any("shape" in label and "mean" in label for label in found)


def test_groups_are_the_metric_on_their_samples(classified: Run) -> None:
    """Sites and true classes; of fewer than 30 samples nothing is said."""
    everything = reliance.estimates(classified, resamples(classified, 100))
    site, target = classified.samples.groups["site"], classified.samples.target
    names = classified.task.names
    rows = {f"site={s}": np.flatnonzero(site == s) for s in "AB"}
    rows |= {f"class={names[c]}": np.flatnonzero(target == c) for c in range(3)}
    assert {e.group for e in everything} == {"", *rows}
    for group, members in rows.items():
        found = by_label(everything, group)
        clean = value(classified, "clean", members)
        without = value(classified, "missing[table, baseline=zero]", members)
        e = found["leave_one_out[table, baseline=zero]"]
        assert e.value == pytest.approx(clean - without)
        assert e.n == len(members)
        assert e.low <= e.value <= e.high
        assert found["perceptual_score[note]"].n == len(members)
        part = found["shapley_value[note, baseline=zero]"].value + found["shapley_value[table, baseline=zero]"].value
        nothing = value(classified, "missing[note+table, baseline=zero]", members)
        assert part == pytest.approx(clean - nothing)


def test_group_replicates_are_those_of_the_metric(classified: Run) -> None:
    """The fast way for accuracies gives what the metric itself does on each group."""
    w = resamples(classified, 40)
    values = Values(classified, w)
    outputs = classified.read(CLEAN).outputs
    for group, rows in values.groups.items():
        p = Predictions(classified.task, outputs[rows], classified.samples.target[rows])
        expected = np.concatenate([value_metric(p.task)(p, Resamples.ones(p.n)), value_metric(p.task)(p, w.take(rows))])
        found = values.of(CLEAN, group)
        assert found is not None
        np.testing.assert_allclose(found, expected)


def test_replicates_that_are_known_are_not_made_again(classified: Run) -> None:
    """`measured` gives the same estimates, and is what they are made of."""
    w = resamples(classified, 60)
    plain = Values(classified, w)
    known = {c.key: v for c in classified.conditions if (v := plain.of(c)) is not None}
    same = reliance.estimates(classified, w, measured=known)
    assert [repr(e) for e in same] == [repr(e) for e in reliance.estimates(classified, w)]
    shifted = {**known, CLEAN.key: known[CLEAN.key] + 0.01}
    a, b = (by_label(reliance.estimates(classified, w, measured=k)) for k in (known, shifted))
    label = "leave_one_out[table, baseline=zero]"
    assert b[label].value == pytest.approx(a[label].value + 0.01)


def test_only_some(classified: Run) -> None:
    found = reliance.estimates(classified, resamples(classified, 20), only=("only_one",))
    assert {e.estimator for e in found} == {"only_one"}


def test_samples_without_an_answer(tmp_path: Path) -> None:
    """A subset that the model did not answer for every sample has no value; it is never taken over the rest alone."""
    run = run_of(tmp_path / "run", fault=no_answer)
    found = by_label(reliance.estimates(run, resamples(run, 20)))
    gone = found["leave_one_out[table, baseline=zero]"]
    assert np.isnan(gone.value)
    assert "not every sample has an answer under missing[table, baseline=zero]" in gone.reason
    assert np.isfinite(found["leave_one_out[note, baseline=zero]"].value)
    assert np.isnan(found["shapley_value[note, baseline=zero]"].value)


def test_many_modalities_are_sampled(tmp_path: Path) -> None:
    """Seven modalities, some of the subsets: Shapley values with wider intervals, and no interactions."""
    world = gaussian([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.0])
    data = world.data(800, np.random.default_rng(0))
    some = Suite("some", ("missing",), baselines=("native",), subset_budget=50)
    every = Suite("all", ("missing",), baselines=("native",), subset_budget=128)
    runs = [predicted(tmp_path / s.name, world.model(), data, s) for s in (some, every)]
    few, many = (by_label(reliance.estimates(run, resamples(run, 100))) for run in runs)
    held = []
    for name in world.names:
        exact = many[f"shapley_value[{name}, baseline=native]"]
        guess = few[f"shapley_value[{name}, baseline=native, subsets=sampled]"]
        assert guess.value == pytest.approx(exact.value, abs=0.02)
        held.append(guess.low <= exact.value <= guess.high)
        assert guess.high - guess.low > exact.high - exact.low
        alone = [repr(table[f"leave_one_out[{name}, baseline=native]"]) for table in (few, many)]
        assert alone[0] == alone[1]  # not the values: from Python 3.13 on, one without a null differs from itself
    assert sum(held) >= 6  # 95 % each
    assert few["shapley_value[g, baseline=native, subsets=sampled]"].p > 0.01
    assert abs(few["shapley_efficiency_error[baseline=native, subsets=sampled]"].value) < 1e-12
    assert "interactions need all of them" in few["shapley_interaction[baseline=native]"].reason
    assert len([e for e in many if e.startswith("shapley_interaction")]) == 21 + 35


def test_nothing_was_taken_away(tmp_path: Path) -> None:
    """A run without `missing` and `mismatch` has no estimates of them."""
    data = dataset(n=60)
    run = predicted(tmp_path / "run", Rowwise(), data, Suite("none", ("keyboard",)))
    assert reliance.estimates(run, resamples(run, 10)) == []


def test_a_constant_target_has_no_value(tmp_path: Path) -> None:
    data = dataset("regression", 60)
    # Of a whole data set it is refused; within a group it may happen.
    site = np.repeat(["a", "b"], 30)
    target = np.where(site == "a", 2.0, np.arange(60.0))
    inputs = {m.name: data.rows(np.arange(60)).inputs[m.name] for m in data.modalities}
    constant = type(data)(inputs, target, data.task, groups={"site": site})
    run = predicted(tmp_path / "run", Rowwise("regression"), constant, SUITE)
    found = [e for e in reliance.estimates(run, resamples(run, 10)) if e.group == "site=a"]
    dropped = [e for e in found if e.estimator == "leave_one_out"]
    assert dropped
    assert all(np.isnan(e.value) and e.reason for e in dropped), [(e.value, e.reason) for e in dropped]


def test_games_of_one_modality(tmp_path: Path) -> None:
    data = dataset(n=90, modalities=("table",))
    run = predicted(tmp_path / "run", Rowwise(modalities=("table",)), data, SUITE)
    w = resamples(run, 20)
    (game, *_) = games(Values(run, w))
    assert game.complete
    found = by_label(reliance.estimates(run, w))
    drop = found["leave_one_out[table, baseline=zero]"].value
    assert found["shapley_value[table, baseline=zero]"].value == pytest.approx(drop)
    assert "reliance_agreement" not in found


def test_more_than_all_is_lost_where_what_is_left_is_below_0(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(10, 1, (N, 1)), rng.normal(0, 1, (N, 1))
    data = ArrayData({"a": a, "b": b}, a + b + rng.normal(0, 0.1, (N, 1)), Task.regression())
    model = FunctionModel(lambda a, b: a + b, ["a", "b"], outputs="values")
    run = predicted(tmp_path / "run", model, data, Suite("zero", ("missing",), baselines=("zero",)))
    share = by_label(reliance.estimates(run, resamples(run)))["conditional_utilisation[a, baseline=zero]"]
    without = value(run, "missing[a, baseline=zero]")
    whole = value(run, "clean")
    assert without < -10
    assert share.value == pytest.approx(1 - without / whole)
    assert 1 < share.low < share.value < share.high
