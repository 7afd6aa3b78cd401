"""The way to the device: halves where memory ends, features put together by row, inputs brought there ahead."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.run_cases import TASKS, Rowwise, dataset
from mmaudit import ArrayData, Run, TorchModel
from mmaudit.answering import Answerer
from mmaudit.auditing import Prepared, prepare
from mmaudit.batch_size import find_batch_rows
from mmaudit.errors import BadInput
from mmaudit.models.failure import out_of_memory
from mmaudit.passes import Fit, Passes
from mmaudit.predict import predict
from mmaudit.timing import Timing
from mmaudit.types import Batch, Task

RATES = {"probes": ["missing", "missing_rate", "image.gaussian_noise"], "baselines": ["zero"], "positions": [3]}


class Towers(nn.Module):
    """An image and a vector through encoders of their own, and a fusion."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 8))
        self.vector = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8))
        self.fusion = nn.Linear(16, 3)

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        return self.fusion(torch.cat([self.image(image.permute(0, 3, 1, 2).float() / 255), self.vector(vector)], 1))


class Native(Towers):
    """The same, with zeros for the features of what is absent: told by a mask, or by None."""

    def forward(self, image: Any, vector: Any, present: Any = None) -> Tensor:
        n = len(vector if image is None else image)
        seen = torch.zeros(n, 8) if image is None else self.image(image.permute(0, 3, 1, 2).float() / 255)
        read = torch.zeros(n, 8) if vector is None else self.vector(vector)
        if present is not None:
            seen, read = seen * present["image"][:, None], read * present["vector"][:, None]
        return self.fusion(torch.cat([seen, read], 1))


def images(n: int = 50) -> ArrayData:
    rng = np.random.default_rng(5)
    inputs = {
        "image": rng.integers(0, 256, (n, 8, 8, 3), np.uint8),
        "vector": rng.normal(size=(n, 6)).astype(np.float32),
    }
    return ArrayData(inputs, rng.integers(0, 3, n), Task.classification(3), kinds={"vector": "embedding"})


def towers(**more: Any) -> TorchModel:
    torch.manual_seed(3)
    return TorchModel(Towers().eval(), ["image", "vector"], outputs="logits", device="cpu", **more)


def run_of(prepared: Prepared, folder: Path, rows: int = 20) -> tuple[dict[str, np.ndarray], Timing]:
    run = prepared.open_run(folder, batch_rows=rows, title=None, command="")
    data, source = prepared.data, prepared.source
    timing = predict(run, data, prepared.model, source, stage=prepared.stage, batch_rows=rows)
    return {c.label: run.read(c).outputs for c in Run.open(folder).conditions}, timing


def same(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> None:
    assert left.keys() == right.keys()
    for label, rows in left.items():
        assert rows.tobytes() == right[label].tobytes(), label


# ---- ahead of the model


@pytest.mark.parametrize("boundary", ["auto", "off"])
def test_threads_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boundary: Any) -> None:
    prepared = prepare(towers(boundary=boundary), images(), suite=RATES)
    assert (prepared.stage is None) == (boundary == "off")
    found = {}
    for threads in ("1", "3"):
        monkeypatch.setenv("MMAUDIT_THREADS", threads)
        found[threads], timing = run_of(prepared, tmp_path / threads)
        assert timing.waiting > 0
    same(found["1"], found["3"])
    files = [sorted((tmp_path / t / "predictions").iterdir()) for t in found]
    assert [a.read_bytes() for a in files[0]] == [b.read_bytes() for b in files[1]]


def test_the_model_is_asked_by_one_thread_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMAUDIT_THREADS", "2")
    model, askers = towers(), set()

    def asked(*_: Any) -> None:
        askers.add(threading.get_ident())

    prepared = prepare(model, images(), suite={"probes": ["embedding.fgsm"], "positions": [3]})
    assert any(c.family == "adversarial" for c in prepared.plan.conditions)
    model.module.image.register_forward_pre_hook(asked)
    run_of(prepared, tmp_path / "run")
    assert askers == {threading.get_ident()}


@pytest.mark.parametrize("absence", [None, "mask", "none"])
@pytest.mark.parametrize("boundary", ["auto", "off"])
def test_inputs_brought_ahead_change_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boundary: Any, absence: Any
) -> None:
    monkeypatch.setenv("MMAUDIT_THREADS", "2")
    made: list[str] = []
    torch.manual_seed(3)
    module = (Native() if absence else Towers()).eval()
    ways = {"image": lambda x: made.append("image") or x, "vector": lambda x: torch.from_numpy(x * 2)}
    options: dict[str, Any] = {"outputs": "logits", "device": "cpu", "prepare": ways, "absence": absence}
    model = TorchModel(module, ["image", "vector"], boundary=boundary, **options)
    prepared = prepare(model, images(), suite={**RATES, "baselines": ["native" if absence else "zero"]})
    made.clear()
    with monkeypatch.context() as as_brought:  # rows are spared only where nothing is brought ahead
        as_brought.setattr(Answerer, "_repeats_of", lambda *_: None)
        plain, _ = run_of(prepared, tmp_path / "plain")
    times = len(made)
    model.preloads = True
    made.clear()
    brought, _ = run_of(prepared, tmp_path / "ahead")
    same(plain, brought)
    # Nothing is prepared twice, and nothing is left over.
    assert len(made) == times
    assert len(model._ahead) == 0


def test_what_was_brought_ahead_is_used_once_and_dies_with_its_array() -> None:
    model = towers()
    model.preloads = True
    batch = images().rows(np.arange(5))
    model.preload("image", batch)
    assert len(model._ahead) == 1
    first = model.prepared("image", batch)
    assert len(model._ahead) == 0
    assert torch.equal(first, model.prepared("image", batch))
    model.preload("image", batch)
    assert len(copy.deepcopy(model)._ahead) == len(pickle.loads(pickle.dumps(model._ahead))) == 0
    del batch
    assert len(model._ahead) == 0
    model.preload("vector", images().rows(np.arange(5)))
    model.release_memory()
    assert len(model._ahead) == 0
    assert model.usage() == (0.0, 0)


# ---- features put together by row


def test_rates_are_put_together_by_row(tmp_path: Path) -> None:
    data = images()
    prepared = prepare(towers(), data, suite=RATES)
    whole = prepare(towers(boundary="off"), data, suite=RATES)
    found, timing = run_of(prepared, tmp_path / "stages")
    same(found, run_of(whole, tmp_path / "whole")[0])
    rates = [c for c in prepared.plan.conditions if c.probe == "missing_rate"]
    assert {c.modalities for c in rates} == {("image",), ("vector",)}
    # Clean, the control's copies, destroyed, zeros; the image under noise, too. Zeros of the two full batches of twenty
    # rows are encoded in passes of five.
    spared = 2 * (20 - 5)
    assert timing.encoded_rows == {"image": 5 * len(data) - spared, "vector": 4 * len(data) - spared}
    per = {m: sum(c.modalities == (m,) for c in rates) for m in ("image", "vector")}
    assert all(0 < timing.blended_rows[m] <= per[m] * len(data) for m in per)


def test_a_stage_that_cannot_blend_encodes(tmp_path: Path) -> None:
    prepared = prepare(Rowwise("regression"), dataset("regression", 60), suite=RATES)
    _, timing = run_of(prepared, tmp_path / "run")
    assert timing.blended_rows == {}


# ---- out of memory


def starved(most: int, kind: type[Exception], text: str) -> Callable[[Batch, Any], Any]:
    def fault(batch: Batch, rows: Any) -> Any:
        if len(batch) > most:
            raise kind(text)
        return rows

    return fault


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB"),
        (RuntimeError, "CUDA error: out of memory"),
        (RuntimeError, "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        (RuntimeError, "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
@pytest.mark.parametrize("staged", [True, False])
def test_a_batch_that_does_not_fit_goes_on_in_halves(
    tmp_path: Path, kind: type[Exception], text: str, staged: bool
) -> None:
    data = dataset("classification", 70)
    roomy = Rowwise()
    prepared = prepare(roomy, data, suite=RATES)
    stage = prepared.stage if staged else None
    run = prepared.open_run(tmp_path / "roomy", batch_rows=64, title=None, command="")
    predict(run, data, roomy, prepared.source, stage=stage, batch_rows=64)
    tight = Rowwise(fault=starved(9, kind, text))
    other = prepared.open_run(tmp_path / "tight", batch_rows=64, title=None, command="")
    timing = predict(other, data, tight, prepared.source, stage=tight if staged else None, batch_rows=64)
    same(
        {c.label: run.read(c).outputs for c in run.conditions}, {c.label: other.read(c).outputs for c in run.conditions}
    )
    # 64, 32, 16, 8; the second batch, of 6 rows, fits.
    assert (timing.halved, timing.least_rows) == (3, 8)
    assert not (tmp_path / "tight" / "errors").exists()
    if staged:
        # What is kept by identity is still found in pieces: one more encoding of clean and subsets at the most.
        assert tight.rows["table"] <= roomy.rows["table"] + 4 * 64


def test_memory_ends_within_a_batch_and_rows_that_raise_are_still_found(tmp_path: Path) -> None:
    def fault(batch: Batch, rows: Any) -> Any:
        if len(batch) > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if (np.asarray(batch.ids) == 13).any():
            raise ValueError("unlucky")
        return rows

    model, data = Rowwise(fault=fault), dataset("classification", 40)
    prepared = prepare(Rowwise(), data, suite=["identity"])
    run = prepared.open_run(tmp_path / "run", batch_rows=40, title=None, command="")
    predict(run, data, model, prepared.source, stage=None, batch_rows=40)
    for condition in run.conditions:
        bad = np.isnan(run.read(condition).outputs).any(axis=1)
        assert data.ids[bad].tolist() == [13]
        assert "unlucky" in run.error(condition)


def test_one_row_that_does_not_fit_is_an_error() -> None:
    batch = dataset("regression", 8).rows(np.arange(8))
    model = Rowwise("regression", fault=starved(0, torch.OutOfMemoryError, "CUDA out of memory"))
    passes = Passes(model, None, batch, TASKS["regression"].width, timing := Timing(), Fit())
    with pytest.raises(BadInput, match="out of memory on a batch of one sample; free memory"):
        passes.predict(batch)
    assert timing.halved == 3


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("out of memory"), KeyError("x")])
def test_other_errors_are_not_taken_for_a_lack_of_memory(error: Exception) -> None:
    assert not out_of_memory(error)


# ---- the batch found by trying


class Clock:
    """Seconds that a made-up device takes: so many per pass, and so many per row beyond a width."""

    def __init__(self, launch: float, row: float, width: int) -> None:
        self.launch, self.row, self.width, self.now = launch, row, width, 0.0

    def __call__(self) -> float:
        return self.now

    def ran(self, rows: int) -> None:
        self.now += self.launch + self.row * max(rows, self.width)


def timed(clock: Clock, most: int = 10**9) -> Rowwise:
    def fault(batch: Batch, rows: Any) -> Any:
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        clock.ran(len(batch))
        return rows

    return Rowwise("regression", fault=fault)


@pytest.mark.parametrize(
    ("launch", "row", "width", "most", "expected"),
    [
        (0.0, 1.0, 1, 10**9, 16),  # time goes with the rows: the smallest
        (0.0, 1.0, 200, 10**9, 256),  # the device does 200 rows at once: rows per second grow up to that
        (9.0, 1.0, 1, 10**9, 128),  # a pass costs as much as nine rows: 256 would gain less than 5 %
        (0.0, 1.0, 10**6, 100, 32),  # no end of gain, but memory for 100: a quarter of the 128 that failed
        (0.0, 1.0, 10**6, 10**9, 1000),  # no end of gain: all there are
    ],
)
def test_the_batch_size_is_found(launch: float, row: float, width: int, most: int, expected: int) -> None:
    clock = Clock(launch, row, width)
    data = dataset("regression", 1000)
    for stage in (True, False):
        model = timed(clock, most)
        assert find_batch_rows(model, model if stage else None, data, clock=clock) == expected


def test_a_device_too_small_for_the_first_try() -> None:
    clock = Clock(1.0, 1.0, 1)
    data = dataset("regression", 100)
    assert find_batch_rows(timed(clock, 5), None, data, clock=clock) == 4
    with pytest.raises(BadInput, match="batch of one sample"):
        find_batch_rows(timed(clock, 0), None, data, clock=clock)
    assert find_batch_rows(timed(clock), None, dataset("regression", 3), clock=clock) == 3
    with pytest.raises(ZeroDivisionError):
        find_batch_rows(Rowwise("regression", fault=lambda batch, rows: 1 / 0), None, data, clock=clock)


def test_timings_of_workers_add_up() -> None:
    one = Timing(1, 2, 3, 4, 5, 6.5, 700, {"a": 10}, {}, 3, 1, 8)
    one.add(Timing(1, 1, 1, 1, 1, 1.0, 900, {"a": 1, "b": 2}, {"b": 5}, 1, 0, 0))
    assert one == Timing(2, 3, 4, 5, 6, 7.5, 900, {"a": 11, "b": 2}, {"b": 5}, 4, 1, 8)
