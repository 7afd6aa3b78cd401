"""A house style is applied as it says, or refused with the reason."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from mmaudit.errors import BadInput
from mmaudit.render.page import page, style_of
from mmaudit.render.theme import PLAIN, contrast, grounds, read_theme
from mmaudit.report import Report
from report_html import Page, unsafe
from report_samples import small_report


def picture(kind: str, size: tuple[int, int] = (12, 6)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, kind)
    return out.getvalue()


def theme(folder: Path, text: str, logo: bytes | None = None) -> Path:
    file = folder / "house.toml"
    file.write_text(text, encoding="utf-8")
    if logo is not None:
        (folder / "logo").write_bytes(logo)
    return file


WHOLE = """
name = "House"
header_text = "Example </style><script>alert(1)</script> & Sons"
logo = "logo"
logo_alt = "a red box"
[colours]
accent = "#7A1F5C"
accent_dark = "#e39ad0"
[signed_by]
name = "A. Person"
role = "Model validation"
date = 2026-11-21
"""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_theme_is_on_the_page(tmp_path: Path, kind: str) -> None:
    read = read_theme(theme(tmp_path, WHOLE, picture(kind)))
    assert (read.logo_width, read.logo_height) == (12, 6)
    assert read.logo.startswith(f"data:image/{kind.lower()};base64,")
    assert (read.signed_by.name, read.signed_by.date) == ("A. Person", "2026-11-21") if read.signed_by else False
    css = str(style_of(read, Report.from_json(small_report()), "a4"))
    assert "--accent: #7a1f5c" in css.split("@media")[0]
    assert "--accent: #e39ad0" in css.split("@media")[1]
    assert "<" not in css


def test_texts_of_a_theme_stay_texts_and_the_rest_of_the_page_as_it_was(tmp_path: Path) -> None:
    report = Report.from_json(small_report())
    plain, themed = page(report), page(report, theme=read_theme(theme(tmp_path, WHOLE, picture("PNG"))))
    read = Page(themed)
    assert [u for u in unsafe(read) if "data:image/png" not in u] == []
    assert "Example </style><script>alert(1)</script> & Sons" in read.text()
    assert "Model validation" in read.text()
    assert next(i["alt"] for i in read.all("img")) == "a red box"
    body = themed[themed.index('<p class="over">') : themed.index('id="signoff"')]
    assert body in plain


def test_mmaudits_own_style_adds_nothing_but_paper() -> None:
    assert PLAIN.css == ""
    assert style_of(PLAIN, Report.from_json(small_report()), "a4").startswith("@page")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("heder_text = 'x'", "heder_text is not known; did you mean header_text?"),
        ("[colours]\naccnt = '#000000'", "colours.accnt is not known; did you mean colours.accent?"),
        ("[signed_by]\nphone = '1'", "signed_by.phone is not known"),
        ("name = 3", "name is 3, expected text"),
        ("colours = 'red'", "expected a table [colours]"),
        ("[colours]\naccent = 'red'", "expected six hex digits"),
        ("[colours]\naccent = '#0a66b'", "expected six hex digits"),
        ("[colours]\naccent = '#ffcc00'", "needs 4.5 : 1; make it darker"),
        ("[colours]\naccent_dark = '#7a1f5c'", "needs 4.5 : 1; make it lighter"),
        (f"name = '{'x' * 201}'", "has 201 characters, at most 200"),
        ("name = ", "cannot be read as TOML"),
        ("logo = 'nowhere.png'", "nowhere.png does not exist"),
    ],
)
def test_what_a_theme_must_not_say(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)):
        read_theme(theme(tmp_path, text))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "save it as PNG"),
        (picture("PNG")[:40], "cannot be read"),
        (picture("BMP"), "cannot be read"),
        (b"", "cannot be read"),
        (b"\x89PNG" + bytes(200_000), "at most 200 kB"),
        (picture("PNG", (4097, 1)), "at most 4096 pixels a side"),
    ],
)
def test_what_is_no_logo(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)):
        read_theme(theme(tmp_path, "logo = 'logo'", data))


def test_a_theme_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        read_theme(tmp_path / "house.toml")


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert contrast("#123456", "#123456") == 1
    assert contrast("#ffffff", "#000000") == contrast("#000000", "#ffffff")


def test_grounds_are_those_of_the_style_sheet() -> None:
    known = grounds()
    assert known["light"]["card"] == "#ffffff"
    assert known["dark"]["card"] != known["light"]["card"]
    assert set(known["light"]) == set(known["dark"])
    for scheme in ("light", "dark"):
        for ground in ("ground", "card", "soft"):
            assert contrast(known[scheme]["accent"], known[scheme][ground]) >= 4.5


def test_the_example_in_the_repository_is_a_theme() -> None:
    file = Path(__file__).parent.parent / "docs" / "house_style.toml"
    assert read_theme(file).header_text
