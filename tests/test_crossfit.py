"""Cross-fitted predictors find what there is, invent nothing, and say why where there is nothing to be fitted."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.special

from helpers.run_cases import Rowwise, dataset
from mmaudit import ArrayData, Task
from mmaudit.crossfit import crossfit
from mmaudit.crossfit.predictors import subsets_of
from mmaudit.errors import BadInput, Undefined
from mmaudit.information.crossfitted import CrossFitted
from mmaudit.types import Array, FloatArray

KINDS = dict.fromkeys("ab", "embedding")


def two(a: Array, b: Array, y: Array, task: Task | int = 2, **more: Any) -> ArrayData:
    task = Task.classification(task) if isinstance(task, int) else task
    return ArrayData({"a": a.astype(np.float32), "b": b.astype(np.float32)}, y, task, kinds=KINDS, **more)


def noise(y: Array, task: Task | int = 2, d: int = 3, **more: Any) -> ArrayData:
    rng = np.random.default_rng(len(y))
    return two(rng.standard_normal((len(y), d)), rng.standard_normal((len(y), d)), y, task, **more)


def world(name: str, n: int, d: int, seed: int, strength: float = 1.05) -> tuple[ArrayData, dict[str, float]]:
    """Two hidden bits, each ± `strength` along a direction of its modality, and the information in each subset."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (n, 2))
    if name == "views":
        bits[:, 1] = bits[:, 0]
    x = rng.standard_normal((2, n, d))
    seen = []
    for m in range(2):
        axis = rng.standard_normal(d)
        axis /= np.linalg.norm(axis)
        x[m] += strength * (2 * bits[:, m] - 1)[:, None] * axis
        seen.append(2 * strength * (x[m] @ axis))
    p, q = scipy.special.expit(seen)
    half = np.full(n, 0.5)
    y, truth = {
        "first": (bits[:, 0], (p, half, p)),
        "views": (bits[:, 0], (p, q, scipy.special.expit(seen[0] + seen[1]))),
        "and": (bits[:, 0] & bits[:, 1], (p / 2, q / 2, p * q)),
        "exclusive or": (bits[:, 0] ^ bits[:, 1], (half, half, p * (1 - q) + q * (1 - p))),
    }[name]
    share = y.mean()
    prior = y * np.log2(share) + (1 - y) * np.log2(1 - share)
    known = [float(np.mean(np.log2(np.where(y > 0, t, 1 - t)) - prior)) for t in truth]
    return two(x[0], x[1], y), dict(zip(("a", "b", "ab"), known, strict=True))


def information(fit: CrossFitted, of: str = "data") -> dict[str, float]:
    """v(S) in bits, by subset, of the mean over seeds."""
    y = fit.target if of == "data" else fit.decision
    assert y is not None
    rows = np.arange(len(fit))
    prior = np.log2(fit.prior[of][rows, y])
    return {"".join(s): float(np.mean(np.log2(fit.get(of, s)[:, rows, y]) - prior)) for s in fit.subsets(of)}


# ---- what is found


@pytest.mark.parametrize(
    ("name", "n", "d", "least"),
    [
        ("first", 400, 2, 0.92),
        ("views", 400, 2, 0.92),
        ("and", 400, 2, 0.8),
        ("exclusive or", 400, 2, 0.65),
        ("first", 600, 16, 0.85),
        ("views", 600, 16, 0.9),
        ("and", 600, 16, 0.65),
        ("exclusive or", 600, 16, 0.4),
        ("exclusive or", 1500, 16, 0.7),
    ],
)
def test_information_is_found_and_not_invented(name: str, n: int, d: int, least: float) -> None:
    found, truth = [], []
    for seed in range(2):
        data, known = world(name, n, d, seed)
        found.append(information(crossfit(data, seeds=1, seed=seed)))
        truth.append(known)
    for subset in ("a", "b", "ab"):
        value, true = np.mean([f[subset] for f in found]), np.mean([t[subset] for t in truth])
        assert value <= true + 0.02
        assert value >= (least * true if true > 0.25 else 0.5 * true) - 0.02
        assert np.mean([f["ab"] for f in found]) >= value - 0.02


def test_probabilities_are_calibrated() -> None:
    data, _ = world("and", 1500, 4, 0)
    fit = crossfit(data, seeds=1)
    for subset in fit.subsets():
        p = fit.get("data", subset)[0, :, 1]
        for part in np.array_split(np.argsort(p), 5):
            error = np.sqrt(np.mean(p[part] * (1 - p[part])) / len(part))
            assert abs(p[part].mean() - fit.target[part].mean()) < 4 * error


def test_every_label_is_predicted_by_itself() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 4))
    scores = np.stack([x[:, 0], x[:, 2], 2 * x[:, 1] * x[:, 3], rng.standard_normal(500)], axis=1)
    y = (scores + 0.2 * rng.standard_normal((500, 4)) > 0).astype(np.int8)
    y[:, 3] = 1  # always applies
    fit = crossfit(two(x[:, :2], x[:, 2:], y, Task.multilabel(4)), seeds=1)

    def gained(subset: tuple[str, ...]) -> FloatArray:
        p, q = fit.get("data", subset)[0], fit.prior["data"]
        right = np.log2(np.where(y > 0, p, 1 - p)) - np.log2(np.where(y > 0, q, 1 - q))
        return right.mean(axis=0)

    assert (gained(("a",)) > [0.5, -0.03, -0.03, -0.01]).all()
    assert (gained(("a",)) < [1.0, 0.03, 0.03, 0.01]).all()
    assert (gained(("a", "b")) > [0.5, 0.5, 0.35, -0.01]).all()


def test_numbers_are_predicted_in_their_unit() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((500, 4))
    z = np.stack([3 * x[:, 0] + 0.3 * rng.standard_normal(500), x[:, 1] * x[:, 3]], axis=1) + 1e6
    fit = crossfit(two(x[:, :2], x[:, 2:], z, Task.regression(2)), seeds=1)

    def explained(subset: tuple[str, ...]) -> FloatArray:
        return 1 - np.square(z - fit.get("data", subset)[0]).mean(axis=0) / np.square(z - fit.prior["data"]).mean(
            axis=0
        )

    assert explained(("a",))[0] > 0.98
    assert np.abs(explained(("b",))).max() < 0.06
    assert (explained(("a", "b")) > [0.98, 0.9]).all()


def test_more_than_two_modalities_have_singles_pairs_and_the_rest() -> None:
    assert subsets_of("abc") == (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c"))
    assert subsets_of("a") == (("a",),)
    assert {len(s) for s in subsets_of("abcdef")} == {1, 2, 5, 6}
    assert {len(s) for s in subsets_of("abcdefg")} == {1, 6, 7}
    data = dataset(n=150, modalities=("table", "note", "signal"))
    fit = crossfit(data, seeds=1)
    assert fit.subsets() == subsets_of(("table", "note", "signal"))
    found = information(fit)
    assert found["tablenotesignal"] > max(found["table"], found["note"], found["signal"])


# ---- the model's answers


def test_the_model_s_answer_is_a_target_of_its_own() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((300, 2))
    data = two(x[:, :1], x[:, 1:], (x[:, 0] > 0).astype(int))
    outputs = np.stack([np.zeros(300), x[:, 1]], axis=1)
    outputs[::10] = np.nan
    fit = crossfit(data, model_answers=outputs, seeds=1)
    assert fit.decision is not None
    assert (fit.decision[::10] == -1).all()
    answered = fit.decision >= 0
    np.testing.assert_array_equal(fit.decision[answered], (x[answered, 1] > 0).astype(int))
    told = {s: fit.get("decision", s)[0] for s in fit.subsets("decision")}
    assert all((np.isfinite(p).all(axis=1) == answered).all() for p in told.values())
    right = {s: np.log2(p[answered, fit.decision[answered]]).mean() + 1 for s, p in told.items()}
    assert right["a",] < 0.03
    assert right["b",] > 0.8
    # The truth is predicted for every row, as without a model.
    alone = crossfit(data, seeds=1)
    np.testing.assert_array_equal(alone.get("data", ("a",)), fit.get("data", ("a",)))


def test_a_model_that_decides_the_truth_shares_the_fits() -> None:
    data = dataset(n=90)
    outputs = 9.0 * np.eye(3)[data.target]
    fit = crossfit(data, model_answers=outputs, seeds=1)
    np.testing.assert_array_equal(fit.decision, fit.target)
    for subset in fit.subsets():
        np.testing.assert_array_equal(fit.get("decision", subset), fit.get("data", subset))


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_every_task_has_decisions_and_finite_predictions(kind: str) -> None:
    data, model = dataset(kind, n=120), Rowwise(kind)
    outputs = model.predict(data.rows(np.arange(120)))
    fit = crossfit(data, stage=model, model_answers=outputs, seeds=2)
    assert fit.about["features"] == {"table": "encoder", "note": "encoder"}
    for of in ("data", "decision"):
        assert fit.subsets(of) == (("table",), ("note",), ("table", "note"))
        for subset in fit.subsets(of):
            said = fit.get(of, subset)
            assert said.shape == (2, 120, data.task.width)
            assert np.isfinite(said).all()
            if kind != "regression":
                assert ((said > 0) & (said < 1)).all()
            if kind == "classification":
                np.testing.assert_allclose(said.sum(axis=2), 1, atol=1e-5)
        assert np.isfinite(fit.prior[of]).all()
    assert fit.decision is not None
    assert fit.decision.dtype == fit.target.dtype
    assert fit.decision.shape == fit.target.shape


# ---- the same every time


def test_results_depend_on_the_seed_and_on_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(n=200)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("MMAUDIT_THREADS", threads)
        found.append(crossfit(data, seeds=2))
    for key, said in found[0].posterior.items():
        np.testing.assert_array_equal(said, found[1].posterior[key])
        assert not np.array_equal(said[0], said[1])
    assert found[0].about == found[1].about
    other = crossfit(data, seeds=2, seed=1)
    assert not np.array_equal(other.fold, found[0].fold)
    assert found[0].folds is not None
    np.testing.assert_array_equal(found[0].folds[0], found[0].fold)


def test_rows_in_which_a_modality_is_absent_are_not_used() -> None:
    rng = np.random.default_rng(3)
    a = rng.standard_normal((90, 2))
    a[::3] = np.nan
    fit = crossfit(two(a, rng.standard_normal((90, 2)), np.arange(90) % 2), rows=40, seeds=1)
    assert len(fit) == 40
    assert not (fit.positions % 3 == 0).any()
    assert (np.diff(fit.positions) > 0).all()
    assert fit.positions[0] < 6
    assert fit.positions[-1] > 84
    np.testing.assert_array_equal(fit.target, fit.positions % 2)


def test_features_may_be_given() -> None:
    y = np.arange(100) % 2
    told = y[:, None] + 0.1 * np.random.default_rng(0).standard_normal((100, 1))
    fit = crossfit(noise(y), train_features={"b": told}, seeds=1)
    assert fit.about["features"] == {"a": "plain", "b": "given"}
    found = information(fit)
    assert found["a"] < 0.05
    assert found["b"] > 0.9


def test_progress_is_reported() -> None:
    steps: list[tuple[int, int]] = []
    crossfit(noise(np.arange(60) % 2), seeds=2, folds=3, progress=lambda *x: steps.append(x))
    assert steps == [(i, 6) for i in range(1, 7)]


# ---- where there is little to be fitted


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.arange(40), 40),
        (np.array([0] * 60 + [1] * 39 + [2]), 3),
        (np.array([0] * 59 + [1]), 2),
        (np.arange(11) % 2, 2),
        (np.arange(300) % 150, 1000),
    ],
    ids=["one sample per class", "a class of one sample", "nearly constant", "hardly any rows", "many classes"],
)
def test_rare_classes_are_answered_for(y: Array, classes: int) -> None:
    fit = crossfit(noise(y, classes), seeds=1)
    found = information(fit)
    # No class is impossible, and nothing is known of noise.
    assert all(-0.35 < v < 0.1 for v in found.values())
    assert all((fit.get("data", s) > 0).all() for s in fit.subsets())


def test_many_classes_are_told_apart() -> None:
    rng = np.random.default_rng(4)
    y = rng.permutation(np.arange(600) % 100)
    place = rng.standard_normal((100, 12))
    x = place[y] + 0.2 * rng.standard_normal((600, 12))
    found = information(crossfit(two(x[:, :6], x[:, 6:], y, 1000), seeds=1))
    assert found["ab"] > 3
    assert found["ab"] >= max(found["a"], found["b"])


def test_fewer_clusters_than_folds() -> None:
    cluster = np.arange(80) // 27
    fit = crossfit(noise(np.arange(80) % 2, cluster=cluster), seeds=1)
    assert fit.about["folds"] == 3
    assert [np.unique(fit.fold[cluster == c]).size for c in range(3)] == [1, 1, 1]


def test_a_modality_that_never_varies_says_nothing() -> None:
    rng = np.random.default_rng(5)
    y = np.arange(80) % 2
    found = information(crossfit(two(np.ones((80, 3)), rng.standard_normal((80, 1)) + 2 * y[:, None], y), seeds=1))
    assert found["a"] == pytest.approx(0, abs=1e-6)
    assert found["b"] > 0.3
    nothing = information(crossfit(two(np.ones((80, 3)), np.ones((80, 1)), y), seeds=1))
    assert list(nothing.values()) == pytest.approx([0, 0, 0], abs=1e-6)


class Constant:
    """A data set whose targets are all the same; the usual ones refuse to be made of such."""

    def __init__(self, data: ArrayData) -> None:
        self.data = data
        self.target = np.zeros(len(data), np.int64)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def __len__(self) -> int:
        return len(self.data)


def test_constant_targets_are_undefined_with_the_reason() -> None:
    y = np.arange(60) % 2
    constant: Any = Constant(noise(y))
    with pytest.raises(Undefined, match="the target is the same for every sample"):
        crossfit(constant, seeds=1)
    outputs = np.stack([y, 1 - y], axis=1).astype(float)
    fit = crossfit(constant, model_answers=outputs, seeds=1)
    assert fit.subsets("data") == ()
    assert len(fit.subsets("decision")) == 3
    with pytest.raises(Undefined, match="the target is the same"):
        fit.get("data", ("a",))
    stubborn = crossfit(noise(y), model_answers=np.tile([1.0, 0.0], (60, 1)), seeds=1)
    assert stubborn.reasons == {
        "decision": "the model's answer is the same for every sample, so there is nothing to predict"
    }
    silent = crossfit(noise(y), model_answers=np.full((60, 2), np.nan), seeds=1)
    assert "the model answered 0 of the samples" in silent.reasons["decision"]


def test_too_few_rows_or_clusters_are_undefined() -> None:
    with pytest.raises(Undefined, match="at least 10 samples with every modality recorded, and there are 8"):
        crossfit(noise(np.arange(8) % 2))
    with pytest.raises(Undefined, match="all samples are of one cluster"):
        crossfit(noise(np.arange(20) % 2, cluster=np.zeros(20, int)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": 5}, "rows=5"),
        ({"folds": 1}, "folds=1"),
        ({"seeds": 0}, "seeds=0"),
        ({"seed": -1}, "seed=-1"),
        ({"model_answers": np.zeros((3, 2))}, r"model_answers has shape \[3, 2\]; expected \[20, 2\]"),
        ({"train_features": {"c": np.zeros((20, 1))}}, r"train_features\['c'\]"),
        ({"train_features": {"a": np.full((20, 1), np.nan)}}, "expected finite numbers"),
    ],
)
def test_unusable_arguments_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        crossfit(noise(np.arange(20) % 2), **options)


def test_the_value_type_loads_no_model_and_no_data_set() -> None:
    code = (
        "import sys, mmaudit.information.crossfitted\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('torch', 'sklearn') or m in "
        "('mmaudit.data', 'mmaudit.models', 'mmaudit.probes', 'mmaudit.crossfit')]\n"
        "assert not bad, bad\n"
        "import mmaudit.crossfit\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('torch', 'sklearn')]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
