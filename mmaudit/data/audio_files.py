"""Audio files of one sample turned into a waveform; the bytes are not trusted."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field

import numpy as np

from mmaudit.data.decoder import DAMAGE, one_line, settled
from mmaudit.errors import BadInput, MissingExtra
from mmaudit.types import Array, Modality

MAX_VALUES = 1 << 27


@dataclass(frozen=True)
class AudioDecoder:
    """Audio files as float32 waveforms, full scale −1 to 1: [T] (`mono`), or [T, C] (`all`).

    Needs the `audio` extra (soundfile): WAV, FLAC, OGG, MP3, AIFF.

    Attributes:
        sample_rate: in Hz. Files of another rate are resampled by a polyphase filter (`scipy.signal.resample_poly`,
            Kaiser window). None: files are read as they are; all must then have the rate of the first one read.
        channels: `mono`: the mean of all channels; `all`: as they are.
        seconds: cut, or padded with zeros at the end, to this duration; None keeps each file's own.
        max_values: files of more values (time × channels) are refused before they are unpacked.
    """

    sample_rate: float | None = None
    channels: str = "mono"
    seconds: float | None = None
    max_values: int = MAX_VALUES
    _seen: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.channels not in ("mono", "all"):
            raise BadInput(f"audio channels {self.channels!r} is not one of mono, all.")
        rate = self.sample_rate
        if rate is not None and not (0 < rate <= 10_000_000 and rate == int(rate)):
            raise BadInput(f"audio sample_rate {rate} is not usable; give a whole number of Hz.")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise BadInput(f"audio seconds {self.seconds} is not usable; give a positive duration.")
        if self.seconds is not None and rate is None:
            raise BadInput("audio seconds needs sample_rate too: how many values a second has.")

    @property
    def said(self) -> str:
        """What is done to every file, in words."""
        parts = ["channels averaged"] if self.channels == "mono" else []
        parts += [f"resampled to {self.sample_rate:g} Hz where a file has another rate"] if self.sample_rate else []
        parts += [f"cut or zero-padded to {self.seconds:g} s"] if self.seconds else []
        return ", ".join(parts)

    def decode(self, content: bytes, name: str) -> Array:
        """Return the waveform as an array; see the class."""
        try:
            import soundfile
        except ImportError:
            raise MissingExtra("soundfile", "audio") from None
        try:
            with soundfile.SoundFile(io.BytesIO(content)) as file:
                rate, channels = float(file.samplerate), file.channels
                frames = self.max_values // max(1, channels)
                wave = file.read(frames + 1, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError, OSError, ValueError, TypeError, *DAMAGE) as error:
            raise BadInput(
                f"audio file {name} cannot be decoded ({one_line(error)}); copy it again, or leave its cell empty to "
                "mark it as not recorded."
            ) from error
        if len(wave) > frames:
            raise BadInput(f"audio file {name} has more than {self.max_values:,} values; cut it into pieces first.")
        if not len(wave):
            raise BadInput(f"audio file {name} is empty; leave its cell empty to mark it as not recorded.")
        wave = wave.mean(axis=1, dtype=np.float32) if self.channels == "mono" else wave
        return self._timed(self._at_rate(wave, rate, name))

    def _at_rate(self, wave: Array, rate: float, name: str) -> Array:
        if self.sample_rate is None:
            first = self._seen.setdefault("rate", rate)
            if rate != first:
                raise BadInput(
                    f"audio file {name} has a sample rate of {rate:g} Hz, files before it {first:g} Hz; say which to "
                    f"resample to: sample_rate={first:g}."
                )
            return wave
        if rate == self.sample_rate:
            return wave
        from scipy.signal import resample_poly

        common = math.gcd(int(self.sample_rate), int(rate))
        up, down = int(self.sample_rate) // common, int(rate) // common
        # The filter is as long as the larger of the two, so that an odd rate would make it as large as a file.
        if len(wave) * up // down > self.max_values or max(up, down) > 1_000_000:
            raise BadInput(f"audio file {name}: {rate:g} Hz resampled to {self.sample_rate:g} Hz would be too long.")
        return np.asarray(resample_poly(wave.astype(np.float64), up, down, axis=0), np.float32)

    def _timed(self, wave: Array) -> Array:
        if self.seconds is None or self.sample_rate is None:
            return wave
        length = max(1, round(self.seconds * self.sample_rate))
        out = np.zeros((length, *wave.shape[1:]), np.float32)
        out[: len(wave)] = wave[:length]
        return out

    def described(self, modality: Modality) -> Modality:
        """Return the modality with sample rate and layout; the rate of the first file, where none was asked for."""
        rate = self.sample_rate or self._seen.get("rate")
        layout = "TC" if self.channels == "all" else None
        return settled(modality, layout=layout, sample_rate=rate, dtype="float32")
