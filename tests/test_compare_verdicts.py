"""When a difference becomes a verdict, at the boundaries; and how often that is right on models of known truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.compare_cases import blur, two_models, write
from mmaudit import compare
from mmaudit.compared.numbers import judged, verdict
from mmaudit.compared.result import Compared
from mmaudit.types import CLEAN


@pytest.mark.parametrize(
    ("low", "high", "p", "expected"),
    [
        (0.02, 0.04, 0.05, "better"),
        (0.02, 0.04, 0.0501, "undecided"),
        (0.01, 0.04, 0.001, "undecided"),
        (-0.04, -0.01, 0.001, "undecided"),
        (-0.04, -0.0100001, 0.001, "worse"),
        (0.02, 0.04, float("nan"), "undecided"),
        (float("nan"), float("nan"), 0.001, "undecided"),
    ],
)
def test_a_verdict_needs_a_bound_beyond_the_margin_and_a_small_p(
    low: float, high: float, p: float, expected: str
) -> None:
    row = Compared(0, "b", "c", "c", "m", delta_low=low, delta_high=high, margin=0.01, better="higher")
    assert verdict(row, p) == expected
    turned = {"better": "worse", "worse": "better"}.get(expected, expected)
    assert verdict(replace(row, better="lower"), p) == turned
    assert verdict(replace(row, better="neither"), p) == "undecided"


def test_rows_without_p_are_not_counted() -> None:
    row = Compared(0, "b", "c", "c", "m", delta=-0.1, delta_low=-0.2, delta_high=-0.05, p=0.04, better="higher")
    alone = judged([row, *[replace(row, p=float("nan"))] * 9])
    crowded = judged([row, *[replace(row, p=0.9)] * 9])
    assert [alone[0].verdict, crowded[0].verdict] == ["worse", "undecided"]


def test_intervals_cover_the_truth_and_equal_models_are_rarely_told_apart(tmp_path: Path) -> None:
    repeats, covered, rows, claims = 40, 0, 0, 0
    plan = (CLEAN, *(blur(i) for i in range(1, 6)))
    for seed in range(repeats):
        worse = seed % 2
        accuracy = {"clean": (0.85, 0.85), "corruption": (0.75, 0.7 if worse else 0.75)}
        target, a, b = two_models(250, seed, accuracy, conditions=plan)
        folders = [write(tmp_path / f"{seed}{i}", target, x, conditions=plan) for i, x in enumerate((a, b))]
        found = compare(*folders, resamples=200, seed=seed, groups=False)
        truth = {CLEAN.key: 0.0, **{c.key: accuracy["corruption"][1] - 0.75 for c in plan[1:]}}
        for r in found.rows:
            rows += 1
            covered += r.delta_low <= truth[r.condition] <= r.delta_high
        claims += not worse and any(r.verdict != "undecided" for r in found.rows)
    # 440 intervals, those of a comparison correlated; benchmarks/compare_rates.py has ten times as many.
    assert 0.92 < covered / rows < 0.98
    assert claims <= 3  # of 20; at 5 % each, more than 3 have a chance of 1.6 %
