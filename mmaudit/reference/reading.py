"""Whole training tensors, read some rows at a time; whether they fit is decided before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mmaudit.data import Dataset
from mmaudit.errors import BadInput
from mmaudit.reference.base import Tensors
from mmaudit.reference.prepare import require_finite
from mmaudit.reference.splits import row_bytes
from mmaudit.types import Batch, IntArray, Modality

LIMIT = 8 << 30  # bytes of the tensors that are held in memory
ROWS, BLOCK = 256, 32 << 20  # read at a time: at most so many rows and bytes

Progress = Callable[[int, int], None]


def read_raw(
    data: Dataset,
    positions: IntArray,
    modalities: Sequence[Modality],
    raw_one: Callable[[str, Batch], Tensor],
    device: torch.device,
    limit: int,
    progress: Progress | None,
) -> tuple[Tensors, Tensors]:
    """Return raw numbers `[n, …]` and presence `bool[n]` by modality.

    Args:
        data, positions: rows to read.
        modalities: which.
        raw_one: what a modality's numbers of some rows are, each row by itself.
        device: where the tensors are held.
        limit: bytes they may take, counted with what standardising them takes.
        progress: called with (rows read, rows).

    Raises:
        BadInput: no rows, more than `limit` bytes, numbers of another shape in some rows, or NaN.
    """
    if not len(positions):
        raise BadInput("there are no rows to read: give at least 2 training samples.")
    n, probe = len(positions), data.rows(positions[:1])
    like = {m.name: raw_one(m.name, probe) for m in modalities}
    require_room(like, n, limit)
    raw = {name: torch.empty((n, *x.shape[1:]), dtype=x.dtype, device=device) for name, x in like.items()}
    present = {name: torch.from_numpy(np.array(data.presence(name)[positions])).to(device) for name in like}
    step = max(1, min(ROWS, BLOCK // max(1, sum(row_bytes(m) for m in data.modalities))))
    for start in range(0, n, step):
        end = min(start + step, n)
        batch = data.rows(positions[start:end])
        for name, whole in raw.items():
            block = raw_one(name, batch)
            if block.shape[1:] != whole.shape[1:]:
                raise BadInput(
                    f"modality {name!r}: samples become numbers of shape {list(block.shape[1:])} here and of "
                    f"{list(whole.shape[1:])} elsewhere; training and audited data must be of one form."
                )
            require_finite(name, block, batch.present[name], batch.ids)
            whole[start:end] = block.to(device)
        if progress:
            progress(end, n)
    return raw, present


def require_room(like: Tensors, rows: int, limit: int) -> None:
    """Raise `BadInput` where the numbers of so many rows would take more than `limit` bytes; `like` shows one row."""
    # Numbers that are not float32 are held twice while they are standardised.
    each = {
        name: x[0].numel() * (x.element_size() + (0 if x.dtype == torch.float32 else 4)) for name, x in like.items()
    }
    total = rows * sum(each.values())
    if total > limit:
        largest = max(each, key=lambda m: each[m])
        raise BadInput(
            f"the inputs of {rows:,} samples would take {total / 2**30:.1f} GiB of memory, more than the limit of "
            f"{limit / 2**30:.1f} GiB (most of it {largest!r}: {each[largest]:,} bytes each); train references on "
            f"fewer samples, at most {limit // max(1, sum(each.values())):,}."
        )
