"""Answers kept by what was asked, in memory and, where a folder is named, on disk.

One file per batch of new answers, named by its content and written beside its place: several processes may share the
folder, and nothing is locked. A file that cannot be read counts as not there.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.folder import own_arrays, write_atomically
from mmaudit.types import Array, Batch

KEY_BYTES = 16


def row_keys(model: str, batch: Batch, modalities: Sequence[str], masks: bool) -> list[bytes]:
    """Return per row 16 bytes that identify model, values and, where asked for, presence."""
    shared = hashlib.blake2b(model.encode(), digest_size=KEY_BYTES)
    keys = []
    for row in range(len(batch)):
        content = shared.copy()
        for name in modalities:
            value = batch.inputs[name][row]
            if isinstance(value, str):
                head, held = "text", value.encode("utf-8", "surrogatepass")
            else:
                array = np.ascontiguousarray(value)
                head, held = f"{array.dtype.str}{array.shape}", array.tobytes()
            present = bool(batch.present[name][row]) if masks else None
            content.update(f"{name}\0{head}\0{present}\0{len(held)}\0".encode())
            content.update(held)
        keys.append(content.digest())
    return keys


class Cache:
    """Answers by key. `folder` None keeps them nowhere at all."""

    def __init__(self, who: str, folder: Path | None) -> None:
        self.folder = folder
        self._known: dict[bytes, Array] = {}
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{who}: cache={str(folder)!r} cannot be used: {error}; name a folder.") from error
        for file in sorted(folder.glob("*.npz")):
            self._add(file)

    def __getstate__(self) -> dict[str, object]:
        # Another process reads the folder for itself.
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Path | None]) -> None:
        self.__init__("cache", state["folder"])  # type: ignore[misc]

    def get(self, key: bytes) -> Array | None:
        """The outputs of a row, float32[k], or None."""
        return self._known.get(key)

    def put(self, keys: Sequence[bytes], rows: Array) -> None:
        """Keep the answers to some rows, in one new file."""
        if self.folder is None or not keys:
            return
        rows = np.ascontiguousarray(rows, np.float32)
        self._known.update(zip(keys, rows, strict=True))
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, keys=np.frombuffer(b"".join(keys), np.uint8), rows=rows)
        name = hashlib.blake2b(b"".join(keys) + rows.tobytes(), digest_size=KEY_BYTES).hexdigest()
        write_atomically(self.folder / f"{name}.npz", content.getvalue())

    def _add(self, file: Path) -> None:
        content = own_arrays(file)
        if content is None or not {"keys", "rows"} <= content.keys():
            return
        keys, rows = content["keys"].tobytes(), content["rows"]
        if rows.ndim == 2 and rows.dtype == np.float32 and len(keys) == KEY_BYTES * len(rows):
            found = [keys[i : i + KEY_BYTES] for i in range(0, len(keys), KEY_BYTES)]
            self._known.update(zip(found, rows, strict=True))
