"""The specimens of the probes' contract, under the names that tests use, and ways to compare batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmaudit.contract.probes import fresh, same
from mmaudit.contract.specimens import CLASSES, LinearModel, N, scope_of, source_of
from mmaudit.contract.specimens import specimens as everything
from mmaudit.data.dataset import Dataset
from mmaudit.probes import Declined, Probe, Scope, probes
from mmaudit.types import Array, Batch, Condition

__all__ = [
    "CLASSES",
    "LinearModel",
    "N",
    "all_conditions",
    "conditions",
    "copy_of",
    "declined",
    "everything",
    "fresh",
    "same",
    "scope_of",
    "source_of",
    "whole",
]


def whole(data: Dataset) -> Batch:
    return data.rows(np.arange(len(data)))


def conditions(probe: Probe, scope: Scope) -> list[Condition]:
    return [c for c in probe.grid(scope) if isinstance(c, Condition)]


def declined(probe: Probe, scope: Scope) -> list[Declined]:
    return [c for c in probe.grid(scope) if isinstance(c, Declined)]


def all_conditions(scope: Scope) -> Iterator[tuple[Probe, Condition]]:
    for probe in probes:
        for condition in conditions(probe, scope):
            yield probe, condition


def copy_of(array: Array) -> Array:
    if array.dtype != object:
        return array.copy()
    out = np.empty(len(array), object)
    for i, x in enumerate(array.tolist()):
        out[i] = x if isinstance(x, str) else x.copy()
    return out
