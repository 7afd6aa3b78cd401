"""ONNX models: against the closed form of the graph, and beside the rest of mmaudit."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmaudit
from helpers.onnx_graphs import NAMES, TensorProto, batch, expected, graph, helper, numpy_helper, onnx, saved
from mmaudit.errors import BadInput
from mmaudit.models import check_model, load_model
from mmaudit.models.onnx import OnnxModel
from mmaudit.types import Task
from model_cases import batch_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return saved(tmp_path / "model.onnx", graph())


def test_outputs_are_the_closed_form(file: Path) -> None:
    found = OnnxModel(file, NAMES, outputs="logits").predict(batch())
    assert found.dtype == np.float32
    assert found.shape == (7, 3)
    np.testing.assert_allclose(found, expected(batch()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 7, 16])
def test_a_fixed_batch_gives_what_a_dynamic_one_gives(tmp_path: Path, rows: int) -> None:
    fixed = OnnxModel(saved(tmp_path / "f.onnx", graph(rows)), NAMES, outputs="logits")
    for n in (1, 2, 7, 20):
        np.testing.assert_allclose(fixed.predict(batch(n)), expected(batch(n)), rtol=1e-5, atol=1e-5)


def test_the_contract_holds(file: Path) -> None:
    model = OnnxModel(file, NAMES, outputs="logits")
    checks = check_model(model, batch(), Task.classification(3))
    assert not [c for c in checks if c.ok is False]
    assert model.device == "cpu"
    assert model.name == "model"
    assert not model.native_absence


def test_names_order_and_types(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", graph(names=("pixel_values", "x"), dtype=TensorProto.FLOAT16))
    model = OnnxModel(path, ("sensor", "image"), outputs="logits", inputs={"image": "pixel_values", "sensor": "x"})
    assert model.tolerance > 1e-2
    np.testing.assert_allclose(model.predict(batch()), expected(batch()), atol=0.03)
    whole = batch_of({"image": np.full((2, 3, 2, 2), 3, np.uint8), "sensor": np.ones((2, 4), np.int64)})
    np.testing.assert_allclose(model.predict(whole), expected(whole), rtol=5e-3)


def test_prepare_gives_an_array_or_the_inputs_by_name(file: Path) -> None:
    def tripled(values: np.ndarray) -> np.ndarray:
        return values * 3

    def named(values: np.ndarray) -> dict[str, np.ndarray]:
        return {"sensor": np.array([[len(text)] * 4 for text in values], np.float32)}

    words = batch_of({"image": batch().inputs["image"], "text": np.array(["a", "bb", "", "d", "e", "f", "g"], object)})
    model = OnnxModel(file, ("image", "text"), outputs="logits", prepare={"image": tripled, "text": named})
    lengths = np.repeat([[1], [2], [0], [1], [1], [1], [1]], 4, 1).astype(np.float32)
    same = batch_of({"image": batch().inputs["image"] * 3, "sensor": lengths})
    np.testing.assert_allclose(model.predict(words), expected(same), rtol=1e-5, atol=1e-5)
    assert (
        model.fingerprint != OnnxModel(file, ("image", "text"), outputs="logits", prepare={"text": named}).fingerprint
    )


def test_strings_go_to_a_graph_that_reads_strings(tmp_path: Path) -> None:
    of = helper.make_graph(
        [
            helper.make_node(
                "LabelEncoder",
                ["text"],
                ["code"],
                domain="ai.onnx.ml",
                keys_strings=["no", "yes"],
                values_floats=[-1.0, 2.0],
            ),
            helper.make_node("Mul", ["code", "x"], ["y"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("text", TensorProto.STRING, ["N", 1]),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(of, opset_imports=opsets, ir_version=9), tmp_path / "s.onnx")
    model = OnnxModel(tmp_path / "s.onnx", ("text", "x"), outputs="logits")
    given = batch_of({"text": np.array(["yes", "no"], object), "x": np.ones((2, 2), np.float32)})
    np.testing.assert_array_equal(model.predict(given), [[2, 2], [-1, -1]])


def test_native_absence_by_masks(tmp_path: Path) -> None:
    masked = [
        helper.make_node("Cast", ["see"], ["s"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["s", "one"], ["s1"]),
        helper.make_node("Mul", ["a", "s1"], ["am"]),
        helper.make_node("Cast", ["feel"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["f", "one"], ["f1"]),
        helper.make_node("Mul", ["b", "f1"], ["bm"]),
        helper.make_node("Add", ["am", "bm"], ["out"]),
    ]
    of = graph(nodes=masked, outputs=[helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 3])])
    of.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    of.input.extend(helper.make_tensor_value_info(name, TensorProto.BOOL, ["N"]) for name in ("see", "feel"))
    path = saved(tmp_path / "m.onnx", of)
    with pytest.raises(BadInput, match="several outputs"):
        OnnxModel(path, NAMES, outputs="logits", masks={"image": "see", "sensor": "feel"})
    model = OnnxModel(path, NAMES, outputs="logits", masks={"image": "see", "sensor": "feel"}, output="out")
    checks = check_model(model, batch(), Task.classification(3))
    assert [c.ok for c in checks if c.clause == "absence"] == [True, True]
    with pytest.raises(BadInput, match="masks lacks 'sensor'"):
        OnnxModel(path, NAMES, outputs="logits", masks={"image": "see"}, output="out")


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (("image", "text"), {}, "modality 'text' would go to the graph's input 'text', but the graph reads image: "),
        (("image",), {}, "no modality goes to the graph's input sensor"),
        (NAMES, {"output": "probs"}, "no output 'probs'"),
        (NAMES, {"providers": ["CUDAExecutionProviders"]}, "is not part of this onnxruntime"),
        (NAMES, {"providers": []}, "providers is empty"),
        (NAMES, {"outputs": None}, "outputs is not given"),
        (NAMES, {"inputs": {"imgae": "image"}}, "did you mean 'image'"),
        (NAMES, {"threads": 0}, "threads=0"),
    ],
)
def test_arguments_that_do_not_fit(file: Path, names: Any, options: Mapping[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said.replace("(", r"\(")):
        OnnxModel(file, names, **{"outputs": "logits", **options})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"image": np.zeros((7, 2, 2, 3), np.float32)},
            r"rows of shape \[2, 2, 3\], but the graph reads image: tensor",
        ),
        ({"sensor": np.array(list("abcdefg"), object)}, r"rows of shape \[\]"),
        ({"sensor": np.full((7, 4), "x")}, "'sensor' is text or ragged"),
        ({"sensor": np.zeros((7, 4), complex)}, "'sensor' is complex128"),
    ],
)
def test_columns_that_do_not_fit(file: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        OnnxModel(file, NAMES, outputs="logits").predict(batch().replace(change))


def test_integers_that_do_not_fit_and_floats_for_integers(tmp_path: Path) -> None:
    of = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
    )
    model = OnnxModel(saved(tmp_path / "i.onnx", of), ("x",), outputs="values")
    np.testing.assert_array_equal(model.predict(batch_of({"x": np.array([[1, 255]])})), [[1, 255]])
    with pytest.raises(BadInput, match=r"uint8 of x: .* cannot hold"):
        model.predict(batch_of({"x": np.array([[1, 256]])}))
    with pytest.raises(BadInput, match="is float64, but the graph reads x"):
        model.predict(batch_of({"x": np.array([[1.0, 2.0]])}))


def test_cuda_comes_first_where_onnxruntime_has_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of onnxruntime where it says that it has CUDA; sessions themselves run on the CPU here."""
    import onnxruntime

    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    real, asked = onnxruntime.InferenceSession, []

    def session(path: str, settings: Any, providers: list[Any]) -> Any:
        asked.append(providers)
        return real(path, settings, providers=[cpu])

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [cpu, "TensorrtExecutionProvider", cuda])
    OnnxModel(file, NAMES, outputs="logits")
    OnnxModel(file, NAMES, outputs="logits", providers=[cpu])
    assert asked == [[cuda, cpu], [cpu]]
    for own in (cuda, (cuda, {"device_id": 1})):
        with pytest.raises(BadInput, match=f"{cuda} was asked for but does not start here"):
            OnnxModel(file, NAMES, outputs="logits", providers=[own, cpu])
        assert asked[-1] == [own, cpu]


def test_it_survives_pickling_without_its_session(file: Path) -> None:
    model = OnnxModel(file, NAMES, outputs="logits")
    before = model.predict(batch())
    kept = pickle.dumps(model)
    assert len(kept) < 5000  # a path, not the weights
    np.testing.assert_array_equal(pickle.loads(kept).predict(batch()), before)


def test_the_fingerprint_is_of_content_not_of_place(file: Path, tmp_path: Path) -> None:
    model = OnnxModel(file, NAMES, outputs="logits")
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "other.onnx"
    copy.write_bytes(file.read_bytes())
    assert OnnxModel(copy, NAMES, outputs="logits", threads=1).fingerprint == model.fingerprint
    assert OnnxModel(copy, NAMES, outputs="probabilities").fingerprint != model.fingerprint
    assert OnnxModel(saved(copy, graph(16)), NAMES, outputs="logits").fingerprint != model.fingerprint


def test_loading_by_path(file: Path) -> None:
    model = load_model(str(file), modalities=["sensor", "image"], outputs="logits")
    np.testing.assert_allclose(model.predict(batch()), expected(batch()), rtol=1e-5, atol=1e-5)
    assert set(model.modalities) == set(NAMES)
    # A modality that the graph does not read is left out, and reported by the doctor.
    assert load_model(str(file), modalities=["image", "sensor", "notes"], outputs="logits").modalities == NAMES
    with pytest.raises(BadInput, match=r"return mmaudit\.OnnxModel"):
        load_model(str(file), modalities=["photo", "sensor"], outputs="logits")
    with pytest.raises(BadInput, match="outputs is not given"):
        load_model(str(file), modalities=NAMES)


def test_a_whole_audit(file: Path, tmp_path: Path) -> None:
    of = batch(120)
    target = expected(of).argmax(1)
    data = mmaudit.ArrayData(
        dict(of.inputs), target, Task.classification(3), kinds={"image": "embedding", "sensor": "tabular"}
    )
    model = OnnxModel(file, NAMES, outputs="logits")
    suite = {
        "base": "quick",
        "probes": ["missing", "gaussian_noise_additive", "adversarial"],
        "analyses": ["attribution"],
    }
    report = mmaudit.audit(model, data, out=tmp_path / "run", suite=suite, resamples=20, keep_samples=0)
    table = report.scores
    clean = table[(table.label == "clean") & (table.metric == "accuracy") & (table.group == "")]
    assert set(clean.value) == {1.0}  # the target is the model's own answer
    why = {d["probe"]: d["reason"] for d in report.document["declined"]}
    assert any("offers no gradient" in reason for name, reason in why.items())


def test_against_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv = torch.nn.Conv2d(3, 4, 2)
            # No torch.nn.Linear: torch 2.6 exports its flag as a boolean, which protobuf no longer takes for a number.
            self.head = torch.nn.Parameter(torch.randn(8, 3))

        def forward(self, image: Any, sensor: Any) -> Any:
            return torch.cat([self.conv(image).flatten(1), sensor], 1) @ self.head

    net, of = Net().eval(), batch(5)
    rows = torch.export.Dim("rows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            tuple(torch.from_numpy(of.inputs[name]) for name in NAMES),
            str(tmp_path / "net.onnx"),
            dynamo=True,
            dynamic_shapes={"image": {0: rows}, "sensor": {0: rows}},
            external_data=True,
            verbose=False,
        )
    found = OnnxModel(tmp_path / "net.onnx", NAMES, outputs="logits")
    other = mmaudit.TorchModel(net, NAMES, outputs="logits", device="cpu")
    np.testing.assert_allclose(found.predict(batch(9)), other.predict(batch(9)), rtol=1e-4, atol=1e-5)


def test_importing_mmaudit_opens_no_onnxruntime() -> None:
    import subprocess
    import sys

    code = "import sys, mmaudit, mmaudit.models; sys.exit('onnxruntime' in sys.modules or 'httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
