"""Run folders for the dashboard's tests, and the app started on them without a browser."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from helpers.hostile_case import sound
from mmaudit.report import Report
from report_samples import sample_report

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
FULL = "some/full"


def write_runs(root: Path) -> Path:
    """A report alone that holds everything, a run cut short, a damaged one."""
    (root / FULL).mkdir(parents=True)
    (root / FULL / "report.json").write_text(json.dumps(full().document), encoding="utf-8")
    cut = sound(root / "cut")
    for name in ("report.json", "findings.json"):
        (cut.folder / name).unlink()
    next(iter(sorted((cut.folder / "predictions").iterdir()))).unlink()
    (root / "broken").mkdir()
    (root / "broken" / "run.json").write_text("not json", encoding="utf-8")
    return root


def full(**changes: Any) -> Report:
    """The report of a plausible audit with every kind of figure."""
    return Report.from_json({**sample_report(), **changes})


def start(root: Path, page: str = "runs", **params: str | list[str]) -> AppTest:
    """The app as a link shows it: a page with this query string."""
    sys.argv = [str(MAIN), str(root)]
    at = AppTest.from_file(str(MAIN), default_timeout=30)
    for name, value in params.items():
        at.query_params[name] = value
    if page != "runs":
        at.switch_page(f"views/{page}.py")
    return at.run()


def said(at: AppTest) -> str:
    """Everything that a reader sees as text in the main part."""
    kinds = ("title", "subheader", "markdown", "caption", "text", "error", "warning", "info", "code")
    return "\n".join(str(e.value) for kind in kinds for e in at.main.get(kind))


def charts(at: AppTest) -> list[dict[str, Any]]:
    """The specifications of the charts that were sent."""
    found = [*at.main.get("vega_lite_chart"), *at.main.get("arrow_vega_lite_chart")]  # newer and older Streamlit
    return [json.loads(e.proto.spec) for e in found]


def links(at: AppTest) -> dict[str, str]:
    """Where the links of the main part lead: label and query string."""
    return {e.proto.label: e.proto.query_string for e in at.main.get("page_link")}


def asked(at: AppTest) -> dict[str, list[str]]:
    """The query string, every value as a list."""
    return {k: [v] if isinstance(v, str) else list(v) for k, v in at.query_params.items()}
