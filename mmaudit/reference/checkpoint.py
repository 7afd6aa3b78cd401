"""A training's state on disk, so that a killed one goes on where it was. Tensors and JSON only; nothing is pickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from mmaudit.folder import make_folder, write_atomically
from mmaudit.place import local_copy

if TYPE_CHECKING:
    from mmaudit.reference.batched import Progressed

VERSION = 2  # of features, splits, loop and methods: what another one trained, to its end or not, is trained again
SECONDS = 10.0  # at least, between two checkpoints
NAME = "checkpoint.safetensors"
_PLAIN = ("epoch", "best_goodness", "best_epoch", "stopped", "outcomes", "history", "seconds")


def save(folder: Path, spec: Mapping[str, Any], at: Progressed) -> None:
    """Write what `restore` needs; the file is complete or the one before."""
    groups = {
        "p": at.parameters, "s": at.state, "b": at.best, "1": at.optimiser.first, "2": at.optimiser.second
    }  # fmt: skip
    tensors = {f"{g}.{k}": t.detach().cpu().contiguous() for g, named in groups.items() for k, t in named.items()}
    plain = {name: getattr(at, name) for name in _PLAIN} | {"steps": at.optimiser.steps, "spec": _made_with(spec)}
    make_folder(folder)
    write_atomically(folder / NAME, safetensors.torch.save(tensors, {"training": json.dumps(plain)}))


def restore(folder: Path, spec: Mapping[str, Any], at: Progressed) -> None:
    """Go on from a checkpoint of the same settings and `VERSION`; without one, or with another's, nothing changes."""
    path = folder / NAME
    if not path.exists():
        return
    try:
        with local_copy(path) as here, safetensors.safe_open(here, framework="pt") as file:
            plain = json.loads(file.metadata()["training"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, KeyError, TypeError, ValueError):
        return
    if plain.get("spec") != json.loads(json.dumps(_made_with(spec))):
        return
    groups = {
        "p": at.parameters, "s": at.state, "b": at.best, "1": at.optimiser.first, "2": at.optimiser.second
    }  # fmt: skip
    for prefix, named in groups.items():
        for k, t in named.items():
            named[k] = tensors[f"{prefix}.{k}"].to(t.device)
    for name in _PLAIN:
        setattr(at, name, plain[name])
    at.optimiser.steps = plain["steps"]


def _made_with(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint must agree in: a newer loop would go on otherwise than an older one began."""
    return {"version": VERSION, **spec}


def remove(folder: Path) -> None:
    """Delete the checkpoint of a finished training."""
    with suppress(FileNotFoundError):
        (folder / NAME).unlink()


def content(tensors: Mapping[str, Tensor]) -> str:
    """A digest that tells other data, or the same in another order, from this."""
    found = hashlib.blake2b(digest_size=16)
    for name, t in sorted(tensors.items()):
        found.update(f"{name}{tuple(t.shape)}{t.dtype}".encode())
        found.update(t.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
