"""netcal's parametric repairs, fitted exactly: its data, its parameters and its application, another search.

netcal searches by finite differences through pyro, 3 to 11 ms a fit; there are eight such fits per condition.
Imported by the function that needs it only: netcal loads torch.
"""

from __future__ import annotations

from typing import Any

import netcal.scaling
import numpy as np

from mmaudit.metrics.likelihood import inverse_temperature, logistic_regression


class TemperatureScaling(netcal.scaling.TemperatureScaling):  # type: ignore[misc]
    """Guo et al. (2017), on binary or class probabilities."""

    def convex(self, data: Any, y: Any, tensorboard: bool, log_dir: str | None) -> None:
        """Fit the factor of the logits (torch tensors, as netcal prepares them)."""
        logits, target = data.numpy(), y.numpy().astype(np.int64)
        if self._is_binary_classification():
            factor = logistic_regression(logits, target)
        else:
            factor = np.array([inverse_temperature(logits, target)])
        self._sites["weights"]["values"] = factor


class BetaCalibration(netcal.scaling.BetaCalibration):  # type: ignore[misc]
    """Kull et al. (2017), on binary probabilities: expit(a log p − b log(1 − p) + c) with a, b ≥ 0."""

    def convex(self, data: Any, y: Any, tensorboard: bool, log_dir: str | None) -> None:
        """Fit a, b and c."""
        x = np.column_stack([data.numpy(), np.ones(len(data))])
        *weights, bias = logistic_regression(x, y.numpy(), nonnegative=(0, 1))
        self._sites["weights"]["values"] = np.array(weights)
        self._sites["bias"]["values"] = np.array([bias])
