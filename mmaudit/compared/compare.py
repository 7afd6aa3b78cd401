"""Compare two or more runs from their stored answers: sample by sample where they hold the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from mmaudit.compared.numbers import judged
from mmaudit.compared.opening import opened, sides
from mmaudit.compared.pairs import Pair, paired_with
from mmaudit.compared.result import VALUE, Compared, Comparison, Measure
from mmaudit.errors import BadInput
from mmaudit.metrics import Metric
from mmaudit.metrics import metrics as registered
from mmaudit.metrics.primary import PRIMARY
from mmaudit.store import Run
from mmaudit.types import Condition, Task


def compare(
    *runs: str | Path | Run,
    metrics: Sequence[str] = (),
    groups: bool = True,
    margin: float | Mapping[str, float] = 0.0,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare runs with the first of them: what is worse, better or undecided, condition by condition.

    Needs the stored answers only: no model, no data set. Where two runs hold the same samples (the same ids with the
    same targets, in any order), each sample is compared with itself: one set of bootstrap resamples serves both runs
    and all conditions, clusters whole. Else the runs are resampled independently, and the comparison says why.

    Two quantities are compared per condition: the metric's `value`, and its `change` against the same run's clean
    value, which is the robustness. Controls are left out. A condition that only one of the runs has is listed with
    the reason.

    Args:
        runs: two or more run folders (or opened runs); the first is what the others are compared with.
        metrics: registered names of further metrics; the task's primary metric is always compared.
        groups: whether to compare the primary metric within each group of the runs' group columns, too: on clean data
            and with modalities missing or mismatched, the 20 largest groups of a column, at least 30 samples each.
        margin: differences up to this are no verdict. A number is for the primary metric, in its unit (a share: 0.01 is
            one percentage point); a mapping gives it by metric.
        resamples: bootstrap replicates, at least 2.
        seed: of the bootstrap.

    Returns:
        The comparison; its rows are ordered by other run, metric, quantity and condition, those of groups last.

    Raises:
        BadInput: fewer than two runs, the same run twice, another task or other classes, a model that answered nothing
            on clean data, or a number that is out of range.
        UnknownName: a metric that is not registered.
        DamagedRun: a run is not finished, or a file of it cannot be read.
        StaleRun: a run was written by a newer mmaudit.
    """
    if resamples < 2 or not 0 <= seed < 2**63:
        raise BadInput(f"a comparison needs resamples ≥ 2 and a seed in [0, 2⁶³); got {resamples} and {seed}.")
    whole = opened(runs)
    task = whole[0].task
    wanted = _metrics(task, metrics)
    margins = _margins(wanted, margin)
    named = sides(whole)
    pairs = paired_with(whole, named, resamples, seed)
    conditions = _conditions(whole)
    rows = judged([row for pair in pairs for row in _rows(pair, wanted, conditions, margins, groups)])
    means = judged([row for pair in pairs for row in pair.means(wanted[0], conditions, margins)])
    return Comparison(
        first=named[0],
        others=tuple(named[1:]),
        pairings=tuple(pair.pairing() for pair in pairs),
        task=task,
        measures=tuple(Measure(m.name, m.unit_of(task), m.better, margins[m.name], m.summary) for m in wanted),
        conditions=conditions,
        rows=tuple(rows),
        means=tuple(means),
        resamples=resamples,
        seed=seed,
        mmaudit=version("mmaudit"),
    )


def _metrics(task: Task, names: Sequence[str]) -> list[Metric]:
    """The metrics to compare, the primary one first; each once."""
    if isinstance(names, str):
        raise BadInput(f"metrics={names!r} is one text; give a list of names, such as [{names!r}].")
    found = [registered.get(name) for name in dict.fromkeys((PRIMARY[task.kind], *names))]
    for m in found:
        if task.kind not in m.tasks:
            raise BadInput(f"metric {m.name!r} is for {' and '.join(m.tasks)}; the runs are of {task.kind}.")
        if m.needs_rival:
            raise BadInput(f"metric {m.name!r} is about conflicts within one run; see its report, and compare another.")
    return found


def _margins(wanted: Sequence[Metric], margin: float | Mapping[str, float]) -> dict[str, float]:
    """The margin of every metric."""
    names = [m.name for m in wanted]
    given = dict(margin) if isinstance(margin, Mapping) else {names[0]: margin}
    if foreign := [name for name in given if name not in names]:
        raise BadInput(f"margin for {foreign[0]!r}, which is not compared; compared are {', '.join(names)}.")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise BadInput(
                f"margin {value!r} of {name!r} is not usable; give a number from 0 on, in the metric's unit."
            )
    return {name: float(given.get(name, 0.0)) for name in names}


def _conditions(runs: Sequence[Run]) -> tuple[Condition, ...]:
    """Every condition of any run but controls, clean first, in the order of the plans."""
    found = {c.key: c for run in runs for c in run.conditions if c.family != "control"}
    return tuple(sorted(found.values(), key=lambda c: c.family != "clean"))


def _rows(
    pair: Pair, wanted: Sequence[Metric], conditions: Sequence[Condition], margins: Mapping[str, float], groups: bool
) -> list[Compared]:
    """All rows of one of the other runs: by metric, quantity and condition; then those of groups."""
    found = pair.rows(wanted, conditions, margins, groups)
    by_metric = {m.name: i for i, m in enumerate(wanted)}
    place = {c.key: i for i, c in enumerate(conditions)}
    return sorted(
        found,
        key=lambda r: (bool(r.group), by_metric[r.metric], r.quantity != VALUE, place[r.condition]),
    )
