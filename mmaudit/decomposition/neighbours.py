"""Information about a continuous target without the assumption of normal residuals, from nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.decomposition.rows import clusters
from mmaudit.estimates import Estimate, estimator
from mmaudit.information.crossfitted import DATA, CrossFitted
from mmaudit.information.mutual_information import ksg_information
from mmaudit.kernels.bootstrap import Resamples

KSG = estimator(
    "ksg_information",
    family="synergy",
    unit="bits",
    summary="mutual information of what a subset of the modalities predicts and a continuous target, from nearest "
    "neighbours: where it is well above `information`, the Gaussian form misses something",
    source="Kraskov, Stögbauer & Grassberger 2004",
)


def ksg_rows(crossfitted: CrossFitted, w: Resamples) -> Iterator[Estimate]:
    """Yield what each subset's out-of-fold prediction says about a target of one dimension; nothing for others.

    The prediction is a single number, the mean over seeds, so that the estimator is asked in two dimensions, where it
    is good; on raw features of many dimensions it would lose most of the information.

    Args:
        crossfitted: predictors of the truth.
        w: resamples of its rows, of which only the clusters are used.
    """
    if crossfitted.target.dtype.kind != "f" or crossfitted.target.shape[1] != 1:
        return
    target = crossfitted.target[:, 0]
    for subset in crossfitted.subsets(DATA):
        found = ksg_information(crossfitted.get(DATA, subset).mean(axis=0)[:, 0], target, cluster=clusters(w))
        yield Estimate(
            KSG,
            subset,
            (("of", DATA),),
            n=found.n,
            value=found.value,
            low=found.low,
            high=found.high,
            null=found.null,
            p=found.p,
            unit="bits",
            reason="; ".join(filter(None, (found.reason, found.limit))),
        )
