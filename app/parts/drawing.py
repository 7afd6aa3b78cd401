"""A figure's specification made to fit a page: colours for a dark ground, the width there is; and as a file.

Pure functions; nothing here knows of a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmaudit.figures import marks
from mmaudit.formats import drawable

Spec = dict[str, Any]

VEGA_LITE = "5.20"
PNG_SCALE = 2.0
FONT = '"Source Sans", "Source Sans Pro", sans-serif'
_CHANNELS = {"rule": "stroke", "line": "stroke", "rect": "fill", "area": "fill", "bar": "fill", "text": "fill"}
# The dark ground's colours, those of the report page: each at least 4.5 : 1 on it.
DARK: Mapping[str, str] = {
    marks.INK: "#e7ebf1",
    marks.MUTED: "#a6b0be",
    marks.GRID: "#2d3642",
    marks.PAPER: "#12171e",
    marks.BLUE: "#62b4f5",
    marks.RED: "#ff8f57",
    marks.GREEN: "#3fc899",
    marks.PURPLE: "#e39ad0",
    marks.AMBER: "#e2b33f",
    marks.TEAL: "#4fc6d8",
}


def on_dark(spec: Any) -> Any:
    """The same specification with every colour of the figures' palette exchanged for the dark ground's."""
    if isinstance(spec, str):
        return DARK.get(spec, spec)
    if isinstance(spec, Mapping):
        return {k: on_dark(v) for k, v in spec.items()}
    return [on_dark(v) for v in spec] if isinstance(spec, list | tuple) else spec


def stretches(spec: Mapping[str, Any]) -> bool:
    """Whether the whole picture is as wide as said, so that it may be drawn wider or narrower."""
    fit = spec.get("autosize")
    return isinstance(fit, Mapping) and fit.get("type") == "fit" and not isinstance(spec.get("width"), Mapping)


def live(spec: Mapping[str, Any]) -> Spec:
    """The specification as Streamlit's page should draw it; the same picture, in the page's own font.

    Where a figure leaves room for its labels itself, as a printed picture has to, the browser would add that room once
    more: it measures the labels. Streamlit wants the padding side by side. And its Vega-Lite shows one legend for
    colour and another for shape as soon as some layer takes its colour straight from the data, so such a layer gets it
    as stroke or fill.
    """
    fit = spec.get("autosize")
    measured = isinstance(fit, Mapping) and fit.get("type") == "pad"
    padding = 2 if measured else spec.get("padding", 0)
    sides = padding if isinstance(padding, Mapping) else dict.fromkeys(("left", "right", "top", "bottom"), padding)
    layers = [_one_legend(layer) for layer in spec.get("layer", ())]
    return {**spec, "padding": dict(sides), "config": {**spec.get("config", {}), "font": FONT}, "layer": layers}


def _one_legend(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    encoding = layer.get("encoding", {})
    colour = encoding.get("color", {})
    channel = _CHANNELS.get(layer.get("mark", {}).get("type", ""))
    if channel is None or colour.get("scale", "") is not None:
        return layer
    return {**layer, "encoding": {**{k: v for k, v in encoding.items() if k != "color"}, channel: colour}}


def svg(spec: Mapping[str, Any]) -> bytes:
    """The picture as an SVG document on white, as the report prints it."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(_on_white(spec), vl_version=VEGA_LITE, allowed_base_urls=[])
    return drawn.encode("utf-8")


def png(spec: Mapping[str, Any]) -> bytes:
    """The picture as PNG on white, two pixels for each of the screen's."""
    import vl_convert

    drawn: bytes = vl_convert.vegalite_to_png(
        _on_white(spec), vl_version=VEGA_LITE, scale=PNG_SCALE, allowed_base_urls=[]
    )
    return drawn


def _on_white(spec: Mapping[str, Any]) -> Spec:
    config = {**spec.get("config", {}), "background": marks.PAPER}
    whole: Spec = _printable({**spec, "config": config})
    return whole


def _printable(value: Any) -> Any:
    """The same with every text such that Vega can draw it and SVG hold it."""
    if isinstance(value, str):
        return drawable(value)
    if isinstance(value, Mapping):
        return {k: _printable(v) for k, v in value.items()}
    return [_printable(v) for v in value] if isinstance(value, list | tuple) else value
