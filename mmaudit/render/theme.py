"""A house style: name, header text, logo, accent colour and who signs, from a small TOML file.

    name = "Example house style"
    header_text = "Example Ltd, model validation"
    logo = "logo.png"            # beside the theme file; PNG, JPEG, WebP or GIF, at most 200 kB
    logo_alt = "Example Ltd"

    [colours]
    accent = "#7a1f5c"           # links, buttons and the rule below the header, on light grounds
    accent_dark = "#e39ad0"      # the same on dark grounds

    [signed_by]                  # fills in the sign-off block
    name = "A. Person"
    role = "Model validation"
    organisation = "Example Ltd"
    date = "2026-11-21"
    statement = "For use on the line it was measured on."

Every part may be left out. A name that is not known, a colour that cannot be read on the page's grounds and a file that
is no picture are errors: a theme is either applied as it says or not at all. Colours of charts and of findings are not
part of a theme, because they carry meaning.
"""

from __future__ import annotations

import base64
import datetime
import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mmaudit.errors import BadInput
from mmaudit.formats import printable
from mmaudit.render.signoff import Signed
from mmaudit.report_schema import asset

LOGO_LIMIT = 200_000
LOGO_SIDE = 4_096
TEXT_LIMIT = 200
CONTRAST = 4.5
"""Least contrast of text against its ground (WCAG 2.2, success criterion 1.4.3)."""

_TEXTS = ("name", "header_text", "logo", "logo_alt")
_COLOURS = ("accent", "accent_dark")
_SIGNED = tuple(f.name for f in fields(Signed))
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}


@dataclass(frozen=True)
class Theme:
    """A house style, checked and ready for the page.

    Attributes:
        name: of the style itself; empty for mmaudit's own.
        header_text: stands above the title of the report and at the foot of printed pages.
        logo: the picture as a `data:` address; empty where there is none.
        logo_alt: what the picture says, for those who do not see it.
        logo_width, logo_height: of the picture, in pixels.
        accent, accent_dark: `#rrggbb` on light and on dark grounds; empty for mmaudit's own.
        signed_by: what is known of the person who signs; None where the theme says nothing of it.
    """

    name: str = ""
    header_text: str = ""
    logo: str = ""
    logo_alt: str = ""
    logo_width: int = 0
    logo_height: int = 0
    accent: str = ""
    accent_dark: str = ""
    signed_by: Signed | None = None

    @property
    def css(self) -> str:
        """Rules that put the accent colours over mmaudit's own; empty without accents. On paper the light one holds."""
        rules = f":root {{ --accent: {self.accent}; --link: {self.accent}; }}\n" if self.accent else ""
        if self.accent_dark:
            dark = f":root {{ --accent: {self.accent_dark}; --link: {self.accent_dark}; }}"
            rules += f"@media screen and (prefers-color-scheme: dark) {{ {dark} }}\n"
        elif self.accent:
            own = f":root {{ --accent: {grounds()['dark']['link']}; --link: {grounds()['dark']['link']}; }}"
            rules += f"@media screen and (prefers-color-scheme: dark) {{ {own} }}\n"
        return rules


PLAIN = Theme()
"""mmaudit's own style."""


def read_theme(path: str | Path) -> Theme:
    """Read a theme file; a relative `logo` is looked for beside it.

    Raises:
        BadInput: the file does not exist or is no TOML, a key is unknown, a value is of the wrong kind, a colour has
            less contrast than 4.5 : 1 with one of the page's grounds, or the logo is no picture of at most 200 kB.
    """
    file = Path(path)
    if not file.is_file():
        raise BadInput(f"theme {file} does not exist; give a TOML file, such as the one in docs/house_style.toml.")
    try:
        value = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of 5,000 digits, or nested endlessly
        raise BadInput(f"theme {file} cannot be read as TOML: {error}.") from None
    _known(file, "", value, (*_TEXTS, "colours", "signed_by"))
    colours, signed = _table(file, value, "colours", _COLOURS), _table(file, value, "signed_by", _SIGNED)
    texts = {name: _text(file, name, value[name]) for name in _TEXTS if name in value}
    address, width, height = _logo(file, texts.pop("logo")) if texts.get("logo") else ("", 0, 0)
    texts.pop("logo", None)
    for name, scheme in zip(_COLOURS, ("light", "dark"), strict=True):
        if name in colours:
            _readable(file, name, colours[name], scheme)
    return Theme(
        **texts,
        logo=address,
        logo_width=width,
        logo_height=height,
        **{name: colour.lower() for name, colour in colours.items()},
        signed_by=Signed(**signed) if signed else None,
    )


def contrast(a: str, b: str) -> float:
    """Contrast of two `#rrggbb` colours, from 1 (none) to 21 (black on white), as WCAG 2 defines it."""
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def grounds() -> dict[str, dict[str, str]]:
    """The colours of the page by scheme (`light`, `dark`) and name, as its style sheet has them."""
    css = asset("page.css").read_text(encoding="utf-8")
    light, _, rest = css.partition("@media screen and (prefers-color-scheme: dark)")
    found = {
        scheme: dict(re.findall(r"--([a-z\-]+): (#[0-9a-f]{6})", text))
        for scheme, text in (("light", light), ("dark", rest.partition("* {")[0]))
    }
    return {"light": found["light"], "dark": found["light"] | found["dark"]}


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _readable(file: Path, name: str, colour: str, scheme: str) -> None:
    if not _HEX.fullmatch(colour):
        raise BadInput(f"theme {file}: colours.{name} is {colour!r}, expected six hex digits such as '#7a1f5c'.")
    known = grounds()[scheme]
    for ground in ("ground", "card", "soft"):
        found = contrast(colour, known[ground])
        if found < CONTRAST:
            better = "darker" if scheme == "light" else "lighter"
            raise BadInput(
                f"theme {file}: colours.{name} {colour} has a contrast of {found:.1f} : 1 with the page's {scheme} "
                f"ground {known[ground]}, text needs {CONTRAST} : 1; make it {better}."
            )


def _table(file: Path, value: Mapping[str, Any], name: str, known: tuple[str, ...]) -> dict[str, str]:
    given = value.get(name, {})
    if not isinstance(given, dict):
        raise BadInput(f"theme {file}: {name} is {given!r}, expected a table [{name}] with {', '.join(known)}.")
    _known(file, f"{name}.", given, known)
    return {key: _text(file, f"{name}.{key}", text) for key, text in given.items()}


def _known(file: Path, where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            guess = f"; did you mean {where}{near[0]}?" if near else "."
            raise BadInput(f"theme {file}: {where}{printable(key)} is not known{guess} Known: {', '.join(known)}.")


def _text(file: Path, name: str, value: Any) -> str:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = value.isoformat()
    if not isinstance(value, str):
        raise BadInput(f"theme {file}: {name} is {value!r}, expected text in quotes.")
    if len(value) > TEXT_LIMIT:
        raise BadInput(f"theme {file}: {name} has {len(value)} characters, at most {TEXT_LIMIT} fit.")
    return printable(" ".join(value.split()))


def _logo(file: Path, name: str) -> tuple[str, int, int]:
    """The picture as a data address, its width and its height."""
    from PIL import Image

    path = file.parent / name
    wanted = "expected a PNG, JPEG, WebP or GIF picture (an SVG can hold script: save it as PNG)"
    if not path.is_file():
        raise BadInput(f"theme {file}: logo {path} does not exist; {wanted}.")
    if path.stat().st_size > LOGO_LIMIT:
        size, most = path.stat().st_size / 1000, LOGO_LIMIT // 1000
        raise BadInput(f"theme {file}: logo {path} has {size:.0f} kB, at most {most} kB are put in a page.")
    data = path.read_bytes()
    try:
        with Image.open(path, formats=list(_KINDS)) as picture:
            kind, (width, height) = str(picture.format), picture.size
            if max(width, height) > LOGO_SIDE:
                raise BadInput(f"theme {file}: logo {path} is {width} × {height}, at most {LOGO_SIDE} pixels a side.")
            picture.load()
    except (
        OSError,
        ValueError,
        SyntaxError,
        MemoryError,
        Image.DecompressionBombError,
    ) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"theme {file}: logo {path} cannot be read; {wanted}.") from None
    return f"data:{_KINDS[kind]};base64,{base64.b64encode(data).decode('ascii')}", width, height
