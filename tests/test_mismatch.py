"""Mismatch by degrees: the most similar donor, a share of the samples, values from before."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.probe_samples import conditions, declined, everything, same, scope_of, source_of, whole
from mmaudit import FunctionModel
from mmaudit.auditing import prepare
from mmaudit.contract import CLAUSES, Bench
from mmaudit.data import ArrayData, subset
from mmaudit.errors import BadInput
from mmaudit.probes import POOLS, Scope, Source, probes
from mmaudit.probes.proof import moved
from mmaudit.types import Condition, Modality, Task

DATA = everything()
TABLE, TEXT = Modality("table", "tabular", (2,), "float64"), Modality("text", "text", (), "str")


def nearest(modality: str) -> Condition:
    return probes.get("mismatch").condition((modality,), options=(("pool", "nearest"),))


def donors(data, modality: str) -> list[int]:
    return source_of(data).donors(nearest(modality), modality, whole(data), "nearest").tolist()


def pair(values, **more) -> ArrayData:
    """A modality of interest beside one that plays no part."""
    n = len(values)
    return ArrayData({"a": values, "b": np.ones((n, 1))}, np.arange(n) % 2, Task.classification(2), **more)


# ---- the most similar other sample


@pytest.mark.parametrize("clause", CLAUSES)
def test_the_nearest_pool_keeps_the_contract(clause):
    bench = Bench(probes.get("mismatch"), DATA, source_of(DATA), scope_of(DATA, pools=("nearest",)))
    assert len(bench.conditions) == len(DATA.modalities)
    assert not list(CLAUSES[clause](bench))


def test_nearest_by_hand():
    # In units of the spread: the first column varies a thousand times more than the second.
    data = pair(np.array([[0, 0], [1000, 0], [0, 1], [1000, 1], [400, 0]], float))
    assert donors(data, "a") == [4, 4, 0, 1, 0]


def test_nearest_to_any_class_and_never_oneself_or_an_equal():
    data = pair(np.array([[0.0], [0.0], [0.1], [5.0], [0.0]]))
    assert donors(data, "a") == [2, 2, 0, 2, 2], "of the equal ones at 0 the lowest id stands for all"


def test_the_lowest_id_decides_between_equally_near_ones():
    values = np.array([[0.0], [1.0], [-1.0]])
    assert donors(pair(values, ids=[5, 9, 7]), "a")[0] == 2
    assert donors(pair(values, ids=[5, 7, 9]), "a")[0] == 1


def test_all_the_same_has_no_donor():
    assert donors(pair(np.ones((4, 3))), "a") == [-1] * 4
    assert donors(pair(["same", "same", "same"]), "a") == [-1] * 3


def test_nearest_text_shares_most_of_its_letters():
    texts = ["a red circle", "what is the shape?", "a red circus", "what is that shape?", ""]
    found = donors(pair(texts), "a")
    assert found[:4] == [2, 3, 0, 1]
    assert found[4] >= 0


def test_absent_samples_neither_get_nor_give():
    values = np.array([[0.0], [0.1], [0.9], [5.0]])
    data = pair(values, present={"a": np.array([True, False, True, True])})
    assert donors(data, "a") == [2, -1, 0, 2]


def test_nearest_is_nearer_than_any_other_donor():
    source, batch = source_of(DATA), whole(DATA)
    for name in ("hwc", "table", "codes", "series", "question", "speech"):
        far = {}
        for pool in POOLS:
            condition = probes.get("mismatch").condition((name,), options=(("pool", pool),))
            new = probes.get("mismatch").apply(batch, condition, source)
            modality = source.modality(name)
            changed, distance = moved(batch.inputs[name], new.inputs[name], modality, source.statistics[name])
            if pool == "nearest":
                assert changed[batch.present[name]].all()
            far[pool] = distance[batch.present[name]].mean()
        assert min(far, key=far.__getitem__) == "nearest", (name, far)


def test_large_data_sets_choose_among_a_random_subset(monkeypatch):
    rng = np.random.default_rng(0)
    data = pair(rng.normal(size=(300, 2)))
    exact = donors(data, "a")
    monkeypatch.setattr("mmaudit.probes.nearest.CANDIDATES", 40)
    some = donors(data, "a")
    assert len(set(some)) <= 40
    assert len(set(exact)) > 100
    order = rng.permutation(300)
    turned = Source(subset(data, order), source_of(data).statistics)
    again = turned.donors(nearest("a"), "a", whole(turned.data), "nearest")
    assert np.array_equal(order[again], np.array(some)[order]), "the subset goes by id"
    inside = set(some)
    x = data.rows(np.arange(300)).inputs["a"]
    x = x / x.std(axis=0)
    for row in range(0, 300, 25):
        others = [j for j in inside if j != row]
        best = min(others, key=lambda j: ((x[j] - x[row]) ** 2).sum())
        assert some[row] == best


def test_one_sample_or_none_recorded_elsewhere():
    data = pair(np.array([[1.0], [2.0]]), present={"a": np.array([True, False])})
    assert donors(data, "a") == [-1, -1]


def test_nearest_needs_no_classes_and_is_not_repeated():
    scope = Scope((TABLE, TEXT), Task.regression(1), pools=POOLS, repeats=3)
    probe = probes.get("mismatch")
    assert [c.label for c in conditions(probe, scope)] == [
        *(f"mismatch[{m}, pool=random]{r}" for m in ("table", "text") for r in ("", "#1", "#2")),
        *(f"mismatch[{m}, pool=nearest]" for m in ("table", "text")),
    ]
    assert len(declined(probe, scope)) == 2
    assert "nearest" not in Scope((TABLE, TEXT), Task.classification(2)).pools


# ---- a share of the samples


def share(value: float | None, repeat: int = 0, modality: str = "a") -> Condition:
    return probes.get("mismatch_share").condition((modality,), value, repeat=repeat)


def test_shares_are_nested_and_end_in_mismatch():
    n = 4000
    data = pair(np.arange(n, dtype=float)[:, None])
    source, batch = source_of(data), whole(data)
    for repeat in (0, 1):
        everyone = probes.get("mismatch").condition(("a",), options=(("pool", "random"),), repeat=repeat)
        last = probes.get("mismatch").apply(batch, everyone, source).inputs["a"]
        before = np.zeros(n, bool)
        for value in (0.25, 0.5, 0.75, 1.0):
            new = probes.get("mismatch_share").apply(batch, share(value, repeat), source).inputs["a"]
            hit = (new != batch.inputs["a"])[:, 0]
            assert abs(hit.mean() - value) < 5 * np.sqrt(0.25 / n)
            assert (hit >= before).all()
            assert np.array_equal(new[hit], last[hit])
            before = hit
        assert before.all()


@pytest.mark.parametrize("value", [None, -0.1, 1.01, float("nan"), float("inf")])
def test_a_share_outside_zero_to_one_is_refused(value):
    data = pair(np.ones((4, 1)))
    with pytest.raises(BadInput, match=r"a share of the samples|must be 0 or more, and finite \(share of samples\)"):
        probes.get("mismatch_share").apply(whole(data), share(value), source_of(data))


@pytest.mark.parametrize(("field", "given"), [("shares", (0.5, 1.0)), ("shifts", (0.0,)), ("lags", (1, 2.5))])
def test_a_scope_refuses_degrees_out_of_range(field, given):
    with pytest.raises(BadInput, match=r"shares|shifts|lags"):
        Scope((TABLE, TEXT), Task.classification(2), **{field: given})


# ---- stale by k samples


def stale(lag: float) -> Condition:
    return probes.get("stale_order").condition(("a",), lag)


def stale_values(data, lag: float) -> list[float]:
    return probes.get("stale_order").apply(whole(data), stale(lag), source_of(data)).inputs["a"][:, 0].tolist()


def test_stale_takes_the_sample_k_rows_before():
    data = pair(np.arange(6.0)[:, None])
    assert stale_values(data, 1) == [0, 0, 1, 2, 3, 4]
    assert stale_values(data, 4) == [0, 1, 2, 3, 0, 1]
    assert stale_values(data, 6) == [0, 1, 2, 3, 4, 5], "nobody has one six rows before"


def test_stale_stays_within_the_cluster():
    data = pair(np.arange(7.0)[:, None], cluster=["x", "y", "x", "y", "x", "z", "y"])
    assert stale_values(data, 1) == [0, 1, 0, 1, 2, 5, 3]
    assert stale_values(data, 2) == [0, 1, 2, 3, 0, 5, 1]


def test_stale_counts_only_samples_that_have_the_modality():
    data = pair(np.arange(5.0)[:, None], present={"a": np.array([True, False, True, True, False])})
    assert stale_values(data, 1) == [0, 0, 0, 2, 0], "absent rows hold 0 and keep it"


def test_stale_depends_on_the_order_of_the_data_and_says_so():
    data = pair(np.arange(6.0)[:, None])
    turned = subset(data, np.array([3, 1, 0, 5, 4, 2]))
    assert stale_values(turned, 1) == [3, 3, 1, 0, 5, 4]
    assert [p.name for p in probes if p.by_order] == ["stale_order"]


def test_stale_for_any_batch():
    source = source_of(DATA)
    condition = probes.get("stale_order").condition(("speech",), 2.0)
    everyone = probes.get("stale_order").apply(whole(DATA), condition, source).inputs["speech"]
    some = probes.get("stale_order").apply(DATA.rows(np.array([9, 3])), condition, source_of(DATA)).inputs["speech"]
    assert same(some, everyone[[9, 3]])


@pytest.mark.parametrize("lag", [1.5, -1.0, float("inf"), None])
def test_a_lag_is_a_whole_number(lag):
    data = pair(np.ones((4, 1)))
    with pytest.raises(BadInput, match=r"whole number of samples|0 or more, and finite \(samples\)"):
        probes.get("stale_order").apply(whole(data), stale(lag), source_of(data))


def test_a_lag_beyond_the_data_is_declined():
    scope = Scope((TABLE, TEXT), Task.classification(2), n=50, longest=5)
    assert {c.severity for c in conditions(probes.get("stale_order"), scope)} == {1.0, 2.0}
    said = {d.reason for d in declined(probes.get("stale_order"), scope)}
    assert said == {
        f"no sample has one {lag} before it: the data set, or its largest cluster, has 5" for lag in (5, 10)
    }


def test_an_audit_knows_its_largest_cluster():
    model = FunctionModel(lambda batch: np.stack([batch.inputs["a"][:, 0]] * 2, axis=1), ("a", "b"), call="batch",
                          outputs="logits", fingerprint="x")  # fmt: skip
    for cluster, longest in ((None, 20), (np.arange(20) // 3, 3), (np.arange(20), 1)):
        data = pair(np.arange(20.0)[:, None], cluster=cluster)
        plan = prepare(model, data, suite={"probes": ["stale_order"]}).plan
        assert {c.severity for c in plan.conditions if c.probe == "stale_order"} == {
            lag for lag in (1.0, 2.0, 5.0, 10.0) if lag < longest
        }


@pytest.mark.parametrize("name", ["mismatch", "mismatch_share", "stale_order", "spatial_shift", "temporal_shift"])
def test_one_modality_alone_cannot_mismatch(name):
    sound = Modality("sound", "audio", (800,), sample_rate=8000.0)
    scope = Scope((sound,), Task.classification(2))
    assert conditions(probes.get(name), scope) == []
    (refusal,) = declined(probes.get(name), scope)
    assert refusal.reason == "one modality alone cannot mismatch another"
