"""Shares of a run for workers that know nothing of each other: share i of n has every n-th shard, from the i-th on."""

from __future__ import annotations

import io
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

import numpy as np

from mmaudit.data.statistics import ModalityStatistics, statistics_shape
from mmaudit.errors import BadInput
from mmaudit.folder import make_folder, own_arrays, write_atomically
from mmaudit.retrieval.border import FOLDER
from mmaudit.store import Run
from mmaudit.types import Array, Modality

_STATISTICS = "statistics.npz"


@dataclass(frozen=True)
class Share:
    """Which part of the shards.

    Attributes:
        index: from 1 to `count`.
        count: shares in all.
    """

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read "3/8". Raises `BadInput` for anything that is no share."""
        found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text, re.ASCII)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise BadInput(
                f"share {text!r} is not of the form i/n with i from 1 to n, such as 1/8 for the first of eight. A "
                "scheduler that counts from 0 needs $((INDEX + 1))/8."
            )
        return cls(int(found[1]), int(found[2]))

    def of(self, shards: int) -> range:
        """The shards that belong to it, of that many; none where there are more shares than shards."""
        return range(self.index - 1, shards, self.count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as text: "0, 3 to 7, 9"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]} to {p[1]}" for p in parts)


# ---- what a plan leaves for the workers


def write_statistics(run: Run, statistics: Mapping[str, ModalityStatistics | None]) -> None:
    """Keep what stand-ins and noise use beside the run, so that no worker has to read the training data for it."""
    arrays: dict[str, Array] = {"names": np.array(list(statistics), np.str_)}
    for i, found in enumerate(statistics.values()):
        if found is not None:
            arrays |= {f"mean{i}": found.mean, f"std{i}": found.std}
            arrays |= {} if found.mode is None else {f"mode{i}": found.mode}
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    make_folder(run.folder / FOLDER)
    write_atomically(run.folder / FOLDER / _STATISTICS, stream.getvalue())


def read_statistics(run: Run) -> dict[str, ModalityStatistics | None] | None:
    """Return what `write_statistics` kept; None where it is not there or not of this run: it can be computed again."""
    arrays = own_arrays(run.folder / FOLDER / _STATISTICS)
    if arrays is None or "names" not in arrays or arrays["names"].tolist() != [m.name for m in run.modalities]:
        return None
    found: dict[str, ModalityStatistics | None] = {}
    for i, modality in enumerate(run.modalities):
        if modality.numeric:
            mean, std = arrays.get(f"mean{i}"), arrays.get(f"std{i}")
            if mean is None or std is None or not (_fits(mean, modality) and _fits(std, modality)):
                return None
            mode = arrays.get(f"mode{i}") if modality.categorical else None
            if modality.categorical and (mode is None or mode.dtype != np.float64 or mode.shape != modality.shape):
                return None
            found[modality.name] = ModalityStatistics(mean, std, mode)
        else:
            found[modality.name] = None
    return found


def _fits(values: Array, modality: Modality) -> bool:
    """Whether these can be the mean or σ of a modality, or of training data whose samples alone differ in length."""
    differing = replace(
        modality, shape=tuple(None if i == modality.time_axis else n for i, n in enumerate(modality.shape))
    )
    return values.dtype == np.float64 and values.shape in ((), modality.shape, statistics_shape(differing))


# ---- a scheduler that wants its machine back


class Stop:
    """Whether the process was asked to end."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def __bool__(self) -> bool:
        return self._asked.is_set()

    def ask(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ask; the form of a signal handler."""
        del number, frame
        self._asked.set()


@contextmanager
def until_terminated() -> Iterator[Stop]:
    """Give what a SIGTERM sets meanwhile, in place of ending the process: the shard at hand can be finished."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # only there Python takes handlers
        yield stop
        return
    before = signal.signal(signal.SIGTERM, stop.ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
