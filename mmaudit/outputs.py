"""Parquet files: what a model answered under each condition, and plain tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.errors import DamagedRun
from mmaudit.folder import whole
from mmaudit.place import identity, is_local, readable
from mmaudit.types import Array, BoolArray, IntArray

Float32Array = npt.NDArray[np.float32]

# Key of a predictions file's metadata: per row group, the digest of what the model received.
RECEIVED = b"received"

# What a file that is cut short, overwritten or foreign raises when it is read.
UNREADABLE = (pa.ArrowException, OSError, KeyError, ValueError)


@dataclass(frozen=True, eq=False)
class ConditionOutputs:
    """The model's answers to some samples under one condition.

    Attributes:
        outputs: `float32[n, k]`, logits (classification, multilabel) or values (regression); a row of NaN where the
            model raised or returned something that is not finite.
        changed: per modality `bool[n]`, whether the condition changed the sample's value or withheld it.
        moved: per modality `float32[n]`, how far: RMS difference in the modality's σ, or share of characters edited
            (text); NaN where the modality was withheld, so that no distance applies.
        received: digest of what the model received for these samples, in [0, 2⁶⁴); digests of parts add up, modulo
            2⁶⁴, to that of the whole. None in runs of mmaudit 0.1.
        donor: `int64[n]`, position in the data set of the sample of another class whose value a modality was given,
            −1 where there is none; None under conditions in which donors do not matter.
        measured: `bool[n]`, on which samples a budget let the condition be measured; None: on all. Elsewhere there is
            no answer (NaN), nothing changed, and no distance.
    """

    outputs: Float32Array
    changed: Mapping[str, BoolArray]
    moved: Mapping[str, Float32Array]
    received: int | None = None
    donor: IntArray | None = None
    measured: BoolArray | None = None

    @property
    def answered(self) -> BoolArray:
        """`bool[n]`: whether the model gave a usable answer."""
        return np.asarray(np.isfinite(self.outputs).all(axis=1))


def write_predictions(path: Path, results: Sequence[ConditionOutputs], modalities: Sequence[str]) -> None:
    """Write one row group per condition.

    float32 logits do not repeat, so dictionaries only cost; splitting the bytes lets zstd find the exponents.
    """
    width = results[0].outputs.shape[1]
    donors = any(result.donor is not None for result in results)
    schema = pa.schema(
        [pa.field("output", pa.list_(pa.field("element", pa.float32(), nullable=False), width), nullable=False)]
        + [pa.field(f"changed.{m}", pa.bool_(), nullable=False) for m in modalities]
        + [pa.field(f"moved.{m}", pa.float32(), nullable=False) for m in modalities]
        + [pa.field("donor", pa.int64())] * donors
    )
    split = ["output.list.element", *(f"moved.{m}" for m in modalities)]
    with (
        whole(path) as partial,
        pq.ParquetWriter(
            partial,
            schema,
            compression="zstd",
            use_dictionary=False,
            use_byte_stream_split=split,
            write_statistics=False,
            write_page_checksum=True,
            store_schema=False,
        ) as writer,
    ):
        for result in results:
            flat = pa.array(np.ascontiguousarray(result.outputs, np.float32).reshape(-1))
            output = pa.FixedSizeListArray.from_arrays(flat, type=schema.field("output").type)
            columns = [output]
            columns += [pa.array(result.changed[m]) for m in modalities]
            columns += [pa.array(result.moved[m].astype(np.float32, copy=False)) for m in modalities]
            if donors:
                known = result.donor
                columns.append(pa.nulls(len(output), pa.int64()) if known is None else pa.array(known, pa.int64()))
            table = pa.Table.from_arrays(columns, schema=schema)
            writer.write_table(table, row_group_size=len(table))
        writer.add_key_value_metadata({RECEIVED: json.dumps([result.received for result in results])})


def opened(path: Path, *, all_of_it: bool = False) -> pq.ParquetFile:
    """Open a file so that damaged pages are noticed when they are read.

    Args:
        path: the file.
        all_of_it: every part will be read; then one that lies in a store is fetched in one request.
    """
    if all_of_it and not is_local(path):
        return pq.ParquetFile(pa.BufferReader(path.read_bytes()), page_checksum_verification=True)
    which = identity(path)
    footer = _footer(path, which)
    if is_local(path):
        return pq.ParquetFile(path, metadata=footer, page_checksum_verification=True)
    # The columns of a row group are fetched in one request rather than one each.
    source = readable(path, size=which[-1])
    return pq.ParquetFile(source, metadata=footer, page_checksum_verification=True, pre_buffer=True)


# A footer describes every condition of its file, so parsing it for each of them would take time quadratic in the plan;
# for a thousand conditions it takes megabytes, so only a few are kept.
@lru_cache(maxsize=8)
def _footer(path: Path, which: tuple[Any, ...]) -> pq.FileMetaData:
    """A file's description of itself; its `identity` tells it from one that was written in its place."""
    return pq.read_metadata(readable(path, size=which[-1]))


def read_group(file: pq.ParquetFile, group: int, modalities: Sequence[str]) -> ConditionOutputs:
    """Read the answers under one condition; raises one of `UNREADABLE` where the file is damaged."""
    table = file.read_row_group(group, use_threads=False)
    # The list comes back as variable-size (the Arrow schema is not stored); its rows all have the same length.
    flat = table.column("output").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return ConditionOutputs(
        flat.reshape(len(table), -1),
        {m: column(table, f"changed.{m}").astype(bool) for m in modalities},
        {m: column(table, f"moved.{m}") for m in modalities},
        _received(file, group),
        _donor(table),
    )


def _received(file: pq.ParquetFile, group: int) -> int | None:
    known = (file.metadata.metadata or {}).get(RECEIVED)
    if known is None:
        return None
    try:
        value = json.loads(known)[group]
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"its digests of what was received are no list of its row groups: {error!r:.200}") from None
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64):
        raise ValueError(f"a digest of what was received is {value!r:.60}, expected a whole number below 2⁶⁴")
    return value


def _donor(table: pa.Table) -> IntArray | None:
    if "donor" not in table.column_names or table.column("donor").null_count:
        return None
    return column(table, "donor").astype(np.int64)


def total_received(parts: Iterable[int | None]) -> int | None:
    """Return the digest of the whole from those of its parts; None where one of them is not known."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None) % 2**64


def joined(parts: Sequence[ConditionOutputs]) -> ConditionOutputs:
    """The answers to all samples from those to parts of them, in order."""
    donors = [p.donor for p in parts if p.donor is not None]
    return ConditionOutputs(
        np.concatenate([p.outputs for p in parts]),
        {name: np.concatenate([p.changed[name] for p in parts]) for name in parts[0].changed},
        {name: np.concatenate([p.moved[name] for p in parts]) for name in parts[0].moved},
        total_received(p.received for p in parts),
        np.concatenate(donors) if len(donors) == len(parts) else None,
    )


def scattered(parts: Sequence[ConditionOutputs], positions: Sequence[IntArray], n: int) -> ConditionOutputs:
    """The answers to some samples as those to all n: nothing was measured on the others.

    Args:
        parts: answers to parts of the samples.
        positions: `int64[rows]` of each part's samples in the data set.
        n: samples of the data set.
    """
    some, at = joined(parts), np.concatenate(positions)

    def spread(values: Array, rest: float) -> Array:
        whole = np.full((n, *values.shape[1:]), rest, values.dtype)
        whole[at] = values
        return whole

    return ConditionOutputs(
        spread(some.outputs, np.nan),
        {name: spread(values, False) for name, values in some.changed.items()},
        {name: spread(values, np.nan) for name, values in some.moved.items()},
        some.received,
        None if some.donor is None else spread(some.donor, -1),
        None if len(at) == n else spread(np.ones(len(at), np.bool_), False),
    )


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table, whole or not at all."""
    with whole(path) as partial:
        # Row groups bound what the writer holds of a long table.
        pq.write_table(
            table, partial, compression="zstd", row_group_size=2**16, write_page_checksum=True, store_schema=False
        )


def read_parquet(path: Path) -> pa.Table:
    """Read a table; raises `DamagedRun` where there is none or it cannot be read."""
    try:
        source = path if is_local(path) else pa.BufferReader(path.read_bytes())
        return pq.read_table(source, page_checksum_verification=True, use_threads=False)
    except UNREADABLE as error:
        raise DamagedRun(f"{path} cannot be read ({error}); audit again to the same folder.") from error


def column(table: pa.Table, name: str) -> Array:
    """A column as a NumPy array."""
    values: Array = table.column(name).to_numpy()
    return values
