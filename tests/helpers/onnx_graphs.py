"""A small ONNX graph, its closed form, and samples for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaudit.types import Batch
from model_cases import batch_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RNG = np.random.default_rng(3)
W = RNG.normal(size=(12, 3)).astype(np.float32)
V = RNG.normal(size=(4, 3)).astype(np.float32)
NAMES = ("image", "sensor")


def batch(n: int = 7) -> Batch:
    rng = np.random.default_rng(n)
    image = rng.normal(size=(n, 3, 2, 2)).astype(np.float32)
    return batch_of({"image": image, "sensor": rng.normal(size=(n, 4)).astype(np.float32)})


def expected(of: Batch) -> np.ndarray:
    """What `graph` means, in float64."""
    image = of.inputs["image"].reshape(len(of), -1).astype(np.float64)
    return np.asarray(image @ W + np.maximum(of.inputs["sensor"].astype(np.float64) @ V, 0))


def graph(
    rows: Any = "N",
    *,
    dtype: int = TensorProto.FLOAT,
    names: tuple[str, str] = NAMES,
    nodes: Any = (),
    outputs: Any = (),
) -> Any:
    """flatten(image) W + relu(sensor V), for any number of rows or a fixed one."""
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    return helper.make_graph(
        [
            helper.make_node("Flatten", [names[0]], ["flat"]),
            helper.make_node("MatMul", ["flat", "W"], ["a"]),
            helper.make_node("MatMul", [names[1], "V"], ["v"]),
            helper.make_node("Relu", ["v"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["logits"]),
            *nodes,
        ],
        "g",
        [
            helper.make_tensor_value_info(names[0], dtype, [rows, 3, 2, 2]),
            helper.make_tensor_value_info(names[1], dtype, [rows, 4]),
        ],
        [helper.make_tensor_value_info("logits", dtype, [rows, 3]), *outputs],
        [numpy_helper.from_array(W.astype(kind), "W"), numpy_helper.from_array(V.astype(kind), "V")],
    )


def saved(path: Path, of: Any, **options: Any) -> Path:
    model = helper.make_model(of, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path, **options)
    return path
