"""The two sides of `overhead.py`: an audit, and bare forward passes of its model right beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mmaudit
from mmaudit.auditing import Prepared
from mmaudit.data import Dataset
from mmaudit.models import TwoStage
from mmaudit.models.protocol import OutputArray
from mmaudit.predict import predict
from mmaudit.timing import Timing
from mmaudit.types import Array, Batch

ToTensor = Callable[[Array], Tensor]


@dataclass(frozen=True, eq=False)
class Case:
    """A model, the data it is audited on, and how its inputs become tensors."""

    name: str
    module: nn.Module
    prepare: Mapping[str, ToTensor]
    data: Dataset
    batch_rows: int
    target: float | None

    def model(self, boundary: str) -> mmaudit.TorchModel:
        """The module as an audit sees it; in two stages unless `boundary` is "off"."""
        own = {name: f for name, f in self.prepare.items() if f is not torch.from_numpy}
        return WholeBeside(
            self.module,
            list(self.prepare),
            outputs="logits",
            prepare=own,
            device="cpu",
            boundary="off" if boundary == "off" else "auto",
            name=self.name,
        )


class Bare:
    """Bare forward passes of a module, timed."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.loop = 0.0
        self.module = 0.0
        self.passes = 0

    def beside(self, answer: Callable[[], OutputArray], batch: Batch) -> OutputArray:
        """Return the audit's answer to a batch, with a bare pass over it before or after, in turns."""
        self.passes += 1
        if self.passes % 2:
            self._run(batch)
            return answer()
        given = answer()
        self._run(batch)
        return given

    def _run(self, batch: Batch) -> None:
        begin = time.perf_counter()
        with torch.inference_mode():
            tensors = [convert(batch.inputs[name]) for name, convert in self.case.prepare.items()]
            ready = time.perf_counter()
            logits = self.case.module(*tensors)
            done = time.perf_counter()
            logits.numpy()
        # The result is freed within the clock, as it is on the audit's side.
        del tensors, logits
        self.loop += time.perf_counter() - begin
        self.module += done - ready


class WholeBeside(mmaudit.TorchModel):
    """The model run whole, with bare passes beside it."""

    bare: Bare | None = None

    def predict(self, batch: Batch) -> OutputArray:
        """Answer a batch; alone while the model is still being checked."""
        answer = super().predict
        return self.bare.beside(lambda: answer(batch), batch) if self.bare else answer(batch)


@dataclass(frozen=True, eq=False)
class StagesBeside:
    """The model's two stages, with bare passes beside its fusion."""

    stages: TwoStage
    bare: Bare

    def encode(self, modality: str, batch: Batch) -> Any:
        """Encode one modality."""
        return self.stages.encode(modality, batch)

    def fuse(self, features: Mapping[str, Any], batch: Batch) -> OutputArray:
        """Fuse."""
        return self.bare.beside(lambda: self.stages.fuse(features, batch), batch)

    def blend(self, features: Any, other: Any, rows: Any) -> Any:
        """Put features together by row, where the model's stages can."""
        blend = getattr(self.stages, "blend", None)
        return blend(features, other, rows) if blend else None

    def take(self, features: Any, n: int, rows: Any) -> Any:
        """Take rows of features, where the model's stages can."""
        take = getattr(self.stages, "take", None)
        return take(features, n, rows) if take else None

    def alike(self, modality: str, batch: Batch, passes: Any) -> bool:
        """Whether passes of some rows give the same bits, by the model's stages."""
        alike = getattr(self.stages, "alike", None)
        return bool(alike(modality, batch, passes)) if alike else False


def audited(case: Case, prepared: Prepared, folder: Path) -> tuple[Timing, Bare]:
    """Run every condition on every batch; return the audit's time, bare passes taken off, and the bare passes."""
    bare = Bare(case)
    run = prepared.open_run(folder, batch_rows=case.batch_rows, title=None, command="")
    stages = StagesBeside(prepared.stage, bare) if prepared.stage else None
    if isinstance(prepared.model, WholeBeside):
        prepared.model.bare = bare
    timing = predict(run, case.data, prepared.model, prepared.source, stage=stages, batch_rows=case.batch_rows)
    return replace(timing, total=timing.total - bare.loop, model=timing.model - bare.loop), bare
