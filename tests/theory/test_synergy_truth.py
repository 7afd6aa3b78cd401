"""Synergy of worlds known in closed form: the truth lies in the intervals, and synergy is never invented."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from mmaudit.decomposition import Sides, explanations, of_data, present
from mmaudit.decomposition.shuffled import code_rows
from mmaudit.estimates import Estimate
from mmaudit.information.pid import broja
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.types import Task
from theory.synergy_worlds import BOTH, NAMES, WORLDS, A, B, Fitted, coded_synergy, fit

N = 2000
WITHOUT = [name for name, w in WORLDS.items() if w.synergy == 0]
WITH = [name for name, w in WORLDS.items() if w.synergy > 0]
TINY = 0.002


@cache
def estimated(name: str, n: int = N, seed: int = 0) -> tuple[Fitted, dict[str, Estimate]]:
    world = WORLDS[name]
    fitted = fit(world, n, seed)
    w = Resamples.draw(n, 500, seed)
    found = of_data(fitted.crossfitted, NAMES, Task.classification(world.joint.shape[2]), w)
    found += code_rows(fitted.codes, fitted.crossfitted.target, "classification", Sides.every(NAMES)[0], w)
    return fitted, {e.label: e for e in found if e.value == e.value}


def ends(e: Estimate) -> tuple[float, float]:
    """The interval; what no resample changes has none, and has to be right by itself."""
    return (e.value, e.value) if e.low != e.low else (e.low, e.high)


LABELS = {
    "information[a, of=data]": "information[a]",
    "information[b, of=data]": "information[b]",
    "information[a+b, of=data]": "information[a+b]",
    "synergy_low[a+b, of=data]": "synergy_low",
    "synergy_high[a+b, of=data]": "synergy_high",
    "interaction_information[a+b, of=data]": "interaction_information",
    "redundancy[a+b, of=data]": "redundancy",
    "unique[a, of=data, beside=b]": "unique[a]",
    "unique[b, of=data, beside=a]": "unique[b]",
    "synergy[a+b, of=data]": "synergy",
}


@pytest.mark.parametrize("name", WORLDS)
def test_closed_forms_are_those_of_the_solver(name: str) -> None:
    world = WORLDS[name]
    found = broja(world.joint)
    atoms = (found.redundancy, found.unique_1, found.unique_2, found.synergy)
    np.testing.assert_allclose(atoms, world.atoms, atol=2e-6)


@pytest.mark.parametrize("name", WORLDS)
def test_intervals_hold_what_the_predictors_know(name: str) -> None:
    """Ten 95 % intervals share 2,000 samples, so a miss brings others: at most three, and none by much."""
    fitted, found = estimated(name)
    truth, missed = fitted.truth(), []
    for label, what in LABELS.items():
        low, high = ends(found[label])
        width = max(high - low, TINY)
        if not low - TINY <= truth[what] <= high + TINY:
            missed.append((label, low, high, truth[what]))
        assert low - width - TINY <= truth[what] <= high + width + TINY, (label, low, high, truth[what])
    assert len(missed) <= 3, missed


@pytest.mark.parametrize(("name", "label"), [("unique", "interaction_information"), ("only b", "synergy")])
def test_intervals_hold_as_often_as_they_say_where_replicates_are_skewed(name: str, label: str) -> None:
    """60 data sets of 200 samples; percentiles hold 52 and 57 (docs/decisions/0042)."""
    held = 0
    for seed in range(60):
        fitted, found = estimated(name, 200, seed)
        e, truth = found[f"{label}[a+b, of=data]"], fitted.truth()[label]
        held += ends(e)[0] <= truth <= ends(e)[1]
    assert held >= 54


@pytest.mark.parametrize("name", WORLDS)
def test_estimates_are_near_the_closed_form(name: str) -> None:
    """Predictors of 1,600 samples know a little less than there is: intervals miss it by 0.03 bits at most."""
    _, found = estimated(name)
    world = WORLDS[name]
    labels = (
        "redundancy[a+b, of=data]",
        "unique[a, of=data, beside=b]",
        "unique[b, of=data, beside=a]",
        "synergy[a+b, of=data]",
    )
    for label, truth in zip(labels, world.atoms, strict=True):
        low, high = ends(found[label])
        assert low - 0.03 <= truth <= high + 0.03, (label, low, high, truth)
    total = sum(found[label].value for label in labels)
    assert total == pytest.approx(found["information[a+b, of=data]"].value, abs=1e-9)
    least, most = ends(found["synergy_low[a+b, of=data]"])[0], ends(found["synergy_high[a+b, of=data]"])[1]
    assert least - 0.03 <= world.synergy <= most + 0.03


@pytest.mark.parametrize("name", WITHOUT)
def test_synergy_is_never_invented(name: str) -> None:
    for seed in range(3):
        _, found = estimated(name, N, seed)
        assert not present(found["synergy[a+b, of=data]"]), (name, seed)
        assert ends(found["synergy_low[a+b, of=data]"])[0] <= TINY


def test_synergy_is_hardly_ever_invented_from_few_samples() -> None:
    """200 samples of worlds without synergy: 5 % of 30 data sets are one or two; rates are in the benchmark."""
    found = [estimated(name, 200, seed)[1]["synergy[a+b, of=data]"] for name in WITHOUT for seed in range(5)]
    assert sum(present(e) for e in found) <= 2


@pytest.mark.parametrize("name", WITH)
def test_synergy_is_found(name: str) -> None:
    _, found = estimated(name)
    synergy = found["synergy[a+b, of=data]"]
    assert present(synergy)
    assert abs(synergy.null) < 0.01


@pytest.mark.parametrize("name", WITH)
def test_noise_averaging_is_told_from_interaction(name: str) -> None:
    """Two noisy views of one bit have synergy without any interaction, and the report says so; of no other world."""
    _, found = estimated(name)
    said = explanations(list(found.values()))
    assert len(said) == 1
    assert ("noise averaging, not a cross-modal" in said[0]) == (not WORLDS[name].interaction)
    shuffled = found["within_class_shuffle[a+b]"]
    assert (shuffled.p <= 0.01) == WORLDS[name].interaction


@pytest.mark.parametrize("name", WITHOUT)
def test_nothing_is_explained_where_there_is_no_synergy(name: str) -> None:
    assert explanations(list(estimated(name)[1].values())) == []


def test_tests_of_labels_and_counts() -> None:
    for name in ("nothing", "only a", "redundant", "xor", "noisy views", "and"):
        _, found = estimated(name)
        assert (found["label_shuffle[a+b]"].p <= 0.01) == (name != "nothing")
        counted = found["plug_in_synergy[a+b]"]
        truth = coded_synergy(WORLDS[name])
        low, high = ends(counted)
        assert low - (high - low) - TINY <= truth <= high + (high - low) + TINY, name


def test_a_finite_sum_is_the_truth_of_predictors() -> None:
    """The exact truth of fitted predictors against 400,000 fresh samples."""
    world = WORLDS["mixture"]
    fitted = fit(world, 300, 1)
    a, b, y = world.draw(400_000, 99)
    share = np.bincount(fitted.crossfitted.fold) / 300
    for subset in (A, B, BOTH):
        bits = sum(
            s * np.log2(table[subset][a, b, y] / prior[y]).mean()
            for s, table, prior in zip(share, fitted.tables, fitted.priors, strict=True)
        )
        assert bits == pytest.approx(fitted.information(subset), abs=0.01)
