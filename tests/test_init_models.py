"""`mmaudit init`: what it writes for a model of yours runs at once, whatever the sort of model."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.init_cases import CLASS, RNG, N, forgotten, runs, save_samples
from mmaudit.starter import start


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from forgotten(tmp_path, monkeypatch)


@pytest.fixture
def npz(tmp_path: Path) -> str:
    return save_samples(tmp_path)


MODULE = """
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, b, a):
        return self.layer(a.float()) + b.float().sum(dim=1, keepdim=True)


def estimator():
    x = np.random.default_rng(0).normal(size=(60, 5))
    return LogisticRegression().fit(x, np.arange(60) % 3)


def answers(a, b):
    return np.full((len(a), 3), 1 / 3)


def wrapped():
    import mmaudit

    return mmaudit.FunctionModel(answers, ["a", "b"], outputs="probabilities")
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A module of the user's in the current folder, and data for it."""
    (tmp_path / "user_code.py").write_text(MODULE)
    np.savez(tmp_path / "d.npz", a=RNG.normal(size=(N, 3)), b=RNG.normal(size=(N, 2)), label=CLASS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "seen"),
    [
        ("Net", None, "torch"),
        ("estimator", None, "sklearn"),
        ("answers", "function", "function"),
        ("wrapped", None, "model"),
    ],
)
def test_your_own_is_seen_and_runs(
    name: str, kind: str | None, seen: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = start(kind, f"user_code:{name}", "d.npz", own / "audit", {})
    assert written.seen[0] == f"model: {seen}, user_code:{name}"
    assert (own / "audit" / "audit_model.py").exists() == (seen != "model")
    model, _, verdicts = runs(own / "audit", monkeypatch)
    assert not [clause for clause, ok in verdicts.items() if ok is False]
    assert model.name in (name, "answers")


def test_a_module_is_passed_what_its_parameters_name(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`forward(b, a)`, where the data has a first."""
    start(None, "user_code:Net", "d.npz", own / "audit", {})
    model, _, _ = runs(own / "audit", monkeypatch)
    assert model.modalities == ("b", "a")


def test_a_tokeniser_cannot_be_seen_and_is_asked_for(npz: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = start(None, "user_code:Net", npz, own / "audit", {})
    assert any("return your tokens" in line for line in written.open)


def test_an_onnx_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its inputs have other names than the data; one is left for each, and the file says to check it."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = [
        helper.make_tensor("Wa", kind, [3, 3], RNG.normal(size=9)),
        helper.make_tensor("Wb", kind, [2, 3], RNG.normal(size=6)),
    ]
    nodes = [
        helper.make_node("MatMul", ["a", "Wa"], ["p"]),
        helper.make_node("MatMul", ["table", "Wb"], ["q"]),
        helper.make_node("Add", ["p", "q"], ["logits"]),
    ]
    sizes = {"a": 3, "table": 2}
    inputs = [helper.make_tensor_value_info(name, kind, ["n", size]) for name, size in sizes.items()]
    outputs = [helper.make_tensor_value_info("logits", kind, ["n", 3])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(tmp_path / "net.onnx"))
    columns = {"a": RNG.normal(size=(N, 3)).astype(np.float32), "b": RNG.normal(size=(N, 2)).astype(np.float32)}
    np.savez(tmp_path / "d.npz", label=CLASS, **columns)
    written = start(None, "net.onnx", "d.npz", tmp_path / "audit", {})
    assert written.seen[0] == "model: onnx, net.onnx"
    assert any('inputs={"a": "a", "b": "table"}' in line for line in written.open)
    model, _, verdicts = runs(tmp_path / "audit", monkeypatch)
    assert model.name == "net"
    assert False not in verdicts.values()


def test_a_skops_file(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skops = pytest.importorskip("skops.io")
    from sklearn.linear_model import LogisticRegression

    skops.dump(LogisticRegression().fit(RNG.normal(size=(60, 5)), CLASS[:60]), own / "fitted.skops")
    start(None, "fitted.skops", "d.npz", own / "audit", {})
    model, _, verdicts = runs(own / "audit", monkeypatch)
    assert model.outputs == "probabilities"
    assert False not in verdicts.values()


@pytest.mark.parametrize(
    ("family", "adapter", "asked"),
    [
        ("clip", "TransformersZeroShot", ["picture=image", "caption=text"]),
        ("siglip", "TransformersZeroShot", ["picture=image", "caption=text"]),
        ("clap", "TransformersZeroShot", ["noise=audio,sample_rate=8000"]),
        ("vilt", "TransformersClassifier", ["picture=image", "caption=text"]),
        ("llava", "TransformersChoices", ["picture=image", "caption=text"]),
    ],
)
def test_a_folder_of_transformers(
    family: str, adapter: str, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    from helpers import hf_cases

    getattr(hf_cases, family)(tmp_path / "hosted")
    given = {
        "picture": RNG.integers(0, 256, (N, 32, 40, 3), np.uint8),
        "caption": np.array(["a red thing", "a round blue thing", "the dog"])[CLASS],
        "noise": hf_cases.sounds(N),
    }
    columns = {name: given[name] for name in (one.partition("=")[0] for one in asked)}
    np.savez(tmp_path / "d.npz", **columns, label=CLASS, classes=np.array(["red", "blue", "dog"]))
    start(None, "hosted", "d.npz", tmp_path / "audit", {"modality": asked})
    model, _, verdicts = runs(tmp_path / "audit", monkeypatch)
    assert type(model).__name__ == adapter
    assert False not in verdicts.values()


class Served(BaseHTTPRequestHandler):
    """Answers as `mmaudit.models.endpoint_body` documents: probabilities by the brightness of the first numbers."""

    def do_POST(self) -> None:
        """Answer one request."""
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        first = np.array(given["a"], float)[:, 0] + np.array(given["b"], float)[:, 0]
        odds = np.exp(first[:, None] * np.array([[-1.0, 0.0, 1.0]]))
        body = json.dumps({"outputs": (odds / odds.sum(axis=1, keepdims=True)).tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_an_endpoint(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("httpx")
    with ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        start(None, f"http://127.0.0.1:{server.server_port}/answer", "d.npz", own / "audit", {})
        model, _, verdicts = runs(own / "audit", monkeypatch)
        server.shutdown()
    assert model.outputs == "probabilities"
    assert False not in verdicts.values()
