"""The missing family: shared rates, mechanisms, the data's own patterns, and what each depends on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmaudit.data import ArrayData, all_statistics, subset
from mmaudit.errors import BadInput
from mmaudit.plan import make_plan
from mmaudit.probes import Declined, Scope, Source, probes
from mmaudit.probes.mechanisms import SLOPE, intercept_for, propensity
from mmaudit.probes.missing_rates import realised_rate
from mmaudit.probes.summary import normal_scores, summary, target_summary
from mmaudit.types import Batch, BoolArray, Condition, Modality, Task

N = 3000
NAMES = ("note", "table", "photo", "sound", "pulse")


def data(n: int = N, seed: int = 0, *, gaps: bool = False, names: tuple[str, ...] = NAMES, **more: Any) -> ArrayData:
    """Five modalities; with `gaps`, `table` and `photo` are not recorded in some samples, often together."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "note": ["word " * k for k in rng.integers(1, 40, n)],
        "table": (rng.normal(size=(n, 1)) * [1, 10, -2] + rng.normal(size=(n, 3)) * 0.3).astype(np.float32),
        "photo": rng.integers(0, 200, (n, 1, 1, 1)).astype(np.uint8) + rng.integers(0, 50, (n, 4, 4, 3), np.uint8),
        "sound": (rng.normal(size=(n, 50)) * rng.uniform(0.01, 0.3, (n, 1))).clip(-1, 1).astype(np.float32),
        "pulse": (rng.normal(size=(n, 20, 2)) * rng.uniform(1, 5, (n, 1, 1)) + [300, -4]).astype(np.float32),
    }
    described = {
        "photo": Modality("photo", "image", layout="HWC", range=(0, 255)),
        "sound": Modality("sound", "audio", range=(-1, 1), sample_rate=8000),
        "pulse": Modality("pulse", "series", layout="TC"),
        "table": Modality("table", "tabular"),
    }
    ill = rng.random(n) < 0.3
    present = {"table": ~ill | (rng.random(n) < 0.2), "photo": ~ill | (rng.random(n) < 0.5)} if gaps else {}
    return ArrayData(
        {m: columns[m] for m in names},
        rng.integers(0, 4, n),
        Task.classification(4),
        modalities=[described[m] for m in names if m in described],
        present={m: p for m, p in present.items() if m in names},
        **more,
    )


def source_of(given: ArrayData) -> Source:
    return Source(given, all_statistics(given))


def scope_of(given: ArrayData, **options: Any) -> Scope:
    incomplete = tuple(m.name for m in given.modalities if not given.presence(m.name).all())
    return Scope(given.modalities, given.task, **{"native": True, "incomplete": incomplete, **options})


def whole(source: Source) -> Batch:
    return source.data.rows(np.arange(len(source.data)))


def planned(probe: str, scope: Scope) -> list[Condition]:
    return [c for c in probes.get(probe).grid(scope) if isinstance(c, Condition)]


def refused(probe: str, scope: Scope) -> list[Declined]:
    return [c for c in probes.get(probe).grid(scope) if isinstance(c, Declined)]


def lost(source: Source, condition: Condition) -> dict[str, BoolArray]:
    """Per modality which samples lack it that had it."""
    batch = whole(source)
    new = probes.get(condition.probe).apply(batch, condition, source)
    return {m: batch.present[m] & ~new.present[m] for m in condition.modalities}


def shared(rate: float, names: tuple[str, ...] = NAMES, repeat: int = 0) -> Condition:
    options = (("baseline", "native"), ("keep", "one"))
    return probes.get("missing_rate_shared").condition(names, rate, options, repeat)


def mechanism(kind: str, modality: str, by: str, rate: float) -> Condition:
    options = (("baseline", "native"), ("mechanism", kind), ("by", by))
    return probes.get(f"missing_{kind}").condition((modality,), rate, options)


def near(share: float, expected: float, n: int) -> bool:
    """Within four standard errors of a share of n independent samples."""
    return abs(share - expected) <= 4 * np.sqrt(max(expected * (1 - expected), 1e-4) / n)


# ---- what is planned


def test_standard_runs_what_it_ran_and_full_runs_the_whole_family() -> None:
    modalities, task = data(9).modalities, Task.classification(4)
    standard = make_plan("standard", modalities, task, incomplete=("table",))
    assert {c.probe for c in standard.conditions if c.family == "missing"} == {"missing", "missing_rate"}
    full = make_plan("full", modalities, task, incomplete=("table",))
    assert {c.probe for c in full.conditions if c.family == "missing"} == {
        *("missing", "missing_rate", "missing_rate_shared", "missing_mar", "missing_mnar", "missing_pattern")
    }


def test_every_mechanism_is_planned_at_the_rates_of_missing_rate_with_its_baseline() -> None:
    scope = scope_of(data(9, names=("note", "table")), rates=(0.5, 0.2), baselines=("mean", "zero"), native=False)
    for probe, variants in (("missing_mar", 1), ("missing_mnar", 2)):
        found = planned(probe, scope)
        at_random = {(c.modalities, c.severity, c.option("baseline")) for c in planned("missing_rate", scope)}
        assert {(c.modalities, c.severity, c.option("baseline")) for c in found} == at_random
        assert len(found) == variants * len(at_random) == variants * 4
    # Text has no mean, so for it the next baseline asked for.
    assert {c.option("baseline") for c in planned("missing_mar", scope) if c.modalities == ("note",)} == {"zero"}


def test_a_complete_modality_drives_absence_where_there_is_one() -> None:
    given = data(60, gaps=True, names=("table", "photo", "note"))
    by = {c.modalities[0]: c.option("by") for c in planned("missing_mar", scope_of(given))}
    assert by == {"table": "note", "photo": "note", "note": "photo"}


def test_a_shared_rate_beyond_what_leaves_one_modality_is_run_once_as_what_it_comes_to() -> None:
    scope = scope_of(data(9, names=("note", "table")), rates=(0.1, 0.5, 0.7, 0.9))
    assert [c.severity for c in planned("missing_rate_shared", scope)] == [0.1, 0.5]
    three = scope_of(data(9, names=("note", "table", "photo")), rates=(0.5, 0.7, 1.0), repeats=2)
    assert [(c.severity, c.repeat) for c in planned("missing_rate_shared", three)] == [
        *((0.5, 0), (2 / 3, 0), (0.5, 1), (2 / 3, 1))
    ]


def test_what_cannot_be_done_is_declined_with_the_reason() -> None:
    one = scope_of(data(9, names=("note",)))
    assert [d.reason for d in refused("missing_rate_shared", one)] == [
        "one modality alone shares its rate with no other; 'missing_rate' runs it"
    ]
    assert "there is none" in refused("missing_mar", one)[0].reason
    assert len(planned("missing_mnar", one)) == 10
    complete = scope_of(data(9))
    assert [(d.modalities, d.reason) for d in refused("missing_pattern", complete)] == [
        (NAMES, "every sample has every modality, so the data show no pattern of absence")
    ]
    no_mean = scope_of(data(30, gaps=True), baselines=("mean",), native=False)
    for probe in ("missing_rate_shared", "missing_mar", "missing_mnar"):
        assert any("add 'zero' or 'marginal'" in d.reason for d in refused(probe, no_mean)), probe
    assert planned("missing_pattern", no_mean)


@pytest.mark.parametrize("probe", ["missing_rate_shared", "missing_mar", "missing_mnar", "missing_pattern"])
def test_a_severity_that_is_no_share_and_a_missing_option_are_refused(probe: str) -> None:
    given = data(30, gaps=True)
    source = source_of(given)
    condition = planned(probe, scope_of(given))[0]
    for severity in (1.2, -0.1):
        with pytest.raises(BadInput, match=r"share of the samples, in \[0, 1\]|must be 0 or more, and finite \(share"):
            lost(source, probes.get(probe).condition(condition.modalities, severity, condition.options))
    with pytest.raises(BadInput, match=r"no option 'baseline'|option 'by' is None"):
        lost(source, probes.get(probe).condition(condition.modalities, 0.5))
    if probe in ("missing_mar", "missing_mnar"):
        with pytest.raises(BadInput, match="option 'by' is 'table'"):
            lost(source, mechanism(probe[-4:].strip("_"), "table", "table", 0.5))


# ---- shared rate


@pytest.mark.parametrize("names", [NAMES[:2], NAMES[:3], NAMES])
def test_a_shared_rate_is_met_in_every_modality_and_leaves_one(names: tuple[str, ...]) -> None:
    source = source_of(data(names=names))
    for rate in (0.1, 0.3, 0.5, 0.8, 1.0):
        gone = np.stack(list(lost(source, shared(rate, names)).values()))
        assert not gone.all(axis=0).any()
        expected = realised_rate(rate, len(names))
        assert expected == pytest.approx(min(rate, 1 - 1 / len(names)))
        assert all(near(row.mean(), expected, N) for row in gone), (rate, gone.mean(axis=1))
    assert (gone.sum(axis=0) == len(names) - 1).all()


def test_a_shared_rate_counts_what_a_sample_recorded() -> None:
    given = data(gaps=True, names=NAMES[:3])
    source = source_of(given)
    recorded = np.stack([given.presence(m) for m in NAMES[:3]])
    count = recorded.sum(axis=0)
    for rate in (0.2, 0.6):
        gone = np.stack(list(lost(source, shared(rate, NAMES[:3])).values()))
        assert not (gone & ~recorded).any()
        for k in (1, 2, 3):
            some = count == k
            assert near(gone[:, some].sum() / (k * some.sum()), realised_rate(rate, k), some.sum())
        assert ((recorded & ~gone).sum(axis=0) >= 1).all()


# ---- summaries


def test_summaries_follow_what_they_are_named_for() -> None:
    given = data()
    source, batch = source_of(given), whole(source_of(given))
    truth = {
        "note": np.array([len(text) for text in batch.inputs["note"]]),
        "photo": batch.inputs["photo"].mean(axis=(1, 2, 3)),
        "sound": batch.inputs["sound"].std(axis=1),
        "pulse": (batch.inputs["pulse"] - batch.inputs["pulse"].mean(axis=(0, 1))).std(axis=(1, 2)),
    }
    for name, value in truth.items():
        assert np.corrcoef(normal_scores(value.astype(float)), summary(source, name))[0, 1] > 0.99, name
    # One latent number drives all columns; its sign makes the column of the largest loading grow with it.
    scores = [np.corrcoef(column, summary(source, "table"))[0, 1] for column in batch.inputs["table"].T]
    assert np.abs(scores).min() > 0.9
    assert scores[np.argmax(np.abs(scores))] > 0
    assert np.allclose([summary(source, m).mean() for m in NAMES], 0)
    assert np.allclose([summary(source, m).std() for m in NAMES], 1)


def test_the_first_principal_component_is_that_of_a_singular_value_decomposition() -> None:
    rng = np.random.default_rng(3)
    for n, d in ((500, 6), (40, 90)):
        x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
        given = ArrayData({"e": x}, np.arange(n) % 2, Task.classification(2), kinds={"e": "embedding"})
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        expected = normal_scores(z @ np.linalg.svd(z)[2][0])
        assert abs(np.corrcoef(summary(source_of(given), "e"), expected)[0, 1]) > 0.9999


def test_summaries_are_of_recorded_samples_and_do_not_depend_on_order() -> None:
    given = data(400, gaps=True, ids=[f"s{i}" for i in range(400)])
    order = np.random.default_rng(1).permutation(400)
    source, turned = source_of(given), source_of(subset(given, order))
    for name in NAMES:
        assert np.array_equal(summary(turned, name), summary(source, name)[order])
        assert not summary(source, name)[~given.presence(name)].any()
        assert abs(summary(source, name).sum()) < 1e-9


def test_what_says_nothing_has_equal_scores_and_samples_of_many_shapes_go_by_size() -> None:
    assert np.array_equal(normal_scores(np.full(5, 3.0)), np.zeros(5))
    assert np.array_equal(normal_scores(np.empty(0)), np.empty(0))
    tied = normal_scores(np.array([1.0, 2, 2, 5]))
    assert tied[1] == tied[2]
    tokens = [np.ones((1 + i % 7, 3), np.float32) for i in range(70)]
    given = ArrayData(
        {"tokens": tokens, "flat": np.ones((70, 4), np.float32)},
        np.arange(70) % 2,
        Task.classification(2),
        kinds={"tokens": "embedding", "flat": "embedding"},
    )
    source = source_of(given)
    assert np.array_equal(
        np.argsort(summary(source, "tokens"), kind="stable"), np.argsort(np.arange(70) % 7, kind="stable")
    )
    assert not summary(source, "flat").any()


@pytest.mark.parametrize(
    ("task", "target", "low"),
    [
        (Task.classification(3), np.array([2, 0, 1, 0]), [1, 3]),
        (Task.multilabel(2), np.array([[1, 1], [1, 0], [0, 0], [0, 1]]), [2]),
        (Task.regression(1), np.array([[5.0], [-3], [9], [0]]), [1]),
    ],
)
def test_the_target_counts_the_more_the_lower_it_is(task: Task, target: Any, low: list[int]) -> None:
    given = ArrayData({"x": np.arange(8.0).reshape(4, 2)}, target, task)
    scores = target_summary(source_of(given))
    assert np.flatnonzero(scores == scores.max()).tolist() == low


# ---- mechanisms


@pytest.mark.parametrize(("kind", "by"), [("mar", "note"), ("mnar", "itself"), ("mnar", "target")])
def test_the_rate_is_met_where_the_modality_was_recorded(kind: str, by: str) -> None:
    given = data(gaps=True)
    source = source_of(given)
    before = np.zeros(N, bool)
    recorded = given.presence("table")
    for rate in (0.05, 0.3, 0.5, 0.9):
        gone = lost(source, mechanism(kind, "table", by, rate))["table"]
        assert near(gone[recorded].mean(), rate, recorded.sum())
        assert not gone[~recorded].any()
        assert (gone >= before).all()
        before = gone
    assert lost(source, mechanism(kind, "table", by, 1.0))["table"][recorded].all()


def test_without_anything_to_depend_on_it_is_missing_at_random_sample_by_sample() -> None:
    columns = {"note": ["same"] * 500, "table": np.random.default_rng(0).normal(size=(500, 2))}
    source = source_of(ArrayData(columns, np.arange(500) % 2, Task.classification(2)))
    at_random = probes.get("missing_rate").condition(("table",), 0.4, (("baseline", "native"),))
    gone = lost(source, at_random)["table"]
    assert 100 < gone.sum() < 300
    assert np.array_equal(lost(source, mechanism("mar", "table", "note", 0.4))["table"], gone)
    assert not np.array_equal(lost(source, mechanism("mnar", "table", "itself", 0.4))["table"], gone)


def test_the_intercept_is_exact_and_grows_with_the_rate() -> None:
    score = np.random.default_rng(0).standard_t(4, 5000).clip(-5, 5)
    rates = np.linspace(0.001, 0.999, 21)
    found = [intercept_for(score, rate) for rate in rates]
    assert np.all(np.diff(found) > 0)
    assert np.allclose([propensity(score, a).mean() for a in found], rates, atol=1e-12)
    assert propensity(score, intercept_for(score, 0.0)).max() == 0
    assert propensity(score, intercept_for(score, 1.0)).min() == 1
    odds = propensity(score, found[5]) / (1 - propensity(score, found[5]))
    assert np.allclose(np.log(odds), found[5] + SLOPE * score)


def test_stand_ins_take_the_place_of_what_is_withheld_and_marks_stay() -> None:
    given = data(400, gaps=True)
    source, batch = source_of(given), whole(source_of(given))
    for condition in (shared(0.5), mechanism("mar", "table", "note", 0.5), mechanism("mnar", "photo", "target", 0.3)):
        options = tuple((k, "zero" if k == "baseline" else v) for k, v in condition.options)
        zeros = probes.get(condition.probe).condition(condition.modalities, condition.severity, options)
        new = probes.get(condition.probe).apply(batch, zeros, source)
        for m in condition.modalities:
            assert np.array_equal(new.present[m], batch.present[m])
            changed = np.array([not np.array_equal(a, b) for a, b in zip(new.inputs[m], batch.inputs[m], strict=True)])
            had = batch.present[m]
            assert near(changed[had].mean(), condition.severity or 0, had.sum())
            assert not changed[~had].any()
            assert all(row == "" if m == "note" else not np.any(row) for row in new.inputs[m][changed])


# ---- the data's own patterns


def test_patterns_are_those_of_the_data_and_only_take_away() -> None:
    given = data(gaps=True)
    source, scope = source_of(given), scope_of(given)
    (condition,) = planned("missing_pattern", scope)
    assert condition.modalities == ("photo", "table")
    assert condition.options == (("baseline", "native"),)
    had = np.stack([given.presence(m) for m in condition.modalities])
    gone = np.stack(list(lost(source, condition).values()))
    assert not (gone & ~had).any()
    complete = had.all(axis=0)
    for photo, table in ((False, False), (False, True), (True, False), (True, True)):
        in_data = np.mean((had[0] == photo) & (had[1] == table))
        handed_out = np.mean((gone[0] != photo) & (gone[1] != table), where=complete)
        assert near(handed_out, in_data, complete.sum()), (photo, table)
    halved = probes.get("missing_pattern").condition(condition.modalities, 0.5, condition.options)
    half = np.stack(list(lost(source, halved).values()))
    assert (half <= gone).all()
    assert near(half.sum() / gone.sum(), 0.5, int(gone.any(axis=0).sum()))


def test_no_sample_is_left_without_any_modality_it_had() -> None:
    given = data(gaps=True, names=("table", "photo"))
    source = source_of(given)
    (condition,) = planned("missing_pattern", scope_of(given))
    assert condition.option("keep") == "one"
    had = np.stack([given.presence(m) for m in condition.modalities])
    gone = np.stack(list(lost(source, condition).values()))
    assert gone.any()
    assert ((had & ~gone).any(axis=0) == had.any(axis=0)).all()
