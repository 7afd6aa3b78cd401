"""A small data set of every kind, layout and dtype that probes must cope with, and ways to compare batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmaudit.data import ArrayData
from mmaudit.data.dataset import Dataset
from mmaudit.data.statistics import statistics
from mmaudit.probes import Declined, Probe, Scope, Source, probes
from mmaudit.types import Array, Batch, Condition, Modality, Task

N, CLASSES = 30, 4
WORDS = "the cat sat on a mat while two quick brown dogs jumped over 17 lazy foxes, Again".split()  # noqa: SIM905


def everything(seed: int = 0, n: int = N, only: tuple[str, ...] | None = None) -> ArrayData:
    """Twelve modalities, some of them absent here and there, string ids, four classes."""
    rng = np.random.default_rng(seed)

    def smooth(*shape: int) -> Array:  # images with structure, so that a blur has something to do
        grid = np.indices(shape[1:]).sum(0)
        phase = rng.uniform(0, 6, (shape[0],) + (1,) * grid.ndim)
        return 0.5 + 0.4 * np.sin(grid * 0.7 + phase) + rng.uniform(-0.1, 0.1, shape)

    inputs = {
        "hwc": (smooth(n, 28, 32, 3) * 255).astype(np.uint8),
        "hw": (smooth(n, 30, 28) * 255).astype(np.uint8),
        "chw": (smooth(n, 3, 9, 12) * 2 - 1).astype(np.float32),
        "deep": (smooth(n, 8, 9, 5) * 4000).astype(np.uint16),
        "sizes": [(smooth(1, 28 + i % 3, 30, 3)[0] * 255).astype(np.uint8) for i in range(n)],
        "sound": np.clip(rng.normal(0, 0.3, (n, 120)), -1, 1).astype(np.float32),
        "speech": [rng.normal(0, 3000, 60 + 7 * (i % 4)).astype(np.int16) for i in range(n)],
        "question": [" ".join(rng.choice(WORDS, 4 + i % 5)) for i in range(n)],
        "table": rng.normal([0, 5, -100, 1e4], [1, 2, 30, 1e3], (n, 4)),
        "codes": rng.integers(0, 6, (n, 3)),
        "series": rng.normal(3, 2, (n, 20, 4)).astype(np.float32),
        "embedding": rng.normal(rng.normal(0, 1, 16), 0.5, (n, 16)).astype(np.float32),
    }
    modalities = [
        Modality("hwc", "image", layout="HWC", range=(0, 255)),
        Modality("hw", "image", layout="HW", range=(0, 255)),
        Modality("chw", "image", layout="CHW", range=(-1, 1)),
        Modality("deep", "image", layout="HWC", range=(0, 4095)),
        Modality("sizes", "image", layout="HWC", range=(0, 255)),
        Modality("sound", "audio", range=(-1, 1), sample_rate=8000),
        Modality("speech", "audio", sample_rate=8000),
        Modality("question", "text"),
        Modality("table", "tabular"),
        Modality("codes", "tabular"),
        Modality("series", "series", layout="TC"),
        Modality("embedding", "embedding"),
    ]
    absent = {"hwc": 5, "question": 4, "speech": 6, "table": 7, "embedding": 3}
    present = {name: np.arange(n) % every != 1 for name, every in absent.items()}
    keep = only or tuple(inputs)
    return ArrayData(
        {name: inputs[name] for name in keep},
        np.arange(n) % CLASSES,
        Task.classification(CLASSES),
        modalities=[m for m in modalities if m.name in keep],
        ids=[f"sample-{i}" for i in range(n)],
        present={name: p for name, p in present.items() if name in keep},
    )


def source_of(data: Dataset) -> Source:
    return Source(data, {m.name: statistics(data, m.name) for m in data.modalities})


def scope_of(data: Dataset, **options: object) -> Scope:
    """A scope whose subsets stay few although the data set has many modalities."""
    names = tuple(m.name for m in data.modalities)
    few = ((), names[:1], names[1:], *(tuple(n for n in names if n != name) for name in names))
    return Scope(data.modalities, data.task, **{"native": True, "subsets": few, **options})  # type: ignore[arg-type]


def whole(data: Dataset) -> Batch:
    return data.rows(np.arange(len(data)))


def conditions(probe: Probe, scope: Scope) -> list[Condition]:
    return [c for c in probe.grid(scope) if isinstance(c, Condition)]


def declined(probe: Probe, scope: Scope) -> list[Declined]:
    return [c for c in probe.grid(scope) if isinstance(c, Declined)]


def all_conditions(scope: Scope) -> Iterator[tuple[Probe, Condition]]:
    for probe in probes:
        for condition in conditions(probe, scope):
            yield probe, condition


def same(a: Array, b: Array) -> bool:
    """Whether two modality arrays hold the same, bit for bit, in the same dtypes."""
    if a.dtype != object:
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return len(a) == len(b) and all(
        x == y if isinstance(x, str) else x.dtype == y.dtype and np.array_equal(x, y)
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    )


def copy_of(array: Array) -> Array:
    if array.dtype != object:
        return array.copy()
    out = np.empty(len(array), object)
    for i, x in enumerate(array.tolist()):
        out[i] = x if isinstance(x, str) else x.copy()
    return out
