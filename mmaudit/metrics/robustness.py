"""Robustness summaries: one number from the clean value and the values under several conditions.

Plain functions of values that carry their replicates: the last axis is `[1 + B]`, the estimate first, then its B
bootstrap replicates (`beside`). So a summary of replicates is the replicate of the summary, and its interval is paired.

    clean       float64[1 + B]                 one metric under the clean condition
    perturbed   float64[conditions, 1 + B]     the same metric under each condition
    chance      float64[1 + B]                 its chance level, resampled too (`Metric.chances`); or one number

All but `mmi` and `chance_normalised_drop` (drops: lower is better) and `worst_case` (in the metric's own direction) are
better when higher, whatever the direction of the metric: among curves that never beat the clean value a flat one
scores best, and a curve that is worse somewhere and better nowhere never scores higher, for error metrics too.
Undefined is NaN; `why_undefined` gives the reason.
"""

from __future__ import annotations

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.kernels.bootstrap import ratio
from mmaudit.types import Array, Better, FloatArray


def beside(value: float, replicates: FloatArray) -> FloatArray:
    """Return `float64[1 + B]`: the estimate, then its replicates."""
    return np.concatenate([[value], replicates])


def mmi(clean: FloatArray, perturbed: FloatArray, better: Better) -> FloatArray:
    """MultiModal Impact: share of the clean value lost on average, (s_clean − mean s_perturbed) / s_clean.

    Qiu et al., Benchmarking Robustness of Multimodal Image-Text Models under Distribution Shift (DMLR 2024). For
    error metrics the sign is turned, (mean e_perturbed − e_clean) / e_clean, so that more is always worse. It knows no
    chance floor: falling from 82 % to 52 % on a two-way task is an MMI of 37 % and all there was to lose; see
    `chance_normalised_drop`. NaN where the clean value is not above 0.
    """
    return _sign(better) * ratio((clean - perturbed).mean(axis=0), _positive(clean))


def relative_robustness(clean: FloatArray, perturbed: FloatArray, better: Better) -> FloatArray:
    """Share of the clean value kept, mean over conditions: s_perturbed / s_clean; 1 is unharmed.

    For goodness metrics this is 1 − MMI, the rPC of Michaelis et al. 2019 and the mRA of MultiCorrupt. For error
    metrics each term is e_clean / e_perturbed, so 1 is still unharmed and 0 the limit of ever larger errors (NaN where
    an error is 0, clean or perturbed: of no error nothing can be kept). Not the *relative robustness* of MultiBench,
    which is an area: see `severity_area`.
    """
    return np.asarray(_kept(clean, perturbed, better).mean(axis=0))


def chance_normalised_drop(
    clean: FloatArray, perturbed: FloatArray, chance: FloatArray | float, better: Better
) -> FloatArray:
    """Share of the above-chance value lost, mean over conditions: (clean − perturbed) / (clean − chance).

    0 is unharmed, 1 is no better than ignoring the inputs, above 1 is worse than that, below 0 is better than clean.
    The formula is the same in both directions, as the signs of both differences turn. NaN where the clean value is
    not better than chance: there is nothing to lose.
    """
    return ratio((clean - perturbed).mean(axis=0), _margin(clean, chance, better))


def severity_area(
    severity: FloatArray,
    clean: FloatArray,
    perturbed: FloatArray,
    better: Better,
    chance: FloatArray | float = float("nan"),
) -> FloatArray:
    """Share of the clean value kept, averaged over severity: normalised area under the severity curve.

    Trapezoids over severities 0 (clean, where the share is 1) to the largest one, divided by it. With a chance level,
    kept is 1 − chance-normalised drop; without (NaN), it is as in `relative_robustness`. 1 is a flat curve. MultiBench
    (Liang et al. 2021) takes the area under the raw metric, so for its error metrics an exploding curve scores best.

    Args:
        severity: `float64[conditions]`, positive and increasing; or positions 1, 2, …, or missing rates.
        clean, perturbed, chance, better: see the module.

    Raises:
        BadInput: when severities are not positive and increasing, or not one per condition.
    """
    severity = np.asarray(severity, np.float64)
    if len(severity) != len(perturbed) or not len(severity):
        raise BadInput(f"{len(severity)} severities for {len(perturbed)} conditions; give one for each.")
    if not (np.diff(severity, prepend=0.0) > 0).all():
        raise BadInput(f"severities {severity.tolist()} must be positive and increasing; 0 is the clean condition.")
    if np.isnan(np.ravel(chance)[0]):
        kept = _kept(clean, perturbed, better)
    else:
        kept = 1 - ratio(clean - perturbed, np.broadcast_to(_margin(clean, chance, better), perturbed.shape))
    start = np.where(np.isnan(kept[:1]), np.nan, 1.0)
    heights = np.concatenate([start, kept])
    widths = np.diff(severity, prepend=0.0) / severity[-1]
    return np.asarray((widths[:, None] * (heights[1:] + heights[:-1]) / 2).sum(axis=0))


def worst_case(perturbed: FloatArray, better: Better) -> tuple[FloatArray, int]:
    """Return the worst value over conditions, per replicate, and the place of the condition that is worst.

    Which condition is worst may differ between replicates, so the replicates are a little worse than the estimate.
    Conditions whose estimate is NaN are left out; NaN and −1 where all are.
    """
    known = np.flatnonzero(~np.isnan(perturbed[:, 0]))
    if not len(known):
        return np.full(perturbed.shape[1], np.nan), -1
    harm = -_sign(better) * perturbed[known]
    worst = -_sign(better) * harm.max(axis=0)
    return np.asarray(worst), int(known[np.argmax(harm[:, 0])])


def why_undefined(clean: float, better: Better, floor: float = float("nan")) -> str:
    """Return the reason why a summary of this clean value is NaN; empty when it is defined.

    Give the floor for `chance_normalised_drop` and `severity_area` with a floor, none for the others.
    """
    if np.isnan(clean):
        return "the clean value is undefined"
    if np.isnan(floor):
        return "" if clean > 0 else f"the clean value {clean:.4g} is not above 0, so no share of it can be lost"
    if _sign(better) * (clean - floor) > 0:
        return ""
    return f"the clean value {clean:.4g} is not better than chance ({floor:.4g}), so there is nothing to lose"


def _sign(better: Better) -> int:
    if better == "neither":
        raise BadInput("robustness summaries need a direction; a metric with better='neither' has none.")
    return 1 if better == "higher" else -1


def _kept(clean: FloatArray, perturbed: FloatArray, better: Better) -> FloatArray:
    base = np.broadcast_to(_positive(clean), perturbed.shape)
    return ratio(perturbed, base) if _sign(better) > 0 else ratio(base, perturbed)


def _positive(x: FloatArray) -> FloatArray:
    return np.where(x > 0, x, np.nan)


def _margin(clean: FloatArray, chance: FloatArray | float, better: Better) -> FloatArray:
    margin: Array = clean - chance
    return np.where(_sign(better) * margin > 0, margin, np.nan)
