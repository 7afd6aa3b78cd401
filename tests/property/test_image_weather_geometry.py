"""Weather and geometry of any image at any severity: the legal form comes back, whatever is in the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from helpers.probe_samples import same, source_of, whole
from mmaudit.data import ArrayData
from mmaudit.data.statistics import ModalityStatistics
from mmaudit.errors import BadInput
from mmaudit.kernels.random_field import smooth_field
from mmaudit.probes import Scope, probes
from mmaudit.probes.corruption import image_geometry, image_weather
from mmaudit.types import Condition, Modality, Task

WEATHER = ("snow", "frost", "fog", "spatter", "low_light")
GEOMETRY = ("elastic_transform", "rotation", "occlusion", "channel_drop")
# The highest severity that is not refused.
TOP = {"low_light": 30.0, "elastic_transform": 1e4, "rotation": 180.0, "occlusion": 1.0, "channel_drop": 1.0}
LEGAL = {"uint8": (0, 255), "uint16": (0, 4095), "int16": (-500, 500), "float32": (-1.0, 1.0), "float64": (0.0, 1.0)}
STATISTICS = ModalityStatistics(mean=np.asarray(0.4), std=np.asarray(0.2))

quick = settings(max_examples=40, deadline=None, derandomize=True)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6))
parts = st.floats(1e-6, 1.0)


def applied(name: str, x: np.ndarray, severity: float, seed: int) -> np.ndarray:
    fn = getattr(image_weather, name, None) or getattr(image_geometry, name)
    extra = {"statistics": STATISTICS} if name == "occlusion" else {}
    return fn(x.copy(), severity, np.random.Generator(np.random.Philox(seed)), **extra)


def image(size: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.2, 0.9, size).astype(np.float32)


@pytest.mark.parametrize("name", WEATHER + GEOMETRY)
@quick
@given(size=sizes, part=parts, seed=st.integers(0, 10**6))
@example(size=(1, 1, 1), part=1.0, seed=0)
@example(size=(1, 40, 3), part=1.0, seed=1)
@example(size=(40, 1, 3), part=1e-6, seed=2)
@example(size=(2, 2, 2), part=0.5, seed=3)
def test_any_size_and_severity(name, size, part, seed):
    x = image(size, seed)
    y = applied(name, x, part * TOP.get(name, 5.0), seed)
    assert y.shape == size
    assert y.dtype == np.float32
    assert np.isfinite(y).all()


@pytest.mark.parametrize("name", WEATHER + GEOMETRY)
@quick
@given(size=sizes, seed=st.integers(0, 10**6), position=st.integers(0, 4))
def test_every_position_of_the_table_changes_something(name, size, seed, position):
    """Except what cannot happen: nothing moves in a single pixel, nothing is dropped of a single channel.

    A single pixel is the image's maximum, too, which the thickest fog leaves as it is.
    """
    assume(name != "fog" or size[:2] != (1, 1))
    x = image(size, seed)
    y = applied(name, x, probes.get(f"image.{name}").severities[position], seed)
    cannot = (
        size[:2] == (1, 1) if name in ("elastic_transform", "rotation") else name == "channel_drop" and size[2] == 1
    )
    assert np.array_equal(np.clip(y, 0, 1), x) == cannot


@pytest.mark.parametrize("name", WEATHER + GEOMETRY)
@quick
@given(size=sizes, seed=st.integers(0, 10**6), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_value_that_is_not_finite_breaks_nothing(name, size, seed, value):
    x = image(size, seed)
    x[0, 0, 0] = value
    y = applied(name, x, probes.get(f"image.{name}").severities[3], seed)
    assert y.shape == size
    # What no number lies near stays a number: the last row of an image that has several.
    if name not in ("rotation", "elastic_transform") and size[0] > 1:
        assert np.isfinite(y[-1]).all()


@pytest.mark.parametrize("name", [n for n in (*WEATHER, *GEOMETRY) if n not in ("low_light", "elastic_transform")])
@quick
@given(beyond=st.floats(1.001, 1e6))
def test_beyond_the_legal_severity_is_refused(name, beyond):
    with pytest.raises(BadInput, match=f"{name}: severity .* is above"):
        applied(name, image((6, 5, 3), 0), beyond * TOP.get(name, 5.0), 0)


@pytest.mark.parametrize("name", ["low_light", "occlusion", "channel_drop"])
@quick
@given(size=sizes, seed=st.integers(0, 10**6), low=parts, high=parts)
def test_these_are_monotone_in_every_image(name, size, seed, low, high):
    low, high = sorted((low, high))
    x = np.full(size, 0.8, np.float32)
    top = 8.0 if name == "low_light" else 1.0
    near, far = (np.sqrt(np.mean((applied(name, x, s * top, seed) - x) ** 2)) for s in (low, high))
    # Noise of single pixels may outweigh a little less light.
    assert near <= far + (0.2 * far + 0.02 if name == "low_light" else 1e-6)


@quick
@given(
    layout=st.sampled_from(["HW", "HWC", "CHW"]),
    dtype=st.sampled_from(sorted(LEGAL)),
    size=sizes,
    name=st.sampled_from(WEATHER + GEOMETRY),
    part=parts,
)
def test_data_sets_of_any_form(layout, dtype, size, name, part):
    """Through the probe: what is not declined keeps dtype, layout, shape and legal range, and single rows agree."""
    shape = {"HW": size[:2], "HWC": size, "CHW": (size[2], *size[:2])}[layout]
    low, high = LEGAL[dtype]
    images = np.random.default_rng(0).uniform(low, high, (4, *shape)).astype(dtype)
    modality = Modality("photo", "image", layout=layout, range=(low, high))
    data = ArrayData({"photo": images}, np.array([0, 1, 0, 1]), Task.classification(2), modalities=[modality])
    probe, batch, source = probes.get(f"image.{name}"), whole(data), source_of(data)
    found = list(probe.grid(Scope(data.modalities, data.task)))
    if not isinstance(found[0], Condition):
        assert found[0].reason
        return
    condition = probe.condition(("photo",), part * min(TOP.get(name, 5.0), 100.0))
    new = probe.apply(batch, condition, source).inputs["photo"]
    assert new.dtype == images.dtype
    assert new.shape == images.shape
    assert new.min() >= low
    assert new.max() <= high
    assert np.array_equal(batch.inputs["photo"], images)
    assert same(probe.apply(data.rows(np.array([2])), condition, source).inputs["photo"], new[[2]])


@quick
@given(st.integers(1, 30), st.integers(1, 30), st.floats(1e-3, 40))
def test_smooth_fields_of_any_size(height, width, sigma):
    field = smooth_field(np.random.default_rng(0).standard_normal((height, width), dtype=np.float32), sigma)
    assert field.shape == (height, width)
    assert np.isfinite(field).all()
