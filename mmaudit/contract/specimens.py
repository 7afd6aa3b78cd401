"""A small data set of every kind, layout and dtype that probes must cope with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mmaudit.data import ArrayData
from mmaudit.data.dataset import Dataset
from mmaudit.data.statistics import statistics
from mmaudit.probes import Scope, Source
from mmaudit.types import Array, Batch, FloatArray, Modality, Task

N, CLASSES = 30, 4
WORDS = "the cat sat on a mat while two quick brown dogs jumped over 17 lazy foxes, Again".split()  # noqa: SIM905

MODALITIES = (
    Modality("hwc", "image", layout="HWC", range=(0, 255)),
    Modality("hw", "image", layout="HW", range=(0, 255)),
    Modality("chw", "image", layout="CHW", range=(-1, 1)),
    Modality("deep", "image", layout="HWC", range=(0, 4095)),
    Modality("sizes", "image", layout="HWC", range=(0, 255)),
    Modality("sound", "audio", range=(-1, 1), sample_rate=8000),
    Modality("speech", "audio", sample_rate=8000),
    Modality("spectrogram", "audio", layout="FT"),
    Modality("question", "text"),
    Modality("table", "tabular"),
    Modality("codes", "tabular"),
    Modality("series", "series", layout="TC"),
    Modality("pulse", "series", sample_rate=100),
    Modality("embedding", "embedding"),
)
# Some are not recorded in every sample: absent in one of so many.
_ABSENT_ONE_IN = {"hwc": 5, "question": 4, "speech": 6, "table": 7, "embedding": 3}


def specimens(seed: int = 0, n: int = N, only: Iterable[str] | None = None) -> ArrayData:
    """Return `n` samples of fourteen modalities, or of those named; string ids, four classes, recordings as clusters.

    Images of structure and noise from 9×12 to 30×32 pixels, with 1, 3 and 5 channels; sounds of 120 values and of
    several lengths; sentences of four to eight words; tables, codes, series, embeddings.
    """
    rng = np.random.default_rng(seed)

    def smooth(*shape: int) -> Array:  # images with structure, so that a blur has something to do
        grid = np.indices(shape[1:]).sum(0)
        phase = rng.uniform(0, 6, (shape[0],) + (1,) * grid.ndim)
        return np.asarray(0.5 + 0.4 * np.sin(grid * 0.7 + phase) + rng.uniform(-0.1, 0.1, shape))

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
    inputs["spectrogram"] = rng.gamma(2, 1, (n, 12, 16)).astype(np.float32)
    inputs["pulse"] = np.sin(np.linspace(0, 20, 64) + rng.uniform(0, 6, (n, 1))) + rng.normal(0, 0.1, (n, 64))
    keep = [m.name for m in MODALITIES if only is None or m.name in set(only)]
    return ArrayData(
        {name: inputs[name] for name in keep},
        np.arange(n) % CLASSES,
        Task.classification(CLASSES),
        modalities=[m for m in MODALITIES if m.name in keep],
        ids=[f"sample-{i}" for i in range(n)],
        present={name: np.arange(n) % every != 1 for name, every in _ABSENT_ONE_IN.items() if name in keep},
    )


def source_of(data: Dataset) -> Source:
    """Return the source of a data set, with the gradient of a linear model for the probes that follow one."""
    return Source(data, {m.name: statistics(data, m.name) for m in data.modalities}, LinearModel(data).gradient)


def scope_of(data: Dataset, **options: object) -> Scope:
    """Return a scope whose subsets stay few although the data set has many modalities."""
    names = tuple(m.name for m in data.modalities)
    few = ((), names[:1], names[1:], *(tuple(n for n in names if n != name) for name in names))
    given = {
        "native": True,
        "subsets": few,
        "n": len(data),
        "incomplete": tuple(n for n in names if not data.presence(n).all()),
        "gradients": {m.name: "" if m.numeric and not m.ragged else "text or ragged" for m in data.modalities},
        **options,
    }
    return Scope(data.modalities, data.task, **given)  # type: ignore[arg-type]


class LinearModel:
    """Softmax regression on all dense modalities at once: loss and gradient in closed form, for adversarial probes."""

    def __init__(self, data: Dataset) -> None:
        rng = np.random.default_rng(7)
        self.dense = [m.name for m in data.modalities if m.numeric and not m.ragged]
        first = data.rows(np.zeros(1, np.int64))
        width = data.task.width
        self.weights = {m: rng.normal(0, 1, (width, first.inputs[m][0].size)) for m in self.dense}
        self.scale = {m: 1e-3 / (float(np.abs(np.asarray(first.inputs[m][0])).max()) + 1) for m in self.dense}

    def gradient(self, batch: Batch, inputs: Mapping[str, Array]) -> tuple[FloatArray, dict[str, Array]]:
        """Return each sample's cross-entropy in nats, and its gradient at other inputs."""
        logits = np.zeros((len(batch), len(next(iter(self.weights.values())))))
        for name in self.dense:
            x = np.asarray(inputs.get(name, batch.inputs[name]), np.float64)
            flat = x.reshape(len(x), 1, -1) * self.scale[name] * batch.present[name][:, None, None]
            logits += (flat * self.weights[name]).sum(axis=2)  # row by row, so that no other row changes a bit
        log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        rows = np.arange(len(batch))
        error = np.exp(log_p)
        error[rows, batch.target] -= 1
        gradients = {}
        for name, x in inputs.items():
            slope = (error[:, :, None] * self.weights[name]).sum(axis=1) * self.scale[name]
            slope[~batch.present[name]] = 0
            gradients[name] = slope.reshape(x.shape)
        return -log_p[rows, batch.target], gradients
