"""Whom a model behind an HTTP address talks to, and whom it tells its token."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.endpoint_server import NAMES, TOKEN, Make, Server, batch, clients, expected, serving
from mmaudit.errors import BadInput
from mmaudit.models.endpoint import EndpointModel


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    yield from serving(monkeypatch)


@pytest.fixture
def model(server: Server) -> Iterator[Make]:
    yield from clients(server)


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
