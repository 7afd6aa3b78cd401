"""The line, as code: check, plan, predict, score, find, show.

Not named audit.py: importing that module would hide the function `mmaudit.audit`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from mmaudit.analyses import analyse, leave_out
from mmaudit.assemble import assemble
from mmaudit.budget import Budget
from mmaudit.data import Dataset
from mmaudit.errors import BadInput
from mmaudit.execution import Executor, chosen
from mmaudit.folder import writing
from mmaudit.gallery import write_gallery
from mmaudit.illustrate import illustrate, illustrate_synergy, worth_showing
from mmaudit.keep import SAMPLES, forget, keep, require_count
from mmaudit.memo import FeatureMemo
from mmaudit.models import Retriever
from mmaudit.predict import BATCH_ROWS, Progress, predict
from mmaudit.preparing import CHECK_ROWS, AnySuite, BatchRows, Prepared, examine, prepare, require_same, spread, staged
from mmaudit.probes import Source, probes
from mmaudit.probes.proof import moved
from mmaudit.report import Report
from mmaudit.retrieval import Bank
from mmaudit.score import evidence, score
from mmaudit.spending import require_room, spend
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import Batch, BoolArray, Condition

# What happens before the line lies in a module of its own and is part of this one for those who import it.
__all__ = [
    "CHECK_ROWS",
    "AnySuite",
    "Cost",
    "Prepared",
    "audit",
    "estimate",
    "examine",
    "prepare",
    "require_same",
    "require_settings",
    "spread",
    "staged",
]


def audit(
    model: object,
    data: Dataset,
    *,
    out: str | Path,
    suite: AnySuite = "standard",
    train: Dataset | None = None,
    resamples: int = 1000,
    seed: int = 0,
    batch_rows: BatchRows = None,
    progress: Progress | None = None,
    title: str | None = None,
    command: str = "",
    keep_samples: int | None = None,
    jobs: int = 1,
    executor: str | Executor | None = None,
    budget: str | float | None = None,
    forwards: int | None = None,
) -> Report:
    """Audit a model on a data set and return the report; everything behind it lies in the folder `out`.

    Calling it again on the same folder finishes what is missing, or adds the conditions of a larger suite; nothing is
    computed twice.

    Args:
        model: a `Model`, e.g. `mmaudit.TorchModel(module, ["image", "text"], outputs="logits")`.
        data: a `Dataset`, e.g. `mmaudit.ArrayData({"image": …, "text": …}, target, task)`.
        out: the run folder: absent, empty, or an earlier run of the same model on the same data.
        suite: "quick", "standard", "full", a `Suite`, a list of probe names, or a table of `Suite`'s fields.
        train: the model's training data, for the means and deviations that stand-ins and noise use; without it the
            audited data's own are used, and the report says so.
        resamples: bootstrap replicates.
        seed: of the bootstrap; probes draw by condition and sample id and need none.
        batch_rows: most samples per forward pass; 256, or what the run was started with. "auto": a new run takes what
            is fastest on its device, found by trying; an earlier run keeps its own.
        progress: called with (answers done, answers planned).
        title: heads the report; the model's name without it.
        command: how to make the report again; shown in it.
        keep_samples: of how many samples the run keeps inputs, original and perturbed, to be looked at without the
            data; 48, or what the run was started with. 0 keeps none anywhere in the run folder, for private data: no
            examples and no gallery either.
        jobs: how many processes answer shards; -1: one per core. The run is the same with any number.
        executor: "inprocess", "loky" (processes of this machine), "ray" (a Ray cluster), or an executor with options
            of its own, such as `mmaudit.execution.Ray(workers=8, gpus=0.5)`. None: by `jobs`.
        budget: most time that answers may take, such as "10m" or seconds; scoring and report come on top. Every
            condition gets a few samples, and the rest goes where the intervals are widest; the report says what was
            left out. Analyses that ask the model once more are left out, too. The same call goes on where it stopped;
            one without a budget measures the rest.
        forwards: the same as a number of answers, samples × conditions; with both, whichever ends first.

    Returns:
        The report: `.findings`, `.scores`, `.to_html(path)`.

    Raises:
        BadInput: the data, an argument or the folder is not usable.
        ContractBroken: the model fails a check of `mmaudit doctor`.
        StaleRun: the folder holds a run of another model or data set.
        UnknownName: a probe or suite is not registered.
    """
    limit = require_settings(
        resamples=resamples,
        seed=seed,
        batch_rows=batch_rows,
        keep_samples=keep_samples,
        budget=budget,
        forwards=forwards,
    )
    way = chosen(executor, jobs)
    prepared = prepare(model, data, suite=suite, train=train, out=out, batch_rows=batch_rows)
    if limit:
        require_room(limit, out, prepared.plan, data)
    with writing(out):
        run = prepared.open_run(
            out, batch_rows=batch_rows, title=title, command=command, keep_samples=keep_samples, budget=limit
        )
        # What is to be measured anyway is asked of the same workers, which have the model already.
        with contextlib.nullcontext() if way.own_process else way.crew(prepared.job(run)) as crew:

            def answers(told: Progress | None, first: int = 0) -> Timing:
                rows = int(run.header["batch_rows"])
                return predict(
                    run,
                    data,
                    prepared.model,
                    prepared.source,
                    stage=prepared.stage,
                    batch_rows=rows,
                    progress=told,
                    crew=crew,
                    first=first,
                )

            analyses = prepared.plan.suite.analyses
            if limit:
                timing = spend(run, limit, answers, progress)
                leave_out(run, analyses)
            else:
                timing = answers(progress)
                analyse(prepared.subject(run), analyses, crew)
        score(run, resamples=resamples, seed=seed)
        show(run, prepared)
        return assemble(run, timing=timing)


def require_settings(
    *,
    resamples: int = 1000,
    seed: int = 0,
    batch_rows: BatchRows = None,
    keep_samples: int | None = None,
    budget: str | float | None = None,
    forwards: int | None = None,
) -> Budget | None:
    """Check those arguments of `audit` that need neither model nor data, and return the budget, if there is one.

    Raises:
        BadInput: one of them is not usable.
    """
    _require_whole("resamples", resamples, 1)
    _require_whole("seed", seed, 0)
    if batch_rows != "auto":
        _require_whole("batch_rows", BATCH_ROWS if batch_rows is None else batch_rows, 1, ', or "auto"')
    require_count("keep_samples", keep_samples)
    return Budget.given(budget, forwards)


def show(run: Run, prepared: Prepared) -> None:
    """Write what shows inputs of samples, or take it away where the run is to hold none."""
    count = int(run.header.get("keep_samples", SAMPLES))
    if not count:
        forget(run.folder)
        return
    data, source = prepared.data, prepared.source
    illustrate(run, data, source, worth_showing(evidence(run)))
    illustrate_synergy(run, data)
    write_gallery(run.folder, data, source, run.conditions, f"{run.header['title']}: probes")
    keep(run, data, source, count)


def _require_whole(name: str, value: object, least: int, otherwise: str = "") -> None:
    if not isinstance(value, int | np.integer) or value < least:
        raise BadInput(f"{name}={value!r:.200} is not usable; give a whole number of at least {least}{otherwise}.")


@dataclass(frozen=True)
class Cost:
    """What an audit would cost.

    Attributes:
        conditions: how many, `clean` included.
        passes: samples through each part of the model: per modality's encoder and "fusion", or "model".
        seconds: estimated from two small batches on this machine; scoring and report are not included.
    """

    conditions: int
    passes: Mapping[str, int]
    seconds: float


def estimate(prepared: Prepared) -> Cost:
    """Run every condition on two small batches and extrapolate; the first batch warms up and is not counted."""
    if prepared.data.task.kind == "retrieval":
        return _retrieval_cost(prepared)
    n, timing = len(prepared.data), Timing()
    seconds = 0.0
    rows = min(CHECK_ROWS, n)
    for _ in range(2):
        batch = prepared.data.rows(spread(n, rows))
        timing = Timing()
        memo = FeatureMemo(prepared.stage, prepared.model.modalities, batch, timing) if prepared.stage else None
        started = time.perf_counter()
        for condition in prepared.plan.conditions:
            perturbed = batch
            if condition.family != "clean":
                perturbed = probes.get(condition.probe).apply(batch, condition, prepared.source)
            # A model that raises here is a finding of the audit, not a reason to say nothing of its cost.
            with contextlib.suppress(Exception):
                if memo:
                    memo.predict(perturbed, _changed(prepared.source, batch, perturbed, condition))
                else:
                    prepared.model.predict(perturbed)
        seconds = time.perf_counter() - started
    passes = {"model": len(prepared.plan.conditions) * n}
    if prepared.stage:
        encoded = {f"{m} encoder": round(count / rows * n) for m, count in timing.encoded_rows.items()}
        passes = {**encoded, "fusion": round(timing.fused_rows / rows * n)}
    return Cost(len(prepared.plan.conditions), passes, seconds * n / rows)


def _changed(source: Source, clean: Batch, batch: Batch, condition: Condition) -> dict[str, BoolArray] | None:
    """The rows of each modality that a condition changed, of which alone encodings are made anew; None for controls."""
    if condition.family == "control":
        return None
    found = {}
    for name, before in clean.inputs.items():
        found[name] = clean.present[name] != batch.present[name]
        if batch.inputs[name] is not before:
            found[name] |= moved(before, batch.inputs[name], source.modality(name), source.statistics[name])[0]
    return found


def _retrieval_cost(prepared: Prepared) -> Cost:
    """The same for a retrieval: what a condition touches is encoded, and every query scored against the whole bank."""
    data, task = prepared.data, prepared.data.task
    model = cast(Retriever, prepared.model)
    n, rows = len(data), min(CHECK_ROWS, len(data))
    batch = data.rows(spread(n, rows))
    passes: dict[str, int] = {}

    def encode(condition: Condition, name: str) -> Any:
        clean = condition.family == "clean"
        changed = batch if clean else probes.get(condition.probe).apply(batch, condition, prepared.source)
        passes[f"{name} encoder"] = passes.get(f"{name} encoder", 0) + n
        return model.encode(name, changed)

    features = {m: encode(prepared.plan.conditions[0], m) for m in task.names}
    passes.clear()
    started = time.perf_counter()
    for condition in prepared.plan.conditions:
        for name in task.names if condition.family == "clean" else condition.modalities:
            with contextlib.suppress(Exception):  # as in `estimate`
                encode(condition, name)
    encoding = (time.perf_counter() - started) * n / rows
    query, present = {m: features[m] for m in task.query}, {m: batch.present[m] for m in task.query}
    started = time.perf_counter()
    model.scores(query, features[task.target_modality], present)
    pairs = float(Bank(data).counts[:, 0].sum()) * len(prepared.plan.conditions)
    return Cost(len(prepared.plan.conditions), passes, encoding + (time.perf_counter() - started) * pairs / rows / rows)
