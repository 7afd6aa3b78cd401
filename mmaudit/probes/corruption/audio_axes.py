"""What the audio corruptions share: time last, values that are not finite, what declines, silence.

A corruption is written for `x` [R, T], contiguous and finite: R channels of a waveform, or R frequencies of a
spectrogram. `over_time` brings a sample of any layout into that form and back; `along_time` does no more than that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array, Modality

AUDIO = ("audio",)
AUDIOMENTATIONS = "audiomentations 0.43"
AVROBUST = "AVRobustBench"

F = TypeVar("F", bound=Callable[..., Array])

# Beyond these, squares of float32 overflow or vanish, and the sample is brought to a peak of 1 meanwhile.
_LOUD, _FAINT = 1e12, 1e-12


def over_time(fn: F) -> F:
    """Make `fn(x, severity, …)` of `x` [R, T], which it may write to, a corruption of a sample in its own layout.

    Values that are not finite count as 0 and stay where they are, so that a NaN spoils nothing around it. An empty
    sample comes back as it is.
    """

    @wraps(fn)
    def finite(rows: Array, severity: float, **others: Any) -> Array:
        kept, broken = rows, None
        peak = max(float(rows.max()), -float(rows.min()))
        if not np.isfinite(peak):  # NaN is the maximum of anything that holds one
            broken = ~np.isfinite(kept)
            rows = np.where(broken, rows.dtype.type(0), kept)
            peak = max(float(rows.max()), -float(rows.min()))
        extreme = peak > _LOUD or 0 < peak < _FAINT
        if extreme:
            rows = (rows / peak).astype(rows.dtype)
        y = fn(rows, severity, **others)
        if extreme:
            limit = np.finfo(rows.dtype).max
            with np.errstate(over="ignore"):
                y = np.clip(np.multiply(y, peak, dtype=np.float64), -limit, limit).astype(rows.dtype)
        return y if broken is None else np.where(broken, kept, y)

    return along_time(cast(F, finite))


def along_time(fn: F) -> F:
    """As `over_time`, for a function that is to meet values that are not finite, or very large or small, itself.

    Whatever changes each value by itself needs no look at the others, and looking costs as much as changing.
    """
    signature = inspect.signature(fn)
    asks = "modality" in signature.parameters

    @wraps(fn)
    def corrupted(x: Array, severity: float, *, modality: Modality, **others: Any) -> Array:
        if not x.size:
            return x
        rows = np.ascontiguousarray(x.reshape(1, -1) if x.ndim == 1 else x.T if modality.time_axis == 0 else x)
        y = fn(rows, severity, **others, **({"modality": modality} if asks else {}))
        return y.reshape(x.shape) if x.ndim == 1 or modality.time_axis == 1 else y.T

    if not asks:
        given = inspect.Parameter("modality", inspect.Parameter.KEYWORD_ONLY, annotation=Modality)
        corrupted.__signature__ = signature.replace(parameters=[*signature.parameters.values(), given])  # type: ignore[attr-defined]
    return cast(F, corrupted)


def no_time(modality: Modality) -> str | None:
    """Return why it is unknown where time runs, or None where it is known."""
    if modality.time_axis is None:
        return f"{modality.name!r} of shape {modality.shape} declares no layout; audio of two axes needs one"
    return None


def no_waveform(modality: Modality) -> str | None:
    """Return why a modality is no waveform, or None where it is one."""
    if modality.spectrogram:
        return f"{modality.name!r} is a spectrogram, and this is done to waveforms"
    return no_time(modality)


def no_rate(modality: Modality) -> str | None:
    """Return why a modality is no waveform of known sampling rate, or None where it is one."""
    if reason := no_waveform(modality):
        return reason
    if not modality.sample_rate or not 0 < modality.sample_rate < float("inf"):
        return f"{modality.name!r} declares no sample_rate, and this is measured in Hz or seconds"
    return None


def rate_above(lowest: float) -> Callable[[Modality], str | None]:
    """Return a function that says why a modality is no waveform sampled above `lowest` Hz, None where it is one."""

    def declines(modality: Modality) -> str | None:
        if reason := no_rate(modality):
            return reason
        if sampling_rate(modality) <= lowest:
            return (
                f"{modality.name!r} is sampled at {modality.sample_rate:g} Hz, and this needs more than {lowest:g} Hz"
            )
        return None

    return declines


def sampling_rate(modality: Modality) -> float:
    """Return the sampling rate in Hz of a modality that `no_rate` has nothing to say against."""
    assert modality.sample_rate is not None
    return float(modality.sample_rate)


def require_below(name: str, severity: float, most: float, unit: str) -> None:
    """Raise `BadInput` for a severity above what still means something."""
    if severity > most:
        raise BadInput(f"{name}: severity {severity:g} is above {most:g} {unit}, beyond any recording; give less.")


def silence(x: Array, modality: Modality) -> float:
    """Return what silence reads like: 0 in a waveform, the lowest value in a spectrogram (linear or logarithmic).

    Waveforms of unsigned integers, whose silence is their middle, come here without it (`canonical.forward`).
    """
    return float(x.min()) if modality.spectrogram else 0.0
