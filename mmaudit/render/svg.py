"""A chart specification drawn as SVG that is safe to put into a page, whatever its labels say.

vl-convert draws; what it returns is parsed and written anew from a list of allowed elements and attributes, so nothing
else can reach the page. On the way: colours become CSS variables (a dark page shows its own), mark descriptions become
`<title>` (a browser shows them on hover, without script), ids become stable, places are rounded to a twentieth of a
pixel.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from mmaudit.figures import marks
from mmaudit.formats import drawable, printable
from mmaudit.render.slim import Node, slim, write

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
    return clean(compiled(spec).svg, alt, name)


@dataclass(frozen=True)
class Drawing:
    """What a specification becomes: the picture, and the Vega specification (as JSON) that it was drawn from."""

    svg: str
    vega: str


def compiled(spec: Mapping[str, Any]) -> Drawing:
    """Return the drawing of a specification; one that was drawn lately is not drawn again."""
    return _compiled(json.dumps(_printable(spec), ensure_ascii=False, separators=(",", ":")))


# A report of 300 conditions has some 110 drawings; page and PDF, or the same page twice, share them.
@lru_cache(maxsize=512)
def _compiled(spec: str) -> Drawing:
    import vl_convert

    vega = vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)
    # The picture is drawn from what a reader can bring to life, so that both are the same one.
    svg = vl_convert.vega_to_svg(vega, allowed_base_urls=[])
    return Drawing(svg, json.dumps(vega, ensure_ascii=False, separators=(",", ":")))


def _printable(value: Any) -> Any:
    """The same specification with every text such that Vega can draw it and SVG hold it."""
    if isinstance(value, str):
        return drawable(value)
    if isinstance(value, Mapping):
        return {k: _printable(v) for k, v in value.items()}
    return [_printable(v) for v in value] if isinstance(value, (list, tuple)) else value


def clean(text: str, alt: str, name: str, tips: bool = True) -> str:
    """Return an SVG document as an element that holds allowed elements and attributes only; `tips`: said on hover."""
    root = ET.fromstring(text)
    width, height = (float(root.get(k, "0")) for k in ("width", "height"))
    ids: dict[str, str] = {}
    for node in root.iter():
        if "id" in node.attrib:
            ids.setdefault(node.attrib["id"], f"{name}-{len(ids)}")
    kept = [short for child in root for node in _kept(child, ids, tips) for short in slim(node)]
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg {size} role="img" aria-label="{escape(printable(alt))}">{"".join(map(write, kept))}</svg>'


def _kept(node: ET.Element, ids: Mapping[str, str], tips: bool) -> Iterator[Node]:
    """The node if it may be written, without what may not."""
    tag = node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
    if tag not in _ELEMENTS or _invisible(node, tag):
        return
    inside = [kept for child in node for kept in _kept(child, ids, tips)]
    text = printable(node.text or "") if tag in ("text", "tspan") else ""
    says = tips and tag == "path" and node.get("role") == "graphics-symbol"
    tip = node.get("aria-label", "") if says else ""
    yield Node(tag, dict(_attributes(node, tag, ids)), inside, text, printable(tip))


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
    value = float(found[0])
    # A twentieth of a pixel for places, less for the shapes of small marks.
    return f"{round(value, 1 if abs(value) >= 10 else 2):g}"
