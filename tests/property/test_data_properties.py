"""What must hold for any data set: random access is slicing, and the fingerprint is of the content alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.data import ArrayData, FrameData, Indexed, check, read_npz, read_parquet, subset
from mmaudit.data import fingerprint as fingerprint_module
from mmaudit.types import Batch, Modality, Task

CLASSES = ("no", "yes", "perhaps")
# No NUL and no lone surrogates: NumPy strips trailing NULs from stored strings, Parquet holds valid UTF-8 only.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)


@st.composite
def arguments(draw: st.DrawFn, plain: bool = False) -> dict[str, Any]:
    """Arguments of `ArrayData`; plain ones fit into an npz or Parquet file."""
    n = draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    labs = rng.normal(size=(n, 3)).astype(draw(st.sampled_from([np.float16, np.float32, np.float64])))
    labs[1 : 1 + draw(st.integers(0, n - 1))] = np.nan
    text: list[str | None] = draw(st.lists(words, min_size=n, max_size=n))
    if not plain:
        text = [text[0], *(None if rng.random() < 0.3 else x for x in text[1:])]
    inputs: dict[str, Any] = {"photo": rng.integers(0, 256, (n, 3, 4), dtype=np.uint8), "note": text, "labs": labs}
    if not plain:
        walk = [rng.normal(size=(rng.integers(1, 4), 2)) if rng.random() < 0.8 else None for _ in range(n)]
        inputs["walk"] = [np.ones((5, 2)), *walk[1:]]
        inputs["shared"] = Indexed(rng.normal(size=(4, 2)), rng.integers(0, 4, n))
    target = rng.integers(0, 3, n)
    target[:2] = [0, 1]
    ids = rng.permutation(100)[:n]
    return {
        "inputs": inputs,
        "target": [CLASSES[i] for i in target] if draw(st.booleans()) else target,
        "task": Task.classification(CLASSES),
        "kinds": {"walk": "series"} if "walk" in inputs else {},
        "ids": [f"s{i}" for i in ids] if draw(st.booleans()) else ids,
        "groups": {"site": [f"g{i}" for i in rng.integers(0, 3, n)]},
        "cluster": rng.integers(0, 3, n) if draw(st.booleans()) else None,
    }


def make(given_arguments: dict[str, Any]) -> ArrayData:
    return ArrayData(**given_arguments)


def assert_same(one: Batch, other: Batch) -> None:
    assert np.array_equal(one.ids, other.ids)
    assert np.array_equal(one.target, other.target)
    for name in one.inputs:
        assert one.inputs[name].dtype == other.inputs[name].dtype
        assert np.array_equal(one.present[name], other.present[name])
        for a, b in zip(one.inputs[name], other.inputs[name], strict=True):
            assert np.array_equal(a, b)


@settings(deadline=None, derandomize=True)
@given(arguments(), st.data())
def test_random_access_is_slicing(given_arguments: dict[str, Any], draw: st.DataObject) -> None:
    data = make(given_arguments)
    check(data)
    n = len(data)
    order = np.array(draw.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20)))
    batch = data.rows(order)
    whole = data.rows(np.arange(n))
    picked = Batch(
        {name: x[order] for name, x in whole.inputs.items()},
        {name: x[order] for name, x in whole.present.items()},
        whole.target[order],
        whole.ids[order],
        order,
    )
    assert_same(batch, picked)
    size = draw.draw(st.integers(1, 7))
    for start in range(0, len(order), size):
        part = data.rows(order[start : start + size])
        assert np.array_equal(part.ids, batch.ids[start : start + size])
        for name, rows in part.inputs.items():
            for a, b in zip(rows, batch.inputs[name][start : start + size], strict=True):
                assert np.array_equal(a, b)
    for name, rows in whole.inputs.items():
        if name != "note":
            assert all(np.isfinite(row).all() for row in rows)
        assert np.array_equal(whole.present[name], data.presence(name))


@settings(deadline=None, derandomize=True)
@given(arguments(), st.randoms(use_true_random=False))
def test_a_subset_has_the_rows_of_the_whole(given_arguments: dict[str, Any], random: Any) -> None:
    data = make(given_arguments)
    chosen = list(range(len(data)))
    random.shuffle(chosen)
    part = subset(data, chosen)
    check(part)
    order = np.arange(len(part))[::-1]
    assert_same(part.rows(order), data.rows(np.array(chosen)[order]))
    assert part.fingerprint == subset(make(given_arguments), chosen).fingerprint
    if chosen != sorted(chosen):
        assert part.fingerprint != subset(data, sorted(chosen)).fingerprint


def other_layouts(inputs: dict[str, Any]) -> dict[str, list[Any]]:
    """Return ways to store the same values."""
    photo, labs = inputs["photo"], inputs["labs"]
    wide = np.zeros((len(photo), 3, 8), np.uint8)
    wide[:, :, ::2] = photo
    table = inputs["shared"]
    return {
        "photo": [
            np.asfortranarray(photo),
            wide[:, :, ::2],
            photo[::-1].copy()[::-1],
            list(photo),
            Indexed(np.concatenate([photo, photo]), np.arange(len(photo)) + len(photo)),
        ],
        "labs": [labs.astype(labs.dtype.newbyteorder(">")), [None if np.isnan(x).all() else x for x in labs]],
        "note": [np.array(inputs["note"], dtype=object), Indexed(inputs["note"], np.arange(len(photo)))],
        "walk": [[None if x is None else np.asfortranarray(x) for x in inputs["walk"]]],
        "shared": [table.values[table.index]],
    }


@settings(deadline=None, derandomize=True)
@given(arguments(), st.data())
def test_fingerprint_ignores_how_values_are_stored(given_arguments: dict[str, Any], draw: st.DataObject) -> None:
    base = make(given_arguments).fingerprint
    changed = dict(given_arguments["inputs"])
    for name, ways in other_layouts(changed).items():
        changed[name] = draw.draw(st.sampled_from([changed[name], *ways]))
    again: dict[str, Any] = {**given_arguments, "inputs": changed}
    if not isinstance(again["target"], list):
        again["target"] = [CLASSES[i] for i in again["target"]]
    again["ids"] = np.array(again["ids"], dtype=object)
    assert make(again).fingerprint == base


@settings(deadline=None, derandomize=True)
@given(arguments(), st.data())
def test_fingerprint_changes_with_anything(given_arguments: dict[str, Any], draw: st.DataObject) -> None:
    data = make(given_arguments)
    n = len(data)
    row = draw.draw(st.integers(0, n - 1))
    inputs = dict(given_arguments["inputs"])
    changes: dict[str, dict[str, Any]] = {}
    photo = inputs["photo"].copy()
    photo[row, 1, 2] ^= 1
    changes["one pixel"] = {"inputs": {**inputs, "photo": photo}}
    changes["one text"] = {
        "inputs": {**inputs, "note": [(x or "") + "!" if i == row else x for i, x in enumerate(inputs["note"])]}
    }
    labs = inputs["labs"].copy()
    labs[row] = np.nan if row and not np.isnan(labs[row]).all() else 7.0
    changes["one row missing, or not"] = {"inputs": {**inputs, "labs": labs}}
    walk = [x if i != row else np.full((2, 2), 9.0) for i, x in enumerate(inputs["walk"])]
    changes["one walk"] = {"inputs": {**inputs, "walk": walk}}
    shared = Indexed(inputs["shared"].values + 1, inputs["shared"].index)
    changes["the shared values"] = {"inputs": {**inputs, "shared": shared}}
    changes["one id"] = {"ids": [1000 if i == row else j for i, j in enumerate(range(n))]}
    changes["ids as text"] = {"ids": [str(x) for x in range(n)]}
    changes["presence"] = {"present": {"photo": np.arange(n) != row}}
    changes["a group"] = {"groups": {"site": ["other" if i == row else "g" for i in range(n)]}}
    changes["a group's name"] = {"groups": {"place": given_arguments["groups"]["site"]}}
    changes["the cluster"] = {"cluster": np.arange(n) + 1000}
    changes["the description"] = {"modalities": [Modality("photo", "image", range=(0, 256))]}
    changes["the unit"] = {"modalities": [Modality("labs", "tabular", unit="mg")]}
    changes["order of modalities"] = {"inputs": dict(reversed(inputs.items()))}
    what = draw.draw(st.sampled_from(sorted(changes)))
    assert make({**given_arguments, **changes[what]}).fingerprint != data.fingerprint, what
    target = data.target.copy()
    target[row] = (target[row] + 1) % 3
    if len(set(target.tolist())) > 1:
        assert make({**given_arguments, "target": target}).fingerprint != data.fingerprint
    renamed = ArrayData(**{**given_arguments, "target": data.target, "task": "classification:3"})
    assert renamed.fingerprint != data.fingerprint


def test_parts_cannot_run_into_each_other() -> None:
    def of(note: list[str], **more: Any) -> str:
        return ArrayData({"note": note}, [0, 1], "classification", **more).fingerprint

    assert of(["ab", "c"]) != of(["a", "bc"])
    assert of(["ab", "c"], ids=["x", "yz"]) != of(["ab", "c"], ids=["xy", "z"])
    assert of(["1", "2"], ids=[1, 2]) != of(["1", "2"], ids=["1", "2"])

    def ragged(*lengths: int) -> str:
        flat = np.arange(6.0)
        walk = np.split(flat, np.cumsum(lengths)[:-1])
        return ArrayData({"walk": walk}, [0, 1, 0], "classification", kinds={"walk": "series"}).fingerprint

    assert ragged(1, 2, 3) != ragged(3, 2, 1)


def test_nothing_recorded_differs_from_recorded_nothing() -> None:
    def of(**inputs: Any) -> str:
        return ArrayData(inputs, [0, 1], "classification").fingerprint

    assert of(note=["", "a"]) != of(note=[None, "a"])
    assert of(labs=np.array([[0.0], [1.0]])) != of(labs=np.array([[np.nan], [1.0]]))


def test_fingerprint_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    inputs = {"labs": rng.normal(size=(9000, 3)), "note": [f"text {i}" for i in range(9000)]}
    target = np.arange(9000) % 2
    whole = ArrayData(inputs, target, "classification").fingerprint
    monkeypatch.setattr(fingerprint_module, "BLOCK_BYTES", 1000)
    assert ArrayData(inputs, target, "classification").fingerprint == whole


@settings(deadline=None, derandomize=True, max_examples=40)
@given(arguments(plain=True))
def test_every_reader_gives_the_same_data_set(given_arguments: dict[str, Any]) -> None:
    inputs, target = given_arguments["inputs"], given_arguments["target"]
    kinds = {"labs": "embedding"}
    data = make({**given_arguments, "kinds": kinds})
    roles: dict[str, Any] = {"groups": ["site"], "ids": "key", "kinds": kinds, "names": CLASSES, "target": "answer"}
    columns = {
        **{name: list(rows) for name, rows in inputs.items()},
        "answer": target,
        "key": given_arguments["ids"],
        **given_arguments["groups"],
    }
    if given_arguments["cluster"] is not None:
        columns["case"] = given_arguments["cluster"]
        roles["cluster"] = "case"
    modalities = {name: name for name in inputs}
    table = pd.DataFrame(columns)
    framed = FrameData(table, modalities, task="classification:3", **roles)
    assert framed.fingerprint == data.fingerprint
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "d.npz", **{k: np.array(inputs.get(k, v)) for k, v in columns.items()})
        assert read_npz(f"{folder}/d.npz", "classification:3", modalities=list(inputs), **roles).fingerprint == (
            data.fingerprint
        )
        # pandas writes one axis per cell: an image becomes a list of rows, which Parquet nests.
        table.assign(photo=[list(x) for x in inputs["photo"]]).to_parquet(f"{folder}/d.parquet")
        stored = read_parquet(f"{folder}/d.parquet", modalities, task="classification:3", **roles)
        assert stored.fingerprint == data.fingerprint
