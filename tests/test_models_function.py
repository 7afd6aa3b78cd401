"""Plain functions as models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models import FunctionModel
from model_cases import (
    batch_of,
    one_thread,  # noqa: F401  (a fixture)
    questions,
    random_batch,
)

NAMES = ("image", "text")


def model_of(function: Any, **options: Any) -> FunctionModel:
    return FunctionModel(function, **{"modalities": NAMES, "outputs": "logits", **options})


def added(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    return image.reshape(len(image), -1)[:, :2] + text[:, :2]


def test_outputs_must_be_said() -> None:
    with pytest.raises(BadInput, match="outputs is not given"):
        FunctionModel(added, NAMES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"call": "positionally"}, "did you mean 'positional'"),
        ({"absence": "NONE"}, "absence='NONE' is not one of"),
        ({"call": "batch", "absence": "none"}, "say absence='mask'"),
        ({"modalities": ["present"], "call": "keyword", "absence": "mask"}, "called 'present'"),
    ],
)
def test_arguments_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        model_of(added, **options)


def test_only_callables() -> None:
    with pytest.raises(BadInput, match="is not callable"):
        model_of(np.zeros(3))


def test_ways_to_call_agree() -> None:
    batch = random_batch(5)
    expected = added(batch.inputs["image"], batch.inputs["text"]).astype(np.float32)
    for model in (
        model_of(added),
        model_of(lambda text, image: added(image, text), call="keyword"),
        model_of(lambda inputs: added(**inputs), call="dict"),
        model_of(lambda b: added(b.inputs["image"], b.inputs["text"]), call="batch"),
    ):
        assert np.array_equal(model.predict(batch), expected)
        assert model.predict(batch).dtype == np.float32


def test_text_arrives_as_strings() -> None:
    seen: list[Any] = []

    def function(text: Any) -> list[list[float]]:
        seen.extend(text)
        return [[len(x), 0.0] for x in text]

    model = FunctionModel(function, ["text"], outputs="logits")
    batch = batch_of({"text": questions(4)})
    assert model.predict(batch)[:, 0].tolist() == [len(x) for x in batch.inputs["text"]]
    assert all(type(x) is str for x in seen)


def test_masks() -> None:
    def function(image: Any, text: Any, present: Any) -> Any:
        return np.stack([present["image"], present["text"]], 1)

    batch = random_batch(4).replace(present={"text": np.array([True, False, False, True])})
    assert model_of(function, absence="mask").predict(batch)[:, 1].tolist() == [1, 0, 0, 1]


def test_none_for_the_absent_and_rows_back_in_order() -> None:
    def function(image: Any, text: Any) -> Any:
        some = image if image is not None else text
        return np.stack([some.reshape(len(some), -1)[:, 0], np.full(len(some), image is None)], 1)

    batch = random_batch(6).replace(present={"image": np.arange(6) % 3 > 0})
    found = model_of(function, absence="none").predict(batch)
    gone = np.arange(6) % 3 == 0
    assert found[:, 1].tolist() == gone.tolist()
    assert np.array_equal(found[gone, 0], batch.inputs["text"][gone, 0])
    nothing = batch.replace(present={name: np.zeros(6, bool) for name in NAMES})
    with pytest.raises(ValueError, match="sample 100 has no modality present"):
        model_of(function, absence="none").predict(nothing)


def test_a_missing_modality_is_named() -> None:
    with pytest.raises(BadInput, match="'text' is missing"):
        model_of(added).predict(batch_of({"image": np.zeros((2, 4))}))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\) for 3 rows"),
        (np.zeros(3, complex), "dtype complex128, expected real numbers"),
        (np.array(["a", "b", "c"]), "dtype <U1"),
        (None, r"shape \(\) for 3 rows"),
    ],
)
def test_what_is_returned_is_checked(returned: Any, message: str) -> None:
    with pytest.raises(ContractBroken, match=message):
        model_of(lambda image, text: returned).predict(random_batch(3))


def test_name_and_native_absence() -> None:
    assert model_of(added).name == "added"
    assert model_of(added, name="sum").name == "sum"
    assert not model_of(added).native_absence
    assert model_of(added, absence="mask").native_absence


def test_fingerprint_is_the_code_and_how_it_is_called() -> None:
    base = model_of(added).fingerprint
    assert base == model_of(added, name="other").fingerprint
    others = [
        model_of(added, outputs="probabilities"),
        model_of(added, call="keyword"),
        model_of(added, absence="none"),
        model_of(added, modalities=("text", "image")),
        model_of(lambda image, text: image),
        model_of(lambda image, text: text),
        model_of(added, fingerprint="v2"),
    ]
    assert len({base, *(m.fingerprint for m in others)}) == len(others) + 1


def test_a_data_frame_whose_columns_may_be_in_another_order_is_refused() -> None:
    import pandas as pd

    batch = random_batch(5)
    expected = added(batch.inputs["image"], batch.inputs["text"])
    by_name = model_of(lambda image, text: pd.DataFrame(added(image, text), columns=["no", "yes"]))
    with pytest.raises(ContractBroken, match=r"columns 'no', 'yes', whose order may not be.*\.to_numpy\(\)"):
        by_name.predict(batch)
    for columns in ([0, 1], pd.RangeIndex(2)):
        by_place = model_of(lambda image, text, c=columns: pd.DataFrame(added(image, text), columns=c))
        np.testing.assert_array_equal(by_place.predict(batch), expected.astype(np.float32))
    one = model_of(lambda image, text: pd.DataFrame({"price": added(image, text)[:, 0]}), outputs="values")
    assert one.predict(batch).shape == (5, 1)
