"""Models that a path or an address names all by itself: an ONNX file, an HTTP endpoint."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from mmaudit.errors import BadInput
from mmaudit.models.protocol import Model, Outputs

ADDRESSES = ("http://", "https://")
SUFFIX = ".onnx"


def is_located(spec: str) -> bool:
    """Whether a string names a model by an address or the path of an ONNX file."""
    return spec.lower().startswith(ADDRESSES) or spec.lower().endswith(SUFFIX)


def located(spec: str, modalities: Sequence[str], outputs: Outputs | None) -> Model:
    """Return the model at an address, or in an ONNX file; see `load_model`.

    An endpoint is sent all modalities of the data, as JSON, with the token in `MMAUDIT_TOKEN` if that is set. A graph
    is given those that its inputs are called after.

    Raises:
        BadInput: a graph reads what the data does not have; or what `EndpointModel` and `OnnxModel` raise.
    """
    if spec.lower().startswith(ADDRESSES):
        endpoint: Model = importlib.import_module("mmaudit.models.endpoint").EndpointModel(
            spec, modalities, outputs=outputs
        )
        return endpoint
    path = Path(spec)
    graph = importlib.import_module("mmaudit.models.onnx_graph").Graph(f"OnnxModel {path.stem!r}", path, None, None)
    read = [name for name in modalities if name in graph.inputs]
    if unmet := [name for name in graph.inputs if name not in modalities]:
        raise BadInput(
            f"model {spec!r} reads {', '.join(map(repr, graph.inputs))}, the data has "
            f"{', '.join(map(repr, modalities))}; nothing in the data is called {unmet[0]!r}. Rename one side, or "
            "write a function: return mmaudit.OnnxModel(path, modalities, inputs={modality: input}, outputs=…), and "
            "give its import path: --model package.module:factory."
        )
    model: Model = importlib.import_module("mmaudit.models.onnx").OnnxModel(path, read, outputs=outputs)
    return model
