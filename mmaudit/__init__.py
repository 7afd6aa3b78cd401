"""mmaudit: audit the robustness, fusion and calibration of any trained multimodal model.

    report = mmaudit.audit(model, data, out="runs/mine")

The names below are the public ones; they are imported on first use, so that `import mmaudit` is quick and loads no
torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmaudit.auditing import audit
    from mmaudit.compared.compare import compare
    from mmaudit.compared.result import Comparison
    from mmaudit.data import ArrayData, Dataset, FrameData, Indexed, TorchData, read_npz, read_parquet
    from mmaudit.data_synergy import Synergy, synergy
    from mmaudit.errors import MMAuditError
    from mmaudit.metrics import Predictions, Resamples, metric
    from mmaudit.models import FunctionModel, Model, RetrievalModel, SklearnModel, TorchModel, check_model
    from mmaudit.panel import Panel
    from mmaudit.plan import Suite
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
    "Finding": "mmaudit.types",
    "FrameData": "mmaudit.data",
    "FunctionModel": "mmaudit.models",
    "Indexed": "mmaudit.data",
    "MMAuditError": "mmaudit.errors",
    "Modality": "mmaudit.types",
    "Model": "mmaudit.models",
    "Panel": "mmaudit.panel",
    "Predictions": "mmaudit.metrics",
    "Report": "mmaudit.report",
    "Resamples": "mmaudit.metrics",
    "RetrievalModel": "mmaudit.models",
    "Run": "mmaudit.store",
    "Score": "mmaudit.types",
    "SklearnModel": "mmaudit.models",
    "Suite": "mmaudit.plan",
    "Synergy": "mmaudit.data_synergy",
    "Task": "mmaudit.types",
    "TorchData": "mmaudit.data",
    "TorchModel": "mmaudit.models",
    "audit": "mmaudit.auditing",
    "check_model": "mmaudit.models",
    "compare": "mmaudit.compared.compare",
    "corruption": "mmaudit.probes.base",
    "metric": "mmaudit.metrics",
    "probe": "mmaudit.probes.base",
    "read_npz": "mmaudit.data",
    "read_parquet": "mmaudit.data",
    "retrain": "mmaudit.reference.retrain",
    "synergy": "mmaudit.data_synergy",
}

__all__ = [
    "ArrayData",
    "Batch",
    "Comparison",
    "Condition",
    "Dataset",
    "Finding",
    "FrameData",
    "FunctionModel",
    "Indexed",
    "MMAuditError",
    "Modality",
    "Model",
    "Panel",
    "Predictions",
    "Report",
    "Resamples",
    "RetrievalModel",
    "Run",
    "Score",
    "SklearnModel",
    "Suite",
    "Synergy",
    "Task",
    "TorchData",
    "TorchModel",
    "audit",
    "check_model",
    "compare",
    "corruption",
    "metric",
    "probe",
    "read_npz",
    "read_parquet",
    "retrain",
    "synergy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mmaudit' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
