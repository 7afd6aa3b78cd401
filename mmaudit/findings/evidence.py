"""What a rule may look at: the scores of a run by condition, and what the conditions have to do with each other."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from mmaudit.comparison import STILL
from mmaudit.controls import Control
from mmaudit.estimates import Estimate
from mmaudit.findings.certainty import SMALLEST
from mmaudit.findings.wording import words
from mmaudit.panel.panel import Panel
from mmaudit.summaries import neutral
from mmaudit.types import CLEAN, Condition, Score, Task


class Evidence:
    """Scores by key, and the conditions they belong to: all that a rule may look at.

    Args:
        task: of the audited data.
        primary: name of the primary metric.
        conditions: of the run, `clean` among them.
        scores: rows of the scored run.
        controls: how the run's controls came out.
        raised: per condition key the samples without a usable answer.
        asked: per condition key the samples it was measured on; n where it is not given.
        changed: per condition key the share of samples that the probe changed; 1 where it is not given.
        n: samples audited.
        folder: of the run, for commands.
        estimates: numbers about reliance and synergy.
        explanations: sentences about synergy: what a number does not mean.
        disagreements: sentences about reliance: why estimators disagree.
        panel: reference methods beside the model, where some were trained.
        absent: classes of the task that no audited sample has.
        kinds: of the modalities, where they are known.
    """

    def __init__(
        self,
        task: Task,
        primary: str,
        conditions: Sequence[Condition],
        scores: Iterable[Score],
        *,
        controls: Sequence[Control] = (),
        raised: Mapping[str, int] | None = None,
        asked: Mapping[str, int] | None = None,
        changed: Mapping[str, float] | None = None,
        n: int = 0,
        folder: str = "RUN",
        estimates: Iterable[Estimate] = (),
        explanations: Sequence[str] = (),
        disagreements: Sequence[str] = (),
        panel: Panel | None = None,
        absent: Sequence[str] = (),
        kinds: Mapping[str, str] | None = None,
    ) -> None:
        self.task = task
        self.primary = primary
        self.conditions = list(conditions)
        self.controls = list(controls)
        self.raised = dict(raised or {})
        self.asked = {c.key: n for c in conditions} | dict(asked or {})
        self.changed = dict(changed or {})
        self.n = n
        self.folder = folder
        self.estimates = list(estimates)
        self.explanations = list(explanations)
        self.disagreements = list(disagreements)
        self.panel = panel
        self.absent = list(absent)
        self.kinds = dict(kinds or {})
        self.scores = list(scores)
        self._scores = {(s.condition, s.metric, s.group, s.against): s for s in self.scores}

    @cached_property
    def modalities(self) -> list[str]:
        """Names of all modalities that any condition changes, in order of appearance."""
        return list(dict.fromkeys(m for c in self.conditions for m in c.modalities))

    @property
    def removable(self) -> list[str]:
        """Those that a sample can lack: all but the one that a retrieval is to find."""
        return [m for m in self.modalities if m != self.task.target_modality]

    def score(self, condition: Condition, metric: str | None = None, against: Condition | None = None) -> Score:
        """One metric (the primary by default) of a condition, over all samples.

        All-NaN, with the reason, where it was not measured or on too few samples to judge by.
        """
        name = metric or self.primary
        reference = against or (None if condition.key == CLEAN.key else CLEAN)
        # Metrics that compare with clean data by themselves, such as the flip rate, have no difference from it.
        found = self._scores.get((condition.key, name, "", reference.key if reference else ""))
        if found is None and against is None:
            found = self._scores.get((condition.key, name, "", ""))
        if found is None:
            return Score(condition.key, condition.label, name, reason="not measured")
        if found.n < SMALLEST:
            reason = f"fewer than {SMALLEST} samples"
            return Score(condition.key, condition.label, name, n=found.n, unit=found.unit, reason=reason)
        return found

    def estimated(self, estimator: str, modalities: Iterable[str] | None = None, **options: str) -> list[Estimate]:
        """The estimates of this name over all samples that are defined, of exactly these modalities and options."""
        wanted = None if modalities is None else set(modalities)
        return [
            e
            for e in self.estimates
            if e.estimator == estimator
            and not e.group
            and e.value == e.value
            and e.n >= SMALLEST
            and (wanted is None or set(e.modalities) == wanted)
            and all(e.option(name) == value for name, value in options.items())
        ]

    def words(self, condition: Condition) -> str:
        """The condition as it reads after "under" or "with"."""
        return words(condition, self.kinds)

    @property
    def clean(self) -> Score:
        """The primary metric on clean data."""
        return self.score(CLEAN)

    @cached_property
    def judge(self) -> str:
        """The metric whose loss rules speak of: the primary one, but R² for regression where it was measured.

        Errors shrink too slowly to say what is left: half of the explained variance lost from a perfect model is
        already 71 % of the way from its RMSE to that of the mean answer.
        """
        use_r2 = self.task.kind == "regression" and self.score(CLEAN, "r2").value == self.score(CLEAN, "r2").value
        return "r2" if use_r2 else self.primary

    def loss(self, condition: Condition) -> Score:
        """The score of a condition whose `lost` rules judge by."""
        return self.score(condition, self.judge)

    @cached_property
    def has_signal(self) -> bool:
        """Whether clean data is surely above chance; if not, no loss is a share of anything."""
        clean = self.loss(CLEAN)
        if STILL in clean.reason:  # an R² of 1 up to rounding has no interval; an error of 0 has none either
            clean = self.clean
        low, high = (clean.value,) * 2 if STILL in clean.reason else (clean.low, clean.high)
        return low > clean.floor if clean.better == "higher" else high < clean.floor

    def group_scores(self, metric: str, condition: Condition = CLEAN) -> list[Score]:
        """One metric of a condition for each group value with enough samples."""
        rows = [s for (c, m, g, _), s in self._scores.items() if c == condition.key and m == metric and g]
        return [s for s in rows if s.n >= SMALLEST and s.value == s.value]

    def by_family(self, *families: str) -> list[Condition]:
        """Conditions of these families, in plan order."""
        return [c for c in self.conditions if c.family in families]

    def missing(self, removed: Iterable[str] | None = None, *, neutral_only: bool = False) -> list[Condition]:
        """Conditions of the probe `missing`; those that remove exactly these modalities, where they are given."""
        wanted = None if removed is None else set(removed)
        return [
            c
            for c in self.conditions
            if c.probe == "missing"
            and (wanted is None or set(c.modalities) == wanted)
            and (neutral(c) or not neutral_only)
        ]

    def absences(self, removed: Iterable[str]) -> list[Condition]:
        """How the model meets the absence of exactly these modalities in use: what its confidence is judged by.

        The model's own way where it has one: a stand-in then is a false value that it was never meant to get. Else the
        neutral stand-ins, but none for everything at once: nobody asks a model that needs inputs without any.
        """
        found = self.missing(removed, neutral_only=True)
        native = [c for c in found if c.option("baseline") == "native"]
        return native or [c for c in found if set(c.modalities) < set(self.removable)]

    def removals(self) -> list[tuple[str, ...]]:
        """The sets of modalities that some `missing` condition removes, smallest first."""
        return sorted(dict.fromkeys(c.modalities for c in self.missing()), key=len)

    @cached_property
    def edges(self) -> list[Edge]:
        """Measured pairs of subsets that differ by one modality, with the primary metric's difference between them."""
        subsets = {c.key: c for c in (CLEAN, *self.missing())}
        found = []
        for (key, metric, group, against), edge in self._scores.items():
            if metric != self.primary or group or key not in subsets or against not in subsets or against == CLEAN.key:
                continue
            larger, smaller = subsets[key], subsets[against]
            added = set(smaller.modalities) - set(larger.modalities)
            if len(added) == 1 and edge.n >= SMALLEST and edge.delta == edge.delta:
                found.append(Edge(edge, larger, smaller, added.pop()))
        return found

    def steps(self) -> Iterator[list[tuple[Condition, Condition]]]:
        """Severity curves of corruptions as steps (before, after) between neighbouring places in their table."""
        curves: dict[str, list[Condition]] = {}
        for condition in self.by_family("corruption"):
            if condition.position is not None:
                curves.setdefault(condition.stream, []).append(condition)
        for curve in curves.values():
            known = {0: CLEAN, **{c.position or 0: c for c in curve}}
            yield [(known[p - 1], c) for p, c in sorted(known.items()) if p - 1 in known]

    def reproduce(self, conditions: Iterable[Condition], metrics: Iterable[str], group: str = "") -> str:
        """The command that shows scores of conditions again, without the model; of one group, beside all samples."""
        named = [word for metric in dict.fromkeys(metrics) for word in ("--metric", metric)]
        named += ["--group", group] if group else []
        asked = [word for condition in conditions for word in ("--condition", condition.label)]
        return shlex.join(["mmaudit", "score", self.folder, *asked, *named])

    def reproduce_estimates(self) -> str:
        """The command that shows reliance and synergy again, without the model."""
        return shlex.join(["mmaudit", "synergy", self.folder])

    def reproduce_panel(self) -> str:
        """The command that shows reference methods beside the model again, without training any."""
        return shlex.join(["mmaudit", "panel", self.folder])


class Edge(NamedTuple):
    """What one modality more does: the larger subset's score against the smaller one's."""

    score: Score
    larger: Condition
    smaller: Condition
    added: str
