"""What docs/security.md promises: every test that it names exists, and what is held by no other file's tests."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import time
import tomllib
import types
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.browse.kept import _by_place
from mmaudit.browse.samples import _texts
from mmaudit.data import read_npz
from mmaudit.data.tasks import parse_task
from mmaudit.errors import BadInput, DamagedRun
from mmaudit.gate.lines import table_lines
from mmaudit.gate.reading import read_policy
from mmaudit.options import batch_rows
from mmaudit.outputs import ConditionOutputs, opened, read_group, write_predictions
from mmaudit.plan import as_suite
from mmaudit.render.budget import read_size
from mmaudit.samples_file import read_samples
from mmaudit.scored_tables import APPLIED, SCORES, read_rows, score_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "security.md"

# ---- the page


@cache
def functions(file: Path) -> frozenset[str]:
    return frozenset(n.name for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.FunctionDef))


def named() -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE.read_text(encoding="utf-8"))


def test_every_test_that_the_page_names_exists() -> None:
    assert len(named()) > 50
    assert [f"{file}::{test}" for file, test in named() if test not in functions(ROOT / file)] == []


def test_every_threat_has_a_test() -> None:
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| (?!Threat|Where|Reader)\w", line)
    ]
    threats = [row for row in rows if row.count("|") == 4]
    assert len(threats) > 30
    assert [row for row in threats if "::test_" not in row.split("|")[3]] == []


def test_every_script_and_file_that_the_page_names_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for file in re.findall(r"(?:tests|scripts)/[\w/]+\.py", text):
        assert (ROOT / file).is_file(), file


# ---- data


def _npz(header: bytes) -> bytes:
    """An archive with one sound array, and one whose header is this."""
    sound, file = io.BytesIO(), io.BytesIO()
    np.save(sound, np.arange(3))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("target.npy", sound.getvalue())
        archive.writestr("table.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24))
    return file.getvalue()


def test_an_array_that_states_a_terabyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(_npz(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1000000000000)}\n"))
    with pytest.raises(BadInput, match=r"'table' of x\.npz"):
        read_npz(path, "classification")


def test_a_header_that_takes_long_to_parse_is_refused(tmp_path: Path) -> None:
    """NumPy takes seconds to say no to this header (measured: 5 s)."""
    path = tmp_path / "x.npz"
    path.write_bytes(_npz(b"{'descr': '<f8', 'fortran_order': False, 'shape': ((((3, 1),)}" + b" " * 7_000))
    before = time.process_time()
    with pytest.raises(BadInput, match=r"'table' of x\.npz"):
        read_npz(path, "classification")
    assert time.process_time() - before < 1.0


# ---- run folders


def _scores(**changes: Any) -> pa.Table:
    columns: dict[str, Any] = {n: pa.array(["a", "b"]) if kind == "text" else pa.array([0.5, None])
                               for n, kind in SCORES.items()}  # fmt: skip
    return pa.table({k: v for k, v in {**columns, **changes}.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": None}, "no 'value'"),
        ({"price": pa.array([1, 2])}, "an unknown 'price'"),
        ({"value": pa.array(["0.5", "1"])}, "'value' is no number"),
        ({"metric": pa.array(["accuracy", None])}, "'metric' is no text"),
        ({"label": pa.array([["a"], ["b"]])}, "'label' is no text"),
    ],
)
def test_scores_of_another_form_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = tmp_path / "scores.parquet"
    pq.write_table(_scores(**changes), path)
    with pytest.raises(DamagedRun, match=f"scores.parquet is no table of this run: {said}.*mmaudit score RUN"):
        read_rows(path, SCORES, "mmaudit score RUN")


@pytest.mark.parametrize(
    "column",
    [
        ("cluster", pa.array([b"\x8d", b"a"])),
        ("cluster", pa.array([["a"], ["b"]])),
        ("cluster", pa.array(["a", None])),
        ("group.site", pa.array([1.5, 2])),
        ("id", pa.array([0.5, 1.5])),
        ("id", pa.array([b"a", b"b"])),
    ],
)
def test_samples_of_another_form_are_named(tmp_path: Path, column: tuple[str, pa.Array]) -> None:
    path = tmp_path / "samples.parquet"
    sound = {"id": pa.array([1, 2]), "target": pa.array([0, 1]), "group.site": pa.array(["a", "b"])}
    sound |= {"cluster": pa.array(["x", "y"]), "present.photo": pa.array([True, True])}
    pq.write_table(pa.table(sound), path)
    assert read_samples(path, ["photo"], 2).cluster is not None
    pq.write_table(pa.table({**sound, "target": pa.array([False, True])}), path)
    np.testing.assert_array_equal(np.array(["no", "yes"])[read_samples(path, ["photo"], 2).target], ["no", "yes"])
    pq.write_table(pa.table({**sound, column[0]: column[1]}), path)
    with pytest.raises(DamagedRun, match=f"its column '{column[0]}' holds"):
        read_samples(path, ["photo"], 2)


@pytest.mark.parametrize("said", [b'["1", null]', b"[1.5, 0]", b"[-1, 0]", b"{}", b"7", b"[" * 50_000, b"[true, 0]"])
def test_digests_of_what_was_received_are_numbers(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "00000-x.parquet"
    one = ConditionOutputs(np.ones((3, 2), np.float32), {"photo": np.ones(3, np.bool_)}, {"photo": np.ones(3)}, 7)
    write_predictions(path, [one], ["photo"])
    assert read_group(opened(path), 0, ["photo"]).received == 7
    table = pq.read_table(path)
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({b"received": said})
    with pytest.raises(ValueError, match=r"of what was received"):
        read_group(pq.ParquetFile(path), 0, ["photo"])


@pytest.mark.parametrize("places", [[0, 2], [0, -1]])
def test_places_beyond_a_dictionary_are_damage(places: list[int]) -> None:
    """Parquet read as a dictionary is not looked through by Arrow: a damaged page gives such places."""
    words = pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(["a", "b"]), safe=False)
    table = pa.table({"position": [3, 3], "condition": ["", ""], "modality": ["x", "y"], "exhibit": words})
    with pytest.raises(pa.ArrowInvalid, match="out of bounds"):
        _by_place(table, 3)

    class File:
        metadata = types.SimpleNamespace(num_rows=2)

        def read(self, columns: list[str], **_: Any) -> pa.Table:
            return table.select(columns)

    with pytest.raises(pa.ArrowInvalid, match="out of bounds"):
        _texts(File(), "exhibit", 1_000)  # type: ignore[arg-type]


def test_scores_of_their_form_are_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    assert read_rows(path, SCORES, "again") == []
    pq.write_table(_scores(reason=pa.array(["", "why"])), path)
    rows = read_rows(path, SCORES, "again")
    assert [row["reason"] for row in rows] == ["", "why"]
    assert rows[1]["low"] is None  # a number that is not there is undefined
    assert np.isnan(score_of(rows[1]).low)
    assert score_of(rows[0]).low == 0.5
    pq.write_table(pa.table({}), path)
    assert read_rows(path, APPLIED, "again") == []


# ---- files of one's own


@pytest.mark.parametrize("text", ["classification:{}", "multilabel:{}", "retrieval:a->b,bank={}"])
@pytest.mark.parametrize("digits", ["9" * 13, "9" * 5_000])
def test_a_number_of_outputs_that_fills_the_memory_is_refused(text: str, digits: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse_task(text.format(digits), np.arange(3))
    assert len(str(raised.value)) < 1_000


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + "MB", "0." + "0" * 400 + "1kB"])
def test_a_size_beyond_all_numbers_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no size"):
        read_size(text)


def test_a_number_of_rows_of_thousands_of_digits_is_left_to_be_refused() -> None:
    assert batch_rows("9" * 5_000) == "9" * 5_000
    assert batch_rows("64") == 64


@pytest.mark.parametrize(
    "suite",
    [
        {"probes": 3},
        {"probes": [3]},
        {"probes": [["missing"]]},
        {"positions": ["1"]},
        {"positions": [True]},
        {"rates": ["0.1"]},
        {"subsets": 3},
        {"subsets": [[3]]},
        {"similarity_floor": "high"},
        {"severity_scale": ["table"]},
        {"name": 3},
        {"repeats": True},
        0.5,
    ],
)
def test_a_suite_of_the_wrong_kind_is_named(suite: Any) -> None:
    with pytest.raises((BadInput, LookupError), match=r"suite|severity") as caught:
        as_suite(suite)
    assert len(str(caught.value)) < 400


def test_lines_of_a_long_policy_are_found_in_linear_time(tmp_path: Path) -> None:
    """900 kB of lines that look like headers and are none; trying each by parsing took time in their square: hours."""
    policy = tmp_path / "policy.toml"
    policy.write_text('name = """\n' + "[a]\n" * 225_000 + '"""\n[findings]\nmax_level = "minor"\n', encoding="utf-8")
    before = time.process_time()
    found = read_policy(policy).findings
    assert found is not None
    assert found.line == 225_003
    assert time.process_time() - before < 10


_KEYS = ("a", '"b"', "require")
_VALUES = (
    *(
        "1",
        '"x"',
        "'x'",
        '"[a]"',
        "'[a]'",
        "[1, [2]]",
        "[\n[1],\n[2]\n]",
        "{x = [1]}",
        '"""\n[a]\n"""',
        "'''\n[a]\n'''",
    ),
    *('"# [a]"', '"""x\\"""[a]"""', '"\\""', '""""[a]"""', "'''[a]''''", "1 # [[require]]"),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["k", "m", "n"]), st.sampled_from(_VALUES)).map(" = ".join),
            st.sampled_from([f"[[{key}]]" for key in _KEYS] + ["", "  # [a]", "[[ require ]] # why"]),
        ),
        max_size=8,
    )
)
def test_lines_of_tables_are_those_that_a_parser_finds(lines: list[str]) -> None:
    """A header is a line before which the text is whole: what stands before it parses by itself."""
    seen: dict[tuple[int, str], int] = {}
    unique, table = [], 0
    for line in lines:  # a key may be there once in a table
        table += line.lstrip().startswith("[")
        key = (table, line.partition(" = ")[0])
        if " = " not in line or key not in seen:
            unique.append(line)
            seen[key] = 1
    text = "\n".join(unique)
    tomllib.loads(text)
    expected: dict[str, list[int]] = {}
    split = text.split("\n")
    for number, line in enumerate(split, 1):
        header = re.fullmatch(r'\s*\[\[?\s*"?(\w+)"?\s*\]\]?\s*(#.*)?', line)
        try:
            tomllib.loads("\n".join(split[: number - 1]))
        except tomllib.TOMLDecodeError:
            continue
        if header:
            expected.setdefault(header[1], []).append(number)
    assert table_lines(text) == expected


# ---- a terminal


def test_an_error_cannot_steer_a_terminal(tmp_path: Path) -> None:
    """A run folder whose name, run.json and policy hold escape sequences: none reaches the terminal."""
    odd = tmp_path / "run\x1b[2J\x07"
    odd.mkdir()
    (tmp_path / "run.json").write_text('{"schema": "mmaudit\\u001b[2J\\u001b]0;owned\\u0007.run/9"}', encoding="utf-8")
    (tmp_path / "policy.toml").write_text('[findings]\nmax_level = "\\u001b[31mred\\u202e"\n', encoding="utf-8")
    policy = str(tmp_path / "policy.toml")
    for arguments in (["score", str(odd)], ["score", str(tmp_path)], ["gate", str(tmp_path), "--policy", policy]):
        ran = subprocess.run(
            [sys.executable, "-m", "mmaudit.cli", *arguments], capture_output=True, text=True, check=False
        )
        assert ran.returncode in (2, 4)
        assert ran.stderr.strip()
        assert not set(ran.stderr + ran.stdout) & set("\x1b\x07\u202e")


# ---- dependencies

# An upper bound and why it is there; empty as long as nothing newer is known to break anything.
BOUNDED: dict[str, str] = {}


def test_upper_bounds_have_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    bounded = {re.match(r"[\w.-]+", d)[0] for d in asked if re.search(r"<|==|~=", d)}  # type: ignore[index]
    assert bounded == set(BOUNDED)
    unbounded = [d for d in asked if not re.search(r">=", d) and not d.startswith("mmaudit[")]
    assert unbounded == []
