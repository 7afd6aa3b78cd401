"""A suite's similarity floor: corrupted texts keep to it, and those that change the meaning are left alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helpers.probe_samples import everything, scope_of, source_of, whole
from mmaudit.errors import BadInput
from mmaudit.kernels.chrf import chrf
from mmaudit.plan import Suite, make_plan
from mmaudit.probes import corruption, probes
from mmaudit.probes.base import Probes

DATA = everything(only=("question", "table"))
SOURCE = source_of(DATA)
FLOOR = 0.7


def plan(**options):
    suite = Suite(probes=("text.*", "tabular.shift"), similarity_floor=FLOOR, **options)
    return make_plan(suite, DATA.modalities, DATA.task).conditions


@pytest.mark.parametrize("condition", [c for c in plan() if c.family == "corruption"], ids=lambda c: c.label)
def test_every_text_keeps_to_the_floor(condition):
    probe = probes.get(condition.probe)
    if probe.changes_meaning or probe.kinds != ("text",):
        assert condition.option("similarity_floor") is None
        return
    assert condition.option("similarity_floor") == "0.7"
    batch = whole(DATA)
    new = probe.apply(batch, condition, SOURCE).inputs["question"].tolist()
    old = batch.inputs["question"].tolist()
    similar = chrf(new, old)
    assert (similar >= FLOOR).all()
    free = probe.apply(batch, probe.condition(("question",), condition.severity), SOURCE).inputs["question"].tolist()
    if chrf(free, old).min() < FLOOR:
        assert new != free


def test_a_floor_of_one_changes_no_text_and_a_low_one_changes_nothing_about_the_corruption():
    batch = whole(DATA)
    probe = probes.get("text.char_delete")

    def under(floor):
        options = (("similarity_floor", floor),)
        return probe.apply(batch, probe.condition(("question",), 0.2, options), SOURCE).inputs["question"].tolist()

    assert under("1") == batch.inputs["question"].tolist()
    # Options are part of the stream of random numbers, so only what a floor does to the size of the damage compares.
    low, high = (np.mean(chrf(under(floor), batch.inputs["question"].tolist())) for floor in ("0.0001", "0.8"))
    assert low < high


def test_white_space_does_not_count_so_no_floor_limits_what_changes_it_alone():
    batch, probe = whole(DATA), probes.get("text.whitespace")
    old = batch.inputs["question"].tolist()
    hard = probe.condition(("question",), 0.5, (("similarity_floor", "1"),))
    new = probe.apply(batch, hard, SOURCE).inputs["question"].tolist()
    changed = [a != b for a, b in zip(new, old, strict=True)]
    assert np.mean(changed) > 0.5
    assert ["".join(text.split()) for text in new] == ["".join(text.split()) for text in old]
    assert chrf(new, old).tolist() == [1.0] * len(old)


def test_a_corruption_of_one_text_at_a_time_keeps_to_it_too(monkeypatch):
    own = Probes("probe")
    monkeypatch.setattr("mmaudit.probes.base.probes", own)

    @corruption("stutter", kinds=("text",), severities=(0.1, 0.2, 0.3, 0.4, 0.5), unit="share of letters")
    def stutter(x, severity, rng):
        """Letters come twice."""
        hit = rng.random(len(x)) < severity
        return "".join(c * (2 if h else 1) for c, h in zip(x, hit, strict=True))

    probe, batch = own.get("text.stutter"), whole(DATA)
    scope = dataclasses.replace(scope_of(DATA), similarity_floor=FLOOR)
    condition = list(probe.grid(scope))[-1]
    new = probe.apply(batch, condition, SOURCE).inputs["question"].tolist()
    assert (chrf(new, batch.inputs["question"].tolist()) >= FLOOR).all()
    assert new != batch.inputs["question"].tolist()


@pytest.mark.parametrize("floor", [0, -0.1, 1.5])
def test_a_floor_outside_its_range_is_refused(floor):
    with pytest.raises(BadInput, match=r"chrF similarity in \(0, 1\]"):
        make_plan(Suite(similarity_floor=floor), DATA.modalities, DATA.task)
