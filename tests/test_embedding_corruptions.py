"""Embedding corruptions against their formulas, on bad input, and on real embeddings."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.data import ArrayData, all_statistics
from mmaudit.errors import BadInput, NotApplicable
from mmaudit.probes import Declined, Scope, Source, class_means, probes
from mmaudit.probes.corruption import embedding
from mmaudit.probes.proof import moved
from mmaudit.types import Array, Batch, Condition, Modality, Task

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
OWN = ("feature_dropout", "sign_flip", "quantisation", "rotation", "mean_shift", "stale", "class_mean")
CLASSES = Task.classification(3)


def source_of(x: Any, *, target: Any = None, task: Task = CLASSES, present: Any = None, **more: Any) -> Source:
    """A source over one embedding modality `e`."""
    n = len(x)
    target = np.arange(n) % 3 if target is None else target
    data = ArrayData(
        {"e": x}, target, task, modalities=[Modality("e", "embedding", **more)],
        present=None if present is None else {"e": present},
    )  # fmt: skip
    return Source(data, all_statistics(data))


def whole(source: Source) -> Batch:
    return source.data.rows(np.arange(len(source.data)))


def corrupted(source: Source, name: str, severity: float, repeat: int = 0) -> Array:
    probe = probes.get(f"embedding.{name}")
    return probe.apply(whole(source), probe.condition(("e",), severity, repeat=repeat), source).inputs["e"]


def normal(n: int = 400, d: int = 32, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(rng.normal(0, 1, d), rng.uniform(0.2, 3, d), (n, d)).astype(np.float32)


def norms(x: Array) -> Array:
    return np.linalg.norm(x.astype(np.float64), axis=-1)


def test_they_are_registered_with_unit_and_source():
    assert embedding.__name__.endswith("corruption.embedding")
    for name in OWN:
        probe = probes.get(f"embedding.{name}")
        assert probe.kinds == ("embedding",)
        assert probe.unit
        assert probe.source
        assert not probe.not_monotone


# ---- share of features


@pytest.mark.parametrize(("name", "becomes"), [("feature_dropout", 0), ("sign_flip", -1)])
@pytest.mark.parametrize("d", [1, 3, 64])
def test_a_share_of_features_is_hit_and_only_more_at_higher_severity(name: str, becomes: int, d: int):
    x = normal(3000, d)
    source = source_of(x)
    before = np.zeros(x.shape, bool)
    for severity in (0.05, 0.3, 0.31, 0.7, 1.0):
        new = corrupted(source, name, severity)
        hit = new != x
        assert abs(hit.mean() - severity) < 4 * 0.5 / np.sqrt(x.size)
        assert np.array_equal(new, np.where(hit, becomes * x, x))
        assert (hit >= before).all()
        # Each feature of each sample by a coin of its own: binomial counts.
        variance = d * severity * (1 - severity)
        assert abs(hit.sum(axis=1).var() - variance) <= 4 * np.sqrt((variance + 2 * variance**2) / len(x))
        before = hit
    assert hit.all()
    if name == "sign_flip":
        assert np.array_equal(norms(corrupted(source, name, 0.3)), norms(x))


def test_features_are_hit_in_all_rows_of_a_sample():
    x = np.random.default_rng(0).normal(size=(50, 7, 12)).astype(np.float32)
    hit = corrupted(source_of(x), "feature_dropout", 0.4) == 0
    assert np.array_equal(hit, np.broadcast_to(hit[:, :1], hit.shape))
    assert 0.3 < hit.mean() < 0.5


def test_a_share_above_one_is_refused():
    source = source_of(normal(12))
    for name in ("feature_dropout", "sign_flip", "stale", "class_mean"):
        with pytest.raises(BadInput, match=rf"{name}: severity 1\.5 is above 1"):
            corrupted(source, name, 1.5)


# ---- quantisation


def test_quantisation_rounds_to_mean_plus_whole_steps_of_sigma():
    x = normal(5000, 8).astype(np.float64)
    x[:, 3] = 7.25
    mean, std = x.mean(axis=0), x.std(axis=0)
    for step in (0.25, 0.5, 1.0):
        new = corrupted(source_of(x), "quantisation", step)
        level = np.delete(new - mean, 3, axis=1) / np.delete(step * std, 3)
        assert np.abs(level - np.rint(level)).max() < 1e-9
        assert np.abs(new - x).max() <= step * std.max() / 2 + 1e-9
        # A fine uniform quantiser errs by a uniform ±step/2, whose deviation is step/√12 (Bennett 1948).
        error = np.delete(new - x, 3, axis=1) / np.delete(std, 3)
        assert np.sqrt(np.mean(error**2)) == pytest.approx(step / np.sqrt(12), rel=0.02)
        assert np.array_equal(new[:, 3], x[:, 3])
    far = corrupted(source_of(x), "quantisation", 1000)
    assert np.allclose(far, mean)


# ---- rotation


@pytest.mark.parametrize("shape", [(300, 2), (300, 48), (60, 5, 16)])
def test_rotation_turns_every_row_by_exactly_its_angle_and_keeps_its_norm(shape: tuple[int, ...]):
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    source = source_of(x)
    for degrees in (10, 45, 90, 180):
        new = corrupted(source, "rotation", degrees)
        cosine = np.sum(x.astype(np.float64) * new, axis=-1) / (norms(x) * norms(new))
        assert np.allclose(cosine, np.cos(np.deg2rad(degrees)), atol=1e-6)
        assert np.allclose(norms(new), norms(x), rtol=1e-6)
    assert np.allclose(corrupted(source, "rotation", 180), -x, atol=1e-5)


def test_rotation_goes_any_way_and_the_same_way_at_every_angle():
    x = np.tile(np.eye(1, 6, dtype=np.float32), (4000, 1))
    source = source_of(x)
    near, far = corrupted(source, "rotation", 20)[:, 1:], corrupted(source, "rotation", 70)[:, 1:]
    unit = far / np.linalg.norm(far, axis=1, keepdims=True)
    # Uniform on the sphere of 5 dimensions: mean 0, covariance I / 5.
    assert np.abs(unit.mean(axis=0)).max() < 4 / np.sqrt(5 * 4000)
    assert np.allclose(np.cov(unit.T), np.eye(5) / 5, atol=0.015)
    assert np.allclose(near / np.sin(np.deg2rad(20)), far / np.sin(np.deg2rad(70)), atol=1e-5)


def test_rotation_of_nothing_beyond_the_turn_and_of_one_feature():
    x = normal(9, 4)
    x[2] = 0
    assert not corrupted(source_of(x), "rotation", 60)[2].any()
    with pytest.raises(BadInput, match="above 180 degrees"):
        corrupted(source_of(x), "rotation", 181)
    scope = Scope(source_of(normal(9, 1)).data.modalities, CLASSES)
    assert [d.reason for d in probes.get("embedding.rotation").grid(scope)] == [
        "'e' has one feature, and a rotation needs two"
    ]


# ---- mean shift


def test_mean_shift_moves_all_samples_alike_by_sigma_but_not_all_features_alike():
    x = normal(500, 40)
    x[:, 5] = 2
    offset = corrupted(source_of(x), "mean_shift", 1.5) - x
    assert np.allclose(offset, offset[0], atol=1e-5)
    assert np.allclose(np.abs(offset[0]), 1.5 * x.std(axis=0), rtol=1e-4, atol=1e-6)
    signs = np.sign(np.delete(offset[0], 5))
    assert 8 <= (signs > 0).sum() <= 31
    assert np.array_equal(corrupted(source_of(x), "mean_shift", 1.5, repeat=1), x + offset)


# ---- stale


def test_stale_is_another_samples_embedding_in_a_share_of_the_samples():
    x = normal(2000, 6)
    present = np.arange(2000) % 5 != 0
    source = source_of(x, present=present)
    stored = whole(source).inputs["e"]
    owner = {row.tobytes(): i for i, row in enumerate(stored[present])}
    before = np.zeros(len(x), bool)
    for severity in (0.1, 0.5, 1.0):
        new = corrupted(source, "stale", severity)
        hit = (new != stored).any(axis=1)
        assert not hit[~present].any()
        assert abs(hit[present].mean() - severity) < 4 * 0.5 / np.sqrt(present.sum())
        assert (hit >= before).all()
        assert all(row.tobytes() in owner for row in new[hit])
        before = hit
    assert hit[present].all()
    # One permutation: at 1 the distribution of the modality is exactly what it was.
    assert sorted(row.tobytes() for row in new[present]) == sorted(row.tobytes() for row in stored[present])


# ---- class mean


def test_class_means_are_those_of_recorded_samples_in_any_block_size(monkeypatch: pytest.MonkeyPatch):
    x = normal(301, 5).astype(np.float64)
    target = np.arange(301) % 3
    present = np.random.default_rng(0).random(301) < 0.7
    expected = np.array([x[present & (target == c)].mean(axis=0) for c in range(3)])
    found = class_means.class_means(source_of(x, present=present), "e")
    assert np.allclose(found, expected, rtol=1e-12)
    monkeypatch.setattr(class_means, "BLOCK_BYTES", 7 * 8 * 5)
    assert np.allclose(class_means.class_means(source_of(x, present=present), "e"), found, rtol=1e-12)


def test_class_mean_interpolates_and_ends_at_the_prototype():
    x = normal(90, 5)
    target = np.arange(90) % 3
    mean = np.array([x[target == c].astype(np.float64).mean(axis=0) for c in range(3)])[target]
    for alpha in (0.2, 0.6, 1.0):
        new = corrupted(source_of(x), "class_mean", alpha)
        assert np.allclose(new, (1 - alpha) * x + alpha * mean, atol=1e-5)


def test_class_mean_of_the_only_sample_of_a_class_is_itself_and_of_none_is_nan():
    x, target = normal(7, 4), np.array([0, 0, 0, 1, 0, 0, 0])
    source = source_of(x, target=target)
    assert np.allclose(corrupted(source, "class_mean", 1)[3], x[3])
    assert np.isnan(class_means.class_means(source, "e")[2]).all()
    assert np.isfinite(corrupted(source, "class_mean", 0.6)).all()


def test_class_mean_needs_classes_and_samples_of_one_shape():
    probe = probes.get("embedding.class_mean")
    ragged = source_of([np.ones((2 + i % 3, 4), np.float32) * i for i in range(9)])
    numbers = source_of(normal(9), target=np.arange(9.0), task=Task.regression(1))
    for source, reason in ((ragged, "differ in shape"), (numbers, "need classes; the task is regression")):
        found = list(probe.grid(Scope(source.data.modalities, source.data.task)))
        assert [type(d) for d in found] == [Declined]
        assert reason in found[0].reason
        with pytest.raises(NotApplicable, match=reason):
            corrupted(source, "class_mean", 0.5)


# ---- whatever comes


@st.composite
def _embeddings(draw: Any) -> Source:
    dtype = draw(st.sampled_from(["float16", "float32", "float64", "int8", "uint8", "int64"]))
    n, tail = draw(st.integers(2, 5)), draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    x = rng.normal(0, draw(st.sampled_from([0, 1e-3, 1, 50])), (n, *tail))
    x = (np.abs(x) if dtype == "uint8" else x).astype(dtype)
    present = np.append(rng.random(n - 1) < 0.7, True)
    limits = (-1.0, 1.0) if draw(st.booleans()) and dtype.startswith("float") else None
    if limits:
        x = np.clip(x, *limits)
    return source_of(x, target=np.arange(n) % 2, task=Task.classification(2), present=present, range=limits)


@settings(deadline=None, derandomize=True)
@given(source=_embeddings(), name=st.sampled_from(OWN), position=st.integers(1, 5))
def test_any_embedding_is_corrupted_in_its_own_form_or_declined_with_a_reason(source: Source, name: str, position: int):
    probe, batch = probes.get(f"embedding.{name}"), whole(source)
    for item in probe.grid(Scope(source.data.modalities, source.data.task, positions=(position,))):
        if isinstance(item, Declined):
            assert item.reason
            assert not item.reason.endswith(".")
            continue
        new = probe.apply(batch, item, source)
        x, old = new.inputs["e"], batch.inputs["e"]
        assert (x.shape, x.dtype) == (old.shape, old.dtype)
        assert np.isfinite(x.astype(np.float64)).all()
        absent = ~batch.present["e"]
        assert np.array_equal(x[absent], old[absent])


# ---- real embeddings


def _real() -> list[tuple[str, Array, Array]]:
    if not (SHARED / "clothing.npz").exists() or not (SHARED / "mfeat.npz").exists():
        pytest.skip("shared data clothing.npz and mfeat.npz are not on this machine")
    with np.load(SHARED / "clothing.npz", allow_pickle=False) as f:
        found = [("MiniLM", f["text_emb"][:600], f["label"][:600].astype(np.int64))]
    with np.load(SHARED / "mfeat.npz", allow_pickle=False) as f:
        found += [(name, f[name][::5], f["label"][::5].astype(np.int64)) for name in ("fac", "mor", "zer")]
    return found


def test_on_real_embeddings_more_severity_moves_further_and_norms_do_what_is_said():
    for label, x, target in _real():
        source = source_of(x, target=target, task=Task.classification(int(target.max()) + 1))
        modality, statistics = source.modality("e"), source.statistics["e"]
        for name in OWN:
            table = probes.get(f"embedding.{name}").severities
            new = [corrupted(source, name, severity) for severity in table]
            far = [float(moved(x, y, modality, statistics)[1].mean()) for y in new]
            assert far[0] > 0, (label, name)
            assert all(a < b for a, b in pairwise(far)), (label, name, far)
            if name in ("sign_flip", "rotation"):
                assert np.allclose(norms(new[-1]), norms(x), rtol=2e-3), (label, name)
            if name in ("feature_dropout", "class_mean"):
                assert norms(new[-1]).mean() < norms(x).mean(), (label, name)


def test_a_condition_of_a_position_is_that_of_its_severity():
    scope = Scope(source_of(normal(9)).data.modalities, CLASSES, positions=(4,))
    for name in OWN:
        probe = probes.get(f"embedding.{name}")
        (found,) = probe.grid(scope)
        assert isinstance(found, Condition)
        assert found.severity == probe.severities[3]
