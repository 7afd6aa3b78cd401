"""The dashboard reads run folders: nothing in mmaudit imports it, and it imports what is right of the run alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a page may know of mmaudit: values, reading, drawing. No data set, no model, no probe, no training.
ALLOWED = {
    *("app", "browse", "compared", "errors", "estimates", "figures", "formats", "metrics", "panel", "render"),
    *("report", "report_schema", "states", "store", "types"),
}
PAGES = sorted((ROOT / "app").rglob("*.py"))


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("file", PAGES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_a_page_imports_what_reads_runs_alone(file: Path) -> None:
    parts = [name.split(".") for name in imported(file)]
    ours = {p[1] if len(p) > 1 else "" for p in parts if p[0] == "mmaudit"}
    assert ours <= ALLOWED
    assert not {p[0] for p in parts} & {"torch", "captum", "netcal", "pickle", "subprocess"}


def test_nothing_in_mmaudit_imports_the_dashboard() -> None:
    for file in (ROOT / "mmaudit").rglob("*.py"):
        assert not {n for n in imported(file) if n.startswith(("mmaudit.app", "streamlit"))}, file
