"""The clauses that one pass shows: what the model declares, and whether its outputs are what it declares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmaudit.errors import ContractBroken, MMAuditError
from mmaudit.models.protocol import Model, OutputArray
from mmaudit.types import Batch, BoolArray, Modality, Task


@dataclass(frozen=True)
class Check:
    """One clause of the contract, tested.

    Attributes:
        clause: one of `CLAUSES`.
        ok: True kept, False broken (the audit would be wrong), None a note: not applicable, not tested, or a warning.
        message: what was found, and for a broken clause what to do.
        rows: sample ids of offending rows, the first ones.
        warning: whether a note tells of what may be wrong.
    """

    clause: str
    ok: bool | None
    message: str
    rows: tuple[Any, ...] = ()
    warning: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain values; rows stay out, their ids may be anything."""
        return {"clause": self.clause, "ok": self.ok, "warning": self.warning, "message": self.message}


def modalities(model: Model, batch: Batch, declared: Sequence[Modality] = ()) -> Check:
    """Names of the model's inputs and of the data's modalities match, and what both say of them."""
    clause = "modalities"
    missing = [name for name in model.modalities if name not in batch.inputs]
    extra = [name for name in batch.inputs if name not in model.modalities]
    reads, has = f"the model reads {named(model.modalities)}", f"the data has {named(batch.inputs)}"
    if missing:
        return Check(clause, False, f"{reads}, but {has}: {named(missing)} missing. Names must match; rename one side")
    if said := disagreement(model, declared, model.modalities):
        return Check(clause, False, said)
    if extra:
        message = f"{has}, but the model does not read {named(extra)}: no probe of it can show"
        return Check(clause, None, message, warning=True)
    return Check(clause, True, f"{reads}, and {has}")


def disagreement(model: object, declared: Iterable[Modality], read: Sequence[str]) -> str:
    """Return in what the model was told otherwise of a modality than the data set declares; "" where it was not."""
    compare: Callable[[Modality], str] | None = getattr(model, "disagreement", None)
    if compare is None:
        return ""
    said = {m.name: compare(m) for m in declared if m.name in read}
    return next((f"{name!r}: {what}" for name, what in said.items() if what), "")


def evaluation_mode(model: object) -> Check:
    """No submodule is in training mode."""
    clause = "evaluation mode"
    training = getattr(model, "training_submodules", None)
    if training is None:
        return Check(clause, None, "the model has no modes that mmaudit knows of")
    names = training()
    if not names:
        return Check(clause, True, "all submodules are in evaluation mode")
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return Check(clause, False, f"{', '.join(names[:3])}{more} in training mode; call model.eval() first")


def outputs(model: Model, task: Task) -> Check:
    """The declared scale fits the task; where the model knows its classes by name, their order is that of the data."""
    fitting = ("values",) if task.kind == "regression" else ("logits", "probabilities")
    if model.outputs in fitting:
        named = getattr(model, "classes", None) or ()
        if task.kind == "classification" and sorted(named) == sorted(task.names) and list(named) != list(task.names):
            message = f"the model's classes are {_some(named)}, in this order, those of the data {_some(task.names)}"
            return Check("outputs", False, f"{message}; give both in one order (classes=[...], Task.classification)")
        return Check("outputs", True, f"{model.outputs} declared for {task.kind}")
    needed = " or ".join(map(repr, fitting))
    return Check("outputs", False, f"outputs={model.outputs!r} declared, but {task.kind} needs {needed}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + ", …" * (len(names) > 5)


def attempt(model: Model, batch: Batch) -> tuple[OutputArray, Check]:
    """Predict once; the outputs are empty where the model raised."""
    try:
        return model.predict(batch), Check("raises nothing", True, f"predicts {len(batch)} rows")
    except ContractBroken as error:  # the adapter itself names the clause
        found = Check(error.clause, False, " ".join(error.message.split()))
    except MMAuditError as error:  # says what is wrong and what to do; it is not these rows, so none is asked alone
        found = Check("raises nothing", False, " ".join(str(error).split()))
    except Exception as error:  # any model may raise anything
        rows = _raising_rows(model, batch)
        some = 0 < len(rows) < len(batch)
        where = f" (first for sample {rows[0]})" if some else f"; it was given {_arrays(batch)}"
        found = Check("raises nothing", False, f"predict raised {told(error)}{where}", rows[:3])
    return np.empty((0, 0), np.float32), found


def _arrays(batch: Batch) -> str:
    """Names, types and shapes of what a model is given, in one line."""
    kinds = {name: "objects" if a.dtype == object else str(a.dtype) for name, a in batch.inputs.items()}
    return ", ".join(f"{name!r}: {kinds[name]} {list(a.shape)}" for name, a in batch.inputs.items())


def _raising_rows(model: Model, batch: Batch) -> tuple[Any, ...]:
    rows = []
    for row in range(len(batch)):
        try:
            model.predict(batch.take(np.array([row])))
        except Exception:  # as above
            rows.append(batch.ids[row])
    return tuple(rows)


def shape(batch: Batch, task: Task, found: OutputArray) -> Check:
    """Outputs are float32 [n, k] with the task's k."""
    clause = "shape"
    if not isinstance(found, np.ndarray) or found.dtype != np.float32:
        got = f"dtype {found.dtype}" if isinstance(found, np.ndarray) else type(found).__name__
        return Check(clause, False, f"predict returned {got}, expected a float32 array [n, k]")
    expected = (len(batch), task.width)
    if found.shape == expected:
        numbers = f"{task.width} number{'s' * (task.width != 1)}"
        return Check(clause, True, f"{numbers} per row, as many as the task has {_what(task)}")
    advice = f"the task has {task.width} {_what(task)}: {', '.join(task.names[:5])}{', …' * (task.width > 5)}"
    if task.kind == "classification" and expected[1] == 2 and found.shape == (len(batch), 1):
        advice = (
            "one number for two classes; return both columns, for logits as [0, z] "
            "(TorchModel: output=lambda z: torch.cat([torch.zeros_like(z), z], 1))"
        )
    message = f"predict returned shape {list(found.shape)}, expected {list(expected)}; {advice}"
    return Check(clause, False, message)


def finite(batch: Batch, task: Task, found: OutputArray) -> Check:
    """No output is NaN or infinite."""
    bad = ~np.isfinite(found).all(axis=1)
    if not bad.any():
        return Check("finite", True, "all outputs are finite")
    rows = tuple(batch.ids[bad])
    first: OutputArray = found[bad][0]
    value = first[~np.isfinite(first)][0]
    message = (
        f"outputs of {bad.sum()} of {len(batch)} rows are not finite ({value} for sample {rows[0]}); "
        "look for NaN in the inputs, or a logarithm or division of 0"
    )
    return Check("finite", False, message, rows[:3])


def probabilities(model: Model, batch: Batch, task: Task, found: OutputArray) -> Check:
    """Declared probabilities are some; declared logits do not look like probabilities (a warning)."""
    clause = "probabilities"
    exclusive = task.kind == "classification"
    outside: BoolArray = np.asarray(((found < -1e-6) | (found > 1 + 1e-6)).any(axis=1))
    totals = found.astype(np.float64).sum(axis=1)
    bad = outside | (np.abs(totals - 1) > 1e-3) if exclusive else outside
    if model.outputs == "probabilities" and bad.any():
        row = int(np.argmax(bad))
        why = "lie outside [0, 1]" if outside[row] else f"sum to {totals[row]:.4g}, not 1"
        message = (
            f"probabilities of sample {batch.ids[row]} {why}; if these are scores before softmax or sigmoid, "
            "declare outputs='logits'"
        )
        return Check(clause, False, message, tuple(batch.ids[bad])[:3])
    range_ = "in [0, 1]" + (" and sum to 1" if exclusive else "")
    if model.outputs == "probabilities":
        return Check(clause, True, f"all are {range_}")
    if model.outputs == "logits" and not bad.any():
        message = (
            f"logits are declared, but all outputs are {range_}; if they are probabilities, declare "
            "outputs='probabilities', or every confidence will be wrong"
        )
        return Check(clause, None, message, warning=True)
    return Check(clause, None, f"not applicable: {model.outputs} are declared")


def told(error: Exception) -> str:
    """An exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def named(names: Iterable[str]) -> str:
    """Names in quotes, with commas."""
    return ", ".join(map(repr, names))


def _what(task: Task) -> str:
    return {"classification": "classes", "multilabel": "labels"}.get(task.kind, "dimensions")
