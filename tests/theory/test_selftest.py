"""`mmaudit selftest`: right on the known truths, and able to fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmaudit import selftest


def test_every_known_truth_is_met() -> None:
    rows = selftest.selftest(samples=1500, seed=1)
    assert len(rows) == len(selftest.WORLDS) * (len(selftest.SUBSETS) + 1)
    assert [row for row in rows if not row["ok"]] == []


def test_a_wrong_truth_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    additive = next(w for w in selftest.WORLDS if w.name == "additive")
    # A world that claims what its model does not do.
    claims = replace(additive, findings=(("ignored_modality", "a"),))
    monkeypatch.setattr(selftest, "WORLDS", (claims,))
    monkeypatch.setattr(selftest.World, "accuracy", lambda self, present: 0.99)
    assert [row["ok"] for row in selftest.selftest(samples=400)] == [False] * 5
