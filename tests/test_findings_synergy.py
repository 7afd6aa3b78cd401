"""Rules about synergy and agreement, on estimates made by hand: they fire on bounds, never on bare values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmaudit.estimates import Estimate
from mmaudit.findings import Evidence, find
from mmaudit.types import CLEAN, Condition, Finding, Score, Task

BOTH = ("a", "b")
IDENTITY = Condition("identity", "control", 1, BOTH)


def bits(name: str, value: float, half: float = 0.02, modalities: tuple[str, ...] = BOTH, **options: str) -> Estimate:
    given = tuple(options.items())
    low, high = value - half, value + half
    return Estimate(name, modalities, given, "", 1000, value, low, high, p=0.001, p_adjusted=0.001, unit="bits")


def share(name: str, value: float, half: float = 0.02, **options: str) -> Estimate:
    return replace(bits(name, value, half, (), **options), unit="share")


def found(*estimates: Estimate) -> list[Finding]:
    clean = Score(CLEAN.key, "clean", "accuracy", n=1000, value=0.9, low=0.88, high=0.92, floor=0.5, unit="share")
    scores = [replace(clean, better="higher"), *(e.score() for e in estimates)]
    evidence = Evidence(
        Task.classification(2), "accuracy", [CLEAN, IDENTITY], scores, estimates=estimates, n=1000, folder="runs/mine"
    )
    return find(evidence)


def synergy(unused: float, half: float = 0.02, p: float = 0.001) -> tuple[Estimate, ...]:
    available = replace(bits("synergy", 0.5, of="data"), p_adjusted=p)
    used = bits("synergy", 0.5 - unused, of="model", baseline="zero")
    return bits("entropy", 1.0, 0.0, (), of="data"), available, used, bits("synergy_unused", unused, half)


def test_synergy_that_is_left_is_told_with_its_numbers_and_command() -> None:
    (finding,) = found(*synergy(0.4))
    assert finding.rule == "synergy_unused"
    assert finding.level == "major"
    assert finding.modalities == BOTH
    claim = finding.claim.replace("\xa0", " ")
    assert "0.500 bits" in claim
    assert "0.400 bits" in claim
    assert finding.claim.count("95\u00a0% interval") == 3
    assert finding.reproduce == "mmaudit synergy runs/mine"
    assert finding.effect == pytest.approx(0.4)
    assert {e["metric"] for e in finding.evidence} == {"synergy_unused", "synergy"}


@pytest.mark.parametrize(
    ("unused", "half", "p"),
    [
        (0.04, 0.001, 0.001),  # a twentieth of a bit of one bit is not worth a line
        (0.4, 0.36, 0.001),  # not sure to be worth one
        (-1.0, 0.02, 0.001),  # the model needs together what the data give one by one
        (0.4, 0.02, 0.2),  # among so many estimates a shuffle of labels gives as much
        (float("nan"), 0.02, 0.001),
    ],
)
def test_synergy_that_is_not_surely_left_is_not_told(unused: float, half: float, p: float) -> None:
    assert found(*synergy(unused, half, p)) == []


def test_two_views_that_only_add_up_leave_nothing_to_a_fusion() -> None:
    assert found(*synergy(0.4), bits("beyond_independence", 0.01)) == []
    assert found(*synergy(0.4), bits("beyond_independence", 0.01, against="rest")), "of other sides"
    assert found(*synergy(0.4), bits("beyond_independence", 0.3))
    assert found(*synergy(0.4), bits("beyond_independence", float("nan"))), "not asked of numbers"


def test_one_against_the_rest_names_the_rest() -> None:
    sides = {"against": "rest"}
    every = (
        bits("entropy", 1.0, 0.0, (), of="data"),
        bits("synergy", 0.5, 0.02, ("a",), of="data", **sides),
        bits("synergy_unused", 0.4, 0.02, ("a",), **sides),
    )
    (finding,) = found(*every)
    assert "a and the other modalities" in finding.claim
    assert finding.modalities == ("a",)


def test_samples_that_need_both_and_are_answered_worse() -> None:
    sides = share("accuracy_on", 0.5, tag="synergy"), share("accuracy_on", 0.95, tag="redundant")
    (finding,) = found(*sides, bits("beyond_independence", 0.3))
    assert finding.rule == "weak_on_synergy"
    assert "50.0\xa0%" in finding.claim
    assert "95.0\xa0%" in finding.claim
    assert found(*sides, bits("beyond_independence", 0.01)) == [], "noisy views of one thing: samples near the border"
    close = share("accuracy_on", 0.82, tag="synergy"), share("accuracy_on", 0.95, tag="redundant")
    assert found(*close, bits("beyond_independence", 0.3)) == []


def test_estimators_that_disagree() -> None:
    (finding,) = found(replace(share("reliance_agreement", 0.1, 0.1), unit=""))
    assert finding.rule == "reliance_disagrees"
    assert found(replace(share("reliance_agreement", 0.45, 0.1), unit="")) == []
