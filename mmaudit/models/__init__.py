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
    from mmaudit.models.endpoint import EndpointModel
    from mmaudit.models.hf_choices import TransformersChoices
    from mmaudit.models.hf_files import load_pretrained
    from mmaudit.models.hf_fusion import TransformersClassifier
    from mmaudit.models.hf_retrieval import TransformersRetriever
    from mmaudit.models.hf_zero_shot import TransformersZeroShot
    from mmaudit.models.lightning import load_lightning
    from mmaudit.models.onnx import OnnxModel
    from mmaudit.models.sklearn import SklearnModel
    from mmaudit.models.skops import load_skops
    from mmaudit.models.torch import TorchModel
    from mmaudit.models.torch_files import load_module, load_weights

__all__ = [
    "Check",
    "Differentiable",
    "EndpointModel",
    "FunctionModel",
    "Model",
    "OnnxModel",
    "Outputs",
    "RetrievalModel",
    "Retriever",
    "SklearnModel",
    "Stageable",
    "TorchModel",
    "TransformersChoices",
    "TransformersClassifier",
    "TransformersRetriever",
    "TransformersZeroShot",
    "TwoStage",
    "as_model",
    "behaviour",
    "check_model",
    "load_factory",
    "load_lightning",
    "load_model",
    "load_module",
    "load_pretrained",
    "load_skops",
    "load_weights",
    "require",
]

_LAZY = {
    "EndpointModel": "mmaudit.models.endpoint",
    "OnnxModel": "mmaudit.models.onnx",
    "SklearnModel": "mmaudit.models.sklearn",
    "TorchModel": "mmaudit.models.torch",
    "load_pretrained": "mmaudit.models.hf_files",
    "TransformersZeroShot": "mmaudit.models.hf_zero_shot",
    "TransformersRetriever": "mmaudit.models.hf_retrieval",
    "TransformersClassifier": "mmaudit.models.hf_fusion",
    "TransformersChoices": "mmaudit.models.hf_choices",
    "load_lightning": "mmaudit.models.lightning",
    "load_module": "mmaudit.models.torch_files",
    "load_skops": "mmaudit.models.skops",
    "load_weights": "mmaudit.models.torch_files",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
