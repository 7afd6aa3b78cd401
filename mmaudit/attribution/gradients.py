"""Gradient attributions of a torch model: find where to take them, go through the samples, judge every method."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from mmaudit.attribution.ablation import ablation
from mmaudit.attribution.baselines import Baselines
from mmaudit.attribution.captum_methods import Effort, rounding, run
from mmaudit.attribution.embeddings import EmbeddingSpace
from mmaudit.attribution.explained import target_scale
from mmaudit.attribution.parts import Part, join, refusal
from mmaudit.attribution.rows import PROBED_ROWS, Live, Rows, find_live
from mmaudit.attribution.spaces import FeatureSpace, InputSpace, Space, rows, stacked
from mmaudit.attributions_file import ABLATION, GRADIENT_SHAP, INTEGRATED_GRADIENTS
from mmaudit.data import Dataset
from mmaudit.errors import MMAuditError, NotApplicable
from mmaudit.kernels.positions import spread
from mmaudit.models.protocol import TwoStage
from mmaudit.models.torch import TorchModel
from mmaudit.models.torch_boundary import StagedTorch
from mmaudit.models.torch_trace import attributes_kept
from mmaudit.probes import Source
from mmaudit.types import Batch, IntArray

BACKGROUND = 32
# A sample is passed forward and back about a hundred times. A few features are cheap to fuse; sequences, maps, and
# models that are run whole are not, so that fewer samples are taken of them.
LIGHT_NUMBERS = 1024
HEAVY_ROWS = 64
# Numbers that enter in one pass; what the model makes of them in between takes many times as much.
_PASS_NUMBERS = 2**20


@dataclass
class Found:
    """What came of it.

    Attributes:
        parts: by method, of the methods that worked.
        declined: why the others did not.
        where: per modality `features`, `inputs`, `embeddings`, or `ablation` where nothing of it moves gradually.
        how: why there.
        jumps: modalities of which something was exchanged at once.
        left_out: samples without finite outputs.
        steps: of integrated gradients, fewest and most.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    declined: dict[str, str] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    how: str = ""
    jumps: tuple[str, ...] = ()
    left_out: int = 0
    steps: tuple[int, int] = (0, 0)


def attribute_torch(
    data: Dataset,
    model: TorchModel,
    stage: TwoStage | None,
    source: Source,
    baselines: Baselines,
    positions: IntArray,
    methods: Sequence[str],
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Attribute the explained output of these samples by every method, and by ablation.

    The module is left as it was, what it keeps of its last pass included.
    """
    with attributes_kept(model.module):
        return _attribute(data, model, stage, source, baselines, positions, methods, seed, progress)


def _attribute(
    data: Dataset,
    model: TorchModel,
    stage: TwoStage | None,
    source: Source,
    baselines: Baselines,
    positions: IntArray,
    methods: Sequence[str],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> Found:
    few = data.rows(positions[:PROBED_ROWS])
    space, live, how = _open(model, stage, source, few, _with_baselines(few, model, source, baselines))
    size = sum(math.prod(x.shape[1:]) for i, x in enumerate(space.leaves(_only(few, model))) if i in live.leaves)
    light = "features" in space.where and size <= LIGHT_NUMBERS
    if not light:
        positions = spread(positions, HEAVY_ROWS)
    fit = max(1, _PASS_NUMBERS // max(1, size))
    effort = Effort(
        pass_rows=min(fit, 4096 if light else 256),
        most_steps=256 if light else 64,
        draws=32 if light else 16,
        seed=seed,
    )
    step = min(256, effort.pass_rows)
    background = spread(positions, min(BACKGROUND, max(2, step)))
    found = Found(how=how)
    found.declined = dict.fromkeys(methods, live.reason) if live.reason else {}
    parts: dict[str, list[Part]] = {method: [] for method in (*methods, ABLATION)}
    jumps: set[str] = set()
    for start in range(0, len(positions), step):
        some = _rows(data, model, source, baselines, space, live, positions[start : start + step], background)
        found.left_out += min(step, len(positions) - start) - len(some)
        if len(some):
            for method in methods:
                if method not in found.declined:
                    _try(method, some, effort, parts, found)
            parts[ABLATION].append(_ablated(some))
            jumps |= set(some.jumps)
        if progress:
            progress(min(start + step, len(positions)), len(positions))
    _settle(parts, found, rounding(model))
    found.jumps = tuple(name for name in model.modalities if name in jumps)
    found.where = {name: _where(space, live, name) for name in model.modalities}
    found.steps = (effort.fewest, effort.most)
    return found


def _try(method: str, some: Rows, effort: Effort, parts: dict[str, list[Part]], found: Found) -> None:
    try:
        parts[method].append(run(method, some, effort))
    except MMAuditError as error:
        found.declined[method] = str(error)
    except Exception as error:  # Captum's own, or the module's under gradients
        found.declined[method] = f"Captum raised {type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


def _settle(parts: dict[str, list[Part]], found: Found, exact: float) -> None:
    """Put the parts together, and drop methods whose attributions are not what they promise."""
    for method, some in parts.items():
        if method in found.declined:
            continue
        if not some:
            found.declined[method] = "no sample has finite answers, clean and at the baseline"
            continue
        whole = join(some)
        reason = refusal(method, whole, exact) if method != ABLATION else ""
        if reason:
            found.declined[method] = reason
        else:
            found.parts[method] = whole
    # Noise may hide that expected gradients do not add up either.
    if INTEGRATED_GRADIENTS in found.declined and GRADIENT_SHAP in found.parts:
        del found.parts[GRADIENT_SHAP]
        found.declined[GRADIENT_SHAP] = f"integrated gradients do not work: {found.declined[INTEGRATED_GRADIENTS]}"


def _open(
    model: TorchModel, stage: TwoStage | None, source: Source, few: Batch, both: Batch
) -> tuple[Space, Live, str]:
    """The first place that a gradient reaches: encoders' features, inputs with embeddings, inputs."""
    modalities = {name: source.modality(name) for name in model.modalities}
    reasons: list[str] = []
    opened: tuple[Space, Live] | None = None
    ways: list[tuple[str, Callable[[], Space]]] = [("inputs", lambda: InputSpace(model, both))]
    if any(isinstance(m, nn.Embedding) for m in model.module.modules()):
        ways.insert(0, ("embeddings", lambda: EmbeddingSpace(model, both)))
    if isinstance(stage, StagedTorch):
        ways.insert(0, ("features", lambda: FeatureSpace(stage, both)))
    else:
        reasons.append("no boundary between encoders and fusion: the model is run whole")
    for way, make in ways:
        try:
            space = make()
            leaves = space.leaves(both)
            live = find_live(space, leaves, len(both), modalities)
        except NotApplicable as error:
            reasons.append(f"{way}: {error}")
            continue
        except Exception as error:  # a foreign module under gradients
            reasons.append(f"{way}: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}")
            continue
        if live.leaves:
            how = [f"{way}: {stage.description}"] if isinstance(stage, StagedTorch) and way == "features" else reasons
            return space, live, "; ".join(how)
        reasons.append(f"{way}: {live.reason}")
        opened = opened or (space, live)
    if opened is None:
        raise NotApplicable("; ".join(reasons))
    space, live = opened
    return space, Live((), frozenset(), "; ".join(reasons)), "; ".join(reasons)


def _rows(
    data: Dataset,
    model: TorchModel,
    source: Source,
    baselines: Baselines,
    space: Space,
    live: Live,
    positions: IntArray,
    background: IntArray,
) -> Rows:
    """These samples, their baselines and the background, encoded together; rows without finite outputs left out."""
    batch = data.rows(positions)
    both = _with_baselines(batch, model, source, baselines)
    leaves = space.leaves(stacked([both, _only(data.rows(background), model)]))
    n = len(batch)
    x, b, others = (rows(leaves, s) for s in (slice(0, n), slice(n, 2 * n), slice(2 * n, None)))
    made = Rows(space, live, x, b, others, data.task, target_scale(data.task, data.target), positions)
    kept = np.flatnonzero((made.at_x.isfinite() & made.at_b.isfinite()).cpu().numpy())
    return made if len(kept) == n else made.take(kept)


def _only(batch: Batch, model: TorchModel) -> Batch:
    """The batch with the model's modalities alone."""
    inputs = {name: batch.inputs[name] for name in model.modalities}
    return Batch(inputs, {name: batch.present[name] for name in inputs}, batch.target, batch.ids, batch.positions)


def _with_baselines(batch: Batch, model: TorchModel, source: Source, baselines: Baselines) -> Batch:
    """The rows, and below them the same rows with every modality's stand-in."""
    stand_ins = {name: baselines.values(source, name, batch) for name in model.modalities}
    return stacked([_only(batch, model), _only(batch.replace(stand_ins), model)])


def _ablated(some: Rows) -> Part:
    without = {}
    for name in some.names:
        rest = [other for other in some.names if other != name]
        without[name] = some.value(rest, rest).cpu().numpy()
    return ablation(some.positions, some.at_x.cpu().numpy(), without, some.at_b.cpu().numpy())


def _where(space: Space, live: Live, name: str) -> str:
    places = {space.where[i] for i in live.leaves if space.owner[i] == name}
    return " and ".join(sorted(places)) if places else "ablation"


def versions() -> dict[str, Any]:
    """Of what the numbers depend on."""
    import captum

    return {"captum": captum.__version__, "torch": torch.__version__}
