"""The run folder: what a model said about every sample under every condition, written once, read by everything else.

    RUN/
      run.json                       what was run: fingerprints, task, modalities, plan, environment
      samples.parquet                sample ids, targets, groups, clusters, presence
      predictions/NNNNN-xxxxxxxx.parquet   one file per shard of a portion; one row group per condition
      exhibits.parquet               inputs of some samples, original and perturbed, to be looked at
      errors/<condition key>.txt     traceback of a model that raised

A file appears whole: existence means done. RUN is a folder, or a URL of a store (`mmaudit.place`). Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.errors import BadInput, DamagedRun, StorageFailed, UnknownName
from mmaudit.folder import make_folder, require_usable, write_atomically
from mmaudit.header import SCHEMA, modality_from_json, read_header
from mmaudit.outputs import (
    UNREADABLE,
    ConditionOutputs,
    joined,
    opened,
    read_group,
    scattered,
    total_received,
    write_predictions,
)
from mmaudit.place import is_local, place
from mmaudit.portions import Portion, ShardPositions, grown, portions_of, random_order
from mmaudit.samples_file import Samples, encoded, read_samples, write_samples
from mmaudit.types import Condition, IntArray, Modality, Task

MOST_ERROR = 2**20  # bytes of a traceback that are shown
STORE_THREADS = 16  # shards that are read at a time where the run lies in a store


class Run:
    """A run folder. `Run.create` starts one, `Run.open` reads one; neither needs the model or the data set."""

    def __init__(self, folder: Path, header: dict[str, Any]) -> None:
        self.folder = folder
        self.header = header
        self._increments: list[list[Condition]] = []
        self._portions: list[Portion] = []
        self._groups: dict[str, list[tuple[int, int]]] = {}

    # ---- making and opening

    @classmethod
    def create(cls, folder: str | Path, header: Mapping[str, Any], samples: Samples) -> Run:
        """Write a new run folder with its header and samples, and no predictions yet.

        Raises:
            BadInput: the folder cannot be written, or holds other files.
        """
        path = place(folder)
        require_usable(path)
        try:
            (path / "predictions").mkdir(parents=True, exist_ok=True)
            run = cls(path, {"schema": SCHEMA, **header})
            write_samples(path / "samples.parquet", samples)
            run._save_header()
        except (OSError, StorageFailed) as error:
            raise BadInput(f"run folder {path} cannot be written: {error}; choose another with out=…") from error
        return run

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Read a run folder's header.

        Raises:
            BadInput: there is no run there.
            DamagedRun: run.json cannot be read, or says what cannot be.
            StaleRun: it was written by a newer mmaudit.
        """
        path = place(folder)
        file = path / "run.json"
        if not file.is_file():
            raise BadInput(f"{path} is not a run folder: it has no run.json; give the folder named by out=… or --out.")
        return cls(path, read_header(file))

    def _save_header(self) -> None:
        write_atomically(self.folder / "run.json", _json_bytes(self.header))

    # ---- what was run

    @cached_property
    def task(self) -> Task:
        """The data set's task."""
        return Task.from_json(self.header["task"])

    @cached_property
    def modalities(self) -> tuple[Modality, ...]:
        """The data set's modalities."""
        return tuple(modality_from_json(m) for m in self.header["modalities"])

    @property
    def increments(self) -> list[list[Condition]]:
        """The conditions of each audit that added to this run, in plan order; the first holds `clean`."""
        # Increments are only ever added, so what was read once need not be read again.
        for increment in self.header["increments"][len(self._increments) :]:
            self._increments.append([Condition.from_json(c) for c in increment])
        return list(self._increments)

    @property
    def conditions(self) -> list[Condition]:
        """Every planned condition, in order; the first is `clean`."""
        return [condition for increment in self.increments for condition in increment]

    def condition(self, label: str) -> Condition:
        """Return the condition with this label or key; raises `BadInput` listing close ones."""
        known = {c.label: c for c in self.conditions} | {c.key: c for c in self.conditions}
        if label not in known:
            raise UnknownName("condition", label, [c.label for c in self.conditions])
        return known[label]

    def extend(self, conditions: Sequence[Condition], **values: Any) -> None:
        """Add the conditions that the run does not have yet, as a further increment, and with them header values."""
        have = {c.key for c in self.conditions}
        new = [c.to_json() for c in conditions if c.key not in have]
        if new:
            self.header["increments"].append(new)
            self.update(**values)

    def update(self, **values: Any) -> None:
        """Replace top-level header values, e.g. the rows of a batch."""
        self.header.update(values)
        self._save_header()

    # ---- what is measured on which samples

    @property
    def portions(self) -> list[Portion]:
        """What was or is to be measured: conditions and samples, in the order of their making."""
        if len(self.header.get("portions", self.header["increments"])) != len(self._portions):
            self._portions = portions_of(self.header, self.increments)
            self._groups = {}
            for number, portion in enumerate(self._portions):
                for group, condition in enumerate(portion.conditions):
                    self._groups.setdefault(condition.key, []).append((number, group))
        return self._portions

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.header["data"]["n"])

    @cached_property
    def order(self) -> IntArray:
        """`int64[n]`: positions of all samples in the random order of which a budget measures the first ones."""
        return random_order(self.samples.ids, self.samples.cluster)

    @property
    def counts(self) -> list[int]:
        """Samples under each condition, in the order of the plan: `n`, or as many as a budget allowed so far."""
        found = [0] * sum(map(len, self.header["increments"]))
        for portion in self.portions:
            for i in portion.places:
                found[i] = portion.samples[1] if portion.samples else self.n
        return found

    def count(self, condition: Condition) -> int:
        """Samples under one condition."""
        last = self.portions[self._places(condition)[-1][0]]
        return last.samples[1] if last.samples else self.n

    def grow(self, counts: Sequence[int], **values: Any) -> None:
        """Plan so many samples under each condition, none fewer than now, and set further header values."""
        new = grown(self.conditions, self.counts, counts, self.n)
        self.update(portions=[p.to_json() for p in [*self.portions, *new]], **values)

    # ---- shards

    @property
    def shard_rows(self) -> int:
        """Samples per shard; the last shard may have fewer."""
        return int(self.header["shard_rows"])

    def shards(self, portion: int | None = None) -> ShardPositions:
        """Positions of the samples of each shard: of all samples, or of those of a portion."""
        samples = None if portion is None else self.portions[portion].samples
        if samples is None:
            return ShardPositions(self.n, self.shard_rows)
        chosen = np.sort(self.order[slice(*samples)])
        return ShardPositions(len(chosen), self.shard_rows, chosen)

    def size(self, shard: int, portion: int) -> int:
        """Samples of a shard of a portion; known without reading anything."""
        samples = self.portions[portion].samples
        n = samples[1] - samples[0] if samples else self.n
        return ShardPositions(n, self.shard_rows).size(shard)

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Every shard of every portion, as (shard, portion): one file each."""
        for number, portion in enumerate(self.portions):
            n = portion.samples[1] - portion.samples[0] if portion.samples else self.n
            for shard in range(-(-n // self.shard_rows)):
                yield shard, number

    def file(self, shard: int, portion: int) -> Path:
        """Where the predictions of a shard of a portion are, or will be."""
        return self.folder / "predictions" / f"{shard:05d}-{self.portions[portion].digest}.parquet"

    def is_done(self, shard: int, portion: int) -> bool:
        """Whether that file exists and is whole; a damaged one counts as not done and will be written again."""
        path = self.file(shard, portion)
        if not path.exists():
            return False
        expected = (self.size(shard, portion), self.task.width)
        groups = len(self.portions[portion].conditions)
        names = [m.name for m in self.modalities]
        try:
            file = opened(path, all_of_it=True)
            whole: bool = file.num_row_groups == groups
            return whole and all(read_group(file, g, names).outputs.shape == expected for g in range(groups))
        except UNREADABLE:
            return False

    def lacking(self, first: int = 0) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Shards that are not done, each with the portions that lack it; portions of the same samples together.

        Portions before the first are known to be done and not looked at.
        """
        todo: dict[tuple[Any, int], list[int]] = {}
        for shard, portion in self.pieces():
            if portion >= first and not self.is_done(shard, portion):
                todo.setdefault((self.portions[portion].samples, shard), []).append(portion)
        for (_, shard), portions in todo.items():
            yield shard, tuple(portions)

    def answers(self, shard: int, portions: Sequence[int]) -> int:
        """Answers (samples × conditions) that a shard of these portions has, or will have."""
        return sum(self.size(shard, i) * len(self.portions[i].conditions) for i in portions)

    def write_shard(self, shard: int, portion: int, results: Sequence[ConditionOutputs]) -> None:
        """Write a shard's answers under every condition of a portion, in plan order."""
        write_predictions(self.file(shard, portion), results, [m.name for m in self.modalities])

    # ---- reading back

    def restore(self, samples: Samples) -> None:
        """Write the samples again if their file is lost or damaged."""
        try:
            _ = self.samples
        except DamagedRun:
            write_samples(self.folder / "samples.parquet", samples)

    @cached_property
    def samples(self) -> Samples:
        """Ids, targets, groups, clusters and presence of every sample."""
        return read_samples(self.folder / "samples.parquet", [m.name for m in self.modalities], self.n)

    def read(self, condition: Condition) -> ConditionOutputs:
        """Return the answers to all samples under one condition, in data set order.

        Raises:
            DamagedRun: a shard is missing or cannot be read; a second audit on the folder makes it again.
        """
        places = self._places(condition)
        found = [self._read_portion(portion, group) for portion, group in places]
        if self.portions[places[0][0]].samples is None:
            return found[0]
        return scattered(found, [np.concatenate(self.shards(portion)[:]) for portion, _ in places], self.n)

    def received(self, condition: Condition) -> dict[tuple[int, int] | None, int | None]:
        """Return the digest of what the model received under one condition, by the samples of each portion.

        Raises:
            DamagedRun: a shard is missing or cannot be read.
        """
        return {
            self.portions[portion].samples: total_received(
                self._read_shard(shard, portion, group).received for shard in range(len(self.shards(portion)))
            )
            for portion, group in self._places(condition)
        }

    def _read_portion(self, portion: int, group: int) -> ConditionOutputs:
        """The answers to the samples of a portion under one of its conditions."""
        shards = range(len(self.shards(portion)))
        if is_local(self.folder):
            return joined([self._read_shard(shard, portion, group) for shard in shards])
        with ThreadPoolExecutor(STORE_THREADS) as pool:  # a store takes long to answer and answers many at a time
            return joined(list(pool.map(lambda shard: self._read_shard(shard, portion, group), shards)))

    def _read_shard(self, shard: int, portion: int, group: int) -> ConditionOutputs:
        path = self.file(shard, portion)
        rows = self.size(shard, portion)
        try:
            found = read_group(opened(path), group, [m.name for m in self.modalities])
            if found.outputs.shape != (rows, self.task.width):
                raise ValueError(f"it holds outputs of {found.outputs.shape}, expected {(rows, self.task.width)}")
            return found
        except FileNotFoundError as error:
            raise DamagedRun(
                f"{path} is missing: the audit has not finished. Audit again to the same folder."
            ) from error
        except (*UNREADABLE, AttributeError, IndexError, TypeError) as error:
            raise DamagedRun(f"{path} cannot be read ({error}). Audit again to the same folder.") from error

    def _places(self, condition: Condition) -> list[tuple[int, int]]:
        """Portions and row groups of a condition."""
        if self.portions and condition.key in self._groups:
            return self._groups[condition.key]
        if any(c.key == condition.key for c in self.conditions):
            raise DamagedRun(
                f"{self.folder} has no answers under {condition.label!r}: the audit has not finished. Audit again to "
                "the same folder."
            )
        raise BadInput(f"condition {condition.label!r} is not part of the run {self.folder}.")

    # ---- errors of the model

    def write_error(self, condition: Condition, text: str) -> None:
        """Keep the traceback of a model that raised under a condition."""
        make_folder(self.folder / "errors")
        write_atomically(self.folder / "errors" / f"{condition.key}.txt", encoded(text))

    def error(self, condition: Condition) -> str:
        """Return that traceback, or an empty string."""
        try:
            with (self.folder / "errors" / f"{condition.key}.txt").open("rb") as file:
                return bytes(file.read(MOST_ERROR)).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""


def _json_bytes(value: Any) -> bytes:
    return encoded(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
