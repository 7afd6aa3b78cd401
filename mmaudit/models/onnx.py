"""An ONNX file as a model, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models.arguments import declared_outputs, known_modalities, matrix, modality_names, require_inputs
from mmaudit.models.fingerprints import code_digest
from mmaudit.models.onnx_files import content_digest
from mmaudit.models.onnx_graph import Graph, Provider, fitted
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.types import Array, Batch, digest


class OnnxModel:
    """An ONNX graph as a model, on the CPU or a GPU.

    Opening it runs no code of the file: operators are onnxruntime's own, none are loaded from libraries, and the files
    of weights that it names must lie in its folder. A graph has no gradient, so adversarial probes are declined, and
    modalities are attributed by taking them away.

    Args:
        path: of the `.onnx` file.
        modalities: names of its inputs as the data set calls them.
        outputs: `"logits"`, `"probabilities"` or `"values"`: the scale of what it returns. Has to be said.
        inputs: modality to the name of the graph's input; by default the two have one name.
        prepare: per modality a function from an array of rows to the array its input takes, or to a dict of them by
            the names of the graph's inputs: a tokeniser, a normalisation. It must treat each row alone.
        masks: modality to the name of an input that takes `bool[n]`, whether the modality is present, for a graph
            that handles absence itself; then one for every modality. By default missing baselines stand in.
        output: name of the output to read; needed where there are several.
        providers: of onnxruntime, in order, as its `InferenceSession` takes them. By default CUDA where this
            onnxruntime has it, then the CPU. They are no part of the fingerprint.
        threads: of one pass on the CPU; by default `MMAUDIT_THREADS` or the cores this process may use, and not
            more than `OMP_NUM_THREADS`.
        name: shown in the report; the file's name by default.
        fingerprint: replaces the digest of the bytes of the model and its files of weights.

    A graph exported for a fixed number of rows is run in pieces of that many. Numbers are passed in the type that the
    graph declares: integers may become floating-point numbers, never the reverse.

    Raises:
        BadInput: an argument is missing or names what the graph has not; or the file is damaged, or names files
            outside of its folder.
        MissingExtra: onnxruntime is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        modalities: Sequence[str],
        *,
        outputs: Outputs | None = None,
        inputs: Mapping[str, str] | None = None,
        prepare: Mapping[str, Callable[[Array], Any]] | None = None,
        masks: Mapping[str, str] | None = None,
        output: str | None = None,
        providers: Sequence[Provider] | None = None,
        threads: int | None = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.name = name or Path(path).stem
        self._who = f"OnnxModel {self.name!r}"
        self.modalities = modality_names(self._who, modalities)
        self.outputs = declared_outputs(self._who, outputs)
        for argument, given in (("inputs", inputs), ("prepare", prepare), ("masks", masks)):
            known_modalities(self._who, argument, given or {}, self.modalities)
        if masks and (without := [m for m in self.modalities if m not in masks]):
            raise BadInput(f"{self._who}: masks lacks {without[0]!r}; native absence is of every modality or none.")
        self.native_absence = bool(masks)
        self._prepare = dict(prepare or {})
        self._inputs = {m: (inputs or {}).get(m, m) for m in self.modalities}
        self._masks = dict(masks or {})
        self._given = fingerprint
        self._graph = Graph(self._who, Path(path), providers, threads)
        self._output = self._chosen(output)
        self._require_names()
        # Taken now: a file that is exchanged while an audit runs must not lend it its fingerprint.
        _ = self.fingerprint

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda`, …."""
        return self._graph.device

    @property
    def tolerance(self) -> float:
        """How far a row's output may move with its place in the batch, as a share of the largest output."""
        if self._graph.half:
            return 3e-2
        return 1e-4 if self.device == "cpu" else 1e-3

    @cached_property
    def fingerprint(self) -> str:
        """The one given, else a digest of the files' bytes; and of how the graph is called."""
        identity = self._given if self._given is not None else content_digest(self._graph.path)
        prepare = {name: code_digest(function) for name, function in self._prepare.items()}
        return digest("onnx", identity, self.modalities, self.outputs, self._inputs, self._masks, self._output, prepare)

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, k] in the declared scale.

        Raises:
            BadInput: a modality is not in the batch, or not of the type and shape that the graph reads.
            ContractBroken: the graph or a function of `prepare` returned something else than a row per row.
        """
        require_inputs(self._who, batch, self.modalities)
        feed: dict[str, Array] = {}
        for name in self.modalities:
            feed.update(self._column(name, batch))
        for name, port in self._masks.items():
            feed[port] = fitted(self._who, name, np.array(batch.present[name], bool), self._graph.inputs[port])
        if lacking := [port.said for name, port in self._graph.inputs.items() if name not in feed]:
            raise BadInput(
                f"{self._who}: nothing is given for the graph's input {lacking[0]}; see inputs= and prepare=."
            )
        return matrix(self._who, self._graph.run(feed, self._output, len(batch)), len(batch))

    def _column(self, modality: str, batch: Batch) -> dict[str, Array]:
        values: Any = batch.inputs[modality]
        if modality in self._prepare:
            values = self._prepare[modality](values)
        given = values if isinstance(values, Mapping) else {self._inputs[modality]: values}
        columns = {}
        for name, value in given.items():
            column = np.asarray(value)
            if name not in self._graph.inputs:
                raise BadInput(f"{self._who}: prepare[{modality!r}] gives {name!r}; the graph reads {self._reads}.")
            if column.ndim == 0 or len(column) != len(batch):
                message = f"prepare[{modality!r}] returned shape {column.shape} for {len(batch)} rows"
                raise ContractBroken(self._who, "shape", f"{message}, expected a row each")
            columns[name] = fitted(self._who, modality, column, self._graph.inputs[name])
        return columns

    @property
    def _reads(self) -> str:
        return ", ".join(port.said for port in self._graph.inputs.values())

    def _chosen(self, output: str | None) -> str:
        has = self._graph.outputs
        if output is None and len(has) == 1:
            output = next(iter(has))
        if output is None or output not in has:
            what = "has several outputs" if output is None else f"has no output {output!r}"
            raise BadInput(
                f"{self._who}: the graph {what}; say output= one of {', '.join(p.said for p in has.values())}."
            )
        if np.dtype(has[output].dtype or "O").kind not in "fiub":
            raise BadInput(
                f"{self._who}: output {has[output].said} is no array of numbers; choose another, or export without it "
                "(scikit-learn: options={'zipmap': False})."
            )
        return output

    def _require_names(self) -> None:
        """Raise `BadInput` where a modality has no input, or an input can get nothing."""
        reads = self._graph.inputs
        read = {self._inputs[m]: m for m in self.modalities if m not in self._prepare}
        read |= {port: m for m, port in self._masks.items()}
        for port, modality in read.items():
            if port not in reads:
                raise BadInput(
                    f"{self._who}: modality {modality!r} would go to the graph's input {port!r}, but the graph reads "
                    f"{self._reads}; say inputs={{{modality!r}: name}}."
                )
            if not reads[port].dtype:
                raise BadInput(f"{self._who}: input {reads[port].said} has a type that NumPy cannot hold.")
        if not self._prepare and (unmet := [port.said for name, port in reads.items() if name not in read]):
            raise BadInput(
                f"{self._who}: no modality goes to the graph's input {unmet[0]}; name it by inputs= or masks=, or "
                "give prepare= a function that returns a dict of the graph's inputs."
            )
        _ = self._graph.rows
