"""What `compare` measures, held against numbers worked out another way and against models whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.compare_cases import PLAN, WITHOUT, blur, of_task, two_models, write
from mmaudit import Comparison, Run, compare
from mmaudit.compared.result import CHANGE, VALUE
from mmaudit.comparison import measure, score_row
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.metrics import Predictions, metrics
from mmaudit.types import CLEAN, Task

KINDS = ("classification", "multilabel", "regression", "retrieval")
ACCURACY = {"clean": (0.85, 0.84), "missing": (0.6, 0.62), "corruption": (0.75, 0.6)}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models of the same 600 samples; the second is worse when the image is blurred."""
    folder = tmp_path_factory.mktemp("pair")
    target, a, b = two_models(600, 0, ACCURACY)
    groups = {
        "site": np.array(["north", "south", "tiny"])[np.r_[np.zeros(400), np.ones(190), np.full(10, 2)].astype(int)]
    }
    return write(folder / "a", target, a, groups=groups), write(folder / "b", target, b, groups=groups)


@pytest.fixture(scope="module")
def found(pair: tuple[Path, Path]) -> Comparison:
    return compare(*pair, metrics=["ece"], resamples=400)


def numbers(comparison: Comparison) -> list[list[object]]:
    return [list(row) for row in comparison.to_dict()["rows"]["rows"]]


def test_differences_are_those_of_the_stored_answers(pair: tuple[Path, Path], found: Comparison) -> None:
    right = {}
    for name, folder in zip("ab", pair, strict=True):
        run = Run.open(folder)
        right[name] = {c.key: (run.read(c).outputs.argmax(1) == run.samples.target).mean() for c in PLAN}
    for c in (CLEAN, WITHOUT, blur(1), blur(3)):
        row = found.row(c.key)
        assert row is not None
        assert row.value_first == pytest.approx(right["a"][c.key], abs=1e-12)
        assert row.delta == pytest.approx(right["b"][c.key] - right["a"][c.key], abs=1e-12)
        assert row.n_first == row.n_other == 600
        if c != CLEAN:
            change = found.row(c.key, quantity=CHANGE)
            assert change is not None
            clean = right["b"][CLEAN.key] - right["a"][CLEAN.key]
            assert change.delta == pytest.approx(row.delta - clean, abs=1e-12)
    assert found.row(CLEAN.key, quantity=CHANGE) is None


def test_the_interval_is_that_of_repeated_samples_taken_from_both_runs(
    pair: tuple[Path, Path], found: Comparison
) -> None:
    runs = [Run.open(folder) for folder in pair]
    target, key = runs[0].samples.target, blur(3)
    right = [run.read(key).outputs.argmax(1) == target for run in runs]
    w = Resamples.draw(600, 400, 0)
    replicates = []
    for b in range(400):
        rows = w.repeat(b)
        replicates.append(right[1][rows].mean() - right[0][rows].mean())
    low, high = np.quantile(replicates, [0.025, 0.975])
    row = found.row(key.key)
    assert row is not None
    assert (row.delta_low, row.delta_high) == pytest.approx((low, high), abs=1e-9)


def test_the_first_runs_values_are_those_of_its_own_report(pair: tuple[Path, Path], found: Comparison) -> None:
    run = Run.open(pair[0])
    w = Resamples.draw(run.n, 400, 0)
    for c in (CLEAN, WITHOUT, blur(3)):
        answers = Predictions(run.task, run.read(c).outputs, run.samples.target)
        for name in ("accuracy", "ece"):
            score = score_row(run.task, c, metrics.get(name), measure(metrics.get(name), answers, w))
            row = found.row(c.key, name)
            assert row is not None
            assert (row.value_first, row.low_first, row.high_first) == (score.value, score.low, score.high)


def test_what_is_worse_is_called_worse_and_the_rest_undecided(found: Comparison) -> None:
    said = {(r.condition, r.quantity): r.verdict for r in found.select(metric="accuracy")}
    for c in (blur(1), blur(3)):
        assert said[c.key, VALUE] == said[c.key, CHANGE] == "worse"
    for c in (CLEAN, WITHOUT):
        assert said[c.key, VALUE] == "undecided"
    assert found.counts() == {"worse": 2, "better": 0, "undecided": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_identical_answers_are_undecided_with_a_difference_of_exactly_zero(tmp_path: Path, kind: str) -> None:
    task, target, answers = of_task(kind, 120, 1)
    folders = [write(tmp_path / name, target, answers, task=task) for name in ("a", "b")]
    found = compare(*folders, resamples=100)
    assert {r.delta for r in found.rows} == {0.0}
    assert {r.p for r in found.rows} == {r.p_adjusted for r in found.rows} == {1.0}
    assert {r.verdict for r in (*found.rows, *found.means)} == {"undecided"}
    assert all(r.delta_low < 0 < r.delta_high for r in found.rows)
    if found.primary.unit == "share":
        # No difference on 120 samples does not mean that there is none: Clopper-Pearson. Average precision is a mean
        # over labels, so of the samples with or without the rarest of them.
        labels = target.shape[1] if kind == "multilabel" else 1
        rarest = np.minimum(target.sum(axis=0), (1 - target).sum(axis=0)).min() if kind == "multilabel" else 120
        bound = max(1 - 0.025 ** (1 / 120), (1 - 0.025 ** (1 / rarest)) / labels)
        assert found.rows[0].delta_high == pytest.approx(bound)


@pytest.mark.parametrize("kind", KINDS)
def test_a_better_model_of_every_task_is_better(tmp_path: Path, kind: str) -> None:
    folders = []
    for i, quality in enumerate((0.5, 3.0)):
        task, target, answers = of_task(kind, 300, i, quality)
        folders.append(write(tmp_path / str(i), target, answers, task=task))
    there, back = compare(*folders, resamples=100), compare(*reversed(folders), resamples=100)
    assert there.counts() == {"worse": 0, "better": 4, "undecided": 0}
    assert back.counts() == {"worse": 4, "better": 0, "undecided": 0}
    for row in there.rows:
        other = back.row(row.condition, row.metric, 0, row.quantity)
        assert other is not None
        assert other.delta == pytest.approx(-row.delta)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_samples_changes_no_number(tmp_path: Path, kind: str) -> None:
    task, target, a = of_task(kind, 200, 1)
    b = of_task(kind, 200, 2)[2]
    ids = np.array([f"case {i * 7 % 1000}" for i in range(200)])
    first = write(tmp_path / "a", target, a, task=task, ids=ids)
    folders = [
        write(tmp_path / str(i) / "b", target, b, task=task, ids=ids, order=order)
        for i, order in enumerate((None, np.random.default_rng(0).permutation(200)))
    ]
    plain, turned = (compare(first, folder, resamples=100) for folder in folders)
    assert plain.pairings[0].paired
    assert turned.pairings[0].paired
    assert numbers(plain) == numbers(turned)


def test_only_samples_in_both_take_part_and_are_counted(tmp_path: Path) -> None:
    target, a, b = two_models(500, 3, ACCURACY)
    some = np.arange(100, 500)
    part = {k: v[some] for k, v in b.items()}
    first = write(tmp_path / "a", target, a)
    second = write(tmp_path / "b", target[some], part, ids=some * 3)
    found = compare(first, second, resamples=100)
    assert found.pairings[0].paired
    assert found.pairings[0].n_first == found.pairings[0].n_other == 400
    assert "400 samples are in both runs" in found.pairings[0].remarks[0]
    alone = write(tmp_path / "c", target[some], {k: v[some] for k, v in a.items()}, ids=some * 3)
    again = compare(alone, second, resamples=100)
    assert [r.delta for r in found.rows] == [r.delta for r in again.rows]
    assert [r.delta_low for r in found.rows] == [r.delta_low for r in again.rows]


def test_a_comparison_that_is_not_paired_is_wider_and_says_why(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    target, _, b = two_models(600, 0, ACCURACY)
    foreign = write(tmp_path / "b", target, b, ids=np.arange(600) + 10**6)
    paired, apart = compare(*pair, resamples=400), compare(pair[0], foreign, resamples=400)
    assert not apart.pairings[0].paired
    assert apart.pairings[0].reason == "no sample id is in both runs"
    for row in apart.rows:
        same = paired.row(row.condition, row.metric, 0, row.quantity, row.group)
        if same is not None and np.isfinite(row.delta):
            assert row.delta == pytest.approx(same.delta)
            assert row.delta_high - row.delta_low > 1.1 * (same.delta_high - same.delta_low)
            assert not row.paired


def test_runs_that_are_not_paired_share_no_resample(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    target, a, _ = two_models(600, 0, ACCURACY)
    copy = write(tmp_path / "b", target, a, ids=np.arange(600) + 10**6)
    for row in compare(pair[0], copy, resamples=400, groups=False).select(quantity=VALUE):
        assert row.delta == pytest.approx(0)
        # The same draws would cancel out; independent ones add up: √2 of the value's own interval.
        width = (row.delta_high - row.delta_low) / (row.high_first - row.low_first)
        assert 1.2 < width < 1.7
        assert row.verdict == "undecided"


def test_ids_that_name_other_samples_are_not_paired(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    target, _, b = two_models(600, 0, ACCURACY)
    foreign = write(tmp_path / "b", (target + 1) % 3, b)
    found = compare(pair[0], foreign, resamples=50, groups=False)
    assert found.pairings[0].reason.startswith("600 of 600 sample ids in both runs have another target")


def test_clusters_are_drawn_whole(tmp_path: Path) -> None:
    target, a, b = two_models(60, 4, {"clean": (0.9, 0.7)})
    many = 10
    cluster = np.repeat(np.arange(60), many)
    repeated = [{k: np.repeat(v, many, axis=0) for k, v in x.items()} for x in (a, b)]
    target = np.repeat(target, many)
    widths = []
    for name, column in (("whole", cluster), ("loose", None)):
        folders = [write(tmp_path / name / str(i), target, x, cluster=column) for i, x in enumerate(repeated)]
        row = compare(*folders, resamples=300).rows[0]
        widths.append(row.delta_high - row.delta_low)
    assert widths[0] == pytest.approx(widths[1] * np.sqrt(many), rel=0.25)
    # A second run without the column is resampled by the first one's, and the other way round.
    mixed = compare(tmp_path / "loose" / "0", tmp_path / "whole" / "1", resamples=300).rows[0]
    assert mixed.delta_high - mixed.delta_low == pytest.approx(widths[0])


def test_a_sample_counts_where_both_answered(tmp_path: Path) -> None:
    target, a, b = two_models(300, 5, ACCURACY)
    a[blur(1).key][:40] = np.nan
    b[blur(1).key][20:60] = np.nan
    b[CLEAN.key][290:] = np.nan
    found = compare(write(tmp_path / "a", target, a), write(tmp_path / "b", target, b), resamples=50)
    here, other = found.row(blur(1).key), found.row(blur(3).key)
    assert here is not None
    assert other is not None
    assert here.n_first == here.n_other == 230
    assert other.n_first == 290
    rows = np.arange(60, 290)
    gain = [(x[blur(1).key][rows].argmax(1) == target[rows]).mean() for x in (a, b)]
    assert here.delta == pytest.approx(gain[1] - gain[0])
    assert any("10 samples are left out" in r for r in found.pairings[0].remarks)
    mean = next(m for m in found.means if m.condition == "corruption")
    assert "not every sample has an answer" in mean.reason


def test_means_are_those_of_the_rows(found: Comparison) -> None:
    mean = {(m.condition, m.quantity): m for m in found.means}
    assert {key for key, _ in mean} == {"missing", "corruption"}
    for quantity in (VALUE, CHANGE):
        rows = [found.row(c.key, quantity=quantity) for c in (blur(1), blur(3))]
        assert mean["corruption", quantity].delta == pytest.approx(np.mean([r.delta for r in rows if r]))
    assert mean["corruption", VALUE].verdict == "worse"


def test_groups_are_compared_apart_and_small_ones_not_at_all(pair: tuple[Path, Path], found: Comparison) -> None:
    rows = {(r.condition, r.group): r for r in found.rows if r.group}
    assert {g for _, g in rows} == {"site=north", "site=south", "site=tiny"}
    assert {c for c, _ in rows} == {CLEAN.key, WITHOUT.key}
    assert rows[CLEAN.key, "site=tiny"].reason == "fewer than 30 samples"
    assert rows[CLEAN.key, "site=north"].n_first == 400
    target = Run.open(pair[0]).samples.target
    right = [(Run.open(f).read(CLEAN).outputs.argmax(1) == target)[:400].mean() for f in pair]
    assert rows[CLEAN.key, "site=north"].delta == pytest.approx(right[1] - right[0])
    assert not [r for r in compare(*pair, groups=False, resamples=50).rows if r.group]


def test_p_is_adjusted_over_all_rows_and_over_all_groups(found: Comparison) -> None:
    for grouped in (False, True):
        rows = [r for r in found.rows if bool(r.group) == grouped and np.isfinite(r.p)]
        p = np.array([r.p for r in rows])
        order = np.argsort(p)
        expected = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
        assert [rows[i].p_adjusted for i in order] == pytest.approx(np.minimum(expected, 1))


def test_a_margin_asks_for_more(pair: tuple[Path, Path], found: Comparison) -> None:
    row = found.row(blur(3).key)
    assert row is not None
    for margin, expected in ((0.02, "worse"), (abs(row.delta_high), "undecided"), (0.5, "undecided")):
        asked = compare(*pair, margin=margin, resamples=400)
        here = asked.row(blur(3).key)
        assert here is not None
        assert here.verdict == expected
        assert (here.delta, here.delta_low, here.margin) == (row.delta, row.delta_low, margin)
        assert here.p > row.p
    assert compare(*pair, metrics=["ece"], margin={"ece": 0.3}, resamples=50).row(CLEAN.key, "ece").margin == 0.3  # type: ignore[union-attr]


def test_a_metric_without_direction_gets_no_verdict(pair: tuple[Path, Path]) -> None:
    found = compare(*pair, metrics=["mean_confidence", "flip_rate"], resamples=50)
    confidence = found.select(metric="mean_confidence")
    assert {r.verdict for r in confidence} == {"undecided"}
    assert all("neither direction" in r.reason for r in confidence)
    assert all(np.isfinite(r.delta) for r in confidence)
    # A metric that compares with clean data has no value there, and no change against it.
    flips = found.select(metric="flip_rate")
    assert {r.quantity for r in flips} == {VALUE}
    assert CLEAN.key not in {r.condition for r in flips}


def test_every_other_run_is_compared_with_the_first(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    target, _, _ = two_models(600, 0, ACCURACY)
    third = write(tmp_path / "c", target, two_models(600, 8, ACCURACY)[1])
    found = compare(*pair, third, resamples=100)
    assert [s.name for s in found.others] == ["b", "c"]
    for i, folder in enumerate((pair[1], third)):
        alone = compare(pair[0], folder, resamples=100)
        assert [r.delta_low for r in found.rows if r.other == i] == pytest.approx(
            [r.delta_low for r in alone.rows], nan_ok=True
        )


@pytest.mark.parametrize("k", [1, 3, 5, 6])
def test_few_answers_that_differ_one_way_decide_nothing(tmp_path: Path, k: int) -> None:
    """Of 400 answers k are right in one run and wrong in the other: an exact test of signs asks for six."""
    target = np.arange(400) % 2
    first = 2.0 * np.eye(2, dtype=np.float32)[target]
    other = first.copy()
    other[:k] = other[:k, ::-1]
    one, two = (
        write(tmp_path / name, target, {CLEAN.key: outputs}, conditions=[CLEAN], task=Task.classification(2))
        for name, outputs in (("a", first), ("b", other))
    )
    row = compare(one, two, resamples=1000).row(CLEAN.key)
    assert row is not None
    assert row.delta == pytest.approx(-k / 400)
    assert (row.delta_high < 0) == (k >= 6)
    assert row.p >= 2.0 ** (1 - k)
