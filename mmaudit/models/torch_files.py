"""Torch models and weights from files. Weights are read without running code; whole modules can run code."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mmaudit.errors import BadInput

_NESTED = ("state_dict", "model_state_dict", "model", "weights")


def load_weights(module: nn.Module, path: str | Path) -> nn.Module:
    """Load weights into a module and return it, in evaluation mode. No code in the file is run.

    Of weights that are tied, the file may name one alone, as `safetensors.torch.save_model` writes them.

    Args:
        module: built by your own code, with the parameters that the file names.
        path: `.safetensors`, or a state dict saved by `torch.save` (any other suffix). A checkpoint that holds the
            state dict under `state_dict`, `model_state_dict`, `model` or `weights` is understood.

    Raises:
        BadInput: the file is missing, damaged, holds more than tensors, or does not fit the module.
    """
    file = Path(path)
    _require_file(file)
    state = _safetensors(file) if file.suffix == ".safetensors" else _state_dict(file)
    try:
        found = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise BadInput(
            f"weights {file.name!r} do not fit {type(module).__name__}: {' '.join(lines[:2])} "
            "Build the module with the sizes it was trained with."
        ) from error
    missing = _not_tied(module, found.missing_keys)
    if missing or found.unexpected_keys:
        raise BadInput(
            f"weights {file.name!r} do not fit {type(module).__name__}: missing {_few(missing)}, "
            f"not expected {_few(found.unexpected_keys)}. Use the class and options they were trained with; "
            "a common prefix such as 'module.' has to be removed first."
        )
    return module.eval()


def load_module(path: str | Path, *, trust: bool = False) -> nn.Module:
    """Load a whole module from a `.pt`, `.pth`, `.pt2` or TorchScript file, in evaluation mode.

    Args:
        path: the file.
        trust: opening such a file can run any code that whoever made it put in. True says you trust them.

    Raises:
        BadInput: without `trust`; or the file is missing, damaged, or holds no module.
    """
    file = Path(path)
    _require_file(file)
    if not trust:
        raise BadInput(
            f"model file {file.name!r} holds a whole module, and opening one can run any code its maker put in. If you "
            "trust them, say --trust (trust=True). Safer: save weights alone (torch.save(model.state_dict(), …) or "
            "safetensors), write a function that builds the module and calls mmaudit.models.load_weights, and give its "
            "import path: --model package.module:factory."
        )
    try:
        loaded = _whole(file)
    except Exception as error:  # whatever unpickling foreign code raises
        raise BadInput(f"model file {file.name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(loaded, nn.Module):
        what = "a state dict" if isinstance(loaded, Mapping) else type(loaded).__name__
        raise BadInput(
            f"model file {file.name!r} holds {what}, not a module; write a function that builds the module and calls "
            "mmaudit.models.load_weights, and give its import path: --model package.module:factory."
        )
    return loaded


def _whole(file: Path) -> Any:
    if file.suffix == ".pt2":
        exported = torch.export.load(str(file)).module()
        # An exported graph has fixed its mode; its flag still says training, and eval() is refused.
        for part in exported.modules():
            part.training = False
        return exported
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                return torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    loaded = torch.load(file, map_location="cpu", weights_only=False)
    return loaded.eval() if isinstance(loaded, nn.Module) else loaded


def _require_file(file: Path) -> None:
    if not file.is_file():
        raise BadInput(f"model file {str(file)!r} does not exist; give the path of a file.")


def _safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except SafetensorError as error:
        raise BadInput(f"weights {file.name!r} are damaged or no safetensors file: {error}") from error


def _state_dict(file: Path) -> dict[str, Tensor]:
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling refuses in many ways: foreign classes, truncated files, other formats
        raise BadInput(
            f"weights {file.name!r} cannot be read as tensors alone ({type(error).__name__}): the file is damaged or "
            "holds Python objects. Save model.state_dict() instead of the model, or use safetensors."
        ) from error
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        held = f"the keys {_few(list(map(str, content)))}" if isinstance(content, Mapping) else type(content).__name__
        raise BadInput(f"weights {file.name!r} hold {held}, not a state dict of tensors by name.")
    return dict(content)


def _not_tied(module: nn.Module, missing: list[str]) -> list[str]:
    """Which of the missing names stand for memory that no other name has filled."""
    if not missing:
        return []
    state = {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    loaded = {(_storage(t), t.data_ptr(), t.shape, t.stride()) for name, t in state.items() if name not in missing}
    return [
        name
        for name in missing
        if (t := state.get(name)) is None
        or not t.data_ptr()  # empty, or on no device
        or (_storage(t), t.data_ptr(), t.shape, t.stride()) not in loaded
    ]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _few(names: list[str]) -> str:
    return "nothing" if not names else ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
