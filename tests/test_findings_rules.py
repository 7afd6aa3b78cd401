"""Each rule on scores made by hand: fires when its bound is surely past the threshold, and not when it straddles it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from mmaudit.controls import Control
from mmaudit.findings import Evidence, broken, calibration, find, fusion
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


# ---- ignored modality


def swapped(loss: float, half: float, flips: float, flips_half: float = 0.005) -> Table:
    table = Table().clean().lost(mismatch("b"), loss, half).lost(mismatch("a"), 0.5)
    return table.score(mismatch("b"), "flip_rate", flips, flips_half, against="", better="lower")


def test_ignored_when_loss_and_flips_are_surely_small() -> None:
    (found,) = swapped(0.0, fusion.HARMLESS - 0.001, 0.01).find("ignored_modality")
    assert found.modalities == ("b",)
    assert found.level == "major"
    assert "hardly uses b" in found.claim
    assert {e["metric"] for e in found.evidence} == {"accuracy", "flip_rate"}


def test_not_ignored_when_the_loss_may_matter() -> None:
    assert swapped(0.0, fusion.HARMLESS + 0.001, 0.01).find("ignored_modality") == []


def test_not_ignored_when_answers_change_without_loss() -> None:
    assert swapped(0.0, 0.01, 0.048, 0.005).find("ignored_modality") == []


def test_no_flip_settles_a_loss_that_chance_leaves_no_room_for() -> None:
    # Clean accuracy next to chance: one sample more or less is a large share of what is above it.
    assert len(swapped(0.0, 0.5, 0.0, 0.0037).find("ignored_modality")) == 1


def test_few_samples_without_a_flip_prove_nothing() -> None:
    for n, expected in ((60, 0), (74, 1)):  # 1 − 0.025^(1/n) reaches 5 % at 72 samples
        table = Table(n=n).clean().lost(mismatch("b"), 0.0, 0.0).score(mismatch("b"), "flip_rate", 0.0, 0.0, against="")
        assert len(table.find("ignored_modality")) == expected, n


def test_one_flip_of_few_counts_exactly() -> None:
    """One flip in 80: the bootstrap's upper bound is 3.75 %, the exact one 6.8 %."""
    table = Table(n=80).clean().lost(mismatch("b"), 0.0, 0.01)
    table.score(mismatch("b"), "flip_rate", 1 / 80, 0.025, against="")
    assert table.find("ignored_modality") == []


def test_a_swap_that_changes_little_says_little() -> None:
    table = swapped(0.0, 0.01, 0.002, 0.002)
    table.changed = {mismatch("b").key: 0.3}
    assert table.find("ignored_modality") == []
    table.changed = {mismatch("b").key: 0.8}
    assert len(table.find("ignored_modality")) == 1


def test_not_ignored_when_a_stand_in_matters() -> None:
    assert len(swapped(0.0, 0.01, 0.01).lost(missing("b"), 0.0).find("ignored_modality")) == 1
    assert swapped(0.0, 0.01, 0.01).lost(missing("b"), 0.3).find("ignored_modality") == []
    # Better without it: it is used, to the model's harm.
    assert swapped(0.0, 0.01, 0.01).lost(missing("b"), -0.3).find("ignored_modality") == []


def test_not_ignored_when_it_is_a_fallback() -> None:
    """Without a, b carries the model: the edge from nothing to b gains."""
    table = swapped(0.0, 0.01, 0.01).lost(missing("a"), 0.1).lost(missing("a", "b"), 1.0)
    assert len(table.find("ignored_modality")) == 1
    assert table.lost(missing("a"), -0.9, against=missing("a", "b")).find("ignored_modality") == []


def test_not_ignored_when_probabilities_depend_on_it() -> None:
    assert swapped(0.0, 0.01, 0.0).moved(mismatch("b"), "mean_confidence", 0.2).find("ignored_modality") == []
    brier = swapped(0.0, 0.01, 0.0).score(mismatch("b"), "brier", 0.2, lost=0.3, lost_low=0.2, lost_high=0.4)
    assert brier.find("ignored_modality") == []


def test_every_repetition_of_the_swap_must_agree() -> None:
    table = swapped(0.0, 0.01, 0.01).lost(mismatch("b", repeat=1), 0.2)
    assert table.score(mismatch("b", repeat=1), "flip_rate", 0.2, against="").find("ignored_modality") == []


def test_ignored_in_a_regression_without_flips() -> None:
    def table(loss: float) -> Table:
        t = Table(Task.regression(), "rmse").clean(1.0, 0.02, "rmse", floor=3.0, unit="mm", better="lower")
        t.clean(0.9, 0.01, "r2", floor=0.0)
        return t.score(mismatch("b"), "r2", 0.9, delta=0.0, lost=loss, lost_low=loss - 0.01, lost_high=loss + 0.01)

    assert len(table(0.02).find("ignored_modality")) == 1
    assert table(0.045).find("ignored_modality") == []
    assert table(-0.045).find("ignored_modality") == []  # better with foreign values: used, and wrongly


# ---- single point of failure


def test_single_point_when_every_stand_in_loses_nearly_all() -> None:
    table = Table().clean().lost(missing("a"), 0.90, 0.02).lost(missing("a", baseline="mean"), 0.78, 0.02)
    (found,) = table.lost(missing("b"), 0.1).find("single_point_of_failure")
    assert found.modalities == ("a",)
    assert "78.0" in found.claim  # the most favourable way


def test_no_single_point_when_one_stand_in_straddles() -> None:
    table = Table().clean().lost(missing("a"), 0.90, 0.02).lost(missing("a", baseline="mean"), 0.76, 0.02)
    assert table.lost(missing("b"), 0.1).find("single_point_of_failure") == []


def test_deceptive_stand_ins_alone_make_no_single_point() -> None:
    table = Table().clean().lost(missing("a", baseline="marginal"), 0.95).lost(missing("b", baseline="noise"), 0.1)
    assert table.find("single_point_of_failure") == []


def test_all_or_nothing_reads_as_all() -> None:
    (found,) = Table().clean().lost(missing("a"), 1.02, 0.03).lost(missing("b"), 0.1).find("single_point_of_failure")
    assert "everything it has above chance" in found.claim
    assert "102" not in found.claim


def test_modalities_that_are_all_needed_are_told_once() -> None:
    (found,) = Table().clean().lost(missing("a"), 0.95).lost(missing("b"), 0.99).find("single_point_of_failure")
    assert found.modalities == ("a", "b")
    assert "a and b together" in found.claim


def test_a_model_of_one_modality_has_no_single_point() -> None:
    table = Table(conditions=[CLEAN]).clean().lost(missing("a"), 1.0)
    assert table.find("single_point_of_failure") == []


def test_regression_is_judged_by_what_is_left_of_the_variance() -> None:
    """RMSE three quarters of the way to the mean answer still leaves a good part of the variance explained."""
    table = Table(Task.regression(), "rmse").clean(0.1, 0.01, "rmse", floor=1.0, unit="mm", better="lower")
    table.clean(0.99, 0.001, "r2", floor=0.0)
    for name, r2 in (("a", 0.4), ("b", 0.9)):
        loss = (0.99 - r2) / 0.99
        table.score(missing(name), "rmse", 0.8, unit="mm", lost=0.78, lost_low=0.77, lost_high=0.79, better="lower")
        table.score(missing(name), "r2", r2, lost=loss, lost_low=loss - 0.01, lost_high=loss + 0.01)
    assert table.find("single_point_of_failure") == []


# ---- adding a modality hurts


def edge(harm: float, half: float) -> Table:
    """Without b accuracy is 0.8; with it lower by `harm` ± half."""
    table = Table().clean(0.8 - harm).score(missing("b"), "accuracy", 0.8, floor=0.5)
    bounds = {"delta": -harm, "delta_low": -harm - half, "delta_high": -harm + half, "against": missing("b").key}
    table.score(CLEAN, "accuracy", 0.8 - harm, **bounds)
    return table.lost(missing("a"), 0.5)


def test_adding_hurts_when_surely_worse() -> None:
    (found,) = edge(0.05, 0.03).find("non_monotone_subset")
    assert found.modalities == ("b",)
    assert "Adding b to a makes the model worse" in found.claim


def test_adding_does_not_hurt_when_it_may_not() -> None:
    assert edge(0.05, 0.05).find("non_monotone_subset") == []
    assert edge(-0.05, 0.01).find("non_monotone_subset") == []
    assert edge(fusion.HURTS * 0.3 - 0.001, 0.0001).find("non_monotone_subset") == []


def test_many_looks_need_more_certainty() -> None:
    """A harm that one edge would be sure of is not sure when it is the worst of forty."""
    alone = edge(0.05, 0.035)
    assert len(alone.find("non_monotone_subset")) == 1
    among = edge(0.05, 0.035)
    for i in range(40):
        name = f"m{i}"
        among.score(missing(name), "accuracy", 0.75, floor=0.5)
        none = {"delta": 0.0, "delta_low": -0.03, "delta_high": 0.03, "against": missing(name).key}
        among.score(CLEAN, "accuracy", 0.75, **none)
    assert among.find("non_monotone_subset") == []


def test_a_rate_of_missing_samples_is_no_subset() -> None:
    table = edge(0.05, 0.05)
    table.lost(rate("b", 0.3), 0.1).lost(rate("b", 0.1), -0.3, against=rate("b", 0.3))
    assert table.find("non_monotone_subset") == []


def test_a_false_stand_in_makes_no_subset_for_a_model_that_needs_none() -> None:
    table = edge(0.05, 0.01)
    table.lost(missing("b", baseline="native"), 0.1)
    assert table.find("non_monotone_subset") == []


def test_what_hurts_is_not_ignored() -> None:
    table = edge(0.05, 0.001).lost(mismatch("b"), 0.0)
    table.score(mismatch("b"), "flip_rate", 0.0, 0.003, against="")
    assert len(table.find("non_monotone_subset")) == 1
    assert table.find("ignored_modality") == []


# ---- baseline-dependent conclusion


@pytest.mark.parametrize(
    ("mild", "grave", "half", "expected"),
    [(0.01, 0.40, 0.03, 1), (0.03, 0.40, 0.03, 0), (0.01, 0.32, 0.03, 0), (0.01, 0.90, 0.03, 1)],
)
def test_baseline_dependent(mild: float, grave: float, half: float, expected: int) -> None:
    table = Table().clean().lost(missing("b", baseline="mean"), mild, half).lost(missing("b"), grave, half)
    assert len(table.find("baseline_dependent")) == expected


def test_a_contradicting_stand_in_is_no_dependence() -> None:
    table = Table().clean().lost(missing("b", baseline="mean"), 0.01).lost(missing("b", baseline="marginal"), 0.6)
    assert table.find("baseline_dependent") == []


# ---- silent failure, overconfidence, mismatch


def fallen(condition: Condition, fall: float, confidence: float, half: float = 0.005) -> Table:
    """Accuracy falls by `fall`, confidence by `confidence`, each ± half."""
    table = Table().clean().clean(0.91, metric="mean_confidence", floor=float("nan"), better="neither")
    return drop(table, condition, fall, confidence, half)


def drop(table: Table, condition: Condition, fall: float, confidence: float, half: float = 0.005) -> Table:
    table.lost(condition, fall / ROOM, half / ROOM)
    return table.moved(condition, "mean_confidence", -confidence, half, 0.91 - confidence)


def test_silent_when_accuracy_falls_and_confidence_does_not() -> None:
    (found,) = fallen(missing("b"), 0.20, 0.03).find("silent_failure")
    assert found.level == "critical"
    assert found.modalities == ("b",)
    assert "fails silently" in found.claim


@pytest.mark.parametrize(
    ("fall", "confidence"),
    [
        (calibration.FALL + 0.004, 0.0),  # may have fallen by less than five points
        (0.20, 0.044),  # 4.4 + 0.5 points: more than a quarter of the 19.5 that are sure
        (0.20, 0.20),  # knows it
        (-0.20, 0.0),
    ],
)
def test_not_silent_otherwise(fall: float, confidence: float) -> None:
    assert fallen(missing("b"), fall, confidence).find("silent_failure") == []


def test_deceptive_stand_ins_are_no_absence() -> None:
    assert fallen(missing("b", baseline="marginal"), 0.3, 0.0).find("silent_failure") == []


def test_stand_ins_do_not_judge_a_model_that_handles_absence() -> None:
    table = fallen(missing("b"), 0.3, 0.0)
    assert drop(table, missing("b", baseline="native"), 0.1, 0.1).find("silent_failure") == []


def test_nothing_at_all_is_judged_natively_only() -> None:
    table = drop(fallen(missing("a"), 0.1, 0.1), missing("b"), 0.1, 0.1)
    assert drop(table, missing("a", "b"), 0.4, 0.0).find("silent_failure") == []
    (found,) = drop(table, missing("a", "b", baseline="native"), 0.4, 0.0).find("silent_failure")
    assert found.modalities == ("a", "b")


def test_a_larger_set_is_not_told_again() -> None:
    table = drop(fallen(missing("a"), 0.2, 0.0), missing("a", "b", baseline="native"), 0.4, 0.0)
    assert [f.modalities for f in table.find("silent_failure")] == [("a",)]


def test_a_silent_failure_beyond_the_middle_of_a_table_is_less_grave() -> None:
    assert [f.level for f in fallen(blur("a", 5), 0.2, 0.0).find("silent_failure")] == ["major"]
    assert [f.level for f in fallen(blur("a", 3), 0.2, 0.0).find("silent_failure")] == ["critical"]


def test_conditions_of_a_modality_are_told_together() -> None:
    table = drop(drop(fallen(blur("a", 3), 0.1, 0.0), blur("a", 4), 0.2, 0.0), missing("a"), 0.3, 0.0)
    (found,) = table.find("silent_failure")
    assert "a missing" in found.claim
    assert "2 more conditions" in found.claim


def labels(right: float, confidence: float) -> Table:
    """Multilabel: overconfidence is confidence minus the share of right labels."""
    table = Table(Task.multilabel(3), "average_precision").clean(0.9, metric="average_precision")
    table.clean(0.9, metric="mean_confidence", floor=float("nan"), better="neither")
    table.clean(0.0, metric="overconfidence", floor=float("nan"), better="neither")
    table.moved(missing("b"), "mean_confidence", -confidence, value=0.9 - confidence)
    return table.moved(missing("b"), "overconfidence", right - confidence, value=right - confidence)


def test_silent_for_labels_by_the_share_of_right_ones() -> None:
    (found,) = labels(0.2, 0.02).find("silent_failure")
    assert "right labels goes from 90.0\u00a0% to 70.0\u00a0%" in found.claim
    assert labels(0.2, 0.1).find("silent_failure") == []


def overconfident(gap: float, half: float, condition: Condition = CLEAN) -> Table:
    table = Table().clean().clean(0.0, metric="overconfidence", floor=float("nan"), better="neither")
    if condition is CLEAN:
        table.scores.pop()
        table.clean(gap, half, "overconfidence", floor=float("nan"), better="neither")
    else:
        table.moved(condition, "overconfidence", gap, half, gap)
    return (
        table.moved(condition, "mean_confidence", 0.0, value=0.9)
        if condition is not CLEAN
        else table.clean(0.9 + gap, metric="mean_confidence", floor=float("nan"), better="neither")
    )


def test_overconfident_when_surely_by_more_than_the_limit() -> None:
    for where, names in ((CLEAN, ()), (missing("b"), ("b",))):
        (found,) = overconfident(0.08, 0.029, where).find("overconfident_subset")
        assert found.modalities == names
        assert found.level == "minor"
        assert overconfident(0.08, 0.031, where).find("overconfident_subset") == []


def test_gross_overconfidence_is_major() -> None:
    (found,) = overconfident(0.2, 0.03, missing("b")).find("overconfident_subset")
    assert found.level == "major"


def test_overconfidence_everywhere_is_told_once() -> None:
    table = overconfident(0.10, 0.02)
    table.moved(missing("b"), "overconfidence", 0.02, 0.02, 0.12).moved(missing("b"), "mean_confidence", 0.0)
    assert [f.modalities for f in table.find("overconfident_subset")] == [()]
    table.moved(missing("a"), "overconfidence", 0.15, 0.02, 0.25).moved(missing("a"), "mean_confidence", 0.0)
    assert {f.modalities for f in table.find("overconfident_subset")} == {(), ("a",)}


def test_a_silent_failure_is_not_told_as_overconfidence_too() -> None:
    table = fallen(missing("b"), 0.2, 0.0).clean(0.0, metric="overconfidence", floor=float("nan"), better="neither")
    table.moved(missing("b"), "overconfidence", 0.2, 0.01, 0.2)
    assert len(table.find("silent_failure")) == 1
    assert table.find("overconfident_subset") == []


def contradicted(confidence: float, kept: float = 0.8, pool: str = "across_class") -> Table:
    """Exchanging b costs 30 points; each modality alone keeps a share of what is above chance."""
    table = fallen(mismatch("b", pool), 0.30, confidence, 0.002)
    return table.lost(missing("a"), 1 - kept, 0.02).lost(missing("b"), 1 - kept, 0.02)


def test_mismatch_not_noticed() -> None:
    (found,) = contradicted(0.005).find("mismatch_not_noticed")
    assert found.modalities == ("b",)
    assert "does not notice that b contradicts a" in found.claim


def test_a_mismatch_that_moves_confidence_is_noticed() -> None:
    # UNNOTICED × 29.8 points that are sure = 1.49; 1.4 ± 0.2 may be more.
    assert contradicted(0.014).find("mismatch_not_noticed") == []


def test_a_mismatch_that_cannot_be_noticed_is_no_fault() -> None:
    """Where neither modality says anything alone, any two make a valid sample."""
    assert contradicted(0.0, kept=0.03).find("mismatch_not_noticed") == []
    assert contradicted(0.0, kept=calibration.TELLING + 0.01).find("mismatch_not_noticed") == []


def test_a_mismatch_without_the_subsets_is_not_judged() -> None:
    assert fallen(mismatch("b"), 0.30, 0.0).lost(missing("b"), 0.1).find("mismatch_not_noticed") == []


def test_the_pool_that_contradicts_for_sure_is_preferred() -> None:
    table = drop(contradicted(0.005, pool="random"), mismatch("b", "across_class"), 0.6, 0.3)
    assert table.find("mismatch_not_noticed") == []
    assert len(contradicted(0.005, pool="random").find("mismatch_not_noticed")) == 1


# ---- what breaks it


@pytest.mark.parametrize(("low_half", "expected"), [(0.09, 0), (0.11, 1)])
def test_no_signal(low_half: float, expected: int) -> None:
    (*found,) = Table().clean(0.6, low_half).find("no_signal")
    assert len(found) == expected
    assert all(f.level == "critical" and "cannot be told" in f.claim for f in found)


def test_no_signal_silences_shares_of_nothing() -> None:
    table = Table().clean(0.51, 0.02).lost(missing("a"), 5.0).lost(missing("b"), 4.0)
    assert {f.rule for f in find(table.evidence())} == {"no_signal"}


def test_no_signal_on_lopsided_classes_says_what_is_there() -> None:
    table = Table().clean(0.88, 0.02, floor=0.9).clean(0.8, 0.02, "balanced_accuracy")
    (found,) = table.find("no_signal")
    assert found.level == "major"
    assert "tells classes apart" in found.claim


def test_worse_than_chance_on_clean_data_asks_for_the_order_of_classes() -> None:
    table = (
        Table()
        .clean(0.2)
        .clean(0.2, metric="balanced_accuracy")
        .score(missing("b"), "balanced_accuracy", 0.2, floor=0.5)
    )
    (found,) = table.find("no_signal")
    assert "order of its classes" in found.claim
    assert table.find("below_chance") == []


def falling(losses: Mapping[int, float], half: float = 0.03, name: str = "a") -> Table:
    table, before = Table().clean().lost(missing("b"), 0.1), CLEAN
    for position, loss in losses.items():
        condition = blur(name, position)
        table.lost(condition, loss, half)
        if before is not CLEAN:
            table.lost(condition, loss - losses[before.position or 0], half, against=before)
        before = condition
    return table


def test_cliff_between_two_neighbouring_severities() -> None:
    (found,) = falling({1: 0.01, 2: 0.05, 3: 0.50, 4: 0.6, 5: 0.7}).find("cliff")
    assert "from severity 2 to severity 3" in found.claim
    assert found.modalities == ("a",)


@pytest.mark.parametrize(
    "losses",
    [
        {1: 0.0, 2: 0.05, 3: 0.47, 4: 0.6},  # 42 % ± 3 % may be less than 40 %
        {1: 0.1, 2: 0.3, 3: 0.5, 4: 0.7, 5: 0.9},  # a slope
        {2: 0.30, 3: 0.90},  # part of it was gone before, and severity 1 is not known
        {3: 0.60, 5: 0.70},  # nobody knows what 1 and 2 do
    ],
)
def test_no_cliff(losses: Mapping[int, float]) -> None:
    assert falling(losses).find("cliff") == []


def test_the_mildest_severity_can_be_a_cliff() -> None:
    (found,) = falling({1: 0.6, 2: 0.65}).find("cliff")
    assert "from clean data to severity 1" in found.claim


def test_rates_of_missing_samples_have_no_cliff() -> None:
    table = Table().clean().lost(rate("a", 0.1), 0.1).lost(rate("a", 0.9), 0.9)
    assert table.lost(rate("a", 0.9), 0.8, against=rate("a", 0.1)).find("cliff") == []


@pytest.mark.parametrize(("loss", "position", "expected"), [(0.29, 3, 1), (0.27, 3, 0), (0.60, 4, 0)])
def test_fragile(loss: float, position: int, expected: int) -> None:
    table = Table().clean().lost(missing("b"), 0.1).lost(blur("a", position), loss, 0.03)
    assert len(table.find("fragile_to_corruption")) == expected


def test_fragile_names_other_corruptions_of_the_same_modality() -> None:
    table = Table().clean().lost(blur("a", 3), 0.4).lost(blur("a", 2, "image.fog"), 0.5).lost(missing("b"), 0.1)
    (found,) = table.find("fragile_to_corruption")
    assert found.claim.startswith("Fog of a at severity 2 of 5")
    assert "So does gaussian blur." in found.claim


def test_a_cliff_is_not_told_as_fragility_too() -> None:
    table = falling({1: 0.01, 2: 0.05, 3: 0.60})
    assert len(table.find("cliff")) == 1
    assert table.find("fragile_to_corruption") == []


@pytest.mark.parametrize(
    ("value", "half", "expected"), [(0.40, 0.05, 1), (0.44, 0.05, 0), (0.47, 0.005, 1), (0.49, 0.005, 0)]
)
def test_below_chance(value: float, half: float, expected: int) -> None:
    table = Table().clean().clean(0.9, metric="balanced_accuracy")
    table.score(missing("b"), "balanced_accuracy", value, half, floor=0.5)
    assert len(table.find("below_chance")) == expected


def test_exactly_chance_under_many_conditions_is_not_below_it() -> None:
    """Of a hundred conditions at chance the lowest lies 2.5 standard errors below it."""
    table = Table().clean().clean(0.9, metric="balanced_accuracy")
    for i in range(100):
        table.score(missing(f"m{i}"), "balanced_accuracy", 0.46 if i == 0 else 0.5, 0.0196 * 1.2, floor=0.5)
    assert table.find("below_chance") == []


def test_donors_of_another_class_are_meant_to_mislead() -> None:
    table = Table().clean().clean(0.9, metric="balanced_accuracy")
    assert table.score(mismatch("b", "across_class"), "balanced_accuracy", 0.1, floor=0.5).find("below_chance") == []


def test_below_chance_in_a_regression() -> None:
    table = (
        Table(Task.regression(), "rmse")
        .clean(1.0, 0.02, "rmse", floor=3.0, better="lower")
        .clean(0.9, metric="r2", floor=0.0)
    )
    assert table.score(missing("b", baseline="marginal"), "r2", -0.8, floor=0.0).find("below_chance") == []
    assert len(table.score(missing("b"), "r2", -0.8, floor=0.0).find("below_chance")) == 1


def grouped(value: float, half: float, groups: int = 1) -> Table:
    table = Table().clean()
    table.scores += [
        replace(
            table.scores[0],
            group=f"site={i}",
            n=200,
            value=value if i == 0 else 0.9,
            low=(value if i == 0 else 0.9) - half,
            high=(value if i == 0 else 0.9) + half,
        )
        for i in range(groups)
    ]
    return table


def test_group_gap() -> None:
    (found,) = grouped(0.7, 0.05).find("group_gap")
    assert found.claim.startswith("Where site is 0 (200 samples) accuracy is 70.0")
    assert grouped(0.85, 0.05).find("group_gap") == []


def test_one_of_many_groups_needs_more_certainty() -> None:
    assert len(grouped(0.79, 0.05).find("group_gap")) == 1
    assert grouped(0.79, 0.05, groups=20).find("group_gap") == []


def test_small_groups_are_not_judged() -> None:
    table = grouped(0.2, 0.05)
    table.scores[-1] = replace(table.scores[-1], n=29)
    assert table.find("group_gap") == []


def test_model_raised_is_told_once_per_modality() -> None:
    table = Table().clean().lost(missing("b"), 0.1).lost(blur("b", 3), 0.1).lost(missing("a", "b"), 0.1)
    table.raised = {missing("b").key: 40, blur("b", 3).key: 7, missing("a", "b").key: 40}
    (found,) = table.find("model_raised")
    assert found.modalities == ("b",)
    assert "40 of 1\u202f000 samples (4.0\u00a0%)" in found.claim
    assert "2 conditions that change b" in found.claim


def test_samples_that_fail_on_clean_data_are_told_once() -> None:
    table = Table().clean().lost(missing("b"), 0.1)
    table.raised = {CLEAN.key: 3, missing("b").key: 3}
    (found,) = table.find("model_raised")
    assert found.modalities == ()
    assert found.claim.startswith("On clean data")
    assert found.level == "critical"


def test_no_answer_to_nothing_is_no_fault() -> None:
    table = Table().clean().lost(missing("a"), 0.1).lost(missing("b"), 0.1).lost(missing("a", "b"), 1.0)
    table.raised = {missing("a", "b").key: 1000}
    assert [f.level for f in table.find("model_raised")] == ["info"]


def test_few_raised_rows_are_less_grave() -> None:
    table = Table().clean().lost(missing("b"), 0.1)
    table.raised = {missing("b").key: 9}
    assert [f.level for f in table.find("model_raised")] == ["major"]


# ---- controls and the machinery


def test_control_failed_once_per_control() -> None:
    destroy = [Condition("destroy", "control", 1, ("a", "b"), repeat=i) for i in range(3)]
    table = Table().clean()
    table.conditions += destroy
    table.controls = [Control("destroy", c, False, "better than chance.") for c in destroy]
    (found,) = table.find("control_failed")
    assert found.level == "critical"
    assert found.effect == 1.0
    assert "3 repetitions" in found.claim
    table.controls = [replace(c, ok=True) for c in table.controls]
    assert table.find("control_failed") == []


def test_idle_probes_are_told_together() -> None:
    table = Table().clean()
    table.controls = [Control("applied", blur("a", i), False, "changed nothing.") for i in (1, 2, 3)]
    (found,) = table.find("probe_without_effect")
    assert found.level == "info"
    assert found.claim.startswith("3 conditions changed no sample")


def test_too_few_samples_say_so_and_nothing_else() -> None:
    table = Table(n=29).clean().lost(missing("a"), 1.0, 0.0).lost(missing("b"), 0.0, 0.0)
    assert [f.rule for f in find(table.evidence())] == ["too_few_samples"]
    table = Table(n=30).clean().lost(missing("a"), 1.0, 0.0).lost(missing("b"), 0.0, 0.0)
    assert [f.rule for f in find(table.evidence())] == ["single_point_of_failure"]


def test_a_flood_is_told_by_its_worst_case() -> None:
    table = Table().clean()
    for i in range(8):
        table.lost(blur(f"m{i}", 3), 0.3 + i / 20)
    (found,) = table.find("fragile_to_corruption")
    assert "of m7 at" in found.claim
    assert "The same holds for m6, m5, m4, m3 and 3 more." in found.claim
    assert len(found.modalities) == len(found.evidence) == 8
    assert found.effect == pytest.approx(0.65)


def test_undefined_scores_claim_nothing() -> None:
    table = Table().clean()
    table.conditions += [missing("a"), missing("b"), mismatch("a"), mismatch("b"), blur("a", 3), rate("a", 0.5)]
    assert find(table.evidence()) == []


def test_bounds_decide_and_not_estimates() -> None:
    """The same estimates with intervals as wide as the scale: nothing is sure."""
    table = contradicted(0.0).lost(blur("a", 3), 0.9).lost(mismatch("a"), 0.0)
    table.score(missing("b", baseline="mean"), "balanced_accuracy", 0.1, floor=0.5)
    assert find(table.evidence())
    wide = {"low": -1.0, "high": 2.0, "delta_low": -2.0, "delta_high": 2.0, "lost_low": -5.0, "lost_high": 5.0}
    clean, *rest = table.scores
    table.scores = [clean, *(replace(s, **wide) for s in rest)]
    assert find(table.evidence()) == []


def test_the_gravest_come_first() -> None:
    table = drop(falling({1: 0.6, 2: 0.65}), missing("a"), 0.39, 0.0).lost(blur("c", 3), 0.9)
    found = find(table.evidence())
    order = [(["critical", "major", "minor", "info"].index(f.level), -f.effect) for f in found]
    assert len(found) >= 3
    assert order == sorted(order)


def test_thresholds_are_ordered() -> None:
    assert 0 < fusion.HURTS < fusion.HARMLESS < fusion.SEVERE < fusion.NEARLY_ALL < 1
    assert calibration.OVERCONFIDENT < calibration.GROSSLY_OVERCONFIDENT
    assert calibration.UNNOTICED < calibration.UNMOVED
    assert broken.INTACT < broken.CLIFF
