"""The command that writes an adapter and a configuration for the user's own case."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from mmaudit.cli.application import app
from mmaudit.cli.arguments import (
    AsJson,
    Cluster,
    Columns,
    Group,
    Ids,
    Modalities,
    OutputScale,
    Split,
    Target,
    TaskName,
    Weights,
)
from mmaudit.errors import BadInput


@app.command()
def init(
    kind: Annotated[
        str | None,
        typer.Option(
            help="torch, sklearn, function, onnx, transformers, http or precomputed; seen from --model if given."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Import path of your module, estimator or function; or a model file, folder or address."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Your data, as for `mmaudit audit`.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for audit_model.py and audit.toml.")] = Path(),
    target: Target = None,
    task: TaskName = None,
    modality: Modalities = None,
    columns: Columns = None,
    ids: Ids = None,
    group: Group = None,
    cluster: Cluster = None,
    split: Split = None,
    outputs: OutputScale = None,
    weights: Weights = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at your data and model, and write an adapter and a configuration that say in comments what was seen.

    Nothing is asked: what cannot be seen stands in the files as a line to check. Without `--model` the adapter holds an
    untrained stand-in, so that everything runs before you put yours in.
    """
    said = {
        "target": target, "task": task, "modality": modality, "columns": columns, "ids": ids, "group": group,
        "cluster": cluster, "split": split, "outputs": outputs, "weights": weights,
    }  # fmt: skip
    from mmaudit import console
    from mmaudit.starter import start

    if data is None:
        raise BadInput("--data missing: an .npz or Parquet file, or other data that `mmaudit audit` reads.")
    if ":" not in data and not Path(data).exists():
        raise BadInput(f"--data {data!r} does not exist.")
    written = start(kind, model, data, out, {k: v for k, v in said.items() if v is not None and v != []}, force=force)
    if as_json:
        console.print_json(
            {"out": str(out), "files": list(written.files), "seen": list(written.seen), "open": list(written.open)}
        )
        return
    for line in written.seen:
        typer.echo(f"seen   {line}")
    for line in written.open:
        typer.echo(f"check  {line}")
    for name in written.files:
        typer.echo(f"wrote  {out / name}")
    go = "" if out.resolve() == Path.cwd().resolve() else f"cd {shlex.quote(os.fspath(out))} && "
    typer.echo(f"Next:  {go}{written.next}")
