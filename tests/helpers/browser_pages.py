"""Pages from disk in a real Chromium, for the end-to-end tests: what they say, ask for and violate is remembered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH = """window.violations = [];
document.addEventListener('securitypolicyviolation', e => violations.push(`${e.violatedDirective} ${e.blockedURI}`));"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A running Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


class Opened:
    """A page that remembers what it said and asked for."""

    def __init__(
        self, browser: Any, file: Path, width: int = 1280, scheme: str = "light", javascript: bool = True, **more: Any
    ) -> None:
        viewport = {"width": width, "height": 900}
        self.context = browser.new_context(
            viewport=viewport, color_scheme=scheme, java_script_enabled=javascript, reduced_motion="reduce", **more
        )
        self.page = self.context.new_page()
        self.file = file
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda m: self.said.append(m.text))
        self.page.on("pageerror", lambda e: self.said.append(str(e)))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.add_init_script(WATCH)
        self.page.goto(file.as_uri())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def open_all(self) -> None:
        """Open everything that is behind a click."""
        self.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    def explore(self, figure: str) -> Any:
        """Bring a figure to life; returns its first live chart."""
        self.page.locator(f"#{figure} .tools button", has_text="Explore").click()
        self.page.locator(f"#{figure} .tools button", has_text="Back").wait_for()
        return self.page.locator(f"#{figure} .live").first

    def trouble(self) -> list[str]:
        """Everything a quiet page has none of: messages, requests, violations of its policy."""
        asked = [u for u in self.asked if not u.startswith(("data:", "blob:")) and u != self.file.as_uri()]
        return [*self.said, *asked, *self.page.evaluate("violations")]
