"""Every registered reference method keeps what the loop, the audit and the report rely on."""

from __future__ import annotations

import pytest
import torch

import mmaudit.reference.methods  # noqa: F401
from helpers.reference_cases import parts, table
from mmaudit.reference.base import Method, Parts, references
from mmaudit.reference.loop import Budget, build, train
from mmaudit.reference.trained import Trained, Trial
from mmaudit.types import Task

TASKS: dict[str, Task] = {
    "classification": Task.classification(3),
    "multilabel": Task.multilabel(2),
    "regression": Task.regression(2),
}
THREE = ("a", "b", "c")


def modalities(method: Method) -> tuple[str, ...]:
    return ("a",) if method.single else THREE[: max(2, method.fewest)]


def cases() -> list[tuple[str, str]]:
    return [(m.name, kind) for m in references for kind in m.tasks if kind != "retrieval"]


def trained(name: str, kind: str) -> tuple[Method, Parts, Trained]:
    method, task = references.get(name), TASKS[kind]
    names = modalities(method)
    of = parts(task, names)
    method.require(of)
    training, validation = table(task, names), table(task, names, n=32, seed=1)
    found = train(method, of, training, validation, [Trial(0), Trial(1)], Budget(epochs=2, batch=32))
    return method, of, found


@pytest.mark.parametrize(("name", "kind"), cases())
def test_a_method_trains_and_answers_whatever_is_missing(name: str, kind: str) -> None:
    method, of, found = trained(name, kind)
    assert found.outcomes == ["", ""]
    assert any(
        not torch.equal(p.detach(), found.parameters[k][0]) for k, p in build(method, of, 0).named_parameters()
    ), "nothing was trained"
    names = of.modalities
    n = 2 ** len(names)
    inputs = {m: torch.randn(n, 5, generator=torch.Generator().manual_seed(i)) for i, m in enumerate(names)}
    present = {m: torch.tensor([bool(row >> i & 1) for row in range(n)]) for i, m in enumerate(names)}
    outputs = found.outputs(inputs, present)
    assert outputs.shape == (2, n, of.task.width)
    assert torch.isfinite(outputs).all()
    # Evaluation is deterministic, and what an absent modality holds is of no consequence.
    other = {m: torch.where(present[m][:, None], x, 9.0) for m, x in inputs.items()}
    torch.testing.assert_close(found.outputs(other, present), outputs)
    # A row's answer depends on that row alone.
    half = {m: x[: n // 2] for m, x in inputs.items()}, {m: p[: n // 2] for m, p in present.items()}
    torch.testing.assert_close(found.outputs(*half), outputs[:, : n // 2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", list(references), ids=lambda m: m.name)
def test_a_method_says_where_it_comes_from(method: Method) -> None:
    assert len(method.source) > 10
    assert method.summary.endswith(".")
    assert method.hyper["lr"].default > 0
    for name, hyper in method.hyper.items():
        if hyper.searched:
            assert hyper.low is not None
            assert hyper.high is not None
            assert hyper.low <= hyper.default <= hyper.high, name
            assert not hyper.log or hyper.low > 0, name
