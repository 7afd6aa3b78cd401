"""chrF, the character n-gram F-score of two texts (Popović, WMT 2015), for many pairs at once.

Twin: `sacrebleu.CHRF()` with its defaults; its values are recorded in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from mmaudit.kernels.text import CodeArray, Places

ORDER = 6
BETA = 2.0


def chrf(a: Sequence[str], b: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return per pair how far text a[i] has the character n-grams of the reference b[i], `float64[n]` in [0, 1].

    F score with β = 2, so that recall counts twice as much as precision, of the precision and recall of n-grams of
    1 to 6 code points, averaged over the n for which both texts are long enough; white space does not count. This is
    chrF2 as sacrebleu 2 computes it by default, divided by 100, but for two texts without any character, which are
    equal here (1) and 0 there. The whole text is compared; the work grows with its length. Raises `ValueError`
    where a and b differ in length.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} texts cannot be compared with {len(b)}; give one reference per text.")
    (codes_a, ends_a), (codes_b, ends_b) = _solid(a), _solid(b)
    out: npt.NDArray[np.float64] = _scores(codes_a, ends_a, codes_b, ends_b)
    return out


def _solid(texts: Sequence[str]) -> tuple[CodeArray, Places]:
    """Return the texts' code points without white space, and where each text begins and ends among them."""
    solid = ["".join(text.split()) for text in texts]
    codes = np.frombuffer("".join(solid).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)
    return codes, np.concatenate(([0], np.cumsum([len(text) for text in solid]))).astype(np.int64)


@numba.njit(nogil=True, cache=True)
def _scores(codes_a: CodeArray, ends_a: Places, codes_b: CodeArray, ends_b: Places) -> npt.NDArray[np.float64]:
    n = len(ends_a) - 1
    out = np.empty(n, np.float64)
    longest = 1
    for i in range(n):
        longest = max(longest, ends_a[i + 1] - ends_a[i] + ends_b[i + 1] - ends_b[i])
    size = 2
    while size < 2 * longest:
        size *= 2
    # A hash table with open addressing, emptied by counting `round_` up: an entry of an earlier round is none.
    keys, filled, ids = np.empty(size, np.uint64), np.zeros(size, np.int64), np.empty(size, np.int64)
    grams = np.empty(longest, np.int64)
    count_a, count_b = np.empty(longest, np.int64), np.empty(longest, np.int64)
    mask, round_ = np.uint64(size - 1), 0
    for i in range(n):
        a, b = codes_a[ends_a[i] : ends_a[i + 1]], codes_b[ends_b[i] : ends_b[i + 1]]
        grams[: len(a) + len(b)] = 0
        orders, precision, recall = 0, 0.0, 0.0
        for order in range(1, min(ORDER, len(a), len(b)) + 1):
            # An n-gram is the number of the (n−1)-gram it begins with, and its last code point: exact, no collisions.
            round_ += 1
            known = 0
            for side in range(2):
                text, start = (a, 0) if side == 0 else (b, len(a))
                for j in range(len(text) - order + 1):
                    key = np.uint64(grams[start + j]) << np.uint64(21) | np.uint64(text[j + order - 1])
                    slot = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
                    while filled[slot] == round_ and keys[slot] != key:
                        slot = (slot + np.uint64(1)) & mask
                    if filled[slot] != round_:
                        filled[slot], keys[slot], ids[slot] = round_, key, known
                        count_a[known], count_b[known] = 0, 0
                        known += 1
                    gram = ids[slot]
                    grams[start + j] = gram
                    if side == 0:
                        count_a[gram] += 1
                    else:
                        count_b[gram] += 1
            matches = 0
            for g in range(known):
                matches += min(count_a[g], count_b[g])
            orders += 1
            precision += matches / (len(a) - order + 1)
            recall += matches / (len(b) - order + 1)
        if len(a) == 0 and len(b) == 0:
            out[i] = 1.0
        elif precision + recall == 0:
            out[i] = 0.0
        else:
            precision /= orders
            recall /= orders
            out[i] = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
    return out
