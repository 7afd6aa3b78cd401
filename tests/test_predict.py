"""The border: every sample under every condition, each asked once, whatever the batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

from helpers.predict_cases import MISSING, THREE, all_answers, require_equal, run_of
from helpers.run_cases import TASKS, Rowwise, Whole, dataset
from mmaudit import ArrayData
from mmaudit.answering import to_logits
from mmaudit.auditing import prepare
from mmaudit.predict import shard_rows
from mmaudit.probes import probes
from mmaudit.types import CLEAN, Task

# ---- nothing depends on how the work is cut


def test_batches_shards_and_stages_change_no_bit(tmp_path: Path) -> None:
    present = {"table": np.arange(90) % 4 != 0, "note": np.arange(90) % 7 != 1}
    data = dataset("classification", 90, present=present)
    prepared = prepare(Rowwise(), data, suite="standard")
    whole = prepare(Whole(Rowwise()), data, suite="standard")
    assert prepared.stage is not None
    assert whole.stage is None
    expected = all_answers(run_of(prepared, tmp_path / "0")[0])
    for i, (case, rows, shard) in enumerate(
        [(prepared, 7, 1024), (prepared, 1, 33), (prepared, 64, 10), (whole, 50, 20)]
    ):
        run, _ = run_of(case, tmp_path / f"{i}-{rows}", rows=rows, shard=shard)
        assert len(run.shards()) == -(-90 // shard)
        require_equal(all_answers(run), expected)


def test_answers_are_the_models_own(tmp_path: Path) -> None:
    data = dataset("classification", 50)
    prepared = prepare(Rowwise(), data, suite="quick")
    run, _ = run_of(prepared, tmp_path / "run", rows=16)
    batch = data.rows(np.arange(50))
    for condition in run.conditions:
        given = batch
        if condition is not CLEAN and condition.family != "clean":
            given = probes.get(condition.probe).apply(batch, condition, prepared.source)
        np.testing.assert_array_equal(run.read(condition).outputs, Rowwise().predict(given), err_msg=condition.label)


def test_large_samples_make_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Rowwise("regression")
    model.keep_batches = True
    prepared = prepare(Whole(model), dataset("regression", 40), suite=MISSING)
    model.seen.clear()
    bytes_of_one = 4 * max(len(text) for text in prepared.data.rows(np.zeros(1, np.int64)).inputs["note"])
    monkeypatch.setattr("mmaudit.predict.MAX_BATCH_BYTES", 5 * bytes_of_one)
    run_of(prepared, tmp_path / "run")
    assert max(len(batch) for batch in model.seen) == 5


def test_a_shard_holds_less_where_answers_are_large() -> None:
    assert [shard_rows(n) for n in (1, 1024, 65_536, 65_537, 10**6, 10**9)] == [1024, 1024, 1024, 1025, 15_625, 16_384]
    assert shard_rows(10**6, 4 * 1000 * 100) == 2**28 // 400_000
    assert shard_rows(10**6, 10**9) == 64


def test_progress_counts_every_answer_once(tmp_path: Path) -> None:
    prepared = prepare(Rowwise("regression"), dataset("regression", 100), suite=MISSING)
    seen: list[tuple[int, int]] = []

    def told(done: int, total: int) -> None:
        seen.append((done, total))

    run, _ = run_of(prepared, tmp_path / "run", rows=30, shard=50, progress=told)
    total = 100 * len(run.conditions)
    assert [t for _, t in seen] == [total] * 4
    assert [d for d, _ in seen] == [total * share // 100 for share in (30, 50, 80, 100)]
    run.file(1, 0).unlink()
    seen.clear()
    run_of(prepared, tmp_path / "run", rows=50, shard=50, progress=told)
    assert seen == [(total, total)]


# ---- what is computed once


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_modality_is_encoded_once_for_all_subsets_that_share_it(tmp_path: Path, repeats: int) -> None:
    model = Rowwise("regression", THREE)
    prepared = prepare(model, dataset("regression", 60, modalities=THREE), suite=MISSING | {"repeats": repeats})
    model.rows.clear()
    run, timing = run_of(prepared, tmp_path / "run", rows=20)
    subsets = 7
    conditions = 1 + 1 + repeats + subsets * (1 + repeats)
    assert len(run.conditions) == conditions
    # Clean, the identity control's copies, what destroy made, zeros, and each repeat's donors.
    encodings = 1 + 1 + repeats + 1 + repeats
    assert dict(model.rows) == {**dict.fromkeys(THREE, 60 * encodings), "fuse": 60 * conditions}
    assert timing.encoded_rows == dict.fromkeys(THREE, 60 * encodings)
    assert timing.fused_rows == 60 * conditions


def test_native_absence_is_encoded_once_too(tmp_path: Path) -> None:
    model = Rowwise("regression", THREE, native=True)
    suite = {"probes": ["missing"], "baselines": ["native"]}
    prepared = prepare(model, dataset("regression", 60, modalities=THREE), suite=suite)
    model.rows.clear()
    run_of(prepared, tmp_path / "run", rows=20)
    assert dict(model.rows) == {**dict.fromkeys(THREE, 60 * 4), "fuse": 60 * (3 + 7)}


def test_the_identity_control_takes_the_whole_path_again(tmp_path: Path) -> None:
    model = Rowwise("regression")
    prepared = prepare(model, dataset("regression", 30), suite=["control"])
    model.rows.clear()
    run, _ = run_of(prepared, tmp_path / "run")
    assert [c.probe for c in run.conditions] == ["clean", "destroy", "identity"]
    assert model.rows["table"] == model.rows["note"] == 3 * 30
    np.testing.assert_array_equal(run.read(run.conditions[2]).outputs, run.read(CLEAN).outputs)


def test_what_the_model_does_not_read_is_neither_encoded_nor_probed(tmp_path: Path) -> None:
    model = Rowwise("regression", ("table", "note"))
    prepared = prepare(model, dataset("regression", 30, modalities=THREE), suite="quick")
    run, timing = run_of(prepared, tmp_path / "run")
    assert set(timing.encoded_rows) == {"table", "note"}
    assert {m for c in run.conditions for m in c.modalities} == {"table", "note"}
    assert not any(run.error(c) for c in run.conditions)


# ---- natural missingness


@pytest.mark.parametrize("native", [False, True])
def test_what_was_not_recorded_stays_so_under_every_probe(tmp_path: Path, native: bool) -> None:
    n = 60
    table = dataset("classification", n).rows(np.arange(n)).inputs["table"].copy()
    table[::5] = np.nan  # wholly NaN: not recorded
    base = dataset("classification", n)
    notes: list[Any] = base.rows(np.arange(n)).inputs["note"].tolist()
    notes[3::4] = [None] * len(notes[3::4])
    data = ArrayData({"table": table, "note": notes}, base.target, base.task)
    model = Rowwise(native=native)
    model.keep_batches = True
    prepared = prepare(Whole(model), data, suite="standard")
    model.seen.clear()
    run, _ = run_of(prepared, tmp_path / "run")
    assert len(model.seen) == len(run.conditions)
    assert {c.option("baseline") for c in run.conditions if c.probe == "missing"} >= {
        "zero",
        "mean",
        "marginal",
        "noise",
    }
    for condition, batch in zip(run.conditions, model.seen, strict=True):
        assert np.isfinite(batch.inputs["table"]).all(), condition.label
        assert all(isinstance(text, str) for text in batch.inputs["note"])
        if condition.probe == "destroy":
            continue  # moves presence along with the values, by design
        lost_table, lost_note = np.arange(n) % 5 == 0, np.arange(n) % 4 == 3
        assert (batch.inputs["table"][lost_table] == 0).all(), condition.label
        assert set(batch.inputs["note"][lost_note]) == {""}, condition.label
        assert not batch.present["table"][lost_table].any()
        assert not batch.present["note"][lost_note].any()
        answers = run.read(condition)
        assert not answers.changed["table"][lost_table].any(), condition.label
        assert not answers.changed["note"][lost_note].any(), condition.label
        if condition.option("baseline") != "native":
            assert batch.present["table"].sum() == n - lost_table.sum()
    np.testing.assert_array_equal(run.samples.present["table"], np.arange(n) % 5 != 0)


def test_removing_a_modality_natively_says_so_and_has_no_distance(tmp_path: Path) -> None:
    data = dataset("regression", 30, present={"table": np.arange(30) % 3 != 0})
    prepared = prepare(Rowwise("regression", native=True), data, suite={"probes": ["missing"], "baselines": ["native"]})
    run, _ = run_of(prepared, tmp_path / "run")
    answers = run.read(run.condition("missing[table, baseline=native]"))
    np.testing.assert_array_equal(answers.changed["table"], np.arange(30) % 3 != 0)
    np.testing.assert_array_equal(np.isnan(answers.moved["table"]), np.arange(30) % 3 != 0)
    assert not answers.changed["note"].any()


# ---- scales


def test_probabilities_become_logits_with_the_same_probabilities() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.3, 0.3, 0.3], 200)
    logits = to_logits(p, "probabilities", TASKS["classification"])
    assert logits.dtype == np.float32
    np.testing.assert_allclose(scipy.special.softmax(logits.astype(float), axis=1), p, atol=1e-6)
    several = rng.random((200, 3))
    logits = to_logits(several, "probabilities", TASKS["multilabel"])
    np.testing.assert_allclose(scipy.special.expit(logits.astype(float)), several, atol=1e-6)


def test_certain_answers_stay_finite_and_certain() -> None:
    exclusive = to_logits(np.array([[0.0, 1.0]]), "probabilities", Task.classification(2))
    np.testing.assert_allclose(exclusive, [[np.log(np.finfo(np.float32).tiny), 0.0]], rtol=1e-6)
    labels = to_logits(np.array([[0.0, 1.0, 0.5]]), "probabilities", Task.multilabel(3))
    assert np.isfinite(labels).all()
    np.testing.assert_allclose(labels, [[np.log(np.finfo(np.float32).tiny), 53 * np.log(2), 0.0]], rtol=1e-5)
    np.testing.assert_allclose(scipy.special.expit(labels.astype(float))[0, 1:], [1.0, 0.5], rtol=1e-15)


def test_logits_and_values_pass_through_as_copies() -> None:
    for scale, task in (("logits", TASKS["classification"]), ("values", TASKS["regression"])):
        rows = np.array([[-1e30, 0.25, 3.0]], np.float32)
        given = to_logits(rows, scale, task)
        np.testing.assert_array_equal(given, rows)
        assert not np.shares_memory(given, rows)
