"""How a rule is registered, and how rules' drafts become findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mmaudit.errors import ContractBroken
from mmaudit.findings.evidence import Evidence
from mmaudit.findings.wording import enumerated, listing
from mmaudit.registry import Registry
from mmaudit.types import LEVELS, Condition, Finding, Level, Score

__all__ = ["Draft", "Evidence", "Rule", "evidence_of", "find", "rule", "rules"]

# A rule with more findings than this is told once, by its worst case, with the others named.
MOST_PER_RULE = 3


@dataclass(frozen=True)
class Draft:
    """What a rule yields: a claim and what it rests on. `find` turns it into a `Finding`.

    Attributes:
        claim: one sentence (two where advice follows) that ends with a full stop.
        modalities: what it is about.
        scores: the evidence, the most telling first.
        effect: in [0, 1], larger is worse.
        condition: the one that the command shows; without it those of the scores, the first few.
        level: where it differs from the rule's.
        subject: what it is about, for a list of several; the modalities without it.
        command: that shows the evidence again, where it is not that of a condition or of estimates.
    """

    claim: str
    modalities: tuple[str, ...]
    scores: tuple[Score, ...]
    effect: float
    condition: Condition | None = None
    level: Level | None = None
    subject: str = ""
    command: str = ""


RuleFunction = Callable[[Evidence], Iterable[Draft]]


@dataclass(frozen=True)
class Rule:
    """A registered rule.

    Attributes:
        name: registered name.
        level: of its findings, unless a draft says otherwise.
        summary: first line of the docstring.
        fn: the function.
        needs_signal: whether it speaks of losses, which mean nothing where clean data is not above chance.
        implied_by: rules whose finding about (some of) the same modalities says this already; it is left out then.
    """

    name: str
    level: Level
    summary: str
    fn: RuleFunction
    needs_signal: bool = False
    implied_by: tuple[str, ...] = ()


rules: Registry[Rule] = Registry("rule", "'mmaudit list rules'")


def rule(
    name: str, *, level: Level, needs_signal: bool = False, implied_by: tuple[str, ...] = ()
) -> Callable[[RuleFunction], RuleFunction]:
    """Register a rule: a function of `Evidence` that yields drafts. See `Rule` for the arguments.

    Raises:
        ContractBroken: the docstring is missing, the level is none, or the name is taken.
    """

    def register(fn: RuleFunction) -> RuleFunction:
        who, doc = f"rule {name!r}", (fn.__doc__ or "").strip()
        if not doc:
            raise ContractBroken(who, "summary", "has no docstring; its first line is shown to users")
        if level not in LEVELS:
            raise ContractBroken(who, "level", f"level={level!r}; declare one of {', '.join(LEVELS)}")
        rules.add(name, Rule(name, level, doc.splitlines()[0], fn, needs_signal, implied_by))
        return fn

    return register


def find(evidence: Evidence) -> list[Finding]:
    """Apply every rule; the gravest findings first, within a level the largest effects first."""
    usable = [r for r in rules if evidence.has_signal or not r.needs_signal]
    drafts = {r.name: [replace(d, level=d.level or r.level) for d in r.fn(evidence)] for r in usable}
    findings = []
    for r in usable:
        said = [d for name in r.implied_by for d in drafts.get(name, ())]
        kept = [d for d in drafts[r.name] if not any(set(s.modalities) <= set(d.modalities) for s in said)]
        findings += [_finding(r, draft, evidence) for draft in folded(kept)]
    return sorted(findings, key=lambda f: (LEVELS.index(f.level), -f.effect, f.rule, f.modalities))


def folded(drafts: list[Draft]) -> list[Draft]:
    """A flood of drafts of one rule as one: the worst, with the others named."""
    if len(drafts) <= MOST_PER_RULE:
        return drafts
    worst, *others = sorted(drafts, key=lambda d: (_gravity(d), -d.effect))
    # What the claim is about already is not told to hold for itself, under another condition or group.
    subjects = dict.fromkeys(s for d in others if (s := _subject(d)) != _subject(worst))
    same = f" The same holds for {enumerated(subjects)}." if subjects else ""
    return [
        replace(
            worst,
            claim=f"{worst.claim}{same}",
            modalities=tuple(dict.fromkeys(m for d in (worst, *others) for m in d.modalities)),
            scores=worst.scores + tuple(d.scores[0] for d in others if d.scores),
        )
    ]


def _subject(draft: Draft) -> str:
    return draft.subject or listing(draft.modalities)


def _gravity(draft: Draft) -> int:
    return LEVELS.index(draft.level) if draft.level else len(LEVELS)


def _finding(found_by: Rule, draft: Draft, evidence: Evidence) -> Finding:
    conditions = [draft.condition] if draft.condition is not None else _cited(draft.scores, evidence)
    command = draft.command
    if not command and conditions:
        keys = {c.key for c in conditions}
        shown = [s.metric for s in draft.scores if s.condition in keys]
        group = next((s.group for s in draft.scores if s.group), "")
        command = evidence.reproduce(conditions, shown or [evidence.primary], group)
    elif not command and draft.scores:
        command = evidence.reproduce_estimates()
    return Finding(
        rule=found_by.name,
        level=draft.level or found_by.level,
        claim=draft.claim,
        modalities=draft.modalities,
        evidence=tuple(evidence_of(s) for s in draft.scores),
        reproduce=command,
        effect=min(max(draft.effect, 0.0), 1.0),
    )


def _cited(scores: Iterable[Score], evidence: Evidence) -> list[Condition]:
    """Conditions of the evidence, the first few."""
    known = {c.key: c for c in evidence.conditions}
    return list(dict.fromkeys(known[s.condition] for s in scores if s.condition in known))[:MOST_PER_RULE]


def evidence_of(score: Score) -> dict[str, object]:
    """The parts of a score that a finding quotes; NaN as None, so that it is plain JSON."""
    names = (
        *("condition", "label", "metric", "group", "against", "n", "value", "low", "high", "delta", "delta_low"),
        *("delta_high", "p_adjusted", "floor", "lost", "lost_low", "lost_high", "unit", "better", "reason"),
    )
    values = {name: getattr(score, name) for name in names}
    return {k: None if isinstance(v, float) and v != v else v for k, v in values.items()}
