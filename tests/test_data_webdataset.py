"""WebDataset shards, written and read back by the library itself; damaged and hostile archives are refused."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.media_folder import png, sounds, wav
from mmaudit.data import check, read_webdataset
from mmaudit.data.shards import find_shards, index_shards
from mmaudit.errors import BadInput

RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
VECTORS = RNG.normal(size=(6, 4)).astype(np.float32)


def write(folder: Path, shards: int = 2) -> str:
    wds = pytest.importorskip("webdataset")
    for shard in range(shards):
        with wds.TarWriter(str(folder / f"part-{shard:03d}.tar")) as out:
            for i in range(shard, 6, shards):
                record = {
                    "caption": f"text {i}",
                    "site": "ab"[i % 2],
                    "stars": i / 2,
                    "split": "test" if i else "train",
                }
                sample = {"__key__": f"dir/s{i}", "png": PIXELS[i], "cls": i % 3, "json": record, "vec.npy": VECTORS[i]}
                out.write(sample if i != 4 else {k: v for k, v in sample.items() if k != "png"})
    return str(folder / f"part-{{000..{shards - 1:03d}}}.tar")


MODALITIES = {"photo": "png", "note": "json.caption", "vector": "vec.npy"}


def opened(shards: Any, **options: Any) -> Any:
    given = {"kinds": {"vector": "embedding"}, "groups": ("json.site",), **options}
    return read_webdataset(shards, MODALITIES, "cls", "classification", **given)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_samples_are_those_that_webdataset_itself_reads(tmp_path: Path) -> None:
    pattern = write(tmp_path)
    wds = pytest.importorskip("webdataset")
    expected = {s["__key__"]: s for s in wds.WebDataset(pattern, shardshuffle=False).decode("rgb8")}
    data = opened(pattern)
    check(data)
    assert set(data.ids.tolist()) == set(expected)
    order = np.random.default_rng(0).permutation(len(data))
    batch = data.rows(order)
    for row, key in enumerate(batch.ids.tolist()):
        sample = expected[key]
        assert batch.target[row] == sample["cls"]
        assert batch.inputs["note"][row] == sample["json"]["caption"]
        np.testing.assert_array_equal(batch.inputs["vector"][row], sample["vec.npy"])
        assert batch.present["photo"][row] == ("png" in sample)
        np.testing.assert_array_equal(batch.inputs["photo"][row], sample.get("png", np.zeros((5, 7, 3), np.uint8)))
    assert data.groups["json.site"].tolist() == [expected[key]["json"]["site"] for key in data.ids.tolist()]


def test_offsets_are_those_of_the_archive(tmp_path: Path) -> None:
    write(tmp_path)
    index = index_shards(find_shards(tmp_path))
    for ending, places in index.places.items():
        for row, (shard, offset, size) in places.items():
            with tarfile.open(index.paths[shard]) as archive:
                content = archive.extractfile(f"{index.keys[row]}.{ending}")
                assert content is not None
                assert index.paths[shard].read_bytes()[offset : offset + size] == content.read()


def test_splits_fields_targets_and_ids(tmp_path: Path) -> None:
    pattern = write(tmp_path)
    data = opened(pattern, split="test")
    assert "dir/s0" not in data.ids.tolist()
    assert len(data) == 5
    assert opened(pattern, split="json.site=a").ids.tolist() == ["dir/s0", "dir/s2", "dir/s4"]
    stars = read_webdataset(pattern, {"note": "json.caption"}, "json.stars", "regression")
    assert dict(zip(stars.ids.tolist(), stars.target[:, 0].tolist(), strict=True))["dir/s5"] == 2.5
    assert pickle.loads(pickle.dumps(data)).fingerprint == data.fingerprint


def test_keys_of_several_shards_stay_apart(tmp_path: Path) -> None:
    for shard in "ab":
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as out:
            for i in range(2):
                add(out, f"{i}.txt", f"{shard}{i}".encode())
                add(out, f"{i}.cls", str(i).encode())
    data = read_webdataset(str(tmp_path / "*.tar"), {"note": "txt"}, "cls", "classification")
    assert data.ids.tolist() == ["a/0", "a/1", "b/0", "b/1"]
    assert data.values("note", np.arange(4)).tolist() == ["a0", "a1", "b0", "b1"]


def test_sounds(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        for i, wave in enumerate(sounds(4)):
            add(out, f"{i}.wav", wav(wave))
            add(out, f"{i}.cls", str(i % 2).encode())
    data = read_webdataset(tmp_path / "a.tar", {"voice": "wav"}, "cls", "classification")
    assert data.modalities[0].sample_rate == 8000
    for row, wave in enumerate(sounds(4)):
        np.testing.assert_array_equal(data.values("voice", np.array([row]))[0], wave)


def add(out: tarfile.TarFile, name: str, content: bytes, **changes: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    out.addfile(info, io.BytesIO(content))


def test_links_and_pipes_in_an_archive_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        for i in range(2):
            add(out, f"{i}.txt", b"text")
            add(out, f"{i}.cls", str(i).encode())
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            add(out, "2.txt", b"", type=kind, linkname=str(tmp_path / "secret"))
    data = read_webdataset(tmp_path / "a.tar", {"note": "txt"}, "cls", "classification")
    assert data.values("note", np.arange(len(data))).tolist() == ["text", "text"]


def test_pickled_members_are_never_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        for i in range(2):
            add(out, f"{i}.pyd", pickle.dumps({"x": i}))
            add(out, f"{i}.cls", str(i).encode())
    with pytest.raises(BadInput, match="array file"):
        read_webdataset(tmp_path / "a.tar", {"x": "pyd"}, "cls", "classification", kinds={"x": "embedding"})


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    pattern = write(tmp_path)
    with pytest.raises(BadInput, match=r"no sample has a member ending in jpg; there are cls"):
        read_webdataset(pattern, {"photo": "jpg"}, "cls", "classification")
    with pytest.raises(BadInput, match=r"no JSON member has 'title'.*caption"):
        read_webdataset(pattern, {"photo": "png"}, "json.title", "classification")
    with pytest.raises(BadInput, match="say what"):
        read_webdataset(pattern, {"vector": "vec.npy"}, "cls", "classification")
    with pytest.raises(BadInput, match="target is missing"):
        read_webdataset(pattern, {"photo": "png"}, None, "classification")
    with pytest.raises(BadInput, match=r"no such \.tar file"):
        read_webdataset(tmp_path / "none.tar", {"photo": "png"}, "cls", "classification")
    packed = tmp_path / "p.tar.gz"
    packed.write_bytes(gzip.compress((tmp_path / "part-000.tar").read_bytes()))
    with pytest.raises(BadInput, match="unpack"):
        read_webdataset(packed, {"photo": "png"}, "cls", "classification")


@pytest.mark.parametrize("damage", ["empty", "noise", "cut", "negative", "huge"])
def test_damaged_archives(tmp_path: Path, damage: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for i in range(3):
            add(archive, f"{i}.png", png(PIXELS[i]))
            add(archive, f"{i}.cls", str(i).encode())
    whole = out.getvalue()
    content = {"empty": b"", "noise": RNG.bytes(3000), "cut": whole[:600]}.get(damage)
    if content is None:
        # The size field, base-256: −512, or far more than the file has; with a checksum that fits.
        size = (-512 if damage == "negative" else 1 << 50).to_bytes(12, "big", signed=True)
        header = bytearray(whole[:512])
        header[124:136] = bytes([size[0] | 0x80]) + size[1:]
        header[148:156] = b" " * 8
        header[148:156] = f"{sum(header):06o}\0 ".encode()
        content = bytes(header) + whole[512:]
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(BadInput):
        read_webdataset(tmp_path / "a.tar", {"photo": "png"}, "cls", "classification")


def test_a_shard_that_shrinks_is_noticed(tmp_path: Path) -> None:
    data = opened(write(tmp_path, shards=1))
    path = tmp_path / "part-000.tar"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadInput, match="shorter"):
        data.values("photo", np.array([5]))


def test_json_members_that_are_no_records(tmp_path: Path) -> None:
    for content in (b"[1]", b"{", b"[" * 50_000, json.dumps("x").encode()):
        with tarfile.open(tmp_path / "a.tar", "w") as out:
            add(out, "0.json", content)
            add(out, "0.txt", b"x")
        with pytest.raises(BadInput, match="json member"):
            read_webdataset(tmp_path / "a.tar", {"note": "txt"}, "json.label", "classification")
