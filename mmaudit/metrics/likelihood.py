"""Maximum likelihood for the maps that repair probabilities, by Newton's method.

Both losses are convex with few parameters, and their second derivatives cost no more than the loss itself: ten steps
find what a search by finite differences finds in hundreds of evaluations, and more exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import combinations

import numpy as np
import scipy.special

from mmaudit.types import FloatArray, IntArray

Derivatives = tuple[float, FloatArray, FloatArray]
"""Loss, gradient [k] and second derivatives [k, k]."""

FLAT = 1e-9  # gradient of a mean loss per row, in nats: what is left to gain there is below what a float can tell
MOST_STEPS = 60  # where true and false are told apart without an error, the loss falls for ever
MOST_HALVINGS = 40


def inverse_temperature(logits: FloatArray, target: IntArray) -> float:
    """Return the maximum-likelihood factor f of logits [n, classes]: least mean of −log softmax(f · logits)[target].

    Guo et al. (2017), eq. 9, with f = 1 / temperature; f is negative where the model is worse than the opposite of it.
    """
    rows = np.arange(len(logits))

    def derivatives(f: FloatArray) -> Derivatives:
        log_p = scipy.special.log_softmax(f * logits, axis=1)
        p = np.exp(log_p)
        mean = (p * logits).sum(axis=1)
        spread = (p * (logits - mean[:, None]) ** 2).sum(axis=1)
        gradient = (mean - logits[rows, target]).mean()
        return -log_p[rows, target].mean(), np.array([gradient]), np.array([[spread.mean()]])

    return float(_newton(derivatives, np.ones(1))[0])


def logistic_regression(x: FloatArray, outcome: IntArray, nonnegative: Collection[int] = ()) -> FloatArray:
    """Return the maximum-likelihood weights w [k] of x [n, k]: least mean log loss of expit(x · w), outcomes 0 or 1.

    Args:
        x: columns; one of ones makes its weight an intercept.
        outcome: 0 or 1 each.
        nonnegative: columns whose weight must not be below 0. The loss is convex: where the best of all has one
            below 0, the best allowed lies where some of them are 0.
    """
    found: list[tuple[float, FloatArray]] = []
    bounded = sorted(nonnegative)
    for zeros in (set(some) for size in range(len(bounded) + 1) for some in combinations(bounded, size)):
        free = [i for i in range(x.shape[1]) if i not in zeros]
        w = np.zeros(x.shape[1])
        w[free] = _unbounded(np.ascontiguousarray(x[:, free]), outcome)
        if (w[bounded] >= 0).all():
            found.append((_log_loss(x @ w, outcome), w))
            if not zeros:
                break
    return min(found, key=lambda one: one[0])[1]


def _unbounded(x: FloatArray, outcome: IntArray) -> FloatArray:
    def derivatives(w: FloatArray) -> Derivatives:
        z = x @ w
        p = scipy.special.expit(z)
        gradient = x.T @ (p - outcome) / len(x)
        return _log_loss(z, outcome), gradient, (x.T * (p * (1 - p))) @ x / len(x)

    return _newton(derivatives, np.zeros(x.shape[1]))


def _log_loss(z: FloatArray, outcome: IntArray) -> float:
    return float(-scipy.special.log_expit(np.where(outcome == 1, z, -z)).mean())


def _newton(derivatives: Callable[[FloatArray], Derivatives], w: FloatArray) -> FloatArray:
    """Return where a convex loss is least, or so far along a descent without end that nothing is left to gain."""
    loss, gradient, curvature = derivatives(w)
    for _ in range(MOST_STEPS):
        if np.abs(gradient).max(initial=0.0) <= FLAT:
            break
        # Columns that say the same leave a direction without curvature: nothing is to be gained along it.
        ridge = 1e-12 * np.trace(curvature) + np.finfo(np.float64).tiny
        step = -np.linalg.solve(curvature + ridge * np.eye(len(w)), gradient)
        for _ in range(MOST_HALVINGS):
            next_loss, next_gradient, next_curvature = derivatives(w + step)
            if next_loss < loss:
                break
            step = step / 2
        else:
            break
        w, loss, gradient, curvature = w + step, next_loss, next_gradient, next_curvature
    return w
