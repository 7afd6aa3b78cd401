"""Where probes get what the batch does not hold: random numbers, other samples (donors), and stand-ins.

Everything is a function of (stream, modality, sample id) and of the data set as a whole, never of the batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from threading import RLock, local
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt

from mmaudit.data.dataset import values
from mmaudit.errors import BadInput, NotApplicable, UnknownName
from mmaudit.probes import canonical
from mmaudit.probes.scope import POOLS
from mmaudit.randomness import generator, id_keys, stream_key, uniforms
from mmaudit.types import Array, Batch, BoolArray, Condition, FloatArray, IntArray, Modality

if TYPE_CHECKING:
    from mmaudit.data.dataset import Dataset
    from mmaudit.data.statistics import ModalityStatistics

Gradient = Callable[[Batch, Mapping[str, Array]], tuple[FloatArray, Mapping[str, Array]]]
"""Loss of each sample and its gradient at other inputs; see `mmaudit.models.protocol.Differentiable`."""

T = TypeVar("T")
Pool = Literal["random", "within_class", "across_class", "nearest"]
Positions = npt.NDArray[np.int64] | npt.NDArray[np.int32]

# Donor tables kept: 32 of a million rows, all that a plan needs of smaller data sets.
_TABLE_BYTES = 128 << 20
# Texts that words are drawn from. Enough for the word frequencies, and small whatever the data set.
_TEXTS = 4096


class Source:
    """The data set as probes see it.

    Args:
        data: the data set under audit; donors come from all of it.
        statistics: per modality mean, standard deviation and modes; None for text.
        gradient: of the model's loss with respect to its inputs, for adversarial probes; None where there is none.

    Raises:
        BadInput: the statistics come from data that declare other columns categorical.
    """

    def __init__(
        self,
        data: Dataset,
        statistics: Mapping[str, ModalityStatistics | None],
        gradient: Gradient | None = None,
    ) -> None:
        self.data = data
        self.gradient = gradient
        self.statistics = statistics
        self._modalities = {m.name: m for m in data.modalities}
        for modality in data.modalities:
            _require_modes(modality, statistics.get(modality.name))
        self._tables: OrderedDict[Hashable, Positions] = OrderedDict()
        # Kept for good: one per modality, whatever the number of conditions, and slow to make.
        self._nearest: dict[str, IntArray] = {}
        self._canonical: dict[str, ModalityStatistics] = {}
        self._words: dict[str, tuple[IntArray, list[list[str]]]] = {}
        self._nowhere: dict[int, BoolArray] = {}
        self._once: dict[Hashable, Any] = {}
        # Stand-ins of the batch at hand, one batch per thread: all that the conditions of a batch share.
        self._memo = local()
        self._lock = RLock()

    def modality(self, name: str) -> Modality:
        """Return a modality by name; raises `UnknownName`."""
        if name not in self._modalities:
            raise UnknownName("modality", name, self._modalities)
        return self._modalities[name]

    def canonical_statistics(self, name: str) -> ModalityStatistics:
        """Return mean and standard deviation in the form corruptions work in (images [H, W, C] in [0, 1])."""
        if name not in self._canonical:
            self._canonical[name] = canonical.statistics_of(self, name)
        return self._canonical[name]

    # Random numbers

    def keys(self, batch: Batch) -> npt.NDArray[np.uint64]:
        """Return `uint64[n]`, what stands for each sample's id in random draws."""
        return self._keys[batch.positions]

    def rng(self, condition: Condition, modality: str, id_key: int, purpose: str = "") -> np.random.Generator:
        """Return the generator of one sample; `purpose` separates independent draws."""
        return generator(stream_key(condition.stream, modality, purpose), id_key)

    def uniforms(self, condition: Condition, modality: str, batch: Batch, purpose: str = "") -> FloatArray:
        """Return one uniform in [0, 1) per row, the same at every severity of the condition's probe."""
        return uniforms(stream_key(condition.stream, modality, purpose), self.keys(batch))

    # Donors

    def donors(self, condition: Condition, modality: str, batch: Batch, pool: str) -> IntArray:
        """Return per row the position of the sample whose value of `modality` it is to receive; -1 for none.

        Pools, all over the whole data set and never the row itself, its modality recorded:
            random: any sample. One random cycle through all samples: a permutation without fixed points, so that
                the modality's distribution stays exactly as it is.
            within_class: a sample of the same class; one random cycle per class. The distribution within each class
                stays exactly as it is; the only sample of a class has no donor.
            across_class: a sample of another class, drawn uniformly; one donor may serve several samples.
            nearest: the sample most similar in this modality, without being equal; nothing is drawn. See `nearest.py`.

        A row whose modality is absent has no donor. Raises `NotApplicable` for a pool by class where the task is not
        classification.
        """
        return self.table(condition.stream, modality, pool)[batch.positions].astype(np.int64)

    def strangers(self, condition: Condition, batch: Batch, shift: int) -> IntArray:
        """Return per row the position of another sample, whatever it recorded; -1 in a data set of one sample.

        Different shifts 1, 2, … (fewer than there are samples) give the same row different samples, and each is a
        permutation of the whole data set.
        """
        n = len(self.data)
        if n < 2:
            return np.full(len(batch), -1)

        def build() -> Positions:
            order = np.argsort(self._draw(stream_key(condition.stream, "", "order")), kind="stable")
            return _cycle(order, n, 1 + (shift - 1) % (n - 1))

        return self._cached((condition.stream, shift), build)[batch.positions].astype(np.int64)

    def previous(self, modality: str, batch: Batch, lag: int) -> IntArray:
        """Return per row the position of the sample recorded `lag` samples before it; -1 where there is none.

        Counted among the samples that have the modality, in the order of the data set's rows; within its cluster
        (recording, patient) where the data set has clusters.
        """

        def build() -> Positions:
            table = _empty(len(self.data))
            rows = np.flatnonzero(self.data.presence(modality))
            cluster = np.zeros(len(self.data), np.int64)
            if self.data.cluster is not None:
                cluster = np.unique(np.asarray(self.data.cluster).astype(str), return_inverse=True)[1].reshape(-1)
            order = rows[np.lexsort((rows, cluster[rows]))]
            late, early = order[lag:], order[: max(len(order) - lag, 0)]
            together = cluster[late] == cluster[early]
            table[late[together]] = early[together]
            return table

        return self._cached(("previous", modality, lag), build)[batch.positions].astype(np.int64)

    def table(self, stream: str, modality: str, pool: str) -> Positions:
        """Return the donor of every sample of the data set; see `donors`."""
        if pool not in POOLS:
            raise UnknownName("donor pool", pool, POOLS)
        if pool == "nearest":
            return self._most_similar(modality)
        if pool != "random" and self.data.task.kind != "classification":
            raise NotApplicable(f"donors {pool.replace('_', ' ')} need classes; the task is {self.data.task.kind}")
        return self._cached((stream, modality, pool), lambda: self._build(stream, modality, cast(Pool, pool)))

    def _most_similar(self, modality: str) -> IntArray:
        from mmaudit.probes.nearest import nearest_donors

        with self._lock:
            if modality not in self._nearest:
                self._nearest[modality] = nearest_donors(self, modality, self._keys)
            return self._nearest[modality]

    def _build(self, stream: str, modality: str, pool: Pool) -> Positions:
        n = len(self.data)
        rows = np.flatnonzero(self.data.presence(modality))
        u = self._draw(stream_key(stream, modality, "donor"))[rows]
        if pool == "random":
            return _cycle(rows[np.argsort(u, kind="stable")], n, 1)
        classes = self.data.target[rows]
        if pool == "within_class":
            return _cycle_per_class(rows, classes, u, n)
        # Sorted by class and id, so that the draw means the same whatever the order of the data set's rows.
        by_class = np.lexsort((self._keys[rows], classes))
        return _other_class(rows[by_class], classes[by_class], u[by_class], n)

    def _draw(self, stream: int) -> FloatArray:
        return uniforms(stream, self._keys)

    def _cached(self, key: Hashable, build: Callable[[], Positions]) -> Positions:
        with self._lock:
            if key not in self._tables:
                self._tables[key] = build()
                keep = max(2, _TABLE_BYTES // max(1, self._tables[key].nbytes))
                while len(self._tables) > keep:
                    self._tables.popitem(last=False)
            self._tables.move_to_end(key)
            return self._tables[key]

    @cached_property
    def _keys(self) -> npt.NDArray[np.uint64]:
        return id_keys(np.asarray(self.data.ids))

    # Values

    def once(self, key: Hashable, build: Callable[[], T]) -> T:
        """Return what `build` makes of the whole data set; made when first asked for and kept under `key`."""
        with self._lock:
            if key not in self._once:
                self._once[key] = build()
            return cast(T, self._once[key])

    def recorded(self, modality: str) -> IntArray:
        """Return the positions of all samples that recorded `modality`, in an order that their ids alone decide."""
        rows = np.flatnonzero(self.data.presence(modality))
        return rows[np.argsort(self._keys[rows], kind="stable")]

    def values(self, modality: str, positions: IntArray) -> Array:
        """Return `modality` of the samples at `positions`, in that order; a position may occur more than once."""
        if len(positions) and (positions.min() < 0 or positions.max() >= len(self.data)):
            raise BadInput(f"donor positions must lie in 0 to {len(self.data) - 1}; leave out rows without a donor.")
        unique, inverse = np.unique(positions, return_inverse=True)
        return values(self.data, modality, unique)[inverse]

    def exchange(self, modality: str, batch: Batch, donors: IntArray) -> Array:
        """Return `modality` of the batch with each row's donor's value; a row without donor (-1) keeps its own."""
        rows = np.flatnonzero(donors >= 0)
        new = writable(batch.inputs[modality])
        if len(rows):
            new[rows] = self.values(modality, donors[rows])
        return new

    def stand_in(self, baseline: str, modality: str, batch: Batch, repeat: int = 0) -> Array:
        """Return what stands in for the whole modality: `zero`, `mean`, `marginal` or `noise`; see `stand_in.py`.

        Rows whose modality is absent stay as they are. For the same rows the same array object comes back, so that a
        model's encoder needs to see it only once, however many subsets of modalities it is part of; until the next
        batch.
        """
        from mmaudit.probes.stand_in import make

        memo = self._memo
        if getattr(memo, "positions", None) != (rows := batch.positions.tobytes()):
            memo.positions, memo.made = rows, {}
        original, present = batch.inputs[modality], batch.present[modality]
        known = memo.made.get((baseline, modality, repeat))
        if known is None or known[0] is not original or known[1] is not present:
            known = original, present, make(self, baseline, modality, batch, repeat)
            memo.made[baseline, modality, repeat] = known
        made: Array = known[2]
        return made

    def nowhere(self, n: int) -> BoolArray:
        """Return `bool[n]` of False, the same object for the same n: the presence of a modality that is taken away."""
        return self._nowhere.setdefault(n, np.zeros(n, np.bool_))

    def words(self, modality: str) -> tuple[IntArray, list[list[str]]]:
        """Return positions and words of up to 4,096 texts, a random sample of the data set by id, read once."""
        with self._lock:
            if modality not in self._words:
                rows = np.flatnonzero(self.data.presence(modality))
                u = self._draw(stream_key("words", modality))[rows]
                rows = rows[np.argsort(u, kind="stable")[:_TEXTS]]
                texts: list[Any] = []
                for start in range(0, len(rows), 512):
                    texts += self.values(modality, rows[start : start + 512]).tolist()
                self._words[modality] = rows, [str(text).split() for text in texts]
            return self._words[modality]


def _require_modes(modality: Modality, found: ModalityStatistics | None) -> None:
    if found is None:
        return
    here = list(modality.categorical or ())
    there = [] if found.mode is None else np.flatnonzero(~np.isnan(found.mode)).tolist()
    if here != there:
        raise BadInput(
            f"modality {modality.name!r}: its categorical columns are {here}, but {there} in the data that its means "
            "come from; declare the same for both."
        )


def writable(array: Array) -> Array:
    """Return a copy that can take any row; fixed-width strings become objects, which do not cut longer ones."""
    return array.astype(object) if array.dtype.kind == "U" else array.copy()


def _empty(n: int) -> Positions:
    return np.full(n, -1, np.int32) if n < 2**31 else np.full(n, -1, np.int64)


def _cycle(order: IntArray, n: int, shift: int) -> Positions:
    """Each sample's donor is the one `shift` places further round `order`; -1 for samples outside it."""
    table = _empty(n)
    if len(order) > 1:
        table[order] = np.roll(order, -shift)
    return table


def _cycle_per_class(rows: IntArray, classes: Array, u: FloatArray, n: int) -> Positions:
    table = _empty(n)
    by_class = np.lexsort((u, classes))
    order, classes = rows[by_class], classes[by_class]
    starts, ends = _segments(classes)
    following = np.roll(order, -1)
    following[ends - 1] = order[starts]
    following[np.repeat(ends - starts, ends - starts) == 1] = -1
    table[order] = following
    return table


def _other_class(order: IntArray, classes: Array, u: FloatArray, n: int) -> Positions:
    """Draw for each sample one of those outside its class; `order` is sorted by class."""
    table = _empty(n)
    starts, ends = _segments(classes)
    size = np.repeat(ends - starts, ends - starts)
    others = len(order) - size
    place = np.minimum((u * others).astype(np.int64), others - 1)
    # Places count the samples outside the class: those before it as they are, those after it moved up by its size.
    place += np.where(place < np.repeat(starts, ends - starts), 0, size)
    some = others > 0
    table[order[some]] = order[place[some]]
    return table


def _segments(classes: Array) -> tuple[IntArray, IntArray]:
    """Return where each run of equal values starts and ends."""
    if not len(classes):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    edges = np.flatnonzero(classes[1:] != classes[:-1]) + 1
    return np.concatenate(([0], edges)), np.concatenate((edges, [len(classes)]))
