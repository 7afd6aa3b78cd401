"""Every code block of the documentation runs, and prints what the page says it prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.doc_blocks import blocks, needed, run_page

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {str(p.relative_to(DOCS)): p for p in sorted(DOCS.rglob("*.md"))}
WITH_CODE = [name for name, path in PAGES.items() if blocks(path.read_text(encoding="utf-8"))]


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page runs in a folder of its own; what it imports or registers does not outlive it."""
    from mmaudit.findings.base import rules
    from mmaudit.metrics import metrics
    from mmaudit.probes import probes

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    registries = (probes, metrics, rules)
    known = [dict(r._items) for r in registries]
    before = set(sys.modules)
    yield
    for registry, items in zip(registries, known, strict=True):
        registry._items.clear()
        registry._items.update(items)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("name", WITH_CODE)
def test_every_code_block_runs(name: str) -> None:
    page = PAGES[name].read_text(encoding="utf-8")
    for package in needed(page):
        pytest.importorskip(package)
    run_page(PAGES[name], page)


def test_the_pages_with_code_are_found() -> None:
    assert {"tutorial.md", "gate.md", "howto/retrieval.md"} <= set(WITH_CODE)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```python\nraise ValueError('no')\n```\n", "no"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "prints"),
        ("```console\n$ mmaudit list nonsense\n```\n", "nonsense"),
        ("```console\n$ mmaudit --version\nmmaudit 99\n```\n", "mmaudit 99"),
        ("```console\n$ pip install 'mmaudit[nonsense]'\n```\n", "nonsense"),
        ("```toml\nx =\n```\n", "x.md:2"),
        ("```ruby\n1\n```\n", "ruby"),
        ("<!-- python\n1 / 0\n-->\n", "division"),
    ],
)
def test_a_wrong_block_is_noticed(page: str, said: str) -> None:
    with pytest.raises((Exception, pytest.fail.Exception), match=said):
        run_page(Path("x.md"), page)
