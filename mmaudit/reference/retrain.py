"""Train reference methods on the user's training data, and let them answer what the audited model was asked.

    panel = mmaudit.retrain("runs/mine", model, data, train, methods=["aecf", "synib"], seeds=5)

Where the audited model is two-stage the references read its own frozen encoders' features, so that fusion and objective
are all that differ; else the values themselves, or small default encoders that are trained along.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

import mmaudit.reference.methods  # noqa: F401  (registers the methods)
from mmaudit.assemble import assemble
from mmaudit.auditing import Prepared, prepare, require_same
from mmaudit.data import Dataset
from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.folder import writing
from mmaudit.panel import Panel
from mmaudit.panel.file import score_panel
from mmaudit.reference.answers import answer
from mmaudit.reference.base import references
from mmaudit.reference.holdout import hold_out
from mmaudit.reference.loop import Budget
from mmaudit.reference.splits import require_disjoint
from mmaudit.reference.training import Choice, Progress, Workshop
from mmaudit.store import Run


def retrain(
    run: str | Path,
    model: object,
    data: Dataset,
    train: Dataset,
    *,
    methods: Sequence[str],
    seeds: int = 5,
    tune: int = 4,
    budget: Budget | None = None,
    encoders: str = "auto",
    width: int = 64,
    validation: float | Dataset = 0.2,
    shared_clusters: bool = False,
    device: str | None = None,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Panel:
    """Train reference methods, audit them with the run's own probes, samples and seeds, and compare with its model.

    Everything is kept in RUN/references; called again, nothing is trained or asked twice, and what a killed call left
    is finished. A method that cannot be trained here, or whose loss diverges, is listed with the reason; the others go
    on.

    Args:
        run: folder of a complete audit.
        model, data: of that audit.
        train: what references are trained on; none of its rows may be audited.
        methods: registered names, as `mmaudit list references` shows them.
        seeds: trainings per method, with the hyper-parameters chosen.
        tune: trials of random search per method, the published defaults first; 1 keeps the defaults.
        budget: the same for every method; 30 epochs of batches of 128 without it.
        encoders: `auto`, the audited model's frozen ones where it is two-stage; `frozen`, only those; or `default`.
        width: numbers that each modality is projected to before fusion.
        validation: what epochs and hyper-parameters are chosen on, without any corruption: the share of the training
            data to hold out, whole clusters of it, in (0, 1); or other data, none of them in `train` or audited. Give
            data that the audited model was not trained on where its frozen encoders are used: they may have learned
            the training data by heart, and then rows of it say too late, or never, when to stop.
        shared_clusters: allow cluster values that occur in more than one of training, validation and audited data.
        device: where to train; CUDA where there is one.
        resamples: bootstrap replicates of the comparison.
        progress: called with (what is being done, steps done, steps planned).

    Returns:
        The panel: results by method and condition beside the audited model's. The run's report shows them from now on.
        The `note` of each method says where equal rows of both data sets were taken for chance, and with frozen
        encoders what the audited model's loss is on the validation rows beside that on the audited ones.

    Raises:
        BadInput: an argument or the training data cannot be used, or the data overlap.
        UnknownName: a method is not registered.
        StaleRun: model or data are not those of the run.
    """
    opened = Run.open(run)
    choice = Choice(tuple(dict.fromkeys(methods)), seeds, tune, budget or Budget(), encoders, width, validation)
    chosen = [references.get(name) for name in choice.methods]
    step = progress or (lambda what, done, total: None)
    step("checking", 0, 1)
    prepared = _prepared(opened, model, data, train)
    overlap = require_disjoint(train, data, shared_clusters=shared_clusters)
    rows = hold_out(train, data, validation, shared_clusters=shared_clusters)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with writing(opened.folder):
        step("reading the training data", 0, 1)
        workshop = Workshop(opened, prepared, rows, choice, where, step, note=overlap.note)
        workshop.inputs.require(data)
        members = [member for method in chosen for member in workshop.train(method)]
        answer(
            opened,
            data,
            prepared.source,
            workshop.inputs,
            members,
            batch_rows=int(opened.header["batch_rows"]),
            progress=lambda done, total: step("asking the references", done, total),
        )
        panel = score_panel(opened, resamples=resamples)
        assemble(opened)
        return panel


def _prepared(run: Run, model: object, data: Dataset, train: Dataset) -> Prepared:
    """Model and data, checked to be those of the run, with the statistics that its probes used."""
    known = bool(run.header["data"]["train"])
    prepared = prepare(model, data, suite=["control"], train=train if known else None)
    try:
        require_same(run, prepared.fingerprints())
    except StaleRun as error:
        raise StaleRun(f"{error} References are compared with the audited model on the same data.") from None
    if partial := sum(k < run.n for k in run.counts):
        raise BadInput(
            f"{run.folder} has a budget, which left {partial} conditions on a part of the samples; references are "
            "compared on all of them. Audit again to the same folder without a budget, then train."
        )
    lacking = next((file for piece in run.pieces() if not (file := run.file(*piece)).exists()), None)
    if lacking:
        raise DamagedRun(f"{lacking} is missing: the audit has not finished. Audit again to the same folder.")
    return prepared
