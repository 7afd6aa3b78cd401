"""One sample's inputs as they are kept: the exhibits of its original and of what conditions made of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mmaudit.choosing import Chosen
from mmaudit.exhibits import exhibit
from mmaudit.types import Batch, Condition, Modality

MAX_CHARACTERS = 20_000

SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("condition", pa.string(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("exhibit", pa.string(), nullable=False),
    ]
)


class KeptExhibits:
    """The rows of one sample, within its share of the byte budget.

    Args:
        chosen: the sample.
        share: bytes; an exhibit that occurs twice counts once, as it is stored once.

    Attributes:
        rows: exhibits as JSON by condition key ("" for the original) and modality; with modality "" for a condition
            that changed nothing. Empty where not even the original fits.
        size: bytes taken, about what they take in the file.
        left_out: keys of conditions that did not fit.
    """

    def __init__(self, chosen: Chosen, share: int) -> None:
        self.chosen = chosen
        self.share = share
        self.rows: dict[tuple[str, str], str] = {}
        self.size = 0
        self.left_out: set[str] = set()
        self._seen: set[str] = set()
        self._texts: set[str] = set()
        self._full: set[str] = set()

    def originals(self, batch: Batch, row: int, modalities: Sequence[Modality]) -> None:
        """Take the sample as it is."""
        self._take("", {m.name: _shown(m, batch, batch, row) for m in modalities})

    def lacks(self, condition: Condition) -> bool:
        """Whether the condition is still to be made; not where a modality it changes has used up the share."""
        if not self.rows or condition.key in self._seen:
            return False
        if self._full & set(condition.modalities):
            self.left_out.add(condition.key)
            return False
        return True

    def perturbed(
        self, before: Batch, after: Batch, row: int, condition: Condition, modalities: Sequence[Modality]
    ) -> None:
        """Take what a condition made of the sample; only what it changed."""
        self._seen.add(condition.key)
        changed = [m for m in modalities if m.name in condition.modalities and _differs(m, before, after, row)]
        new = {m.name: _shown(m, after, before, row) for m in changed} or {"": ""}
        if not self._take(condition.key, new):
            self.left_out.add(condition.key)
            # Further conditions of the modality that takes most are not even made.
            self._full.add(max(new, key=lambda name: len(new[name])))

    def about(self, sample: str) -> dict[str, Any]:
        """What the file says about the sample of that id."""
        key = self.chosen.condition.key if self.chosen.condition else ""
        return {"position": self.chosen.position, "sample": sample, "why": self.chosen.why, "condition": key}

    def table(self) -> pa.Table:
        """The rows as a table."""
        keys, names = zip(*self.rows, strict=True)
        columns = [[self.chosen.position] * len(keys), list(keys), [text_of(n) for n in names], [*self.rows.values()]]
        arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def _take(self, key: str, new: dict[str, str]) -> bool:
        size = sum(_bytes(text) for text in {*new.values()} - self._texts)
        if self.size + size > self.share:
            return False
        self.size += size
        self._texts.update(new.values())
        self.rows |= {(key, name): text for name, text in new.items()}
        return True


def text_of(value: str) -> str:
    """Text that a file can hold: a lone surrogate as its escape, which in JSON is the same text."""
    return value.encode("utf-8", "backslashreplace").decode()


def _shown(modality: Modality, batch: Batch, reference: Batch, row: int) -> str:
    name = modality.name
    if not batch.present[name][row]:
        return json.dumps({"absent": True})
    if modality.kind == "text":
        text = str(batch.inputs[name][row])
        cut = {"text": text[:MAX_CHARACTERS], "of": len(text)}
        shown = cut if len(text) > MAX_CHARACTERS else {"text": text}
    else:
        shown = exhibit(modality, batch.inputs[name][row], reference.inputs[name][row], enlarge=False)
    return text_of(json.dumps(_finite(shown), ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    """Numbers that are not finite as None: JSON has no other word for them."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _differs(modality: Modality, before: Batch, after: Batch, row: int) -> bool:
    name = modality.name
    old, new = before.inputs[name], after.inputs[name]
    if before.present[name][row] != after.present[name][row]:
        return True
    if new is old:
        return False
    if modality.kind == "text":
        return str(old[row]) != str(new[row])
    a, b = np.asarray(old[row]), np.asarray(new[row])
    return a.shape != b.shape or bool(((a != b) & ((a == a) | (b == b))).any())  # NaN for NaN is no change


def _bytes(text: str) -> int:
    """Bytes in the file, about: compression takes back the third that base64 added to pictures and sounds."""
    at = -1 if text.startswith('{"text"') else text.find(";base64,")
    return len(text.encode()) - (len(text) - at) // 4 * (at >= 0)
