"""Gradient of the loss with respect to a torch model's inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from mmaudit.errors import BadInput
from mmaudit.models.function import require_something
from mmaudit.models.rows import filled, patterns
from mmaudit.models.torch_tensors import leaves, prepared_tree, to_device
from mmaudit.types import Array, Batch, FloatArray, Task

if TYPE_CHECKING:
    from mmaudit.models.torch import TorchModel


def gradient(
    model: TorchModel, batch: Batch, inputs: Mapping[str, Array], task: Task
) -> tuple[FloatArray, dict[str, Array]]:
    """Return each sample's loss and its gradient; see `Differentiable.gradient`."""
    loss = np.zeros(len(batch))
    found = {name: np.zeros(values.shape, np.float32) for name, values in inputs.items()}
    if model.absence != "none":
        groups = [(model.modalities, np.arange(len(batch)))]
    else:
        groups = patterns(batch, model.modalities)
        require_something(model.who, batch, groups)
    for there, rows in groups:
        part = batch.take(rows)
        values = {name: x[rows] for name, x in inputs.items() if name in there}
        loss[rows], some = _of_group(model, part, values, there, task)
        for name, rows_of in some.items():
            found[name][rows] = np.where(_column(part.present[name], rows_of), rows_of, 0)
    return loss, found


def _of_group(
    model: TorchModel, batch: Batch, inputs: Mapping[str, Array], there: Sequence[str], task: Task
) -> tuple[FloatArray, dict[str, Array]]:
    roots: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    with torch.enable_grad(), model.casting(), backward_through_recurrence(model.module):
        for name in model.modalities:
            if name not in there:
                values[name] = None
            elif name in inputs:
                roots[name] = _root(model, inputs[name], batch.present[name])
                values[name] = _prepared(model, name, roots[name])
            else:
                with torch.no_grad():
                    values[name] = model.prepared(name, batch)
        result = model.forward(values, model.masks(batch))
        outputs = (model.output(result) if callable(model.output) else result).float()
        loss = losses(outputs, torch.from_numpy(np.array(batch.target)).to(outputs.device), task, model.outputs)
        if not roots:  # none of these rows has an input asked for
            return loss.detach().double().cpu().numpy(), {}
        if not loss.requires_grad:
            names = ", ".join(map(repr, roots))
            raise BadInput(f"{model.who}: its output carries no gradient with respect to {names}.")
        found = torch.autograd.grad(loss.sum(), list(roots.values()), allow_unused=True)
    gradients = {
        name: np.zeros(root.shape, np.float32) if g is None else g.detach().float().cpu().numpy()
        for (name, root), g in zip(roots.items(), found, strict=True)
    }
    return loss.detach().double().cpu().numpy(), gradients


def _root(model: TorchModel, values: Array, present: Array) -> Tensor:
    if model.absence == "none":
        values = filled(values, present)
    wide = np.float64 if model.dtype == torch.float64 else np.float32
    return torch.from_numpy(np.array(values, wide, order="C")).to(model.device).requires_grad_()


def _prepared(model: TorchModel, name: str, root: Tensor) -> Any:
    function = model.prepare.get(name)
    if function is None:
        return root.to(model.dtype)
    try:
        tree = prepared_tree(model.who, name, cast("Callable[[Tensor], Any]", function)(root), len(root), model.dtype)
    except Exception as error:
        raise BadInput(
            f"{model.who}: prepare[{name!r}] does not take a tensor ({type(error).__name__}: {error}), so no gradient "
            "passes through it; use torch.as_tensor in it, which takes arrays and tensors."
        ) from error
    if not any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves(tree)):
        raise BadInput(f"{model.who}: prepare[{name!r}] lets no gradient pass; use torch operations in it.")
    return to_device(tree, model.device)


def losses(outputs: Tensor, target: Tensor, task: Task, scale: str) -> Tensor:
    """Each sample's loss, as `mmaudit.models.gradient.losses` computes it."""
    tiny = torch.finfo(torch.float32).tiny
    if task.kind == "regression":
        return (outputs - target).square().sum(dim=1)
    if task.kind == "classification":
        log_p = log_softmax(outputs, dim=1) if scale == "logits" else outputs.clamp(min=tiny).log()
        return -log_p.gather(1, target.long()[:, None])[:, 0]
    if scale == "logits":
        return binary_cross_entropy_with_logits(outputs, target.float(), reduction="none").sum(dim=1)
    yes, no = outputs.clamp(min=tiny).log(), (1 - outputs).clamp(min=tiny).log()
    return -torch.where(target > 0, yes, no).sum(dim=1)


def backward_through_recurrence(module: nn.Module) -> AbstractContextManager[Any]:
    """CuDNN's recurrent layers have a backward pass in training mode only; torch's own have one always."""
    if any(isinstance(m, nn.RNNBase) for m in module.modules()):
        return torch.backends.cudnn.flags(enabled=False)
    return nullcontext()


def _column(present: Array, x: Array) -> Array:
    return present.reshape(-1, *[1] * (x.ndim - 1))
