"""An audit in shares, for schedulers: `plan` once, `work` many times beside each other, `merge` once.

    plan(model, data, out="runs/mine", suite="full")
    work(model, data, out="runs/mine", suite="full", share="3/8")      # on eight machines, 1/8 to 8/8
    merge(model, data, out="runs/mine", suite="full")

Nothing runs between the three, and the workers need to know nothing of each other: only the folder, or the store behind
a URL, that all of them reach. The run is the same, byte for byte, as that of one `audit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmaudit.auditing import audit
from mmaudit.data import Dataset
from mmaudit.errors import BadInput, StaleRun
from mmaudit.execution import AnswerShard, MakeBank, Worker
from mmaudit.execution.shares import Share, ranges, read_statistics, until_terminated, write_statistics
from mmaudit.folder import contributing, writing
from mmaudit.place import place
from mmaudit.predict import Progress, fitting_rows
from mmaudit.preparing import AnySuite, BatchRows, Prepared, prepare
from mmaudit.report import Report
from mmaudit.store import Run

__all__ = ["Planned", "Worked", "merge", "plan", "work"]


@dataclass(frozen=True)
class Planned:
    """What is to be done.

    Attributes:
        shards: in all; more shares than these have nothing to do.
        missing: that are still to be answered.
        conditions: that each is answered under.
    """

    shards: int
    missing: int
    conditions: int


@dataclass(frozen=True)
class Worked:
    """What a worker did.

    Attributes:
        share: of the run.
        answered: shards that it answered.
        before: shards of its share that were done already.
        left: shards of its share that are still to be answered, because it was asked to end.
    """

    share: Share
    answered: int
    before: int
    left: tuple[int, ...]


def plan(
    model: object,
    data: Dataset,
    *,
    out: str | Path,
    suite: AnySuite = "standard",
    train: Dataset | None = None,
    batch_rows: BatchRows = None,
    title: str | None = None,
    command: str = "",
    keep_samples: int | None = None,
) -> Planned:
    """Check model and data, write the run's plan to `out`, and answer nothing yet.

    Of a retrieval task the candidates' features are made here: every share needs all of them.

    Args:
        model, data, out, suite, train, batch_rows, title, command, keep_samples: as for `mmaudit.audit`.

    Raises:
        BadInput, ContractBroken, StaleRun, UnknownName: as `mmaudit.audit` does.
    """
    prepared = prepare(model, data, suite=suite, train=train, out=out, batch_rows=batch_rows)
    with writing(out):
        run = prepared.open_run(out, batch_rows=batch_rows, title=title, command=command, keep_samples=keep_samples)
        write_statistics(run, prepared.source.statistics)
        todo = list(run.lacking())
        if run.task.kind == "retrieval" and todo:
            worker = _worker(run, prepared)
            asked = {c.key: c for _, few in todo for i in few for c in run.portions[i].conditions}
            for condition in asked.values():
                if run.task.target_modality in condition.modalities:
                    MakeBank(condition.key, condition.label)(worker)
            _ = worker.border  # clean features, where no condition touches the target
        return Planned(len(run.shards()), len(todo), len(run.conditions))


def work(
    model: object,
    data: Dataset,
    *,
    out: str | Path,
    share: str | Share = "1/1",
    suite: AnySuite = "standard",
    train: Dataset | None = None,
    progress: Progress | None = None,
) -> Worked:
    """Answer a share of a planned run's shards, beside other workers; shards that are done are left as they are.

    On SIGTERM the shard at hand is finished and written, and no other begun: give a scheduler's grace period the time
    of one shard. Killed at any moment, nothing but the shard at hand is lost, and the same call goes on.

    Args:
        model, data, suite, train: as given to `plan`.
        out: the planned run.
        share: "i/n" with i from 1 to n; share i has every n-th shard from the i-th on.
        progress: called with (answers done, answers planned) of this share.

    Raises:
        BadInput: there is no planned run, or an audit holds its folder.
        StaleRun: the run is of another model, data set or plan.
        StorageFailed: the folder cannot be written now.
    """
    part = share if isinstance(share, Share) else Share.parse(share)
    run = Run.open(out)
    with contributing(run.folder), until_terminated() as stop:
        known = read_statistics(run)
        prepared = prepare(model, data, suite=suite, train=train, out=out, beside=True, statistics=known)
        _require_planned(run, prepared)
        mine = part.of(len(run.shards()))
        lacking = [(shard, todo) for shard, todo in run.lacking() if shard in mine]
        done, total = 0, sum(run.answers(*each) for each in lacking)

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            if progress:
                progress(done, total)

        worker = _worker(run, prepared, advance)
        left = list(lacking)
        while left and not stop:
            AnswerShard(*left[0])(worker)
            left.pop(0)
        return Worked(part, len(lacking) - len(left), len(mine) - len(lacking), tuple(shard for shard, _ in left))


def merge(model: object, data: Dataset, *, out: str | Path, suite: AnySuite = "standard", **more: Any) -> Report:
    """Make the report of a run whose shards are all answered; what is measured beside the conditions is measured now.

    Args:
        model, data, suite: as given to `plan`.
        out: the run.
        more: as for `mmaudit.audit`: train, resamples, seed, progress, jobs, ….

    Raises:
        BadInput: shards are missing; names them.
        StaleRun: the run is of another model, data set or plan.
    """
    run = Run.open(out)
    if lacking := sorted({shard for shard, _ in run.lacking()}):
        raise BadInput(
            f"{len(lacking)} of {len(run.shards())} shards of {place(out)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing: {ranges(lacking)}. Run "
            "`mmaudit work` again for the shares that they belong to (shard s is in share s mod n + 1), then merge."
        )
    return audit(model, data, out=out, suite=suite, **more)


def _worker(run: Run, prepared: Prepared, advance: Any = None) -> Worker:
    rows = fitting_rows(prepared.data, int(run.header["batch_rows"]))
    return Worker(run, prepared.data, prepared.model, prepared.source, prepared.stage, rows, advance)


def _require_planned(run: Run, prepared: Prepared) -> None:
    """Raise `StaleRun` where the suite has conditions that the run was not planned with."""
    known = {c.key for c in run.conditions}
    new: Sequence[str] = [c.label for c in prepared.plan.conditions if c.key not in known]
    if new:
        raise StaleRun(
            f"{run.folder} was planned without {', '.join(new[:3])}{' and others' if len(new) > 3 else ''}; give the "
            "same suite as to the plan, or plan again."
        )
