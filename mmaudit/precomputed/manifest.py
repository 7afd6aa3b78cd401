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
                _ = found.conditions, content["fingerprints"]["data"], content["suite"], content["declined"]
        except FileNotFoundError:
            raise BadInput(f"{path} holds no {FILE}; give the folder that write_inputs wrote to.") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadInput(f"{file} is not readable ({type(error).__name__}); write the inputs again.") from None
        if schema != SCHEMA:
            raise StaleRun(f"{file} has schema {str(schema)[:80]!r}, this mmaudit reads {SCHEMA!r}; update mmaudit.")
        return found

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition, `clean` first."""
        return tuple(Condition.from_json(c) for c in self.content["conditions"])

    def file(self, condition: Condition) -> Path:
        """Where a condition's inputs are. Named by the key alone: a path in the manifest is not followed."""
        return self.folder / f"{condition.key}.parquet"
