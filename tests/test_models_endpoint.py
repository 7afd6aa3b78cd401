"""Models behind an HTTP address, against real servers on this computer."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import mmaudit
from mmaudit.errors import BadInput, ContractBroken, MMAuditError
from mmaudit.models import check_model, endpoint_http, load_model
from mmaudit.models.endpoint_body import Body, decoded, encoded
from mmaudit.types import Batch, Task
from model_cases import batch_of

pytest.importorskip("httpx")

from mmaudit.models.endpoint import ASKED_AGAIN, EndpointModel

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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(endpoint_http, "FIRST_WAIT", 0.001)
    monkeypatch.delenv("MMAUDIT_TOKEN", raising=False)
    one = Server()
    yield one
    one.close()


@pytest.fixture
def model(server: Server) -> Iterator[Callable[..., EndpointModel]]:
    made: list[EndpointModel] = []

    def make(**options: Any) -> EndpointModel:
        made.append(EndpointModel(options.pop("url", server.url), NAMES, **{"outputs": "logits", **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()


Make = Callable[..., EndpointModel]


@pytest.mark.parametrize("body", ["json", "npz"])
def test_answers_are_those_of_the_served_model(server: Server, model: Make, body: str) -> None:
    found = model(body=body, request_rows=4).predict(batch(9))
    np.testing.assert_array_equal(found, expected(batch(9)).astype(np.float32))
    assert sorted(len(r["inputs"]["text"]) for r in server.requests) == [1, 4, 4]
    assert all(r["present"] == {} for r in server.requests)


@pytest.mark.parametrize("body", ["json", "npz"])
def test_requests_are_the_documented_form(body: Any) -> None:
    of = batch(3).inputs | {"image": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)}
    inputs, present = decoded(body, encoded(body, of, {"text": np.array([True, False, True])}))
    assert list(inputs["text"]) == of["text"].tolist()
    np.testing.assert_array_equal(np.asarray(inputs["sensor"], np.float32), of["sensor"])
    np.testing.assert_array_equal(inputs["image"], of["image"])
    assert list(present["text"]) == [True, False, True]


def test_numbers_that_json_has_not_are_null() -> None:
    content = encoded("json", {"x": np.array([[np.nan, 1], [np.inf, -2]])}, None)
    assert json.loads(content) == {"inputs": {"x": [[None, 1], [None, -2]]}}


def test_the_contract_holds(model: Make, tmp_path: Path) -> None:
    for options in ({}, {"cache": tmp_path, "version": "1"}):
        checks = check_model(model(**options), batch(40), Task.classification(3))
        assert not [c for c in checks if c.ok is False], checks


def test_absence_is_sent(server: Server, model: Make) -> None:
    of = batch(3).replace(present={"text": np.array([True, False, True])})
    assert model(absence="present").native_absence
    model(absence="present").predict(of)
    assert server.requests[0]["present"] == {"sensor": [True] * 3, "text": [True, False, True]}


def test_a_whole_audit(server: Server, model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that the endpoint refuses have no answer, all others have; the token is nowhere in the run folder."""
    monkeypatch.setenv("MMAUDIT_TOKEN", TOKEN)
    of = batch(60)
    bad = of.inputs["sensor"][8].tolist()

    def refuse(_: int, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        there = any(np.allclose(row, bad) for row in request["inputs"]["sensor"])
        return (422, {}, f"Authorization: {request['headers']['Authorization']}".encode()) if there else None

    kinds = {"sensor": "tabular", "text": "text"}
    data = mmaudit.ArrayData(dict(of.inputs), expected(of).argmax(1), Task.classification(3), kinds=kinds)
    suite = {"base": "quick", "probes": ["missing"], "analyses": []}
    # The doctor sees 32 of the 60 samples; the one that is refused is not among them.
    server.before = refuse
    report = mmaudit.audit(model(), data, out=tmp_path / "run", suite=suite, resamples=20, keep_samples=0)
    table = report.scores
    coverage = table[(table.label == "clean") & (table.metric == "accuracy") & (table.group == "")]
    assert set(coverage.n) <= {59, 60}
    from mmaudit.store import Run

    run = Run.open(tmp_path / "run")
    answered = run.read(run.conditions[0]).answered
    assert np.flatnonzero(~answered).tolist() == [8]
    held = b"".join(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert TOKEN.encode() not in held
    assert b"[token]" in held  # the traceback with what the endpoint said


def test_so_many_requests_at_a_time_and_no_more(server: Server, model: Make) -> None:
    server.pause = 0.02
    found = model(request_rows=1, concurrency=3).predict(batch(12))
    np.testing.assert_array_equal(found, expected(batch(12)).astype(np.float32))
    assert server.most == 3


# ---- when it does not answer


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
def test_what_may_pass_is_tried_again(server: Server, model: Make, status: int) -> None:
    server.before = lambda i, r: (status, {}, b"busy") if i < 3 else None
    np.testing.assert_array_equal(model().predict(batch(2)), expected(batch(2)).astype(np.float32))
    assert len(server.requests) == 4


def test_retry_after_is_kept_to(server: Server, model: Make) -> None:
    server.before = lambda i, r: (429, {"Retry-After": "1"}, b"") if i == 0 else None
    started = time.monotonic()
    model().predict(batch(1))
    assert time.monotonic() - started >= 1
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    for asked in ("3600", later):
        server.before = lambda i, r, asked=asked: (503, {"Retry-After": asked}, b"")
        with pytest.raises(BadInput, match=r"asks to wait 3\d\d\d s"):
            model().predict(batch(1))


def test_when_all_tries_are_used_up_the_audit_stops(server: Server, model: Make) -> None:
    server.before = lambda i, r: (503, {}, b"down for <b>repair</b>")
    with pytest.raises(BadInput, match=r"did not answer in 3 tries; the last: status 503: down for <b>repair</b>"):
        model(retries=2).predict(batch(1))
    assert len(server.requests) == 3


def test_nobody_listens(model: Make, server: Server) -> None:
    with pytest.raises(BadInput, match=r"did not answer in 2 tries; the last: ConnectError"):
        model(url="http://127.0.0.1:9/x", retries=1).predict(batch(1))


def test_an_answer_that_takes_too_long(server: Server, model: Make) -> None:
    server.pause = 0.3
    with pytest.raises(BadInput, match="ReadTimeout"):
        model(timeout=0.1, retries=0).predict(batch(1))


def test_an_answer_that_trickles(server: Server, model: Make) -> None:
    """Each byte comes in time, the whole does not."""
    one = model(timeout=0.2, retries=0)

    class Trickle:
        headers = MappingProxyType({})

        def iter_raw(self) -> Iterator[bytes]:
            while True:
                time.sleep(0.02)
                yield b"x"

    with pytest.raises(Exception, match=r"more than 0\.2 s"):
        one._sender._read(Trickle(), time.monotonic() + 0.2)


@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_what_is_refused_is_no_reason_to_stop(server: Server, model: Make, status: int) -> None:
    server.before = lambda i, r: (status, {}, b"no")
    with pytest.raises(ValueError, match=f"status {status}: no") as caught:
        model().predict(batch(1))
    assert not isinstance(caught.value, MMAuditError)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 405, 415])
def test_what_can_never_work_stops_the_audit(server: Server, model: Make, status: int) -> None:
    server.before = lambda i, r: (status, {}, b"")
    with pytest.raises(BadInput, match="MMAUDIT_TOKEN, .* is not set" if status < 404 else "check the address"):
        model().predict(batch(1))


# ---- whom it talks to


def test_the_token_is_sent_and_told_nobody(
    server: Server, model: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = model(cache=tmp_path, version="2")
    before = one.fingerprint
    monkeypatch.setenv("MMAUDIT_TOKEN", TOKEN)
    one.predict(batch(1))
    assert server.requests[0]["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in repr(vars(one)) + repr(vars(one._sender))
    assert TOKEN.encode() not in pickle.dumps(one)
    assert model(cache=tmp_path, version="2").fingerprint == before
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    model(token_header="X-Api-Key").predict(batch(2))
    assert server.requests[1]["headers"]["X-Api-Key"] == TOKEN
    for echo in (
        TOKEN,
        json.dumps(TOKEN),
        TOKEN.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D"),
        TOKEN[:14],
    ):
        server.before = lambda i, r, echo=echo: (400, {}, f"you sent {echo}".encode())
        with pytest.raises(ValueError, match="status 400") as caught:
            model().predict(batch(1))
        assert TOKEN[:9] not in str(caught.value)


def test_a_token_that_no_header_can_hold(server: Server, model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMAUDIT_TOKEN", "abc\r\nHost: evil")
    with pytest.raises(BadInput, match="MMAUDIT_TOKEN") as caught:
        model().predict(batch(1))
    assert "evil" not in str(caught.value)
    assert not server.requests


def test_redirects_stay_on_the_host(server: Server, model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMAUDIT_TOKEN", TOKEN)
    other = Server()
    try:
        server.before = lambda i, r: (307, {"Location": "/moved"}, b"") if r["path"] == "/predict" else None
        np.testing.assert_array_equal(model().predict(batch(2)), expected(batch(2)).astype(np.float32))
        assert [r["path"] for r in server.requests] == ["/predict", "/moved"]
        here = server.url.replace("127.0.0.1", "localhost")
        for status, to in (
            (307, other.url),
            (308, other.url),
            (302, "/moved"),
            (303, other.url),
            (307, here),
            (307, ""),
        ):
            server.before = lambda i, r, status=status, to=to: (status, {"Location": to}, b"")
            with pytest.raises(BadInput, match="redirects to"):
                model().predict(batch(1))
        server.before = lambda i, r: (307, {"Location": "/predict"}, b"")
        with pytest.raises(BadInput, match="redirects more than 3 times"):
            model().predict(batch(1))
        assert not other.requests
    finally:
        other.close()


def test_a_proxy_does_not_come_between_this_computer_and_itself(
    server: Server, model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    model(retries=0).predict(batch(1))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/x", "readable to everyone"),
        ("http://127.0.0.1.example.org/x", "readable to everyone"),
        ("https://user:pw@example.org/x", "user name or password"),
        ("https://example.org/x?api_key=abcdef", "'api_key'"),
        ("https://example.org/x?X-Amz-Signature=abcdef", "'X-Amz-Signature'"),
        ("ftp://example.org/x", "no address"),
        ("file:///etc/passwd", "no address"),
        ("https://", "no address"),
        ("https://example.org:99999/x", "not usable"),
    ],
)
def test_unsafe_addresses(url: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        EndpointModel(url, NAMES, outputs="logits")
    assert "abcdef" not in str(caught.value)
    assert ":pw@" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"outputs": None}, "outputs is not given"),
        ({"body": "xml"}, "body='xml'"),
        ({"request_rows": 0}, "request_rows=0"),
        ({"timeout": float("inf")}, "timeout=inf"),
        ({"cache": "somewhere"}, "cache= without version="),
        ({"absence": "mask"}, "absence='mask'"),
    ],
)
def test_arguments_that_do_not_fit(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        EndpointModel("https://example.org/x", NAMES, **{"outputs": "logits", **options})


# ---- answers


def bomb() -> bytes:
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1, 2**22)})
        archive.writestr("outputs.npy", head.getvalue() + bytes(2**25))
    return file.getvalue()


def objects() -> bytes:
    file = io.BytesIO()
    np.savez(file, outputs=np.array([[os.system]], object))
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "content"),
    [
        *(("json", c) for c in (b"", b"[]", b"{}", b'{"outputs": 3}', b'{"outputs": [[1, 2]', b'{"outputs": [["1"]]}')),
        *(("json", c) for c in (b'{"outputs": [[1], [2]]}', b'{"outputs": [[[1]]]}', b"[" * 999, b'{"outputs": [{}]}')),
        ("json", b'{"outputs": [[1' + b"0" * 400 + b"]]}"),
        *(("npz", c) for c in (b"", b"PK", objects(), bomb())),
    ],
)  # fmt: skip
def test_answers_of_another_form(server: Server, model: Make, body: str, content: bytes) -> None:
    server.before = lambda i, r: (200, {}, content)
    with pytest.raises(ContractBroken, match=r"outputs|unpacks") as caught:
        model(body=body, max_answer_bytes=2**20).predict(batch(1))
    assert len(str(caught.value)) < 400


def test_null_is_no_answer(server: Server, model: Make) -> None:
    server.before = lambda i, r: (200, {}, b'{"outputs": [[1, 2, 3], [null, null, null], null]}')
    with pytest.raises(ContractBroken):
        model().predict(batch(3))
    server.before = lambda i, r: (200, {}, b'{"outputs": [[1, 2, 3], [null, 5, null]]}')
    np.testing.assert_array_equal(model().predict(batch(2)), [[1, 2, 3], [np.nan, 5, np.nan]])


def test_the_size_of_an_answer_is_bounded(server: Server, model: Make) -> None:
    server.before = lambda i, r: (200, {}, b" " * 70_000)
    with pytest.raises(ValueError, match="larger than 65536 bytes"):
        model(max_answer_bytes=2**16).predict(batch(1))
    server.before = lambda i, r: (200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 10_000_000))
    with pytest.raises(ValueError, match="compressed"):
        model(max_answer_bytes=2**16).predict(batch(1))


def test_the_version_must_stay(server: Server, model: Make) -> None:
    server.headers = {"X-Model-Version": "7"}
    one = model()
    one.predict(batch(1))
    server.headers = {"X-Model-Version": "8"}
    with pytest.raises(ContractBroken, match="version '8', not '7'"):
        one.predict(batch(1))
    with pytest.raises(ContractBroken, match="version '8', not '9'"):
        model(version="9").predict(batch(1))
    assert model(version="8").fingerprint != model(version="9").fingerprint


# ---- the cache


def test_answers_are_kept_by_content(server: Server, model: Make, tmp_path: Path) -> None:
    of, twice = batch(100), np.r_[0:100, 0:100]
    options = {"cache": tmp_path, "version": "1"}
    first = model(**options).predict(of.take(twice))
    np.testing.assert_array_equal(first, expected(of).astype(np.float32)[twice])
    different = len({(t, s.tobytes()) for t, s in zip(of.inputs["text"], of.inputs["sensor"], strict=True)})
    assert server.rows == different
    later = model(**options)
    server.requests.clear()
    np.testing.assert_array_equal(later.predict(of), first[:100])
    assert server.rows == ASKED_AGAIN  # only to see whether they still hold
    np.testing.assert_array_equal(later.predict(of.take(np.arange(100)[::-1])), first[:100][::-1])
    assert server.rows == ASKED_AGAIN
    changed = of.replace({"text": np.array(["zzz"] * 100, object)})
    np.testing.assert_array_equal(later.predict(changed), expected(changed).astype(np.float32))
    assert server.rows == ASKED_AGAIN + 100
    model(cache=tmp_path, version="2").predict(of)
    assert server.rows == ASKED_AGAIN + 100 + different


def test_a_model_that_changed_or_is_random_shows(server: Server, model: Make, tmp_path: Path) -> None:
    model(cache=tmp_path, version="1").predict(batch(10))
    server.model = lambda sensor, text: answers(sensor, text) + 0.01
    with pytest.raises(ContractBroken, match="is answered otherwise than before"):
        model(cache=tmp_path, version="1").predict(batch(10))
    rng = np.random.default_rng(0)
    server.model = lambda sensor, text: rng.normal(size=(len(text), 3))
    checks = check_model(model(cache=tmp_path / "other", version="1"), batch(20), Task.classification(3))
    assert any(c.ok is False and "answers at random" in c.message for c in checks)


def test_a_damaged_cache_is_asked_anew(server: Server, model: Make, tmp_path: Path) -> None:
    model(cache=tmp_path, version="1").predict(batch(5))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for content in (b"", whole[:50], b"\0" * 200):
        file.write_bytes(content)
        server.requests.clear()
        model(cache=tmp_path, version="1").predict(batch(5))
        assert server.rows == 5
    assert file.read_bytes() == whole  # the same answers make the same file


def test_it_survives_pickling(server: Server, model: Make, tmp_path: Path) -> None:
    one = model(cache=tmp_path, version="1", request_rows=2)
    before = one.predict(batch(5))
    other = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(other.predict(batch(5)), before)
    assert other.fingerprint == one.fingerprint
    other.close()


def test_loading_by_address(server: Server) -> None:
    found = load_model(server.url, modalities=NAMES, outputs="logits")
    np.testing.assert_array_equal(found.predict(batch(2)), expected(batch(2)).astype(np.float32))
    found.close()  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match="readable to everyone"):
        load_model("http://example.org/predict", modalities=NAMES, outputs="logits")
    with pytest.raises(BadInput, match="no torch module"):
        load_model(server.url, modalities=NAMES, outputs="logits", weights="w.pt")
