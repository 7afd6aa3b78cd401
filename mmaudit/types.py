"""The nouns: Modality, Task, Batch, Condition, Score, Finding. Values only; no file, no torch, no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from mmaudit.errors import BadInput

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Kind = Literal["image", "audio", "text", "tabular", "series", "embedding"]
TaskKind = Literal["classification", "multilabel", "regression", "retrieval"]
Better = Literal["higher", "lower", "neither"]
Level = Literal["critical", "major", "minor", "info"]

KINDS: tuple[str, ...] = get_args(Kind)
LEVELS: tuple[str, ...] = get_args(Level)

# The columns of a retrieval's answer to one query: all that rank metrics need, whatever the size of the bank.
HIGHER, TIED, TIED_RIGHT, FIRST, LOG_RIGHT, LOG_FIRST = range(6)
"""HIGHER: wrong candidates that score higher than the best right one. TIED: wrong ones that score the same. TIED_RIGHT:
right ones that do, at least 1. FIRST: position in the data set of the candidate that scores highest, the first of
equals. LOG_RIGHT, LOG_FIRST: log of the softmax of all the query's scores, summed over the right candidates, and at the
highest score."""
ANSWER_COLUMNS = 6
# The columns of a retrieval's truth about one query, as a run keeps it: identity, candidates, right ones among them.
IDENTITY, CANDIDATES, RIGHT = range(3)


@dataclass(frozen=True)
class Modality:
    """One input of a multimodal model.

    Attributes:
        name: how data set, model and report call it.
        kind: what it is; decides which probes apply.
        shape: shape of one sample, `None` for a ragged axis; `()` for text.
        dtype: NumPy dtype name of one sample; `"str"` for text.
        layout: of one sample. Images: `"HW"`, `"HWC"` or `"CHW"`. Series of several channels: `"TC"` or `"CT"`. Audio:
            `"CT"` or `"TC"` for a waveform of several channels, `"FT"` or `"TF"` for a spectrogram. One-dimensional
            series and waveforms need none.
        range: lowest and highest legal value; `None` where the modality has no bounds. Probes clip to it.
        unit: physical unit of the values, where there is one.
        sample_rate: in Hz, for audio and series.
    """

    name: str
    kind: Kind
    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"
    layout: str | None = None
    range: tuple[float, float] | None = None
    unit: str | None = None
    sample_rate: float | None = None

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise BadInput(f"modality name {self.name!r} is not usable; give a non-empty string.")
        if self.kind not in KINDS:
            raise BadInput(f"modality {self.name!r}: kind {self.kind!r} is not one of {', '.join(KINDS)}.")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise BadInput(f"modality {self.name!r}: range {self.range} must go from low to high.")

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


@dataclass(frozen=True)
class Task:
    """What one output row of the model means.

    Use the constructors `Task.classification`, `Task.multilabel`, `Task.regression`, `Task.retrieval`.

    Attributes:
        kind: decides metrics, chance floors and direction of goodness.
        names: classes, labels or regression dimensions, in the order of the output columns; for retrieval the query
            modalities, then the target modality.
        unit: regression only: unit of the target.
        bank: retrieval only: how many samples that follow each other have their targets as common candidates (an
            in-batch bank); 0 where a query's candidates are all samples, or those that the data set lists for it.
    """

    kind: TaskKind
    names: tuple[str, ...]
    unit: str = ""
    bank: int = 0

    @property
    def width(self) -> int:
        """Columns of an output row; for retrieval of an answer row (`HIGHER`, `TIED`, …)."""
        return ANSWER_COLUMNS if self.kind == "retrieval" else len(self.names)

    @property
    def query(self) -> tuple[str, ...]:
        """Retrieval: the modalities that a query is made of; else none."""
        return self.names[:-1] if self.kind == "retrieval" else ()

    @property
    def target_modality(self) -> str:
        """Retrieval: the modality of which the right sample is to be found; else empty."""
        return self.names[-1] if self.kind == "retrieval" else ""

    @property
    def said(self) -> str:
        """In words: `classification of 10`, `retrieval of text given image and sound`."""
        if self.kind == "retrieval":
            return f"retrieval of {self.target_modality} given {' and '.join(self.query)}"
        return f"{self.kind} of {self.width}"

    @classmethod
    def classification(cls, classes: int | tuple[str, ...] | list[str]) -> Task:
        """Exactly one of `classes` (names, or how many) is right; outputs are one logit per class."""
        names = _names(classes, "classes")
        if len(names) < 2:
            raise BadInput(f"classification needs at least 2 classes, got {len(names)}: {names}.")
        return cls("classification", names)

    @classmethod
    def multilabel(cls, labels: int | tuple[str, ...] | list[str]) -> Task:
        """Any number of `labels` is right; outputs are one logit per label, targets 0/1 of shape [n, labels]."""
        return cls("multilabel", _names(labels, "labels"))

    @classmethod
    def regression(cls, dims: int | tuple[str, ...] | list[str] = 1, unit: str = "") -> Task:
        """Outputs and targets are numbers of shape [n, dims], in `unit`."""
        return cls("regression", _names(dims, "dims"), unit)

    @classmethod
    def retrieval(cls, query: str | tuple[str, ...] | list[str], target: str, bank: int = 0) -> Task:
        """Given the query modalities of a sample, find its target modality among those of the candidates.

        Args:
            query: one or more modalities.
            target: another one.
            bank: 0: the candidates are all samples, or those that the data set lists for each query. B: they are the
                samples of the query's batch, B that follow each other in the data set (the last batch may be smaller).
        """
        names = _names((query,) if isinstance(query, str) else tuple(query), "query")
        if not isinstance(target, str) or not target or target in names:
            raise BadInput(f"retrieval target {target!r} is not usable; name one modality that is not in the query.")
        if not isinstance(bank, int) or bank < 0 or bank == 1:
            raise BadInput(f"retrieval bank {bank!r} is not usable; give 0 for all samples, or 2 or more for a batch.")
        return cls("retrieval", (*names, target), bank=bank)

    def require_outputs(self, what: str) -> None:
        """Raise `BadInput` for a retrieval, whose answers are ranks, if `what` needs an output per class or number."""
        if self.kind == "retrieval":
            raise BadInput(
                f"{what} needs an output per class, label or dimension; the task is {self.said}, where an answer is a "
                "rank among candidates."
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` reads them back."""
        said: dict[str, Any] = {"kind": self.kind, "names": list(self.names), "unit": self.unit}
        return {**said, "bank": self.bank} if self.kind == "retrieval" else said

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Task:
        """Rebuild a task written by `to_json`."""
        return cls(value["kind"], tuple(value["names"]), value["unit"], value.get("bank", 0))


def _names(given: int | tuple[str, ...] | list[str], what: str) -> tuple[str, ...]:
    names = tuple(str(i) for i in range(given)) if isinstance(given, int) else tuple(str(x) for x in given)
    if not names:
        raise BadInput(f"{what} is empty; give at least one name or a positive number.")
    if len(set(names)) != len(names):
        raise BadInput(f"{what} has duplicate names: {sorted({n for n in names if names.count(n) > 1})}.")
    return names


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
        p, p_adjusted: two-sided p of delta = 0, and adjusted (Benjamini-Hochberg) over the run's grid.
        mde: minimum detectable effect: the |delta| found with 80 % power at α = 0.05.
        floor: what a model without information would reach (chance); NaN where there is none.
        drop: share of the clean value lost, (clean − value) / clean, in the direction of goodness.
        lost, lost_low, lost_high: share of the above-floor value lost, (clean − value) / (clean − floor).
        unit, better: of value; `neither` where no direction is good.
        reason: why a value is undefined; empty otherwise.
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
