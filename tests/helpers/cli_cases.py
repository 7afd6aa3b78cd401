"""The command in this process, and a folder with what it needs for an audit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import dataset
from mmaudit.cli import main

MODEL = '''
import numpy as np
import mmaudit

WORDS = ("red", "green", "blue")


def says(table, note):
    """Adds up the table and the words of the note."""
    counts = np.array([[text.split().count(word) for word in WORDS] for text in note], float)
    return (table + 0.7 * counts).sum(axis=1, keepdims=True)


def factory():
    return mmaudit.FunctionModel(says, ["table", "note"], outputs="values")


def restless():
    rng = np.random.default_rng(0)
    return mmaudit.FunctionModel(lambda table, note: rng.normal(size=(len(table), 1)), ["table", "note"],
                                 outputs="values", fingerprint="restless")


def impatient():
    def stops(table, note):
        raise KeyboardInterrupt
    return mmaudit.FunctionModel(stops, ["table", "note"], outputs="values")
'''
Command = Callable[..., "Done"]


class Done:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """What runs the command in this process, through the same entry point as the installed script."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["mmaudit", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "160")
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


def write_data(folder: Path, n: int = 200, seed: int = 0) -> Path:
    data = dataset("regression", n, seed=seed)
    batch = data.rows(np.arange(n))
    sites = np.array(["north", "south"])[np.arange(n) % 2]
    inputs = {"table": batch.inputs["table"], "note": np.array(batch.inputs["note"].tolist())}
    np.savez(folder / "data.npz", **inputs, target=data.target[:, 0], site=sites, visit=np.arange(n) // 2)
    return folder / "data.npz"


def make_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, its data, and a run of it to come."""
    # One name for every test: a module is only imported once.
    (tmp_path / "toy_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "toy_model", raising=False)
    write_data(tmp_path)
    return tmp_path


BASE = ("--data", "data.npz", "--task", "regression:mm", "--modality", "table=tabular", "--modality", "note=text")
AUDIT = ("audit", "--model", "toy_model:factory", *BASE, "--suite", "quick", "--resamples", "20")
