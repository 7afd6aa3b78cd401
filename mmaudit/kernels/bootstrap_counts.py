"""How often each unit is drawn: counts made directly, four at a time from one random number, not by drawing indices.

Drawing n of n units with replacement gives counts that are multinomial. Independent Poisson counts, given their total,
are multinomial, too. So a replicate takes a Poisson count for each unit and then settles its total: while it is below
n, one more unit is drawn; while it is above, one of those drawn is put back. Both keep the distribution, and there is
little to settle, about 2 % of n. What is left for each count is a comparison of 16 random bits with seven limits, which
processors do for 32 or 64 counts at a time; there is no scattered access to memory.

`LIMITS` are 65,536 × the distribution function of Poisson(63/64), rounded so that mean and variance are both exactly
63/64: a bootstrap mean then has the variance that drawing indices gives it (rounded to nearest, it would miss that by
a relative 3·10⁻⁵). Single probabilities are off by less than 3·10⁻⁵, and no count from this step is above seven. The
mean is below 1 because drawing one more is cheaper than putting one back.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from mmaudit.kernels.philox import _block
from mmaudit.threads import over_rows

Counts = npt.NDArray[np.uint8]

LIMITS = (24_490, 48_595, 60_460, 64_353, 65_311, 65_500, 65_531)
PACKED = 4  # replicates that share a random number, 16 bits each
TOGETHER = 256  # replicates: whole cache lines of the result, and states that stay in the nearest cache
STREAMS = TOGETHER // PACKED
SETTLING = np.uint64(2**62)  # added to a replicate's number: its key for settling

# The largest 16 bits that mean at most 0, 1, … units.
_T0, _T1, _T2, _T3, _T4, _T5, _T6 = (np.uint16(limit - 1) for limit in LIMITS)
_ONE, _S3, _S11, _S24, _S40 = (np.uint64(shift) for shift in (1, 3, 11, 24, 40))
_LOW, _HALF, _EIGHTH = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(29)


def counts(units: int, replicates: int, seed: int) -> Counts:
    """Return `uint8[units, replicates]`: how often each unit is drawn when `units` are drawn with replacement.

    A replicate depends on the seed and its own number alone: neither on how many there are, nor on threads, nor on the
    NumPy version. Replicates 4s to 4s + 3 are the four 16-bit parts, lowest first, of the numbers of NumPy's bit
    generator SFC64 (Doty-Humphrey 2010) whose state is the first block of Philox 4×64 with key (seed, s); what settles
    replicate b comes from Philox with key (seed, 2⁶² + b). There a unit is 32 random bits × units / 2³²; its chance is
    off by a relative 5·10⁻⁶ at most (units ≤ 20,000). A count is about Poisson(1), so it never comes near 255.

    Args:
        units: 1 to 50,000 (totals are kept in 16 bits).
        replicates: at least 1.
        seed: in [0, 2⁶³).
    """
    out = np.empty((units, replicates), np.uint8)
    pieces = -(-replicates // TOGETHER)
    over_rows(lambda a, b: _count(np.uint64(seed), a, b, out), pieces, parallel=out.size > 2**18)
    return out


@numba.njit(nogil=True, cache=True)
def _count(seed, first, last, out):  # type: ignore[no-untyped-def]
    """Count pieces of `TOGETHER` replicates."""
    units, replicates = out.shape
    total = np.empty(TOGETHER, np.uint16)
    for piece in range(first, last):
        start, stop = piece * TOGETHER, min(piece * TOGETHER + TOGETHER, replicates)
        _scatter(seed, piece * STREAMS, out[:, start:stop], total)
        for b in range(start, stop):
            _settle(seed, SETTLING + np.uint64(b), np.int64(total[b - start]) - units, out[:, b])


@numba.njit(nogil=True, cache=True)
def _scatter(seed, stream, out, total):  # type: ignore[no-untyped-def]
    """Give each unit a Poisson count in up to `TOGETHER` replicates; `total` of each replicate is their sum.

    The loops are short, over arrays of known length and of one type each, so that they become vector instructions.
    """
    units, here = out.shape
    a, b, c = np.empty(STREAMS, np.uint64), np.empty(STREAMS, np.uint64), np.empty(STREAMS, np.uint64)
    w, drawn = np.empty(STREAMS, np.uint64), np.empty(STREAMS, np.uint64)
    for s in range(STREAMS):
        a[s], b[s], c[s], w[s] = _block(_ONE, seed, np.uint64(stream + s))
    parts, count = drawn.view(np.uint16), np.empty(TOGETHER, np.uint16)
    total[:] = 0
    for i in range(units):
        for s in range(STREAMS):
            number = a[s] + b[s] + w[s]
            w[s] += _ONE
            a[s] = b[s] ^ (b[s] >> _S11)
            b[s] = c[s] + (c[s] << _S3)
            c[s] = ((c[s] << _S24) | (c[s] >> _S40)) + number
            drawn[s] = number
        for j in range(TOGETHER):
            count[j] = _poisson(parts[j])
        for j in range(TOGETHER):
            total[j] += count[j]
        row = out[i]
        if here == TOGETHER:
            for j in range(TOGETHER):
                row[j] = count[j]
        else:
            for j in range(here):
                row[j] = count[j]


@numba.njit(nogil=True, cache=True)
def _poisson(bits):  # type: ignore[no-untyped-def]
    """How many limits the bits reach; 16 bits throughout, or fewer would be compared at a time."""
    few = np.uint16(bits > _T0) + np.uint16(bits > _T1) + np.uint16(bits > _T2) + np.uint16(bits > _T3)
    return np.uint16(few + np.uint16(bits > _T4) + np.uint16(bits > _T5) + np.uint16(bits > _T6))


@numba.njit(nogil=True, cache=True)
def _settle(k0, k1, excess, count):  # type: ignore[no-untyped-def]
    """Draw −excess more units, or put excess of those drawn back.

    Each half of a random number, lower first, names a unit, and one that is kept in 3 further bits (those after
    the point of half × units / 2³², which say nothing of the unit) decides whether one is put back: with chance
    count / 8, so that everything drawn is as likely. Counts are below 8 here.
    """
    many, counter = np.uint64(len(count)), np.uint64(0)
    while excess < 0:
        counter += _ONE
        for number in _block(counter, k0, k1):
            for half in (number & _LOW, number >> _HALF):
                if excess < 0:
                    count[(half * many) >> _HALF] += 1
                    excess += 1
    while excess > 0:
        counter += _ONE
        for number in _block(counter, k0, k1):
            for half in (number & _LOW, number >> _HALF):
                place = half * many
                unit, chance = place >> _HALF, (place & _LOW) >> _EIGHTH
                if excess > 0 and chance < count[unit]:
                    count[unit] -= 1
                    excess -= 1
