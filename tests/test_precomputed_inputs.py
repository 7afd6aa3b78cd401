"""Inputs for a model that runs elsewhere: what is written comes back, and damage to it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import mmaudit
from helpers.precomputed_cases import SUITE, N, clean_table, data_of
from mmaudit.errors import BadInput, StaleRun, UnknownName
from mmaudit.precomputed import audit_predictions, read_inputs, write_inputs
from mmaudit.types import Task


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(data_of(), folder, suite=SUITE)
    return folder


def test_inputs_are_what_a_model_receives(written: Path) -> None:
    """Against the probes themselves, for every condition; what is not changed comes from the clean file."""
    from mmaudit.data import all_statistics
    from mmaudit.precomputed.manifest import Manifest
    from mmaudit.probes import Source, probes

    data = data_of()
    source = Source(data, all_statistics(data))
    clean = data.rows(np.arange(N))
    manifest = Manifest.open(written)
    assert manifest.conditions[0].label == "clean"
    for condition, found in zip(manifest.conditions, read_inputs(written), strict=True):
        meant = clean if condition.family == "clean" else probes.get(condition.probe).apply(clean, condition, source)
        for name in ("image", "text"):
            np.testing.assert_array_equal(found.inputs[name], meant.inputs[name])
            assert found.inputs[name].dtype == meant.inputs[name].dtype
            np.testing.assert_array_equal(found.present[name], meant.present[name])
        columns = pq.read_schema(manifest.file(condition)).names
        assert {c[6:] for c in columns if c.startswith("input.")} == set(condition.modalities or ("image", "text"))


def test_ragged_absent_and_wide_data_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = np.empty(300, object)
    for i in range(300):
        sound[i] = rng.normal(size=(rng.integers(1, 5), 2)).astype(np.float32)
    present = rng.random(300) > 0.2
    data = mmaudit.ArrayData(
        {"sound": sound, "x": rng.normal(size=(300, 2, 3)).astype(np.float16)},
        rng.integers(0, 2, 300),
        Task.classification(2),
        kinds={"sound": "series", "x": "embedding"},
        present={"sound": present},
        ids=np.array([f"s{i}" for i in range(300)]),
    )
    write_inputs(data, tmp_path, suite=["missing"], native_absence=True)
    clean = list(read_inputs(tmp_path, conditions=["clean"]))
    assert [len(batch) for batch in clean] == [256, 44]
    whole = data.rows(np.arange(300))
    for row, batch, i in ((0, clean[0], 0), (260, clean[1], 4)):
        np.testing.assert_array_equal(batch.inputs["sound"][i], whole.inputs["sound"][row])
        np.testing.assert_array_equal(batch.inputs["x"][i], whole.inputs["x"][row])
        assert batch.ids[i] == f"s{row}"
    assert clean[0].inputs["x"].dtype == np.float16
    np.testing.assert_array_equal(np.concatenate([b.present["sound"] for b in clean]), present)
    native = [b for b in read_inputs(tmp_path) if "baseline=native" in b.condition]
    assert native
    assert any(not b.present["x"].any() for b in native)


def test_writing_goes_on_where_it_stopped(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmaudit.precomputed import writing

    monkeypatch.setattr(writing, "_OPEN", 2)
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_inputs(data_of(), tmp_path, suite=SUITE, progress=stop)
    assert not (tmp_path / "conditions.json").exists()
    kept = sorted(p.name for p in tmp_path.glob("*.parquet"))
    assert len(kept) == 4
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(BadInput, match=r"holds no conditions\.json"):
        next(read_inputs(tmp_path))
    calls.clear()
    write_inputs(data_of(), tmp_path, suite=SUITE, progress=lambda *x: calls.append(x))
    assert calls[0][0] == 5 * N
    assert calls[-1][0] == calls[-1][1]
    for file in written.glob("*.parquet"):
        assert pq.read_table(file).equals(pq.read_table(tmp_path / file.name))
    with pytest.raises(BadInput, match="other data or another suite"):
        write_inputs(data_of(), tmp_path, suite="quick")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds other files"):
        write_inputs(data_of(), tmp_path / "x", suite=SUITE)


def test_inputs_of_other_data_are_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(StaleRun, match="written from other data"):
        audit_predictions(clean_table(), data_of(N + 1), outputs="logits", out=tmp_path / "run", inputs=written)
    with pytest.raises(UnknownName, match="misssing"):
        next(read_inputs(written, conditions=["misssing[text]"]))
    with pytest.raises(BadInput, match="severity_scale='embedding'"):
        write_inputs(data_of(), tmp_path / "e", suite={**SUITE, "severity_scale": "embedding"})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', '{"schema": "mmaudit.inputs/1"}', "[" * 9999])
def test_damaged_manifests(tmp_path: Path, content: str) -> None:
    (tmp_path / "conditions.json").write_text(content)
    with pytest.raises((BadInput, StaleRun)):
        next(read_inputs(tmp_path))


def test_damaged_inputs(written: Path, tmp_path: Path) -> None:
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:-30])
    (tmp_path / "conditions.json").write_bytes((written / "conditions.json").read_bytes())
    with pytest.raises(BadInput, match="cannot be read"):
        list(read_inputs(tmp_path))


@pytest.mark.parametrize(
    ("place", "to"),
    [
        (("conditions",), []),
        (("conditions", 1, "severity"), "much"),
        (("conditions", 1, "severity"), {"much": 1}),
        (("modalities", 0, "shape"), ["8", 8]),
        (("modalities", 0, "name"), 3),
        (("modalities", 0), {}),
        (("declined",), [{"probe": "missing"}]),
        (("declined",), [{"probe": 3, "modalities": ["text"], "reason": "x"}]),
        (("scenarios",), [{}]),
        (("suite",), "quick"),
    ],
)
def test_a_list_of_conditions_of_another_form_is_named(
    written: Path, tmp_path: Path, place: tuple[Any, ...], to: Any
) -> None:
    content = json.loads((written / "conditions.json").read_text(encoding="utf-8"))
    at = content
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = to
    (tmp_path / "conditions.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadInput, match=r"conditions\.json is not readable"):
        list(read_inputs(tmp_path))


def test_written_inputs_of_another_form_are_named(written: Path, tmp_path: Path) -> None:
    content = (written / "conditions.json").read_text(encoding="utf-8")
    (tmp_path / "conditions.json").write_text(content, encoding="utf-8")
    clean = tmp_path / f"{json.loads(content)['conditions'][0]['key']}.parquet"
    table = pq.read_table(written / clean.name)
    for spoilt in (
        table.drop_columns(["input.text"]),
        table.drop_columns(["present.image"]),
        table.set_column(table.column_names.index("input.image"), "input.image", table.column("input.text")),
    ):
        pq.write_table(spoilt, clean)
        with pytest.raises(BadInput, match=r"does not hold what conditions\.json says"):
            list(read_inputs(tmp_path, conditions=["clean"]))
