"""Whose answers are decomposed: cross-fitted predictors, of the truth or the decision, or the audited model itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmaudit.decomposition.predictors import Predictors, Subset
from mmaudit.decomposition.recalibrate import fitted_lines, recalibrated
from mmaudit.errors import Undefined
from mmaudit.information.crossfitted import DATA, DECISION, CrossFitted
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.positions import spread
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, BoolArray, Condition, FloatArray, IntArray, Task

FOLDS = 5
MOST_ROWS = 100_000


def of_crossfit(crossfitted: CrossFitted, of: str, task: Task, w: Resamples, seed: int | None = None) -> Predictors:
    """Return the predictors of the truth (`data`) or of the model's answer (`decision`).

    Args:
        crossfitted: out-of-fold posteriors.
        of: `data` or `decision`.
        task: what the target means.
        w: resamples of the crossfitted rows.
        seed: of one seed alone; None: the mean of the posteriors over the seeds, a predictor that says at least as
            much as these do on average.

    Raises:
        Undefined: with the reason, where there are none.
    """
    target = crossfitted.target if of == DATA else crossfitted.decision
    if target is None:
        raise Undefined(crossfitted.reasons.get(of, "there is no model whose answers could be predicted"))
    if of not in crossfitted.prior or not crossfitted.subsets(of):
        raise Undefined(crossfitted.reasons.get(of, f"no predictor of the {'truth' if of == DATA else of} was fitted"))
    chosen = slice(None) if seed is None else slice(seed, seed + 1)
    posterior = {s: crossfitted.get(of, s)[chosen].mean(axis=0) for s in crossfitted.subsets(of)}
    return Predictors(task.kind, target, crossfitted.prior[of], posterior, w, lambda s: _unfitted(crossfitted, of, s))


def _unfitted(crossfitted: CrossFitted, of: str, subset: Subset) -> str:
    try:
        crossfitted.get(of, subset)
    except Undefined as reason:
        return str(reason)
    return "no answer"


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that everything is worked out on, so that data and model are compared on the same samples.

    Attributes:
        positions: `int64[r]`, rows of the run.
        fold: `int64[r]`.
        w: resamples of these rows.
    """

    positions: IntArray
    fold: IntArray
    w: Resamples

    @classmethod
    def of(cls, run: Run, crossfitted: CrossFitted | None, w: Resamples) -> Rows:
        """The crossfitted rows; without these those that have all modalities, in folds of whole clusters.

        At most `MOST_ROWS` of them, spread evenly: more would make intervals of informations narrower than what
        recalibration leaves open, and take memory for every subset of each.
        """
        if crossfitted is not None:
            return cls(crossfitted.positions, crossfitted.fold, w.take(crossfitted.positions))
        present = np.ones(run.n, np.bool_)
        for there in run.samples.present.values():
            present &= there
        positions = spread(np.flatnonzero(present), MOST_ROWS)
        unit = w.unit[positions]
        key = np.array([0, 21], np.uint64)
        dealt = np.random.Generator(np.random.Philox(key=key)).permutation(len(w.counts)) % FOLDS
        if len(w.counts) == 1:  # plain weights: every row is its own
            dealt, unit = np.arange(len(positions)) % FOLDS, np.arange(len(positions))
        return cls(positions, dealt[unit].astype(np.int64), w.take(positions))


class ModelAnswers:
    """What the audited model's own answers hold about the truth, by missing baseline.

    v_model(S) is the information of its answers with S present and the rest replaced by the baseline's stand-in,
    recalibrated out of fold. A stand-in may lie far off the data: then the answers to few modalities are worse than a
    model trained for them would give, and what it uses together looks larger than it is.
    """

    def __init__(self, run: Run, rows: Rows) -> None:
        self.run = run
        self.rows = rows
        self.names = tuple(m.name for m in run.modalities)
        self.task = run.task
        self.clean = run.read(CLEAN).outputs[rows.positions]

    @property
    def baselines(self) -> tuple[str, ...]:
        """In the order of the plan."""
        found = {c.option("baseline"): None for c in self.run.conditions if c.probe == "missing"}
        return tuple(b for b in found if b is not None)

    def outputs(self, baseline: str) -> dict[Subset, Array]:
        """Stored outputs of the rows by the subset that was present, the complete one included."""
        found: dict[Subset, Array] = {self.names: self.clean}
        for condition in self.conditions(baseline):
            present = tuple(m for m in self.names if m not in condition.modalities)
            if present:
                found[present] = self.run.read(condition).outputs[self.rows.positions]
        return found

    def conditions(self, baseline: str) -> list[Condition]:
        """Missing conditions of this baseline, first draws."""
        return [
            c
            for c in self.run.conditions
            if c.probe == "missing" and c.option("baseline") == baseline and c.repeat == 0
        ]

    def wanted(self) -> set[Subset]:
        """Subsets that some estimate needs: single ones, pairs, all but one, all."""
        few = [s for size in (1, 2) for s in combinations(self.names, size)]
        rest = [tuple(n for n in self.names if n != m) for m in self.names]
        return {*few, *rest, self.names}

    def predictors(self, baseline: str) -> Predictors:
        """The model's recalibrated answers as predictors of the truth.

        Raises:
            Undefined: the model answered too few of these rows.
        """
        wanted = self.wanted()
        outputs = {s: x for s, x in self.outputs(baseline).items() if s in wanted}
        target = self.run.samples.target[self.rows.positions]
        usable = np.all([np.isfinite(x).all(axis=1) for x in outputs.values()], axis=0)
        if usable.sum() < 2 * FOLDS or len(np.unique(self.rows.fold[usable])) < 2:
            raise Undefined(f"the model answered {int(usable.sum())} of these samples under every condition")
        posterior: dict[Subset, FloatArray] = {}
        prior = np.full(self.clean.shape, np.nan)
        for subset, x in outputs.items():
            posterior[subset] = np.full(x.shape, np.nan)
            said, prior[usable] = _calibrated(self.task, x[usable], target[usable], self.rows.fold[usable])
            posterior[subset][usable] = said
        return Predictors(
            self.task.kind,
            target,
            prior,
            posterior,
            self.rows.w,
            lambda s: f"the run has no answers to {'+'.join(s)} alone with baseline {baseline!r}",
        )


def _calibrated(task: Task, outputs: Array, target: Array, fold: IntArray) -> tuple[FloatArray, FloatArray]:
    if task.kind == "classification":
        return recalibrated(outputs, target, fold, task.width)
    if task.kind == "regression":
        return fitted_lines(outputs, target, fold)
    said, prior = np.empty(outputs.shape), np.empty(outputs.shape)
    for j in range(task.width):
        z = np.stack([-outputs[:, j], outputs[:, j]], axis=1) / 2
        p, q = recalibrated(z, target[:, j].astype(np.int64), fold, 2)
        said[:, j], prior[:, j] = p[:, 1], q[:, 1]
    return said, prior


def best_of(candidates: Sequence[Predictors]) -> Predictors:
    """Return, subset by subset, the predictor that says most about the truth: cross-fitted, or the model's own.

    Compared on all rows, once; the replicates do not choose again. For every subset, single ones included: a model
    that has learned more than the cross-fitted predictors has learned more about each modality as well, and a better
    total over worse parts would look like synergy.

    Args:
        candidates: at least one, of the same rows; what the first does not answer is not looked at.
    """
    first = candidates[0]
    posterior: dict[Subset, FloatArray] = dict(first.posterior)
    for other in candidates[1:]:
        for subset in posterior:
            if subset in other.posterior:
                here = [_restricted(first, {subset: p}) for p in (posterior[subset], other.posterior[subset])]
                if all(p.questions for p in here) and _known(here[1], subset) > _known(here[0], subset):
                    posterior[subset] = other.posterior[subset]
    return _restricted(first, posterior)


def _known(predictors: Predictors, subset: Subset) -> float:
    return float(predictors.information(subset)[0])


def _restricted(like: Predictors, posterior: Mapping[Subset, FloatArray]) -> Predictors:
    return Predictors(like.kind, like.target, like.prior, posterior, like.w, like.why)


def of_decision(crossfitted: CrossFitted, names: Subset, task: Task, w: Resamples) -> Predictors:
    """Return the predictors of the model's own answer; where none was fitted from all modalities, the model itself.

    Its answer follows from all modalities, so the total is the entropy of its answers. Where a joint predictor was
    fitted it is used all the same: a total without error above parts with error would look like synergy.
    """
    found = of_crossfit(crossfitted, DECISION, task, w)
    if names in found.posterior or task.kind != "classification":
        return found
    known: BoolArray = found.target >= 0
    sure = np.where(known[:, None], np.eye(task.width)[np.maximum(found.target, 0)], np.nan)
    return _restricted(found, {**found.posterior, names: sure})
