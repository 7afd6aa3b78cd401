"""`mmaudit doctor` without arguments: what is installed, what is missing and what for."""

from __future__ import annotations

import json
import os
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from mmaudit import environment
from mmaudit.cli import app
from mmaudit.environment import PURPOSES, Environment, Extra, Package, survey

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_extra_for_users_says_what_it_is_good_for() -> None:
    extras = set(PROJECT["optional-dependencies"]) - {"docs", "test"}
    assert set(PURPOSES) == extras


def test_what_is_installed_here() -> None:
    found = survey()
    assert found.mmaudit == metadata.version("mmaudit")
    assert not found.problems
    assert {p.name for p in found.packages} == {
        Requirement(text).name for text in metadata.requires("mmaudit") or [] if "extra ==" not in text
    }
    assert all(p.installed == metadata.version(p.name) for p in found.packages)
    assert found.devices[0] == "cpu"
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory is None or found.memory >= (found.available or 0) > 0


@pytest.mark.parametrize(
    ("needed", "installed", "ok"),
    [
        (">=1.19", "1.20.1", True),
        (">=1.19", "1.9", False),
        (">=3", None, False),
        ("", "0.1", True),
        (">=2", "2.1rc1", True),
    ],
)
def test_a_version_is_compared_as_pip_does(needed: str, installed: str | None, ok: bool) -> None:
    assert Package("x", needed, installed).ok is ok


def test_what_is_missing_is_said_with_the_command_that_adds_it() -> None:
    extra = Extra("onnx", PURPOSES["onnx"], (Package("onnxruntime", ">=1.19", None),))
    old = Package("numpy", ">=1.26", "1.20")
    found = Environment("0", "3.11.0", "Linux", (old,), (extra,), 2, 1, None, None, (), ())
    lines = found.lines()
    assert "note  extra onnx is missing (onnxruntime>=1.19): ONNX models; run: pip install 'mmaudit[onnx]'" in lines
    assert "FAIL  numpy 1.20, needed is >=1.26; run: pip install 'numpy>=1.26'" in lines
    assert any("nothing, it cannot be imported" in line for line in lines)
    assert json.loads(json.dumps(found.plain()))["extras"][0]["ok"] is False


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {environment._CGROUPS[0]: "1048576\n", "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   4096 kB\n"}
    monkeypatch.setattr(environment, "_text", lambda path: texts.get(path, ""))
    assert environment._memory() == (1048576, 1048576)
    texts[environment._CGROUPS[0]] = "max\n"
    assert environment._memory()[1] == 4096 * 1024


def test_the_command() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert "packages that mmaudit needs are installed" in done.output
    assert "torch computes on: cpu" in done.output
    found = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)
    assert found["problems"] == []
    assert {e["name"] for e in found["extras"]} <= set(PURPOSES)
