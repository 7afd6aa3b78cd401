"""EMAP by group, from a run's file of combinations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from helpers.reliance_runs import by_label, predicted, resamples
from helpers.run_cases import Rowwise, dataset
from mmaudit import reliance
from mmaudit.auditing import prepare
from mmaudit.crossing import cross
from mmaudit.metrics import metrics
from mmaudit.plan import Suite
from mmaudit.reliance.combinations import FILE, read_about, read_crossed
from mmaudit.reliance.crossed import _emap, estimates
from mmaudit.reliance.emap import Emap
from mmaudit.store import Run
from mmaudit.types import CLEAN

N = 240
SUITE = Suite("missing", ("missing",), baselines=("zero",))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Site C has more than 30 samples of the run, but fewer among those combined."""
    sites = np.repeat(["A", "B", "C"], [120, 80, 40])
    data = dataset("classification", N, seed=3, groups={"site": sites}, noise=1.2)
    folder = tmp_path_factory.mktemp("crossed") / "run"
    found: Run = predicted(folder, Rowwise(), data, SUITE)
    prepared = prepare(Rowwise(), data, suite=SUITE)
    cross(found, data, prepared.model, prepared.stage, rows=150)
    return found


def test_groups_have_emap_and_gap_where_other_estimates_have_groups(run: Run) -> None:
    found = reliance.estimates(run, resamples(run, 30))
    groups = list(dict.fromkeys(e.group for e in found))
    assert groups[0] == ""
    assert groups == sorted(groups, key=bool)  # all samples first
    shown = {e.group for e in found if e.estimator == "leave_one_out"}
    assert {e.group for e in found if e.estimator == "emap"} == shown >= {"site=A", "site=B", "site=C"}
    crossed = read_crossed(run.folder / FILE)
    assert crossed is not None
    site = run.samples.groups["site"].astype(str)[crossed.positions]
    outputs, target = run.read(CLEAN).outputs[crossed.positions], run.samples.target[crossed.positions]
    for name in "AB":
        mine = site == name
        one = by_label(found, f"site={name}")
        emap, gap = one["emap"], one["emap_gap"]
        assert emap.n == gap.n == mine.sum()
        right = (outputs[mine].argmax(axis=1) == target[mine]).mean()
        assert emap.value + gap.value == pytest.approx(right)
        assert emap.low < emap.value < emap.high
        assert (gap.value, gap.p) == (0, 1)
        assert gap.low < 0 < gap.high, "other samples of the population may need both"
        assert emap.null == pytest.approx(np.bincount(target[mine]).max() / mine.sum())
        assert emap.score().group == f"site={name}"


def test_shares_that_no_resample_moves_have_no_interval(run: Run) -> None:
    found = by_label(reliance.estimates(run, resamples(run, 30)), "")
    for order, value in (("1", 1.0), ("2", 0.0)):
        e = found[f"anova_order_share[order={order}]"]
        assert e.value == pytest.approx(value)
        assert np.isnan([e.low, e.high]).all()
        assert e.reason.startswith("no interval: no resample differs")


def test_a_group_too_small_among_the_combined_samples_has_a_reason(run: Run) -> None:
    found = by_label(reliance.estimates(run, resamples(run, 30)), "site=C")
    assert np.isfinite(found["leave_one_out[table, baseline=zero]"].value)
    for name in ("emap", "emap_gap"):
        assert np.isnan(found[name].value)
        assert found[name].n < 30
        assert (
            found[name].reason == f"{found[name].n} of the samples that were combined are in this group; 30 are needed"
        )


def test_without_combinations_groups_have_the_reason_of_all(tmp_path: Path) -> None:
    model, data = Rowwise(modalities=("table",)), dataset(n=60)
    run = predicted(tmp_path / "run", model, data, SUITE)
    cross(run, data, prepare(model, data, suite=SUITE).model)
    found = estimates(run, resamples(run, 10), {"site=A": np.arange(40)})
    grouped = [e for e in found if e.group]
    assert [e.estimator for e in grouped] == ["emap", "emap_gap"]
    assert {e.reason for e in grouped} == {"the model reads one modality only, so there is nothing to combine"}


def test_files_of_earlier_versions_do_not_name_their_schema(run: Run, tmp_path: Path) -> None:
    raw = json.loads(pq.read_metadata(run.folder / FILE).metadata[b"mmaudit.crossed"])
    assert raw.pop("schema") == "mmaudit.crossed/1"
    table = pq.read_table(run.folder / FILE)
    with pq.ParquetWriter(tmp_path / FILE, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({b"mmaudit.crossed": json.dumps(raw)})
    assert read_about(tmp_path / FILE) == read_about(run.folder / FILE) == raw
    old, new = read_crossed(tmp_path / FILE), read_crossed(run.folder / FILE)
    assert old is not None
    assert new is not None
    np.testing.assert_array_equal(old.outputs, new.outputs)


def test_a_gap_is_no_larger_than_the_metric_can_be(run: Run) -> None:
    found = Emap(60, whole=1.0, value=0.05, error=0.05, gap_error=0.05, groups=20)
    emap, gap = _emap(run, metrics.get("accuracy"), found, 0.5, resamples(run, 30))
    assert (emap.low, emap.value, gap.value, gap.high) == (0.0, 0.05, 0.95, 1.0)
    assert gap.low == pytest.approx(0.95 - found.gap_half_width)


def test_a_score_that_no_sample_leaves_has_the_exact_bound_or_none(run: Run) -> None:
    w = resamples(run, 30)
    perfect = Emap(N, whole=1.0, value=1.0, error=0.0, gap_error=0.0, groups=20)
    emap, gap = _emap(run, metrics.get("accuracy"), perfect, 0.5, w)
    assert (emap.low, emap.high) == (pytest.approx(0.025 ** (1 / N)), 1.0)
    assert (gap.value, gap.p, gap.reason) == (0.0, 1.0, "")
    assert gap.high == -gap.low == pytest.approx(1 - 0.025 ** (1 / N))
    for endless in _emap(run, metrics.get("r2"), perfect, 0.0, w):
        assert np.isnan([endless.low, endless.high]).all()
        assert endless.reason.startswith("no interval: no resample differs")
