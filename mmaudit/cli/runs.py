"""Commands that make, score and show runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from mmaudit.errors import BadInput, DamagedRun, StaleRun, UnknownName
from mmaudit.place import place

if TYPE_CHECKING:
    from mmaudit.store import Run


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/demo"),
    suite: Annotated[str, typer.Option(help="quick, standard or full.")] = "standard",
    as_json: AsJson = False,
) -> None:
    """Audit a trained image + question model on easy-VQA: the whole tool in under three minutes."""
    from mmaudit import console
    from mmaudit.auditing import audit
    from mmaudit.demo import run

    out = place(out)
    with console.progress_bar(as_json) as progress:
        progress.preparing("the demo's model and data")
        report = audit(
            run.model(),
            run.data("test"),
            train=run.data("train"),
            out=out,
            suite=suite,
            title="easy-VQA demo",
            command=command_line(),
            progress=progress,
        )
    if as_json:
        console.print_json({"out": str(out), "findings": report.document["findings"]})
    else:
        console.show_report(report, out / "report.html")


@app.command()
def audit(
    model: ModelPath = None,
    data: DataPath = None,
    out: Annotated[Path | None, typer.Option(help="Run folder: new, empty, or an earlier run to go on with.")] = None,
    suite: Annotated[str | None, typer.Option(help="quick, standard (default) or full.")] = None,
    subsets: Annotated[
        str | None,
        typer.Option(help="Subsets of modalities to keep: all (or 64 of them), leave-one-out or one-at-a-time."),
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="TOML file of a scenario of your own; may be repeated.")
    ] = None,
    surface: Annotated[
        list[str] | None,
        typer.Option(help="Two corruptions, as image.gaussian_blur,text.keyboard, at all pairs of severities."),
    ] = None,
    severity_scale: Annotated[
        str | None, typer.Option(help="What severities 1 to 5 mean: table (default), input, embedding or unimodal.")
    ] = None,
    similarity_floor: Annotated[
        float | None, typer.Option(help="chrF similarity with the original that corrupted texts keep to, in (0, 1].")
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
    train: Annotated[Path | None, typer.Option(help="Training data, for the means that stand-ins use.")] = None,
    outputs: OutputScale = None,
    weights: Weights = None,
    resamples: Annotated[int | None, typer.Option(help="Bootstrap replicates (1000).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap (0).")] = None,
    batch_rows: Annotated[
        str | None, typer.Option(help="Most samples per forward pass (256); auto: found by trying, for a new run.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes that answer shards (1); -1: one per core. The run is the same.")
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="Who answers shards: inprocess, loky (this machine's processes) or ray.")
    ] = None,
    worker_gpus: Annotated[float | None, typer.Option(help="Ray: GPUs of each worker, such as 1 or 0.5 (0).")] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds after which a worker hangs and its shard goes to another.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Most time for answers, as 90s, 10m or 2h; they go where the intervals are widest."),
    ] = None,
    forwards: Annotated[int | None, typer.Option(help="The same as a number of answers: samples × conditions.")] = None,
    title: Annotated[str | None, typer.Option(help="Heads the report.")] = None,
    keep_samples: Annotated[
        int | None,
        typer.Option(help="Samples whose inputs the run keeps to be looked at (48); 0: none, for private data."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run and how long, and stop.")] = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Audit your model on your data. Run it again on the same folder to go on, or to add a larger suite.

    `--model` names a function in your code that returns a wrapped model, for example
    `mmaudit.TorchModel(module, ["image", "text"], outputs="logits")`.
    """
    given = {k: v for k, v in locals().items() if k not in ("config", "dry_run", "as_json")}
    from mmaudit import auditing, console, options
    from mmaudit.budget import Budget

    chosen = options.merged(config, given, ("model", "data") if dry_run else ("model", "data", "out"))
    folder = None if dry_run else place(chosen["out"])
    options.require_settings(chosen, folder)
    planned: dict[str, Any] = {"suite": options.suite(chosen)}
    if folder is None:
        limit = Budget.given(chosen.get("budget"), chosen.get("forwards"))
        with console.preparing(as_json) as step:
            loaded, rows, training = options.load(chosen, step)
            prepared = auditing.prepare(loaded, rows, **planned, train=training)
            step("estimating what it would take")
            cost = auditing.estimate(prepared)
        if as_json:
            labels = [c.label for c in prepared.plan.conditions]
            declined = prepared.plan.declined_json
            seconds = round(cost.seconds, 1)
            found = {"conditions": labels, "declined": declined, "passes": dict(cost.passes), "seconds": seconds}
            found["not_counted"] = ["checks", *prepared.plan.suite.analyses]
            console.print_json(found | ({"budget": limit.said} if limit else {}))
        else:
            console.show_estimate(prepared.plan, cost, prepared.stages)
            if limit:
                typer.echo(f"All of this is planned; within the budget no more than {limit.said} are spent on it.")
        return
    own = ("resamples", "seed", "title", "keep_samples", "budget", "forwards")
    known: dict[str, Any] = {k: chosen[k] for k in own if k in chosen}
    known |= {"batch_rows": options.batch_rows(chosen.get("batch_rows")), "command": command_line()}
    with console.progress_bar(as_json) as progress:
        loaded, rows, training = options.load(chosen, progress.preparing)
        known |= {"train": training, "executor": options.executor(chosen, rows)}
        report = auditing.audit(loaded, rows, out=folder, **planned, **known, progress=progress)
    if as_json:
        console.print_json({"out": str(folder), "findings": report.document["findings"]})
    else:
        console.show_report(report, folder / "report.html")


@app.command()
def score(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    metric: Annotated[list[str] | None, typer.Option(help="Show this metric; may be repeated.")] = None,
    condition: Annotated[
        list[str] | None, typer.Option(help="Show this condition, by its label; may be repeated.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Show a group too, as column=value, or all of a column.")] = None,
    resamples: Annotated[int | None, typer.Option(help="Bootstrap replicates (1000).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap (0).")] = None,
    as_json: AsJson = False,
) -> None:
    """Score an old run with every metric known now, and renew its findings and report; no forward pass, no model.

    With `--condition`, `--metric` or `--group` nothing is written, and the scores asked for are shown.
    """
    from mmaudit import console
    from mmaudit.assemble import assemble
    from mmaudit.findings.base import evidence_of
    from mmaudit.folder import writing
    from mmaudit.panel.file import score_panel
    from mmaudit.panel.read import trained
    from mmaudit.score import evidence
    from mmaudit.score import score as score_run
    from mmaudit.store import Run

    run = place(run)
    opened = Run.open(run)
    if not (metric or condition or group):
        replicates, start = 1000 if resamples is None else resamples, seed or 0
        with writing(run):
            score_run(opened, resamples=replicates, seed=start)
            try:
                if trained(opened):
                    score_panel(opened, resamples=replicates, seed=start)
            except (DamagedRun, StaleRun) as error:  # the audited model's own scores do not depend on its references
                typer.echo(f"mmaudit: {error}", err=True)
            report = assemble(opened)
        if as_json:
            console.print_json([evidence_of(s) for s in evidence(opened).scores])
        else:
            console.show_report(report, run / "report.html")
        return
    if resamples is not None or seed is not None:
        raise BadInput(
            "--resamples and --seed draw the scores anew, and --metric, --condition and --group only show those that "
            f"there are; run 'mmaudit score {run} --resamples …' first, then show them."
        )
    measured = evidence(opened).scores
    for name in metric or []:
        if name not in {s.metric for s in measured}:
            raise _no_scores(opened, name, {s.metric for s in measured})
    groups = {g for s in measured if s.group for g in (s.group, s.group.split("=", 1)[0])}
    if group and group not in groups:
        raise UnknownName("group of this run", group, groups)
    keys = {opened.condition(label).key for label in condition or []}
    rows = [
        s
        for s in measured
        if (not keys or s.condition in keys)
        and (not metric or s.metric in metric)
        and (not s.group or group in (s.group, s.group.split("=", 1)[0]))
    ]
    if as_json:
        console.print_json([evidence_of(s) for s in rows])
    else:
        console.show_scores(rows, opened.conditions)


def _no_scores(run: Run, name: str, known: set[str]) -> Exception:
    """Why a run has no scores of a metric: it is another task's, it is newer than the scores, or there is no such."""
    from mmaudit.metrics import metrics

    if name not in metrics:
        return UnknownName("metric of this run", name, known)
    tasks = metrics.get(name).tasks
    if run.task.kind not in tasks:
        fitting = [m.name for m in metrics if run.task.kind in m.tasks and m.name in known]
        return BadInput(
            f"metric {name!r} is one of {' and '.join(tasks)}, and the task of this run is {run.task.kind}. The run "
            f"has {', '.join(fitting[:5])}, …; 'mmaudit list metrics' shows all, with their tasks."
        )
    return BadInput(
        f"the run has no scores of {name!r}; to score it anew: mmaudit score {shlex.quote(str(run.folder))}"
    )


@app.command()
def synergy(
    run: Annotated[Path | None, typer.Argument(help="Run folder: reliance and synergy of an audited model.")] = None,
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
    resamples: Annotated[int, typer.Option(help="Bootstrap replicates, with --data.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of folds, predictors and bootstrap, with --data.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what an audited model relies on and the synergy it uses; with `--data`, the synergy a data set holds."""
    given = {
        "data": data,
        "target": target,
        "task": task,
        "modality": modality,
        "columns": columns,
        "root": root,
        "whole": whole,
    }
    from mmaudit import console, options

    if (run is None) == (data is None and config is None):
        raise BadInput("give either a run folder or --data: a run shows the audited model, --data the data alone.")
    if run is not None:
        from mmaudit.score import evidence
        from mmaudit.store import Run

        run = place(run)
        seen = evidence(Run.open(run))
        estimates, said = seen.estimates, seen.explanations
        if not estimates:
            raise BadInput(f"{run} holds no reliance or synergy yet; run: mmaudit score {shlex.quote(str(run))}")
    else:
        from mmaudit.data_synergy import synergy as of_data

        own = {"ids": ids, "group": group, "cluster": cluster, "split": split}
        chosen = options.merged(config, {**given, **own}, ("data",))
        with console.preparing(as_json) as step:
            step("reading the data")
            rows = options.read(Path(chosen["data"]), chosen)
            step("the synergy that they hold")
            found = of_data(rows, resamples=resamples, seed=seed)
        estimates, said = list(found.estimates), list(found.explanations)
    if as_json:
        console.print_json({"estimates": [e.plain() for e in estimates], "explanations": said})
    else:
        console.show_estimates(estimates, said)
