"""Connections to one endpoint: a thread borrows one for a request, and a request whose time is up is ended.

httpx counts the time of each single read anew, so that a server which sends a byte now and then would hold a request
for as long as it likes. Here a timer shuts the connection down instead. Which one that is, only a client of a single
connection can tell: hence one client for each request under way.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")
"""Names of httpx's trace events that hand over a new connection, after what layer it is of."""


class Line:
    """An HTTP client of a single connection, for one request at a time.

    Attributes:
        client: the `httpx.Client`. Its requests need the extension `trace`, which is to be `seen`.
        late: whether the request under way, or the last one, was ended because its time was up.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.late = False
        self._stream: Any = None
        self._lock = threading.Lock()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Give what is requested inside so much time; after it the connection is shut down, which raises there."""
        over = False

        def end() -> None:
            with self._lock:
                if not over:  # the connection may be the next request's by now
                    self.late = True
                    self._shut()

        self.late = False
        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                over = True

    def seen(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a new connection, as httpx's extension `trace` tells of it."""
        if event.endswith(_CONNECTED):
            with self._lock:
                self._stream = info.get("return_value")
                if self.late:
                    self._shut()

    def _shut(self) -> None:
        found = None if self._stream is None else self._stream.get_extra_info("socket")
        # Shut down, not closed: that wakes the thread which reads. Below TLS, whose state is that thread's own.
        with contextlib.suppress(OSError):
            if isinstance(found, socket.socket):
                socket.socket.shutdown(found, socket.SHUT_RDWR)


class Lines:
    """All connections of a process to one endpoint. Threads may share it; pickling drops the connections.

    Args:
        trust_env: whether a proxy of the environment is used.
        timeout: seconds for connecting, and for each read and write.
    """

    def __init__(self, trust_env: bool, timeout: float) -> None:
        self._trust_env = trust_env
        self._timeout = timeout
        self._all: list[Line] = []
        self._free: list[Line] = []
        self._process = os.getpid()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Lines], tuple[bool, float]]:
        return Lines, (self._trust_env, self._timeout)

    def __del__(self) -> None:
        if getattr(self, "_all", None):
            self.close()

    @contextmanager
    def borrowed(self) -> Iterator[Line]:
        """A connection that nobody else uses meanwhile."""
        with self._lock:
            if self._process != os.getpid():  # what came over a fork is left to the parent
                self._all, self._free, self._process = [], [], os.getpid()
            line = self._free.pop() if self._free else self._new()
        try:
            yield line
        finally:
            with self._lock:
                if line in self._all:
                    self._free.append(line)

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        with self._lock:
            mine = self._all if self._process == os.getpid() else []
            self._all, self._free = [], []
        for line in mine:
            line.client.close()

    def _new(self) -> Line:
        httpx: Any = importlib.import_module("httpx")
        single = httpx.Limits(max_connections=1)
        made = Line(httpx.Client(timeout=self._timeout, trust_env=self._trust_env, limits=single))
        self._all.append(made)
        return made
