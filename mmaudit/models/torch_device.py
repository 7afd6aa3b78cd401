"""What concerns the device alone: inputs brought there ahead, memory handed back, and what the device did."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, RLock
from typing import Any

import torch
from torch import Tensor

from mmaudit.models.torch_tensors import Tree, leaves
from mmaudit.types import Array, BoolArray

# A pair of events per pass; beyond so many they are read off, which waits for the device.
_MOST_EVENTS = 4096

_Key = tuple[str, int, int]


class Ahead:
    """Inputs that are on the device, or on their way, before the model is asked: each is used once.

    They are found by the identity of the array they were made of, and dropped with it where nobody asks. On a GPU they
    travel on a stream of their own, beside what the device computes.

    Copying and pickling give an empty one: tensors on a device, locks and streams belong to one process.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._there: dict[_Key, tuple[Tree, Any]] = {}
        self._guards: dict[_Key, weakref.ref[Any]] = {}
        self._stream: Any = None

    def __reduce__(self) -> tuple[type[Ahead], tuple[()]]:
        """An empty one."""
        return Ahead, ()

    def __len__(self) -> int:
        return len(self._there)

    def put(self, name: str, values: Array, present: BoolArray, make: Callable[[], Tree], device: torch.device) -> None:
        """Make a modality's tensors for this array now; `make` moves them to the device."""
        key = (name, id(values), id(present))
        if key in self._there:
            return
        if device.type == "cuda":
            if self._stream is None:
                self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            with torch.cuda.stream(self._stream):
                tree = make()
                arrived = self._stream.record_event()
        else:
            tree, arrived = make(), None
        with self._lock:
            self._there[key] = tree, arrived
            # An id is only unique while its object lives.
            self._guards[key] = weakref.ref(values, lambda _: self._drop(key))

    def take(self, name: str, values: Array, present: BoolArray) -> Tree | None:
        """Return the tensors made of this very array and forget them; None where there are none."""
        with self._lock:
            tree, arrived = self._there.pop(key := (name, id(values), id(present)), (None, None))
            self._guards.pop(key, None)
        if arrived is not None:
            stream = torch.cuda.current_stream(arrived.device)
            stream.wait_event(arrived)
            for tensor in leaves(tree):
                # Made on another stream: their memory must not be given away before this one is done with them.
                if isinstance(tensor, Tensor) and tensor.is_cuda:
                    tensor.record_stream(stream)
        return tree

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._there.clear()
            self._guards.clear()

    def _drop(self, key: _Key) -> None:
        # Called when an array dies, at any moment of any thread: no lock, and popping is atomic.
        self._there.pop(key, None)
        self._guards.pop(key, None)


class Turns:
    """A lock that can be copied and pickled: the copy is another lock, and free."""

    def __init__(self) -> None:
        self._lock = RLock()

    def __reduce__(self) -> tuple[type[Turns], tuple[()]]:
        """A free one."""
        return Turns, ()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Meter:
    """Seconds that a GPU computed, by its own clock, and the highest memory on it; nothing on the CPU.

    A pass counts from its first operation to its last, with the gaps between them: where the CPU is too slow to keep
    the device supplied within a pass, the time is still the device's.
    """

    def __init__(self) -> None:
        self._events: list[tuple[Any, Any]] = []
        self._seconds = 0.0

    def __reduce__(self) -> tuple[type[Meter], tuple[()]]:
        """One that has seen nothing."""
        return Meter, ()

    @contextmanager
    def running(self, device: torch.device) -> Iterator[None]:
        """What runs within is measured."""
        if device.type != "cuda":
            yield
            return
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        stream = torch.cuda.current_stream(device)
        begin.record(stream)
        try:
            yield
        finally:
            end.record(stream)
            self._events.append((begin, end))
            if len(self._events) >= _MOST_EVENTS:
                self._read()

    def _read(self) -> None:
        for begin, end in self._events:
            end.synchronize()
            self._seconds += begin.elapsed_time(end) / 1000
        self._events.clear()

    def usage(self, device: torch.device) -> tuple[float, int]:
        """Return seconds and bytes since the last call, and begin again."""
        if device.type != "cuda":
            return 0.0, 0
        self._read()
        seconds, self._seconds = self._seconds, 0.0
        peak = int(torch.cuda.max_memory_allocated(device))
        torch.cuda.reset_peak_memory_stats(device)
        return seconds, peak


def release(device: torch.device) -> None:
    """Hand memory that torch keeps for later back to the device, so that smaller pieces find room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
