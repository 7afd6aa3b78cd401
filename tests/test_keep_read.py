"""Reading kept inputs of a stranger: what is shown was checked, everything else is named damage."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmaudit.browse.kept import FILE, METADATA, Kept
from mmaudit.errors import BadInput, DamagedRun


def about(**other: Any) -> dict[str, Any]:
    said = {
        "version": 1,
        "modalities": [["note", "text"]],
        "samples": [{"position": 3, "sample": "s3", "why": "asked for", "condition": ""}],
        "left_out": "",
        "unmade": {"k2": "it was changed"},
    }
    return {**said, **other}


def write(folder: Path, said: Any = None, rows: list[tuple[Any, ...]] | None = None, **how: Any) -> Path:
    rows = [(3, "", "note", '{"text": "a"}'), (3, "k1", "note", '{"text": "b"}')] if rows is None else rows
    names = ["position", "condition", "modality", "exhibit"]
    table = pa.table({name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)})
    text = said if isinstance(said, bytes) else json.dumps(about() if said is None else said).encode()
    pq.write_table(table.replace_schema_metadata({METADATA: text}), folder / FILE, **how)
    return folder / FILE


def test_original_beside_perturbed_and_why_there_is_none(tmp_path: Path) -> None:
    write(tmp_path)
    kept = Kept(tmp_path)
    assert kept.positions() == (3,)
    assert kept.conditions(3) == {"k1"}
    shown = {key: kept.sides(3, key)[0] for key in ("", "k1", "k2", "k3")}
    assert [s.original for s in shown.values()] == [{"text": "a"}] * 4
    assert [s.perturbed for s in shown.values()] == [None, {"text": "b"}, None, None]
    assert [bool(s.reason) for s in shown.values()] == [False, False, True, True]
    assert "it was changed" in shown["k2"].reason
    assert "'mmaudit keep' adds it" in shown["k3"].reason


def test_a_run_without_kept_inputs_says_how_to_get_them(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert kept.positions() == ()
    assert "mmaudit keep" in kept.reason
    with pytest.raises(BadInput, match="position 0"):
        kept.sides(0)
    write(tmp_path)
    assert kept.positions() == (3,), "a file that has come since is seen"
    with pytest.raises(BadInput, match="not a folder"):
        Kept(tmp_path / FILE)


SAMPLE = {"position": 3, "sample": "s3", "why": "", "condition": ""}


@pytest.mark.parametrize(
    "said",
    [
        b"no json",
        b"[" * 100_000,
        [],
        {},
        about(version=2),
        about(samples=[SAMPLE, SAMPLE]),
        about(samples=[{**SAMPLE, "position": -1}]),
        about(samples=[{**SAMPLE, "position": 2**70}, {**SAMPLE, "position": 1}]),
        about(samples=[{**SAMPLE, "position": "x"}]),
        about(samples=7),
        about(samples=[]),
        about(modalities=[["note", "smell"]]),
        about(modalities=7),
        about(unmade=[1]),
    ],
)
def test_a_file_that_lies_about_itself_is_damaged(tmp_path: Path, said: Any) -> None:
    write(tmp_path, said)
    with pytest.raises(DamagedRun, match=r"exhibits\.parquet"):
        Kept(tmp_path)


def test_a_foreign_a_cut_or_a_linked_file_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-40], b"x" * 1000, b"PAR1" + b"\xff" * 400 + b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(DamagedRun):
            Kept(tmp_path)
    pq.write_table(pa.table({"price": [1.0]}), path)
    with pytest.raises(DamagedRun):
        Kept(tmp_path)
    (tmp_path / "elsewhere").write_bytes(whole)
    for target in (tmp_path / "elsewhere", tmp_path / "nowhere"):
        path.unlink()
        path.symlink_to(target)
        with pytest.raises(DamagedRun, match="is a link"):
            Kept(tmp_path)


@pytest.mark.parametrize(
    "rows",
    [
        [(4, "", "note", '{"text": "a"}')],
        [(3, "", "other", '{"text": "a"}')],
        [(3, "", "note", "{{{")],
        [(3, "", "note", "[" * 100_000)],
        [(3, "", "note", None), (3, "k1", "note", "x")],
        [(None, "", "note", "{}"), (3, "k1", "note", "x")],
        [(3, 7, "note", "{}")],
        [("3", "", "note", '{"text": "a"}')],
        [(3, "", "note", 7)],
    ],
)
def test_rows_that_are_no_exhibits_are_damage(tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    write(tmp_path, rows=rows)
    with pytest.raises(DamagedRun):
        Kept(tmp_path).sides(3, "k1" if len(rows) > 1 and rows[1][3] != "x" else "")


def test_too_many_rows_and_texts_that_repeat_do_not_fill_the_memory(tmp_path: Path) -> None:
    n, big = 20_000, json.dumps({"text": "x" * (2**20 + 1)})
    table = pa.table(
        {
            "position": pa.array([3] * n),
            "condition": pa.array([str(i) if i else "" for i in range(n)]),
            "modality": pa.array(["note"] * n),
            "exhibit": pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array([big])),
        }
    )
    text = json.dumps(about()).encode()
    pq.write_table(table.replace_schema_metadata({METADATA: text}), tmp_path / FILE, dictionary_pagesize_limit=2**24)
    assert (tmp_path / FILE).stat().st_size < 2**20
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(DamagedRun, match="cannot be shown"):
        Kept(tmp_path).sides(3)
    assert tracemalloc.get_traced_memory()[1] < 2**27, "20 GB, were they texts of their own"
    tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < 2**24
    write(tmp_path, rows=[(3, str(i), "note", "{}") for i in range(100_001)])
    with pytest.raises(DamagedRun, match="100001 rows"):
        Kept(tmp_path).sides(3)


def test_hostile_names_and_reasons_stay_text(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>\x00\u202e" + "a" * 10_000
    sample = {"position": 3, "sample": name, "why": name, "condition": ""}
    write(tmp_path, about(modalities=[[name, "text"]], samples=[sample], left_out=name),
          [(3, "", name, json.dumps({"text": name}))])  # fmt: skip
    kept = Kept(tmp_path)
    side = kept.sides(3)[0]
    assert side.modality == name
    assert "\x00" not in side.original["text"] + kept.samples[0].sample + kept.samples[0].why + kept.left_out
    assert side.original["text"].startswith("<img src=x")
