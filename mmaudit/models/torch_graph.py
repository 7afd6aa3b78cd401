"""Cut a traced module into one encoder per modality and a fusion, so that replaying skips every operation between.

An operation belongs to a modality's encoder when it depends on that modality alone, to the fusion otherwise. Where
what crosses the cut has no entry per row, the cut is moved back until it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, fx, nn

from mmaudit.models.torch import TorchModel
from mmaudit.models.torch_boundary import NoBoundary
from mmaudit.models.torch_tensors import Tree, leaves, row_wise
from mmaudit.models.torch_trace import MASK, Leaf, Trace, trace
from mmaudit.types import Batch

_TRIED_ROWS = 7

_SHAPE_METHODS = {"size", "dim", "ndimension", "stride", "numel", "get_device", "is_floating_point", "element_size"}
_SHAPE_ATTRIBUTES = {"shape", "ndim", "dtype", "device", "is_cuda"}
_COSTLY = {
    "matmul", "__matmul__", "mm", "bmm", "einsum", "addmm", "baddbmm", "linear", "bilinear",
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "embedding", "embedding_bag", "scaled_dot_product_attention", "multi_head_attention_forward",
}  # fmt: skip


@dataclass(frozen=True)
class _Encoder:
    """Operations of one modality; `inputs` are what it is fed, `outputs` identify what crosses the cut."""

    run: fx.GraphModule
    inputs: tuple[Leaf, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class _Fusion:
    """The other operations; `inputs` name features by modality and number, or masks."""

    run: fx.GraphModule
    inputs: tuple[Leaf, ...]


class GraphEngine:
    """Encoders and fusion as compiled pieces of the traced module."""

    def __init__(
        self,
        model: TorchModel,
        values: Mapping[str, Tree],
        encoders: Mapping[str, _Encoder],
        reads_present: frozenset[str],
        numbers: dict[Any, int],
        description: str,
    ) -> None:
        self.description = description
        self.reads_present = reads_present
        self._model = model
        self._structure = values
        self._encoders = encoders
        self._numbers = numbers
        self._fusions: dict[tuple[str, ...], _Fusion] = {}

    def encode(self, modality: str, batch: Batch) -> Tree:
        """The tensors that cross the cut, a tuple."""
        encoder = self._encoders[modality]
        prepared = leaves(self._model.prepared(modality, batch))
        masks = self._model.masks(batch) or {}
        given = [masks[modality] if i.index == MASK else prepared[i.index] for i in encoder.inputs]
        with self._model.computing():
            return encoder.run(*given)

    def fuse(self, features: Mapping[str, Tree], masks: Mapping[str, Tensor] | None) -> Any:
        """Run the fusion for the modalities given; the others are absent, passed as None."""
        there = tuple(name for name in self._model.modalities if name in features)
        if there not in self._fusions:
            self._fusions[there] = self._fusion(there)
        fusion = self._fusions[there]
        given = [(masks or {})[i.modality] if i.index == MASK else features[i.modality][i.index] for i in fusion.inputs]
        with self._model.computing():
            return fusion.run(*given)

    def fusion(self) -> nn.Module:
        """The compiled fusion of all modalities; its submodules are the module's own."""
        there = tuple(self._model.modalities)
        if there not in self._fusions:
            self._fusions[there] = self._fusion(there)
        return self._fusions[there].run

    def _fusion(self, there: tuple[str, ...]) -> _Fusion:
        values = {name: self._structure[name] if name in there else None for name in self._model.modalities}
        return _cut_fusion(trace(self._model, values), self._encoders, self._numbers)


def build(model: TorchModel, batch: Batch) -> GraphEngine:
    """Trace and cut the model; raises `NoBoundary` where nothing is gained."""
    some = batch.take(np.unique(np.linspace(0, len(batch) - 1, _TRIED_ROWS).astype(int)))
    back = some.take(np.arange(len(some))[::-1])
    with model.session():
        values = {name: model.prepared(name, some) for name in model.modalities}
        turned = {name: model.prepared(name, back) for name in model.modalities}
        masks, turned_masks = model.masks(some) or {}, model.masks(back) or {}
        traced = trace(model, values)
        own = fx.GraphModule(traced.root, traced.graph)
        seen = _Recorder(own).record(_flat(traced, values, masks))
        seen_turned = _Recorder(own).record(_flat(traced, turned, turned_masks))
    by_row = {
        node: _is_shape(node) or row_wise(seen.get(node), seen_turned.get(node), len(some), max(1e-3, model.tolerance))
        for node in traced.graph.nodes
    }
    return _cut(model, traced, values, by_row)


def _flat(traced: Trace, values: Mapping[str, Tree], masks: Mapping[str, Tensor]) -> list[Tensor]:
    flat = {name: leaves(tree) for name, tree in values.items()}
    return [masks[i.modality] if i.index == MASK else flat[i.modality][i.index] for i in traced.leaf.values()]


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps what each node gave."""

    def record(self, inputs: Sequence[Tensor]) -> dict[fx.Node, Any]:
        self.seen: dict[fx.Node, Any] = {}
        self.run(*inputs)
        return self.seen

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        self.seen[n] = result
        return result


@dataclass(frozen=True)
class _Division:
    """Which modalities each node depends on, the fusion's nodes, and the encoders' nodes that the fusion reads."""

    origin: Mapping[fx.Node, frozenset[str]]
    fused: set[fx.Node]
    crossing: list[fx.Node]


def _divide(model: TorchModel, traced: Trace, by_row: Mapping[fx.Node, bool]) -> _Division:
    graph = traced.graph
    origin, masked = _origins(traced)
    fused = {node for node in graph.nodes if len(origin[node]) > 1 or node.op == "output"}
    late_masks = {
        name for name in model.modalities
        if not any(_costly(n, traced.root) for n in graph.nodes if origin[n] == {name} and n in masked)
    }  # fmt: skip
    # Masks that enter after all costly operations are left to the fusion: the features then serve every mask.
    fused |= {node for node in masked if origin[node] <= late_masks}
    while True:
        for node in graph.nodes:
            if any(source in fused for source in node.all_input_nodes):
                fused.add(node)
        crossing = [n for n in graph.nodes if n not in fused and origin[n] and any(user in fused for user in n.users)]
        stuck = [node for node in crossing if not by_row[node]]
        if not stuck:
            return _Division(origin, fused, crossing)
        for node in stuck:
            if node.op == "placeholder":
                raise NoBoundary(f"modality {traced.leaf[node].modality!r} has no entry per row when prepared")
        fused.update(stuck)


def _cut(model: TorchModel, traced: Trace, values: Mapping[str, Tree], by_row: Mapping[fx.Node, bool]) -> GraphEngine:
    _refuse_hidden_changes(traced.graph)
    divided = _divide(model, traced, by_row)
    numbers: dict[Any, int] = {}
    number = _number_nodes(traced, numbers)
    encoders: dict[str, _Encoder] = {}
    costly: dict[str, int] = {}
    for name in model.modalities:
        outputs = [n for n in divided.crossing if divided.origin[n] == {name} and not _mask_leaf(traced, n)]
        inputs = [node for node, leaf in traced.leaf.items() if leaf.modality == name]
        within = _needed(outputs, inputs)
        costly[name] = sum(_costly(node, traced.root) for node in within)
        inputs = [node for node in inputs if node in within]
        encoders[name] = _Encoder(
            _extract(traced, inputs, outputs),
            tuple(traced.leaf[node] for node in inputs),
            tuple(number[node] for node in outputs),
        )
    if not any(costly.values()):
        raise NoBoundary("the modalities meet before any weighty operation")
    reads_present = frozenset(
        name for name, encoder in encoders.items() if any(leaf.index == MASK for leaf in encoder.inputs)
    )
    return GraphEngine(model, values, encoders, reads_present, numbers, _describe(traced, encoders, divided.fused))


def _origins(traced: Trace) -> tuple[dict[fx.Node, frozenset[str]], set[fx.Node]]:
    """Which modalities each node depends on, and which nodes depend on a mask."""
    origin: dict[fx.Node, frozenset[str]] = {}
    masked: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if node in traced.leaf:
            origin[node] = frozenset({traced.leaf[node].modality})
            if _mask_leaf(traced, node):
                masked.add(node)
            continue
        origin[node] = frozenset().union(*(origin[source] for source in node.all_input_nodes))
        if any(source in masked for source in node.all_input_nodes):
            masked.add(node)
    return origin, masked


def _mask_leaf(traced: Trace, node: fx.Node) -> bool:
    return node in traced.leaf and traced.leaf[node].index == MASK


def _cut_fusion(traced: Trace, encoders: Mapping[str, _Encoder], numbers: dict[Any, int]) -> _Fusion:
    """The operations between the encoders' outputs, recognised in this trace by what computes them, and the output."""
    _refuse_hidden_changes(traced.graph)
    number = _number_nodes(traced, numbers)
    crossing = {output: Leaf(name, i) for name, encoder in encoders.items() for i, output in enumerate(encoder.outputs)}
    inputs: dict[fx.Node, Leaf] = {}
    for node in traced.graph.nodes:
        if number.get(node) in crossing:
            inputs.setdefault(node, crossing[number[node]])
        elif _mask_leaf(traced, node):
            inputs[node] = traced.leaf[node]
    (output,) = (node for node in traced.graph.nodes if node.op == "output")
    needed = _needed([output], list(inputs))
    for node in needed:
        if node in traced.leaf and node not in inputs:
            raise NoBoundary(f"{traced.leaf[node].modality!r} is used differently when other modalities are absent")
    used = [node for node in inputs if node in needed]
    return _Fusion(_extract(traced, used, output), tuple(inputs[node] for node in used))


def _needed(outputs: Iterable[fx.Node], stop: Iterable[fx.Node]) -> set[fx.Node]:
    """Nodes that the outputs depend on, not looking behind those at which to stop."""
    stopped, needed, todo = set(stop), set(), list(outputs)
    while todo:
        node = todo.pop()
        if node not in needed:
            needed.add(node)
            if node not in stopped:
                todo.extend(node.all_input_nodes)
    return needed


def _extract(traced: Trace, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node] | fx.Node) -> fx.GraphModule:
    """A module that computes the outputs (or the graph's own output) from the inputs."""
    graph = fx.Graph()
    copied = {node: graph.placeholder(f"input_{i}") for i, node in enumerate(inputs)}
    whole = isinstance(outputs, fx.Node)
    needed = _needed([outputs] if isinstance(outputs, fx.Node) else outputs, inputs)
    for node in traced.graph.nodes:
        if node in needed and node not in copied and node.op != "output":
            copied[node] = graph.node_copy(node, lambda source: copied[source])
    if isinstance(outputs, fx.Node):
        graph.output(fx.node.map_arg(outputs.args[0], lambda source: copied[source]))
    else:
        graph.output(tuple(copied[node] for node in outputs))
    return fx.GraphModule(traced.root, graph, "Fusion" if whole else "Encoder")


def _number_nodes(traced: Trace, numbers: dict[Any, int]) -> dict[fx.Node, int]:
    """Number nodes by what they compute: the same operations on the same inputs have one number in every trace."""
    number: dict[fx.Node, int] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, fx.Node):
            return ("node", number[value])
        if isinstance(value, tuple | list):
            return (type(value).__name__, *(plain(item) for item in value))
        if isinstance(value, Mapping):
            return ("dict", *((key, plain(item)) for key, item in value.items()))
        if isinstance(value, slice):
            return ("slice", plain(value.start), plain(value.stop), plain(value.step))
        return (type(value).__name__, repr(value))

    for node in traced.graph.nodes:
        if node in traced.leaf:
            what: Any = traced.leaf[node]
        elif node.op == "get_attr" and str(node.target).startswith("_tensor_constant"):
            # A tensor made while tracing: the same name may hold another one in another trace.
            tensor = getattr(traced.root, str(node.target))
            what = ("constant", str(tensor.dtype), tuple(tensor.shape), tensor.cpu().numpy().tobytes())
        else:
            what = (node.op, node.target, plain(node.args), plain(node.kwargs))
        number[node] = numbers.setdefault(what, len(numbers))
    return number


def _is_shape(node: fx.Node) -> bool:
    """Whether a node only tells shape, dtype or device of a tensor: the same for every batch of that many rows."""
    if node.op == "call_method":
        return node.target in _SHAPE_METHODS
    if node.op != "call_function":
        return False
    if node.target is getattr:
        return node.args[1] in _SHAPE_ATTRIBUTES
    sources = node.all_input_nodes
    return (
        getattr(node.target, "__module__", "") in ("_operator", "math")
        and bool(sources)
        and all(_is_shape(source) for source in sources)
    )


def _costly(node: fx.Node, root: nn.Module) -> bool:
    """Whether a node is worth replaying: it has weights, or multiplies matrices."""
    if node.op == "call_module":
        return any(True for _ in root.get_submodule(str(node.target)).parameters())
    # Functions, methods and the operators of exported graphs ("linear.default") share these names.
    return str(getattr(node.target, "__name__", node.target)).split(".")[0] in _COSTLY


def _refuse_hidden_changes(graph: fx.Graph) -> None:
    """Refuse tensors changed in place without the result being used: nothing in the graph says who sees the change."""
    for node in graph.nodes:
        name = str(getattr(node.target, "__name__", node.target))
        in_place = name.endswith("_") and not name.endswith("__")
        if in_place and node.op in ("call_method", "call_function") and not node.users:
            raise NoBoundary(f"the module changes a tensor in place ({name}) and drops the result")


def _describe(traced: Trace, encoders: Mapping[str, _Encoder], fused: Iterable[fx.Node]) -> str:
    def operations(nodes: Iterable[fx.Node]) -> int:
        return sum(node.op.startswith("call_") for node in nodes)

    parts = [f"{name} {operations(encoder.run.graph.nodes)}" for name, encoder in encoders.items()]
    whole = f"; called whole: {', '.join(traced.opaque)}" if traced.opaque else ""
    return f"traced and cut: encoders {', '.join(parts)} operations, fusion {operations(fused)}{whole}"
