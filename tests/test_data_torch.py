"""TorchData: real torch data sets, every form of item, streamed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset, TensorDataset

from mmaudit.data import TorchData, all_statistics, check
from mmaudit.errors import BadInput
from mmaudit.types import Modality, Task

N = 200
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 3, 4, 5), dtype=np.uint8)
LABS = np.random.default_rng(1).normal(size=(N, 2)).astype(np.float32)
NOTES = [f"note {i}" for i in range(N)]
ANSWERS = [i % 3 for i in range(N)]
MODALITIES = [Modality("photo", "image"), "note", Modality("labs", "tabular", (2,), "float32")]


class Items(TorchDataset[Any]):
    """Items in the form that `form` makes of them; counts what is read."""

    def __init__(self, form: Any, n: int = N) -> None:
        self.form = form
        self.n = n
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        self.read.append(i)
        parts = (torch.from_numpy(PIXELS[i]), NOTES[i], torch.from_numpy(LABS[i]), torch.tensor(ANSWERS[i]))
        return self.form(i, *parts)


def flat(i: int, photo: Any, note: Any, labs: Any, answer: Any) -> Any:
    return photo, note, labs, answer


FORMS: list[tuple[str, Any, dict[str, Any]]] = [
    ("tuple", flat, {}),
    ("nested", lambda i, p, t, x, y: ((p, t, x), y), {}),
    ("list", lambda i, p, t, x, y: [p, t, x, y], {}),
    ("mapping", lambda i, p, t, x, y: {"labs": x, "photo": p, "note": t, "label": y, "weight": 1.0}, {}),
    ("mapping and target", lambda i, p, t, x, y: ({"labs": x, "photo": p, "note": t}, y), {}),
    (
        "own key",
        lambda i, p, t, x, y: {"labs": x, "photo": p, "note": t, "a": y},
        {"names": ["labs", "photo", "note", "a"]},
    ),
    ("own order", lambda i, p, t, x, y: (y, x, 9, t, p), {"names": ["label", "labs", "length", "note", "photo"]}),
    ("given target", lambda i, p, t, x, y: (p, t, x), {"target": ANSWERS}),
    ("NumPy and numbers", lambda i, p, t, x, y: (p.numpy(), t, x.numpy(), int(y)), {}),
    ("graph", lambda i, p, t, x, y: (p, t, x.clone().requires_grad_(), y), {}),
]


@pytest.mark.parametrize(("form", "more"), [case[1:] for case in FORMS], ids=[case[0] for case in FORMS])
def test_every_form_of_item_is_the_same_data_set(form: Any, more: dict[str, Any]) -> None:
    data = TorchData(Items(form), MODALITIES, "classification", **more)
    check(data)
    assert [(m.name, m.kind, m.shape, m.dtype, m.layout) for m in data.modalities] == [
        ("photo", "image", (3, 4, 5), "uint8", "CHW"),
        ("note", "text", (), "str", None),
        ("labs", "tabular", (2,), "float32", None),
    ]
    assert data.target.tolist() == ANSWERS
    order = np.array([150, 3, 3, 99])
    batch = data.rows(order)
    assert np.array_equal(batch.inputs["photo"], PIXELS[order])
    assert batch.inputs["note"].tolist() == [NOTES[i] for i in order]
    assert np.array_equal(batch.inputs["labs"], LABS[order])
    assert data.fingerprint == TorchData(Items(flat), MODALITIES, "classification").fingerprint
    assert data.fingerprint.startswith("sampled:")


def test_only_the_rows_asked_for_are_read() -> None:
    items = Items(flat)
    data = TorchData(items, MODALITIES, "classification")
    items.read.clear()
    data.rows(np.array([7, 190, 7]))
    assert items.read == [7, 190, 7]
    items.read.clear()
    assert data.fingerprint == data.fingerprint
    assert len(items.read) == 64
    known = Items(flat, N)
    TorchData(known, MODALITIES, "classification", target=ANSWERS)
    assert len(set(known.read)) <= 64


def test_fingerprint_changes_with_target_ids_and_sampled_values() -> None:
    base = TorchData(Items(flat), MODALITIES, "classification").fingerprint
    other = [*ANSWERS[:-1], (ANSWERS[-1] + 1) % 3]
    assert TorchData(Items(flat), MODALITIES, "classification", target=other).fingerprint != base
    assert TorchData(Items(flat), MODALITIES, "classification", ids=np.arange(N) + 1).fingerprint != base
    last = Items(lambda i, p, t, x, y: (p, t + "!" * (i == N - 1), x, y))
    assert TorchData(last, MODALITIES, "classification").fingerprint != base
    assert TorchData(Items(flat), MODALITIES, Task.classification(("a", "b", "c"))).fingerprint != base


def test_what_was_not_recorded_is_found_in_one_pass() -> None:
    def gappy(i: int, photo: Any, note: Any, labs: Any, answer: Any) -> Any:
        return None if i % 4 == 0 else photo, None if i == 5 else note, labs * (torch.nan if i == 6 else 1), answer

    data = TorchData(Items(gappy), MODALITIES, "classification")
    check(data)
    assert np.array_equal(data.presence("photo"), np.arange(N) % 4 != 0)
    assert np.flatnonzero(~data.presence("note")).tolist() == [5]
    assert np.flatnonzero(~data.presence("labs")).tolist() == [6]
    batch = data.rows(np.array([4, 5, 6]))
    assert not batch.inputs["photo"][0].any()
    assert batch.inputs["note"].tolist() == ["note 4", "", "note 6"]
    assert batch.inputs["labs"][2].tolist() == [0.0, 0.0]
    found = all_statistics(data)["labs"]
    assert found is not None
    assert found.mean == pytest.approx(np.delete(LABS, 6, axis=0).astype(np.float64).mean(axis=0))
    blind = TorchData(
        Items(gappy), MODALITIES, "classification", target=ANSWERS, present={"photo": np.arange(N) % 4 != 0}
    )
    with pytest.raises(BadInput, match=r"'note' was not recorded for sample id 5.*present="):
        blind.rows(np.array([5]))


def test_ragged_items() -> None:
    def walk(i: int, photo: Any, note: Any, labs: Any, answer: Any) -> Any:
        return None if i == 9 else torch.full((1 + i % 5, 2), float(i)), answer

    data = TorchData(Items(walk), [Modality("walk", "series")], "classification")
    check(data)
    assert data.modalities[0].shape == (None, 2)
    rows = data.rows(np.array([6, 9])).inputs["walk"]
    assert [x.shape for x in rows] == [(2, 2), (1, 2)]
    assert rows[0].tolist() == [[6.0, 6.0]] * 2
    assert not rows[1].any()
    # Items that happen to be of one shape keep a declared ragged axis ragged.
    same = TorchData(
        Items(lambda i, p, t, x, y: (x[None], y)),
        [Modality("walk", "series", (None, 2), layout="TC")],
        "classification",
    )
    assert same.modalities[0].ragged
    assert same.rows(np.array([0])).inputs["walk"].dtype == object


def test_a_tensor_data_set_and_other_tasks() -> None:
    images, numbers = torch.from_numpy(PIXELS), torch.from_numpy(LABS)
    measured = TorchData(TensorDataset(images, numbers, numbers), ["image", "table"], "regression")
    assert measured.target.shape == (N, 2)
    marks = TorchData(TensorDataset(images, (numbers > 0).float()), ["image"], "multilabel")
    assert marks.target.dtype == np.int8
    assert marks.task.width == 2


@pytest.mark.parametrize(
    ("form", "more", "words"),
    [
        (lambda i, p, t, x, y: (p, x, y), {}, "item 0 .* has 3 parts, expected 4: photo, note, labs, target"),
        (lambda i, p, t, x, y: (p, t, x, 1, y), {}, "item 0 .* has 5 parts, expected 4: photo, note, labs, target"),
        (lambda i, p, t, x, y: p, {}, "item 0 .* is a Tensor"),
        (lambda i, p, t, x, y: {"photo": p, "note": t, "y": y}, {}, "has no 'labs'; it has photo, note, y"),
        (lambda i, p, t, x, y: {"photo": p, "note": t, "labs": x, "a": y}, {}, "item 0 .* has no target"),
        (lambda i, p, t, x, y: (p, t, x), {"names": ["photo", "note", "labs"]}, "item 0 .* has no target"),
        (lambda i, p, t, x, y: (p, t, x, None if i == 7 else y), {}, "item 7 .* has no target"),
        (lambda i, p, t, x, y: (p, t, x, y + 3 * (i == 7)), {"task": Task.classification(3)}, "sample id 7"),
        (lambda i, p, t, x, y: (p, t, x, 0 * y), {"task": Task.classification(3)}, "one class"),
        (lambda i, p, t, x, y: (p, t, x.double() if i == 7 else x, y), {}, r"'labs', sample id 7: float64 \[2\] came"),
        (lambda i, p, t, x, y: (p[:, :2] if i == 7 else p, t, x, y), {}, r"'photo', sample id 7: uint8 \[3, 2, 5\]"),
        (lambda i, p, t, x, y: (p, i if i == 7 else t, x, y), {}, "'note', sample id 7: int came"),
        (lambda i, p, t, x, y: (p, t, x / 0 if i == 7 else x, y), {}, "'labs' is infinite.*sample id 7"),
        (
            lambda i, p, t, x, y: (p, t, torch.tensor([1.0, torch.nan]), y),
            {},
            r"'labs' is NaN in part \(first at \[1\]",
        ),
        (lambda i, p, t, x, y: (p, t, torch.rand(2), y), {}, "'labs' of item .* differs between two readings"),
        (lambda i, p, t, x, y: (p, t, x.bfloat16(), y), {}, "cannot be read as an array"),
        (lambda i, p, t, x, y: (p, t, None, y), {}, "'labs' is absent from all"),
        (lambda i, p, t, x, y: 1 // (i - 7), {}, "item 0 .* is a int"),
        (lambda i, p, t, x, y: (p, t, x, y)[: 4 // (i - 7 and 1)], {}, "raised ZeroDivisionError for item 7"),
        (flat, {"names": ["photo", "note", "label"]}, "lack modality 'labs'"),
        (flat, {"present": {"foto": [True] * N}}, "'foto', which is no modality"),
        (flat, {"ids": [1] * N}, "duplicate sample ids"),
        (flat, {"target": [0, 1]}, "target 2"),
    ],
)
def test_unusable_items_are_refused(form: Any, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        TorchData(Items(form), MODALITIES, **{"task": "classification", **more})


def test_what_is_no_map_style_data_set_is_refused() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([])

    with pytest.raises(BadInput, match=r"Stream has no length.*map-style"):
        TorchData(Stream(), MODALITIES, "classification")
    with pytest.raises(BadInput, match="empty"):
        TorchData(Items(flat, 0), MODALITIES, "classification")
    with pytest.raises(BadInput, match="each name once"):
        TorchData(Items(flat), ["photo", "photo"], "classification")
    with pytest.raises(BadInput, match="'walk' is missing in every item looked at"):
        TorchData(Items(lambda i, p, t, x, y: (None, y)), ["walk"], "classification")


def test_an_item_that_goes_wrong_later_is_named() -> None:
    late = Items(lambda i, p, t, x, y: (p, t, x / 0 if i == 100 else x, y))
    data = TorchData(late, MODALITIES, "classification", target=ANSWERS)
    with pytest.raises(BadInput, match=r"'labs' is infinite.*sample id 100"):
        data.rows(np.array([100]))
