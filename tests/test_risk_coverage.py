"""The risk-coverage curve: closed forms, agreement with accuracy and AURC, intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest

from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.metrics.risk_coverage import COVERAGES, risk_coverage
from mmaudit.types import Task

TASK = Task.classification(["no", "yes"])


def answers(confidence: np.ndarray, right: np.ndarray) -> Predictions:
    """Two classes: `confidence` in [0.5, 1] of an answer that is right or not."""
    p = np.clip(confidence, 0.5 + 1e-9, 1 - 1e-9)
    logit = np.log(p / (1 - p))
    target = np.where(right, 1, 0)
    return Predictions(TASK, np.stack([np.zeros_like(logit), logit], axis=1).astype(np.float32), target)


def test_full_coverage_is_the_error_rate_and_the_mean_height_is_aurc() -> None:
    rng = np.random.default_rng(0)
    confidence = 0.5 + rng.random(4000) / 2
    p = answers(confidence, rng.random(4000) < confidence)
    w = Resamples.draw(4000, 50, 0, None)
    curve = risk_coverage(p, w, tuple(np.arange(1, 4001) / 4000))
    ones = Resamples.ones(4000)
    assert curve.risk[-1] == pytest.approx(1 - metrics.get("accuracy")(p, ones)[0])
    assert curve.risk.mean() == pytest.approx(metrics.get("aurc")(p, ones)[0])
    assert (curve.low <= curve.risk).all()
    assert (curve.risk <= curve.high).all()


def test_a_calibrated_model_has_the_closed_form_and_the_interval_covers_it() -> None:
    # Confidence uniform on [1/2, 1] and true: among the top share c it is on average 1 - c/4, so the risk is c/4.
    truth = np.array(COVERAGES) / 4
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        confidence = 0.5 + rng.random(800) / 2
        curve = risk_coverage(answers(confidence, rng.random(800) < confidence), Resamples.draw(800, 300, seed, None))
        inside.append((curve.low <= truth) & (truth <= curve.high))
    rate = np.mean(inside, axis=0)
    assert rate[2:].min() > 0.86, "600 draws: 93.5 to 99.2 %; 60 scatter by 3 points, together, as one curve does"
    assert 0.88 < rate[2:].mean() < 0.99
    assert np.array(inside)[:, :2].mean() > 0.85, "of 40 and 80 samples a percentile interval is a little narrow"


def test_no_error_among_the_most_confident_is_bounded_exactly() -> None:
    confidence = np.linspace(0.6, 0.99, 100)
    curve = risk_coverage(answers(confidence, confidence > 0.7), Resamples.draw(100, 200, 0, None), (0.1, 0.5))
    assert curve.risk.tolist() == [0.0, 0.0]
    assert curve.low.tolist() == [0.0, 0.0]
    assert curve.high.tolist() == pytest.approx([1 - 0.025 ** (1 / 10), 1 - 0.025 ** (1 / 50)])


def test_nothing_right_among_the_most_confident_is_bounded_exactly() -> None:
    confidence = np.linspace(0.6, 0.99, 100)
    curve = risk_coverage(answers(confidence, confidence < 0.7), Resamples.draw(100, 200, 0, None), (0.1, 0.5))
    assert curve.risk.tolist() == curve.high.tolist() == [1.0, 1.0]
    assert curve.low.tolist() == pytest.approx([0.025 ** (1 / 10), 0.025 ** (1 / 50)])


def test_equal_confidence_gives_a_flat_line() -> None:
    right = np.arange(40) % 4 > 0
    curve = risk_coverage(answers(np.full(40, 0.8), right), Resamples.draw(40, 20, 0, None))
    assert curve.risk == pytest.approx(np.full(len(COVERAGES), 0.25))
