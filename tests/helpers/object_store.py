"""A store that speaks S3, on this machine: moto's own server, in which a test can make requests fail."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BUCKET = "audits"
Fault = Callable[[str, str], int]


class Store:
    """The server: its address, what it was asked, and which requests it is to refuse.

    Attributes:
        fault: called with method and path of every request; a status of HTTP to answer instead, or 0.
        asked: how many requests came, by method.
    """

    def __init__(self, application: Any) -> None:
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, *args: Any) -> None:
                pass

        self.fault: Fault | None = None
        self.asked: Counter[str] = Counter()
        self._application = application
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.asked[method] += 1
        if self.fault is not None and (status := self.fault(method, path)):
            length = int(environ.get("CONTENT_LENGTH") or 0)
            environ["wsgi.input"].read(length)  # else the client is cut off while it still sends
            start(f"{status} Fault", [("Content-Type", "application/xml"), ("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = self._application(environ, start)
        return answer

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def s3_store() -> Iterator[Store]:
    """Within, `s3://audits/…` is a new, empty bucket of a local server."""
    moto_server = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    boto3 = pytest.importorskip("boto3")
    store = Store(moto_server.DomainDispatcherApplication(moto_server.create_backend_app))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "of-a-test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", store.url)
        s3fs.S3FileSystem.clear_instance_cache()
        try:
            client = boto3.client("s3")
            client.create_bucket(Bucket=BUCKET)
            client.close()
            yield store
        finally:
            s3fs.S3FileSystem.clear_instance_cache()
            store.close()
