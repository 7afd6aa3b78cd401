"""What breaks a model, on scores made by hand: no signal, cliffs, fragility, chance, groups, answers that fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from helpers.finding_tables import Table, blur, falling, mismatch, missing, rate
from mmaudit.findings import find
from mmaudit.types import CLEAN, Task


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


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (Table().clean(0.14, 0.03, floor=0.76).clean(0.3, 0.05, "balanced_accuracy", 1 / 3), "classes mean"),
        (Table(Task.regression(), "rmse").clean(2.0, 0.1, "rmse", 1.0, better="lower"), "targets mean"),
    ],
)
def test_what_is_surely_worse_than_knowing_nothing_is_not_called_equal_to_it(table: Table, said: str) -> None:
    (found,) = table.find("no_signal")
    assert "does worse than an answer that reads nothing" in found.claim
    assert said in found.claim


def test_a_model_that_answers_classes_nobody_has_is_not_blamed() -> None:
    """Balanced accuracy of a constant answer is 0 then, and not one in the number of classes that are there."""
    table = Table(absent=("owl",)).clean().clean(0.9, metric="balanced_accuracy")
    table.score(missing("b"), "balanced_accuracy", 0.1, floor=0.5)
    assert table.find("below_chance") == []
    table = Table(absent=("owl",)).clean(0.4, 0.2).clean(0.2, metric="balanced_accuracy")
    (found,) = table.find("no_signal")
    assert "order" not in found.claim


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
    (found,) = table.lost(blur("a", 1, "image.snow"), 0.3).find("fragile_to_corruption")
    assert "So do gaussian blur and snow." in found.claim


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


def test_a_group_that_is_left_with_little_is_serious() -> None:
    (slight,), (wide,) = grouped(0.75, 0.05).find("group_gap"), grouped(0.7, 0.05).find("group_gap")
    assert (slight.level, wide.level) == ("minor", "major")


def test_groups_of_labels_are_compared_by_auroc() -> None:
    """Average precision is lower where a label is rarer, although the model ranks as well."""
    table = Table(Task.multilabel(2), "average_precision").clean(metric="average_precision").clean(metric="auroc")
    worse = {"group": "site=0", "n": 200, "against": ""}
    assert table.score(CLEAN, "average_precision", 0.6, **worse).find("group_gap") == []
    assert len(table.score(CLEAN, "auroc", 0.6, **worse).find("group_gap")) == 1


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
