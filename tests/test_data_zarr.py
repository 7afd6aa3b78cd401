"""zarr groups of both formats: the same samples as in memory, ragged by length, presence, no pickles."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaudit.data import ArrayData, check, read_zarr
from mmaudit.errors import BadInput

zarr = pytest.importorskip("zarr")

N = 9
RNG = np.random.default_rng(11)
PHOTO = RNG.integers(0, 256, (N, 4, 5, 3), dtype=np.uint8)
WAVE = RNG.normal(size=(N, 12)).astype(np.float32)
LENGTH = np.array([12, 3, 5, 0, 7, 8, 9, 1, 12])
LABEL = np.arange(N) % 3
TEXT = [f"text {i} ß" for i in range(N)]


def write(path: Path, form: int = 3, **more: Any) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=form)
    arrays = {"photo": PHOTO, "wave": WAVE, "label": LABEL, "sample_id": np.arange(N) + 50, **more}
    for name, values in arrays.items():
        group.create_array(name, data=values, chunks=(2, *values.shape[1:]))
    return path


KINDS = {"wave": "audio,sample_rate=100"}


@pytest.mark.parametrize("form", [2, 3])
def test_the_same_samples_as_in_memory(tmp_path: Path, form: int) -> None:
    data = read_zarr(
        write(tmp_path / "x.zarr", form), ["photo", "wave"], None, "classification", kinds=KINDS, whole=True
    )
    check(data)
    memory = ArrayData({"photo": PHOTO, "wave": WAVE}, LABEL, "classification", kinds=KINDS, ids=np.arange(N) + 50)
    assert data.fingerprint == memory.fingerprint
    places = np.array([7, 0, 0, 3])
    np.testing.assert_array_equal(data.rows(places).inputs["photo"], PHOTO[places])
    assert pickle.loads(pickle.dumps(data)).fingerprint == data.fingerprint


def test_text_lengths_and_presence(tmp_path: Path) -> None:
    here = np.arange(N) != 4
    path = write(tmp_path / "x.zarr", **{"wave.length": LENGTH, "present.photo": here})
    group = zarr.open_group(str(path), mode="a")
    group.create_array("note", data=np.array(TEXT, dtype=np.dtypes.StringDType()))
    data = read_zarr(path, ["photo", "wave", "note"], "label", "classification", kinds=KINDS)
    check(data)
    assert data.modalities[1].shape == (None,)
    assert data.presence("photo").tolist() == here.tolist()
    assert data.presence("wave").tolist() == (LENGTH > 0).tolist()
    found = data.rows(np.arange(N)).inputs
    assert found["note"].tolist() == TEXT
    for row in np.flatnonzero(LENGTH):
        np.testing.assert_array_equal(found["wave"][row], WAVE[row, : LENGTH[row]])


def test_only_the_chunks_that_are_needed_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zarr")
    data = read_zarr(path, ["photo"], None, "classification")
    for chunk in (path / "photo" / "c").iterdir():
        if chunk.name != "1":
            (chunk / "0" / "0" / "0").write_bytes(b"damaged")
    np.testing.assert_array_equal(data.values("photo", np.array([3, 2])), PHOTO[[3, 2]])
    with pytest.raises(BadInput, match="cannot be read"):
        data.values("photo", np.array([0]))


def test_split(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zarr", fold=np.array([1, 1, 1, 0, 0, 0, 0, 0, 1]))
    data = read_zarr(path, ["photo"], None, "classification", split="fold=1")
    assert data.ids.tolist() == [50, 51, 52, 58]
    np.testing.assert_array_equal(data.values("photo", np.array([3, 0])), PHOTO[[8, 0]])


def test_a_row_wholly_nan(tmp_path: Path) -> None:
    wave = WAVE.copy()
    wave[5] = np.nan
    path = write(tmp_path / "x.zarr", other=wave)
    data = read_zarr(path, ["other"], None, "classification", kinds={"other": "series"}, whole=True)
    assert np.flatnonzero(~data.presence("other")).tolist() == [5]
    quick = read_zarr(path, ["other"], None, "classification", kinds={"other": "series"})
    with pytest.raises(BadInput, match="whole=True"):
        quick.values("other", np.arange(N))


def test_pickles_are_refused(tmp_path: Path) -> None:
    import numcodecs

    class Runs:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("unpickled",))

    path = write(tmp_path / "x.zarr", 2)
    folder = path / "bad"
    folder.mkdir()
    (folder / ".zarray").write_text(
        '{"zarr_format": 2, "shape": [9], "chunks": [9], "dtype": "|O", "compressor": null, "fill_value": null, '
        '"order": "C", "filters": [{"id": "pickle", "protocol": 5}]}',
        encoding="utf-8",
    )
    (folder / "0").write_bytes(numcodecs.Pickle().encode(np.array([Runs()] * 9, dtype=object)))
    with pytest.raises(BadInput, match=r"pickle"):
        read_zarr(path, {"x": "bad"}, "label", "classification", kinds={"x": "text"})
    with pytest.raises(BadInput, match=r"pickle"):
        read_zarr(path, ["photo"], "bad", "classification")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zarr", short=np.zeros((3, 2), np.float32), **{"photo.length": np.full(N, 99)})
    for modalities, said in ((["phot"], "did you mean"), (["short", "photo"], "rows"), (["photo"], "lengths")):
        with pytest.raises(BadInput, match=said):
            read_zarr(
                path,
                modalities,
                "label",
                "classification",
                kinds={"short": "tabular"} if "short" in modalities else None,
            )
    with pytest.raises(BadInput, match="does not exist"):
        read_zarr(tmp_path / "none", ["photo"], None, "classification")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no readable zarr group"):
        read_zarr(tmp_path / "empty", ["photo"], None, "classification")
    for damage in ("{", "[]", '{"zarr_format": 3, "node_type": "group", "attributes": 7}'):
        (tmp_path / "empty" / "zarr.json").write_text(damage, encoding="utf-8")
        with pytest.raises(BadInput):
            read_zarr(tmp_path / "empty", ["photo"], None, "classification")


@pytest.mark.parametrize("form", [2, 3])
def test_booleans_are_numbers(tmp_path: Path, form: int) -> None:
    flags = RNG.random((N, 4)) > 0.5
    data = read_zarr(write(tmp_path / "x.zarr", form, flags=flags), ["flags"], None, "classification", whole=True)
    assert data.modalities[0].dtype == "uint8"
    np.testing.assert_array_equal(data.values("flags", np.arange(N)), flags.astype(np.uint8))


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("name", ["photo", "label"])
def test_chunks_that_are_not_stored_are_told(tmp_path: Path, form: int, name: str) -> None:
    path = write(tmp_path / "x.zarr", form, label=LABEL + 1)
    first = "0.0.0.0" if name == "photo" else "0"
    (path / name / (first if form == 2 else "c/" + first.replace(".", "/"))).unlink()
    read_zarr(path, ["photo"], None, "classification:4")
    with pytest.warns(UserWarning, match=rf"1 of 5 chunks of '{name}' are not stored; their values read as 0"):
        data = read_zarr(path, ["photo"], None, "classification:4", whole=True)
    assert data.source == f"x.zarr; 1 of 5 chunks of '{name}' are not stored"


def test_what_is_stored_in_whole_is_not_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zarr", label=LABEL + 1)
    group = zarr.open_group(str(path), mode="a")
    group.create_array("tiles", data=PHOTO + 1, chunks=(2, 4, 5, 3), shards=(4, 4, 5, 3))
    assert read_zarr(path, ["photo", "tiles"], None, "classification:4", whole=True).source == "x.zarr"
