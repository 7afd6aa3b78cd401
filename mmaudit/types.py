"""The nouns: Modality, Task, Batch, Condition, Score, Finding. Values only; no file, no torch, no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from mmaudit.errors import BadInput
from mmaudit.task import (
    ANSWER_COLUMNS,
    CANDIDATES,
    FIRST,
    HIGHER,
    IDENTITY,
    LOG_FIRST,
    LOG_RIGHT,
    RIGHT,
    TIED,
    TIED_RIGHT,
    Task,
    TaskKind,
    require_text,
)

# What an output row means is in task.py; all nouns are imported from here.
__all__ = [
    "ANSWER_COLUMNS", "CANDIDATES", "CLEAN", "FIRST", "HIGHER", "IDENTITY", "KINDS", "LEVELS", "LOG_FIRST",
    "LOG_RIGHT", "RIGHT", "TIED", "TIED_RIGHT", "Array", "Batch", "Better", "BoolArray", "Condition", "Finding",
    "FloatArray", "IntArray", "Kind", "Level", "Modality", "Score", "Task", "TaskKind", "digest",
]  # fmt: skip

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Kind = Literal["image", "audio", "text", "tabular", "series", "embedding"]
Better = Literal["higher", "lower", "neither"]
Level = Literal["critical", "major", "minor", "info"]

KINDS: tuple[str, ...] = get_args(Kind)
LEVELS: tuple[str, ...] = get_args(Level)


@dataclass(frozen=True)
class Modality:
    """One input of a multimodal model.

    Attributes:
        name: how data set, model and report call it; no '+', which joins the names of several.
        kind: what it is; decides which probes apply.
        shape: shape of one sample, `None` for a ragged axis; `()` for text.
        dtype: NumPy dtype name of one sample; `"str"` for text.
        layout: of one sample. Images: `"HW"`, `"HWC"` or `"CHW"`. Series of several channels: `"TC"` or `"CT"`. Audio:
            `"CT"` or `"TC"` for a waveform of several channels, `"FT"` or `"TF"` for a spectrogram. One-dimensional
            series and waveforms need none.
        range: lowest and highest legal value; `None` where the modality has no bounds. Probes clip to it.
        unit: physical unit of the values, where there is one.
        sample_rate: in Hz, for audio and series.
        categorical: of a table, the columns that hold category codes, as places from 0 in ascending order: numbers
            that are names, with which nobody calculates. `()`: none does. `None`: not declared, and then columns of
            whole numbers may be codes.
    """

    name: str
    kind: Kind
    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"
    layout: str | None = None
    range: tuple[float, float] | None = None
    unit: str | None = None
    sample_rate: float | None = None
    categorical: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise BadInput(f"modality name {self.name!r} is not usable; give a non-empty string.")
        if "+" in self.name:
            raise BadInput(f"modality name {self.name!r} has a '+', which joins the names of several; rename it.")
        require_text(self.name, "modality name")
        if self.kind not in KINDS:
            raise BadInput(f"modality {self.name!r}: kind {self.kind!r} is not one of {', '.join(KINDS)}.")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise BadInput(f"modality {self.name!r}: range {self.range} must go from low to high.")
        if self.categorical is not None:
            # Sorted, so that one declaration in two orders is one description and one fingerprint.
            object.__setattr__(self, "categorical", self._columns(self.categorical))

    def _columns(self, given: Any) -> tuple[int, ...]:
        if self.kind != "tabular":
            raise BadInput(f"modality {self.name!r} is {self.kind}; only a tabular one has categorical columns.")
        places = tuple(given) if isinstance(given, tuple | list | np.ndarray) else (given,)
        if odd := [p for p in places if not isinstance(p, int | np.integer) or isinstance(p, bool) or p < 0]:
            raise BadInput(
                f"modality {self.name!r}: categorical column {odd[0]!r} is no place of a column; count them from 0."
            )
        if len(set(places)) < len(places):
            twice = next(p for i, p in enumerate(places) if p in places[:i])
            raise BadInput(f"modality {self.name!r}: categorical column {twice} is named twice.")
        width = self.shape[0] if len(self.shape) == 1 else None
        if width is not None and places and max(places) >= width:
            raise BadInput(
                f"modality {self.name!r}: categorical column {max(places)} is outside its {width} columns, 0 to "
                f"{width - 1}."
            )
        return tuple(sorted(int(p) for p in places))

    @property
    def numeric(self) -> bool:
        """Whether samples are arrays of numbers (everything but text)."""
        return self.kind != "text"

    @property
    def spectrogram(self) -> bool:
        """Whether this is audio as frequencies over time."""
        return self.kind == "audio" and self.layout in ("FT", "TF")

    @property
    def time_axis(self) -> int | None:
        """Axis of a sample along which time runs; None where there is no time, or nobody declared where it runs."""
        if self.kind not in ("audio", "series"):
            return None
        if len(self.shape) == 1:
            return 0
        return self.layout.index("T") if self.layout in ("TC", "CT", "TF", "FT") and len(self.shape) == 2 else None

    @property
    def ragged(self) -> bool:
        """Whether samples differ in shape."""
        return None in self.shape

    @property
    def all_categorical(self) -> bool:
        """Whether every column is declared to hold category codes."""
        return self.categorical is not None and self.shape == (len(self.categorical),)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` reads them back. `categorical` is there only where it was declared."""
        said = asdict(self) | {"shape": list(self.shape), "range": list(self.range) if self.range else None}
        columns = said.pop("categorical")
        return said if columns is None else {**said, "categorical": list(columns)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Modality:
        """Rebuild a modality written by `to_json`. A field that is missing is a `KeyError`, but for `categorical`."""
        return cls(
            name=value["name"],
            kind=value["kind"],
            shape=tuple(value["shape"]),
            dtype=value["dtype"],
            layout=value["layout"],
            range=tuple(value["range"]) if value["range"] else None,
            unit=value["unit"],
            sample_rate=value["sample_rate"],
            categorical=value.get("categorical"),
        )


@dataclass(frozen=True)
class Batch:
    """Some rows of a data set.

    Attributes:
        inputs: per modality an array whose first axis is the row. Text and ragged modalities are one-dimensional
            object arrays (of `str`, of arrays). Arrays are read-only by agreement: a probe returns new ones.
        present: per modality `bool[n]`; False where the modality was not recorded (its values mean nothing then).
        target: `int64[n]` (classification), `int8[n, labels]` (multilabel), `float64[n, dims]` (regression); retrieval:
            `int64[n]`, an identity: candidates with the query's own are right.
        ids: stable sample ids, `int64[n]` or `str[n]`.
        positions: `int64[n]`, the rows' places in the data set.
    """

    inputs: Mapping[str, Array]
    present: Mapping[str, BoolArray]
    target: Array
    ids: Array
    positions: IntArray

    def __len__(self) -> int:
        return len(self.positions)

    def replace(
        self, inputs: Mapping[str, Array] | None = None, present: Mapping[str, BoolArray] | None = None
    ) -> Batch:
        """Return a batch with some modalities' arrays exchanged; all others stay the same objects."""
        return Batch(
            {**self.inputs, **(inputs or {})},
            {**self.present, **(present or {})},
            self.target,
            self.ids,
            self.positions,
        )

    def take(self, rows: slice | IntArray) -> Batch:
        """Return some of the batch's rows; a slice gives views."""
        return Batch(
            {name: x[rows] for name, x in self.inputs.items()},
            {name: p[rows] for name, p in self.present.items()},
            self.target[rows],
            self.ids[rows],
            self.positions[rows],
        )


@dataclass(frozen=True)
class Condition:
    """One way of perturbing every sample: the unit of a plan.

    Attributes:
        probe: registered name; corruptions carry the kind, as in `image.gaussian_blur`.
        family: `clean`, `control`, `missing`, `mismatch`, `corruption`, …
        version: of the probe; part of the key, so a changed probe never reuses old predictions.
        modalities: what it changes; nothing else may change.
        severity: in `unit`; `None` where the probe has no severity.
        position: 1-5, the severity's place in the probe's versioned table, where it has one.
        options: name and value pairs that distinguish variants, e.g. `("baseline", "zero")`.
        repeat: independent repetition of a random probe.
        unit: of the severity.
    """

    probe: str
    family: str
    version: int
    modalities: tuple[str, ...]
    severity: float | None = None
    position: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    repeat: int = 0
    unit: str = ""

    @cached_property
    def key(self) -> str:
        """16 hex digits that identify probe, version, modalities, options, severity and repeat."""
        return digest(self.stream, self.severity)

    @cached_property
    def stream(self) -> str:
        """The key without the severity.

        Random draws use it, so all severities of a probe share their random numbers: a sample missing at a rate
        of 10 % is also missing at 30 %, and differences along a severity curve are paired.
        """
        return digest(self.probe, self.version, self.modalities, self.options, self.repeat)

    @property
    def label(self) -> str:
        """Readable and unique within a plan: `image.gaussian_blur[photo]@5`, `missing[text, baseline=zero]`."""
        inside = ", ".join(["+".join(self.modalities), *(f"{k}={v}" for k, v in self.options)]).strip(", ")
        text = f"{self.probe}[{inside}]" if inside else self.probe
        if self.severity is not None:
            text += f"@{self.position if self.position is not None else format(self.severity, 'g')}"
        return text + (f"#{self.repeat}" if self.repeat else "")

    def option(self, name: str) -> str | None:
        """Return the value of option `name`, or None."""
        return dict(self.options).get(name)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` reads them back."""
        return {
            "key": self.key,
            "label": self.label,
            "probe": self.probe,
            "family": self.family,
            "version": self.version,
            "modalities": list(self.modalities),
            "severity": self.severity,
            "position": self.position,
            "options": dict(self.options),
            "repeat": self.repeat,
            "unit": self.unit,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Condition:
        """Rebuild a condition written by `to_json`."""
        return cls(
            probe=value["probe"],
            family=value["family"],
            version=value["version"],
            modalities=tuple(value["modalities"]),
            severity=value["severity"],
            position=value["position"],
            options=tuple(value["options"].items()),
            repeat=value["repeat"],
            unit=value["unit"],
        )


CLEAN = Condition("clean", "clean", 1, ())


@dataclass(frozen=True)
class Score:
    """One metric of one condition of one group; a row of `scores.parquet`.

    Attributes:
        condition: key of the condition; for a summary, the key of the severity curve or family it sums up.
        label: readable name of the condition.
        against: key of the condition that `delta` is taken against; empty where there is none.
        metric: registered name.
        group: empty for all samples, else `column=value`.
        n: samples.
        value, low, high: estimate and 95 % interval, in `unit`. NaN where undefined; then `reason` says why.
        delta, delta_low, delta_high: paired difference value − value under `against`.
        p, p_adjusted: two-sided p of delta = 0, and adjusted (Benjamini-Hochberg) over the run's grid; rows of groups
            among themselves.
        mde: minimum detectable effect: the |delta| found with 80 % power at α = 0.05.
        floor: what a model without information would reach (chance); NaN where there is none.
        drop: share of the clean value lost, (clean − value) / clean, in the direction of goodness.
        lost, lost_low, lost_high: share of the above-floor value lost, (clean − value) / (clean − floor).
        unit, better: of value; `neither` where no direction is good.
        reason: why a number is undefined: the value, its interval, or that of the change; empty otherwise.
    """

    condition: str
    label: str
    metric: str
    group: str = ""
    against: str = ""
    n: int = 0
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    delta: float = float("nan")
    delta_low: float = float("nan")
    delta_high: float = float("nan")
    p: float = float("nan")
    p_adjusted: float = float("nan")
    mde: float = float("nan")
    floor: float = float("nan")
    drop: float = float("nan")
    lost: float = float("nan")
    lost_low: float = float("nan")
    lost_high: float = float("nan")
    unit: str = ""
    better: Better = "neither"
    reason: str = ""


@dataclass(frozen=True)
class Finding:
    """One claim about the model that a reader should act on.

    Attributes:
        rule: registered name of the rule that made it.
        level: `critical`, `major`, `minor` or `info`.
        claim: one sentence a non-specialist can read, with its numbers and interval.
        modalities: what it is about.
        evidence: scores it rests on, each `{"condition", "label", "metric", "group", "value", "low", "high", …}`.
        reproduce: a command that shows the evidence again.
        effect: size used for ranking within a level, in [0, 1]; larger is worse.
    """

    rule: str
    level: Level
    claim: str
    modalities: tuple[str, ...] = ()
    evidence: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    reproduce: str = ""
    effect: float = 0.0

    @property
    def id(self) -> str:
        """Stable anchor: the same rule on the same evidence has the same id in every report."""
        return digest(self.rule, self.modalities, [(e["condition"], e["metric"]) for e in self.evidence])


def digest(*parts: Any) -> str:
    """Return 16 hex digits that identify plain values (str, numbers, None, sequences, mappings of these)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
