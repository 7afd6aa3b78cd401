"""The same drawing in fewer bytes: what a chart library writes for every mark is written once for its group.

Nothing that is seen changes. Half of a report's drawings are words like `transform="translate(12,0)"`; a page of 300
conditions fits its budget because they go.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

# Presentation attributes that children inherit. Opacity is none: it blends a group as a whole.
INHERITED = (
    "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "stroke-miterlimit",
    "stroke-opacity", "fill-opacity", "font-size", "font-weight", "text-anchor",
)  # fmt: skip
_NUMBER = r"(-?[0-9.]+(?:e-?[0-9]+)?)"
_MOVED = re.compile(rf"\s*translate\({_NUMBER}(?:,\s*|\s+){_NUMBER}\)\s*")
_CIRCLE = re.compile(rf"M{_NUMBER},0A\1,\1,0,1,1,-\1,0A\1,\1,0,1,1,\1,0")


@dataclass
class Node:
    """An element that may be written: tag, attributes, children; `text` of a text element, `tip` said on hover."""

    tag: str
    attributes: dict[str, str]
    inside: list[Node] = field(default_factory=list)
    text: str = ""
    tip: str = ""


def slim(node: Node) -> list[Node]:
    """The node written shorter: itself, or its children where it said nothing."""
    node.inside = [short for child in node.inside for short in slim(child)]
    if node.tag == "g":
        node.inside = list(_joined(node.inside))
        _share(node)
        if not node.inside:
            return []
        if node.attributes.get("transform") in ("translate(0,0)", "translate(0 0)"):
            del node.attributes["transform"]
        return [node] if node.attributes else node.inside
    if node.attributes.get("font-size", "").endswith("px"):
        node.attributes["font-size"] = node.attributes["font-size"][:-2]
    if node.tag == "line":
        return [_line(node)]
    if node.tag == "path":
        return [_dot(node)]
    if node.tag == "text" and not node.inside and (at := _MOVED.fullmatch(node.attributes.get("transform", ""))):
        del node.attributes["transform"]
        node.attributes |= {name: value for name, value in (("x", at[1]), ("y", at[2])) if value != "0"}
    return [node]


def write(node: Node) -> str:
    """The node as markup; everything that is not a name of ours is escaped."""
    attributes = "".join(f' {k}="{escape(v)}"' for k, v in node.attributes.items())
    tip = f"<title>{escape(node.tip)}</title>" if node.tip else ""
    inner = escape(node.text) + "".join(write(child) for child in node.inside) + tip
    return f"<{node.tag}{attributes}>{inner}</{node.tag}>" if inner else f"<{node.tag}{attributes}/>"


def _line(node: Node) -> Node:
    """A line as a path, so that the lines of one grid become one."""
    rest = dict(node.attributes)
    at = _MOVED.fullmatch(rest.pop("transform", "translate(0,0)"))
    x, y = rest.pop("x2", "0"), rest.pop("y2", "0")
    if at is None or "x" in rest or "y" in rest:
        return node
    way = f"h{x}" if y == "0" else f"v{y}" if x == "0" else f"l{x},{y}"
    return Node("path", {"d": f"M{at[1]},{at[2]}{way}", **rest})


def _dot(node: Node) -> Node:
    """A circle drawn as two arcs is a circle."""
    circle = _CIRCLE.fullmatch(node.attributes.get("d", ""))
    if circle is None or (at := _MOVED.fullmatch(node.attributes.get("transform", "translate(0,0)"))) is None:
        return node
    rest = {k: v for k, v in node.attributes.items() if k not in ("d", "transform")}
    place = {name: value for name, value in (("cx", at[1]), ("cy", at[2])) if value != "0"}
    return Node("circle", {**place, "r": circle[1], **rest}, node.inside, tip=node.tip)


def _joined(nodes: list[Node]) -> Iterator[Node]:
    """Neighbours that are straight strokes and alike but for their place become one path."""
    last: Node | None = None
    for node in nodes:
        if last is not None and _stroke(node) and _stroke(last) and _style(node) == _style(last):
            last.attributes["d"] += node.attributes["d"]
            continue
        if last is not None:
            yield last
        last = node
    if last is not None:
        yield last


def _stroke(node: Node) -> bool:
    """A stroke without words or see-through: joined ones look as they did, wherever they cross."""
    plain = node.tag == "path" and not node.tip and not node.inside
    faint = any(name in node.attributes for name in ("opacity", "stroke-opacity", "fill", "transform", "clip-path"))
    return plain and not faint and node.attributes.get("d", "").startswith("M")


def _style(node: Node) -> list[tuple[str, str]]:
    return sorted((k, v) for k, v in node.attributes.items() if k != "d")


def _share(group: Node) -> None:
    """What every child says is said once by the group; children that say something else keep saying it."""
    if len(group.inside) < 2:
        return
    for name in INHERITED:
        said = [child.attributes.get(name) for child in group.inside]
        if None in said:
            continue
        ((value, often),) = Counter(said).most_common(1)
        if often < 2 or value is None:
            continue
        group.attributes[name] = value
        for child in group.inside:
            if child.attributes[name] == value:
                del child.attributes[name]
