"""A torch module as a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models.arguments import (
    Absence,
    Call,
    declared_outputs,
    invoke,
    known_modalities,
    matrix,
    modality_names,
    one_of,
    require_inputs,
    reserved_present,
)
from mmaudit.models.fingerprints import code_digest
from mmaudit.models.function import by_pattern
from mmaudit.models.protocol import OutputArray, Outputs, TwoStage
from mmaudit.models.rows import filled
from mmaudit.models.torch_device import Ahead, Meter, Turns, release
from mmaudit.models.torch_digest import module_digest
from mmaudit.models.torch_tensors import Tree, module_dtype, prepared_tree, to_device, to_tensor
from mmaudit.types import Array, Batch, FloatArray, Task, digest

_AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class TorchModel:
    """A torch module as a model, on the CPU or a GPU.

    The module is called in `torch.inference_mode`; its gradients and buffers are not touched. It must be in
    evaluation mode. Floats are passed in the module's own floating dtype, integers and booleans as they are.

    Args:
        module: trained, in evaluation mode. It is moved to `device`.
        modalities: names of its inputs, in its order.
        outputs: `"logits"`, `"probabilities"` or `"values"`: the scale of what it returns. Has to be said.
        call: `"positional"` module(image, text) · `"keyword"` module(image=…, text=…) · `"dict"` module({…}).
        prepare: per modality a function from an array of rows to a tensor, an array, or a dict of these, first axis
            the row: a tokeniser, a normalisation. Text needs one. It must treat each row alone.
        device: such as `"cuda:1"`. By default where its parameters are if that is a GPU, else a GPU if there is one.
        autocast: `"bfloat16"` or `"float16"` to run under `torch.autocast`.
        absence: how it is told that a modality is absent in some rows, if it handles that itself. `None`: it does
            not, missing baselines stand in. `"none"`: rows are grouped by what is present, and an absent modality is
            passed as `None`. `"mask"`: all rows are passed, with the keyword `present`, a dict of `bool[n]` tensors.
        boundary: `"auto"` lets `stage` look for the boundary between encoders and fusion, `"off"` does not.
        output: which part of what the module returns is the output: a key, an index, or a function of it. Needed when
            it returns a dict or a tuple.
        name: shown in the report; the module's class by default.
        fingerprint: replaces the digest of weights, buffers, classes and options.

    Raises:
        BadInput: for an argument that is missing or not among those above.
        ContractBroken: clause "evaluation mode", when a submodule is in training mode.
    """

    def __init__(
        self,
        module: nn.Module,
        modalities: Sequence[str],
        *,
        outputs: Outputs | None = None,
        call: Call = "positional",
        prepare: Mapping[str, Callable[[Array], Any]] | None = None,
        device: str | torch.device | None = None,
        autocast: Literal["bfloat16", "float16"] | None = None,
        absence: Absence | None = None,
        boundary: Literal["auto", "off"] = "auto",
        output: str | int | Callable[[Any], Tensor] | None = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise BadInput(f"TorchModel: {type(module).__name__} is not a torch.nn.Module; give the module object.")
        self.name = name or type(module).__name__
        self.who = f"TorchModel {self.name!r}"
        self.modalities = modality_names(self.who, modalities)
        self.outputs = declared_outputs(self.who, outputs)
        one_of(self.who, "call", call, ("positional", "keyword", "dict"))
        one_of(self.who, "autocast", autocast, (None, *_AUTOCAST))
        one_of(self.who, "absence", absence, (None, "none", "mask"))
        one_of(self.who, "boundary", boundary, ("auto", "off"))
        known_modalities(self.who, "prepare", prepare or {}, self.modalities)
        reserved_present(self.who, call, self.modalities, absence)
        self.module = module
        self.call = call
        self.absence = absence
        self.native_absence = absence is not None
        self.boundary = boundary
        self.output = output
        self.autocast = autocast
        self.prepare = dict(prepare or {})
        self._given = fingerprint
        self._ahead, self._meter = Ahead(), Meter()
        self._preparing = Turns()
        self.require_evaluation_mode()
        self.device = _place(self.who, module, device)
        self.preloads = self.device.type != "cpu"
        self.dtype = torch.float32 if autocast else module_dtype(module)

    @property
    def tolerance(self) -> float:
        """How far a row's output may move with its place in the batch, as a share of the largest output."""
        if self.autocast or self.dtype in (torch.bfloat16, torch.float16):
            return 3e-2
        return 1e-3 if self.device.type == "cuda" else 1e-4

    @cached_property
    def fingerprint(self) -> str:
        """The one given, else a digest of weights and buffers, of the modules' classes, and of how they are called."""
        options = [self.modalities, self.outputs, self.call, self.absence, self.autocast]
        parts = {name: code_digest(function) for name, function in self.prepare.items()}
        selected = code_digest(self.output) if callable(self.output) else self.output
        identity = self._given if self._given is not None else module_digest(self.module)
        return digest("torch", identity, options, parts, selected)

    def training_submodules(self) -> list[str]:
        """Names of submodules in training mode; the module itself is called by its class."""
        return [name or type(m).__name__ for name, m in self.module.named_modules() if m.training]

    def require_evaluation_mode(self) -> None:
        """Raise `ContractBroken` when a submodule is in training mode."""
        if any(m.training for m in self.module.modules()):
            names = self.training_submodules()
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ContractBroken(
                self.who,
                "evaluation mode",
                f"{', '.join(names[:3])}{more} in training mode: dropout and batch normalisation would make outputs "
                "random and dependent on the batch. Call model.eval() first",
            )

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, k] in the declared scale, on the CPU.

        Raises:
            BadInput: a modality is not in the batch, or is text without `prepare`.
            ValueError: a row has nothing present under `absence="none"`.
            ContractBroken: the module is in training mode, or returned something else than one row per row.
        """
        self.require_evaluation_mode()
        require_inputs(self.who, batch, self.modalities)
        if self.absence == "none":
            return by_pattern(self.who, self.modalities, batch, self._predict)
        return self._predict(batch, self.modalities)

    def _predict(self, batch: Batch, there: Sequence[str]) -> OutputArray:
        with self.session():
            values = {name: self.prepared(name, batch) if name in there else None for name in self.modalities}
            return self.array(self.forward(values, self.masks(batch)), len(batch))

    def gradient(self, batch: Batch, inputs: Mapping[str, Array], task: Task) -> tuple[FloatArray, dict[str, Array]]:
        """Return each sample's loss and its gradient; see `Differentiable.gradient`.

        A modality with `prepare` has a gradient where that function takes a tensor and keeps to torch operations.
        """
        self.require_evaluation_mode()
        require_inputs(self.who, batch, self.modalities)
        from mmaudit.models.torch_gradient import gradient

        return gradient(self, batch, inputs, task)

    def stage(self, batch: Batch) -> tuple[TwoStage | None, str]:
        """Find the boundary between encoders and fusion and verify it on this batch.

        Returns:
            A view with `encode` and `fuse`, and how it was found; or None, and why there is none. Nothing is raised
            for a module without a boundary.
        """
        self.require_evaluation_mode()
        require_inputs(self.who, batch, self.modalities)
        if self.boundary == "off":
            return None, "boundary='off': the model is run whole"
        from mmaudit.models.torch_boundary import find

        return find(self, batch)

    # The rest is what predict and the two-stage view share.

    @contextmanager
    def session(self) -> Iterator[None]:
        """Everything that touches the module runs within: no gradients, the declared autocast."""
        with torch.inference_mode(), self.casting():
            yield

    def casting(self) -> AbstractContextManager[Any]:
        """The declared autocast."""
        return torch.autocast(self.device.type, dtype=_AUTOCAST[self.autocast]) if self.autocast else nullcontext()

    def preload(self, modality: str, batch: Batch) -> None:
        """Bring one modality's column to the device ahead of the pass that needs it; may be called by another thread.

        On the CPU, and where rows are grouped by what is present (`absence="none"`), nothing is done: there is nowhere
        to bring them, or nobody would ask for the column as it is.
        """
        if not self.preloads or self.absence == "none" or modality not in self.modalities:
            return

        def make() -> Tree:
            with self.session():
                return self._made(modality, batch)

        self._ahead.put(modality, batch.inputs[modality], batch.present[modality], make, self.device)

    def prepared(self, modality: str, batch: Batch) -> Tree:
        """One modality's column as tensors on the device; under `absence="none"` absent rows hold a present value."""
        tree = self._ahead.take(modality, batch.inputs[modality], batch.present[modality])
        return self._made(modality, batch) if tree is None else tree

    def _made(self, modality: str, batch: Batch) -> Tree:
        values = batch.inputs[modality]
        if self.absence == "none":
            values = filled(values, batch.present[modality])
        if modality in self.prepare:
            with self._preparing:  # tokenisers are not made for two threads at once
                result = self.prepare[modality](values)
            return to_device(prepared_tree(self.who, modality, result, len(batch), self.dtype), self.device)
        return to_device(to_tensor(self.who, modality, values, self.dtype), self.device)

    def masks(self, batch: Batch) -> dict[str, Tensor] | None:
        """The `present` masks as tensors on the device, where the module takes them."""
        if self.absence != "mask":
            return None
        return {
            name: to_device(torch.from_numpy(np.array(batch.present[name], dtype=bool)), self.device)
            for name in self.modalities
        }

    def forward(self, values: Mapping[str, Tree | None], masks: Mapping[str, Tensor] | None) -> Any:
        """Call the module on prepared inputs."""
        with self.computing():
            return select(invoke(self.module, self.call, values, masks), self.output)

    def computing(self) -> AbstractContextManager[None]:
        """What the device does within counts as its work."""
        return self._meter.running(self.device)

    def usage(self) -> tuple[float, int]:
        """Return seconds that the device computed and its highest memory in bytes since the last call; 0 on the CPU."""
        return self._meter.usage(self.device)

    def release_memory(self) -> None:
        """Free what is kept on the device without need; called when it ran out of memory."""
        self._ahead.clear()
        release(self.device)

    def array(self, result: Any, n: int) -> OutputArray:
        """Turn what `forward` returned into float32 [n, k] on the CPU."""
        if callable(self.output):
            result = self.output(result)
        if not isinstance(result, Tensor):
            raise ContractBroken(self.who, "shape", _not_a_tensor(result))
        return matrix(self.who, result.detach().to(torch.float32).cpu().numpy(), n)


def select(result: Any, output: Any) -> Any:
    """Take the named part of what a module returned; functions are applied later, outside of any tracing."""
    if output is None or callable(output):
        return result
    try:
        if isinstance(output, str) and not hasattr(result, "__getitem__"):
            return getattr(result, output)
        return result[output]
    except (LookupError, AttributeError, TypeError) as error:
        raise BadInput(f"output={output!r} is no part of what the module returned. {_not_a_tensor(result)}.") from error


def _not_a_tensor(result: Any) -> str:
    """What came where a tensor was expected, and what to do if the tensor is a part of it."""
    what, example = type(result).__name__, ""
    if isinstance(result, Mapping):
        keys = sorted(map(str, result))
        what = f"a dict with keys {keys}"
        example = repr("logits" if "logits" in keys else keys[0]) if keys else ""
    elif isinstance(result, tuple | list):
        what, example = f"a {type(result).__name__} of {len(result)}", "0" if result else ""
    advice = f"; say which of them is the output, as in output={example}" if example else ""
    return f"the module returned {what}, expected a tensor{advice}"


def _place(who: str, module: nn.Module, device: str | torch.device | None) -> torch.device:
    """Move the module where it is to run, and return that device."""
    if device is None:
        devices = list(dict.fromkeys(tensor.device for tensor in (*module.parameters(), *module.buffers())))
        if len(devices) > 1:  # spread over several devices on purpose: it moves its inputs itself
            return devices[0]
        found = devices[0] if devices else torch.device("cpu")
        chosen = found if found.type != "cpu" or not torch.cuda.is_available() else torch.device("cuda")
    else:
        try:
            chosen = torch.device(device)
        except RuntimeError as error:
            raise BadInput(f"{who}: device={device!r} is not a torch device: {error}") from error
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise BadInput(f"{who}: device={device!r}, but torch sees no GPU here; leave device out or say 'cpu'.")
    module.to(chosen)
    return chosen
