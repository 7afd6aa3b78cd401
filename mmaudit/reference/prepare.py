"""From a modality's values to centred numbers of one shape: what default encoders, or fusions directly, are given.

A preparation turns values into raw numbers (every row by itself, nothing learned), and those into centred ones of unit
variance, as the training rows say. Rows that were not recorded take no part in that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mmaudit.errors import BadInput
from mmaudit.probes.canonical import working_dtype
from mmaudit.simple_features import category_limits
from mmaudit.types import Array, Modality

# Standard deviations. No reference is asked to tell larger ones apart, and products of three stay finite.
FARTHEST = 1e4
CONSTANT = 1e-7  # a standard deviation below this share of the mean is rounding
WIDEST = 512  # numbers that values of no fixed length are cut or filled up to
_BLOCK = 32 << 20


class Preparation:
    """Base: numbers are used as they are, and every number of a sample is standardised by itself.

    Args:
        modality: as the training data describes it.

    Attributes:
        form: name in a saved state.
        together: axes of a prepared sample (0 is its first) over which mean and standard deviation are shared.
        trained: whether a default encoder has to be trained on it; otherwise fusions may use the numbers directly.
    """

    form: ClassVar[str] = ""
    together: tuple[int, ...] = ()
    trained = True

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.mean = torch.zeros(0)
        self.scale = torch.zeros(0)

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one prepared sample; known once fitted."""
        return self._shape

    def raw(self, values: Array) -> Tensor:
        """Return `[n, …]` of float32 or float64 on the CPU; each row depends on that row alone."""
        raise NotImplementedError

    def learn(self, raw: Tensor) -> None:
        """Take in what `expand` needs from the raw numbers of the training rows."""

    def expand(self, raw: Tensor) -> Tensor:
        """Return the numbers that are standardised; by default the raw ones."""
        return raw

    def settle(self, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """Return centre and scale from the training rows' moments; a scale of 0 drops a number."""
        constant = deviation <= CONSTANT * (mean.abs() + 1e-30)
        return mean, torch.where(constant, torch.zeros_like(deviation), deviation)

    def fit(self, raw: Tensor) -> None:
        """Learn from the raw numbers of the training rows in which the modality is present."""
        self.learn(raw)
        self._shape = tuple(self.expand(raw[:1]).shape[1:])
        axes = (0, *(a + 1 for a in self.together))
        count, total = 0, torch.zeros(())
        for block in _blocks(raw):
            x = self.expand(block).double()
            total = total + x.sum(dim=axes, keepdim=True)
            count += x.numel() // max(1, _kept(x, axes))
        mean = total / count
        squares = torch.zeros(())
        for block in _blocks(raw):
            squares = squares + (self.expand(block).double() - mean).square().sum(dim=axes, keepdim=True)
        self.mean, self.scale = self.settle(mean[0], (squares / count).sqrt()[0])

    def finish(self, raw: Tensor) -> Tensor:
        """Return `float32[n, *shape]`: centred, of unit variance, at most ten thousand standard deviations."""
        x = self.expand(raw)
        mean, scale = self.mean.to(x.device), self.scale.to(x.device)
        inverse = torch.where(scale > 0, 1 / scale.clamp(min=1e-300), torch.zeros_like(scale))
        out = ((x - mean) * inverse).clamp(-FARTHEST, FARTHEST).to(torch.float32)
        # What is not finite stays recognisable, also in numbers that are dropped.
        return torch.where(torch.isfinite(x), out, torch.full_like(out, torch.nan))

    # ---- saved and loaded

    def spec(self) -> dict[str, Any]:
        """Plain values that, with `state`, make it again."""
        return {"form": self.form, "modality": self.modality.to_json(), "shape": list(self.shape)}

    def state(self) -> dict[str, Tensor]:
        """What it learned."""
        return {"mean": self.mean.cpu(), "scale": self.scale.cpu()}

    def restore(self, spec: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        """Become what was saved."""
        self._shape = tuple(spec["shape"])
        self.mean, self.scale = state["mean"], state["scale"]


class Values(Preparation):
    """Vectors: embeddings, tables, and other numbers without a form. Columns of categories get one-hot codes too.

    The order of categories (`mmaudit.simple_features.category_limits`) means nothing: such a column is kept, and a
    column is added for each of its values among the training rows, where they are more than two. Another value later
    has no code.
    """

    form = "values"
    trained = False

    def __init__(self, modality: Modality) -> None:
        super().__init__(modality)
        self.categories: dict[int, Tensor] = {}

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        codes = f", {len(self.categories)} columns of categories one-hot" if self.categories else ""
        ragged = ""
        if self.modality.ragged:
            matrix = len(self.modality.shape) > 1
            ragged = ", the mean over the first axis" if matrix else f", cut or filled up to {WIDEST}"
        return f"values{ragged}{codes}, standardised"

    def raw(self, values: Array) -> Tensor:
        """Return `[n, d]`."""
        kind = working_dtype(np.dtype(self.modality.dtype))
        if one_shape(values, self.modality):
            return torch.from_numpy(np.array(values, kind).reshape(len(values), -1))
        return torch.from_numpy(np.stack([_one(np.asarray(v), self.modality, kind) for v in values]))

    def learn(self, raw: Tensor) -> None:
        """Find the values of the columns of categories."""
        most = category_limits(self.modality, raw.shape[1])
        for c in np.flatnonzero(most).tolist():
            found = torch.unique(raw[:, c][torch.isfinite(raw[:, c])])
            if 2 < len(found) <= most[c]:
                self.categories[c] = found.cpu()

    def expand(self, raw: Tensor) -> Tensor:
        """The values, then one column per category."""
        codes = [(raw[:, c : c + 1] == v.to(raw.device)).to(raw.dtype) for c, v in self.categories.items()]
        return torch.cat([raw, *codes], dim=1) if codes else raw

    def state(self) -> dict[str, Tensor]:
        """What it learned."""
        return {**super().state(), **{f"categories.{c}": v for c, v in self.categories.items()}}

    def restore(self, spec: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        """Become what was saved."""
        super().restore(spec, state)
        codes = {int(k.removeprefix("categories.")): v for k, v in state.items() if k.startswith("categories.")}
        self.categories = {c: codes[c] for c in sorted(codes)}


class Encoded(Preparation):
    """Features of the audited model's own frozen encoder, standardised; raw ones come from `features.vectors`."""

    form = "encoded"
    trained = False

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        return "frozen features, standardised"


def one_shape(values: Array, modality: Modality) -> bool:
    """Whether samples can be treated all at once; those of a modality of no fixed shape are not, however they come."""
    return values.dtype != object and not modality.ragged


def require_finite(name: str, raw: Tensor, present: Array, ids: Array) -> None:
    """Raise `BadInput` for the first present row with NaN or infinite numbers."""
    good = torch.isfinite(raw.reshape(len(raw), -1)).all(dim=1).cpu().numpy()
    bad = np.flatnonzero(~good & present)
    if len(bad):
        more = f" and {len(bad) - 1:,} more of these {len(ids):,} rows" if len(bad) > 1 else ""
        raise BadInput(
            f"modality {name!r}: the features of sample id {ids[bad[0]].item()!r}{more} are NaN or infinite, so no "
            "reference can be trained on or asked about them; look for what the encoder cannot take in these inputs, "
            "or mark the modality as not recorded there."
        )


def _one(value: Array, modality: Modality, kind: type[np.floating[Any]]) -> Array:
    """One sample of no fixed shape as a vector: tokens are averaged, lines of numbers cut or filled up with zeros."""
    if value.ndim == 2 and modality.shape[0] is None and modality.shape[1] is not None:
        mean = value.mean(axis=0, dtype=np.float64) if len(value) else np.zeros(modality.shape[1])
        return np.asarray(mean, kind)
    flat = np.zeros(WIDEST, kind)
    taken = value.ravel()[:WIDEST]
    flat[: len(taken)] = taken
    return flat


def _blocks(raw: Tensor) -> Iterator[Tensor]:
    step = max(1, _BLOCK // (8 * max(1, raw[0].numel())))
    for start in range(0, len(raw), step):
        yield raw[start : start + step]


def _kept(x: Tensor, axes: tuple[int, ...]) -> int:
    """How many separate means there are."""
    return int(np.prod([size for axis, size in enumerate(x.shape) if axis not in axes]))
