"""What references read: values, fitted on training rows, each row by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from helpers import real_data
from mmaudit import ArrayData, Modality, Task
from mmaudit.data import Dataset
from mmaudit.errors import BadInput, UnknownName
from mmaudit.reference.inputs import Inputs


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def everything(n: int = 40, seed: int = 0) -> ArrayData:
    """Every kind of modality and layout, some ragged, each absent in some rows."""
    rng = np.random.default_rng(seed)

    def ragged(*shape: tuple[int, int] | int) -> list[Any]:
        return [
            rng.normal(size=[s if isinstance(s, int) else int(rng.integers(*s)) for s in shape]).astype(np.float32)
            for _ in range(n)
        ]

    inputs = {
        "grey": rng.integers(0, 256, (n, 28, 20), dtype=np.uint8),
        "colour": rng.normal(size=(n, 3, 50, 70)).astype(np.float32),
        "photos": [x.astype(np.uint8) for x in ragged((8, 60), (8, 60), 3)],
        "speck": rng.normal(size=(n, 2, 2)),
        "sound": rng.integers(-3000, 3000, (n, 1500)).astype(np.int16),
        "stereo": ragged(2, (5, 4000)),
        "spectrogram": rng.normal(size=(n, 90, 20)).astype(np.float32),
        "long": rng.normal(size=(n, 300, 2)),
        "short": rng.normal(size=(n, 3, 12)).astype(np.float32),
        "uneven": ragged((0, 200)),
        "text": [" ".join(rng.choice(["ä", "cat", "sat", "Mat", "é!"], rng.integers(0, 9))) for _ in range(n)],
        "table": rng.normal(size=(n, 5)) * [1, 1e-3, 1e6, 0, 1] + [0, 0, 1.7e9, 3, 0],
        "codes": np.stack([rng.integers(0, 4, n), rng.integers(0, 2, n), np.arange(n) * 7], 1),
        "vector": rng.normal(size=(n, 6)).astype(np.float16),
        "tokens": ragged((1, 9), 4),
    }
    modalities = [
        Modality("grey", "image", layout="HW"),
        Modality("colour", "image", layout="CHW", range=(-9, 9)),
        Modality("photos", "image", layout="HWC"),
        Modality("speck", "image", layout="HW", range=(-9, 9)),
        Modality("sound", "audio", sample_rate=8000),
        Modality("stereo", "audio", layout="CT", sample_rate=16000),
        Modality("spectrogram", "audio", layout="FT"),
        Modality("long", "series", layout="TC"),
        Modality("short", "series", layout="CT"),
        Modality("uneven", "series"),
        Modality("codes", "tabular"),
        Modality("table", "tabular"),
        Modality("vector", "embedding"),
        Modality("tokens", "embedding"),
    ]
    present = {name: rng.random(n) < 0.9 for name in inputs}
    return ArrayData(inputs, np.arange(n) % 3, Task.classification(3), modalities=modalities, present=present)


SHAPES = {
    "grey": (1, 28, 20), "colour": (3, 32, 32), "photos": (3, 32, 32), "speck": (4,), "sound": (1, 40, 10),
    "stereo": (2, 40, 64), "spectrogram": (1, 64, 20), "long": (4, 128), "short": (3, 12), "uneven": (2, 128),
    "text": (2048,), "table": (5,), "codes": (7,), "vector": (6,), "tokens": (4,),
}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> ArrayData:
    return everything()


@pytest.fixture(scope="module")
def fitted(data: ArrayData) -> Inputs:
    return Inputs.fit(data, np.arange(30))


def test_every_kind_becomes_numbers_of_one_shape(data: ArrayData, fitted: Inputs) -> None:
    assert fitted.sizes == SHAPES
    assert fitted.source["text"] == fitted.source["sound"] == "default encoder"
    assert fitted.source["table"] == fitted.source["speck"] == "values"
    tensors, present = fitted.read(data, np.arange(40))
    for name, x in tensors.items():
        assert x.dtype == torch.float32
        assert torch.isfinite(x).all()
        assert not x[~present[name]].any(), name
        assert np.array_equal(present[name].numpy(), data.presence(name))
        out = fitted.encoders[name]()(x)
        assert out.shape == (40, fitted.widths[name])
    assert "mel bands" in fitted.said["sound"]


def test_training_rows_are_centred_and_constant_columns_dropped(data: ArrayData) -> None:
    rows = np.arange(5, 35)
    inputs = Inputs.fit(data, rows)
    tensors, present = inputs.read(data, rows)
    for name in ("table", "codes", "vector", "tokens", "speck", "colour", "spectrogram", "short"):
        x = tensors[name][present[name]].double()
        axes = [0, *range(2, x.ndim)]
        assert x.mean(dim=axes).abs().max() < 1e-4, name
        deviation = x.std(dim=axes, correction=0)
        if name != "spectrogram":  # standardised per frequency
            assert (((deviation - 1).abs() < 1e-3) | (deviation == 0)).all(), name
    assert not tensors["table"][:, 3].any()


def test_time_stamps_keep_their_digits(data: ArrayData, fitted: Inputs) -> None:
    x = fitted.one("table", data.rows(np.arange(40)))[:, 2].numpy()
    raw = data.values("table", np.arange(40))[:, 2]
    there = data.presence("table")
    assert np.corrcoef(x[there], raw[there])[0, 1] > 0.999999


def test_columns_of_categories_get_codes_and_new_categories_none(data: ArrayData, fitted: Inputs) -> None:
    batch = data.rows(np.flatnonzero(data.presence("codes"))[:12])
    x = fitted.one("codes", batch)
    column = batch.inputs["codes"][:, 0]
    for k in range(4):
        assert np.array_equal(x[:, 3 + k].numpy() > 0, column == k)
    odd = batch.inputs["codes"].copy()
    odd[:, 0] = 9
    assert (fitted.one("codes", batch.replace({"codes": odd}))[:, 3:] < 0).all()


def test_declared_categories_get_codes_and_nothing_else_does() -> None:
    values = np.column_stack([np.arange(40) % 30, np.arange(40) % 5, np.arange(40) % 4]).astype(np.float32)
    for categorical, width in (((0, 2), 3 + 30 + 4), ((), 3), (None, 3)):
        modality = Modality("codes", "tabular", categorical=categorical)
        data = ArrayData({"codes": values}, np.arange(40) % 3, Task.classification(3), modalities=[modality])
        fitted = Inputs.fit(data, np.arange(40))
        assert fitted.one("codes", data.rows(np.arange(40))).shape == (40, width), categorical


@pytest.mark.parametrize("name", SHAPES)
def test_rows_do_not_depend_on_their_batch(name: str, data: ArrayData, fitted: Inputs) -> None:
    whole = fitted.one(name, data.rows(np.arange(40)))
    for rows in (np.array([17]), np.array([39, 3, 3, 20])):
        assert torch.equal(fitted.one(name, data.rows(rows)), whole[rows])
    table, _ = fitted.only([name]).read(data, np.arange(40))
    assert torch.equal(table[name], whole)
    assert torch.equal(Inputs.fit(data, np.arange(30), modalities=[name]).one(name, data.rows(np.arange(40))), whole)


def test_saved_and_loaded_is_the_same(data: ArrayData, fitted: Inputs) -> None:
    state = safetensors.torch.load(safetensors.torch.save(fitted.state()))
    spec = json.loads(json.dumps(fitted.spec()))
    loaded = Inputs.load(spec, state, modalities=data.modalities)
    batch = data.rows(np.arange(40))
    for name in SHAPES:
        assert torch.equal(loaded.one(name, batch), fitted.one(name, batch)), name
    assert (loaded.said, loaded.sizes, loaded.widths) == (fitted.said, fitted.sizes, fitted.widths)
    louder = [replace(m, sample_rate=44100) if m.name == "sound" else m for m in data.modalities]
    with pytest.raises(
        BadInput, match=r"'sound' is audio of \[1500\], 44100 Hz here and .*8000 Hz in the training data"
    ):
        Inputs.load(spec, state, modalities=louder)


def test_what_fit_has_read_is_not_read_again(data: ArrayData, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Inputs.fit(data, np.arange(20), modalities=["vector", "text"])
    calls: list[int] = []
    rows = data.rows
    monkeypatch.setattr(data, "rows", lambda positions: (calls.append(len(positions)), rows(positions))[1])
    first, _ = inputs.read(data, np.arange(20))
    assert not calls
    second, _ = inputs.read(data, np.arange(20))
    assert calls
    assert all(torch.equal(first[m], second[m]) for m in first)


def test_projections_and_widths(data: ArrayData) -> None:
    names = ["grey", "text", "table", "vector"]
    plain = Inputs.fit(data, np.arange(30), modalities=names, projection="none", width=16)
    assert plain.widths == {"grey": 16, "text": 16, "table": 5, "vector": 6}
    assert isinstance(plain.encoders["vector"](), torch.nn.Identity)
    assert set(Inputs.fit(data, np.arange(30), modalities=names, projection="mlp").widths.values()) == {64}


def test_extreme_values_stay_bounded_and_nan_stays_in_its_row(data: ArrayData, fitted: Inputs) -> None:
    batch = data.rows(np.flatnonzero(data.presence("vector"))[:4])
    values = batch.inputs["vector"].astype(np.float32)
    values[0], values[1, 2] = 1e30, np.nan
    x = fitted.one("vector", batch.replace({"vector": values}))
    assert x[0].max() == 1e4
    assert x[1].isnan().sum() == 1
    assert torch.isfinite(x[2:]).all()


def test_samples_of_one_length_are_read_as_those_of_many_were(data: ArrayData, fitted: Inputs) -> None:
    names = ["photos", "stereo", "uneven", "tokens"]
    shapes = {"photos": (20, 30, 3), "stereo": (2, 900), "uneven": (77,), "tokens": (5, 4)}
    rng = np.random.default_rng(0)
    values = {m: (rng.random((3, *shapes[m])) * 200).astype(data.values(m, np.array([0]))[0].dtype) for m in names}
    described = [m for m in data.modalities if m.name in names]
    fixed = [replace(m, shape=shapes[m.name], range=None) for m in described]
    task = Task.classification(3)
    one = ArrayData(values, np.arange(3), task, modalities=fixed)
    fitted.only(names).require(one)
    x, _ = fitted.only(names).read(one, np.arange(3))
    for m in names:
        column = np.empty(3, object)
        column[:] = list(values[m])
        batch = one.rows(np.arange(3)).replace({m: column})
        assert torch.equal(fitted.one(m, batch), x[m])


def test_bad_input(data: ArrayData, fitted: Inputs) -> None:
    with pytest.raises(
        BadInput, match=r"40 samples would take .* more than the limit .*'text': 8,192 bytes .* at most"
    ):
        Inputs.fit(data, np.arange(40), modalities=["text", "vector"], limit=1 << 18)
    with pytest.raises(UnknownName, match="smell"):
        Inputs.fit(data, np.arange(40), modalities=["smell"])
    with pytest.raises(UnknownName, match="smell"):
        fitted.only(["smell"])
    with pytest.raises(BadInput, match="recorded in 0 of 1 training samples"):
        Inputs.fit(data, np.flatnonzero(~data.presence("grey"))[:1], modalities=["grey"])
    with pytest.raises(BadInput, match="projection is 'fancy'"):
        Inputs.fit(data, np.arange(40), modalities=["vector"], projection="fancy")  # type: ignore[arg-type]
    other = ArrayData({"vector": np.zeros((4, 9), np.float16)}, [0, 1, 0, 1], Task.classification(2))
    with pytest.raises(BadInput, match=r"'vector' is tabular of \[9\] here and embedding of \[6\]"):
        fitted.only(["vector"]).read(other, np.arange(4))


@pytest.mark.parametrize("make", [real_data.avmnist, real_data.emoji, real_data.clothing, real_data.easy_vqa])
def test_real_data_is_prepared_the_same_in_any_batch(make: Any) -> None:
    data: Dataset = make(60)
    inputs = Inputs.fit(data, np.arange(0, 60, 2))
    whole, _ = inputs.read(data, np.arange(60))
    some = data.rows(np.array([59, 0, 31]))
    for name, x in whole.items():
        assert torch.isfinite(x).all()
        assert x.std() > 0.1
        assert torch.equal(inputs.one(name, some), x[[59, 0, 31]])
