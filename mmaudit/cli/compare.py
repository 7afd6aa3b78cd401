"""The command that compares runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mmaudit.cli.application import app
from mmaudit.cli.arguments import AsJson
from mmaudit.errors import BadInput
from mmaudit.given import number


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders: the one to compare with, then one or more others.")],
    metric: Annotated[list[str] | None, typer.Option(help="Compare this metric, too; may be repeated.")] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(help="Differences up to this are no verdict: 0.01 (primary metric), or name=0.01; repeatable."),
    ] = None,
    groups: Annotated[bool, typer.Option("--groups/--no-groups", help="Compare within groups of samples, too.")] = True,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as an HTML page to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a summary for a pull request to this file.")] = None,
    theme: Annotated[Path | None, typer.Option(help="TOML file of a house style: logo, header text, colours.")] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compare runs from their stored answers, sample by sample: worse, better or undecided under every condition.

    The first run is what the others are compared with: `mmaudit compare runs/before runs/after --html comparison.html`.
    """
    from mmaudit.compared.compare import compare as compared
    from mmaudit.compared.written import write_text
    from mmaudit.render.theme import PLAIN, read_theme

    house = read_theme(theme) if theme else PLAIN
    found = compared(
        *runs, metrics=metric or (), groups=groups, margin=_margins(margin or []), resamples=resamples, seed=seed
    )
    pages = [found.to_html(html, theme=house)] if html else []
    pages += [write_text(markdown, found.to_markdown())] if markdown else []
    if as_json:
        # Names come from the runs, and may hold what a terminal cannot show.
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=True, indent=1))
        return
    from mmaudit.compared.terminal import lines

    for line in lines(found):
        typer.echo(line)
    for page in pages:
        typer.echo(f"{page}")


def _margins(given: list[str]) -> dict[str, float] | float:
    """Margins as `compare` takes them: one number, or numbers by metric."""
    found: dict[str, float] = {}
    for text in given:
        name, _, said = text.rpartition("=")
        try:
            found[name] = number(said)
        except ValueError:
            raise BadInput(f"--margin {text!r} is not usable; give a number, or metric=number.") from None
    if "" in found and len(found) > 1:
        raise BadInput("--margin is given with and without a metric; name the metric every time, as accuracy=0.01.")
    return found.get("", found)
