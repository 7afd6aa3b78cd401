"""What a panel of reference methods came out as: values only, as they are stored, reported and drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

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
        optimistic: whether the audited model, whose frozen encoders it uses, surely knows the rows that its checkpoint
            was chosen on, so that it may be weaker than it could be.
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
    optimistic: bool = False

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
