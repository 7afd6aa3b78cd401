"""Targets of what mmaudit keeps for itself and reads again: statistics for workers, an endpoint's answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.target import Ready, Target, replace
from mmaudit.errors import BadInput

N = 6


def _statistics(folder: Path) -> Ready:
    """What `mmaudit plan` leaves for `mmaudit work`: of this run, or not there."""
    from fuzz.targets_run import _sound
    from mmaudit.data.statistics import ModalityStatistics
    from mmaudit.execution.shares import read_statistics, write_statistics
    from mmaudit.store import Run

    shutil.copytree(_sound(False), folder / "run")
    run = Run.open(folder / "run")
    kept: dict[str, ModalityStatistics | None] = {
        m.name: ModalityStatistics(np.zeros(m.shape), np.ones(m.shape)) if m.numeric else None for m in run.modalities
    }
    kept["voice"] = ModalityStatistics(np.zeros(()), np.ones(()))
    write_statistics(run, kept)
    path = next((folder / "run").rglob("statistics.npz"))
    seed = path.read_bytes()
    shapes = {m.name: m.shape for m in run.modalities}

    def read(data: bytes) -> None:
        replace(path, data)
        found = read_statistics(run)
        if found is None:
            raise BadInput("not there: they are computed again")
        assert list(found) == list(shapes)
        for name, values in found.items():
            assert (values is None) == (name == "caption")
            assert values is None or all(x.shape in ((), shapes[name]) for x in (values.mean, values.std))

    return Ready(read, (seed,))


def _cache(folder: Path) -> Ready:
    """Kept answers of an endpoint, used in place of asking again."""
    from mmaudit.models.endpoint import EndpointModel
    from mmaudit.types import Batch

    place = folder / "cache"
    x = np.arange(N * 3, dtype=np.float32).reshape(N, 3)
    batch = Batch({"table": x}, {"table": np.ones(N, np.bool_)}, np.zeros(N), np.arange(N), np.arange(N))

    def asked(given: Any) -> Any:
        return np.asarray(given.inputs["table"], np.float32)[:, :2]

    def model(again: int) -> EndpointModel:
        made = EndpointModel("https://x.example/y", ["table"], outputs="logits", version="1", cache=place)
        made._asked = asked  # type: ignore[method-assign]  # nothing is sent
        made._to_ask_again = again
        return made

    model(0).predict(batch.take(slice(0, 4)))
    (path,) = place.glob("*.npz")
    seed = path.read_bytes()

    def read(data: bytes) -> None:
        for again in (0, 64):
            for file in place.glob("*.npz"):
                file.unlink()
            replace(path, data)
            assert model(again).predict(batch).shape == (N, 2)

    return Ready(read, (seed,))


def _inputs(file: str) -> Callable[[Path], Ready]:
    """What `write_inputs` leaves for a model that runs elsewhere."""

    def prepare(folder: Path) -> Ready:
        from mmaudit.data import ArrayData
        from mmaudit.precomputed import read_inputs, write_inputs
        from mmaudit.precomputed.manifest import Manifest

        steps = np.empty(N, object)
        steps[:] = [np.arange(i + 1.0, dtype=np.float32) for i in range(N)]
        values = {
            "image": np.arange(N * 64, dtype=np.uint8).reshape(N, 8, 8),
            "text": np.array([f"red apple {i}" for i in range(N)]),
            "steps": steps,
        }
        data = ArrayData(values, np.arange(N) % 2, "classification", kinds={"steps": "series"})
        place = folder / "inputs"
        write_inputs(data, place, suite={"base": "quick", "probes": ["missing"], "subsets": "leave-one-out"})
        path = place / file
        if not path.is_file():
            path = Manifest.open(place).file(Manifest.open(place).conditions[int(file)])

        def read(data: bytes) -> None:
            replace(path, data)
            for number, batch in enumerate(read_inputs(place)):
                assert len(batch) == len(batch.ids)
                if number > 3:
                    break

        return Ready(read, (path.read_bytes(),))

    return prepare


TARGETS = (
    Target("inputs/conditions.json", "json", _inputs("conditions.json"), 0.2),
    Target("inputs/clean.parquet", "parquet", _inputs("0"), 0.1),
    Target("inputs/missing.parquet", "parquet", _inputs("1"), 0.1),
    Target("statistics.npz", "npz", _statistics, 0.5),
    Target("cache.npz", "npz", _cache, 0.5, needs="httpx"),
)
