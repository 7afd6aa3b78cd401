"""One ONNX graph, opened by onnxruntime: its inputs and outputs by name, and a pass through it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.errors import BadInput, ContractBroken, MissingExtra
from mmaudit.models.onnx_files import external_files
from mmaudit.threads import workers
from mmaudit.types import Array

Provider = str | tuple[str, Mapping[str, Any]]

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(string)": "object",
    "tensor(bool)": "bool",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: its name, ONNX type, and shape; an axis of any length is None."""

    name: str
    type: str
    shape: tuple[int | None, ...]

    @property
    def dtype(self) -> str:
        """NumPy's name of the type; empty where NumPy has none (bfloat16, sequences, maps)."""
        return _DTYPES.get(self.type, "")

    @property
    def said(self) -> str:
        """As in `image: tensor(float) [any, 3, 8, 8]`."""
        return f"{self.name}: {self.type} [{', '.join('any' if d is None else str(d) for d in self.shape)}]"


class Graph:
    """A graph in a file. It survives pickling, which carries the path and opens the file anew."""

    def __init__(self, who: str, path: Path, providers: Sequence[Provider] | None, threads: int | None) -> None:
        if not path.is_file():
            raise BadInput(f"{who}: model file {str(path)!r} does not exist; give the path of an .onnx file.")
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise BadInput(f"{who}: threads={threads!r} is not usable; give a whole number from 1 on.")
        self.who = who
        self.path = path.resolve()
        self.asked = None if providers is None else tuple(providers)
        self.threads = threads

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "session"}

    @cached_property
    def session(self) -> Any:
        """The open session.

        Raises:
            MissingExtra: onnxruntime is not installed.
            BadInput: the file is damaged, leads out of its folder, or needs operators or providers that are not here.
        """
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")
        except ModuleNotFoundError as error:
            raise MissingExtra("onnxruntime", "onnx") from error
        external_files(self.path)
        providers = self._providers(onnxruntime.get_available_providers())
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        settings.intra_op_num_threads = self.threads or _threads()
        settings.use_deterministic_compute = True
        # Not what the first bytes look like: another format has names of files in other places.
        settings.add_session_config_entry("session.load_model_format", "ONNX")
        # Threads that wait for work must leave the cores to the probes, which run in between.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(self.path), settings, providers=list(providers))
        except Exception as error:  # onnxruntime raises classes of its own, which share no base
            raise BadInput(f"{self.who}: onnxruntime cannot open {self.path.name!r}: {_brief(error)}") from error
        first = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if self.asked and first not in session.get_providers():
            raise BadInput(
                f"{self.who}: {first} was asked for but does not start here (a missing library or device); it runs by "
                f"{', '.join(session.get_providers())}. Install what it needs, or leave providers out."
            )
        return session

    def _providers(self, here: Sequence[str]) -> tuple[Provider, ...]:
        if self.asked is None:
            return tuple(name for name in (CUDA, CPU) if name in here)
        names = [p if isinstance(p, str) else p[0] for p in self.asked]
        if not names:
            raise BadInput(f"{self.who}: providers is empty; leave it out, or name some of {', '.join(here)}.")
        if unknown := [name for name in names if name not in here]:
            raise BadInput(
                f"{self.who}: provider {unknown[0]!r} is not part of this onnxruntime, which has {', '.join(here)}; "
                "for CUDA install onnxruntime-gpu in place of onnxruntime."
            )
        return self.asked

    @property
    def device(self) -> str:
        """`cuda` where the first provider in use is CUDA, else that provider's name in lower case, such as `cpu`."""
        return str(self.session.get_providers()[0]).removesuffix("ExecutionProvider").lower()

    @cached_property
    def inputs(self) -> dict[str, Port]:
        """What has to be given; weights that could be given but have a value are not among them."""
        return {port.name: port for port in map(_port, self.session.get_inputs())}

    @cached_property
    def outputs(self) -> dict[str, Port]:
        """What it returns."""
        return {port.name: port for port in map(_port, self.session.get_outputs())}

    @cached_property
    def rows(self) -> int | None:
        """How many rows it takes at a time where that was fixed when it was exported; else None, for any number."""
        fixed = {port.shape[0] for port in self.inputs.values() if port.shape and port.shape[0] is not None}
        if len(fixed) > 1:
            raise BadInput(f"{self.who}: its inputs have first axes of {sorted(fixed)} rows; expected one number.")
        return fixed.pop() if fixed else None

    @property
    def half(self) -> bool:
        """Whether it takes or returns 16-bit floating-point numbers."""
        return any("float16" in port.type for port in (*self.inputs.values(), *self.outputs.values()))

    def run(self, feed: Mapping[str, Array], output: str, n: int) -> Array:
        """Return one output for `n` rows, in pieces of as many rows as the graph takes.

        The last piece is filled up with copies of its last row, whose answers are dropped.
        """
        size = self.rows
        if size is None or n == size:
            return self._pass(feed, output, n)
        parts = []
        for start in range(0, n, size):
            chosen = np.minimum(np.arange(start, start + size), n - 1)
            part = {name: values[chosen] for name, values in feed.items()}
            parts.append(self._pass(part, output, size)[: n - start])
        return np.concatenate(parts)

    def _pass(self, feed: Mapping[str, Array], output: str, n: int) -> Array:
        result = np.asarray(self.session.run([output], dict(feed))[0])
        if result.shape[:1] != (n,):
            raise ContractBroken(
                self.who, "shape", f"output {output!r} has shape {result.shape} for {n} rows, expected a row each"
            )
        return result


def fitted(who: str, modality: str, values: Array, port: Port) -> Array:
    """Return a column in the type and shape that an input of the graph declares; raises `BadInput` where it has none.

    Numbers become floating-point numbers, and integers other integers that can hold them; never the reverse.
    """
    if values.ndim + 1 == len(port.shape) and port.shape[-1] == 1:
        values = values[..., None]
    differs = [a is not None and a != b for a, b in zip(port.shape[1:], values.shape[1:], strict=False)]
    if values.ndim != len(port.shape) or any(differs):
        raise BadInput(
            f"{who}: modality {modality!r} has rows of shape {list(values.shape[1:])}, but the graph reads "
            f"{port.said}; give prepare={{{modality!r}: function}} that brings them into that form."
        )
    kind, wanted = values.dtype.kind, np.dtype(port.dtype)
    if wanted.kind == "O" and kind in "OU":
        return values.astype(object, copy=False)
    if wanted.kind == "f" and kind in "fiub":
        return values.astype(wanted, copy=False)
    if wanted.kind == kind == "b":
        return values
    if wanted.kind in "iu" and kind in "iub":
        limits = np.iinfo(wanted)
        if values.size and (int(values.min()) < limits.min or int(values.max()) > limits.max):
            raise BadInput(f"{who}: modality {modality!r} holds numbers that {wanted.name} of {port.said} cannot hold.")
        return values.astype(wanted, copy=False)
    what = "text or ragged" if kind in "OU" else values.dtype.name
    raise BadInput(
        f"{who}: modality {modality!r} is {what}, but the graph reads {port.said}; give prepare={{{modality!r}: "
        "function} that brings it into that form."
    )


def _port(node: Any) -> Port:
    return Port(node.name, node.type, tuple(d if isinstance(d, int) else None for d in node.shape))


def _threads() -> int:
    """Threads of a pass: what this process may use, and no more than OMP_NUM_THREADS, as torch does."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return min(workers(), int(said)) if said.isdecimal() and int(said) else workers()


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:300] + "…"
