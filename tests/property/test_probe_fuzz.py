"""Every registered probe on odd but legal data: the right form comes back, or one clear refusal; nothing else."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.probe_samples import fresh, same, scope_of, source_of, whole
from mmaudit.data import ArrayData
from mmaudit.errors import MMAuditError
from mmaudit.probes import probes
from mmaudit.probes.canonical import legal_range
from mmaudit.types import Condition, Modality, Task

KINDS = ("image", "audio", "text", "tabular", "series", "embedding")
# Letters with and without case, marks that combine, right-to-left, emoji of several code points, lone surrogates.
PIECES = [
    *("é", "שלום", "م", "👩‍👩‍👧", "🇩🇪", "한", "ｆ", "ı", "ß", "\u200d", "\ufe0f", "\u0301", "\ud800"),
    *("is", " not ", "The cat sat. ", "0O1l", "?!", "\n", "\t", " "),
]
TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=12).map("".join)


def values(kind: str, number: int, dtype: str, shape: tuple[int, ...], flat: bool, rng: np.random.Generator):
    """`number` samples: noise, or, `flat`, one constant each."""
    info = np.iinfo(dtype) if dtype[0] in "iu" else None
    noise = rng.normal(0, 1, (number, *shape))
    if flat and noise.size:
        noise = np.broadcast_to(noise.reshape(number, -1)[:, :1].reshape(number, *[1] * len(shape)), noise.shape)
    if kind == "image":
        unit = np.clip(0.5 + 0.3 * noise, 0, 1)
        return (unit * 255).astype(dtype) if info else unit.astype(dtype)
    if info:
        return np.clip(noise * (6000 if kind == "audio" else 3), info.min, info.max).astype(dtype)
    return (noise * rng.choice([1e-3, 1.0, 1e4])).astype(dtype)


@st.composite
def datasets(draw, kind: str):
    """One to six samples of a modality of this kind beside a plain embedding, some of them absent."""
    n = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    flat, ragged = draw(st.booleans()), draw(st.booleans())
    if kind == "text":
        column, modality = draw(st.lists(TEXT, min_size=n, max_size=n)), Modality("m", "text")
    else:
        small = st.integers(1, 14)
        if kind == "image":
            dtype, layout = draw(st.sampled_from(["uint8", "float32"])), draw(st.sampled_from(["HW", "HWC", "CHW"]))
            channels = draw(st.integers(1, 5))
            modality = Modality("m", kind, layout=layout, range=(0, 255) if dtype == "uint8" else (0, 1))

            def shape():
                side = (draw(small), draw(small))
                return {"HW": side, "HWC": (*side, channels), "CHW": (channels, *side)}[layout]
        elif kind == "audio":
            dtype, layout = draw(st.sampled_from(["int16", "float32"])), draw(st.sampled_from([None, "CT", "TC", "FT"]))
            rate = draw(st.sampled_from([None, 8000, 16_000, 1]))
            modality = Modality(
                "m", kind, layout=layout, sample_rate=rate, range=draw(st.sampled_from([None, (-1, 1)]))
            )
            if dtype == "int16":
                modality = dataclasses.replace(modality, range=None)

            def shape():
                length = draw(st.integers(0 if ragged else 1, 90))
                return {None: (length,), "CT": (2, length), "TC": (length, 2), "FT": (9, length)}[layout]
        elif kind == "series":
            dtype, layout = "float32", draw(st.sampled_from([None, "TC", "CT"]))
            channels = draw(st.integers(1, 3))
            modality = Modality("m", kind, layout=layout, sample_rate=draw(st.sampled_from([None, 50.0])))

            def shape():
                length = draw(st.integers(0 if ragged else 1, 40))
                return {None: (length,), "TC": (length, channels), "CT": (channels, length)}[layout]
        else:
            dtype = draw(st.sampled_from(["float32", "float64", "int64"])) if kind == "tabular" else "float32"
            modality, ragged = Modality("m", kind), False
            width = draw(st.integers(1, 9))

            def shape():
                return (width,)

        shapes = [shape() for _ in range(n)] if ragged else [shape()] * n
        cells = [values(kind, 1, dtype, s, flat, rng)[0] for s in shapes]
        column = cells if ragged else np.stack(cells)
    present = {"m": np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))}
    return ArrayData(
        {"m": column, "other": rng.normal(size=(n, 3)).astype(np.float32)},
        rng.integers(0, 3, n),
        Task.classification(3),
        modalities=[modality, Modality("other", "embedding")],
        present=present,
    )


def severities(probe):
    """The table's, what lies between and beyond, and far too much."""
    table = probe.severities or (0.1, 0.5, 1.0)
    between = st.floats(min(table) / 4, max(table) * 1.5, allow_nan=False)
    return st.one_of(st.sampled_from(table), between, st.just(max(table) * 50))


CASES = [(p.name, kind) for p in probes for kind in KINDS if kind in p.kinds]


@pytest.mark.parametrize(("name", "kind"), CASES)
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_right_result_or_one_clear_refusal(name, kind, draw):
    try:
        data = draw.draw(datasets(kind))
    except MMAuditError:
        return  # the data set itself is refused: empty samples only, for example
    probe, batch = probes.get(name), whole(data)
    planned = list(probe.grid(scope_of(data, repeats=1)))
    for refusal in planned:
        if not isinstance(refusal, Condition):
            assert refusal.reason
            assert not refusal.reason.endswith(".")
    conditions = [c for c in planned if isinstance(c, Condition) and "m" in c.modalities]
    if not conditions:
        return
    condition = draw.draw(st.sampled_from(conditions))
    if condition.severity is not None and condition.position is not None:
        condition = dataclasses.replace(condition, severity=draw.draw(severities(probe)), position=None)
    before = fresh(batch)
    try:
        new = probe.apply(batch, condition, source_of(data))
    except MMAuditError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert len(refused) > 20
        assert "\n" not in refused
        return
    assert same(batch.inputs["m"], before.inputs["m"])
    modality, absent = data.modalities[0], ~batch.present["m"]
    if name != "destroy":
        assert same(new.inputs["m"][absent], batch.inputs["m"][absent])
    for old, row in zip(batch.inputs["m"], new.inputs["m"], strict=True):
        if kind == "text":
            assert isinstance(row, str)
            continue
        assert row.dtype == old.dtype
        assert row.ndim == old.ndim
        assert np.isfinite(row).all()
        limits = legal_range(modality, row.dtype)
        assert limits is None or not row.size or (limits[0] <= row.min() and row.max() <= limits[1])
    assert condition.severity is None or math.isfinite(condition.severity)
