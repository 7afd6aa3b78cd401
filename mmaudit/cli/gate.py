"""The command that holds a run against a policy."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmaudit.cli.application import app
from mmaudit.cli.arguments import AsJson

if TYPE_CHECKING:
    from mmaudit.gate.result import Judged, Outcome, Verdict

_COLOURS: dict[Outcome, str] = {"pass": "green", "fail": "red", "undecided": "yellow"}
_SHOWN = 10


@app.command()
def gate(
    run: Annotated[Path, typer.Argument(help="Run folder, or a report.json.")],
    policy: Annotated[Path, typer.Argument(help="TOML file with the requirements; docs/gate.md lists its keys.")],
    against: Annotated[
        Path | None, typer.Option(help="Folder of the previous run, for requirements with max_regression.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write SARIF 2.1.0 here.")] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Write a Markdown summary here; in GitHub Actions the step's without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold a run against a policy, for continuous integration. Exit code 0 if it meets it, 1 if not.

    Bounds of 95 % intervals decide, never point values. What cannot be checked fails, with the reason: a condition that
    was not measured, an undefined value, a run that is not finished.
    """
    from mmaudit.gate import judge, read_policy
    from mmaudit.gate.github import log_line, workflow_commands
    from mmaudit.gate.junit import junit as junit_xml
    from mmaudit.gate.sarif import sarif as sarif_log
    from mmaudit.gate.texts import write

    verdict = judge(run, read_policy(policy), against=against)
    if junit is not None:
        write(junit, junit_xml(verdict))
    if sarif is not None:
        write(sarif, sarif_log(verdict))
    _summarise(verdict, summary)
    if as_json:
        # Escaped, since a workflow's log takes this for the start of a command wherever it stands.
        typer.echo(json.dumps(verdict.to_json(), indent=1).replace("##[", "##\\u005b"))
    else:
        _show(verdict)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in workflow_commands(verdict):
            typer.echo(line, err=as_json)
    elif not as_json and not verdict.ok:
        typer.echo(log_line(f"To look further: mmaudit report {run}"))
    if not verdict.ok:
        raise typer.Exit(1)


def _summarise(verdict: Verdict, file: Path | None) -> None:
    """Write the summary, or add it to the step's own, which other commands of the step may have written to."""
    from mmaudit.errors import BadInput
    from mmaudit.gate.github import LARGEST_SUMMARY, summary
    from mmaudit.gate.texts import write

    steps = os.environ.get("GITHUB_STEP_SUMMARY")
    if file is not None and str(file) != steps:
        write(file, summary(verdict))
    elif steps:
        path = Path(steps)
        try:
            before = path.stat().st_size if path.exists() else 0
            text = summary(verdict, LARGEST_SUMMARY - before)
            with path.open("a", encoding="utf-8") as appended:
                appended.write(text)
        except OSError as error:
            raise BadInput(f"cannot write the step's summary {path}: {error.strerror or error}.") from None


def _show(verdict: Verdict) -> None:
    from mmaudit.formats import shorten
    from mmaudit.gate.github import log_line
    from mmaudit.gate.texts import NAME, sentence

    for judged in verdict.judged:
        many = "1 check" if len(judged.checks) == 1 else f"{len(judged.checks)} checks"
        typer.secho(f"{_word(judged):<11}", fg=_COLOURS[judged.outcome], bold=True, nl=False)
        typer.echo(log_line(f"{shorten(judged.name, NAME)} ({many})"))
        failing = [check for check in judged.checks if check.outcome != "pass"]
        for check in failing[:_SHOWN]:
            typer.echo(f"             {log_line(sentence(check))}")
        if (more := len(failing) - _SHOWN) > 0:
            typer.echo(f"             and {more} more; --json shows all.")
        if judged.left_out:
            typer.echo(f"             left out as too small: {log_line(shorten(', '.join(judged.left_out), 5 * NAME))}")
    counts = ", ".join(f"{n} {outcome}" for outcome, n in verdict.counts().items() if n)
    typer.secho("gate open" if verdict.ok else "gate shut", fg="green" if verdict.ok else "red", bold=True, nl=False)
    typer.echo(log_line(f": {shorten(verdict.policy, NAME)}, {counts}"))


def _word(judged: Judged) -> str:
    return "UNDECIDED" if judged.outcome == "undecided" else judged.outcome.upper()
