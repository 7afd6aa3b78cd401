"""Planted faults are found, healthy models are not accused: both rates, over audits of worlds with known truth.

`pytest -s` prints the table; `benchmarks/finding_rates.py` does so for as many seeds as wanted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmaudit.findings import rules
from mmaudit.types import Finding
from theory.known_fusion import Xor
from theory.known_truth import gaussian
from theory.rates import Audited, Rates, audit, audited, every, wilson
from theory.scenarios import SCENARIOS, Case

SEEDS = range(6)
DETECTION = 0.95
ACCUSATION = 0.02
# No world wants these: one speaks of too few samples, one of probes that change nothing, and those about synergy need
# analyses, which these audits leave out. Unit tests do, and the worlds of `mmaudit selftest`.
# Those about reference methods need some that were trained: tests/theory/test_panel_truth.py measures their rates.
NOT_PLANTED = {
    *("too_few_samples", "probe_without_effect", "synergy_unused", "weak_on_synergy", "reliance_disagrees"),
    *("reference_would_help", "no_reference_helps", "reference_not_trained"),
}


@pytest.fixture(scope="module")
def rates() -> Rates:
    counted = Rates()
    for one in every(SEEDS):
        counted.add(one)
    print(f"\n{counted.table()}")
    print("\n".join(counted.wrong))
    return counted


@pytest.mark.slow
def test_there_are_enough_audits(rates: Rates) -> None:
    assert rates.audits >= 200
    assert {kind for kind, _ in SCENARIOS.values()} == {"healthy", "fault", "random"}
    assert {rule for rule in rules.names() if rates.wanted[rule] == 0} == NOT_PLANTED


@pytest.mark.slow
@pytest.mark.parametrize("rule", sorted(set(rules.names()) - NOT_PLANTED))
def test_what_is_true_is_found(rates: Rates, rule: str) -> None:
    assert rates.found[rule] >= DETECTION * rates.wanted[rule], rates.wrong


@pytest.mark.slow
@pytest.mark.parametrize("rule", rules.names())
def test_what_is_false_is_not_claimed(rates: Rates, rule: str) -> None:
    assert rates.false[rule] <= ACCUSATION * rates.open[rule], rates.wrong


@pytest.mark.slow
def test_no_rule_hides_behind_another(rates: Rates) -> None:
    assert rates.found.total() >= DETECTION * rates.wanted.total()
    assert rates.accused <= ACCUSATION * rates.audits, rates.wrong
    assert rates.accused_healthy <= ACCUSATION * rates.healthy, rates.wrong


# The five truths that everybody knows, with the findings that a person would write down for them.
CANONICAL = {
    "only a": ([1.5, 0.0], {("ignored_modality", "b"), ("single_point_of_failure", "a")}),
    "only b": ([0.0, 1.5], {("ignored_modality", "a"), ("single_point_of_failure", "b")}),
    "redundant": ([2.2, 2.2], set()),
    "additive": ([1.0, 1.0], set()),
    "xor": (None, {("single_point_of_failure", "a"), ("single_point_of_failure", "b")}),
}


@pytest.mark.slow
def test_the_right_findings_and_no_others() -> None:
    """In at least 95 % of audits exactly what a person would write down, over the five truths together."""
    wrong, seeds = [], range(12)
    for name, (strengths, expected) in CANONICAL.items():
        for seed in seeds:
            world = Xor(2.0) if strengths is None else gaussian(strengths)
            _, findings = audit(Case(world), world.data(1000, np.random.default_rng([7, seed])))
            found = {(f.rule, m) for f in findings for m in f.modalities or ("",)}
            wrong += [f"{name}, seed {seed}: {sorted(found)}"] if found != expected else []
    assert len(wrong) <= 0.05 * len(CANONICAL) * len(seeds), wrong


# ---- the measuring itself


@pytest.fixture(scope="module")
def additive() -> Audited:
    return audited("additive", 0)


def test_a_false_finding_counts(additive: Audited) -> None:
    assert additive.expected.false(additive.findings) == []
    lie = Finding("ignored_modality", "major", "The model hardly uses a.", ("a",))
    assert additive.expected.false([*additive.findings, lie]) == [lie]


def test_a_missing_finding_counts() -> None:
    one = audited("only_a", 0)
    assert one.expected.must == {("ignored_modality", frozenset("b")), ("single_point_of_failure", frozenset("a"))}
    assert one.expected.missed(one.findings) == set()
    kept = [f for f in one.findings if f.rule != "ignored_modality"]
    assert one.expected.missed(kept) == {("ignored_modality", frozenset("b"))}


def test_expectations_follow_the_world_and_not_the_findings(additive: Audited) -> None:
    other = replace(additive.expected, world=gaussian([1.5, 0.0]))
    assert ("ignored_modality", frozenset("b")) in other.must
    assert other.missed(additive.findings)


def test_wilson() -> None:
    # Agresti & Coull 1998, table 1: 0 of 10 and 5 of 10.
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)
