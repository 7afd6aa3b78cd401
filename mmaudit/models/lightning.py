"""Lightning modules from checkpoints. A LightningModule is a torch module: once loaded, `TorchModel` takes it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from mmaudit.errors import BadInput

Module = TypeVar("Module", bound=nn.Module)

_WEIGHTS, _SETTINGS, _HOLDER = "state_dict", "hyper_parameters", "hparams_name"


def load_lightning(kind: type[Module], path: str | Path, *, trust: bool = False, **settings: Any) -> Module:
    """Build a Lightning module with the settings of a checkpoint, load its weights, and return it ready for auditing.

    Give what is returned to `mmaudit.TorchModel`. Unlike Lightning's own `load_from_checkpoint` this does not unpickle
    the checkpoint: tensors, numbers, texts and containers of them are read, nothing is run. Settings that the module
    saved by `save_hyperparameters` are passed to its constructor, as Lightning does: by name, or as one mapping where
    the module took and saved one. `configure_model` is called; hooks of the module that look at checkpoints are not.

    Args:
        kind: the module's class, your code.
        path: a `.ckpt` file that Lightning's `Trainer` wrote.
        trust: unpickle the checkpoint, which can run any code that whoever made it put in. Needed where it holds
            objects of other classes among its settings.
        settings: arguments of the constructor; they win over those of the checkpoint.

    Returns:
        The module on the CPU, in evaluation mode.

    Raises:
        BadInput: the file is missing, damaged, no Lightning checkpoint, holds objects and is not trusted, or does not
            fit the class.
    """
    file = Path(path)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise BadInput(f"load_lightning: {kind!r} is no class of modules; give the LightningModule's class.")
    if not file.is_file():
        raise BadInput(f"checkpoint {str(file)!r} does not exist; give the path of a .ckpt file.")
    content = _read(file, trust)
    weights = content.get(_WEIGHTS)
    if not isinstance(weights, Mapping) or not all(isinstance(w, torch.Tensor) for w in weights.values()):
        raise BadInput(
            f"checkpoint {file.name!r} has no {_WEIGHTS} of tensors: it is no Lightning checkpoint. Weights alone are "
            "loaded by mmaudit.models.load_weights."
        )
    saved = content.get(_SETTINGS) or {}
    if not isinstance(saved, Mapping):
        raise BadInput(f"checkpoint {file.name!r}: its {_SETTINGS} are no mapping; pass the settings by name instead.")
    module = _built(kind, file, {**_taken(kind, saved, content.get(_HOLDER)), **settings})
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise BadInput(
            f"checkpoint {file.name!r} does not fit {kind.__name__}: {' '.join(lines[:2])[:300]} Give the class and "
            "the settings that it was trained with."
        ) from error
    return module.eval()


def _read(file: Path, trust: bool) -> Mapping[str, Any]:
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=not trust)
    except Exception as error:  # unpickling refuses in many ways: foreign classes, truncated files, other formats
        if trust:
            text = " ".join(str(error).split())[:300]
            raise BadInput(f"checkpoint {file.name!r} cannot be loaded: {type(error).__name__}: {text}") from error
        raise BadInput(
            f"checkpoint {file.name!r} cannot be read as tensors and plain values alone ({type(error).__name__}): it "
            "is damaged or holds Python objects. Save the settings as plain values, or, if you trust whoever made it, "
            "say trust=True."
        ) from error
    if not isinstance(content, Mapping):
        raise BadInput(f"checkpoint {file.name!r} holds {type(content).__name__}, no Lightning checkpoint.")
    return content


def _taken(kind: type, saved: Mapping[str, Any], holder: Any) -> dict[str, Any]:
    """The saved settings that the constructor takes by name; all as one where it took them so, under `holder`."""
    parameters = inspect.signature(kind).parameters.values()
    if saved and holder in {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}:
        return {holder: dict(saved)}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return {str(name): value for name, value in saved.items()}
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return {str(name): value for name, value in saved.items() if name in named}


def _built(kind: type[Module], file: Path, settings: Mapping[str, Any]) -> Module:
    try:
        module = kind(**settings)
        if callable(configure := getattr(module, "configure_model", None)):  # where large modules make their layers
            configure()
        return module
    except Exception as error:  # the user's own constructor
        raise BadInput(
            f"checkpoint {file.name!r}: {kind.__name__}({', '.join(settings)}) raised {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}. Pass the settings that the checkpoint does not have by name: "
            f"load_lightning({kind.__name__}, path, setting=…)."
        ) from error
