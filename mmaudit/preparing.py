"""What happens before anything expensive: the model, the data and the suite are checked, and a plan is made."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from mmaudit.analyses import Subject
from mmaudit.batch_size import find_batch_rows
from mmaudit.budget import Budget
from mmaudit.data import Dataset, all_statistics, check
from mmaudit.data.statistics import ModalityStatistics
from mmaudit.equalise import equalise
from mmaudit.errors import BadInput, StaleRun
from mmaudit.execution import Job
from mmaudit.execution.staging import CHECK_ROWS, source_of, spread, staged
from mmaudit.folder import require_free, require_usable
from mmaudit.header import modality_to_json
from mmaudit.models import Model, Retriever, TwoStage, as_model
from mmaudit.models.check import Check, check_model, require
from mmaudit.models.gradient import gradient_reasons
from mmaudit.place import is_local, place
from mmaudit.plan import Plan, Suite, make_plan, require_names, wants_gradients
from mmaudit.predict import BATCH_ROWS, fitting_rows, shard_rows
from mmaudit.probes import Source
from mmaudit.probes.scale import Scale
from mmaudit.retrieval import Bank
from mmaudit.samples_file import Samples
from mmaudit.store import Run
from mmaudit.types import Condition, Modality, Task

__all__ = [
    "CHECK_ROWS",
    "AnySuite",
    "BatchRows",
    "Prepared",
    "data_fingerprints",
    "environment",
    "examine",
    "fingerprints",
    "prepare",
    "require_same",
    "spread",
    "staged",
]

BatchRows = int | Literal["auto"] | None
"""Most samples per forward pass: a number; "auto" for one that is found when a run begins; None for the usual."""

AnySuite = str | Suite | Sequence[str] | Mapping[str, Any]


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

    def job(self, run: Run) -> Job:
        """What workers in other processes need to answer the run's shards."""
        return Job(
            run.folder.absolute() if is_local(run.folder) else run.folder,
            self.data,
            self.model,
            self.model.fingerprint,
            self.source.statistics,
            self.stage is not None,
            fitting_rows(self.data, int(run.header["batch_rows"])),
        )

    def open_run(
        self,
        out: str | Path,
        *,
        batch_rows: BatchRows,
        title: str | None,
        command: str,
        keep_samples: int | None = None,
        budget: Budget | None = None,
    ) -> Run:
        """Open the run in `out` and add what its plan lacks, or start a new one.

        Without a budget every condition is planned on every sample, also those that an earlier one left out.

        Raises:
            StaleRun: the run there is of another model or data set, or has another version of a probe.
        """
        folder = place(out)
        if not (folder / "run.json").exists():
            if batch_rows == "auto":
                batch_rows = find_batch_rows(self.model, self.stage, self.data)
            header = self.header(batch_rows or BATCH_ROWS, title, command)
            given: dict[str, Any] = {} if keep_samples is None else {"keep_samples": keep_samples}
            limited = {"portions": [], "budget": budget.to_json()} if budget else {}
            return Run.create(folder, {**header, **given, **limited}, _samples(self.data))
        run = Run.open(folder)
        require_same(run, self.fingerprints())
        _require_same_probes(run, self.plan.conditions)
        run.restore(_samples(self.data))
        known = run.header["declined"]
        declined = known + [d for d in self.plan.declined_json if d not in known]
        suite = self.plan.suite.to_json()
        if budget:
            rounds = (run.header.get("budget") or {}).get("rounds", ())
            run.update(portions=[p.to_json() for p in run.portions], budget=budget.to_json(rounds))
        run.extend(self.plan.conditions, suite=suite, declined=declined, command=command or run.header["command"])
        rows = None if batch_rows == "auto" else batch_rows
        said = {"batch_rows": rows, "title": title, "keep_samples": keep_samples, **self._described(run.header)}
        if new := {name: value for name, value in said.items() if value not in (None, run.header.get(name))}:
            run.update(**new)
        if not budget and "portions" in run.header:
            run.grow([run.n] * len(run.conditions), budget=None)
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
            "checks": [c.to_json() for c in self.checks],
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
    batch_rows: BatchRows = None,
    beside: bool = False,
    statistics: Mapping[str, ModalityStatistics | None] | None = None,
) -> Prepared:
    """Check all that can be checked before the audit, and make the plan; see `audit` for arguments and errors.

    Args:
        model, data, suite, train, out, batch_rows: as for `audit`.
        beside: other processes may work on the run in `out` at the same time.
        statistics: of the data that stand-ins and noise use, where they are known already.
    """
    if out is not None:
        require_usable(place(out))
        if not beside:
            require_free(place(out))
    require_names(suite)
    checked = as_model(model)
    for given in (data,) if train is None else (data, train):
        check(given)
    require_names(suite, data.modalities, data.task)
    _require_fitting(checked, data.task)
    _require_resolved(data)
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
    if out is not None and (place(out) / "run.json").exists():
        run = Run.open(out)
        require_same(run, fingerprints(checked, data, train))
        _require_same_probes(run, plan.conditions)
    checks = check_model(checked, batch, data.task, data.modalities)
    require(checks)
    stage, stages = staged(checked, batch)
    if statistics is None:
        statistics = all_statistics(train if train is not None else data)
    source = source_of(data, statistics, checked)
    if plan.suite.severity_scale != "table":
        name, rows = plan.suite.severity_scale, batch_rows if isinstance(batch_rows, int) else BATCH_ROWS
        known = _known_scale(out, name)
        # Of a two-stage view the scale of embeddings asks for features only, which a retrieval model gives, too.
        encoders = cast(TwoStage, checked) if data.task.kind == "retrieval" else stage
        plan = make(scale=equalise(name, plan.conditions, source, encoders, batch_rows=rows, known=known))
    return Prepared(checked, data, plan, source, stage, stages, tuple(checks), train)


def _known_scale(out: str | Path | None, name: str) -> Scale | None:
    """What an earlier audit to the same folder found on a common scale of severities."""
    if out is None or not (place(out) / "run.json").exists():
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


def _require_resolved(data: Dataset) -> None:
    """Raise `BadInput` for a regression whose numbers are so large beside their spread that single precision blurs it.

    A model's answers are kept in single precision. Its steps may be a thousandth of the spread at most, which adds
    nothing that could be seen to an RMSE.
    """
    if data.task.kind != "regression":
        return
    target = np.asarray(data.target, np.float64).reshape(len(data), -1)
    for at, column in enumerate(target.T):
        largest = min(float(np.abs(column).max()), float(np.finfo(np.float32).max) / 2)
        step, sd = float(np.spacing(np.float32(largest))), float(column.std())
        if step > sd / 1000 > 0:
            which = f"target column {at}" if target.shape[1] > 1 else "the target"
            raise BadInput(
                f"{which} varies by {sd:.3g} around {column.mean():.6g}, where single precision, in which a "
                f"model's answers are kept, has steps of {step:.3g}; subtract a constant near {column.mean():.6g} from "
                "the target and from what the model returns."
            )


def fingerprints(model: Model, data: Dataset, train: Dataset | None) -> dict[str, str]:
    """What a run belongs to: model, data, and the data that statistics were taken from."""
    return {"model": model.fingerprint, **data_fingerprints(data, train)}


def data_fingerprints(data: Dataset, train: Dataset | None) -> dict[str, str]:
    """The part of it that can be told without the model."""
    return {
        "data": data.fingerprint,
        "training data": train.fingerprint if train is not None else "the audited data",
    }


def _other(what: str) -> str:
    return f"other {what} (or other ids, targets, groups or clusters)" if what.endswith("data") else f"another {what}"


def require_same(run: Run, now: Mapping[str, str]) -> None:
    """Raise `StaleRun` naming the first fingerprint in which a run differs."""
    for what, fingerprint in now.items():
        then = run.header["fingerprints"].get(what)
        if then != fingerprint:
            raise StaleRun(
                f"{run.folder} is a run with {_other(what)}: its fingerprint is {then}, now it is {fingerprint}. "
                "Give another out=…, or delete the folder."
            )


def _require_same_probes(run: Run, planned: Sequence[Condition]) -> None:
    """Raise `StaleRun` where a probe does something else than the run's of that name: both would read the same."""
    then = {c.probe: (c.version, c.option("definition")) for c in run.conditions}
    for condition in planned:
        version_then, defined_then = then.get(condition.probe, (condition.version, condition.option("definition")))
        if version_then != condition.version:
            changed = f"version {version_then} of {condition.probe!r}, which is version {condition.version} now"
        elif defined_then != condition.option("definition"):
            changed = f"{condition.probe!r} as its file described it before, which says otherwise now"
        else:
            continue
        raise StaleRun(
            f"{run.folder} has {changed}. Give another out=…, delete the folder, or name the probe otherwise."
        )


def _require_alike(read: Sequence[Modality], train: Dataset) -> None:
    """Raise `BadInput` unless the training data describes every modality as the audited data does."""
    known = {m.name: m for m in train.modalities}
    for modality in read:
        other = known.get(modality.name)
        if other is None:
            raise BadInput(f"train has no modality {modality.name!r}; it has {', '.join(map(repr, known))}.")
        for what in ("kind", "layout", "range", "categorical"):
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
    checks = check_model(checked, batch, data.task, data.modalities)
    if any(check.ok is False for check in checks):
        return checks, "not tried, as a check failed"
    return checks, staged(checked, batch)[1]


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
