"""Commands for schedulers: a run planned once, answered in shares, merged once."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mmaudit.cli.application import app, command_line
from mmaudit.cli.arguments import AsJson
from mmaudit.errors import BadInput
from mmaudit.place import place

# What a shell says of a process that SIGTERM ended; schedulers tell it from success and from failure.
TERMINATED = 143

_Config = Annotated[
    Path, typer.Option(help="TOML file with the options of `mmaudit audit` as keys: the same for all three commands.")
]
_Out = Annotated[
    Path | None, typer.Option(help="Run folder or URL, in place of the file's; every worker must reach it.")
]
_Model = Annotated[str | None, typer.Option("--model", help="In place of the file's.")]
_Data = Annotated[Path | None, typer.Option("--data", help="In place of the file's.")]


@app.command()
def plan(
    config: _Config,
    out: _Out = None,
    model: _Model = None,
    data: _Data = None,
    as_json: AsJson = False,
) -> None:
    """Check model and data and write a run's plan, for `mmaudit work` to answer in shares and `mmaudit merge` to end.

    For SLURM arrays, Kubernetes indexed jobs and the like: see `examples/`.
    """
    given = _Given(config, out, model, data)
    from mmaudit import console, sharing

    own = {k: given.chosen[k] for k in ("title", "keep_samples") if k in given.chosen}
    with console.preparing(as_json) as step:
        given.load(step)
        planned = sharing.plan(
            given.model,
            given.data,
            out=given.out,
            batch_rows=given.batch_rows,
            command=command_line(of="audit"),
            **given.planned,
            **own,
        )
    if as_json:
        console.print_json({"out": str(given.out), **vars(planned)})
        return
    named = shlex.join(["--config", str(config), "--out", str(given.out)])
    if planned.missing > 1:
        following = f"Next, in up to {planned.missing} processes: mmaudit work {named} --shard i/n"
    else:
        following = f"Next, in one process: mmaudit work {named}" if planned.missing else "All are answered."
    typer.echo(
        f"{given.out}: {planned.missing} of {planned.shards} shards to answer under {planned.conditions} conditions.\n"
        f"{following}\nThen: mmaudit merge {named}"
    )


@app.command()
def work(
    config: _Config,
    shard: Annotated[str, typer.Option(help="Share i/n of the shards, i from 1 to n.")] = "1/1",
    out: _Out = None,
    model: _Model = None,
    data: _Data = None,
    as_json: AsJson = False,
) -> None:
    """Answer a share of a planned run. SIGTERM lets it finish the shard at hand; run it again to go on.

    Exit code 143 where it was ended so before its share was done.
    """
    from mmaudit.execution.shares import Share

    share = Share.parse(shard)
    given = _Given(config, out, model, data)
    from mmaudit import console, sharing

    with console.progress_bar(as_json, then="share answered") as progress:
        given.load(progress.preparing)
        worked = sharing.work(given.model, given.data, out=given.out, share=share, progress=progress, **given.planned)
    if as_json:
        console.print_json({"out": str(given.out), **vars(worked), "share": shard})
    else:
        left = f", {len(worked.left)} left" if worked.left else ""
        answered = f"{worked.answered} {'shard' if worked.answered == 1 else 'shards'} answered"
        typer.echo(f"share {shard} of {given.out}: {answered}, {worked.before} done before{left}.")
    if worked.left:
        raise typer.Exit(TERMINATED)


@app.command()
def merge(
    config: _Config,
    out: _Out = None,
    model: _Model = None,
    data: _Data = None,
    as_json: AsJson = False,
) -> None:
    """Make the report of a run whose shares are all answered; says which shards are missing if some are."""
    given = _Given(config, out, model, data)
    from mmaudit import console, options, sharing

    own = {k: given.chosen[k] for k in ("resamples", "seed") if k in given.chosen}
    with console.progress_bar(as_json) as progress:
        given.load(progress.preparing)
        way = options.executor(given.chosen, given.data)
        report = sharing.merge(
            given.model, given.data, out=given.out, executor=way, progress=progress, **given.planned, **own
        )
    if as_json:
        console.print_json({"out": str(given.out), "findings": report.document["findings"]})
    else:
        console.show_report(report, given.out / "report.html")


class _Given:
    """Model, data and plan, as a file and the shell name them."""

    def __init__(self, config: Path, out: Path | None, model: str | None, data: Path | None) -> None:
        from mmaudit import options

        self.chosen = options.merged(config, {"out": out, "model": model, "data": data}, ("model", "data", "out"))
        if limits := [name for name in ("budget", "forwards") if name in self.chosen]:
            raise BadInput(
                f"{config}: shares cannot keep {' and '.join(limits)}: the rounds of a budget need somebody who looks "
                "at all answers between them. Leave it out, or run mmaudit audit with --jobs or --executor ray."
            )
        options.require_settings(self.chosen)
        self.out = place(self.chosen["out"])
        self.batch_rows = options.batch_rows(self.chosen.get("batch_rows"))

    def load(self, step: Callable[[str], object]) -> None:
        """Read the data and make the model; `step` is told what is done."""
        from mmaudit import options

        self.model, self.data, training = options.load(self.chosen, step)
        self.planned: dict[str, Any] = {"suite": options.suite(self.chosen), "train": training}
