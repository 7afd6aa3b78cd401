"""Modalities out of step: a sequence too early or too late, an image displaced.

How well people notice it is standardised for sound and picture: ITU-R BT.1359-1 puts the detectability of sound that
comes too early at 45 ms and too late at 125 ms, its acceptability at 90 ms and 185 ms.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.kernels.shift import translated
from mmaudit.probes import canonical
from mmaudit.probes.base import probe, probes
from mmaudit.probes.mismatch import alone
from mmaudit.probes.scope import SHIFTS, Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.threads import over_rows
from mmaudit.types import Array, Batch, Condition, Modality

SEQUENCES = ("audio", "series")
DIRECTIONS = ("earlier", "later")
STATIC = "static"
# A tolerance curve needs at least this many points; slower or shorter sequences get steps of their own.
FEWEST = 3
MOST_STEPS = 7
_SATURATES = "a sequence far out of step is no further from itself than one that is a little out of step"


def clock(modality: Modality) -> float | None:
    """Return the samples per second along the time axis; None where they are not known.

    The sample rate of a spectrogram is that of the waveform behind it and says nothing about its frames.
    """
    return None if modality.spectrogram else modality.sample_rate


def steps(modality: Modality, shifts: tuple[float, ...] = SHIFTS) -> list[int]:
    """Return the shifts to try, in whole samples: those asked for in ms, else 1, 2, 4, … up to 64.

    All are shorter than the sequence, where its length is known: sequences of different lengths are moved as far as is
    asked, the shorter ones out of themselves. Doubling steps stand in where no rate is known, or where nobody asked and
    fewer than three of the usual shifts are at least one sample long and shorter than the sequence.
    """
    assert modality.time_axis is not None
    length = modality.shape[modality.time_axis] or 2**62
    rate = clock(modality)
    asked = {round(ms * rate / 1000) for ms in shifts} if rate else set()
    usable = sorted(k for k in asked if 1 <= k < length)
    if rate and (len(usable) >= FEWEST or tuple(shifts) != SHIFTS):
        return usable
    return [2**i for i in range(MOST_STEPS) if 2**i < length]


def _sequences(scope: Scope) -> list[Modality]:
    return [m for m in scope.modalities if m.time_axis is not None]


def _time_grid(scope: Scope, name: str, in_ms: bool) -> Iterator[Condition | Declined]:
    yield from alone(name, scope)
    if len(scope.modalities) < 2:
        return
    sequences = _sequences(scope)
    for modality in scope.modalities:
        if modality.kind not in SEQUENCES:
            continue
        rate = clock(modality)
        if modality.time_axis is None:
            yield Declined(name, (modality.name,), f"{modality.name!r} does not declare along which axis time runs")
        elif in_ms and rate is None:
            reason = f"{modality.name!r} has no sample rate in time; 'temporal_shift_samples' shifts it in samples"
            yield Declined(name, (modality.name,), reason)
        elif in_ms == (rate is not None):
            if reason := _too_short(modality, scope.shifts, rate):
                yield Declined(name, (modality.name,), reason)
            others = _listed(sorted(m.name for m in sequences if m is not modality))
            for direction in DIRECTIONS:
                options = (("direction", direction), ("relative_to", others))
                for count in steps(modality, scope.shifts):
                    severity = float(f"{1000 * count / rate:.6g}") if in_ms and rate else float(count)
                    yield probes.get(name).condition((modality.name,), severity, options)


def _too_short(modality: Modality, shifts: tuple[float, ...], rate: float | None) -> str:
    """Which shifts cannot be run, and why: all, or some of those asked for in ms; empty where all can."""
    assert modality.time_axis is not None
    if modality.shape[modality.time_axis] == 1:
        return f"{modality.name!r} is one sample long, so nothing in it can come earlier or later"
    if rate is None:
        return ""
    left = [ms for ms in shifts if round(ms * rate / 1000) not in steps(modality, shifts)]
    if tuple(shifts) == SHIFTS or not left:
        return ""
    listed = ", ".join(f"{ms:g}" for ms in left)
    return f"a shift of {listed} ms is shorter than one sample, or not shorter than the sequence, at {rate:g} Hz"


def _listed(names: list[str]) -> str:
    return f"{len(names)} other sequences" if len(names) > 2 else "+".join(names) or STATIC


@probe(
    "temporal_shift",
    family="mismatch",
    grid=lambda scope: _time_grid(scope, "temporal_shift", True),
    unit="ms",
    kinds=SEQUENCES,
    source="mmaudit; thresholds for people: ITU-R BT.1359-1",
    not_monotone=_SATURATES,
)
def temporal_shift(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One sequence earlier or later than everything else, by milliseconds.

    Severity is the shift in ms, rounded to whole samples; the option `direction` says which way: `later` delays the
    sequence (its start is filled), `earlier` advances it (its end is filled). The shape stays. What comes in is
    silence for sound (0; the middle of unsigned numbers) and the outermost value for every other series and for
    spectrograms. The option `relative_to` names the other sequences, which stay in place. Where there are none
    (`static`), nothing is out of step, and this is robustness to a late start. With three sequences, shifting one is
    shifting it against both others; two of them shifted together are not out of step with each other.
    """
    return _in_time(batch, condition, source)


@probe(
    "temporal_shift_samples",
    family="mismatch",
    grid=lambda scope: _time_grid(scope, "temporal_shift_samples", False),
    unit="samples",
    kinds=SEQUENCES,
    source="mmaudit; as temporal_shift",
    not_monotone=_SATURATES,
)
def temporal_shift_samples(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One sequence earlier or later than everything else, by samples where its rate is unknown.

    As `temporal_shift`, for series without a sample rate and for the frames of spectrograms.
    """
    return _in_time(batch, condition, source)


def _in_time(batch: Batch, condition: Condition, source: Source) -> Batch:
    direction, severity = condition.option("direction"), condition.severity
    assert severity is not None  # a probe with a unit has one
    if direction not in DIRECTIONS:
        raise BadInput(f"{condition.label}: direction {direction!r} is not one of {', '.join(DIRECTIONS)}.")
    inputs = {}
    for name in condition.modalities:
        modality = source.modality(name)
        rate = clock(modality)
        if modality.time_axis is None or (condition.probe == "temporal_shift" and rate is None):
            raise BadInput(f"{condition.label}: {name!r} declares no time axis, or no sample rate to count ms by.")
        count = round(severity * rate / 1000) if condition.probe == "temporal_shift" and rate else round(severity)
        new = batch.inputs[name].copy()
        rows = np.flatnonzero(batch.present[name])
        by = count if direction == "later" else -count
        if new.dtype == object:
            for row in rows.tolist():
                new[row] = shifted(np.asarray(new[row])[None], by, modality)[0]
        elif len(rows):
            new[rows] = shifted(new[rows], by, modality)
        inputs[name] = new
    return batch.replace(inputs)


def shifted(x: Array, by: int, modality: Modality) -> Array:
    """Return samples [n, …] moved along their time axis by whole samples, later where `by` is above 0."""
    assert modality.time_axis is not None
    axis = modality.time_axis + 1
    length = x.shape[axis]
    count = min(abs(by), length)
    if not count:
        return x.copy()
    moved = np.moveaxis(x, axis, 1)
    out = np.empty_like(moved)
    kept, filled = (slice(count, None), slice(None, count)) if by > 0 else (slice(None, -count), slice(-count, None))
    out[:, kept] = moved[:, : length - count] if by > 0 else moved[:, count:]
    if modality.kind == "audio" and not modality.spectrogram:
        out[:, filled] = _silence(x, modality)
    else:
        out[:, filled] = moved[:, :1] if by > 0 else moved[:, -1:]
    return np.ascontiguousarray(np.moveaxis(out, 1, axis))


def _silence(x: Array, modality: Modality) -> Array:
    return canonical.settle(np.full((), canonical.middle(modality, x.dtype)), x.dtype, modality)


def _space_grid(scope: Scope) -> Iterator[Condition | Declined]:
    yield from alone("spatial_shift", scope)
    for modality in scope.modalities if len(scope.modalities) > 1 else ():
        if modality.kind != "image":
            continue
        reason = canonical.declines(modality)
        if not reason and _sides(modality) == (1, 1):
            reason = f"{modality.name!r} is a single pixel, which cannot be displaced"
        if reason:
            yield Declined("spatial_shift", (modality.name,), reason)
            continue
        probe_ = probes.get("spatial_shift")
        for repeat in range(scope.repeats):
            for position in scope.positions:
                yield probe_.condition((modality.name,), probe_.severities[position - 1], repeat=repeat)


@probe(
    "spatial_shift",
    family="mismatch",
    grid=_space_grid,
    unit="share of the side",
    severities=(0.02, 0.04, 0.08, 0.12, 0.16),
    kinds=("image",),
    source="mmaudit; a translation, as in ImageNet-P (Hendrycks and Dietterich 2019), by shares of the side",
)
def spatial_shift(batch: Batch, condition: Condition, source: Source) -> Batch:
    """An image displaced against the other modalities, in a random direction.

    Severity is how far, as a share of the shorter side; the direction is drawn per sample, the same at every
    severity. Bilinear between pixels, so a fraction of a pixel is a shift too; what comes in at the edges repeats
    them. An image one pixel wide or high moves along its other side.
    """
    severity = condition.severity
    assert severity is not None  # a probe with a unit has one
    return batch.replace({m: _displaced(batch, condition, source, m, severity) for m in condition.modalities})


def _sides(modality: Modality) -> tuple[int | None, ...]:
    return modality.shape[1:] if modality.layout == "CHW" else modality.shape[:2]


def _displaced(batch: Batch, condition: Condition, source: Source, name: str, severity: float) -> Array:
    modality, array = source.modality(name), batch.inputs[name]
    angles = 2 * np.pi * source.uniforms(condition, name, batch)
    rows = np.flatnonzero(batch.present[name])
    new = array.copy()

    def work(start: int, end: int) -> None:
        for row in rows[start:end].tolist():
            sample = np.asarray(array[row])
            x = canonical.forward(sample[None], modality)[0]
            way = np.array([np.sin(angles[row]), np.cos(angles[row])])
            sides = np.array(x.shape[:2])
            if sides.min() == 1:  # only one way to go
                way = np.where(sides > 1, np.where(way < 0, -1.0, 1.0), 0.0)
            down, right = severity * sides[sides > 1].min(initial=sides.max()) * way
            new[row] = canonical.backward(translated(x, down, right)[None], sample.dtype, modality)[0]

    over_rows(work, len(rows), parallel=len(rows) > 8)
    return new
