"""The whole family of synergy estimates, of a run or of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import scipy.special

from mmaudit.decomposition import names as called
from mmaudit.decomposition.divide import divided, spread_row
from mmaudit.decomposition.neighbours import ksg_rows
from mmaudit.decomposition.predictors import Predictors
from mmaudit.decomposition.rows import Sides, Subset, row
from mmaudit.decomposition.samples import (
    SampleTags,
    right_of,
    sample_rows,
    shortcut_rows,
    tags_or_reason,
)
from mmaudit.decomposition.shuffled import code_rows, o_information_row
from mmaudit.decomposition.sources import ModelAnswers, Rows, of_crossfit, of_decision
from mmaudit.decomposition.unused import unused_rows
from mmaudit.errors import Undefined
from mmaudit.estimates import Estimate
from mmaudit.information.crossfitted import DATA, DECISION, CrossFitted, read_crossfit
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.outputs import write_parquet
from mmaudit.store import Run
from mmaudit.types import FloatArray, Task

CROSSFIT_FILE = "crossfit.parquet"
TAGS_FILE = "tags.parquet"


def estimates(run: Run, w: Resamples) -> list[Estimate]:
    """Return every estimate of synergy of a run, and write its samples' tags to `tags.parquet`.

    Args:
        run: predicted; with `crossfit.parquet` where predictors were fitted.
        w: resamples of all samples of the run.

    Returns:
        Nothing where the run was not asked for synergy, or is one of retrieval. Else of = data: what the data offer;
        of = model, by missing baseline: what the model's own answers hold; of = decision: what predicts its answer;
        what it leaves unused; and per sample. NaN with a reason where something is missing.
    """
    if run.task.kind == "retrieval":
        return []
    crossfitted = read_crossfit(run.folder / CROSSFIT_FILE)
    reason = run.header.get("not_analysed", {}).get("synergy", "")
    if crossfitted is None and not reason:
        return []
    names = tuple(m.name for m in run.modalities)
    task, rows = run.task, Rows.of(run, crossfitted, w)
    answers = ModelAnswers(run, rows)
    found: list[Estimate] = []
    tags: SampleTags | str = reason
    data: Predictors | str = reason
    if crossfitted is None:
        found += _nothing(names, task, "data", reason) + _nothing(names, task, "decision", reason)
    else:
        found += of_data(crossfitted, names, task, rows.w)
        found += _decision(crossfitted, names, task, rows.w)
        data = _or_reason(crossfitted, task, rows.w)
        tags = tags_or_reason(crossfitted, names, task.kind)
    models: dict[str, Predictors] = {}
    for baseline in answers.baselines:
        try:
            models[baseline] = answers.predictors(baseline)
        except Undefined as undefined:
            found += _nothing(names, task, "model", str(undefined), baseline)
            continue
        found += divided(models[baseline], names, (("of", "model"), ("baseline", baseline)))
    if not answers.baselines:
        found += _nothing(names, task, "model", "the run has no answers with a modality missing")
    found += unused_rows(found, data, models, names)
    target = run.samples.target[rows.positions]
    found += sample_rows(tags, names, rows.w, right_of(task, answers.clean, target))
    found += _shortcuts(answers, tags)
    if isinstance(tags, SampleTags):
        write_parquet(run.folder / TAGS_FILE, tags.table())
    return found


def of_data(crossfitted: CrossFitted, modalities: Sequence[str], task: Task, w: Resamples) -> list[Estimate]:
    """Return what the data offer: informations, interval, atoms, tests, by pair and of each modality against the rest.

    Args:
        crossfitted: out-of-fold predictors of the truth.
        modalities: names in data set order.
        task: what the target means.
        w: resamples of the crossfitted rows (`w.take(crossfitted.positions)`).
    """
    names = tuple(modalities)
    options = (("of", DATA),)
    try:
        predictors = of_crossfit(crossfitted, DATA, task, w)
        seeds = _seeds(crossfitted, task)
    except Undefined as undefined:
        return _nothing(names, task, DATA, str(undefined))
    found = list(divided(predictors, names, options))
    for sides in Sides.every(names):
        found.append(spread_row(seeds, names, sides, options))
        found.append(_beyond(predictors, names, sides))
        found += code_rows(crossfitted.codes, crossfitted.target, task.kind, sides, w)
    found += ksg_rows(crossfitted, w)
    if len(names) > 2:
        found.append(o_information_row(predictors, names))
    return _with_test(found)


def _or_reason(crossfitted: CrossFitted, task: Task, w: Resamples) -> Predictors | str:
    try:
        return of_crossfit(crossfitted, DATA, task, w)
    except Undefined as undefined:
        return str(undefined)


def _seeds(crossfitted: CrossFitted, task: Task) -> list[Predictors]:
    """Predictors of each seed, without replicates."""
    count = min((len(p) for (of, _), p in crossfitted.posterior.items() if of == DATA), default=0)
    one = Resamples.ones(len(crossfitted))
    return [of_crossfit(crossfitted, DATA, task, one, seed) for seed in range(count)]


def _decision(crossfitted: CrossFitted, names: Subset, task: Task, w: Resamples) -> list[Estimate]:
    """What predicts the model's answer."""
    if crossfitted.decision is None:
        reason = crossfitted.reasons.get(DECISION, "no predictors of the model's answer were fitted")
        return _nothing(names, task, DECISION, reason)
    try:
        predictors = of_decision(crossfitted, names, task, w)
        total = predictors.entropy if task.kind != "regression" else None
    except Undefined as undefined:
        reason = str(undefined).replace("the target is", "the model's answer is")
        return _nothing(names, task, DECISION, reason)
    return list(divided(predictors, names, (("of", DECISION),), total))


def _beyond(predictors: Predictors, names: Subset, sides: Sides) -> Estimate:
    def values() -> FloatArray:
        return predictors.beyond_independence(sides.first, sides.second, sides.both(names))

    return row(
        called.BEYOND, sides.modalities, sides.options, values, predictors.rows, units=predictors.w.units, test=True
    )


def _with_test(found: list[Estimate]) -> list[Estimate]:
    """Synergy is only as certain as that there is any information: its p is the larger of both."""
    shuffled = {(e.modalities, e.option("against")): e.p for e in found if e.estimator == called.LABEL_SHUFFLE}
    out = []
    for e in found:
        p = shuffled.get((e.modalities, e.option("against")), np.nan)
        out.append(replace(e, p=float(np.fmax(e.p, p))) if e.estimator == called.SYNERGY and e.p == e.p else e)
    return out


def _nothing(names: Subset, task: Task, of: str, reason: str, baseline: str = "") -> list[Estimate]:
    """The same estimates without values: nothing was fitted, for this reason."""

    def why(subset: Subset) -> str:
        return reason

    target = np.zeros(0, np.int64) if task.kind == "classification" else np.zeros((0, task.width))
    empty = Predictors(task.kind, target, np.zeros((0, task.width)), {}, Resamples.ones(0), why)
    options = (("of", of), *((("baseline", baseline),) if baseline else ()))
    found = [e for e in divided(empty, names, options) if e.reason]
    return [replace(e, reason=reason) for e in found]


def _shortcuts(answers: ModelAnswers, tags: SampleTags | str) -> Iterator[Estimate]:
    """Confidence that stays without each modality."""
    member = tags if isinstance(tags, str) else tags.subset.majority if tags.subset is not None else "no classes"
    stated: dict[tuple[str, str], FloatArray | str] = {}
    for baseline in answers.baselines:
        for condition in answers.conditions(baseline):
            if len(condition.modalities) == 1:
                if answers.task.kind != "classification":
                    stated[condition.modalities[0], baseline] = "confidence is that of one class among several"
                    continue
                outputs = answers.run.read(condition).outputs[answers.rows.positions].astype(np.float64)
                stated[condition.modalities[0], baseline] = scipy.special.softmax(outputs, axis=1)
    yield from shortcut_rows(stated, member, answers.rows.w)
