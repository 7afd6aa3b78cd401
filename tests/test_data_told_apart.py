"""What looks like something else: palettes, named tuples, whole numbers with gaps, numbers that a cell made text."""

from __future__ import annotations

import io
import json
import tarfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.media_folder import png
from mmaudit import ArrayData, FrameData
from mmaudit.data import TorchData, read_npz, read_table, read_webdataset
from mmaudit.errors import BadInput

LABELS = [0, 1, 0, 1, 0, 1]
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8)).astype(np.uint8)


def write(path: Path, frame: pd.DataFrame) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        rows = [{k: None if pd.isna(v) else v for k, v in row.items()} for row in frame.to_dict("records")]
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def recorded(data: Any, name: str) -> list[bool]:
    found: list[bool] = data.rows(np.arange(len(data))).present[name].tolist()
    return found


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_places_in_a_palette_are_no_light(mode: str) -> None:
    pictures = [Image.fromarray(x.transpose(1, 2, 0)).convert("P").convert(mode) for x in PIXELS]
    with pytest.raises(BadInput, match=f"mode '{mode}'.*convert\\('RGB'\\)"):
        ArrayData({"photo": pictures}, LABELS, "classification", kinds={"photo": "image"})
    light = ArrayData(
        {"photo": [x.convert("RGB") for x in pictures]}, LABELS, "classification", kinds={"photo": "image"}
    )
    assert light.modalities[0].shape == (8, 8, 3)


def test_fields_of_a_named_tuple_are_found_by_name() -> None:
    Item = namedtuple("Item", ["right", "left", "label"])
    items = [Item(np.full(2, i, np.float32), np.full(3, -i, np.float32), LABELS[i]) for i in range(6)]
    data = TorchData(items, ("left", "right"), "classification")
    assert {m.name: m.shape for m in data.modalities} == {"left": (3,), "right": (2,)}
    assert data.target.tolist() == LABELS
    # A named tuple of other names goes by order, as any tuple.
    Other = namedtuple("Other", ["a", "b", "c"])
    others = TorchData([Other(*item) for item in items], ("left", "right"), "classification")
    assert {m.name: m.shape for m in others.modalities} == {"left": (2,), "right": (3,)}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_whole_numbers_with_a_gap_stay_whole(tmp_path: Path, ending: str) -> None:
    for i in (0, 1, 2, 4, 5):
        (tmp_path / f"{i}.png").write_bytes(png(PIXELS[i].transpose(1, 2, 0)))
    cells = [0, 1, 2, None, 4, 5]
    frame = pd.DataFrame({"i": pd.array(cells, "Int64"), "site": pd.array(cells, "Int64"), "label": LABELS})
    path = write(tmp_path / f"data.{ending}", frame)
    data = read_table(path, {"photo": "{i}.png"}, "label", "classification", kinds={"photo": "image"}, groups=["site"])
    assert recorded(data, "photo") == [True, True, True, False, True, True]
    assert data.groups["site"].tolist() == ["0", "1", "2", "(missing)", "4", "5"]


def test_numbers_that_are_not_whole_stay_as_they_are() -> None:
    frame = pd.DataFrame({"x": np.arange(6.0), "label": LABELS, "dose": [0.5, 1.0, np.nan, 1.0, 0.5, 1.0]})
    data = FrameData(frame, {"x": ["x"]}, "label", "classification", groups=["dose"])
    assert data.groups["dose"].tolist() == ["0.5", "1.0", "(missing)", "1.0", "0.5", "1.0"]


@pytest.mark.parametrize(("cell", "said"), [("nan", "row 1 has 'nan'"), ("n/a", "row 1 has 'n/a'")])
def test_the_cell_that_makes_numbers_text_is_named(tmp_path: Path, cell: str, said: str) -> None:
    frame = pd.DataFrame({"x": ["1", cell, "3", "4", "5", "6"], "label": LABELS})
    with pytest.raises(BadInput, match=f"column 'x' is text: {said}"):
        read_table(write(tmp_path / "data.csv", frame), {"x": "x"}, "label", "classification", kinds={"x": "tabular"})


@pytest.mark.parametrize("gap", [False, True])
def test_booleans_of_arrow_are_0_and_1(gap: bool) -> None:
    pytest.importorskip("pyarrow")
    cells: list[Any] = [True, False, None if gap else True, True, False, True]
    frame = pd.DataFrame({"x": pd.array(cells, "bool[pyarrow]"), "label": LABELS})
    values = FrameData(frame, {"x": ["x"]}, "label", "classification").values("x", np.arange(6))
    np.testing.assert_array_equal(values.ravel(), [1, 0, 0 if gap else 1, 1, 0, 1])


def test_names_of_bytes_are_read_as_text(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "data.npz",
        x=np.zeros((6, 2), np.float32),
        target=np.array(LABELS),
        classes=np.array([b"cat", "dög".encode()]),
        split=np.array([b"train", b"test", b"test"] * 2),
    )
    data = read_npz(tmp_path / "data.npz", task="classification", kinds={"x": "tabular"}, split="test")
    assert data.task.names == ("cat", "dög")
    assert len(data) == 4


def test_one_number_of_a_json_member_is_a_table(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        for i, label in enumerate(LABELS):
            for ending, text in (("json", json.dumps({"v": i / 2} if i != 3 else {})), ("cls", str(label))):
                info = tarfile.TarInfo(f"{i}.{ending}")
                info.size = len(text)
                out.addfile(info, io.BytesIO(text.encode()))
    data = read_webdataset(tmp_path / "a.tar", {"v": "json.v"}, "cls", "classification", kinds={"v": "tabular"})
    assert recorded(data, "v") == [True, True, True, False, True, True]
    assert data.values("v", np.arange(6)).tolist() == [[0.0], [0.5], [1.0], [0.0], [2.0], [2.5]]


def hugging_face(pixels: np.ndarray, kind: str) -> Any:
    datasets = pytest.importorskip("datasets")
    from mmaudit.data import HuggingFaceData

    features = {"x": datasets.Array3D(pixels.shape[1:], str(pixels.dtype)), "label": datasets.Value("int64")}
    table = datasets.Dataset.from_dict({"x": pixels, "label": LABELS}, features=datasets.Features(features))
    return HuggingFaceData(table, ["x"], None, "classification", kinds={"x": kind})


def test_a_column_of_arrays_is_no_column_of_files() -> None:
    assert (
        hugging_face(PIXELS, "image").modalities
        == ArrayData({"x": PIXELS}, LABELS, "classification", kinds={"x": "image"}).modalities
    )
    light = (PIXELS / 255).astype(np.float32)
    with pytest.raises(BadInput, match="need their range declared"):
        hugging_face(light, "image")
    assert hugging_face(light, "image,layout=CHW,range=0..1").modalities[0].range == (0.0, 1.0)
    for option in ("size=4x4", "mode=L"):
        with pytest.raises(BadInput, match="is not one of"):
            hugging_face(PIXELS, f"image,{option}")
