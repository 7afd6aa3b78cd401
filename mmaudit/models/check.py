"""The doctor: tests a model's contract on one batch before anything is spent on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mmaudit.errors import ContractBroken
from mmaudit.models import clauses
from mmaudit.models import clauses_behaviour as behaviour
from mmaudit.models.clauses import Check
from mmaudit.models.protocol import Model
from mmaudit.models.rows import copied, head
from mmaudit.types import Batch, Task

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


def check_model(model: Model, batch: Batch, task: Task) -> list[Check]:
    """Test every clause of the contract on the batch's first 64 rows; nothing is raised.

    Args:
        model: the model.
        batch: some rows of the data set, at least one; with different rows more is found.
        task: the data set's task; decides the outputs' width and scale.

    Returns:
        One check per clause in the order of `CLAUSES`; `absence` once per modality where the model handles absence
        itself. After a clause without which the rest cannot run, the rest are notes.
    """
    return list(_run(model, head(batch, CHECKED_ROWS), task))


def require(checks: Iterable[Check], name: str = "model") -> None:
    """Raise `ContractBroken` for the first broken clause."""
    for check in checks:
        if check.ok is False:
            raise ContractBroken(name, check.clause, check.message)


def _run(model: Model, given: Batch, task: Task) -> Iterator[Check]:
    # A model that changes its inputs in place must not change the user's data, nor what later clauses see.
    batch = copied(given)
    for check in (clauses.modalities(model, batch), clauses.evaluation_mode(model), clauses.outputs(model, task)):
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
    # From here on each clause can be tested whatever the others gave; a model that raises in one breaks that one.
    yield clauses.probabilities(model, batch, task, outputs)
    rest: list[tuple[str, Callable[[], Iterable[Check]]]] = [
        ("inputs not mutated", lambda: [behaviour.mutation(model, given)]),
        ("determinism", lambda: [behaviour.determinism(model, batch, outputs)]),
        ("independence of the batch", lambda: [behaviour.independence(model, batch, outputs)]),
        ("reads its inputs", lambda: [behaviour.reads(model, batch, outputs)]),
        ("absence", lambda: behaviour.absence(model, batch, task)),
        ("two stages", lambda: [behaviour.two_stages(model, batch, outputs)]),
    ]
    for clause, run in rest:
        try:
            yield from run()
        except Exception as error:  # any model may raise anything
            yield Check(clause, False, f"the model raised {clauses.told(error)} while this was tested")


def _untested(broken: str) -> Iterator[Check]:
    for clause in CLAUSES[CLAUSES.index(broken) + 1 :]:
        yield Check(clause, None, f"not tested, because '{broken}' is broken")
