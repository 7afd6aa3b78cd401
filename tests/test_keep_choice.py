"""Which samples are kept: the worst of every modality in turns, and some at random, whatever the order of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, dataset
from mmaudit.auditing import prepare
from mmaudit.browse.kept import Kept
from mmaudit.choosing import choose, worth
from mmaudit.data import Dataset
from mmaudit.keep import keep
from mmaudit.models import FunctionModel
from mmaudit.predict import predict
from mmaudit.probes import Source
from mmaudit.store import Run
from mmaudit.types import CLEAN, Task

SUITE = {"probes": ["missing", "keyboard", "tabular.gaussian_noise_additive"], "baselines": ["zero", "marginal"]}


def predicted(folder: Path, data: Dataset, model: object, suite: Any = SUITE) -> tuple[Run, Source]:
    prepared = prepare(model, data, suite=suite)
    run = prepared.open_run(folder, batch_rows=64, title=None, command="")
    predict(run, data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=64)
    return run, prepared.source


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Source]:
    data = dataset(n=120, ids=[f"s{i}" for i in range(120)], present={"table": np.arange(120) % 4 != 1})
    return predicted(tmp_path_factory.mktemp("keep") / "run", data, Rowwise(native=True))


def by_hand(run: Run, key: str) -> np.ndarray:
    """Probability of the right class."""
    z = run.read(run.condition(key)).outputs.astype(float)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return (p / p.sum(axis=1, keepdims=True))[np.arange(run.n), run.samples.target]


def test_the_worst_samples_come_first_the_modalities_in_turns_and_a_quarter_at_random(
    audited: tuple[Run, Source],
) -> None:
    run, _ = audited
    chosen, ranked = choose(run, 20)
    clean = by_hand(run, CLEAN.key)
    means = {c.key: (clean - by_hand(run, c.key)).mean() for c in run.conditions}
    sets = {c.modalities for c in ranked if c.family != "control"}
    assert {c.modalities for c in ranked[: len(sets)]} == sets
    for names in sets:
        mine = [means[c.key] for c in ranked if c.modalities == names and c.family != "control"]
        assert mine == sorted(mine, reverse=True)
    assert ranked[0].key == max((c for c in ranked if c.family != "control"), key=lambda c: means[c.key]).key
    taken: set[int] = set()
    for sample in chosen[:15]:
        assert sample.condition is not None
        lost = clean - by_hand(run, sample.condition.key)
        lost[list(taken)] = -1
        assert lost[sample.position] == pytest.approx(lost.max(), abs=1e-6)
        assert sample.why == f"damaged by {sample.condition.label}"
        taken.add(sample.position)
    assert [s.why for s in chosen[15:]] == ["drawn at random"] * 5
    assert len({s.position for s in chosen}) == 20
    assert len({s.condition.modalities for s in chosen[:15] if s.condition}) == len(sets)


def test_the_choice_does_not_depend_on_the_order_of_the_data(tmp_path: Path) -> None:
    n, order = 90, np.random.default_rng(1).permutation(90)
    base = dataset(n=n, ids=[f"s{i}" for i in range(n)])
    suite = {"probes": ["missing", "keyboard"], "baselines": ["zero"]}
    found = []
    for name, data in (("a", base), ("b", base.subset(order))):
        run, source = predicted(tmp_path / name, data, Rowwise(), suite)
        keep(run, data, source, 16)
        found.append([(s.sample, s.why) for s in Kept(run.folder).samples])
    assert found[0] == found[1]


def test_more_samples_than_there_are_keeps_all_and_none_damaged_draws_all(tmp_path: Path) -> None:
    data = dataset(n=40)
    constant = FunctionModel(lambda table, note: np.zeros((len(table), 3)), ["table", "note"], outputs="logits")
    run, _ = predicted(tmp_path / "run", data, constant)
    assert {s.why for s in choose(run, 10)[0]} == {"drawn at random"}
    assert sorted(s.position for s in choose(run, 99)[0]) == list(range(40))
    asked = choose(run, 3, [5, 6])[0]
    assert [(s.position, s.why) for s in asked[:2]] == [(5, "asked for"), (6, "asked for")]
    assert len(asked) == 5


def test_what_an_answer_is_worth_by_hand() -> None:
    z, ids = np.array([[0.0, 1.0], [np.nan, 0.0]], np.float32), np.arange(2)
    p = 1 / (1 + np.exp(-1))

    def found(task: Task, target: Any, outputs: Any = z) -> Any:
        return pytest.approx(worth(task, outputs, np.array(target), ids), nan_ok=True)

    assert found(Task.classification(2), [1, 0]) == [p, np.nan]
    assert found(Task.multilabel(2), [[0, 1], [1, 1]]) == [(0.5 + p) / 2, np.nan]
    assert found(Task.regression(2), [[1.0, -2.0], [0, 0]]) == [-2.0, np.nan]
    # One wrong candidate scores higher than the right one: rank 2.
    answers = np.array([[1, 0, 1, 0, -1.0, -0.5], [np.nan] * 6], np.float32)
    assert found(Task.retrieval("a", "b"), [[0, 2, 1], [1, 2, 1]], answers) == [1 / 2, np.nan]
