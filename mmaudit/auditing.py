"""The line, as code: check, plan, predict, score, find, show.

Not named audit.py: importing that module would hide the function `mmaudit.audit`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np

from mmaudit.analyses import Subject, analyse
from mmaudit.assemble import assemble
from mmaudit.data import Dataset, all_statistics, check
from mmaudit.equalise import equalise
from mmaudit.errors import BadInput, StaleRun
from mmaudit.findings.base import find
from mmaudit.folder import require_free, require_usable, writing
from mmaudit.gallery import write_gallery
from mmaudit.illustrate import illustrate, illustrate_synergy
from mmaudit.models import Differentiable, Model, Retriever, TwoStage, as_model
from mmaudit.models.check import Check, check_model, require
from mmaudit.models.gradient import gradient_reasons
from mmaudit.plan import Plan, Suite, make_plan, wants_gradients
from mmaudit.predict import BATCH_ROWS, FeatureMemo, Progress, predict, shard_rows
from mmaudit.probes import Source, probes
from mmaudit.probes.scale import Scale
from mmaudit.report import Report
from mmaudit.retrieval import Bank
from mmaudit.score import evidence, score
from mmaudit.store import Run, Samples, modality_to_json
from mmaudit.timing import Timing
from mmaudit.types import Batch, Condition, IntArray, Modality, Task

CHECK_ROWS = 32

AnySuite = str | Suite | Sequence[str] | Mapping[str, Any]


def audit(
    model: object,
    data: Dataset,
    *,
    out: str | Path,
    suite: AnySuite = "standard",
    train: Dataset | None = None,
    resamples: int = 1000,
    seed: int = 0,
    batch_rows: int | None = None,
    progress: Progress | None = None,
    title: str | None = None,
    command: str = "",
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
        batch_rows: most samples per forward pass; 256, or what the run was started with.
        progress: called with (answers done, answers planned).
        title: heads the report; the model's name without it.
        command: how to make the report again; shown in it.

    Returns:
        The report: `.findings`, `.scores`, `.to_html(path)`.

    Raises:
        BadInput: the data, an argument or the folder is not usable.
        ContractBroken: the model fails a check of `mmaudit doctor`.
        StaleRun: the folder holds a run of another model or data set.
        UnknownName: a probe or suite is not registered.
    """
    _require_whole("resamples", resamples, 1)
    _require_whole("seed", seed, 0)
    _require_whole("batch_rows", BATCH_ROWS if batch_rows is None else batch_rows, 1)
    prepared = prepare(model, data, suite=suite, train=train, out=out, batch_rows=batch_rows)
    with writing(out):
        run = prepared.open_run(out, batch_rows=batch_rows, title=title, command=command)
        timing = predict(
            run,
            data,
            prepared.model,
            prepared.source,
            stage=prepared.stage,
            batch_rows=int(run.header["batch_rows"]),
            progress=progress,
        )
        asked = prepared.subject(run)
        analyse(asked, prepared.plan.suite.analyses)
        score(run, resamples=resamples, seed=seed)
        cited = {e["condition"] for f in find(evidence(run)) for e in f.evidence}
        shown = [c for c in run.conditions if c.key in cited and c.modalities and c.family != "control"]
        illustrate(run, data, prepared.source, shown)
        illustrate_synergy(run, data)
        write_gallery(run.folder, data, prepared.source, run.conditions, f"{run.header['title']}: probes")
        return assemble(run, timing=timing)


def _require_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int | np.integer) or value < least:
        raise BadInput(f"{name}={value!r} is not usable; give a whole number of at least {least}.")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model, its data and a plan, checked and ready: all that happens before anything expensive."""

    model: Model
    data: Dataset
    plan: Plan
    source: Source
    stage: TwoStage | None
    stages: str
    checks: tuple[Check, ...]
    train: Dataset | None

    def subject(self, run: Run) -> Subject:
        """What analyses may look at."""
        return Subject(run, self.data, self.model, self.source, self.stage, int(run.header["batch_rows"]))

    def open_run(self, out: str | Path, *, batch_rows: int | None, title: str | None, command: str) -> Run:
        """Open the run in `out` and add what its plan lacks, or start a new one.

        Raises:
            StaleRun: the run there is of another model or data set; names what differs.
        """
        folder = Path(out)
        if not (folder / "run.json").exists():
            return Run.create(folder, self.header(batch_rows or BATCH_ROWS, title, command), _samples(self.data))
        run = Run.open(folder)
        require_same(run, self.fingerprints())
        run.restore(_samples(self.data))
        known = run.header["declined"]
        declined = known + [d for d in self.plan.declined_json if d not in known]
        suite = self.plan.suite.to_json()
        run.extend(self.plan.conditions, suite=suite, declined=declined, command=command or run.header["command"])
        said = {"batch_rows": batch_rows, "title": title, **self._described(run.header)}
        if new := {name: value for name, value in said.items() if value not in (None, run.header.get(name))}:
            run.update(**new)
        return run

    def _described(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """What scenarios do and what positions mean on a common scale, beside what an earlier audit wrote of them."""
        scenarios = {s["definition"]: s for s in (*known.get("scenarios", ()), *self.plan.scenarios)}
        scale = self.plan.scale
        scales = {**known.get("severity_scales", {}), **({scale.name: scale.to_json()} if scale else {})}
        return {"scenarios": list(scenarios.values()), "severity_scales": scales}

    def fingerprints(self) -> dict[str, str]:
        """What a run belongs to: model, data, and the data that statistics were taken from."""
        return fingerprints(self.model, self.data, self.train)

    def header(self, batch_rows: int, title: str | None, command: str) -> dict[str, Any]:
        """The first contents of run.json."""
        task = self.data.task
        return {
            "mmaudit": version("mmaudit"),
            "created": _now(),
            "title": title or f"Audit of {self.model.name}",
            "command": command,
            "fingerprints": self.fingerprints(),
            "model": {
                "name": self.model.name,
                "fingerprint": self.model.fingerprint,
                "outputs": self.model.outputs,
                "native_absence": self.model.native_absence,
                "stages": self.stages,
                "device": str(getattr(self.model, "device", "cpu")),
            },
            "data": {"n": len(self.data), "fingerprint": self.data.fingerprint, "train": self.train is not None},
            "task": task.to_json(),
            "modalities": [modality_to_json(m) for m in self.data.modalities],
            "suite": self.plan.suite.to_json(),
            "increments": [[c.to_json() for c in self.plan.conditions]],
            "declined": self.plan.declined_json,
            **self._described({}),
            "checks": [{"clause": c.clause, "ok": c.ok, "message": c.message} for c in self.checks],
            "batch_rows": batch_rows,
            "shard_rows": shard_rows(len(self.data), 4 * task.width * len(self.plan.conditions)),
            "environment": environment(),
        }


def prepare(
    model: object,
    data: Dataset,
    *,
    suite: AnySuite = "standard",
    train: Dataset | None = None,
    out: str | Path | None = None,
    batch_rows: int | None = None,
) -> Prepared:
    """Check all that can be checked before the audit, and make the plan; see `audit` for arguments and errors."""
    if out is not None:
        require_usable(Path(out))
        require_free(Path(out))
    checked = as_model(model)
    for given in (data,) if train is None else (data, train):
        check(given)
    _require_fitting(checked, data.task)
    names = data.task.names if data.task.kind == "retrieval" else checked.modalities
    read = tuple(m for m in data.modalities if m.name in names)
    if train is not None:
        _require_alike(read, train)
    batch = data.rows(spread(len(data), CHECK_ROWS))
    gradients = gradient_reasons(checked, batch, data.task) if wants_gradients(suite) else None
    incomplete = tuple(m.name for m in read if not data.presence(m.name).all())
    make = partial(
        make_plan,
        suite,
        read,
        data.task,
        native=checked.native_absence,
        incomplete=incomplete,
        n=len(data),
        longest=len(data) if data.cluster is None else int(np.unique(data.cluster, return_counts=True)[1].max()),
        gradients=gradients,
    )
    plan = make()
    if out is not None and (Path(out) / "run.json").exists():
        require_same(Run.open(out), fingerprints(checked, data, train))
    checks = check_model(checked, batch, data.task)
    require(checks)
    stage, stages = staged(checked, batch)
    statistics = all_statistics(train if train is not None else data)
    gradient = partial(checked.gradient, task=data.task) if isinstance(checked, Differentiable) else None
    source = Source(data, statistics, gradient)
    if plan.suite.severity_scale != "table":
        name, rows = plan.suite.severity_scale, batch_rows or BATCH_ROWS
        known = _known_scale(out, name)
        # Of a two-stage view the scale of embeddings asks for features only, which a retrieval model gives, too.
        encoders = cast(TwoStage, checked) if data.task.kind == "retrieval" else stage
        plan = make(scale=equalise(name, plan.conditions, source, encoders, batch_rows=rows, known=known))
    return Prepared(checked, data, plan, source, stage, stages, tuple(checks), train)


def _known_scale(out: str | Path | None, name: str) -> Scale | None:
    """What an earlier audit to the same folder found on a common scale of severities."""
    if out is None or not (Path(out) / "run.json").exists():
        return None
    found = Run.open(out).header.get("severity_scales", {}).get(name)
    return Scale.from_json(found) if found else None


def _require_fitting(model: Model, task: Task) -> None:
    """Raise `BadInput` unless a retrieval is asked of a model that retrieves, all else of one that predicts."""
    if task.kind == "retrieval" and not isinstance(model, Retriever):
        raise BadInput(
            f"the task is {task.said}, but model {model.name!r} does not score candidates; give its encoders to "
            "mmaudit.RetrievalModel({modality: encoder, …}, score='dot')."
        )
    if task.kind != "retrieval" and not hasattr(model, "predict"):
        raise BadInput(
            f"model {model.name!r} scores candidates, but the task is {task.kind}; give a retrieval, such as "
            "Task.retrieval(('image',), 'text')."
        )


def fingerprints(model: Model, data: Dataset, train: Dataset | None) -> dict[str, str]:
    """What a run belongs to: model, data, and the data that statistics were taken from."""
    taken_from = train.fingerprint if train is not None else "the audited data"
    return {"model": model.fingerprint, "data": data.fingerprint, "training data": taken_from}


def require_same(run: Run, now: Mapping[str, str]) -> None:
    """Raise `StaleRun` naming the first fingerprint in which a run differs."""
    for what, fingerprint in now.items():
        then = run.header["fingerprints"].get(what)
        if then != fingerprint:
            raise StaleRun(
                f"{run.folder} is a run with another {what}: its fingerprint is {then}, this one's is {fingerprint}. "
                "Give another out=…, or delete the folder."
            )


def _require_alike(read: Sequence[Modality], train: Dataset) -> None:
    """Raise `BadInput` unless the training data describes every modality as the audited data does."""
    known = {m.name: m for m in train.modalities}
    for modality in read:
        other = known.get(modality.name)
        if other is None:
            raise BadInput(f"train has no modality {modality.name!r}; it has {', '.join(map(repr, known))}.")
        for what in ("kind", "layout", "range"):
            here, there = getattr(modality, what), getattr(other, what)
            if here != there:
                raise BadInput(f"modality {modality.name!r}: {what} is {here} in data, but {there} in train.")
        if modality.shape != other.shape and not (modality.ragged or other.ragged):
            raise BadInput(
                f"modality {modality.name!r}: samples have shape {modality.shape} in data, but {other.shape} in train."
            )


def examine(model: object, data: Dataset) -> tuple[list[Check], str]:
    """Run the checks of `prepare` alone; return them and how the model's two stages were found, or why not."""
    checked = as_model(model)
    check(data)
    batch = data.rows(spread(len(data), CHECK_ROWS))
    checks = check_model(checked, batch, data.task)
    if any(check.ok is False for check in checks):
        return checks, "not tried, as a check failed"
    return checks, staged(checked, batch)[1]


def staged(model: Model, batch: Batch) -> tuple[TwoStage | None, str]:
    """Return the model's two-stage view, if it has one that proves itself on this batch, and how it came about."""
    if not hasattr(model, "predict"):
        return None, "encoders and a score of their features: each modality is encoded once for all that leave it alone"
    find_stage: Callable[[Batch], tuple[TwoStage | None, str]] | None = getattr(model, "stage", None)
    if find_stage is not None:
        return find_stage(batch)
    if isinstance(model, TwoStage):
        return model, "two-stage, as the model declares"
    return None, "run whole: the model offers no encode and fuse"


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
                (memo or prepared.model).predict(perturbed)
        seconds = time.perf_counter() - started
    passes = {"model": len(prepared.plan.conditions) * n}
    if prepared.stage:
        encoded = {f"{m} encoder": round(count / rows * n) for m, count in timing.encoded_rows.items()}
        passes = {**encoded, "fusion": round(timing.fused_rows / rows * n)}
    return Cost(len(prepared.plan.conditions), passes, seconds * n / rows)


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


def spread(n: int, count: int) -> IntArray:
    """At most `count` positions, evenly spaced over n samples."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.int64))


def environment() -> dict[str, str]:
    """Versions that numbers can depend on."""
    packages = ("numpy", "numba", "scipy", "torch", "scikit-learn", "netcal", "pyarrow")
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in packages if name != "torch" or "torch" in sys.modules},
    }


def _samples(data: Dataset) -> Samples:
    return Samples(
        ids=data.ids,
        target=Bank(data).truth if data.task.kind == "retrieval" else data.target,
        groups=data.groups,
        cluster=data.cluster,
        present={m.name: data.presence(m.name) for m in data.modalities},
    )


def _now() -> str:
    """UTC now, or the time that SOURCE_DATE_EPOCH states, for builds that must give the same bytes."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.isoformat(timespec="seconds")
