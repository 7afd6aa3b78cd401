"""What stands for a modality: the encoder's features where they are numbers, else plain ones of the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, dataset
from mmaudit import ArrayData, Modality, Task
from mmaudit.crossfit import images
from mmaudit.crossfit.features import WIDEST, describe, read, words
from mmaudit.crossfit.representation import Representation
from mmaudit.types import Array, Batch

RNG = np.random.default_rng(0)


class Encoders:
    """Encodes each modality by a function of the batch's values."""

    def __init__(self, **functions: Any) -> None:
        self.functions = functions

    def encode(self, modality: str, batch: Batch) -> Any:
        return self.functions[modality](batch.inputs[modality])

    def fuse(self, features: object, batch: Batch) -> Array:
        raise AssertionError("features are only read")


def embeddings(n: int = 600, d: int = 4) -> ArrayData:
    inputs = {m: np.random.default_rng(ord(m)).standard_normal((n, d)).astype(np.float32) for m in "ab"}
    kinds = dict.fromkeys("ab", "embedding")
    return ArrayData(inputs, np.arange(n) % 2, Task.classification(2), kinds=kinds)


def test_encoders_stand_for_modalities_in_the_order_of_the_rows() -> None:
    data, rows = dataset(n=600), np.arange(599, -1, -2)
    found = read(data, rows, Rowwise())
    assert found.source == {"table": "encoder", "note": "encoder"}
    assert not found.reasons
    batch = data.rows(rows)
    for name in ("table", "note"):
        np.testing.assert_array_equal(found.tables[name].values, Rowwise().encode(name, batch).astype(np.float32))


def test_an_encoder_that_cannot_be_used_is_replaced_with_a_reason() -> None:
    def breaks_later(x: Array) -> Array:
        if len(x) < 256:
            raise RuntimeError("out of luck")
        return x

    data = embeddings()
    found = read(data, np.arange(600), Encoders(a=breaks_later, b=lambda x: np.zeros((len(x), 3))))
    assert found.source == {"a": "plain", "b": "plain"}
    assert "RuntimeError: out of luck" in found.reasons["a"]
    assert "the same for every sample" in found.reasons["b"]
    for name in "ab":
        np.testing.assert_allclose(found.tables[name].values, data.rows(np.arange(600)).inputs[name])


@pytest.mark.parametrize("form", ["nested", "tensor", "tokens"])
def test_features_of_any_form_become_rows_of_numbers(form: str) -> None:
    class Tensor:
        def __init__(self, x: Array) -> None:
            self.x = x

        def detach(self) -> Tensor:
            return self

        def cpu(self) -> Tensor:
            return self

        def float(self) -> Tensor:
            return self

        def is_floating_point(self) -> bool:
            return True

        def numpy(self) -> Array:
            return self.x

    forms = {
        "nested": lambda x: {"z": [x, (x[:, :2], None)], "name": "kept out"},
        "tensor": Tensor,
        "tokens": lambda x: x[:, None, :] * np.arange(1, 4)[None, :, None],
    }
    found = read(embeddings(), np.arange(600), Encoders(a=forms[form], b=lambda x: x))  # type: ignore[arg-type]
    assert found.source["a"] == "encoder"
    table = found.tables["a"]
    assert table.values.shape == (600, {"nested": 6, "tensor": 4, "tokens": WIDEST}[form])
    assert len(table.alike) == (2 if form == "nested" else 1)


def test_many_numbers_are_added_up_with_nearly_the_same_inner_products() -> None:
    data = embeddings(64, 40)
    spread = np.random.default_rng(1).standard_normal((40, 60 * 70)) / np.sqrt(40)
    found = read(data, np.arange(64), Encoders(a=lambda x: (x @ spread).reshape(-1, 60, 70), b=lambda x: x @ spread))
    whole = data.rows(np.arange(64)).inputs["a"] @ spread
    narrow = found.tables["a"].values
    assert narrow.shape == (64, WIDEST)
    assert found.tables["b"].values.shape == (64, WIDEST)
    lengths = np.square(narrow).sum(axis=1) / np.square(whole).sum(axis=1)
    np.testing.assert_allclose(lengths, 1, atol=0.25)
    assert abs(lengths.mean() - 1) < 0.05


def test_tokens_filled_up_to_another_length_keep_their_sums() -> None:
    data = embeddings(600)

    def padded(x: Array) -> Array:
        longest = 5 if len(x) == 256 else 9
        out = np.zeros((len(x), longest, 4))
        out[:, :3] = x[:, None]
        return out

    found = read(data, np.arange(600), Encoders(a=padded, b=lambda x: x))
    x = data.rows(np.arange(600)).inputs["a"]
    narrow = found.tables["a"].values
    # The same linear map of every row, whatever it was filled up to.
    solved, *_ = np.linalg.lstsq(x[:300].astype(float), narrow[:300].astype(float), rcond=None)
    np.testing.assert_allclose(x @ solved, narrow, atol=1e-4)


def test_words_are_counted_without_regard_to_case() -> None:
    table = words(np.array(["the cat, the hat", "The HAT the cat", "dog", ""], dtype=object))
    np.testing.assert_array_equal(table[0], table[1])
    np.testing.assert_allclose(np.linalg.norm(table, axis=1), [1, 1, 1, 0])
    assert table[0] @ table[2] == 0


def drawing(shape: str, colour: tuple[float, float, float], x: int, y: int) -> Array:
    picture = np.ones((32, 32, 3), np.float32)
    rows, columns = np.mgrid[:32, :32]
    inside = np.hypot(rows - y, columns - x) < 6
    if shape == "square":
        inside = (abs(rows - y) < 5) & (abs(columns - x) < 5)
    picture[inside] = colour
    return (picture * 255).astype(np.uint8)


def test_shape_and_colour_of_a_drawing_are_seen_wherever_it_is() -> None:
    rng = np.random.default_rng(2)
    shape, red = rng.integers(0, 2, 300), rng.integers(0, 2, 300)
    pictures = np.stack(
        [
            drawing(("disc", "square")[s], ((0, 0, 1), (1, 0, 0))[r], *rng.integers(8, 24, 2))  # type: ignore[arg-type]
            for s, r in zip(shape, red, strict=True)
        ]
    )
    table = describe(Modality("x", "image", (32, 32, 3), "uint8", "HWC", (0, 255)), pictures)
    assert np.isfinite(table.values).all()
    for target in (shape, red):
        z = np.c_[table.values[:, table.block > 0], np.ones(300)]
        z = z / np.maximum(z.std(axis=0), 1e-6)
        solved = np.linalg.solve(z[:200].T @ z[:200] + 30 * np.eye(z.shape[1]), z[:200].T @ (2 * target[:200] - 1))
        assert (((z[200:] @ solved) > 0) == target[200:]).mean() > 0.9


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 50, 3), (7, 5, 2), (33, 21, 4)])
def test_images_of_any_size_and_number_of_channels_have_features(shape: tuple[int, int, int]) -> None:
    x = RNG.random((3, *shape), np.float32)
    grid = images.grid(x)
    assert grid.shape == (3, images.CELLS**2 * shape[2])
    for made in (grid, images.colours(x), images.edges(x)):
        assert np.isfinite(made).all()
    assert (images.edges(np.ones((2, 8, 8, 1), np.float32)) == 0).all()


def test_the_grid_holds_means_over_cells() -> None:
    x = RNG.random((2, 32, 48, 3), np.float32)
    expected = x.reshape(2, 16, 2, 16, 3, 3).mean(axis=(2, 4)).reshape(2, -1)
    np.testing.assert_allclose(images.grid(x), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("modality", "values"),
    [
        (Modality("x", "audio", (100,), "int16"), RNG.integers(-99, 99, (5, 100)).astype(np.int16)),
        (Modality("x", "series", (20, 3), "float32", "TC"), RNG.standard_normal((5, 20, 3)).astype(np.float32)),
        (Modality("x", "image", (4, 4), "float32"), RNG.standard_normal((5, 4, 4)).astype(np.float32)),
        (Modality("x", "embedding", (5000,), "float32"), RNG.standard_normal((5, 5000)).astype(np.float32)),
        (Modality("x", "text", (), "str"), np.array(["a", "b c", "", "😀", "\ud800"], dtype=object)),
    ],
    ids=["audio", "series", "image of no range", "embedding", "text"],
)
def test_every_kind_has_plain_features(modality: Modality, values: Array) -> None:
    table = describe(modality, values)
    assert table.values.shape[0] == 5
    assert np.isfinite(table.values).all()
    assert not table.codes.any()


def test_whole_numbers_of_a_table_may_name_categories() -> None:
    table = describe(Modality("x", "tabular", (2,), "int16"), RNG.integers(0, 5, (9, 2)).astype(np.int16))
    assert table.codes.all()
    assert not describe(Modality("x", "tabular", (2,), "float32"), np.ones((9, 2), np.float32)).codes.any()


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_what_is_declared_of_a_table_decides(dtype: str) -> None:
    def named(*columns: int, width: int = 3) -> list[int]:
        modality = Modality("x", "tabular", (width,), dtype, categorical=columns)
        return np.flatnonzero(describe(modality, np.ones((4, width), dtype)).codes).tolist()

    assert named(0, 2) == [0, 2]
    assert named() == []
    assert named(0, 1022, 1023, width=1024) == [0, 511], "of too many columns every second is taken, and the last"


def test_a_declared_category_of_any_order_can_be_learned() -> None:
    """Codes 0 to 5 whose answer alternates: no line through the codes says it, their names do."""
    code = RNG.integers(0, 6, 300)
    answer = code % 2

    def right(categorical: tuple[int, ...]) -> float:
        modality = Modality("x", "tabular", (1,), "float32", categorical=categorical)
        table = describe(modality, code[:, None].astype(np.float32))
        z = Representation(table)(table)
        fitted = (
            np.column_stack([z, np.ones(300)])
            @ np.linalg.lstsq(np.column_stack([z, np.ones(300)]), answer.astype(float), rcond=None)[0]
        )
        return float(((fitted > 0.5) == answer).mean())

    assert right((0,)) == 1.0
    assert right(()) < 0.75
