"""How long and how methods train: the same for all that are compared."""

from __future__ import annotations

from dataclasses import dataclass

from mmaudit.errors import BadInput

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Budget:
    """How long and how a method may train; the same for every method that is compared.

    Attributes:
        epochs: at most.
        batch: rows per step; at most the training rows.
        patience: epochs without a better validation after which a trial stops; 0 to never stop early.
        warm_up: steps over which the learning rate grows from 0.
        schedule: `constant`, or `cosine` down to 0 over the epochs.
        clip: largest norm of a trial's gradients; infinity for none.
        betas: of AdamW.
        autocast: bf16 forward passes, on a GPU only.
        compile: `torch.compile` the step; pays for long trainings on a GPU only.
    """

    epochs: int = 30
    batch: int = 128
    patience: int = 6
    warm_up: int = 0
    schedule: str = "constant"
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    autocast: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("patience", 0), ("warm_up", 0)):
            if getattr(self, name) < least:
                raise BadInput(f"budget: {name} is {getattr(self, name)}; it must be at least {least}.")
        if not self.clip > 0:
            raise BadInput(f"budget: clip is {self.clip}; it must be above 0, infinity for no clipping.")
        if self.schedule not in SCHEDULES:
            raise BadInput(f"budget: schedule is {self.schedule!r}; expected one of {', '.join(SCHEDULES)}.")
