"""The file that holds a model's answers to combinations of different samples' modalities: RUN/crossed.parquet.

One row per combination: its round, for each modality the data set position of the sample that gave it (`donor.<m>`),
and the outputs (logits, or values), a row of NaN where the model gave no usable answer. Metadata say how the
combinations were chosen, what they cost and why no more were asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmaudit.errors import DamagedRun
from mmaudit.headed import header_key, write_headed
from mmaudit.outputs import UNREADABLE, column, opened
from mmaudit.reliance.additive import Design
from mmaudit.types import Array, IntArray

FILE = "crossed.parquet"
SCHEMA = "mmaudit.crossed/1"


@dataclass(frozen=True, eq=False)
class Crossed:
    """Answers to combinations.

    Attributes:
        positions: `int64[n]`, the samples' places in the data set, ascending.
        modalities: names, in the model's order; `design.index[m]` is about the m-th.
        design: which combinations; samples are numbered as in `positions`.
        outputs: `float32[rounds, n, k]`.
        about: plain values: `spec` (digest of what was asked for), `passes`, `share` (passes / n²), `rounds`, `stopped`
            (why no more), `tolerance`, `half_width` (of the EMAP gap over donors, when it stopped), `how` (fused from
            encodings, or run whole), `reason` (why nothing was asked; empty otherwise).
    """

    positions: IntArray
    modalities: tuple[str, ...]
    design: Design
    outputs: Array
    about: dict[str, Any]


def write_crossed(path: Path, crossed: Crossed) -> None:
    """Write the file beside its place and rename it."""
    design = crossed.design
    rounds, n, k = crossed.outputs.shape
    flat = pa.array(np.ascontiguousarray(crossed.outputs, np.float32).reshape(-1))
    # A list of fixed length needs one even where there is nothing to list.
    outputs = pa.FixedSizeListArray.from_arrays(flat, max(k, 1))
    donors = {
        f"donor.{name}": crossed.positions[design.index[m]].reshape(-1) for m, name in enumerate(crossed.modalities)
    }
    table = pa.table(
        {
            "round": np.repeat(np.arange(rounds, dtype=np.int32), n),
            **{name: pa.array(values, pa.int64()) for name, values in donors.items()},
            "output": outputs,
        }
    )
    about = {
        **crossed.about,
        "modalities": list(crossed.modalities),
        "shape": [rounds, n, k],
        "family": design.family.tolist(),
        "kept": [[crossed.modalities[m] for m in kept] for kept in design.kept],
        "whole": design.whole,
    }
    write_headed(path, table, SCHEMA, about, dictionary=[c for c in table.column_names if c != "output"])


def read_about(path: Path) -> dict[str, Any] | None:
    """Return what the file says of itself; None where there is no file, or it cannot be read."""
    try:
        known = opened(path).metadata.metadata or {}
        about: dict[str, Any] = json.loads(known[header_key(SCHEMA)])
        # Older files do not name their schema, so nobody may ask for it.
        return {name: value for name, value in about.items() if name != "schema"}
    except (*UNREADABLE, AttributeError):
        return None


def read_crossed(path: Path) -> Crossed | None:
    """Read the file; None where there is none.

    Raises:
        DamagedRun: it cannot be read, or does not hold what it says.
    """
    if not path.exists():
        return None
    try:
        about = read_about(path)
        if about is None:
            raise ValueError("it has no description of itself")
        table = opened(path, all_of_it=True).read(use_threads=False)
        names = tuple(about["modalities"])
        rounds, n, k = about["shape"]
        donors = np.stack([column(table, f"donor.{m}").astype(np.int64).reshape(rounds, n) for m in names])
        flat = table.column("output").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        outputs = flat.astype(np.float32, copy=False).reshape(rounds, n, k)
        positions = np.sort(donors[0, 0]) if rounds else np.zeros(0, np.int64)
        index = np.searchsorted(positions, donors)
        if rounds and not (positions[np.minimum(index, n - 1)] == donors).all():
            raise ValueError("its donors are not the samples of its first round")
        kept = tuple(tuple(names.index(m) for m in row) for row in about["kept"])
        family = np.array(about["family"], np.int64)
        design = Design(index, np.isfinite(outputs).all(axis=2), family, kept, bool(about["whole"]))
        return Crossed(positions, names, design, outputs, about)
    except (*UNREADABLE, AttributeError, IndexError, OverflowError, RecursionError, TypeError) as error:
        raise DamagedRun(f"{path} cannot be read ({error}); delete it and audit again.") from error
