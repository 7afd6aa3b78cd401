"""Models that fail on some rows or under some conditions, and probes that do not do what they declare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.predict_cases import MISSING, all_answers, require_equal, run_of
from helpers.run_cases import Rowwise, Whole, dataset
from mmaudit import ArrayData, Run, audit
from mmaudit.auditing import prepare
from mmaudit.errors import ContractBroken
from mmaudit.probes import Probe, Scope, Source, probes
from mmaudit.types import CLEAN, Array, Batch, Condition

# ---- models that fail


def large(batch: Batch) -> Array:
    return np.asarray(batch.inputs["table"][:, 0] > 1.5)


def raises(batch: Batch, rows: Array) -> Array:
    if large(batch).any():
        raise ZeroDivisionError("table too large")
    return rows


def blows_up(batch: Batch, rows: Array) -> Array:
    rows = rows.copy()
    rows[large(batch), 0] = np.where(np.arange(len(rows))[large(batch)] % 2, np.inf, np.nan)
    return rows


def few_large(kind: str, n: int = 2000) -> Any:
    """A data set whose rows that the doctor looks at are harmless, and some others are not."""
    data = dataset(kind, n, noise=0.3)
    table = data.rows(np.arange(n)).inputs["table"].copy()
    table[:, 0] = np.minimum(table[:, 0], 1.4)
    table[np.arange(13, n, 97), 0] = 1.6
    notes = data.rows(np.arange(n)).inputs["note"].tolist()
    return ArrayData({"table": table, "note": notes}, data.target, data.task)


@pytest.mark.parametrize("fault", [raises, blows_up])
@pytest.mark.parametrize("staged", [True, False])
def test_rows_that_a_model_cannot_answer_are_nan_and_the_others_are_not(
    tmp_path: Path, fault: Any, staged: bool
) -> None:
    data = few_large("regression")
    bad = np.arange(2000) % 97 == 13

    def case(model: Rowwise) -> Any:
        return model if staged else Whole(model)

    suite = {"probes": ["missing"], "baselines": ["zero"]}
    healthy, _ = run_of(prepare(case(Rowwise("regression")), data, suite=suite), tmp_path / "healthy")
    faulty = Rowwise("regression", fault=fault)
    prepared = prepare(case(faulty), data, suite=suite)
    faulty.calls.clear()
    ill, _ = run_of(prepared, tmp_path / "ill")
    for condition in ill.conditions:
        answers, expected = ill.read(condition), healthy.read(condition).outputs
        lost = np.isnan(answers.outputs).all(axis=1)
        if condition.probe in ("clean", "identity") or condition.modalities == ("note",):
            np.testing.assert_array_equal(lost, bad, err_msg=condition.label)
        elif condition.probe == "missing":
            assert not lost.any()
        np.testing.assert_array_equal(answers.answered, ~lost)
        np.testing.assert_array_equal(answers.outputs[~lost], expected[~lost])
        told = ill.error(condition)
        if fault is raises and lost.any():
            assert "ZeroDivisionError: table too large" in told
            assert "in raises" in told
        else:
            assert told == ""
    # Found by halving: a row costs about twice the logarithm of the batch, not a call for every row beside it.
    assert faulty.calls["predict"] <= len(ill.conditions) * (8 + bad.sum() * 2 * 9)


def test_a_raising_model_is_a_finding_with_its_traceback_in_the_report(tmp_path: Path) -> None:
    report = audit(
        Rowwise("regression", fault=raises),
        few_large("regression"),
        out=tmp_path / "run",
        suite={"probes": ["missing"], "baselines": ["zero"]},
        resamples=20,
    )
    found = [f for f in report.findings if f.rule == "model_raised"]
    assert found
    assert "21 of 2" in found[0].claim.replace("\u202f", "").replace(",", "")
    clean = report.conditions[0]
    assert (clean.raised, clean.n) == (21, 2000 - 21)
    assert clean.error == "ZeroDivisionError: table too large"


def test_an_infinite_probability_is_no_sure_answer(tmp_path: Path) -> None:
    def infinite(batch: Batch, rows: Array) -> Array:
        rows = rows.copy()
        rows[large(batch), 1] = np.inf
        return rows

    for kind in ("classification", "multilabel"):
        model = Rowwise(kind, outputs="probabilities", fault=infinite)
        run, _ = run_of(prepare(model, few_large(kind), suite=["control"]), tmp_path / kind)
        np.testing.assert_array_equal(~run.read(CLEAN).answered, np.arange(2000) % 97 == 13)


def test_a_model_that_answers_nothing_under_a_probe_leaves_that_condition_undefined(tmp_path: Path) -> None:
    def needs_text(batch: Batch, rows: Array) -> Array:
        if all(text == "" for text in batch.inputs["note"]):
            raise RuntimeError("no text at all")
        return rows

    report = audit(
        Rowwise("regression", fault=needs_text),
        dataset("regression", 100),
        out=tmp_path / "run",
        suite={"probes": ["missing"], "baselines": ["zero", "marginal"]},
        resamples=20,
    )
    condition = next(c for c in report.conditions if c.condition.label == "missing[note, baseline=zero]")
    assert (condition.raised, condition.n, condition.error) == (100, 0, "RuntimeError: no text at all")
    score = report.score(condition.condition.key, "rmse")
    assert score is not None
    assert np.isnan(score.value)
    assert score.reason
    assert any(f.rule == "model_raised" and f.modalities == ("note",) for f in report.findings)
    summary = report.scores.query("label == 'missing' and metric in ('worst_case', 'mmi', 'instance_worst_case')")
    assert len(summary) == 3
    assert summary["value"].isna().all()
    assert set(summary["reason"]) == {"not every sample has an answer under missing[note, baseline=zero]"}


def test_out_of_memory_halves_the_batch_and_loses_nothing(tmp_path: Path) -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    def attempt(most: int, folder: str, **more: Any) -> Any:
        def hungry(batch: Batch, rows: Array) -> Array:
            if len(batch) > most:
                raise OutOfMemoryError("tried to allocate")
            return rows

        model = Rowwise("regression", fault=hungry)
        return audit(model, dataset("regression", 200), out=tmp_path / folder, suite=MISSING, resamples=20, **more)

    report = attempt(64, "run")
    assert all(c.raised == 0 for c in report.conditions)
    run, other = Run.open(tmp_path / "run"), attempt(200, "roomy")
    assert run.header["batch_rows"] == 256
    require_equal(all_answers(run), all_answers(Run.open(tmp_path / "roomy")))
    assert report.document["conditions"] == other.document["conditions"]
    assert (report.document["timing"]["halved"], report.document["timing"]["least_rows"]) == (2, 50)
    assert (other.document["timing"]["halved"], other.document["timing"]["least_rows"]) == (0, 0)


def test_a_change_of_width_under_a_probe_is_a_broken_contract(tmp_path: Path) -> None:
    def narrow(batch: Batch, rows: Array) -> Array:
        # The doctor never makes the whole batch absent.
        return rows[:, :2] if set(batch.inputs["note"]) == {""} and (batch.inputs["table"] == 0).all() else rows

    prepared = prepare(Rowwise(fault=narrow), dataset("classification", 50), suite=MISSING)
    with pytest.raises(ContractBroken, match=r"shape \(50, 2\), expected \(50, 3\)"):
        run_of(prepared, tmp_path / "run")


# ---- probes that lie


def register(monkeypatch: pytest.MonkeyPatch, apply: Any) -> None:
    """A probe past the decorator, and so past its own checks."""

    def grid(scope: Scope) -> Any:
        yield Condition("liar", "corruption", 1, ("table",))

    monkeypatch.setitem(
        probes._items, "liar", Probe("liar", "corruption", 1, "says table", "", (), ("tabular",), grid, apply)
    )


def test_a_probe_that_changes_more_than_it_declares_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changes_note(batch: Batch, condition: Condition, source: Source) -> Batch:
        notes = batch.inputs["note"].copy()
        notes[-1] = "changed"
        return batch.replace({"note": notes})

    register(monkeypatch, changes_note)
    prepared = prepare(Rowwise(), dataset(), suite=["liar"])
    with pytest.raises(ContractBroken, match=r"probe 'liar'.*changed 'note', which it does not declare") as caught:
        run_of(prepared, tmp_path / "run")
    assert caught.value.clause == "declared modalities"


def test_a_probe_that_hides_more_than_it_declares_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hides_note(batch: Batch, condition: Condition, source: Source) -> Batch:
        return batch.replace(present={"note": np.zeros(len(batch), bool)})

    register(monkeypatch, hides_note)
    with pytest.raises(ContractBroken, match="changed 'note'"):
        run_of(prepare(Rowwise(native=True), dataset(), suite=["liar"]), tmp_path / "run")


def test_a_probe_that_copies_what_it_leaves_alone_is_evaluated_correctly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copies(batch: Batch, condition: Condition, source: Source) -> Batch:
        return batch.replace({m: x.copy() for m, x in batch.inputs.items()})

    register(monkeypatch, copies)
    report = audit(Rowwise("regression"), dataset("regression"), out=tmp_path / "run", suite=["liar"], resamples=20)
    run = Run.open(tmp_path / "run")
    liar = run.condition("liar[table]")
    np.testing.assert_array_equal(run.read(liar).outputs, run.read(CLEAN).outputs)
    assert any("changed no sample" in line for line in report.idle_conditions())
