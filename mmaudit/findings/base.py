"""What a rule sees and how it is registered."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mmaudit import formats
from mmaudit.controls import Control
from mmaudit.errors import ContractBroken
from mmaudit.registry import Registry
from mmaudit.types import CLEAN, LEVELS, Condition, Finding, Level, Score, Task


class Evidence:
    """Scores by key, and the conditions they belong to: all that a rule may look at."""

    def __init__(
        self,
        task: Task,
        primary: str,
        conditions: Sequence[Condition],
        scores: Iterable[Score],
        *,
        controls: Sequence[Control] = (),
        raised: Mapping[str, int] | None = None,
        n: int = 0,
        folder: str = "RUN",
    ) -> None:
        self.task = task
        self.primary = primary
        self.conditions = list(conditions)
        self.controls = list(controls)
        self.raised = dict(raised or {})
        self.n = n
        self.folder = folder
        self.scores = list(scores)
        self._scores = {(s.condition, s.metric, s.group, s.against): s for s in self.scores}

    @cached_property
    def modalities(self) -> list[str]:
        """Names of all modalities that any condition changes, in order of appearance."""
        return list(dict.fromkeys(m for c in self.conditions for m in c.modalities))

    def score(self, condition: Condition, metric: str | None = None, against: Condition | None = None) -> Score:
        """One metric (the primary by default) of a condition, over all samples; all-NaN where it was not measured."""
        name = metric or self.primary
        reference = against or (None if condition.key == CLEAN.key else CLEAN)
        key = (condition.key, name, "", reference.key if reference else "")
        return self._scores.get(key) or Score(condition.key, condition.label, name, reason="not measured")

    @property
    def clean(self) -> Score:
        """The primary metric on clean data."""
        return self.score(CLEAN)

    def group_scores(self, metric: str, condition: Condition = CLEAN) -> list[Score]:
        """One metric of a condition for each group value."""
        return [s for (c, m, g, _), s in self._scores.items() if c == condition.key and m == metric and g]

    def by_family(self, *families: str) -> list[Condition]:
        """Conditions of these families, in plan order."""
        return [c for c in self.conditions if c.family in families]

    def missing(self, removed: tuple[str, ...] | None = None) -> dict[tuple[str, ...], list[Condition]]:
        """Conditions of the probe `missing` by the modalities they remove, one per missing baseline."""
        found: dict[tuple[str, ...], list[Condition]] = {}
        for condition in self.conditions:
            if condition.probe == "missing" and (removed is None or set(condition.modalities) == set(removed)):
                found.setdefault(condition.modalities, []).append(condition)
        return found

    def curves(self) -> Iterator[list[Condition]]:
        """Severity curves: conditions that differ in severity alone, mildest first, at least two."""
        curves: dict[str, list[Condition]] = {}
        for condition in self.conditions:
            if condition.severity is not None and condition.family != "control":
                curves.setdefault(condition.stream, []).append(condition)
        for curve in curves.values():
            if len(curve) > 1:
                yield sorted(curve, key=lambda c: c.severity or 0.0)

    def reproduce(self, condition: Condition, metric: str) -> str:
        """The command that shows a score again, without the model."""
        return shlex.join(["mmaudit", "score", self.folder, "--condition", condition.label, "--metric", metric])


@dataclass(frozen=True)
class Draft:
    """What a rule yields: a claim and the scores it rests on. `find` turns it into a `Finding`."""

    claim: str
    modalities: tuple[str, ...]
    scores: tuple[Score, ...]
    effect: float
    level: Level | None = None
    condition: Condition | None = None


@dataclass(frozen=True)
class Rule:
    """A registered rule: what it looks for, how grave that is, and its function."""

    name: str
    level: Level
    summary: str
    fn: Callable[[Evidence], Iterable[Draft]]


rules: Registry[Rule] = Registry("rule", "'mmaudit list rules'")


def rule(
    name: str, *, level: Level
) -> Callable[[Callable[[Evidence], Iterable[Draft]]], Callable[[Evidence], Iterable[Draft]]]:
    """Register a rule: a function of `Evidence` that yields drafts. Its docstring's first line is its summary."""

    def register(fn: Callable[[Evidence], Iterable[Draft]]) -> Callable[[Evidence], Iterable[Draft]]:
        if not fn.__doc__:
            raise ContractBroken(f"rule {name!r}", "summary", "has no docstring; its first line is shown to users")
        rules.add(name, Rule(name, level, fn.__doc__.strip().splitlines()[0], fn))
        return fn

    return register


def find(evidence: Evidence) -> list[Finding]:
    """Apply every rule; the gravest findings first, within a level the largest effects first."""
    findings = [_finding(r, draft, evidence) for r in rules for draft in r.fn(evidence)]
    return sorted(findings, key=lambda f: (LEVELS.index(f.level), -f.effect, f.rule, f.modalities))


def _finding(found_by: Rule, draft: Draft, evidence: Evidence) -> Finding:
    by_key = {c.key: c for c in evidence.conditions}
    command = ""
    if draft.condition:
        command = evidence.reproduce(draft.condition, draft.scores[0].metric if draft.scores else evidence.primary)
    elif draft.scores and draft.scores[0].condition in by_key:
        command = evidence.reproduce(by_key[draft.scores[0].condition], draft.scores[0].metric)
    return Finding(
        rule=found_by.name,
        level=draft.level or found_by.level,
        claim=draft.claim,
        modalities=draft.modalities,
        evidence=tuple(evidence_of(s) for s in draft.scores),
        reproduce=command,
        effect=min(max(draft.effect, 0.0), 1.0),
    )


def evidence_of(score: Score) -> dict[str, object]:
    """The parts of a score that a finding quotes; NaN as None, so that it is plain JSON."""
    names = (
        *("condition", "label", "metric", "group", "against", "n", "value", "low", "high", "delta", "delta_low"),
        *("delta_high", "p_adjusted", "floor", "lost", "lost_low", "lost_high", "unit", "better", "reason"),
    )
    values = {name: getattr(score, name) for name in names}
    return {k: None if isinstance(v, float) and v != v else v for k, v in values.items()}


def percent(share: float) -> str:
    """A share as a percentage."""
    return formats.number(share, "share")


def amount(score: Score, value: float | None = None) -> str:
    """A score's value, or another value in its unit."""
    return formats.number(score.value if value is None else value, score.unit)


def span(score: Score) -> str:
    """Value and 95 % interval."""
    if score.low != score.low:
        return amount(score)
    return f"{amount(score)} (95 % interval {amount(score, score.low)} to {amount(score, score.high)})"


def lost_span(score: Score) -> str:
    """Share of the above-chance performance lost, with its interval."""
    return f"{percent(score.lost)} (95 % interval {percent(score.lost_low)} to {percent(score.lost_high)})"


def listing(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    items = list(names)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "nothing"


def words(condition: Condition) -> str:
    """The condition as a reader would say it."""
    names = listing(condition.modalities)
    if condition.probe == "missing":
        return f"missing {names} (filled with: {condition.option('baseline')})"
    if condition.probe == "missing_rate":
        return f"{names} missing in {percent(condition.severity or 0.0)} of the samples"
    if condition.family == "mismatch":
        return f"another sample's {names}"
    where = f"severity {condition.position}" if condition.position else f"{condition.severity:g} {condition.unit}"
    return f"{condition.probe.split('.')[-1].replace('_', ' ')} of {names} at {where}"
