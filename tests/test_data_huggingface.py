"""Hugging Face data sets: saved on disk and in memory, pictures and sounds, lists and arrays, nulls, paths."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.media_folder import LABELS, TEXTS, N, pictures, png, sounds, wav
from mmaudit.data import HuggingFaceData, check
from mmaudit.errors import BadInput

datasets = pytest.importorskip("datasets")
pytest.importorskip("soundfile")

MATRICES = np.random.default_rng(5).normal(size=(N, 2, 3)).astype(np.float32)
LISTS = [np.arange(3 + i, dtype=np.int16) for i in range(N)]
KINDS = {"matrix": "embedding", "steps": "series"}
MODALITIES = {
    "photo": "photo",
    "voice": "voice",
    "note": "note",
    "matrix": "matrix",
    "steps": "steps",
    "body": ["a", "b"],
}


def made(**changes: Any) -> Any:
    columns = {
        "photo": [{"bytes": png(x), "path": None} for x in pictures()],
        "voice": [{"bytes": wav(x), "path": None} for x in sounds()],
        "note": TEXTS,
        "matrix": MATRICES.tolist(),
        "steps": [x.tolist() for x in LISTS],
        "a": list(range(N)),
        "b": [i / 4 for i in range(N)],
        "label": [int(x == "dog") for x in LABELS],
        "site": ["n", "s"] * 4,
        **changes,
    }
    features = datasets.Features(
        {
            "photo": datasets.Image(),
            "voice": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
            "note": datasets.Value("string"),
            "matrix": datasets.Array2D((2, 3), "float32"),
            "steps": datasets.List(datasets.Value("int16")),
            "a": datasets.Value("int32"),
            "b": datasets.Value("float64"),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "site": datasets.Value("string"),
        }
    )
    # Made as plain bytes: datasets itself would want torchcodec to put sounds in.
    dataset = datasets.Dataset.from_dict(columns, features=features)
    return dataset.cast_column("voice", datasets.Audio(sampling_rate=8000))


def opened(dataset: Any, **options: Any) -> Any:
    given = {"kinds": KINDS, "groups": ("site",), "cluster": "site", **options}
    return HuggingFaceData(dataset, MODALITIES, "label", "classification", **given)


def assert_rows(data: Any, places: list[int], rows: list[int]) -> None:
    found = data.rows(np.array(places)).inputs
    np.testing.assert_array_equal(found["photo"], pictures()[rows])
    np.testing.assert_array_equal(found["matrix"], MATRICES[rows])
    np.testing.assert_array_equal(found["body"], [[i, i / 4] for i in rows])
    assert found["note"].tolist() == [TEXTS[i] for i in rows]
    for name, expected in (("voice", sounds()), ("steps", LISTS)):
        for got, i in zip(found[name], rows, strict=True):
            assert got.dtype == expected[i].dtype
            np.testing.assert_array_equal(got, expected[i])


def test_in_memory_and_from_disk_are_the_same(tmp_path: Path) -> None:
    data = opened(made())
    check(data)
    assert data.task.names == ("cat", "dog")
    assert {m.name: m.kind for m in data.modalities}["voice"] == "audio"
    assert data.modalities[1].sample_rate == 8000
    assert_rows(data, [5, 0, 5], [5, 0, 5])
    made().save_to_disk(tmp_path / "saved")
    saved = opened(tmp_path / "saved")
    assert saved.fingerprint == data.fingerprint
    assert_rows(saved, [7, 1], [7, 1])
    assert pickle.loads(pickle.dumps(saved)).fingerprint == saved.fingerprint


def test_selected_and_shuffled_rows(tmp_path: Path) -> None:
    chosen = made().select([6, 1, 4, 3])
    data = opened(chosen)
    assert_rows(data, [0, 1, 2, 3], [6, 1, 4, 3])
    nulls = made(note=[None if i == 4 else x for i, x in enumerate(TEXTS)]).select([6, 1, 4, 3])
    assert opened(nulls).presence("note").tolist() == [True, True, False, True]


def test_formats_and_transforms_do_not_matter() -> None:
    dataset = made().with_format("numpy")
    dataset.set_transform(lambda rows: {key: [0] * len(x) for key, x in rows.items()})
    assert_rows(opened(dataset), [2], [2])


def test_nulls_are_not_recorded() -> None:
    photos: list[Any] = [{"bytes": png(x), "path": None} for x in pictures()]
    photos[3] = None
    steps: list[Any] = [x.tolist() for x in LISTS]
    steps[5] = None
    data = opened(made(photo=photos, steps=steps), whole=True)
    assert np.flatnonzero(~data.presence("photo")).tolist() == [3]
    assert np.flatnonzero(~data.presence("steps")).tolist() == [5]
    assert data.fingerprint.startswith("sha256:")
    check(data)


def test_splits_of_a_dict_and_of_a_column(tmp_path: Path) -> None:
    both = datasets.DatasetDict(train=made().select([0, 1, 2]), test=made().select([3, 4, 5]))
    both.save_to_disk(tmp_path / "both")
    assert_rows(opened(tmp_path / "both", split="test"), [0, 1, 2], [3, 4, 5])
    with pytest.raises(BadInput, match="'train', 'test'"):
        opened(tmp_path / "both")
    assert_rows(opened(made(site=["s", "s", "n", "n"] * 2), split="site=s"), [0, 1, 2, 3], [0, 1, 4, 5])


def test_files_kept_as_paths_need_a_root(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i, pixels in enumerate(pictures()):
        (tmp_path / "in" / f"{i}.png").write_bytes(png(pixels))
    photos = [{"bytes": None, "path": str(tmp_path / "in" / f"{i}.png")} for i in range(N)]
    with pytest.raises(BadInput, match="root="):
        opened(made(photo=photos))
    assert_rows(opened(made(photo=photos), root=tmp_path / "in"), [4], [4])
    (tmp_path / "out.png").write_bytes(png(pictures()[0]))
    photos[0] = {"bytes": None, "path": "../out.png"}
    with pytest.raises(BadInput, match="leads out"):
        opened(made(photo=photos), root=tmp_path / "in")


def test_a_changed_picture_changes_the_fingerprint() -> None:
    photos = [{"bytes": png(x), "path": None} for x in pictures()]
    photos[2] = {"bytes": png(255 - pictures()[2]), "path": None}
    assert opened(made(photo=photos)).fingerprint != opened(made()).fingerprint


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="did you mean 'photo'"):
        HuggingFaceData(made(), ["phot"], "label", "classification")
    with pytest.raises(BadInput, match="declare"):
        HuggingFaceData(made(), ["matrix"], "label", "classification")
    with pytest.raises(BadInput, match="cannot be read in any order"):
        opened(made().to_iterable_dataset())
    with pytest.raises(BadInput, match="does not exist"):
        opened(tmp_path / "nowhere")
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../x.arrow"}]}), encoding="utf-8")
    with pytest.raises(BadInput, match=r"no readable Hugging Face data set.*'dataset_info\.json' cannot be read"):
        opened(tmp_path)
    with pytest.raises(BadInput, match="encoded files"):
        opened(made(), kinds={**KINDS, "photo": "text"})


@pytest.mark.parametrize("name", ["../outside.arrow", "{}/outside.arrow", "link.arrow", "file://x.arrow", None, ["x"]])
def test_no_data_file_is_read_from_outside_the_folder(tmp_path: Path, name: Any) -> None:
    """`load_from_disk` would read it: whatever state.json names, with its values as the data set's own."""
    made().save_to_disk(tmp_path / "saved")
    state = tmp_path / "saved" / "state.json"
    (data,) = (tmp_path / "saved").glob("*.arrow")
    data.rename(tmp_path / "outside.arrow")
    (tmp_path / "saved" / "link.arrow").symlink_to(tmp_path / "outside.arrow")
    content = json.loads(state.read_text(encoding="utf-8"))
    content["_data_files"] = [{"filename": name.format(tmp_path) if isinstance(name, str) else name}]
    state.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadInput, match=r"leads out of the folder|no path of a file|has no data file"):
        opened(tmp_path / "saved")


@pytest.mark.parametrize("name", ["..", "../saved", "a/b", "", 3])
def test_no_split_leads_out_of_the_folder(tmp_path: Path, name: Any) -> None:
    made().save_to_disk(tmp_path / "saved")
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "dataset_dict.json").write_text(json.dumps({"splits": [name]}), encoding="utf-8")
    with pytest.raises(BadInput, match=r"no list of splits|leads out"):
        opened(tmp_path / "both", split=str(name))
    (tmp_path / "both" / "dataset_dict.json").write_text('{"splits": ["link"]}', encoding="utf-8")
    (tmp_path / "both" / "link").symlink_to(tmp_path / "saved")
    with pytest.raises(BadInput, match="leads out of the folder"):
        opened(tmp_path / "both", split="link")


def test_offsets_that_lie_are_refused(tmp_path: Path) -> None:
    """Arrow follows the offsets of a text wherever they lead, unless they are looked through first."""
    made().save_to_disk(tmp_path / "saved")
    (data,) = (tmp_path / "saved").glob("*.arrow")
    content = bytearray(data.read_bytes())
    ends = np.cumsum([0, *(len(x.encode()) for x in TEXTS)]).astype("<i4").tobytes()
    at = content.index(ends)
    content[at + 8 : at + 12] = (2**31 - 1).to_bytes(4, "little")
    data.write_bytes(bytes(content))
    with pytest.raises(BadInput, match="no readable Hugging Face data set"):
        opened(tmp_path / "saved")


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    made().save_to_disk(tmp_path / "saved")
    (data,) = (tmp_path / "saved").glob("*.arrow")
    content = data.read_bytes()
    for name in (b"bytes\0", b"note\0"):
        assert name in content
        data.write_bytes(content.replace(name, b"\x9e" + name[1:]))
        with pytest.raises(BadInput, match="no readable Hugging Face data set"):
            opened(tmp_path / "saved")


def test_parts_are_read_as_one_and_formats_need_no_library(tmp_path: Path) -> None:
    made().with_format("numpy").save_to_disk(tmp_path / "saved", num_shards=3)
    state = tmp_path / "saved" / "state.json"
    content = json.loads(state.read_text(encoding="utf-8"))
    assert len(content["_data_files"]) == 3
    state.write_text(json.dumps({**content, "_format_type": "a library that nobody has"}), encoding="utf-8")
    assert_rows(opened(tmp_path / "saved"), [7, 0, 3], [7, 0, 3])
