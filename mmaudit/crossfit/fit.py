"""Cross-fitting: every row is answered by predictors that have not seen it, nor any row of its cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmaudit.crossfit.codes import coarse_codes
from mmaudit.crossfit.features import Features, read
from mmaudit.crossfit.folds import grouped_folds, strata, units
from mmaudit.crossfit.predictors import LEARNER, Predictors, Subset, subsets_of
from mmaudit.crossfit.samples import Questions, Samples, Table
from mmaudit.crossfit.targets import FEWEST, decisions, together, unfit
from mmaudit.data import Dataset
from mmaudit.errors import BadInput, Undefined
from mmaudit.information.crossfitted import DATA, DECISION, CrossFitted
from mmaudit.kernels.positions import spread
from mmaudit.models import TwoStage
from mmaudit.threads import over_rows
from mmaudit.types import Array, BoolArray, FloatArray, IntArray, Task

ROWS, FOLDS, SEEDS = 4000, 5, 3
FAR = 1_000_003  # between the seeds of repetitions
MOST_NUMBERS = 2**20  # posterior numbers kept per target and subset: fewer seeds where there are very many classes

Progress = Callable[[int, int], None]


def crossfit(
    data: Dataset,
    *,
    stage: TwoStage | None = None,
    model_answers: Array | None = None,
    rows: int = ROWS,
    folds: int = FOLDS,
    seeds: int = SEEDS,
    seed: int = 0,
    train_features: Mapping[str, Array] | None = None,
    progress: Progress | None = None,
) -> CrossFitted:
    """Predict the target, and the model's own answer, out of fold from every subset of the modalities.

    Subsets: singles, pairs, all but one, all; above six modalities no pairs. Everything that is learned
    (standardisation, principal components, learner, its penalty, calibration, stacking weights) is learned on the
    training folds alone. Deterministic, whatever the number of threads.

    Args:
        data: the samples; those with every modality recorded are used.
        stage: the model's two-stage view: its encoders' features are used where they are numbers. None: plain
            features of the inputs.
        model_answers: `[len(data), k]`, the model's clean outputs (logits or probabilities, logits of labels, values);
            NaN where it did not answer. None: there is no model, and only the truth is predicted.
        rows: at most so many samples, evenly spread.
        folds: at least 2; fewer where there are fewer clusters.
        seeds: repetitions of the whole with other folds and other random choices inside the predictors; fewer where
            there are very many classes.
        seed: of folds and predictors.
        train_features: by modality `[len(data), d]`, finite numbers to use instead of what would be read.
        progress: called with (fits done, in total).

    Raises:
        BadInput: an argument is not usable.
        Undefined: nothing can be fitted, neither for the truth nor for the decisions; says why.
    """
    if rows < FEWEST or folds < 2 or seeds < 1 or seed < 0:
        raise BadInput(
            f"crossfit got rows={rows}, folds={folds}, seeds={seeds}, seed={seed}; "
            f"it needs rows ≥ {FEWEST}, folds ≥ 2, seeds ≥ 1, seed ≥ 0."
        )
    data.task.require_outputs("synergy")
    answers = decisions(data.task, model_answers, len(data))
    positions = _positions(data, rows)
    unit = units(None if data.cluster is None else data.cluster[positions], len(positions))
    targets = {DATA: np.asarray(data.target)[positions]}
    if answers is not None:
        targets[DECISION] = answers[positions]
    reasons = {of: why for of, y in targets.items() if (why := unfit(of, y, unit))}
    if len(reasons) == len(targets):
        raise Undefined(reasons[DATA])
    found = _features(data, positions, stage, train_features)
    reasons |= found.reasons
    subsets = subsets_of([m.name for m in data.modalities])
    seeds = max(1, min(seeds, MOST_NUMBERS // (len(positions) * data.task.width)))
    spread_by = strata(targets[DATA])
    fold = np.stack([grouped_folds(unit, spread_by, folds, seed + FAR * s) for s in range(seeds)])
    posterior: dict[tuple[str, Subset], FloatArray] = {}
    prior: dict[str, FloatArray] = {}
    wanted = {of: y for of, y in targets.items() if of not in reasons}
    # A model that is never wrong decides the truth: one fit serves both.
    same = len(wanted) > 1 and np.array_equal(wanted[DATA], wanted[DECISION])
    groups = together({of: y for of, y in wanted.items() if not (same and of == DECISION)})
    counted = Counted(progress, seeds * (int(fold.max()) + 1) * len(groups))
    for usable, ofs in groups:
        samples = Samples(Questions(np.arange(len(unit)), found.tables), {of: targets[of] for of in ofs}, unit)
        job = OutOfFold(samples, subsets, fold, usable, data.task, seeds, seed, counted)
        job.run()
        posterior |= job.posterior
        prior |= job.prior
    if same:
        posterior |= {(DECISION, s): posterior[DATA, s] for s in subsets}
        prior[DECISION] = prior[DATA]
    about = {
        "task": data.task.kind,
        "rows": len(positions),
        "folds": int(fold.max()) + 1,
        "seeds": seeds,
        "seed": seed,
        "features": found.source,
        "width": {m: int(t.values.shape[1]) for m, t in found.tables.items()},
        "learner": LEARNER,
        "reasons": reasons,
    }
    codes = coarse_codes(found.tables, seed)
    ordered = {(of, s): posterior[of, s] for of in targets for s in subsets if (of, s) in posterior}
    decided = targets.get(DECISION)
    return CrossFitted(positions, fold[0], targets[DATA], decided, ordered, prior, about, fold, codes)


def _positions(data: Dataset, rows: int) -> IntArray:
    present = np.ones(len(data), np.bool_)
    for modality in data.modalities:
        present &= data.presence(modality.name)
    found = np.flatnonzero(present)
    if len(found) < FEWEST:
        raise Undefined(
            f"cross-fitting needs at least {FEWEST} samples with every modality recorded, and there are {len(found)}"
        )
    return spread(found, rows)


def _features(
    data: Dataset, positions: IntArray, stage: TwoStage | None, given: Mapping[str, Array] | None
) -> Features:
    names = [m.name for m in data.modalities]
    given = given or {}
    for name, values in given.items():
        x = np.asarray(values)
        if name not in names or x.ndim != 2 or len(x) != len(data) or not np.isfinite(x).all():
            raise BadInput(
                f"train_features[{name!r}] has shape {list(x.shape)}; expected finite numbers [{len(data)}, d] "
                f"for one of {', '.join(names)}."
            )
    found = read(data, positions, stage, skip=given)
    for name in given:
        found.tables[name] = Table.of([np.asarray(given[name])[positions]], [False])
        found.source[name] = "given"
    return found


class Counted:
    """Reports progress from several threads."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0
        self.lock = threading.Lock()

    def step(self) -> None:
        """One more fit is done."""
        with self.lock:
            self.done += 1
            if self.progress:
                self.progress(self.done, self.total)


class OutOfFold:
    """Targets that are known for the same rows, predicted fold by fold."""

    def __init__(
        self,
        samples: Samples,
        subsets: Sequence[Subset],
        fold: IntArray,
        usable: BoolArray,
        task: Task,
        seeds: int,
        seed: int,
        counted: Counted,
    ) -> None:
        self.samples, self.subsets, self.fold, self.usable = samples, subsets, fold, usable
        self.task, self.seeds, self.seed, self.counted = task, seeds, seed, counted
        # Labels and numbers are predicted column by column, and have no classes.
        self.options = {of: task.width if y.ndim == 1 else 0 for of, y in samples.answers.items()}
        shape = (seeds, fold.shape[1], task.width)
        self.posterior = {(of, s): np.full(shape, np.nan) for of in samples.answers for s in subsets}
        self.prior = {of: np.full(shape[1:], np.nan) for of in samples.answers}

    def run(self) -> None:
        """Fit and ask, on all cores."""
        from threadpoolctl import threadpool_limits

        tasks = [(s, f) for s in range(self.seeds) for f in range(int(self.fold[s].max()) + 1)]

        def work(start: int, end: int) -> None:
            for s, f in tasks[start:end]:
                self.one(s, f)
                self.counted.step()

        # One thread per fit: its sums are rounded in the same way whatever the number of cores.
        with threadpool_limits(1, "blas"):
            over_rows(work, len(tasks))

    def one(self, s: int, f: int) -> None:
        """One fold under one seed: fit on the other folds, ask about this one."""
        train = np.flatnonzero((self.fold[s] != f) & self.usable)
        test = np.flatnonzero((self.fold[s] == f) & self.usable)
        if not len(test):
            return
        predictors = Predictors(self.samples.take(train), self.subsets, self.options, (self.seed, s, f))
        for (of, subset), found in predictors.answer(self.samples.ask(test)).items():
            # As the file keeps them, so that a resumed audit goes on with the same numbers.
            kept = found if self.task.kind == "regression" else found.astype(np.float32)
            self.posterior[of, subset][s, test] = kept
        for of in self.prior if s == 0 else ():
            self.prior[of][test] = predictors.prior(of)
