"""The dashboard as people start it, and a browser that remembers what it said and asked for."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlparse

CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
# Only --no-sandbox is needed (as root); the others keep a closed network quiet.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STARTS_WITHIN = 60.0
# Streamlit 1.67 asks for its own health below each page's address, and is told it is elsewhere.
HARMLESS = ("/_stcore/health", "/_stcore/host-config")


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextlib.contextmanager
def dashboard(runs: Path) -> Iterator[str]:
    """Start `mmaudit dashboard RUNS`, wait until it answers, give its address, and stop it in the end."""
    port = free_port()
    command = [sys.executable, "-m", "mmaudit.cli", "dashboard", str(runs), "--port", str(port), "--no-browser"]
    environment = {**os.environ, "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, address)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _wait(process: subprocess.Popen[str], address: str) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the dashboard stopped: {process.stdout.read() if process.stdout else ''}")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                if answer.read() == b"ok":
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the dashboard did not answer")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium; the machine's own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page of the dashboard in a browser; what it logged and where it asked are kept.

    Attributes:
        page: Playwright's page.
        errors: console errors and uncaught exceptions.
        elsewhere: addresses asked for that are not the dashboard's.
    """

    def __init__(self, browser: Any, address: str, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        self.address = address
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        place = str((message.location or {}).get("url", ""))
        if message.type == "error" and not place.endswith(HARMLESS):
            self.errors.append(f"{message.text} ({place})")

    def _asked(self, request: Any) -> None:
        url = urlparse(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.hostname not in ("127.0.0.1", "localhost"):
            self.elsewhere.append(request.url)

    def go(self, name: str = "", **query: str) -> float:
        """Open a page by its address; return the seconds until it stands still."""
        start = time.perf_counter()
        self.page.goto(f"{self.address}/{name}" + (f"?{urlencode(query)}" if query else ""), wait_until="commit")
        return self.settled(start)

    def settled(self, start: float | None = None) -> float:
        """Wait until the app has run and every chart is drawn; return the seconds since `start`."""
        start = time.perf_counter() if start is None else start
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', state="attached")
        self.page.wait_for_function(
            """() => !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')
                && ['h1', 'h2', 'p'].some(e => document.querySelector('[data-testid="stMain"] ' + e))
                && [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')]
                    .every(c => !c.getBoundingClientRect().width || c.querySelector('canvas, svg'))"""
        )
        return time.perf_counter() - start

    def text(self) -> str:
        """What the main part of the page says."""
        return str(self.page.locator('[data-testid="stMain"]').inner_text())

    def wide(self) -> bool:
        """Whether the page is wider than its screen."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"))

    def close(self) -> None:
        """Close it and all it kept."""
        self.context.close()
