"""A strict reader of the report's HTML for the tests: every tag closed, everything collected."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input", "path", "line", "rect", "circle"}
DATA = "application/octet-stream"


class Page(HTMLParser):
    """Reads a page and raises `AssertionError` where a tag is closed that was not opened last."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.feed(html)
        self.close()
        assert self.stack == [], f"left open: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({k for k, _ in attrs}) == len(attrs), f"attribute twice in <{tag}>: {attrs}"
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID or tag in ("path", "line", "rect", "circle"):
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack[-1] == tag, f"</{tag}> closes <{self.stack[-1]}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1] += data
        if data.strip():
            self.texts.append((self.stack[-1] if self.stack else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of this name."""
        return [a for t, a in self.tags if t == tag]

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [a[attribute] or "" for _, a in self.tags if attribute in a]

    def text(self) -> str:
        """All text but style and scripts."""
        return " ".join(t for where, t in self.texts if where not in ("style", "script"))

    def policy(self) -> str:
        """The page's content security policy."""
        return next(m["content"] or "" for m in self.all("meta") if m.get("http-equiv") == "Content-Security-Policy")


def unsafe(page: Page) -> list[str]:
    """What must not be in a report, whoever named the things in it."""
    found = [
        f"<{t}>"
        for t, _ in page.tags
        if t in ("iframe", "object", "embed", "link", "base", "form", "foreignobject", "a:a", "audio", "video")
    ]
    found += [f"<script>{text[:40]}" for text in strange_scripts(page)]
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            text = value or ""
            if name.startswith("on") or name in ("srcset", "formaction", "action", "data", "xlink:href"):
                found.append(f"<{tag} {name}>")
            if name == "href" and not text.startswith("#"):
                found.append(f"<{tag} href={text!r}>")
            if name == "src" and not text.startswith("data:image/png;base64,"):
                found.append(f"<{tag} src={text[:40]!r}>")
            if name == "style":
                found.append(f"<{tag} style={text!r}>")
            if name in ("fill", "stroke", "clip-path") and "url(" in text and not text.startswith("url(#"):
                found.append(f"<{tag} {name}={text!r}>")
    return found


def strange_scripts(page: Page) -> list[str]:
    """Scripts that could run and are not named by hash in the policy, and data that is not plain base64."""
    found = []
    for attributes, text in zip(page.all("script"), page.scripts, strict=True):
        name = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
        if attributes.get("type") == DATA:
            if not re.fullmatch(r"[A-Za-z0-9+/=]+", text):
                found.append(text)
        elif set(attributes) or f"'sha256-{name}'" not in page.policy():
            found.append(text)
    return found
