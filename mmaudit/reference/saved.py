"""Trained references on disk: weights as safetensors, everything else as JSON; nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from mmaudit.errors import DamagedRun
from mmaudit.folder import make_folder, write_atomically
from mmaudit.place import local_copy
from mmaudit.reference.base import Method, Parts
from mmaudit.reference.loop import build
from mmaudit.reference.trained import Trained, Trial

WEIGHTS = "weights.safetensors"
ABOUT = "reference.json"
SCHEMA = 1


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write plain values; NaN and infinities as null."""
    make_folder(path.parent)
    write_atomically(path, (json.dumps(_finite(value), indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Read plain values; None where there are none or they are damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_weights(folder: Path, trained: Trained) -> None:
    """Write every trial's parameters and buffers, with what `read_weights` needs beside them."""
    tensors = {f"p.{k}": t for k, t in trained.parameters.items()} | {f"b.{k}": t for k, t in trained.buffers.items()}
    about = {
        "trials": [[t.seed, dict(t.hyper)] for t in trained.trials],
        "outcomes": trained.outcomes,
        "best_epoch": trained.best_epoch,
        "validation": trained.validation,
        "history": trained.history,
        "seconds": trained.seconds,
        "note": trained.note,
    }
    write_tensors(folder / WEIGHTS, tensors, {"trained": json.dumps(about)})


def read_weights(folder: Path, method: Method, parts: Parts, device: torch.device | str) -> Trained:
    """Read a trained method back.

    Raises:
        DamagedRun: there are no weights, or they do not fit the method and parts.
    """
    tensors, said = read_tensors(folder / WEIGHTS, device)
    about = json.loads(said["trained"])
    trials = [Trial(int(seed), hyper) for seed, hyper in about.pop("trials")]
    module = build(method, parts, trials[0].seed).to(device)
    parameters = {k[2:]: t for k, t in tensors.items() if k.startswith("p.")}
    buffers = {k[2:]: t for k, t in tensors.items() if k.startswith("b.")}
    shapes = {k: tuple(t.shape[1:]) for k, t in (parameters | buffers).items()}
    expected = {k: tuple(t.shape) for k, t in (*module.named_parameters(), *module.named_buffers())}
    if shapes != expected:
        raise DamagedRun(f"{folder / WEIGHTS} is not of a {method.name!r} as it is built now; train it again.")
    return Trained(method, parts, trials, module, parameters, buffers, **about)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name."""
    make_folder(path.parent)
    plain = {k: t.detach().cpu().contiguous() for k, t in tensors.items()}
    write_atomically(path, safetensors.torch.save(plain, dict(metadata or {})))


def read_tensors(path: Path, device: torch.device | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata; raises `DamagedRun` where they cannot be read."""
    try:
        with local_copy(path) as here, safetensors.safe_open(here, framework="pt", device=str(device)) as file:
            return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DamagedRun(f"{path} cannot be read ({error}); train the reference again.") from error


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not (value == value and abs(value) != float("inf")):
        return None
    return value
