"""Estimators from .skops files: only types that are known or trusted are made."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmaudit.errors import BadInput
from mmaudit.models import SklearnModel, check_model, load_model, load_skops
from mmaudit.models import skops as adapter
from mmaudit.types import Task
from model_cases import batch_of

skops = pytest.importorskip("skops.io")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.arange(60) % 3


class Own(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of the user's own."""

    made = 0

    def __setstate__(self, state: Any) -> None:
        Own.made += 1
        self.__dict__.update(state)

    def fit(self, _: Any, y: Any = None) -> Own:
        self.fitted_ = 2.0
        return self

    def transform(self, x: Any) -> Any:
        return np.asarray(x) * self.fitted_


def saved(path: Path, estimator: Any) -> Path:
    skops.dump(estimator, path)
    return path


def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})


def test_an_estimator_comes_back(tmp_path: Path) -> None:
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    loaded = load_skops(saved(tmp_path / "m.skops", fitted))
    of = batch_of({"x": X[:, :2], "y": X[:, 2:]})
    model = SklearnModel(loaded, ("x", "y"))
    np.testing.assert_array_equal(model.predict(of), fitted.predict_proba(X).astype(np.float32))
    checks = check_model(model, of, Task.classification(3))
    assert not [c for c in checks if c.ok is False]
    assert model.fingerprint == SklearnModel(load_skops(tmp_path / "m.skops"), ("x", "y")).fingerprint


def test_types_of_others_are_made_only_if_trusted(tmp_path: Path) -> None:
    path = saved(tmp_path / "own.skops", make_pipeline(Own(), LogisticRegression()).fit(X, Y))
    name = f"{Own.__module__}.Own"
    Own.made = 0
    for trusted in ((), ("somebody.Else",)):
        with pytest.raises(BadInput, match=f"run code when they are made: {name}") as caught:
            load_skops(path, trusted)
    assert "--trust" in str(caught.value)
    assert Own.made == 0
    assert load_skops(path, [name]).predict(X).shape == (60,)
    assert load_skops(path, trust=True).predict(X).shape == (60,)
    assert Own.made >= 2
    with pytest.raises(BadInput, match="is one string"):
        load_skops(path, name)


def test_loading_by_path(tmp_path: Path) -> None:
    fitted = LogisticRegression().fit(frame(), Y)
    path = str(saved(tmp_path / "m.skops", fitted))
    model = load_model(path, modalities=["c", "a", "b"])
    of = batch_of({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    np.testing.assert_array_equal(model.predict(of), fitted.predict_proba(frame()).astype(np.float32))
    own = str(saved(tmp_path / "own.skops", make_pipeline(Own(), LogisticRegression()).fit(X, Y)))
    with pytest.raises(BadInput, match="can run code"):
        load_model(own, modalities=["a"])
    with pytest.raises(BadInput, match="without feature names"):  # it was made, and says no more
        load_model(own, modalities=["a"], trust=True)


def test_files_that_are_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = saved(tmp_path / "m.skops", LogisticRegression().fit(X, Y)).read_bytes()
    for content in (b"", b"not a zip", whole[: len(whole) // 2]):
        (tmp_path / "bad.skops").write_bytes(content)
        with pytest.raises(BadInput, match=r"bad\.skops"):
            load_skops(tmp_path / "bad.skops")
    with zipfile.ZipFile(tmp_path / "bad.skops", "w") as archive:
        archive.writestr("schema.json", '{"__class__": "system", "__module__": "os", "__loader__": "TypeNode"}')
    with pytest.raises(BadInput, match=r"bad\.skops"):
        load_skops(tmp_path / "bad.skops")
    with zipfile.ZipFile(tmp_path / "bad.skops", "w") as archive:
        archive.writestr("é", "{}")
    (tmp_path / "bad.skops").write_bytes((tmp_path / "bad.skops").read_bytes().replace("é".encode(), b"\xc3\x28"))
    with pytest.raises(BadInput, match=r"bad\.skops"):
        load_skops(tmp_path / "bad.skops")
    with pytest.raises(BadInput, match="does not exist"):
        load_skops(tmp_path / "none.skops")
    monkeypatch.setattr(adapter, "LARGEST", 100)
    with pytest.raises(BadInput, match="unpacks to"):
        load_skops(tmp_path / "m.skops")
