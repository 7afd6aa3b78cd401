"""Which subsets of many modalities to run when all of them are too many."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.randomness import generator, stream_key

# Up to this many subsets of one size are listed and drawn from; beyond, subsets are drawn until enough are new.
_LISTED = 20_000

Subset = tuple[str, ...]


def proper_subsets(names: Subset, budget: int) -> tuple[tuple[Subset, ...], str]:
    """Return all proper subsets, largest first, or a sample of them where they are more than `budget`.

    The second value says in words which are not run; it is empty where all are. Raises `BadInput` for a budget below
    that of `core_subsets`.
    """
    every = 2 ** len(names) - 1
    if every <= budget:
        return tuple(s for size in range(len(names) - 1, -1, -1) for s in combinations(names, size)), ""
    core = len(core_subsets(names))
    if core > budget:
        raise BadInput(
            f"{len(names)} modalities have {every:,} proper subsets, more than subset_budget={budget}; to keep and to "
            f"leave out each alone takes {core} of them already. Give subset_budget={core} or more, choose "
            "subsets='leave-one-out' or subsets='one-at-a-time', or list the present subsets to run."
        )
    chosen = sampled_subsets(names, budget)
    return chosen, (
        f"of the {every:,} proper subsets of {len(names)} modalities {len(chosen)} are run (subset_budget={budget}): "
        f"no modality, each alone, all but each, and {len(chosen) - core} of the other {every - core:,}, drawn at "
        "random in complementary pairs"
    )


def core_subsets(names: Subset) -> set[Subset]:
    """Return the subsets that every audit wants: nothing, each modality alone, and all but each."""
    singles = {(name,) for name in names}
    return {(), *singles, *(tuple(n for n in names if n != left) for left in names)} - {names}


def sampled_subsets(names: Subset, budget: int) -> tuple[Subset, ...]:
    """Return at most `budget` proper subsets of the modalities, largest first; the same every time.

    `core_subsets` first, then pairs of a subset and its complement (paired sampling, Covert and Lee, AISTATS 2021), so
    that each modality is present in exactly half of what is drawn and Shapley values estimated from them carry no error
    from effects of one or of two modalities. Pairs are spread over the sizes in proportion to the Shapley kernel's
    weight of each size, (M − 1) / (s (M − s)) (Lundberg and Lee 2017), and drawn without replacement and with equal
    chances within a size: an estimate gives each subset of size s the weight 1 / (s (M − s) · how many of that size are
    run).

    `budget` must cover the core. A single place that no pair fits into stays empty.
    """
    chosen = core_subsets(names)
    sizes = range(2, len(names) // 2 + 1)
    counts = _allocate((budget - len(chosen)) // 2, {s: _pairs(len(names), s) for s in sizes}, len(names))
    for size, count in counts.items():
        for drawn in _draw(tuple(sorted(names)), size, count):
            chosen |= {tuple(n for n in names if (n in drawn) is kept) for kept in (True, False)}
    order = {name: i for i, name in enumerate(names)}
    return tuple(sorted(chosen, key=lambda s: (-len(s), [order[n] for n in s])))


def _pairs(m: int, size: int) -> int:
    """How many pairs of a subset of this size and its complement there are."""
    return comb(m, size) // (2 if 2 * size == m else 1)


def _allocate(pairs: int, available: dict[int, int], m: int) -> dict[int, int]:
    """Share pairs out among the sizes by kernel weight, no size more than it has; largest remainder."""
    counts = dict.fromkeys(available, 0)
    while (rest := pairs - sum(counts.values())) > 0:
        room = {s: available[s] - counts[s] for s in counts if counts[s] < available[s]}
        if not room:
            break
        # Half the weight where a size is its own complement, since only half as many kinds of subset are in it.
        weight = {s: (0.5 if 2 * s == m else 1.0) / (s * (m - s)) for s in room}
        wanted = {s: rest * weight[s] / sum(weight.values()) for s in room}
        given = {s: min(room[s], int(wanted[s])) for s in room}
        if not any(given.values()):
            largest = sorted(room, key=lambda s: (-wanted[s], s))[:rest]
            given = dict.fromkeys(largest, 1)
        for s, count in given.items():
            counts[s] += count
    return counts


def _draw(names: Subset, size: int, count: int) -> list[Subset]:
    """Draw subsets of one size, no two of them equal or each other's complement; names by alphabet draw the same."""
    m = len(names)
    rng = generator(stream_key("missing.subsets", "\x1f".join(names)), size)
    # Where a size is its own complement, each pair stands for the one with the first modality.
    first = 2 * size == m
    if _pairs(m, size) <= _LISTED:
        every = [c for c in combinations(range(m), size) if not first or c[0] == 0]
        return [tuple(names[i] for i in every[place]) for place in rng.permutation(len(every))[:count]]
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < count:
        places = np.sort(rng.permutation(m)[:size])
        if first and places[0] != 0:
            places = np.setdiff1d(np.arange(m), places)
        drawn[tuple(places.tolist())] = None
    return [tuple(names[i] for i in places) for places in drawn]
