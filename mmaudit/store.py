"""The run folder: what a model said about every sample under every condition, written once, read by everything else.

    RUN/
      run.json                       what was run: fingerprints, task, modalities, plan, environment
      samples.parquet                sample ids, targets, groups, clusters, presence
      predictions/NNNNN-xxxxxxxx.parquet   one file per shard of samples and plan increment; one row group per condition
      errors/<condition key>.txt     traceback of a model that raised

A file is written beside its place and renamed into it: existence means done. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.types import Array, BoolArray, Condition, IntArray, Modality, Task, digest

SCHEMA = "mmaudit.run/1"

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ConditionOutputs:
    """The model's answers to some samples under one condition.

    Attributes:
        outputs: `float32[n, k]`, logits (classification, multilabel) or values (regression); a row of NaN where the
            model raised or returned something that is not finite.
        changed: per modality `bool[n]`, whether the condition changed the sample's value or withheld it.
        moved: per modality `float32[n]`, how far: RMS difference in the modality's σ, or share of characters edited
            (text); NaN where the modality was withheld, so that no distance applies.
    """

    outputs: Float32Array
    changed: Mapping[str, BoolArray]
    moved: Mapping[str, Float32Array]

    @property
    def answered(self) -> BoolArray:
        """`bool[n]`: whether the model gave a usable answer."""
        return np.asarray(np.isfinite(self.outputs).all(axis=1))


@dataclass(frozen=True, eq=False)
class Samples:
    """What is known about every sample apart from its inputs; rows in data set order."""

    ids: Array
    target: Array
    groups: Mapping[str, Array]
    cluster: Array | None
    present: Mapping[str, BoolArray]

    def __len__(self) -> int:
        return len(self.ids)


class Run:
    """A run folder. `Run.create` starts one, `Run.open` reads one; neither needs the model or the data set."""

    def __init__(self, folder: Path, header: dict[str, Any]) -> None:
        self.folder = folder
        self.header = header

    # ---- making and opening

    @classmethod
    def create(cls, folder: str | Path, header: Mapping[str, Any], samples: Samples) -> Run:
        """Write a new run folder with its header and samples, and no predictions yet.

        Raises:
            BadInput: the folder cannot be written, or holds other files.
        """
        path = Path(folder)
        require_usable(path)
        try:
            (path / "predictions").mkdir(parents=True, exist_ok=True)
            run = cls(path, {"schema": SCHEMA, **header})
            write_table(path / "samples.parquet", _samples_table(samples, run.task))
            run._save_header()
        except OSError as error:
            raise BadInput(f"run folder {path} cannot be written: {error}; choose another with out=…") from error
        return run

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Read a run folder's header.

        Raises:
            BadInput: there is no run there.
            DamagedRun: run.json cannot be read.
            StaleRun: it was written by a newer mmaudit.
        """
        path = Path(folder)
        file = path / "run.json"
        if not file.is_file():
            raise BadInput(f"{path} is not a run folder: it has no run.json; give the folder named by out=… or --out.")
        try:
            header = json.loads(file.read_text(encoding="utf-8"))
            schema = header["schema"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DamagedRun(f"{file} is not readable ({error}); delete {path} and audit again.") from error
        if schema != SCHEMA:
            raise StaleRun(f"{file} has schema {schema!r}, this mmaudit reads {SCHEMA!r}; update mmaudit.")
        if lacking := [key for key in _KEYS if key not in header]:
            raise DamagedRun(f"{file} has no {', '.join(lacking)}; delete {path} and audit again.")
        return cls(path, header)

    def _save_header(self) -> None:
        write_atomically(self.folder / "run.json", _json_bytes(self.header))

    # ---- what was run

    @cached_property
    def task(self) -> Task:
        """The data set's task."""
        task = self.header["task"]
        return Task(task["kind"], tuple(task["names"]), task["unit"])

    @cached_property
    def modalities(self) -> tuple[Modality, ...]:
        """The data set's modalities."""
        return tuple(modality_from_json(m) for m in self.header["modalities"])

    @property
    def increments(self) -> list[list[Condition]]:
        """The conditions of each audit that added to this run, in plan order; the first holds `clean`."""
        return [[Condition.from_json(c) for c in increment] for increment in self.header["increments"]]

    @property
    def conditions(self) -> list[Condition]:
        """Every planned condition, in order; the first is `clean`."""
        return [condition for increment in self.increments for condition in increment]

    def condition(self, label: str) -> Condition:
        """Return the condition with this label or key; raises `BadInput` listing close ones."""
        from mmaudit.errors import UnknownName

        known = {c.label: c for c in self.conditions} | {c.key: c for c in self.conditions}
        if label not in known:
            raise UnknownName("condition", label, [c.label for c in self.conditions])
        return known[label]

    def extend(self, conditions: Sequence[Condition], **values: Any) -> None:
        """Add the conditions that the run does not have yet, as a further increment, and with them header values."""
        have = {c.key for c in self.conditions}
        new = [c.to_json() for c in conditions if c.key not in have]
        if new:
            self.header["increments"].append(new)
            self.update(**values)

    def update(self, **values: Any) -> None:
        """Replace top-level header values, e.g. the rows of a batch."""
        self.header.update(values)
        self._save_header()

    # ---- shards

    @property
    def shard_rows(self) -> int:
        """Samples per shard; the last shard may have fewer."""
        return int(self.header["shard_rows"])

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.header["data"]["n"])

    def shards(self) -> list[IntArray]:
        """Positions of the samples of each shard."""
        return [np.arange(i, min(i + self.shard_rows, self.n)) for i in range(0, self.n, self.shard_rows)]

    def file(self, shard: int, increment: int) -> Path:
        """Where the predictions of a shard under an increment's conditions are, or will be."""
        keys = [c["key"] for c in self.header["increments"][increment]]
        return self.folder / "predictions" / f"{shard:05d}-{digest(keys)[:8]}.parquet"

    def is_done(self, shard: int, increment: int) -> bool:
        """Whether that file exists and is whole; a damaged one counts as not done and will be written again."""
        path = self.file(shard, increment)
        if not path.exists():
            return False
        expected = (len(self.shards()[shard]), self.task.width)
        groups = len(self.header["increments"][increment])
        names = [m.name for m in self.modalities]
        try:
            file = _opened(path)
            whole: bool = file.num_row_groups == groups
            return whole and all(_read_group(file, g, names).outputs.shape == expected for g in range(groups))
        except _UNREADABLE:
            return False

    def write_shard(self, shard: int, increment: int, results: Sequence[ConditionOutputs]) -> None:
        """Write a shard's answers under every condition of an increment, in plan order."""
        write_predictions(self.file(shard, increment), results, [m.name for m in self.modalities])

    # ---- reading back

    def restore(self, samples: Samples) -> None:
        """Write the samples again if their file is lost or damaged."""
        try:
            _ = self.samples
        except DamagedRun:
            write_table(self.folder / "samples.parquet", _samples_table(samples, self.task))

    @cached_property
    def samples(self) -> Samples:
        """Ids, targets, groups, clusters and presence of every sample."""
        table = read_table(self.folder / "samples.parquet")
        names = table.column_names
        return Samples(
            ids=_column(table, "id"),
            target=_target(table, self.task),
            groups={c[6:]: _column(table, c) for c in names if c.startswith("group.")},
            cluster=_column(table, "cluster") if "cluster" in names else None,
            present={m.name: _column(table, f"present.{m.name}").astype(bool) for m in self.modalities},
        )

    def read(self, condition: Condition) -> ConditionOutputs:
        """Return the answers to all samples under one condition, in data set order.

        Raises:
            DamagedRun: a shard is missing or cannot be read; a second audit on the folder makes it again.
        """
        increment, group = self._place(condition)
        parts: list[ConditionOutputs] = []
        for shard in range(len(self.shards())):
            path = self.file(shard, increment)
            if not path.exists():
                raise DamagedRun(f"{path} is missing: the audit has not finished. Audit again to the same folder.")
            try:
                parts.append(_read_group(_opened(path), group, [m.name for m in self.modalities]))
            except _UNREADABLE as error:
                raise DamagedRun(f"{path} cannot be read ({error}). Audit again to the same folder.") from error
        return ConditionOutputs(
            np.concatenate([p.outputs for p in parts]),
            {m.name: np.concatenate([p.changed[m.name] for p in parts]) for m in self.modalities},
            {m.name: np.concatenate([p.moved[m.name] for p in parts]) for m in self.modalities},
        )

    def _place(self, condition: Condition) -> tuple[int, int]:
        for i, increment in enumerate(self.header["increments"]):
            for j, known in enumerate(increment):
                if known["key"] == condition.key:
                    return i, j
        raise BadInput(f"condition {condition.label!r} is not part of the run {self.folder}.")

    # ---- errors of the model

    def write_error(self, condition: Condition, text: str) -> None:
        """Keep the traceback of a model that raised under a condition."""
        (self.folder / "errors").mkdir(exist_ok=True)
        write_atomically(self.folder / "errors" / f"{condition.key}.txt", _encoded(text))

    def error(self, condition: Condition) -> str:
        """Return that traceback, or an empty string."""
        path = self.folder / "errors" / f"{condition.key}.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def require_usable(folder: Path) -> None:
    """Raise `BadInput` unless a run can be written to `folder`: absent, empty, or already a run."""
    if folder.is_file():
        raise BadInput(f"out={str(folder)!r} is a file; give a folder.")
    if folder.is_dir():
        foreign = sorted(p.name for p in folder.iterdir() if p.name not in _OWN and not p.name.endswith(".partial"))
        if foreign and not (folder / "run.json").exists():
            raise BadInput(
                f"out={str(folder)!r} holds other files ({', '.join(foreign[:3])}) and no run; "
                "give a new or empty folder."
            )
    parent = folder
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise BadInput(f"out={str(folder)!r} cannot be made: {parent} is a file; choose another folder.")
    if not os.access(parent, os.W_OK):
        raise BadInput(f"out={str(folder)!r} cannot be written: no permission in {parent}; choose another folder.")


def require_free(folder: Path) -> None:
    """Raise `BadInput` if another process is writing to the folder."""
    if folder.is_dir():
        with _locked(folder):
            pass


@contextlib.contextmanager
def writing(folder: str | Path) -> Iterator[None]:
    """Hold a run folder against a second writer, making it if need be, and sweep what a killed writer left.

    Raises:
        BadInput: another process is writing to the folder, or it cannot be made.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"run folder {path} cannot be made: {error}; choose another with out=…") from error
    with _locked(path):
        for pattern in ("*.partial", ".*.tmp"):
            for leftover in path.rglob(pattern):
                leftover.unlink(missing_ok=True)
        yield


# What a file that is cut short, overwritten or foreign raises when it is read.
_UNREADABLE = (pa.ArrowException, OSError, KeyError, ValueError)
_KEYS = ("fingerprints", "model", "data", "task", "modalities", "suite", "increments", "declined", "shard_rows")
_OWN = {"run.json", "samples.parquet", "predictions", "errors", "statistics.npz"}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it: readers see the old file or the whole new one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def modality_to_json(modality: Modality) -> dict[str, Any]:
    """Return plain values; `modality_from_json` reads them back."""
    return {
        "name": modality.name,
        "kind": modality.kind,
        "shape": list(modality.shape),
        "dtype": modality.dtype,
        "layout": modality.layout,
        "range": list(modality.range) if modality.range else None,
        "unit": modality.unit,
        "sample_rate": modality.sample_rate,
    }


def modality_from_json(value: Mapping[str, Any]) -> Modality:
    """Rebuild a modality written by `modality_to_json`."""
    return Modality(
        name=value["name"],
        kind=value["kind"],
        shape=tuple(value["shape"]),
        dtype=value["dtype"],
        layout=value["layout"],
        range=tuple(value["range"]) if value["range"] else None,
        unit=value["unit"],
        sample_rate=value["sample_rate"],
    )


# ---- Parquet


def _samples_table(samples: Samples, task: Task) -> pa.Table:
    ids = samples.ids
    columns: dict[str, Any] = {"id": pa.array(ids if ids.dtype.kind in "iu" else _texts(ids.tolist()))}
    if samples.target.ndim == 1:
        columns["target"] = pa.array(samples.target)
    else:
        columns |= {f"target.{j}": pa.array(samples.target[:, j]) for j in range(task.width)}
    columns |= {f"group.{name}": pa.array(_texts(values.tolist())) for name, values in samples.groups.items()}
    if samples.cluster is not None:
        columns["cluster"] = pa.array(_texts(samples.cluster.tolist()))
    columns |= {f"present.{name}": pa.array(values) for name, values in samples.present.items()}
    return pa.table(columns)


def _texts(values: Sequence[Any]) -> list[str]:
    """Values as text that a file can hold: a lone surrogate (from a file name that is not UTF-8) as its escape."""
    return [_encoded(str(value)).decode() for value in values]


def _target(table: pa.Table, task: Task) -> Array:
    if "target" in table.column_names:
        return _column(table, "target")
    return np.stack([_column(table, f"target.{j}") for j in range(task.width)], axis=1)


def _column(table: pa.Table, name: str) -> Array:
    values: Array = table.column(name).to_numpy()
    return values


def write_predictions(path: Path, results: Sequence[ConditionOutputs], modalities: Sequence[str]) -> None:
    """Write one row group per condition.

    float32 logits do not repeat, so dictionaries only cost; splitting the bytes lets zstd find the exponents.
    """
    width = results[0].outputs.shape[1]
    schema = pa.schema(
        [pa.field("output", pa.list_(pa.field("element", pa.float32(), nullable=False), width), nullable=False)]
        + [pa.field(f"changed.{m}", pa.bool_(), nullable=False) for m in modalities]
        + [pa.field(f"moved.{m}", pa.float32(), nullable=False) for m in modalities]
    )
    split = ["output.list.element", *(f"moved.{m}" for m in modalities)]
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with pq.ParquetWriter(
        partial,
        schema,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=split,
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        for result in results:
            flat = pa.array(np.ascontiguousarray(result.outputs, np.float32).reshape(-1))
            output = pa.FixedSizeListArray.from_arrays(flat, type=schema.field("output").type)
            columns = [output]
            columns += [pa.array(result.changed[m]) for m in modalities]
            columns += [pa.array(result.moved[m].astype(np.float32, copy=False)) for m in modalities]
            table = pa.Table.from_arrays(columns, schema=schema)
            writer.write_table(table, row_group_size=len(table))
    partial.replace(path)


def _opened(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, page_checksum_verification=True)


def _read_group(file: pq.ParquetFile, group: int, modalities: Sequence[str]) -> ConditionOutputs:
    table = file.read_row_group(group, use_threads=False)
    # The list comes back as variable-size (the Arrow schema is not stored); its rows all have the same length.
    flat = table.column("output").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return ConditionOutputs(
        flat.reshape(len(table), -1),
        {m: _column(table, f"changed.{m}").astype(bool) for m in modalities},
        {m: _column(table, f"moved.{m}") for m in modalities},
    )


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table beside its place and rename it."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    # Row groups bound what the writer holds of a long table.
    pq.write_table(
        table, partial, compression="zstd", row_group_size=2**16, write_page_checksum=True, store_schema=False
    )
    partial.replace(path)


def read_table(path: Path) -> pa.Table:
    """Read a table; raises `DamagedRun` where there is none or it cannot be read."""
    try:
        return pq.read_table(path, page_checksum_verification=True, use_threads=False)
    except _UNREADABLE as error:
        raise DamagedRun(f"{path} cannot be read ({error}); audit again to the same folder.") from error


def _json_bytes(value: Any) -> bytes:
    return _encoded(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _encoded(text: str) -> bytes:
    """UTF-8, a lone surrogate as its escape: in JSON that is the same text."""
    return text.encode("utf-8", "backslashreplace")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an advisory lock on the folder itself: no lock file to leave behind, released if the process dies."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(f"another audit is writing to {folder}; wait for it, or give another out=…") from error
        yield
    finally:
        os.close(handle)
