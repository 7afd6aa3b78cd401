"""Shifts in time and in space: by hand, against SciPy, in every layout, and what is planned for which modality."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from helpers.probe_samples import conditions, declined, everything, source_of, whole
from mmaudit.data import ArrayData
from mmaudit.errors import BadInput
from mmaudit.kernels.shift import translated
from mmaudit.probes import Scope, probes
from mmaudit.probes.shift import shifted, steps
from mmaudit.types import Condition, Modality, Task

TASK = Task.classification(2)
PHOTO = Modality("photo", "image", (8, 8, 3), "uint8", "HWC", (0, 255))
VOICE = Modality("voice", "audio", (8000,), "int16", sample_rate=8000.0)
LIPS = Modality("lips", "series", (50, 4), "float32", "TC", sample_rate=25.0)
ECG = Modality("ecg", "series", (300,), "float32")
DATA = everything()


def time_shift(name: str, by: float, direction: str, probe: str = "temporal_shift") -> Condition:
    options = (("direction", direction), ("relative_to", "static"))
    return probes.get(probe).condition((name,), by, options)


def two(values, modality: Modality, **more) -> ArrayData:
    n = len(values)
    other = Modality("other", "tabular")
    inputs = {modality.name: values, "other": np.ones((n, 1))}
    return ArrayData(inputs, np.arange(n) % 2, TASK, modalities=[modality, other], **more)


def after(data: ArrayData, condition: Condition):
    return probes.get(condition.probe).apply(whole(data), condition, source_of(data)).inputs[condition.modalities[0]]


# ---- in time


def test_sound_comes_later_after_silence_and_earlier_before_it():
    x = np.arange(1, 7, dtype=np.int16).reshape(1, 6).repeat(2, axis=0)
    data = two(x, Modality("voice", "audio", sample_rate=1000.0))
    assert after(data, time_shift("voice", 2.0, "later"))[0].tolist() == [0, 0, 1, 2, 3, 4]
    assert after(data, time_shift("voice", 2.0, "earlier"))[0].tolist() == [3, 4, 5, 6, 0, 0]
    assert after(data, time_shift("voice", 99.0, "later"))[0].tolist() == [0] * 6, "longer than the sound: silence"
    assert after(data, time_shift("voice", 0.4, "later"))[0].tolist() == x[0].tolist(), "less than half a sample"
    assert after(data, time_shift("voice", 1.6, "later"))[0].tolist() == [0, 0, 1, 2, 3, 4]


def test_a_series_repeats_its_outermost_value():
    x = np.arange(1.0, 7.0).reshape(1, 6).repeat(2, axis=0)
    data = two(x, Modality("ecg", "series"))
    probe = "temporal_shift_samples"
    assert after(data, time_shift("ecg", 2, "later", probe))[0].tolist() == [1, 1, 1, 2, 3, 4]
    assert after(data, time_shift("ecg", 2, "earlier", probe))[0].tolist() == [3, 4, 5, 6, 6, 6]
    assert after(data, time_shift("ecg", 50, "earlier", probe))[0].tolist() == [6] * 6


def test_silence_of_unsigned_sound_is_its_middle():
    x = np.full((2, 4), 200, np.uint8)
    data = two(x, Modality("voice", "audio", sample_rate=1000.0))
    assert after(data, time_shift("voice", 1.0, "later"))[0].tolist() == [128, 200, 200, 200]


@pytest.mark.parametrize("layout", ["TC", "CT"])
@pytest.mark.parametrize("kind", ["audio", "series"])
def test_time_runs_along_the_declared_axis(layout, kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 10, 2)).astype(np.float32)
    fill = 0.0 if kind == "audio" else x[:, :1]
    expected = np.concatenate([np.broadcast_to(fill, (3, 3, 2)), x[:, :7]], axis=1).astype(np.float32)
    turn = (0, 1, 2) if layout == "TC" else (0, 2, 1)
    modality = Modality("m", kind, layout=layout, sample_rate=1000.0)
    new = after(two(np.ascontiguousarray(x.transpose(turn)), modality), time_shift("m", 3.0, "later"))
    assert np.array_equal(new.transpose(turn), expected)
    assert new.dtype == np.float32


def test_frames_of_a_spectrogram_repeat_and_are_counted_in_samples():
    x = np.random.default_rng(0).normal(size=(2, 5, 7)).astype(np.float32)
    modality = Modality("mel", "audio", (5, 7), layout="FT", sample_rate=16_000.0)
    new = after(two(x, modality), time_shift("mel", 2, "later", "temporal_shift_samples"))
    assert np.array_equal(new, np.concatenate([x[:, :, :1], x[:, :, :1], x[:, :, :5]], axis=2))


def test_sounds_of_different_length_and_absent_ones():
    sounds = [np.arange(1, 4 + i % 3, dtype=np.int16) for i in range(4)]
    data = two(sounds, Modality("voice", "audio", sample_rate=1000.0), present={"voice": np.arange(4) != 1})
    batch = whole(data)
    new = after(data, time_shift("voice", 2.0, "earlier"))
    assert [x.tolist() for x in new[[0, 2, 3]]] == [[3, 0, 0], [3, 4, 5, 0, 0], [3, 0, 0]]
    assert new[1] is batch.inputs["voice"][1] or np.array_equal(new[1], batch.inputs["voice"][1])


def test_there_and_back_leaves_the_middle():
    x = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    for by in (1, 7, 19):
        back = shifted(shifted(x, by, ECG), -by, ECG)
        assert np.array_equal(back[:, : 40 - by], x[:, : 40 - by])


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (time_shift("sound", 10.0, "sideways"), "direction 'sideways' is not one of earlier, later"),
        (time_shift("sound", -1.0, "later"), r"must be 0 or more, and finite \(ms\)"),
        (time_shift("sound", float("nan"), "later"), "must be 0 or more"),
        (time_shift("series", 10.0, "later"), "no sample rate to count ms by"),
        (time_shift("table", 2, "later", "temporal_shift_samples"), "no time axis"),
    ],
)
def test_what_cannot_be_shifted_is_refused(condition, says):
    with pytest.raises(BadInput, match=says):
        after(DATA, condition)


@pytest.mark.parametrize(("name", "rate"), [("temporal_shift", 8000), ("temporal_shift_samples", None)])
def test_a_sequence_of_one_sample_is_declined(name, rate):
    tick = Modality("tick", "series", (1, 4), "float32", "TC", sample_rate=rate)
    scope = Scope((tick, Modality("x", "embedding", (3,), "float32")), TASK)
    assert conditions(probes.get(name), scope) == []
    (refused,) = declined(probes.get(name), scope)
    assert refused.modalities == ("tick",)
    assert refused.reason == "'tick' is one sample long, so nothing in it can come earlier or later"


def test_steps_in_whole_samples():
    asked = (10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
    assert steps(VOICE, asked) == [80, 160, 320, 640, 1280, 2560, 5120]
    assert steps(LIPS, asked) == [1, 2, 4, 8, 16], "40 ms is one frame at 25 Hz"
    assert steps(ECG, asked) == [1, 2, 4, 8, 16, 32, 64], "no rate: doubling"
    slow = Modality("weather", "series", (100,), sample_rate=1 / 60)
    assert steps(slow, asked) == [1, 2, 4, 8, 16, 32, 64], "a sample a minute: milliseconds are none"
    short = Modality("click", "audio", (120,), sample_rate=8000.0)
    assert steps(short, asked) == [1, 2, 4, 8, 16, 32, 64], "15 ms long: only one of those asked for fits"
    assert steps(VOICE, (45.0, 125.0, 250.0)) == [360, 1000, 2000]
    assert steps(Modality("blip", "series", (2,)), asked) == [1]
    assert steps(Modality("any", "audio", (None,), sample_rate=8000.0), asked)[-1] == 5120


def test_shifts_asked_for_are_run_or_declined_and_nothing_else():
    assert steps(VOICE, (500.0,)) == [4000]
    click = Modality("click", "audio", (120,), sample_rate=8000.0)
    assert steps(click, (10.0, 500.0)) == [80]
    scope = Scope((PHOTO, click), TASK, shifts=(10, 500))
    assert {c.severity for c in conditions(probes.get("temporal_shift"), scope)} == {10.0}
    (refused,) = declined(probes.get("temporal_shift"), scope)
    assert (
        refused.reason == "a shift of 500 ms is shorter than one sample, or not shorter than the sequence, at 8000 Hz"
    )
    assert declined(probes.get("temporal_shift"), Scope((PHOTO, click), TASK)) == []


def test_what_is_planned_for_whom():
    scope = Scope((PHOTO, VOICE, LIPS, ECG), TASK, shifts=(40, 80, 160))
    found = conditions(probes.get("temporal_shift"), scope)
    assert [(c.modalities, c.severity) for c in found if c.option("direction") == "later"] == [
        (("voice",), 40.0), (("voice",), 80.0), (("voice",), 160.0),
        (("lips",), 40.0), (("lips",), 80.0), (("lips",), 160.0),
    ]  # fmt: skip
    assert {c.option("relative_to") for c in found} == {"ecg+lips", "ecg+voice"}
    assert [d.modalities for d in declined(probes.get("temporal_shift"), scope)] == [("ecg",)]
    counted = conditions(probes.get("temporal_shift_samples"), scope)
    assert {c.modalities for c in counted} == {("ecg",)}
    assert {c.unit for c in found} == {"ms"}
    assert {c.unit for c in counted} == {"samples"}
    lone = conditions(probes.get("temporal_shift"), Scope((PHOTO, VOICE), TASK))
    assert {c.option("relative_to") for c in lone} == {"static"}
    assert lone[0].label == "temporal_shift[voice, direction=earlier, relative_to=static]@10"


def test_time_that_runs_nobody_says_where_is_declined():
    unknown = Modality("imu", "series", (50, 4), "float32")
    for name in ("temporal_shift", "temporal_shift_samples"):
        scope = Scope((PHOTO, unknown), TASK)
        assert conditions(probes.get(name), scope) == []
        assert "does not declare along which axis time runs" in declined(probes.get(name), scope)[0].reason


def test_severity_is_the_shift_that_is_made():
    odd = Modality("odd", "audio", (9000,), sample_rate=22_050.0)
    for c in conditions(probes.get("temporal_shift"), Scope((PHOTO, odd), TASK)):
        samples = c.severity * 22.05
        assert samples == pytest.approx(round(samples), abs=1e-2)


# ---- in space


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (0, -2), (0.3, 0.7), (-1.6, 2.25), (9, -30)])
def test_translation_is_scipys(down, right):
    x = np.random.default_rng(0).random((7, 11, 3)).astype(np.float32)
    expected = np.stack(
        [scipy.ndimage.shift(x[..., c], (down, right), order=1, mode="nearest") for c in range(3)], axis=2
    )
    assert np.allclose(translated(x, float(down), float(right)), expected, atol=1e-5)


def displaced(name: str, severity: float | None, repeat: int = 0) -> Condition:
    return probes.get("spatial_shift").condition((name,), severity, repeat=repeat)


def test_the_distance_is_a_share_of_the_shorter_side_and_the_direction_random():
    n, side = 400, 40
    y, x = np.mgrid[:side, : 2 * side]
    spot = np.exp(-((y - 20) ** 2 + (x - 40) ** 2) / 8.0)
    data = two(
        np.repeat(spot[None, :, :, None], n, axis=0).astype(np.float32),
        Modality("photo", "image", layout="HWC", range=(0, 1)),
    )
    angles = {}
    for severity in (0.05, 0.2):
        new = after(data, displaced("photo", severity))[..., 0]
        mass = new.sum(axis=(1, 2))
        down = (new * y).sum(axis=(1, 2)) / mass - 20
        right = (new * x).sum(axis=(1, 2)) / mass - 40
        assert np.allclose(np.hypot(down, right), severity * side, atol=0.02)
        angles[severity] = np.arctan2(down, right)
    assert np.allclose(np.exp(1j * angles[0.05]), np.exp(1j * angles[0.2]), atol=0.02), "the same way, only further"
    assert abs(np.exp(1j * angles[0.2]).mean()) < 4 / np.sqrt(n), "every direction alike"


def test_one_pixel_wide_moves_along_the_other_side_and_one_pixel_not_at_all():
    rng = np.random.default_rng(0)
    strips = [rng.random((1, 9, 1)), rng.random((9, 1, 1)), rng.random((1, 1, 1)), rng.random((5, 6, 1))]
    sizes = [x.astype(np.float32) for x in strips]
    data = two(sizes, Modality("photo", "image", layout="HWC", range=(0, 1)))
    new = after(data, displaced("photo", 0.2))
    assert [not np.array_equal(a, b) for a, b in zip(new, sizes, strict=True)] == [True, True, False, True]
    assert [x.shape for x in new] == [x.shape for x in sizes]


def test_images_that_cannot_be_displaced_are_declined():
    shapes = {"dot": ((1, 1, 3), "HWC"), "point": ((3, 1, 1), "CHW"), "strip": ((1, 9), "HW")}
    images = tuple(Modality(m, "image", s, "uint8", layout, (0, 255)) for m, (s, layout) in shapes.items())
    scope = Scope(images, TASK)
    assert {c.modalities for c in conditions(probes.get("spatial_shift"), scope)} == {("strip",)}
    assert [d.modalities for d in declined(probes.get("spatial_shift"), scope)] == [("dot",), ("point",)]
    for severity in (None, -0.1, float("inf")):
        with pytest.raises(BadInput, match=r"must be 0 or more, and finite \(share of the side\)"):
            after(DATA, displaced("hwc", severity))
