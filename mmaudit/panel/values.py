"""What a panel of reference methods came out as: values only, as they are stored, reported and drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from mmaudit.types import Better, digest

AUDITED = ""
"""The audited model, where rows name a method."""

CLEAN, EVERYTHING, SYNERGY = "clean", "everything", "synergy_subset"
"""Places that are no condition and no group of conditions: clean data, all groups that count, the synergy subset."""

STAND_IN = "stand-in: "
"""How the remark of a group starts that says what stands in for a missing modality."""

# Quantities of a row.
VALUE, RETAINED, RELATIVE, EFFECTIVE, ECE, RIGHT = (
    "value",
    "retained",
    "relative_robustness",
    "effective_robustness",
    "ece",
    "right",
)


@dataclass(frozen=True)
class Method:
    """A reference method as it was trained for this run.

    Attributes:
        name, title, source: registered name, name in words, whose it is.
        seeds: of the trainings that are scored.
        failed: seed and reason of those that are not.
        features: per modality what it was trained on.
        parameters: trained ones, of one training.
        seconds: of training, per seed.
        microseconds: of fusion and head per sample; NaN where not measured.
        relative_time: the same divided by the audited model's; NaN where that has no fusion of its own to be timed.
        n_train, n_validation: samples trained on, and samples that the checkpoint was chosen on.
        told_missing: whether it is told which modalities of a sample are missing.
        hyper: hyper-parameters in use.
        trials: trainings of the search that they come from; 0 for published defaults.
        refused: why it cannot be trained on this data at all; empty otherwise.
        note: what happened on the way, such as a batch that was halved; mostly empty.
    """

    name: str
    title: str
    source: str
    seeds: tuple[int, ...] = ()
    failed: tuple[tuple[int, str], ...] = ()
    features: tuple[tuple[str, str], ...] = ()
    parameters: int = 0
    seconds: float = math.nan
    microseconds: float = math.nan
    relative_time: float = math.nan
    n_train: int = 0
    n_validation: int = 0
    told_missing: bool = True
    hyper: tuple[tuple[str, float], ...] = ()
    trials: int = 0
    refused: str = ""
    note: str = ""

    @property
    def reason(self) -> str:
        """Why it has no numbers at all; empty where it has."""
        if self.seeds or self.refused:
            return "" if self.seeds else self.refused
        reasons = list(dict.fromkeys(why for _, why in self.failed))
        return "; ".join(reasons) or "it was not trained with any seed"


@dataclass(frozen=True)
class Group:
    """Conditions that are summed up together.

    Attributes:
        key: stable name, such as `missing[image]`.
        words: as it reads after "with": `image missing`.
        family: of its conditions.
        modalities: what they change.
        conditions: their keys.
        counts: whether it counts for the mean over everything: what takes information away or damages it does; what
            puts something false in its place (mismatch, conflict) does not, because only a model that ignores the
            modality is unharmed by it.
        remark: what a reader must know, such as the stand-in that was chosen; may be empty.
    """

    key: str
    words: str
    family: str
    modalities: tuple[str, ...]
    conditions: tuple[str, ...]
    counts: bool = True
    remark: str = ""


@dataclass(frozen=True)
class Line:
    """The panel's line from clean values to values under a group, fitted to every model.

    Attributes:
        group: key of the group, or `everything`.
        intercept, slope: of the values, or of their logits.
        logit: whether it is a line of logits.
    """

    group: str
    intercept: float
    slope: float
    logit: bool

    def at(self, clean: float) -> float:
        """Return the value that the line expects of a model with this clean value."""
        if not self.logit:
            return self.intercept + self.slope * clean
        if not 0 < clean < 1:
            return math.nan
        z = self.intercept + self.slope * math.log(clean / (1 - clean))
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


@dataclass(frozen=True)
class Row:
    """One number about one model: a quantity at a place, beside the audited model's.

    Attributes:
        method: name of the method; empty for the audited model.
        quantity: `value` (the run's primary metric; of a group the mean over its conditions), `retained` (share of the
            above-chance clean value that is left), `relative_robustness` (mean share of the clean value kept),
            `effective_robustness` (what the model has above the panel's line), `ece`, or `right` (share of right
            decisions).
        place: `clean`, `everything`, `synergy_subset`, a group's key, or a condition's key.
        n: samples.
        seeds: trainings behind it; 0 for the audited model.
        value, low, high: mean over seeds and 95 % interval; NaN where undefined, then `reason` says why.
        delta, delta_low, delta_high: paired difference, method − audited model.
        p, p_adjusted: two-sided p of delta = 0, and adjusted (Benjamini-Hochberg) over the same quantity of all methods
            at all conditions, or at all other places.
        mde: |delta| that would be found with 80 % power at α = 0.05.
        between: standard deviation between the seeds; NaN for fewer than two.
        unit, better: of value.
        reason: why a number is undefined.
    """

    method: str
    quantity: str
    place: str
    n: int = 0
    seeds: int = 0
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    delta: float = math.nan
    delta_low: float = math.nan
    delta_high: float = math.nan
    p: float = math.nan
    p_adjusted: float = math.nan
    mde: float = math.nan
    between: float = math.nan
    unit: str = ""
    better: Better = "neither"
    reason: str = ""

    @property
    def key(self) -> str:
        """16 hex digits that identify it; what findings call it by."""
        return digest("panel", self.method, self.quantity, self.place)


ROW_FIELDS = tuple(f.name for f in fields(Row))
TEXTS = ("method", "quantity", "place", "unit", "better", "reason")
WHOLE = ("n", "seeds")


@dataclass(frozen=True)
class Panel:
    """Every reference method beside the audited model.

    Attributes:
        audited: name of the audited model.
        metric, unit, better: the run's primary metric.
        floor: its chance level; NaN where there is none.
        n: samples.
        conditions: keys of all conditions of the run it was made from, in order.
        methods: in alphabetical order of their names.
        groups: of conditions.
        lines: from clean to each group.
        rows: all numbers.
        resamples, seed: of the bootstrap.
    """

    audited: str
    metric: str
    unit: str
    better: Better
    floor: float
    n: int
    conditions: tuple[str, ...]
    methods: tuple[Method, ...]
    groups: tuple[Group, ...]
    lines: tuple[Line, ...]
    rows: tuple[Row, ...]
    resamples: int
    seed: int

    @cached_property
    def _index(self) -> dict[tuple[str, str, str], Row]:
        return {(r.method, r.quantity, r.place): r for r in self.rows}

    @property
    def scored(self) -> tuple[Method, ...]:
        """The methods that have numbers."""
        return tuple(m for m in self.methods if m.seeds)

    def method(self, name: str) -> Method:
        """Return a method by name; the audited model as one without seeds."""
        known = {m.name: m for m in self.methods}
        return known.get(name) or Method(AUDITED, self.audited, "")

    def row(self, method: str, quantity: str, place: str) -> Row:
        """Return one number; undefined with a reason where it was not worked out."""
        found = self._index.get((method, quantity, place))
        return found or Row(method, quantity, place, reason="not measured")

    def words(self, place: str) -> str:
        """A place that is no condition, in words."""
        said = {
            CLEAN: "clean data",
            EVERYTHING: "everything that counts",
            SYNERGY: "samples that need several modalities",
        }
        return said.get(place) or next((g.words for g in self.groups if g.key == place), place)

    def worst(self, method: str) -> Group | None:
        """Return the group that counts in which the model keeps least of its clean value; None where none is known."""
        sign = 1.0 if self.better == "higher" else -1.0
        under = [(sign * self.row(method, VALUE, g.key).value, g) for g in self.groups if g.counts]
        known = [pair for pair in under if not math.isnan(pair[0])]
        return min(known, key=lambda pair: pair[0])[1] if known else None

    # ---- as plain values

    def index_json(self) -> dict[str, Any]:
        """Everything but the rows, as plain values; NaN as None."""
        tables = ("methods", "groups", "lines")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("rows", *tables)}
        parts = {name: [asdict(item) for item in getattr(self, name)] for name in tables}
        plain: dict[str, Any] = _plain({**values, **parts})
        return plain

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values; `from_json` reads them back."""
        rows = [[_plain(getattr(row, name)) for name in ROW_FIELDS] for row in self.rows]
        return {**self.index_json(), "rows": {"columns": list(ROW_FIELDS), "rows": rows}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Panel:
        """Rebuild a panel from plain values; raises `KeyError`, `TypeError` or `ValueError` where they do not fit."""
        columns = value["rows"]["columns"]
        return cls.from_parts(value, (dict(zip(columns, row, strict=True)) for row in value["rows"]["rows"]))

    @classmethod
    def from_parts(cls, index: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Panel:
        """The same from the index and rows as mappings."""
        return cls(
            audited=str(index["audited"]),
            metric=str(index["metric"]),
            unit=str(index["unit"]),
            better=index["better"],
            floor=_real(index["floor"]),
            n=int(index["n"]),
            conditions=tuple(str(c) for c in index["conditions"]),
            methods=tuple(_method(m) for m in index["methods"]),
            groups=tuple(_group(g) for g in index["groups"]),
            lines=tuple(_line(e) for e in index["lines"]),
            rows=tuple(_row(row) for row in rows),
            resamples=int(index["resamples"]),
            seed=int(index["seed"]),
        )


def _method(m: Mapping[str, Any]) -> Method:
    return Method(
        name=str(m["name"]),
        title=str(m["title"]),
        source=str(m["source"]),
        seeds=tuple(int(s) for s in m["seeds"]),
        failed=tuple((int(s), str(why)) for s, why in m["failed"]),
        features=tuple((str(k), str(v)) for k, v in m["features"]),
        parameters=int(m["parameters"]),
        seconds=_real(m["seconds"]),
        microseconds=_real(m["microseconds"]),
        relative_time=_real(m["relative_time"]),
        n_train=int(m["n_train"]),
        n_validation=int(m["n_validation"]),
        told_missing=bool(m["told_missing"]),
        hyper=tuple((str(k), _real(v)) for k, v in m["hyper"]),
        trials=int(m["trials"]),
        refused=str(m["refused"]),
        note=str(m["note"]),
    )


def _group(g: Mapping[str, Any]) -> Group:
    return Group(
        key=str(g["key"]),
        words=str(g["words"]),
        family=str(g["family"]),
        modalities=tuple(str(m) for m in g["modalities"]),
        conditions=tuple(str(c) for c in g["conditions"]),
        counts=bool(g["counts"]),
        remark=str(g["remark"]),
    )


def _line(e: Mapping[str, Any]) -> Line:
    return Line(str(e["group"]), _real(e["intercept"]), _real(e["slope"]), bool(e["logit"]))


def _row(row: Mapping[str, Any]) -> Row:
    values: dict[str, Any] = {}
    for name in ROW_FIELDS:
        given = row[name]
        values[name] = str(given) if name in TEXTS else int(given) if name in WHOLE else _real(given)
    return Row(**values)


def _real(value: Any) -> float:
    return math.nan if value is None else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
