"""A page as PDF, printed by a Chromium of this machine; nothing is downloaded and nothing leaves the machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from mmaudit.errors import BadInput

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)
# Where they are installed on systems that do not put programs on the search path.
_ELSEWHERE = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
TIME_LIMIT = 180.0
"""Seconds that printing may take; a report of 300 conditions takes a few."""

_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-crash-reporter",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    # The page asks for nothing; a browser that would like to call home finds nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
)


def find_browser(named: str | None = None) -> Path:
    """Return the Chromium that prints: the one that is named, else the first on the search path.

    Raises:
        BadInput: there is none; the message says what to install, and what works without one.
    """
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise BadInput(f"browser {named!r} is no program that can be run; give the path of a Chromium or Chrome.")
        return Path(found)
    for name in BROWSERS:
        if found := shutil.which(name):
            return Path(found)
    for place in _ELSEWHERE:
        if Path(place).is_file():
            return Path(place)
    raise BadInput(
        f"a PDF is printed by a Chromium, and none was found (looked for {', '.join(BROWSERS[:3])}, … on the search "
        "path). Install one (Debian: apt-get install chromium) or name one with --browser; or open the HTML page in "
        "any browser and print it, it is laid out for paper."
    )


def to_pdf(html: str, path: str | Path, browser: Path, time_limit: float = TIME_LIMIT) -> Path:
    """Print a page to `path` and return it. The sheet's size is the page's own (`@page`).

    The browser runs without a window, with a profile of its own that is removed afterwards, and without network. The
    file appears whole or not at all.

    Raises:
        BadInput: the browser could not print, or took longer than `time_limit` seconds; with what it said.
    """
    file = Path(path)
    if file.is_dir() or not file.parent.is_dir():
        raise BadInput(f"the PDF cannot be written to {file}: give a file in a folder that exists.")
    with tempfile.TemporaryDirectory(prefix="mmaudit-pdf-", ignore_cleanup_errors=True) as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(html, encoding="utf-8")
        command = [str(browser), *_FLAGS, f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # Chromium refuses to build its sandbox for root; the page holds no script.
            command.append("--no-sandbox")
        said = _run([*command, source.as_uri()], browser, time_limit)
        if not made.is_file() or not made.read_bytes().startswith(b"%PDF"):
            last = [line for line in said.splitlines() if line.strip()][-3:]
            raise BadInput(f"{browser} printed no PDF; it said: {' | '.join(last) or 'nothing'}")
        # Beside its place first: a move across file systems is no single step.
        beside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        try:
            shutil.copyfile(made, beside)
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    return file


def _run(command: list[str], browser: Path, time_limit: float) -> str:
    """Run it to its end and return what it said; it and all its children end with the time limit."""
    alone = sys.platform != "win32"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=alone,
        )
    except OSError as error:
        raise BadInput(f"{browser} cannot be run: {error.strerror}.") from None
    try:
        return process.communicate(timeout=time_limit)[0]
    except BaseException as error:
        if alone:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BadInput(f"{browser} took longer than {time_limit:g} s to print the page and was stopped.") from None
        raise
