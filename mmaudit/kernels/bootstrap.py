"""Bootstrap resamples: drawn once, shared by every condition and every metric, so that all differences are paired.

The one representation that metrics receive, `Resamples`, holds how often each *unit* was drawn:

    counts   uint8[units, replicates]    row = unit, column = replicate
    unit     int64[n]                     the unit of each sample

A unit is what is drawn whole: a sample, a cluster (all samples of one patient), or, above `LARGEST` of these, one of
`BLOCKS` random blocks of them. So memory is bounded by 20,000 × replicates bytes = 20 MB at 1,000 replicates
however many samples there are; the matrix [replicates, n] never exists. Random blocks leave the variance of every
mean-like statistic unbiased (each block is a simple random sample); they only make its estimate less certain, by a
relative √(1 / 2·BLOCKS) = 1 % of the standard error, less than 1,000 replicates do themselves.

Replicates lie next to each other in memory: a kernel visits each sample once and updates all replicates at a time, in
vector instructions, with accumulators of `replicates` numbers and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import numpy.typing as npt

from mmaudit.errors import BadInput
from mmaudit.kernels.bootstrap_counts import Counts, counts
from mmaudit.types import Array, FloatArray, IntArray

LARGEST = 20_000
BLOCKS = 5_000
CHUNK = 2**18


@dataclass(frozen=True, eq=False)
class Resamples:
    """Bootstrap replicates of n samples; metrics receive it as `w` and return one value per replicate.

    Make it with `Resamples.draw`, with `Resamples.ones` (one replicate: the sample itself) or with
    `Resamples.of` (given weights). Restrict it to some rows with `take`; the draws stay the same.

    Attributes:
        counts: `uint8[units, replicates]`, how often each unit was drawn.
        unit: `int64[n]`, the unit of each sample.
        source: `int64[n]`, the cluster or sample behind each unit; None where units are no blocks.
        clustered: whether some samples belong together.
    """

    counts: Counts
    unit: IntArray
    source: IntArray | None = None
    clustered: bool = False

    @classmethod
    def draw(cls, n: int, replicates: int = 1000, seed: int = 0, cluster: Array | None = None) -> Resamples:
        """Draw `replicates` resamples of n samples, with replacement, clusters whole.

        Args:
            n: samples, at least 1.
            replicates: at least 1. Replicate b is the same whatever their number.
            seed: in [0, 2⁶³).
            cluster: any values `[n]`; samples with equal values are drawn together. None: samples are independent.

        Raises:
            BadInput: when a number is out of range or `cluster` has another length.
        """
        if n < 1 or replicates < 1 or not 0 <= seed < 2**63:
            raise BadInput(
                f"bootstrap needs n ≥ 1, replicates ≥ 1 and a seed in [0, 2⁶³); got {n}, {replicates}, {seed}."
            )
        unit = np.arange(n)
        if cluster is not None:
            if len(cluster) != n:
                raise BadInput(f"cluster has {len(cluster)} values for {n} samples; give one per sample.")
            unit = np.unique(np.asarray(cluster).astype(str), return_inverse=True)[1].reshape(n).astype(np.int64)
        units, source = int(unit.max()) + 1, None
        clustered = units < n
        if units > LARGEST:
            source = unit
            shuffled = np.argsort(np.random.Philox(key=_key(seed, 2**63)).random_raw(units), kind="stable")
            block = np.empty(units, np.int64)
            block[shuffled] = np.arange(units) % BLOCKS
            unit, units = block[unit], BLOCKS
        drawn = cls(counts(units, replicates, seed), unit, source, clustered)
        if units == n:
            drawn.__dict__["total"] = np.full(replicates, float(n))  # known, so that `total` need not add it up
        return drawn

    @classmethod
    def ones(cls, n: int) -> Resamples:
        """Return the one replicate that holds every sample once: a metric under it is the plain estimate."""
        return cls(np.ones((1, 1), np.uint8), np.zeros(n, np.int64))

    @classmethod
    def of(cls, weights: Array) -> Resamples:
        """Return the replicates with the given weights `[replicates, n]`: whole numbers up to 255.

        Raises:
            BadInput: for other weights.
        """
        weights = np.asarray(weights)
        if not ((weights >= 0) & (weights <= 255) & (weights == weights.astype(np.int64))).all():
            raise BadInput("bootstrap weights must be whole numbers from 0 to 255: how often a sample is drawn.")
        return cls(np.ascontiguousarray(weights.T, dtype=np.uint8), np.arange(np.shape(weights)[1]))

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.unit)

    @property
    def replicates(self) -> int:
        """Replicates: the length of what a metric returns."""
        return int(self.counts.shape[1])

    def take(self, rows: Array) -> Resamples:
        """Return the same draws restricted to `rows` (positions or a mask): for a group, or rows without outputs."""
        source = None if self.source is None else self.source[rows]
        return Resamples(self.counts, self.unit[rows], source, self.clustered)

    def repeat(self, replicate: int) -> IntArray:
        """Return the positions of the samples in one replicate, each as often as drawn. Slow; tests and plug-ins."""
        return np.repeat(np.arange(self.n), self.counts[self.unit, replicate])

    @cached_property
    def units(self) -> int:
        """How many independent units the samples are: clusters, or samples where none belong together."""
        return int(np.count_nonzero(np.bincount(self.unit if self.source is None else self.source)))

    @cached_property
    def total(self) -> FloatArray:
        """`float64[replicates]`: samples in each replicate (with clusters or `take` it varies)."""
        sums: FloatArray = self.sums(np.ones(self.n))[0, 0]
        return sums

    def mean(self, x: Array) -> FloatArray:
        """Return `float64[replicates]`: mean of x `[n]` over each replicate; NaN for an empty replicate."""
        return ratio(self.sums(x)[0, 0], self.total)

    def sums(self, x: Array, group: Array | None = None, groups: int = 1, sample: IntArray | None = None) -> FloatArray:
        """Return `float64[groups, columns, replicates]`: sums of x within each group, over each replicate.

        Args:
            x: `[m]` or `[m, columns]`, finite.
            group: `int[m]` in [0, groups); None: all in group 0.
            groups: how many groups.
            sample: `int64[m]`, the sample each row of x belongs to; None: row i belongs to sample i.
        """
        x = np.asarray(x, np.float64).reshape(len(x), -1)
        unit = self.unit if sample is None else self.unit[sample]
        group = np.zeros(len(x), np.int64) if group is None else np.asarray(group, np.int64)
        out = np.zeros((groups, x.shape[1], self.replicates))
        for first in range(0, len(x), CHUNK):  # bounds the memory of sorting
            rows = slice(first, first + CHUNK)
            _add_sums(self.counts, *_merge(unit[rows], len(self.counts), group[rows], groups, x[rows]), out)
        return out


def _key(seed: int, replicate: int) -> npt.NDArray[np.uint64]:
    return np.array([seed, replicate], np.uint64)


def ratio(a: Array, b: Array) -> FloatArray:
    """Return a / b, NaN where b is 0."""
    out = np.full(np.broadcast_shapes(a.shape, b.shape), np.nan)
    np.divide(a, b, out=out, where=b != 0)
    return out


def mean_defined(values: FloatArray) -> FloatArray:
    """Return the mean over the first axis of what is not NaN; NaN where all is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


@numba.njit(nogil=True, cache=True)
def _merge(unit, units, group, groups, x):  # type: ignore[no-untyped-def]
    """Sort rows by (group, unit) with two counting sorts and add up the rows of the same pair.

    Afterwards the work does not depend on the number of samples, only on that of the pairs.
    """
    m, columns = x.shape
    by_unit = _counting_sort(np.arange(m), unit, units)
    order = _counting_sort(by_unit, group, groups)
    entry_unit = np.empty(m, np.int64)
    entry_group = np.empty(m, np.int64)
    entry_x = np.empty((m, columns))
    e = -1
    for i in order:
        if e >= 0 and entry_unit[e] == unit[i] and entry_group[e] == group[i]:
            for c in range(columns):
                entry_x[e, c] += x[i, c]
        else:
            e += 1
            entry_unit[e], entry_group[e] = unit[i], group[i]
            for c in range(columns):
                entry_x[e, c] = x[i, c]
    return entry_unit[: e + 1], entry_group[: e + 1], entry_x[: e + 1]


@numba.njit(nogil=True, cache=True)
def _counting_sort(order, key, keys):  # type: ignore[no-untyped-def]
    """Reorder `order` by key[order], stable."""
    start = np.zeros(keys + 1, np.int64)
    for i in order:
        start[key[i] + 1] += 1
    for k in range(keys):
        start[k + 1] += start[k]
    out = np.empty(len(order), np.int64)
    for i in order:
        out[start[key[i]]] = i
        start[key[i]] += 1
    return out


@numba.njit(nogil=True, cache=True)
def _add_sums(counts, unit, group, x, out):  # type: ignore[no-untyped-def]
    """Add the entries to the sums of their groups, those that are not 0.

    Four of a group together read and write its sums once; they are added in the order of the entries all the same.
    """
    entries, columns = x.shape
    replicates = counts.shape[1]
    at = np.empty(4, np.int64)
    for c in range(columns):
        found = 0
        for e in range(entries):
            if x[e, c] != 0.0:
                at[found] = e
                found += 1
            if found < 4 and e + 1 < entries and group[e + 1] == group[e]:
                continue
            acc = out[group[e], c]
            if found == 4:
                r0, r1, r2, r3 = counts[unit[at[0]]], counts[unit[at[1]]], counts[unit[at[2]]], counts[unit[at[3]]]
                v0, v1, v2, v3 = x[at[0], c], x[at[1], c], x[at[2], c], x[at[3], c]
                for b in range(replicates):
                    acc[b] = (((acc[b] + v0 * r0[b]) + v1 * r1[b]) + v2 * r2[b]) + v3 * r3[b]
            else:
                for k in range(found):
                    row, v = counts[unit[at[k]]], x[at[k], c]
                    for b in range(replicates):
                        acc[b] += v * row[b]
            found = 0
