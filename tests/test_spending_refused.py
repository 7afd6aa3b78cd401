"""What a budget cannot be kept by, and run folders whose budget lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.budget_cases import SUITE, N, run
from helpers.retrieval_cases import dual, pairs
from helpers.run_cases import Rowwise, contents, dataset
from mmaudit import Run, audit
from mmaudit.errors import BadInput


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An audit within a budget."""
    out = tmp_path_factory.mktemp("refused") / "part"
    run(out, "quick", forwards=2_000)
    return Run.open(out)


def test_too_small_a_budget_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"forwards=100 is too few: 32 samples under each of \d+ conditions make"):
        run(tmp_path / "run", forwards=100)
    assert not (tmp_path / "run").exists()
    run(tmp_path / "run", "quick", forwards=2_000)
    before = contents(tmp_path / "run")
    with pytest.raises(
        BadInput, match=r"beside the [\d\u202f]+ answers that the run holds, 32 samples under each of \d+ conditions"
    ):
        run(tmp_path / "run", SUITE, forwards=2_000)
    assert contents(tmp_path / "run") == before


def test_what_an_unfinished_audit_without_a_budget_planned_is_not_spent(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", "quick", progress=stop, n=3_000)
    before = contents(tmp_path / "run")
    for limit in ({"forwards": 2_000}, {"budget": "1m"}):
        with pytest.raises(BadInput, match="holds an audit without a budget that has not finished"):
            run(tmp_path / "run", "quick", n=3_000, **limit)
    assert contents(tmp_path / "run") == before


def test_references_are_trained_on_whole_runs(part: Run) -> None:
    from mmaudit.reference.retrain import retrain

    with pytest.raises(BadInput, match=r"has a budget, which left \d+ conditions on a part of the samples"):
        retrain(part.folder, Rowwise(), dataset(n=N, seed=1), train=dataset(n=200, seed=2), methods=["product"])


def test_a_retrieval_has_no_budget(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a retrieval cannot keep a budget"):
        audit(dual(), pairs(), out=tmp_path / "run", suite="quick", forwards=10**6)
    assert not (tmp_path / "run").exists()


def test_a_budget_that_lies_is_named(part: Run) -> None:
    from mmaudit.header import require_sound

    def broken(**change: Any) -> dict[str, Any]:
        return json.loads(json.dumps(part.header)) | change

    places = list(range(len(part.conditions)))
    for portions, why in (
        ("all", "portions is 'all'"),
        ([{"conditions": [], "samples": None}], r"portions\[0\]: conditions are \[\]"),
        ([{"conditions": [0, 0], "samples": None}], "expected different places"),
        ([{"conditions": [10**9], "samples": None}], "expected different places"),
        ([{"conditions": places}], "'samples' is missing"),
        ([{"conditions": places, "samples": [5, 3]}], "samples are"),
        ([{"conditions": places, "samples": [0, N + 1]}], "samples are"),
        ([{"conditions": places, "samples": [3, 5]}], "not where the portions before it end"),
        ([{"conditions": [0], "samples": [i, i + 1]} for i in range(N)], ""),
        ([{"conditions": [0], "samples": None}] * 2, "not where the portions before it end"),
    ):
        if why:
            with pytest.raises(Exception, match=why):
                require_sound(broken(portions=portions), "run.json")
        else:
            require_sound(broken(portions=portions), "run.json")
    for budget, why in (
        ([1], r"budget is \[1\]"),
        ({"forwards": -1, "seconds": None, "rounds": []}, "forwards are -1"),
        ({"forwards": None, "seconds": "x", "rounds": []}, "seconds are 'x'"),
        ({"forwards": None, "seconds": 1.0, "rounds": [None]}, "rounds are"),
        ({"forwards": None}, "'seconds' is missing"),
    ):
        with pytest.raises(Exception, match=why):
            require_sound(broken(budget=budget), "run.json")
