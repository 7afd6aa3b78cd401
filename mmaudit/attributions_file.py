"""What each modality added to the model's answers, sample by sample, and the file that keeps it.

`mmaudit.attribution` makes it, left of the run's border and with torch; reading needs neither torch nor the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmaudit.errors import UnknownName
from mmaudit.headed import read_headed, write_headed
from mmaudit.outputs import Float32Array, column
from mmaudit.types import IntArray

FILE = "attributions.parquet"
SCHEMA = "mmaudit.attributions/1"

INTEGRATED_GRADIENTS = "integrated_gradients"
DEEP_LIFT = "deep_lift"
GRADIENT_SHAP = "gradient_shap"
ABLATION = "ablation"
GRADIENT_METHODS = (INTEGRATED_GRADIENTS, DEEP_LIFT, GRADIENT_SHAP)


@dataclass(frozen=True, eq=False)
class MethodAttributions:
    """One method's attributions of r samples; all in units of the explained output (`Attributions.about`).

    Attributes:
        positions: `int64[r]`, rows of the data set, ascending.
        total: per modality `float32[r]`, the sum of its features' attributions: how much it raised the output above
            the baseline (below 0: lowered it).
        magnitude: per modality `float32[r]`, the sum of their absolute values. Shares of these are MM-SHAP's T-SHAP
            and V-SHAP (Parcalabescu and Frank 2023); they grow with the number of features, those of `total` do not.
        delta: `float32[r]`, completeness error: the sum over modalities − (output − baseline). For `ablation`, which
            does not promise completeness, what single replacements leave unexplained: the interaction.
        output: `float32[r]`, the explained output f(x).
        baseline: `float32[r]`, f of the baseline: of all modalities' stand-ins at once (gradient_shap: mean over the
            samples drawn).
    """

    positions: IntArray
    total: Mapping[str, Float32Array]
    magnitude: Mapping[str, Float32Array]
    delta: Float32Array
    output: Float32Array
    baseline: Float32Array

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, eq=False)
class Attributions:
    """What each modality added to the answers of a sample of the data set, by one or more methods.

    Attributes:
        modalities: that the model reads, in the data set's order.
        methods: by name: `integrated_gradients`, `deep_lift`, `gradient_shap`, `ablation`; those that worked.
        about: plain values: `spec` (what was asked for), `explained` (in words, which output), `where` (per modality
            features, inputs, embeddings or ablation), `how` (why there), `baseline` (per modality, in words),
            `jumps` (modalities with parts that cannot move gradually and were exchanged at once), `steps`,
            `error` (per method, mean |delta| over mean |output − baseline|), `declined` (reasons by method),
            `left_out` (rows without an attribution, with the reason), `versions`.
    """

    modalities: tuple[str, ...]
    methods: Mapping[str, MethodAttributions]
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def declined(self) -> dict[str, str]:
        """Why a method is not there, by its name."""
        return dict(self.about.get("declined", {}))

    def get(self, method: str) -> MethodAttributions:
        """Return one method's attributions; raises `UnknownName` where it is not there."""
        if method not in self.methods:
            raise UnknownName("attribution method", method, self.methods)
        return self.methods[method]


def write_attributions(path: Path, attributions: Attributions) -> None:
    """Write the file: it exists in whole or not at all."""
    names, parts = attributions.modalities, attributions.methods
    columns: dict[str, pa.Array] = {
        "position": pa.array(_joined([p.positions for p in parts.values()], np.int64)),
        "method": pa.array([name for name, p in parts.items() for _ in range(len(p))], pa.string()),
    }
    for name in names:
        columns[f"sum.{name}"] = pa.array(_joined([p.total[name] for p in parts.values()], np.float32))
        columns[f"abs.{name}"] = pa.array(_joined([p.magnitude[name] for p in parts.values()], np.float32))
    for what in ("delta", "output", "baseline"):
        columns[what] = pa.array(_joined([getattr(p, what) for p in parts.values()], np.float32))
    header = {
        "modalities": list(names),
        "methods": {name: len(p) for name, p in parts.items()},
        "about": attributions.about,
    }
    write_headed(path, pa.table(columns), SCHEMA, header)


def read_attributions(path: Path) -> Attributions | None:
    """Read the file; None where there is none.

    Raises:
        DamagedRun: it is cut short, overwritten, or not a file of this kind.
    """
    return read_headed(path, SCHEMA, _rebuilt)


def _rebuilt(table: pa.Table, header: Any) -> Attributions:
    names = tuple(str(name) for name in header["modalities"])
    if len(table) != sum(header["methods"].values()):
        raise ValueError(f"{len(table)} rows, expected {sum(header['methods'].values())}")
    methods: dict[str, MethodAttributions] = {}
    start = 0
    for method, count in header["methods"].items():
        part = table.slice(start, count)
        start += count
        methods[str(method)] = MethodAttributions(
            positions=column(part, "position"),
            total={name: column(part, f"sum.{name}") for name in names},
            magnitude={name: column(part, f"abs.{name}") for name in names},
            delta=column(part, "delta"),
            output=column(part, "output"),
            baseline=column(part, "baseline"),
        )
    return Attributions(names, methods, dict(header["about"]))


def _joined(parts: list[Any], dtype: type) -> Any:
    return np.concatenate([np.asarray(part, dtype) for part in parts]) if parts else np.zeros(0, dtype)
