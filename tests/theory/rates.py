"""Audit known worlds and count: how many findings that had to appear did, and how many that appeared were false."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mmaudit import ArrayData
from mmaudit.auditing import prepare
from mmaudit.comparison import adjust
from mmaudit.findings import Evidence, find, rules
from mmaudit.metrics import Predictions, Resamples
from mmaudit.predict import predict
from mmaudit.score import ScoreTable, evidence_from
from mmaudit.side_tables import SideTables
from mmaudit.types import Condition, Finding
from theory.expectations import Expectations
from theory.scenarios import SCENARIOS, Case

# What the rules read; the others cost time and decide nothing.
METRICS = (
    *("accuracy", "balanced_accuracy", "flip_rate", "brier", "mean_confidence", "overconfidence"),
    *("average_precision", "auroc", "rmse", "r2"),
    *("follows_exchanged", "follows_kept", "confidence_exchanged"),
)
RESAMPLES = 400


class NoTables(SideTables):
    """No curves and no recalibration, which no rule reads."""

    def add(self, condition: Condition, predictions: Predictions, w: Resamples, *, shared: bool) -> None:
        pass


@dataclass(frozen=True)
class Audited:
    """An audited world: what was found and what should have been."""

    scenario: str
    kind: str
    seed: int
    evidence: Evidence
    findings: list[Finding]
    expected: Expectations


def audit(case: Case, data: ArrayData) -> tuple[Evidence, list[Finding]]:
    """The line as `mmaudit.audit` runs it, up to the findings: checks, plan, predictions, scores, controls, rules."""
    model = case.model(case.world) if case.model else case.world.model()
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        prepared = prepare(model, data, suite=case.suite, out=out)
        run = prepared.open_run(out, batch_rows=4096, title=None, command="")
        predict(run, data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=4096)
        table = ScoreTable(run, only=METRICS, resamples=RESAMPLES)
        table.side = NoTables(run.conditions, run.task, [])
        rows = adjust(table.rows())
        evidence = evidence_from(run, rows, list(table.condition_rows()), folder="runs/known")
    return evidence, find(evidence)


def audited(name: str, seed: int) -> Audited:
    """One scenario with parameters, size and samples of one seed."""
    kind, make = SCENARIOS[name]
    rng = np.random.default_rng([seed, *name.encode()])
    case = make(rng)
    n = int(rng.integers(600, 1501))
    data = case.world.data(n, rng)
    evidence, findings = audit(case, data)
    expected = Expectations(case.world.given(data), tuple(evidence.conditions), n, case.faults, case.tolerated)
    return Audited(name, kind, seed, evidence, findings, expected)


def every(seeds: Iterable[int]) -> Iterator[Audited]:
    """All scenarios with each seed."""
    for seed in seeds:
        for name in SCENARIOS:
            yield audited(name, seed)


@dataclass
class Rates:
    """Counts per rule over audits.

    Attributes:
        audits: audits counted.
        wanted, found: findings that had to appear, and that did.
        open: audits in which some claim of the rule would have been false, or all of them.
        false: of these, audits with a false finding of the rule.
        accused: audits with any false finding.
        wrong: what went wrong, for a person.
    """

    audits: int = 0
    wanted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    accused: int = 0
    healthy: int = 0
    accused_healthy: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, one: Audited) -> None:
        self.audits += 1
        missed, false = one.expected.missed(one.findings), one.expected.false(one.findings)
        for rule, names in one.expected.must:
            self.wanted[rule] += 1
            self.found[rule] += (rule, names) not in missed
        for rule in rules:
            self.open[rule.name] += rule.name not in one.expected.tolerated
        for rule_name in {f.rule for f in false}:
            self.false[rule_name] += 1
        self.accused += bool(false)
        self.healthy += one.kind == "healthy"
        self.accused_healthy += one.kind == "healthy" and bool(false)
        where = f"{one.scenario} seed {one.seed} n {one.expected.n}"
        self.wrong += [f"{where}: missed {rule} {sorted(names)}" for rule, names in sorted(missed, key=str)]
        self.wrong += [f"{where}: false {f.rule} {f.modalities}: {f.claim}" for f in false]

    def table(self) -> str:
        """Both rates per rule with Wilson intervals, as text."""
        lines = [
            f"{'rule':24} {'must':>5} {'found':>6} {'detection':>24} {'audits':>7} {'false':>6} {'accusation':>24}"
        ]
        for name in rules.names():
            wanted, found, audits, false = (c[name] for c in (self.wanted, self.found, self.open, self.false))
            lines.append(
                f"{name:24} {wanted:5} {found:6} {shown(found, wanted):>24} "
                f"{audits:7} {false:6} {shown(false, audits):>24}"
            )
        wanted, found = self.wanted.total(), self.found.total()
        lines.append(
            f"{'all rules':24} {wanted:5} {found:6} {shown(found, wanted):>24} "
            f"{self.audits:7} {self.accused:6} {shown(self.accused, self.audits):>24}"
        )
        lines.append(
            f"{'healthy models':24} {'':5} {'':6} {'':24} "
            f"{self.healthy:7} {self.accused_healthy:6} {shown(self.accused_healthy, self.healthy):>24}"
        )
        return "\n".join(lines)


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if not trials:
        return float("nan"), float("nan")
    p = successes / trials
    middle = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def shown(successes: int, trials: int) -> str:
    """A share with its interval, in percent."""
    if not trials:
        return "–"
    low, high = wilson(successes, trials)
    return f"{100 * successes / trials:5.1f} % [{100 * low:4.1f}, {100 * high:5.1f}]"
