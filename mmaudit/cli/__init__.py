"""The command `mmaudit`. Heavy packages are imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import sys

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
        code, text = 3, str(error)
    except MMAuditError as error:
        code, text = 2, str(error)
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
