"""The form in which a corruption sees one sample, and the way there and back.

Images become float32 [H, W, C] in [0, 1]; text is `str`; other kinds are float32 (float64 where float32 would lose
digits) in their own shape and units, waveforms of unsigned integers around 0. On the way back: legal range, dtype,
layout.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from mmaudit.errors import NotApplicable
from mmaudit.kernels import cast
from mmaudit.types import Array, BoolArray, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics
    from mmaudit.probes.source import Source

# Beyond this a float64 cannot tell neighbouring integers apart, and a cast back to int64 may overflow.
_EXACT = 2.0**53


def declines(modality: Modality) -> str | None:
    """Return why a modality has no canonical form, or None where it has one."""
    if modality.kind != "image":
        return None
    if modality.layout not in ("HW", "HWC", "CHW"):
        return f"{modality.name!r} declares the layout {modality.layout!r}; images need HW, HWC or CHW"
    if legal_range(modality, np.dtype(modality.dtype)) is None:
        return f"{modality.name!r} is a float image without a legal range; declare Modality(range=...)"
    return None


def legal_range(modality: Modality, dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """Return the declared range, else that of an integer or boolean dtype, else None."""
    if modality.range is not None:
        return modality.range
    if dtype.kind == "b":
        return 0.0, 1.0
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return max(float(info.min), -_EXACT), min(float(info.max), _EXACT)
    return None


def middle(modality: Modality, dtype: np.dtype[Any]) -> float:
    """Return the value at which a waveform rests: of unsigned integers the middle of their legal range, else 0.

    128 of 8-bit PCM, which WAV files hold as unsigned numbers: Microsoft and IBM, Multimedia Programming Interface and
    Data Specifications 1.0, 1991.
    """
    if modality.kind != "audio" or modality.spectrogram or dtype.kind != "u":
        return 0.0
    low, high = legal_range(modality, dtype) or (0.0, 0.0)
    return float(np.ceil((low + high) / 2))


def working_dtype(dtype: np.dtype[Any]) -> type[np.float32] | type[np.float64]:
    """Return the float type that holds every value of `dtype` exactly, as far as there is one."""
    wide = dtype.itemsize > 4 if dtype.kind == "f" else dtype.itemsize > 2
    return np.float64 if wide else np.float32


def forward(samples: Array, modality: Modality) -> Array:
    """Return a canonical copy of numeric samples of one shape, `[n, …]`.

    Waveforms of unsigned integers come without their `middle`, so that silence is 0 for every corruption: the same
    sound as int16 and as uint16 is the same numbers.
    """
    if modality.kind != "image":
        own: Array = samples.astype(working_dtype(samples.dtype))
        rest = middle(modality, samples.dtype)
        return own - rest if rest else own
    low, high = _image_range(modality, samples.dtype)
    x = np.ascontiguousarray(samples, dtype=np.float32 if samples.dtype == np.float16 else None)
    unit: Array = cast.to_unit(x, np.float32(low), np.float32(1 / (high - low)))
    return _hwc(unit, modality)


def backward(x: Array, dtype: np.dtype[Any], modality: Modality) -> Array:
    """Return canonical `x`, `[n, …]`, in the layout and legal range of the modality and in `dtype`."""
    if modality.kind != "image":
        # Rounded before the middle is added: float32 would lose digits, and halves go to the even number around 0.
        rest = middle(modality, dtype)
        return settle(np.rint(x) + rest if rest else x, dtype, modality)
    low, high = _image_range(modality, dtype)
    if modality.layout == "HW":
        x = x[..., 0]
    elif modality.layout == "CHW":
        x = np.moveaxis(x, -1, -3)
    x = np.ascontiguousarray(x)
    if dtype.kind not in "iu" or dtype.itemsize > 2:
        # Wide integers, too: float32 has not the digits to meet their limits.
        return settle(np.multiply(x, high - low, dtype=working_dtype(dtype)) + low, dtype, modality)
    out = np.empty(x.shape, dtype)
    cast.from_unit(x, np.float32(low), np.float32(high - low), out)
    return out


def settle(x: Array, dtype: np.dtype[Any], modality: Modality) -> Array:
    """Return float values `x`, in the modality's own units, clipped to its legal range and in `dtype`."""
    limits = legal_range(modality, dtype)
    if limits is not None:
        x = np.clip(x, limits[0], limits[1])
    if dtype.kind in "iub":
        x = np.rint(x)
    return x.astype(dtype, copy=False)


def numbers(modality: Modality) -> BoolArray | np.bool_:
    """Return where a sample holds numbers to calculate with: all but categorical columns, as `bool[columns]`.

    A single True where no column is categorical.
    """
    if not modality.categorical:
        return np.True_
    found = np.ones(modality.shape[0] or 0, np.bool_)
    found[list(modality.categorical)] = False
    return found


def only_numbers(new: Array, old: Array, modality: Modality) -> Array:
    """Return `new` with the categorical columns, along the last axis, as they are in `old`."""
    return np.where(numbers(modality), new, old) if modality.categorical else new


def statistics_of(source: Source, name: str) -> ModalityStatistics:
    """Return mean, standard deviation and modes of a modality in canonical form; raises `NotApplicable` without any."""
    found = source.statistics.get(name)
    if found is None:
        raise NotApplicable(f"modality {name!r} has no mean and standard deviation to scale noise with")
    modality = source.modality(name)
    mean, std = np.asarray(found.mean), np.asarray(found.std)
    dtype = working_dtype(np.dtype(modality.dtype))
    if modality.kind == "image":
        low, high = _image_range(modality, np.dtype(modality.dtype))
        mean, std, dtype = (mean - low) / (high - low), std / (high - low), np.float32
        if mean.ndim:
            mean, std = _hwc(mean, modality), _hwc(std, modality)
    mean = mean - middle(modality, np.dtype(modality.dtype))
    mode: Any = None if found.mode is None else found.mode.astype(dtype)
    return dataclasses.replace(found, mean=mean.astype(dtype), std=std.astype(dtype), mode=mode)


def _hwc(x: Array, modality: Modality) -> Array:
    if modality.layout == "HW":
        return x[..., None]
    return np.ascontiguousarray(np.moveaxis(x, -3, -1)) if modality.layout == "CHW" else x


def _image_range(modality: Modality, dtype: np.dtype[Any]) -> tuple[float, float]:
    limits = legal_range(modality, dtype)
    if limits is None:
        raise NotApplicable(declines(modality) or f"image {modality.name!r} has no legal range")
    return limits
