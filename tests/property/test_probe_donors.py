"""Donors, rates and stand-ins on random data sets: what must hold for each of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.probe_samples import source_of, whole
from mmaudit.data import ArrayData
from mmaudit.errors import NotApplicable, UnknownName
from mmaudit.probes import Source, probes
from mmaudit.types import Condition, Task


@st.composite
def data_sets(draw: st.DrawFn) -> ArrayData:
    n = draw(st.integers(3, 40))
    classes = draw(st.integers(2, 5))
    target = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n).filter(lambda t: len(set(t)) > 1))
    present = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    present[draw(st.integers(0, n - 1))] = True
    ids = draw(st.lists(st.integers(-(2**62), 2**62), min_size=n, max_size=n, unique=True))
    # The value tells which sample it came from.
    own = np.arange(n, dtype=np.float64)[:, None] + 1
    return ArrayData(
        {"a": own, "b": own.copy(), "note": [f"text {i}" for i in range(n)]},
        np.array(target),
        Task.classification(classes),
        ids=ids,
        present={"a": present},
    )


def mismatch(data: ArrayData, modality: str, pool: str, repeat: int = 0) -> tuple[Condition, np.ndarray, Source]:
    condition = probes.get("mismatch").condition((modality,), options=(("pool", pool),), repeat=repeat)
    source = source_of(data)
    return condition, source.donors(condition, modality, whole(data), pool), source


@settings(max_examples=60, deadline=None)
@given(data_sets())
def test_random_donors_are_a_permutation_without_fixed_points(data):
    _, donors, _ = mismatch(data, "a", "random")
    present = np.flatnonzero(data.presence("a"))
    assert (donors[~data.presence("a")] == -1).all()
    if len(present) == 1:
        assert donors[present[0]] == -1
        return
    assert sorted(donors[present]) == present.tolist()
    assert (donors[present] != present).all()


@settings(max_examples=60, deadline=None)
@given(data_sets())
def test_donors_within_class_are_a_permutation_of_each_class(data):
    _, donors, _ = mismatch(data, "a", "within_class")
    for c in set(data.target.tolist()):
        rows = np.flatnonzero(data.presence("a") & (data.target == c))
        if len(rows) == 1:
            assert donors[rows[0]] == -1
            continue
        assert sorted(donors[rows]) == rows.tolist()
        assert (donors[rows] != rows).all()


@settings(max_examples=60, deadline=None)
@given(data_sets())
def test_donors_across_class_are_present_and_of_another_class(data):
    _, donors, _ = mismatch(data, "a", "across_class")
    present = data.presence("a")
    for row in np.flatnonzero(present):
        others = np.flatnonzero(present & (data.target != data.target[row]))
        assert donors[row] in others if len(others) else donors[row] == -1


def test_donors_across_class_are_drawn_uniformly():
    target = np.repeat([0, 1, 2], [3, 4, 5])
    data = ArrayData({"a": np.arange(12.0)[:, None], "b": np.ones((12, 1))}, target, Task.classification(3))
    counts = np.zeros((12, 12))
    for repeat in range(3000):
        _, donors, _ = mismatch(data, "a", "across_class", repeat)
        counts[np.arange(12), donors] += 1
    for row in range(12):
        others = target != target[row]
        assert (counts[row][~others] == 0).all()
        expected = 3000 / others.sum()
        # Binomial counts: 5 σ over 96 of them is a chance of one in ten thousand.
        assert np.abs(counts[row][others] - expected).max() < 5 * np.sqrt(expected)


def test_random_donors_are_drawn_uniformly():
    data = ArrayData({"a": np.arange(6.0)[:, None], "b": np.ones((6, 1))}, np.arange(6) % 2, Task.classification(2))
    counts = np.zeros((6, 6))
    for repeat in range(3000):
        counts[np.arange(6), mismatch(data, "a", "random", repeat)[1]] += 1
    assert (np.diag(counts) == 0).all()
    assert np.abs(counts[~np.eye(6, dtype=bool)] - 600).max() < 5 * np.sqrt(600)


@settings(max_examples=40, deadline=None)
@given(data_sets())
def test_mismatch_gives_each_row_its_donors_value(data):
    condition, donors, source = mismatch(data, "b", "random")
    new = probes.get("mismatch").apply(whole(data), condition, source)
    assert np.array_equal(new.inputs["b"][:, 0], donors + 1.0)


@settings(max_examples=40, deadline=None)
@given(data_sets())
def test_destroy_takes_every_modality_from_another_sample(data):
    source = source_of(data)
    condition = probes.get("destroy").condition(("a", "b", "note"))
    new = probes.get("destroy").apply(whole(data), condition, source)
    n = len(data)
    texts = np.array([int(text.split()[1]) for text in new.inputs["note"]])
    values = new.inputs["b"][:, 0].astype(int) - 1
    assert sorted(texts) == sorted(values) == list(range(n))
    assert (texts != np.arange(n)).all()
    assert (values != np.arange(n)).all()
    if n > 3:
        assert (texts != values).all()
    assert np.array_equal(new.present["a"].sum(), data.presence("a").sum())


@settings(max_examples=40, deadline=None)
@given(data_sets(), st.sampled_from(["native", "zero", "mean", "marginal"]))
def test_samples_missing_at_a_rate_are_missing_at_every_higher_one(data, baseline):
    source, batch = source_of(data), whole(data)
    probe = probes.get("missing_rate")
    before = np.zeros(len(data), bool)
    for rate in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        new = probe.apply(batch, probe.condition(("b",), rate, (("baseline", baseline),)), source)
        if baseline == "native":
            assert new.inputs["b"] is batch.inputs["b"]
            lost = ~new.present["b"]
        else:
            stand_in = source.stand_in(baseline, "b", batch)
            lost = source.uniforms(probe.condition(("b",), rate, (("baseline", baseline),)), "b", batch) < rate
            assert np.array_equal(new.inputs["b"], np.where(lost[:, None], stand_in, batch.inputs["b"]))
        assert (lost >= before).all()
        before = lost
    assert before.all()


def test_missing_rate_is_met():
    n = 20_000
    data = ArrayData({"a": np.ones((n, 1)), "b": np.ones((n, 1))}, np.arange(n) % 2, Task.classification(2))
    source, batch, probe = source_of(data), whole(data), probes.get("missing_rate")
    for rate in (0.1, 0.5, 0.9):
        new = probe.apply(batch, probe.condition(("a",), rate, (("baseline", "native"),)), source)
        assert abs((~new.present["a"]).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / n)


def test_missing_rates_of_two_modalities_are_independent():
    n = 20_000
    data = ArrayData({"a": np.ones((n, 1)), "b": np.ones((n, 1))}, np.arange(n) % 2, Task.classification(2))
    source, batch, probe = source_of(data), whole(data), probes.get("missing_rate")
    lost = [~probe.apply(batch, probe.condition((m,), 0.5, (("baseline", "native"),)), source).present[m] for m in "ab"]
    assert abs((lost[0] & lost[1]).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / n)


@settings(max_examples=30, deadline=None)
@given(data_sets())
def test_the_same_stand_in_object_comes_back_for_the_same_rows(data):
    source, batch = source_of(data), whole(data)
    for baseline in ("zero", "mean", "marginal", "noise"):
        made = source.stand_in(baseline, "b", batch)
        assert source.stand_in(baseline, "b", batch) is made
        some = data.rows(np.arange(len(data))[::2])
        assert np.array_equal(source.stand_in(baseline, "b", some), made[::2])


@settings(max_examples=30, deadline=None)
@given(data_sets())
def test_marginal_stand_in_keeps_the_distribution_exactly(data):
    source, batch = source_of(data), whole(data)
    made = source.stand_in("marginal", "b", batch)
    assert sorted(made[:, 0]) == sorted(batch.inputs["b"][:, 0])
    assert (made != batch.inputs["b"]).all()
    assert not np.array_equal(made, source.stand_in("marginal", "b", batch, repeat=1)) or len(data) < 8


def test_stand_ins_have_the_modalitys_mean_and_spread():
    rng, n = np.random.default_rng(0), 4000
    data = ArrayData(
        {"a": rng.normal([3, -50], [1, 20], (n, 2)), "photo": rng.integers(0, 256, (n, 4, 4, 3)).astype(np.uint8)},
        np.arange(n) % 2,
        Task.classification(2),
    )
    source, batch = source_of(data), whole(data)
    noise = source.stand_in("noise", "a", batch)
    assert np.abs(noise.mean(0) - data.values("a", np.arange(n)).mean(0)).max() < 5 * 20 / np.sqrt(n)
    assert np.allclose(noise.std(0), [1, 20], rtol=0.08)
    # Independent per dimension, and of the sample it stands in for.
    assert abs(np.corrcoef(noise.T)[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(noise[:, 0], batch.inputs["a"][:, 0])[0, 1]) < 5 / np.sqrt(n)
    mean = source.stand_in("mean", "photo", batch)
    assert mean.dtype == np.uint8
    assert np.array_equal(mean[0], np.rint(batch.inputs["photo"].mean(0)).astype(np.uint8))
    assert (mean == mean[0]).all()
    assert (source.stand_in("zero", "photo", batch) == 0).all()


def test_zero_is_the_nearest_legal_value():
    from mmaudit.types import Modality

    data = ArrayData(
        {"warm": np.full((4, 2), 30.0), "b": np.ones((4, 1))},
        np.arange(4) % 2,
        Task.classification(2),
        modalities=[Modality("warm", "tabular", range=(20.0, 40.0))],
    )
    assert (source_of(data).stand_in("zero", "warm", whole(data)) == 20).all()


def test_noise_text_keeps_words_and_lengths_but_not_the_text():
    rng, n = np.random.default_rng(0), 2000
    common = [f"w{i}" for i in range(20)]
    texts = [" ".join(rng.choice(common, rng.integers(1, 9), p=np.arange(20, 0, -1) / 210)) for _ in range(n)]
    data = ArrayData({"t": texts, "b": np.ones((n, 1))}, np.arange(n) % 2, Task.classification(2))
    made = source_of(data).stand_in("noise", "t", whole(data)).tolist()
    lengths = np.array([len(text.split()) for text in texts]), np.array([len(text.split()) for text in made])
    assert abs(lengths[0].mean() - lengths[1].mean()) < 5 * lengths[0].std() / np.sqrt(n) * 1.5
    assert abs(np.corrcoef(*lengths)[0, 1]) < 5 / np.sqrt(n)
    share = [np.array([" ".join(t).split().count(w) for w in common]) for t in (texts, made)]
    share = [s / s.sum() for s in share]
    assert np.abs(share[0] - share[1]).max() < 0.02


def test_pools_by_class_decline_where_there_are_no_classes():
    data = ArrayData({"a": np.ones((4, 1)), "b": np.ones((4, 1))}, np.arange(4.0), Task.regression(1))
    with pytest.raises(NotApplicable, match="within class need classes"):
        mismatch(data, "a", "within_class")
    with pytest.raises(UnknownName, match="did you mean 'random'"):
        mismatch(data, "a", "randon")


def test_tables_are_small_and_bounded(monkeypatch):
    monkeypatch.setattr("mmaudit.probes.source._TABLE_BYTES", 4 * 1000 * 4)
    n = 1000
    data = ArrayData({"a": np.ones((n, 1)), "b": np.ones((n, 1))}, np.arange(n) % 2, Task.classification(2))
    source, batch = source_of(data), whole(data)
    first = None
    for repeat in range(10):
        condition = probes.get("mismatch").condition(("a",), options=(("pool", "random"),), repeat=repeat)
        donors = source.donors(condition, "a", batch, "random")
        first = donors if first is None else first
    assert len(source._tables) == 4
    condition = probes.get("mismatch").condition(("a",), options=(("pool", "random"),))
    assert np.array_equal(source.donors(condition, "a", batch, "random"), first), (
        "a forgotten table comes back the same"
    )
