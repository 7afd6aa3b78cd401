"""The documentation site builds without a warning, loads nothing from elsewhere, and lists what the code has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as the script builds it."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    out = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["sh", str(ROOT / "scripts" / "build_docs.sh"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line or "ERROR" in line]
    assert done.returncode == 0, "\n".join(warnings) or done.stderr
    assert not warnings
    return out


class Loaded(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag in ("script", "img", "iframe", "source", "video", "audio", "object", "embed"):
            self.addresses.append(given.get("src") or given.get("data") or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "preconnect", "modulepreload"):
            self.addresses.append(given.get("href") or "")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        found = Loaded()
        found.feed(page.read_text(encoding="utf-8"))
        outside = [a for a in found.addresses if re.match(r"(?:https?:)?//", a)]
        assert not outside, (page.name, outside)
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_the_lists_are_those_of_the_code(site: Path) -> None:
    from mmaudit.metrics import metrics
    from mmaudit.probes import probes

    assert all(f"<code>{name}</code>" in _page(site, "reference/probes") for name in probes.names())
    assert all(f"<code>{name}</code>" in _page(site, "reference/metrics") for name in metrics.names())
    command = _page(site, "reference/command")
    assert "mmaudit audit" in command
    assert "--keep-samples" in command
    assert "fingerprint" in _page(site, "reference/models")


def test_every_decision_is_listed(site: Path) -> None:
    listed = _page(site, "decisions/index")
    for path in sorted((DOCS / "decisions").glob("0*.md")):
        assert f'href="{path.stem}.html"' in listed, path.name


def test_hidden_code_stays_hidden(site: Path) -> None:
    hiding = [p for p in DOCS.rglob("*.md") if "<!-- python" in p.read_text(encoding="utf-8")]
    assert hiding
    for path in hiding:
        assert "<!-- python" not in _page(site, str(path.relative_to(DOCS).with_suffix("")))


def test_every_public_name_has_a_place_in_the_reference() -> None:
    import mmaudit

    pages = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    for name in mmaudit.__all__:
        assert re.search(rf"^::: [\w.]+\.{name}$|\b{name}\b", pages, re.MULTILINE), name


def test_the_keys_of_the_configuration_page_are_options() -> None:
    from mmaudit import options

    page = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    said = tomllib.loads(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    assert set(said) <= set(options.KEYS)


def test_images_are_there_and_pages_do_not_leave_the_site() -> None:
    """Outside of docs/ there is no page, so links there would break where the site is served."""
    for path in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", target):
                continue
            found = (path.parent / target).resolve()
            assert found.exists(), (path.name, target)
            assert found.is_relative_to(DOCS), (path.name, target)


def test_the_citation_names_this_version() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert said["version"] == project["version"]
    assert said["license"] == project["license"] == "Apache-2.0"
    assert {"cff-version", "message", "title", "authors"} <= set(said)


def _page(site: Path, name: str) -> str:
    return (site / f"{name}.html").read_text(encoding="utf-8")
