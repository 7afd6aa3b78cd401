"""How findings are told, whatever the rule: controls first, the sure only, few at a time, the gravest on top."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.finding_tables import Table, blur, contradicted, drop, falling, mismatch, missing, rate
from mmaudit.controls import Control
from mmaudit.findings import base, broken, calibration, find, fusion
from mmaudit.types import Condition


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
    swap = Condition("mismatch", "mismatch", 1, ("a",), options=(("pool", "within_class"),))
    table.controls = [Control("applied", swap, False, "changed nothing.")]
    (found,) = table.find("probe_without_effect")
    assert found.claim.endswith("a taken from another sample of the same class.")  # whole: no user's name is long


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


def test_what_a_folded_claim_is_about_is_not_told_of_itself() -> None:
    """Four drafts about two subjects; and about one only, where nothing is left to say."""
    drafts = [base.Draft(f"Claim about {m} {i}.", (m,), (), 0.1 * i) for i, m in enumerate(("a", "b", "a", "b"))]
    (told,) = base.folded(drafts)
    assert told.claim == "Claim about b 3. The same holds for a."
    assert set(told.modalities) == {"a", "b"}
    (told,) = base.folded([replace(d, modalities=("b",)) for d in drafts])
    assert told.claim == "Claim about b 3."


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
