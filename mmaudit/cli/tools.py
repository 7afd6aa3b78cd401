"""Commands that check, list and show what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmaudit.cli.application import app
from mmaudit.cli.arguments import (
    AsJson,
    Cluster,
    Columns,
    Config,
    DataPath,
    Ids,
    Modalities,
    ModelPath,
    NoModality,
    OutputScale,
    Root,
    Split,
    Target,
    TaskName,
    Trust,
    Weights,
    Whole,
)
from mmaudit.place import address


@app.command()
def doctor(
    model: ModelPath = None,
    data: DataPath = None,
    config: Config = None,
    target: Target = None,
    task: TaskName = None,
    modality: Modalities = None,
    columns: Columns = None,
    root: Root = None,
    whole: Whole = False,
    ids: Ids = None,
    group: NoModality = None,
    cluster: Cluster = None,
    split: Split = None,
    outputs: OutputScale = None,
    weights: Weights = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Check on a few samples that a model keeps what an audit relies on, clause by clause. Exit code 3 if not.

    Without arguments: say what is installed here, which extras are missing and what for, cores, memory and devices.
    """
    from mmaudit import options

    given = options.said(locals())
    if config is None and not any(given.values()):
        _installation(as_json)
        return
    from mmaudit import console
    from mmaudit.auditing import examine

    chosen = options.merged(config, given, ("model", "data"))
    with console.preparing(as_json) as step:
        checked, rows, _ = options.load(chosen, step)
        checks, stages = examine(checked, rows)
    if as_json:
        console.print_json({"model": checked.name, "stages": stages, "checks": [c.to_json() for c in checks]})
    else:
        console.show_checks(checks, stages)
    if any(check.ok is False for check in checks):
        raise typer.Exit(3)


def _installation(as_json: bool) -> None:
    """Print what is installed and what it runs on. Exit code 2 where mmaudit itself lacks a package."""
    from mmaudit import console
    from mmaudit.environment import survey

    found = survey()
    if as_json:
        console.print_json(found.plain())
    else:
        for line in found.lines():
            typer.echo(line)
        typer.echo("To check a model: mmaudit doctor --model package.module:factory --data data.npz")
    if found.problems:
        raise typer.Exit(2)


@app.command()
def selftest(as_json: AsJson = False) -> None:
    """Audit models whose truth is known in closed form, and print truth beside estimate. Exit code 1 if they differ."""
    from mmaudit import console
    from mmaudit.selftest import selftest as known_truths

    rows = known_truths()
    if as_json:
        console.print_json(rows)
    else:
        console.show_truths(rows)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


@app.command()
def gallery(
    out: Annotated[Path, typer.Option(help="The page to write, or a folder for gallery.html.")] = Path("gallery.html"),
    data: DataPath = None,
    modality: Annotated[
        list[str] | None,
        typer.Option(help="Show only this modality, by name or kind; or declare it, as name=kind. May be repeated."),
    ] = None,
    probe: Annotated[list[str] | None, typer.Option(help="Show only these: a name, family or glob.")] = None,
    sample: Annotated[
        str | None, typer.Option(help="Id of the sample to show; one from the middle without it.")
    ] = None,
    config: Config = None,
    target: Target = None,
    task: TaskName = None,
    columns: Columns = None,
    root: Root = None,
    whole: Whole = False,
    ids: Ids = None,
    group: NoModality = None,
    cluster: Cluster = None,
    split: Split = None,
) -> None:
    """Show every probe at every severity on a sample of your data: images, playable sounds, marked texts, curves.

    Without `--data`, on samples that come with mmaudit.
    """
    declared = [text for text in modality or [] if "=" in text]
    named = [text.partition("=")[0] for text in modality or []]
    from mmaudit import console, options
    from mmaudit.demo.samples import samples
    from mmaudit.gallery import EVERYTHING
    from mmaudit.gallery import gallery as write_gallery

    chosen = options.merged(config, {**locals(), "modality": declared}, ())
    rows = options.read(Path(chosen["data"]), chosen) if "data" in chosen else samples()
    suite = tuple(probe) if probe else EVERYTHING
    with console.preparing(quiet=False) as said:
        page = write_gallery(rows, out=out, modalities=named, suite=suite, sample=sample, progress=said)
    typer.echo(f"{page}\nOpen it in a browser: {address(page)}")


@app.command("verify-public")
def verify_public(
    data: Annotated[str, typer.Argument(metavar="name:folder", help="A public set and the folder of your copy.")],
    as_json: AsJson = False,
) -> None:
    """Compare the files of a public data set with the SHA-256 digests that were published. Exit code 2 if one differs.

    Reads each file once. Where nobody published any digest it says so, and exits with 2.
    """
    from mmaudit import console
    from mmaudit.data.public import verify_public as verified
    from mmaudit.errors import BadInput

    name, colon, folder = data.partition(":")
    if not colon:
        raise BadInput(f"{data!r} names no folder; give the set and your copy of it, as {name}:folder.")
    found = verified(name, folder)
    if as_json:
        console.print_json(found)
    else:
        for path, digest in found.items():
            typer.echo(f"as published  {digest}  {path}")


@app.command("check-plugin")
def check_plugin(
    names: Annotated[
        list[str],
        typer.Argument(help="Probes by name, family or glob, or a module of yours, as package.module, that has some."),
    ],
    as_json: AsJson = False,
) -> None:
    """Try probes against the contract that all of mmaudit's keep, clause by clause. Exit code 3 if one is broken."""
    from mmaudit import console
    from mmaudit.contract import check_probes
    from mmaudit.contract.loading import probes_of

    verdicts = list(check_probes(probes_of(names)))
    if as_json:
        console.print_json([{"probe": v.probe, "clause": v.clause, "violations": list(v.violations)} for v in verdicts])
    else:
        console.show_verdicts(verdicts)
    if not all(v.ok for v in verdicts):
        raise typer.Exit(3)


@app.command("list")
def list_names(
    what: Annotated[
        str | None,
        typer.Argument(
            help="probes, metrics, estimators, analyses, rules, suites, references, reproductions, or a run folder; "
            "without it, how many there are of each."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what is registered (probes, metrics, estimators, rules, …), or the conditions of a run."""
    from mmaudit import console
    from mmaudit.listing import names, sorts

    rows = sorts() if what is None else names(what)
    if as_json:
        console.print_json(rows)
    elif what == "probes":
        console.show_probes(rows)
    else:
        console.show_names(rows)
