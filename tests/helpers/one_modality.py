"""One numeric modality as a data set, and its corruptions: what tests of corruptions look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from helpers.probe_samples import scope_of, whole
from mmaudit.data import ArrayData, all_statistics
from mmaudit.probes import Declined, Source, probes
from mmaudit.probes.proof import moved
from mmaudit.types import Array, Condition, Modality, Task


class OneModality:
    """Values of the modality x."""

    def __init__(self, x: Array | Sequence[Array], modality: Modality) -> None:
        # A regression, since one sample alone has no two classes.
        data = ArrayData({"x": x}, np.arange(len(x)), Task.regression(1), modalities=[modality])
        self.kind = modality.kind
        self.data, self.source = data, Source(data, all_statistics(data))
        self.batch, self.scope = whole(data), scope_of(data)
        self.x = self.batch.inputs["x"]

    def after(self, name: str, severity: float) -> Array:
        probe = probes.get(f"{self.kind}.{name}")
        return probe.apply(self.batch, probe.condition(("x",), severity), self.source).inputs["x"]

    def declined(self, name: str) -> list[str]:
        grid = probes.get(f"{self.kind}.{name}").grid(self.scope)
        return [c.reason for c in grid if isinstance(c, Declined)]

    def curve(self, name: str) -> list[float]:
        """Mean distance moved, by severity of the probe's table."""
        probe, far = probes.get(f"{self.kind}.{name}"), []
        for condition in probe.grid(self.scope):
            assert isinstance(condition, Condition)
            new = probe.apply(self.batch, condition, self.source).inputs["x"]
            _, distance = moved(self.x, new, self.source.modality("x"), self.source.statistics["x"])
            far.append(float(distance.mean()))
        return far
