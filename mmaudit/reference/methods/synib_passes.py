"""Masked passes: concatenation asked again with one modality's content destroyed, for SynIB and masking-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mmaudit.errors import BadInput
from mmaudit.reference.base import Draw, Parts, Step, Tensors
from mmaudit.reference.losses import row_losses
from mmaudit.reference.methods.concatenation import ConcatenationHead
from mmaudit.reference.methods.synib_masks import (
    LearnedMask,
    destroy,
    donors,
    learned_gates,
    no_moments,
    remember,
    spread,
)

Mask = Literal["random", "learned", "oracle", "full", "none"]
Fill = Literal["permutation", "gaussian", "standard"]


@dataclass(frozen=True)
class Pass:
    """A batch in which one modality's content is destroyed.

    Attributes:
        modality: whose.
        features: `[b, width]` by modality, after encoding.
        rows: weights `[b]`: 1 where the modality and at least one other are there, 0 elsewhere. With nothing beside it
            there is no synergy to protect, and with nothing in it nothing to destroy.
    """

    modality: str
    features: Tensors
    rows: Tensor


class MaskedPasses(ConcatenationHead):
    """Concatenation that can also be asked with one modality's content destroyed; how is said by class attributes.

    Attributes:
        masks: `random`: every coordinate with probability `mask_probability`. `learned`: what `gates` says. `oracle`:
            the coordinates named by `block`. `full`: all of the modality. `none`: nothing, so that the penalty
            falls on the model's own answers (what the released PID-XOR scripts do by mistake).
        fill: what a destroyed coordinate becomes: the same coordinate of another present row of the batch
            (`permutation`), noise with the running mean and variance of that coordinate (`gaussian`), or standard
            normal noise (`standard`, for standardised inputs).
        level: whether features (`embedding`) or inputs (`input`) are destroyed; the latter are encoded again.
        shapes: by modality, shape of one row's input; needed at input level, where masks are drawn in that shape.
        block: by modality, the coordinates of the last axis that an oracle mask destroys.
        gates: of learned masks.
        heads_wanted: whether there are unimodal heads; learned masks need them.
        heads_detached: whether their loss stops at the features.
        reaches_encoders: whether what is trained on masked passes reaches the encoders.
    """

    masks: ClassVar[Mask] = "random"
    fill: ClassVar[Fill] = "permutation"
    level: ClassVar[Literal["embedding", "input"]] = "embedding"
    shapes: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    block: ClassVar[Mapping[str, Sequence[int]]] = {}
    gates: ClassVar[LearnedMask] = LearnedMask()
    heads_wanted: ClassVar[bool] = False
    heads_detached: ClassVar[bool] = True
    reaches_encoders: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        if self.heads_wanted or self.masks == "learned":
            self.unimodal = nn.ModuleDict(
                {_slot(i): self.unimodal_head(parts.widths[m]) for i, m in enumerate(parts.query)}
            )
        if self.masks == "oracle":
            for m in parts.query:
                if not len(self.block.get(m, ())):
                    raise BadInput(f"an oracle mask needs the coordinates to destroy; 'block' names none for {m!r}.")

    def unimodal_head(self, width: int) -> nn.Module:
        """Makes the head that answers from one modality's features alone."""
        return nn.Linear(width, self.parts.task.width)

    @property
    def has_heads(self) -> bool:
        """Whether there are unimodal heads."""
        return hasattr(self, "unimodal")

    # ---- random numbers and memory

    def shape(self, modality: str) -> tuple[int, ...]:
        """Shape of what is destroyed in one row."""
        if self.level == "embedding":
            return (self.parts.widths[modality],)
        if modality not in self.shapes:
            raise BadInput(
                f"masks at input level are drawn in the shape of the input; 'shapes' of {type(self).__name__} has none "
                f"for {modality!r}."
            )
        return self.shapes[modality]

    def draws(self, rows: int) -> dict[str, Draw]:
        """Masks and fillings of every modality."""
        wanted: dict[str, Draw] = {}
        if self.masks == "none":
            return wanted
        for i, m in enumerate(self.parts.query):
            if self.masks == "random":
                wanted[f"mask {i}"] = Draw("uniform", (rows, *self.shape(m)))
            if self.fill == "permutation":
                wanted[f"donor {i}"] = Draw("uniform", (rows,))
            else:
                wanted[f"noise {i}"] = Draw("normal", (rows, *self.shape(m)))
        return wanted

    def initial_state(self) -> Tensors:
        """Running moments of what is destroyed, where noise has to follow them."""
        if self.masks == "none" or self.fill != "gaussian":
            return {}
        state: Tensors = {}
        for i, m in enumerate(self.parts.query):
            state |= no_moments(f"of {i}", self.shape(m))
        return state

    # ---- the passes

    def passes(self, step: Step, features: Tensors) -> list[Pass]:
        """One masked pass per modality, from a step and its intact features."""
        names = self.parts.query
        beside = torch.stack([step.present[m] for m in names]).sum(dim=0) > 1
        found = []
        for i, m in enumerate(names):
            rows = step.present[m] & beside
            if self.masks != "none" and self.fill == "permutation":
                rows = rows & (step.present[m].sum() > 1)  # else a row could only be filled with itself
            found.append(Pass(m, self._masked(step, features, i, m), rows.to(features[m].dtype)))
        return found

    def _masked(self, step: Step, features: Tensors, i: int, m: str) -> Tensors:
        if self.masks == "none":
            return features
        if not self.reaches_encoders:
            features = {k: f.detach() for k, f in features.items()}
        values = step.inputs[m] if self.level == "input" else features[m]
        filling = self._filling(step, values, i, m)
        keep = self.keep_gates(step, values, filling, i, m)
        shown = destroy(values, torch.where(spread(step.present[m], values), keep, torch.ones_like(keep)), filling)
        if self.level == "input":
            shown = self.encode_one(m, shown)
            if not self.reaches_encoders:
                shown = shown.detach()
            shown = torch.where(step.present[m][:, None], shown, torch.zeros_like(shown))
        return {**features, m: shown}

    def _filling(self, step: Step, values: Tensor, i: int, m: str) -> Tensor:
        if self.fill == "permutation":
            return values[donors(step.draws[f"donor {i}"], step.present[m])]
        noise = step.draws[f"noise {i}"].to(values.dtype)
        if self.fill == "standard":
            return noise
        mean, deviation = remember(step.state, f"of {i}", values, step.present[m])
        return mean + deviation * noise

    def keep_gates(self, step: Step, values: Tensor, filling: Tensor, i: int, m: str) -> Tensor:
        """Gates of the shape of `values`, 1 for what stays, of the i-th modality."""
        if self.masks == "random":
            return (step.draws[f"mask {i}"] >= step.hyper["mask_probability"]).to(values.dtype)
        if self.masks == "full":
            return torch.zeros_like(values)
        if self.masks == "oracle":
            hit = torch.zeros(values.shape[-1], dtype=values.dtype, device=values.device)
            hit = hit.index_fill(0, torch.tensor(list(self.block[m]), device=values.device), 1.0)
            return (1 - hit).expand_as(values)

        def row_loss(shown: Tensor) -> Tensor:
            return row_losses(self.alone(i, m, shown), step.target, self.parts.task)

        rows = step.present[m].to(values.dtype)
        return learned_gates(row_loss, values, filling, rows, step.hyper["mask_sparsity"], self.gates)

    # ---- what one modality answers on its own

    def alone(self, i: int, m: str, values: Tensor) -> Tensor:
        """Outputs `[b, k]` of the i-th modality's own head from what is destroyed: its features, or its inputs."""
        out: Tensor = self.unimodal[_slot(i)](self.encode_one(m, values) if self.level == "input" else values)
        return out

    def unimodal_outputs(self, features: Tensors) -> Tensors:
        """Outputs `[b, k]` of every modality's own head, by modality."""
        taken = {m: features[m].detach() if self.heads_detached else features[m] for m in self.parts.query}
        return {m: self.unimodal[_slot(i)](taken[m]) for i, m in enumerate(self.parts.query)}

    def unimodal_loss(self, outputs: Tensors, step: Step) -> Tensor:
        """Sum over modalities of the task's loss of their own heads, on rows where they are there."""
        losses = [
            mean_over(row_losses(outputs[m], step.target, self.parts.task), step.present[m].to(outputs[m].dtype))
            for m in self.parts.query
        ]
        return torch.stack(losses).sum()

    # ---- answers to all passes in one go

    def together(self, passes: Sequence[Pass], present: Tensors) -> tuple[Tensors, Tensors]:
        """Features and presence of all passes one below the other, `[passes · b, …]`: one call instead of several."""
        names = self.parts.query
        features = {m: torch.cat([p.features[m] for p in passes]) for m in names}
        return features, {m: present[m].repeat(len(passes)) for m in names}


def mean_over(values: Tensor, rows: Tensor) -> Tensor:
    """Mean of `[b]` weighted by `[b]`; 0 where nothing counts."""
    return (values * rows).sum() / rows.sum().clamp(min=1.0)


def _slot(place: int) -> str:
    return f"u{place}"
