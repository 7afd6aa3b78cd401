"""Scikit-learn estimators and pipelines of several modalities as models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models import SklearnModel, check_model
from mmaudit.types import Batch, Task
from model_cases import (
    batch_of,
    one_thread,  # noqa: F401  (a fixture)
    questions,
)

N = 60
NAMES = ("table", "sensor")


def numeric(seed: int = 0, n: int = N) -> Batch:
    rng = np.random.default_rng(seed)
    return batch_of({"table": rng.normal(size=(n, 3)), "sensor": rng.normal(size=(n, 2, 2)).astype(np.float32)})


def matrix_of(batch: Batch) -> np.ndarray:
    return np.hstack([batch.inputs["table"], batch.inputs["sensor"].reshape(len(batch), -1)])


def target(classes: int = 3) -> np.ndarray:
    return np.arange(N) % classes


def fitted(estimator: Any, y: Any = None) -> Any:
    return estimator.fit(matrix_of(numeric()), target() if y is None else y)


def test_probabilities_of_a_classifier() -> None:
    estimator = fitted(LogisticRegression())
    model = SklearnModel(estimator, NAMES)
    assert (model.outputs, model.name, model.native_absence) == ("probabilities", "LogisticRegression", False)
    batch = numeric(1)
    found = model.predict(batch)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, estimator.predict_proba(matrix_of(batch)), rtol=1e-6)


def test_decision_values_as_logits_only_when_asked() -> None:
    batch = numeric(1)
    three, two = fitted(LogisticRegression()), fitted(LogisticRegression(), target(2))
    np.testing.assert_allclose(
        SklearnModel(three, NAMES, outputs="logits").predict(batch),
        three.decision_function(matrix_of(batch)),
        rtol=1e-5,
    )
    logits = SklearnModel(two, NAMES, outputs="logits").predict(batch)
    assert logits.shape == (N, 2)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(softmax, two.predict_proba(matrix_of(batch)), rtol=1e-4)


def test_values_of_a_regressor() -> None:
    batch = numeric(1)
    for y, shape in ((np.arange(N) / 7.0, (N, 1)), (np.arange(2.0 * N).reshape(N, 2), (N, 2))):
        estimator = fitted(LinearRegression(), y)
        model = SklearnModel(estimator, NAMES)
        assert model.outputs == "values"
        expected = estimator.predict(matrix_of(batch)).reshape(shape)
        np.testing.assert_allclose(model.predict(batch), expected, rtol=1e-5)


def test_an_order_of_modalities() -> None:
    batch = numeric(1)
    estimator = LogisticRegression().fit(matrix_of(numeric())[:, [3, 4, 5, 6, 0, 1, 2]], target())
    found = SklearnModel(estimator, ["sensor", "table"]).predict(batch)
    np.testing.assert_allclose(found, estimator.predict_proba(matrix_of(batch)[:, [3, 4, 5, 6, 0, 1, 2]]), rtol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (LogisticRegression(), {}, r"the estimator is not fitted; call fit\(\.\.\.\)"),
        (make_pipeline(StandardScaler(), LogisticRegression()), {}, "is not fitted"),
        (LogisticRegression, {}, "LogisticRegression is a class; give a fitted object"),
        (fitted(StandardScaler()), {}, "StandardScaler has neither predict nor predict_proba"),
        (fitted(LinearSVC()), {}, r"no predict_proba.*CalibratedClassifierCV, or say outputs='logits'"),
        (fitted(GaussianNB()), {"outputs": "logits"}, "no decision_function.*leave outputs out"),
        (fitted(GaussianNB()), {"outputs": "values"}, "'values' is for regression, but the estimator is a classifier"),
        (fitted(Ridge()), {"outputs": "probabilities"}, "needs a classifier, but the estimator has no classes_"),
        (fitted(Ridge()), {"outputs": "probability"}, "did you mean 'probabilities'"),
        (fitted(Ridge()), {"features": "table"}, "features='table' is not one of 'concatenate', 'frame'"),
        (fitted(Ridge()), {"columns": {"table": ["a"]}}, "say features='frame' too"),
        (fitted(Ridge()), {"prepare": {"tabel": len}}, "did you mean 'table'"),
        (fitted(Ridge()), {"absence": "none"}, "absence='none' is not one of None, 'nan'"),
    ],
)
def test_what_cannot_be_wrapped(estimator: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        SklearnModel(estimator, NAMES, **options)


def test_what_only_looks_like_an_estimator() -> None:
    class Predictor:
        def predict(self, x: Any) -> Any:
            return x

    with pytest.raises(BadInput, match="wrap a function by FunctionModel"):
        SklearnModel(Predictor(), NAMES)


def test_support_vector_machines_after_calibration() -> None:
    found = SklearnModel(fitted(CalibratedClassifierCV(LinearSVC())), NAMES).predict(numeric(1))
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_class_labels_need_an_order() -> None:
    labels = np.array(["no", "yes", "maybe"])[target()]
    estimator = fitted(LogisticRegression(), labels)
    with pytest.raises(BadInput, match=r"classes_ are \['maybe', 'no', 'yes'\], not 0 to 2; give classes="):
        SklearnModel(estimator, NAMES)
    batch = numeric(1)
    found = SklearnModel(estimator, NAMES, classes=["yes", "no", "maybe"]).predict(batch)
    np.testing.assert_allclose(found, estimator.predict_proba(matrix_of(batch))[:, [2, 1, 0]], rtol=1e-6)
    decision = SklearnModel(estimator, NAMES, classes=["yes", "no", "maybe"], outputs="logits").predict(batch)
    np.testing.assert_allclose(decision, estimator.decision_function(matrix_of(batch))[:, [2, 1, 0]], rtol=1e-5)


def test_classes_the_estimator_never_saw() -> None:
    estimator = fitted(LogisticRegression(), target() + 1)
    with pytest.raises(BadInput, match=r"classes_ are \[1, 2, 3\], not 0 to 2"):
        SklearnModel(estimator, NAMES)
    found = SklearnModel(estimator, NAMES, classes=range(4)).predict(numeric(1))
    assert found.shape == (N, 4)
    assert (found[:, 0] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    with pytest.raises(BadInput, match="never saw class 0 and has no logit"):
        SklearnModel(estimator, NAMES, classes=range(4), outputs="logits")
    with pytest.raises(BadInput, match=r"must hold each label once; the estimator knows \[1, 2, 3\], of which \[3\]"):
        SklearnModel(estimator, NAMES, classes=[1, 2])
    with pytest.raises(BadInput, match="some are repeated"):
        SklearnModel(estimator, NAMES, classes=[1, 2, 3, 3])


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(5, random_state=0),
        KNeighborsClassifier(),
        OneVsRestClassifier(LogisticRegression()),
        MLPClassifier((4,), solver="lbfgs", max_iter=2000, random_state=0),
    ],
)
def test_several_labels(estimator: Any) -> None:
    x = matrix_of(numeric())
    labels = (x[:, :3] > 0.2).astype(int)
    model = SklearnModel(clone(estimator).fit(x, labels), NAMES)
    found = model.predict(numeric())
    assert found.shape == (N, 3)
    assert ((found >= 0) & (found <= 1)).all()
    assert ((found > 0.5) == labels).mean() > 0.75, "column j is the probability of label j"


def test_a_label_that_was_always_or_never_there() -> None:
    x = matrix_of(numeric())
    labels = np.stack([x[:, 0] > 0, np.ones(N), np.zeros(N)], 1).astype(int)
    found = SklearnModel(RandomForestClassifier(5, random_state=0).fit(x, labels), NAMES).predict(numeric())
    assert (found[:, 1] == 1).all()
    assert (found[:, 2] == 0).all()


def test_labels_that_are_not_labels() -> None:
    x = matrix_of(numeric())
    estimator = RandomForestClassifier(5, random_state=0).fit(x, np.stack([target(3), target(2)], 1))
    with pytest.raises(ContractBroken, match=r"label 0 has classes \[.*2.*\]; expected 0 and 1"):
        SklearnModel(estimator, NAMES).predict(numeric())
    with pytest.raises(BadInput, match="predicts several labels"):
        SklearnModel(estimator, NAMES, classes=[0, 1])


def frame() -> tuple[pd.DataFrame, np.ndarray]:
    text = questions(N)
    age = np.random.default_rng(0).normal(size=N)
    table = pd.DataFrame({"question": text, "age": age, "scan_0": age * 2, "scan_1": -age})
    return table, np.array(["red" in x for x in text]).astype(int)


def text_pipeline() -> Any:
    columns = ColumnTransformer(
        [("words", TfidfVectorizer(), "question"), ("numbers", StandardScaler(), ["age", "scan_0", "scan_1"])]
    )
    return make_pipeline(columns, LogisticRegression(C=100.0))


def test_a_pipeline_of_text_scalars_and_vectors() -> None:
    table, y = frame()
    pipeline = text_pipeline().fit(table, y)
    batch = batch_of(
        {
            "question": table["question"].to_numpy(object),
            "age": table["age"].to_numpy(),
            "scan": table[["scan_0", "scan_1"]].to_numpy(),
        }
    )
    model = SklearnModel(pipeline, ["question", "age", "scan"], features="frame")
    np.testing.assert_allclose(model.predict(batch), pipeline.predict_proba(table), rtol=1e-6)
    assert (model.predict(batch).argmax(1) == y).mean() > 0.9
    renamed = batch_of({"question": batch.inputs["question"], "numbers": table[["age", "scan_0", "scan_1"]].to_numpy()})
    other = SklearnModel(
        pipeline, ["question", "numbers"], features="frame", columns={"numbers": ["age", "scan_0", "scan_1"]}
    )
    assert np.array_equal(other.predict(renamed), model.predict(batch))


def test_columns_must_fit() -> None:
    table, y = frame()
    pipeline = text_pipeline().fit(table, y)
    batch = batch_of({"question": table["question"].to_numpy(object), "n": table[["age", "scan_0"]].to_numpy()})
    with pytest.raises(BadInput, match=r"columns\['n'\] names 3 columns, the data has 2"):
        SklearnModel(pipeline, ["question", "n"], features="frame", columns={"n": list("abc")}).predict(batch)
    with pytest.raises(BadInput, match="two modalities give a column 'question'"):
        SklearnModel(pipeline, ["question", "n"], features="frame", columns={"n": ["question", "b"]}).predict(batch)


def test_text_in_a_matrix_needs_a_vectoriser() -> None:
    table, y = frame()
    words = CountVectorizer().fit(table["question"])
    x = np.hstack([words.transform(table["question"]).toarray(), table[["age"]].to_numpy()])
    estimator = LogisticRegression().fit(x, y)
    batch = batch_of({"question": table["question"].to_numpy(object), "age": table["age"].to_numpy()})
    with pytest.raises(BadInput, match=r"'question' is text or ragged.*prepare=\{'question': vectoriser.transform\}"):
        SklearnModel(estimator, ["question", "age"]).predict(batch)
    model = SklearnModel(estimator, ["question", "age"], prepare={"question": words.transform})
    np.testing.assert_allclose(model.predict(batch), estimator.predict_proba(x), rtol=1e-6)
    dense = SklearnModel(
        estimator, ["question", "age"], prepare={"question": lambda column: words.transform(column).toarray()}
    )
    np.testing.assert_allclose(dense.predict(batch), model.predict(batch), rtol=1e-6)


def test_absent_values_become_nan_for_estimators_that_take_it() -> None:
    batch = numeric()
    estimator = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(matrix_of(batch), target())
    model = SklearnModel(estimator, NAMES, absence="nan")
    assert model.native_absence
    gone = batch.replace(present={"table": np.zeros(N, bool)})
    holes = matrix_of(batch)
    holes[:, :3] = np.nan
    np.testing.assert_allclose(model.predict(gone), estimator.predict_proba(holes), rtol=1e-6)
    counts = batch_of({"table": np.arange(3 * N).reshape(N, 3), "sensor": batch.inputs["sensor"]})
    gone = counts.replace(present={"table": np.arange(N) > 5})
    assert np.isfinite(model.predict(gone)).all()
    assert counts.inputs["table"].dtype == np.int64
    assert not np.isnan(batch.inputs["table"]).any()


def test_absent_text_becomes_none() -> None:
    seen: list[Any] = []

    class Lengths(BaseEstimator):
        def __init__(self) -> None:
            self.fitted_ = True

        def fit(self, x: Any, y: Any = None) -> Any:
            return self

        def predict(self, x: Any) -> Any:
            seen.extend(x["text"].tolist())
            return np.zeros(len(x))

    batch = batch_of({"text": questions(3), "age": np.arange(3)}, present={"text": np.array([True, False, True])})
    SklearnModel(Lengths(), ["text", "age"], features="frame", absence="nan").predict(batch)
    assert seen[1] is None or seen[1] != seen[1]
    assert isinstance(seen[0], str)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        SVC(),
        GaussianNB(),
        KNeighborsClassifier(algorithm="kd_tree"),
        KNeighborsClassifier(algorithm="ball_tree"),
        RandomForestClassifier(5, random_state=0),
        GradientBoostingClassifier(n_estimators=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3, random_state=0),
        MLPClassifier((4,), max_iter=400, tol=0.1, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_fingerprint_is_the_fitted_estimator(estimator: Any) -> None:
    def of(fitted_estimator: Any) -> str:
        outputs = None if hasattr(fitted_estimator, "predict_proba") else "logits"
        return SklearnModel(fitted_estimator, NAMES, outputs=outputs).fingerprint

    one = fitted(clone(estimator), target(2))
    first = of(one)
    one.predict(matrix_of(numeric(1)))
    assert of(one) == first, "using it changes nothing"
    assert of(fitted(clone(estimator), target(2))) == first
    assert of(fitted(clone(estimator), 1 - target(2))) != first


def test_fingerprint_is_how_it_is_called_too() -> None:
    estimator = fitted(LogisticRegression())
    models = [
        SklearnModel(estimator, NAMES),
        SklearnModel(estimator, NAMES[::-1]),
        SklearnModel(estimator, NAMES, outputs="logits"),
        SklearnModel(estimator, NAMES, classes=[2, 1, 0]),
        SklearnModel(estimator, NAMES, absence="nan"),
        SklearnModel(estimator, NAMES, features="frame"),
        SklearnModel(estimator, NAMES, prepare={"table": lambda x: x + 1}),
        SklearnModel(estimator, NAMES, fingerprint="mine"),
    ]
    assert len({model.fingerprint for model in models}) == len(models)
    assert SklearnModel(estimator, NAMES, name="other").fingerprint == models[0].fingerprint


def test_regression_with_a_forest() -> None:
    estimator = fitted(RandomForestRegressor(5, random_state=0), np.arange(N) / 10)
    assert SklearnModel(estimator, NAMES).predict(numeric(1)).shape == (N, 1)


def test_the_same_classes_in_another_order_than_the_data_has_are_refused() -> None:
    batch, rng = numeric(), np.random.default_rng(0)
    y = np.array(["bad", "fair", "good"])[rng.integers(0, 3, N)]
    model = SklearnModel(LogisticRegression().fit(matrix_of(batch), y), NAMES, classes=["good", "fair", "bad"])
    kept, broken = (
        next(c for c in check_model(model, batch, Task.classification(names)) if c.clause == "outputs")
        for names in (["good", "fair", "bad"], ["bad", "fair", "good"])
    )
    assert kept.ok
    assert broken.ok is False
    assert "the model's classes are good, fair, bad, in this order, those of the data bad, fair, good" in broken.message


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "last of a pipeline"])
def test_decision_values_of_pairs_of_classes_are_no_logits(wrapped: bool) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    y = np.arange(60) % 3
    pairs = SVC(decision_function_shape="ovo")
    given = (make_pipeline(StandardScaler(), pairs) if wrapped else pairs).fit(x, y)
    with pytest.raises(BadInput, match="one column for each pair of classes"):
        SklearnModel(given, ["table"], outputs="logits")
    pairs.set_params(decision_function_shape="ovr")
    model = SklearnModel(given, ["table"], outputs="logits")
    assert (model.predict(batch_of({"table": x})).argmax(axis=1) == given.predict(x)).all()


def test_decision_values_of_two_classes_are_one_pair() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    assert SklearnModel(
        SVC(decision_function_shape="ovo").fit(x, x[:, 0] > 0), ["table"], outputs="logits", classes=[False, True]
    )


def test_an_estimator_that_knows_its_columns_by_name_takes_no_nameless_matrix() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(N, 2)), rng.normal(size=(N, 1))
    frame = pd.DataFrame({"c": right[:, 0], "a": left[:, 0], "b": left[:, 1]})
    fitted = LogisticRegression().fit(frame, (left[:, 0] + 2 * right[:, 0] > 0).astype(int))
    with pytest.raises(BadInput, match=r"named columns \(\['c', 'a', 'b'\]\).*features='frame'"):
        SklearnModel(fitted, ["left", "right"])
    model = SklearnModel(fitted, ["left", "right"], features="frame", columns={"left": ["a", "b"], "right": ["c"]})
    given = model.predict(batch_of({"left": left, "right": right}))
    np.testing.assert_allclose(given, fitted.predict_proba(frame), rtol=1e-6)
