"""Files of a comparison: they appear whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from mmaudit.compared.result import Comparison
from mmaudit.errors import BadInput
from mmaudit.folder import write_atomically
from mmaudit.place import place


def write_json(comparison: Comparison, path: Path) -> Path:
    """Write a comparison's plain values."""
    return write_text(path, json.dumps(comparison.to_dict(), ensure_ascii=True, allow_nan=False, indent=1) + "\n")


def write_text(path: Path, text: str) -> Path:
    """Write a file whole; raises `BadInput` or `StorageFailed` where that cannot be done."""
    path = place(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}; choose a folder you can write to.") from None
    write_atomically(path, text.encode("utf-8", "backslashreplace"))
    return path
