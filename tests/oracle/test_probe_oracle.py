"""Second opinions: SciPy's blur, a table-filling Levenshtein, NumPy's moments, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from helpers.probe_samples import source_of, whole
from mmaudit.data import ArrayData
from mmaudit.kernels import blur
from mmaudit.kernels.distance import normalised_levenshtein, rms_rows
from mmaudit.probes import probes
from mmaudit.probes.corruption.image_blur import gaussian_blur
from mmaudit.probes.corruption.image_noise import gaussian_noise
from mmaudit.probes.corruption.numeric import gaussian_noise_additive, gaussian_noise_convex
from mmaudit.probes.proof import moved
from mmaudit.types import Modality, Task


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 1), (17, 9, 3), (64, 64, 3), (20, 33, 5)])
@pytest.mark.parametrize("sigma", [0.1, 0.13, 0.4, 1.0, 1.71, 5.5, 12.0])
def test_blur_is_scipys(shape, sigma):
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    theirs = ndimage.gaussian_filter(x.astype(np.float64), (sigma, sigma, 0), mode="nearest", truncate=4)
    assert np.abs(blur.gaussian_blur(x, sigma) - theirs).max() < 1e-6


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.125, 0.286, 0.5, 0.8, 0.99, 1.0, 3.0])
def test_blur_spreads_a_point_by_sigma(sigma):
    """The variance of the point's image is σ², below one pixel too, where a sampled Gaussian alone would lose it."""
    x = np.zeros((41, 41, 1), np.float32)
    x[20, 20] = 1
    y = blur.gaussian_blur(x, blur.sampled_sigma(sigma))[:, :, 0].astype(np.float64)
    assert y.sum() == pytest.approx(1, abs=1e-5)
    for axis in (0, 1):
        assert (y.sum(axis) * (np.arange(41) - 20) ** 2).sum() == pytest.approx(sigma**2, rel=2e-3)


def test_blur_scales_with_the_short_side():
    """σ = 6 of a 224 px short side is 6 px there, and 3 px at half the size."""
    for side, sigma in ((224, 6.0), (112, 3.0)):
        x = np.random.default_rng(1).random((side, side + 20, 1), dtype=np.float32)
        theirs = ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest", truncate=4)
        assert np.abs(gaussian_blur(x, 6.0) - theirs).max() < 1e-5


def plain_levenshtein(a: str, b: str) -> int:
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            table[i + 1, j + 1] = min(table[i, j] + (p != q), table[i, j + 1] + 1, table[i + 1, j] + 1)
    return int(table[-1, -1])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text("abc é🙂\ud800", max_size=12), st.text("abc é🙂\ud800", max_size=12)), min_size=1))
def test_levenshtein_is_the_tables(pairs):
    ours = normalised_levenshtein([a for a, _ in pairs], [b for _, b in pairs])
    theirs = [plain_levenshtein(a, b) / max(len(a), len(b), 1) for a, b in pairs]
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_levenshtein_known_values_and_cut():
    assert normalised_levenshtein(["kitten", "", "", "abc"], ["sitting", "", "ab", "abc"]).tolist() == pytest.approx(
        [3 / 7, 0, 1, 0]
    )
    assert normalised_levenshtein(["a" * 512 + "b"], ["a" * 512 + "c"])[0] == 0


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32", "float64"])
@pytest.mark.parametrize("d", [1, 3, 4, 127])
def test_rms_is_numpys(dtype, d):
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0, 200, (50, d)).astype(dtype) for _ in range(2))
    b[::7] = a[::7]
    changed, rms = rms_rows(a, b)
    assert rms == pytest.approx(np.sqrt(np.mean((a.astype(float) - b.astype(float)) ** 2, 1)))
    assert np.array_equal(changed, (a != b).any(1))


def test_moved_is_in_units_of_sigma():
    rng, n = np.random.default_rng(0), 3000
    x = rng.normal([0, 10], [2, 2], (n, 2))
    data = ArrayData({"a": x, "b": np.ones((n, 1))}, np.arange(n) % 2, Task.classification(2))
    source, batch = source_of(data), whole(data)
    changed, far = moved(x, x + 2.0, source.modality("a"), source.statistics["a"])
    assert changed.all()
    assert far == pytest.approx(1, rel=0.05)
    # Another sample in its place: a difference of two independent draws, √2 σ in root mean square.
    donor = probes.get("mismatch").condition(("a",), options=(("pool", "random"),))
    _, far = moved(
        x, probes.get("mismatch").apply(batch, donor, source).inputs["a"], data.modalities[0], source.statistics["a"]
    )
    assert np.sqrt(np.mean(far.astype(float) ** 2)) == pytest.approx(np.sqrt(2), rel=0.05)


def test_imagenet_c_noise_has_its_sigma_and_is_independent():
    x = np.full((200, 200, 3), 0.5, np.float32)
    y = gaussian_noise(x, 0.08, np.random.default_rng(0)) - x
    assert y.std() == pytest.approx(0.08, rel=0.01)
    assert abs(y.mean()) < 5 * 0.08 / np.sqrt(y.size)
    channels = np.corrcoef(y.reshape(-1, 3).T)
    neighbours = np.corrcoef(y[:, 1:].ravel(), y[:, :-1].ravel())
    assert max(abs(channels[0, 1]), abs(channels[0, 2]), abs(neighbours[0, 1])) < 5 / np.sqrt(40_000)


class Moments:
    mean, std = np.array([3.0, -1.0]), np.array([0.5, 2.0])


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.95])
def test_noise_moments_are_the_two_readings(alpha):
    rng, n = np.random.default_rng(0), 40_000
    x, numbers = np.array([7.0, 20.0]), Modality("e", "embedding", (2,))
    added = np.array([gaussian_noise_additive(x, alpha, rng, numbers, Moments) for _ in range(n)])
    mixed = np.array([gaussian_noise_convex(x, alpha, rng, numbers, Moments) for _ in range(n)])
    error = 5 * alpha * Moments.std / np.sqrt(n) + 1e-6
    assert (np.abs(added.mean(0) - (x + alpha * Moments.mean)) < error).all()
    assert (np.abs(mixed.mean(0) - ((1 - alpha) * x + alpha * Moments.mean)) < error).all()
    assert added.std(0) == pytest.approx(alpha * Moments.std, rel=0.03)
    assert mixed.std(0) == pytest.approx(alpha * Moments.std, rel=0.03)


@pytest.mark.parametrize(("reading", "ratio"), [("additive", lambda a: a), ("convex", lambda a: a / (1 - a))])
def test_a_perfect_product_model_loses_what_theory_says(reading, ratio):
    """The sign of a dot product of isotropic embeddings, one of them noisy, survives with 1 − atan(r)/π."""
    rng, n, d = np.random.default_rng(0), 6000, 64
    text, image = rng.normal(0, 1, (n, d)), rng.normal(0, 1, (n, d))
    label = (np.sum(text * image, 1) > 0).astype(int)
    kinds = {"text": "embedding", "image": "embedding"}
    data = ArrayData({"text": text, "image": image}, label, Task.classification(2), kinds=kinds)
    source, batch = source_of(data), whole(data)
    probe = probes.get(f"embedding.gaussian_noise_{reading}")
    for alpha in (0.1, 0.5, 0.95):
        noisy = probe.apply(batch, probe.condition(("text",), alpha), source).inputs["text"]
        accuracy = np.mean((np.sum(noisy * image, 1) > 0) == label)
        expected = 1 - np.arctan(ratio(alpha)) / np.pi
        assert abs(accuracy - expected) < 4 * np.sqrt(expected * (1 - expected) / n) + 0.01


def test_noise_means_the_same_in_every_layout_and_scale():
    """uint8 HWC, float CHW in [-1, 1] and HW see the same canonical sample, so noise of the same size."""
    rng, n = np.random.default_rng(0), 40
    grey = rng.integers(60, 190, (n, 12, 12, 1))
    data = ArrayData(
        {
            "bytes": np.repeat(grey, 3, 3).astype(np.uint8),
            "floats": (np.repeat(grey, 3, 3).transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32),
            "plain": grey[..., 0].astype(np.uint8),
        },
        np.arange(n) % 2,
        Task.classification(2),
        modalities=[
            Modality("bytes", "image", layout="HWC", range=(0, 255)),
            Modality("floats", "image", layout="CHW", range=(-1, 1)),
            Modality("plain", "image", layout="HW", range=(0, 255)),
        ],
    )
    source, batch = source_of(data), whole(data)
    for name in ("gaussian_noise", "gaussian_noise_additive", "gaussian_noise_convex", "gaussian_blur"):
        probe = probes.get(f"image.{name}")
        severity = 6.0 if name == "gaussian_blur" else 0.1
        sizes = []
        for m, scale in (("bytes", 255), ("floats", 2), ("plain", 255)):
            new = probe.apply(batch, probe.condition((m,), severity), source).inputs[m]
            sizes.append(np.std(new.astype(float) - batch.inputs[m]) / scale)
        assert max(sizes) / min(sizes) < 1.05, (name, sizes)
