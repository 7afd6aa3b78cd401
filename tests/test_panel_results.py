"""The numbers of a panel, against values worked out by hand from the same answers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats

from helpers.panel_runs import (
    AUDITED,
    MODALITIES,
    PLAN,
    World,
    add_reference,
    blur,
    logits,
    make_run,
    missing,
    panel_run,
    swapped,
)
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.outputs import write_parquet
from mmaudit.panel import Panel, lines
from mmaudit.panel.file import read_panel, score_panel
from mmaudit.panel.values import CLEAN, ECE, EFFECTIVE, EVERYTHING, RELATIVE, RETAINED, RIGHT, SYNERGY, VALUE
from mmaudit.score import score
from mmaudit.store import Run
from mmaudit.types import CLEAN as CLEAN_CONDITION
from mmaudit.types import Array, Task

BETTER = {"aecf": {"missing[image]": 0.65}, "late": {"clean": 0.8, "corruption": 0.75}, "weak": {"clean": 0.7}}
B = 200


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return panel_run(tmp_path_factory.mktemp("panels") / "run", BETTER, n=800, spread=0.01)


@pytest.fixture(scope="module")
def panel(run: Run) -> Panel:
    return score_panel(run, resamples=B)


def accuracy(run: Run, key: str, method: str = "", seed: int = 0) -> float:
    source = Run.open(run.folder / "references" / method / f"seed-{seed}") if method else run
    return float((source.read(run.condition(key)).outputs.argmax(axis=1) == run.samples.target).mean())


def test_values_are_means_over_seeds_and_differences_are_paired(run: Run, panel: Panel) -> None:
    for c in (CLEAN_CONDITION, missing("image"), blur(3), swapped("text")):
        place = CLEAN if c == CLEAN_CONDITION else c.key
        mine = accuracy(run, c.key)
        assert panel.row("", VALUE, place).value == pytest.approx(mine)
        for method in BETTER:
            row = panel.row(method, VALUE, place)
            each = [accuracy(run, c.key, method, s) for s in range(3)]
            assert row.value == pytest.approx(np.mean(each))
            assert row.delta == pytest.approx(np.mean(each) - mine)
            assert row.between == pytest.approx(np.std(each, ddof=1))
            assert (row.seeds, row.n, row.unit) == (3, 800, "share")
            assert row.low < row.value < row.high
            assert row.delta_low < row.delta < row.delta_high


def test_the_audited_model_has_the_interval_of_its_scores(run: Run, panel: Panel) -> None:
    scores = {
        s.condition: s for s in score(Run.open(run.folder), only=["accuracy"], resamples=B) if s.metric == "accuracy"
    }
    for c in PLAN:
        if c.family not in ("clean", "control"):
            row, known = panel.row("", VALUE, c.key), scores[c.key]
            assert (row.value, row.low, row.high) == (known.value, known.low, known.high)


def test_groups_are_by_family_and_modality_with_the_best_stand_in(run: Run, panel: Panel) -> None:
    keys = [g.key for g in panel.groups]
    assert keys == ["missing[image]", "missing[text]", "corruption[image]", "mismatch[text]"]
    for group in panel.groups[:2]:
        neutral = {b: accuracy(run, missing(group.modalities[0], b).key) for b in ("zero", "mean")}
        best = max(neutral, key=lambda b: neutral[b])
        assert group.remark == f"stand-in: {best}"
        assert panel.row("", VALUE, group.key).value == pytest.approx(neutral[best])
    blurred = panel.row("aecf", VALUE, "corruption[image]").value
    assert blurred == pytest.approx(np.mean([panel.row("aecf", VALUE, blur(p).key).value for p in (1, 3, 5)]))
    assert [g.counts for g in panel.groups] == [True, True, True, False]
    counted = [panel.row("late", VALUE, key).value for key in keys[:3]]
    assert panel.row("late", VALUE, EVERYTHING).value == pytest.approx(np.mean(counted))


def test_what_is_kept_of_the_clean_value(run: Run, panel: Panel) -> None:
    floor = np.bincount(run.samples.target).max() / 800
    assert panel.floor == pytest.approx(floor)
    for method in ("", *BETTER):
        clean = panel.row(method, VALUE, CLEAN).value
        for place in ("missing[image]", blur(5).key):
            value = panel.row(method, VALUE, place).value
            kept = panel.row(method, RETAINED, place)
            assert kept.value == pytest.approx((value - floor) / (clean - floor))
            assert kept.low < kept.value < kept.high
        three = [panel.row(method, VALUE, blur(p).key).value / clean for p in (1, 3, 5)]
        assert panel.row(method, RELATIVE, "corruption[image]").value == pytest.approx(np.mean(three))
    aecf = panel.row("aecf", RETAINED, "missing[image]")
    assert aecf.delta == pytest.approx(aecf.value - panel.row("", RETAINED, "missing[image]").value)


def test_p_is_adjusted_over_conditions_and_over_groups(panel: Panel) -> None:
    groups = {g.key for g in panel.groups} | {CLEAN, EVERYTHING}
    for member in (lambda place: place in groups, lambda place: place not in groups):
        rows = [r for r in panel.rows if r.quantity == VALUE and r.method and member(r.place)]
        expected = scipy.stats.false_discovery_control([r.p for r in rows])
        assert [r.p_adjusted for r in rows] == pytest.approx(expected)
    assert panel.row("aecf", VALUE, "missing[image]").p_adjusted < 0.02


def test_effective_robustness_is_the_residual_to_the_others_line(panel: Panel) -> None:
    names = ["", *BETTER]
    x = scipy.special.logit([panel.row(n, VALUE, CLEAN).value for n in names])
    y = scipy.special.logit([panel.row(n, VALUE, "missing[image]").value for n in names])
    for i, name in enumerate(names):
        row = panel.row(name, EFFECTIVE, "missing[image]")
        if row.reason:
            assert "far outside" in row.reason
            continue
        others = [j for j in range(4) if j != i]
        slope, intercept = np.polyfit(x[others], y[others], 1)
        expected = scipy.special.expit(intercept + slope * x[i])
        assert row.value == pytest.approx(scipy.special.expit(y[i]) - expected)
        assert row.low < row.value < row.high
    assert panel.row("aecf", EFFECTIVE, "missing[image]").low > 0
    line = next(e for e in panel.lines if e.group == "missing[image]")
    slope, intercept = np.polyfit(x, y, 1)
    assert (line.slope, line.intercept, line.logit) == (pytest.approx(slope), pytest.approx(intercept), True)
    assert line.at(scipy.special.expit(x[0])) == pytest.approx(scipy.special.expit(intercept + slope * x[0]))


def test_calibration_is_that_of_the_metric(run: Run, panel: Panel) -> None:
    outputs = run.read(missing("text", "mean")).outputs
    found = metrics.get("ece")(Predictions(run.task, outputs, run.samples.target), Resamples.ones(800))[0]
    assert panel.row("", ECE, missing("text", "mean").key).value == pytest.approx(found)
    assert panel.row("late", ECE, CLEAN).better == "lower"
    assert not math.isnan(panel.row("late", ECE, CLEAN).delta_low)


def test_files_hold_the_whole_panel(run: Run, panel: Panel) -> None:
    assert repr(read_panel(run)) == repr(panel)
    assert repr(Panel.from_json(panel.to_json())) == repr(panel)
    before = (run.folder / "references.parquet").read_bytes(), (run.folder / "references.json").read_bytes()
    score_panel(Run.open(run.folder), resamples=B)
    assert before == ((run.folder / "references.parquet").read_bytes(), (run.folder / "references.json").read_bytes())


def test_lines_for_a_terminal(panel: Panel) -> None:
    table = lines(panel)
    assert len({len(row) for row in table}) == 1
    assert table[0][0] == "method"
    assert table[1][0] == "mine (yours)"
    assert {row[0] for row in table[2:]} == {"Aecf", "Late", "Weak"}
    assert all(row[-1] == "3 of 3" for row in table[2:])


def test_one_seed_has_the_interval_of_the_samples_alone(tmp_path: Path) -> None:
    run = panel_run(tmp_path / "run", {"one": {}}, n=400, seeds=1)
    row = score_panel(run, resamples=B).row("one", VALUE, CLEAN)
    mine, its = (r.read(CLEAN_CONDITION).outputs.argmax(1) == run.samples.target for r in (run, _seed(run, "one")))
    w = Resamples.draw(400, B, 0)
    assert (row.low, row.high) == pytest.approx(tuple(np.quantile(w.mean(its), [0.025, 0.975])), abs=1e-12)
    delta = w.mean(its) - w.mean(mine)
    assert (row.delta_low, row.delta_high) == pytest.approx(tuple(np.quantile(delta, [0.025, 0.975])), abs=1e-12)
    assert row.seeds == 1
    assert math.isnan(row.between)


def _seed(run: Run, method: str, seed: int = 0) -> Run:
    return Run.open(run.folder / "references" / method / f"seed-{seed}")


def test_clusters_are_drawn_whole(tmp_path: Path) -> None:
    world = World(600)
    cluster = np.arange(600) // 10
    block = np.random.default_rng(1).random(60)[cluster]
    mine = {c.key: logits(world.target, block < 0.6, world.rng) for c in PLAN}
    its = {c.key: logits(world.target, block < 0.7, world.rng) for c in PLAN}
    widths = []
    for name, clusters in (("whole", cluster), ("single", None)):
        run = make_run(tmp_path / name, world.target, mine, cluster=clusters)
        add_reference(run, "aecf", [its], cluster=clusters)
        row = score_panel(run, resamples=B).row("aecf", VALUE, CLEAN)
        widths.append(row.delta_high - row.delta_low)
    assert widths[0] > 2 * widths[1]


def test_samples_without_an_answer_are_left_out_for_everybody(tmp_path: Path) -> None:
    def edit(method: str, seed: int, made: dict[str, Array]) -> None:
        if seed == 1:
            made[missing("image", "zero").key][:50] = np.nan
            made[missing("image", "mean").key][:50] = np.nan

    run = panel_run(tmp_path / "run", {"aecf": {}, "late": {}}, n=500, seeds=2, edit=edit)
    panel = score_panel(run, resamples=50)
    place = panel.groups[0].conditions[0]
    row = panel.row("aecf", VALUE, place)
    assert row.n == 450
    right = [
        r.read(run.condition(place)).outputs[50:].argmax(1) == run.samples.target[50:]
        for r in (_seed(run, "aecf"), run)
    ]
    other = _seed(run, "aecf", 1).read(run.condition(place)).outputs[50:].argmax(1) == run.samples.target[50:]
    assert row.delta == pytest.approx((right[0].mean() + other.mean()) / 2 - right[1].mean())
    assert "50 samples have no answer" in panel.row("aecf", RETAINED, place).reason
    assert "no answer" in panel.row("aecf", EFFECTIVE, EVERYTHING).reason
    assert panel.row("", VALUE, place).n == 500


def test_the_synergy_subset_comes_from_the_runs_tags(tmp_path: Path) -> None:
    run = panel_run(tmp_path / "run", {"aecf": {"clean": 0.95}}, n=400)
    assert "no synergy analysis" in score_panel(run, resamples=50).row("aecf", RIGHT, SYNERGY).reason
    member = np.arange(400) % 4 == 0
    table = {"position": np.arange(400), "majority": member}
    write_parquet(run.folder / "tags.parquet", pa.table({k: pa.array(v) for k, v in table.items()}))
    panel = score_panel(run, resamples=50)
    row = panel.row("aecf", RIGHT, SYNERGY)
    each = [
        (_seed(run, "aecf", s).read(CLEAN_CONDITION).outputs.argmax(1) == run.samples.target)[member] for s in range(3)
    ]
    assert (row.n, row.value) == (100, pytest.approx(np.mean(each)))
    assert row.delta_low > 0
    few = pa.table({"position": pa.array([0, 1]), "majority": pa.array([True, True])})
    write_parquet(run.folder / "tags.parquet", few)
    assert "fewer than 30" in score_panel(run, resamples=50).row("", RIGHT, SYNERGY).reason


def test_errors_are_better_when_lower(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=(300, 1))

    def outputs(noise: dict[str, float]) -> dict[str, Array]:
        return {c.key: (target + rng.normal(size=(300, 1)) * noise.get(c.probe, 0.3)).astype(np.float32) for c in PLAN}

    run = make_run(tmp_path / "run", target, outputs({"missing": 0.8}), task=Task.regression(1, "mm"))
    add_reference(run, "aecf", [outputs({"missing": 0.5}) for _ in range(3)])
    panel = score_panel(run, resamples=B)
    row = panel.row("aecf", VALUE, "missing[image]")
    assert (panel.metric, row.unit, row.better) == ("rmse", "mm", "lower")
    assert row.delta == pytest.approx(-0.3, abs=0.06)
    assert row.delta_high < 0
    kept = panel.row("aecf", RETAINED, "missing[image]")
    assert kept.value == pytest.approx((target.std() - 0.5) / (target.std() - 0.3), abs=0.08)
    assert kept.delta > 0
    assert panel.row("aecf", RELATIVE, "missing[image]").value == pytest.approx(0.3 / 0.5, abs=0.06)
    assert "no probabilities" in panel.row("aecf", ECE, CLEAN).reason
    assert "two other models" in panel.row("aecf", EFFECTIVE, EVERYTHING).reason
    assert panel.worst("aecf") is panel.groups[0] or panel.worst("aecf") is panel.groups[1]


def test_a_model_at_chance_has_nothing_to_keep(tmp_path: Path) -> None:
    audited = {**dict.fromkeys(AUDITED, 0.26), "clean": 0.2}
    run = panel_run(tmp_path / "run", {"aecf": {}}, n=300, audited=audited, seeds=1)
    panel = score_panel(run, resamples=50)
    assert "not better than chance" in panel.row("", RETAINED, EVERYTHING).reason
    assert math.isnan(panel.row("aecf", RETAINED, EVERYTHING).value)


def test_names_of_modalities_are_those_of_the_run(panel: Panel) -> None:
    assert {m for g in panel.groups for m in g.modalities} == {m.name for m in MODALITIES}


def test_retrieval_is_compared_by_reciprocal_rank(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 300
    target = np.stack([np.arange(n), np.full(n, n), np.ones(n, np.int64)], axis=1).astype(np.int64)

    def outputs(first: float) -> dict[str, Array]:
        made = {}
        for c in PLAN:
            higher = np.where(rng.random(n) < first, 0, 3)
            columns = (higher, np.zeros(n), np.ones(n), np.arange(n), np.full(n, -2.0), np.full(n, -1.0))
            made[c.key] = np.stack(columns, axis=1).astype(np.float32)
        return made

    run = make_run(tmp_path / "run", target, outputs(0.5), task=Task.retrieval("image", "text"))
    add_reference(run, "symile", [outputs(0.8) for _ in range(3)])
    panel = score_panel(run, resamples=50)
    assert panel.metric == "mrr"
    # Right at rank 1 or 4.
    assert panel.row("symile", VALUE, CLEAN).value == pytest.approx(0.8 + 0.2 / 4, abs=0.03)
    assert panel.row("symile", VALUE, CLEAN).delta_low > 0
    assert [g.key for g in panel.groups if g.family == "missing"] == ["missing[text]"]
    assert "retrieval states no probabilities" in panel.row("symile", ECE, CLEAN).reason
    assert 0 < panel.row("symile", RETAINED, "corruption[image]").value < 2
