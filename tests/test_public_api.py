"""The names that users rely on: each can be imported, and none comes or goes unnoticed."""

from __future__ import annotations

import importlib
import inspect

import pytest

import mmaudit

NAMES = [
    *("ArrayData", "Batch", "Comparison", "Condition", "Dataset", "EndpointModel", "Finding", "FrameData"),
    *("FunctionModel", "HuggingFaceData", "Indexed", "MMAuditError", "Modality", "Model", "OnnxModel", "Panel"),
    *("Predictions", "Report", "Resamples", "RetrievalModel", "Run", "Score", "SklearnModel", "StreamedData"),
    *("Suite", "Synergy", "Task", "TorchData", "TorchModel", "TransformersChoices", "TransformersClassifier"),
    *("TransformersRetriever", "TransformersZeroShot", "audit", "audit_predictions", "check_model", "compare"),
    *("corruption", "load_lightning", "load_pretrained", "load_skops", "metric", "probe", "read_folder"),
    *("read_inputs", "read_npz", "read_parquet", "read_public", "read_table", "read_webdataset", "read_zarr"),
    *("retrain", "synergy", "verify_public", "write_inputs"),
]

ERRORS = [
    *("BadInput", "ContractBroken", "DamagedRun", "MissingExtra", "NotApplicable", "StaleRun"),
    *("StorageFailed", "Undefined", "UnknownName"),
]


def test_the_public_names_are_these() -> None:
    assert sorted(mmaudit.__all__) == NAMES
    assert dir(mmaudit) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_documented_and_comes_from_mmaudit(name: str) -> None:
    value = getattr(mmaudit, name)
    assert value.__name__ == name
    assert value.__module__.startswith("mmaudit.")
    assert inspect.getdoc(value)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mmaudit' has no attribute 'adit'"):
        _ = mmaudit.adit


def test_audit_is_the_function_whatever_was_imported_before() -> None:
    for module in ("mmaudit.auditing", "mmaudit.cli", "mmaudit.score", "mmaudit.report", "mmaudit.probes"):
        importlib.import_module(module)
    for name in ("audit", "probe", "corruption", "metric", "check_model"):
        assert inspect.isfunction(getattr(mmaudit, name))


def test_the_arguments_of_audit_are_these() -> None:
    parameters = inspect.signature(mmaudit.audit).parameters
    assert list(parameters) == [
        *("model", "data", "out", "suite", "train", "resamples", "seed", "batch_rows", "progress", "title", "command"),
        *("keep_samples", "jobs", "executor", "budget", "forwards"),
    ]
    keyword_only = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
    assert keyword_only == list(parameters)[2:]


def test_every_error_has_one_root_and_is_drawn_in_the_tree() -> None:
    module = importlib.import_module("mmaudit.errors")
    found = [name for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, Exception)]
    assert sorted(found) == sorted([*ERRORS, "MMAuditError"])
    assert all(issubclass(getattr(module, name), mmaudit.MMAuditError) for name in ERRORS)
    assert all(name in (module.__doc__ or "") for name in found)


def test_a_user_can_catch_what_python_would_raise() -> None:
    from mmaudit import errors

    assert issubclass(errors.BadInput, ValueError)
    assert issubclass(errors.UnknownName, LookupError)
    assert issubclass(errors.MissingExtra, ImportError)
