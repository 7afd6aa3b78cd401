"""What all probes have in common that take a modality away from some of the samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmaudit.errors import BadInput
from mmaudit.probes import stand_in
from mmaudit.probes.scope import Scope
from mmaudit.probes.source import Source, writable
from mmaudit.types import Batch, BoolArray, Condition, Modality


def withhold(batch: Batch, condition: Condition, source: Source, lost: Mapping[str, BoolArray]) -> Batch:
    """Return the batch without the modalities in the rows where `lost`, per modality `bool[n]`, says so.

    Baseline `native` marks them as not present; the others put their stand-in there and leave the marks as they are.
    Rows that lack a modality already stay as they are.
    """
    inputs, present = {}, {}
    for m, rows in lost.items():
        rows = rows & batch.present[m]
        if baseline_of(condition) == "native":
            present[m] = batch.present[m] & ~rows
        else:
            inputs[m] = writable(batch.inputs[m])
            inputs[m][rows] = source.stand_in(baseline_of(condition), m, batch, condition.repeat)[rows]
    return batch.replace(inputs, present)


def baseline_of(condition: Condition) -> str:
    """Return the missing baseline of a condition; raises `BadInput` where it names none."""
    baseline = condition.option("baseline")
    if baseline is None:
        raise BadInput(f"{condition.label} has no option 'baseline'; give one, such as ('baseline', 'zero').")
    return baseline


def rate_of(condition: Condition) -> float:
    """Return the severity of a condition as a share; raises `BadInput` where it is outside [0, 1]."""
    rate = condition.severity
    if rate is None or not 0 <= rate <= 1:
        raise BadInput(f"{condition.label}: severity {rate} must be a share of the samples, in [0, 1].")
    return float(rate)


def first_baseline(scope: Scope, modalities: Sequence[Modality]) -> str | None:
    """Return the first baseline asked for that all these modalities and the model can have, or None."""
    return next(
        (
            b
            for b in scope.baselines
            if (b != "native" or scope.native) and not any(stand_in.declines(b, m) for m in modalities)
        ),
        None,
    )


def no_baseline(names: Sequence[str]) -> str:
    """Return the reason why a probe declines modalities for which no baseline asked for applies."""
    return f"no missing baseline asked for applies to {', '.join(map(repr, names))}; add 'zero' or 'marginal'"
