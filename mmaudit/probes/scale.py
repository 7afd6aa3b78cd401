"""Severities on a common scale: the table's positions 1-5 stay, the severities behind them are other ones.

`mmaudit.equalise` finds them; here they take the place of the table's in a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from mmaudit.probes.scope import Declined
from mmaudit.types import Condition

ScaleName = Literal["input", "embedding", "unimodal"]
SCALES: tuple[str, ...] = get_args(ScaleName)


@dataclass(frozen=True)
class Level:
    """What stands behind one position of one corruption of one modality.

    Attributes:
        severity: in the probe's unit, three significant digits; NaN where none reaches the target.
        distance: what was measured there, in the scale's unit; NaN likewise.
        reason: why there is none, without a full stop; empty otherwise.
    """

    severity: float
    distance: float
    reason: str = ""


@dataclass(frozen=True)
class Scale:
    """A common scale and what it means for each corruption.

    Attributes:
        name: `input`, `embedding` or `unimodal`.
        unit: of targets and distances, in words.
        targets: the distance of positions 1 to 5.
        samples: how many samples distances were measured on.
        levels: per probe and modality the levels of positions 1 to 5.
    """

    name: str
    unit: str
    targets: tuple[float, ...]
    samples: int
    levels: Mapping[tuple[str, str], tuple[Level, ...]]

    def condition(self, condition: Condition) -> Condition | Declined:
        """Return the condition with this scale's severity behind its position, or why there is none.

        Conditions without a position, and those of other families than corruptions, stay as they are.
        """
        if not scalable(condition):
            return condition
        (modality,) = condition.modalities
        level = self.levels[condition.probe, modality][(condition.position or 1) - 1]
        if level.reason:
            return Declined(condition.probe, condition.modalities, f"on the scale {self.name!r}: {level.reason}")
        return replace(condition, severity=level.severity, options=scaled_options(condition, self.name))

    def to_json(self) -> dict[str, Any]:
        """Return plain values, undefined numbers as None; `from_json` reads them back."""
        rows = [
            {
                "probe": probe,
                "modality": modality,
                "position": position,
                "severity": None if level.reason else level.severity,
                "distance": None if level.distance != level.distance else level.distance,
                "reason": level.reason,
            }
            for (probe, modality), levels in self.levels.items()
            for position, level in enumerate(levels, 1)
        ]
        targets = list(self.targets)
        return {"name": self.name, "unit": self.unit, "targets": targets, "samples": self.samples, "levels": rows}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scale:
        """Rebuild a scale written by `to_json`."""
        levels: dict[tuple[str, str], tuple[Level, ...]] = {}
        for row in value["levels"]:
            severity, distance = (float("nan") if row[k] is None else float(row[k]) for k in ("severity", "distance"))
            key = row["probe"], row["modality"]
            levels[key] = (*levels.get(key, ()), Level(severity, distance, row["reason"]))
        return cls(value["name"], value["unit"], tuple(value["targets"]), value["samples"], levels)


def scalable(condition: Condition) -> bool:
    """Whether a common scale can give the condition another severity."""
    return condition.family == "corruption" and condition.position is not None and len(condition.modalities) == 1


def scaled_options(condition: Condition, scale: str) -> tuple[tuple[str, str], ...]:
    """The options of a condition whose severity comes from a scale; its draws differ from the table's for it."""
    return (*condition.options, ("scale", scale))
