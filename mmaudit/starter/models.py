"""What sort of model a starter is for: said, or seen in what `--model` names."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmaudit.errors import BadInput

KINDS = ("torch", "sklearn", "function", "onnx", "transformers", "http", "precomputed")
"""The sorts of models that `mmaudit init` writes an adapter for."""

_SUFFIXES = {
    ".onnx": "onnx",
    ".skops": "sklearn",
    ".parquet": "precomputed",
    ".pq": "precomputed",
    ".csv": "precomputed",
}
_WEIGHTS = (".ckpt", ".pt", ".pth", ".safetensors")
_NEED = {
    "onnx": "--model model.onnx",
    "transformers": "--model FOLDER, the one that save_pretrained wrote",
    "http": "--model https://host/path",
}


@dataclass(frozen=True)
class Named:
    """What `--model` names.

    Attributes:
        kind: one of `KINDS`, or `"model"` where it is a `Model` already and needs no adapter.
        spec: what was given; empty where nothing was.
        found: the object behind an import path, else `None`.
        beside: folder that its module was found in, where that is no installed package.
    """

    kind: str
    spec: str = ""
    found: Any = None
    beside: Path | None = None


def named(kind: str | None, model: str | None) -> Named:
    """See what `--kind` and `--model` say.

    An import path `package.module:name` is imported, and `name` called if it is a function or class without required
    arguments: you named it.

    Raises:
        BadInput: neither says what sort of model it is, they contradict each other, or the path does not exist.
    """
    if kind is not None and kind not in KINDS:
        raise BadInput(f"--kind {kind!r} is not one of {', '.join(KINDS)}.")
    if not model:
        if kind is None:
            raise BadInput(f"give --model, or say what sort of model it is: --kind {', '.join(KINDS)}.")
        if kind in _NEED:
            raise BadInput(f"--kind {kind} needs {_NEED[kind]}.")
        return Named(kind)
    path = Path(model)
    if model.startswith(("http://", "https://")):
        return Named(_agree(kind, "http", model), model)
    if seen := _SUFFIXES.get(path.suffix.lower()) or ("transformers" if (path / "config.json").is_file() else None):
        if not path.exists():
            raise BadInput(f"--model {model!r} does not exist.")
        return Named(_agree(kind, seen, model), model)
    if path.suffix.lower() in _WEIGHTS:
        raise BadInput(
            f"--model {model!r} holds weights; name the model that they belong to, and them beside it: "
            f"--model package.module:name --weights {model}."
        )
    if ":" not in model:
        raise BadInput(
            f"--model {model!r}: expected an import path package.module:name, a file ending in .onnx or .skops, a "
            "table of predictions (.parquet, .csv), a folder with config.json, or an https address."
        )
    return _imported(kind, model)


def _imported(kind: str | None, model: str) -> Named:
    from mmaudit.models.loading import as_model, load_factory

    found = _function(model) if kind == "function" else load_factory(model)
    beside = _beside(model)
    torch = sys.modules.get("torch")  # who holds a torch module has imported torch
    if torch is not None and isinstance(found, torch.nn.Module):
        return Named(_agree(kind, "torch", model), model, found, beside)
    if hasattr(found, "fingerprint"):
        return Named("model", model, as_model(found), beside)
    if hasattr(found, "get_params") and hasattr(found, "fit"):
        return Named(_agree(kind, "sklearn", model), model, found, beside)
    if callable(found):
        return Named(_agree(kind, "function", model), model, found, beside)
    raise BadInput(
        f"--model {model!r} is a {type(found).__name__}; expected a torch module, a fitted scikit-learn estimator, a "
        "function of arrays (with --kind function), or what makes one of these."
    )


def _function(model: str) -> Any:
    """The function itself, which is not called: its arguments are the modalities."""
    module, _, name = model.partition(":")
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(f"--model {model!r} cannot be imported: {error}.") from error
    if not callable(found):
        raise BadInput(f"--model {model!r} is a {type(found).__name__}, no function.")
    return found


def _beside(model: str) -> Path | None:
    """The current folder where the module was found there: the adapter then has to find it, too."""
    top = model.partition(":")[0].partition(".")[0]
    here = Path.cwd()
    return here if (here / f"{top}.py").is_file() or (here / top).is_dir() else None


def _agree(kind: str | None, seen: str, model: str) -> str:
    if kind not in (None, seen):
        raise BadInput(f"--kind {kind} was said, but --model {model!r} looks like {seen}; leave one of them out.")
    return seen
