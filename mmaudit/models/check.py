"""The doctor: tests a model's contract on one batch before anything is spent on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import numpy as np

from mmaudit.errors import ContractBroken
from mmaudit.models import check_retrieval, clauses
from mmaudit.models import clauses_behaviour as behaviour
from mmaudit.models.clauses import Check
from mmaudit.models.protocol import Model, OutputArray, Retriever
from mmaudit.models.rows import copied, head
from mmaudit.types import Batch, Modality, Task

__all__ = ["CHECKED_ROWS", "CLAUSES", "Check", "check_model", "require"]

CHECKED_ROWS = 64

CLAUSES: tuple[str, ...] = (
    "modalities",
    "evaluation mode",
    "outputs",
    "raises nothing",
    "shape",
    "finite",
    "probabilities",
    "inputs not mutated",
    "determinism",
    "independence of the batch",
    "reads its inputs",
    "absence",
    "two stages",
)
"""What `check_model` tests, in order."""


def check_model(model: Model | Retriever, batch: Batch, task: Task, declared: Sequence[Modality] = ()) -> list[Check]:
    """Test every clause of the contract on the batch's first 64 rows; nothing is raised.

    Args:
        model: the model.
        batch: some rows of the data set, at least one; with different rows more is found.
        task: the data set's task; decides the outputs' width and scale.
        declared: the data set's modalities; compared with what the model was told of them, as sample rates.

    Returns:
        One check per clause in the order of `CLAUSES`; `absence` once per modality where the model handles absence
        itself. After a clause without which the rest cannot run, the rest are notes.
    """
    few = head(batch, CHECKED_ROWS)
    if task.kind == "retrieval":
        return list(_run_retrieval(cast(Retriever, model), few, task, declared))
    return list(_run(cast(Model, model), few, task, declared))


def require(checks: Iterable[Check], name: str = "model") -> None:
    """Raise `ContractBroken` for the first broken clause."""
    for check in checks:
        if check.ok is False:
            raise ContractBroken(name, check.clause, check.message)


def _run(model: Model, given: Batch, task: Task, declared: Sequence[Modality]) -> Iterator[Check]:
    # A model that changes its inputs in place must not change the user's data, nor what later clauses see.
    batch = copied(given)
    for check in (
        clauses.modalities(model, batch, declared),
        clauses.evaluation_mode(model),
        clauses.outputs(model, task),
    ):
        yield check
        if check.ok is False:
            yield from _untested(check.clause)
            return
    outputs, check = clauses.attempt(model, batch)
    yield check
    for test in (clauses.shape, clauses.finite):
        if check.ok is False:
            break
        check = test(batch, task, outputs)
        yield check
    if check.ok is False:
        yield from _untested(check.clause)
        return
    yield clauses.probabilities(model, batch, task, outputs)
    rest = _behaviour(model, model, given, batch, task, outputs)
    yield from _each([*rest, ("two stages", lambda: [behaviour.two_stages(model, batch, outputs)])])


def _run_retrieval(model: Retriever, given: Batch, task: Task, declared: Sequence[Modality]) -> Iterator[Check]:
    batch = copied(given)
    for check in (
        check_retrieval.modalities(model, batch, task, declared),
        clauses.evaluation_mode(model),
        check_retrieval.outputs(model),
    ):
        yield check
        if check.ok is False:
            yield from _untested(check.clause)
            return
    try:
        broken = next(check_retrieval.encoded(model, batch, task), None)
        proxy = None if broken else check_retrieval.RowScores(model, batch, task)
        outputs = proxy.predict(batch) if proxy else np.empty((0, 0), np.float32)
    except ContractBroken as error:
        broken = Check(error.clause if error.clause in CLAUSES else "shape", False, " ".join(error.message.split()))
    except Exception as error:  # any model may raise anything
        broken = Check("raises nothing", False, f"encoding or scoring raised {clauses.told(error)}")
    if broken:
        if broken.clause != "raises nothing":
            yield Check("raises nothing", True, f"encodes and scores {len(batch)} rows")
        if broken.clause == "finite":
            yield Check("shape", True, "encoders give a row of features per sample")
        yield broken
        yield from _untested(broken.clause)
        return
    assert proxy is not None
    yield Check("raises nothing", True, f"encodes and scores {len(batch)} rows")
    for check in check_retrieval.scored(batch, outputs):
        yield check
        if check.ok is False:
            yield from _untested(check.clause)
            return
    yield Check("probabilities", None, "not applicable: scores of candidates are no probabilities")
    every = check_retrieval.ReadsAll(model, batch, task)
    rest = _behaviour(proxy, every, given, batch, proxy.shape, outputs)
    yield from _each([("inputs not mutated", lambda: [check_retrieval.mutation(proxy, given)]), *rest[1:]])
    yield Check("two stages", True, "encoders, then a score: a modality is encoded once for all that leave it alone")


def _behaviour(
    model: Model, every: Model, given: Batch, batch: Batch, task: Task, outputs: OutputArray
) -> list[tuple[str, Callable[[], Iterable[Check]]]]:
    """The clauses that take several passes; `every` is the model with all that it reads."""
    return [
        ("inputs not mutated", lambda: [behaviour.mutation(model, given)]),
        ("determinism", lambda: [behaviour.determinism(model, batch, outputs)]),
        ("independence of the batch", lambda: [behaviour.independence(model, batch, outputs)]),
        ("reads its inputs", lambda: [behaviour.reads(every, batch, outputs)]),
        ("absence", lambda: behaviour.absence(model, batch, task)),
    ]


def _each(rest: Iterable[tuple[str, Callable[[], Iterable[Check]]]]) -> Iterator[Check]:
    # Each clause can be tested whatever the others gave; a model that raises in one breaks that one.
    for clause, run in rest:
        try:
            yield from run()
        except Exception as error:  # any model may raise anything
            yield Check(clause, False, f"the model raised {clauses.told(error)} while this was tested")


def _untested(broken: str) -> Iterator[Check]:
    for clause in CLAUSES[CLAUSES.index(broken) + 1 :]:
        yield Check(clause, None, f"not tested, because '{broken}' is broken")
