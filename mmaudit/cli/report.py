"""The command that writes a report in the form someone needs: a page, a PDF, Markdown, a model card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmaudit.cli.application import app
from mmaudit.cli.arguments import AsJson
from mmaudit.errors import BadInput
from mmaudit.place import address, is_local, place

if TYPE_CHECKING:
    from mmaudit.render.theme import Theme
    from mmaudit.report import Report


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder, or a report.json.")],
    html: Annotated[
        Path | None, typer.Option(help="Write the page here; where nothing is asked for, it goes into the run.")
    ] = None,
    pdf: Annotated[Path | None, typer.Option(help="Print it as PDF, with a Chromium of this machine.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write a summary for a pull request or a build's page; - for standard output.")
    ] = None,
    model_card: Annotated[
        Path | None,
        typer.Option(help="Write a section with metadata for a Hugging Face model card; - for standard output."),
    ] = None,
    paper: Annotated[str, typer.Option(help="a4 or letter: what page and PDF are laid out for.")] = "a4",
    theme: Annotated[Path | None, typer.Option(help="TOML file of a house style: logo, header text, colours.")] = None,
    signed_by: Annotated[str | None, typer.Option(help="Name for the sign-off block; over the theme's.")] = None,
    budget: Annotated[
        str, typer.Option(help="Most bytes of the page, such as 3MB, or none; what does not fit is left out and named.")
    ] = "3MB",
    static: Annotated[bool, typer.Option("--static", help="No script in the page: nothing can be clicked.")] = False,
    all_tables: Annotated[
        bool, typer.Option("--all-tables", help="Print tables of more than 40 rows into the PDF too.")
    ] = False,
    browser: Annotated[str | None, typer.Option(help="The Chromium that prints, by name or path.")] = None,
    dataset: Annotated[str, typer.Option(help="Model card: the data set's name on the Hub, as org/name.")] = "",
    source_url: Annotated[str, typer.Option(help="Model card: where the report can be read.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write the HTML page of a report, or a PDF, a summary in Markdown, a model card; or print the report as JSON.

    Everything is made from report.json alone: no model, no data, no forward pass.
    """
    from mmaudit import console
    from mmaudit.render.budget import read_size
    from mmaudit.render.page import page
    from mmaudit.render.paper import paper_of
    from mmaudit.render.pdf import find_browser, to_pdf
    from mmaudit.report import Report

    read = Report.read(run)
    if as_json:
        console.print_json(read.document)
        return
    # Every option is checked before anything is written.
    limit, sheet, style = read_size(budget), paper_of(paper), _theme(theme, signed_by)
    if pdf is not None and not is_local(place(pdf)):
        raise BadInput(f"--pdf {place(pdf)}: a browser prints to a file of this machine; give one, and copy it there.")
    printer = find_browser(browser) if pdf is not None else None
    if markdown is not None or model_card is not None:
        _cards(read, markdown, model_card, dataset, source_url)
    if html is not None or (pdf is None and markdown is None and model_card is None):
        where = place(run)
        target = place(html) if html else where if where.is_dir() else where.with_suffix(".html")
        file = target / "report.html" if target.is_dir() else target
        made = page(read, budget=limit, theme=style, paper=sheet, scripts=not static)
        _write(file, made)
        typer.echo(f"{file}\nOpen it in a browser: {address(file)}")
        if limit is not None and (size := len(made.encode("utf-8"))) > limit:
            typer.echo(f"mmaudit: the page has {size:,} bytes, --budget {budget}; no more can be left out.", err=True)
    if pdf is not None and printer is not None:
        _make(pdf.parent, pdf)
        printed = page(read, budget=None, theme=style, paper=sheet, scripts=False, long_tables=all_tables)
        typer.echo(to_pdf(printed, pdf / "report.pdf" if pdf.is_dir() else pdf, printer))


def _theme(file: Path | None, signed_by: str | None) -> Theme:
    from dataclasses import replace

    from mmaudit.render.signoff import Signed
    from mmaudit.render.theme import PLAIN, read_theme

    theme = PLAIN if file is None else read_theme(file)
    if signed_by is None:
        return theme
    return replace(theme, signed_by=replace(theme.signed_by or Signed(), name=signed_by))


def _cards(read: Report, markdown: Path | None, model_card: Path | None, dataset: str, source_url: str) -> None:
    from mmaudit import cards

    if markdown is not None:
        _put(markdown, cards.markdown(read))
    if model_card is not None:
        _put(model_card, cards.model_card(read, cards.Published(dataset_type=dataset, source_url=source_url)))


def _put(file: Path, text: str) -> None:
    if str(file) == "-":
        typer.echo(text, nl=False)
        return
    _write(file, text)
    typer.echo(file)


def _write(file: Path, text: str) -> None:
    from mmaudit.folder import write_atomically

    file = place(file)
    _make(file.parent, file)
    write_atomically(file, text.encode("utf-8"))


def _make(folder: Path, file: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror or error}; choose a place you can write to.") from None
