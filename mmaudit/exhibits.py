"""One sample's value as something a page can show: a picture, a sound, a text, curves, numbers."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import numpy as np

from mmaudit.types import Array, FloatArray, Modality

SIDE = 256  # longest side of a picture, in px
LOSSLESS = 48  # px; smaller pictures are kept exactly: compression would smear what little there is
SECONDS = 3.0
RATE = 16_000  # highest sampling rate of a sound on a page; what lies above is not heard there
POINTS = 240
CHANNELS = 4
VALUES = 32


def exhibit(modality: Modality, value: Any, reference: Any, *, enlarge: bool = True) -> dict[str, Any]:
    """Return plain JSON for a value; `reference` is the unperturbed one, whose loudness and spread set the scale.

    Text: `text`. Images and spectrograms: `image`, a data URI. Waveforms with a known rate: `audio`, a data URI, too.
    Waveforms and series: `curves`, lists of numbers. Everything else: `values`, the first 32, and how many there are.
    Numbers that are not finite stay so in curves and values; in pictures and sounds they are 0.

    Args:
        modality: what the value is of. An image without a declared range is shown on the reference's.
        value, reference: of one sample.
        enlarge: make small pictures large enough to look at; without it they keep their size, and take fewer bytes.
    """
    if modality.kind == "text":
        return {"text": str(value)}
    x, clean = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    if modality.kind == "image":
        return {"image": _uri("image/webp", _webp(_pixels(x, clean, modality), enlarge))}
    if modality.spectrogram:
        return {"image": _uri("image/webp", _webp(_grey(x, clean, modality), enlarge))}
    if modality.kind == "audio":
        shown: dict[str, Any] = {"curves": [_envelope(_mono(x, modality))]}
        if modality.sample_rate:
            shown["audio"] = _uri("audio/wav", _wav(_mono(x, modality), _mono(clean, modality), modality.sample_rate))
        return shown
    if modality.kind == "series":
        return {"curves": [_thinned(channel) for channel in _channels(x, modality)]}
    flat = x.ravel()
    return {"values": [_short(v) for v in flat[:VALUES]], "of": int(flat.size)}


def _uri(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def _pixels(x: FloatArray, clean: FloatArray, modality: Modality) -> Array:
    low, high = modality.range or _span(clean)
    x = (np.nan_to_num(x) - low) / (high - low)
    if modality.layout == "CHW":
        x = np.moveaxis(x, 0, -1)
    if x.ndim == 3 and x.shape[-1] != 3:
        x = x.mean(axis=-1)
    return np.clip(np.rint(x * 255), 0, 255).astype(np.uint8)


def _grey(x: FloatArray, clean: FloatArray, modality: Modality) -> Array:
    """Low frequencies at the bottom, time to the right; the scale is the clean sample's."""
    x = np.nan_to_num(x if modality.layout == "FT" else x.T)
    low, high = _span(np.append(clean, 0.0))
    return np.clip(np.rint((x[::-1] - low) / (high - low) * 255), 0, 255).astype(np.uint8)


def _span(x: FloatArray) -> tuple[float, float]:
    """Lowest and highest finite value, at least a little apart."""
    finite = x[np.isfinite(x)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return low, high if high > low else low + 1.0


def _webp(pixels: Array, enlarge: bool) -> bytes:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    if not enlarge:
        how: dict[str, Any] = {"lossless": True, "quality": 25} if max(image.size) < LOSSLESS else {"quality": 90}
        image.save(buffer, "WEBP", method=2, **how)  # the default method takes twice the time for the same size
        return buffer.getvalue()
    if (factor := SIDE // max(image.size)) > 1:  # small pictures are shown with their pixels
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _mono(x: FloatArray, modality: Modality) -> FloatArray:
    if x.ndim == 1:
        return x
    axis = modality.time_axis
    return np.asarray(x.mean(axis=1 if axis == 0 else 0))


def _wav(x: FloatArray, clean: FloatArray, rate: float) -> bytes:
    """16-bit PCM; the clean sample's peak is at half of full scale, so that louder ones have room."""
    x, rate = np.nan_to_num(x[: int(SECONDS * rate)]), int(rate)
    if rate > RATE:
        from scipy.signal import resample_poly

        divisor = int(np.gcd(rate, RATE))
        x, rate = resample_poly(x, RATE // divisor, rate // divisor), RATE
    peak = float(np.abs(np.nan_to_num(clean)).max(initial=0.0)) or 1.0
    pcm = np.clip(np.rint(x / peak * 16_383), -32_768, 32_767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


def _envelope(x: FloatArray) -> list[float]:
    """Lowest and highest value of each stretch, in turn: peaks of a long sound stay visible."""
    if len(x) <= POINTS:
        return [_short(v) for v in x]
    pieces = np.array_split(x, POINTS // 2)
    return [_short(v) for piece in pieces for v in (piece.min(), piece.max())]


def _channels(x: FloatArray, modality: Modality) -> list[FloatArray]:
    if x.ndim == 1:
        return [x]
    by_time = x if modality.time_axis in (0, None) else x.T
    return [by_time[:, c] for c in range(min(CHANNELS, by_time.shape[1]))]


def _thinned(x: FloatArray) -> list[float]:
    return [_short(v) for v in x[:: max(1, -(-len(x) // POINTS))]]


def _short(value: float) -> float:
    return float(f"{value:.4g}")
