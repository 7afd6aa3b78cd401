"""Reference methods beside the audited model: every number, and how to find one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mmaudit.panel.values import (
    AUDITED,
    CLEAN,
    EVERYTHING,
    ROW_FIELDS,
    SYNERGY,
    TEXTS,
    VALUE,
    WHOLE,
    Group,
    Line,
    Method,
    Row,
)
from mmaudit.types import Better

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
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

    @property
    def table(self) -> pd.DataFrame:
        """All numbers, one row for each model, quantity and place; conditions are named by their keys."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows], columns=list(ROW_FIELDS))

    def __repr__(self) -> str:
        methods, conditions = len(self.scored), len(self.conditions)
        return f"<Panel: {methods} reference methods beside {self.audited}; {self.metric}, {conditions} conditions>"

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
        optimistic=bool(m.get("optimistic", False)),  # reports of before have none
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
