"""The command `mmaudit`. Heavy packages are imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import typer

from mmaudit.cli import cluster, compare, dashboard, gate, keep, predictions, report, runs, start, tools, training
from mmaudit.cli.application import app
from mmaudit.errors import ContractBroken, DamagedRun, MMAuditError, StaleRun, StorageFailed

__all__ = [
    "app",
    "cluster",
    "compare",
    "dashboard",
    "gate",
    "keep",
    "main",
    "predictions",
    "report",
    "runs",
    "start",
    "tools",
    "training",
]

_INTERRUPTED = "interrupted; run the same command again to go on."


def main() -> None:
    """Run the command; every error that mmaudit raises on purpose becomes one line and an exit code."""
    try:
        app(prog_name="mmaudit")
    except (StaleRun, DamagedRun, StorageFailed) as error:
        code, text = 4, str(error)
    except ContractBroken as error:
        code, text = 3, str(error) + _raised_in(error)
    except MMAuditError as error:
        code, text = 2, str(error) + _raised_in(error)
    except KeyboardInterrupt:
        code, text = 130, _INTERRUPTED
    except SystemExit as stopped:
        # Typer has turned an interrupt into this, and says nothing.
        if stopped.code != 130:
            raise
        code, text = 130, _INTERRUPTED
    else:
        return
    from mmaudit.formats import printable  # what a stranger's file holds must not steer a terminal

    typer.echo(f"mmaudit: {printable(text)}", err=True)
    sys.exit(code)


def _raised_in(error: BaseException) -> str:
    """Where in the user's own code an error began, ` (model.py, line 7, in make)`; empty where it began elsewhere.

    A message quotes what a model's code raised, and has no traceback to say where.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, MMAuditError):
        return ""
    installed = (str(Path(__file__).parents[1]) + os.sep, sys.prefix + os.sep, sys.base_prefix + os.sep, "<")
    own = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(installed)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name})" if own else ""
