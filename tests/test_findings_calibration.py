"""Silent failure, overconfidence, contradictions not noticed: on scores made by hand, only where they are sure."""

from __future__ import annotations

import pytest

from helpers.finding_tables import Table, blur, contradicted, drop, fallen, mismatch, missing
from mmaudit.findings import calibration
from mmaudit.types import CLEAN, Condition, Task


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
    assert (
        "So it does with gaussian blur of a at severity 3 of 5 and gaussian blur of a at severity 4 of 5."
        in found.claim
    )


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


def test_of_how_many_stand_ins_overconfidence_is_true_is_said() -> None:
    table = overconfident(0.2, 0.03, missing("b"))
    assert "stand-ins" not in table.find("overconfident_subset")[0].claim
    table.moved(missing("b", baseline="mean"), "overconfidence", 0.0, 0.01, 0.0)
    (found,) = table.find("overconfident_subset")
    assert found.claim.endswith(" Of the 2 stand-ins for a missing b that were measured, 1 leaves such a gap.")
    table = overconfident(0.2, 0.03, missing("b"))
    table.moved(missing("b", baseline="mean"), "overconfidence", 0.1, 0.01, 0.1)
    (found,) = table.find("overconfident_subset")
    assert found.claim.endswith("2 leave such a gap, the one named here the widest.")


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
