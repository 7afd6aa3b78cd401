"""snow, frost, fog, spatter and low_light: their formulas, their tables, and what lies between and beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.photographs import crops
from mmaudit.errors import BadInput
from mmaudit.kernels import ice
from mmaudit.kernels.plasma import diamond_square
from mmaudit.probes.corruption import image_weather
from mmaudit.probes.corruption.image_severity import luminance
from mmaudit.probes.corruption.image_weather import FOG, FROST, fog, frost, low_light, snow, spatter

WEATHER = (snow, frost, fog, spatter)
SIZES = [(9, 12, 3), (28, 28, 1), (64, 64, 3), (224, 224, 3), (30, 90, 5), (300, 260, 3)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def photograph(shape: tuple[int, ...], crop: int = 0) -> np.ndarray:
    """Part of a photograph, tiled where it is too small, with as many channels as asked for."""
    x = np.tile(crops()[crop], (2, 2, 2))[: shape[0], : shape[1], : shape[2]]
    return x.astype(np.float32) / 255


def rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.clip(a, 0, 1).astype(float) - b) ** 2)))


# ---- tables


@pytest.mark.parametrize("corruption", WEATHER)
@pytest.mark.parametrize("shape", SIZES)
def test_every_severity_hits_images_of_every_size(corruption, shape):
    x = photograph(shape)
    for severity in (0.25, 1, 1.5, 2, 3, 3.5, 4, 5):
        y = corruption(x.copy(), severity, rng(1))
        assert y.shape == x.shape
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert rms(y, x) > 1e-3


@pytest.mark.parametrize("corruption", WEATHER)
@pytest.mark.parametrize("shape", [(28, 28, 1), (120, 100, 3)])
@pytest.mark.parametrize("severity", [1, 1.7, 2, 3, 3.4, 4, 4.9])
def test_severity_is_continuous(corruption, shape, severity):
    """A thousandth more moves the image by far less than a whole severity does."""
    x = photograph(shape)
    step = rms(corruption(x.copy(), severity + 1e-3, rng(2)), np.clip(corruption(x.copy(), severity, rng(2)), 0, 1))
    assert step < 0.01
    assert step < 0.1 * rms(corruption(x.copy(), severity, rng(2)), x)


@pytest.mark.parametrize("corruption", WEATHER)
def test_below_one_the_image_fades_in(corruption):
    x = photograph((40, 50, 3))
    whole = corruption(x.copy(), 1, rng(3))
    assert corruption(x.copy(), 0.3, rng(3)) == pytest.approx(x + 0.3 * (whole - x), abs=1e-6)


@pytest.mark.parametrize("corruption", WEATHER)
def test_above_five_is_refused(corruption):
    with pytest.raises(BadInput, match=r"severity 5\.5 is above 5"):
        corruption(photograph((8, 8, 3)), 5.5, rng())


@pytest.mark.parametrize("corruption", [*WEATHER, low_light])
def test_draws_are_the_samples_own(corruption):
    x = 0.5 * photograph((40, 50, 3))
    assert np.array_equal(corruption(x.copy(), 3, rng(4)), corruption(x.copy(), 3, rng(4)))
    assert rms(corruption(x.copy(), 3, rng(4)), np.clip(corruption(x.copy(), 3, rng(5)), 0, 1)) > 0.01


@pytest.mark.parametrize("corruption", [*WEATHER, low_light])
def test_grey_is_like_three_equal_channels(corruption):
    """Grey images and those of five equal channels get the luminance of what three channels get, up to noise."""
    x = photograph((60, 60, 1))
    grey = corruption(x.copy(), 3, rng(6))
    assert luminance(corruption(x.repeat(3, 2), 3, rng(6))).mean() == pytest.approx(grey.mean(), abs=0.02)
    assert corruption(x.repeat(5, 2), 3, rng(6)).mean() == pytest.approx(grey.mean(), abs=0.02)


# ---- snow


def test_snow_whitens_and_adds_flakes():
    """Without its flakes, snow is k x + (1 − k) max(x, 1.5 grey + 0.5); with them no pixel is darker than that."""
    x = photograph((100, 80, 3), crop=3)
    for severity, keep in ((1, 0.8), (3, 0.7), (5, 0.55)):
        plain = keep * x + (1 - keep) * np.maximum(x, 1.5 * luminance(x)[:, :, None] + 0.5)
        flakes = snow(x.copy(), severity, rng(7)) - np.minimum(plain, 1)
        assert flakes.min() > -1e-6
        assert 0.05 < (flakes > 0.1).mean() < 0.9


def test_snow_falls_downwards():
    """Trails are longer than they are wide, and steeper than 45 degrees: black shows nothing but flakes."""
    layers = np.stack([snow(np.zeros((224, 224, 1), np.float32), 4, rng(seed))[:, :, 0] for seed in range(8)])
    layers -= layers.mean()
    shift = 6
    down, across = (
        np.mean(layers[:, shift:] * layers[:, :-shift]),
        np.mean(layers[:, :, shift:] * layers[:, :, :-shift]),
    )
    assert down > 1.5 * across


def test_flakes_are_never_smaller_than_two_pixels():
    layer = snow(np.zeros((28, 28, 1), np.float32), 1, rng(8))[:, :, 0]
    bright = layer > layer.min() + 0.1
    assert bright.any()
    assert (bright[1:] & bright[:-1]).any() or (bright[:, 1:] & bright[:, :-1]).any()


# ---- frost


def test_frost_is_the_sum_of_image_and_ice():
    x = photograph((50, 70, 3))
    seen = [(frost(x.copy(), s, rng(9)) - FROST[s - 1][0] * x) / FROST[s - 1][1] for s in (1, 2, 5)]
    assert seen[0] == pytest.approx(seen[1], abs=1e-5)
    assert seen[0] == pytest.approx(seen[2], abs=1e-5)
    assert seen[0].min() > -1e-6
    assert seen[0].max() < 1 + 1e-6


def test_frost_shows_every_texture():
    x = np.zeros((32, 32, 3), np.float32)
    colours = {tuple(np.round(ice.ice(k).colour, 2).tolist()) for k in range(ice.COUNT)}
    # Images of ice alone: their mean colour tells the texture.
    means = np.array([frost(x.copy(), 2, rng(seed)).mean((0, 1)) / 0.6 for seed in range(40)])
    found = {min(colours, key=lambda c, m=mean: np.abs(np.array(c) - m).sum()) for mean in means}
    assert found == colours


def test_frost_keeps_its_scale_and_covers_long_images():
    """The same ice at half the size: means over 2×2 pixels; a strip eight times as long as high is covered, too."""
    large = frost(np.zeros((224, 224, 1), np.float32), 1, rng(10))[:, :, 0]
    small = frost(np.zeros((112, 112, 1), np.float32), 1, rng(10))[:, :, 0]
    means = large.reshape(112, 2, 112, 2).mean((1, 3))
    assert np.corrcoef(means.ravel(), small.ravel())[0, 1] > 0.9
    assert frost(np.zeros((16, 1200, 1), np.float32), 1, rng(10)).std() > 0.005


# ---- fog


@pytest.mark.parametrize("shape", [(224, 200, 3), (28, 28, 1), (9, 12, 3), (1, 1, 1), (17, 130, 6)])
def test_fog_is_the_formula(shape):
    x = photograph(shape)
    side = max(16, 2 ** int(np.ceil(np.log2(max(shape[:2])))))
    noise = rng(11).random((side, side), dtype=np.float32) * 2 - 1
    for severity, (thickness, decay) in enumerate(FOG, 1):
        plasma = diamond_square(noise, decay)[: shape[0], : shape[1], None]
        theirs = (x + thickness * plasma) * x.max() / (x.max() + thickness)
        assert fog(x.copy(), severity, rng(11)) == pytest.approx(theirs, abs=1e-5)


def test_fog_keeps_the_maximum_and_black():
    x = photograph((60, 60, 3))
    assert fog(x.copy(), 5, rng(12)).max() <= x.max() + 1e-6
    assert not fog(np.zeros((20, 20, 3), np.float32), 5, rng(12)).any()


# ---- spatter


def test_water_adds_light_and_mud_covers():
    x = np.full((150, 150, 3), 0.5, np.float32)
    for severity in (1, 2, 3):
        y = spatter(x.copy(), severity, rng(13))
        assert (y >= x).all()
        assert y.max() <= 1
    for severity in (4, 5):
        y = spatter(x.copy(), severity, rng(13))
        assert (y <= x + 1e-6).all()
        assert y.min(axis=(0, 1)) == pytest.approx(image_weather.MUD_COLOUR, abs=0.02)
    between = spatter(x.copy(), 3.25, rng(13))
    water, mud = spatter(x.copy(), 3, rng(13)), spatter(x.copy(), 4, rng(13))
    assert between == pytest.approx(0.75 * water + 0.25 * mud, abs=1e-5)


def test_water_is_pale_turquoise():
    light = spatter(np.zeros((100, 100, 3), np.float32), 3, rng(14))
    wet = light[light[:, :, 2] > 0.2]
    assert len(wet) > 50
    assert wet[:, 0] / wet[:, 2] == pytest.approx(np.full(len(wet), 175 / 238), abs=1e-3)
    assert wet[:, 1] == pytest.approx(wet[:, 2])


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 3), (9, 12, 3)])
def test_there_is_always_a_drop(shape):
    for seed in range(50):
        x = np.full(shape, 0.5, np.float32)
        for severity in (1, 2, 3, 4, 5):
            assert rms(spatter(x.copy(), severity, rng(seed)), x) > 0


def test_share_covered_is_that_of_the_thresholds():
    """Share of a Gaussian field above the threshold: 3 %, 14 % and 24 % for water, at any size of the image."""
    for side in (224, 448):
        for severity, share in ((1, 0.03), (2, 0.14), (3, 0.24)):
            x = np.zeros((side, side, 1), np.float32)
            covered = [(spatter(x.copy(), severity, rng(seed)) > 0).mean() for seed in range(12)]
            assert np.mean(covered) == pytest.approx(share, rel=0.4)


# ---- low light


def linear(v: np.ndarray) -> np.ndarray:
    v = np.asarray(v, float)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("stops", [0.5, 1, 2, 3])
def test_light_is_halved_per_stop_and_noise_is_the_photons(stops):
    x = np.full((300, 300, 1), 0.7, np.float32)
    light, kept = linear(0.7), 2.0**-stops
    left = linear(low_light(x, stops, rng(15)))
    assert left.mean() == pytest.approx(kept * light, rel=0.01)
    variance = kept * (1 - kept) * light / 1000 + (1 - kept**2) * (3 / 1000) ** 2
    assert left.var() == pytest.approx(variance, rel=0.03)


def test_little_loss_does_little():
    x = photograph((40, 40, 3))
    far = [rms(low_light(x.copy(), stops, rng(16)), x) for stops in (1e-4, 1e-2, 0.1, 1, 2, 5, 12)]
    assert far == sorted(far)
    assert far[0] < 1e-3


# ---- real photographs


@pytest.mark.parametrize("corruption", [snow, low_light])
def test_on_photographs_more_severity_moves_further(corruption):
    far = [np.mean([rms(corruption(c / np.float32(255), s, rng(k)), c / 255) for k, c in enumerate(crops())])
           for s in (1, 2, 3.3, 4, 5)]  # fmt: skip
    assert far == sorted(far)
