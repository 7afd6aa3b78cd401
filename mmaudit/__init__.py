"""mmaudit: audit the robustness, fusion and calibration of any trained multimodal model.

    report = mmaudit.audit(model, data, out="runs/mine")

The names below are the public ones; they are imported on first use, so that `import mmaudit` is quick and loads no
torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmaudit.auditing import audit
    from mmaudit.compared.compare import compare
    from mmaudit.compared.result import Comparison
    from mmaudit.data import (
        ArrayData,
        Dataset,
        FrameData,
        HuggingFaceData,
        Indexed,
        StreamedData,
        TorchData,
        read_folder,
        read_npz,
        read_parquet,
        read_public,
        read_table,
        read_webdataset,
        read_zarr,
        verify_public,
    )
    from mmaudit.data_synergy import Synergy, synergy
    from mmaudit.errors import MMAuditError
    from mmaudit.metrics import Predictions, Resamples, metric
    from mmaudit.models import (
        EndpointModel,
        FunctionModel,
        Model,
        OnnxModel,
        RetrievalModel,
        SklearnModel,
        TorchModel,
        TransformersChoices,
        TransformersClassifier,
        TransformersRetriever,
        TransformersZeroShot,
        check_model,
        load_lightning,
        load_pretrained,
        load_skops,
    )
    from mmaudit.panel import Panel
    from mmaudit.plan import Suite
    from mmaudit.precomputed import audit_predictions, read_inputs, write_inputs
    from mmaudit.probes.base import corruption, probe
    from mmaudit.reference.retrain import retrain
    from mmaudit.report import Report
    from mmaudit.store import Run
    from mmaudit.types import Batch, Condition, Finding, Modality, Score, Task

_HOME = {
    "ArrayData": "mmaudit.data",
    "Batch": "mmaudit.types",
    "Comparison": "mmaudit.compared.result",
    "Condition": "mmaudit.types",
    "Dataset": "mmaudit.data",
    "EndpointModel": "mmaudit.models",
    "Finding": "mmaudit.types",
    "FrameData": "mmaudit.data",
    "FunctionModel": "mmaudit.models",
    "HuggingFaceData": "mmaudit.data",
    "Indexed": "mmaudit.data",
    "MMAuditError": "mmaudit.errors",
    "Modality": "mmaudit.types",
    "Model": "mmaudit.models",
    "OnnxModel": "mmaudit.models",
    "Panel": "mmaudit.panel",
    "Predictions": "mmaudit.metrics",
    "Report": "mmaudit.report",
    "Resamples": "mmaudit.metrics",
    "RetrievalModel": "mmaudit.models",
    "Run": "mmaudit.store",
    "Score": "mmaudit.types",
    "SklearnModel": "mmaudit.models",
    "StreamedData": "mmaudit.data",
    "Suite": "mmaudit.plan",
    "Synergy": "mmaudit.data_synergy",
    "Task": "mmaudit.types",
    "TorchData": "mmaudit.data",
    "TorchModel": "mmaudit.models",
    "TransformersChoices": "mmaudit.models",
    "TransformersClassifier": "mmaudit.models",
    "TransformersRetriever": "mmaudit.models",
    "TransformersZeroShot": "mmaudit.models",
    "audit": "mmaudit.auditing",
    "audit_predictions": "mmaudit.precomputed",
    "check_model": "mmaudit.models",
    "compare": "mmaudit.compared.compare",
    "corruption": "mmaudit.probes.base",
    "load_lightning": "mmaudit.models",
    "load_pretrained": "mmaudit.models",
    "load_skops": "mmaudit.models",
    "metric": "mmaudit.metrics",
    "probe": "mmaudit.probes.base",
    "read_folder": "mmaudit.data",
    "read_inputs": "mmaudit.precomputed",
    "read_npz": "mmaudit.data",
    "read_parquet": "mmaudit.data",
    "read_public": "mmaudit.data",
    "read_table": "mmaudit.data",
    "read_webdataset": "mmaudit.data",
    "read_zarr": "mmaudit.data",
    "retrain": "mmaudit.reference.retrain",
    "synergy": "mmaudit.data_synergy",
    "verify_public": "mmaudit.data",
    "write_inputs": "mmaudit.precomputed",
}

__all__ = [
    "ArrayData",
    "Batch",
    "Comparison",
    "Condition",
    "Dataset",
    "EndpointModel",
    "Finding",
    "FrameData",
    "FunctionModel",
    "HuggingFaceData",
    "Indexed",
    "MMAuditError",
    "Modality",
    "Model",
    "OnnxModel",
    "Panel",
    "Predictions",
    "Report",
    "Resamples",
    "RetrievalModel",
    "Run",
    "Score",
    "SklearnModel",
    "StreamedData",
    "Suite",
    "Synergy",
    "Task",
    "TorchData",
    "TorchModel",
    "TransformersChoices",
    "TransformersClassifier",
    "TransformersRetriever",
    "TransformersZeroShot",
    "audit",
    "audit_predictions",
    "check_model",
    "compare",
    "corruption",
    "load_lightning",
    "load_pretrained",
    "load_skops",
    "metric",
    "probe",
    "read_folder",
    "read_inputs",
    "read_npz",
    "read_parquet",
    "read_public",
    "read_table",
    "read_webdataset",
    "read_zarr",
    "retrain",
    "synergy",
    "verify_public",
    "write_inputs",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version("mmaudit")
    if name not in _HOME:
        raise AttributeError(f"module 'mmaudit' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
