"""What is known of a run's samples apart from their inputs: RUN/samples.parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmaudit.errors import DamagedRun
from mmaudit.outputs import UNREADABLE, column, read_parquet, write_parquet
from mmaudit.types import Array, BoolArray


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


def write_samples(path: Path, samples: Samples) -> None:
    """Write the file, whole or not at all."""
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
    write_parquet(path, pa.table(columns))


def read_samples(path: Path, modalities: Sequence[str], n: int) -> Samples:
    """Read the file of a run with these modalities and n samples.

    Raises:
        DamagedRun: it is missing, cannot be read, or does not hold these samples.
    """
    table = read_parquet(path)
    try:
        names = table.column_names
        found = Samples(
            ids=column(table, "id") if pa.types.is_integer(table.field("id").type) else _read_texts(table, "id"),
            target=_target(table),
            groups={c[6:]: _read_texts(table, c) for c in names if c.startswith("group.")},
            cluster=_read_texts(table, "cluster") if "cluster" in names else None,
            present={name: column(table, f"present.{name}").astype(bool) for name in modalities},
        )
        if len(found) != n or found.target.dtype.kind not in "iufb":
            raise ValueError(f"{len(found)} samples with targets of {found.target.dtype}, run.json says {n}")
    except (*UNREADABLE, TypeError, AttributeError) as error:
        raise DamagedRun(f"{path} does not hold this run's samples ({error}); audit again.") from error
    return found


def encoded(text: str) -> bytes:
    """UTF-8, a lone surrogate (from a file name that is not UTF-8) as its escape: in JSON that is the same text."""
    return text.encode("utf-8", "backslashreplace")


def _texts(values: Sequence[Any]) -> list[str]:
    """Values as text that a file can hold."""
    return [encoded(str(value)).decode() for value in values]


def _read_texts(table: pa.Table, name: str) -> Array:
    values = table.column(name)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)) or values.null_count:
        raise ValueError(f"its column {name!r:.60} holds {values.type}, or gaps, where texts belong")
    return column(table, name)


def _target(table: pa.Table) -> Array:
    if "target" in table.column_names:
        found = column(table, "target")
    else:
        count = sum(name.startswith("target.") for name in table.column_names)
        found = np.stack([column(table, f"target.{j}") for j in range(count)], axis=1)
    # A class is a place in a list, where False and True would choose from it.
    return found.astype(np.int8) if found.dtype.kind == "b" else found
