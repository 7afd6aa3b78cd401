"""Models behind an HTTP address that do not answer, or answer otherwise than was agreed."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.endpoint_server import Make, Server, batch, clients, expected, serving
from mmaudit.errors import BadInput, ContractBroken, MMAuditError
from mmaudit.models import check_model, endpoint_http
from mmaudit.types import Task


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    yield from serving(monkeypatch)


@pytest.fixture
def model(server: Server) -> Iterator[Make]:
    yield from clients(server)


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


def test_the_doctor_says_once_and_soon_that_nobody_answers(
    server: Server, model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMAUDIT_TOKEN", "s3cret-token-of-ours")
    server.before = lambda i, r: (503, {}, b"no such key: s3cret-token-of-ours")
    checks = check_model(model(retries=2, concurrency=1), batch(40), Task.classification(3))
    (broken,) = [check for check in checks if check.ok is False]
    assert len(server.requests) == 3  # rows are not asked alone, for it is none of theirs
    assert broken.clause == "raises nothing"
    assert broken.message == (
        f"EndpointModel '{server.url.removeprefix('http://')}': {server.url} did not answer in 3 tries; the last: "
        "status 503: no such key: [token]. See that the service runs and that the address is right, and run the same "
        "again: what is answered so far is kept."
    )
    elsewhere = model(url="http://127.0.0.1:9/x", retries=0)
    (refused,) = [c for c in check_model(elsewhere, batch(2), Task.classification(3)) if c.ok is False]
    assert refused.message.startswith("EndpointModel '127.0.0.1:9/x': http://127.0.0.1:9/x did not answer in 1 try; ")
    assert "given" not in refused.message


def test_an_answer_that_takes_too_long(server: Server, model: Make) -> None:
    server.pause = 0.3
    with pytest.raises(BadInput, match=r"ReadTimeout|more than 0\.1 s"):
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


ANSWER = b'{"outputs": [[1, 2, 3]]}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
TRICKLES = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "answers before the answer": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b" "),
    "body in chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "body without a length, whole at any time": (b"HTTP/1.1 200 OK\r\n\r\n" + ANSWER, b" "),
    "refusal": (b"HTTP/1.1 503 Busy\r\nContent-Length: 999\r\n\r\n", b" "),
}


@contextmanager
def trickling(whole: int, start: bytes, again: bytes) -> Iterator[str]:
    """A server that answers so many requests of a connection at once, and then a few bytes at a time for 3 s."""
    held = socket.create_server(("127.0.0.1", 0))
    held.settimeout(5)

    def serve() -> None:
        with contextlib.suppress(OSError):  # the client gives up
            came, _ = held.accept()
            with came, came.makefile("rb") as asked:
                for answer in (*[WHOLE] * whole, start):
                    length = 0
                    while (line := asked.readline()).strip():
                        length = int(line[15:]) if line.lower().startswith(b"content-length:") else length
                    asked.read(length)
                    came.sendall(answer)
                ends = time.monotonic() + 3
                while time.monotonic() < ends:
                    came.sendall(again)
                    time.sleep(0.05)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{held.getsockname()[1]}/predict"
    finally:
        held.close()
        thread.join()


@pytest.mark.parametrize("whole", [0, 2])
@pytest.mark.parametrize("what", TRICKLES)
def test_whatever_trickles_in_ends_at_the_time_out(model: Make, what: str, whole: int) -> None:
    """Each byte comes in time, the whole does not: on a new connection, and on one that has answered before."""
    with trickling(whole, *TRICKLES[what]) as url:
        one = model(url=url, timeout=0.5, retries=0)
        for _ in range(whole):
            one.predict(batch(1))
        started = time.monotonic()
        with pytest.raises(BadInput, match=r"the last: TooSlow: the answer took more than 0\.5 s"):
            one.predict(batch(1))
        assert 0.4 < time.monotonic() - started < 2


def test_after_a_time_out_the_next_request_is_answered(server: Server, model: Make) -> None:
    def slow_once(number: int, request: dict[str, Any]) -> None:
        time.sleep(0.6 if number == 1 else 0)

    server.before = slow_once
    one = model(timeout=0.3, retries=2)
    for _ in range(3):
        np.testing.assert_array_equal(one.predict(batch(2)), expected(batch(2)).astype(np.float32))
    assert len(server.requests) == 4


def test_one_that_takes_too_long_does_not_end_those_beside_it(server: Server, model: Make) -> None:
    def slow_first(number: int, request: dict[str, Any]) -> None:
        time.sleep(1.2 if number == 0 else 0.3)

    server.before = slow_first
    one = model(timeout=0.8, retries=1, request_rows=1, concurrency=4)
    np.testing.assert_array_equal(one.predict(batch(8)), expected(batch(8)).astype(np.float32))
    assert len(server.requests) == 9


def test_connections_are_used_again(server: Server, model: Make) -> None:
    ports: list[int] = []
    accept = server.http.get_request
    server.http.get_request = lambda: ports.append(0) or accept()  # type: ignore[func-returns-value]
    one = model(request_rows=1, concurrency=1)
    for _ in range(3):
        one.predict(batch(4))
    assert len(server.requests) == 12
    assert len(ports) == 1


@pytest.mark.parametrize("asked", ["0", format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)])
def test_one_that_asks_to_come_back_at_once_is_given_time(
    server: Server, model: Make, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(endpoint_http, "FIRST_WAIT", 0.1)
    monkeypatch.setattr(endpoint_http, "time", SimpleNamespace(sleep=waits.append, monotonic=time.monotonic))
    server.before = lambda i, r: (429, {"Retry-After": asked}, b"")
    with pytest.raises(BadInput, match="did not answer in 4 tries"):
        model(retries=3).predict(batch(1))
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, (0.1, 0.2, 0.4), strict=True))


def test_an_answer_may_be_called_created(server: Server, model: Make) -> None:
    server.before = lambda i, r: (201, {}, ANSWER)
    assert model().predict(batch(1)).tolist() == [[1, 2, 3]]
    for status in (202, 203, 206):
        server.before = lambda i, r, status=status: (status, {}, ANSWER)
        with pytest.raises(ValueError, match=rf"did not answer: status {status}: .*; an answer has status 200 or 201"):
            model().predict(batch(1))


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


# ---- when it answers something else


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


ANSWERS = {
    "empty": b"",
    "list": b"[]",
    "no outputs": b"{}",
    "a number": b'{"outputs": 3}',
    "cut off": b'{"outputs": [[1, 2]',
    "text": b'{"outputs": [["1"]]}',
    "two rows": b'{"outputs": [[1], [2]]}',
    "too deep": b'{"outputs": [[[1]]]}',
    "far too deep": b"[" * 999,
    "an object": b'{"outputs": [{}]}',
    "too large a number": b'{"outputs": [[1' + b"0" * 400 + b"]]}",
}


# Named: an archive holds the time it was made at, and every process must collect the same names.
@pytest.mark.parametrize(
    ("body", "content"),
    [
        *(pytest.param("json", content, id=f"json {said}") for said, content in ANSWERS.items()),
        pytest.param("npz", b"", id="npz empty"),
        pytest.param("npz", b"PK", id="npz cut off"),
        pytest.param("npz", objects(), id="npz of objects"),
        pytest.param("npz", bomb(), id="npz bomb"),
    ],
)
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
