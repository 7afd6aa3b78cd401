"""The missing family on any small data set: only takes away, grows with severity, leaves what it says it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.data import ArrayData, all_statistics
from mmaudit.probes import Declined, Scope, Source, probes
from mmaudit.probes.summary import normal_scores, summary, target_summary
from mmaudit.types import Batch, BoolArray, Condition, Modality, Task

FAMILY = ("missing_rate", "missing_rate_shared", "missing_mar", "missing_mnar", "missing_pattern")
TASKS = {
    "classification": Task.classification(2),
    "multilabel": Task.multilabel(3),
    "regression": Task.regression(2),
}


def column(kind: str, n: int, rng: np.random.Generator, constant: bool) -> Any:
    """Samples of one kind; all alike where `constant`."""
    spread = 0 if constant else 1
    if kind == "text":
        return ["👍🏽 שלום " * int(k) * spread for k in rng.integers(0, 4, n)]
    if kind == "image":
        return (rng.integers(0, 256, (n, 1, 1)) * spread).astype(np.uint8)
    if kind == "audio":
        return [(rng.normal(size=rng.integers(1, 5)) * spread).astype(np.float32) for _ in range(n)]
    shape = (n, 6, 2) if kind == "series" else (n, 3)
    return (rng.normal(size=shape) * spread * rng.choice([1e-3, 1, 1e6])).astype(np.float32)


@st.composite
def sources(draw: Any) -> Source:
    n = draw(st.integers(4, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    kinds = draw(
        st.lists(st.sampled_from(["text", "image", "audio", "series", "tabular", "embedding"]), min_size=1, max_size=4)
    )
    names = [f"{kind}{i}" for i, kind in enumerate(kinds)]
    shares = draw(st.lists(st.sampled_from([1.0, 0.8, 0.4]), min_size=len(kinds), max_size=len(kinds)))
    # Somebody always recorded it: a data set without that is refused.
    present = {
        m: (rng.random(n) < share) | (np.arange(n) == rng.integers(n)) for m, share in zip(names, shares, strict=True)
    }
    task = draw(st.sampled_from(sorted(TASKS)))
    width = {"classification": (n,), "multilabel": (n, 3), "regression": (n, 2)}[task]
    target = np.arange(n) % 2 if task == "classification" else rng.integers(0, 2, width)
    if task != "classification":
        target[0], target[1] = 0, 1
    described = {
        "image": {"layout": "HW", "range": (0, 255)},
        "series": {"layout": "TC"},
        "audio": {"sample_rate": 8000},
    }
    data = ArrayData(
        {m: column(k, n, rng, draw(st.booleans())) for m, k in zip(names, kinds, strict=True)},
        target,
        TASKS[task],
        modalities=[Modality(m, k, **described.get(k, {})) for m, k in zip(names, kinds, strict=True)],
        present=present,
    )
    return Source(data, all_statistics(data))


def scope_of(source: Source, **options: Any) -> Scope:
    data = source.data
    incomplete = tuple(m.name for m in data.modalities if not data.presence(m.name).all())
    return Scope(data.modalities, data.task, **{"native": True, "incomplete": incomplete, **options})


def whole(source: Source) -> Batch:
    return source.data.rows(np.arange(len(source.data)))


def present_after(source: Source, condition: Condition, batch: Batch) -> BoolArray:
    new = probes.get(condition.probe).apply(batch, condition, source)
    return np.stack([new.present[m] for m in condition.modalities])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(source=sources(), name=st.sampled_from(FAMILY))
def test_it_takes_away_only_and_more_at_every_higher_severity(source: Source, name: str) -> None:
    batch = whole(source)
    for found in probes.get(name).grid(scope_of(source, rates=(0.5,))):
        if isinstance(found, Declined):
            assert found.reason
            assert not found.reason.endswith(".")
            continue
        before = np.stack([batch.present[m] for m in found.modalities])
        for severity in (0.0, 0.05, 0.5, 0.51, 1.0):
            condition = probes.get(name).condition(found.modalities, severity, found.options, found.repeat)
            after = present_after(source, condition, batch)
            assert (after <= before).all()
            before = after
        if name == "missing_rate_shared":
            recorded = np.stack([batch.present[m] for m in found.modalities]).sum(axis=0)
            assert np.array_equal(after.sum(axis=0), np.minimum(recorded, 1))
        elif name == "missing_pattern":
            if found.option("keep") == "one":
                had = np.stack([batch.present[m] for m in found.modalities]).any(axis=0)
                assert np.array_equal(after.any(axis=0), had)
        else:
            assert not after.any()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(source=sources(), name=st.sampled_from(FAMILY), seed=st.integers(0, 99))
def test_a_sample_loses_the_same_in_any_batch(source: Source, name: str, seed: int) -> None:
    n = len(source.data)
    rows = np.random.default_rng(seed).permutation(n)[: 1 + seed % n]
    for found in probes.get(name).grid(scope_of(source, rates=(0.5,), repeats=2)):
        if isinstance(found, Condition):
            alone = present_after(Source(source.data, source.statistics), found, source.data.rows(rows))
            assert np.array_equal(alone, present_after(source, found, whole(source))[:, rows])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(source=sources(), name=st.sampled_from(FAMILY), baseline=st.sampled_from(["zero", "mean", "marginal", "noise"]))
def test_stand_ins_keep_form_and_marks(source: Source, name: str, baseline: str) -> None:
    batch = whole(source)
    for found in probes.get(name).grid(scope_of(source, rates=(0.6,), native=False, baselines=(baseline,))):
        if isinstance(found, Declined):
            continue
        new = probes.get(name).apply(batch, found, source)
        for m in found.modalities:
            assert np.array_equal(new.present[m], batch.present[m])
            for i, (old, row) in enumerate(zip(batch.inputs[m], new.inputs[m], strict=True)):
                assert type(row) is type(old)
                if isinstance(row, np.ndarray):
                    assert row.dtype == old.dtype
                    assert np.isfinite(row).all()
                if not batch.present[m][i]:
                    assert np.array_equal(row, old)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(source=sources())
def test_summaries_are_finite_and_standardised(source: Source) -> None:
    for modality in source.data.modalities:
        scores = summary(source, modality.name)
        recorded = source.data.presence(modality.name)
        assert np.isfinite(scores).all()
        assert not scores[~recorded].any()
        if scores.any():
            assert abs(scores[recorded].mean()) < 1e-9
            assert abs(scores[recorded].std() - 1) < 1e-9
    assert np.isfinite(target_summary(source)).all()


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40))
def test_normal_scores_keep_order_and_ties(values: list[float]) -> None:
    x = np.array(values)
    scores = normal_scores(x)
    for i in range(len(x)):
        assert np.array_equal(scores > scores[i], x > x[i]) or not scores.any()
    if len(set(values)) > 1:
        assert np.isclose(scores.std(), 1)
