"""What a folder of written inputs says of itself, in `conditions.json`.

    {"schema": "mmaudit.inputs/1",
     "fingerprints": {"data": …, "training data": …},
     "task": …, "modalities": [{"name", "kind", "shape", "dtype", "layout", …}], "n": samples,
     "suite": …, "scenarios": [...], "declined": [{"probe", "modalities", "reason"}],
     "conditions": [{"key", "label", "probe", "modalities", "severity", …, "file": "<key>.parquet"}]}

The first condition is `clean`. Its file has every modality; another condition's has those that it changes, so all other
modalities are those of the clean file. Columns, one row per sample, in the same order in every file:

    id              the sample's id, integer or text
    input.NAME      the modality: text; or the array's numbers in row-major order, its shape being that in `modalities`
    shape.NAME      only where shapes differ from sample to sample: the array's shape
    present.NAME    whether the modality is there; where it is not, its value means nothing
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmaudit.errors import BadInput, StaleRun
from mmaudit.types import Condition

SCHEMA = "mmaudit.inputs/1"
FILE = "conditions.json"


@dataclass(frozen=True, eq=False)
class Manifest:
    """An opened folder of inputs."""

    folder: Path
    content: Mapping[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> Manifest:
        """Read a folder's `conditions.json`.

        Raises:
            BadInput: there is none, or it is damaged.
            StaleRun: it was written by a newer mmaudit.
        """
        path = Path(folder)
        file = path / FILE
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            schema = content["schema"]
            if schema == SCHEMA:
                found = cls(path, content)
                _ = (
                    found.conditions[0],
                    [(c.key, c.label) for c in found.conditions],
                    content["fingerprints"]["data"],
                    dict(content["suite"]),
                )
                _ = found.declined, found.shapes, [s["definition"] for s in content.get("scenarios", ())]
        except FileNotFoundError:
            raise BadInput(f"{path} holds no {FILE}; give the folder that write_inputs wrote to.") from None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise BadInput(f"{file} is not readable ({type(error).__name__}); write the inputs again.") from None
        if schema != SCHEMA:
            raise StaleRun(f"{file} has schema {str(schema)[:80]!r}, this mmaudit reads {SCHEMA!r}; update mmaudit.")
        return found

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition, `clean` first."""
        return tuple(Condition.from_json(c) for c in self.content["conditions"])

    @property
    def shapes(self) -> dict[str, tuple[str, tuple[int | None, ...]]]:
        """Kind and sample shape of each modality."""
        found = {m["name"]: (m["kind"], tuple(m["shape"])) for m in self.content["modalities"]}
        sizes = [size for _, shape in found.values() for size in shape if size is not None]
        if not all(isinstance(name, str) for name in found) or not all(isinstance(size, int) for size in sizes):
            raise TypeError("modalities are not named and sized")
        return found

    @property
    def declined(self) -> tuple[tuple[str, tuple[str, ...], str], ...]:
        """What could not be written: probe, modalities and reason."""
        found = tuple((d["probe"], tuple(d["modalities"]), d["reason"]) for d in self.content["declined"])
        if not all(isinstance(text, str) for probe, names, reason in found for text in (probe, *names, reason)):
            raise TypeError("declined holds what is no text")
        return found

    def file(self, condition: Condition) -> Path:
        """Where a condition's inputs are. Named by the key alone: a path in the manifest is not followed."""
        return self.folder / f"{condition.key}.parquet"
