"""The run folder of one trained reference: the audited run's samples and conditions, another model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.place import remove_folder
from mmaudit.store import Run
from mmaudit.types import digest

VERSION = 2  # of what a reference is told and asked under a condition: another one asks all of them again


def member_run(run: Run, folder: Path, title: str, weights: str, fingerprints: Mapping[str, str]) -> Run:
    """Open a reference's run, or make it; conditions that the audited run gained since are added.

    One of other weights or of another plan is replaced: its answers are of no use.

    Args:
        run: the audited model's.
        folder: of the reference's run.
        title: of the reference, with its seed.
        weights: digest of what decides its answers.
        fingerprints: of the audited run.
    """
    mine = {**fingerprints, "model": f"reference:{digest(weights, VERSION)}"}
    try:
        known = Run.open(folder)
        if known.header["fingerprints"] == mine and _extended(known, run):
            return known
    except (BadInput, DamagedRun, StaleRun):
        pass
    remove_folder(folder)
    kept = ("created", "mmaudit", "data", "task", "modalities", "suite", "increments", "portions", "budget",
            "declined", "batch_rows", "shard_rows", "environment")  # fmt: skip
    header = {name: run.header[name] for name in kept if name in run.header}
    model = {
        "name": title,
        "fingerprint": mine["model"],
        "outputs": "values" if run.task.kind == "regression" else "logits",
        "native_absence": True,
        "stages": "a reference method",
        "device": "",
    }
    return Run.create(
        folder,
        {**header, "title": title, "command": "", "fingerprints": mine, "model": model, "checks": []},
        run.samples,
    )


def _extended(known: Run, run: Run) -> bool:
    """Whether conditions and samples are those of the audited run, after adding what it gained."""
    if known.portions != run.portions[: len(known.portions)] or known.shard_rows != run.shard_rows:
        return False
    gained = {name: run.header[name] for name in ("increments", "portions", "budget") if name in run.header}
    if any(known.header.get(name) != value for name, value in gained.items()):
        known.update(**gained)
    return True
