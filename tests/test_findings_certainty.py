"""Bounds that findings rest on, against exact ones; and how findings put numbers and names into words."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mmaudit.findings import wording
from mmaudit.findings.certainty import FAMILY, SMALLEST, at_most, unseen, widened
from mmaudit.types import CLEAN, Condition, Score


def share(events: int, n: int, high: float = 0.0) -> Score:
    return Score("key", "label", "flip_rate", n=n, value=events / n, low=0.0, high=high, unit="share")


@given(st.integers(1, 2000), st.floats(0, 1))
def test_at_most_is_the_exact_bound_or_the_bootstrap_s(n: int, where: float) -> None:
    events = round(where * n)
    exact = scipy.stats.binomtest(events, n).proportion_ci(0.95, "exact").high
    assert at_most(share(events, n)) == pytest.approx(exact, abs=1e-9)
    assert at_most(share(events, n, high=1.0)) == 1.0


def test_at_most_of_nothing_is_nothing() -> None:
    assert np.isnan(at_most(Score("key", "label", "flip_rate")))


@given(st.integers(1, 10_000))
def test_unseen_is_the_exact_bound_for_no_event(n: int) -> None:
    assert unseen(n) == pytest.approx(at_most(share(0, n)), abs=1e-9)


def test_widened_holds_for_the_most_extreme_of_many() -> None:
    """Of 20 intervals around true values, one that misses low turns up in at most FAMILY / 2 of all sets."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((20_000, 20))
    low, _ = widened(0.0, -1.96, 1.96, looks=20)
    missed = np.mean((values + low > 0).any(axis=1))
    assert missed == pytest.approx(FAMILY / 2, abs=0.002)
    # Unadjusted 95 % intervals would miss in 40 % of them.
    assert np.mean((values - 1.96 > 0).any(axis=1)) > 0.35


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.integers(1, 500), st.integers(1, 500))
def test_more_looks_never_make_it_surer(value: float, down: float, up: float, looks: int, more: int) -> None:
    low, high = widened(value, value - down, value + up, looks)
    lower, higher = widened(value, value - down, value + up, looks + more)
    assert lower <= low <= value <= high <= higher
    assert low <= value - down + 1e-12  # never shorter than what it came from
    assert high >= value + up - 1e-12


def test_smallest_is_where_percentile_intervals_begin_to_hold() -> None:
    """The coverage that the constant's reason states, computed exactly."""

    def coverage(n: int) -> float:
        means = []
        for p in np.linspace(0.5, 0.95, 46):
            k = np.arange(n + 1)
            low, high = (scipy.stats.binom.ppf(q, n, k / n) / n for q in (0.025, 0.975))
            # With no event, or nothing else, the bootstrap's interval is a point: it never holds p.
            inside = (low <= p + 1e-12) & (p <= high + 1e-12) & (k > 0) & (k < n)
            means.append(scipy.stats.binom.pmf(k, n, p) @ inside)
        return float(np.mean(means))

    assert [round(coverage(n), 2) for n in (10, 20, SMALLEST, 50)] == [0.84, 0.9, 0.92, 0.95]


# ---- words


def test_a_value_with_its_interval() -> None:
    score = Score("k", "l", "accuracy", value=0.284, low=0.275, high=0.2931, unit="share")
    assert wording.span(score) == "28.4\u00a0% (95\u00a0% interval 27.5\u00a0% to 29.3\u00a0%)"
    unknown = Score("k", "l", "rmse", value=1.5, unit="mm")
    assert wording.span(unknown) == "1.50\u00a0mm"


def test_a_loss_in_words() -> None:
    def lost(value: float) -> str:
        return wording.loss(Score("k", "l", "accuracy", lost=value, lost_low=value - 0.02, lost_high=value + 0.02))

    assert lost(0.48) == "48.0\u00a0% (95\u00a0% interval 46.0\u00a0% to 50.0\u00a0%) of what it has above chance"
    assert lost(1.014) == lost(0.9996) == "everything it has above chance"
    assert lost(0.999).startswith("99.9")


def test_a_change_is_in_points() -> None:
    score = Score("k", "l", "accuracy", delta=-0.013, delta_low=-0.02, delta_high=0.001, unit="share")
    assert wording.change(score) == "−1.3\u00a0pp (95\u00a0% interval −2.0\u00a0pp to +0.1\u00a0pp)"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "nothing"),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c", "d", "e"], "a, b, c, d and e"),
        (["a", "b", "c", "d", "e", "f"], "a, b, c, d and 2 more"),
    ],
)
def test_listing(names: list[str], text: str) -> None:
    assert wording.listing(names) == text


def test_long_and_hostile_names_stay_one_short_line() -> None:
    said = wording.listing(["x" * 500, "line\nbreak\u202e"])
    assert len(said) < 80
    assert "\n" not in said
    assert "\u202e" not in said


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (CLEAN, "clean data"),
        (Condition("missing", "missing", 1, ("MRI",), options=(("baseline", "native"),)), "MRI missing"),
        (
            Condition("missing", "missing", 1, ("MRI", "age"), options=(("baseline", "mean"),)),
            "MRI and age missing (replaced by the mean)",
        ),
        (
            Condition("missing", "missing", 1, ("MRI",), options=(("baseline", "nearest"),)),
            "MRI missing (replaced: nearest)",
        ),
        (
            Condition("missing_rate", "missing", 1, ("MRI",), severity=0.3, options=(("baseline", "native"),)),
            "MRI missing in 30.0\u00a0% of the samples",
        ),
        (
            Condition("mismatch", "mismatch", 1, ("MRI",), options=(("pool", "across_class"),)),
            "MRI taken from a sample of another class",
        ),
        (
            Condition("image.gaussian_blur", "corruption", 1, ("MRI",), severity=2.0, position=3, unit="px"),
            "gaussian blur of MRI at severity 3 of 5",
        ),
        (
            Condition("image.gaussian_blur", "corruption", 1, ("MRI",), severity=2.5, unit="px"),
            "gaussian blur of MRI at 2.5 px",
        ),
        (Condition("destroy", "control", 1, ("MRI", "age")), "destroy of MRI and age"),
    ],
)
def test_conditions_in_words(condition: Condition, text: str) -> None:
    assert wording.words(condition) == text


def test_sentences_keep_the_case_of_names() -> None:
    assert wording.sentence("blur of MRI") == "Blur of MRI"


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        ({"a": "image", "b": "text"}, "a and b missing (replaced by zeros or an empty text)"),
        ({"a": "image", "b": "tabular"}, "a and b missing (replaced by zeros)"),
        ({"a": "text", "b": "text"}, "a and b missing (replaced by an empty text)"),
        ({}, "a and b missing (replaced by zeros or an empty text)"),
    ],
)
def test_what_zeros_are_depends_on_the_modality(kinds: dict[str, str], text: str) -> None:
    condition = Condition("missing", "missing", 1, ("a", "b"), options=(("baseline", "zero"),))
    assert wording.words(condition, kinds) == text
