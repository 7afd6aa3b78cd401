"""Whether damage adds up: what two corruptions do together, compared with what each does alone.

With m the primary metric in the direction of goodness (turned round where lower is better), m(0,0) clean, m(a,0) and
m(0,b) one modality corrupted and m(a,b) both, the residual from additivity is

    r(a,b) = [m(a,b) − m(0,0)] − [m(a,0) − m(0,0)] − [m(0,b) − m(0,0)]

Negative: the damage compounds, together they cost more than the sum. Positive: it overlaps, or one modality makes up
for the other. Squared errors of independent disturbances of a linear model add up exactly, root mean squares do not, so
a regression's residual is that of the mean squared error.

Near chance r(a,b) must be positive, whatever the model does: what is lost already cannot be lost again. The second
residual does not saturate there. With k(·) = (m − chance) / (m(0,0) − chance), the share kept above chance, it is

    k(a,b) − k(a,0) · k(0,b)

which is 0 where each corruption takes its share of whatever the other has left (Bliss 1939, independent action), and
has the same sign. Both have intervals from the bootstrap resamples that all conditions share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmaudit.comparison import NO_INTERVAL, Measured, exact_bound, uncertain
from mmaudit.joint import parts
from mmaudit.kernels.inference import interval, minimum_detectable_effect, p_value, standard_error
from mmaudit.metrics import Metric
from mmaudit.types import Condition, FloatArray, Score, Task, digest


@dataclass(frozen=True)
class Residual:
    """A way of saying what two corruptions do beyond each alone.

    Attributes:
        name: as it stands in the scores' column `metric`; the mean over a surface is `mean_` and this.
        unit: of its value; None where it is that of the primary metric (regression: of its square).
        summary: one line for the report.
    """

    name: str
    unit: str | None
    summary: str


ADDITIVITY = Residual(
    "additivity_residual",
    None,
    "what two corruptions do together beyond the sum of what each does alone; negative: the damage compounds",
)
INDEPENDENCE = Residual(
    "independence_residual",
    "share",
    "share kept above chance under two corruptions minus the product of the shares kept under each (Bliss 1939); "
    "negative: the damage compounds",
)
RESIDUALS = (ADDITIVITY, INDEPENDENCE)


def additivity(clean: FloatArray, a: FloatArray, b: FloatArray, both: FloatArray, sign: float) -> FloatArray:
    """Return r(a,b) of values with replicates, `float64[1 + B]` each; `sign` is −1 where lower is better."""
    return sign * (both - a - b + clean)


def independence(
    clean: FloatArray, a: FloatArray, b: FloatArray, both: FloatArray, chance: FloatArray, sign: float
) -> FloatArray:
    """Return k(a,b) − k(a,0)·k(0,b); NaN where the clean value is not better than chance."""
    margin = sign * (clean - chance)
    room = np.where(margin > 1e-12, margin, np.nan)
    kept_a, kept_b, kept = (sign * (x - chance) / room for x in (a, b, both))
    return np.asarray(kept - kept_a * kept_b)


def interactions(
    conditions: Sequence[Condition],
    clean: Measured,
    values: Mapping[str, Measured],
    metric: Metric,
    task: Task,
    unanswered: Collection[str] = (),
) -> Iterator[Score]:
    """Yield both residuals of every condition of a surface, and their means over each surface.

    Args:
        conditions: of the run.
        clean: the primary metric of the clean condition.
        values: the same of every condition, by key.
        metric: the primary metric.
        task: of the run.
        unanswered: keys of conditions under which the model gave no answer to some sample.
    """
    surfaces: dict[tuple[str, ...], list[Condition]] = {}
    for condition in conditions:
        if condition.probe == "surface":
            a, b = parts(condition)
            surfaces.setdefault((a.stream, b.stream), []).append(condition)
    for cells in surfaces.values():
        found: dict[str, list[FloatArray]] = {r.name: [] for r in RESIDUALS}
        for cell in cells:
            reason, residuals = _cell(cell, clean, values, metric, unanswered)
            fewest = _fewest(cell, clean, values)
            for residual in RESIDUALS:
                each = residuals[residual.name]
                found[residual.name].append(each)
                yield _row(cell.key, cell.label, residual.name, each, clean, fewest, residual, metric, task, reason)
        label = surface_name(cells[0])
        for residual in RESIDUALS:
            name = f"mean_{residual.name}"
            mean = np.mean(found[residual.name], axis=0)
            reason = "" if np.isfinite(mean[0]) else "the residual of at least one cell is undefined"
            fewest = min((_fewest(cell, clean, values) for cell in cells), key=lambda m: m.n)
            yield _row(digest(label, name), label, name, mean, clean, fewest, residual, metric, task, reason)


def surface_name(condition: Condition) -> str:
    """What the cells of one surface are called together: `surface[photo gaussian_noise × question keyboard]`."""
    both = (f"{p.modalities[0]} {p.probe.partition('.')[2]}" for p in parts(condition))
    options = [f", {side}={value}" for side, value in condition.options if side == "a.scale"]
    return f"surface[{' × '.join(both)}{''.join(options).replace('a.scale', 'scale')}]"


def _cell(
    cell: Condition, clean: Measured, values: Mapping[str, Measured], metric: Metric, unanswered: Collection[str]
) -> tuple[str, dict[str, FloatArray]]:
    """Both residuals of one cell; all NaN with the reason where one of its values is missing."""
    keys = (*(p.key for p in parts(cell)), cell.key)
    found = [values.get(key) for key in keys]
    nothing = {r.name: np.full(len(clean.values), np.nan) for r in RESIDUALS}
    known = [m for m in found if m is not None]
    if len(known) < 3:
        return "one of the two corruptions was not measured alone", nothing
    if any(key in unanswered for key in keys):
        return "not every sample has an answer under these conditions", nothing
    sign = 1.0 if metric.better == "higher" else -1.0
    start, a, b, both = (_adding(m.values, metric) for m in (clean, *known))
    chance = _adding(clean.chance, metric)
    residuals = {
        ADDITIVITY.name: additivity(start, a, b, both, sign),
        INDEPENDENCE.name: independence(start, a, b, both, chance, sign),
    }
    if not np.isfinite(residuals[ADDITIVITY.name][0]):
        return "one of the values is undefined", residuals
    return "", residuals


def _fewest(cell: Condition, clean: Measured, values: Mapping[str, Measured]) -> Measured:
    """Of the values that a cell's residuals are made of, the one that rests on the fewest samples."""
    found = (values.get(key) for key in (*(p.key for p in parts(cell)), cell.key))
    return min((clean, *(m for m in found if m is not None)), key=lambda m: m.n)


def _adding(values: FloatArray, metric: Metric) -> FloatArray:
    """The metric on the scale on which independent damage to a linear model adds up."""
    return np.square(values) if metric.name == "rmse" else values


def _row(
    key: str,
    label: str,
    name: str,
    values: FloatArray,
    clean: Measured,
    fewest: Measured,
    residual: Residual,
    metric: Metric,
    task: Task,
    reason: str,
) -> Score:
    value, units = float(values[0]), fewest.w.units
    low, high = interval(values[1:], value, units=units)
    unit = unit_of(residual, metric, task)
    if not reason and not np.isfinite(value):
        reason = "the clean value is not better than chance, so there is nothing to lose"
    error = standard_error(values[1:])
    why = uncertain(values, units)
    if unit == "share" and error == 0 and np.isfinite(value) and np.isfinite(metric.range).all():
        # As for a single share (`comparison.score_row`): no event among n samples does not mean that there are none.
        # Each sample of four conditions can move the residual by twice its share of the metric's range; a residual of
        # shares of what is above chance by more, the less that is.
        room = abs(float(clean.values[0]) - clean.floor) if residual is INDEPENDENCE else 1.0
        unseen = 2 * exact_bound(fewest.w) * (metric.range[1] - metric.range[0]) / room
        low, high = value - unseen, value + unseen
    elif why:
        low, high, reason = float("nan"), float("nan"), reason or f"{NO_INTERVAL}{why}"
    return Score(
        condition=key,
        label=label,
        metric=name,
        n=fewest.n,
        value=value,
        low=low,
        high=high,
        p=p_value(value, values[1:], units),
        mde=minimum_detectable_effect(error, units=units),
        unit=unit,
        better="neither",
        reason=reason,
    )


def unit_of(residual: Residual, metric: Metric, task: Task) -> str:
    """Unit of a residual's value."""
    if residual.unit is not None:
        return residual.unit
    unit = metric.unit_of(task)
    return f"({unit})²" if metric.name == "rmse" and unit else unit


def described(metric: Metric, task: Task) -> list[dict[str, str]]:
    """The residuals as the report lists metrics, in plain values."""
    return [
        {
            "name": f"{prefix}{r.name}",
            "better": "neither",
            "unit": unit_of(r, metric, task),
            "summary": f"{of}{r.summary}",
        }
        for prefix, of in (("", ""), ("mean_", "mean over a surface of "))
        for r in RESIDUALS
    ]
