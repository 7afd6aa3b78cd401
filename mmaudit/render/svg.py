"""A chart specification drawn as SVG that is safe to put into a page, whatever its labels say.

vl-convert draws; what it returns is parsed and written anew from a list of allowed elements and attributes, so nothing
else can reach the page. On the way: colours become CSS variables (a dark page shows its own), mark descriptions become
`<title>` (a browser shows them on hover, without script), ids become stable, numbers are rounded to 2 decimals.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from mmaudit.figures import marks
from mmaudit.formats import printable

# Vega-Lite's version is pinned, so that a newer vl-convert draws the same picture.
VEGA_LITE = "5.20"
COLOURS = {
    marks.INK: "ink",
    marks.MUTED: "muted",
    marks.GRID: "grid",
    marks.PAPER: "card",
    marks.BLUE: "blue",
    marks.RED: "red",
    marks.GREEN: "green",
    marks.PURPLE: "purple",
    marks.AMBER: "amber",
    marks.TEAL: "teal",
}
_ELEMENTS = {"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath"}
_NUMBERS = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+e-\d+")
_GEOMETRY = re.compile(r"[\sMLHVCSQTAZmlhvcsqtaz0-9eE.,+\-]*")
_TRANSFORM = re.compile(r"(?:\s*(?:translate|rotate|scale)\([0-9eE.,+\-\s]+\))*\s*")
_LENGTH = re.compile(r"[0-9eE.,+\-\s]+(?:px)?")
_WORD = re.compile(r"[a-z\-]+")
_CLIP = re.compile(r"url\(#([A-Za-z0-9_]+)\)")
_RULES: Mapping[str, re.Pattern[str]] = {
    "d": _GEOMETRY,
    "transform": _TRANSFORM,
    **dict.fromkeys(
        (
            "x", "y", "x2", "y2", "dy", "rx", "ry", "width", "height", "opacity", "fill-opacity", "stroke-opacity",
            "stroke-width", "stroke-dasharray", "stroke-miterlimit", "font-size",
        ),
        _LENGTH,
    ),
    **dict.fromkeys(("text-anchor", "font-weight", "stroke-linejoin", "stroke-linecap"), _WORD),
}  # fmt: skip
_DEFAULTS = {
    ("opacity", "1"),
    ("stroke-miterlimit", "10"),
    ("text-anchor", "start"),
    ("stroke-width", "1"),
    ("fill", "transparent"),
    ("stroke", "transparent"),
}


def draw(spec: Mapping[str, Any], alt: str, name: str) -> str:
    """Return the specification as an SVG element; `alt` says it in words, `name` keeps ids apart within a page."""
    import vl_convert

    text = vl_convert.vegalite_to_svg(_printable(spec), vl_version=VEGA_LITE, allowed_base_urls=[])
    return clean(text, alt, name)


def _printable(value: Any) -> Any:
    """The same specification with every text such that SVG can hold it."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {k: _printable(v) for k, v in value.items()}
    return [_printable(v) for v in value] if isinstance(value, (list, tuple)) else value


def clean(text: str, alt: str, name: str) -> str:
    """Return an SVG document as an element that holds allowed elements and attributes only."""
    root = ET.fromstring(text)
    width, height = (float(root.get(k, "0")) for k in ("width", "height"))
    ids: dict[str, str] = {}
    for node in root.iter():
        if "id" in node.attrib:
            ids.setdefault(node.attrib["id"], f"{name}-{len(ids)}")
    body = "".join(part for child in root for part in _write(child, ids))
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg {size} role="img" aria-label="{escape(printable(alt))}">{body}</svg>'


def _write(node: ET.Element, ids: Mapping[str, str]) -> Iterator[str]:
    tag = node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
    if tag not in _ELEMENTS or _invisible(node, tag):
        return
    attributes = "".join(f' {k}="{escape(v)}"' for k, v in _attributes(node, tag, ids))
    inner = "".join(part for child in node for part in _write(child, ids))
    if tag in ("text", "tspan"):
        inner = escape(printable(node.text or "")) + inner
    elif tag == "g":
        if not inner:
            return
        if not attributes:
            yield inner
            return
    tip = node.get("aria-label") if node.get("role") == "graphics-symbol" and tag == "path" else None
    if tip:
        inner += f"<title>{escape(printable(tip))}</title>"
    yield f"<{tag}{attributes}>{inner}</{tag}>" if inner else f"<{tag}{attributes}/>"


def _invisible(node: ET.Element, tag: str) -> bool:
    """Whether nothing of the node is seen: Vega's empty frames, and the page-sized ground."""
    if node.get("display") == "none":
        return True
    if tag == "path":
        return node.get("d") in ("", "M0,0h0v0h0Z") or (node.get("class") == "background" and not node.get("stroke"))
    return tag == "rect" and node.get("fill") == "transparent"


def _attributes(node: ET.Element, tag: str, ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in node.attrib.items():
        if key == "id" and tag == "clipPath":
            yield key, ids[value]
        elif key == "clip-path":
            if (found := _CLIP.fullmatch(value)) and found[1] in ids:
                yield key, f"url(#{ids[found[1]]})"
        elif key in ("fill", "stroke"):
            if (key, value) not in _DEFAULTS or key == "fill":
                yield key, _colour(value)
        elif (rule := _RULES.get(key)) and rule.fullmatch(value) and (key, value) not in _DEFAULTS:
            yield key, _NUMBERS.sub(_round, value)


def _colour(value: str) -> str:
    if value in COLOURS:
        return f"var(--{COLOURS[value]})"
    return "none" if value in ("none", "transparent") else "currentColor"


def _round(found: re.Match[str]) -> str:
    return f"{round(float(found[0]), 2):g}"
