"""Commands that train reference methods and run published experiments again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmaudit.cli.application import app
from mmaudit.cli.arguments import (
    AsJson,
    Cluster,
    Columns,
    Config,
    DataPath,
    Group,
    Ids,
    Modalities,
    ModelPath,
    OutputScale,
    Root,
    Split,
    Target,
    TaskName,
    Trust,
    Weights,
    Whole,
)
from mmaudit.errors import BadInput
from mmaudit.place import place

if TYPE_CHECKING:
    from mmaudit.types import Finding

DEMO = "mmaudit demo"
METHODS = "concatenation,product,late_mean,modality_dropout,aecf,synib"


@app.command()
def reference(
    run: Annotated[Path, typer.Argument(help="Run folder of a complete audit.")],
    methods: Annotated[str, typer.Option(help="Names, separated by commas; see `mmaudit list references`.")] = METHODS,
    seeds: Annotated[int, typer.Option(help="Trainings per method.")] = 5,
    tune: Annotated[int, typer.Option(help="Trials of random search per method; 1 keeps the published defaults.")] = 4,
    epochs: Annotated[int, typer.Option(help="Most epochs; a trial stops after 6 without improvement.")] = 30,
    batch: Annotated[int, typer.Option(help="Rows per training step.")] = 128,
    encoders: Annotated[
        str, typer.Option(help="auto, frozen (the audited model's) or default (small ones, trained along).")
    ] = "auto",
    width: Annotated[int, typer.Option(help="Numbers that each modality is projected to before fusion.")] = 64,
    device: Annotated[str | None, typer.Option(help="Where to train: cuda where there is one.")] = None,
    shared_clusters: Annotated[
        bool, typer.Option("--shared-clusters", help="Allow cluster values in both training and audited data.")
    ] = False,
    model: ModelPath = None,
    data: DataPath = None,
    train: Annotated[Path | None, typer.Option(help="Training data; none of it may be audited.")] = None,
    train_split: Annotated[
        str | None, typer.Option(help="Rows of the training data to take: `train`, or column=value.")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="Data to choose epochs on, neither trained on nor audited; else cut from --train."),
    ] = None,
    validation_split: Annotated[
        str | None, typer.Option(help="Rows of the validation data to take, as column=value.")
    ] = None,
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
    outputs: OutputScale = None,
    weights: Weights = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Train reference methods on your data and audit them as your model was: would another method do better?

    Give model and data as for `mmaudit audit`; a run of `mmaudit demo` needs neither.
    """
    from mmaudit import console, options
    from mmaudit.reference.loop import Budget
    from mmaudit.reference.retrain import retrain
    from mmaudit.reference.training import Choice
    from mmaudit.store import Run

    given = options.said(locals())
    run = place(run)
    header = Run.open(run).header
    named = [name.strip() for name in methods.split(",") if name.strip()]
    # Numbers that cannot be used are refused before a model is made or data are read.
    asked = Choice(tuple(named), seeds, tune, Budget(epochs=epochs, batch=batch), encoders, width, validation=0.2)
    with console.steps_bar(as_json) as progress:
        loaded, rows, training, held = _subject(str(header.get("command", "")), given, config, named)
        panel = retrain(
            run,
            loaded,
            rows,
            training,
            methods=named,
            seeds=seeds,
            tune=tune,
            budget=asked.budget,
            encoders=encoders,
            width=width,
            validation=asked.validation if held is None else held,
            shared_clusters=shared_clusters,
            device=device,
            progress=progress,
        )
    if as_json:
        console.print_json(panel.to_json())
    else:
        console.show_panel(panel, _said(run), run / "report.html")


def _subject(command: str, given: dict[str, Any], config: Path | None, methods: list[str]) -> tuple[Any, Any, Any, Any]:
    """Model, audited, training and validation data (None: not given); a run of the demo brings its own.

    Names of methods are looked up first.
    """
    from mmaudit import options
    from mmaudit.reference import methods as registered
    from mmaudit.reference.base import references

    del registered  # importing it registers them

    def look() -> None:
        for name in methods:
            references.get(name)

    if command.startswith(DEMO) and not config and not any(given.values()):
        from mmaudit.demo import run as demo

        look()
        return demo.model(), demo.data("test"), demo.data("train"), None
    chosen = options.merged(config, given, ("model", "data", "train"))
    options.require_known(chosen, look)
    loaded, rows, training = options.load(chosen)
    if training is None:
        raise BadInput("--train missing; references are trained on your training data.")
    return loaded, rows, training, options.load_validation(chosen)


@app.command()
def panel(
    run: Annotated[Path, typer.Argument(help="Run folder with reference methods.")],
    resamples: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compare the reference methods of a run with its model again, from stored answers; nothing is trained."""
    from mmaudit import console
    from mmaudit.assemble import assemble
    from mmaudit.folder import writing
    from mmaudit.panel.file import score_panel
    from mmaudit.store import Run

    run = place(run)
    opened = Run.open(run)
    with writing(run):
        found = score_panel(opened, resamples=resamples, seed=seed)
        assemble(opened)
    if as_json:
        console.print_json(found.to_json())
    else:
        console.show_panel(found, _said(run), run / "report.html")


def _said(run: Path) -> list[Finding]:
    """Findings about references."""
    from mmaudit.report import Report

    return [f for f in Report.read(run).findings if "reference" in f.rule]


@app.command()
def reproduce(
    names: Annotated[list[str] | None, typer.Argument(help="As `mmaudit list reproductions` shows them.")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings per method and setting.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="A small size, to see that it runs.")] = False,
    data: Annotated[Path | None, typer.Option(help="Data file, for experiments on real data.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write a Markdown table to.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to train: cuda where there is one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run published experiments again and show what the source reported beside what is measured here."""
    import dataclasses

    from mmaudit import console
    from mmaudit.reproduce.report import run_and_write

    if not names:
        raise BadInput("name a reproduction; 'mmaudit list reproductions' shows all.")
    for name in names:
        with console.steps_bar(as_json) as progress:
            found = run_and_write(name, seeds=seeds, quick=quick, data=data, out=out, device=device, progress=progress)
        if as_json:
            console.print_json([dataclasses.asdict(row) for row in found.rows])
        else:
            typer.echo(found.markdown)
