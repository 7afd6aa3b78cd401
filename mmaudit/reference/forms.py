"""One modality as references read it: which way its values become numbers, and how that is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from mmaudit.errors import BadInput
from mmaudit.models import TwoStage
from mmaudit.reference.audio import Spectrogram, Waveform
from mmaudit.reference.features import Form, encoded
from mmaudit.reference.images import Image, is_map
from mmaudit.reference.prepare import Encoded, Preparation, Values
from mmaudit.reference.series import Series
from mmaudit.reference.text import Text
from mmaudit.types import Batch, Modality

FROZEN, AS_GIVEN, DEFAULT = "frozen encoder of the audited model", "values", "default encoder"
FORMS: dict[str, type[Preparation]] = {c.form: c for c in (Encoded, Values, Image, Series, Waveform, Spectrogram, Text)}


@dataclass
class Input:
    """One modality: how its values become numbers.

    Attributes:
        preparation: from values, or from the frozen encoder's vectors, to standardised numbers.
        form: of the frozen encoder's arrays; None where they are not used.
        note: why the frozen encoder is not used although there is one; empty otherwise.
    """

    preparation: Preparation
    form: Form | None = None
    note: str = ""

    @property
    def source(self) -> str:
        """Where the numbers come from."""
        if self.form is not None:
            return FROZEN
        return DEFAULT if self.preparation.trained else AS_GIVEN

    @property
    def said(self) -> str:
        """The same with all that is done to them."""
        how = self.preparation.said if self.form is None else f"{self.form.described}, standardised"
        return f"{self.source}: {how}" + (f" ({self.note})" if self.note else "")

    def spec(self) -> dict[str, Any]:
        """Plain values that, with the preparation's state, make it again."""
        form = self.form
        frozen = None if form is None else {"ways": list(form.ways), "shapes": [list(s) for s in form.shapes]}
        return {**self.preparation.spec(), "frozen": frozen, "note": self.note}

    @classmethod
    def load(cls, spec: Mapping[str, Any], state: Mapping[str, Tensor]) -> Input:
        """Make it from what was saved."""
        preparation = FORMS[spec["form"]](Modality.from_json(spec["modality"]))
        preparation.restore(spec, state)
        frozen = spec["frozen"]
        form = None if frozen is None else Form(tuple(frozen["ways"]), tuple(map(tuple, frozen["shapes"])))
        return cls(preparation, form, spec["note"])


def require_same_form(trained: Modality, given: Modality) -> None:
    """Raise `BadInput` where a modality is not what it was in the training data."""
    if trained.kind == given.kind == "text":
        return
    same = (trained.kind, trained.layout, trained.sample_rate) == (given.kind, given.layout, given.sample_rate)
    # What was of no fixed length in training may have one now, and not the other way round.
    fitting = len(trained.shape) == len(given.shape) and all(
        a is None or a == b for a, b in zip(trained.shape, given.shape, strict=True)
    )
    if not (same and fitting):
        raise BadInput(
            f"modality {given.name!r} is {_form(given)} here and {_form(trained)} in the training data; references can "
            "only be asked about samples of the form they were trained on."
        )


def begin(modality: Modality, stage: TwoStage | None, probe: Batch) -> Input:
    """Decide how a modality is read, from some rows in which it is present; nothing is learned yet."""
    note = ""
    if stage is not None:
        try:
            arrays, _ = encoded(stage, modality.name, probe)
        except BadInput:
            raise
        except Exception as error:  # a foreign encoder may raise anything
            raise BadInput(
                f"the audited model's encoder of {modality.name!r} raises {type(error).__name__}: {error}; references "
                "cannot be trained on its features, so train them on default encoders instead."
            ) from error
        if arrays:
            return Input(Encoded(modality), Form.of(modality, arrays))
        note = "the audited model's encoder returns no numbers"
    return Input(by_kind(modality), note=note)


def by_kind(modality: Modality) -> Preparation:
    """How values are prepared where no frozen encoder is used."""
    if modality.kind == "text":
        return Text(modality)
    if modality.spectrogram:
        return Spectrogram(modality) if is_map(replace(modality, layout="HW")) else Values(modality)
    if modality.kind == "audio":
        return Waveform(modality)
    if modality.kind == "series":
        return Series(modality)
    if modality.kind == "image" and is_map(modality):
        return Image(modality)
    return Values(modality)


def _form(modality: Modality) -> str:
    layout = f", layout {modality.layout}" if modality.layout else ""
    rate = f", {modality.sample_rate:g} Hz" if modality.sample_rate else ""
    return f"{modality.kind} of {['any' if n is None else n for n in modality.shape]}{layout}{rate}"
