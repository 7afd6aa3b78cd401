"""The border for retrieval: features of the whole data set first, then answers, with one bank on disk beside the clean.

Clean features of every modality are made once and serve every condition that leaves the modality alone. A condition
that touches the target modality is a bank of its own: every candidate is corrupted, the right one too. Its features and
answers are made before the shards are written, one such condition after the other.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmaudit.data import Dataset
from mmaudit.errors import ContractBroken, MMAuditError
from mmaudit.folder import whole
from mmaudit.models import Retriever
from mmaudit.models.failure import raise_if_out_of_memory
from mmaudit.place import remove_folder, scratch
from mmaudit.probes import Source, probes
from mmaudit.retrieval.bank import Bank
from mmaudit.retrieval.files import FeatureFile, FeatureWriter
from mmaudit.retrieval.rank import Ranker
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import ANSWER_COLUMNS, CLEAN, Array, Batch, BoolArray, Condition, digest

Float32Array = npt.NDArray[np.float32]
FOLDER = "work"


class Border:
    """Answers of a retrieval model to the samples of a run.

    Args:
        run: where answers go; the files on the way lie in its folder `work`, until `close`.
        data, model, source: what to run.
        rows: most samples per call of an encoder.
        timing: is added to.
    """

    def __init__(self, run: Run, data: Dataset, model: Retriever, source: Source, rows: int, timing: Timing) -> None:
        self.run, self.data, self.model, self.source = run, data, model, source
        self.rows, self.timing = rows, timing
        self.task = data.task
        self.folder = run.folder / FOLDER
        self.bank = Bank(data)
        self.ranker = Ranker(model.scores, self.bank)
        self.clean: dict[str, FeatureFile] = {}

    # ---- before the shards

    def rows_before(self, conditions: Sequence[Condition]) -> int:
        """How many samples `prepare` goes through: once for clean features, once for each bank of its own."""
        return len(self.data) * (bool(conditions) + sum(map(self._touches_bank, conditions)))

    def prepare(self, conditions: Sequence[Condition], advance: Callable[[int], None]) -> None:
        """Make what answers to these conditions are made of; what an earlier, killed process finished is kept.

        Args:
            conditions: those that `answers` will be asked for.
            advance: called with how many more of `rows_before` are done.
        """
        if not conditions:
            return
        self.folder = scratch(self.folder)
        self.clean = {m: FeatureFile(self.folder / f"{_name(CLEAN, m)}.npy") for m in self.task.names}
        if lacking := [m for m, file in self.clean.items() if not file.exists]:
            self._encode_all(CLEAN, lacking)
        advance(len(self.data))
        for condition in filter(self._touches_bank, conditions):
            if not self._answers_file(condition).exists():
                self._answer_all(condition)
            advance(len(self.data))

    def close(self) -> None:
        """Remove the files on the way."""
        remove_folder(self.folder)

    def _touches_bank(self, condition: Condition) -> bool:
        return self.task.target_modality in condition.modalities

    def _answers_file(self, condition: Condition) -> Path:
        return self.folder / f"{condition.key}.answers.npy"

    def _answer_all(self, condition: Condition) -> None:
        """Make the bank of a condition, and with it the answers to all samples."""
        touched = [m for m in self.task.names if m in condition.modalities]
        made = {m: FeatureFile(self.folder / f"{_name(condition, m)}.npy") for m in touched}
        if lacking := [m for m, file in made.items() if not file.exists]:
            self._encode_all(condition, lacking)
        answers = np.empty((len(self.data), ANSWER_COLUMNS), np.float32)
        for start in range(0, len(self.data), self.rows):
            positions = np.arange(start, min(start + self.rows, len(self.data)))
            batch = self._batch(condition, positions) if self.model.native_absence else None
            parts = {m: self._read(made.get(m, self.clean[m]), positions) for m in self.task.query}
            present = {m: self._present(m, positions, batch) for m in self.task.query}
            answers[positions] = self._ranked(parts, present, positions, made[self.task.target_modality], condition)
        path = self._answers_file(condition)
        with whole(path) as partial, partial.open("wb") as file:
            np.save(file, answers)
        for file_ in made.values():
            file_.remove()

    def _encode_all(self, condition: Condition, modalities: Sequence[str]) -> None:
        n = len(self.data)
        writers = {
            m: FeatureWriter(self.folder / f"{_name(condition, m)}.npy", n, f"the encoder of {m!r}") for m in modalities
        }
        for start in range(0, n, self.rows):
            batch = self._batch(condition, np.arange(start, min(start + self.rows, n)))
            for m, writer in writers.items():
                writer.add(*self.encode(m, batch, condition))
        for writer in writers.values():
            writer.close()

    def _batch(self, condition: Condition, positions: Array) -> Batch:
        tick = time.perf_counter()
        batch = self.data.rows(positions)
        self.timing.reading += time.perf_counter() - tick
        return batch if condition.key == CLEAN.key else probes.get(condition.probe).apply(batch, condition, self.source)

    # ---- answers

    def answers(self, batch: Batch, condition: Condition) -> Float32Array:
        """Return the answer rows to some samples under a condition, `float32[n, 6]`; NaN where there is none.

        Args:
            batch: under the condition.
            condition: one of those that `prepare` was given.
        """
        if self._touches_bank(condition):
            made: Float32Array = np.load(self._answers_file(condition), mmap_mode="r", allow_pickle=False)
            return np.array(made[batch.positions])
        parts: dict[str, tuple[Array | None, BoolArray]] = {}
        for m in self.task.query:
            if m in condition.modalities:
                parts[m] = self.encode(m, batch, condition)
            else:
                parts[m] = self._read(self.clean[m], batch.positions)
        present = {m: batch.present[m] for m in self.task.query}
        return self._ranked(parts, present, batch.positions, self.clean[self.task.target_modality], condition)

    def encode(self, modality: str, batch: Batch, condition: Condition) -> tuple[Array | None, BoolArray]:
        """Return features, and `bool[n]`: which rows have any; None where none has.

        Of the target modality those that were recorded are encoded only: the others are no candidates.
        """
        n = len(batch)
        if modality == self.task.target_modality and not batch.present[modality].all():
            rows = np.flatnonzero(batch.present[modality])
            found, usable = self._encoded(modality, batch.take(rows), condition) if len(rows) else (None, np.zeros(0))
            there = np.zeros(n, np.bool_)
            there[rows] = usable
            if found is None:
                return None, there
            whole = np.zeros((n, *found.shape[1:]), np.float32)
            whole[rows] = found
            return whole, there
        return self._encoded(modality, batch, condition)

    def _encoded(self, modality: str, batch: Batch, condition: Condition) -> tuple[Array | None, BoolArray]:
        tick = time.perf_counter()
        try:
            features = self._checked(modality, batch)
            self.timing.encoded_rows[modality] = self.timing.encoded_rows.get(modality, 0) + len(batch)
            return features, np.asarray(np.isfinite(features.reshape(len(batch), -1)).all(axis=1))
        except (MMAuditError, MemoryError):
            raise
        except Exception as error:
            raise_if_out_of_memory(error, len(batch))
            if len(batch) == 1:
                self._keep(condition)
                return None, np.zeros(1, np.bool_)
        finally:
            self.timing.model += time.perf_counter() - tick
        # Where the encoder raises, the rows that it raises for are found by halving.
        half = len(batch) // 2
        parts = [self._encoded(modality, batch.take(h), condition) for h in (slice(None, half), slice(half, None))]
        known = next((f for f, _ in parts if f is not None), None)
        usable = np.concatenate([u for _, u in parts])
        if known is None:
            return None, usable
        blank = [f if f is not None else np.zeros((len(u), *known.shape[1:]), np.float32) for f, u in parts]
        return np.concatenate(blank), usable

    def _checked(self, modality: str, batch: Batch) -> Float32Array:
        features = np.asarray(self.model.encode(modality, batch), np.float32)
        if features.ndim < 2 or len(features) != len(batch):
            raise ContractBroken(
                "model",
                "shape",
                f"encode({modality!r}) gave features of shape {list(features.shape)} for {len(batch)} rows, expected "
                f"[{len(batch)}, D]",
            )
        return features

    def _ranked(
        self,
        parts: Mapping[str, tuple[Array | None, BoolArray]],
        present: Mapping[str, BoolArray],
        positions: Array,
        candidates: FeatureFile,
        condition: Condition,
    ) -> Float32Array:
        """Answers of queries from their parts; those with a part that has no features have none."""
        out = np.full((len(positions), ANSWER_COLUMNS), np.nan, np.float32)
        rows = np.flatnonzero(np.all([usable for _, usable in parts.values()], axis=0))
        query = {m: features[rows] for m, (features, _) in parts.items() if features is not None}
        if len(rows):
            there = {m: x[rows] for m, x in present.items()}
            out[rows] = self._scored(query, there, positions[rows], candidates, condition)
        self.timing.fused_rows += len(rows)
        return out

    def _scored(
        self,
        query: Mapping[str, Array],
        present: Mapping[str, BoolArray],
        positions: Array,
        candidates: FeatureFile,
        condition: Condition,
    ) -> Float32Array:
        tick = time.perf_counter()
        try:
            return self.ranker.answers(query, present, positions, candidates)
        except (MMAuditError, MemoryError):
            raise
        except Exception as error:
            raise_if_out_of_memory(error, len(positions))
            if len(positions) == 1:
                self._keep(condition)
                return np.full((1, ANSWER_COLUMNS), np.nan, np.float32)
        finally:
            self.timing.model += time.perf_counter() - tick
        half = len(positions) // 2
        halves = (slice(None, half), slice(half, None))

        def some(of: Mapping[str, Any], rows: slice) -> dict[str, Any]:
            return {m: x[rows] for m, x in of.items()}

        asked: list[Callable[[], Float32Array]] = [
            lambda h=h: self._scored(some(query, h), some(present, h), positions[h], candidates, condition)  # type: ignore[misc]
            for h in halves
        ]
        return np.concatenate([ask() for ask in asked])

    def _keep(self, condition: Condition) -> None:
        """Keep the first traceback of a condition."""
        if not self.run.error(condition):
            self.run.write_error(condition, traceback.format_exc())

    def _present(self, modality: str, positions: Array, batch: Batch | None) -> BoolArray:
        return self.data.presence(modality)[positions] if batch is None else batch.present[modality]

    def _read(self, file: FeatureFile, positions: Array) -> tuple[Array, BoolArray]:
        return file.read(positions), file.usable[positions]


def _name(condition: Condition, modality: str) -> str:
    """A file's name: names of modalities may hold anything."""
    return digest(condition.key, modality)
