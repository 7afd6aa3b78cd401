"""Estimates: numbers about reliance and synergy, each of one or more modalities, beside the scores of conditions.

A score says what a metric is under a condition; an estimate says what a modality, or several together, are worth. It is
made from stored answers, has an interval, the value it would have if there were nothing (`null`) where that is known,
and becomes a row of the scores. What the numbers mean is said once, by the registered `Estimator`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mmaudit.registry import Registry
from mmaudit.types import Better, Score, digest

Family = Literal["reliance", "synergy"]


@dataclass(frozen=True)
class Estimator:
    """What a number about reliance or synergy means.

    Attributes:
        name: as it stands in the scores' column `metric`.
        family: `reliance` (of the model) or `synergy` (of data, model and samples).
        unit: of its values; `primary` where it is that of the run's primary metric.
        summary: one line for the report.
        source: where name and definition come from.
        better: direction of goodness; most have none.
    """

    name: str
    family: Family
    unit: str
    summary: str
    source: str
    better: Better = "neither"


estimators: Registry[Estimator] = Registry("estimator", "'mmaudit list estimators'")


def estimator(name: str, *, family: Family, unit: str, summary: str, source: str, better: Better = "neither") -> str:
    """Register what a number means and return its name; see `Estimator`."""
    estimators.add(name, Estimator(name, family, unit, summary, source, better))
    return name


@dataclass(frozen=True)
class Estimate:
    """One number about reliance or synergy.

    Attributes:
        estimator: registered name.
        modalities: what it is about, in the data set's order; empty for the whole model.
        options: name and value pairs that distinguish variants, e.g. `("baseline", "zero")`, `("of", "data")`.
        group: empty for all samples, else `column=value`.
        n: samples it rests on.
        value, low, high: estimate and 95 % interval, in `unit`; NaN where undefined, then `reason` says why.
        null: what it would be if there were nothing to find, where that is not 0 and known; else NaN.
        p: two-sided p of "nothing to find", where there is a test; else NaN.
        unit: of value, interval and null.
        better: direction of goodness.
        reason: why the value or its interval is undefined, or what to know when reading it; mostly empty.
        p_adjusted: p, adjusted (Benjamini-Hochberg) over all estimates of a scored run, those of groups apart; NaN
            before it is scored.
    """

    estimator: str
    modalities: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    group: str = ""
    n: int = 0
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    null: float = float("nan")
    p: float = float("nan")
    unit: str = ""
    better: Better = "neither"
    reason: str = ""
    p_adjusted: float = float("nan")

    @property
    def key(self) -> str:
        """16 hex digits that identify estimator, modalities and options."""
        return digest("estimate", self.estimator, self.modalities, self.options)

    @property
    def label(self) -> str:
        """Readable and unique within a run: `shapley_value[image, baseline=zero]`."""
        inside = ", ".join(["+".join(self.modalities), *(f"{k}={v}" for k, v in self.options)]).strip(", ")
        return f"{self.estimator}[{inside}]" if inside else self.estimator

    def option(self, name: str) -> str | None:
        """Return the value of option `name`, or None."""
        return dict(self.options).get(name)

    def score(self) -> Score:
        """The estimate as a row of the scores; the null stands in the column `floor`."""
        return Score(
            condition=self.key,
            label=self.label,
            metric=self.estimator,
            group=self.group,
            n=self.n,
            value=self.value,
            low=self.low,
            high=self.high,
            floor=self.null,
            p=self.p,
            p_adjusted=self.p_adjusted,
            unit=self.unit,
            better=self.better,
            reason=self.reason,
        )

    def to_json(self) -> dict[str, Any]:
        """What the score does not say, as plain values: modalities and options by the key that scores go by."""
        return {
            "key": self.key,
            "label": self.label,
            "estimator": self.estimator,
            "family": estimators.get(self.estimator).family,
            "modalities": list(self.modalities),
            "options": dict(self.options),
            "group": self.group,
        }

    def plain(self) -> dict[str, Any]:
        """Everything as plain values, NaN as None."""
        values = {name: getattr(self, name) for name in ("n", "value", "low", "high", "null", "p", "unit", "reason")}
        return {**self.to_json(), **{k: None if v != v else v for k, v in values.items()}}

    @classmethod
    def from_json(cls, index: Mapping[str, Any], score: Score) -> Estimate:
        """Rebuild an estimate from what `to_json` wrote and its row of the scores."""
        return cls(
            estimator=index["estimator"],
            modalities=tuple(index["modalities"]),
            options=tuple(index["options"].items()),
            group=index["group"],
            n=score.n,
            value=score.value,
            low=score.low,
            high=score.high,
            null=score.floor,
            p=score.p,
            unit=score.unit,
            better=score.better,
            reason=score.reason,
            p_adjusted=score.p_adjusted,
        )
