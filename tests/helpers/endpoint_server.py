"""A model behind an HTTP address, served on this computer, and clients of it."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from mmaudit.models import endpoint_http
from mmaudit.models.endpoint_body import Body, decoded
from mmaudit.types import Batch
from model_cases import batch_of

pytest.importorskip("httpx")

from mmaudit.models.endpoint import EndpointModel

Make = Callable[..., EndpointModel]

W = np.random.default_rng(1).normal(size=(4, 3))
NAMES = ("sensor", "text")
TOKEN = "s3cr3t/t0ken+with=signs"


def batch(n: int = 9, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    text = np.array(["é" * int(k) for k in rng.integers(0, 6, n)], object)
    return batch_of({"sensor": rng.normal(size=(n, 4)).astype(np.float32), "text": text})


def answers(sensor: Any, text: Any) -> np.ndarray:
    """What the served model computes: the sensor's projection, and the text's length on the first column."""
    out = np.asarray(sensor, np.float32).astype(np.float64) @ W
    out[:, 0] += [len(t) for t in text]
    return out


def expected(of: Batch) -> np.ndarray:
    return answers(of.inputs["sensor"], of.inputs["text"])


class Server:
    """An endpoint; `before` may answer a request in place of the model, by (status, headers, body)."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.before: Callable[[int, dict[str, Any]], tuple[int, dict[str, str], bytes] | None] = lambda i, r: None
        self.model: Callable[[Any, Any], np.ndarray] = answers
        self.headers: dict[str, str] = {}
        self.busy = self.most = 0
        self.pause = 0.0
        lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                kind: Body = "json" if self.headers["Content-Type"] == "application/json" else "npz"
                inputs, present = decoded(kind, content)
                seen = {"path": self.path, "headers": dict(self.headers), "inputs": inputs, "present": present}
                with lock:
                    owner.requests.append(seen)
                    number = len(owner.requests) - 1
                    owner.busy += 1
                    owner.most = max(owner.most, owner.busy)
                time.sleep(owner.pause)
                instead = owner.before(number, seen)
                status, headers, body = instead or (200, {}, owner.body(kind, inputs))
                with lock:
                    owner.busy -= 1
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **owner.headers, **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that gave up
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def body(self, kind: str, inputs: dict[str, Any]) -> bytes:
        outputs = self.model(inputs["sensor"], inputs["text"])
        if kind == "json":
            return json.dumps({"outputs": outputs.tolist()}).encode()
        file = io.BytesIO()
        np.savez(file, outputs=outputs)
        return file.getvalue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/predict"

    @property
    def rows(self) -> int:
        return sum(len(r["inputs"]["text"]) for r in self.requests)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that is closed afterwards; clients try again at once, and know no token."""
    monkeypatch.setattr(endpoint_http, "FIRST_WAIT", 0.001)
    monkeypatch.delenv("MMAUDIT_TOKEN", raising=False)
    one = Server()
    yield one
    one.close()


def clients(server: Server) -> Iterator[Make]:
    """What makes clients of a server, closed afterwards."""
    made: list[EndpointModel] = []

    def make(**options: Any) -> EndpointModel:
        made.append(EndpointModel(options.pop("url", server.url), NAMES, **{"outputs": "logits", **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()
