"""All nineteen corruptions of ImageNet-C against imagecorruptions 1.1.2, on photographs of 224 x 224, by statistics.

What imagecorruptions gave is in tests/golden/imagecorruptions.json (scripts/record_imagecorruptions.py). Compared are
means over six crops and the draws of each. imagecorruptions cuts values off instead of rounding them, so its images
are half a grey level darker than ours in the mean.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from helpers.photographs import crops, distances
from helpers.probe_samples import source_of
from mmaudit.data import ArrayData
from mmaudit.kernels import displace
from mmaudit.probes import Source, probes
from mmaudit.types import Batch, Modality, Task

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "imagecorruptions.json").read_text(encoding="utf-8"))
DRAWS = 3
# Relative difference allowed of root mean square difference, absolute of SSIM and of the mean (of 255), relative of
# detail (energy of differences between neighbours).
CLOSE = (0.02, 0.01, 1.0, 0.03)
TOLERANCE = {
    # Our JPEG is Pillow's, to the bit.
    "jpeg_compression": (1e-4, 1e-4, 0.01, 1e-4),
    # Disks of any radius are softer than one of 3 px drawn in whole pixels, severity 1.
    "defocus_blur": (0.02, 0.01, 1.0, 0.15),
    # A random line in whole pixels is rougher than an interpolated one; angles are drawn.
    "motion_blur": (0.03, 0.02, 1.0, 0.30),
    # About the middle instead of up to a pixel off it.
    "zoom_blur": (0.02, 0.01, 1.0, 0.08),
    # Theirs cuts values off to whole grey levels twice.
    "glass_blur": (0.02, 0.01, 1.1, 0.03),
    # A cell may be cut at the far edges instead of all of them being a little larger.
    "pixelate": (0.02, 0.01, 1.0, 0.04),
    # Rounding to grey levels shows where little contrast is left.
    "contrast": (0.02, 0.01, 1.0, 0.05),
    # 0.1 of 255 is no whole number of grey levels, and half a level counts in a difference of 19.
    "brightness": (0.035, 0.01, 1.0, 0.02),
    "saturate": (0.03, 0.01, 1.0, 0.02),
    # Flakes, clouds and drops are drawn, and few: a draw differs from the next by more than the definitions do.
    "snow": (0.05, 0.03, 3.0, 0.30),
    "fog": (0.12, 0.03, 15.0, 0.03),
    "spatter": (0.15, 0.04, 1.0, 0.35),
    # Its textures are synthesised, theirs are five photographs.
    "frost": (0.15, 0.05, 15.0, 0.30),
    "elastic_transform": (0.04, 0.02, 1.0, 0.05),
}


@cache
def photographs() -> tuple[Batch, Source]:
    """Every crop as often as it is drawn."""
    images = np.concatenate([np.stack(crops())] * DRAWS)
    modality = Modality("photo", "image", layout="HWC", range=(0, 255))
    data = ArrayData({"photo": images}, np.arange(len(images)) % 2, Task.classification(2), modalities=[modality])
    return data.rows(np.arange(len(data))), source_of(data)


@cache
def ours(name: str, severity: int) -> dict[str, float]:
    batch, source = photographs()
    probe = probes.get(f"image.{name}")
    new = probe.apply(batch, probe.condition(("photo",), probe.severities[severity - 1]), source)
    found = [distances(a, b) for a, b in zip(batch.inputs["photo"], new.inputs["photo"], strict=True)]
    return {key: float(np.mean([row[key] for row in found])) for key in found[0]}


def theirs(name: str, severity: int) -> dict[str, float]:
    return {key: float(np.mean(values)) for key, values in GOLDEN["statistics"][name][severity - 1].items()}


def test_all_nineteen_are_recorded():
    assert len(GOLDEN["statistics"]) == 19
    assert GOLDEN["versions"]["imagecorruptions"] == "1.1.2"
    assert {f"image.{name}" for name in GOLDEN["statistics"]} <= set(probes.names())


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("name", sorted(GOLDEN["statistics"]))
def test_statistics_are_those_of_imagecorruptions(name, severity):
    a, b = ours(name, severity), theirs(name, severity)
    rms, ssim, mean, detail = TOLERANCE.get(name, CLOSE)
    assert a["rms"] == pytest.approx(b["rms"], rel=rms)
    assert a["sigma"] == pytest.approx(b["sigma"], rel=rms)
    assert a["ssim"] == pytest.approx(b["ssim"], abs=ssim)
    assert a["mean"] == pytest.approx(b["mean"], abs=mean)
    assert a["detail"] == pytest.approx(b["detail"], rel=detail)


@pytest.mark.parametrize("name", sorted(set(GOLDEN["statistics"]) - {"saturate"}))
def test_severity_hurts_more_where_theirs_does(name):
    """The order of the severities by distance is theirs, as far as theirs are apart by more than a tenth."""
    for low in range(1, 5):
        if theirs(name, low + 1)["rms"] > 1.1 * theirs(name, low)["rms"]:
            assert ours(name, low + 1)["rms"] > ours(name, low)["rms"]


@pytest.mark.parametrize(("furthest", "passes"), [(1, 2), (2, 1), (2, 3), (3, 2), (4, 2)])
def test_glass_moves_pixels_as_the_published_loop(furthest, passes):
    height, width = 30, 41
    numbers = np.arange(height * width)
    x = np.repeat(numbers.reshape(height, width, 1), 3, axis=2)
    moved = np.zeros((2, height, width), np.float32)
    for k in range(passes):
        u = np.random.default_rng(k).random(moved.shape, dtype=np.float32)
        displace.shuffle(moved, u, furthest, 1.0)
        # As in imagecorruptions, to the letter: both sides are views, so what looks like a swap is none.
        for h in range(height - furthest, furthest, -1):
            for w in range(width - furthest, furthest, -1):
                dy, dx = (int(v * 2 * furthest) - furthest for v in u[:, h, w])
                h_prime, w_prime = h + dy, w + dx
                x[h, w], x[h_prime, w_prime] = x[h_prime, w_prime], x[h, w]
    rows, columns = np.indices((height, width)) + moved.astype(int)
    np.testing.assert_array_equal(rows * width + columns, x[:, :, 0])


def test_glass_moves_as_far_in_an_image_of_any_size():
    """In steps of the published loop: mean and spread of how far a pixel comes, whatever a step is in pixels."""
    found = []
    for scale in (1.0, 0.25, 1 / 8):
        moved = np.zeros((2, 200, 200), np.float32)
        for k in range(2):
            u = np.random.default_rng(k).random(moved.shape, dtype=np.float32)
            displace.shuffle(moved, u, 3.0, scale)
        inside = moved[:, 20:-20, 20:-20].reshape(2, -1) / scale
        found.append([*inside.mean(axis=1), *inside.std(axis=1)])
    np.testing.assert_allclose(found[1:], found[:1] * 2, atol=0.25)
