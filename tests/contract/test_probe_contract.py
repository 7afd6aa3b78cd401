"""What every registered probe keeps to. A new plug-in is tested here without a line added."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from helpers.probe_samples import N, all_conditions, copy_of, everything, same, scope_of, source_of, whole
from mmaudit.data import Dataset, subset
from mmaudit.probes import Source, probes
from mmaudit.probes.canonical import legal_range
from mmaudit.probes.proof import moved
from mmaudit.types import Batch, Condition

DATA = everything()
SOURCE = source_of(DATA)
SCOPE = scope_of(DATA)
CASES = [pytest.param(p, c, id=c.label) for p, c in all_conditions(SCOPE)]
# One condition per probe and set of modalities: where severity or option make no difference to the property.
SPARSE = [
    pytest.param(p, c, id=c.label)
    for p, c in {(p.name, c.modalities, c.options): (p, c) for p, c in all_conditions(SCOPE)}.values()
]
WITH_SEVERITY = [case for case in SPARSE if case.values[1].severity is not None]
CURVES = [
    pytest.param(
        p, [c for c in p.grid(SCOPE) if isinstance(c, Condition) and c.modalities == (m,)], m, id=f"{p.name}[{m}]"
    )
    for p in probes
    if p.severities
    for m in sorted({c.modalities[0] for c in p.grid(SCOPE) if isinstance(c, Condition)})
]


def fresh(batch: Batch) -> Batch:
    return Batch(
        {m: copy_of(x) for m, x in batch.inputs.items()},
        {m: x.copy() for m, x in batch.present.items()},
        batch.target.copy(),
        batch.ids.copy(),
        batch.positions.copy(),
    )


def rows_of(condition: Condition, positions: list[int] | range) -> Batch:
    """The condition applied to these rows only, by a source of its own that remembers nothing."""
    return probes.get(condition.probe).apply(DATA.rows(np.array(positions)), condition, source_of(DATA))


def test_every_probe_has_cases_and_speaks():
    assert {p.values[0].name for p in CASES} == set(probes.names())
    for probe in probes:
        assert probe.summary
        assert probe.version >= 1
        assert bool(probe.severities) <= bool(probe.unit), f"{probe.name} has severities without a unit"


def test_conditions_are_unique_and_survive_json():
    found = [c for _, c in all_conditions(SCOPE)]
    assert len({c.key for c in found}) == len({c.label for c in found}) == len(found)
    assert [Condition.from_json(c.to_json()) for c in found] == found
    assert all(c.family == probes.get(c.probe).family and c.unit == probes.get(c.probe).unit for c in found)


@pytest.mark.parametrize(("probe", "condition"), WITH_SEVERITY)
def test_severity_zero_is_the_batch_itself(probe, condition):
    batch = whole(DATA)
    assert probe.apply(batch, dataclasses.replace(condition, severity=0.0, position=None), SOURCE) is batch


@pytest.mark.parametrize(("probe", "condition"), CASES)
def test_form_is_kept_and_only_what_is_declared_changes(probe, condition):
    batch = whole(DATA)
    before = fresh(batch)
    new = probe.apply(batch, condition, SOURCE)
    assert new.ids is batch.ids
    assert new.target is batch.target
    assert new.positions is batch.positions
    assert list(new.inputs) == list(batch.inputs)
    for modality in DATA.modalities:
        m = modality.name
        assert same(batch.inputs[m], before.inputs[m]), f"{m} was written to"
        assert np.array_equal(batch.present[m], before.present[m]), f"presence of {m} was written to"
        if m not in condition.modalities:
            assert new.inputs[m] is batch.inputs[m]
            assert new.present[m] is batch.present[m]
            continue
        assert new.present[m].dtype == np.bool_
        assert new.present[m].shape == (N,)
        assert new.inputs[m].dtype == batch.inputs[m].dtype
        assert new.inputs[m].shape == batch.inputs[m].shape
        for old, row in zip(batch.inputs[m], new.inputs[m], strict=True):
            if modality.kind == "text":
                assert isinstance(row, str)
                continue
            assert row.dtype == old.dtype
            assert len(row.shape) == len(modality.shape)
            if probe.family == "corruption":
                assert row.shape == old.shape
            limits = legal_range(modality, row.dtype)
            assert np.isfinite(row).all()
            assert limits is None or (row.min() >= limits[0] and row.max() <= limits[1])


# destroy permutes what is recorded, too: the test after this one.
@pytest.mark.parametrize(("probe", "condition"), [case for case in CASES if case.values[1].probe != "destroy"])
def test_rows_that_lack_the_modality_stay_as_they_are(probe, condition):
    batch = whole(DATA)
    new = probe.apply(batch, condition, SOURCE)
    for m in condition.modalities:
        absent = ~batch.present[m]
        assert same(new.inputs[m][absent], batch.inputs[m][absent])
        assert not new.present[m][absent].any()


def test_destroy_permutes_values_and_presence_together():
    batch = whole(DATA)
    new = probes.get("destroy").apply(batch, probes.get("destroy").condition(SCOPE.names), SOURCE)
    for m in SCOPE.names:
        assert new.present[m].sum() == batch.present[m].sum()
    was = [(v.tobytes(), p) for v, p in zip(batch.inputs["table"], batch.present["table"], strict=True)]
    now = [(v.tobytes(), p) for v, p in zip(new.inputs["table"], new.present["table"], strict=True)]
    assert sorted(was) == sorted(now)
    assert was != now


@pytest.mark.parametrize(("probe", "condition"), SPARSE)
def test_same_result_for_any_batch_size_order_or_source(probe, condition):
    whole_batch = probe.apply(whole(DATA), condition, SOURCE)
    order = np.random.default_rng(1).permutation(N)
    shuffled = rows_of(condition, order.tolist())
    halves = [rows_of(condition, range(13)), rows_of(condition, range(13, N))]
    single = rows_of(condition, [7])
    for m in condition.modalities:
        array, present = whole_batch.inputs[m], whole_batch.present[m]
        assert same(shuffled.inputs[m], array[order])
        assert np.array_equal(shuffled.present[m], present[order])
        assert same(np.concatenate([h.inputs[m] for h in halves]), array)
        assert same(single.inputs[m], array[[7]])
        assert np.array_equal(single.present[m], present[[7]])


@pytest.mark.parametrize(("probe", "condition"), SPARSE)
def test_order_of_the_data_set_does_not_matter(probe, condition):
    """Draws and donors go by sample id, so a data set stored in another order gives the same samples."""
    order = np.random.default_rng(2).permutation(N)
    turned = subset(DATA, order)
    here = probe.apply(whole(DATA), condition, SOURCE)
    there = probe.apply(whole(turned), condition, source_like(turned))
    for m in condition.modalities:
        assert same(there.inputs[m], here.inputs[m][order])
        assert np.array_equal(there.present[m], here.present[m][order])


def source_like(turned: Dataset) -> Source:
    """A source over the turned data with the same statistics: summing in another order changes their last bits."""
    return Source(turned, SOURCE.statistics)


@pytest.mark.parametrize(("probe", "curve", "name"), CURVES)
def test_more_severity_moves_further(probe, curve, name):
    batch = whole(DATA)
    modality = SOURCE.modality(name)
    present = batch.present[name]
    far = []
    for condition in curve:
        changed, distance = moved(
            batch.inputs[name], probe.apply(batch, condition, SOURCE).inputs[name], modality, SOURCE.statistics[name]
        )
        assert not changed[~present].any()
        far.append(distance[present].mean())
    assert [c.position for c in curve] == [1, 2, 3, 4, 5]
    assert far[0] > 0
    assert all(a < b for a, b in pairwise(far)), far


@pytest.mark.parametrize(("probe", "curve", "name"), CURVES)
def test_a_severity_outside_the_table_is_allowed(probe, curve, name):
    between = probe.condition((name,), (probe.severities[0] + probe.severities[1]) / 2)
    assert between.position is None
    assert probe.condition((name,), probe.severities[2]) == curve[2]
    batch = whole(DATA)
    far = [
        moved(batch.inputs[name], probe.apply(batch, c, SOURCE).inputs[name], SOURCE.modality(name))[1].mean()
        for c in (curve[0], between, curve[1])
    ]
    assert far == sorted(far)
    assert far[0] < far[2]


@pytest.mark.parametrize(("probe", "curve", "name"), CURVES)
def test_repeats_are_independent_where_the_probe_draws(probe, curve, name):
    grid = [c for c in probe.grid(dataclasses.replace(SCOPE, repeats=2)) if isinstance(c, Condition)]
    again = [c for c in grid if c.modalities == (name,) and c.position == 3]
    batch = whole(DATA)
    arrays = [probe.apply(batch, c, SOURCE).inputs[name] for c in again]
    assert len(arrays) == 1 or not same(arrays[0], arrays[1])
