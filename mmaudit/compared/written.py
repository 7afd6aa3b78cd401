"""Files of a comparison: they appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from mmaudit.compared.result import Comparison
from mmaudit.errors import BadInput


def write_json(comparison: Comparison, path: Path) -> Path:
    """Write a comparison's plain values."""
    return write_text(path, json.dumps(comparison.to_dict(), ensure_ascii=True, allow_nan=False, indent=1) + "\n")


def write_text(path: Path, text: str) -> Path:
    """Write beside and rename into place; raises `BadInput` where that cannot be done."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(text.encode("utf-8", "backslashreplace"))
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise BadInput(f"cannot write {path}: {error.strerror or error}; choose a folder you can write to.") from None
    return path
