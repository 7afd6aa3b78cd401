"""The file of attributions, read without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmaudit.attributions_file import FILE, Attributions, MethodAttributions, read_attributions, write_attributions
from mmaudit.errors import DamagedRun, UnknownName


def made(seed: int = 0, n: int = 5) -> MethodAttributions:
    rng = np.random.default_rng(seed)

    def numbers() -> np.ndarray:
        return rng.normal(size=n).astype(np.float32)

    total = {name: numbers() for name in ("image", "note.é")}
    magnitude = {name: np.abs(x) for name, x in total.items()}
    return MethodAttributions(np.arange(n) * 3, total, magnitude, numbers(), numbers(), numbers())


WHOLE = Attributions(
    ("image", "note.é"),
    {"integrated_gradients": made(0), "ablation": made(1, 7)},
    {"declined": {"deep_lift": "„no“"}, "where": {"image": "features"}, "steps": {"fewest": 16, "most": 32}},
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / FILE
    assert read_attributions(path) is None
    write_attributions(path, WHOLE)
    assert [p.name for p in tmp_path.iterdir()] == [FILE]
    read = read_attributions(path)
    assert read is not None
    assert read.modalities == WHOLE.modalities
    assert read.about == WHOLE.about
    assert read.declined == {"deep_lift": "„no“"}
    assert list(read.methods) == list(WHOLE.methods)
    for method, part in WHOLE.methods.items():
        kept = read.get(method)
        assert len(kept) == len(part)
        for name in WHOLE.modalities:
            assert np.array_equal(kept.total[name], part.total[name])
            assert np.array_equal(kept.magnitude[name], part.magnitude[name])
        for what in ("positions", "delta", "output", "baseline"):
            assert getattr(kept, what).dtype == getattr(part, what).dtype
            assert np.array_equal(getattr(kept, what), getattr(part, what))
    with pytest.raises(UnknownName, match="deep_lift"):
        read.get("deep_lift")


def test_columns_are_those_of_the_documentation(tmp_path: Path) -> None:
    write_attributions(tmp_path / FILE, WHOLE)
    schema = pq.read_schema(tmp_path / FILE)
    assert schema.names == [
        *("position", "method", "sum.image", "abs.image", "sum.note.é", "abs.note.é", "delta", "output", "baseline")
    ]
    assert schema.field("position").type == pa.int64()
    assert schema.field("method").type == pa.string()
    assert {schema.field(name).type for name in schema.names[2:]} == {pa.float32()}


def test_nothing_is_kept_too(tmp_path: Path) -> None:
    write_attributions(tmp_path / FILE, Attributions(("image",), {}, {"declined": {"ablation": "no"}}))
    read = read_attributions(tmp_path / FILE)
    assert read is not None
    assert read.methods == {}
    assert read.declined == {"ablation": "no"}


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    write_attributions(path, WHOLE)
    content = path.read_bytes()
    for wrong in (content[:-20], content[: len(content) // 2], b"", b"PAR1 not"):
        path.write_bytes(wrong)
        with pytest.raises(DamagedRun, match="cannot be read"):
            read_attributions(path)
    table = pa.table({"position": [1, 2]})
    for header in (
        None,
        b"{",
        b"[]",
        b'{"schema": "mmaudit.attributions/9"}',
        b'{"schema": "mmaudit.attributions/1", "modalities": ["image"], "methods": {"x": 3}, "about": {}}',
        b'{"schema": "mmaudit.attributions/1", "modalities": ["image"], "methods": {"x": 2}, "about": {}}',
        b'{"schema": "mmaudit.attributions/1", "modalities": 3, "methods": {}, "about": {}}',
    ):
        pq.write_table(table.replace_schema_metadata({b"mmaudit.attributions": header} if header else None), path)
        with pytest.raises(DamagedRun, match="delete it"):
            read_attributions(path)


def test_reading_needs_neither_torch_nor_captum() -> None:
    code = (
        "import sys, mmaudit.attributions_file, mmaudit.attribution\n"
        "assert not {'torch', 'captum'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
