"""What the audited model relies on: every estimator of a modality's share in what it does, from a run's files alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mmaudit.estimates import Estimate
from mmaudit.metrics import Resamples
from mmaudit.reliance import agreement as _agreement
from mmaudit.reliance import attributed, crossed, indices, shuffling, standins
from mmaudit.reliance.agreement import about_others
from mmaudit.reliance.explaining import explain_disagreement
from mmaudit.reliance.found import Found
from mmaudit.reliance.table import Values, value_metric
from mmaudit.store import Run
from mmaudit.types import FloatArray

__all__ = ["about_others", "estimates", "explain_disagreement", "value_metric"]


def estimates(
    run: Run,
    w: Resamples,
    only: Collection[str] = (),
    *,
    measured: Mapping[str, FloatArray] | None = None,
) -> list[Estimate]:
    """Return every estimate of reliance that the run's files allow, all samples first, then groups.

    Args:
        run: predicted; what it was not asked (no `missing`, no `mismatch`, no attributions) has no estimates.
        w: the resamples of all its samples that scores use, so that everything is paired.
        only: names of estimators; all of them without it.
        measured: what is known already of `value_metric(run.task)`: estimate and replicates by condition key, over
            exactly the samples answered on clean data.

    Raises:
        DamagedRun: a file of the run cannot be read.
    """
    values = Values(run, w, measured)
    combined = crossed.estimates(run, w, values.positions)
    found: list[Found | Estimate] = []
    found += indices.indices(values)
    found += shuffling.perceptual_scores(values)
    found += attributed.attributions(run, w)
    found += [e for e in combined if not e.group]
    found += standins.off_data(run, w)
    found += _agreement.agreement(found, values.w, besides=about_others(run))
    found += indices.grouped(values)
    found += shuffling.grouped_scores(values)
    found += [e for e in combined if e.group]
    every = [f.estimate if isinstance(f, Found) else f for f in found]
    return [e for e in every if not only or e.estimator in only]
