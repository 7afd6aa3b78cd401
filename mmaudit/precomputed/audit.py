"""From a table of answers to a report."""

from __future__ import annotations

import difflib
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from mmaudit.analyses import analyse
from mmaudit.answering import Answerer, to_logits
from mmaudit.assemble import assemble
from mmaudit.auditing import show
from mmaudit.data import Dataset
from mmaudit.errors import BadInput, StaleRun
from mmaudit.folder import require_free, require_usable, writing
from mmaudit.models import Outputs
from mmaudit.outputs import ConditionOutputs, joined
from mmaudit.place import place
from mmaudit.plan import ANALYSES, Plan, Suite, as_suite
from mmaudit.precomputed.answers import Answers
from mmaudit.precomputed.manifest import Manifest
from mmaudit.precomputed.model import STAGES, PrecomputedModel, checks
from mmaudit.precomputed.planned import planned, source_of
from mmaudit.predict import BATCH_ROWS, Progress, fitting_rows
from mmaudit.preparing import Prepared, data_fingerprints, require_same
from mmaudit.probes import Declined, scenario
from mmaudit.report import Report
from mmaudit.score import score
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import Array, Batch, Condition, IntArray

# Answers up to this size are held in memory, larger ones in a file that is gone afterwards.
_IN_MEMORY = 2**30


def audit_predictions(
    answers: Any,
    data: Dataset,
    *,
    outputs: Outputs | None = None,
    out: str | Path,
    inputs: str | Path | None = None,
    train: Dataset | None = None,
    name: str = "precomputed answers",
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
    title: str | None = None,
    command: str = "",
    keep_samples: int | None = None,
    analyses: Sequence[str] | None = None,
) -> Report:
    """Audit a table of answers and return the report; the model is not needed.

    What the table does not have is not reported as measured: conditions that were written but not answered are listed
    as declined, and analyses that would ask the model more are left out, with the reason. A larger table of the same
    model adds its conditions to the same run folder.

    Args:
        answers: a data frame, the path of a Parquet or CSV file, a folder of such files, or several paths; columns
            `id`, `condition` and the outputs, as `mmaudit.precomputed.answers` describes. `clean` has to be among the
            conditions; alone it is enough.
        data: the data set whose inputs were answered.
        outputs: `"logits"`, `"probabilities"` or `"values"`: the scale of the answers. Has to be said.
        out: the run folder: absent, empty, or an earlier run of the same model on the same data.
        inputs: the folder that `write_inputs` wrote to, which says what its conditions are. Without it the labels are
            those of the suites quick, standard and full.
        train: training data, as it was given to `write_inputs`.
        name: of the model, shown in the report.
        resamples, seed, progress, title, command, keep_samples: as for `audit`.
        analyses: what is measured beside the conditions, of `mmaudit.plan.ANALYSES`; by default what the suite of
            `inputs` names, all without it.

    Raises:
        BadInput: the table, the data or the folder is not usable: no clean answers, samples without one, samples that
            are answered twice, another number of outputs than the task has, a condition that nobody knows, …
        StaleRun: the folder holds a run of other answers or other data; or `inputs` was written from other data.
    """
    require_usable(place(out))
    require_free(place(out))
    source = source_of(data, train)
    table = Answers(answers, data.task)
    manifest = None if inputs is None else Manifest.open(inputs)
    plan = _plan(table.labels(), data, manifest, data_fingerprints(data, train), analyses)
    with _held(table, plan.named, data) as held:
        native = any(c.option("baseline") == "native" for c in plan.plan.conditions)
        clean = plan.plan.conditions[0].key
        model = PrecomputedModel(name, [m.name for m in data.modalities], outputs, held, clean, native)
        found = tuple(checks(model, data.task))
        prepared = Prepared(model, data, plan.plan, source, None, STAGES, found, train)
        if (place(out) / "run.json").exists():
            _require_unchanged(Run.open(out), model, prepared.fingerprints())
        with writing(out):
            run = prepared.open_run(out, batch_rows=None, title=title, command=command, keep_samples=keep_samples)
            timing = _answer(run, prepared, model, progress)
            analyse(prepared.subject(run), prepared.plan.suite.analyses)
            score(run, resamples=resamples, seed=seed)
            show(run, prepared)
            return assemble(run, timing=timing)


class _Planned:
    """A plan, and what the table calls its conditions."""

    def __init__(self, plan: Plan, named: Mapping[str, Condition]) -> None:
        self.plan = plan
        self.named = named


def _plan(
    labels: Sequence[str],
    data: Dataset,
    manifest: Manifest | None,
    fingerprints: Mapping[str, str],
    analyses: Sequence[str] | None,
) -> _Planned:
    """The conditions that the table answers, and as declined those that were to be answered and were not."""
    suite: Suite | None = None
    declined: tuple[Declined, ...] = ()
    if manifest is None:
        plans = [planned(data, suite, native=True) for suite in ("full", "standard", "quick")]
        order = [c for plan in plans for c in plan.conditions]
        scenarios = plans[0].scenarios
        advice = "Those of a suite of your own are known from the folder that write_inputs wrote: say inputs=."
    else:
        _require_inputs_of(manifest, fingerprints)
        order = list(manifest.conditions)
        suite = as_suite(dict(manifest.content["suite"]))
        declined = tuple(Declined(*each) for each in manifest.declined)
        scenarios = tuple(manifest.content.get("scenarios", ()))
        advice = f"The conditions are those in {manifest.folder}."
        # Scenarios of the user's own are known once their files are read.
        scenario.load(suite.scenarios)
    known = {name: c for c in reversed(order) for name in (c.key, c.label)}
    named: dict[str, Condition] = {}
    for label in labels:
        if label not in known:
            near = difflib.get_close_matches(label[:200], [c.label for c in order], n=1)
            guess = f"; did you mean {near[0]!r}?" if near else "."
            raise BadInput(f"the table names a condition {label[:200]!r} that is not known{guess} {advice}")
        if known[label] in named.values():
            raise BadInput(f"the table names the condition {known[label].label!r} twice, by label and by key; use one.")
        named[label] = known[label]
    answered = {c.key for c in named.values()}
    clean = order[0]
    if clean.key not in answered:
        raise BadInput("the table has no answers to clean inputs (condition 'clean'), which all else is compared with.")
    conditions = tuple({c.key: c for c in order if c.key in answered}.values())
    if suite is None:
        suite = Suite("precomputed", tuple({c.probe: None for c in conditions[1:]}), analyses=tuple(ANALYSES))
    elif left := [c for c in order if c.key not in answered]:
        declined += tuple(_unanswered(left))
    if analyses is not None:
        suite = replace(suite, analyses=tuple(analyses))
    definitions = {c.option("definition") for c in conditions}
    described = tuple(s for s in scenarios if s["definition"] in definitions)
    return _Planned(Plan(suite, conditions, declined, None, described), named)


def _unanswered(left: Sequence[Condition]) -> Iterator[Declined]:
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for condition in left:
        groups.setdefault((condition.probe, condition.modalities), []).append(condition.label)
    for (probe, modalities), labels in groups.items():
        more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
        yield Declined(probe, modalities, f"the table has no answers under {', '.join(labels[:3])}{more}")


def _require_inputs_of(manifest: Manifest, fingerprints: Mapping[str, str]) -> None:
    for what, fingerprint in fingerprints.items():
        then = manifest.content["fingerprints"].get(what)
        if then != fingerprint:
            raise StaleRun(
                f"the inputs in {manifest.folder} were written from other {what}: its fingerprint is {then}, now it is "
                f"{fingerprint}. Give the data they were written from, or write them again."
            )


@contextmanager
def _held(table: Answers, named: Mapping[str, Condition], data: Dataset) -> Iterator[dict[str, Any]]:
    """All answers by condition, checked, in the order of the data set."""
    size = (len(named), len(data), data.task.width)
    with tempfile.TemporaryFile() as file:
        held: Array = (
            np.empty(size, np.float32)
            if 4 * math.prod(size) <= _IN_MEMORY
            else np.memmap(file, np.float32, "w+", shape=size)
        )
        for i, label in enumerate(named):
            held[i] = table.read(label, data.ids)
        yield {condition.key: held[i] for i, condition in enumerate(named.values())}


def _require_unchanged(run: Run, model: PrecomputedModel, fingerprints: Mapping[str, str]) -> None:
    """Raise `StaleRun` where the run holds other answers under a condition than the table."""
    require_same(run, fingerprints)
    for condition in run.conditions:
        if condition.key not in model.answers or not _whole(run, condition):
            continue
        if not np.array_equal(run.read(condition).outputs, _logits(model, condition, run), equal_nan=True):
            raise StaleRun(
                f"{run.folder} holds other answers under {condition.label} than the table; give another out=…, or "
                "delete the folder."
            )
    if lacking := [c.label for c in run.conditions if c.key not in model.answers and not _whole(run, c)]:
        raise BadInput(f"{run.folder} is not finished, and the table no longer has {lacking[0]}; give the whole table.")


def _whole(run: Run, condition: Condition) -> bool:
    return all(run.is_done(shard, i) for shard, i in run.pieces() if condition in run.portions[i].conditions)


def _logits(model: PrecomputedModel, condition: Condition, run: Run) -> Array:
    rows = np.asarray(model.answers[condition.key])
    usable = np.asarray(np.isfinite(rows).all(axis=1))
    logits = to_logits(np.where(usable[:, None], rows, 0), model.outputs, run.task)
    logits[~usable] = np.nan
    return logits


def _answer(run: Run, prepared: Prepared, model: PrecomputedModel, progress: Progress | None) -> Timing:
    """Write the shards that the run does not have; as `predict` does, one condition of a batch at a time."""
    timing, started = Timing(), time.perf_counter()
    latest = cast(Dataset, _Latest(prepared.data))
    worker = Answerer(run, model, None, prepared.source, timing)
    rows = fitting_rows(prepared.data, BATCH_ROWS)
    total, done = run.n * len(run.conditions), 0

    def under(positions: IntArray, condition: Condition) -> ConditionOutputs:
        nonlocal done
        with model.under(condition):
            (found,) = worker.shard(latest, positions, [condition], rows, lambda _: None)
        done += len(positions)
        if progress:
            progress(done, total)
        return found

    for shard, i in run.pieces():
        positions, conditions = run.shards(i)[shard], run.portions[i].conditions
        if run.is_done(shard, i):
            done += len(positions) * len(conditions)
        else:
            run.write_shard(shard, i, _by_batch(positions, conditions, rows, under))
    timing.total = time.perf_counter() - started
    return timing


def _by_batch(
    positions: IntArray,
    conditions: Sequence[Condition],
    rows: int,
    under: Callable[[IntArray, Condition], ConditionOutputs],
) -> list[ConditionOutputs]:
    """Answers under each condition; batch by batch, so that each is read once for all conditions."""
    batches = [positions[start : start + rows] for start in range(0, len(positions), rows)]
    parts = [[under(batch, condition) for condition in conditions] for batch in batches]
    return [joined(part) for part in zip(*parts, strict=True)]


class _Latest:
    """A data set that has its latest rows at hand when they are asked for again."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._rows: tuple[bytes, Batch] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def __len__(self) -> int:
        return len(self._data)

    def rows(self, positions: IntArray) -> Batch:
        """As the data set's."""
        key = positions.tobytes()
        if self._rows is None or self._rows[0] != key:
            self._rows = key, self._data.rows(positions)
        return self._rows[1]
