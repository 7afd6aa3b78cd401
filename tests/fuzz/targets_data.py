"""Targets left of the run: data sets and weights."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.target import Ready, Target, replace

N = 12


def _arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 255, (N, 4, 4, 3)).astype(np.uint8),
        "text": np.array([f"word {i}" for i in range(N)]),
        "table": rng.normal(size=(N, 3)).astype(np.float32),
    }


def _packed(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _npz(folder: Path) -> Ready:
    from mmaudit.data import read_npz

    arrays, label = _arrays(), np.arange(N) % 3
    ids = np.array([f"s{i}" for i in range(N)])
    seeds = (
        _packed(**arrays, target=label, task=np.array("classification"), classes=np.array(["a", "b", "c"])),
        _packed(**arrays, y=np.eye(3, dtype=np.int64)[label], task=np.array("multilabel"), id=ids),
        _packed(**arrays, target=label * 0.5, task=np.array("regression:mm"), cluster=label),
        _packed(
            **{**arrays, "image": arrays["image"][:4]},
            **{"image.index": np.arange(N) % 4, "present.text": label > 0},
            task=np.array("retrieval:image->text"),
            candidates=(np.arange(N)[:, None] + np.arange(4)) % N,
        ),
    )

    def read(data: bytes) -> None:
        found = read_npz(replace(folder / "data.npz", data), groups=())
        _used(found)

    return Ready(read, seeds)


def _npz_named(folder: Path) -> Ready:
    """The options of the shell: named keys, groups, a split."""
    from mmaudit.options import read

    split = np.array(["train", "test"])[np.arange(N) % 2]
    seeds = (_packed(**_arrays(), label=np.arange(N) % 3, site=split, split=split, id=np.arange(N)),)
    options = {
        "task": "classification", "target": "label", "group": ["site"], "split": "test", "ids": "id", "cluster": "site",
        "modality": {"image": "image", "text": "text", "table": "tabular"},
    }  # fmt: skip
    return Ready(lambda data: _used(read(replace(folder / "data.npz", data), options)), seeds)


def _used(data: Any) -> None:
    """What a run would do with a data set first of all."""
    n = len(data)
    data.fingerprint  # noqa: B018  (worked out when asked for)
    if n:
        batch = data.rows(np.arange(min(n, 3)))
        assert len(batch) == min(n, 3)


def _frame() -> Any:
    import pandas as pd

    arrays = _arrays()
    return pd.DataFrame(
        {
            "image": [list(map(float, x.ravel())) for x in arrays["image"]],
            "caption": arrays["text"],
            "age": arrays["table"][:, 0],
            "height": arrays["table"][:, 1],
            "label": np.array(["cat", "dog", "bird"])[np.arange(N) % 3],
            "site": np.array(["a", "b"])[np.arange(N) % 2],
            "id": np.arange(N),
            "split": np.array(["train", "test"])[np.arange(N) % 2],
        }
    )


def _parquet(folder: Path) -> Ready:
    from mmaudit.options import read

    sink = io.BytesIO()
    _frame().to_parquet(sink, index=False)
    options = {
        "modality": {"image": "embedding", "caption": "text", "body": "tabular"}, "columns": {"body": "age,height"},
        "target": "label", "task": "classification", "group": ["site"], "ids": "id", "split": "split=test",
    }  # fmt: skip
    return Ready(lambda data: _used(read(replace(folder / "data.parquet", data), options)), (sink.getvalue(),))


def _module() -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def _safetensors(folder: Path) -> Ready:
    import safetensors.torch

    from mmaudit.models.torch_files import load_weights

    module = _module()
    seeds = (safetensors.torch.save(module.state_dict(), {"made": "by hand"}),)
    return Ready(lambda data: load_weights(module, replace(folder / "w.safetensors", data)), seeds)


def _state_dict(folder: Path) -> Ready:
    import torch

    from mmaudit.models.torch_files import load_weights

    module, seeds = _module(), []
    for content in (module.state_dict(), {"state_dict": module.state_dict(), "epoch": 3}):
        file = io.BytesIO()
        torch.save(content, file)
        seeds.append(file.getvalue())
    old = io.BytesIO()
    torch.save(module.state_dict(), old, _use_new_zipfile_serialization=False)
    return Ready(lambda data: load_weights(module, replace(folder / "w.pt", data)), (*seeds, old.getvalue()))


def _tensors(folder: Path) -> Ready:
    """What `mmaudit reference` keeps of a training."""
    import torch

    from mmaudit.reference.saved import read_tensors, write_tensors

    file = folder / "weights.safetensors"
    write_tensors(file, {"p.a": torch.ones(2, 3), "b.n": torch.zeros(2)}, {"trained": "{}"})
    return Ready(lambda data: read_tensors(replace(file, data), "cpu"), (file.read_bytes(),))


TARGETS = (
    Target("data.npz", "npz", _npz),
    Target("data.npz/options", "npz", _npz_named),
    Target("data.parquet", "parquet", _parquet, 0.3),
    Target("weights.safetensors", "safetensors", _safetensors, 2),
    Target("weights.pt", "npz", _state_dict),
    Target("weights.safetensors/reference", "safetensors", _tensors),
)
