"""The report on paper: any text at its foot, any Chromium, and clear words where there is none."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from pathlib import Path

import pytest

from mmaudit.errors import BadInput, UnknownName
from mmaudit.render import pdf
from mmaudit.render.paper import css_text, paper_css, paper_of
from mmaudit.render.pdf import find_browser, to_pdf

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in browsers are shell scripts")


def browser(folder: Path, does: str, name: str = "chromium") -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


PRINTS = (
    'for a in "$@"; do case "$a" in --print-to-pdf=*) printf "%%PDF-1.4 of " > "${a#*=}"; out="${a#*=}";; esac; done\n'
)
COPIES = PRINTS + 'eval last=\\${$#}; cat "${last#file://}" >> "$out"'


@posix
def test_the_page_is_printed_by_a_browser_of_its_own(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    made = to_pdf("<p>Größe</p>", tmp_path / "r.pdf", browser(tmp_path, f'{COPIES}\necho "$@" > {seen}'))
    assert made.read_text(encoding="utf-8") == "%PDF-1.4 of <p>Größe</p>"
    flags = seen.read_text(encoding="utf-8").split()
    assert "--headless" in flags
    profile = next(f for f in flags if f.startswith("--user-data-dir=")).partition("=")[2]
    assert not Path(profile).parent.exists(), "nothing is left behind"
    assert ("--no-sandbox" in flags) == (os.geteuid() == 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["chromium", "r.pdf", "seen"]


@posix
@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("echo cannot open display >&2; exit 1", "printed no PDF; it said: cannot open display"),
        ("exit 0", "printed no PDF; it said: nothing"),
        (PRINTS.replace("%%PDF", "<html>"), "printed no PDF"),
    ],
)
def test_a_browser_that_prints_nothing(tmp_path: Path, does: str, says: str) -> None:
    target = tmp_path / "r.pdf"
    target.write_bytes(b"%PDF old")
    with pytest.raises(BadInput, match=re.escape(says)):
        to_pdf("<p>", target, browser(tmp_path, does))
    assert target.read_bytes() == b"%PDF old", "what was there stays"


@posix
def test_a_browser_that_never_ends_is_stopped_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    slow = browser(tmp_path, f"sleep 60 & echo $! > {pid}; wait")
    with pytest.raises(BadInput, match=r"took longer than 0\.5 s"):
        to_pdf("<p>", tmp_path / "r.pdf", slow, time_limit=0.5)
    child, until = int(pid.read_text()), time.monotonic() + 5
    while _alive(child) and time.monotonic() < until:
        pass
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


@posix
def test_browsers_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "_ELSEWHERE", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"none was found.*--browser.*print it"):
        find_browser()
    edge = browser(tmp_path, "", "msedge")
    assert find_browser() == edge
    chromium = browser(tmp_path, "")
    assert find_browser() == chromium
    assert find_browser("msedge") == edge
    assert find_browser(str(edge)) == edge
    with pytest.raises(BadInput, match="'firefox' is no program"):
        find_browser("firefox")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(pdf, "_ELSEWHERE", (str(edge),))
    assert find_browser() == edge


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "no" / "r.pdf"):
        with pytest.raises(BadInput, match="cannot be written"):
            to_pdf("<p>", place, tmp_path / "never run")
    with pytest.raises(BadInput, match="cannot be run"):
        to_pdf("<p>", tmp_path / "r.pdf", tmp_path / "never run")


def test_papers() -> None:
    assert paper_of("A4") == "a4"
    assert paper_of("letter") == "letter"
    with pytest.raises(UnknownName, match="did you mean 'letter'"):
        paper_of("leter")
    assert "size: A4;" in paper_css("a4", "x")
    assert "size: letter;" in paper_css("letter", "x")


@pytest.mark.parametrize("text", ['"; } body { display: none', "</style><script>", "\\", "line\nbreak", "äöü 漢字 🙂"])
def test_no_text_leaves_its_css_string(text: str) -> None:
    written = css_text(text)
    assert not set(written) & set('"<>;{}\n')
    assert re.sub(r"\\([0-9a-f]{6})", lambda m: chr(int(m[1], 16)), written) == text
