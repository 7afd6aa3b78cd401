"""Targets of a run with a budget: each condition on some samples, its answers in several files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz.target import Ready, Target, replace
from fuzz.targets_run import _browsed, _compared, _opened, home
from helpers.big_run import CLASSES, MODALITIES, _answers, _header, _logits
from helpers.hostile_case import conditions
from mmaudit.budget import Budget
from mmaudit.samples_file import Samples
from mmaudit.store import Run

N, ROWS = 70, 16
POLICY = """[[require]]
name = "clean"
metric = "accuracy"
condition = "clean"
min = 0.1
"""
AGAINST = f"{POLICY}max_regression = 0.01\n"


def _made(folder: Path) -> Run:
    """A run of three rounds: every condition on 32 samples, some on 48, clean on all."""
    chosen, rng = conditions(), np.random.default_rng(0)
    target, ease = rng.integers(0, len(CLASSES), N), rng.normal(size=N).astype(np.float32)
    groups = {"site": np.array(["north", "east"])[rng.integers(0, 2, N)]}
    cluster = np.array([f"c{i // 3}" for i in range(N)])
    samples = Samples(
        np.arange(N) + 10_000, target, groups, cluster, {m.name: np.ones(N, np.bool_) for m in MODALITIES}
    )
    run = Run.create(folder, {**_header(chosen, N, ROWS), "portions": []}, samples)
    budget = Budget(forwards=1_000, seconds=60.0)
    run.grow([32] * len(chosen))
    run.grow([48, *([48] * 4), *([32] * (len(chosen) - 5))])
    run.grow([N, *run.counts[1:]], budget=budget.to_json([0.5, 0.25, 0.1]))
    clean = _logits(target, 0.9, ease, rng)
    for shard, portion in run.pieces():
        positions = run.shards(portion)[shard]
        run.write_shard(
            shard,
            portion,
            [_answers(c, positions, target, ease, clean, 0) for c in run.portions[portion].conditions],
        )
    return run


def _sound(scored: bool) -> Path:
    from mmaudit.assemble import report_json
    from mmaudit.report import Report
    from mmaudit.score import evidence, score

    folder = home() / ("budget-scored" if scored else "budget")
    if not folder.is_dir():
        partial = folder.with_suffix(f".{os.getpid()}.partial")
        run = _made(partial)
        if scored:
            score(run, only=["accuracy"], resamples=20)
            Report.from_json(report_json(run, evidence(run), [])).to_json(partial / "report.json")
        partial.rename(folder)
    return folder


def _of(file: str, read: Callable[[Path], object], *, scored: bool = False) -> Callable[[Path], Ready]:
    """Prepare a target: a sound run in `root/run/`, another one in `other/`, and `file` is the input."""

    def prepare(scratch: Path) -> Ready:
        folder = scratch / "root" / "run"
        shutil.copytree(_sound(scored), folder)
        shutil.copytree(_sound(scored), scratch / "other")
        for name, text in (("policy.toml", POLICY), ("against.toml", AGAINST)):
            (scratch / name).write_text(text, encoding="utf-8")
        path = sorted(folder.glob(file))[0]
        read(folder)  # compiled kernels are loaded now, which later would be an unpickling that an input causes
        return Ready(lambda data: (replace(path, data), read(folder)), (path.read_bytes(),))

    return prepare


def _read(folder: Path) -> None:
    """What is measured, and the answers as scoring takes them: none but those to samples that were measured."""
    run = Run.open(folder)
    _ = (run.counts, run.pieces(), run.order, run.portions)
    for condition in (run.conditions[0], run.conditions[2], run.conditions[-1]):
        found = run.read(condition)
        seen = np.ones(run.n, np.bool_) if found.measured is None else found.measured
        assert seen.sum() == run.count(condition)
        assert np.isnan(found.outputs[~seen]).all()
        run.received(condition)
    assert all(0 <= run.size(*piece) <= run.shard_rows for piece in run.pieces())
    list(run.lacking())


def _scored(folder: Path) -> None:
    """Scores that are numbers, or undefined with a reason."""
    from mmaudit.score import score

    found = score(Run.open(folder), only=["accuracy"], resamples=4)
    assert all(row.reason or np.isfinite(row.value) for row in found)


def _gated(folder: Path) -> None:
    from mmaudit.gate.judge import judge
    from mmaudit.gate.reading import read_policy

    judge(folder, read_policy(folder.parents[1] / "policy.toml"))


def _gated_against(folder: Path) -> None:
    from mmaudit.gate.judge import judge
    from mmaudit.gate.reading import read_policy

    policy = read_policy(folder.parents[1] / "against.toml")
    judge(folder.parents[1] / "other", policy, against=folder)


def _differences(folder: Path) -> None:
    from mmaudit.compared.compare import compare

    compare(folder.parents[1] / "other", folder, resamples=4)


TARGETS = (
    Target("budget/run.json/open", "json", _of("run.json", _opened)),
    Target("budget/run.json/read", "json", _of("run.json", _read), 0.2),
    Target("budget/run.json/browse", "json", _of("run.json", _browsed), 0.2),
    Target("budget/run.json/sides", "json", _of("run.json", _compared), 0.2),
    Target("budget/run.json/compare", "json", _of("run.json", _differences), 0.03),
    Target("budget/run.json/score", "json", _of("run.json", _scored), 0.03),
    Target("budget/run.json/gate", "json", _of("run.json", _gated, scored=True), 0.1),
    Target("budget/run.json/against", "json", _of("run.json", _gated_against, scored=True), 0.02),
    Target("budget/samples.parquet/read", "parquet", _of("samples.parquet", _read), 0.1),
    Target("budget/samples.parquet/browse", "parquet", _of("samples.parquet", _browsed), 0.1),
    Target("budget/samples.parquet/compare", "parquet", _of("samples.parquet", _differences), 0.03),
    Target("budget/samples.parquet/score", "parquet", _of("samples.parquet", _scored), 0.03),
    Target("budget/predictions/read", "parquet", _of("predictions/00000-*", _read), 0.1),
    Target("budget/predictions/browse", "parquet", _of("predictions/00000-*", _browsed), 0.1),
    Target("budget/predictions/compare", "parquet", _of("predictions/00000-*", _differences), 0.03),
    Target("budget/predictions/score", "parquet", _of("predictions/00000-*", _scored), 0.03),
)
