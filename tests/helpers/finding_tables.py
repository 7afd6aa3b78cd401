"""Scores made by hand, from which rules find what a test is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mmaudit.controls import Control
from mmaudit.findings import Evidence, find
from mmaudit.types import CLEAN, Condition, Finding, Score, Task

ROOM = 0.4  # clean accuracy 0.9, chance 0.5
IDENTITY = Condition("identity", "control", 1, ("a", "b"))  # every run has it, and so every modality's name


@dataclass
class Table:
    """Scores of a two-modality model that nothing breaks, to which a test adds what it needs."""

    task: Task = field(default_factory=lambda: Task.classification(2))
    primary: str = "accuracy"
    conditions: list[Condition] = field(default_factory=lambda: [CLEAN, IDENTITY])
    scores: list[Score] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    raised: dict[str, int] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    n: int = 1000
    absent: tuple[str, ...] = ()

    def clean(
        self, value: float = 0.9, half: float = 0.01, metric: str = "accuracy", floor: float = 0.5, **more: object
    ) -> Table:
        return self.score(CLEAN, metric, value, half, floor=floor, **more)

    def score(self, condition: Condition, metric: str, value: float, half: float = 0.01, **more: object) -> Table:
        """One row: value ± half."""
        row = Score(condition.key, condition.label, metric, n=self.n, value=value, low=value - half, high=value + half)
        defaults = {"unit": "share", "better": "higher", "against": "" if condition is CLEAN else CLEAN.key}
        self.scores.append(replace(row, **{**defaults, **more}))  # type: ignore[arg-type]
        if condition not in self.conditions:
            self.conditions.append(condition)
        return self

    def lost(
        self, condition: Condition, share: float, half: float = 0.01, against: Condition = CLEAN, **more: object
    ) -> Table:
        """Accuracy that has lost a share of what clean data has above chance, ± half."""
        value, p = 0.9 - ROOM * share, 1e-6
        bounds = {
            "delta": -ROOM * share,
            "delta_low": -ROOM * (share + half),
            "delta_high": -ROOM * (share - half),
            "lost": share,
            "lost_low": share - half,
            "lost_high": share + half,
            "floor": 0.5,
            "against": against.key,
            "p_adjusted": p,
        }
        return self.score(condition, "accuracy", value, ROOM * half, **{**bounds, **more})

    def moved(
        self, condition: Condition, metric: str, delta: float, half: float = 0.005, value: float = 0.9, **more: object
    ) -> Table:
        """A metric that moved by delta ± half from clean data."""
        bounds = {"delta": delta, "delta_low": delta - half, "delta_high": delta + half, "better": "neither"}
        return self.score(condition, metric, value, half, **{**bounds, **more})

    def evidence(self) -> Evidence:
        return Evidence(
            self.task,
            self.primary,
            self.conditions,
            self.scores,
            controls=self.controls,
            raised=self.raised,
            changed=self.changed,
            n=self.n,
            folder="runs/mine",
            absent=self.absent,
        )

    def find(self, rule: str) -> list[Finding]:
        return [f for f in find(self.evidence()) if f.rule == rule]


def missing(*names: str, baseline: str = "zero") -> Condition:
    return Condition("missing", "missing", 1, names, options=(("baseline", baseline),))


def mismatch(name: str, pool: str = "random", repeat: int = 0) -> Condition:
    return Condition("mismatch", "mismatch", 1, (name,), options=(("pool", pool),), repeat=repeat)


def blur(name: str, position: int, probe: str = "image.gaussian_blur") -> Condition:
    return Condition(probe, "corruption", 1, (name,), severity=position / 10, position=position, unit="px")


def rate(name: str, share: float) -> Condition:
    return Condition(
        "missing_rate", "missing", 1, (name,), severity=share, options=(("baseline", "zero"),), unit="share"
    )


def fallen(condition: Condition, fall: float, confidence: float, half: float = 0.005) -> Table:
    """Accuracy falls by `fall`, confidence by `confidence`, each ± half."""
    table = Table().clean().clean(0.91, metric="mean_confidence", floor=float("nan"), better="neither")
    return drop(table, condition, fall, confidence, half)


def drop(table: Table, condition: Condition, fall: float, confidence: float, half: float = 0.005) -> Table:
    table.lost(condition, fall / ROOM, half / ROOM)
    return table.moved(condition, "mean_confidence", -confidence, half, 0.91 - confidence)


def contradicted(confidence: float, kept: float = 0.8, pool: str = "across_class") -> Table:
    """Exchanging b costs 30 points; each modality alone keeps a share of what is above chance."""
    table = fallen(mismatch("b", pool), 0.30, confidence, 0.002)
    return table.lost(missing("a"), 1 - kept, 0.02).lost(missing("b"), 1 - kept, 0.02)


def falling(losses: Mapping[int, float], half: float = 0.03, name: str = "a") -> Table:
    table, before = Table().clean().lost(missing("b"), 0.1), CLEAN
    for position, loss in losses.items():
        condition = blur(name, position)
        table.lost(condition, loss, half)
        if before is not CLEAN:
            table.lost(condition, loss - losses[before.position or 0], half, against=before)
        before = condition
    return table
