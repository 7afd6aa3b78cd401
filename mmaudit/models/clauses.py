"""The clauses that one pass shows: what the model declares, and whether its outputs are what it declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmaudit.models.protocol import Model, OutputArray
from mmaudit.types import Batch, Task


@dataclass(frozen=True)
class Check:
    """One clause of the contract, tested.

    Attributes:
        clause: one of `CLAUSES`.
        ok: True kept, False broken (the audit would be wrong), None a note: not applicable, not tested, or a warning.
        message: what was found, and for a broken clause what to do.
        rows: sample ids of offending rows, the first ones.
    """

    clause: str
    ok: bool | None
    message: str
    rows: tuple[Any, ...] = ()


def modalities(model: Model, batch: Batch) -> Iterator[Check]:
    missing = [name for name in model.modalities if name not in batch.inputs]
    extra = [name for name in batch.inputs if name not in model.modalities]
    has = f"the data has {named(batch.inputs)}"
    if missing:
        yield Check(
            "modalities",
            False,
            f"the model reads {named(model.modalities)}, but {has}: {named(missing)} missing. Names must match; "
            "rename one side",
        )
    elif extra:
        yield Check("modalities", None, f"{has}, but the model does not read {named(extra)}: no probe can change it")
    else:
        yield Check("modalities", True, f"reads {named(model.modalities)}, and {has}")


def evaluation_mode(model: Model) -> Iterator[Check]:
    training = getattr(model, "training_submodules", None)
    if training is None:
        yield Check("evaluation mode", None, "the model has no modes that mmaudit knows of")
    elif training():
        names = training()
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield Check("evaluation mode", False, f"{', '.join(names[:3])}{more} in training mode; call model.eval() first")
    else:
        yield Check("evaluation mode", True, "all submodules are in evaluation mode")


def outputs(model: Model, task: Task) -> Iterator[Check]:
    fitting = ("values",) if task.kind == "regression" else ("logits", "probabilities")
    if model.outputs in fitting:
        yield Check("outputs", True, f"{model.outputs} declared for {task.kind}")
    else:
        yield Check(
            "outputs", False, f"outputs={model.outputs!r} declared, but {task.kind} needs {' or '.join(fitting)}"
        )


def raises(model: Model, batch: Batch) -> Iterator[Check]:
    try:
        model.predict(batch)
    except Exception as error:  # any model may raise anything
        rows = _raising_rows(model, batch)
        where = f" (first for sample {rows[0]})" if rows and len(rows) < len(batch) else ""
        yield Check("raises nothing", False, f"predict raised {told(error)}{where}", rows[:3])
    else:
        yield Check("raises nothing", True, f"predicts {len(batch)} rows")


def _raising_rows(model: Model, batch: Batch) -> tuple[Any, ...]:
    rows = []
    for row in range(len(batch)):
        try:
            model.predict(batch.take(np.array([row])))
        except Exception:  # as above
            rows.append(batch.ids[row])
    return tuple(rows)


def shape(model: Model, batch: Batch, task: Task) -> Iterator[Check]:
    outputs = model.predict(batch)
    shape, expected = tuple(np.shape(outputs)), (len(batch), task.width)
    if not isinstance(outputs, np.ndarray) or outputs.dtype != np.float32:
        got = f"dtype {outputs.dtype}" if isinstance(outputs, np.ndarray) else type(outputs).__name__
        yield Check("shape", False, f"predict returned {got}, expected a float32 array [n, k]")
    elif shape == expected:
        yield Check("shape", True, f"{task.width} numbers per row, as the task has {_word(task)}")
    else:
        advice = f"the task has {task.width} {_word(task)}: {', '.join(task.names[:5])}"
        if task.kind == "classification" and shape == (len(batch), 1) and task.width == 2:
            advice = (
                "one number for two classes; return both columns, for logits as [0, z] "
                "(TorchModel: output=lambda z: torch.cat([torch.zeros_like(z), z], 1))"
            )
        yield Check("shape", False, f"predict returned shape {list(shape)}, expected {list(expected)}; {advice}")


def finite(model: Model, batch: Batch) -> Iterator[Check]:
    outputs = model.predict(batch)
    bad = ~np.isfinite(outputs).all(axis=1)
    if not bad.any():
        yield Check("finite", True, "all outputs are finite")
        return
    rows = tuple(batch.ids[bad])
    value = outputs[bad][0][~np.isfinite(outputs[bad][0])][0]
    yield Check("finite", False, f"outputs of {bad.sum()} of {len(batch)} rows are not finite: {value} for sample "
                f"{rows[0]}; look for NaN in its inputs, or a logarithm or division of 0", rows[:3])  # fmt: skip


def probabilities(model: Model, batch: Batch, task: Task, outputs: OutputArray) -> Iterator[Check]:
    clause = "probabilities"
    exclusive = task.kind == "classification"
    outside = (outputs < 0).any(axis=1) | (outputs > 1).any(axis=1)
    unsummed = np.abs(outputs.astype(np.float64).sum(axis=1) - 1) > 1e-3 if exclusive else np.zeros(len(batch), bool)
    bad = outside | unsummed
    if model.outputs == "probabilities" and bad.any():
        rows = tuple(batch.ids[bad])
        first = outputs[bad][0]
        why = "lie outside [0, 1]" if outside[bad][0] else f"sum to {first.sum():.4g}, not 1"
        yield Check(
            clause,
            False,
            f"probabilities of sample {rows[0]} {why}; if these are scores before softmax or sigmoid, "
            "declare outputs='logits'",
            rows[:3],
        )
    elif model.outputs == "probabilities":
        yield Check(clause, True, "in [0, 1]" + (", and each row sums to 1" if exclusive else ""))
    elif model.outputs == "logits" and not bad.any():
        yield Check(
            clause,
            None,
            "logits are declared, but all outputs lie in [0, 1]" + (" and sum to 1" if exclusive else "") + "; "
            "if they are probabilities, declare outputs='probabilities', or every confidence will be wrong",
        )
    else:
        yield Check(clause, None, f"not applicable: {model.outputs} are declared")


def told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def named(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _word(task: Task) -> str:
    return {"classification": "classes", "multilabel": "labels"}.get(task.kind, "dimensions")
