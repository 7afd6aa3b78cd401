"""Retrieval runs: what is encoded when, corrupted candidates, absence, failures, and a killed run that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.retrieval_cases import as_is, by_hand, dual, pairs, triple, triples
from helpers.run_cases import contents
from mmaudit import ArrayData, RetrievalModel, Run, Task, audit
from mmaudit.auditing import estimate, prepare
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.folder import writing
from mmaudit.predict import predict
from mmaudit.probes import probes
from mmaudit.retrieval import files as files_module
from mmaudit.timing import Timing
from mmaudit.types import CLEAN, Array, Condition

SUITE = {
    "probes": ["missing", "mismatch", "gaussian_noise_additive"],
    "positions": [5],
    "baselines": ["native", "zero", "marginal"],
    "pools": ["random", "nearest"],
}


def run_of(
    model: object, data: ArrayData, folder: Path, *, rows: int = 256, shard: int = 1024, suite: Any = SUITE
) -> tuple[Run, Timing]:
    prepared = prepare(model, data, suite=suite)
    run = prepared.open_run(folder, batch_rows=rows, title=None, command="")
    run.update(shard_rows=shard)
    return run, predict(run, data, prepared.model, prepared.source, batch_rows=rows)


def under(data: ArrayData, condition: Condition, model: object) -> dict[str, Array]:
    """Each modality of all samples under a condition."""
    batch = data.rows(np.arange(len(data)))
    source = prepare(model, data, suite=SUITE).source
    changed = batch if condition.key == CLEAN.key else probes.get(condition.probe).apply(batch, condition, source)
    return dict(changed.inputs)


def test_every_condition_is_what_brute_force_says(tmp_path: Path) -> None:
    data = pairs(120)
    run, _ = run_of(dual(), data, tmp_path / "run", rows=32, shard=50)
    everyone = [np.arange(120)] * 120
    assert len(run.conditions) > 10
    for condition in run.conditions:
        inputs = under(data, condition, dual())
        scores = (inputs["left"].astype(np.float64) @ inputs["right"].astype(np.float64).T).astype(np.float32)
        found = run.read(condition)
        expected = np.array(by_hand(scores, data.target, everyone))
        assert np.array_equal(found.outputs[:, :4], expected[:, :4]), condition.label
        assert found.outputs[:, 4:] == pytest.approx(expected[:, 4:], abs=1e-4)
        changed = {m: found.changed[m].any() for m in found.changed}
        assert changed == {m: m in condition.modalities and condition.probe != "identity" for m in changed}


def test_a_corrupted_target_corrupts_every_candidate(tmp_path: Path) -> None:
    data = pairs(80, width=32, noise=0.1)
    prepared = prepare(dual(), data, suite=SUITE)
    run, _ = run_of(dual(), data, tmp_path / "run")
    assert (run.read(CLEAN).outputs[:, 0] == 0).all()
    shuffled = run.condition("mismatch[right, pool=random]")
    # Every candidate holds another's value: a query's own stands where its donor is, and is found there.
    donors = prepared.source.donors(shuffled, "right", data.rows(np.arange(80)), "random")
    assert np.array_equal(donors[run.read(shuffled).outputs[:, 3].astype(int)], np.arange(80))
    assert (run.read(shuffled).outputs[:, 0] > 0).all()


def test_clean_features_are_made_once(tmp_path: Path) -> None:
    data = pairs(100)
    run, timing = run_of(dual(), data, tmp_path / "run", rows=16, shard=40)
    touched = {m: 1 + sum(m in c.modalities for c in run.conditions) for m in ("left", "right")}
    assert timing.encoded_rows == {m: 100 * times for m, times in touched.items()}
    assert not (tmp_path / "run" / "work").exists()


def test_progress_counts_up_to_all_there_is(tmp_path: Path) -> None:
    data = pairs(60)
    prepared = prepare(dual(), data, suite=SUITE)
    run = prepared.open_run(tmp_path / "run", batch_rows=16, title=None, command="")
    seen: list[tuple[int, int]] = []
    predict(run, data, prepared.model, prepared.source, batch_rows=16, progress=lambda *said: seen.append(said))
    banks = sum("right" in c.modalities for c in run.conditions)
    assert {total for _, total in seen} == {60 * (len(run.conditions) + 1 + banks)}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    # All is there already: nothing is made again.
    predict(run, data, prepared.model, prepared.source, batch_rows=16)
    assert not (run.folder / "work").exists()


def test_batches_and_shards_change_nothing(tmp_path: Path) -> None:
    data = pairs(90, present={"right": np.arange(90) % 5 > 0, "left": np.arange(90) % 7 > 0})
    first, _ = run_of(dual(absence="skip"), data, tmp_path / "0")
    for rows, shard in ((7, 1024), (90, 33), (1, 90)):
        other, _ = run_of(dual(absence="skip"), data, tmp_path / f"{rows}", rows=rows, shard=shard)
        for condition in first.conditions:
            np.testing.assert_array_equal(
                first.read(condition).outputs, other.read(condition).outputs, err_msg=condition.label
            )


def test_who_lacks_the_target_is_no_candidate_and_has_no_answer(tmp_path: Path) -> None:
    there = np.arange(100) % 4 > 0
    data = pairs(100, present={"right": there}, groups={"half": np.arange(100) < 50})
    report = audit(dual(), data, out=tmp_path / "run", suite=SUITE, resamples=50)
    run = Run.open(tmp_path / "run")
    assert np.array_equal(run.read(CLEAN).answered, there)
    assert (run.samples.target[:, 1] == 75).all()
    assert np.array_equal(run.samples.target[:, 2], there)
    # Nothing was asked of the model there, so nothing failed; the control keeps who is a candidate.
    assert all(c.raised == 0 and c.n == 75 for c in report.conditions)
    assert report.failed_controls() == ()
    assert not [f for f in report.findings if f.rule == "model_raised"]
    assert {g for g in (s.group for s in report.rows) if g} == {"half=False", "half=True"}
    assert any("25 of 100" in said for said in report.document["limits"])


def test_missing_parts_of_a_query_are_left_out(tmp_path: Path) -> None:
    data = triples(60, present={"a": np.arange(60) % 3 > 0})
    run, _ = run_of(triple(absence="skip"), data, tmp_path / "run")
    a, b, c = (data.values(m, np.arange(60)) for m in "abc")
    a = np.where((np.arange(60) % 3 > 0)[:, None], a, 1)
    everyone = [np.arange(60)] * 60
    for label, query in {
        "clean": a * b,
        "missing[a, baseline=native]": b,
        "missing[b, baseline=native]": a,
        "missing[a+b, baseline=native]": np.ones_like(a),
    }.items():
        expected = np.array(by_hand(query @ c.T, data.target, everyone))
        found = run.read(run.condition(label)).outputs
        assert np.array_equal(found[:, :4], expected[:, :4]), label


def test_the_target_cannot_be_taken_away(tmp_path: Path) -> None:
    plan = prepare(triple(), triples(60), suite="full").plan
    missing = [c for c in plan.conditions if c.family == "missing"]
    assert missing
    assert not any("c" in c.modalities for c in missing)
    assert {m for c in plan.conditions for m in c.modalities} == {"a", "b", "c"}
    reasons = {(d.probe, d.modalities): d.reason for d in plan.declined}
    assert "nothing to find" in reasons["missing", ("c",)]
    assert "the task is retrieval" in reasons["conflict", ("a", "b", "c")]
    assert "not a value" in reasons["missing_mnar", ("a",)]


def test_the_user_may_name_the_target_among_what_is_present() -> None:
    suite = {"probes": ["missing"], "baselines": ["zero"], "subsets": [["a", "c"]]}
    plan = prepare(triple(), triples(60), suite=suite).plan
    assert [c.modalities for c in plan.conditions if c.probe == "missing"] == [("b",)]


# ---- kills


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("killed_at", [1, 3, 4, 7, 10, 13])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int) -> None:
    data = pairs(60)
    suite = ["mismatch", "identity"]
    run_of(dual(), data, tmp_path / "whole", rows=16, shard=25, suite=suite)
    expected = contents(tmp_path / "whole" / "predictions")
    original = Path.replace
    steps = 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal steps
        steps += "work" in target.parts or "predictions" in target.parts
        if steps == killed_at:
            raise Killed
        return original(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            run_of(dual(), data, tmp_path / "killed", rows=16, shard=25, suite=suite)
    with writing(tmp_path / "killed"):  # sweeps what was half written
        run_of(dual(), data, tmp_path / "killed", rows=16, shard=25, suite=suite)
    assert contents(tmp_path / "killed" / "predictions") == expected
    assert not (tmp_path / "killed" / "work").exists()


# ---- failures


def raising(values: Array) -> Array:
    if (values[:, 0] > 3.0).any():
        raise RuntimeError("too large")
    return values


def test_an_encoder_that_raises_for_some_rows(tmp_path: Path) -> None:
    data = pairs(100)
    left, right = (data.values(m, np.arange(100)) for m in ("left", "right"))
    left[[3, 50], 0], right[[7, 50], 0] = 9, 9
    data = ArrayData({"left": left, "right": right}, None, data.task, kinds={"left": "embedding", "right": "embedding"})
    model = RetrievalModel({"left": raising, "right": raising})
    run, _ = run_of_unchecked(model, data, tmp_path / "run")
    found = run.read(CLEAN)
    bad_query, bad_target = left[:, 0] > 3, right[:, 0] > 3
    # Its own target is lost to one query, its own value to another; everyone else ranks among what is left.
    assert np.array_equal(found.answered, ~(bad_query | bad_target))
    expected = by_hand(left @ right.T, data.target, [np.arange(100)] * 100, ~bad_target)
    for i in np.flatnonzero(found.answered):
        assert found.outputs[i, 0] == expected[i][0]  # type: ignore[index]
    assert "too large" in run.error(CLEAN)


def run_of_unchecked(model: object, data: ArrayData, folder: Path) -> tuple[Run, Timing]:
    """Without the doctor, which would refuse the model."""
    prepared = prepare(dual(), data, suite=["identity"])
    run = prepared.open_run(folder, batch_rows=8, title=None, command="")
    return run, predict(run, data, model, prepared.source, batch_rows=8)  # type: ignore[arg-type]


def test_a_score_that_raises_for_some_queries(tmp_path: Path) -> None:
    data = pairs(50)
    unlucky = data.values("left", np.array([11]))[0, 0]

    def score(query: dict[str, Array], candidates: Array) -> Array:
        if (query["left"][:, 0] == unlucky).any():
            raise RuntimeError("not this one")
        return np.asarray(query["left"] @ candidates.T)

    run, _ = run_of_unchecked(dual(score=score), data, tmp_path / "run")
    assert np.flatnonzero(~run.read(CLEAN).answered).tolist() == [11]
    assert "not this one" in run.error(CLEAN)


def test_features_of_another_shape_are_a_broken_contract(tmp_path: Path) -> None:
    def narrow(values: Array) -> Array:
        return values if len(values) > 2 else values[:, :4]

    model = RetrievalModel({"left": as_is, "right": narrow})
    with pytest.raises(ContractBroken, match=r"features of shape \[4\] here, \[8\] before"):
        run_of_unchecked(model, pairs(50), tmp_path / "run")


def test_an_encoder_that_always_raises(tmp_path: Path) -> None:
    def never(values: Array) -> Array:
        raise RuntimeError("no")

    with pytest.raises(BadInput, match="encoder of 'right' gives usable features for no sample"):
        run_of_unchecked(RetrievalModel({"left": as_is, "right": never}), pairs(20), tmp_path / "run")


def test_what_had_no_features_at_first_is_filled_in_later(tmp_path: Path) -> None:
    writer = files_module.FeatureWriter(tmp_path / "x.npy", 5, "it")
    writer.add(None, np.zeros(2, np.bool_))
    writer.add(np.arange(6.0).reshape(3, 2), np.array([True, False, True]))
    file = writer.close()
    assert file.usable.tolist() == [False, False, True, False, True]
    assert file.read(np.arange(5)).tolist() == [[0, 0], [0, 0], [0, 1], [0, 0], [4, 5]]
    assert file.read(np.array([4, 2])).tolist() == [[4, 5], [0, 1]]
    assert file.shape == (2,)


# ---- what else an audit offers


def test_common_scales_of_severity(tmp_path: Path) -> None:
    for scale in ("input", "embedding"):
        plan = prepare(dual(), pairs(80), suite={**SUITE, "severity_scale": scale}, out=tmp_path / scale).plan
        assert any(c.option("scale") == scale for c in plan.conditions)
    plan = prepare(dual(), pairs(80), suite={**SUITE, "severity_scale": "unimodal"}).plan
    assert any("target of a retrieval is a sample" in d.reason for d in plan.declined)


def test_the_cost_is_estimated() -> None:
    prepared = prepare(dual(), pairs(80), suite=SUITE)
    cost = estimate(prepared)
    touched = {m: 1 + sum(m in c.modalities for c in prepared.plan.conditions) for m in ("left", "right")}
    assert cost.passes == {f"{m} encoder": 80 * times for m, times in touched.items()}
    assert cost.seconds > 0


@pytest.mark.parametrize(("bank", "lists"), [(10, False), (0, True)])
def test_chance_follows_the_bank(tmp_path: Path, bank: int, lists: bool) -> None:
    rng = np.random.default_rng(0)
    candidates = None
    if lists:
        candidates = np.array([[i, *rng.choice(np.delete(np.arange(95), i), 9, replace=False)] for i in range(95)])
    data = pairs(95, task=Task.retrieval("left", "right", bank=bank), candidates=candidates, noise=2.0)
    report = audit(dual(), data, out=tmp_path / "run", suite=["mismatch"], resamples=50)
    clean = report.score(report.clean, "recall_at_1")
    assert clean is not None
    expected = 0.1 if lists else (90 * 0.1 + 5 * 0.2) / 95
    assert clean.floor == pytest.approx(expected)
    assert report.failed_controls() == ()
