"""Text of strangers inside Markdown and YAML: it stays text."""

from __future__ import annotations

import html
import importlib.util
import json
import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from helpers.yaml_subset import read
from mmaudit.cards.text import JOINER, code, plain, row, table
from mmaudit.cards.yaml import to_yaml
from mmaudit.errors import BadInput

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "entity": "&lt;b&gt; &amp; &#36;",
    "code": "a `b` ``c`` ```",
    "pipe": "a | b || c",
    "lines": "one\n\n# two\r\n- three\u2028four\x85five",
    "emphasis": "**a** _b_ __c__ ~~d~~ a*b*c",
    "link": "[text](https://example.org) ![image](x.png) [ref][1] <https://example.org>",
    "address": "see https://example.org and www.example.org or HTTP://EXAMPLE.ORG",
    "mention": "@someone and a@example.org mailto:a@example.org",
    "reference": "#1 org/repo#2 GH-3 !4 ~label",
    "formula": "$x$ and $$y$$ $`z`$",
    "emoji": ":smile: a:b:c",
    "heading": "# heading",
    "list": "- item",
    "numbered": "1. item",
    "quote": "> quote",
    "underline": "===",
    "rule": "---",
    "plus": "+ item",
    "task": "[ ] done [x] done",
    "footnote": "a[^1] ^[b]",
    "backslash": "\\` \\* \\\\ \\",
    "comment": "a <!-- b --> c ]]> </details>",
    "long": "x" * 10_000,
    "empty": "",
}  # fmt: skip
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown(markdown: str, inside: str) -> str:
    """The text of the only element of a kind, after checking that Markdown made nothing else of it."""
    page = MARKDOWN.render(markdown)
    found = re.findall(f"<{inside}>(.*?)</{inside}>", page, re.DOTALL)
    assert len(found) == 1, page
    assert "<" not in found[0].replace("<code>", "").replace("</code>", ""), page
    return html.unescape(found[0]).replace(JOINER, "")


def expected(text: str, limit: int = 300) -> str:
    """What a reader should see: one line, cut in the middle."""
    one = " ".join(text.split())
    return one if len(one) <= limit else f"{one[:199]}…{one[-100:]}"


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_shown_as_it_is(name: str) -> None:
    text = HOSTILE[name]
    assert shown(f"x {plain(text)}", "p")[2:] == expected(text).strip()
    if text:
        # At the start of a list item Markdown looks for headings, lists and quotes again.
        assert shown(f"- {plain(text)}", "li") == expected(text)
        assert shown("\n".join(table(("a",), [[f"x {plain(text)}"]], [False])), "td") == f"x {expected(text)}"


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ("empty", "long")])
def test_code_is_shown_as_it_is(name: str) -> None:
    assert shown(f"x {code(HOSTILE[name])} y", "code") == expected(HOSTILE[name])


def test_code_of_nothing_says_so() -> None:
    assert code(" \n ") == "none"


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("@someone", r"@\w"),
        ("a@example.org", r"@\w"),
        ("#12 x#3", r"#\w"),
        ("GH-12 gh-1", r"(?i)GH-\d"),
        ("!7 ~bug %3 &4", r"[!~%&](?!amp;|lt;|gt;|#)\w"),
        ("https://a.b ftp://c.d", r"://"),
        ("www.a.b", r"www\."),
        ("mailto:a xmpp:b", r"(?:mailto|xmpp):"),
        (":tada: :+1:", r":[\w+-]+:"),
        ("$x$", r"\$"),
    ],
)
def test_nothing_is_left_that_a_site_makes_a_link_of(text: str, pattern: str) -> None:
    seen = html.unescape(re.sub("<.*?>", "", MARKDOWN.render(plain(text)))) if pattern != r"\$" else plain(text)
    assert re.search(pattern, text)
    assert not re.search(pattern, seen), seen


def test_directions_are_kept_apart() -> None:
    assert plain("a \u05d0\u05d1 \u05d2 12") == "a \u2068\u05d0\u05d1 \u05d2\u2069 12"
    assert plain("a\u202eb\u200fc") == "a\ufffdbc"
    for text in ("\u05d0 1 \u0627 2", "x" * 500 + "\u05d0", "\U0001e900\u0627"):
        assert plain(text).count("\u2068") == plain(text).count("\u2069") > 0


def test_numbers_stay_numbers() -> None:
    for text in ("14.6 % (a)", "+6.07 pp", "-1", "12)a"):
        assert plain(text) == text
    assert row(["a", "b"]) == "| a | b |"


VALUES: list[Any] = [
    {"a": "b", "n": 1, "x": [1, 2.5, -1e-05, 1e300, 0.0], "y": {"z": None, "t": True, "f": False}},
    [[1, [2, "- x"]], [], {}, "k: v", {"a": [{"b": {}}, {"c": []}]}],
    {"yes": "no", "null": "null", "key with : and #": "1", "on": "2024-01-01"},
    {"text": ["", " ", "true", "0x1f", "!!python/object:x", "&a", "*a", "%TAG", "'", '"', "\\", "---", "a\nb\t\x00"]},
    {"unicode": "é \u2028 \u0085 \ufeff \U0001f600 \u05d0"},
]


@pytest.mark.parametrize("value", VALUES)
def test_yaml_says_the_same(value: Any) -> None:
    text = to_yaml(value)
    # printable() exchanges what no text may hold; everything else comes back.
    clean = json.loads(json.dumps(value).replace("\\u0000", "\\ufffd").replace("\\u0085", "\\ufffd"))
    assert read(text) == clean
    if importlib.util.find_spec("yaml"):
        import yaml

        assert yaml.safe_load(text) == clean


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {"a": object()}, b"x", {"a": {3}}])
def test_yaml_refuses_what_it_cannot_say(value: Any) -> None:
    with pytest.raises(BadInput, match="YAML"):
        to_yaml(value)
