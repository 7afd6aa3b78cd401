"""What reaches the page from outside: drawings, images and texts are checked and written anew."""

from __future__ import annotations

import base64
import struct
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest

from helpers.report_examples import picture as drawing
from helpers.report_examples import png
from mmaudit.figures.marks import layer, points, spec
from mmaudit.render.samples import Budget, checked_png, compare, curve, picture, sides
from mmaudit.render.svg import clean, draw

HOSTILE = """</text></svg><script>alert(1)</script><img src=x onerror=alert(1)>"'&]]>{{7*7}}"""
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="10" height="10">{}</svg>'
)


def test_labels_cannot_leave_their_text() -> None:
    x = {"field": "x", "type": "quantitative", "axis": {"title": HOSTILE}}
    y = {"field": "y", "type": "nominal", "axis": {"title": HOSTILE}}
    data = [{"x": 1, "y": HOSTILE, "s": HOSTILE, "tip": HOSTILE}, {"x": 2, "y": "b", "s": "b", "tip": "b"}]
    styles = {HOSTILE: ("#0a66b0", "circle"), "b": ("#c03d00", "square")}
    layers = [points(data, x, y, "s", styles), layer(data, "text", {"x": x, "y": y, "text": {"field": "s"}}, limit=0)]
    svg = draw(spec(layers, 200, 100), HOSTILE, "p")
    root = ET.fromstring(svg)
    assert {e.tag for e in root.iter()} <= {
        "svg",
        "g",
        "path",
        "rect",
        "circle",
        "line",
        "text",
        "tspan",
        "title",
        "defs",
        "clipPath",
    }
    assert root.get("aria-label") == HOSTILE
    assert any((e.text or "") == HOSTILE for e in root.iter("text"))
    assert any((e.text or "") == HOSTILE for e in root.iter("title"))


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<a xlink:href="javascript:alert(1)"><text>x</text></a>',
        '<image xlink:href="http://example.org/a.png"/>',
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img/></body></foreignObject>',
        '<path d="M0,0L1,1" onclick="alert(1)" style="fill:url(http://example.org)"/>',
        '<path d="M0,0L1,1" fill="url(http://example.org)" stroke="expression(1)"/>',
        '<g clip-path="url(http://example.org#a)"><path d="M0,0L1,1"/></g>',
        '<path d="M0,0 url(x)" transform="matrix(url(x))"/>',
        "<style>@import 'http://example.org'</style>",
        '<animate attributeName="href" to="javascript:alert(1)"/>',
        '<use xlink:href="#a"/>',
        "<!-- <script> --><?php 1 ?><path d='M0,0L1,1'/>",
    ],
)
def test_only_drawing_survives(inside: str) -> None:
    text = clean(SVG.format(inside), "a drawing", "p").lower()
    for bad in (
        "script",
        "href",
        "http",
        "onclick",
        "style",
        "import",
        "foreign",
        "expression",
        "animate",
        "<use",
        "<!--",
        "<?",
    ):
        assert bad not in text.replace("a drawing", ""), bad
    ET.fromstring(text)


def test_colours_become_page_variables_and_ids_are_stable() -> None:
    inside = (
        '<defs><clipPath id="clip77"><rect width="3" height="3"/></clipPath></defs>'
        '<g clip-path="url(#clip77)"><path d="M0.123456,1L2,3" stroke="#0a66b0" fill="none"/></g>'
    )
    text = clean(SVG.format(inside), "x", "fig-2")
    assert 'stroke="var(--blue)"' in text
    assert 'id="fig-2-0"' in text
    assert 'clip-path="url(#fig-2-0)"' in text
    assert "M0.12,1L2,3" in text
    assert "clip77" not in text


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


HEAD = b"\x89PNG\r\n\x1a\n"
IHDR = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 3, 8, 2, 0, 0, 0))
IDAT = chunk(b"IDAT", zlib.compress(b"\0" * 21))
IEND = chunk(b"IEND", b"")


def test_a_sound_image_is_kept_without_what_no_picture_needs() -> None:
    note = chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")
    width, height, kept = checked_png(HEAD + IHDR + note + IDAT + IEND + b"trailing")
    assert (width, height) == (2, 3)
    assert kept == HEAD + IHDR + IDAT + IEND
    encoded = png(drawing(1))
    assert picture(encoded, Budget()).image == encoded


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a PNG"),
        (b"<svg onload=alert(1)>", "not a PNG"),
        (b"\xff\xd8\xff\xe0JFIF", "not a PNG"),
        (HEAD + IHDR + IDAT, "cut short"),
        (HEAD + IHDR + IDAT[:-1] + b"\0" + IEND, "damaged"),
        (HEAD + IDAT + IEND, "head"),
        (HEAD + IHDR + IHDR + IEND, "head"),
        (HEAD + chunk(b"IHDR", struct.pack(">IIBBBBB", 9999999, 1, 8, 2, 0, 0, 0)) + IEND, "size"),
        (HEAD + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 1, 8, 2, 0, 0, 0)) + IEND, "size"),
        (HEAD + struct.pack(">I", 2**32 - 1) + b"IHDR", "cut short"),
    ],
)
def test_what_is_no_image_is_not_shown(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checked_png(data)
    shown = picture(base64.b64encode(data).decode(), Budget())
    assert shown.image == ""
    assert says in shown.note


@pytest.mark.parametrize("text", ['"><script>alert(1)</script>', "äöü", "AAA", "A A=="])
def test_what_is_no_base64_is_not_shown(text: str) -> None:
    shown = picture(text, Budget())
    assert shown.image == ""
    assert "not valid base64" in shown.note


def test_images_stop_at_the_budget_and_say_so() -> None:
    encoded = png(drawing(1))
    budget = Budget(2 * len(encoded))
    notes = [picture(encoded, budget).note for _ in range(3)]
    assert notes[:2] == ["", ""]
    assert "report.json" in notes[2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("is there a red circle?", "is thrre a rd circlw?"),
        ("one two three", "completely different words"),
        ("", "new"),
        ("old", ""),
        ("same", "same"),
        ("word " * 400, "word " * 399 + "sword "),
    ],
)
def test_comparison_loses_nothing(before: str, after: str) -> None:
    left, right = compare(before, after)
    assert "".join(t for _, t in left) == before
    assert "".join(t for _, t in right) == after
    assert "".join(t for k, t in left if k == "same") == "".join(t for k, t in right if k == "same")
    assert {k for k, _ in left} <= {"same", "gone"}
    assert {k for k, _ in right} <= {"same", "new"}


def test_typos_are_marked_by_letter_and_other_texts_by_word() -> None:
    left, _ = compare("a red circle", "a rxd circle")
    assert ("gone", "e") in left
    left, _ = compare("what colour is the shape?", "does it contain blue?")
    assert all(
        t.strip() in ("what", "colour", "is", "the", "shape?") or " " in t.strip() for k, t in left if k == "gone"
    )


def test_empty_text_and_absence_are_said() -> None:
    before, after = sides({"text": "red?"}, {"text": ""}, Budget())
    assert before.pieces
    assert after is not None
    assert after.note == "empty text"
    _, gone = sides({"values": [1.0, 2.0]}, {"absent": True}, Budget())
    assert gone is not None
    assert gone.note == "absent"
    assert sides({}, None, Budget())[0].note == "not kept in the report"


def test_series_share_a_scale_and_leave_gaps() -> None:
    assert curve([0.0, 1.0], (0.0, 1.0)) == "M2.0,53.0L178.0,3.0"
    assert curve([0.0, None, 1.0], (0.0, 1.0)).count("M") == 2
    assert curve([], (0.0, 1.0)) == ""
    assert curve(np.zeros(10_000).tolist(), (0.0, 0.0)).count("L") < 400
    before, after = sides({"values": [0.0, 1.0]}, {"values": [0.0, 10.0]}, Budget())
    assert after is not None
    assert before.path != after.path
