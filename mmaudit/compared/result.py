"""What a comparison of runs came out as: values only, as they are stored, drawn and decided upon."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmaudit.errors import UnknownName
from mmaudit.place import place
from mmaudit.types import Better, Condition, Task

if TYPE_CHECKING:
    import pandas as pd

    from mmaudit.render.theme import Theme

SCHEMA = "mmaudit.comparison/1"
LEVEL = 0.05
"""A verdict other than `undecided` needs an adjusted p of at most this."""

Verdict = Literal["worse", "better", "undecided"]
Quantity = Literal["value", "change"]
VERDICTS: tuple[Verdict, ...] = ("worse", "better", "undecided")
VALUE: Quantity = "value"
CHANGE: Quantity = "change"
QUANTITIES: tuple[Quantity, ...] = (VALUE, CHANGE)


@dataclass(frozen=True)
class Side:
    """One of the runs.

    Attributes:
        name: what tables and charts call it; unique within the comparison.
        folder: of the run, as it was given.
        title, model, suite, created: from the run.
        fingerprint: of the model.
        data: fingerprint of the data set.
        modalities: names of the data set's.
        n: samples of the run.
        conditions: planned ones, clean and controls included.
    """

    name: str
    folder: str
    title: str
    model: str
    suite: str
    created: str
    fingerprint: str
    data: str
    modalities: tuple[str, ...]
    n: int
    conditions: int


@dataclass(frozen=True)
class Pairing:
    """How one run was compared with the first.

    Attributes:
        other: index into `Comparison.others`.
        paired: whether both answered the same samples, so that each sample is compared with itself.
        n_first, n_other: samples that take part; equal where paired.
        reason: why it is not paired; empty where it is.
        remarks: what a reader must know to judge the differences, such as inputs that were not the same.
    """

    other: int
    paired: bool
    n_first: int
    n_other: int
    reason: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """A metric that was compared: registered name, unit, direction of goodness, margin (in `unit`) and one line."""

    name: str
    unit: str
    better: Better
    margin: float = 0.0
    summary: str = ""


@dataclass(frozen=True)
class Compared:
    """One number of another run beside the first run's.

    Attributes:
        other: index of the other run in `Comparison.others`.
        name: its name.
        condition, label: key of the condition, and its readable name.
        metric: registered name.
        quantity: `value`, the metric itself; or `change`, the metric minus that of the same run on clean data: how
            the robustness of the two differs. Not measured for the clean condition.
        group: empty for all samples, else `column=value`.
        n_first, n_other: samples measured; equal where paired.
        value_first, low_first, high_first: the first run's, with its 95 % interval, in `unit`; NaN where undefined.
        value_other, low_other, high_other: the other run's.
        delta, delta_low, delta_high: other − first, with its 95 % interval. Positive is larger, not better.
        p: two-sided p of "the true difference is no larger than the margin" (of 0 without one).
        p_adjusted: adjusted (Benjamini-Hochberg) over all rows on all samples, or over all rows on groups.
        mde: minimum detectable effect: the |delta| found with 80 % power at α = 0.05, margin not counted.
        margin: differences up to this are no verdict, in `unit`.
        verdict: `worse` or `better` (the other run, beside the first) where the interval lies beyond the margin and
            p_adjusted ≤ 0.05; else `undecided`, which is not "the same": see `mde`.
        paired: whether the same samples were compared.
        unit, better: of the metric.
        reason: why it could not be compared, or cannot have a verdict; empty otherwise.
    """

    other: int
    name: str
    condition: str
    label: str
    metric: str
    quantity: Quantity = VALUE
    group: str = ""
    n_first: int = 0
    n_other: int = 0
    value_first: float = math.nan
    low_first: float = math.nan
    high_first: float = math.nan
    value_other: float = math.nan
    low_other: float = math.nan
    high_other: float = math.nan
    delta: float = math.nan
    delta_low: float = math.nan
    delta_high: float = math.nan
    p: float = math.nan
    p_adjusted: float = math.nan
    mde: float = math.nan
    margin: float = 0.0
    verdict: Verdict = "undecided"
    paired: bool = True
    unit: str = ""
    better: Better = "neither"
    reason: str = ""

    @property
    def gain(self) -> float:
        """Delta in the direction of goodness: below 0 the other run is worse. NaN where there is no direction."""
        if self.better == "neither":
            return math.nan
        return self.delta if self.better == "higher" else -self.delta


ROW_FIELDS = tuple(f.name for f in fields(Compared))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two or more runs, the first of which is what the others are compared with; made by `mmaudit.compare`.

    Attributes:
        first: the run that the others are compared with.
        others: the other runs, in the order given.
        pairings: how each of them was compared, in that order.
        task: of all runs.
        measures: the metrics, the primary one first.
        conditions: what some run was measured under, clean first, controls left out; in plan order.
        rows: every number by condition; see `row` and `select`.
        means: the primary metric, mean over the conditions of a family that both runs have (`condition` and `label` are
            the family's name); p is adjusted over these alone.
        resamples, seed: of the bootstrap.
        mmaudit: version that made it.
    """

    first: Side
    others: tuple[Side, ...]
    pairings: tuple[Pairing, ...]
    task: Task
    measures: tuple[Measure, ...]
    conditions: tuple[Condition, ...]
    rows: tuple[Compared, ...]
    means: tuple[Compared, ...] = ()
    resamples: int = 1000
    seed: int = 0
    mmaudit: str = ""

    @property
    def primary(self) -> Measure:
        """The metric that verdicts and charts rest on."""
        return self.measures[0]

    @property
    def clean(self) -> str:
        """Key of the clean condition."""
        return self.conditions[0].key

    def row(
        self, condition: str, metric: str = "", other: int = 0, quantity: Quantity = VALUE, group: str = ""
    ) -> Compared | None:
        """Return a row by the condition's key, or None; without `metric` that of the primary one."""
        return self._index.get((condition, metric or self.primary.name, other, quantity, group))

    def select(
        self, *, metric: str | None = None, other: int | None = None, quantity: Quantity | None = None, group: str = ""
    ) -> list[Compared]:
        """Return the rows with these values, in order; rows of groups only where one is named."""
        return [
            row
            for row in self.rows
            if row.group == group
            and metric in (None, row.metric)
            and other in (None, row.other)
            and quantity in (None, row.quantity)
        ]

    def counts(self, other: int = 0, metric: str = "", quantity: Quantity = VALUE) -> dict[Verdict, int]:
        """Count conditions by verdict, on all samples; without `metric` under the primary one.

        Raises:
            UnknownName: a metric that was not compared.
        """
        name = metric or self.primary.name
        if name not in {m.name for m in self.measures}:
            raise UnknownName("metric of this comparison", name, [m.name for m in self.measures])
        found = [row.verdict for row in self.select(metric=name, other=other, quantity=quantity)]
        return {verdict: found.count(verdict) for verdict in VERDICTS}

    @property
    def frame(self) -> pd.DataFrame:
        """All rows, columns as in `Compared`; NaN where undefined."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows], columns=list(ROW_FIELDS))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: None for NaN, rows as a table of columns and rows."""
        return {
            "schema": SCHEMA,
            "mmaudit": self.mmaudit,
            "task": self.task.to_json(),
            "first": asdict(self.first),
            "others": [asdict(side) for side in self.others],
            "pairings": [asdict(pairing) for pairing in self.pairings],
            "measures": [asdict(measure) for measure in self.measures],
            "conditions": [c.to_json() for c in self.conditions],
            "resamples": self.resamples,
            "seed": self.seed,
            "level": LEVEL,
            "rows": _table(self.rows),
            "means": _table(self.means),
        }

    def to_json(self, path: str | Path) -> Path:
        """Write the comparison as JSON (UTF-8, `null` for undefined numbers) and return the path.

        The file appears whole or not at all; the same comparison gives the same bytes.
        """
        from mmaudit.compared.written import write_json

        return write_json(self, place(path))

    def to_html(self, path: str | Path, *, theme: Theme | None = None) -> Path:
        """Write one self-contained HTML page (nothing fetched, complete without JavaScript) and return its path.

        `path` is the file; for a folder, `comparison.html` in it. The same comparison gives the same bytes. `theme` is
        a house style, from `mmaudit.render.theme.read_theme(file)`.
        """
        from mmaudit.compared.written import write_text
        from mmaudit.render.compared import page
        from mmaudit.render.theme import PLAIN

        file = place(path)
        return write_text(file / "comparison.html" if file.is_dir() else file, page(self, theme=theme or PLAIN))

    def to_markdown(self) -> str:
        """Return a summary for a pull request: verdict, what is worse or better, how it was measured; ≤ 60 kB."""
        from mmaudit.compared.markdown import markdown

        return markdown(self)

    def __repr__(self) -> str:
        """Return a short summary: what was compared, and the verdicts."""
        lines = [f"mmaudit comparison with {self.first.name}"]
        for i, side in enumerate(self.others):
            counts = ", ".join(f"{n} {verdict}" for verdict, n in self.counts(i).items())
            how = "paired" if self.pairings[i].paired else "not paired"
            lines.append(f"  {side.name}: {counts} ({self.primary.name}, {how})")
        return "\n".join(lines)

    @cached_property
    def _index(self) -> Mapping[tuple[str, str, int, Quantity, str], Compared]:
        return {(r.condition, r.metric, r.other, r.quantity, r.group): r for r in self.rows}


def _table(rows: tuple[Compared, ...]) -> dict[str, Any]:
    return {
        "columns": list(ROW_FIELDS),
        "rows": [[_plain(getattr(row, name)) for name in ROW_FIELDS] for row in rows],
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
