"""Rows of a batch as the inputs of a transformers model: pixels, tokens, audio features, one row at a time.

A row is prepared alone and is never padded to the length of its neighbours: rows of one shape are run together. So a
row's answer does not depend on what it is batched with, whatever a model makes of padding.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mmaudit.errors import BadInput
from mmaudit.types import Array, IntArray, Modality

Kind = Literal["image", "text", "audio"]
"""What a modality is to the model: decides which part of the processor prepares it."""

Row = dict[str, Tensor]
"""One row's inputs by the names that the model's `forward` has, each with a first axis: 1, or its patches."""

_PARTS = {"image": "image_processor", "text": "tokenizer", "audio": "feature_extractor"}
# Longer than any model reads; a tokenizer that states no limit says 10³⁰.
_LONGEST = 10**6
# Some preprocessing and some models draw from the global generators; they are set and put back within.
_GENERATORS = threading.RLock()


class Rows:
    """Prepares the rows of one modality.

    Args:
        who: starts error messages.
        modality: its name in the data.
        kind: decides the part of the processor.
        processor: a transformers processor.
        longest: most tokens that the model reads.
        pad: pad texts to `longest`, as for models that were trained so; else they are not padded.
        sample_rate: of the data, in Hz; audio only.
        resample: convert audio of another sample rate to the one that the feature extractor was made for.
        limits: lowest and highest legal value of audio in the data; see `waveform`.

    Raises:
        BadInput: the processor has no such part, the sample rate is missing or another, or the limits are none.
    """

    def __init__(
        self,
        who: str,
        modality: str,
        kind: Kind,
        processor: Any,
        *,
        longest: int = _LONGEST,
        pad: bool = False,
        sample_rate: float | None = None,
        resample: bool = False,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.who, self.modality, self.kind = who, modality, kind
        self.part: Any = getattr(processor, _PARTS[kind], None)
        if self.part is None:
            raise BadInput(f"{who}: {modality!r} is {kind}, and its processor has no {_PARTS[kind]}.")
        limit = getattr(self.part, "model_max_length", _LONGEST)
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 1:
            raise BadInput(
                f"{who}: its tokenizer_config.json states model_max_length {limit!r:.60}, expected a number of tokens; "
                "correct it there."
            )
        self._longest = int(min(longest, limit, _LONGEST))
        self._pad = pad
        self._rates: tuple[int, int] | None = None
        if kind == "audio":
            self._rates = _rates(who, modality, self.part, sample_rate, resample)
        if limits is not None and not -np.inf < limits[0] < limits[1] < np.inf:
            raise BadInput(f"{who}: audio_range={limits!r} of {modality!r} is not usable; give (lowest, highest).")
        self._limits = limits

    def disagreement(self, declared: Modality) -> str:
        """Return in what the data set declares its audio otherwise than the adapter was told; "" where it agrees."""
        if self._rates is None:
            return ""
        given, rate = self._rates[0], declared.sample_rate
        if rate is not None and rate != given:
            return f"the data are sampled at {rate:g} Hz, and the model was told sample_rate={given:g}; give {rate:g}"
        dtype = np.dtype(declared.dtype)
        if declared.range is None or _scale(dtype, self._limits) == _scale(dtype, declared.range):
            return ""
        low, high = declared.range
        told = "none" if self._limits is None else f"({self._limits[0]:g}, {self._limits[1]:g})"
        return (
            f"the data go from {low:g} to {high:g}, and the audio_range that the model was told is {told}; give "
            f"audio_range={{{self.modality!r}: ({low:g}, {high:g})}}"
        )

    def prepare(self, values: Array) -> list[Row]:
        """Return each row's inputs.

        Args:
            values: images as uint8 [n, H, W] or [n, H, W, 1 or 3] (or an object array of such, of any sizes); text as
                `str`, None counting as empty; audio of one channel [n, T] (or an object array), as `waveform` takes it.

        Raises:
            BadInput: values of another form.
        """
        return [self._row(value) for value in values]

    def _row(self, value: Any) -> Row:
        if self.kind == "image":
            return _tensors(self.part(images=[picture(self.who, self.modality, value)], return_tensors="pt"))
        if self.kind == "audio":
            return self._sound(value)
        # An empty list of settings would pad to a length that depends on the tokenizer's last use.
        padding = {"padding": "max_length"} if self._pad else {"padding": False}
        limit = {"truncation": True, "max_length": self._longest} if self._longest < _LONGEST else {}
        return _tensors(self.part([text(self.who, self.modality, value)], return_tensors="pt", **padding, **limit))

    def _sound(self, value: Any) -> Row:
        assert self._rates is not None
        wave = waveform(self.who, self.modality, value, self._limits)
        given, wanted = self._rates
        if given != wanted:
            from scipy.signal import resample_poly

            wave = resample_poly(wave, wanted, given)
        # CLAP cuts long audio at random: with the same draws for every row the cut depends on its length alone.
        with same_draws():
            found = _tensors(self.part([wave], sampling_rate=wanted, return_tensors="pt"))
        if "is_longer" in found and found["input_features"].shape[1] > 1:
            # Of a batch without long audio CLAP's extractor declares one row long, at random; alone, that is this one.
            # The four spectrograms of audio that is not long are copies of one.
            mel = found["input_features"][0]
            found["is_longer"] = torch.tensor([[not bool((mel[0] == mel[1:]).all())]])
        return found


def picture(who: str, modality: str, value: Any) -> Array:
    """Return one image as uint8 [H, W, 3], for Pillow; grey is repeated."""
    found = np.asarray(value)
    if found.ndim == 3 and found.shape[-1] == 1:
        found = found[..., 0]
    if found.dtype != np.uint8 or found.ndim not in (2, 3) or (found.ndim == 3 and found.shape[-1] != 3):
        raise BadInput(
            f"{who}: {modality!r} holds images of {found.dtype} {list(found.shape)}; expected uint8 [H, W, 3], "
            "[H, W, 1] or [H, W] with values 0 to 255, of any size: resizing and normalising is the processor's."
        )
    return np.repeat(found[..., None], 3, axis=-1) if found.ndim == 2 else found


def text(who: str, modality: str, value: Any) -> str:
    """Return one text; None is the empty one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"{who}: {modality!r} is text to the model, and holds {type(value).__name__}; expected str.")
    return str(value)


def waveform(who: str, modality: str, value: Any, limits: tuple[float, float] | None = None) -> Array:
    """Return one waveform as float64 [T], full scale −1 to 1 and silence 0.

    Args:
        who, modality: for messages.
        value: numbers of shape [T], [1, T] or [T, 1].
        limits: the lowest and highest legal value, as the data set declares them. Without them integers are of their
            type's range, and floats are taken as they are.

    Silence is where the corruptions have it: in the middle of the limits of unsigned integers, else at 0.

    Raises:
        BadInput: it is of another shape, or holds no numbers.
    """
    found = np.asarray(value)
    if found.ndim == 2 and 1 in found.shape:
        found = found.reshape(-1)
    if found.ndim != 1 or found.dtype.kind not in "fiu" or not len(found):
        raise BadInput(
            f"{who}: {modality!r} holds audio of {found.dtype} {list(found.shape)}; expected a waveform of one "
            "channel, [T]: floats in [-1, 1], or integers. Average the channels first."
        )
    silence, full = _scale(found.dtype, limits)
    return (found.astype(np.float64) - silence) / full


def _scale(dtype: np.dtype[Any], limits: tuple[float, float] | None) -> tuple[float, float]:
    """Where silence is, and how far full scale is from it."""
    whole = dtype.kind in "iu"
    if limits is None and not whole:
        return 0.0, 1.0
    low, high = limits or (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))
    middle = float(np.ceil((low + high) / 2)) if dtype.kind == "u" else 0.0
    # Whole numbers reach one step further down than up: −32,768 is full scale, as 0 is of 8 bits.
    return middle, max(middle - low, high - middle + whole)


def _rates(who: str, modality: str, part: Any, given: float | None, resample: bool) -> tuple[int, int]:
    wanted = int(part.sampling_rate)
    if given is None:
        raise BadInput(
            f"{who}: the sample rate of {modality!r} is not given; say sample_rate={{{modality!r}: HZ}}. The model's "
            f"feature extractor was made for {wanted} Hz."
        )
    if given <= 0 or given != int(given):
        raise BadInput(f"{who}: sample_rate={given!r} of {modality!r} is not usable; give a whole number of Hz.")
    if given != wanted and not resample:
        raise BadInput(
            f"{who}: {modality!r} is sampled at {given:g} Hz, and the model's feature extractor was made for {wanted} "
            "Hz. Resample the data, or say resample=True to have each row resampled (polyphase filter)."
        )
    return int(given), wanted


def _tensors(found: Mapping[str, Any]) -> Row:
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def grouped(rows: Sequence[Row]) -> Iterator[tuple[IntArray, Row]]:
    """Yield (row numbers, their inputs joined), for rows whose inputs have the same names and shapes."""
    groups: dict[Any, list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(tuple((name, row[name].shape, row[name].dtype) for name in sorted(row)), []).append(i)
    for members in groups.values():
        yield np.array(members), {name: torch.cat([rows[i][name] for i in members]) for name in rows[members[0]]}


def moved(row: Row, device: torch.device, dtype: torch.dtype) -> Row:
    """Return inputs on the model's device, floats in its dtype."""
    return {name: x.to(device, dtype if x.is_floating_point() else None) for name, x in row.items()}


def taken(function: Callable[..., Any], row: Row) -> Row:
    """Return the inputs that a function has parameters for; tokenizers offer token types to models without any."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return row
    return {name: x for name, x in row.items() if name in parameters}


@contextlib.contextmanager
def same_draws() -> Iterator[None]:
    """Within, the global generators of NumPy and torch start from one state; after it they go on as before."""
    with _GENERATORS, torch.random.fork_rng(devices=[]):
        before = np.random.get_state()  # noqa: NPY002 the generator that transformers draws from
        try:
            np.random.seed(0)  # noqa: NPY002
            torch.default_generator.manual_seed(0)
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002
