"""Random search over a method's hyper-parameters, within the ranges that its source gives."""

from __future__ import annotations

from math import exp, log

import torch

from mmaudit.reference.base import Hyper, Method
from mmaudit.reference.draws import generator
from mmaudit.reference.trained import Trial


def trials_of(method: Method, count: int, seed: int = 0) -> list[Trial]:
    """Return `count` trials of one training seed: the method's defaults, then random draws of what is searched.

    Draws are uniform in each range, or in its logarithm, independent of each other and the same in every call
    (random search: Bergstra & Bengio 2012). A method that searches nothing gets one trial.

    Args:
        method: whose ranges to draw from.
        count: trials, at least 1.
        seed: training seed of all of them.
    """
    searched = {name: h for name, h in method.hyper.items() if h.searched}
    trials = [Trial(seed, {})]
    for number in range(1, count if searched else 1):
        numbers = torch.rand(len(searched), generator=generator("search", method.name, number), dtype=torch.float64)
        trials.append(
            Trial(seed, {name: _at(h, float(u)) for (name, h), u in zip(searched.items(), numbers, strict=True)})
        )
    return trials


def _at(hyper: Hyper, share: float) -> float:
    """The value at a share of the range."""
    assert hyper.low is not None
    assert hyper.high is not None
    if hyper.log:
        return exp(log(hyper.low) + share * (log(hyper.high) - log(hyper.low)))
    return hyper.low + share * (hyper.high - hyper.low)
