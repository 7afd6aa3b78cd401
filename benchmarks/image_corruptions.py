"""Image corruptions against imagecorruptions, kornia and albumentations: python benchmarks/image_corruptions.py

64 RGB images of 224 x 224 in uint8, severity 3, uint8 out; all libraries in one process, in turns, medians. Ours goes
through the public probe, `probes.get("image.x").apply`, everything included. Times of one core are processor times of
the whole process with every library set to one thread, so that what else the machine does counts little; the ratio for
all cores is of wall times, and theirs does not gain from cores. `first` is the first call in a fresh process: with an
empty cache of compiled kernels, and with the cache of the process before.

Needs an environment of its own: imagecorruptions 1.1.2, setuptools < 81, scikit-image, kornia, albumentations.

Targets: over the corruptions that imagecorruptions still runs, at most a third of its time in sum, and none more than
1.2 times its time.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["MMAUDIT_THREADS"] = "1"
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import numpy as np

from mmaudit.data import ArrayData
from mmaudit.data.statistics import statistics as moments
from mmaudit.probes import Source, probes
from mmaudit.types import Array, Modality, Task

NAMES = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur"),
    *("snow", "frost", "fog", "spatter"),
    *("brightness", "contrast", "saturate", "pixelate", "jpeg_compression", "elastic_transform"),
    *("rotation", "occlusion", "low_light", "channel_drop"),
)
SIDE, SEVERITY = 224, 3
TARGET_SUM, TARGET_EACH = 3.0, 1.2

Run = Callable[[], Any]


def photographs(count: int) -> Array:
    """Different crops of scikit-learn's two photographs, uint8 [count, 224, 224, 3]."""
    images = importlib.import_module("sklearn.datasets").load_sample_images().images
    rng = np.random.default_rng(0)
    crops = []
    for i in range(count):
        image = images[i % len(images)]
        top, left = (int(rng.integers(0, n - SIDE)) for n in image.shape[:2])
        crops.append(image[top : top + SIDE, left : left + SIDE])
    return np.stack(crops)


# ---- the four sides; each returns how to run a corruption, or None where the library does not have it


class Ours:
    """The probes."""

    def __init__(self, images: Array) -> None:
        modality = Modality("photo", "image", layout="HWC", range=(0, 255))
        data = ArrayData({"photo": images}, np.arange(len(images)) % 2, Task.classification(2), modalities=[modality])
        self.source = Source(data, {"photo": moments(data, "photo")})
        self.batch = data.rows(np.arange(len(data)))

    def __call__(self, name: str) -> Run | None:
        """Severity 3 of `image.name`."""
        if f"image.{name}" not in probes.names():
            return None
        probe = probes.get(f"image.{name}")
        condition = probe.condition(("photo",), probe.severities[SEVERITY - 1])
        return lambda: probe.apply(self.batch, condition, self.source)


def imagecorruptions(images: Array) -> Callable[[str], Run | None]:
    """The reference implementation."""
    library = importlib.import_module("imagecorruptions")
    known = library.get_corruption_names("all")

    def run(name: str) -> Run | None:
        if name not in known:
            return None
        return lambda: [library.corrupt(image, severity=SEVERITY, corruption_name=name) for image in images]

    return run


def kornia(images: Array) -> Callable[[str], Run | None]:
    """The same operations in kornia, whatever it calls them; from uint8 and back."""
    torch = importlib.import_module("torch")
    library = importlib.import_module("kornia")
    augmentation, enhance = library.augmentation, library.enhance
    torch.set_num_threads(1)
    operations: dict[str, Callable[[Any], Any]] = {
        "gaussian_noise": augmentation.RandomGaussianNoise(std=0.18, p=1.0),
        "impulse_noise": augmentation.RandomSaltAndPepperNoise(amount=0.09, p=1.0),
        "motion_blur": augmentation.RandomMotionBlur(31, (-45.0, 45.0), 1.0, p=1.0),
        "gaussian_blur": augmentation.RandomGaussianBlur((25, 25), (3.0, 3.0), p=1.0),
        "brightness": lambda x: enhance.adjust_brightness(x, 0.3),
        "contrast": lambda x: enhance.adjust_contrast(x, 0.2),
        "saturate": lambda x: enhance.adjust_saturation(x, 2.0),
        "jpeg_compression": augmentation.RandomJPEG((15.0, 15.0), p=1.0),
        "elastic_transform": augmentation.RandomElasticTransform(p=1.0),
        "rotation": augmentation.RandomRotation((20.0, 20.0), p=1.0),
        "occlusion": augmentation.RandomErasing((0.15, 0.15), (1.0, 1.0), p=1.0),
        "channel_drop": augmentation.RandomChannelDropout(1, p=1.0),
    }

    def run(name: str) -> Run | None:
        if name not in operations:
            return None

        def once() -> Array:
            x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
            y = (operations[name](x).clamp(0, 1) * 255).round().byte()
            return np.asarray(y.permute(0, 2, 3, 1).contiguous())

        return once

    return run


def albumentations(images: Array) -> Callable[[str], Run | None]:
    """The same operations in albumentations, whatever it calls them."""
    importlib.import_module("cv2").setNumThreads(1)
    a = importlib.import_module("albumentations")
    area = {"downscale": importlib.import_module("cv2").INTER_AREA, "upscale": 0}
    operations = {
        "gaussian_noise": a.GaussNoise(std_range=(0.18, 0.18), p=1),
        "shot_noise": a.ShotNoise(scale_range=(1 / 12, 1 / 12), p=1),
        "impulse_noise": a.SaltAndPepper(amount=(0.09, 0.09), salt_vs_pepper=(0.5, 0.5), p=1),
        "defocus_blur": a.Defocus(radius=(6, 6), alias_blur=(0.5, 0.5), p=1),
        "glass_blur": a.GlassBlur(sigma=1, max_delta=2, iterations=3, p=1),
        "motion_blur": a.MotionBlur(blur_limit=(31, 31), angle_range=(0, 45), p=1),
        "zoom_blur": a.ZoomBlur(max_factor=(1.21, 1.21), step_factor=(0.02, 0.02), p=1),
        "gaussian_blur": a.GaussianBlur(blur_limit=25, sigma_limit=(3, 3), p=1),
        "snow": a.RandomSnow(p=1),
        "fog": a.RandomFog(p=1),
        "spatter": a.Spatter(p=1),
        "brightness": a.RandomBrightnessContrast(brightness_limit=(0.3, 0.3), contrast_limit=(0, 0), p=1),
        "contrast": a.RandomBrightnessContrast(brightness_limit=(0, 0), contrast_limit=(-0.8, -0.8), p=1),
        "saturate": a.ColorJitter(brightness=(1, 1), contrast=(1, 1), saturation=(2, 2), hue=(0, 0), p=1),
        "pixelate": a.Downscale(scale_range=(0.4, 0.4), interpolation_pair=area, p=1),
        "jpeg_compression": a.ImageCompression(quality_range=(15, 15), p=1),
        "elastic_transform": a.ElasticTransform(alpha=21.25, sigma=2.24, p=1),
        "rotation": a.Rotate(limit=(20, 20), p=1),
        "occlusion": a.Erasing(scale=(0.15, 0.15), ratio=(1, 1), p=1),
        "channel_drop": a.ChannelDropout(channel_drop_range=(1, 1), p=1),
    }

    def run(name: str) -> Run | None:
        operation = operations.get(name)
        return None if operation is None else lambda: [operation(image=image)["image"] for image in images]

    return run


# ---- measuring


def measure(runs: dict[str, Run | None], repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return median processor and wall seconds per side; a side that raises or is None is left out."""
    spent: dict[str, list[float]] = {}
    passed: dict[str, list[float]] = {}
    for repetition in range(repeats + 1):
        for side, run in runs.items():
            if run is None or (repetition and side not in spent):
                continue
            os.environ["MMAUDIT_THREADS"] = str(os.cpu_count() if side == "ours, all cores" else 1)
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                run()
            except (TypeError, AttributeError) as error:
                print(f"  {side} raises: {error}")
                continue
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            # The first time compiled kernels are loaded.
            spent.setdefault(side, []).extend([cpu] * bool(repetition))
            passed.setdefault(side, []).extend([wall] * bool(repetition))
    return (
        {side: statistics.median(times) for side, times in spent.items()},
        {side: statistics.median(times) for side, times in passed.items()},
    )


def first_calls() -> Iterator[tuple[str, float]]:
    """The first call of each of our corruptions in this process, two images, in seconds."""
    ours = Ours(photographs(2))
    for name in NAMES:
        run = ours(name)
        if run is not None:
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
    libraries = ("numpy", "scipy", "numba", "pillow", "imagecorruptions", "scikit-image", "opencv-python")
    versions = ", ".join(f"{p} {version(p)}" for p in (*libraries, "kornia", "torch", "albumentations"))
    return f"{name}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}; {platform.system()}"


def cell(seconds: float | None, images: int) -> str:
    return f"{'–':>10}" if seconds is None else f"{1e3 * seconds / images:10.2f}"


def main() -> int:
    """Print times, ratios and machine; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=NAMES, help="names of corruptions")
    parser.add_argument("--first-calls", action="store_true", help="print the seconds of our first calls and stop")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of the other libraries
    if asked.first_calls:
        for name, seconds in first_calls():
            print(name, seconds)
        return 0

    images = photographs(asked.images)
    ours, theirs = Ours(images), imagecorruptions(images)
    korn, album = kornia(images), albumentations(images)
    print(f"{'ms per image':<18}{'ours':>10}{'theirs':>10}{'ratio':>8}{'all cores':>11}{'kornia':>10}{'albument.':>10}")
    total_ours = total_theirs = wall_ours = wall_theirs = 0.0
    missed: list[str] = []
    for name in asked.only:
        one = ours(name)
        if one is None:
            print(f"{name:<18} not registered")
            missed.append(name)
            continue
        sides = {"ours": one, "theirs": theirs(name), "ours, all cores": one, "kornia": korn(name), "a": album(name)}
        spent, passed = measure(sides, asked.repeats)
        ratio = every = ""
        if "theirs" in spent:
            total_ours, total_theirs = total_ours + spent["ours"], total_theirs + spent["theirs"]
            wall_ours, wall_theirs = wall_ours + passed["ours, all cores"], wall_theirs + passed["theirs"]
            ratio = f"{spent['theirs'] / spent['ours']:.1f} x"
            every = f"{passed['theirs'] / passed['ours, all cores']:.1f} x"
            missed += [name] * (spent["ours"] > TARGET_EACH * spent["theirs"])
        times = [cell(spent.get(side), asked.images) for side in ("ours", "theirs", "kornia", "a")]
        print(f"{name:<18}{times[0]}{times[1]}{ratio:>8}{every:>11}{times[2]}{times[3]}", flush=True)
    if total_ours:
        print(
            f"{'sum':<18}{cell(total_ours, asked.images)}{cell(total_theirs, asked.images)}"
            f"{total_theirs / total_ours:6.1f} x{wall_theirs / wall_ours:9.1f} x   (over those that theirs runs)"
        )
        missed += ["sum"] * (total_theirs < TARGET_SUM * total_ours)
    cold, warm = compile_times()
    slowest = max(cold, key=lambda name: cold[name])
    print(
        f"first calls, all {len(cold)}: {sum(cold.values()):.1f} s compiling (the most: {slowest}, "
        f"{cold[slowest]:.1f} s), {sum(warm.values()):.2f} s from the disk cache"
    )
    print(f"missed: {', '.join(missed) or 'nothing'}")
    print(machine())
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
