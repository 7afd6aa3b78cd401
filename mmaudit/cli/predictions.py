"""Commands for audits without the model: write the inputs, audit the table of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmaudit.cli.application import app, command_line
from mmaudit.cli.arguments import (
    AsJson,
    Cluster,
    Columns,
    Config,
    DataPath,
    Group,
    Ids,
    Modalities,
    OutputScale,
    Root,
    Split,
    Target,
    TaskName,
    Train,
    Whole,
)
from mmaudit.place import place

Suite = Annotated[str | None, typer.Option(help="quick, standard (default) or full.")]


@app.command("write-inputs")
def write_inputs(
    data: DataPath = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the inputs: new, empty, or begun before.")] = None,
    suite: Suite = None,
    config: Config = None,
    target: Target = None,
    task: TaskName = None,
    modality: Modalities = None,
    columns: Columns = None,
    root: Root = None,
    whole: Whole = False,
    ids: Ids = None,
    group: Group = None,
    cluster: Cluster = None,
    split: Split = None,
    train: Train = None,
    native_absence: Annotated[
        bool, typer.Option("--native-absence", help="The model handles absent modalities itself: write those, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write what a model would be given under every condition, to be answered wherever the model is.

    One Parquet file per condition; `mmaudit.read_inputs(folder)` reads them in batches. Answers go into a table with
    the columns id, condition and output, which `mmaudit audit-predictions` turns into a report.
    """
    from mmaudit import console, options
    from mmaudit.precomputed import write_inputs as write
    from mmaudit.precomputed.manifest import Manifest

    chosen = options.merged(config, locals(), ("data", "out"))
    named: dict[str, Any] = {"suite": options.suite(chosen), "native_absence": native_absence}
    with console.progress_bar(as_json, "writing inputs", "inputs written") as progress:
        progress.preparing("reading the data")
        rows, named["train"] = options.load_data(chosen)
        path = write(rows, chosen["out"], progress=progress, **named)
    conditions = Manifest.open(path.parent).conditions
    if as_json:
        console.print_json({"out": str(path.parent), "conditions": [c.label for c in conditions]})
    else:
        typer.echo(f"{path.parent}: inputs of {len(rows)} samples under {len(conditions)} conditions")


@app.command("audit-predictions")
def audit_predictions(
    answers: Annotated[Path, typer.Argument(help="Parquet or CSV table of answers, or a folder of such files.")],
    data: DataPath = None,
    inputs: Annotated[Path | None, typer.Option(help="Folder that write-inputs wrote to.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder: new, empty, or an earlier run to go on with.")] = None,
    config: Config = None,
    target: Target = None,
    task: TaskName = None,
    modality: Modalities = None,
    columns: Columns = None,
    root: Root = None,
    whole: Whole = False,
    ids: Ids = None,
    group: Group = None,
    cluster: Cluster = None,
    split: Split = None,
    train: Train = None,
    outputs: OutputScale = None,
    resamples: Annotated[int | None, typer.Option(help="Bootstrap replicates (1000).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap (0).")] = None,
    title: Annotated[str | None, typer.Option(help="Heads the report.")] = None,
    keep_samples: Annotated[int | None, typer.Option(help="Samples whose inputs the run keeps (48); 0: none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Audit a table of answers, without the model: columns id, condition and output (or output.CLASS, …).

    Answers to clean inputs alone are enough; what the table does not have is not reported as measured.
    """
    from mmaudit import console, options
    from mmaudit.precomputed import audit_predictions as audit

    chosen = options.merged(config, locals(), ("data", "outputs", "out"))
    known = {k: chosen[k] for k in ("resamples", "seed", "title", "keep_samples") if k in chosen}
    folder = place(chosen["out"])
    with console.progress_bar(as_json) as progress:
        progress.preparing("reading the data")
        rows, training = options.load_data(chosen)
        report = audit(
            answers,
            rows,
            outputs=chosen["outputs"],
            out=folder,
            inputs=inputs,
            train=training,
            progress=progress,
            command=command_line(),
            **known,
        )
    if as_json:
        console.print_json({"out": str(folder), "findings": report.document["findings"]})
    else:
        console.show_report(report, folder / "report.html")
