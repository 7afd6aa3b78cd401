"""What the model answered, sample by sample, from a run's folder alone.

answers = Answers(run)
answers.table(run.condition("image.gaussian_blur[photo]@3")).sort_values("damage", ascending=False)
answers.sample(17)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mmaudit.browse.judging import NO_ANSWER, NOT_MEASURED, Judge, Judged, judge_of, probabilities
from mmaudit.browse.samples import Known, read_samples
from mmaudit.browse.shards import Part, Shards
from mmaudit.errors import BadInput, Undefined
from mmaudit.formats import count, printable, shorten
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, BoolArray, Condition

__all__ = ["NOT_MEASURED", "NO_ANSWER", "Answers"]

_NAME_LIMIT = 60
# Wider outputs would make a table of every class too long to look at.
MOST_CLASSES = 100_000


class Answers:
    """What the model answered, sample by sample, and what each condition did to it.

    Shared and read-only: it may be kept in a cache and used by several threads; every frame it returns is a new one.
    It holds the samples' names and the answers on clean data (some 100 bytes a sample), and reads the rest when asked.

    Every table has these columns:
        answer: in words: the class; the labels that apply, "none" where none does; numbers with unit; for retrieval the
            id of the candidate found first and where the right one stands. `NO_ANSWER` where the model gave none,
            `NOT_MEASURED` where a budget left the sample out.
        confidence: of that answer, in [0, 1] (multilabel: mean over labels); NaN for a regression, and where there is
            no answer.
        damage: what the condition took away, in `damage_unit`; positive is worse, 0 under clean; NaN where there is
            no answer on clean data or under the condition. See `damage_summary`.
        flipped: right on clean data, wrong now (nullable boolean); <NA> where one of both has no answer, and for
            every sample of a task in which no answer is right or wrong (`flip_reason` says so). Multilabel: right is
            every label; retrieval: right is a right candidate in first place, not tied with a wrong one.
        changed: whether the condition changed the sample at all (bool).
        moved: how far, mean over the modalities it declares, in `moved_unit(condition)`: σ of the modality, or share
            of characters; NaN where a modality was withheld, or where both units would mix.

    Attributes:
        run: whose answers these are.
        damage_unit: `share` (classification, multilabel, retrieval: a fall in [−1, 1]) or the unit of the target.
        damage_summary: one sentence that defines damage.
        flip_reason: why `flipped` is undefined for this task; else "".

    Raises:
        DamagedRun: the header says what cannot be, or samples cannot be read or do not fit it; names the file.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.known: Known = read_samples(run)
        self.shards = Shards(run)
        self.judge: Judge = judge_of(run.task, self.known.ids)
        self.damage_unit = self.judge.unit
        self.damage_summary = self.judge.summary
        self.flip_reason = self.judge.flip_reason
        self._text = {m.name: not m.numeric for m in run.modalities}

    @cached_property
    def clean(self) -> Judged:
        """The answers on clean data.

        Raises:
            DamagedRun: a shard is missing or cannot be read.
        """
        return self._clean[0]

    def moved_unit(self, condition: Condition) -> str:
        """Unit of the column `moved`: `σ`, `share of characters`, or "" where modalities of both kinds are changed."""
        kinds = {self._text[m] for m in condition.modalities}
        return "" if len(kinds) != 1 else "share of characters" if kinds.pop() else "σ"

    def table(self, condition: Condition) -> pd.DataFrame:
        """Return one row per sample, in data set order; reads two row groups per shard and nothing else.

        Columns: position, sample (id as text), target (in words), group.<column> for each group column, clean (the
        answer on clean data), clean_confidence, answer, confidence, damage, flipped, changed, moved.

        Raises:
            BadInput: the condition is not part of the run.
            DamagedRun: a shard is missing or cannot be read.
        """
        self.shards.require(condition)
        clean = self.clean
        now, part = self._judged(condition)
        columns: dict[str, Any] = {
            "position": np.arange(self.run.n),
            "sample": self.known.ids,
            "target": self._truth,
            **{f"group.{name}": values for name, values in self.known.groups.items()},
            "clean": self._clean_words,
            "clean_confidence": clean.confidence,
            **self._compared(clean, now, part, self._clean_words if condition.key == CLEAN.key else None),
            "changed": part.changed,
            "moved": part.moved if self.moved_unit(condition) or not condition.modalities else np.nan,
        }
        return pd.DataFrame(columns)

    def sample(self, position: int) -> pd.DataFrame:
        """Return one row per condition, in the order of the plan, about one sample.

        Columns: key, label, family, probe, modalities (names, joined by " + "), severity, severity_position, unit (of
        severity), answer, confidence, damage, flipped, changed, moved, moved_unit. Texts are free of control
        characters, and may be long.

        Raises:
            BadInput: there is no sample at this position.
            DamagedRun: its shard is missing or cannot be read.
        """
        conditions = self.run.conditions
        _, part = self._rows(position, conditions)
        now = self.judge.judged(part.outputs, self.known.target[np.full(len(conditions), position)])
        units = [self.moved_unit(c) for c in conditions]
        known = np.array([bool(unit) or not c.modalities for unit, c in zip(units, conditions, strict=True)])
        columns: dict[str, Any] = {
            "key": [c.key for c in conditions],
            "label": [printable(c.label) for c in conditions],
            "family": [printable(c.family) for c in conditions],
            "probe": [printable(c.probe) for c in conditions],
            "modalities": [printable(" + ".join(c.modalities)) for c in conditions],
            "severity": np.array([np.nan if c.severity is None else c.severity for c in conditions], np.float64),
            "severity_position": pd.array([c.position for c in conditions], dtype="Int64"),
            "unit": [printable(c.unit) for c in conditions],
            **self._compared(_row(now, 0), now, part),
            "changed": part.changed,
            "moved": np.where(known, part.moved, np.nan),
            "moved_unit": units,
        }
        return pd.DataFrame(columns)

    def distribution(self, position: int, condition: Condition) -> pd.DataFrame:
        """Return one row per class or label, in the order of the task: name, right (bool), clean, perturbed.

        The last two are probabilities in [0, 1]; NaN where there is no answer.

        Raises:
            Undefined: the task has no probabilities (regression), or none per class (retrieval).
            BadInput: there is no such sample or condition.
            DamagedRun: its shard is missing or cannot be read.
        """
        task = self.run.task
        if task.kind not in ("classification", "multilabel"):
            raise Undefined(f"a {task.kind} has no probability per class; there is no distribution to show.")
        if task.width > MOST_CLASSES:
            raise Undefined(f"{count(task.width)} classes are too many to be shown one by one.")
        self.shards.require(condition)
        clean, now = self._pair(position, condition)
        target = self.known.target[position]
        right = np.arange(task.width) == target if task.kind == "classification" else target == 1
        names = [shorten(name, _NAME_LIMIT) for name in task.names]
        return pd.DataFrame({"name": names, "right": right, "clean": clean, "perturbed": now})

    def judged_at(self, position: int, conditions: Sequence[Condition]) -> tuple[list[str], Judged]:
        """Return the answers to one sample under some conditions, and these conditions' keys in the order of the rows.

        Raises:
            BadInput: there is no sample at this position, or no such condition.
            DamagedRun: its shard is missing or cannot be read.
        """
        keys, part = self._rows(position, conditions)
        return keys, self.judge.judged(part.outputs, self.known.target[np.full(len(keys), position)])

    # ---- inside

    @cached_property
    def _clean(self) -> tuple[Judged, Part]:
        return self._judged(CLEAN)

    @cached_property
    def _clean_words(self) -> Array:
        clean, part = self._clean
        return self._words(clean, part)

    @cached_property
    def _truth(self) -> Array:
        return self.judge.truth(self.known.target, self.known.ids)

    def _judged(self, condition: Condition) -> tuple[Judged, Part]:
        """All samples under one condition; the outputs themselves are let go shard by shard."""
        judged: list[Judged] = []
        parts: list[Part] = []
        for shard in range(self.shards.count):
            for _, part in self.shards.read(shard, [condition]):
                judged.append(self.judge.judged(part.outputs, self.known.target[self.shards.span(shard)]))
                parts.append(replace(part, outputs=part.outputs[:0]))
        return _joined(judged), _together(parts)

    def _rows(self, position: int, conditions: Sequence[Condition]) -> tuple[list[str], Part]:
        """The answers to one sample under some conditions, and the conditions' keys: both in the order of the plan."""
        whole = isinstance(position, int | np.integer) and not isinstance(position, bool)
        if not whole or not 0 <= position < self.run.n:
            raise BadInput(f"there is no sample at position {position!r}; positions go from 0 to {self.run.n - 1}.")
        shard, row = divmod(int(position), self.shards.rows)
        found = {condition.key: part.take(row) for condition, part in self.shards.read(shard, conditions)}
        keys = [c.key for c in self.run.conditions if c.key in found]
        rows = [found[key] for key in keys]
        return keys, _together(rows)

    def _pair(self, position: int, condition: Condition) -> tuple[Array, Array]:
        """Probabilities of one sample, clean and perturbed."""
        asked = [CLEAN] if condition.key == CLEAN.key else [CLEAN, condition]
        p = probabilities(self.run.task, self._rows(position, asked)[1].outputs)
        return p[0], p[-1]

    def _words(self, judged: Judged, part: Part) -> Array:
        return np.where(part.measured, self.judge.words(judged), NOT_MEASURED)

    def _compared(self, clean: Judged, now: Judged, part: Part, words: Array | None = None) -> dict[str, Any]:
        """The columns that every table has; `clean` has as many rows as `now`, or one."""
        both = clean.answered & now.answered
        return {
            "answer": self._words(now, part) if words is None else words,
            "confidence": now.confidence,
            "damage": np.where(both, clean.worth - now.worth, np.nan),
            "flipped": _flipped(clean, now, both),
        }


def _flipped(clean: Judged, now: Judged, both: BoolArray) -> Any:
    if clean.right is None or now.right is None:
        return pd.array([pd.NA] * len(both), dtype="boolean")
    return pd.arrays.BooleanArray(clean.right & ~now.right & both, ~both)


def _row(judged: Judged, row: int) -> Judged:
    """One of the rows, to be compared with all of them."""
    rows = slice(row, row + 1)
    right = None if judged.right is None else judged.right[rows]
    return Judged(judged.answered[rows], judged.choice[rows], judged.confidence[rows], judged.worth[rows], right)


def _together(parts: Sequence[Part]) -> Part:
    return Part(
        np.concatenate([p.outputs for p in parts]),
        np.concatenate([p.changed for p in parts]),
        np.concatenate([p.moved for p in parts]),
        np.concatenate([p.measured for p in parts]),
    )


def _joined(parts: Sequence[Judged]) -> Judged:
    rights = [part.right for part in parts if part.right is not None]
    return Judged(
        np.concatenate([part.answered for part in parts]),
        np.concatenate([part.choice for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.worth for part in parts]),
        np.concatenate(rights) if rights else None,
    )
