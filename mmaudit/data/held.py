"""What the data sets of this package have in common: they hold everything in memory but the modalities' values."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmaudit.data.dataset import Subset
from mmaudit.data.retrieval import check_candidates
from mmaudit.errors import UnknownName
from mmaudit.types import Array, BoolArray, IntArray, Modality, Task


class Held:
    """The columns of a data set beside its values; who inherits sets them, and reads the values."""

    modalities: tuple[Modality, ...]
    task: Task
    ids: Array
    _present: dict[str, BoolArray]

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        inside = ", ".join(f"{m.name}: {m.kind}" for m in self.modalities)
        return f"{type(self).__name__}({len(self):,} samples; {inside}; {self.task.said})"

    def presence(self, modality: str) -> BoolArray:
        """Return bool[n] (read-only), see `Dataset`."""
        if modality not in self._present:
            raise UnknownName("modality", modality, self._present)
        return self._present[modality]

    def subset(self, positions: Any) -> Subset:
        """Return a data set of some rows, in the order given; ids stay."""
        return Subset(self, positions)  # type: ignore[arg-type]  # who inherits is a Dataset

    def _among(self, given: Any | None) -> IntArray | None:
        """A retrieval's candidates, checked; needs task and presence."""
        recorded = self._present.get(self.task.target_modality, np.ones(len(self), np.bool_))
        return check_candidates(self.task, given, recorded)
