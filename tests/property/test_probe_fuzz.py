"""Every registered probe on odd but legal data: the right form comes back, or one clear refusal; nothing else.

Every probe is applied to every kind that it is for; a counter per probe and kind holds that, and fails where none was.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.one_sentence import require_one_sentence
from helpers.probe_samples import fresh, same, scope_of, source_of, whole
from mmaudit.data import ArrayData
from mmaudit.errors import MMAuditError
from mmaudit.probes import Declined, Probe, probes
from mmaudit.probes.canonical import legal_range
from mmaudit.probes.scenario import packaged
from mmaudit.types import Batch, Condition, Modality, Task

KINDS = ("image", "audio", "text", "tabular", "series", "embedding")
# Letters with and without case, marks that combine, right-to-left, emoji of several code points, lone surrogates.
PIECES = [
    *("é", "שלום", "م", "👩‍👩‍👧", "🇩🇪", "한", "ｆ", "ı", "ß", "\u200d", "\ufe0f", "\u0301", "\ud800"),
    *("is", " not ", "The cat sat. ", "0O1l", "?!", "\n", "\t", " "),
]
# Takes away what other samples lack: a modality that every sample has is no gap, and needs no reason.
WITHOUT_GAPS = ("missing_pattern",)
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


def column(draw, kind: str, n: int, rng: np.random.Generator):
    """`n` samples of a kind, and their modality, called m."""
    flat, ragged = draw(st.booleans()), draw(st.booleans())
    if kind == "text":
        return draw(st.lists(TEXT, min_size=n, max_size=n)), Modality("m", "text")
    small = st.integers(1, 14)
    if kind == "image":
        dtype, layout = draw(st.sampled_from(["uint8", "float32"])), draw(st.sampled_from(["HWC", "CHW", "HWC", "HW"]))
        channels = draw(st.sampled_from([3, 3, 1, 5]))
        modality = Modality("m", kind, layout=layout, range=(0, 255) if dtype == "uint8" else (0, 1))

        def shape():
            side = (draw(small), draw(small))
            return {"HW": side, "HWC": (*side, channels), "CHW": (channels, *side)}[layout]
    elif kind == "audio":
        dtype, layout = draw(st.sampled_from(["int16", "float32"])), draw(st.sampled_from([None, "CT", "TC", "FT"]))
        rate = draw(st.sampled_from([8000, 16_000, None, 1]))
        modality = Modality("m", kind, layout=layout, sample_rate=rate, range=draw(st.sampled_from([None, (-1, 1)])))
        if dtype == "int16":
            modality = dataclasses.replace(modality, range=None)

        def shape():
            length = draw(st.integers(0 if ragged else 1, 90))
            return {None: (length,), "CT": (2, length), "TC": (length, 2), "FT": (9, length)}[layout]
    elif kind == "series":
        dtype, layout = "float32", draw(st.sampled_from([None, "TC", "CT"]))
        channels = draw(st.integers(1, 3))
        modality = Modality("m", kind, layout=layout, sample_rate=draw(st.sampled_from([50.0, None, 50.0])))

        def shape():
            length = draw(st.integers(0 if ragged else 1, 40))
            return {None: (length,), "TC": (length, channels), "CT": (channels, length)}[layout]
    else:
        dtype = draw(st.sampled_from(["float32", "int64", "float64", "int64"])) if kind == "tabular" else "float32"
        modality, ragged = Modality("m", kind), False
        width = draw(st.integers(1, 9))

        def shape():
            return (width,)

    shapes = [shape() for _ in range(n)] if ragged else [shape()] * n
    cells = [values(kind, 1, dtype, s, flat, rng)[0] for s in shapes]
    return (cells if ragged else np.stack(cells)), modality


def plain(kind: str, n: int, rng: np.random.Generator):
    """What stands beside it: nothing odd, so that what needs a modality of that kind has one."""
    if kind == "text":
        return [f"The cat sat on mat {i} while it rained." for i in range(n)], Modality(kind, kind)
    if kind == "image":
        pixels = rng.integers(0, 256, (n, 8, 9, 3)).astype(np.uint8)
        return pixels, Modality(kind, kind, layout="HWC", range=(0, 255))
    if kind in ("audio", "series"):
        rate = 8000 if kind == "audio" else 50
        return rng.normal(0, 0.2, (n, 64)).astype(np.float32), Modality(kind, kind, sample_rate=rate)
    return rng.normal(size=(n, 3)).astype(np.float32), Modality(kind, kind)


@st.composite
def datasets(draw, kind: str, beside: tuple[str, ...]):
    """One to six samples of a modality of this kind beside plain ones, some of them absent."""
    n = draw(st.sampled_from([4, 2, 3, 6, 5, 3, 1]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns = {"m": column(draw, kind, n, rng)} | {other: plain(other, n, rng) for other in beside}
    present = {"m": ~np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))}
    return ArrayData(
        {name: x for name, (x, _) in columns.items()},
        np.arange(n) % 3,
        Task.classification(3),
        modalities=[modality for _, modality in columns.values()],
        present=present,
    )


NO_SEVERITY = (-1.0, float("nan"), float("inf"))


def severities(probe: Probe):
    """What lies between the table's and beyond, far too much, nothing, and what is no severity."""
    table = probe.severities or (0.1, 0.5, 1.0)
    between = st.floats(min(table) / 4, max(table) * 1.5, allow_nan=False)
    return st.one_of(between, st.sampled_from([*NO_SEVERITY, 0.0, max(table) * 50]))


def kinds_of(probe: Probe) -> tuple[str, ...]:
    """Kinds that a probe changes; of a scenario those of its steps."""
    own = packaged().get(probe.name.removeprefix("scenario."))
    return own.kinds if own else tuple(k for k in KINDS if k in probe.kinds)


CASES = [(p.name, kind) for p in probes for kind in kinds_of(p)]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_right_result_or_one_clear_refusal(name: str, kind: str) -> None:
    probe, reached = probes.get(name), Counter[str]()
    beside = tuple(k for k in kinds_of(probe) if k != kind) if name.startswith("scenario.") else ("embedding",)

    @settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(draw=st.data())
    def tried(draw: st.DataObject) -> None:
        try:
            data = draw.draw(datasets(kind, beside))
        except MMAuditError as error:
            require_one_sentence(error)
            reached["no data"] += 1  # the data set itself is refused: empty samples only, for example
            return
        conditions = planned(probe, data)
        if not conditions:
            reached["declined"] += 1
            return
        condition = draw.draw(st.sampled_from(conditions))
        reached["applied"] += applied(probe, data, condition)
        if condition.severity is not None:
            odd = draw.draw(severities(probe))
            applied(probe, data, dataclasses.replace(condition, severity=odd, position=None))

    tried()
    assert reached["applied"], f"never applied: {dict(reached)}"


def planned(probe: Probe, data: ArrayData) -> list[Condition]:
    """The conditions that change m; without any, some reason why m is declined."""
    # Shifts by samples are for sequences without a rate, and those by milliseconds for the others.
    alike = ("temporal_shift", "temporal_shift_samples")
    scope = scope_of(data, repeats=1)
    found = [c for name in (alike if probe.name in alike else (probe.name,)) for c in probes.get(name).grid(scope)]
    refused = [c for c in found if isinstance(c, Declined)]
    for refusal in refused:
        assert 10 < len(refusal.reason) < 300
        assert not refusal.reason.endswith(".")
        assert "\n" not in refusal.reason
    touching = [c for c in found if isinstance(c, Condition) and "m" in c.modalities]
    if not touching and probe.name not in WITHOUT_GAPS:
        assert any("m" in refusal.modalities for refusal in refused), "neither planned nor declined"
    return [c for c in touching if c.probe == probe.name]


def applied(probe: Probe, data: ArrayData, condition: Condition) -> bool:
    """Whether the probe gave a result, which must be of the right form; a refusal must be one sentence."""
    batch = whole(data)
    before, severity = fresh(batch), condition.severity
    try:
        new = probe.apply(batch, condition, source_of(data))
    except MMAuditError as error:
        require_one_sentence(error)
        assert severity != 0
        return False
    assert severity is None or 0 <= severity < float("inf")
    assert severity != 0 or new is batch
    require_form(probe, data.modalities[0], batch, before, new)
    return True


def require_form(probe: Probe, modality: Modality, batch: Batch, before: Batch, new: Batch) -> None:
    """The input is not written to, absent rows stay, values keep dtype, dimensions and legal range, and are finite."""
    assert same(batch.inputs["m"], before.inputs["m"])
    absent = ~batch.present["m"]
    if probe.name != "destroy":
        assert same(new.inputs["m"][absent], batch.inputs["m"][absent])
    for old, row in zip(batch.inputs["m"], new.inputs["m"], strict=True):
        if modality.kind == "text":
            assert isinstance(row, str)
            continue
        assert row.dtype == old.dtype
        assert row.ndim == old.ndim
        assert np.isfinite(row).all()
        limits = legal_range(modality, row.dtype)
        assert limits is None or not row.size or (limits[0] <= row.min() and row.max() <= limits[1])
