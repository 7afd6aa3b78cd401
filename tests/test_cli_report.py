"""`mmaudit report`: every form from report.json alone, and what is wrong said before anything is written."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from mmaudit.cli import main
from mmaudit.report import Report
from report_samples import small_report


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return Report.from_json(small_report()).to_json(tmp_path / "report.json")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["mmaudit", "report", *map(str, arguments)])
    try:
        main()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def made(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_page_goes_beside_its_numbers(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, source) == 0
    assert made(tmp_path) == ["report.html", "report.json"]
    assert (tmp_path / "report.html").read_bytes() == Report.read(source).to_html(tmp_path / "x.html").read_bytes()


def test_options_of_the_page(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theme = tmp_path / "house.toml"
    theme.write_text("header_text = 'The house'\n[signed_by]\nname = 'Nobody'\nrole = 'Reviewer'", encoding="utf-8")
    options = ("--theme", theme, "--signed-by", "A. Person", "--paper", "Letter", "--static", "--budget", "400kB")
    assert run(monkeypatch, source, "--html", tmp_path / "new" / "r.html", *options) == 0
    html = (tmp_path / "new" / "r.html").read_text(encoding="utf-8")
    assert "The house" in html
    assert "size: letter" in html
    assert "<script" not in html
    assert "A. Person" in html
    assert "Reviewer" in html
    assert "Nobody" not in html
    assert len(html.encode()) <= 400_000


def test_a_budget_that_cannot_be_kept_is_said(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, source, "--budget", "100") == 0
    size = (source.parent / "report.html").stat().st_size
    assert f"the page has {size:,} bytes, --budget 100; no more can be left out" in capsys.readouterr().err
    assert run(monkeypatch, source) == 0
    assert capsys.readouterr().err == ""


def test_cards_are_written_or_printed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--dataset", "org/set", "--source-url", "https://example.org/r.html")
    assert run(monkeypatch, source, "--markdown", "-", "--model-card", tmp_path / "README.md", *where) == 0
    assert made(tmp_path) == ["README.md", "report.json"], "the page was not asked for"
    assert "easy" in capsys.readouterr().out
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert "org/set" in card
    assert "https://example.org/r.html" in card


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in browser is a shell script")
def test_a_pdf_is_printed_from_a_page_without_scripts_or_long_tables(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        '#!/bin/sh\nfor a in "$@"; do case "$a" in --print-to-pdf=*) out="${a#*=}";; file://*) in="${a#file://}";; '
        'esac; done\n{ printf "%%PDF"; cat "$in"; } > "$out"\n',
        encoding="utf-8",
    )
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    target = tmp_path / "out" / "r.pdf"
    assert run(monkeypatch, source, "--pdf", target, "--paper", "letter", "--browser", browser) == 0
    printed = target.read_text(encoding="utf-8")
    assert "size: letter" in printed
    assert "<script" not in printed
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--budget", "small"), "is no size"),
        (("--paper", "a5"), "paper 'a5' is not registered"),
        (("--theme", "nowhere.toml"), "does not exist"),
        (("--pdf", "x.pdf", "--browser", "no-such-browser"), "no program that can be run"),
        (("--model-card", "card.md", "--source-url", "javascript:alert(1)"), "is not an address"),
        (("--html", "/proc/no/r.html"), "cannot write"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, source, *options) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1, "one clear line"
    assert made(tmp_path) == ["report.json"]


def test_json_is_the_document(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, source, "--json") == 0
    assert json.loads(capsys.readouterr().out) == Report.read(source).document
