"""Which findings must appear in an audit of a known world, and which would be false; from its truth alone.

A rule's claim has a meaning ("accuracy falls by 5 points or more and confidence by less than a quarter of that").
`Expectations` evaluates that meaning on the true values. A finding is false if its claim is not true, however narrow
the miss. It must appear if the claim is true by so much that a sample of this size shows it (`margin`). Between the two
it may appear.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from mmaudit.findings import broken, calibration, conflict, fusion
from mmaudit.types import CLEAN, Condition, Finding
from theory.known_tasks import Labels, Regression, World
from theory.known_truth import Truth

Claim = tuple[str, frozenset[str]]
DECEPTIVE = ("marginal", "noise")


@dataclass(frozen=True)
class Expectations:
    """What is true of a world under the conditions of an audit.

    Attributes:
        world: the world.
        conditions: of the audit.
        n: samples.
        faults: findings that a planted fault must raise and that no closed form decides (a control, an exception).
        tolerated: rules that are not judged, because a fault makes truth unknown to them.
    """

    world: World
    conditions: tuple[Condition, ...]
    n: int
    faults: frozenset[Claim] = frozenset()
    tolerated: frozenset[str] = frozenset()

    @property
    def margin(self) -> float:
        """In points of accuracy: what a difference must exceed a threshold by to be seen with 95 % power.

        (1.96 + 1.645) × the largest standard error: 0.5 / √n of a share, about 1 / √n of R².
        """
        return 3.6 * (1.0 if isinstance(self.world, Regression) else 0.5) / self.n**0.5

    @cached_property
    def truths(self) -> dict[str, Truth]:
        known = {c.key: self.world.truth(c) for c in self.conditions}
        return {key: truth for key, truth in known.items() if truth is not None}

    @property
    def clean(self) -> Truth | None:
        return self.truths.get(CLEAN.key)

    @property
    def room(self) -> float:
        return self.clean.judged - self.world.floor if self.clean else float("nan")

    def lost(self, condition: Condition) -> float:
        truth = self.truths.get(condition.key)
        return (self.clean.judged - truth.judged) / self.room if truth and self.clean else float("nan")

    # ---- what must be found, and what may

    @cached_property
    def must(self) -> set[Claim]:
        return set(self.faults) | self._claims(self.margin)

    @cached_property
    def may(self) -> set[Claim]:
        return set(self.faults) | self._claims(0.0)

    def missed(self, findings: Iterable[Finding]) -> set[Claim]:
        """Claims that had to be made and were not."""
        found = [(f.rule, frozenset(f.modalities)) for f in findings]
        return {claim for claim in self.must if not any(_covers(f, claim) for f in found)}

    def false(self, findings: Iterable[Finding]) -> list[Finding]:
        """Findings whose claim is not true."""
        return [f for f in findings if f.rule not in self.tolerated and not self._true(f)]

    def _true(self, finding: Finding) -> bool:
        if finding.rule == "single_point_of_failure":  # told together where several modalities are one each
            return all((finding.rule, frozenset({m})) in self.may for m in finding.modalities)
        return (finding.rule, frozenset(finding.modalities)) in self.may

    # ---- the meaning of each rule

    def _claims(self, margin: float) -> set[Claim]:
        """All claims that are true by more than a margin; those about losses only where there is something to lose."""
        if self.clean is None:
            return set()
        found = self._of_confidence(margin) | self._of_worse(margin)
        if self.room < self.margin and (self.room <= 0 or not margin):
            found.add(("no_signal", frozenset()))
        # A loss is a share of what is above chance: nothing has to be said where that is not sure.
        return found | self._of_losses(margin) if self.room > (self.margin if margin else 0.0) else found

    def _of_confidence(self, margin: float) -> set[Claim]:
        found: set[Claim] = set()
        if isinstance(self.world, Regression) or self.clean is None:
            return found
        extra = self.clean.confidence - self.clean.accuracy
        at_least = calibration.OVERCONFIDENT + margin
        if extra > at_least:
            found.add(("overconfident_subset", frozenset()))
        already = extra if margin and extra > calibration.OVERCONFIDENT else 0.0
        for names in self.sets:
            absent = self._absent(*names)
            corrupted = [c for c in self.conditions if c.family == "corruption" and c.modalities == names]
            if any(self._silent(c, calibration.UNMOVED, margin) for c in [*absent, *corrupted]):
                found.add(("silent_failure", frozenset(names)))
            truths = [self.truths[c.key] for c in absent]
            if any(t.confidence - t.accuracy > at_least + already for t in truths):
                found.add(("overconfident_subset", frozenset(names)))
        return found

    def _of_worse(self, margin: float) -> set[Claim]:
        """Claims that need no more than an order: worse than a subset, worse than chance."""
        found = {("non_monotone_subset", frozenset({m})) for m in self.world.names if self._hurts(m, margin)}
        if margin and self._below(CLEAN, 0.0):
            return found
        for names in self.sets:
            there = [c for c in self.conditions if c.family in ("missing", "corruption") and c.modalities == names]
            if any(self._below(c, margin) for c in there):
                found.add(("below_chance", frozenset(names)))
        return found

    @property
    def sets(self) -> set[tuple[str, ...]]:
        return {c.modalities for c in self.conditions if c.family in ("missing", "corruption")}

    def _of_losses(self, margin: float) -> set[Claim]:
        found: set[Claim] = set()
        share = margin / self.room
        for m in self.world.names:
            one = frozenset({m})
            if self._ignored(m, margin):
                found.add(("ignored_modality", one))
            if self._single_point(m, share):
                found.add(("single_point_of_failure", one))
            if self._unnoticed(m, margin, share):
                found.add(("mismatch_not_noticed", one))
            if self._decides(m, margin):
                found.add(("conflict_winner", one))
        for names in self.sets:
            found |= {(rule, frozenset(names)) for rule in self._of_set(names, margin, share)}
        return found

    def _of_set(self, names: tuple[str, ...], margin: float, share: float) -> Iterable[str]:
        neutral = self._removing(*names)
        corrupted = [c for c in self.conditions if c.family == "corruption" and c.modalities == names]
        losses = [self.lost(c) for c in neutral]
        if any(x < fusion.HARMLESS - share for x in losses) and any(x > fusion.SEVERE + share for x in losses):
            yield "baseline_dependent"
        steps = [CLEAN, *sorted(corrupted, key=lambda c: c.position or 0)]
        falls = [(self.lost(after) - self.lost(before), self.lost(before), after) for before, after in pairwise(steps)]
        cliffs = [f for f in falls if f[0] >= broken.CLIFF + share and f[1] <= broken.INTACT - share]
        if cliffs:
            yield "cliff"
        told = margin and any((after.position or 0) <= broken.MIDDLE for _, _, after in cliffs)
        middling = [self.lost(c) for c in corrupted if (c.position or 0) <= broken.MIDDLE]
        if not told and any(x >= broken.FRAGILE + share for x in middling):
            yield "fragile_to_corruption"

    def _ignored(self, m: str, margin: float) -> bool:
        if self.world.ignores(m):
            return True
        swaps = [c for c in self.conditions if c.modalities == (m,) and c.option("pool") == "random"]
        if margin or not swaps:
            return False
        # Used, but so little that saying "hardly" is true.
        if not isinstance(self.world, Regression) and self.world.flips(swaps[0]) > fusion.HARMLESS:
            return False
        losses = [self.lost(c) for c in (swaps[0], *self._removing(m))]
        return all(abs(x) <= fusion.HARMLESS for x in losses) and not self._kept_from(m)

    def _kept_from(self, m: str) -> bool:
        """Whether the modality decides anything once another one is missing, or how sure an answer is."""
        without = [c for c in self.conditions if c.probe == "missing" and c.key in self.truths]
        for larger in without:
            for smaller in without:
                pair = larger.options == smaller.options and {m, *larger.modalities} == set(smaller.modalities)
                if pair and m not in larger.modalities and self.lost(smaller) - self.lost(larger) > fusion.HARMLESS:
                    return True
        swaps = [c for c in self.conditions if c.modalities == (m,) and c.option("pool") == "random"]
        return any(
            abs(self.truths[c.key].confidence - self.truths[CLEAN.key].confidence) > fusion.HARMLESS for c in swaps
        )

    def _removing(self, *names: str, neutral: bool = True) -> list[Condition]:
        return [
            c
            for c in self.conditions
            if c.probe == "missing"
            and set(c.modalities) == set(names)
            and not (neutral and c.option("baseline") in DECEPTIVE)
            and c.key in self.truths
        ]

    def _absent(self, *names: str) -> list[Condition]:
        """The model's own way with absence, or stand-ins for some but not all of its inputs."""
        found = self._removing(*names)
        native = [c for c in found if c.option("baseline") == "native"]
        return native or [c for c in found if set(names) < set(self.world.names)]

    def _decides(self, m: str, margin: float) -> bool:
        """Whether a modality wins most conflicts of two classes: exchanged, and kept where there is one other."""
        wins = {c.modalities[0]: 1 - self.truths[c.key].accuracy for c in self.conditions if c.family == "conflict"}
        others = [n for n in self.world.names if n != m]
        if m not in wins or (len(others) == 1 and 1 - wins[others[0]] <= conflict.HALF + margin):
            return False
        return wins[m] > conflict.DECIDES + margin

    def _single_point(self, m: str, share: float) -> bool:
        losses = [self.lost(c) for c in self._removing(m, neutral=False)]
        # Each of up to five stand-ins must show it: 99 % power for each gives 95 % for all.
        return bool(losses) and all(x >= fusion.NEARLY_ALL + 1.2 * share for x in losses)

    def _hurts(self, m: str, margin: float) -> bool:
        missing = [c for c in self.conditions if c.probe == "missing" and c.key in self.truths]
        for larger in [CLEAN, *missing]:
            for smaller in missing:
                pair = larger is CLEAN or larger.options == smaller.options
                one_more = {m, *larger.modalities} == set(smaller.modalities) and m not in larger.modalities
                if not (pair and one_more and set(smaller.modalities) < set(self.world.names)):
                    continue
                lead = self.truths[smaller.key].judged - self.world.floor
                harm = self.truths[smaller.key].judged - self.truths[larger.key].judged
                # The worst of some twenty pairs must be sure, which takes 1.5 times what one takes.
                if lead > margin and harm > (fusion.HURTS * lead + 1.5 * margin if margin else 0.0):
                    return True
        return False

    def _silent(self, condition: Condition, unmoved: float, margin: float) -> bool:
        truth = self.truths.get(condition.key)
        if truth is None or self.clean is None:
            return False
        fall = self.clean.accuracy - truth.accuracy
        # To be seen: the smaller fall that is sure must still be large, and confidence surely below its share of it.
        slack = margin if not isinstance(self.world, Labels) else 2 * margin
        return fall >= calibration.FALL + slack and (
            self.clean.confidence - truth.confidence <= unmoved * (fall - slack) - slack / 2
        )

    def _unnoticed(self, m: str, margin: float, share: float) -> bool:
        others = [n for n in self.world.names if n != m]
        sides = [self._removing(m), self._removing(*others)]
        telling = all(any(self.lost(c) <= calibration.TELLING - share for c in side) for side in sides)
        swaps = {c.option("pool"): c for c in self.conditions if c.family == "mismatch" and c.modalities == (m,)}
        swap = swaps.get("across_class") or swaps.get("random")
        if swap is None or not telling or swap.key not in self.truths or self.clean is None:
            return False
        fall = self.clean.accuracy - self.truths[swap.key].accuracy
        quiet = self.clean.confidence - self.truths[swap.key].confidence
        # Confidence moves far less between samples than answers do: a fifth of their spread at most.
        return fall >= calibration.FALL + margin and quiet <= calibration.UNNOTICED * (fall - margin) - margin / 5

    def _below(self, condition: Condition, margin: float) -> bool:
        truth = self.truths.get(condition.key)
        if truth is None:
            return False
        if isinstance(self.world, Regression):
            random = condition.option("baseline") in DECEPTIVE
            # The spread of R² grows with the error that it speaks of.
            at_least = broken.BELOW_R2 + 1.5 * margin * (1 - truth.balanced) if margin else 0.0
            return not random and truth.balanced < -at_least
        chance = 1 / self.world.task.width if not isinstance(self.world, Labels) else 0.5
        return truth.balanced < chance * (1 - broken.BELOW) - 2 * margin if margin else truth.balanced < chance


def _covers(found: Claim, wanted: Claim) -> bool:
    """Whether a finding says what had to be said: about the modalities, or some of them, as the rules tell sets."""
    rule, names = wanted
    # A silent failure is overconfidence too, and is told instead of it.
    if found[0] != rule and not (rule == "overconfident_subset" and found[0] == "silent_failure"):
        return False
    if rule == "single_point_of_failure":
        return names <= found[1]
    return found[1] <= names and (bool(found[1]) or not names)
