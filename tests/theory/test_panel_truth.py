"""Intervals over samples and seeds cover what they say; references like the audited model are not recommended."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from helpers.panel_runs import Remembered, World, blur, missing, remembered
from mmaudit.findings.reference import gains
from mmaudit.metrics import Resamples
from mmaudit.panel.intervals import both, draw_of, p_of
from mmaudit.panel.results import compare
from mmaudit.panel.values import VALUE
from mmaudit.types import CLEAN, FloatArray

N, B = 300, 200
PLAN = (CLEAN, missing("image"), missing("text"), blur(1), blur(5))
ACCURACY = {"clean": 0.85, "missing[image]": 0.6, "missing[text]": 0.75, "corruption": 0.7}
W = Resamples.draw(N, B, 0)


def seeds_of(rng: np.random.Generator, seeds: int, luck: float, share: float = 0.7) -> FloatArray:
    """Right answers of `seeds` trainings `[n, seeds]` whose accuracies scatter by `luck` around `share`."""
    difficulty, own = rng.normal(size=(N, 1)), rng.normal(size=(N, seeds))
    accuracy = share + luck * rng.normal(size=seeds)
    return np.asarray(np.sqrt(0.7) * difficulty + np.sqrt(0.3) * own < scipy.stats.norm.ppf(accuracy), np.float64)


def replicated(hits: FloatArray) -> FloatArray:
    """`float64[seeds, 1 + B]`: accuracy of each seed and its replicates."""
    return np.concatenate([hits.mean(axis=0)[:, None], (W.sums(hits)[0] / W.total)], axis=1)


@pytest.mark.parametrize(("seeds", "luck"), [(2, 0.03), (3, 0.0), (3, 0.03), (5, 0.02), (5, 0.08)])
def test_the_interval_covers_samples_and_seeds(seeds: int, luck: float) -> None:
    rng = np.random.default_rng([seeds, int(1000 * luck)])
    covered, small, narrow = 0, 0, 0
    many = 400
    for _ in range(many):
        each = replicated(seeds_of(rng, seeds, luck))
        mean, draws = each.mean(axis=0), [draw_of(each)]
        low, high = both(mean, draws)
        covered += low <= 0.7 <= high
        delta = mean - 0.7
        p = p_of(delta, draws)
        small += p <= 0.05
        plain = both(mean, [])
        narrow += plain[0] <= 0.7 <= plain[1]
        # p and interval are two views of one thing, up to percentiles against standard errors.
        assert (p < 0.02) <= (not low <= 0.7 <= high) or min(abs(low - 0.7), abs(high - 0.7)) < 0.01
    shares = [f"{x / many:.3f}" for x in (covered, small, narrow)]
    print(f"{seeds} seeds, luck {luck}: covered {shares[0]}, p ≤ 0.05 {shares[1]}, by the samples alone {shares[2]}")
    assert covered >= 0.92 * many
    assert small <= 0.08 * many
    if luck >= 0.08:
        assert narrow < 0.8 * many  # what leaving the seeds out would do


@pytest.mark.slow
def test_references_that_are_the_audited_model_again_are_not_recommended() -> None:
    """All are trainings of one method; the audited model is one of them, as lucky or unlucky as any."""
    worlds, false = 60, 0
    for number in range(worlds):
        world = World(400 + 20 * (number % 30), number, PLAN)

        def training(world: World = world) -> dict[str, FloatArray]:
            luck = 0.01 * world.rng.normal()
            return world.answers({k: v + luck for k, v in ACCURACY.items()}, own=0.3)

        audited = Remembered(world.target, training(), PLAN)
        references = [remembered(world, f"m{i}", [training() for _ in range(3)]) for i in range(5)]
        false += bool(gains(compare(audited, references, resamples=200)))
    print(f"recommended in {false} of {worlds}")
    assert false <= 0.02 * worlds


def test_a_real_gain_is_found() -> None:
    for number in range(4):
        world = World(800, number, PLAN)
        audited = Remembered(world.target, world.answers(ACCURACY, own=0.3), PLAN)
        better = {**ACCURACY, "missing[image]": 0.72}
        made = [world.answers({k: v + 0.01 * world.rng.normal() for k, v in better.items()}, own=0.3) for _ in range(5)]
        same = [world.answers(ACCURACY, own=0.3) for _ in range(5)]
        panel = compare(audited, [remembered(world, "good", made), remembered(world, "same", same)], resamples=200)
        found = gains(panel)
        assert [(g.method.name, g.row.place) for g in found] == [("good", "missing[image]")]
        row = panel.row("good", VALUE, "missing[image]")
        assert row.delta_low <= 0.12 <= row.delta_high
