"""How little it takes: the smallest severity at which each sample's right answer turns wrong.

A severity curve is one probe on one modality, with the same options and repeat, at several severity positions. Its
severities share their random numbers, so a sample that flips at position 3 saw more of the same noise than at 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmaudit.browse.answers import Answers
from mmaudit.errors import Undefined
from mmaudit.formats import printable
from mmaudit.store import Run
from mmaudit.types import CLEAN, Condition


@dataclass(frozen=True)
class Flip:
    """What one probe does to one sample as it gets severer.

    Attributes:
        modality: the one that the probe changes.
        probe: its name, with options and repeat where it has any: `image.gaussian_blur`, `shift[direction=late]#2`.
        position: smallest severity position, 1 to 5, at which the answer is wrong; None where no measured one is.
        severity: the same in `unit`; None likewise.
        unit: of the severity.
        tested: severity positions at which there is an answer, ascending.
        monotone: whether the answer stays wrong at every tested position above; true where it never is wrong.
    """

    modality: str
    probe: str
    position: int | None
    severity: float | None
    unit: str
    tested: tuple[int, ...]
    monotone: bool


def passport(run: Run | Answers, position: int) -> tuple[Flip, ...]:
    """Return the fragility passport of one sample: a `Flip` for each severity curve, in the order of the plan.

    Args:
        run: or its answers, where they are at hand already (saves reading the samples again).
        position: of the sample in the data set.

    Raises:
        Undefined: the sample is wrong on clean data or has no answer there, the task has no right answers
            (regression), or the run has no severity curve of a single modality.
        BadInput: there is no such sample.
        DamagedRun: a shard is missing or cannot be read.
    """
    answers = run if isinstance(run, Answers) else Answers(run)
    curves = _curves(answers)
    asked = [CLEAN, *(c for curve in curves for c in curve)]
    keys, now = answers.judged_at(position, asked)
    place = {key: i for i, key in enumerate(keys)}
    there, right = now.answered.tolist(), np.asarray(now.right).tolist()
    if not right[place[CLEAN.key]]:
        how = "is wrong" if there[place[CLEAN.key]] else "has no answer"
        raise Undefined(
            f"sample {answers.known.ids[position]!r} {how} on clean data; there is no right answer to flip."
        )
    return tuple(_flip(curve, there, right, place) for curve in curves)


def fragility(run: Run | Answers) -> pd.DataFrame:
    """Return the passports of all samples in short: one row per sample, in data set order.

    Columns: position (of the sample), right (bool: right on clean data; where not, nothing can flip and the rest is
    NaN), and for each modality with a severity curve flips.<modality>: the smallest severity position, 1 to 5, at which
    any of its probes turns the answer wrong; NaN where no measured severity does.

    Read shard by shard and condition by condition: memory does not grow with the plan.

    Raises:
        Undefined: the task has no right answers (regression), or the run has no severity curve of a single modality.
        DamagedRun: a shard is missing or cannot be read.
    """
    answers = run if isinstance(run, Answers) else Answers(run)
    curves = _curves(answers)
    shards, judge, target = answers.shards, answers.judge, answers.known.target
    steps = [c for curve in curves for c in curve]
    modalities = [m.name for m in answers.run.modalities if any(c.modalities[0] == m.name for c in steps)]
    n = answers.run.n
    right = np.zeros(n, np.bool_)
    first = {name: np.full(n, np.nan, np.float32) for name in modalities}
    for shard in range(shards.count):
        span = shards.span(shard)
        for condition, part in shards.read(shard, [CLEAN, *steps]):
            if condition.key == CLEAN.key:
                right[span] = judge.right(part.outputs, target[span])
                continue
            wrong = right[span] & np.isfinite(part.outputs).all(axis=1) & ~judge.right(part.outputs, target[span])
            known = first[condition.modalities[0]][span]
            known[wrong] = np.fmin(known[wrong], float(condition.position or 0))
    flips = {f"flips.{printable(name)}": values for name, values in first.items()}
    return pd.DataFrame({"position": np.arange(n), "right": right, **flips})


def _curves(answers: Answers) -> list[list[Condition]]:
    """Severity curves of single modalities, each by ascending position."""
    if answers.flip_reason:
        raise Undefined(f"{answers.flip_reason}; see the damage instead.")
    curves: dict[str, list[Condition]] = {}
    for condition in answers.run.conditions:
        graded = condition.severity is not None and condition.position is not None
        if graded and len(condition.modalities) == 1 and condition.family not in ("clean", "control"):
            curves.setdefault(condition.stream, []).append(condition)
    if not curves:
        raise Undefined("no probe of a single modality was run at severity positions; there is no severity to find.")
    return [sorted(curve, key=lambda c: c.position or 0) for curve in curves.values()]


def _flip(curve: Sequence[Condition], there: list[bool], right: list[bool], place: dict[str, int]) -> Flip:
    steps = [c for c in curve if there[place[c.key]]]
    wrong = [not right[place[c.key]] for c in steps]
    first = wrong.index(True) if True in wrong else None
    at = None if first is None else steps[first]
    about = curve[0]
    options = ", ".join(f"{k}={v}" for k, v in about.options)
    return Flip(
        modality=printable(about.modalities[0]),
        probe=printable(
            about.probe + (f"[{options}]" if options else "") + (f"#{about.repeat}" if about.repeat else "")
        ),
        position=at.position if at else None,
        severity=at.severity if at else None,
        unit=printable(about.unit),
        tested=tuple(c.position for c in steps if c.position is not None),
        monotone=first is None or all(wrong[first:]),
    )
