"""Splits: clusters whole, classes spread, nothing audited in the training data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import real_data
from mmaudit import ArrayData, Modality, Task
from mmaudit.data import subset
from mmaudit.errors import BadInput
from mmaudit.reference.splits import require_disjoint, shared, split, without


def vectors(n: int, seed: int = 0, classes: int = 3, **options: object) -> ArrayData:
    rng = np.random.default_rng(seed)
    inputs = {"a": rng.normal(size=(n, 4)).astype(np.float32), "b": rng.normal(size=(n, 3))}
    target = options.pop("target", np.arange(n) % classes)
    return ArrayData(inputs, target, options.pop("task", Task.classification(classes)), **options)  # type: ignore[arg-type]


def test_every_row_is_in_one_part_and_classes_are_spread() -> None:
    data = vectors(200)
    training, validation = split(data, validation=0.2, seed=1)
    assert np.array_equal(np.sort(np.concatenate([training, validation])), np.arange(200))
    assert len(validation) == 40
    assert np.ptp(np.bincount(data.target[validation])) <= 1
    again = split(data, validation=0.2, seed=1)
    assert np.array_equal(training, again[0])
    assert not np.array_equal(validation, split(data, validation=0.2, seed=2)[1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.1, 0.5), st.integers(3, 12))
def test_clusters_stay_whole(seed: int, share: float, clusters: int) -> None:
    rng = np.random.default_rng(seed)
    cluster = np.concatenate([np.arange(clusters), rng.integers(0, clusters, 140 - clusters)])
    data = vectors(140, cluster=cluster, target=rng.integers(0, 2, 140), classes=2)
    training, validation = split(data, validation=share, seed=seed)
    assert not set(cluster[training]) & set(cluster[validation])
    assert len(training)
    assert len(validation)


def test_copies_of_a_row_stay_together_but_codes_do_not() -> None:
    rng = np.random.default_rng(0)
    once, target = rng.normal(size=(300, 4)), rng.integers(0, 3, 300)
    row = np.tile(np.arange(300), 4)
    training, valid = split(ArrayData({"a": once[row], "b": once[row, :2]}, target[row], Task.classification(3)))
    assert not set(row[training]) & set(row[valid])
    assert 0.15 < len(valid) / 1200 < 0.25
    codes = rng.integers(0, 2, (400, 3)).astype(np.float64)  # eight different rows
    training, valid = split(ArrayData({"a": codes}, rng.integers(0, 2, 400), Task.classification(2)))
    assert len(valid) == 80


def test_rows_of_one_identity_stay_together_but_classes_do_not() -> None:
    rng = np.random.default_rng(1)
    inputs = {"image": rng.normal(size=(900, 4)), "text": rng.normal(size=(900, 4))}
    item = np.repeat(np.arange(300), 3)
    training, valid = split(ArrayData(inputs, item, Task.retrieval("image", "text")))
    assert not set(item[training]) & set(item[valid])
    assert 0.15 < len(valid) / 900 < 0.25
    digit = np.arange(900) % 10
    training, valid = split(ArrayData(inputs, digit, Task.retrieval("image", "text")))
    assert set(digit[training]) == set(digit[valid]) == set(range(10))


def test_groups_are_spread_within_a_class() -> None:
    site = np.repeat(["x", "y"], [160, 40])
    data = vectors(200, classes=2, groups={"site": site})
    _, validation = split(data, validation=0.25, seed=0)
    assert (site[validation] == "y").sum() == 10


def test_share_that_is_no_simple_fraction_is_met_closely() -> None:
    for share in (0.15, 0.3, 0.37, 0.45):
        assert abs(len(split(vectors(1000), validation=share)[1]) / 1000 - share) < 0.02


@pytest.mark.parametrize("share", [0.005, 0.01, 0.02, 0.024, 0.976, 0.99])
def test_very_small_and_very_large_shares_are_met_too(share: float) -> None:
    assert len(split(vectors(2000), validation=share)[1]) / 2000 == pytest.approx(share, abs=0.002)


def test_regression_and_multilabel_are_split() -> None:
    number = vectors(60, target=np.linspace(0, 1, 60), task=Task.regression())
    assert len(split(number)[1]) == 12
    labels = vectors(60, target=np.arange(120).reshape(60, 2) % 3 % 2, task=Task.multilabel(2))
    assert len(split(labels)[1]) == 12


@pytest.mark.parametrize(
    ("data", "share", "message"),
    [
        (lambda: vectors(60), 1.0, "between 0 and 1"),
        (lambda: vectors(12), 0.2, "needs at least 20"),
        (lambda: vectors(12, cluster=np.zeros(12)), 0.4, "needs at least 14"),
        (lambda: vectors(40, cluster=["p7"] * 40), 0.2, "all 40 training samples are of one cluster .'p7'."),
        (
            lambda: vectors(40, classes=2, target=np.arange(40) // 20, cluster=np.arange(40) // 20),
            0.2,
            r"is of one class \('.'\).*clusters stay whole",
        ),
        (lambda: vectors(40, classes=2, target=np.arange(40) // 39), 0.2, "part, .* is of one class .*give more sampl"),
        (
            lambda: vectors(60, target=np.r_[1.0, np.zeros(59)], task=Task.regression()),
            0.2,
            "has the same target everywhere",
        ),
    ],
)
def test_data_that_cannot_be_split(data: object, share: float, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        split(data(), validation=share)  # type: ignore[operator]


def test_planted_rows_are_found_under_other_ids() -> None:
    train, other = vectors(90), vectors(50, seed=1)
    require_disjoint(train, other)
    inputs = {m: other.values(m, np.arange(50)).copy() for m in ("a", "b")}
    for m in inputs:
        inputs[m][[7, 30]] = train.values(m, np.array([3, 60]))
    leaky = ArrayData(inputs, other.target, other.task, ids=[f"other-{i}" for i in range(50)])
    found = shared(train, leaky)
    assert found.training.tolist() == [3, 60]
    assert found.audited.tolist() == [7, 30]
    with pytest.raises(BadInput, match=r"2 of 50 audited samples .*'other-7'.*training data 3 .*2 of its 90 rows"):
        require_disjoint(train, leaky)
    kept = subset(train, without(train, leaky))
    assert len(kept) == 88
    require_disjoint(kept, leaky)


def test_one_equal_modality_is_no_copy_and_equal_ids_are_none() -> None:
    train, other = vectors(60), vectors(60, seed=1)
    inputs = {"a": train.values("a", np.arange(60)), "b": other.values("b", np.arange(60))}
    require_disjoint(train, ArrayData(inputs, other.target, other.task))


def test_dtype_and_form_of_zero_do_not_hide_a_copy() -> None:
    train = ArrayData({"a": np.array([[0.0, 1], [2, 3], [4, 5]], np.float32)}, [0, 1, 0], Task.classification(2))
    other = ArrayData({"a": np.array([[-0.0, 1], [2, 9], [4, 9]])}, [0, 1, 0], Task.classification(2))
    assert shared(train, other).audited.tolist() == [0]


def test_absent_modalities_and_texts_count() -> None:
    present = np.array([True, False, True, True])
    images = np.arange(16.0).reshape(4, 4)
    task = Task.classification(2)
    train = ArrayData({"t": ["x", "y", "", "z"], "v": images}, [0, 1, 0, 1], task, present={"v": present})
    assert shared(train, train.subset([1, 0])).audited.tolist() == [0, 1]
    everything = ArrayData({"t": ["x", "y", "", "z"], "v": images}, [0, 1, 0, 1], task)
    assert shared(train, everything).audited.tolist() == [0, 2, 3]


def test_values_that_repeat_by_nature_are_no_copies_but_the_same_data_set_is() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (700, 6))
    whole = ArrayData({"a": bits[:, :3], "b": bits[:, 3:]}, bits[:, 0] ^ bits[:, 3], Task.classification(2))
    task = whole.task
    train = ArrayData({"a": bits[:500, :3], "b": bits[:500, 3:]}, whole.target[:500], task)
    other = ArrayData({"a": bits[500:, :3], "b": bits[500:, 3:]}, whole.target[500:], task)
    assert shared(train, other).natural
    require_disjoint(train, other)
    require_disjoint(subset(whole, np.arange(500)), subset(whole, np.arange(500, 700)))
    assert len(shared(subset(whole, np.arange(500)), subset(whole, np.arange(490, 700))).audited) == 10
    with pytest.raises(BadInput, match="700 of 700 audited samples"):
        require_disjoint(whole, whole)


def picked(data: ArrayData, rows: object, prefix: str) -> ArrayData:
    """These rows in this order, any of them more than once, under ids of their own."""
    at = np.asarray(rows)
    unique, back = np.unique(at, return_inverse=True)
    inputs = {m: data.values(m, unique)[back] for m in ("a", "b")}
    return ArrayData(inputs, data.target[at], data.task, ids=[f"{prefix}{i}" for i in range(len(at))])


@pytest.mark.parametrize("train", [np.repeat(np.arange(300), 2), np.r_[np.arange(300), np.arange(60)]], ids=str)
@pytest.mark.parametrize("doubled", [False, True])
def test_duplicates_in_the_training_data_hide_no_copies(train: np.ndarray, doubled: bool) -> None:
    """Over-sampled or merged twice, its rows repeat; those of a continuous distribution do not by nature."""
    whole = vectors(400)
    leaked = np.r_[np.arange(25), np.arange(330, 400)]
    audited = picked(whole, np.r_[leaked, leaked] if doubled else leaked, "a")
    found = shared(picked(whole, train, "t"), audited)
    assert not found.natural
    assert found.audited.tolist() == [*range(25), *(range(95, 120) if doubled else ())]
    with pytest.raises(BadInput, match="audited samples are in the training data too"):
        require_disjoint(picked(whole, train, "t"), audited)


def bits(n: int, seed: int, ids: object = None) -> ArrayData:
    x = np.random.default_rng(seed).integers(0, 2, (n, 6))
    return ArrayData({"a": x[:, :3], "b": x[:, 3:]}, x[:, 0] ^ x[:, 3], Task.classification(2), ids=ids)  # type: ignore[arg-type]


@pytest.mark.parametrize(("train", "audited"), [(5000, 60), (500, 200), (200, 500)])
def test_equal_rows_that_are_let_pass_are_told(train: int, audited: int) -> None:
    found = require_disjoint(bits(train, 0), bits(audited, 1))
    assert found.natural
    assert not len(found.audited)
    assert found.excused > 0.9 * audited
    assert found.note.startswith(f"{found.excused} audited samples have the values of a training row")
    assert len(found.note) < 200, "the report shortens longer ones"
    assert require_disjoint(vectors(90), vectors(50, seed=1)).note == ""


def test_a_row_of_the_same_values_and_id_is_a_copy_whatever_the_values() -> None:
    train, rest = bits(500, 0, [f"x{i}" for i in range(500)]), bits(190, 1)
    inputs = {m: np.concatenate([rest.values(m, np.arange(190)), train.values(m, np.arange(10))]) for m in ("a", "b")}
    target = np.concatenate([rest.target, train.target[:10]])
    audited = ArrayData(inputs, target, train.task, ids=[*(f"y{i}" for i in range(190)), *(f"x{i}" for i in range(10))])
    found = shared(train, audited)
    assert found.natural
    assert found.training.tolist() == list(range(10))
    assert found.audited.tolist() == list(range(190, 200))
    assert 170 < found.excused <= 190


def test_clusters_on_both_sides_are_refused_unless_allowed() -> None:
    train = vectors(40, cluster=[f"p{i // 4}" for i in range(40)])
    other = vectors(40, seed=1, cluster=[f"p{8 + i // 4}" for i in range(40)])
    with pytest.raises(BadInput, match=r"2 clusters are both in the training data and .*'p8', 'p9'"):
        require_disjoint(train, other)
    require_disjoint(train, other, shared_clusters=True)
    kept = subset(train, without(train, other))
    assert kept.cluster is not None
    assert set(kept.cluster) == {f"p{i}" for i in range(8)}
    require_disjoint(kept, other)


def test_data_sets_of_other_modalities_cannot_be_compared() -> None:
    task = Task.classification(2)
    one = ArrayData({"a": np.zeros((2, 1))}, [0, 1], task)
    with pytest.raises(BadInput, match="no modality in common: a and b"):
        require_disjoint(one, ArrayData({"b": np.zeros((2, 1))}, [0, 1], task))
    with pytest.raises(BadInput, match="'a' is tabular in the training data and text"):
        require_disjoint(one, ArrayData({"a": ["x", "y"]}, [0, 1], task))


def test_real_splits_by_take_share_speakers_and_no_samples() -> None:
    keys = ("image", "audio", "label", "speaker")
    parts = []
    for part in ("train", "test"):
        found = real_data.columns("avmnist", keys, part, 600)
        parts.append(
            ArrayData(
                {"image": found["image"], "audio": found["audio"]},
                found["label"],
                Task.classification(10),
                modalities=[Modality("image", "image", layout="HW"), Modality("audio", "audio", sample_rate=8000)],
                cluster=found["speaker"],
            )
        )
    assert len(shared(*parts).audited) == 0
    with pytest.raises(BadInput, match="6 clusters"):
        require_disjoint(*parts)
    training, validation = split(parts[0])
    speaker = np.asarray(parts[0].cluster)
    assert len(np.unique(speaker[validation])) == 1
    assert not set(speaker[training]) & set(speaker[validation])


def test_real_reviews_of_train_and_test() -> None:
    data = real_data.columns("clothing", ("text", "tab_num", "split", "label"), 0)
    test = real_data.columns("clothing", ("text", "tab_num", "split", "label"), 2)
    task = Task.classification(2)
    one, two = (
        ArrayData({"text": d["text"], "tab": d["tab_num"]}, d["label"].astype(np.int64), task) for d in (data, test)
    )
    found = shared(one, two)
    there = {(text, *row) for text, row in zip(data["text"].tolist(), data["tab_num"].tolist(), strict=True)}
    pairs = zip(test["text"].tolist(), test["tab_num"].tolist(), strict=True)
    assert found.audited.tolist() == [i for i, (text, row) in enumerate(pairs) if (text, *row) in there]
