"""Which samples of a run are worth looking at: those that conditions damage most, and some drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmaudit.browse.judging import judge_of
from mmaudit.outputs import ConditionOutputs
from mmaudit.randomness import id_keys, stream_key, uniforms
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Condition, FloatArray, IntArray, Task

RANDOM_SHARE = 0.25
_BLOCK = 2**16


@dataclass(frozen=True)
class Chosen:
    """A sample to keep: its position, why, and the condition that chose it (None where none did)."""

    position: int
    why: str
    condition: Condition | None = None


@dataclass(frozen=True, eq=False)
class Damage:
    """What one condition did: the mean damage of all samples, and the samples that it damaged most, gravest first."""

    condition: Condition
    mean: float
    worst: IntArray


def choose(run: Run, count: int, asked: Sequence[int] = ()) -> tuple[list[Chosen], list[Condition]]:
    """Return the samples to keep, and the run's perturbed conditions, worst first.

    Three quarters of `count` are damaged most: the sets of modalities take turns, in each set the conditions by their
    mean damage, and each takes the sample it damaged most among those not taken yet. The rest, and what the first part
    leaves over, are drawn by the digest of their id, so that the same samples are drawn whatever the order of the data.
    The samples `asked` for (positions) come first, beyond `count`.

    The predictions are read once, one condition at a time. The same run gives the same choice.

    Raises:
        DamagedRun: predictions are missing or cannot be read.
    """
    keys = uniforms(stream_key("kept samples", ""), id_keys(run.samples.ids))
    chosen = {position: Chosen(position, "asked for") for position in asked}
    worst = min(count, run.n) - int(min(count, run.n) * RANDOM_SHARE)
    found = _damages(run, keys, worst + len(chosen))
    ranked = _in_turns(found)
    limit, places = len(chosen) + worst, dict.fromkeys(range(len(ranked)), 0)
    while len(chosen) < limit and places:
        for i in list(places):
            candidates = ranked[i].worst
            while places[i] < len(candidates) and int(candidates[places[i]]) in chosen:
                places[i] += 1
            if places[i] == len(candidates):
                del places[i]
            elif len(chosen) < limit:
                position, condition = int(candidates[places[i]]), ranked[i].condition
                chosen[position] = Chosen(position, f"damaged by {condition.label}", condition)
    limit = min(len(asked) + count, run.n)
    for position in np.argsort(keys, kind="stable")[: limit + len(chosen)].tolist():
        if len(chosen) >= limit:
            break
        chosen.setdefault(position, Chosen(position, "drawn at random"))
    controls = [c for c in run.conditions if c.family == "control"]
    return list(chosen.values()), [d.condition for d in ranked] + controls


def worth(task: Task, outputs: Array, target: Array, ids: Array) -> FloatArray:
    """Return `float64[n]`, what each answer is worth; damage is its fall, as `mmaudit.browse` shows it.

    Classification: probability of the right class. Multilabel: mean over labels of the probability of what is true.
    Regression: minus the absolute error, mean over dimensions, in the task's unit. Retrieval: expected 1 / rank of the
    first right candidate. NaN where there is no answer.
    """
    judge, found = judge_of(task, ids), np.empty(len(outputs))
    # In blocks: the probabilities of a million samples and a thousand classes would take gigabytes.
    for start in range(0, len(outputs), _BLOCK):
        rows = slice(start, start + _BLOCK)
        found[rows] = judge.judged(outputs[rows], target[rows]).worth
    return found


def _damages(run: Run, keys: FloatArray, count: int) -> list[Damage]:
    def of(answers: ConditionOutputs) -> FloatArray:
        return worth(run.task, answers.outputs, run.samples.target, run.samples.ids)

    clean, found = of(run.read(CLEAN)), []
    for condition in run.conditions:
        if condition.family not in ("clean", "control"):
            lost = clean - of(run.read(condition))
            known = lost[np.isfinite(lost)]
            found.append(Damage(condition, float(known.mean()) if len(known) else -np.inf, _largest(lost, keys, count)))
    return found


def _largest(lost: FloatArray, keys: FloatArray, count: int) -> IntArray:
    """Positions of the `count` largest positive values, largest first; of equals those with the smallest key."""
    positive = np.flatnonzero(lost > 0)  # NaN is not
    if len(positive) > count:
        values = lost[positive]
        bound = np.partition(values, len(values) - count)[len(values) - count] if count else np.inf
        tied = positive[values == bound]
        above = positive[values > bound]
        positive = np.concatenate([above, tied[np.argsort(keys[tied], kind="stable")][: count - len(above)]])
    return np.asarray(positive[np.lexsort((keys[positive], -lost[positive]))], np.int64)


def _in_turns(found: Sequence[Damage]) -> list[Damage]:
    """Worst first within each set of modalities, and the sets in turns: no modality waits for the end."""
    sets: dict[tuple[str, ...], list[Damage]] = {}
    for damage in sorted(found, key=lambda d: -d.mean):  # stable: equals keep the order of the plan
        sets.setdefault(damage.condition.modalities, []).append(damage)
    order: list[Damage] = []
    while any(sets.values()):
        order += [group.pop(0) for group in sets.values() if group]
    return order
