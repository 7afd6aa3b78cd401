"""Severities found so that the same position does the same to every modality.

The table of an image corruption and that of a text corruption say nothing about each other: image 3 may be a blemish
where text 3 is ruin. Here the severities behind positions 1 to 5 are searched for: on at most 256 samples, by bisection
until the mean distance is the position's target on one of three scales (see `mmaudit/distances.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmaudit.distances import EmbeddingDistance, InputDistance, Measure, Unmeasurable
from mmaudit.errors import BadInput, NotApplicable
from mmaudit.kernels.positions import spread
from mmaudit.models import TwoStage
from mmaudit.probes import Probe, Source, probes
from mmaudit.probes.scale import Level, Scale, scalable, scaled_options
from mmaudit.types import Batch, Condition
from mmaudit.unimodal import UnimodalLoss

# The distances of positions 1 to 5. In σ: signal-to-noise ratios of 20, 14, 9, 6 and 3 dB.
TARGETS: Mapping[str, tuple[float, ...]] = {
    "input": (0.1, 0.2, 0.35, 0.5, 0.7),
    "embedding": (0.1, 0.2, 0.35, 0.5, 0.7),
    "unimodal": (0.1, 0.25, 0.4, 0.6, 0.8),
}
# The search ends this near to its target, as a share of it; farther off than the second, a position is declined.
CLOSE, ACCEPTED = 0.01, 0.05
# How far beyond a table's strongest severity the search goes, and how many severities it tries for one target.
BEYOND, TRIES = 16.0, 40
ROWS, MOST_BYTES = 256, 32 * 2**20

Curve = Callable[[float], float]


def equalise(
    name: str,
    conditions: Iterable[Condition],
    source: Source,
    stage: TwoStage | None,
    *,
    batch_rows: int = 256,
    known: Scale | None = None,
) -> Scale:
    """Find the severities of every corruption and modality among the conditions.

    The same data, statistics and model give the same severities.

    Args:
        name: of the scale: `input`, `embedding` or `unimodal`.
        conditions: of a plan; those that are no corruption with a position are left aside.
        source: the data set and its statistics.
        stage: the model's two-stage view; without one everything is declined on the scale `embedding`.
        batch_rows: most samples that the encoder is given at once.
        known: what an earlier audit found on this scale; kept, and only what it lacks is searched for.
    """
    measure = _measure(name, source, stage, batch_rows)
    levels = dict(known.levels) if known else {}
    batches: dict[str, Batch] = {}
    for condition in conditions:
        key = condition.probe, *condition.modalities
        if not scalable(condition) or key in levels or condition.repeat:
            continue
        modality = condition.modalities[0]
        if modality not in batches:
            batches[modality] = _rows(source, modality)
        levels[key[0], key[1]] = _levels(condition, batches[modality], source, measure, TARGETS[name])
    samples = max([known.samples if known else 0, *(len(b) for b in batches.values())])
    return Scale(name, measure.unit, TARGETS[name], samples, levels)


def _measure(name: str, source: Source, stage: TwoStage | None, batch_rows: int) -> Measure:
    if name == "input":
        return InputDistance(source)
    if name == "embedding":
        return EmbeddingDistance(stage, batch_rows)
    return UnimodalLoss(source)


def _rows(source: Source, modality: str) -> Batch:
    """At most 256 samples that have the modality, evenly spread; fewer where samples are large."""
    recorded = np.flatnonzero(source.data.presence(modality))
    first = source.data.rows(recorded[:1])
    size = np.asarray(first.inputs[modality][0]).nbytes if len(recorded) else 1
    return source.data.rows(spread(recorded, min(ROWS, max(32, MOST_BYTES // max(size, 1)))))


def _levels(
    condition: Condition, batch: Batch, source: Source, measure: Measure, targets: Sequence[float]
) -> tuple[Level, ...]:
    probe = probes.get(condition.probe)
    modality = condition.modalities[0]
    nothing = float("nan")
    reason = ""
    if probe.not_monotone:
        reason = f"its distance need not grow with severity ({probe.not_monotone.rstrip('.')})"
    try:
        measure.prepare(modality, batch)
    except Unmeasurable as error:
        reason = str(error)
    if reason:
        return tuple(Level(nothing, nothing, reason) for _ in targets)
    # With the option, as its random numbers will be in the run.
    scaled = replace(condition, position=None, options=scaled_options(condition, measure.name))

    def distance(severity: float) -> float:
        changed = probe.apply(batch, replace(scaled, severity=severity), source)
        return measure.distance(modality, changed.inputs[modality], changed)

    try:
        return _Search(distance, probe).levels(targets)
    except (Unmeasurable, NotApplicable) as error:
        return tuple(Level(nothing, nothing, str(error)) for _ in targets)


class _Search:
    """Severities whose distances are the targets, found with as few evaluations as the targets can share."""

    def __init__(self, distance: Curve, probe: Probe) -> None:
        self.distance = distance
        self.table = probe.severities
        self.unit = probe.unit
        self.seen: dict[float, float] = {0.0: 0.0}

    def levels(self, targets: Sequence[float]) -> tuple[Level, ...]:
        for severity in self.table:
            self.at(severity)
        end = self.extend(targets[-1])
        found: list[Level] = []
        beyond = [t for t in targets if t > max(self.seen.values())]
        for target in targets:
            level = self.unreached(beyond, end) if target in beyond else self.level(target)
            before = max((f.severity for f in found if not f.reason), default=0.0)
            if not level.reason and level.severity <= before:
                level = Level(math.nan, level.distance, f"the same severity, {before:g}, as the position before it")
            found.append(level)
        return tuple(found)

    def at(self, severity: float) -> float:
        if severity not in self.seen:
            self.seen[severity] = self.distance(severity)
        return self.seen[severity]

    def extend(self, target: float) -> str:
        """Try severities beyond the table until the strongest target is reached; say where that ended."""
        strongest = self.table[-1]
        limit = BEYOND * strongest
        refused = math.inf
        while self.seen[strongest] < target and strongest < limit:
            # Many severities are shares, which end at 1.
            if strongest < 1.0 < min(refused, 2 * strongest):
                further = 1.0
            else:
                further = 2 * strongest if refused == math.inf else (strongest + refused) / 2
            if refused != math.inf and further - strongest < 0.01 * strongest:
                return "the strongest that it accepts"
            try:
                gained = self.at(further) - self.seen[strongest]
            except BadInput:
                refused = further
                continue
            if gained < 0.01 * target and refused == math.inf:
                return "where more changes it no further"
            strongest = further
        return f"{BEYOND:g} times its table's strongest"

    def unreached(self, targets: Sequence[float], end: str) -> Level:
        best = max(self.seen, key=lambda s: (self.seen[s], s))
        if self.seen[best] <= 1e-9:
            return Level(math.nan, 0.0, "no severity of it moves anything on this scale")
        wanted = " and ".join(f"{t:g}" for t in targets)
        reached = f"{self.seen[best]:.3g} is the most, at severity {best:.3g}, {end}"
        plural = "s" if len(targets) > 1 else ""
        return Level(math.nan, self.seen[best], f"the distance{plural} {wanted} cannot be reached: {reached}")

    def level(self, target: float) -> Level:
        severities = sorted(self.seen)
        above = next(s for s in severities if self.seen[s] >= target)
        low, high = max(s for s in severities if s < above), above
        for tried in range(TRIES):
            best = min((low, high), key=lambda s: abs(self.seen[s] - target))
            if abs(self.seen[best] - target) <= CLOSE * target or high - low < 1e-3 * high:
                break
            # Where the line between the two ends says; every third time the middle, so that no end stays for good.
            share = (target - self.seen[low]) / (self.seen[high] - self.seen[low])
            middle = low + (high - low) * (0.5 if tried % 3 == 2 else min(max(share, 0.02), 0.98))
            if self.at(middle) < target:
                low = middle
            else:
                high = middle
        return self.checked(min((low, high), key=lambda s: abs(self.seen[s] - target)), target)

    def checked(self, severity: float, target: float) -> Level:
        """The level at a severity of three digits; declined where its distance jumps over the target."""
        rounded = float(f"{severity:.3g}")
        try:
            far = self.at(rounded)
        except BadInput:  # rounded up, beyond the last that is legal
            rounded, far = severity, self.seen[severity]
        if abs(far - target) <= ACCEPTED * target:
            return Level(rounded, far)
        return Level(math.nan, far, f"the distance jumps over {target:g}: it is {far:.3g} at severity {rounded:g}")
