"""Computational sequences of the CMU Multimodal SDK: HDF5 files of features with the intervals they belong to.

A file has one root group; under `data/<video>` lie `features` [entries, d] and `intervals` [entries, 2] in seconds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.cells import Cells
from mmaudit.data.hdf5 import array_inside, inside, open_hdf5
from mmaudit.data.public.sets import PublicSet
from mmaudit.data.streamed import StreamedData
from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, FloatArray, IntArray, Task

# Names of the files, by what they hold; of several the first that exists.
_FILES = {
    "labels": ("*Opinion_Labels.csd", "*_Labels.csd", "*All_Labels.csd"),
    "text": ("*TimestampedWords.csd",),
    "audio": ("*COVAREP.csd",),
    "vision": ("*Facet*42.csd", "*Facet*41.csd", "*OpenFace*2.csd"),
}
_PAUSE = "sp"


def read_csd(public: PublicSet, base: Path, split: str, names: tuple[str, ...], fold: str, whole: bool) -> StreamedData:
    """Return the segments of one fold; entries count to the segment that their interval overlaps."""
    labels = _file(public, base, "labels")
    videos = _fold(public, base, fold)
    keys: list[str] = []
    ids: list[str] = []
    spans: list[tuple[float, float]] = []
    target: list[float] = []
    with open_hdf5(labels) as file:
        data = _data(file)
        for video in videos:
            if video not in data:
                continue  # the SDK's folds name videos that it has withdrawn
            scores, intervals = _entries(data, video, labels)
            if scores.ndim != 2 or not scores.shape[1] or scores.dtype.kind not in "iuf":
                raise BadInput(f"{labels.name}: video {video!r:.200} has labels that are no numbers; copy it again.")
            for segment, (score, span) in enumerate(zip(scores, intervals, strict=True)):
                keys.append(video)
                ids.append(f"{video}[{segment}]")
                spans.append((float(span[0]), float(span[1])))
                target.append(float(score[0]))
    if not ids:
        raise BadInput(f"{public.title}: none of the videos of {fold} is in {labels.name}.")
    cells: dict[str, Cells] = {
        name: SequenceCells(_file(public, base, name), keys, np.array(spans), name == "text") for name in names
    }
    used = ", ".join(_file(public, base, name).name for name in names)
    return StreamedData(
        cells,
        np.array(target),
        Task.regression(("sentiment",)),
        kinds={name: "text" if name == "text" else "series,layout=TC" for name in names},
        ids=ids,
        cluster=keys,
        source=f"{public.title}, {split}, {used}",
        whole=whole,
    )


class SequenceCells:
    """What one computational sequence holds for each segment: features [entries, d], or words.

    Args:
        path: the .csd file.
        videos: of the segments.
        spans: float64[n, 2], start and end of the segments in seconds.
        words: whether entries are words, to be joined by spaces; pauses (`sp`) are left out.
    """

    def __init__(self, path: Path, videos: Sequence[str], spans: FloatArray, words: bool) -> None:
        self._path, self._videos, self._spans, self._words = path, list(videos), spans, words
        self._ranges: list[Array] = []
        with open_hdf5(path) as file:
            data = _data(file)
            known: dict[str, Array | None] = {}
            for video, (start, end) in zip(self._videos, spans, strict=True):
                if video not in known:
                    known[video] = _entries(data, video, path)[1] if video in data else None
                intervals = known[video]
                overlap = [] if intervals is None else (intervals[:, 0] < end) & (intervals[:, 1] > start)
                self._ranges.append(np.flatnonzero(overlap))

    @property
    def recorded(self) -> BoolArray:
        """bool[n]: some entry overlaps the segment."""
        return np.array([len(entries) > 0 for entries in self._ranges], np.bool_)

    def traits(self) -> Iterator[str]:
        """How many entries each segment has."""
        yield from (str(len(entries)) for entries in self._ranges)

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return features or words of the segments."""
        with open_hdf5(self._path) as file:
            data = _data(file)
            return [self._one(data, row) for row in positions.tolist()]

    def _one(self, data: Any, row: int) -> Any:
        entries = self._ranges[row]
        if not len(entries):
            return None
        features = array_inside(data, self._videos[row], "features")
        if self._words:
            words = [_word(x) for x in np.asarray(features[entries]).reshape(-1).tolist()]
            return " ".join(word for word in words if word != _PAUSE)
        with np.errstate(over="ignore"):  # too large a value becomes infinite, and is refused as such
            values = np.asarray(features[entries]).astype(np.float32)
        values[np.isneginf(values)] = 0
        return values


def _word(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _data(file: Any) -> Any:
    roots = list(file)
    if len(roots) != 1:
        raise BadInput(f"{Path(file.filename).name} has {len(roots)} root groups; a computational sequence has one.")
    found = inside(file, roots[0], "data")
    if not hasattr(found, "keys"):
        raise BadInput(f"{Path(file.filename).name} holds no group of videos; copy it again.")
    return found


def _entries(data: Any, video: str, path: Path) -> tuple[Any, Array]:
    features, intervals = array_inside(data, video, "features"), array_inside(data, video, "intervals")
    if intervals.ndim != 2 or intervals.shape[1] != 2 or features.shape[:1] != intervals.shape[:1]:
        raise BadInput(f"{path.name}: video {video!r:.200} has features and intervals that do not fit each other.")
    return features, np.asarray(intervals[()], np.float64)


def _file(public: PublicSet, base: Path, what: str) -> Path:
    for pattern in _FILES[what]:
        found = sorted(base.rglob(pattern)) if base.is_dir() else []
        if found:
            return found[0]
    public.need(base, _FILES[what][0])
    raise AssertionError


def _fold(public: PublicSet, base: Path, fold: str) -> list[str]:
    """Return the videos of a standard fold, from the SDK's Python file, which is parsed and not run."""
    name = f"{public.name}_std_folds.py"
    found = sorted(base.rglob(name)) if base.is_dir() else []
    if not found:
        public.need(base, name)
    try:
        for line in ast.parse(found[0].read_text(encoding="utf-8")).body:
            if isinstance(line, ast.Assign) and any(isinstance(x, ast.Name) and x.id == fold for x in line.targets):
                videos = ast.literal_eval(line.value)
                return sorted({str(video) for video in videos})
    except (OSError, ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise BadInput(f"file {found[0]} is not as published ({error}); copy it again.") from error
    raise BadInput(f"file {found[0]} has no list {fold!r}; copy it again.")
