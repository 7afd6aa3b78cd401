"""What references read: the audited model's frozen features, values as they are, or what small default encoders take.

    inputs = Inputs.fit(train_data, training_rows, stage=stage)
    tensors, present = inputs.read(train_data, training_rows)

Means, deviations, categories and the level of silence are those of the training rows given to `fit` and of no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmaudit.data import Dataset
from mmaudit.errors import BadInput, StaleRun, UnknownName
from mmaudit.kernels.positions import spread
from mmaudit.models import TwoStage
from mmaudit.reference.base import EncoderFactory, Tensors
from mmaudit.reference.encoders import Projection, encoder
from mmaudit.reference.features import encoded, vectors
from mmaudit.reference.forms import Input, begin, require_same_form
from mmaudit.reference.reading import LIMIT, ROWS, Progress, read_raw
from mmaudit.types import Batch, IntArray, Modality

WIDTH = 64
PROBED = 8  # rows that tell what an encoder returns


class Inputs:
    """Made by `fit` or `load`.

    Attributes:
        modalities: names, in the data set's order.
        stage: the audited model's two-stage view where its frozen features are read, else None.
        width, projection: of what the encoders return; see `mmaudit.reference.encoders.encoder`.
        device: where tensors are returned.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        stage: TwoStage | None,
        width: int,
        projection: Projection,
        device: torch.device | str,
    ) -> None:
        self._inputs = dict(inputs)
        self.modalities = tuple(self._inputs)
        self.stage = stage
        self.width, self.projection = width, projection
        self.device = torch.device(device)
        self._kept: tuple[Dataset, IntArray, Tensors, Tensors] | None = None

    @classmethod
    def fit(
        cls,
        data: Dataset,
        positions: IntArray,
        *,
        stage: TwoStage | None = None,
        modalities: Sequence[str] | None = None,
        width: int = WIDTH,
        projection: Projection = "linear",
        device: torch.device | str = "cpu",
        limit: int = LIMIT,
        progress: Progress | None = None,
    ) -> Inputs:
        """Read training rows and learn how to prepare each modality.

        With `stage`, the features of the audited model's own encoders are used, so that a reference differs from it in
        fusion and objective alone. A modality whose encoder returns no numbers, and every modality without `stage`, is
        prepared by kind: embeddings and tables are used as they are, others are made ready for default encoders.

        Args:
            data: training data.
            positions: of the training rows, without the validation rows.
            stage: the audited model's encoders and fusion.
            modalities: names; all of the data set by default, or those that the audited model reads.
            width: features that encoders return.
            projection: of vectors, see `encoder`.
            device: where tensors are returned.
            limit: bytes that the tensors of these rows may take.
            progress: called with (rows read, rows).

        Raises:
            BadInput: no rows, a modality recorded in fewer than 2 of them, NaN features, or more than `limit` bytes.
            UnknownName: no such modality.
        """
        chosen = _chosen(data, stage, modalities)
        inputs: dict[str, Input] = {}
        for modality in chosen:
            there = positions[data.presence(modality.name)[positions]]
            if len(there) < 2:
                raise BadInput(
                    f"modality {modality.name!r} is recorded in {len(there)} of {len(positions):,} training samples; a "
                    "reference needs at least 2, so leave the modality out or give other training data."
                )
            inputs[modality.name] = begin(modality, stage, data.rows(spread(there, PROBED)))
        made = cls(inputs, stage, width, projection, device)
        raw, present = made._raw(data, positions, limit, progress)
        for name in made.modalities:
            preparation = made._inputs[name].preparation
            everywhere = bool(present[name].all())
            preparation.fit(raw[name] if everywhere else raw[name][present[name]])
        made._kept = data, positions, *made._finished(raw, present)
        _ = made.encoders  # refuses a width or projection now
        return made

    # ---- rows

    def one(self, modality: str, batch: Batch, encoded: Any = None) -> Tensor:
        """Return `float32[n, …]` of one modality, what a reference's encoder is given.

        Rows in which it is absent are 0; rows that the frozen encoder has no finite features of are NaN.

        Args:
            modality: its name.
            batch: rows; of other modalities nothing is read.
            encoded: what `stage.encode` returned for these rows, where that is known already.
        """
        preparation = self._get(modality).preparation
        raw = self._raw_one(modality, batch, encoded)
        present = torch.from_numpy(np.array(batch.present[modality])).to(self.device)
        return _without_absent(preparation.finish(raw.to(self.device)), present)

    def present(self, batch: Batch) -> Tensors:
        """Return `bool[n]` by modality."""
        return {m: torch.from_numpy(np.array(batch.present[m])).to(self.device) for m in self.modalities}

    def __call__(self, batch: Batch) -> tuple[Tensors, Tensors]:
        """Return inputs and presence of some rows."""
        return {m: self.one(m, batch) for m in self.modalities}, self.present(batch)

    def read(
        self, data: Dataset, positions: IntArray, progress: Progress | None = None, limit: int = LIMIT
    ) -> tuple[Tensors, Tensors]:
        """Return inputs and presence of many rows, read some at a time.

        Asked right after `fit` for the same rows, it returns what `fit` has read, once.

        Raises:
            BadInput: NaN features, samples of another form than those fitted, or more than `limit` bytes.
        """
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] is data and np.array_equal(kept[1], positions):
            return kept[2], kept[3]
        self.require(data)
        return self._finished(*self._raw(data, positions, limit, progress))

    def _finished(self, raw: Tensors, present: Tensors) -> tuple[Tensors, Tensors]:
        """Finish raw numbers, in their own memory where that fits."""
        inputs: Tensors = {}
        for name in self.modalities:
            preparation, x = self._inputs[name].preparation, raw.pop(name)
            fits = x.dtype == torch.float32 and x.shape[1:] == preparation.shape
            out = x if fits else x.new_empty((len(x), *preparation.shape), dtype=torch.float32)
            for start in range(0, len(x), ROWS):
                rows = slice(start, start + ROWS)
                out[rows] = _without_absent(preparation.finish(x[rows]), present[name][rows])
            inputs[name] = out
        return inputs, present

    def _raw(
        self, data: Dataset, positions: IntArray, limit: int, progress: Progress | None
    ) -> tuple[Tensors, Tensors]:
        modalities = [x.preparation.modality for x in self._inputs.values()]
        return read_raw(data, positions, modalities, self._raw_one, self.device, limit, progress)

    def _raw_one(self, name: str, batch: Batch, given: Any = None) -> Tensor:
        used = self._get(name)
        if used.form is None:
            return used.preparation.raw(batch.inputs[name])
        assert self.stage is not None
        arrays, masks = encoded(self.stage, name, batch, given)
        if not arrays and not batch.present[name].any():  # a model may decline to encode what no row has
            return torch.zeros(len(batch), used.form.width)
        return vectors(used.form, name, arrays, masks)

    def require(self, data: Dataset) -> None:
        """Raise unless a data set has these modalities, in the form they had in the training data.

        Raises:
            BadInput: a modality is of another kind, shape, layout or sampling rate.
            UnknownName: a modality is not in the data set.
        """
        given = {m.name: m for m in data.modalities}
        for name, used in self._inputs.items():
            if name not in given:
                raise UnknownName("modality", name, given)
            require_same_form(used.preparation.modality, given[name])

    # ---- what they are

    def _get(self, modality: str) -> Input:
        if modality not in self._inputs:
            raise UnknownName("modality", modality, self._inputs)
        return self._inputs[modality]

    def only(self, modalities: Sequence[str]) -> Inputs:
        """The same for some modalities."""
        return Inputs({m: self._get(m) for m in modalities}, self.stage, self.width, self.projection, self.device)

    @property
    def source(self) -> dict[str, str]:
        """By modality: `frozen encoder of the audited model`, `values` or `default encoder`."""
        return {m: x.source for m, x in self._inputs.items()}

    @property
    def said(self) -> dict[str, str]:
        """By modality: the source, and all that is done to the values, in words."""
        return {m: x.said for m, x in self._inputs.items()}

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """By modality: the shape of one sample's input."""
        return {m: x.preparation.shape for m, x in self._inputs.items()}

    @property
    def encoders(self) -> dict[str, EncoderFactory]:
        """By modality: makes the module that is trained with a method."""
        return {m: self._encoder(m)[0] for m in self.modalities}

    @property
    def widths(self) -> dict[str, int]:
        """By modality: features that its encoder returns."""
        return {m: self._encoder(m)[1] for m in self.modalities}

    def _encoder(self, modality: str) -> tuple[EncoderFactory, int]:
        preparation = self._inputs[modality].preparation
        direct = self.projection == "none" and preparation.trained
        return encoder(preparation.shape, self.width, "linear" if direct else self.projection)

    # ---- saved and loaded

    def spec(self) -> dict[str, Any]:
        """Plain values that, with `state`, make the same inputs again."""
        return {
            "width": self.width,
            "projection": self.projection,
            "model": _identity(self.stage) if any(x.form for x in self._inputs.values()) else "",
            "modalities": [x.spec() for x in self._inputs.values()],
        }

    def state(self) -> dict[str, Tensor]:
        """What was learned from the training rows; contiguous tensors on the CPU, by name."""
        return {
            f"{i}.{k}": t.contiguous()
            for i, x in enumerate(self._inputs.values())
            for k, t in x.preparation.state().items()
        }

    @classmethod
    def load(
        cls,
        spec: Mapping[str, Any],
        state: Mapping[str, Tensor],
        *,
        stage: TwoStage | None = None,
        modalities: Sequence[Modality] | None = None,
        device: torch.device | str = "cpu",
    ) -> Inputs:
        """Make inputs from what `spec` and `state` returned.

        Args:
            spec, state: as saved.
            stage: the audited model's encoders, where frozen features are read.
            modalities: descriptions of the data to be read, to check that they are those of the training data.
            device: where tensors are returned.

        Raises:
            BadInput: frozen features without `stage`, or modalities of another form.
            StaleRun: `stage` is of another model.
        """
        made: dict[str, Input] = {}
        described = {m.name: m for m in modalities or ()}
        for i, saved in enumerate(spec["modalities"]):
            mine = {k.removeprefix(f"{i}."): t.cpu() for k, t in state.items() if k.startswith(f"{i}.")}
            loaded = Input.load(saved, mine)
            modality = loaded.preparation.modality
            if modality.name in described:
                require_same_form(modality, described[modality.name])
            made[modality.name] = loaded
        if any(x.form is not None for x in made.values()):
            if stage is None:
                raise BadInput("these references read the audited model's frozen features; give its two-stage view.")
            if _identity(stage) != spec["model"]:
                raise StaleRun(
                    "these references were trained on the frozen features of another model; train them again."
                )
        return cls(made, stage, spec["width"], spec["projection"], device)


def _chosen(data: Dataset, stage: TwoStage | None, names: Sequence[str] | None) -> list[Modality]:
    known = {m.name: m for m in data.modalities}
    wanted = names if names is not None else getattr(stage, "modalities", None) or tuple(known)
    for name in wanted:
        if name not in known:
            raise UnknownName("modality", name, known)
    return [m for m in data.modalities if m.name in wanted]


def _without_absent(x: Tensor, present: Tensor) -> Tensor:
    return torch.where(present.reshape(-1, *[1] * (x.ndim - 1)), x, torch.zeros_like(x))


def _identity(stage: object) -> str:
    return str(getattr(stage, "fingerprint", ""))
