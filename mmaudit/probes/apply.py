"""Apply a corruption's function to a modality of a batch: canonical form in, stored form out, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmaudit.errors import ContractBroken
from mmaudit.probes import canonical
from mmaudit.randomness import Draws, generator, stream_key
from mmaudit.threads import over_rows
from mmaudit.types import Array, Batch, Condition, IntArray, Modality

if TYPE_CHECKING:
    from mmaudit.probes.source import Source

# Below this a thread costs more than the work it takes over.
_PARALLEL_BYTES = 2**16


@dataclass(frozen=True)
class Corruption:
    """The function of a corruption and how to call it.

    Attributes:
        fn: `fn(x, severity, **wanted) -> x`, of one sample or, `batched`, of many.
        wants: names of the optional parameters it asks for.
        batched: whether it takes all samples at once.
    """

    fn: Callable[..., Any]
    wants: tuple[str, ...]
    batched: bool

    @property
    def random(self) -> bool:
        """Whether a repetition gives something else."""
        return bool({"rng", "draws", "donor"} & set(self.wants))


def corrupt(corruption: Corruption, batch: Batch, condition: Condition, source: Source, name: str) -> Array:
    """Return modality `name` of the batch under the condition; rows where it is absent as they were.

    Raises `ContractBroken` where the function returns another form than it was given.
    """
    return _Call(corruption, batch, condition, source, name).result()


class _Call:
    """One application to one modality of one batch."""

    def __init__(self, corruption: Corruption, batch: Batch, condition: Condition, source: Source, name: str) -> None:
        self.corruption = corruption
        self.condition = condition
        self.modality: Modality = source.modality(name)
        self.array = batch.inputs[name]
        self.rows = np.flatnonzero(batch.present[name])
        self.keys = source.keys(batch)
        self.stream = stream_key(condition.stream, name)
        self.shared: dict[str, Any] = {}
        if "modality" in corruption.wants:
            self.shared["modality"] = self.modality
        if "statistics" in corruption.wants:
            self.shared["statistics"] = source.canonical_statistics(name)
        self.donors = self._donors(batch, source, name) if "donor" in corruption.wants else None

    def result(self) -> Array:
        """The whole column, absent rows as they were."""
        self.new = self.array.copy() if len(self.rows) < len(self.array) else np.empty_like(self.array)
        if self.modality.kind == "text":
            # Text never leaves the interpreter lock for long, so threads would only wait for each other.
            self._texts()
            return self.new
        work = self._batched if self.corruption.batched else self._one_by_one
        for rows in self._alike():
            sample = np.asarray(self.array[rows[0]])
            size = sample.nbytes * (len(rows) if self.corruption.batched else 1)
            over_rows(lambda a, b, rows=rows: work(rows[a:b]), len(rows), parallel=size > _PARALLEL_BYTES)  # type: ignore[misc]
        return self.new

    def _alike(self) -> list[IntArray]:
        """The rows, in groups of one shape."""
        if self.array.dtype != object or not len(self.rows):
            return [self.rows] if len(self.rows) else []
        shapes: dict[tuple[Any, ...], list[int]] = {}
        for row in self.rows.tolist():
            sample = np.asarray(self.array[row])
            shapes.setdefault((sample.shape, sample.dtype.str), []).append(row)
        return [np.array(rows) for rows in shapes.values()]

    def _one_by_one(self, rows: IntArray) -> None:
        fn, severity, wants = self.corruption.fn, self.condition.severity, self.corruption.wants
        for row in rows.tolist():
            sample = np.asarray(self.array[row])[None]
            x = canonical.forward(sample, self.modality)
            extra = dict(self.shared)
            if "rng" in wants:
                extra["rng"] = generator(self.stream, int(self.keys[row]))
            if self.donors is not None:
                donor = self._fitted(self.donors[row], sample.shape[1:])
                extra["donor"] = canonical.forward(donor[None], self.modality)[0]
            y = self._checked(fn(x[0], severity, **extra), x[0])
            self.new[row] = canonical.backward(y[None], sample.dtype, self.modality)[0]

    def _batched(self, rows: IntArray) -> None:
        samples = self._stacked(self.array, rows)
        x = canonical.forward(samples, self.modality)
        extra = dict(self.shared)
        if "draws" in self.corruption.wants:
            extra["draws"] = self._draws(rows)
        if self.donors is not None:
            extra["donor"] = canonical.forward(self._stacked(self.donors, rows), self.modality)
        y = self._checked(self.corruption.fn(x, self.condition.severity, **extra), x)
        done = canonical.backward(y, samples.dtype, self.modality)
        if self.new.dtype != object:
            self.new[rows] = done
            return
        for row, sample in zip(rows.tolist(), done, strict=True):
            self.new[row] = sample

    def _texts(self) -> None:
        texts = [str(text) for text in self.array[self.rows].tolist()]
        floor = self.condition.option("similarity_floor")
        severity = self.condition.severity
        assert severity is not None
        if floor is None:
            new = self._corrupted(texts, severity)
        else:
            from mmaudit.probes.corruption.similarity import limited

            new = limited(self._corrupted, texts, severity, float(floor))
        if self.new.dtype.kind == "U":
            self.new = self.new.astype(object)
        for row, text in zip(self.rows.tolist(), new, strict=True):
            self.new[row] = text

    def _corrupted(self, texts: list[str], severity: float) -> Sequence[str]:
        fn, wants = self.corruption.fn, self.corruption.wants
        donors = None if self.donors is None else [str(text) for text in self.donors[self.rows].tolist()]
        if self.corruption.batched:
            extra = dict(self.shared)
            if "draws" in wants:
                extra["draws"] = self._draws(self.rows)
            if donors is not None:
                extra["donor"] = donors
            return self._checked_texts(fn(texts, severity, **extra), len(texts))
        new = []
        for i, row in enumerate(self.rows.tolist()):
            extra = dict(self.shared)
            if "rng" in wants:
                extra["rng"] = generator(self.stream, int(self.keys[row]))
            if donors is not None:
                extra["donor"] = donors[i]
            new.append(fn(texts[i], severity, **extra))
        return self._checked_texts(new, len(texts))

    def _draws(self, rows: IntArray) -> Draws:
        return Draws(self.condition.stream, self.modality.name, self.keys[rows])

    def _donors(self, batch: Batch, source: Source, name: str) -> Array:
        return source.exchange(name, batch, source.donors(self.condition, name, batch, "random"))

    def _stacked(self, array: Array, rows: IntArray) -> Array:
        if array.dtype != object:
            return array[rows]
        first = np.asarray(self.array[rows[0]])
        return np.stack([self._fitted(array[row], first.shape) for row in rows.tolist()])

    def _fitted(self, value: Any, shape: tuple[int, ...]) -> Array:
        """A donor of another shape is cut, or filled up with zeros or silence, to the shape of the sample it meets."""
        sample = np.asarray(value)
        if sample.shape == shape or sample.ndim != len(shape):
            return sample
        out = np.full(shape, canonical.middle(self.modality, sample.dtype), sample.dtype)
        common = tuple(slice(min(a, b)) for a, b in zip(sample.shape, shape, strict=True))
        out[common] = sample[common]
        return out

    def _checked(self, y: Any, x: Array) -> Array:
        if not isinstance(y, np.ndarray | np.generic) or y.shape != x.shape:
            what = f"shape {y.shape}" if isinstance(y, np.ndarray | np.generic) else type(y).__name__
            raise ContractBroken(
                f"probe {self.condition.probe!r}", "shape kept", f"returned {what} for a sample of shape {x.shape}"
            )
        out = np.asarray(y, dtype=x.dtype)
        # mmaudit's own are held to it by their tests.
        if not self.corruption.fn.__module__.startswith("mmaudit.") and not np.isfinite(out).all():
            raise ContractBroken(
                f"probe {self.condition.probe!r}",
                "finite values",
                "returned a value that is not finite (NaN or infinite); where nothing is left, give a value that "
                "stands for it, or mark the row as not present",
            )
        return out

    def _checked_texts(self, new: Any, n: int) -> Sequence[str]:
        who = f"probe {self.condition.probe!r}"
        if not isinstance(new, list) or len(new) != n:
            raise ContractBroken(who, "one text per text", f"returned {type(new).__name__} for a list of {n}")
        if wrong := [type(text).__name__ for text in new if not isinstance(text, str)]:
            raise ContractBroken(who, "text stays text", f"returned {wrong[0]}, not str")
        return new
