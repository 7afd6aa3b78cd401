"""What is said of synergy names the test that it rests on, and what the other one does not see."""

from __future__ import annotations

from dataclasses import replace

from mmaudit.decomposition import explanations
from mmaudit.estimates import Estimate

SYNERGY = Estimate(
    "synergy", ("a", "b"), (("of", "data"),), n=500, value=0.449, low=0.429, high=0.475, null=0.0, p=0.001
)
BEYOND = Estimate("beyond_independence", ("a", "b"), n=500, value=0.512, low=0.48, high=0.54, p=0.0005)
SHUFFLE = Estimate("within_class_shuffle", ("a", "b"), n=500, value=0.0062, null=0.0045, p=0.235)
NOTHING = replace(BEYOND, value=0.001, low=-0.01, high=0.012, p=0.4)


def said(*found: Estimate) -> str:
    (sentence,) = explanations([SYNERGY, *found])
    return sentence


def test_the_joint_predictor_is_named_and_that_the_shuffle_does_not_see_it() -> None:
    text = said(BEYOND, SHUFFLE)
    assert "given the truth they depend on each other" in text
    assert "a cross-modal interaction" in text
    assert "The evidence is the joint predictor: it says 0.512 bits [0.480, 0.540] (p < 0.001) more" in text
    assert "Shuffling one side within the classes does not show it (p = 0.235)" in text
    assert "shows it, too (p = 0.005)" in said(BEYOND, replace(SHUFFLE, p=0.005))
    assert "huffl" not in said(BEYOND)


def test_a_dependence_that_only_the_shuffle_shows_is_no_interaction_yet() -> None:
    """Going together within a class may be synergy, or the same thing said twice."""
    shows = replace(SHUFFLE, value=0.12, null=0.004, p=0.005)
    text = said(NOTHING, shows)
    assert "The evidence is the shuffle of one side within the classes (p = 0.005)" in text
    assert "0.120 bits of each other, 0.004 after shuffling" in text
    assert "cannot be told" in text
    assert "cross-modal interaction" not in text
    assert "said twice" in said(shows)


def test_where_neither_test_shows_a_dependence_it_is_noise_averaging() -> None:
    assert "noise averaging, not a cross-modal interaction" in said(NOTHING, SHUFFLE)
    below = said(replace(NOTHING, value=-0.004, low=-0.02, high=0.01), SHUFFLE)
    assert "the joint predictor says 0.004 bits less than both sides multiplied" in below
    assert explanations([SYNERGY]) == []
