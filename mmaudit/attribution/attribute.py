"""Attribute a model's answers to its modalities, and write them into the run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmaudit.attribution.ablation import ablate_by_answers
from mmaudit.attribution.baselines import Baselines, choose
from mmaudit.attribution.explained import in_words
from mmaudit.attribution.parts import Part, finished, join, relative_error
from mmaudit.attributions_file import (
    ABLATION,
    FILE,
    GRADIENT_METHODS,
    Attributions,
    read_attributions,
    write_attributions,
)
from mmaudit.data import Dataset
from mmaudit.errors import BadInput, DamagedRun, MMAuditError, NotApplicable, UnknownName
from mmaudit.kernels.positions import spread
from mmaudit.models import Model, TwoStage
from mmaudit.probes import Source
from mmaudit.store import Run
from mmaudit.types import IntArray

if TYPE_CHECKING:
    from mmaudit.attribution.gradients import Found

VERSION = 2
_PROBED_ROWS = 16


def attribute(
    run: Run,
    data: Dataset,
    model: Model,
    stage: TwoStage | None,
    source: Source,
    *,
    rows: int = 256,
    methods: Sequence[str] = GRADIENT_METHODS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `attributions.parquet` into the run, unless it is there for the same model, data and arguments.

    What is explained is one number per sample: the logit of the class predicted on the clean sample, the sum of the
    logits of the predicted labels, or the sum of the predicted values (`mmaudit.attribution.explained`). It is
    attributed to the modalities, from a baseline in which each has its stand-in (`mmaudit.attribution.baselines`):

    - a torch model with a boundary between encoders and fusion: to the encoders' features, which works for text too;
    - a torch model without one: to what its inputs hold of floating-point numbers (and whole numbers it takes as such,
      like pixels), and to embeddings of token ids; what cannot move gradually is exchanged at once, so that the
      attributions still add up;
    - any other model: by ablation, the change of the explained output when a modality is replaced by its stand-in.

    Ablation is written for every model. A gradient method that does not work on a model is left out, with the reason.
    The module's mode, parameters, gradients, hooks and the state of random generators are as before.

    Args:
        run: where to write; predictions are not needed.
        data, model, source: what is audited.
        stage: the model's two-stage view, or None.
        rows: most samples, spread evenly over those in which every modality that the model reads is recorded; others
            are not used, as nothing can be attributed to what is not there. At most 64 of a torch model that is run
            whole, or whose features are more than 1,024 numbers a sample: each takes about a hundred passes.
        methods: of `integrated_gradients`, `deep_lift` and `gradient_shap`.
        seed: of the baselines that gradient_shap draws.
        progress: called with (samples done, in total).

    Raises:
        BadInput: `rows` is less than 1.
        UnknownName: for a method that is not among these.
    """
    if rows < 1:
        raise BadInput(f"rows={rows} is not usable; give 1 or more.")
    if unknown := [name for name in methods if name not in GRADIENT_METHODS]:
        raise UnknownName("attribution method", unknown[0], GRADIENT_METHODS)
    spec = _spec(run, rows, methods, seed)
    path = run.folder / FILE
    try:
        before = read_attributions(path)
    except DamagedRun:
        before = None
    if before is None or before.about.get("spec") != spec:
        made = attributions(data, model, stage, source, rows=rows, methods=methods, seed=seed, progress=progress)
        made.about["spec"] = spec
        write_attributions(path, made)


def attributions(
    data: Dataset,
    model: Model,
    stage: TwoStage | None,
    source: Source,
    *,
    rows: int = 256,
    methods: Sequence[str] = GRADIENT_METHODS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Attributions:
    """Return what `attribute` writes."""
    data.task.require_outputs("attribution")
    names = tuple(m.name for m in data.modalities if m.name in model.modalities)
    about: dict[str, Any] = {
        "explained": in_words(data.task, model.outputs),
        "rows": "samples in which every modality that the model reads is recorded",
        "declined": {},
    }
    positions = complete(data, names, rows)
    try:
        if not len(positions):
            raise NotApplicable("no sample has every modality that the model reads")
        baselines = choose(model, source, data.rows(positions[:_PROBED_ROWS]))
    except MemoryError:
        raise
    except Exception as error:  # nothing to start from, or a foreign model that raises
        about["declined"] = dict.fromkeys((*methods, ABLATION), _reason(error))
        return Attributions(names, {}, about)
    about["baseline"] = {name: baselines.words[name] for name in names}
    made: Mapping[str, Part]
    try:
        found = _gradients(data, model, stage, source, baselines, positions, methods, seed, progress)
        made = found.parts
        about |= _told(found, names)
    except MemoryError:
        raise
    except Exception as error:  # no torch model, or one that raises when gradients are asked for
        reason = _reason(error)
        about |= {"how": reason, "where": dict.fromkeys(names, "ablation"), "declined": dict.fromkeys(methods, reason)}
        made = _ablation(data, model, source, baselines, positions, about, progress)
    about["error"] = {method: relative_error(part) for method, part in made.items()}
    return Attributions(names, {method: finished(part, names) for method, part in made.items()}, about)


def complete(data: Dataset, names: Sequence[str], rows: int) -> IntArray:
    """Return at most `rows` positions, ascending, spread evenly over the samples that have all these modalities."""
    there = np.flatnonzero(np.all([data.presence(name) for name in names], axis=0))
    return spread(there, rows)


def _gradients(
    data: Dataset,
    model: Model,
    stage: TwoStage | None,
    source: Source,
    baselines: Baselines,
    positions: IntArray,
    methods: Sequence[str],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> Found:
    """What torch and Captum say of a torch model; for others neither is imported, and `NotApplicable` raised."""
    adapter = sys.modules.get("mmaudit.models.torch")
    if adapter is None or not isinstance(model, adapter.TorchModel):
        raise NotApplicable("the model offers no gradients: it is no torch module")
    from mmaudit.attribution.gradients import attribute_torch

    return attribute_torch(data, model, stage, source, baselines, positions, methods, seed, progress)


def _ablation(
    data: Dataset,
    model: Model,
    source: Source,
    baselines: Baselines,
    positions: IntArray,
    about: dict[str, Any],
    progress: Callable[[int, int], None] | None,
) -> dict[str, Part]:
    """Ablation by the model's answers alone; why it is not there goes to `about`."""
    try:
        parts, about["left_out"] = ablate_by_answers(data, model, source, baselines, positions, progress)
    except MemoryError:
        raise
    except Exception as error:  # a foreign model on some sample
        about["declined"][ABLATION] = _reason(error)
        return {}
    whole = join(parts)
    if not len(whole.positions):
        about["declined"][ABLATION] = "no sample has finite answers, clean and at the baseline"
        return {}
    return {ABLATION: whole}


def _reason(error: Exception) -> str:
    if isinstance(error, MMAuditError):
        return str(error)
    return f"the model raised {type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


def _told(found: Found, names: Sequence[str]) -> dict[str, Any]:
    from mmaudit.attribution.gradients import versions

    return {
        "where": {name: found.where[name] for name in names},
        "how": found.how,
        "jumps": list(found.jumps),
        "steps": {"fewest": found.steps[0], "most": found.steps[1]},
        "left_out": found.left_out,
        "declined": found.declined,
        "versions": versions(),
    }


def _spec(run: Run, rows: int, methods: Sequence[str], seed: int) -> dict[str, Any]:
    return {
        "version": VERSION,
        "fingerprints": dict(run.header["fingerprints"]),
        "rows": rows,
        "methods": list(methods),
        "seed": seed,
    }
