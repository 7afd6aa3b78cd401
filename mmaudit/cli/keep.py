"""The command that keeps inputs of more samples in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmaudit.cli.application import app
from mmaudit.cli.arguments import (
    AsJson,
    Columns,
    Config,
    DataPath,
    Ids,
    Modalities,
    Root,
    Split,
    Target,
    TaskName,
    Whole,
)
from mmaudit.place import place


@app.command()
def keep(
    run: Annotated[Path, typer.Argument(help="Run folder of an audit.")],
    sample: Annotated[list[str] | None, typer.Option(help="Id of a sample to keep; may be repeated.")] = None,
    keep_samples: Annotated[
        int | None, typer.Option(help="How many samples to choose besides (48); 0 removes all inputs from the run.")
    ] = None,
    megabytes: Annotated[float | None, typer.Option(help="Bytes that inputs may take, in 10⁶ (24).")] = None,
    data: DataPath = None,
    config: Config = None,
    target: Target = None,
    task: TaskName = None,
    modality: Modalities = None,
    columns: Columns = None,
    root: Root = None,
    whole: Whole = False,
    ids: Ids = None,
    group: Annotated[list[str] | None, typer.Option(help="As given to the audit; may be repeated.")] = None,
    cluster: Annotated[str | None, typer.Option(help="As given to the audit.")] = None,
    split: Split = None,
    train: Annotated[Path | None, typer.Option(help="Training data, where the audit had some.")] = None,
    as_json: AsJson = False,
) -> None:
    """Keep inputs of more samples in a run, original beside perturbed, to look at in the dashboard.

    Needs the data of the audit, described as the audit was told, and not the model.
    """
    from mmaudit import console, options
    from mmaudit.keep import keep_more

    rows, training = options.load_data(options.merged(config, locals(), ("data",)))
    run = place(run)
    kept = keep_more(run, rows, train=training, samples=sample or (), count=keep_samples, megabytes=megabytes)
    size = kept.path.stat().st_size if kept.samples else 0
    if as_json:
        console.print_json(
            {
                "samples": [{"sample": s.sample, "why": s.why} for s in kept.samples],
                "bytes": size,
                "left_out": kept.left_out,
                "not_made_again": kept.unmade,
            }
        )
        return
    many = "1 sample" if len(kept.samples) == 1 else f"{len(kept.samples)} samples"
    typer.echo(f"{run}: inputs of {many}, {size / 1e6:.1f} MB")
    for line in (kept.left_out, *sorted({f"not made again: {why}" for why in kept.unmade.values()})):
        if line:
            typer.echo(line)
