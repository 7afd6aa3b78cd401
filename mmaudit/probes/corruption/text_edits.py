"""What corruptions of text share: how many places are hit, which ones, and putting the replacements in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mmaudit.kernels import splice, text
from mmaudit.kernels.text import CodeArray, Codes, Places
from mmaudit.randomness import Draws
from mmaudit.types import FloatArray

_NO_CODES = np.empty(0, np.uint32)


class Characters:
    """The characters of some texts, see `mmaudit.kernels.text`; character k is `starts[k]` to `stops[k]` of them."""

    def __init__(self, texts: list[str]) -> None:
        self.texts: Codes = text.encode(texts)
        self.starts, self.stops, self.ends = text.clusters(*self.texts)
        self.traits = self.texts.traits[self.starts]


def only(ends: Places, wanted: npt.NDArray[np.bool_]) -> tuple[Places, Places]:
    """Return which members are wanted, and how many of them the texts before and with i have, given `ends` of all."""
    index = np.flatnonzero(wanted)
    return index, np.searchsorted(index, ends)


def hit(
    draws: Draws, ends: Places, severity: float, *, spare: int = 0, extra: int = 0
) -> tuple[Places, Places, FloatArray]:
    """Return the places hit, how many in the texts before and with i, and `float64[hit, extra]` in [0, 1).

    Of L places severity·L are hit, rounded up or down at random, so that the share is right on average for the
    shortest text too; at least `spare` are not. Places hit at one severity are hit at every higher one.
    """
    # Drawn in full whatever the severity, so that severities share their random numbers.
    u = draws.ragged(1 + (1 + extra) * np.diff(ends))
    places, edits, choice = splice.pick(u, ends, float(severity), spare, extra)
    return places, edits, choice


def swapped(texts: Codes, starts: Places, stops: Places, lefts: Places, edits: Places) -> list[str]:
    """Return texts with members left and left + 1 exchanged; what lies between them stays between them."""
    rights = lefts + 1
    pieces = np.empty((len(lefts), 3, 2), np.int64)
    pieces[:, 0, 0], pieces[:, 0, 1] = starts[rights], stops[rights]
    pieces[:, 1, 0], pieces[:, 1, 1] = stops[lefts], starts[rights]
    pieces[:, 2, 0], pieces[:, 2, 1] = starts[lefts], stops[lefts]
    return _spliced(texts, edits, starts[lefts], stops[rights], texts.codes, pieces)


def deleted(texts: Codes, edits: Places, starts: Places, stops: Places) -> list[str]:
    """Return texts without `starts[e]` to `stops[e]`, for every edit e; text i has `edits[i]` to `edits[i + 1]`."""
    return _spliced(texts, edits, starts, stops, _NO_CODES, np.empty((len(starts), 0, 2), np.int64))


def replaced(texts: Codes, edits: Places, starts: Places, stops: Places, new: CodeArray) -> list[str]:
    """Return texts with one code point in the place of `starts[e]` to `stops[e]`; with none where it is 0."""
    first = np.arange(len(new))
    return _spliced(texts, edits, starts, stops, new, np.stack((first, first + (new > 0)), axis=1)[:, None])


def pieced(texts: Codes, edits: Places, starts: Places, stops: Places, pool: CodeArray, pieces: Places) -> list[str]:
    """Return texts with pieces of `pool` in the place of `starts[e]` to `stops[e]`; `pieces` is [edits, p, 2]."""
    return _spliced(texts, edits, starts, stops, pool, pieces)


def _spliced(texts: Codes, edits: Places, starts: Places, stops: Places, pool: CodeArray, pieces: Places) -> list[str]:
    return text.decode(*splice.splice(texts.codes, texts.ends, edits, starts, stops, pool, pieces))


class Confusions:
    """A table of what may be taken for what, ready for look-up.

    Args:
        table: per character, or two characters, what may stand in its place; code points below U+0600.
    """

    _SIZE = 0x600

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        # Group 0 is "in no table"; group g is the g-th entry.
        self.single = np.zeros(self._SIZE, np.int64)
        pairs = []
        for group, source in enumerate(table, start=1):
            if len(source) == 1:
                self.single[ord(source)] = group
            else:
                pairs.append((ord(source[0]), ord(source[1]), group))
        self.pairs = np.array(pairs, np.int64).reshape(-1, 3)
        options = [option for others in table.values() for option in others]
        self.pool, ends, _ = text.encode(options)
        self.options = np.stack((ends[:-1], ends[1:]), axis=1)
        self.count = np.array([0, *(len(others) for others in table.values())])
        self.first = np.concatenate(([0], np.cumsum(self.count[:-1])))

    def corrupt(self, texts: list[str], severity: float, draws: Draws) -> list[str]:
        """Return texts with a share of what is in the table replaced by something it may be taken for."""
        all_ = Characters(texts)
        starts, stops, groups, ends = splice.find(
            all_.texts.codes, all_.starts, all_.stops, all_.ends, self.single, self.pairs
        )
        places, edits, choice = hit(draws, ends, severity, extra=1)
        group = groups[places]
        option = self.first[group] + (choice[:, 0] * self.count[group]).astype(np.int64)
        return pieced(all_.texts, edits, starts[places], stops[places], self.pool, self.options[option][:, None])
