"""Metrics: plain functions of arrays, with direction, unit and chance floor. NumPy and numba only."""

from mmaudit.metrics import arbitration, calibration, decision, ranking, regression, retrieval  # noqa: F401  (their decorators register)
from mmaudit.metrics.base import Metric, Predictions, Resamples, metric, metrics

__all__ = ["Metric", "Predictions", "Resamples", "metric", "metrics"]
