"""Synergy of a run, from its stored files: of the data, the model and its decisions, what is unused, and per sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mmaudit import Run
from mmaudit.auditing import prepare
from mmaudit.decomposition import CROSSFIT_FILE, TAGS_FILE, estimates, explanations, present
from mmaudit.decomposition.divide import FALLS_SHORT, divided
from mmaudit.decomposition.names import LOW, SYNERGY
from mmaudit.decomposition.predictors import Predictors
from mmaudit.decomposition.rows import clopper_pearson, clusters, row, share_row
from mmaudit.decomposition.sources import Rows
from mmaudit.decomposition.unused import BEST, MORE_USED, smallest, unused_rows
from mmaudit.estimates import Estimate, estimators
from mmaudit.information.crossfitted import CrossFitted, write_crossfit
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.predict import predict
from mmaudit.types import CLEAN
from theory.synergy_worlds import BOTH, NAMES, WORLDS, A, B, best_model, columns, dataset, fit

N = 1000
Found = dict[str, Estimate]


def predicted(
    folder: Path, world: str, reads: tuple[str, ...] = NAMES, baselines: tuple[str, ...] = ("native",)
) -> Run:
    """A run with answers to every subset, not scored."""
    model, data = best_model(WORLDS[world], reads), dataset(WORLDS[world], N, 0)
    prepared = prepare(model, data, suite={"probes": ["missing"], "baselines": list(baselines)}, out=folder)
    run = prepared.open_run(folder, batch_rows=256, title=None, command="")
    predict(run, data, prepared.model, prepared.source, stage=prepared.stage)
    return Run.open(folder)


def crossfitted(run: Run, world: str) -> CrossFitted:
    """Counts of the other folds, of the truth and of the model's answer."""
    found = fit(WORLDS[world], N, 0).crossfitted
    decision = run.read(CLEAN).outputs.argmax(axis=1).astype(np.int64)
    x = {name: v.argmax(axis=1) for name, v in columns(WORLDS[world], N, 0)[0].items()}
    classes = WORLDS[world].joint.shape[2]
    posterior, prior = dict(found.posterior), np.empty((N, classes))
    for subset in (A, B, BOTH):
        said = np.empty((1, N, classes))
        cell = np.unique(np.stack([x[m] for m in subset], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
        for k in range(5):
            train = found.fold != k
            counts = np.zeros((cell.max() + 1, classes))
            np.add.at(counts, (cell[train], decision[train]), 1)
            shares = (counts.sum(axis=0) + 0.5) / (counts.sum() + 0.5 * classes)
            prior[~train] = shares
            table = counts + shares
            said[0, ~train] = (table / table.sum(axis=1, keepdims=True))[cell[~train]]
        posterior["decision", subset] = said
    return replace(found, decision=decision, posterior=posterior, prior={**found.prior, "decision": prior})


def decomposed(run: Run, fitted: CrossFitted | None) -> Found:
    if fitted is not None:
        write_crossfit(run.folder / CROSSFIT_FILE, fitted)
    found = estimates(run, Resamples.draw(N, 200, 0))
    assert len({(e.key, e.group) for e in found}) == len(found), "keys are unique"
    for e in found:
        assert estimators.get(e.estimator).family == "synergy"
        assert e.reason or np.isfinite(e.value), e.label
        assert not e.low > e.value, e.label
        assert not e.high < e.value, e.label
    return {e.label: e for e in found}


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Found]:
    run = predicted(tmp_path_factory.mktemp("xor") / "run", "xor")
    return run, decomposed(run, crossfitted(run, "xor"))


def test_a_model_that_uses_the_synergy(xor: tuple[Run, Found]) -> None:
    _, found = xor
    truth = WORLDS["xor"].synergy
    data, model = found["synergy[a+b, of=data]"], found["synergy[a+b, of=model, baseline=native]"]
    for e in (data, model):
        assert e.low - 0.01 < truth < e.high + 0.01
        assert present(e)
    assert abs(found["synergy_unused[a+b]"].value) < 0.02
    assert not found["synergy_unused[a+b]"].low > 0
    decision = found["synergy[a+b, of=decision]"]
    assert found["entropy[of=decision]"].value == pytest.approx(1, abs=0.01)
    assert decision.value == pytest.approx(1, abs=0.03), "the answer is the exclusive or itself, without noise"
    assert found["synergy_high[a+b, of=decision]"].value <= 1.01


def test_a_model_that_reads_one_modality_leaves_it(tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", "xor", ("a",))
    found = decomposed(run, crossfitted(run, "xor"))
    unused = found["synergy_unused[a+b]"]
    assert unused.low > 0.4
    assert unused.p < 0.001
    assert unused.low < WORLDS["xor"].synergy < unused.high
    assert abs(found["synergy[a+b, of=model, baseline=native]"].value) < 0.01
    assert found["entropy[of=decision]"].reason or found["entropy[of=decision]"].value < 1.01


def test_unused_unique_information_is_no_unused_synergy(tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", "unique", ("a",))
    found = decomposed(run, crossfitted(run, "unique"))
    data, model = found["information[a+b, of=data]"], found["information[a+b, of=model, baseline=native]"]
    assert data.low > model.high + 0.3, "the model knows half of it"
    assert not found["synergy_unused[a+b]"].low > 0.01


def test_a_poor_stand_in_is_not_held_against_the_model(tmp_path: Path) -> None:
    """To this model zeros are a symbol, so its answers to one modality are wrong; `native` tells what it reads."""
    run = predicted(tmp_path / "run", "mixture", baselines=("native", "zero"))
    found = decomposed(run, crossfitted(run, "mixture"))
    poor = found["synergy[a+b, of=model, baseline=zero]"]
    assert poor.low > found["synergy[a+b, of=model, baseline=native]"].high
    assert abs(found["synergy_unused[a+b]"].value) < 0.03


def numbers(seed: int, disturbed: float, hidden: float = 0.0) -> tuple[list[Estimate], list[Estimate]]:
    """Synergy of the data and what is unused; b is noise to all but the complete answer of a model, which it disturbs.

    `hidden` is what both together say of the target; the model does not know it.
    """
    rng = np.random.default_rng(seed)
    a, b, both, noise = rng.standard_normal((4, N))
    target = (a + hidden * both + noise)[:, None]
    nothing, w = np.zeros((N, 1)), Resamples.draw(N, 200, 0)
    told = {A: a[:, None], B: nothing, BOTH: (a + hidden * both)[:, None]}
    data = Predictors("regression", target, nothing, told, w)
    model = Predictors("regression", target, nothing, told | {BOTH: (a + disturbed * b)[:, None]}, w)
    offered = [e for e in divided(data, NAMES, (("of", "data"),)) if e.estimator == SYNERGY]
    return offered, list(unused_rows(offered, data, {"native": model}, NAMES))


@pytest.mark.parametrize("hidden", [0.0, 0.5])
def test_no_more_is_left_than_is_to_be_had(hidden: float) -> None:
    """A complete answer that says less than one modality holds synergy far below 0; that adds nothing."""
    (data,), (unused,) = numbers(0, 1.0, hidden)
    numbers_of = [(e.value, e.low, e.high) for e in (unused, data)]
    assert numbers_of[0] == pytest.approx(numbers_of[1], nan_ok=True)
    assert np.isfinite(numbers_of).all() or data.reason == unused.reason != "", "no resample differs, and it says so"
    assert unused.p == data.p
    assert present(unused) == present(data) == (hidden > 0)


def test_what_falls_short_is_no_synergy_of_the_model() -> None:
    (data,), (plain,) = numbers(0, 0.0)
    short = replace(data, value=-0.1, low=-0.2, high=-0.05, p=0.001)
    assert plain.value == 0
    assert np.isnan([plain.low, plain.high, plain.p]).all()  # the model is the best source: 0 by construction
    assert plain.reason == BEST
    assert smallest(replace(plain, value=0.3, low=0.2, high=0.4), short).reason == FALLS_SHORT
    more = smallest(replace(plain, value=-0.3, low=-0.4, high=-0.2), short)
    assert more.reason == MORE_USED
    assert (more.value, more.low, more.high) == (-0.3, -0.4, -0.2)
    assert not explanations([smallest(replace(plain, value=0.3, low=0.2, high=0.4), short)])
    assert "the model's own synergy is larger than that of the data" in explanations([more])[0]


def test_every_sample_has_a_tag(xor: tuple[Run, Found]) -> None:
    run, found = xor
    table = pq.read_table(run.folder / TAGS_FILE).to_pydict()
    assert table["position"] == list(range(N))
    atoms = {"redundancy.a+b", "unique.a.a+b", "unique.b.a+b", "synergy.a+b"}
    assert set(table) == {"position", "tag", "stability", "strict", "majority", "pvi.a", "pvi.b", "pvi.a+b"} | atoms
    np.testing.assert_allclose(np.sum([table[name] for name in atoms], axis=0), table["pvi.a+b"], atol=1e-9)
    names = ["redundant", "synergy", "conflict", "none", "unique_a", "unique_b"]
    shares = {t: found["tag_share[tag=" + t + "]"] for t in names[:4]}
    shares |= {f"unique_{m}": found[f"tag_share[{m}, tag=unique]"] for m in NAMES}
    for name in names:
        assert shares[name].value == pytest.approx(table["tag"].count(name) / N)
        assert (shares[name].low, shares[name].high) == clopper_pearson(table["tag"].count(name), N)
    assert sum(e.value for e in shares.values()) == pytest.approx(1)
    assert shares["synergy"].value > 0.85, "nine of ten answers follow from both and from neither alone"
    outputs = run.read(CLEAN).outputs
    right = outputs.argmax(axis=1) == run.samples.target
    synergy = np.array(table["tag"]) == "synergy"
    assert found["accuracy_on[tag=synergy]"].value == pytest.approx(right[synergy].mean())
    assert found["accuracy_on[tag=synergy]"].value > 0.99
    strict = np.array(table["strict"])
    assert found["synergy_subset[rule=strict]"].value == pytest.approx(strict.mean())
    assert found["accuracy_on[tag=synergy_subset_strict]"].value == pytest.approx(right[strict].mean())


def test_shortcut_score(xor: tuple[Run, Found], tmp_path: Path) -> None:
    _, found = xor
    for name in NAMES:
        assert found[f"shortcut_score[{name}, baseline=native, on=all]"].value < 0.1, "it knows that it cannot know"
    run = predicted(tmp_path / "run", "redundant")
    found = decomposed(run, crossfitted(run, "redundant"))
    assert found["shortcut_score[a, baseline=native, on=all]"].value == pytest.approx(0.8, abs=0.01)
    assert found["shortcut_score[a, baseline=native, on=synergy_subset]"].n < 0.2 * N


def test_without_predictors_the_model_is_still_decomposed(tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", "and")
    run.update(not_analysed={"synergy": "there are too few samples to fit anything"})
    found = decomposed(run, None)
    truth = WORLDS["and"].synergy
    model = found["synergy[a+b, of=model, baseline=native]"]
    assert model.low - 0.02 < truth < model.high + 0.02
    for label in (
        "synergy[a+b, of=data]",
        "information[a, of=decision]",
        "synergy_unused[a+b]",
        "tag_share[tag=synergy]",
    ):
        assert np.isnan(found[label].value)
        assert found[label].reason == "there are too few samples to fit anything"
    assert not (run.folder / TAGS_FILE).exists()
    assert explanations(list(found.values())) == []


def test_of_very_many_rows_some_are_decomposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = predicted(tmp_path, "xor")
    w = Resamples.draw(N, 20, 0)
    everything = Rows.of(run, None, w)
    monkeypatch.setattr("mmaudit.decomposition.sources.MOST_ROWS", 100)
    some = Rows.of(run, None, w)
    assert len(everything.positions) == run.n > len(some.positions) == 100
    assert set(some.positions) <= set(everything.positions)
    assert set(some.fold) == set(everything.fold)
    assert some.w.n == 100


def test_a_missing_unimodal_predictor(xor: tuple[Run, Found], tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", "xor")
    whole = crossfitted(run, "xor")
    posterior = {k: v for k, v in whole.posterior.items() if k != ("data", A)}
    found = decomposed(run, replace(whole, posterior=posterior))
    for label in ("information[a, of=data]", "synergy[a+b, of=data]", "tag_share[tag=synergy]", "synergy_unused[a+b]"):
        assert np.isnan(found[label].value)
        assert "no predictor was fitted from a" in found[label].reason
    assert found["information[b, of=data]"].value == xor[1]["information[b, of=data]"].value
    assert found["synergy[a+b, of=decision]"].value == xor[1]["synergy[a+b, of=decision]"].value


def test_rows_without_an_answer_are_left_out(xor: tuple[Run, Found], tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", "xor")
    whole = crossfitted(run, "xor")
    decision = np.array(whole.decision)
    decision[:100] = -1
    posterior = dict(whole.posterior)
    for subset in (A, B, BOTH):
        posterior["decision", subset] = posterior["decision", subset].copy()
        posterior["decision", subset][:, :100] = np.nan
    found = decomposed(run, replace(whole, posterior=posterior, decision=decision))
    assert found["synergy[a+b, of=decision]"].n == N - 100
    assert found["synergy[a+b, of=decision]"].value == pytest.approx(1, abs=0.03)
    # By their text: NaN is not itself, and since Python 3.13 neither is what holds one.
    assert repr(found["synergy[a+b, of=data]"]) == repr(xor[1]["synergy[a+b, of=data]"])


def test_a_constant_answer(tmp_path: Path) -> None:
    run = predicted(tmp_path / "run", "only a", ("b",))
    whole = crossfitted(run, "only a")
    found = decomposed(run, replace(whole, decision=np.zeros(N, np.int64)))
    assert found["synergy[a+b, of=decision]"].reason == "the model's answer is the same for every sample"
    assert found["information[a, of=data]"].value > 0.4


def test_exact_shares() -> None:
    assert clopper_pearson(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert clopper_pearson(10, 10)[1] == 1.0
    low, high = clopper_pearson(3, 10)
    assert low == pytest.approx(0.06674, abs=1e-4)
    assert high == pytest.approx(0.65245, abs=1e-4)


def test_an_interval_has_the_longer_arm_on_both_sides() -> None:
    skewed = np.concatenate([[0.1], 0.08 + 0.05 * np.random.default_rng(0).exponential(size=999)])
    low, high = np.quantile(skewed[1:], [0.025, 0.975])
    assert 0.1 - low < 0.03 < 0.1 < high - 0.1
    e = row(SYNERGY, NAMES, (), skewed, 300)
    assert (e.value, e.low, e.high) == pytest.approx((0.1, 0.2 - high, high))
    left = row(SYNERGY, NAMES, (), -skewed, 300)
    assert (left.low, left.high) == pytest.approx((-high, high - 0.2))
    bound = row(LOW, NAMES, (), skewed, 300, least=0.0)
    assert (bound.low, bound.high) == pytest.approx((0.0, high))


def test_a_width_of_0_is_never_stated() -> None:
    still = row(LOW, NAMES, (), np.zeros(200), 300, least=0.0)
    assert still.value == 0
    assert np.isnan([still.low, still.high]).all()
    assert still.reason.startswith("no interval: no resample differs")
    assert row(SYNERGY, NAMES, (), np.zeros(200), 300, reason="known").reason == "known"


def test_random_blocks_are_no_clusters() -> None:
    n = 24_000
    drawn = Resamples.draw(n, 10, 0)
    assert len(np.unique(drawn.unit)) < n, "so many samples are drawn in blocks"
    assert clusters(drawn) is None
    cluster = np.arange(n) // 2 * 2
    assert clusters(Resamples.draw(n, 10, 0, cluster)) is not None
    many = clusters(Resamples.draw(2 * n, 10, 0, np.arange(2 * n) // 2))
    assert many is not None
    assert len(np.unique(many)) == n, "clusters, not the blocks that they are drawn in"
    few = Resamples.draw(60, 10, 0, np.arange(60) // 2)
    np.testing.assert_array_equal(clusters(few), few.unit)
    assert clusters(few.take(np.arange(0, 60, 2))) is None, "one of each is left"
    assert clusters(Resamples.ones(60)) is None
    hit = np.arange(n) < n // 3
    exact = share_row("tag_share", (), (), hit, drawn)
    assert (exact.low, exact.high) == clopper_pearson(n // 3, n)
