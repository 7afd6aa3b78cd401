"""Models: the protocol, an adapter per framework, the doctor that checks them, and loading by name.

Importing this imports no framework; each adapter is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mmaudit.models.check import Check, check_model, require
from mmaudit.models.fingerprints import behaviour
from mmaudit.models.function import FunctionModel
from mmaudit.models.loading import as_model, load_factory, load_model
from mmaudit.models.protocol import Differentiable, Model, Outputs, Retriever, Stageable, TwoStage
from mmaudit.models.retrieval import RetrievalModel

if TYPE_CHECKING:
    from mmaudit.models.sklearn import SklearnModel
    from mmaudit.models.torch import TorchModel
    from mmaudit.models.torch_files import load_module, load_weights

__all__ = [
    "Check",
    "Differentiable",
    "FunctionModel",
    "Model",
    "Outputs",
    "RetrievalModel",
    "Retriever",
    "SklearnModel",
    "Stageable",
    "TorchModel",
    "TwoStage",
    "as_model",
    "behaviour",
    "check_model",
    "load_factory",
    "load_model",
    "load_module",
    "load_weights",
    "require",
]

_LAZY = {
    "SklearnModel": "mmaudit.models.sklearn",
    "TorchModel": "mmaudit.models.torch",
    "load_module": "mmaudit.models.torch_files",
    "load_weights": "mmaudit.models.torch_files",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
