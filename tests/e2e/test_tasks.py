"""Three tasks, one to three modalities, real data and models that were trained on it: the whole line."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmaudit import ArrayData, Report, Run, SklearnModel, Task, audit, read_npz
from mmaudit.data import Dataset, subset
from mmaudit.types import CLEAN, Array

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SUITE = {
    "probes": ["missing", "mismatch", "gaussian_noise_convex", "keyboard"],
    "positions": [5],
    "baselines": ["zero", "marginal"],
    "pools": ["random", "across_class"],
}


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"shared data {name} is not on this machine")
    return path


def some(data: Dataset, count: int) -> Dataset:
    return subset(data, np.linspace(0, len(data) - 1, count).astype(int))


# ---- women's clothing reviews: text and table


@cache
def reviews() -> tuple[dict[str, Array], Callable[[Array], Any], Any]:
    with np.load(shared("clothing.npz")) as file:
        columns = {key: file[key] for key in ("text", "tab_num", "label", "rating", "split")}
    train = columns["split"] == 0
    words = TfidfVectorizer(max_features=2000).fit(columns["text"][train])
    features = scipy.sparse.hstack([words.transform(columns["text"][train]), columns["tab_num"][train] / 50]).tocsr()
    return columns, words.transform, features


def half_a_century(table: Array) -> Array:
    return table / 50


def clothing(target: str, task: str) -> Dataset:
    path = shared("clothing.npz")
    data = read_npz(path, task, modalities=["text", "tab_num"], target=target, cluster="clothing_id", split="split=2")
    return some(data, 700)


def test_clothing_reviews_classification(tmp_path: Path) -> None:
    columns, transform, features = reviews()
    train = columns["split"] == 0
    fitted = LogisticRegression(C=10, max_iter=1000).fit(features, columns["label"][train])
    model = SklearnModel(fitted, ["text", "tab_num"], prepare={"text": transform, "tab_num": half_a_century})
    data = clothing("label", "classification:2")
    report = audit(model, data, out=tmp_path / "run", suite=SUITE, resamples=300)
    require_sound(report, data)
    clean = report.score(report.clean, "accuracy")
    assert clean is not None
    assert clean.floor == pytest.approx(data.target.mean())
    assert clean.low > clean.floor + 0.02
    # The text carries nearly everything: without the table the model does as well, without the text it guesses.
    assert abs(delta(report, "missing[tab_num, baseline=marginal]", "accuracy")) < 0.02
    assert value(report, "missing[text, baseline=marginal]", "accuracy") < clean.low
    cost = report.score(condition(report, "missing[text, baseline=marginal]"), "accuracy")
    assert cost is not None
    assert cost.delta_high < 0
    assert cost.p_adjusted < 0.05
    assert not any(f.rule == "ignored_modality" and f.modalities == ("text",) for f in report.findings)
    assert report.document["data"]["clusters"] == len(np.unique(data.cluster)) < 700


def test_clothing_reviews_regression(tmp_path: Path) -> None:
    columns, transform, features = reviews()
    train = columns["split"] == 0
    fitted = Ridge(alpha=1.0).fit(features, columns["rating"][train].astype(float))
    model = SklearnModel(fitted, ["text", "tab_num"], prepare={"text": transform, "tab_num": half_a_century})
    data = clothing("rating", "regression:stars")
    report = audit(model, data, out=tmp_path / "run", suite=SUITE, resamples=300)
    require_sound(report, data)
    assert report.primary.name == "rmse"
    clean = report.score(report.clean, "rmse")
    assert clean is not None
    assert (clean.unit, clean.better) == ("stars", "lower")
    assert clean.high < clean.floor == pytest.approx(data.target.std())
    assert value(report, "missing[text, baseline=marginal]", "rmse") > clean.high
    reasons = {d["probe"]: d["reason"] for d in report.document["declined"]}
    assert reasons == {"mismatch": "donors across class need classes; the task is regression"}
    assert not report.document["reliability"]


# ---- handwritten digits seen in several ways


@cache
def digits() -> dict[str, Array]:
    with np.load(shared("mfeat.npz")) as file:
        return {key: file[key] for key in ("fou", "zer", "mor", "label", "split")}


def views(names: tuple[str, ...], target: Array, task: Task) -> tuple[Dataset, Array, Array]:
    columns = digits()
    train, test = columns["split"] == "train", columns["split"] == "test"
    if not train.any():
        train, test = columns["split"] == 0, columns["split"] == 2
    data = ArrayData({name: columns[name][test] for name in names}, target[test], task, ids=np.flatnonzero(test))
    return some(data, 400), np.hstack([columns[name][train] for name in names]), target[train]


def test_three_modalities(tmp_path: Path) -> None:
    names = ("fou", "zer", "mor")
    data, x, y = views(names, digits()["label"], Task.classification(10))
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y)
    report = audit(SklearnModel(fitted, names), data, out=tmp_path / "run", suite=SUITE, resamples=300)
    require_sound(report, data)
    assert value(report, "clean", "accuracy") > 0.9
    removed = {c.condition.modalities for c in report.conditions if c.condition.probe == "missing"}
    assert len(removed) == 7
    # Every edge of the lattice of subsets, with its uncertainty: 12 for each of two baselines.
    edges = [s for s in report.rows if s.metric == "accuracy" and s.against not in ("", report.clean) and not s.group]
    labels = {c.condition.key: c.condition for c in report.conditions}
    lattice = [s for s in edges if labels[s.condition].family in ("clean", "missing")]
    assert len(lattice) == 2 * 12
    assert all(s.delta_low <= s.delta <= s.delta_high for s in lattice)
    everything = value(report, "missing[fou+mor+zer, baseline=marginal]", "accuracy")
    assert everything < 0.25


def test_one_modality(tmp_path: Path) -> None:
    data, x, y = views(("mor",), digits()["label"], Task.classification(10))
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y)
    report = audit(SklearnModel(fitted, ["mor"]), data, out=tmp_path / "run", suite=SUITE, resamples=300)
    require_sound(report, data)
    assert {c.condition.family for c in report.conditions} == {"clean", "control", "missing", "corruption"}
    said = {d["probe"]: d["reason"] for d in report.document["declined"]}
    assert said["mismatch"] == "one modality alone cannot mismatch another"
    assert value(report, "missing[mor, baseline=zero]", "accuracy") == pytest.approx(0.1, abs=0.05)
    assert not any(f.rule in ("ignored_modality", "single_point_of_failure") for f in report.findings)


def test_several_labels(tmp_path: Path) -> None:
    digit = digits()["label"]
    labels = np.stack([digit % 2, digit >= 5, np.isin(digit, (2, 3, 5, 7))], axis=1).astype(np.int8)
    names = ("fou", "zer")
    data, x, y = views(names, labels, Task.multilabel(["odd", "large", "prime"]))
    fitted = make_pipeline(StandardScaler(), KNeighborsClassifier(15)).fit(x, y)
    report = audit(SklearnModel(fitted, names), data, out=tmp_path / "run", suite=SUITE, resamples=300)
    require_sound(report, data)
    assert report.primary.name == "average_precision"
    assert value(report, "clean", "average_precision") > 0.85
    assert value(report, "missing[fou+zer, baseline=marginal]", "average_precision") < 0.6
    assert np.isfinite(Run.open(tmp_path / "run").read(CLEAN).outputs).all()


# ---- what holds for every report


def condition(report: Report, label: str) -> str:
    return next(c.condition.key for c in report.conditions if c.condition.label == label)


def value(report: Report, label: str, metric: str) -> float:
    score = report.score(condition(report, label), metric)
    assert score is not None
    return score.value


def delta(report: Report, label: str, metric: str) -> float:
    return value(report, label, metric) - value(report, "clean", metric)


def require_sound(report: Report, data: Dataset) -> None:
    """Nothing failed, every condition was run on every sample, and the report can be read again from its file."""
    assert report.failed_controls() == ()
    assert all(c.n == len(data) and c.raised == 0 and c.error == "" for c in report.conditions)
    assert all(s.value == s.value or s.reason for s in report.rows)
    folder = next(Path(f.reproduce.split()[2]) for f in report.findings) if report.findings else None
    if folder is not None:
        assert Report.read(folder) == report
        page = (folder / "report.html").read_text()
        assert page.startswith("<!DOCTYPE html>")
        assert len(page) < 3_000_000
    for finding in report.findings:
        assert finding.claim.endswith(".")
        assert finding.evidence
        assert finding.reproduce.startswith("mmaudit score ")
    frame = report.scores
    assert {"condition", "metric", "value", "low", "high", "delta", "p_adjusted", "mde"} <= set(frame.columns)
    assert len(frame) == len(report.rows)
