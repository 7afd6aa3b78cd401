"""How much of the miscalibration would a simple repair remove? With netcal, fitted on one half, judged on the other.

Two questions per condition: does the repair fitted on complete data still hold here, and how good is one fitted on this
very condition? The difference is what one gains by recalibrating per missingness pattern.

netcal loads torch, so it is imported on first use.
"""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.special

from mmaudit.errors import UnknownName
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.inference import bound_of, interval
from mmaudit.metrics.calibration import binned_ece, calibrated_ece
from mmaudit.metrics.predictions import Graded, Predictions
from mmaudit.types import Array, FloatArray, IntArray

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Repair = Callable[[Predictions], FloatArray]
"""The map from predictions to repaired stated probabilities, in the order of `Graded`."""

Repairs = dict[tuple[str, int], Repair]
"""Per method, and half that it was not fitted on."""

Scope = Literal["complete data", "this condition"]
Estimate = tuple[float, float, float]

METHODS = ("temperature", "isotonic", "beta")
FARTHEST = 20.0  # between two logits that netcal is given: there a probability next to 1 still has eight digits

_netcal_lock = threading.Lock()  # pyro keeps its parameters, and warnings their filters, in global tables


@dataclass(frozen=True)
class Recalibration:
    """Effect of one repair on one condition.

    Attributes:
        method: `temperature` (Guo et al. 2017, on all class probabilities; multilabel: on each label's logit),
            `isotonic` (Zadrozny & Elkan 2002) or `beta` (Kull et al. 2017), both on the stated probabilities of
            `Graded`. None of them changes a prediction.
        fitted_on: `complete data` (clean predictions) or `this condition`.
        n: samples used.
        before, after: ECE (estimate, low, high) of these samples, 95 % bootstrap interval. `after` is a little too
            good, by 0.005 to 0.01 where simulated with 300 to 1,000 samples: what one half's repair overstates the
            other's understates, and in common bins that cancels.
        change: after − before, paired; negative is an improvement.
        floor: ECE that perfectly calibrated statements like the repaired ones would show: no repair can be seen to
            do better.
        reason: why `after`, `change` and `floor` are NaN; empty otherwise.
    """

    method: str
    fitted_on: Scope
    n: int
    before: Estimate
    after: Estimate
    change: Estimate
    floor: float
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a flat row: low and high are those of `ece_after`; NaN stays NaN."""
        return {
            "method": self.method,
            "fitted_on": self.fitted_on,
            "n": self.n,
            "ece_before": self.before[0],
            "ece_after": self.after[0],
            "low": self.after[1],
            "high": self.after[2],
            "change": self.change[0],
            "change_low": self.change[1],
            "change_high": self.change[2],
            "floor": self.floor,
            "reason": self.reason,
        }


def recalibrate(
    p: Predictions,
    w: Resamples,
    methods: tuple[str, ...] = METHODS,
    limit: int = 4000,
    seed: int = 0,
    fitted: Repairs | None = None,
) -> list[Recalibration]:
    """Return what each repair does to the ECE of a condition, 2-fold cross-fitted, for each method and scope.

    Units (samples, clusters) are split in two halves by Philox; each half's statements are repaired by a map fitted
    on the other half. So no truth that a repair has seen judges it, though clean and perturbed rows share samples.
    Deterministic. Without `p.clean` the repairs are fitted on `this condition` only.

    Args:
        p: classification or multilabel predictions.
        w: resamples of the same rows, for the intervals. The repair itself is not refitted in each replicate.
        methods: some of `METHODS`.
        limit: rows used at most, drawn at random; bounds the time.
        seed: of the drawing and splitting.
        fitted: repairs that were fitted on the same `p.clean`, limit and seed; missing ones are added. Half of the
            time of a condition goes into them.

    Raises:
        UnknownName: for an unknown method.
        BadInput: for a regression task.
    """
    for method in methods:
        if method not in METHODS:
            raise UnknownName("recalibration method", method, METHODS)
    if p.n > limit:
        rows = np.sort(np.argsort(_raw(p.n, seed, 1), kind="stable")[:limit])
        p, w = p.take(rows), w.take(rows)
    fold = _halves(w.unit, seed)
    sources: list[tuple[Scope, Predictions, Repairs]] = [("this condition", p, {})]
    if p.clean is not None:
        sources.insert(0, ("complete data", p.clean, {} if fitted is None else fitted))
    before = binned_ece(p.graded, Resamples.ones(p.n))[0], binned_ece(p.graded, w)
    return [
        _one(method, scope, source, p, w, fold, before, known) for scope, source, known in sources for method in methods
    ]


def _one(
    method: str,
    scope: Scope,
    source: Predictions,
    p: Predictions,
    w: Resamples,
    fold: IntArray,
    before: tuple[float, FloatArray],
    known: Repairs,
) -> Recalibration:
    nothing = (float("nan"),) * 3
    reason = _unfit(source, fold)
    if reason:
        return Recalibration(method, scope, p.n, _estimate(*before, w.units), nothing, nothing, float("nan"), reason)
    score = np.empty(len(p.graded.score))
    for half in (0, 1):
        if not (repair := known.get((method, half))):
            repair = known.setdefault((method, half), _fit(method, source.take(fold != half)))
        score[fold[p.graded.sample] == half] = repair(p.take(fold == half))
    g = Graded(np.clip(score, 0.0, 1.0), p.graded.outcome, p.graded.sample)
    ones = Resamples.ones(p.n)
    after = binned_ece(g, ones)[0], binned_ece(g, w)
    change = after[0] - before[0], after[1] - before[1]
    return Recalibration(
        method,
        scope,
        p.n,
        _estimate(*before, w.units),
        _estimate(*after, w.units),
        _estimate(*change, w.units, -1.0),
        float(calibrated_ece(g, ones)[0]),
    )


def _estimate(value: float, replicates: FloatArray, units: int, least: float = 0.0) -> Estimate:
    """A value with its interval; where no replicate differs, what a share that was not seen could do to it."""
    low, high = interval(replicates, value, (least, 1.0), units=units)
    if low == high:
        low, high = max(value - bound_of(units), least), min(value + bound_of(units), 1.0)
    return float(value), low, high


def _unfit(source: Predictions, fold: IntArray) -> str:
    """Say why a half cannot be fitted on; empty when both can."""
    if fold.min() == fold.max():
        return "too few independent samples to split in two halves"
    for half in (0, 1):
        outcome = source.graded.outcome[fold[source.graded.sample] == half]
        if outcome.min() == outcome.max():
            return f"every statement in one half is {'true' if outcome[0] else 'false'}; there is nothing to fit"
    return ""


def _fit(method: str, source: Predictions) -> Repair:
    if method == "temperature":
        return _fit_temperature(source)
    with _quiet_netcal():
        from netcal.binning import IsotonicRegression

        from mmaudit.metrics.repairs import BetaCalibration

        model: Any = {"isotonic": IsotonicRegression, "beta": BetaCalibration}[method]()
        model.fit(source.graded.score, source.graded.outcome)

    def repair(p: Predictions) -> FloatArray:
        with _quiet_netcal():
            return np.asarray(model.transform(p.graded.score), np.float64).reshape(-1)

    return repair


def _fit_temperature(source: Predictions) -> Repair:
    """What netcal multiplies logits by.

    It takes them from probabilities, in which those further apart than 36 are one: so it is given logits that are
    brought near enough, and what it finds is applied to logits as they are.
    """
    outputs = source.outputs.astype(np.float64)
    several = source.task.kind == "classification"
    farthest = (outputs.max(axis=1) - outputs.min(axis=1)).max() if several else np.abs(outputs).max()
    shrink = max(float(farthest) / FARTHEST, 1.0)
    with _quiet_netcal():
        from mmaudit.metrics.repairs import TemperatureScaling

        model: Any = TemperatureScaling()
        if several:
            probability = _softmax(outputs / shrink)
            # netcal wants one column for two classes.
            model.fit(probability[:, 1] if source.task.width == 2 else probability, source.target)
        else:
            model.fit(scipy.special.expit(outputs / shrink).ravel(), source.graded.outcome)
        factor = float(np.ravel(model.temperature)[0]) / shrink

    def repair(p: Predictions) -> FloatArray:
        logits = p.outputs.astype(np.float64) * factor
        if not several:
            return np.asarray(scipy.special.expit(logits)).ravel()
        return np.asarray(_softmax(logits)[np.arange(p.n), p.predicted])

    return repair


def _softmax(logits: FloatArray) -> FloatArray:
    return np.asarray(scipy.special.softmax(logits, axis=1))


@contextlib.contextmanager
def _quiet_netcal() -> Iterator[None]:
    """Use netcal alone, without what it and pyro say about themselves: a deprecation, and prints on absent classes."""
    # One thread: these are sums over a few thousand rows, where waking others takes longer than the work, and the
    # order of sums must not depend on the machine.
    with (
        _netcal_lock,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.filterwarnings("ignore", message="independent is deprecated", category=DeprecationWarning)
        with _pools().limit(limits=1):
            yield


@cache
def _pools() -> ThreadpoolController:
    """The thread pools that netcal's libraries bring along; finding them takes longer than a small fit."""
    import netcal.binning
    import netcal.scaling  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _halves(unit: IntArray, seed: int) -> IntArray:
    """Return 0 or 1 for each sample, the same within a unit, half of the units each."""
    present, place = np.unique(unit, return_inverse=True)
    half = np.empty(len(present), np.int64)
    half[np.argsort(_raw(len(present), seed, 2), kind="stable")] = np.arange(len(present)) % 2
    return half[place.reshape(unit.shape)]


def _raw(n: int, seed: int, purpose: int) -> Array:
    return np.random.Philox(key=np.array([seed, 2**63 + purpose], np.uint64)).random_raw(n)
