"""Tables that name files: every format gives the same samples; missing files; nothing outside the root is read."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import media_folder
from helpers.media_folder import KINDS, MODALITIES, N, pictures, sounds, write_folder, write_table
from mmaudit.data import ArrayData, check, read_folder, read_table, subset
from mmaudit.data.confined import Root
from mmaudit.errors import BadInput, UnknownName
from mmaudit.types import Task

pytest.importorskip("soundfile")

FORMATS = ["metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet"]


def opened(folder: Path, **options: Any) -> Any:
    given: dict[str, Any] = {"kinds": KINDS, "ids": "id", "groups": ("site",), "cluster": "site", **options}
    return read_folder(folder, MODALITIES, "label", "classification", **given)


def in_memory() -> ArrayData:
    told = media_folder.columns()
    return ArrayData(
        {
            "photo": pictures(),
            "voice": sounds(),
            "note": told["note"],
            "body": np.column_stack([told["age"], told["height"]]),
        },
        told["label"],
        "classification",
        kinds={"voice": "audio,sample_rate=8000"},
        ids=told["id"],
        groups={"site": told["site"]},
        cluster=told["site"],
    )


@pytest.mark.parametrize("table", FORMATS)
def test_every_format_holds_the_same_samples_as_memory(tmp_path: Path, table: str) -> None:
    data = opened(write_folder(tmp_path, table), whole=True)
    check(data)
    assert data.modalities == in_memory().modalities
    # The same values, ids, targets, groups and descriptions: the same fingerprint over all content.
    assert data.fingerprint == in_memory().fingerprint
    again = opened(tmp_path)
    assert again.fingerprint.startswith("sampled:")
    batch, expected = again.rows(np.array([5, 0, 5])), in_memory().rows(np.array([5, 0, 5]))
    for name in MODALITIES:
        for a, b in zip(batch.inputs[name], expected.inputs[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_worker_can_read_for_itself(tmp_path: Path) -> None:
    data = opened(write_folder(tmp_path))
    copy = pickle.loads(pickle.dumps(data))
    assert copy.fingerprint == data.fingerprint
    np.testing.assert_array_equal(copy.values("photo", np.arange(N)), pictures())


def test_only_what_is_asked_for_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = opened(write_folder(tmp_path))
    read: list[str] = []
    real = Root.read
    monkeypatch.setattr(Root, "read", lambda self, name, who, limit: read.append(name) or real(self, name, who, limit))
    data.values("photo", np.array([3]))
    assert read == ["img/3.png"]
    data.rows(np.array([6, 2]))
    assert sorted(read[1:]) == ["img/2.png", "img/6.png", "snd/2.wav", "snd/6.wav"]


def test_empty_cells_and_absent_files_are_not_recorded(tmp_path: Path) -> None:
    told = media_folder.columns()
    write_folder(tmp_path, photo=["", *told["photo"][1:]], note=[*told["note"][:-1], None])
    (tmp_path / "snd" / "4.wav").unlink()
    for data in (opened(tmp_path), opened(tmp_path, whole=True)):
        assert np.flatnonzero(~data.presence("photo")).tolist() == [0]
        assert np.flatnonzero(~data.presence("voice")).tolist() == [4]
        assert np.flatnonzero(~data.presence("note")).tolist() == [7]
        assert "1 named files are absent" in data.source
        batch = data.rows(np.array([0, 4, 7]))
        assert not batch.inputs["photo"][0].any()
        assert batch.inputs["note"].tolist()[-1] == ""
        check(data)
    with pytest.raises(UnknownName):
        data.presence("smell")


def test_a_wrong_root_is_no_missingness(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a")
    (tmp_path / "b").mkdir()
    with pytest.raises(BadInput, match="none of its 8 files exists"):
        opened(folder, root=tmp_path / "b")


def test_a_changed_file_changes_the_fingerprint(tmp_path: Path) -> None:
    before = opened(write_folder(tmp_path)).fingerprint
    assert opened(tmp_path).fingerprint == before
    (tmp_path / "img" / "3.png").write_bytes(media_folder.png(255 - pictures()[3]))
    assert opened(tmp_path).fingerprint != before


@pytest.mark.parametrize(
    "name", ["../secret.png", "img/../../secret.png", "{absolute}", "img/link.png", "linked/s.png"]
)
def test_nothing_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(media_folder.png(pictures()[0]))
    folder = write_folder(tmp_path / "data")
    (folder / "img" / "link.png").symlink_to(secret)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "s.png").write_bytes(secret.read_bytes())
    (folder / "linked").symlink_to(tmp_path / "outside")
    photos = [name.format(absolute=secret), *media_folder.columns()["photo"][1:]]
    write_table(folder / "metadata.csv", photo=photos)
    with pytest.raises(BadInput, match="leads out of the folder"):
        opened(folder)


def test_a_link_made_later_is_refused_too(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data")
    (tmp_path / "secret.png").write_bytes(media_folder.png(pictures()[0]))
    data = opened(folder)
    (folder / "img" / "2.png").unlink()
    (folder / "img" / "2.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(BadInput, match="leads out of the folder"):
        data.values("photo", np.array([2]))


def test_links_within_the_root_and_absolute_names_in_it_are_fine(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data")
    (folder / "img" / "link.png").symlink_to(folder / "img" / "5.png")
    photos = ["img/link.png", str(folder / "img" / "1.png"), *media_folder.columns()["photo"][2:]]
    write_table(folder / "metadata.csv", photo=photos)
    np.testing.assert_array_equal(opened(folder).values("photo", np.array([0, 1])), pictures()[[5, 1]])


@pytest.mark.parametrize("name", ["https://example.org/x.png", "file:///etc/passwd", "a\0b.png"])
def test_addresses_are_no_files(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, "metadata.jsonl", photo=[name, *media_folder.columns()["photo"][1:]])
    with pytest.raises(BadInput, match="no path of a file"):
        opened(tmp_path)


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "img" / "1.png").unlink()
    os.mkfifo(tmp_path / "img" / "1.png")
    with pytest.raises(BadInput, match="no regular file"):
        opened(tmp_path)


def test_patterns_fill_in_columns(tmp_path: Path) -> None:
    write_folder(tmp_path, number=[str(i) for i in range(N)])
    data = read_folder(tmp_path, {"photo": "img/{number}.png"}, "label", "classification", kinds={"photo": "image"})
    np.testing.assert_array_equal(data.values("photo", np.arange(N)), pictures())
    # Not Python's own formatting, which could reach into objects.
    with pytest.raises(BadInput, match="has no"):
        read_folder(tmp_path, {"photo": "{number.__class__}"}, "label", "classification", kinds={"photo": "image"})


def test_files_of_text_and_of_arrays(tmp_path: Path) -> None:
    write_folder(tmp_path, said=[f"t{i}.txt" for i in range(N)], vector=[f"v{i}.npy" for i in range(N)])
    for i in range(N):
        (tmp_path / f"t{i}.txt").write_text(f"text {i}", encoding="utf-8")
        np.save(tmp_path / f"v{i}.npy", np.full(3, i, np.float32))
    given = {"said": "said", "vector": "vector"}
    kinds = {"said": "text", "vector": "embedding"}
    data = read_folder(tmp_path, given, "label", "classification", kinds=kinds, files=("said",))
    assert data.values("said", np.array([3])).tolist() == ["text 3"]
    np.testing.assert_array_equal(data.values("vector", np.array([2, 7])), [[2, 2, 2], [7, 7, 7]])


def test_pictures_of_differing_sizes(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "img" / "6.png").write_bytes(media_folder.png(np.zeros((4, 12, 3), np.uint8)))
    assert opened(tmp_path, whole=True).modalities[0].shape == (None, None, 3)
    sized = opened(tmp_path, kinds={**KINDS, "photo": "image,size=5x4"})
    assert sized.values("photo", np.arange(N)).shape == (N, 5, 4, 3)
    assert "resized to 5x4" in sized.source


def test_a_rare_odd_size_is_found_when_read_and_told(tmp_path: Path) -> None:
    n = 200
    (tmp_path / "img").mkdir()
    for i in range(n):
        size = (4, 5, 3) if i == 100 else (3, 5, 3)
        (tmp_path / "img" / f"{i}.png").write_bytes(media_folder.png(np.full(size, i, np.uint8)))
    rows = "\n".join(f"img/{i}.png,{i % 2}" for i in range(n))
    (tmp_path / "metadata.csv").write_text(f"photo,label\n{rows}\n", encoding="utf-8")
    data = read_folder(tmp_path, {"photo": "photo"}, "label", "classification", kinds={"photo": "image"})
    with pytest.raises(BadInput, match=r"sample id 100.*\[4, 5, 3\]"):
        data.values("photo", np.arange(n))
    looked = read_folder(tmp_path, {"photo": "photo"}, "label", "classification", kinds={"photo": "image"}, whole=True)
    assert looked.modalities[0].shape == (None, 5, 3)
    assert looked.values("photo", np.array([100, 0]))[0].shape == (4, 5, 3)


def test_a_damaged_file_is_named_at_once_with_whole(tmp_path: Path) -> None:
    n = 150
    (tmp_path / "img").mkdir()
    for i in range(n):
        (tmp_path / "img" / f"{i}.png").write_bytes(media_folder.png(np.full((2, 2, 3), i, np.uint8)))
    (tmp_path / "img" / "77.png").write_bytes(b"not a picture")
    rows = "\n".join(f"img/{i}.png,{i % 2}" for i in range(n))
    (tmp_path / "metadata.csv").write_text(f"photo,label\n{rows}\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"img/77\.png"):
        read_folder(tmp_path, {"photo": "photo"}, "label", "classification", kinds={"photo": "image"}, whole=True)


def test_ids_of_whole_numbers_are_numbers_and_splits_keep_them(tmp_path: Path) -> None:
    write_folder(tmp_path, id=[10 + i for i in range(N)])
    data = opened(tmp_path, split="test")
    assert data.ids.tolist() == [12, 13, 14, 15, 16, 17]
    np.testing.assert_array_equal(data.values("photo", np.array([0])), pictures()[[2]])
    part = subset(data, [3, 0])
    np.testing.assert_array_equal(part.values("photo", np.array([0, 1])), pictures()[[5, 2]])
    assert opened(tmp_path, ids=None, split="test").ids.tolist() == [2, 3, 4, 5, 6, 7]


def test_retrieval_needs_no_target(tmp_path: Path) -> None:
    write_folder(tmp_path)
    data = read_folder(tmp_path, {"photo": "photo", "note": "note"}, None, "retrieval:note->photo", kinds=KINDS_TWO)
    assert data.task == Task.retrieval("note", "photo")
    check(data)


KINDS_TWO = {"photo": "image", "note": "text"}


def test_which_table(tmp_path: Path) -> None:
    write_folder(tmp_path, "samples.csv")
    assert len(opened(tmp_path)) == N
    write_table(tmp_path / "more.csv")
    with pytest.raises(BadInput, match=r"more\.csv.*samples\.csv"):
        opened(tmp_path)
    assert len(opened(tmp_path, table="more.csv")) == N
    with pytest.raises(BadInput, match="does not exist"):
        opened(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", b'photo,label\n"open', "cannot be read"),
        ("x.csv", b"\xff\xfe\x00", "is not in UTF-8"),
        ("x.csv", b"", "cannot be read"),
        ("x.jsonl", b"[1]\n", "no JSON object"),
        ("x.jsonl", b"{\n", "cannot be read"),
        ("x.jsonl", b"[" * 100_000, "cannot be read"),
        ("x.parquet", b"PAR1", "cannot be read"),
        ("x.csv", b"photo\na.png\n", "has no 'label'"),
        ("x.xlsx", b"", "ends in"),
    ],
)
def test_damaged_tables(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read_table(tmp_path / name, {"photo": "photo"}, "label", "classification", kinds={"photo": "image"})


def test_declarations_that_cannot_be(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(BadInput, match="no modality"):
        opened(tmp_path, kinds={**KINDS, "smell": "image"})
    with pytest.raises(BadInput, match="of what kind"):
        read_folder(tmp_path, {"p": "img/{id}.png"}, "label", "classification")
    with pytest.raises(BadInput, match="at least one modality"):
        read_folder(tmp_path, {}, "label", "classification")


def plain(folder: Path, content: str, task: Task | str = "classification", name: str = "x.csv", **options: Any) -> Any:
    """A data set from a table of `x` and `label`, whose text is given."""
    (folder / name).write_text(content, encoding="utf-8")
    return read_table(folder / name, {"x": ["x"]}, "label", task, **options)


@pytest.mark.parametrize(
    ("content", "names", "fields"),
    [
        ("x,label\n0.5,0,9\n1.5,1,8\n", 2, 3),  # a column more that nobody named
        ("x,label\n0,0.5,1\n1,1.5,0\n", 2, 3),  # … numbered like an index
        ("x,label\n0.5,0,\n1.5,1,\n", 2, 3),  # a delimiter at the end of each row
        ("x,label\n0.5,0,7\n1.5,1\n", 2, 3),  # only in the first
        ("\nx,label\n\n0.5,0,8,9\n", 2, 4),
        ('"x","label"\n"0\n\n5",0,7\n', 2, 3),  # line breaks within a cell
    ],
)
def test_more_fields_than_names_are_refused(tmp_path: Path, content: str, names: int, fields: int) -> None:
    said = rf"x\.csv: its header has {names} names, but its first row has {fields} fields.*name every field"
    with pytest.raises(BadInput, match=said):
        plain(tmp_path, content)
    with pytest.raises(BadInput, match=said.replace("csv", "tsv")):
        plain(tmp_path, content.replace(",", "\t"), name="x.tsv")


def test_a_later_row_with_more_fields_is_refused_and_one_with_fewer_lacks_cells(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Expected 2 fields in line 3, saw 3"):
        plain(tmp_path, "x,label\n0.5,0\n1.5,1,7\n")
    data = plain(tmp_path, "label,x\n0,0.5\n1\n1,2.5\n", whole=True)
    assert data.presence("x").tolist() == [True, False, True]
    assert plain(tmp_path, "x,label,\n0.5,0,\n1.5,1,\n").target.tolist() == [0, 1]  # a column without a name


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.parquet"])
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, name: str) -> None:
    columns = ["x", "x", "label", "note", "note"]
    if name.endswith("parquet"):
        arrays = [pa.array([1.0, 2.0]), pa.array([3.0, 4.0]), pa.array([0, 1]), pa.array([5, 6]), pa.array([7, 8])]
        pq.write_table(pa.Table.from_arrays(arrays, columns), tmp_path / name)
    else:
        rows = [columns, [1, 3, 0, 5, 7], [2, 4, 1, 6, 8]]
        sign = "," if name == "x.csv" else "\t"
        (tmp_path / name).write_text("".join(sign.join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(BadInput, match=r"x\..*: column 'x' occurs more than once; rename one of them"):
        read_table(tmp_path / name, {"v": ["x"]}, "label", "classification")


def test_columns_that_nobody_reads_may_be_there_twice(tmp_path: Path) -> None:
    data = plain(tmp_path, "x,label,note,note\n0.5,0,a,b\n1.5,1,c,d\n")
    assert data.values("x", np.arange(2)).ravel().tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("labels", "task", "names", "target"),
    [
        ("01 1 02 01", "classification", ("01", "02", "1"), [0, 2, 1, 0]),
        ("01 02 03 01", "classification", ("01", "02", "03"), [0, 1, 2, 0]),
        ("1 1.0 2 1", "classification", ("1", "1.0", "2"), [0, 1, 2, 0]),
        ("True False True False", "classification", ("False", "True"), [1, 0, 1, 0]),
        ("True False True False", Task.classification(("True", "False")), ("True", "False"), [0, 1, 0, 1]),
        # Class numbers stay class numbers, in the order of numbers.
        ("10 2 0 1 3 4 5 6 7 8 9", "classification", tuple(map(str, range(11))), [10, 2, 0, 1, *range(3, 10)]),
        ("2 0 2 0", "classification:3", ("0", "1", "2"), [2, 0, 2, 0]),
        ("1.0 0.0 1.0 0.0", "classification", ("0", "1"), [1, 0, 1, 0]),
        ("1.000e+00 0.000e+00 1.000e+00", "classification", ("0", "1"), [1, 0, 1]),
        ("1 0 0 1", Task.classification(("cat", "dog")), ("cat", "dog"), [1, 0, 0, 1]),
        ("True False False True", "classification:2", ("0", "1"), [1, 0, 0, 1]),
        ("true false false true", Task.classification(("no", "yes")), ("no", "yes"), [1, 0, 0, 1]),
    ],
)
@pytest.mark.parametrize("groups", [(), ("label",)])
def test_class_labels_of_a_csv_are_names_unless_they_are_plain_numbers(
    tmp_path: Path, labels: str, task: Task | str, names: tuple[str, ...], target: list[int], groups: tuple[str, ...]
) -> None:
    rows = "".join(f"{i}.5,{label}\n" for i, label in enumerate(labels.split()))
    data = plain(tmp_path, f"x,label\n{rows}", task, groups=groups)
    assert data.task.names == names
    assert data.target.tolist() == target


def test_labels_that_are_no_classes_are_still_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="classes cannot be told"):
        plain(tmp_path, "x,label\n1,0.25\n2,0.5\n3,0.50\n4,1\n")
    with pytest.raises(BadInput, match="target is missing for sample id 1"):
        plain(tmp_path, "x,label\n1,0\n2,\n3,1\n")
    with pytest.raises(BadInput, match="label '00' is not one of the 2 classes"):
        plain(tmp_path, "x,label\n1,00\n2,01\n", "classification:2")


def test_other_targets_of_a_csv_are_numbers(tmp_path: Path) -> None:
    assert plain(tmp_path, "x,label\n1,01\n2,1.5\n", "regression").target.tolist() == [[1.0], [1.5]]
    both = read_table(tmp_path / "x.csv", {"v": ["x", "label"]}, "x", "classification:3")
    assert both.values("v", np.arange(2)).tolist() == [[1.0, 1.0], [2.0, 1.5]]  # a target that is an input too


def test_booleans_with_missing_cells_are_numbers(tmp_path: Path) -> None:
    data = plain(tmp_path, "x,label\nTrue,0\n,1\nFalse,1\n", whole=True)
    assert data.presence("x").tolist() == [True, False, True]
    assert data.values("x", np.arange(3)).ravel().tolist() == [1.0, 0.0, 0.0]
