"""What tells two torch modules apart."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import torch
from torch import Tensor, nn

from mmaudit.models.fingerprints import code_digest


def module_digest(module: nn.Module) -> str:
    """Digest of every parameter and buffer (name, dtype, shape, bytes), and of classes, code and settings."""
    content = hashlib.sha256()
    state: dict[str, Any] = {**module.state_dict(), **dict(module.named_buffers())}
    for name in sorted(state):
        tensor = state[name]
        if not isinstance(tensor, Tensor):
            continue
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        content.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    classes = {type(m) for m in module.modules()}
    for name, digested in sorted((f"{c.__module__}.{c.__qualname__}", _class_digest(c)) for c in classes):
        content.update(f"{name} {digested}\0".encode())
    # What is printed holds settings that no tensor does (strides, activations); addresses in it mean nothing.
    content.update(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(module)).encode())
    return content.hexdigest()


def _class_digest(kind: type) -> str:
    return "" if kind.__module__.startswith("torch.") else code_digest(kind)
