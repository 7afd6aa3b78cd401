"""Robustness summaries: a flat curve scores best and a worse curve never scores higher, for errors as for scores."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmaudit.errors import BadInput
from mmaudit.metrics.robustness import (
    beside,
    chance_normalised_drop,
    mmi,
    relative_robustness,
    severity_area,
    why_undefined,
    worst_case,
)

quick = settings(deadline=None, derandomize=True, max_examples=200)
shares = st.floats(0.02, 1.0)
directions = st.sampled_from(["higher", "lower"])
SEVERITY = np.array([1.0, 2.0, 4.0])


def oriented(better, clean, harm, floor):
    """Turn harm in [0, 1] into values: goodness falls from clean to the floor, an error rises from clean to it."""
    return clean + (floor - clean) * harm


def summaries(clean, perturbed, better, floor):
    """Every summary, turned so that higher is better."""
    clean, perturbed = np.array([clean]), np.asarray(perturbed)[:, None]
    sign = 1 if better == "higher" else -1
    return {
        "mmi": -mmi(clean, perturbed, better)[0],
        "relative": relative_robustness(clean, perturbed, better)[0],
        "drop": -chance_normalised_drop(clean, perturbed, floor, better)[0],
        "area": severity_area(SEVERITY, clean, perturbed, better)[0],
        "area above chance": severity_area(SEVERITY, clean, perturbed, better, floor)[0],
        "worst": sign * worst_case(perturbed, better)[0][0],
    }


@st.composite
def cases(draw):
    better = draw(directions)
    good, bad = sorted([draw(shares), draw(shares)])
    assume(bad - good > 0.01)
    # For goodness the clean value is the larger of the two, for errors the smaller.
    clean, floor = (bad, good) if better == "higher" else (good, bad)
    return better, clean, floor


@quick
@given(cases(), st.lists(st.floats(0, 1.3), min_size=3, max_size=3))
def test_a_flat_curve_scores_best(case, harm):
    better, clean, floor = case
    flat = summaries(clean, np.full(3, clean), better, floor)
    other = summaries(clean, oriented(better, clean, np.array(harm), floor), better, floor)
    assert flat["relative"] == flat["area"] == flat["area above chance"] == pytest.approx(1.0)
    assert flat["mmi"] == flat["drop"] == 0.0
    for name, best in flat.items():
        assert other[name] <= best + 1e-12, name


@quick
@given(cases(), st.lists(st.floats(-0.3, 1.3), min_size=3, max_size=3), st.integers(0, 2), st.floats(0, 1))
def test_a_worse_curve_never_scores_higher(case, harm, place, more):
    better, clean, floor = case
    harm = np.array(harm)
    worse = harm.copy()
    worse[place] += more
    before, after = (oriented(better, clean, h, floor) for h in (harm, worse))
    assume((before > 0).all() and (after > 0).all())
    a, b = summaries(clean, before, better, floor), summaries(clean, after, better, floor)
    for name in a:
        assert b[name] <= a[name] + 1e-9, name
        if more > 0.01 and name not in ("worst",):
            assert b[name] < a[name], name


@quick
@given(cases())
def test_a_curve_at_the_floor_has_lost_everything(case):
    better, clean, floor = case
    at_floor = np.full((3, 1), floor)
    assert chance_normalised_drop(np.array([clean]), at_floor, floor, better) == pytest.approx([1.0])
    # The share kept falls from 1 to 0 over the first quarter of the severities.
    assert severity_area(SEVERITY, np.array([clean]), at_floor, better, floor) == pytest.approx([0.125])


@pytest.mark.parametrize(
    ("clean", "average", "published"),
    [(522.0, 408.7, 21.7), (533.7, 499.2, 6.5), (544.3, 499.3, 8.3), (577.7, 527.2, 8.7), (580.9, 527.2, 9.2)],
)
def test_mmi_gives_the_published_percentages(clean, average, published):
    # Rows of the paper's Flickr30k image-perturbation table: ViLT, CLIP zero-shot, CLIP fine-tuned, ALBEF, BLIP.
    assert 100 * mmi(np.array([clean]), np.array([[average]]), "higher")[0] == pytest.approx(published, abs=0.06)


def test_error_metrics_do_not_reward_an_exploding_curve():
    clean, flat, exploding = np.array([2.0]), np.full((3, 1), 2.0), np.array([[2.0], [50.0], [1e5]])
    assert severity_area(SEVERITY, clean, flat, "lower")[0] == 1.0
    assert severity_area(SEVERITY, clean, exploding, "lower")[0] < 0.6
    assert mmi(clean, exploding, "lower")[0] > 1e4
    assert relative_robustness(clean, exploding, "lower")[0] < 0.4


def test_replicates_follow_the_estimate():
    clean, perturbed = beside(0.9, np.array([0.8, 1.0])), np.array([[0.6, 0.4, 0.5], [0.3, 0.6, 0.7]])
    for b in range(3):
        one = clean[b : b + 1], perturbed[:, b : b + 1]
        assert mmi(clean, perturbed, "higher")[b] == mmi(*one, "higher")[0]
        assert chance_normalised_drop(clean, perturbed, 0.1, "higher")[b] == pytest.approx(
            chance_normalised_drop(*one, 0.1, "higher")[0]
        )
        assert worst_case(perturbed, "higher")[0][b] == worst_case(one[1], "higher")[0][0]


@pytest.mark.parametrize(
    ("better", "clean", "floor"), [("higher", 0.5, 0.5), ("higher", 0.4, 0.5), ("lower", 3.0, 2.5)]
)
def test_nothing_can_be_lost_at_the_floor(better, clean, floor):
    arrays = np.array([clean]), np.array([[clean / 2]])
    assert np.isnan(chance_normalised_drop(*arrays, floor, better)).all()
    assert np.isnan(severity_area(np.array([1.0]), *arrays, better, floor)).all()
    assert "nothing to lose" in why_undefined(clean, better, floor)


def test_no_share_of_zero_can_be_lost():
    arrays = np.array([0.0]), np.array([[0.5]])
    for better in ("higher", "lower"):
        assert np.isnan(mmi(*arrays, better)).all()
        assert np.isnan(relative_robustness(*arrays, better)).all()
        assert "not above 0" in why_undefined(0.0, better)
    assert why_undefined(float("nan"), "higher") == "the clean value is undefined"
    assert why_undefined(0.9, "higher", 0.5) == why_undefined(0.9, "higher") == ""


def test_worst_case_names_the_condition_and_skips_undefined_ones():
    perturbed = np.array([[np.nan, np.nan], [0.7, 0.6], [0.4, 0.9]])
    values, place = worst_case(perturbed, "higher")
    assert place == 2
    assert values.tolist() == [0.4, 0.6]
    assert worst_case(perturbed, "lower")[1] == 1
    values, place = worst_case(np.full((2, 3), np.nan), "higher")
    assert place == -1
    assert np.isnan(values).all()


@pytest.mark.parametrize("severity", [[1.0], [0.0, 1.0], [2.0, 1.0], [1.0, 1.0]])
def test_severities_must_fit_the_conditions(severity):
    with pytest.raises(BadInput):
        severity_area(np.array(severity), np.array([1.0]), np.ones((2, 1)), "higher")


def test_a_metric_without_direction_has_no_robustness():
    with pytest.raises(BadInput, match="direction"):
        mmi(np.array([1.0]), np.array([[1.0]]), "neither")
