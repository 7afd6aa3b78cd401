"""Sounds as a data set, and the audio corruptions on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from helpers.probe_samples import scope_of, source_of, whole
from mmaudit.data import ArrayData
from mmaudit.probes import Declined, Probe, probes
from mmaudit.probes.proof import moved
from mmaudit.types import Array, Condition, Modality, Task

NAMES = tuple(p.name.split(".")[1] for p in probes if p.module.startswith("mmaudit.probes.corruption.audio_"))


class Recordings:
    """Recordings of one modality; `after` gives them under a corruption."""

    def __init__(
        self,
        x: Array | Sequence[Array],
        rate: float | None = 16000,
        layout: str | None = None,
        limits: tuple[float, float] | None = None,
        unit: str | None = None,
    ) -> None:
        modality = Modality("x", "audio", layout=layout, sample_rate=rate, range=limits, unit=unit)
        data = ArrayData({"x": x}, np.arange(len(x)) % 2, Task.classification(2), modalities=[modality])
        self.source, self.batch, self.scope = source_of(data), whole(data), scope_of(data)
        self.x = self.batch.inputs["x"]

    def after(self, name: str, severity: float) -> Array:
        probe = self.probe(name)
        return probe.apply(self.batch, probe.condition(("x",), severity), self.source).inputs["x"]

    def probe(self, name: str) -> Probe:
        return probes.get(f"audio.{name}")

    def reasons(self, name: str) -> list[str]:
        return [c.reason for c in self.probe(name).grid(self.scope) if isinstance(c, Declined)]

    def curve(self, name: str) -> list[float]:
        far = []
        for c in self.probe(name).grid(self.scope):
            assert isinstance(c, Condition)
            new = self.probe(name).apply(self.batch, c, self.source).inputs["x"]
            _, distance = moved(self.x, new, self.source.modality("x"), self.source.statistics["x"])
            far.append(float(distance.mean()))
        return far
