"""Numbers in claims beside those they are made of: unit, sign, scale, and what a test of many cannot promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.compare_cases import two_models, write
from mmaudit import compare
from mmaudit.compared.wording import sentences
from mmaudit.estimates import Estimate
from mmaudit.findings import Evidence
from mmaudit.findings.reliance import reliance_disagrees
from mmaudit.findings.synergy import weak_on_synergy
from mmaudit.types import CLEAN, Condition, Task

BOTH = Condition("identity", "control", 1, ("a", "b"))


def evidence(*estimates: Estimate) -> Evidence:
    return Evidence(Task.classification(2), "accuracy", [CLEAN, BOTH], [], estimates=estimates, n=1000)


def test_a_gap_between_two_shares_is_in_points() -> None:
    low = Estimate("accuracy_on", (), (("tag", "synergy"),), "", 200, 0.5, 0.45, 0.55, unit="share")
    high = replace(low, options=(("tag", "redundant"),), value=0.932, low=0.92, high=0.95)
    beyond = Estimate("beyond_independence", ("a", "b"), (), "", 200, 0.3, 0.2, 0.4, unit="bits")
    (draft,) = weak_on_synergy(evidence(low, high, beyond))
    assert draft.claim.replace("\u00a0", " ").endswith("a gap of 43.2 pp.")


@pytest.mark.parametrize(("value", "said"), [(-0.3, "−0.30"), (0.12, "0.12")])
def test_agreement_below_what_random_orders_give_is_on_the_scale_that_is_named(value: float, said: str) -> None:
    found = Estimate("reliance_agreement", (), (), "", 1000, value, value - 0.2, value + 0.1, null=0.0)
    (draft,) = reliance_disagrees(evidence(found))
    claim = draft.claim.replace("\u00a0", " ")
    low, high = (f"{x:.2f}".replace("-", "−") for x in (value - 0.2, value + 0.1))
    assert f"agree to {said} (95 % interval {low} to {high})" in claim
    assert "below 0 they contradict each other" in claim


@pytest.mark.parametrize("margin", [0.0, 0.01])
def test_what_an_undecided_comparison_could_have_seen_is_said_of_a_single_test(tmp_path: Path, margin: float) -> None:
    same = {"clean": (0.85, 0.85), "missing": (0.6, 0.6), "corruption": (0.75, 0.75)}
    target, one, other = two_models(300, 1, same)
    found = compare(write(tmp_path / "a", target, one), write(tmp_path / "b", target, other), margin=margin)
    undecided = [r for r in found.select(quantity="value") if r.verdict == "undecided"]
    last = sentences(found, 0, str, str)[-1].replace("\u00a0", " ")
    # 2.80 standard errors is what one test at 5 % finds four times in five, and a verdict asks for an adjusted p.
    assert f"finds a difference of {100 * np.median([r.mde for r in undecided]):.1f} pp with 80 % power" in last
    assert "a single test at the 5 % level" in last
    assert ("margin" in last) == bool(margin)
