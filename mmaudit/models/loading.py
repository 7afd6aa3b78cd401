"""From an object or `package.module:factory` to a model. Nothing is guessed, nothing is searched for."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmaudit.errors import BadInput, MMAuditError
from mmaudit.models.located import is_located, located
from mmaudit.models.protocol import Model, Outputs

_MODULE_FILES = (".pt", ".pth", ".pt2", ".ts", ".torchscript", ".jit")
_ESTIMATOR_FILES = (".skops",)
_WEIGHT_FILES = (".safetensors", ".ckpt", ".bin")
_DECLARED = ("name", "modalities", "outputs", "native_absence", "fingerprint")
_ATTRIBUTES = (*_DECLARED, "predict")
# What a model for retrieval has in place of `predict`.
_RETRIEVES = ("encode", "scores")


def load_factory(spec: str, trust: bool = False) -> Any:
    """Return the model object that a string names.

    Args:
        spec: `package.module:factory`, an import path: that module is imported (from the installed packages, else
            from the current folder), and the factory called without arguments; an attribute that already is a model, a
            torch module or an estimator is returned as it is. Or the path of a scikit-learn estimator saved by skops
            (`.skops`); or, with `trust`, of a whole-module torch file (`.pt`, `.pth`, `.pt2`, TorchScript).
        trust: allow such torch files, which can run code when opened, and every type that a `.skops` file holds.

    Returns:
        What the factory returned; give it to `as_model`.

    Raises:
        BadInput: naming what is wrong with `spec`, or what the module or the factory raised.
    """
    if is_located(spec):
        raise BadInput(f"model {spec!r} does not say what it reads and returns; use mmaudit.models.load_model.")
    if _names_file(spec):
        return _from_file(spec, Path(spec).suffix.lower(), trust)
    module_name, _, attribute = spec.partition(":")
    named = all(part.isidentifier() for part in module_name.split("."))
    if not named or not attribute or module_name.endswith(".py"):
        raise BadInput(
            f"model {spec!r} is not an import path; expected package.module:factory, such as my_model:make for a "
            "function make in my_model.py in the current folder."
        )
    found: Any = _imported(spec, module_name)
    for part in attribute.split("."):
        found = _attribute(spec, found, part)
    if not callable(found) or _is_ready(found):
        return found
    try:
        return found()
    except MMAuditError:  # says what is wrong already
        raise
    except Exception as error:
        hint = " It must work without arguments." if isinstance(error, TypeError) else ""
        raise BadInput(f"model {spec!r}: calling it raised {type(error).__name__}: {error}.{hint}") from error


def import_named(spec: str) -> bool:
    """Import the module of `package.module:factory` without calling the factory; whether `spec` names one.

    Raises:
        BadInput: there is no such module, or importing it raised.
    """
    if is_located(spec) or _names_file(spec):
        return False
    _imported(spec, spec.partition(":")[0])
    return True


def _names_file(spec: str) -> bool:
    ours = (*_ESTIMATOR_FILES, *_MODULE_FILES)
    return ":" not in spec or Path(spec).suffix.lower() in ours or Path(spec).is_file()


def load_model(
    spec: str,
    *,
    modalities: Sequence[str],
    outputs: Outputs | None = None,
    weights: str | Path | None = None,
    trust: bool = False,
) -> Model:
    """Return the model that a command line names.

    Args:
        spec: as for `load_factory`. Or the path of an `.onnx` file, whose inputs are called as the modalities; or an
            address, `https://…` (`http://` of this computer only), that answers as `mmaudit.EndpointModel` describes.
        modalities: of the data set. A torch module, graph or function that is no `Model` yet is passed those that its
            parameters name, so their order in the data does not matter.
        outputs: scale of the outputs of such a module, graph, function or endpoint.
        weights: file to load into a torch module by `load_weights`.
        trust: as for `load_factory`.

    Raises:
        BadInput: naming what is wrong; also when an option has no use for what `spec` names.
    """
    if is_located(spec):
        if weights is not None:
            raise BadInput(f"weights {str(weights)!r} given, but model {spec!r} is no torch module.")
        return located(spec, modalities, outputs)
    found = load_factory(spec, trust)
    if weights is not None:
        if not _is_torch_module(found):
            raise BadInput(f"weights {str(weights)!r} given, but model {spec!r} is an {_name(found)}, no torch module.")
        found = importlib.import_module("mmaudit.models.torch_files").load_weights(found, weights)
    if _is_model(found):
        if outputs not in (None, found.outputs):
            raise BadInput(f"model {spec!r} declares outputs={found.outputs!r}, but {outputs!r} was asked for.")
        return as_model(found)
    if not (_is_torch_module(found) or _is_estimator(found) or callable(found)):
        return as_model(found)
    return as_model(found, {"modalities": modalities, "outputs": outputs, **_calling(spec, found, modalities)})


def as_model(given: Any, options: Mapping[str, Any] | None = None) -> Model:
    """Return a `Model`: the object itself if it is one, else wrapped by the adapter for its sort, with `options`.

    Args:
        given: a model, or with options a torch module, a fitted estimator or a function.
        options: the adapter's arguments by name; `modalities` at least. None: only models are accepted.

    Raises:
        BadInput: the object is no model and there are no options; says which adapter to wrap it in and why.
    """
    if _is_model(given):
        if options:
            raise BadInput(f"model {_name(given)} is complete; the options {', '.join(options)} have no place to go.")
        model: Model = given
        return model
    adapter, example = _adapter(given)
    if adapter is None:
        lacking = [name for name in _ATTRIBUTES if not _has(given, name)]
        raise BadInput(
            f"{_name(given)} is not a model: it has no {', '.join(lacking)}. Give a torch module, a fitted "
            "scikit-learn estimator or a function in its adapter from mmaudit.models, or an object with these "
            "attributes (see mmaudit.models.Model)."
        )
    if options is None:
        raise BadInput(
            f"{_name(given)} does not say which modalities it reads, nor whether its outputs are logits, probabilities "
            f"or values, and mmaudit does not guess; wrap it: mmaudit.models.{example}."
        )
    if "modalities" not in options:
        raise BadInput(f"options for {_name(given)} lack 'modalities', the names of its inputs in its order.")
    kind = getattr(importlib.import_module("mmaudit.models"), adapter)
    try:
        wrapped: Model = kind(given, **options)
    except TypeError as error:
        raise BadInput(f"options for {_name(given)}: {error}; see help(mmaudit.models.{adapter}).") from error
    return wrapped


def _from_file(spec: str, suffix: str, trust: bool) -> Any:
    if suffix in _MODULE_FILES:
        return importlib.import_module("mmaudit.models.torch_files").load_module(spec, trust=trust)
    if suffix in _ESTIMATOR_FILES:
        return importlib.import_module("mmaudit.models.skops").load_skops(spec, trust=trust)
    if suffix in _WEIGHT_FILES:
        raise BadInput(
            f"model {spec!r} holds weights only, no model; write a function that builds the module and calls "
            "mmaudit.models.load_weights (of a Lightning checkpoint: load_lightning), and give its import path: "
            "--model package.module:factory."
        )
    raise BadInput(
        f"model {spec!r} is neither an import path nor a model file; expected package.module:factory, with a colon "
        f"before the function that returns the model, or a file ending in {', '.join((*_MODULE_FILES[:3], '.onnx'))} "
        "or .skops."
    )


def _imported(spec: str, name: str) -> Any:
    # As with `python -m`, modules of the current folder are found; last, so that they hide no installed package.
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise BadInput(
                f"model {spec!r}: there is no module {error.name!r}, neither installed nor in {here}. "
                "Check the spelling, or run from the folder that holds it."
            ) from error
        raise BadInput(
            f"model {spec!r}: importing {name} failed, because it needs {error.name!r}, which is not installed."
        ) from error
    except Exception as error:
        raise BadInput(f"model {spec!r}: importing {name} raised {type(error).__name__}: {error}") from error


def _attribute(spec: str, owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        public = [other for other in dir(owner) if not other.startswith("_")]
        near = difflib.get_close_matches(name, public, n=1)
        guess = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(public[:8]) or 'nothing public'}."
        where = getattr(owner, "__name__", type(owner).__name__)
        raise BadInput(f"model {spec!r}: {where} has no attribute {name!r}; {guess}") from error


def _calling(spec: str, found: Any, modalities: Sequence[str]) -> dict[str, Any]:
    """Options that say how to call what is no model yet, read from its parameters' names."""
    if _is_estimator(found):
        if hasattr(found, "feature_names_in_"):
            return {"features": "frame"}
        raise BadInput(
            f"model {spec!r} is an estimator fitted without feature names, so the order of its inputs is not known; "
            "return mmaudit.models.SklearnModel(estimator, modalities=[...]) from the factory."
        )
    parameters = _parameters(found)
    read = [name for name in parameters if name in modalities]
    unmet = [name for name, (needed, _) in parameters.items() if needed and name not in read]
    if unmet or not read:
        adapter, _ = _adapter(found)
        raise BadInput(
            f"model {spec!r} takes {', '.join(map(repr, parameters)) or 'no parameters by name'}, the data has "
            f"{', '.join(map(repr, modalities))}; they cannot be matched by name. Rename one side, or return "
            f"mmaudit.models.{adapter}(..., modalities=[...]) from the factory, which says the order."
        )
    # By position where that is possible, because exported modules take nothing by keyword.
    places = [name for name, (_, place) in parameters.items() if place]
    return {"modalities": read, "call": "positional" if read == places[: len(read)] else "keyword"}


def _parameters(found: Any) -> dict[str, tuple[bool, bool]]:
    """What can be passed by name: whether it must be passed, and whether it can be by position."""
    function = found.forward if _is_torch_module(found) else found
    schema = getattr(function, "schema", None)  # TorchScript
    if schema is not None:
        return {argument.name: (not argument.has_default_value(), True) for argument in schema.arguments[1:]}
    return {
        name: (parameter.default is parameter.empty, parameter.kind is parameter.POSITIONAL_OR_KEYWORD)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def _is_model(given: Any) -> bool:
    if isinstance(given, type) or not all(_has(given, name) for name in _DECLARED):
        return False
    return _has(given, "predict") or all(_has(given, name) for name in _RETRIEVES)


def _is_ready(found: Any) -> bool:
    """Whether an object is a model, a torch module or an estimator: callable or not, it is not a factory."""
    return _is_model(found) or _is_torch_module(found) or _is_estimator(found)


def _adapter(given: Any) -> tuple[str | None, str]:
    if _is_torch_module(given):
        return "TorchModel", "TorchModel(module, modalities=['image', 'text'], outputs='logits')"
    if _is_estimator(given):
        return "SklearnModel", "SklearnModel(estimator, modalities=['image', 'table'])"
    if callable(given) and not isinstance(given, type):
        return "FunctionModel", "FunctionModel(function, modalities=['image', 'text'], outputs='probabilities')"
    return None, ""


def _is_torch_module(found: Any) -> bool:
    # Whoever holds a torch module has imported torch; asking must not be what imports it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(found, torch.nn.Module)


def _is_estimator(found: Any) -> bool:
    return not isinstance(found, type) and hasattr(found, "get_params") and hasattr(found, "fit")


def _has(given: Any, name: str) -> bool:
    """Whether an attribute is there, without computing it: a fingerprint digests all weights."""
    return hasattr(type(given), name) or name in getattr(given, "__dict__", {})


def _name(given: Any) -> str:
    if isinstance(given, type):
        return f"class {given.__name__!r}"
    if hasattr(given, "__name__"):
        return f"function {given.__name__!r}"
    return f"object of type {type(given).__name__!r}"
