"""The boundary between a torch module's encoders and its fusion: found by trying, used only when proved by trying."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mmaudit.errors import BadInput
from mmaudit.models.function import require_something
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.models.rows import everywhere, filled, head, patterns, same
from mmaudit.models.torch import TorchModel
from mmaudit.models.torch_tensors import Tree, blend_rows, identical, take_rows, tree_map
from mmaudit.types import Batch

VERIFIED_ROWS = 64
# Under absence="none" the module takes another way for every pattern of what is present, and each is verified.
MOST_MODALITIES = 5


class NoBoundary(Exception):
    """A way of finding the boundary does not work for this module; the message says why."""


class Engine(Protocol):
    """One way of running encoders and fusion apart."""

    description: str
    reads_present: frozenset[str]

    def encode(self, modality: str, batch: Batch) -> Tree:
        """Features of one modality for all rows."""

    def fuse(self, features: Mapping[str, Tree], masks: Mapping[str, Tensor] | None) -> Any:
        """What the module returns, given the features of the modalities that are passed (others: None)."""

    def fusion(self) -> nn.Module:
        """The module whose submodules run when all modalities are fused."""


class StagedTorch:
    """A torch model seen as encoders and a fusion. `predict` is the plain model's own.

    Both give the same bits, with one exception: under `absence="none"`, where rows of one batch lack different
    modalities, `predict` runs each pattern's rows alone while `fuse` runs all rows under each, and a matrix product
    rounds its last bits by the number of rows.

    Attributes:
        description: how the boundary was found and what lies on each side.
        reads_present: modalities whose features depend on `present` too (under `absence="mask"`, where the masks enter
            before the encoders); the others' features serve every mask.
    """

    def __init__(self, model: TorchModel, engine: Engine) -> None:
        self.model = model
        self.name = model.name
        self.modalities = model.modalities
        self.outputs: Outputs = model.outputs
        self.native_absence = model.native_absence
        self.tolerance = model.tolerance
        self.description = engine.description
        self.reads_present = engine.reads_present
        self.copies = False  # set when the fusion changes its inputs in place
        self.refused: dict[tuple[str, ...], Exception] = {}  # what the module raises under a pattern of absence
        self._engine = engine

    @property
    def fingerprint(self) -> str:
        """The model's: how it is run does not change what it is."""
        return self.model.fingerprint

    def predict(self, batch: Batch) -> OutputArray:
        """Run the whole model."""
        return self.model.predict(batch)

    def encode(self, modality: str, batch: Batch) -> Tree:
        """Features of one modality for all rows, on the device.

        None for a modality the model does not read, or that no row has (`absence="none"`).
        """
        self.model.require_evaluation_mode()
        if modality not in self.modalities:
            return None
        if self.model.absence == "none" and not batch.present[modality].any():
            return None
        with self.model.session():
            return self._engine.encode(modality, batch)

    def fuse(self, features: Mapping[str, Tree], batch: Batch) -> OutputArray:
        """Outputs [n, k] from the features of all modalities; others in `features` are left aside."""
        with self.model.session():
            features = {name: features[name] for name in self.modalities}
            if self.copies:
                features = tree_map(_copy, features)
            masks = self.model.masks(batch)
            if self.model.absence != "none":
                return self.model.array(self._engine.fuse(features, masks), len(batch))
            groups = patterns(batch, self.modalities)
            require_something(self.model.who, batch, groups)
            # All rows are fused under each pattern: a row's output then has the same bits whatever the others lack.
            parts = [self._pattern(features, there, len(batch)) for there, _ in groups]
        outputs = np.empty_like(parts[0])
        for (_, rows), part in zip(groups, parts, strict=True):
            outputs[rows] = part[rows]
        return outputs

    def fused(self, features: Mapping[str, Tree], masks: Mapping[str, Tensor] | None) -> Any:
        """What the module returns for rows that have every modality, with the caller's gradient mode kept.

        `fuse` without its session and conversion: gradients flow from what is returned to the features. They may be
        changed in place; `masks` are needed under `absence="mask"`.
        """
        self.model.require_evaluation_mode()
        with self.model.casting():
            return self._engine.fuse({name: features[name] for name in self.modalities}, masks)

    def fusion(self) -> nn.Module:
        """The module whose submodules run in `fused`; they are the model's own."""
        return self._engine.fusion()

    def _pattern(self, features: Mapping[str, Tree], there: tuple[str, ...], n: int) -> OutputArray:
        if there in self.refused:
            raise RuntimeError(
                f"{self.model.who} raises when only {', '.join(map(repr, there))} is present: {self.refused[there]}"
            ) from self.refused[there]
        for name in there:
            if features[name] is None:
                raise BadInput(f"{self.model.who}: {name!r} was encoded as absent from all rows, but some have it now.")
        return self.model.array(self._engine.fuse({name: features[name] for name in there}, None), n)

    def take(self, features: Tree, n: int, rows: Any) -> Tree | None:
        """Features of some of n rows, `int64[k]`, in that order; None where not every part has an entry per row."""
        if features is None:
            return None
        with self.model.session():
            return take_rows(features, n, torch.tensor(np.asarray(rows), device=self.model.device))

    def alike(self, modality: str, batch: Batch, passes: Iterable[Any]) -> bool:
        """Whether one modality's features have the same bits when only some rows of a batch are encoded together.

        A row's features depend on that row alone (verified), but for how a matrix product of another size rounds.

        Args:
            modality: whose encoder.
            batch: encoded whole for comparison.
            passes: the rows, `int64[k]` each, to encode together.
        """
        whole, n = self.encode(modality, batch), len(batch)
        if whole is None:
            return False
        return all(identical(self.encode(modality, batch.take(rows)), self.take(whole, n, rows)) for rows in passes)

    def blend(self, features: Tree, other: Tree, rows: Any) -> Tree | None:
        """Features of one modality with the given rows (`bool[n]`) taken from `other`.

        A row's features depend on that row alone (verified), so this equals encoding the blended column, bit for bit,
        without encoding it. None where the two cannot be blended (texts padded to different lengths): encode then.
        """
        if features is None or other is None:
            return None
        with self.model.session():
            return blend_rows(features, other, torch.tensor(np.asarray(rows, dtype=bool), device=self.model.device))


def find(model: TorchModel, batch: Batch) -> tuple[StagedTorch | None, str]:
    """Find and verify the boundary on the batch's first 64 rows; None and the reason where there is none."""
    from mmaudit.models.torch_graph import build as trace
    from mmaudit.models.torch_replay import build as replay

    batch = _complete(model, head(batch, VERIFIED_ROWS))
    refusal = _refusal(model, batch)
    if refusal:
        return None, f"{refusal}; the model is run whole"
    reasons: list[str] = []
    ways: list[tuple[str, Callable[[TorchModel, Batch], Engine]]] = [("trace", trace), ("replay", replay)]
    for way, build in ways:
        # Whatever a foreign module does when it is traced, patched or given other rows is a reason to run it whole;
        # what it warns of meanwhile is about the tracing, not about the audit.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if not same(model.predict(batch), model.predict(batch)):
                    return None, "outputs change from one pass to the next; the model is run whole"
                view = StagedTorch(model, build(model, batch))
                verify(view, batch)
        except NoBoundary as reason:
            reasons.append(f"{way}: {reason}")
        except Exception as error:
            reasons.append(f"{way}: {type(error).__name__}: {_first_line(error)}")
        else:
            return view, f"{view.description}; bit-identical to the plain forward pass on {len(batch)} rows"
    return None, "no boundary, the model is run whole (" + "; ".join(reasons) + ")"


def _refusal(model: TorchModel, batch: Batch) -> str:
    """Why no boundary can be looked for on this batch; empty where it can."""
    if len(model.modalities) < 2:
        return "the model reads one modality only, so there is nothing to fuse"
    if hasattr(model.module, "_orig_mod"):
        return "torch.compile has fixed the module's operations as one; wrap the module before compiling to find them"
    if len(batch) < 2:
        return "a boundary is verified by mixing rows, which needs at least 2"
    if model.absence == "none":
        if len(model.modalities) > MOST_MODALITIES:
            return f"absence='none' with more than {MOST_MODALITIES} modalities has too many patterns to verify"
        for name in model.modalities:
            if not batch.present[name].any():
                return f"no row of the batch that the boundary is verified on has {name!r}"
    return ""


def _complete(model: TorchModel, batch: Batch) -> Batch:
    """Under `absence="none"`, a batch in which every row has every modality that some row has."""
    if model.absence != "none":
        return batch
    there = [name for name in model.modalities if batch.present[name].any()]
    return batch.replace(
        {name: filled(batch.inputs[name], batch.present[name]) for name in there},
        {name: everywhere(batch, True) for name in there},
    )


def verify(view: StagedTorch, batch: Batch) -> None:
    """Raise `NoBoundary` unless encoding and fusing equals the plain pass, bit for bit, on many mixtures of rows."""
    features = _encoded(view, batch)
    kept = tree_map(_copy, features)
    _compare(view, features, batch, "the batch")
    if not identical(features, kept):
        view.copies = True
        features = kept
    _compare(view, features, batch, "the same features again")

    n = len(batch)
    rolled = batch.take(np.roll(np.arange(n), n // 2))
    back = batch.take(np.arange(n)[::-1])
    moved, reversed_features = _encoded(view, rolled), _encoded(view, back)
    for name in view.modalities:
        mixed = batch.replace({name: rolled.inputs[name]}, {name: rolled.present[name]})
        _compare(view, {**features, name: moved[name]}, mixed, f"other rows' {name!r}")
    last = view.modalities[-1]
    mixed = rolled.replace({last: back.inputs[last]}, {last: back.present[last]})
    _compare(view, {**moved, last: reversed_features[last]}, mixed, f"all rows exchanged and {last!r} reversed")
    half = batch.take(np.arange((n + 1) // 2))
    _compare(view, _encoded(view, half), half, "half of the rows")
    _verify_absences(view, batch, features)
    for name in view.modalities:
        rows = np.arange(n) % 2 == 1
        blended = view.blend(features[name], moved[name], rows)
        column = batch.inputs[name].copy()
        column[rows] = rolled.inputs[name][rows]
        mask = np.where(rows, rolled.present[name], batch.present[name])
        if blended is not None:
            mixed = batch.replace({name: column}, {name: mask})
            _compare(view, {**features, name: blended}, mixed, f"every second row's {name!r} exchanged")


def _verify_absences(view: StagedTorch, batch: Batch, features: Mapping[str, Tree]) -> None:
    """The same with modalities absent: from all rows, and (masks) from every second row."""
    if view.model.absence == "mask":
        for name in view.modalities:
            for mask, described in ((everywhere(batch, False), ""), (np.arange(len(batch)) % 2 == 0, " in half")):
                absent = batch.replace(present={name: mask})
                changed = {name: view.encode(name, absent)} if name in view.reads_present else {}
                _compare(view, {**features, **changed}, absent, f"{name!r} absent{described}")
    if view.model.absence == "none":
        for size in range(1, len(view.modalities)):
            for there in combinations(view.modalities, size):
                gone = {name: everywhere(batch, False) for name in view.modalities if name not in there}
                absent = batch.replace(present=gone)
                try:
                    view.predict(absent)
                except Exception as error:  # the module's own limit, which the doctor reports: kept to be raised again
                    view.refused[there] = error.with_traceback(None)
                    continue
                _compare(view, features, absent, f"only {' and '.join(map(repr, there))} present")


def _encoded(view: StagedTorch, batch: Batch) -> dict[str, Tree]:
    return {name: view.encode(name, batch) for name in view.modalities}


def _compare(view: StagedTorch, features: Mapping[str, Tree], batch: Batch, described: str) -> None:
    plain = torch.from_numpy(view.predict(batch))
    staged = torch.from_numpy(view.fuse(features, batch))
    if not identical(plain, staged):
        size = float((plain - staged).abs().nan_to_num(torch.inf).max()) if plain.shape == staged.shape else torch.inf
        raise NoBoundary(f"on {described}, encoding and fusing differs from the plain pass by {size:.3g}")


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
