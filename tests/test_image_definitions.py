"""Image corruptions of noise, blur and processing: what their docstrings promise."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.photographs import crops
from helpers.probe_samples import scope_of, source_of, whole
from mmaudit.data import ArrayData
from mmaudit.errors import BadInput, NotApplicable
from mmaudit.kernels import disk
from mmaudit.probes import Declined, probes
from mmaudit.probes.corruption import image_blur, image_digital, image_noise
from mmaudit.types import Modality, Task

# The published constants: severity as ours, and the number of severities where several constants make one.
PUBLISHED = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": tuple(1 / photons for photons in (60, 25, 12, 5, 3)),
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),
    "gaussian_blur": (1, 2, 3, 4, 6),
    "defocus_blur": (3, 4, 6, 8, 10),
    "contrast": tuple(1 - kept for kept in (0.4, 0.3, 0.2, 0.1, 0.05)),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "jpeg_compression": tuple(100 - quality for quality in (25, 18, 15, 10, 7)),
    "pixelate": tuple(1 - kept for kept in (0.6, 0.5, 0.4, 0.3, 0.25)),
    **dict.fromkeys(("glass_blur", "motion_blur", "zoom_blur", "saturate"), (1, 2, 3, 4, 5)),
}
BLURS = ("gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def one(x: np.ndarray, modality: Modality | None = None):
    """A data set of this image and its mirror image."""
    modality = modality or Modality("photo", "image", layout="HWC", range=(0, 255))
    return ArrayData({"photo": np.stack([x, x[::-1]])}, np.arange(2), Task.classification(2), modalities=[modality])


@pytest.mark.parametrize("name", PUBLISHED)
def test_tables_are_the_published_ones(name):
    probe = probes.get(f"image.{name}")
    assert probe.severities == pytest.approx(PUBLISHED[name])
    assert probe.source.startswith("ImageNet-C")


def test_rows_of_constants_are_the_published_ones():
    assert image_blur.GLASS == ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
    assert image_blur.MOTION == ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
    assert image_digital.SATURATE == ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))
    published = [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)]
    for (step, layers), (stop, published_step) in zip(image_blur.ZOOM, published, strict=True):
        assert (layers, step) == (len(np.arange(1, stop, published_step)), published_step)


# ---- noise


@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "shot_noise"])
def test_noise_has_its_spread(name):
    """σ; σ x; √(x / λ)."""
    x = np.full((200, 200, 3), 0.4, np.float32)
    severity = 1 / 60 if name == "shot_noise" else 0.1
    y = getattr(image_noise, name)(x.copy(), severity, rng()).astype(np.float64) - x
    assert y.std() == pytest.approx(
        {"gaussian_noise": 0.1, "speckle_noise": 0.04}.get(name, np.sqrt(0.4 / 60)), rel=0.01
    )
    assert abs(y.mean()) < 5 * y.std() / np.sqrt(y.size)


def test_impulses_are_nested_and_half_salt():
    x = np.full((200, 200, 3), 0.5, np.float32)
    few, many = (image_noise.impulse_noise(x, share, rng()) for share in (0.06, 0.27))
    for y, share in ((few, 0.06), (many, 0.27)):
        assert (y == 1).mean() == pytest.approx(share / 2, rel=0.05)
        assert (y == 0).mean() == pytest.approx(share / 2, rel=0.05)
    assert np.array_equal(many[few != x], few[few != x])


def test_fewer_photons_move_every_sample_further_on_average():
    x = crops()[0][:64, :64] / np.float32(255)
    far = [np.sqrt(np.mean((image_noise.shot_noise(x, 1 / p, rng()) - x) ** 2)) for p in (1e6, 1000, 200, 60, 25, 3)]
    assert far == sorted(far)
    assert far[0] < 0.001


# ---- blur


def blurred(name: str, x: np.ndarray, severity: float) -> np.ndarray:
    fn = getattr(image_blur, name)
    return fn(x, severity, rng()) if name in ("motion_blur", "glass_blur") else fn(x, severity)


@pytest.mark.parametrize("name", BLURS)
def test_blurs_keep_a_flat_image(name):
    flat = np.full((30, 40, 2), 0.3, np.float32)
    assert np.abs(blurred(name, flat, probes.get(f"image.{name}").severities[4]) - flat).max() < 1e-5


# Glass displaces every pixel by itself, so the second blur evens out less of it in a smaller image.
@pytest.mark.parametrize(("name", "tolerance"), [(name, 0.8 if name == "glass_blur" else 0.05) for name in BLURS])
def test_blurs_hide_the_same_relative_detail_at_any_size(name, tolerance):
    def far(side: int) -> float:
        at = (np.arange(side) + 0.5) / side
        x = (0.5 + 0.4 * np.sin(20 * at[:, None]) * np.cos(14 * at))[..., None].astype(np.float32)
        return float(np.sqrt(np.mean((blurred(name, x, probes.get(f"image.{name}").severities[3]) - x) ** 2)))

    assert far(112) == pytest.approx(far(224), rel=tolerance)
    assert far(448) == pytest.approx(far(224), rel=tolerance)


@pytest.mark.parametrize("name", BLURS)
def test_blurs_are_continuous_and_never_nothing_on_small_images(name):
    """Half a percent more severity moves an image of 9 px further, and by about that; glass, at least not far back."""
    x = np.random.default_rng(3).random((9, 12, 3), dtype=np.float32)

    def far(severity: float) -> float:
        return float(np.sqrt(np.mean((blurred(name, x, severity) - x).astype(np.float64) ** 2)))

    for severity in (0.1, 0.5, 1.0, 1.4, 2.6, 3.3, 4.9):
        before, after = far(severity), far(severity * 1.005)
        least = 0.97 * before if probes.get(f"image.{name}").not_monotone else before
        assert 0 < least < after < 1.03 * before


def test_defocus_is_the_disk_of_imagenet_c():
    """Radius 6 px at 224 px, 3 px at half the size."""
    for side, radius in ((224, 6), (112, 3)):
        x = np.random.default_rng(1).random((side, side + 10, 1), dtype=np.float32)
        assert np.array_equal(image_blur.defocus_blur(x, 6), disk.disk_blur(x, radius))


def test_motion_angle_is_the_samples_own():
    x = np.random.default_rng(1).random((40, 40, 1), dtype=np.float32)
    drawn = [image_blur.motion_blur(x, 3, np.random.default_rng(seed)) for seed in range(4)]
    assert len({y.tobytes() for y in drawn}) == 4


# ---- processing


def test_brightness_of_black_grey_full_and_other_channels():
    x = np.array([[[0, 0, 0], [0.5, 0.5, 0.5], [1, 0.5, 0], [0.4, 0.2, 0.1]]], np.float32)
    expected = [[[0.2, 0.2, 0.2], [0.7, 0.7, 0.7], [1, 0.5, 0], [0.6, 0.3, 0.15]]]
    assert image_digital.brightness(x, 0.2) == pytest.approx(np.array(expected), abs=1e-6)
    for channels in (1, 2, 4, 7):
        grey = np.linspace(0, 1, 5 * channels, dtype=np.float32).reshape(1, 5, channels)
        assert image_digital.brightness(grey, 0.2) == pytest.approx(np.minimum(grey + 0.2, 1), abs=1e-6)


def test_saturation_keeps_grey_until_it_adds_some():
    grey = np.full((2, 2, 3), 0.5, np.float32)
    assert np.array_equal(image_digital.saturate(grey, 3), grey)
    assert image_digital.saturate(grey, 5)[0, 0] == pytest.approx([0.5, 0.4, 0.4])  # towards red, as HSV has it


def test_contrast_keeps_the_mean_of_every_channel():
    x = np.random.default_rng(0).random((30, 20, 4), dtype=np.float32)
    y = image_digital.contrast(x, 0.8)
    assert y.mean((0, 1)) == pytest.approx(x.mean((0, 1)), abs=1e-6)
    assert y.std((0, 1)) == pytest.approx(0.2 * x.std((0, 1)), rel=1e-4)


def test_severities_below_the_first_fade_in():
    x = crops()[0][:40, :40] / np.float32(255)
    for fn in (image_digital.saturate, image_blur.zoom_blur):
        far = [np.abs(fn(x, s) - x).mean() for s in (0.01, 0.3, 0.7, 1.0)]
        assert far == sorted(far)
        assert 0 < far[0] < 0.02 * far[3]


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        *((name, 5.1) for name in ("glass_blur", "motion_blur", "zoom_blur", "saturate")),
        *(("impulse_noise", 1.01), ("contrast", 1.01), ("pixelate", 1.0), ("jpeg_compression", 99.5)),
    ],
)
def test_severities_that_mean_nothing_are_refused(name, severity):
    data = one(crops()[0][:16, :16])
    probe = probes.get(f"image.{name}")
    with pytest.raises(BadInput, match=f"{name}: severity"):
        probe.apply(whole(data), probe.condition(("photo",), severity), source_of(data))


@pytest.mark.parametrize("name", [*BLURS, "contrast", "pixelate"])
@pytest.mark.parametrize("layout", ["HWC", "CHW", "HW"])
def test_images_of_one_pixel_are_declined(name, layout):
    x = np.zeros({"HWC": (1, 1, 3), "CHW": (3, 1, 1), "HW": (1, 1)}[layout], np.uint8)
    found = list(probes.get(f"image.{name}").grid(scope_of(one(x, Modality("photo", "image", layout=layout)))))
    assert [type(c) for c in found] == [Declined]
    assert "pixel" in found[0].reason


@pytest.mark.parametrize(
    ("layout", "shape"), [("HW", (9, 9)), ("HWC", (9, 9, 1)), ("CHW", (4, 9, 9)), ("HWC", (9, 9, 5))]
)
def test_saturation_needs_three_channels(layout, shape):
    data = one(np.zeros(shape, np.uint8), Modality("photo", "image", layout=layout))
    found = list(probes.get("image.saturate").grid(scope_of(data)))
    assert [type(c) for c in found] == [Declined]
    assert "channel" in found[0].reason
    with pytest.raises(NotApplicable, match="red, green and blue"):
        probes.get("image.saturate").apply(
            whole(data), probes.get("image.saturate").condition(("photo",), 1), source_of(data)
        )
