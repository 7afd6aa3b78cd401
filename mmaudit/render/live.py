"""What makes the page answer: a small script for tables and commands, and charts that come to life when asked.

The chart library (Vega) lies in the page compressed; nothing of it is unpacked, let alone run, until a reader asks for
it. Both scripts are named by their hashes in the page's content security policy, so no other script can run, whatever
a run's names and texts hold. Specifications are data: they are read as JSON, and Vega is told to interpret their
expressions (`ast`) instead of compiling them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from markupsafe import Markup

from mmaudit.render.svg import COLOURS, VEGA_LITE
from mmaudit.render.templates import style

# The parts of Vega that a report needs, half the size of the whole. These addresses are vl-convert's own, inside the
# package: they hold for the version they were looked up in, any other gives the whole library by its public door.
KNOWN_VERSION = "1.9.0"
PARTS = """
import {transforms} from "/npm/vega-dataflow@6.1.0/+esm";
import * as data from "/npm/vega-transforms@5.1.0/+esm";
import * as views from "/npm/vega-view-transforms@5.1.0/+esm";
import * as encoders from "/npm/vega-encode@5.1.0/+esm";
import {View} from "/npm/vega-view@6.1.0/+esm";
import {parse} from "/npm/vega-parser@7.1.0/+esm";
import {expressionInterpreter as expr} from "/npm/vega-interpreter@2.0.0/+esm";
Object.assign(transforms, data, views, encoders);
window.mmauditVega = (spec, container) =>
  new View(parse(spec, null, {ast: true}), {expr, renderer: "svg", container, logLevel: 0}).runAsync();
"""
WHOLE = """
window.mmauditVega = (spec, container) => vegaEmbed(container, spec, {
  mode: "vega", ast: true, actions: false, renderer: "svg", tooltip: false, defaultStyle: false, logLevel: 0,
}).then(made => made.view);
"""


@dataclass(frozen=True)
class Live:
    """The scripts of a page.

    Attributes:
        policy: sources for `script-src`: one hash for each script that may run.
        script: the script that runs at once.
        bundle: the chart library and what uses it, compressed; empty where no chart can come to life.
        charts: the specifications by the name of their drawing, compressed.
    """

    policy: str
    script: Markup
    bundle: str = ""
    charts: str = ""

    @property
    def size(self) -> int:
        """Bytes that live charts take of the page."""
        return len(self.bundle) + len(self.charts)


def scripts(charts: Mapping[str, str]) -> Live:
    """The scripts of a page with these charts: Vega specifications as JSON by name; without any, no chart library."""
    page = style("page.js")
    if not charts:
        return Live(source(page), page)
    code = bundle()
    # Names are ours (ids of figures), the specifications are JSON already.
    specs = "{" + ",".join(f"{json.dumps(name)}:{themed(spec)}" for name, spec in charts.items()) + "}"
    return Live(f"{source(page)} {source(code)}", page, packed(code), packed(specs))


def source(script: str) -> str:
    """A script's name in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}'"


def packed(text: str) -> str:
    """Text as base64 of gzip; the same text gives the same bytes."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii")


@cache
def bundle() -> str:
    """The chart library with the code that uses it; taken from vl-convert, so that it fits what draws."""
    import vl_convert

    found = metadata.version("vl-convert-python")
    wanted = PARTS if found.partition(".post")[0] == KNOWN_VERSION else WHOLE
    library = vl_convert.javascript_bundle(wanted, vl_version=VEGA_LITE)
    # As one function, because the library would name its parts beside those of any other script.
    return f"(()=>{{{library}\n}})();\n{style('live.js')}"


@cache
def themed(spec: str) -> str:
    """A Vega specification whose colours follow the page's, light or dark, and whose numbers are as exact as pixels."""
    return json.dumps(_themed(json.loads(spec)), ensure_ascii=False, separators=(",", ":"))


def _themed(value: Any, key: str = "", in_data: bool = False) -> Any:
    if isinstance(value, str):
        # In data only a colour is a colour: a class may be called #0a66b0.
        return f"var(--{COLOURS[value]})" if value in COLOURS and (key == "colour" or not in_data) else value
    if isinstance(value, float):
        # Six digits are a thousandth of a pixel however far a reader zooms out; they halve what numbers take.
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: _themed(v, k, in_data or k in ("values", "domain")) for k, v in value.items() if k != "$schema"}
    return [_themed(v, key, in_data) for v in value] if isinstance(value, list) else value
