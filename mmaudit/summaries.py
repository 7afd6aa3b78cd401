"""Which conditions of a run belong together: neighbours, groups, and one robustness number for each group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmaudit.metrics import robustness
from mmaudit.types import CLEAN, Better, Condition, FloatArray

# A marginal or noise stand-in looks like a recorded value and says something else than the other modalities. What it
# does to a model that uses the modality is what a mismatch does, and no model can know that the modality is missing.
DECEPTIVE = ("marginal", "noise")


def neutral(condition: Condition) -> bool:
    """Whether what stands in for a missing modality says nothing, rather than something else (see `DECEPTIVE`)."""
    return condition.option("baseline") not in DECEPTIVE


@dataclass(frozen=True)
class Group:
    """Conditions that a summary is taken over.

    Attributes:
        name: readable: a family (`missing`), a missing baseline (`missing[baseline=zero]`), or a severity curve
            (`image.gaussian_blur[photo]`).
        conditions: its members; for a curve by increasing severity.
        curve: whether they differ in severity alone.
    """

    name: str
    conditions: tuple[Condition, ...]
    curve: bool


@dataclass(frozen=True)
class Summary:
    """One robustness summary.

    Attributes:
        name: as it stands in the scores' column `metric`.
        better: direction; None where it is that of the summarised metric.
        unit: of its value; None where it is that of the summarised metric.
        summary: one line for the report.
        curve_only: whether it needs a severity curve.
        fn: `(clean, perturbed, severity, chance, better) -> float64[1 + B]`; None where values per condition do not do.
        floored: whether it divides by what the clean value has above chance.
    """

    name: str
    better: Better | None
    unit: str | None
    summary: str
    curve_only: bool
    fn: Callable[[FloatArray, FloatArray, FloatArray, FloatArray, Better], FloatArray] | None
    floored: bool = False

    def around(
        self, value: float, unseen: float, clean: float, floor: float, limits: tuple[float, float]
    ) -> tuple[float, float]:
        """Return the bounds of a value where the summarised metric may be off by `unseen`.

        A share of the clean value, or of what that has above chance, may be off by as much more.

        Args:
            value: of the summary.
            unseen: in the metric's unit.
            clean, floor: the metric on clean data, and its chance level.
            limits: the metric's range, which holds for summaries in its unit.
        """
        if self.unit is None:
            return max(value - unseen, limits[0]), min(value + unseen, limits[1])
        by = unseen / max(abs(clean - (floor if self.floored else 0.0)), 1e-12)
        return value - by, value + by

    def reason(self, clean: float, floor: float, better: Better) -> str:
        """Why the value is undefined; empty where it is defined."""
        return robustness.why_undefined(clean, better, floor if self.floored else float("nan"))


SUMMARIES: tuple[Summary, ...] = (
    Summary(
        "mmi",
        "lower",
        "share",
        "MultiModal Impact: share of the clean value lost, mean over conditions (Qiu et al. 2024)",
        False,
        lambda clean, perturbed, severity, chance, better: robustness.mmi(clean, perturbed, better),
    ),
    Summary(
        "relative_robustness",
        "higher",
        "share",
        "share of the clean value kept, mean over conditions (rPC, Michaelis et al. 2019)",
        False,
        lambda clean, perturbed, severity, chance, better: robustness.relative_robustness(clean, perturbed, better),
    ),
    Summary(
        "chance_normalised_drop",
        "lower",
        "share",
        "share of the above-chance value lost, mean over conditions",
        False,
        lambda clean, perturbed, severity, chance, better: robustness.chance_normalised_drop(
            clean, perturbed, chance, better
        ),
        floored=True,
    ),
    Summary(
        "worst_case",
        None,
        None,
        "the primary metric under the worst condition",
        False,
        lambda clean, perturbed, severity, chance, better: robustness.worst_case(perturbed, better)[0],
    ),
    Summary(
        "severity_area",
        "higher",
        "share",
        "share of the above-chance value kept, averaged over severity: area under the severity curve; 1 is flat",
        True,
        lambda clean, perturbed, severity, chance, better: robustness.severity_area(
            severity, clean, perturbed, better, chance
        ),
        floored=True,
    ),
)

INSTANCE_WORST_CASE = Summary(
    "instance_worst_case",
    None,
    None,
    "mean over samples of each sample's worst result (share right, absolute error, 1 / rank) over conditions (HELM)",
    False,
    # Needs every sample's result, so it is taken while conditions are read (ScoreTable.worst).
    None,
)


def groups(conditions: Sequence[Condition]) -> list[Group]:
    """Families, missing baselines and severity curves among the conditions, controls left out."""
    families: dict[str, list[Condition]] = {}
    curves: dict[str, list[Condition]] = {}
    for condition in conditions:
        if condition.family in ("clean", "control"):
            continue
        # Cells of a surface and controls of a scenario are there to be compared with others, not to be averaged.
        if condition.probe != "surface" and condition.option("latent") != "independent":
            families.setdefault(condition.family, []).append(condition)
        if condition.probe == "missing":
            families.setdefault(f"missing[baseline={condition.option('baseline')}]", []).append(condition)
        if condition.severity is not None:
            curves.setdefault(condition.stream, []).append(condition)
    found = [Group(name, tuple(members), False) for name, members in families.items()]
    for members in curves.values():
        if len(members) > 1:
            ordered = sorted(members, key=lambda c: c.severity or 0.0)
            repeat = f"#{ordered[0].repeat}" if ordered[0].repeat else ""
            found.append(Group(ordered[0].label.rsplit("@", 1)[0] + repeat, tuple(ordered), True))
    return found


def neighbours(conditions: Sequence[Condition]) -> Iterator[tuple[Condition, Condition]]:
    """Pairs (before, after) that differ in one thing.

    A subset and the one with a modality more; a severity and the next; a scenario whose modalities are hit
    independently and the same with one severity for all.
    """
    missing = [c for c in conditions if c.probe == "missing"]
    for fewer in missing:
        if len(fewer.modalities) == 1:
            yield fewer, CLEAN
        for more in missing:
            same = fewer.options == more.options and fewer.repeat == more.repeat
            if (
                same
                and len(fewer.modalities) == len(more.modalities) + 1
                and set(more.modalities) < set(fewer.modalities)
            ):
                yield fewer, more
    shared = {_scenario(c): c for c in conditions if c.option("latent") == "shared"}
    for condition in conditions:
        if condition.option("latent") == "independent" and _scenario(condition) in shared:
            yield condition, shared[_scenario(condition)]
    curves: dict[str, list[Condition]] = {}
    for condition in conditions:
        if condition.severity is not None:
            curves.setdefault(condition.stream, []).append(condition)
    for curve in curves.values():
        ordered = sorted(curve, key=lambda c: c.severity or 0.0)
        yield from pairwise(ordered)


def _scenario(c: Condition) -> tuple[object, ...]:
    """What a scenario's condition has in common with the one whose modalities are hit independently."""
    return c.probe, c.option("definition"), c.modalities, c.severity, c.repeat


def summarise(
    group: Group, clean: FloatArray, values: Mapping[str, FloatArray], chance: FloatArray, better: Better
) -> list[tuple[Summary, FloatArray]]:
    """Every summary of a group, each with its replicates.

    Args:
        group: the conditions.
        clean: `float64[1 + B]`, the metric on clean data.
        values: the same under each condition, by key.
        chance: `float64[1 + B]`, chance level of the metric.
        better: its direction.
    """
    perturbed = np.stack([values[c.key] for c in group.conditions])
    severity = np.array([c.severity or 0.0 for c in group.conditions])
    return [
        (summary, summary.fn(clean, perturbed, severity, chance, better))
        for summary in SUMMARIES
        if summary.fn is not None and (group.curve or not summary.curve_only)
    ]
