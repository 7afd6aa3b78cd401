"""What MkDocs is told while it builds the site: lists of probes, metrics, … and the options come from the code.

In a page, `<!-- list: probes -->` stands for the table that `mmaudit list probes` prints, `<!-- probes: image -->` for
the corruptions of a kind of modality, `<!-- commands -->` for every command with its options. Comments that begin with
`<!-- python` hold code that only the tests need, and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_HIDDEN = re.compile(r"<!-- (?:python|needs)\b.*?-->\n?", re.DOTALL)
_LIST = re.compile(r"<!-- list: (\w+) -->")
_PROBES = re.compile(r"<!-- probes: (\w+) -->")
_COMMANDS = "<!-- commands -->"
_DECISIONS = "<!-- decisions -->"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill in the lists of a page before it is turned into HTML."""
    del page, config
    markdown = _HIDDEN.sub("", markdown)
    markdown = _LIST.sub(lambda found: table(found[1]), markdown)
    markdown = _PROBES.sub(lambda found: probes_of(found[1]), markdown)
    if _COMMANDS in markdown:
        markdown = markdown.replace(_COMMANDS, "\n".join(commands()))
    if _DECISIONS in markdown:
        markdown = markdown.replace(_DECISIONS, decisions(files))
    return markdown


def table(what: str) -> str:
    """What `mmaudit list WHAT` knows, as a Markdown table."""
    from mmaudit.listing import names

    rows = names(what)
    shown = [c for c in rows[0] if c not in ("version", "changes_meaning", "not_monotone")]
    lines = ["| " + " | ".join(c.replace("_", " ") for c in shown) + " |", "|" + "---|" * len(shown)]
    lines += ["| " + " | ".join(_cell(row[c], c) for c in shown) + " |" for row in rows]
    return "\n".join(lines)


def probes_of(kind: str) -> str:
    """The corruptions that are of one kind of modality only, with their severities."""
    from mmaudit.listing import names

    rows = [row for row in names("probes") if row["kinds"] == [kind] and row["severities"]]
    lines = ["| probe | severities 1 to 5 | unit | what it does |", "|---|---|---|---|"]
    for row in rows:
        told = [_cell(row[c], c) for c in ("name", "severities", "unit", "summary")]
        lines.append("| " + " | ".join(told) + " |")
    return "\n".join(lines)


def commands() -> Iterator[str]:
    """Every command of `mmaudit`, its arguments and options, as Markdown."""
    import typer.main

    from mmaudit.cli import app

    group: Any = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        parameters = [p for p in command.params if p.name != "help"]
        arguments = [p for p in parameters if p.param_type_name == "argument"]
        yield f"## mmaudit {name}\n\n{command.help or ''}\n"
        if parameters:
            yield "| | |\n|---|---|"
        for parameter in parameters:
            said = "`" + "`, `".join(parameter.opts) + "`" if parameter not in arguments else parameter.name.upper()
            yield f"| {said} | {_cell(getattr(parameter, 'help', '') or '', 'help')} |"
        yield ""


def decisions(files: Any) -> str:
    """A list of the pages in `docs/decisions/`, by their headings."""
    lines = []
    for file in sorted(files.documentation_pages(), key=lambda f: str(f.src_uri)):
        if re.fullmatch(r"decisions/\d{4}-.*\.md", file.src_uri):
            heading = next((x for x in file.content_string.splitlines() if x.startswith("# ")), f"# {file.src_uri}")
            lines.append(f"- [{heading[2:]}]({file.src_uri.removeprefix('decisions/')})")
    return "\n".join(lines)


def _cell(value: Any, column: str) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in value)
    text = re.sub(r"\s+", " ", str(value)).strip().replace("|", "\\|")
    return f"`{text}`" if column == "name" and text else text
