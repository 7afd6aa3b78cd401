"""`--help` teaches, and loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from helpers.cli_cases import Command
from mmaudit.cli import app

COMMANDS = [c.name or c.callback.__name__ for c in app.registered_commands]  # type: ignore[union-attr]


def test_every_command_of_the_issue_is_there() -> None:
    assert set(COMMANDS) >= {"audit", "score", "report", "doctor", "list", "demo"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(mmaudit: Command, command: str) -> None:
    done = mmaudit(command, "--help")
    assert done.code == 0
    assert "Usage: mmaudit" in done.out
    parameters = next(c for c in app.registered_commands if (c.name or c.callback.__name__) == command)  # type: ignore[union-attr]
    first = (parameters.callback.__doc__ or "").split()[:3]
    assert " ".join(first) in " ".join(done.out.split())


def test_the_front_page_names_all_commands_and_exit_codes(mmaudit: Command) -> None:
    done = mmaudit("--help")
    said = " ".join(done.out.replace("│", " ").split())
    assert done.code == 0
    assert all(command in said for command in COMMANDS)
    for code in ("0 done", "2 wrong input", "3 the model broke its contract", "4 the run folder is stale", "130"):
        assert code in said, code


HEAVY = ("torch", "captum", "netcal", "streamlit", "pandas", "sklearn", "scipy.stats", "numba", "pyarrow", "matplotlib")


@pytest.mark.parametrize("how", ["import mmaudit", "help"])
def test_a_fresh_process_loads_nothing_heavy(how: str) -> None:
    run = how if how != "help" else "sys.argv = ['mmaudit', '--help']; from mmaudit.cli import main; main()"
    loaded = f"json.dumps([m for m in {HEAVY!r} if m in sys.modules])"
    code = f"import atexit, json, sys\natexit.register(lambda: print({loaded}, file=sys.stderr))\n{run}"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    print(f"{how}: {time.perf_counter() - started:.2f} s")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.splitlines()[-1]) == []
