"""The scripts that look after code and dependencies: what they find, and that "not asked" is never "none known"."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"mmaudit_script_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# ---- known vulnerabilities

VULNERABLE = {
    "id": "PYSEC-1",
    "summary": "bad",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "aliases": ["CVE-1"],
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]}],
            "versions": ["3.1.2"],
        }
    ],
}


@contextmanager
def service(answer: dict[str, Any] | None) -> Iterator[str]:
    """A server on this machine that answers as osv.dev does; None: it is out of order."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = answer if answer is None or asked["package"]["name"] == "jinja2" else {}
            self.send_response(500 if known is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(known or {}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ({"vulns": [VULNERABLE]}, 1, "jinja2 3.1.2: PYSEC-1 (CVE-1); mended in 3.1.3"),
        ({}, 0, "2 packages audited, 0 vulnerabilities known."),
        (None, 3, "NOT AUDITED"),
    ],
)
def test_pip_audit_is_asked_and_understood(tmp_path: Path, answer: Any, code: int, said: str) -> None:
    pytest.importorskip("pip_audit")
    file = tmp_path / "constraints.txt"
    file.write_text("jinja2==3.1.2\nclick==8.1.7\n", encoding="utf-8")
    with service(answer) as url:
        found = script("audit_dependencies").ask(file, "osv", url)
    assert found.code == code
    assert said in "\n".join(found.lines())


def test_a_registry_without_vulnerability_data_is_no_answer() -> None:
    """What pip-audit says where every package is skipped: it exits with 0 and reports nothing."""
    read = script("audit_dependencies").read
    skipped = {"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited"}
    clean = {"name": "click", "version": "8.1.7", "vulns": []}
    bad = {"name": "x", "version": "1", "vulns": [{"id": "A-1", "fix_versions": [], "aliases": []}]}
    assert read({"dependencies": [skipped]}).code == 3
    assert read({"dependencies": []}).code == 3
    assert read({"dependencies": [clean]}).code == 0
    half = read({"dependencies": [clean, skipped]})
    assert half.code == 3
    assert half.lines()[0].startswith("NOT AUDITED: 1 of 2 packages (jinja2)")
    known = read({"dependencies": [bad, skipped]})
    assert known.code == 1
    assert known.lines()[0] == "x 1: A-1 (no alias); not mended yet"


# ---- bandit


def test_bandit_finds_what_is_new_and_misses_what_is_gone(tmp_path: Path) -> None:
    pytest.importorskip("bandit")
    audit = script("audit_code")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("import pickle\n\n\ndef f(b):\n    return pickle.loads(b)\n", encoding="utf-8")
    now = audit.found(("a",), tmp_path)
    assert dict(now) == {("a/x.py", "B301"): 1}
    assert audit.differences(now, {("a/x.py", "B301"): "why"}) == []
    assert "mend it" in audit.differences(now, {})[0]
    assert "no more" in audit.differences({}, {("a/x.py", "B301"): "why"})[0]


def test_every_explained_finding_is_of_a_file_that_is_there() -> None:
    for (file, check), why in script("audit_code").EXPECTED.items():
        assert (ROOT / file).is_file(), file
        assert check.startswith("B")
        assert len(why) > 20


# ---- the bill of materials


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    pytest.importorskip("cyclonedx_py")
    made: dict[str, Any] = script("sbom").bill()
    return made


def test_the_bill_holds_what_mmaudit_asks_for_and_nothing_else(bill: dict[str, Any]) -> None:
    from importlib.metadata import version

    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "mmaudit"
    parts = {c["name"].lower(): c["version"] for c in bill["components"]}
    for name in ("numpy", "pyarrow", "torch", "jinja2", "markupsafe"):  # the last is asked for by jinja2
        assert parts[name] == version(name)
    assert not {"pytest", "ruff", "hypothesis", "bandit", "streamlit", "ray"} & set(parts)
    refs = {c["bom-ref"] for c in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    depends = {d["ref"]: d.get("dependsOn", []) for d in bill["dependencies"]}
    assert set(depends) <= refs
    assert all(set(on) <= refs for on in depends.values())


def test_the_bill_names_no_place_of_this_machine(bill: dict[str, Any]) -> None:
    text = json.dumps(bill)
    assert "file://" not in text
    assert str(ROOT) not in text
    assert sys.prefix not in text
    urls = [r["url"] for c in bill["components"] for r in c.get("externalReferences", [])]
    assert urls
    assert all(url.startswith("https://") for url in urls)


def test_the_bill_is_one_by_the_published_schema(bill: dict[str, Any]) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    from cyclonedx.schema import SchemaVersion

    try:
        assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    except ImportError as error:  # the validator's own optional packages
        pytest.skip(str(error))


def test_an_extra_brings_its_packages_and_an_unknown_one_is_named() -> None:
    closure = script("sbom").closure
    assert "streamlit" not in closure("mmaudit")
    assert "streamlit" in closure("mmaudit", ["dashboard"])
    with pytest.raises(SystemExit, match="no extra 'nothing'"):
        closure("mmaudit", ["nothing"])
    with pytest.raises(SystemExit, match="not installed"):
        closure("surely-not-installed")


def test_the_scripts_say_how_they_are_used() -> None:
    for name in ("sbom", "audit_dependencies"):
        ran = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / f"{name}.py"), "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0
        assert f"scripts/{name}.py" in ran.stdout
