"""What every registered probe keeps to. A new plug-in is tested here without a line added."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from helpers.probe_samples import everything, scope_of, source_of, whole
from mmaudit.contract import CLAUSES, Bench, check_probes
from mmaudit.probes import Probe, probes
from mmaudit.types import Batch, Condition

ROOT = Path(__file__).parents[2]
DATA = everything()
SOURCE = source_of(DATA)
SCOPE = scope_of(DATA)
BENCHES = {p.name: Bench(p, DATA, SOURCE, SCOPE) for p in probes}


@pytest.mark.parametrize("name", probes.names())
@pytest.mark.parametrize("clause", CLAUSES)
def test_probe_keeps(clause, name):
    assert not list(CLAUSES[clause](BENCHES[name]))


# Exempt from growing at every step because a published table does not; the decision on severities names the others.
PUBLISHED = ("fog", "frost", "glass_blur", "saturate", "snow", "spatter")
OWN = (
    "pitch_shift",
    "rotation",
    "stale_order",
    "temporal_shift",
    "temporal_shift_samples",
    "time_stretch",
    "time_warp",
)


def test_who_need_not_move_further_at_every_severity_is_written_down():
    exempt = {p.name.rpartition(".")[2] for p in probes if p.not_monotone}
    assert exempt == {*PUBLISHED, *OWN}
    text = (ROOT / "docs/decisions/0014-published-tables-are-severities.md").read_text(encoding="utf-8")
    assert [name for name in OWN if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", sorted(p.name for p in probes if p.not_monotone and p.kinds == ("image",)))
def test_an_image_moves_further_at_the_last_severity_than_at_the_first(name):
    for curve in BENCHES[name].curves:
        assert BENCHES[name].distance(curve[0]) < BENCHES[name].distance(curve[-1])


@pytest.mark.parametrize("name", probes.names())
def test_probe_says_where_it_comes_from(name):
    assert probes.get(name).source


def test_conditions_of_all_probes_are_distinct():
    found = [c for bench in BENCHES.values() for c in bench.conditions]
    assert len({c.key for c in found}) == len({c.label for c in found}) == len(found)


def test_destroy_permutes_values_and_presence_together():
    batch = whole(DATA)
    new = probes.get("destroy").apply(batch, probes.get("destroy").condition(SCOPE.names), SOURCE)
    for m in SCOPE.names:
        assert new.present[m].sum() == batch.present[m].sum()
    was = [(v.tobytes(), p) for v, p in zip(batch.inputs["table"], batch.present["table"], strict=True)]
    now = [(v.tobytes(), p) for v, p in zip(new.inputs["table"], new.present["table"], strict=True)]
    assert sorted(was) == sorted(now)
    assert was != now


# A probe that breaks each clause, to see that the clauses can fail.


def broken(clause: str) -> Probe:
    good = probes.get("embedding.gaussian_noise_additive")
    batches = iter(range(10**6))

    def grid(scope):
        for c in good.grid(scope):
            if isinstance(c, Condition):
                told = clause == "same for any order of modalities"
                yield dataclasses.replace(c, options=(("first", scope.names[0]),) if told else c.options)

    def apply(batch: Batch, condition: Condition, source) -> Batch:
        number = next(batches)
        if condition.severity == 0 and clause != "severity 0 is the identity":
            return batch
        x = batch.inputs["embedding"]
        new = x + np.float32(condition.severity or 1.0) * np.array([1 + condition.repeat], np.float32)
        if clause == "keeps form and what it does not declare":
            new = new.astype(np.float64)
        if clause == "same for any batch":
            new = new + np.float32(len(batch))
        if clause == "same for any order of the data":
            new = new + batch.positions[:, None].astype(np.float32)
        if clause == "more severity moves further":
            new = x + np.float32(1 / condition.severity)
        if clause == "severities in between":
            new = x + np.float32(100 if condition.position is None else condition.severity)
        if clause == "repeats differ":
            new = x + np.float32(condition.severity or 1.0)
        if clause != "leaves absent rows":
            new = np.where(batch.present["embedding"][:, None], new, x.astype(new.dtype))
        del number
        return batch.replace({"embedding": new})

    version = 0 if clause == "speaks for itself" else 1
    return dataclasses.replace(good, grid=grid, apply=apply, version=version)


@pytest.mark.parametrize("clause", CLAUSES)
def test_a_probe_that_breaks_a_clause_is_caught(clause):
    verdicts = {v.clause: v for v in check_probes([broken(clause)])}
    assert not verdicts[clause].ok
    kept = [name for name, verdict in verdicts.items() if verdict.ok]
    assert len(kept) >= 5, verdicts


def test_a_probe_that_raises_is_caught_and_named():
    def apply(batch, condition, source):
        raise ZeroDivisionError("no such luck")

    verdicts = list(check_probes([dataclasses.replace(probes.get("image.gaussian_blur"), apply=apply)]))
    assert any("ZeroDivisionError: no such luck" in v for verdict in verdicts for v in verdict.violations)
