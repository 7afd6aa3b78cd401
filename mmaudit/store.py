"""The run folder: what a model said about every sample under every condition, written once, read by everything else.

    RUN/
      run.json                       what was run: fingerprints, task, modalities, plan, environment
      samples.parquet                sample ids, targets, groups, clusters, presence
      predictions/NNNNN-xxxxxxxx.parquet   one file per shard of samples and plan increment; one row group per condition
      exhibits.parquet               inputs of some samples, original and perturbed, to be looked at
      errors/<condition key>.txt     traceback of a model that raised

A file appears whole: existence means done. RUN is a folder, or a URL of a store (`mmaudit.place`). Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa

from mmaudit.errors import BadInput, DamagedRun, StorageFailed, UnknownName
from mmaudit.folder import make_folder, require_usable, write_atomically
from mmaudit.header import SCHEMA, modality_from_json, read_header
from mmaudit.outputs import (
    UNREADABLE,
    ConditionOutputs,
    column,
    joined_donors,
    opened,
    read_group,
    read_parquet,
    total_received,
    write_parquet,
    write_predictions,
)
from mmaudit.place import is_local, place
from mmaudit.types import Array, BoolArray, Condition, IntArray, Modality, Task, digest

MOST_ERROR = 2**20  # bytes of a traceback that are shown
STORE_THREADS = 16  # shards that are read at a time where the run lies in a store


@dataclass(frozen=True, eq=False)
class Samples:
    """What is known about every sample apart from its inputs; rows in data set order.

    The target is the data set's; for retrieval `int64[n, 3]`: identity, how many candidates the query has, and how many
    of them are right.
    """

    ids: Array
    target: Array
    groups: Mapping[str, Array]
    cluster: Array | None
    present: Mapping[str, BoolArray]

    def __len__(self) -> int:
        return len(self.ids)


class ShardPositions(Sequence[IntArray]):
    """Positions of the samples of each shard, `int64[rows]`, made when they are asked for."""

    def __init__(self, n: int, rows: int) -> None:
        self._n, self._rows = n, rows

    def __len__(self) -> int:
        return -(-self._n // self._rows)

    @overload
    def __getitem__(self, shard: int) -> IntArray: ...
    @overload
    def __getitem__(self, shard: slice) -> list[IntArray]: ...
    def __getitem__(self, shard: int | slice) -> IntArray | list[IntArray]:
        if isinstance(shard, slice):
            return [self[i] for i in range(*shard.indices(len(self)))]
        start = range(len(self))[shard] * self._rows
        return np.arange(start, min(start + self._rows, self._n))


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
        path = place(folder)
        require_usable(path)
        try:
            (path / "predictions").mkdir(parents=True, exist_ok=True)
            run = cls(path, {"schema": SCHEMA, **header})
            write_parquet(path / "samples.parquet", _samples_table(samples))
            run._save_header()
        except (OSError, StorageFailed) as error:
            raise BadInput(f"run folder {path} cannot be written: {error}; choose another with out=…") from error
        return run

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Read a run folder's header.

        Raises:
            BadInput: there is no run there.
            DamagedRun: run.json cannot be read, or says what cannot be.
            StaleRun: it was written by a newer mmaudit.
        """
        path = place(folder)
        file = path / "run.json"
        if not file.is_file():
            raise BadInput(f"{path} is not a run folder: it has no run.json; give the folder named by out=… or --out.")
        return cls(path, read_header(file))

    def _save_header(self) -> None:
        write_atomically(self.folder / "run.json", _json_bytes(self.header))

    # ---- what was run

    @cached_property
    def task(self) -> Task:
        """The data set's task."""
        return Task.from_json(self.header["task"])

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

    def shards(self) -> ShardPositions:
        """Positions of the samples of each shard."""
        return ShardPositions(self.n, self.shard_rows)

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
            file = opened(path, all_of_it=True)
            whole: bool = file.num_row_groups == groups
            return whole and all(read_group(file, g, names).outputs.shape == expected for g in range(groups))
        except UNREADABLE:
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
            write_parquet(self.folder / "samples.parquet", _samples_table(samples))

    @cached_property
    def samples(self) -> Samples:
        """Ids, targets, groups, clusters and presence of every sample."""
        table = read_parquet(self.folder / "samples.parquet")
        try:
            names = table.column_names
            found = Samples(
                ids=column(table, "id"),
                target=_target(table),
                groups={c[6:]: column(table, c) for c in names if c.startswith("group.")},
                cluster=column(table, "cluster") if "cluster" in names else None,
                present={m.name: column(table, f"present.{m.name}").astype(bool) for m in self.modalities},
            )
            if len(found) != self.n or found.target.dtype.kind not in "iufb":
                raise ValueError(f"{len(found)} samples with targets of {found.target.dtype}, run.json says {self.n}")
        except (*UNREADABLE, TypeError, AttributeError) as error:
            path = self.folder / "samples.parquet"
            raise DamagedRun(f"{path} does not hold this run's samples ({error}); audit again.") from error
        return found

    def read(self, condition: Condition) -> ConditionOutputs:
        """Return the answers to all samples under one condition, in data set order.

        Raises:
            DamagedRun: a shard is missing or cannot be read; a second audit on the folder makes it again.
        """
        increment, group = self._place(condition)
        shards = range(len(self.shards()))
        if is_local(self.folder):
            parts = [self._read_shard(shard, increment, group) for shard in shards]
        else:  # a store takes long to answer and answers many at a time
            with ThreadPoolExecutor(STORE_THREADS) as pool:
                parts = list(pool.map(lambda shard: self._read_shard(shard, increment, group), shards))
        return ConditionOutputs(
            np.concatenate([p.outputs for p in parts]),
            {m.name: np.concatenate([p.changed[m.name] for p in parts]) for m in self.modalities},
            {m.name: np.concatenate([p.moved[m.name] for p in parts]) for m in self.modalities},
            total_received(p.received for p in parts),
            joined_donors([p.donor for p in parts]),
        )

    def _read_shard(self, shard: int, increment: int, group: int) -> ConditionOutputs:
        path = self.file(shard, increment)
        rows = min(self.shard_rows, self.n - shard * self.shard_rows)
        try:
            found = read_group(opened(path), group, [m.name for m in self.modalities])
            if found.outputs.shape != (rows, self.task.width):
                raise ValueError(f"it holds outputs of {found.outputs.shape}, expected {(rows, self.task.width)}")
            return found
        except FileNotFoundError as error:
            raise DamagedRun(
                f"{path} is missing: the audit has not finished. Audit again to the same folder."
            ) from error
        except (*UNREADABLE, AttributeError, IndexError, TypeError) as error:
            raise DamagedRun(f"{path} cannot be read ({error}). Audit again to the same folder.") from error

    def _place(self, condition: Condition) -> tuple[int, int]:
        for i, increment in enumerate(self.header["increments"]):
            for j, known in enumerate(increment):
                if known["key"] == condition.key:
                    return i, j
        raise BadInput(f"condition {condition.label!r} is not part of the run {self.folder}.")

    # ---- errors of the model

    def write_error(self, condition: Condition, text: str) -> None:
        """Keep the traceback of a model that raised under a condition."""
        make_folder(self.folder / "errors")
        write_atomically(self.folder / "errors" / f"{condition.key}.txt", _encoded(text))

    def error(self, condition: Condition) -> str:
        """Return that traceback, or an empty string."""
        try:
            with (self.folder / "errors" / f"{condition.key}.txt").open("rb") as file:
                return bytes(file.read(MOST_ERROR)).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""


# ---- Parquet


def _samples_table(samples: Samples) -> pa.Table:
    ids = samples.ids
    columns: dict[str, Any] = {"id": pa.array(ids if ids.dtype.kind in "iu" else _texts(ids.tolist()))}
    if samples.target.ndim == 1:
        columns["target"] = pa.array(samples.target)
    else:
        columns |= {f"target.{j}": pa.array(samples.target[:, j]) for j in range(samples.target.shape[1])}
    columns |= {f"group.{name}": pa.array(_texts(values.tolist())) for name, values in samples.groups.items()}
    if samples.cluster is not None:
        columns["cluster"] = pa.array(_texts(samples.cluster.tolist()))
    columns |= {f"present.{name}": pa.array(values) for name, values in samples.present.items()}
    return pa.table(columns)


def _texts(values: Sequence[Any]) -> list[str]:
    """Values as text that a file can hold: a lone surrogate (from a file name that is not UTF-8) as its escape."""
    return [_encoded(str(value)).decode() for value in values]


def _target(table: pa.Table) -> Array:
    if "target" in table.column_names:
        return column(table, "target")
    count = sum(name.startswith("target.") for name in table.column_names)
    return np.stack([column(table, f"target.{j}") for j in range(count)], axis=1)


def _json_bytes(value: Any) -> bytes:
    return _encoded(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _encoded(text: str) -> bytes:
    """UTF-8, a lone surrogate as its escape: in JSON that is the same text."""
    return text.encode("utf-8", "backslashreplace")
