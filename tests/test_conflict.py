"""Conflict, from probe to report: who gets whose value, what the run keeps of it, and what the answers then say."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from helpers.probe_samples import conditions, declined, everything, source_of, whole
from mmaudit import ArrayData, FunctionModel, Report, Run, audit
from mmaudit.auditing import prepare
from mmaudit.errors import BadInput, DamagedRun
from mmaudit.figures.arbitration import arbitration
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.metrics.arbitration import MOST_CLASSES, OTHERS, matrix
from mmaudit.outputs import ConditionOutputs, joined, opened, read_group, write_predictions
from mmaudit.predict import predict
from mmaudit.probes import Scope, probes
from mmaudit.score import score
from mmaudit.types import CLEAN, Modality, Task

NAMES = ("a", "b", "c")
SUITE = {"probes": ["conflict", "mismatch"], "pools": ["across_class"]}


def votes(n: int = 240, classes: int = 4, names=NAMES[:2], seed: int = 0, absent: bool = True) -> ArrayData:
    """Every modality states the class, as a one-hot vector; a few samples lack the last one."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    present = {names[-1]: np.arange(n) % 11 != 3} if absent else None
    return ArrayData(
        {m: np.eye(classes, dtype=np.float32)[y] for m in names},
        y,
        Task.classification(classes),
        kinds=dict.fromkeys(names, "embedding"),
        ids=[f"s{i}" for i in rng.permutation(n)],
        present=present,
    )


def weighted(weights: dict[str, float]) -> FunctionModel:
    """Adds up votes with weights; absent modalities are all zeros and say nothing."""

    def logits(batch):
        return sum(w * batch.inputs[m].astype(np.float64) for m, w in weights.items())

    return FunctionModel(logits, tuple(weights), outputs="logits", call="batch", fingerprint=str(weights))


# ---- the probe


def test_every_modality_in_turn_where_there_are_classes():
    scope = Scope(tuple(Modality(m, "embedding", (4,)) for m in NAMES), Task.classification(4), repeats=2)
    assert [c.label for c in conditions(probes.get("conflict"), scope)] == [
        f"conflict[{m}]{r}" for m in NAMES for r in ("", "#1")
    ]
    for task in (Task.regression(1), Task.multilabel(3)):
        (refusal,) = declined(probes.get("conflict"), Scope(scope.modalities, task))
        assert f"the task is {task.kind}" in refusal.reason
    (alone,) = declined(probes.get("conflict"), Scope(scope.modalities[:1], Task.classification(4)))
    assert "one modality alone" in alone.reason


def test_the_donors_are_those_that_were_given():
    data = everything()
    source, batch = source_of(data), whole(data)
    probe = probes.get("conflict")
    condition = probe.condition(("table",))
    donors = probe.donors(batch, condition, source)
    new = probe.apply(batch, condition, source).inputs["table"]
    present = data.presence("table")
    assert (donors[~present] == -1).all()
    assert (data.target[donors[present]] != data.target[present]).all()
    assert np.array_equal(new[present], batch.inputs["table"][donors[present]])


# ---- the run


def test_donors_survive_the_file_and_only_where_there_are_some(tmp_path):
    rng = np.random.default_rng(0)

    def result(donor):
        changed, moved = {"a": np.ones(5, bool)}, {"a": np.ones(5, np.float32)}
        return ConditionOutputs(rng.normal(size=(5, 2)).astype(np.float32), changed, moved, 1, donor)

    given = np.array([3, -1, 0, 2, 1])
    write_predictions(tmp_path / "with.parquet", [result(None), result(given)], ["a"])
    file = opened(tmp_path / "with.parquet")
    assert read_group(file, 0, ["a"]).donor is None
    assert np.array_equal(read_group(file, 1, ["a"]).donor, given)
    write_predictions(tmp_path / "without.parquet", [result(None)], ["a"])
    assert "donor" not in pq.read_schema(tmp_path / "without.parquet").names, "as runs of mmaudit 0.1 are"
    assert read_group(opened(tmp_path / "without.parquet"), 0, ["a"]).donor is None
    assert joined([result(given), result(None)]).donor is None
    assert np.array_equal(joined([result(given), result(given)]).donor, [*given, *given])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    data, folder = votes(), tmp_path_factory.mktemp("conflict") / "run"
    prepared = prepare(weighted({"a": 2.0, "b": 1.0}), data, suite=SUITE)
    run = prepared.open_run(folder, batch_rows=50, title=None, command="")
    predict(run, data, prepared.model, prepared.source, batch_rows=50)
    score(run, resamples=100)
    return run


def test_a_run_keeps_the_donors_of_conflicts_alone(run):
    data = votes()
    for condition in run.conditions:
        donor = run.read(condition).donor
        assert (donor is not None) is (condition.family == "conflict"), condition.label
        if donor is not None:
            (m,) = condition.modalities
            assert np.array_equal(donor >= 0, data.presence(m))
            assert (run.samples.target[donor[donor >= 0]] != run.samples.target[donor >= 0]).all()


def test_any_batch_size_gives_the_same_donors(run, tmp_path):
    data = votes()
    prepared = prepare(weighted({"a": 2.0, "b": 1.0}), data, suite=SUITE)
    other = prepared.open_run(tmp_path / "run", batch_rows=7, title=None, command="")
    predict(other, data, prepared.model, prepared.source, batch_rows=7)
    for condition in run.conditions:
        assert np.array_equal(run.read(condition).donor, other.read(condition).donor)


def test_a_donor_that_does_not_exist_is_damage(run, monkeypatch):
    read = Run.read

    def spoiled(self, condition):
        answers = read(self, condition)
        donor = None if answers.donor is None else answers.donor + 10_000
        return ConditionOutputs(answers.outputs, answers.changed, answers.moved, answers.received, donor)

    monkeypatch.setattr(Run, "read", spoiled)
    with pytest.raises(DamagedRun, match="donors"):
        score(run, resamples=10)


# ---- the scores


def scores(run: Run) -> dict[tuple[str, str], dict]:
    rows = pq.read_table(run.folder / "scores.parquet").to_pylist()
    return {(r["label"], r["metric"]): r for r in rows if not r["group"]}


def test_scores_are_those_counted_by_hand(run):
    found = scores(run)
    for name in ("a", "b"):
        condition = run.condition(f"conflict[{name}]")
        answers = run.read(condition)
        rows = answers.donor >= 0
        predicted = answers.outputs.argmax(axis=1)[rows]
        kept = predicted == run.samples.target[rows]
        exchanged = predicted == run.samples.target[answers.donor[rows]]
        z = answers.outputs[rows].astype(np.float64)
        sure = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)).max(axis=1)
        for side, which in (("kept", kept), ("exchanged", exchanged), ("neither", ~kept & ~exchanged)):
            row = found[condition.label, f"follows_{side}"]
            assert row["value"] == pytest.approx(which.mean())
            assert row["n"] == rows.sum()
            assert row["unit"] == "share"
            assert row["better"] == "neither"
            assert np.isnan(row["delta"])
            confidence = found[condition.label, f"confidence_{side}"]
            if which.any():
                assert confidence["value"] == pytest.approx(sure[which].mean(), rel=1e-6)
            else:
                assert confidence["reason"].startswith("no answer is of this kind")


def test_a_donor_of_the_same_value_contradicts_nothing(tmp_path):
    """Of two values that say little of the class: only rows whose value was exchanged for the other are in conflict."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 300)
    coin = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 300)]
    data = ArrayData(
        {"a": np.eye(2, dtype=np.float32)[y], "b": coin},
        y,
        Task.classification(2),
        kinds=dict.fromkeys("ab", "embedding"),
    )
    prepared = prepare(weighted({"a": 0.1, "b": 1.0}), data, suite={"probes": ["conflict"]})
    run = prepared.open_run(tmp_path / "run", batch_rows=50, title=None, command="")
    predict(run, data, prepared.model, prepared.source, batch_rows=50)
    score(run, resamples=50)
    changed = run.read(run.condition("conflict[b]")).changed["b"]
    assert 0.3 < changed.mean() < 0.7
    found = scores(run)["conflict[b]", "follows_kept"]
    # b decides: where it was exchanged, the answer follows what it says now.
    expected = (coin.argmax(1) != y)[changed].mean()
    assert found["value"] == pytest.approx(expected)


def test_only_conflicts_have_arbitration(run):
    conflicts = {label for label, metric in scores(run) if metric == "follows_kept"}
    assert conflicts == {"conflict[a]", "conflict[b]"}
    assert ("clean", "follows_kept") not in scores(run)


def test_the_heavier_vote_wins_always_with_the_closed_confidence(run):
    found = scores(run)
    e = np.exp
    assert found["conflict[a]", "follows_exchanged"]["value"] == 1.0
    assert found["conflict[b]", "follows_kept"]["value"] == 1.0
    # Where b is absent, a exchanged stands against nobody; b exchanged is always there.
    both, alone = e(2) / (e(2) + e(1) + 2), e(2) / (e(2) + 3)
    assert found["conflict[b]", "confidence_kept"]["value"] == pytest.approx(both, rel=1e-6)
    share = votes().presence("b").mean()
    expected = share * both + (1 - share) * alone
    assert found["conflict[a]", "confidence_exchanged"]["value"] == pytest.approx(expected, rel=1e-6)
    assert found["conflict[a]", "follows_exchanged"]["low"] < 1.0, "no exception in n samples is not none at all"


# ---- class against class


def predictions(kept, exchanged, answer, classes: int) -> Predictions:
    outputs = np.eye(classes, dtype=np.float32)[np.array(answer)]
    names = tuple(f"c{i}" for i in range(classes))
    return Predictions(Task.classification(names), outputs, np.array(kept), rival=np.array(exchanged))


def test_matrix_by_hand():
    p = predictions([0, 0, 1, 2, 2], [1, 1, 0, 0, -1], [1, 0, 2, 2, 2], 3)
    found = matrix(p)
    assert found["classes"] == ["c0", "c1", "c2"]
    assert found["n"] == [[0, 2, 0], [1, 0, 0], [1, 0, 0]]
    assert found["exchanged"][0][1] == 0.5
    assert found["kept"][0][1] == 0.5
    assert found["exchanged"][1][0] == found["kept"][1][0] == 0.0, "neither"
    assert found["kept"][2][0] == 1.0
    assert np.isnan(found["kept"][0][0])


def test_many_classes_are_told_coarsely():
    rng = np.random.default_rng(0)
    classes, n = 50, 3000
    kept = np.minimum(rng.geometric(0.08, n) - 1, classes - 1)
    exchanged = (kept + rng.integers(1, classes, n)) % classes
    answer = np.where(rng.random(n) < 0.3, exchanged, kept)
    found = matrix(predictions(kept, exchanged, answer, classes))
    assert len(found["classes"]) == MOST_CLASSES
    assert found["classes"][-1] == OTHERS
    counts = np.array(found["n"])
    assert counts.sum() == n
    assert np.nansum(np.array(found["exchanged"]) * counts) == pytest.approx((answer == exchanged).sum())
    seen = np.bincount(np.concatenate([kept, exchanged]), minlength=classes)
    frequent = {f"c{c}" for c in np.argsort(-seen, kind="stable")[: MOST_CLASSES - 1]}
    assert set(found["classes"][:-1]) == frequent


@pytest.mark.parametrize("rival", [[0, 0], [2, 5], [1, -2], [1]])
def test_a_rival_is_another_class_of_the_task(rival):
    with pytest.raises(BadInput, match="rival"):
        Predictions(Task.classification(3), np.zeros((2, 3)), np.array([0, 1]), rival=np.array(rival))


def test_outcomes_are_all_there_are():
    rng = np.random.default_rng(0)
    kept = rng.integers(0, 5, 80)
    p = predictions(kept, (kept + rng.integers(1, 5, 80)) % 5, rng.integers(0, 5, 80), 5)
    w = Resamples.draw(80, 20)
    total = sum(metrics.get(f"follows_{side}")(p, w) for side in ("kept", "exchanged", "neither"))
    assert np.allclose(total, 1)


# ---- the report


def test_the_report_shows_who_wins(tmp_path):
    data = votes(names=NAMES)
    suite = {"probes": ["conflict", "mismatch", "mismatch_share"], "pools": ["random"]}
    report = audit(weighted({"a": 3.0, "b": 1.0, "c": 1.5}), data, out=tmp_path / "run", suite=suite, resamples=100)
    assert report == Report.read(tmp_path / "run")
    who, *matrices = arbitration(report)
    told = {row[0].text: row for row in who.table.rows if row[1].text.endswith("(exchanged)")}
    assert told["a exchanged"][3].value == 1.0
    assert told["b exchanged"][3].value == 0.0
    assert len(matrices) == 3
    assert [len(f.table.rows) for f in matrices] == [4, 4, 4]
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'href="#alignment"' in page
    assert "Conflict: which modality wins" in page
    (finding,) = [f for f in report.findings if f.rule == "conflict_winner"]
    assert finding.modalities == ("a",)
    assert finding.level == "info"
    assert "another class than b and c" in finding.claim
    assert "100.0" in finding.claim


def test_a_report_without_arbitration_is_read_and_says_nothing(tmp_path):
    data = votes()
    report = audit(weighted({"a": 1.0, "b": 1.0}), data, out=tmp_path / "run", suite=["mismatch"], resamples=50)
    old = {k: v for k, v in report.document.items() if k != "arbitration"}
    assert arbitration(Report.from_json(old)) == ()
    assert "alignment" not in Report.from_json(old).to_html(tmp_path / "old.html").read_text()


def test_a_matrix_that_does_not_fit_is_damage(tmp_path):
    report = audit(weighted({"a": 1.0, "b": 1.0}), votes(), out=tmp_path / "run", suite=SUITE, resamples=50)
    broken = json.loads(json.dumps(report.document))
    broken["arbitration"][0]["kept"].pop()
    with pytest.raises(DamagedRun, match=r"arbitration\[0\]: n, kept and exchanged must have"):
        Report.from_json(broken)


def test_clean_is_no_conflict(run):
    assert run.read(CLEAN).donor is None
