"""The scripts of a page: which may run, what they carry, and that none is needed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from importlib import metadata

import pytest

from mmaudit.figures import FIGURES
from mmaudit.render import live
from mmaudit.render.page import page
from mmaudit.render.svg import compiled
from mmaudit.report import Report
from report_html import Page
from report_samples import small_report


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.from_json(small_report())


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return page(report)


def unpacked(html: str, name: str) -> str:
    found = re.search(rf'id="{name}">([^<]*)<', html)
    assert found
    return gzip.decompress(base64.b64decode(found[1])).decode("utf-8")


def test_the_policy_names_exactly_the_two_scripts(html: str) -> None:
    read = Page(html)
    codes = [text for a, text in zip(read.all("script"), read.scripts, strict=True) if not a]
    assert len(codes) == 1
    hashes = re.findall(r"'sha256-([^']+)'", read.policy())
    assert hashes == [
        base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        for code in (codes[0], unpacked(html, "live-bundle"))
    ]
    assert "unsafe-eval" not in html
    assert "connect-src" not in html


def test_nothing_of_vega_runs_before_it_is_asked_for(html: str) -> None:
    assert "vega" not in re.sub(r"<script type=.*?</script>", "", html, flags=re.S).lower().replace("mmauditvega", "")
    code = unpacked(html, "live-bundle")
    assert "ast: true" in code or "ast:!0" in code or "ast:true" in code
    assert "University of Washington" in code
    assert "Mike Bostock" in code


def test_every_drawing_has_its_specification_and_no_other(report: Report, html: str) -> None:
    charts = json.loads(unpacked(html, "live-charts"))
    assert sorted(charts) == sorted(Page(html).values("data-live"))
    drawn = {f"{f.id}-{i}" for function in FIGURES.values() for f in function(report) for i in range(len(f.panels))}
    assert set(charts) == drawn
    for spec in charts.values():
        assert "url" not in {key for d in spec.get("data", ()) for key in d}, "charts fetch nothing"


def test_colours_follow_the_page_but_names_do_not() -> None:
    spec = {
        "data": [{"name": "d", "values": [{"s": "#0a66b0", "colour": "#0a66b0", "tip": "#0a66b0"}]}],
        "scales": [{"domain": ["#0a66b0"], "range": ["#0a66b0", "#c03d00", "#123456"]}],
        "marks": [{"encode": {"update": {"stroke": {"value": "#dfe3e9"}}}}],
    }
    themed = json.loads(live.themed(json.dumps(spec)))
    assert themed["data"][0]["values"] == [{"s": "#0a66b0", "colour": "var(--blue)", "tip": "#0a66b0"}]
    assert themed["scales"] == [{"domain": ["#0a66b0"], "range": ["var(--blue)", "var(--red)", "#123456"]}]
    assert themed["marks"][0]["encode"]["update"]["stroke"] == {"value": "var(--grid)"}


def test_the_live_chart_is_the_one_that_was_drawn(report: Report) -> None:
    import vl_convert

    drawing = compiled(FIGURES["overview"](report)[0].panels[0].spec)
    assert vl_convert.vega_to_svg(json.loads(drawing.vega), allowed_base_urls=[]) == drawing.svg


def test_the_same_text_is_packed_into_the_same_bytes() -> None:
    assert live.packed("ä" * 1000) == live.packed("ä" * 1000)
    assert gzip.decompress(base64.b64decode(live.packed("ä"))).decode("utf-8") == "ä"


def test_without_charts_there_is_no_library() -> None:
    made = live.scripts({})
    assert (made.bundle, made.charts, made.size) == ("", "", 0)
    assert made.policy == live.source(made.script)


def test_a_static_page_holds_no_script_and_says_the_same(report: Report, html: str) -> None:
    static = page(report, scripts=False)
    assert "<script" not in static
    assert "script-src" not in static
    assert Page(static).text() == Page(html).text()


def test_another_version_of_vl_convert_gives_the_whole_library_by_its_public_door(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, known = live.bundle(), metadata.version("vl-convert-python").partition(".post")[0] == live.KNOWN_VERSION
    monkeypatch.setattr(live, "KNOWN_VERSION", "0.0")
    whole = live.bundle.__wrapped__()
    assert "mmauditVega" in whole
    assert "vega-embed" in whole
    assert len(whole) > 1.5 * len(usual) if known else whole == usual
