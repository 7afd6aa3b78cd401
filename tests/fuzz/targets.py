"""The table of targets: every reader of a file that somebody else may have written."""

from __future__ import annotations

from fuzz import (
    targets_budget,
    targets_data,
    targets_kept,
    targets_place,
    targets_public,
    targets_readers,
    targets_run,
    targets_text,
)
from fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *targets_data.TARGETS, *targets_readers.TARGETS, *targets_public.TARGETS, *targets_text.TARGETS,
    *targets_run.TARGETS, *targets_budget.TARGETS, *targets_kept.TARGETS,
    *targets_place.TARGETS,
)  # fmt: skip
BY_NAME = {target.name: target for target in TARGETS}
