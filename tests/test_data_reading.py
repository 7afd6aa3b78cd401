"""One door to all readers: the form of a path decides; the same samples whatever the form; an audit runs on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers.media_folder import KINDS, LABELS, SITES, N, pictures, png, write_folder
from mmaudit import FunctionModel, audit
from mmaudit.data import FrameData, StreamedData, read
from mmaudit.errors import BadInput

VECTORS = np.random.default_rng(4).normal(size=(N, 3)).astype(np.float32)
KINDS_HERE = {"photo": "image", "vector": "embedding"}
TARGET = np.array([int(x == "dog") for x in LABELS])


def npz(folder: Path) -> Path:
    np.savez(folder / "x.npz", photo=pictures(), vector=VECTORS, label=TARGET, site=np.array(SITES))
    return folder / "x.npz"


def parquet(folder: Path) -> Path:
    frame = {"vector": VECTORS.tolist(), "label": TARGET, "site": SITES, "photo": [f"{i}.png" for i in range(N)]}
    table = pd.DataFrame(frame).astype({"label": "int64"})
    table["vector"] = [np.asarray(x, np.float32) for x in frame["vector"]]
    table.to_parquet(folder / "x.parquet")
    return files(folder) / "x.parquet"


def files(folder: Path) -> Path:
    for i, pixels in enumerate(pictures()):
        (folder / f"{i}.png").write_bytes(png(pixels))
        np.save(folder / f"{i}.npy", VECTORS[i])
    return folder


def folder_with_csv(folder: Path) -> Path:
    rows = [f"{i}.png,{i}.npy,{TARGET[i]},{SITES[i]}" for i in range(N)]
    (folder / "metadata.csv").write_text("\n".join(["photo,vector,label,site", *rows]), encoding="utf-8")
    return files(folder)


def zarr_group(folder: Path) -> Path:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(folder / "x.zarr"), mode="w")
    for name, values in (("photo", pictures()), ("vector", VECTORS), ("label", TARGET)):
        group.create_array(name, data=values)
    group.create_array("site", data=np.array(SITES, dtype=np.dtypes.StringDType()))
    return folder / "x.zarr"


def hugging_face(folder: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    columns = {
        "photo": [{"bytes": png(x), "path": None} for x in pictures()],
        "vector": VECTORS.tolist(),
        "label": TARGET.tolist(),
        "site": SITES,
    }
    features = {
        "photo": datasets.Image(),
        "vector": datasets.List(datasets.Value("float32")),
        "label": datasets.Value("int64"),
        "site": datasets.Value("string"),
    }
    datasets.Dataset.from_dict(columns, datasets.Features(features)).save_to_disk(folder / "saved")
    return folder / "saved"


@pytest.mark.parametrize("make", [npz, parquet, folder_with_csv, zarr_group, hugging_face])
def test_every_form_holds_the_same(tmp_path: Path, make: Any) -> None:
    path = make(tmp_path)
    data = read(
        path,
        "classification",
        kinds=KINDS_HERE,
        target="label",
        groups=("site",),
        **({} if make is npz else {"whole": True}),
    )
    expected = read(npz(tmp_path), "classification", kinds=KINDS_HERE, target="label", groups=("site",))
    assert data.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(data.rows(np.array([3, 1])).inputs["photo"], pictures()[[3, 1]])


def test_shards(tmp_path: Path) -> None:
    import io
    import tarfile

    with tarfile.open(tmp_path / "x.tar", "w") as out:
        for i in range(N):
            for ending, content in (("png", png(pictures()[i])), ("cls", str(TARGET[i]).encode())):
                info = tarfile.TarInfo(f"{i}.{ending}")
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    for path in (tmp_path / "x.tar", tmp_path, tmp_path / "*.tar"):
        data = read(path, "classification", kinds={"photo": "image"}, columns={"photo": "png"}, target="cls")
        np.testing.assert_array_equal(data.rows(np.arange(N)).inputs["photo"], pictures())


def test_parquet_without_files_stays_in_memory(tmp_path: Path) -> None:
    path = parquet(tmp_path)
    assert isinstance(read(path, "classification", kinds={"vector": "embedding"}, target="label"), FrameData)
    assert isinstance(read(path, "classification", kinds=KINDS_HERE, target="label"), StreamedData)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.mat").write_bytes(b"")
    for path, options, said in (
        ("x.mat", {"kinds": KINDS}, "ends in '.mat'; mmaudit reads .npz"),
        ("none.csv", {"kinds": KINDS}, "does not exist"),
        ("x.csv", {}, "--modality missing"),
        ("x.csv", {"kinds": KINDS, "task": None}, "--task missing"),
        ("x.csv", {"kinds": KINDS}, "--target missing"),
    ):
        (tmp_path / "x.csv").write_text("a,b\n", encoding="utf-8")
        with pytest.raises(BadInput, match=said):
            read(tmp_path / path, **{"task": "classification", **options})


def test_an_audit_of_a_folder_is_an_audit_of_its_content(tmp_path: Path) -> None:
    """Streamed from files or held in memory: the run keeps the same predictions, byte for byte."""
    pytest.importorskip("soundfile")

    def outputs(photo: Any, body: Any) -> Any:
        score = photo.reshape(len(photo), -1).mean(axis=1) / 255 + body[:, 0] / 100
        return np.stack([score, 1 - score], axis=1)

    (tmp_path / "data").mkdir()
    columns = {"photo": "photo", "body": ["age", "height"]}
    kinds = {"photo": "image", "body": "tabular"}
    folder = write_folder(tmp_path / "data" / "x")
    data = read(folder, "classification", kinds=kinds, columns=columns, target="label", ids="id", whole=True)
    told = data.rows(np.arange(N))
    from mmaudit import ArrayData

    memory = ArrayData(dict(told.inputs), data.target, data.task, ids=data.ids)
    found = []
    for name, given in (("streamed", data), ("memory", memory)):
        model = FunctionModel(outputs, ("photo", "body"), outputs="logits", name="mean")
        audit(model, given, out=tmp_path / name, suite="quick", resamples=100)
        files = sorted((tmp_path / name).rglob("*.parquet"))
        found.append({str(x.relative_to(tmp_path / name)): x.read_bytes() for x in files})
    assert found[0] == found[1]
    assert found[0]
