"""Gradients with respect to images, through the preprocessing of a transformers image processor.

The processor works on whole numbers, outside of torch. What it gives is used as it is; the gradient passes through the
same steps written in torch (resize, crop, rescale, normalise). This is the backward pass differentiable approximation
of Athalye et al. (arXiv 1802.00420): losses are exact at whole pixel values, gradients are those of a close neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from mmaudit.errors import BadInput
from mmaudit.models.hf_rows import Row, Rows, grouped, same_draws
from mmaudit.models.torch_gradient import losses
from mmaudit.types import Array, Batch, FloatArray, Task

if TYPE_CHECKING:
    from mmaudit.models.hf_core import Hosted
    from mmaudit.models.hf_dual import DualEncoder
    from mmaudit.models.hf_fusion import TransformersClassifier
    from mmaudit.models.hf_zero_shot import TransformersZeroShot

# How far the torch steps may be from the processor's, as a share of the range of what it gives: rounding, no more.
_CLOSE = 0.02
_FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}


def of_zero_shot(
    model: TransformersZeroShot, dual: DualEncoder, batch: Batch, inputs: Mapping[str, Array], task: Task
) -> tuple[FloatArray, dict[str, Array]]:
    """Return each sample's loss and its gradient."""
    hosted = dual.hosted
    weight = {m: torch.ones(len(batch)) for m in model.modalities}
    if model.native_absence:
        weight = {m: torch.from_numpy(batch.present[m].astype(np.float32)) for m in model.modalities}
    count = torch.stack(list(weight.values())).sum(0)
    classes = torch.from_numpy(model.class_features.astype(np.float32)).to(hosted.device)

    def logits(roots: Mapping[str, Tensor]) -> Tensor:
        total: Any = 0.0
        for m, kind in hosted.kinds.items():
            if m in roots:
                found = dual.embed(kind, hosted.placed({"pixel_values": pixels(hosted.rows[m], roots[m])})).float()
            else:
                found = torch.from_numpy(model.encode(m, batch)).to(hosted.device)
            share = (weight[m] / count)[:, None].to(hosted.device)
            total = total + dual.scale(kind) * share * (found @ classes.T)
        return total + dual.bias  # type: ignore[no-any-return]

    return _of(hosted, batch, inputs, task, model.outputs, logits)


def of_classifier(
    model: TransformersClassifier, hosted: Hosted, batch: Batch, inputs: Mapping[str, Array], task: Task
) -> tuple[FloatArray, dict[str, Array]]:
    """Return each sample's loss and its gradient."""

    def logits(roots: Mapping[str, Tensor]) -> Tensor:
        columns: dict[str, list[Row]] = {}
        for m in model.modalities:
            columns[m] = model.encode(m, batch)
            if m in roots:
                made = pixels(hosted.rows[m], roots[m])
                stood_in = ~batch.present[m] if model.native_absence else np.zeros(len(batch), bool)
                columns[m] = [
                    row if stood_in[i] else {**row, "pixel_values": made[i : i + 1]} for i, row in enumerate(columns[m])
                ]
        return model.forward(columns, len(batch))

    return _of(hosted, batch, inputs, task, model.outputs, logits)


def _of(
    hosted: Hosted, batch: Batch, inputs: Mapping[str, Array], task: Task, scale: str, logits: Any
) -> tuple[FloatArray, dict[str, Array]]:
    hosted.torch.require_evaluation_mode()
    for m in inputs:
        if hosted.kinds[m] != "image":
            raise BadInput(f"{hosted.who}: {m!r} is {hosted.kinds[m]}; its preprocessing lets no gradient pass.")
    roots = {m: torch.from_numpy(np.array(x, np.float32, order="C")).requires_grad_() for m, x in inputs.items()}
    with torch.enable_grad(), hosted.torch.casting(), same_draws():
        outputs = logits(roots).float()
        target = torch.from_numpy(np.array(batch.target)).to(outputs.device)
        loss = losses(outputs, target, task, scale)
        found = torch.autograd.grad(loss.sum(), list(roots.values()), allow_unused=True)
    gradients: dict[str, Array] = {}
    for (m, root), g in zip(roots.items(), found, strict=True):
        there = batch.present[m].reshape(-1, *[1] * (root.ndim - 1))
        gradients[m] = np.where(there, 0 if g is None else g.detach().cpu().numpy(), 0).astype(np.float32)
    return loss.detach().double().cpu().numpy(), gradients


def pixels(rows: Rows, root: Tensor) -> Tensor:
    """Return `pixel_values` [n, 3, h, w] of float images [n, H, W(, C)], with a gradient.

    Raises:
        BadInput: the processor does other than resize, crop, rescale and normalise.
    """
    whole = root.detach().round().clamp(0, 255)
    prepared = list(grouped(rows.prepare(whole.numpy().astype(np.uint8))))
    exact = prepared[0][1].get("pixel_values") if len(prepared) == 1 else None
    if exact is None or exact.ndim != 4:
        raise BadInput(f"{rows.who}: the image processor of {rows.modality!r} gives no plain pixels to differentiate.")
    near = _steps(rows.part, whole, exact)
    spread = float(exact.max() - exact.min())
    if spread and float((near - exact).abs().mean()) > _CLOSE * spread:
        raise BadInput(
            f"{rows.who}: the image processor of {rows.modality!r} ({type(rows.part).__name__}) does other "
            "than resize, crop, rescale and normalise; no gradient passes through it."
        )
    return exact + _steps(rows.part, root, exact) - near


def _steps(part: Any, x: Tensor, like: Tensor) -> Tensor:
    """The processor's steps in torch, to the size of what it gave."""
    if x.ndim == 3:
        x = x[..., None]
    x = x.movedim(-1, 1).expand(-1, 3, -1, -1) if x.shape[-1] == 1 else x.movedim(-1, 1)
    crop = bool(getattr(part, "do_center_crop", False))
    if getattr(part, "do_resize", False):
        size = _resized(part.size, x.shape[-2:]) if crop else (like.shape[-2], like.shape[-1])
        mode = _FILTERS.get(int(getattr(part, "resample", 3)), "bicubic")
        smooth = mode != "nearest"
        x = interpolate(x, size, mode=mode, antialias=smooth, **({"align_corners": False} if smooth else {}))
        x = x.clamp(0, 255) if mode == "bicubic" else x
    if crop:
        x = _cropped(x, like.shape[-2], like.shape[-1])
    if getattr(part, "do_rescale", False):
        x = x * float(part.rescale_factor)
    if getattr(part, "do_normalize", False):
        mean, std = (torch.tensor(v, dtype=x.dtype).reshape(1, -1, 1, 1) for v in (part.image_mean, part.image_std))
        x = (x - mean) / std
    return x


def _resized(size: Any, given: tuple[int, ...]) -> tuple[int, int]:
    shortest = _setting(size, "shortest_edge")
    if not shortest:
        return _setting(size, "height") or given[0], _setting(size, "width") or given[1]
    scale = shortest / min(given)
    return (shortest, int(given[1] * scale)) if given[0] <= given[1] else (int(given[0] * scale), shortest)


def _setting(size: Any, name: str) -> int:
    found = size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)
    return int(found or 0)


def _cropped(x: Tensor, height: int, width: int) -> Tensor:
    lower, right = max(height - x.shape[-2], 0), max(width - x.shape[-1], 0)
    x = pad(x, (right // 2, right - right // 2, lower // 2, lower - lower // 2))
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]
