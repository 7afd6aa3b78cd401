"""What all adapters share: their common arguments checked, the ways to call a model, the shape of what it returns."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.types import Array, Batch

Call = Literal["positional", "keyword", "dict"]
Absence = Literal["none", "mask"]

_OUTPUTS_HELP = (
    "say on which scale its output rows are: outputs='logits' (unnormalised scores, before softmax or sigmoid), "
    "outputs='probabilities' (after it), or outputs='values' (regression). mmaudit never guesses this from the numbers"
)


def one_of(who: str, argument: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise `BadInput` with the nearest allowed value unless `value` is one of `allowed`."""
    if value in allowed:
        return
    near = difflib.get_close_matches(str(value), [str(a) for a in allowed], n=1)
    guess = f"; did you mean {near[0]!r}?" if near else "."
    raise BadInput(f"{who}: {argument}={value!r} is not one of {', '.join(map(repr, allowed))}{guess}")


def modality_names(who: str, given: Iterable[str]) -> tuple[str, ...]:
    """Return the names as a tuple; raises `BadInput` for none, for duplicates and for a bare string."""
    if isinstance(given, str):
        raise BadInput(f"{who}: modalities={given!r} is one string; give a sequence of names, as in [{given!r}].")
    names = tuple(given)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise BadInput(f"{who}: modalities={names!r} must be one or more non-empty names, in the order it reads them.")
    if len(set(names)) != len(names):
        raise BadInput(f"{who}: modalities {names!r} has duplicates; each input has one name.")
    return names


def declared_outputs(who: str, given: Any) -> Outputs:
    """Return the declared scale; raises `BadInput` where it is missing, with what the three words mean."""
    if given is None:
        raise BadInput(f"{who}: outputs is not given; {_OUTPUTS_HELP}.")
    one_of(who, "outputs", given, get_args(Outputs))
    result: Outputs = given
    return result


def known_modalities(who: str, argument: str, given: Iterable[str], names: Sequence[str]) -> None:
    """Raise `BadInput` when a per-modality argument names a modality the model does not read."""
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else f"; it reads {', '.join(map(repr, names))}."
            raise BadInput(f"{who}: {argument} names {name!r}, which is not one of its modalities{guess}")


def reserved_present(who: str, call: str, names: Sequence[str], absence: str | None) -> None:
    """Raise `BadInput` when a modality's keyword would collide with the keyword that carries the masks."""
    if absence == "mask" and call == "keyword" and "present" in names:
        raise BadInput(
            f"{who}: a modality is called 'present', which is the keyword that carries the masks under "
            "absence='mask'; rename the modality or use call='dict'."
        )


def require_inputs(who: str, batch: Batch, names: Sequence[str]) -> None:
    """Raise `BadInput` unless the batch carries every modality the model reads."""
    missing = [name for name in names if name not in batch.inputs]
    if missing:
        raise BadInput(
            f"{who} reads {', '.join(map(repr, names))}, but the data has {', '.join(map(repr, batch.inputs))}: "
            f"{', '.join(map(repr, missing))} is missing. Names must match; rename one side."
        )


def invoke(
    function: Callable[..., Any], call: str, values: Mapping[str, Any], present: Mapping[str, Any] | None
) -> Any:
    """Call a model with its inputs in the declared style, and with the keyword `present` where masks are given."""
    extra: dict[str, Any] = {} if present is None else {"present": dict(present)}
    if call == "positional":
        return function(*values.values(), **extra)
    if call == "keyword":
        return function(**values, **extra)
    return function(dict(values), **extra)


def matrix(who: str, result: Array, n: int) -> OutputArray:
    """Return outputs as float32 [n, k]; a vector [n] is one column. Raises `ContractBroken` for any other shape."""
    if result.ndim == 0 and n == 1:
        result = result.reshape(1, 1)
    if result.ndim == 1 and len(result) == n:
        result = result[:, None]
    if result.ndim != 2 or len(result) != n:
        hint = ""
        if result.ndim == 1:
            hint = " A squeeze() without an axis drops the row axis of a single row: use squeeze(-1)."
        raise ContractBroken(
            who, "shape", f"returned shape {tuple(result.shape)} for {n} rows, expected [{n}, k], a row each.{hint}"
        )
    if result.dtype.kind not in "fiub":
        raise ContractBroken(who, "shape", f"returned dtype {result.dtype}, expected real numbers")
    return np.ascontiguousarray(result, dtype=np.float32)
