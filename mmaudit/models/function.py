"""A plain Python function as a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models.arguments import (
    Absence,
    declared_outputs,
    invoke,
    matrix,
    modality_names,
    one_of,
    require_inputs,
    reserved_present,
)
from mmaudit.models.fingerprints import code_digest
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.models.rows import patterns
from mmaudit.types import Array, Batch, digest


class FunctionModel:
    """A function of arrays as a model: any framework, a remote service, a rule.

    Args:
        function: gets one array per modality, rows along the first axis (text: an object array of `str`), and returns
            [n, k] numbers, or [n] for one column. It must leave the arrays as they are.
        modalities: names of its inputs, in its order.
        outputs: `"logits"`, `"probabilities"` or `"values"`: the scale of what it returns. Has to be said.
        call: `"positional"` f(image, text) · `"keyword"` f(image=…, text=…) · `"dict"` f({"image": …, "text": …}) ·
            `"batch"` f(batch), a whole `mmaudit.types.Batch`.
        absence: how it is told that a modality is absent in some rows, if it handles that itself. `None`: it does
            not, missing baselines stand in. `"none"`: rows are grouped by what is present, and an absent modality is
            passed as `None`. `"mask"`: all rows are passed, with the keyword `present`, a dict of `bool[n]`
            (with `call="batch"`: it reads `batch.present`).
        name: shown in the report; the function's name by default.
        fingerprint: identifies what the function does. By default a digest of its name, code, defaults and
            closed-over values. That misses what it reads from elsewhere (globals, files, a service): give one then,
            such as the version or the digest of the weights; the doctor compares `behaviour` besides.

    Raises:
        BadInput: for an argument that is missing or not among those above.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        modalities: Sequence[str],
        *,
        outputs: Outputs | None = None,
        call: Literal["positional", "keyword", "dict", "batch"] = "positional",
        absence: Absence | None = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        if not callable(function):
            raise BadInput(f"FunctionModel: {function!r} is not callable; give the function itself.")
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        who = f"FunctionModel {self.name!r}"
        self.modalities = modality_names(who, modalities)
        self.outputs = declared_outputs(who, outputs)
        one_of(who, "call", call, ("positional", "keyword", "dict", "batch"))
        one_of(who, "absence", absence, (None, "none", "mask"))
        reserved_present(who, call, self.modalities, absence)
        if call == "batch" and absence == "none":
            raise BadInput(f"{who}: call='batch' passes the masks within the batch; say absence='mask'.")
        self.native_absence = absence is not None
        self._who = who
        self._function = function
        self._call = call
        self._absence = absence
        self._given = fingerprint

    @cached_property
    def fingerprint(self) -> str:
        """The one given, else a digest of the function's code; and of how it is called."""
        identity = self._given if self._given is not None else code_digest(self._function)
        return digest("function", identity, self.modalities, self.outputs, self._call, self._absence)

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, k] in the declared scale.

        Raises:
            BadInput: a modality is not in the batch.
            ValueError: a row has nothing present under `absence="none"`.
            ContractBroken: the function returned something else than one row of numbers per row.
        """
        require_inputs(self._who, batch, self.modalities)
        if self._call == "batch":
            return self._matrix(self._function(batch), len(batch))
        if self._absence != "none":
            masks = {name: batch.present[name] for name in self.modalities} if self._absence == "mask" else None
            return self._run({name: batch.inputs[name] for name in self.modalities}, masks, len(batch))
        return by_pattern(self._who, self.modalities, batch, self._some)

    def _some(self, part: Batch, there: tuple[str, ...]) -> OutputArray:
        values = {name: part.inputs[name] if name in there else None for name in self.modalities}
        return self._run(values, None, len(part))

    def _run(self, values: Mapping[str, Array | None], masks: Mapping[str, Array] | None, n: int) -> OutputArray:
        return self._matrix(invoke(self._function, self._call, values, masks), n)

    def _matrix(self, result: Any, n: int) -> OutputArray:
        columns = list(getattr(result, "columns", ()))  # a data frame's, which may be in another order than the task's
        if len(columns) > 1 and columns != list(range(len(columns))):
            raise ContractBroken(
                self._who,
                "shape",
                f"returned a data frame with columns {', '.join(map(repr, columns[:4]))}, whose order may not be that "
                "of the task; put them in its order and return .to_numpy()",
            )
        if isinstance(result, np.ma.MaskedArray):  # what is masked is no answer
            result = np.ma.filled(result.astype(np.float64), np.nan)
        return matrix(self._who, np.asarray(result), n)


def by_pattern(
    who: str,
    modalities: Sequence[str],
    batch: Batch,
    run: Callable[[Batch, tuple[str, ...]], OutputArray],
) -> OutputArray:
    """Run rows that have the same modalities present together, and return all rows' outputs in the batch's order.

    Raises `ValueError` for a row where nothing is present: there is nothing to pass then. (Not `BadInput`: the model
    cannot answer this row, which is no reason to end an audit.)
    """
    groups = patterns(batch, modalities)
    require_something(who, batch, groups)
    if len(groups) == 1:
        return run(batch, groups[0][0])
    parts = [run(batch.take(rows), there) for there, rows in groups]
    for (there, _), part in zip(groups, parts, strict=True):
        if part.shape[1] != parts[0].shape[1]:
            raise ContractBroken(
                who,
                "shape",
                f"returned {part.shape[1]} columns where only {', '.join(map(repr, there))} is present, "
                f"{parts[0].shape[1]} otherwise",
            )
    outputs = np.empty((len(batch), parts[0].shape[1]), dtype=np.float32)
    for (_, rows), part in zip(groups, parts, strict=True):
        outputs[rows] = part
    return outputs


def require_something(who: str, batch: Batch, groups: Sequence[tuple[tuple[str, ...], Array]]) -> None:
    """Raise `ValueError` naming the first row in which no modality is present."""
    for there, rows in groups:
        if not there:
            raise ValueError(
                f"{who}: sample {batch.ids[rows[0]]} has no modality present; under absence='none' there is nothing "
                "to pass to the model. Leave such samples out, or use a missing baseline instead of native absence."
            )
