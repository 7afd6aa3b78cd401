"""What stands in for a modality that a model cannot do without: the missing baselines.

The conclusion about a model can flip with this choice, so an audit reports every one that applies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mmaudit.errors import NotApplicable, UnknownName
from mmaudit.probes import canonical
from mmaudit.randomness import generator, stream_key
from mmaudit.types import Array, Batch, IntArray, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics
    from mmaudit.probes.source import Source

Maker = Callable[["Source", Modality, Batch, IntArray, int], Array]
RANDOM = ("marginal", "noise")  # baselines that draw, and so can be repeated


def declines(baseline: str, modality: Modality) -> str | None:
    """Return why a modality has no such stand-in, or None where it has one."""
    if baseline == "mean" and modality.kind == "text":
        return f"{modality.name!r} is text, which has no mean"
    if baseline == "noise" and (reason := codes(modality)):
        return reason
    return None


def codes(modality: Modality) -> str | None:
    """Return a reason where all numbers are, or may be, category codes, to which adding noise means nothing.

    They are where every column is declared categorical. Where nothing is declared, whole numbers may be.
    """
    if modality.kind != "tabular":
        return None
    if modality.all_categorical:
        return f"{modality.name!r} holds category codes alone; noise on them means nothing"
    if modality.categorical is None and np.dtype(modality.dtype).kind in "iub":
        return f"{modality.name!r} holds whole numbers, which may be category codes; noise on them means nothing"
    return None


def make(source: Source, baseline: str, name: str, batch: Batch, repeat: int) -> Array:
    """Return a new array for modality `name`; rows where it is absent stay as they are.

    zero: 0, or the legal value nearest to it; the empty text.
    mean: the mean per dimension, of categorical columns the most frequent code, in the modality's dtype; text declines.
    marginal: the value of a donor, a random permutation of the whole data set.
    noise: independent draws from N(mean, σ) per dimension, clipped to the legal range. A text gets as many words as
        some other sample's text has, each drawn from yet other samples, so that common words
        stay common and lose their order and company. Categorical columns get the codes of a donor, as in `marginal`:
        what is said to be missing must not stay. Tables of codes alone decline, declared ones or whole numbers.

    Raises `NotApplicable` where the modality declines, `UnknownName` for another baseline (`native` has no values).
    """
    modality = source.modality(name)
    if baseline not in _MAKERS:
        raise UnknownName("stand-in baseline", baseline, _MAKERS)
    if reason := declines(baseline, modality):
        raise NotApplicable(reason)
    rows = np.flatnonzero(batch.present[name])
    return _MAKERS[baseline](source, modality, batch, rows, repeat)


def _zero(source: Source, modality: Modality, batch: Batch, rows: IntArray, repeat: int) -> Array:
    if modality.kind == "text":
        new = batch.inputs[modality.name].astype(object)
        new[rows] = ""
        return new
    return _fill(modality, batch, rows, np.zeros(()))


def _mean(source: Source, modality: Modality, batch: Batch, rows: IntArray, repeat: int) -> Array:
    return _fill(modality, batch, rows, np.asarray(_statistics(source, modality).typical))


def _fill(modality: Modality, batch: Batch, rows: IntArray, value: Array) -> Array:
    """Write one value (a scalar, or a sample) into rows that may differ in shape."""
    new = batch.inputs[modality.name].copy()
    if new.dtype != object:
        new[rows] = canonical.settle(value, new.dtype, modality)
        return new
    for row in rows.tolist():
        sample = new[row]
        new[row] = np.broadcast_to(canonical.settle(value, sample.dtype, modality), sample.shape).copy()
    return new


def _marginal(source: Source, modality: Modality, batch: Batch, rows: IntArray, repeat: int) -> Array:
    return _donated(source, modality, batch, f"stand_in.marginal#{repeat}")


def _donated(source: Source, modality: Modality, batch: Batch, stream: str) -> Array:
    """The values of other samples, one for each row that has the modality."""
    donors = source.table(stream, modality.name, "random")[batch.positions]
    donors = np.where(batch.present[modality.name], donors, -1).astype(np.int64)
    return source.exchange(modality.name, batch, donors)


def _noise(source: Source, modality: Modality, batch: Batch, rows: IntArray, repeat: int) -> Array:
    stream = stream_key(f"stand_in.noise#{repeat}", modality.name)
    keys = source.keys(batch).tolist()
    if modality.kind == "text":
        return _word_salad(source, modality, batch, rows, stream, keys)
    new = batch.inputs[modality.name].copy()
    dtype = canonical.working_dtype(np.dtype(modality.dtype))
    found = _statistics(source, modality)
    mean: Array = np.asarray(found.mean).astype(dtype)
    std: Array = np.asarray(found.std).astype(dtype)
    for row in rows.tolist():
        sample = np.asarray(new[row])
        drawn = generator(stream, keys[row]).standard_normal(sample.shape, dtype=dtype)
        new[row] = canonical.settle(mean + std * drawn, sample.dtype, modality)
    if modality.categorical:
        return canonical.only_numbers(new, _donated(source, modality, batch, f"stand_in.noise#{repeat}"), modality)
    return new


def _word_salad(
    source: Source, modality: Modality, batch: Batch, rows: IntArray, stream: int, keys: list[int]
) -> Array:
    positions, texts = source.words(modality.name)
    filled = [i for i, text in enumerate(texts) if text]
    positions_filled, texts_filled = positions[filled], [texts[i] for i in filled]
    new = batch.inputs[modality.name].astype(object)
    for row in rows.tolist():
        rng = generator(stream, keys[row])
        own = int(batch.positions[row])
        length = sum(len(text) for text in _others(positions, own, rng, texts, 1))
        drawn = _others(positions_filled, own, rng, texts_filled, length)
        new[row] = " ".join(words[int(u * len(words))] for words, u in zip(drawn, rng.random(len(drawn)), strict=True))
    return new


def _others(
    positions: IntArray, own: int, rng: np.random.Generator, texts: list[list[str]], count: int
) -> list[list[str]]:
    """Draw `count` texts of other samples, independently; none where there is no other sample."""
    if len(texts) < 2:
        return []
    drawn = rng.integers(len(texts) - 1, size=count)
    # Whoever drew its own place takes the last one instead, which nobody else can draw: uniform over the others.
    return [texts[-1] if positions[i] == own else texts[i] for i in drawn.tolist()]


def _statistics(source: Source, modality: Modality) -> ModalityStatistics:
    found = source.statistics.get(modality.name)
    if found is None:
        raise NotApplicable(f"modality {modality.name!r} has no mean and standard deviation to stand in with")
    return found


_MAKERS: dict[str, Maker] = {"zero": _zero, "mean": _mean, "marginal": _marginal, "noise": _noise}
