"""Any image at any severity: the right form comes back, within the legal range, and the input stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from helpers.probe_samples import source_of, whole
from mmaudit.data import ArrayData
from mmaudit.probes import probes
from mmaudit.types import Modality, Task

NAMES = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    *("gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur"),
    *("brightness", "contrast", "saturate", "pixelate", "jpeg_compression"),
)
LEGAL = {"uint8": (0, 255), "uint16": (0, 4095), "int16": (-500, 500), "float32": (-1.0, 1.0), "float64": (0.0, 1.0)}
SHAPES = {
    "HW": st.tuples(st.integers(1, 20), st.integers(1, 20)),
    "HWC": st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 2, 3, 3, 4, 6])),
    "CHW": st.tuples(st.sampled_from([1, 2, 3, 3, 4, 6]), st.integers(1, 20), st.integers(1, 20)),
}


@st.composite
def data_sets(draw):
    """Three images of one form, whatever is in them."""
    layout, dtype = draw(st.sampled_from(sorted(SHAPES))), draw(st.sampled_from(sorted(LEGAL)))
    shape, (low, high) = draw(SHAPES[layout]), LEGAL[dtype]
    width = 32 if dtype == "float32" else 64
    values = st.integers(low, high) if isinstance(low, int) else st.floats(low, high, width=width)
    images = draw(arrays.arrays(dtype, (3, *shape), elements=values))
    modality = Modality("photo", "image", layout=layout, range=(low, high))
    return ArrayData({"photo": images}, np.array([0, 1, 0]), Task.classification(2), modalities=[modality])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=data_sets(), place=st.floats(1e-6, 1.0))
def test_any_image_at_any_severity(name, data, place):
    probe = probes.get(f"image.{name}")
    photo = data.modalities[0]
    if name == "saturate" and (photo.layout == "HW" or photo.shape[photo.layout.index("C")] != 3):
        return  # declined: see test_image_definitions.py
    batch, source = whole(data), source_of(data)
    before = batch.inputs["photo"].copy()
    new = probe.apply(batch, probe.condition(("photo",), place * probe.severities[4]), source).inputs["photo"]
    low, high = data.modalities[0].range
    assert new.dtype == before.dtype
    assert new.shape == before.shape
    assert np.isfinite(new).all()
    assert new.min() >= low
    assert new.max() <= high
    assert np.array_equal(batch.inputs["photo"], before)
