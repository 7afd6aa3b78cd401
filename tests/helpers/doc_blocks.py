"""Run the code blocks of a page of documentation, in their order, in a folder of its own.

| block | what happens |
|---|---|
| `python` | runs, in one namespace per page; a `text` block right after it is exactly what it prints |
| `python title="x.py"`, `toml title="x.toml"` | is written to that file |
| `console` | lines after `$` are run; what stands below them is printed in this order; `…` stands for anything |
| `toml`, `json`, `yaml` | is parsed |
| `text` | is no code |

A comment `<!-- python … -->` is code that readers need not see; `<!-- needs: package -->` skips the page without it.
"""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import shlex
import sys
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

_TITLE = re.compile(r'title="([^"]+)"')
_HIDDEN = re.compile(r"^<!-- python\n(.*?)-->", re.DOTALL | re.MULTILINE)
_NEEDS = re.compile(r"^<!-- needs: (\w+) -->", re.MULTILINE)
LANGUAGES = ("python", "console", "toml", "json", "yaml", "text")


@dataclass(frozen=True)
class Block:
    """A block of a page: its language, title, text and first line."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """Fenced blocks and hidden code, in the page's order."""
    found: list[Block] = []
    for token in MarkdownIt().parse(page):
        if token.type == "fence":
            language, _, rest = token.info.strip().partition(" ")
            title = _TITLE.search(rest)
            found.append(Block(language, title[1] if title else "", token.content, (token.map or [0])[0] + 2))
        elif token.type == "html_block" and (hidden := _HIDDEN.match(token.content)):
            found.append(Block("python", "", hidden[1], (token.map or [0])[0] + 2))
    return found


def needed(page: str) -> list[str]:
    """Packages without which the page cannot run."""
    return _NEEDS.findall(page)


def run_page(path: Path, page: str) -> int:
    """Run all blocks of a page in the current folder; return how many ran."""
    names: dict[str, Any] = {"__name__": "__page__"}
    given = blocks(page)
    for number, block in enumerate(given):
        where = f"{path.name}:{block.line}"
        after = given[number + 1] if number + 1 < len(given) else None
        assert block.language in LANGUAGES, f"{where}: no way to run a block of {block.language or 'no language'!r}"
        if block.title:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.text, encoding="utf-8")
            if block.title.endswith(".py"):
                compile(block.text, where, "exec")
        elif block.language == "python":
            printed = _python(block, where, names)
            if after is not None and after.language == "text":
                assert _trimmed(printed) == _trimmed(after.text), f"{where} prints\n{printed}"
        elif block.language == "console":
            _console(block, where)
        else:
            _parse(block, where)
        if block.title.endswith(".toml"):
            tomllib.loads(block.text)
    return sum(block.language != "text" for block in given)


def _python(block: Block, where: str, names: dict[str, Any]) -> str:
    out = io.StringIO()
    # Lines are counted as in the page, so that a traceback points there.
    code = compile("\n" * (block.line - 1) + block.text, where, "exec")
    with redirect_stdout(out):
        exec(code, names)
    return out.getvalue()


def _parse(block: Block, where: str) -> None:
    try:
        {"toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load, "text": str}[block.language](block.text)
    except (ValueError, yaml.YAMLError) as error:
        pytest.fail(f"{where}: {error}")


def _console(block: Block, where: str) -> None:
    command, expected = "", []
    for line in [*block.text.splitlines(), "$ "]:
        if line.startswith("$ "):
            if command:
                _in_order(_command(command, where), expected, where)
            command, expected = line[2:].strip(), []
        else:
            expected.append(line.strip())


def _command(command: str, where: str) -> str:
    program, *arguments = shlex.split(command, comments=True)
    if program == "pip":
        _installs(arguments, where)
        return ""
    if program == "cd":
        os.chdir(arguments[0])
        return ""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    try:
        with redirect_stdout(out), redirect_stderr(err):
            if program == "mmaudit":
                _mmaudit(arguments)
            elif program == "python":
                sys.argv = arguments
                runpy.run_path(arguments[0], run_name="__main__")
            else:
                pytest.fail(f"{where}: no way to run {program!r}")
    except Exception as error:
        raise AssertionError(f"{where}: {command}\n{out.getvalue()}{err.getvalue()}{error}") from error
    finally:
        sys.argv = before
    return out.getvalue() + err.getvalue()


def _mmaudit(arguments: list[str]) -> None:
    """As `mmaudit` does; an exit code that the page does not speak of fails."""
    from mmaudit.cli import app

    sys.argv = ["mmaudit", *arguments]
    sys.modules.pop("audit_model", None)
    code = app(arguments, standalone_mode=False)
    assert code in (None, 0), f"exit code {code}"


def _installs(arguments: list[str], where: str) -> None:
    """What a page says to install is declared."""
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = declared["project"]["optional-dependencies"]
    assert arguments[0] == "install", where
    for named in re.findall(r"\[([\w,-]+)\]", " ".join(arguments)):
        for extra in named.split(","):
            assert extra in extras, f"{where}: there is no extra {extra!r}"


def _in_order(printed: str, expected: list[str], where: str) -> None:
    # Tables and long lines are wrapped to the terminal's width, so white space does not count.
    rest = " ".join(printed.split())
    for line in expected:
        for part in filter(None, (" ".join(p.split()) for p in line.split("…"))):
            assert part in rest, f"{where}: expected {part!r} next in\n{printed}"
            rest = rest.split(part, 1)[1]


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
