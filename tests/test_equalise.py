"""Severities on a common scale: what is found is measured again, apart from the search; what cannot be is declined."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.probe_samples import everything, source_of
from helpers.run_cases import Rowwise, Whole, contents, dataset
from mmaudit import Report, Run, audit
from mmaudit.auditing import prepare
from mmaudit.data import ArrayData, Dataset
from mmaudit.distances import BUCKETS, EmbeddingDistance, Unmeasurable, mean_distance, ngrams
from mmaudit.equalise import TARGETS, equalise
from mmaudit.joint import parts
from mmaudit.kernels.positions import spread
from mmaudit.models import TwoStage
from mmaudit.plan import Suite, make_plan
from mmaudit.probes import probes
from mmaudit.probes.scale import Scale, scalable
from mmaudit.simple_features import features
from mmaudit.types import Array, Batch, Condition, Modality, Task
from mmaudit.unimodal import UnimodalLoss

NOISE = ("tabular.gaussian_noise_convex", "tabular.gaussian_noise_additive", "text.keyboard", "text.char_delete")


def found(name: str, data: Dataset, wanted: tuple[str, ...], stage: TwoStage | None = None) -> Scale:
    plan = make_plan(Suite(probes=wanted), data.modalities, data.task)
    return equalise(name, plan.conditions, source_of(data), stage)


def corrupted(data: Dataset, scale: Scale, key: tuple[str, str], position: int) -> tuple[Batch, Batch]:
    """All samples that have the modality, clean and under the equalised condition, with its own random numbers."""
    source = source_of(data)
    table = probes.get(key[0]).condition((key[1],), probes.get(key[0]).severities[position - 1])
    condition = scale.condition(table)
    assert isinstance(condition, Condition)
    assert condition.position == position
    assert condition.option("scale") == scale.name
    clean = data.rows(np.flatnonzero(data.presence(key[1])))
    return clean, probes.get(key[0]).apply(clean, condition, source)


# ---- the three scales, measured again


def test_input_distances_are_the_targets() -> None:
    data = dataset(n=256)
    scale = found("input", data, NOISE)
    assert scale.targets == TARGETS["input"] == (0.1, 0.2, 0.35, 0.5, 0.7)
    for key in scale.levels:
        for position, target in enumerate(scale.targets, 1):
            clean, new = corrupted(data, scale, key, position)
            if key[1] == "table":
                x, y = (b.inputs["table"].astype(float) for b in (clean, new))
                sigma = np.sqrt(np.mean(data.rows(np.arange(256)).inputs["table"].astype(float).var(axis=0)))
            else:
                x, y = (ngrams(b.inputs["note"]) for b in (clean, new))
                sigma = np.sqrt(x.var(axis=0).mean())
            measured = np.sqrt(np.square(y - x).mean(axis=1)).mean() / sigma
            assert measured == pytest.approx(target, rel=0.05), (key, position)


def test_embedding_distances_are_the_targets() -> None:
    data, model = dataset(n=256), Rowwise()
    scale = found("embedding", data, NOISE, model)
    pairs = np.triu_indices(256, 1)
    for key in scale.levels:
        clean = model.encode(key[1], data.rows(np.arange(256)))
        apart = np.linalg.norm(clean[pairs[0]] - clean[pairs[1]], axis=1).mean()
        assert mean_distance(clean) == pytest.approx(apart)
        for position, level in enumerate(scale.levels[key], 1):
            if level.reason:
                assert key[0] == "text.char_delete", "a text with nothing left says nothing new"
                continue
            new = model.encode(key[1], corrupted(data, scale, key, position)[1])
            measured = np.linalg.norm(new - clean, axis=1).mean() / apart
            assert measured == pytest.approx(scale.targets[position - 1], rel=0.05), (key, position)


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_the_loss_of_a_unimodal_probe_is_the_target(kind: str) -> None:
    data = dataset(kind, n=600, noise=0.4)
    wanted = ("tabular.gaussian_noise_convex", "text.word_delete")
    scale = found("unimodal", data, wanted)
    assert scale.targets == (0.1, 0.25, 0.4, 0.6, 0.8)
    source = source_of(data)
    reached = 0
    for key, levels in scale.levels.items():
        rows = data.rows(spread(np.arange(600), 256))
        measure = UnimodalLoss(source)
        measure.prepare(key[1], rows)
        for position, level in enumerate(levels, 1):
            if level.reason:
                continue
            table = probes.get(key[0]).condition((key[1],), probes.get(key[0]).severities[position - 1])
            condition = scale.condition(table)
            assert isinstance(condition, Condition)
            new = probes.get(key[0]).apply(rows, condition, source)
            lost = measure.distance(key[1], new.inputs[key[1]], new)
            assert lost == pytest.approx(scale.targets[position - 1], rel=0.05)
            reached += 1
    assert reached >= 6


def test_severities_grow_and_have_three_digits() -> None:
    data = everything(n=60)
    scale = found("input", data, ("gaussian_noise_convex", "text.keyboard", "image.gaussian_blur"))
    kinds = {data.modalities[i].kind for i in range(len(data.modalities))}
    assert len({key[1] for key in scale.levels}) >= len(kinds)
    for levels in scale.levels.values():
        severities = [level.severity for level in levels if not level.reason]
        assert all(a < b for a, b in pairwise(severities))
        assert all(float(f"{s:.3g}") == s for s in severities)
        assert len(levels) == 5
        assert all((level.severity == level.severity) != bool(level.reason) for level in levels)


def test_the_search_is_deterministic_and_keeps_what_is_known() -> None:
    data = dataset(n=100)
    plan = make_plan(Suite(probes=NOISE), data.modalities, data.task)
    source = source_of(data)
    once, again = (equalise("input", plan.conditions, source, None) for _ in range(2))
    assert once == again == Scale.from_json(json.loads(json.dumps(once.to_json())))
    key = ("text.keyboard", "note")
    other = {**once.levels, key: tuple(replace(level, severity=0.123) for level in once.levels[key])}
    kept = equalise("input", plan.conditions, source, None, known=replace(once, levels=other))
    assert kept.levels == other
    few = {k: v for k, v in once.levels.items() if k != key}
    assert equalise("input", plan.conditions, source, None, known=replace(once, levels=few)).levels == once.levels


# ---- what cannot be put on a scale


def reasons(scale: Scale) -> set[str]:
    return {level.reason for levels in scale.levels.values() for level in levels}


def test_without_encoders_embedding_is_declined_and_so_are_probes_that_are_not_monotone() -> None:
    data = everything(n=20, only=("hwc", "question"))
    (reason,) = reasons(found("embedding", data, ("text.keyboard",)))
    assert "this model is run whole" in reason
    unsteady = [p.name for p in probes if p.not_monotone and p.kinds == ("image",) and p.family == "corruption"]
    assert unsteady
    (reason,) = reasons(found("input", data, (unsteady[0],)))
    assert "need not grow with severity" in reason


def test_a_target_beyond_the_legal_severities_says_what_was_reached() -> None:
    data = dataset(n=60)
    scale = found("input", data, ("text.synonym",))
    levels = scale.levels["text.synonym", "note"]
    assert all(level.reason for level in levels)
    data = ArrayData(
        {"note": [f"{i % 7} red cats" for i in range(60)], "table": np.zeros((60, 2))}, np.arange(60) % 2,
        Task.classification(2),
    )  # fmt: skip
    scale = found("input", data, ("text.punctuation", "tabular.gaussian_noise_convex"))
    assert all(
        "no σ to measure with" in level.reason for level in scale.levels["tabular.gaussian_noise_convex", "table"]
    )


def test_a_distance_that_jumps_over_its_target_is_declined() -> None:
    class Steps:
        """Features that change by whole numbers only."""

        def encode(self, modality: str, batch: Batch) -> Array:
            return np.array([[float(len(text.split()) > 3), len(text) % 5.0] for text in batch.inputs[modality]])

        def fuse(self, features: Mapping[str, Any], batch: Batch) -> Array:
            raise AssertionError

    data = ArrayData(
        {"note": ["a b c d e", "f g h i j k l m"] * 3, "table": np.zeros((6, 1))}, np.arange(6) % 2,
        Task.classification(2),
    )  # fmt: skip
    levels = found("embedding", data, ("text.word_delete",), Steps()).levels["text.word_delete", "note"]
    said = [level.reason for level in levels if level.reason]
    assert said
    assert any("jumps over" in reason or "cannot be reached" in reason for reason in said)


def test_a_probe_that_moves_nothing_on_the_scale_and_an_encoder_that_raises() -> None:
    data = dataset(n=40)
    (reason,) = reasons(found("embedding", data, ("text.punctuation",), _Deaf()))
    assert reason == "the encoder of 'note' returns the same features for every sample"
    (reason,) = reasons(found("embedding", data, ("text.keyboard",), _Deaf(raises=True)))
    assert reason == "the encoder of 'note' raises RuntimeError: no"
    (reason,) = reasons(found("embedding", data, ("text.keyboard",), _Deaf(empty=True)))
    assert "returns no numbers" in reason
    data = dataset("regression", n=40)
    (reason,) = reasons(found("embedding", data, ("text.keyboard",), _Deaf(length=True)))
    assert reason == "no severity of it moves anything on this scale"


class _Deaf:
    def __init__(self, **how: bool) -> None:
        self.how = how

    def encode(self, modality: str, batch: Batch) -> Any:
        if self.how.get("raises"):
            raise RuntimeError("no")
        if self.how.get("empty"):
            return {"ids": np.zeros((len(batch), 3), np.int64), "none": None}
        if self.how.get("length"):
            return [np.array([[len(text.split())] for text in batch.inputs[modality]], np.float32)]
        return np.zeros((len(batch), 2))

    def fuse(self, features: Mapping[str, Any], batch: Batch) -> Array:
        raise AssertionError


def test_a_modality_that_tells_nothing_has_no_unimodal_loss() -> None:
    rng = np.random.default_rng(0)
    data = ArrayData(
        {"table": rng.normal(size=(300, 3)), "more": rng.normal(size=(300, 2))}, rng.integers(0, 3, 300),
        Task.classification(3),
    )  # fmt: skip
    said = reasons(found("unimodal", data, ("tabular.gaussian_noise_convex",)))
    assert len(said) == 2
    assert all("no better than chance" in reason for reason in said)


# ---- features


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_a_unimodal_probe_learns_from_samples_whose_classes_come_in_turns(classes: int) -> None:
    target = np.arange(300) % classes
    x = 3 * np.eye(6)[target] + np.random.default_rng(0).normal(size=(300, 6))
    data = ArrayData({"a": x.astype(np.float32)}, target, Task.classification(classes), kinds={"a": "embedding"})
    loss = UnimodalLoss(source_of(data))
    batch = data.rows(np.arange(300))
    loss.prepare("a", batch)
    assert loss.distance("a", batch.inputs["a"], batch) == 0
    assert loss.distance("a", batch.inputs["a"][::-1], batch) > 0.5


def test_a_unimodal_probe_does_not_know_a_samples_cluster() -> None:
    # What samples of one site share tells their class to whoever has seen the site, and nothing to others.
    rng = np.random.default_rng(0)
    site = np.repeat(np.arange(30), 10)
    x = np.eye(30)[site] + rng.normal(scale=0.1, size=(300, 30))
    target = rng.integers(0, 2, 30)[site]

    def loss(cluster: Array | None) -> UnimodalLoss:
        data = ArrayData({"a": x}, target, Task.classification(2), kinds={"a": "embedding"}, cluster=cluster)
        found = UnimodalLoss(source_of(data))
        found.prepare("a", data.rows(np.arange(300)))
        return found

    assert loss(None).probes["a"].clean > 0.6
    with pytest.raises(Unmeasurable, match="no better than chance"):
        loss(site)
    with pytest.raises(Unmeasurable, match="there are 1"):
        loss(np.zeros(300, np.int64))


def test_ngrams_are_of_length_one_and_a_replaced_text_is_about_root_two_away() -> None:
    rng = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz  "))
    texts = np.array(["".join(rng.choice(letters, 60)) for _ in range(300)], object)
    table = ngrams(texts)
    assert table.shape == (300, BUCKETS)
    assert np.linalg.norm(table, axis=1) == pytest.approx(1)
    far = np.sqrt(np.mean(np.square(table - np.roll(table, 1, axis=0)))) / np.sqrt(table.var(axis=0).mean())
    assert far == pytest.approx(np.sqrt(2), rel=0.02)
    odd = ngrams(np.array(["", "x", "🙂 שלום", "\ud800"], object))
    assert np.linalg.norm(odd, axis=1) == pytest.approx([0, 1, 1, 1])
    assert not np.array_equal(ngrams(np.array(["ab"], object)), ngrams(np.array(["ba"], object)))
    both = ngrams(np.array(["ab", "cd"], object))
    assert np.array_equal(both, np.concatenate([ngrams(np.array([t], object)) for t in ("ab", "cd")]))


def test_features_of_padded_batches_are_compared_with_zeros_for_what_they_lack() -> None:
    class Padded:
        """Letters as numbers, as many columns as the longest text of the batch, in two layers of containers."""

        def encode(self, modality: str, batch: Batch) -> Any:
            width = max(len(text) for text in batch.inputs[modality])
            rows = [[float(ord(c)) for c in text.ljust(width, "\0")] for text in batch.inputs[modality]]
            return {"z": (np.array(rows), None), "a": [np.ones((len(batch), 1))]}

        def fuse(self, features: Mapping[str, Any], batch: Batch) -> Array:
            raise AssertionError

    texts = ["a", "bcd", "ef", "ghijk"]
    data = ArrayData({"note": texts, "table": np.zeros((4, 1))}, np.arange(4) % 2, Task.classification(2))
    batch = data.rows(np.arange(4))
    for rows in (1, 3, 256):
        measure = EmbeddingDistance(Padded(), rows)
        measure.prepare("note", batch)
        longer = batch.replace({"note": np.array([t + "!" for t in texts], object)})
        expected = ord("!") / measure.apart["note"]
        assert measure.distance("note", longer.inputs["note"], longer) == pytest.approx(expected)


def test_simple_features_exist_for_every_modality() -> None:
    data = everything()
    batch = data.rows(np.arange(len(data)))
    for modality in data.modalities:
        rows = batch.present[modality.name]
        table = features(batch.inputs[modality.name][rows], modality)
        assert table.shape[0] == rows.sum()
        assert np.isfinite(table).all()
        assert table.std(axis=0).max() > 0
    empty = features(
        np.array([np.zeros(0, np.float32), np.ones(3, np.float32)], object), Modality("a", "audio", (None,))
    )
    assert np.isfinite(empty).all()


# ---- in a plan and a run


def test_a_plan_on_a_scale_keeps_positions_and_other_families(tmp_path: Path) -> None:
    suite = {
        "probes": ["missing", "text.keyboard", "tabular.gaussian_noise_convex", "text.synonym"],
        "baselines": ["zero"],
        "surface": [["tabular.gaussian_noise_convex", "text.keyboard"]],
        "positions": [1, 5],
    }
    table, scaled = (
        prepare(Rowwise(), dataset(n=80), suite={**suite, "severity_scale": s}).plan for s in ("table", "embedding")
    )
    assert table.scale is None
    assert scaled.scale is not None
    assert [c for c in scaled.conditions if not scalable(c) and c.probe != "surface"] == [
        c for c in table.conditions if not scalable(c) and c.probe != "surface"
    ]
    mine = {c.key: c for c in scaled.conditions if scalable(c)}
    assert {(c.probe, c.position) for c in mine.values()} == {
        (p, i) for p in ("text.keyboard", "tabular.gaussian_noise_convex") for i in (1, 5)
    }
    assert all(c.option("scale") == "embedding" for c in mine.values())
    surfaces = [c for c in scaled.conditions if c.probe == "surface"]
    assert len(surfaces) == 4
    assert all(part.key in mine for c in surfaces for part in parts(c))
    declined = [d for d in scaled.declined if d.probe == "text.synonym"]
    assert len(declined) == 1, "one reason for all positions is said once"
    assert declined[0].reason.startswith("on the scale 'embedding': ")
    whole = prepare(Whole(Rowwise()), dataset(n=80), suite={**suite, "severity_scale": "embedding"}).plan
    assert not [c for c in whole.conditions if c.family == "corruption"]
    assert any("this model is run whole" in d.reason for d in whole.declined)


def test_a_run_goes_on_with_the_severities_it_found(tmp_path: Path) -> None:
    data, out = dataset(n=120), tmp_path / "run"
    suite: dict[str, Any] = {"probes": ["text.keyboard"], "positions": [2, 4], "severity_scale": "input"}
    report = audit(Rowwise(), data, out=out, suite=suite, resamples=50)
    conditions = Run.open(out).conditions
    before = contents(out / "predictions")
    audit(Rowwise(), data, out=out, suite=suite, resamples=50)
    assert contents(out / "predictions") == before, "nothing is run again"
    # What was found once is kept, even where another machine would find another last digit.
    header = json.loads((out / "run.json").read_text(encoding="utf-8"))
    for level in header["severity_scales"]["input"]["levels"]:
        level["severity"] = round(level["severity"] * 1.01, 6)
    (out / "run.json").write_text(json.dumps(header), encoding="utf-8")
    again = prepare(Rowwise(), data, suite=suite, out=out).plan
    moved = [c.severity for c in again.conditions if c.family == "corruption"]
    assert moved == [pytest.approx((c.severity or 0) * 1.01, rel=1e-4) for c in conditions if c.family == "corruption"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Severities on a common scale" in page
    assert "in units of: σ of the input" in page
    (scale,) = report.document["severity_scales"]
    assert [level["position"] for level in scale["levels"]] == [1, 2, 3, 4, 5]
    assert Report.read(out).document["severity_scales"] == [scale]


def test_the_table_and_a_scale_live_in_one_run(tmp_path: Path) -> None:
    data, out = dataset(n=120), tmp_path / "run"
    for scale in ("table", "input", "unimodal"):
        suite = {"probes": ["text.keyboard"], "positions": [2], "severity_scale": scale}
        report = audit(Rowwise(), data, out=out, suite=suite, resamples=50)
    labels = [c.label for c in Run.open(out).conditions if c.family == "corruption"]
    assert len(set(labels)) == len(labels) >= 2
    assert labels[:2] == ["text.keyboard[note]@2", "text.keyboard[note, scale=input]@2"]
    assert [s["name"] for s in report.document["severity_scales"]] == ["input", "unimodal"]


def test_a_unimodal_probe_needs_some_samples() -> None:
    data = dataset(n=6)
    with pytest.raises(Unmeasurable, match="too few samples"):
        UnimodalLoss(source_of(data)).prepare("table", data.rows(np.arange(6)))
