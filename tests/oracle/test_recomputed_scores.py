"""Scores of a run recomputed from its files by pyarrow, NumPy, SciPy and scikit-learn, with nothing of mmaudit.

The run is made hard on purpose: a class that never occurs, others that are rare, clusters of unequal size, more than
one shard, samples without an answer on clean data, and a condition under which further ones have none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.stats
import sklearn.metrics as sk

from helpers.compare_cases import blur, write
from mmaudit.score import score
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Condition, FloatArray, Task

CLASSES = 5  # the last one never occurs
N, CLUSTERS = 420, 90


def without(*names: str) -> Condition:
    return Condition("missing", "missing", 1, names, options=(("baseline", "zero"),))


MISSING = (without("image"), without("text"), without("image", "text"))
BLURS = (blur(1, 0.5), blur(3, 2.0), blur(5, 5.0))
PARTLY = Condition("image.fog", "corruption", 1, ("image",), 0.5, 3)
PLAN = (CLEAN, *MISSING, *BLURS, PARTLY)
SURE = dict(zip((c.key for c in PLAN), (2.5, 1.2, 1.0, 0.0, 2.4, 1.5, 0.8, 1.8), strict=True))


@dataclass(frozen=True)
class Stored:
    """What the files of a run hold."""

    outputs: dict[str, Array]
    target: Array
    cluster: Array
    site: Array
    scores: list[dict[str, Any]]
    estimates: list[dict[str, Any]]

    def rows(self, key: str) -> Array:
        """Samples that count under a condition: answered there and on clean data."""
        return np.isfinite(self.outputs[key]).all(axis=1) & np.isfinite(self.outputs[CLEAN.key]).all(axis=1)

    def accuracy(self, key: str) -> float:
        rows = self.rows(key)
        return float(sk.accuracy_score(self.target[rows], self.outputs[key][rows].argmax(axis=1)))

    def score(self, key: str, metric: str) -> dict[str, Any]:
        against = CLEAN.key if key != CLEAN.key else ""
        wanted = (key, metric, "", against)
        (row,) = [s for s in self.scores if (s["condition"], s["metric"], s["group"], s["against"]) == wanted]
        return row


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    rng = np.random.default_rng(5)
    target = rng.choice(CLASSES - 1, N, p=[0.55, 0.3, 0.1, 0.05])
    cluster = rng.integers(0, CLUSTERS, N) ** 2 // CLUSTERS  # a few large ones, many small
    noise = rng.normal(size=(N, CLASSES)) + 0.7 * rng.normal(size=(CLUSTERS, CLASSES))[cluster]
    truth = np.eye(CLASSES)[target]
    outputs = {key: noise + 0.5 * rng.normal(size=(N, CLASSES)) + sure * truth for key, sure in SURE.items()}
    for gone in outputs.values():
        gone[7:12] = np.nan
    outputs[PARTLY.key][100:130, 1] = np.inf
    folder = tmp_path_factory.mktemp("recomputed") / "run"
    site = np.where(rng.random(N) < 0.9, "north", "south")
    site[:20] = "tiny"
    groups = {"site": site}
    task = Task.classification(CLASSES)
    write(folder, target, outputs, conditions=PLAN, task=task, groups=groups, cluster=cluster)
    with pytest.MonkeyPatch.context() as patch:
        # Repairs load torch, and have tests of their own.
        patch.setattr("mmaudit.side_tables.recalibrate", lambda *_, **__: [])
        score(Run.open(folder), resamples=1000)
    return read(folder)


def read(folder: Path) -> Stored:
    plan = json.loads((folder / "run.json").read_text())["increments"][0]
    shards = sorted((folder / "predictions").glob("*.parquet"))
    assert len(shards) == 2
    outputs = {}
    for group, condition in enumerate(plan):
        parts = [pq.ParquetFile(file).read_row_group(group)["output"].to_pylist() for file in shards]
        outputs[condition["key"]] = np.array([row for part in parts for row in part], np.float64)
    samples = pq.read_table(folder / "samples.parquet").to_pydict()
    return Stored(
        outputs,
        np.array(samples["target"]),
        np.unique(samples["cluster"], return_inverse=True)[1],
        np.array(samples["group.site"]),
        pq.read_table(folder / "scores.parquet").to_pylist(),
        json.loads((folder / "estimates.json").read_text()),
    )


# ---- metrics, by other means


def softmax(z: FloatArray) -> FloatArray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def binned(score: FloatArray, outcome: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Size and |gap| of each of 15 bins, the last one closed, one bin at a time."""
    edges = np.linspace(0, 1, 16)
    members = [(score >= a) & ((score < b) | (b == 1)) for a, b in pairwise(edges)]
    gaps = [abs(outcome[m].mean() - score[m].mean()) if m.any() else 0.0 for m in members]
    return np.array([m.sum() for m in members]), np.array(gaps)


def area_under_risk(confidence: FloatArray, wrong: FloatArray) -> float:
    order = np.argsort(-confidence)
    assert len(np.unique(confidence)) == len(confidence)
    return float((np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)).mean())


def by_hand(z: Array, y: Array, clean: Array) -> dict[str, float]:
    """Every metric of one condition; `clean` holds the same samples' answers on clean data."""
    p, said, before = softmax(z), z.argmax(axis=1), softmax(clean)
    sure, hit, present = p.max(axis=1), (said == y).astype(float), np.unique(y)
    onehot = y[:, None] == np.arange(CLASSES)
    kept = np.arange(len(y)), clean.argmax(axis=1)
    size, gap = binned(sure, hit)
    edges = np.quantile(sure, np.linspace(0, 1, 16))
    mass = np.array([m.sum() * abs((hit - sure)[m].mean()) for m in equal_mass(sure, edges)])
    variance = [float((sure * (1 - sure))[m].sum()) for m in equal_mass(sure, np.linspace(0, 1, 16))]
    classwise = [binned(p[:, k], onehot[:, k].astype(float)) for k in range(CLASSES)]
    return {
        "accuracy": sk.accuracy_score(y, said),
        "balanced_accuracy": sk.recall_score(y, said, labels=present, average="macro"),
        "macro_f1": sk.f1_score(y, said, labels=np.union1d(present, said), average="macro"),
        "auroc": np.mean([sk.roc_auc_score(onehot[:, k], p[:, k]) for k in present]),
        "average_precision": np.mean([sk.average_precision_score(onehot[:, k], p[:, k]) for k in present]),
        "brier": ((p - onehot) ** 2).sum(axis=1).mean(),
        "nll": sk.log_loss(y, p, labels=range(CLASSES)),
        "aurc": area_under_risk(sure, 1 - hit),
        "ece": (size * gap).sum() / len(y),
        "mce": gap.max(),
        "ace": gap[size > 0].mean(),
        "adaptive_ece": mass.sum() / len(y),
        "ece_floor": np.sqrt(2 / np.pi * np.array(variance)).sum() / len(y),
        "classwise_ece": np.mean([(s * g).sum() / len(y) for s, g in classwise]),
        "mean_confidence": sure.mean(),
        "overconfidence": sure.mean() - hit.mean(),
        "flip_rate": (said != clean.argmax(axis=1)).mean(),
        "confidence_rise": (p[kept] > before[kept] + 1e-6).mean(),
    }


def equal_mass(score: FloatArray, edges: FloatArray) -> list[Array]:
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, len(edges) - 2)
    return [place == b for b in np.unique(place)]


def random_order(n: int, found: int) -> float:
    """Average precision expected of a random order: at rank i one of those to be found is as likely as anywhere."""
    rank = np.arange(1, n + 1)
    return float(np.mean((1 + (rank - 1) * (found - 1) / (n - 1)) / rank))


def chance(y: Array) -> dict[str, float]:
    """What the best answer that ignores the inputs reaches, by trying every one of them."""
    share = np.bincount(y, minlength=CLASSES) / len(y)
    present = np.unique(y)
    always = [np.full(len(y), k) for k in present]
    prior = np.tile(share, (len(y), 1))
    onehot = y[:, None] == np.arange(CLASSES)
    return {
        "accuracy": max(sk.accuracy_score(y, a) for a in always),
        "balanced_accuracy": max(sk.recall_score(y, a, labels=present, average="macro") for a in always),
        "macro_f1": max(sk.f1_score(y, a, labels=present, average="macro") for a in always),
        "auroc": 0.5,
        "average_precision": np.mean([random_order(len(y), int(onehot[:, k].sum())) for k in present]),
        "brier": ((prior - onehot) ** 2).sum(axis=1).mean(),
        "nll": sk.log_loss(y, prior, labels=range(CLASSES)),
        "aurc": min((a != y).mean() for a in always),
    }


@pytest.mark.parametrize("condition", PLAN, ids=lambda c: c.label)
def test_every_metric_of_every_condition(stored: Stored, condition: Condition) -> None:
    rows, y = stored.rows(condition.key), stored.target
    here, clean = stored.outputs[condition.key][rows], stored.outputs[CLEAN.key][rows]
    expected, before, floor = by_hand(here, y[rows], clean), by_hand(clean, y[rows], clean), chance(y[rows])
    found = [s for s in stored.scores if s["condition"] == condition.key and not s["group"]]
    found = [s for s in found if s["against"] in ("", CLEAN.key)]
    compared = {"flip_rate", "confidence_rise"}
    assert {s["metric"] for s in found} == expected.keys() - (compared if condition == CLEAN else set())
    for s in found:
        name = s["metric"]
        assert s["n"] == rows.sum() == N - 5 - (30 if condition == PARTLY else 0)
        assert s["value"] == pytest.approx(expected[name], rel=1e-6), name
        assert s["floor"] == pytest.approx(floor.get(name, np.nan), nan_ok=True), name
        if condition == CLEAN or name in compared:
            continue
        assert s["delta"] == pytest.approx(expected[name] - before[name], abs=1e-7), name
        better, room = s["better"] == "higher", before[name] - floor.get(name, np.nan)
        lost = (before[name] - expected[name]) / room if (room > 0) == better else np.nan
        assert s["lost"] == pytest.approx(lost if s["better"] != "neither" else np.nan, rel=1e-5, nan_ok=True), name
        drop = 1 - expected[name] / before[name] if better and name in floor else np.nan
        assert s["drop"] == pytest.approx(drop, rel=1e-5, nan_ok=True), name


# ---- uncertainty


def replicates(stored: Stored, key: str, count: int = 2000) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Accuracy and Brier score under a condition and on clean data, of whole clusters drawn by another generator."""
    rows = stored.rows(key)
    y, onehot = stored.target[rows], np.eye(CLASSES)[stored.target[rows]]
    units = stored.cluster.max() + 1
    times = np.random.default_rng(99).multinomial(units, np.full(units, 1 / units), count)[:, stored.cluster[rows]]
    found = {}
    for name in ("accuracy", "brier"):
        both = []
        for k in (key, CLEAN.key):
            z = stored.outputs[k][rows]
            each = z.argmax(axis=1) == y if name == "accuracy" else ((softmax(z) - onehot) ** 2).sum(axis=1)
            both.append(times @ each / times.sum(axis=1))
        found[name] = both[0], both[1]
    return found


@pytest.mark.parametrize("condition", [MISSING[0], PARTLY], ids=lambda c: c.label)
def test_intervals_p_and_detectable_change_with_another_bootstrap(stored: Stored, condition: Condition) -> None:
    for name, (here, clean) in replicates(stored, condition.key).items():
        s = stored.score(condition.key, name)
        error = float((here - clean).std(ddof=1))
        # The ends are quantiles of 1,000 and 2,000 replicates: each is known to a tenth of a standard error.
        for low, high, values in (("low", "high", here), ("delta_low", "delta_high", here - clean)):
            assert [s[low], s[high]] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.45 * values.std())
        assert s["mde"] == pytest.approx((1.959964 + 0.841621) * error, rel=0.1)
        ends = (2 * scipy.stats.norm.sf(abs(s["delta"]) / (error * f)) for f in (0.88, 1.12))
        assert next(ends) * 0.5 <= s["p"] <= next(ends) * 2


def test_one_family_of_tests_for_conditions_and_one_for_estimates(stored: Stored) -> None:
    estimated = {(e["key"], e["estimator"]) for e in stored.estimates}
    for kind in (True, False):
        family = [s for s in stored.scores if ((s["condition"], s["metric"]) in estimated) == kind and not s["group"]]
        # A step up to clean is the difference from clean the other way round: no test more.
        family = [s for s in family if s["condition"] != CLEAN.key]
        p = np.array([s["p"] for s in family], np.float64)
        known = np.isfinite(p)
        ordered = np.argsort(p[known])
        raw = p[known][ordered] * known.sum() / np.arange(1, known.sum() + 1)
        adjusted = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
        found = np.array([s["p_adjusted"] for s in family], np.float64)[known][ordered]
        np.testing.assert_allclose(found, adjusted, rtol=1e-9)
        assert known.sum() > 5


# ---- over several conditions


def test_summaries_of_a_family_and_of_a_curve(stored: Stored) -> None:
    floor, clean = chance(stored.target[stored.rows(CLEAN.key)])["accuracy"], stored.accuracy(CLEAN.key)
    values = np.array([stored.accuracy(c.key) for c in MISSING])
    said = {c.key: stored.outputs[c.key].argmax(axis=1) == stored.target for c in MISSING}
    expected = {
        "mmi": (clean - values.mean()) / clean,
        "relative_robustness": values.mean() / clean,
        "chance_normalised_drop": (clean - values.mean()) / (clean - floor),
        "worst_case": values.min(),
        "instance_worst_case": np.min(list(said.values()), axis=0)[stored.rows(CLEAN.key)].mean(),
    }
    for label in ("missing", "missing[baseline=zero]"):
        assert {s["metric"]: s["value"] for s in stored.scores if s["label"] == label} == pytest.approx(expected)
    curve = np.array([stored.accuracy(c.key) for c in BLURS])
    x, kept = [0.0, 0.5, 2.0, 5.0], np.concatenate([[1.0], (curve - floor) / (clean - floor)])
    area = sum((b - a) * (s + t) / 2 for (a, b), (s, t) in zip(pairwise(x), pairwise(kept), strict=True)) / x[-1]
    found = {s["metric"]: s["value"] for s in stored.scores if s["label"] == "image.gaussian_blur[image]"}
    assert found["severity_area"] == pytest.approx(area)
    assert found["mmi"] == pytest.approx(1 - curve.mean() / clean)
    assert found["worst_case"] == pytest.approx(curve.min())
    # What a sample does at worst is not known where a condition has no answer to it.
    (worst,) = [s for s in stored.scores if (s["label"], s["metric"]) == ("corruption", "instance_worst_case")]
    assert np.isnan(worst["value"])
    assert "not every sample" in worst["reason"]


def test_groups_count_their_own_samples(stored: Stored) -> None:
    for condition in (CLEAN, *MISSING):
        for name in ("north", "south", "tiny"):
            rows = stored.rows(condition.key) & (stored.site == name)
            wanted = (condition.key, "accuracy", f"site={name}")
            (s,) = [s for s in stored.scores if (s["condition"], s["metric"], s["group"]) == wanted]
            right = stored.outputs[condition.key].argmax(axis=1) == stored.target
            assert s["n"] == rows.sum()
            assert s["value"] == pytest.approx(right[rows].mean() if rows.sum() >= 30 else np.nan, nan_ok=True)


def test_reliance_from_the_orders_in_which_modalities_come(stored: Stored) -> None:
    everything = frozenset(("image", "text"))
    v = {everything - set(c.modalities): stored.accuracy(c.key) for c in (CLEAN, *MISSING)}
    floor = chance(stored.target[stored.rows(CLEAN.key)])["accuracy"]

    def shapley(game: dict[frozenset[str], float], name: str) -> float:
        gains = []
        for order in permutations(sorted(everything)):
            before = frozenset(order[: order.index(name)])
            gains.append(game[before | {name}] - game[before])
        return float(np.mean(gains))

    table = {(e["estimator"], tuple(e["modalities"])): e["key"] for e in stored.estimates if not e["group"]}
    found = {what: next(s["value"] for s in stored.scores if s["condition"] == key) for what, key in table.items()}
    for name in everything:
        alone, rest = v[frozenset((name,))], v[everything - {name}]
        assert found["shapley_value", (name,)] == pytest.approx(shapley(v, name))
        assert found["shape_contribution", (name,)] == pytest.approx(shapley({**v, frozenset(): floor}, name))
        assert found["leave_one_out", (name,)] == pytest.approx(v[everything] - rest)
        assert found["only_one", (name,)] == pytest.approx(alone)
        assert found["conditional_utilisation", (name,)] == pytest.approx(1 - rest / v[everything])
    both = v[everything] + v[frozenset()] - v[frozenset(("image",))] - v[frozenset(("text",))]
    assert found["shapley_interaction", ("image", "text")] == pytest.approx(both)
    together = v[everything] - v[frozenset(("image",))] - v[frozenset(("text",))] + floor
    assert found["shape_cooperation", ("image", "text")] == pytest.approx(together)
