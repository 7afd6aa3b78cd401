"""What rules say of fusion, on scores made by hand: only where a bound is surely past its threshold."""

from __future__ import annotations

import pytest

from helpers.finding_tables import Table, mismatch, missing, rate
from mmaudit.findings import fusion
from mmaudit.types import CLEAN, Task

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


def test_a_modality_that_moves_no_probability_may_never_reach_the_model() -> None:
    table = swapped(0.0, 0.01, 0.0)
    for metric in ("brier", "mean_confidence"):
        table.moved(mismatch("b"), metric, 0.0)
    (found,) = table.find("ignored_modality")
    assert found.claim.endswith("make sure that the adapter passes it on to the model.")
    (moved,) = swapped(0.0, 0.01, 0.0).moved(mismatch("b"), "brier", 0.001).find("ignored_modality")
    assert "adapter" not in moved.claim


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
    command = "mmaudit score runs/mine --condition clean --condition 'missing[b, baseline=zero]' --metric accuracy"
    assert found.reproduce == command, "both numbers of the claim"


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
