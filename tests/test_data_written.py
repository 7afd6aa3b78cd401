"""What is written in a table or an option: empty cells, numbers, and texts that only Python takes for numbers."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaudit import budget, options
from mmaudit.data import check, read_table, read_webdataset
from mmaudit.data.decoding import decoder_of
from mmaudit.data.infer import parse_kind
from mmaudit.data.shards import find_shards
from mmaudit.data.tasks import parse_task
from mmaudit.errors import BadInput
from mmaudit.given import number, whole

NONE: list[str] = ["", " ", "1_0", "_1", "١", "²", "0x1", "1e", "one", "--1", "1 0", "nan"]
"""Texts that say no number; `int` or `float` take three of them for one."""

EMPTY = {
    "csv": "x,y,label\n0.5,1,0\n,2,1\n1.5,,1\n",
    "tsv": "x\ty\tlabel\n0.5\t1\t0\n\t2\t1\n1.5\t\t1\n",
    "jsonl": '{"x": 0.5, "y": 1, "label": 0}\n{"x": null, "y": 2, "label": 1}\n{"x": 1.5, "label": 1}\n',
}


# ---- empty cells


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("form", EMPTY)
def test_an_empty_number_was_not_recorded(tmp_path: Path, form: str, whole: bool) -> None:
    (tmp_path / f"t.{form}").write_text(EMPTY[form], encoding="utf-8")
    data = read_table(tmp_path / f"t.{form}", {"x": ["x"], "y": ["y"]}, "label", "classification", whole=whole)
    check(data)
    assert data.presence("x").tolist() == [True, False, True]
    assert data.presence("y").tolist() == [True, True, False]
    batch = data.rows(np.arange(3))
    assert batch.inputs["x"].ravel().tolist() == [0.5, 0.0, 1.5]
    assert batch.inputs["y"].ravel().tolist() == [1.0, 2.0, 0.0]  # whole numbers, read as float64
    assert [m.dtype for m in data.modalities] == ["float64", "float64"]


def test_an_empty_number_far_behind_those_that_are_looked_at(tmp_path: Path) -> None:
    cells = [str(i % 7) for i in range(1000)]
    cells[517] = ""
    rows = "\n".join(f"{x},{i % 2}" for i, x in enumerate(cells))
    (tmp_path / "t.csv").write_text(f"x,label\n{rows}\n", encoding="utf-8")
    data = read_table(tmp_path / "t.csv", {"x": ["x"]}, "label", "classification")
    assert np.flatnonzero(~data.presence("x")).tolist() == [517]
    assert data.rows(np.array([516, 517, 518])).present["x"].tolist() == [True, False, True]


def test_a_row_that_is_empty_in_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y,label\n1,2,0\n,3,1\n,,1\n", encoding="utf-8")
    given: tuple[Any, ...] = (tmp_path / "t.csv", {"v": ["x", "y"]}, "label", "classification")
    data = read_table(*given)
    assert data.presence("v").tolist() == [True, True, False]
    for read in (lambda: data.rows(np.arange(3)), lambda: read_table(*given, whole=True)):
        with pytest.raises(BadInput, match=r"modality 'v' is NaN in part \(first at \[0\]: nan\) for sample id 1"):
            read()


# ---- numbers of WebDataset members


def shard(folder: Path, samples: Sequence[dict[str, str]]) -> Path:
    """A shard of samples, by the endings of their members."""
    with tarfile.open(folder / "a.tar", "w") as out:
        for i, members in enumerate(samples):
            for ending, text in {"txt": f"note {i}", **members}.items():
                info = tarfile.TarInfo(f"{i}.{ending}")
                info.size = len(text.encode())
                out.addfile(info, io.BytesIO(text.encode()))
    return folder / "a.tar"


@pytest.mark.parametrize("field", [False, True])
@pytest.mark.parametrize(
    ("labels", "classes", "target"),
    [
        (["1", "00_1", "1"], ("00_1", "1"), [1, 0, 1]),  # two classes, not one
        (["1_0", "0", "1_0"], ("0", "1_0"), [1, 0, 1]),
        (["01", "1", "01"], ("01", "1"), [0, 1, 0]),
        (["١", "1", "1"], ("1", "١"), [1, 0, 0]),
        (["0", "1", "1"], ("0", "1"), [0, 1, 1]),
        (["0.0", "1.0", "1.0"], ("0", "1"), [0, 1, 1]),
        (["cat", "dog", "cat"], ("cat", "dog"), [0, 1, 0]),
    ],
)
def test_class_labels_of_shards_are_names_unless_they_are_plain_numbers(
    tmp_path: Path, labels: list[str], classes: tuple[str, ...], target: list[int], field: bool
) -> None:
    samples = [{"json": json.dumps({"label": x})} if field else {"cls": x} for x in labels]
    where = "json.label" if field else "cls"
    data = read_webdataset(shard(tmp_path, samples), {"note": "txt"}, where, "classification")
    assert data.task.names == classes
    assert data.target.tolist() == target


def test_other_targets_of_shards_are_numbers(tmp_path: Path) -> None:
    def read(*labels: str) -> Any:
        return read_webdataset(shard(tmp_path, [{"cls": x} for x in labels]), {"note": "txt"}, "cls", "regression")

    assert read("0.5", "01", "-2e1").target.tolist() == [[0.5], [1.0], [-20.0]]
    with pytest.raises(BadInput, match="target holds strings"):
        read("0.5", "1_0", "2")


def test_ids_of_shards_stay_apart(tmp_path: Path) -> None:
    def ids(*names: str) -> list[Any]:
        samples = [{"cls": str(i % 2), "json": json.dumps({"id": name})} for i, name in enumerate(names)]
        read = read_webdataset(shard(tmp_path, samples), {"note": "txt"}, "cls", "classification", ids="json.id")
        return list(read.ids.tolist())

    assert ids("1", "01", "1_0", "10") == ["1", "01", "1_0", "10"]
    assert ids("3", "-1", "10") == [3, -1, 10]


# ---- numbers of options


def test_numbers_are_those_of_digits() -> None:
    assert [whole(x) for x in ("0", "007", "-12", "+3", " 4 ")] == [0, 7, -12, 3, 4]
    assert [number(x) for x in ("0.5", ".5", "5.", "-1e-3", "inf", " 2 ")] == [0.5, 0.5, 5.0, -0.001, np.inf, 2.0]
    for text in NONE:
        for read in (whole, number):
            with pytest.raises(ValueError, match="is no "):
                read(text)
    with pytest.raises(ValueError, match="whole"):
        whole("9" * 5000)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: parse_kind("x", "image,range=0..2_55"), "'range=0..2_55' cannot be read"),
        (lambda: parse_kind("x", "audio,sample_rate=8_000"), "'sample_rate=8_000' cannot be read"),
        (lambda: decoder_of("x", "image,size=2_4x24"), "'2_4' is no whole number; write size=224x224"),
        (lambda: decoder_of("x", "image,max_pixels=1_0"), "'1_0' is no whole number"),
        (lambda: decoder_of("x", "audio,sample_rate=8000,seconds=1_0"), "'1_0' is no number"),
        (lambda: decoder_of("x", "audio,max_values=1_0"), "'1_0' is no whole number"),
        (lambda: parse_task("classification:١٠"), "'١٠' is not a number of outputs"),
        (lambda: parse_task("retrieval:a->b,bank=١٠"), "does not say what is to be found"),
        (lambda: find_shards("part-{٠..١}.tar"), "no such .tar file"),
        (lambda: budget.Budget.given("١٠m", None), "is not usable; give a time above 0"),
    ],
)
def test_options_are_written_in_digits(read: Callable[[], object], said: str) -> None:
    with pytest.raises(BadInput) as error:
        read()
    assert said in str(error.value)


def test_rows_of_a_batch_are_written_in_digits() -> None:
    assert [options.batch_rows(x) for x in ("64", "auto", "6_4", "٦", 3, None)] == [64, "auto", "6_4", "٦", 3, None]
