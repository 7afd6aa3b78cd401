"""The application that commands are added to."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# The order of `mmaudit --help`: the way of somebody who has a model and begins.
JOURNEY = {
    "Begin": ("demo", "init", "doctor", "gallery"),
    "Audit": ("audit", "plan", "work", "merge", "write-inputs", "audit-predictions"),
    "Read a run": ("report", "dashboard", "score", "synergy", "keep"),
    "Decide": ("compare", "gate"),
    "Other methods": ("reference", "panel", "reproduce"),
    "Look up and check": ("list", "verify-public", "check-plugin", "selftest"),
}


class _Journey(TyperGroup):
    """Lists commands in the order and under the headings of `JOURNEY`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names as `--help` shows them."""
        for heading, names in JOURNEY.items():
            for name in names:
                self.commands[name].rich_help_panel = heading  # type: ignore[attr-defined]
        return [name for names in JOURNEY.values() for name in names]


# Options that say who does the work; each takes a value.
WORK = ("--jobs", "--executor", "--worker-gpus", "--time-limit")

app = typer.Typer(
    name="mmaudit",
    cls=_Journey,
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Audit the robustness, fusion and calibration of any trained multimodal model.

    Try it: `mmaudit demo`. Your own model:
    `mmaudit audit --model package.module:factory --data data.npz --out runs/mine`.""",
    epilog="Exit codes: 0 done · 1 unexpected error, or a gate or selftest failed · 2 wrong input or unknown name · "
    "3 the model broke its contract · 4 the run folder is stale, damaged, or cannot be read or written · "
    "130 interrupted · 143 asked to end (either: run the same command again to go on).",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"mmaudit {version('mmaudit')}")
        raise typer.Exit


@app.callback(help=app.info.help, epilog=app.info.epilog)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Print it.")] = False,
) -> None:
    del version
    if os.environ.get("NO_COLOR"):  # rich heeds it by itself
        context.color = False


def command_line(of: str = "") -> str:
    """The command as it was typed, to be shown in a report and written into the run.

    Without what leaves the run as it is: who does the work, and in which form the answer is printed. So run folders
    are the same, byte for byte, whoever did the work.

    Args:
        of: the command that does the same as the typed one: `audit` for `plan`.
    """
    typed = iter(sys.argv[1:])
    kept = []
    for word in typed:
        if word in WORK:
            next(typed, None)
        elif word != "--json" and not word.startswith(tuple(f"{option}=" for option in WORK)):
            kept.append(word)
    return shlex.join(["mmaudit", *([of, *kept[1:]] if of else kept)])
