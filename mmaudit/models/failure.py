"""What a model's exceptions mean to whoever runs it."""

from __future__ import annotations

from mmaudit.errors import BadInput


def raise_if_out_of_memory(error: Exception, rows: int) -> None:
    """Raise `BadInput` where the device ran out of memory on a batch of `rows`: a smaller batch is the remedy."""
    # By name: torch's class cannot be imported on this side of the border.
    if type(error).__name__ == "OutOfMemoryError":
        raise BadInput(f"the device ran out of memory on a batch of {rows}; give a smaller batch_rows.") from error
