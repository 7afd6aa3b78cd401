"""What is said of label-free codes: two permutation tests, and BROJA on counts where there are enough samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from mmaudit.decomposition import names as called
from mmaudit.decomposition.predictors import Predictors
from mmaudit.decomposition.rows import Sides, Subset, clusters, row
from mmaudit.errors import Undefined
from mmaudit.estimates import Estimate, estimators
from mmaudit.information.o_information import o_information
from mmaudit.information.plug_in import plug_in
from mmaudit.information.posterior_pid import posterior_bins
from mmaudit.information.shuffles import Shuffled, joined, label_shuffle, within_class_shuffle
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.types import Array, IntArray, TaskKind

NO_CODES = "the run keeps no label-free codes of the modalities, which a shuffle needs to be exact"

REPLICATES = 500
O_BINS, O_SHUFFLES = 3, 49
PER_CELL = 2  # samples per cell below which entropies of counts are bias


def code_rows(
    codes: Mapping[str, IntArray], target: Array, kind: TaskKind, sides: Sides, w: Resamples
) -> Iterator[Estimate]:
    """Yield both shuffle tests and the plug-in synergy of two sides.

    Args:
        codes: by modality: `int[r]`, label-free.
        target: of the rows.
        kind: of the task; labels and numbers have no classes to shuffle within.
        sides: whose codes.
        w: resamples of the rows.
    """
    tests: tuple[tuple[str, Callable[..., Shuffled]], ...] = (
        (called.LABEL_SHUFFLE, label_shuffle),
        (called.WITHIN_CLASS, within_class_shuffle),
    )
    for name, test in tests:
        about = estimators.get(name)
        try:
            first, second = _codes(codes, kind, sides)
            found = test(first, second, target, cluster=clusters(w))
        except Undefined as undefined:
            yield Estimate(name, sides.modalities, sides.options, n=len(target), unit=about.unit, reason=str(undefined))
            continue
        yield Estimate(
            name,
            sides.modalities,
            sides.options,
            n=found.n,
            value=found.statistic,
            null=found.null,
            p=found.p,
            unit=about.unit,
            reason="a permutation test has no interval",
        )
    try:
        first, second = _codes(codes, kind, sides)
        counted = plug_in(first, second, target, _few(w))
    except Undefined as undefined:
        about = estimators.get(called.PLUG_IN)
        yield Estimate(
            called.PLUG_IN, sides.modalities, sides.options, n=len(target), unit=about.unit, reason=str(undefined)
        )
        return
    null = counted.null["synergy"]
    n = len(target)
    yield row(called.PLUG_IN, sides.modalities, sides.options, counted.synergy, n, units=w.units, null=null, test=True)


def _few(w: Resamples) -> Resamples:
    """The first of the replicates: a decomposition of counts in each takes a while."""
    return replace(w, counts=w.counts[:, :REPLICATES])


def _codes(codes: Mapping[str, IntArray], kind: TaskKind, sides: Sides) -> tuple[IntArray, IntArray]:
    if kind != "classification":
        raise Undefined("there are no classes to shuffle within")
    if lacking := [m for m in (*sides.first, *sides.second) if m not in codes]:
        raise Undefined(f"{NO_CODES} ({', '.join(lacking)})")
    first, second = (
        codes[side[0]] if len(side) == 1 else joined([codes[m] for m in side]) for side in (sides.first, sides.second)
    )
    return first, second


def o_information_row(predictors: Predictors, names: Subset) -> Estimate:
    """The balance of redundancy and synergy among what each modality says of the target, and the target itself.

    Classes: unimodal posteriors in `O_BINS` bins, and the class. Numbers: unimodal predictions and the target, by the
    Gaussian copula. What only shows in several modalities together (XOR) is not in unimodal predictions.
    """
    about = estimators.get(called.O_INFORMATION)
    n = predictors.rows
    try:
        predictors.require(*((m,) for m in names))
        if predictors.kind == "multilabel":
            raise Undefined("it is worked out for one target, and there are several labels")
        if predictors.kind == "regression" and predictors.target.shape[1] > 1:
            raise Undefined("it is worked out for one target, and there are several numbers")
        question = predictors.questions[0]
        said = [question.posterior[(m,)] for m in names]
        variables: list[Array] = [*said]
        if predictors.kind == "classification":
            variables = [posterior_bins(p, O_BINS) for p in said]
            needed = PER_CELL * O_BINS ** len(names) * len(set(question.target.tolist()))
            if len(question.target) < needed:
                raise Undefined(
                    f"tables of this many cells take {needed} samples, and there are {len(question.target)}"
                )
        found = o_information(
            [*variables, question.target],
            discrete=predictors.kind == "classification",
            shuffles=O_SHUFFLES,
            cluster=clusters(question.w),
        )
    except Undefined as undefined:
        return Estimate(called.O_INFORMATION, (), n=n, unit=about.unit, reason=str(undefined))
    return Estimate(
        called.O_INFORMATION,
        (),
        n=found.n,
        value=found.value,
        low=found.low,
        high=found.high,
        null=found.null,
        p=found.p,
        unit=about.unit,
        reason=found.reason,
    )
