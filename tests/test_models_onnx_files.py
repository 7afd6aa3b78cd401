"""The files that an ONNX model may and may not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.onnx_graphs import NAMES, TensorProto, batch, expected, graph, helper, onnx, saved
from mmaudit.errors import BadInput
from mmaudit.models.onnx import OnnxModel
from mmaudit.models.onnx_files import content_digest, external_files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return saved(tmp_path / "model.onnx", graph())


def external(folder: Path, location: str = "weights.bin") -> Path:
    """A model whose W lies in a file of weights, with the name of that file in the model replaced."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / "model.onnx"
    saved(path, graph(), save_as_external_data=True, location="weights.bin", size_threshold=0)
    if location != "weights.bin":
        proto = onnx.load(path, load_external_data=False)
        for tensor in proto.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        path.write_bytes(proto.SerializeToString())
    return path


def test_external_data_beside_the_model(tmp_path: Path) -> None:
    path = external(tmp_path / "a")
    assert external_files(path) == [(tmp_path / "a" / "weights.bin").resolve()]
    model = OnnxModel(path, NAMES, outputs="logits")
    np.testing.assert_allclose(model.predict(batch()), expected(batch()), rtol=1e-5, atol=1e-5)
    before = content_digest(path)
    weights = tmp_path / "a" / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert content_digest(path) != before
    assert OnnxModel(path, NAMES, outputs="logits").fingerprint != model.fingerprint


@pytest.mark.parametrize(
    "location",
    [
        "../weights.bin",
        "sub/../../weights.bin",
        "/etc/hostname",
        "C:\\weights.bin",
        "..\\weights.bin",
        "*/_ORT_MEM_ADDR_/*",
        "link.bin",
        "linked/weights.bin",
        "absent.bin",
        "sub",
        "nul\x00.bin",
    ],
)
def test_external_data_out_of_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    path = external(folder, location)
    (folder / "sub").mkdir()
    (tmp_path / "weights.bin").write_bytes((folder / "weights.bin").read_bytes())
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    (folder / "linked").symlink_to(tmp_path)
    for open_it in (external_files, content_digest, lambda p: OnnxModel(p, NAMES, outputs="logits")):
        with pytest.raises(BadInput, match="weights"):
            open_it(path)


def test_every_place_that_can_name_a_file_is_found(tmp_path: Path) -> None:
    """Initialisers, constants, sparse tensors, subgraphs, functions, training graphs."""

    def tensor(name: str) -> Any:
        found = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        found.external_data.add(key="offset", value="0")
        found.external_data.add(key="location", value=name)
        return found

    inner = helper.make_graph([], "inner", [], [], [tensor("in_subgraph")])
    sparse = onnx.SparseTensorProto(values=tensor("sparse_values"), indices=tensor("sparse_indices"), dims=[1])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=tensor("in_constant")),
        helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner),
        helper.make_node(
            "Own",
            ["x"],
            ["z"],
            many=[tensor("in_list")],
            graphs=[helper.make_graph([], "g2", [], [], [tensor("in_graphs")])],
        ),
    ]
    outer = helper.make_graph(nodes, "outer", [], [], [tensor("initializer")], sparse_initializer=[sparse])
    constant = helper.make_node("Constant", [], ["c"], value=tensor("in_function"))
    function = helper.make_function("d", "f", [], [], [constant], [helper.make_opsetid("", 18)])
    model = helper.make_model(outer, functions=[function])
    model.training_info.add(algorithm=helper.make_graph([], "t", [], [], [tensor("in_training")]))
    names = ["in_subgraph", "sparse_values", "sparse_indices", "in_constant", "in_list", "in_graphs"]
    names += ["initializer", "in_function", "in_training"]
    for name in names:
        (tmp_path / name).write_bytes(b"\0\0\0\0")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert {f.name for f in external_files(tmp_path / "m.onnx")} == set(names)


def test_files_that_are_no_models(tmp_path: Path, file: Path) -> None:
    whole = file.read_bytes()
    for content in (b"", b"\x00", b"hello, world", whole[: len(whole) // 2], b"\xff" * 40, b"ORTM" * 8):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(BadInput, match="bad"):
            OnnxModel(tmp_path / "bad.onnx", NAMES, outputs="logits")
    deep = b""
    for level in range(400):  # a graph in an attribute of a node of a graph …, with right lengths throughout
        for tag in (b"\x32", b"\x2a", b"\x0a", b"\x3a")[: 4 if level == 399 else 3]:
            length, size = b"", len(deep)
            while size > 127:
                length += bytes([size & 127 | 128])
                size >>= 7
            deep = tag + length + bytes([size]) + deep
    (tmp_path / "bad.onnx").write_bytes(deep)
    with pytest.raises(BadInput, match="nested too deeply"):
        external_files(tmp_path / "bad.onnx")
    with pytest.raises(BadInput, match="does not exist"):
        OnnxModel(tmp_path / "none.onnx", NAMES, outputs="logits")


def test_an_operator_of_another_library_is_refused(tmp_path: Path) -> None:
    of = graph(nodes=[helper.make_node("Evil", ["logits"], ["e"], domain="evil.ops")])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("evil.ops", 1)]
    model = helper.make_model(of, opset_imports=opsets, ir_version=9)
    (tmp_path / "e.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadInput, match=r"onnxruntime cannot open 'e\.onnx'"):
        OnnxModel(tmp_path / "e.onnx", NAMES, outputs="logits")
