"""Audio corruptions against audiomentations: python benchmarks/audio_corruptions.py

64 recordings of 5 s at 16 kHz in float32, severity 3; both libraries in one process, in turns, medians of processor
time with every library set to one thread. Ours goes through the public probe, `probes.get("audio.x").apply`, everything
included; theirs is called sample by sample and writes into one array. Where it has another operation of the same
purpose, that one is named. `nothing` draws one random number and leaves the recording as it is: what every probe pays
for a copy of its own, its random stream and the batch it writes to. `first` is the first call in a fresh process: with
an empty cache of compiled kernels, and with the cache of the process before.

Needs an environment of its own: audiomentations 0.43 with python-stretch, fast-mp3-augment and soundfile.

Target: at most half of its time for every operation that it has.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ["MMAUDIT_THREADS"] = "1"

import numpy as np

from mmaudit.data import ArrayData
from mmaudit.data.statistics import statistics as moments
from mmaudit.probes import Source, probes
from mmaudit.probes.apply import Corruption, corrupt
from mmaudit.types import Array, Modality, Task

RATE, SECONDS, POSITION = 16000, 5, 3
NAMES = tuple(p.name.split(".")[1] for p in probes if p.module.startswith("mmaudit.probes.corruption.audio_"))
TARGET = 2.0

Run = Callable[[], Any]


def recordings(count: int) -> Array:
    """Harmonics in syllables and noise, float32 [count, 80000]."""
    t = np.arange(SECONDS * RATE) / RATE
    out = np.empty((count, len(t)), np.float32)
    for i in range(count):
        rng = np.random.default_rng(i)
        pitch = 2 * np.pi * np.cumsum(100 + 3 * i + 20 * np.sin(2 * np.pi * t)) / RATE
        voice = sum(np.sin(k * pitch) / k for k in range(1, 20)) * np.clip(np.sin(4 * np.pi * t + i), 0, None)
        out[i] = 0.1 * (voice + 0.05 * rng.standard_normal(len(t)))
    return out


class Ours:
    """The probes."""

    def __init__(self, sounds: Array) -> None:
        modality = Modality("sound", "audio", sample_rate=RATE)
        data = ArrayData({"sound": sounds}, np.arange(len(sounds)) % 2, Task.classification(2), modalities=[modality])
        self.source = Source(data, {"sound": moments(data, "sound")})
        self.batch = data.rows(np.arange(len(data)))

    def __call__(self, name: str) -> Run:
        """Severity 3 of `audio.name`."""
        probe = probes.get(f"audio.{name}")
        condition = probe.condition(("sound",), probe.severities[POSITION - 1])
        return lambda: probe.apply(self.batch, condition, self.source)

    def nothing(self) -> Run:
        """A corruption that changes nothing, applied as any other."""
        condition = probes.get("audio.gain").condition(("sound",), 1.0)
        idle = Corruption(lambda x, severity, rng: x if rng.random() < 2 else -x, ("rng",), batched=False)
        return lambda: corrupt(idle, self.batch, condition, self.source, "sound")


class Theirs:
    """audiomentations at the parameters of severity 3; `files` holds the sounds that it mixes in."""

    def __init__(self, sounds: Array, files: Path) -> None:
        am = importlib.import_module("audiomentations")
        steep = {"min_rolloff": 24, "max_rolloff": 24, "zero_phase": True, "p": 1.0}
        write = importlib.import_module("soundfile").write
        rng = np.random.default_rng(0)
        tail = np.arange(RATE // 2)
        write(files / "room.wav", 0.1 * rng.standard_normal(len(tail)) * np.exp(-13.8 * tail / RATE), RATE)
        write(files / "background.wav", 0.1 * rng.standard_normal(30 * RATE), RATE)
        background = am.AddBackgroundNoise(str(files / "background.wav"), 10, 10, p=1.0)
        down, up = am.Resample(4000, 4000, p=1.0), am.Resample(RATE, RATE, p=1.0)
        rate, semitones = 1.15, 2.0
        self.sounds = sounds
        self.operations: dict[str, tuple[str, Callable[[Array, int], Array]]] = {
            "gaussian_snr": ("AddGaussianSNR", am.AddGaussianSNR(20, 20, p=1.0)),
            "background_babble": ("AddBackgroundNoise", background),
            "background_music": ("AddBackgroundNoise", background),
            "reverb": ("ApplyImpulseResponse", am.ApplyImpulseResponse(str(files / "room.wav"), p=1.0)),
            "gain": ("Gain", am.Gain(6, 6, p=1.0)),
            "clipping": ("ClippingDistortion", am.ClippingDistortion(10, 10, p=1.0)),
            "low_pass": ("LowPassFilter", am.LowPassFilter(2000, 2000, **steep)),
            "high_pass": ("HighPassFilter", am.HighPassFilter(600, 600, **steep)),
            "band_pass": ("BandPassFilter", am.BandPassFilter(1202, 1202, 1.11, 1.11, **steep)),
            "resample": ("Resample, twice", lambda x, r: up(down(x, r), 4000)),
            "time_mask": ("TimeMask", am.TimeMask(0.2, 0.2, p=1.0)),
            "frequency_mask": ("BandStopFilter", am.BandStopFilter(2000, 2000, 0.8, 0.8, **steep)),
            "time_stretch": ("TimeStretch", am.TimeStretch(rate, rate, p=1.0)),
            "pitch_shift": ("PitchShift", am.PitchShift(semitones, semitones, p=1.0)),
        }
        with contextlib.suppress(PackageNotFoundError):
            version("fast-mp3-augment")
            self.operations["mp3_compression"] = ("Mp3Compression", am.Mp3Compression(24, 24, p=1.0))

    def __call__(self, name: str) -> Run | None:
        """The transform for `audio.name`, over all sounds."""
        if name not in self.operations:
            return None
        transform = self.operations[name][1]

        def run() -> Array:
            out = np.empty_like(self.sounds)
            for i, x in enumerate(self.sounds):
                out[i] = transform(x, RATE)[: len(x)]
            return out

        return run


def measure(runs: list[Run], repeats: int) -> list[float]:
    """Return median processor seconds of each, called in turns; not the first round, which loads kernels."""
    spent: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for times, run in zip(spent, runs, strict=True):
            begin = time.process_time()
            run()
            times.append(time.process_time() - begin)
    return [statistics.median(times[1:]) for times in spent]


def first_calls() -> Iterator[tuple[str, float]]:
    """The first call of each of our corruptions in this process, two recordings, in seconds."""
    ours = Ours(recordings(2))
    for name in NAMES:
        run = ours(name)
        begin = time.perf_counter()
        run()
        yield name, time.perf_counter() - begin


def compile_times() -> tuple[dict[str, float], dict[str, float]]:
    """First calls in two fresh processes, the second with the kernels that the first one compiled."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--first-calls"]
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        found = []
        for _ in range(2):
            lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            pairs = [line.split() for line in lines.splitlines()]
            found.append({name: float(seconds) for name, seconds in pairs})
    return found[0], found[1]


def machine() -> str:
    """Machine and versions that the numbers depend on."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    versions = []
    for library in ("numpy", "scipy", "numba", "audiomentations", "librosa", "python-stretch", "fast-mp3-augment"):
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{library} {version(library)}")
    cores, python = os.cpu_count(), platform.python_version()
    return f"{name}, {cores} cores; Python {python}, {', '.join(versions)}; {platform.system()}"


def main() -> int:
    """Print times, ratios and machine; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=64, help="recordings in the batch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=NAMES, help="names of corruptions")
    parser.add_argument("--first-calls", action="store_true", help="print the seconds of our first calls and stop")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of the other library
    if asked.first_calls:
        for name, seconds in first_calls():
            print(name, seconds)
        return 0

    sounds = recordings(asked.count)
    missed = []
    total_ours = total_theirs = 0.0
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Ours(sounds), Theirs(sounds, Path(folder))
        print(f"{'ms per recording':<20}{'ours':>8}{'theirs':>9}{'ratio':>9}")
        print(f"{'nothing':<20}{1e3 * measure([ours.nothing()], asked.repeats)[0] / len(sounds):8.3f}", flush=True)
        for name in asked.only:
            other = theirs(name)
            spent = measure([ours(name)] + ([other] if other else []), asked.repeats)
            one = 1e3 * spent[0] / len(sounds)
            if other is None:
                print(f"{name:<20}{one:8.3f}{'–':>9}", flush=True)
                continue
            total_ours, total_theirs = total_ours + spent[0], total_theirs + spent[1]
            ratio = spent[1] / spent[0]
            missed += [name] * (ratio < TARGET)
            label = theirs.operations[name][0]
            print(f"{name:<20}{one:8.3f}{1e3 * spent[1] / len(sounds):9.3f}{ratio:7.1f} x  {label}", flush=True)
    if total_ours:
        sums = [1e3 * total / len(sounds) for total in (total_ours, total_theirs)]
        print(f"{'sum':<20}{sums[0]:8.3f}{sums[1]:9.3f}{sums[1] / sums[0]:7.1f} x  (of what both have)")
    cold, warm = compile_times()
    slowest = max(cold, key=lambda name: cold[name])
    print(
        f"first calls, all {len(cold)}: {sum(cold.values()):.1f} s compiling (the most: {slowest}, "
        f"{cold[slowest]:.1f} s), {sum(warm.values()):.2f} s from the disk cache"
    )
    print(f"below {TARGET:g} x: {', '.join(missed) or 'nothing'}")
    print(machine())
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
