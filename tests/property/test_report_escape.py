"""Whatever names, labels and texts hold, the page keeps its structure, and documents survive writing and reading."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from mmaudit.figures.marks import layer, points, spec
from mmaudit.formats import printable
from mmaudit.render import inline, page
from mmaudit.render.samples import Budget, compare, picture
from mmaudit.render.svg import draw
from mmaudit.report import Report
from report_html import Page, unsafe
from report_samples import poisoned, small_report

MARKUP = "<script> </script> <!-- --> ]]> </svg> </style> </title> &lt; &#0; <img/src=x/onerror=1> javascript: < & \" '"
TEMPLATES = "{{ }} {% %} {# \\ datum.x"
ODD = "\x00 \x1b \ud800 \u202e \ufffe \r\n \u2028 é 漢字 🙂 ﷺ"
PIECES = (*MARKUP.split(), *TEMPLATES.split(), *ODD.split(" "))
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=12)), min_size=1, max_size=6).map("".join)
DOCUMENT = small_report()
TAGS = {t for t, _ in Page(page(Report.from_json(DOCUMENT))).tags}
LIGHT = DOCUMENT | {"reliability": DOCUMENT["reliability"][:1]}


# A page takes a second: no shrinking, which would take minutes.
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
@given(texts)
def test_page_keeps_its_structure(text: str) -> None:
    html = page(Report.from_json(poisoned(LIGHT, text)))
    html.encode("utf-8")
    read = Page(html)
    assert unsafe(read) == []
    assert {t for t, _ in read.tags} <= TAGS
    # A space at the end or in a row may be folded by an attribute or a heading; the letters must be there.
    assert "".join(printable(text).split()) in "".join(read.text().split())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(texts)
def test_notebook_summary_keeps_its_structure(text: str) -> None:
    read = Page(inline(Report.from_json(poisoned(LIGHT, text))))
    assert [u for u in unsafe(read) if not u.startswith("<span style='width:")] == []


@settings(max_examples=40, deadline=None, derandomize=True)
@given(texts.map(lambda t: t * 4), texts)
@example("\u2028" * 4 + "\u2029" * 4, "")
def test_drawings_keep_their_structure(label: str, alt: str) -> None:
    x = {"field": "x", "type": "quantitative", "axis": {"title": label}}
    y = {"field": "s", "type": "nominal", "axis": {"title": label}}
    data = [{"x": 1, "s": label, "tip": label}]
    styles = {label: ("#0a66b0", "circle"), "b": ("#c03d00", "square")}
    text = {"x": x, "y": y, "text": {"field": "s"}}
    svg = draw(spec([points(data, x, y, "s", styles), layer(data, "text", text)], 120, 60), alt, "p")
    read = Page(svg)
    assert unsafe(read) == []
    assert {t for t, _ in read.tags} <= {
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
        "clippath",
    }


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=60), st.text(max_size=60))
def test_comparison_rebuilds_both_texts(before: str, after: str) -> None:
    left, right = compare(before, after)
    assert "".join(t for _, t in left) == before
    assert "".join(t for _, t in right) == after


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.text(max_size=80), st.binary(max_size=80).map(lambda b: b.decode("latin-1"))))
def test_no_text_passes_for_an_image(text: str) -> None:
    assert picture(text, Budget()).image == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300) | st.text(max_size=8),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=25, deadline=None, derandomize=True)
@given(texts, st.dictionaries(st.text(max_size=8), json_values, max_size=4))
def test_documents_survive_writing_and_reading(text: str, timing: dict[str, Any]) -> None:
    document = poisoned(DOCUMENT, text) | {"timing": timing, "examples": []}
    report = Report.from_json(document)
    with tempfile.TemporaryDirectory() as folder:
        path = report.to_json(Path(folder) / "report.json")
        assert Report.read(path) == report
        assert json.loads(path.read_bytes()) == report.document
