"""Some rows of a torch model between their baselines and themselves: the explained output anywhere in between."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmaudit.attribution.explained import explained_weights
from mmaudit.attribution.spaces import Leaf, Space, rows
from mmaudit.models.torch_tensors import identical
from mmaudit.types import FloatArray, IntArray, Modality, Task

PROBED_ROWS = 16


@dataclass(frozen=True)
class Live:
    """The leaves that can move gradually.

    Attributes:
        leaves: their numbers: floating-point, and with a gradient path to the output.
        widened: those of them that are whole numbers which the model takes as floating-point numbers too (pixels).
        reason: why there are none; empty otherwise.
    """

    leaves: tuple[int, ...]
    widened: frozenset[int]
    reason: str = ""


def find_live(space: Space, leaves: Sequence[Leaf], n: int, modalities: dict[str, Modality]) -> Live:
    """Try which leaves the output has a gradient with respect to."""
    wide = torch.promote_types(space.model.dtype, torch.float32)
    candidates = [i for i, x in enumerate(leaves) if isinstance(x, Tensor) and x.is_floating_point()]
    widened: set[int] = set()
    with torch.no_grad():
        plain = space.outputs(leaves, n)
    for i, x in enumerate(leaves):
        whole = isinstance(x, Tensor) and not x.is_floating_point() and x.dtype != torch.bool
        if whole and modalities[space.owner[i]].kind != "text" and _same_as_floats(space, leaves, i, plain):
            widened.add(i)
    inputs = {i: leaves[i].to(wide).requires_grad_() for i in sorted({*candidates, *widened})}
    if not inputs:
        return Live((), frozenset(), "nothing that enters is made of floating-point numbers")
    given = list(leaves)
    for i, x in inputs.items():
        given[i] = x.to(space.model.dtype if i in widened else leaves[i].dtype)
    with torch.enable_grad():
        output = space.outputs(given, n)
        if not output.requires_grad:
            return Live((), frozenset(), "its output carries no gradient")
        found = torch.autograd.grad(output.sum(), list(inputs.values()), allow_unused=True)
    live = tuple(i for i, g in zip(inputs, found, strict=True) if g is not None)
    return Live(live, frozenset(widened) & set(live), "" if live else "its output carries no gradient to what enters")


def _same_as_floats(space: Space, leaves: Sequence[Leaf], i: int, plain: Tensor) -> bool:
    given = [x.to(space.model.dtype) if j == i else x for j, x in enumerate(leaves)]
    try:
        with torch.no_grad():
            output = space.outputs(given, len(plain))
    except Exception:  # an index, a shift: whatever a module raises when it is given other numbers
        return False
    scale = float(plain.abs().nan_to_num(0.0).max()) if plain.numel() else 0.0
    return torch.allclose(output, plain, rtol=0, atol=space.model.tolerance * scale, equal_nan=True)


class Explained(nn.Module):
    """The explained output, [n], as a module for Captum: called with live leaves, weights, then fixed leaves."""

    def __init__(self, space: Space, live: Live, leaves: Sequence[Leaf], task: Task) -> None:
        super().__init__()
        self.training = False
        self.inner = space.module  # whose layers DeepLIFT looks for
        self._space = space
        self._task = task
        self._live = live.leaves
        self._dtypes = [space.model.dtype if i in live.widened else leaves[i].dtype for i in live.leaves]
        self._plain = {i: x for i, x in enumerate(leaves) if not isinstance(x, Tensor)}
        self.fixed = [i for i, x in enumerate(leaves) if i not in live.leaves and isinstance(x, Tensor)]

    def forward(self, *given: Tensor) -> Tensor:
        """Live leaves, weights [n, k], fixed leaves."""
        live, weights, fixed = given[: len(self._live)], given[len(self._live)], given[len(self._live) + 1 :]
        n = len(weights)
        leaves: dict[int, Any] = dict(self._plain)
        leaves |= {i: x.to(dtype) for i, x, dtype in zip(self._live, live, self._dtypes, strict=True)}
        leaves |= dict(zip(self.fixed, fixed, strict=True))
        outputs = self._space.outputs([leaves[i] for i in range(len(leaves))], n)
        value = (as_logits(outputs, self._space.model.outputs, self._task) * weights).sum(1)
        for x in live:  # Captum wants every input to take part, whichever way this input made the model go
            value = value + x.reshape(n, math.prod(x.shape[1:]))[:, :0].sum(1).to(value.dtype)
        return value


def as_logits(outputs: Tensor, scale: str, task: Task) -> Tensor:
    """Output rows as `mmaudit.answering.to_logits` makes them, with gradients."""
    if scale != "probabilities":
        return torch.as_tensor(outputs, dtype=torch.promote_types(outputs.dtype, torch.float32))
    p = outputs.double()
    logits = p.clamp(torch.finfo(torch.float32).tiny, 1.0).log()
    if task.kind == "multilabel":
        logits = logits - (1.0 - p).clamp(min=2.0**-53).log()
    return logits


class Rows:
    """n rows and their baselines.

    Args:
        space: where the model is cut.
        live: what of it can move gradually.
        x, b: leaves of the rows, and of their baselines.
        background: leaves of other samples, for GradientSHAP.
        task: says which output is explained.
        scale: in what each output is counted, see `explained.target_scale`.
        positions: of the rows in the data set.
    """

    def __init__(
        self, space: Space, live: Live, x: Sequence[Leaf], b: Sequence[Leaf], background: Sequence[Leaf], task: Task,
        scale: FloatArray, positions: IntArray, weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.space, self.live, self.task, self.scale, self.positions = space, live, task, scale, positions
        self.x, self.b, self.background = x, b, background
        self.module = Explained(space, live, x, task)
        self.weights = self._weights() if weights is None else weights

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, kept: IntArray) -> Rows:
        """Some of the rows."""
        index = torch.as_tensor(kept, device=self.weights.device)
        return Rows(
            self.space, self.live, rows(self.x, kept), rows(self.b, kept), self.background, self.task, self.scale,
            self.positions[kept], self.weights[index],
        )  # fmt: skip

    def _weights(self) -> Tensor:
        with torch.no_grad():
            outputs = self.space.outputs(self.x, len(self))
            logits = as_logits(outputs, self.space.model.outputs, self.task)
        weights = explained_weights(self.task, logits.cpu().numpy(), self.scale)
        return torch.from_numpy(weights).to(outputs.device)

    def gradual(self, leaves: Sequence[Leaf]) -> tuple[Tensor, ...]:
        """The live leaves, in float32 or wider: bfloat16 could not follow the steps of a path."""
        own = [leaves[i] for i in self.live.leaves]
        # Detached: a method that is interrupted may leave its inputs asking for gradients.
        return tuple(x.to(torch.promote_types(x.dtype, torch.float32)).detach() for x in own)

    def fixed(self, moved: Collection[str]) -> tuple[Tensor, ...]:
        """The other leaves: of these modalities the rows' own, of the others the baselines'."""
        return tuple((self.x if self.space.owner[i] in moved else self.b)[i] for i in self.module.fixed)

    def value(self, gradual: Collection[str], at_once: Collection[str]) -> Tensor:
        """`float64[n]`: the explained output where some leaves are the rows' own, the others the baselines'.

        Args:
            gradual: modalities whose live leaves are the rows' own.
            at_once: modalities whose other leaves are.
        """
        x, b = self.gradual(self.x), self.gradual(self.b)
        mixed = [x[k] if self.space.owner[i] in gradual else b[k] for k, i in enumerate(self.live.leaves)]
        with torch.no_grad():
            value: Tensor = self.module(*mixed, self.weights, *self.fixed(at_once))
        return value.double()

    @property
    def names(self) -> tuple[str, ...]:
        """All modalities."""
        return tuple(self.space.model.modalities)

    @cached_property
    def at_x(self) -> Tensor:
        """`float64[n]`: the explained output."""
        return self.value(self.names, self.names)

    @cached_property
    def at_b(self) -> Tensor:
        """`float64[n]`: the explained output of the baseline."""
        return self.value((), ())

    @cached_property
    def jumps(self) -> tuple[str, ...]:
        """Modalities with other than live leaves that differ from the baseline's and make a difference."""
        found = []
        for name in self.names:
            differ = [i for i in self.module.fixed if self.space.owner[i] == name
                      and not identical(self.x[i], self.b[i])]  # fmt: skip
            rest = [other for other in self.names if other != name]
            if differ and not (
                _equal(self.value(self.names, rest), self.at_x) and _equal(self.value((), (name,)), self.at_b)
            ):
                found.append(name)
        return tuple(found)

    def fixed_leaves_matter_between_rows(self) -> bool:
        """Whether exchanging the rows' other than live leaves among them makes a difference."""
        turned = rows(self.x, np.roll(np.arange(len(self)), 1))
        fixed = tuple(turned[i] for i in self.module.fixed)
        if identical(fixed, self.fixed(self.names)):
            return False
        with torch.no_grad():
            value = self.module(*self.gradual(self.x), self.weights, *fixed)
        return not _equal(value.double(), self.at_x)


def _equal(one: Tensor, two: Tensor) -> bool:
    return bool(((one == two) | (one.isnan() & two.isnan())).all())
