"""Numbers that stand for each modality: the audited model's encoder where it has one, else plain ones of the input.

Nothing here is learned from the data: every row's numbers depend on that row alone.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from mmaudit.crossfit import images
from mmaudit.crossfit.samples import Table
from mmaudit.data import Dataset
from mmaudit.distances import EmbeddingDistance, Unmeasurable, aligned, ngrams
from mmaudit.errors import NotApplicable
from mmaudit.models import TwoStage
from mmaudit.probes import canonical
from mmaudit.simple_features import category_limits
from mmaudit.simple_features import features as simple
from mmaudit.types import Array, FloatArray, IntArray, Modality

ROWS = 256  # read at a time
WIDEST = 2048  # numbers per row; more are added up in this many sums with random signs
WORDS = 1024


@dataclass(frozen=True, eq=False)
class Features:
    """Tables of some rows.

    Attributes:
        tables: by modality.
        source: by modality, `encoder` or `plain`.
        reasons: by modality, why its encoder was not used although there is one.
    """

    tables: dict[str, Table]
    source: dict[str, str]
    reasons: dict[str, str]


def read(data: Dataset, positions: IntArray, stage: TwoStage | None, skip: Collection[str] = ()) -> Features:
    """Read rows, some at a time, and return what stands for each modality but those to skip."""
    encoders = EmbeddingDistance(stage, ROWS)
    reasons: dict[str, str] = {}
    modalities = [m for m in data.modalities if m.name not in skip]
    encoded: dict[str, list[list[Array]]] = {m.name: [] for m in modalities} if stage is not None else {}
    plain: dict[str, list[Table]] = {m.name: [] for m in modalities}
    for start in range(0, len(positions) if modalities else 0, ROWS):
        batch = data.rows(positions[start : start + ROWS])
        for modality in modalities:
            if modality.name in encoded:
                try:
                    leaves = encoders.features(modality.name, batch)
                    encoded[modality.name].append([_narrow(leaf) for leaf in leaves])
                    continue
                except Unmeasurable as error:
                    reasons[modality.name] = str(error)
                    del encoded[modality.name]
                    plain[modality.name] = _again(data, modality, positions[:start])
            plain[modality.name].append(describe(modality, batch.inputs[modality.name]))
    tables: dict[str, Table] = {}
    for modality in modalities:
        name = modality.name
        if name in encoded:
            table = _joined_leaves(encoded[name])
            if table is not None:
                tables[name] = table
                continue
            reasons[name] = f"the encoder of {name!r} returns no finite numbers, or the same for every sample"
            plain[name] = _again(data, modality, positions)
            del encoded[name]
        tables[name] = _joined(plain[name])
    source = {m.name: "encoder" if m.name in encoded else "plain" for m in modalities}
    return Features(tables, source, reasons)


def describe(modality: Modality, values: Array) -> Table:
    """Return plain features of one modality's rows.

    Text: hashed sequences of 1 to 3 letters, and hashed words. Images: means over a grid, colours, directions of edges.
    Tables: their values; columns may name categories. Others: see `mmaudit.simple_features.features`.
    """
    if modality.kind == "text":
        return Table.of([ngrams(values), words(values)], [True, True])
    if modality.kind == "image" and len(values):
        try:
            return Table.of(_image(modality, values), [True, True, True])
        except NotApplicable:
            flat = np.stack([_resampled(np.asarray(v, np.float64).ravel()) for v in values])
            return Table.of([np.nan_to_num(flat, posinf=0.0, neginf=0.0)], [True])
    found = simple(values, modality)
    return Table.of([found], [False], category_limits(modality, found.shape[1]))


def words(texts: Array) -> FloatArray:
    """Return `float64[n, 1024]`: roots of the counts of each text's words, hashed, scaled to length 1."""
    table = np.zeros((len(texts), WORDS))
    known: dict[str, int] = {}
    for row, text in enumerate(texts.tolist()):
        for word in re.findall(r"\w+", str(text).lower()):
            if word not in known:
                known[word] = zlib.crc32(word.encode("utf-8", "surrogatepass")) % WORDS
            table[row, known[word]] += 1
    table = np.sqrt(table)
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-300))


def _image(modality: Modality, values: Array) -> list[FloatArray]:
    if values.dtype != object:
        x = canonical.forward(values, modality)
        return [images.grid(x), images.colours(x), images.edges(x)]
    each = [canonical.forward(np.asarray(v)[None], modality) for v in values]
    return [np.concatenate([make(x) for x in each]) for make in (images.grid, images.colours, images.edges)]


def _resampled(x: FloatArray) -> FloatArray:
    return x[np.linspace(0, len(x) - 1, WIDEST).astype(np.int64)] if len(x) else np.zeros(WIDEST)


def _again(data: Dataset, modality: Modality, positions: IntArray) -> list[Table]:
    starts = range(0, len(positions), ROWS)
    inputs = (data.rows(positions[s : s + ROWS]).inputs[modality.name] for s in starts)
    return [describe(modality, values) for values in inputs]


def _joined(parts: Sequence[Table]) -> Table:
    first = parts[0]
    return Table(np.concatenate([p.values for p in parts]), first.codes, first.block, first.alike)


def _joined_leaves(parts: Sequence[Sequence[Array]]) -> Table | None:
    """One block per array that an encoder returns; None where they say nothing."""
    blocks = []
    for leaf in zip(*parts, strict=False):
        whole = np.concatenate(aligned(list(leaf))).reshape(sum(len(p) for p in leaf), -1)
        whole = whole[:, :WIDEST]
        if whole.shape[1] and np.isfinite(whole).all() and bool((whole != whole[0]).any()):
            blocks.append(whole)
    return Table.of(blocks, [False] * len(blocks)) if blocks else None


def _narrow(leaf: Array) -> Array:
    """Fewer numbers per row, of nearly the same inner products: sums with random signs (Charikar, Chen & Farach-Colton
    2002). A number's sum and sign depend on its place alone, so that arrays filled up to different lengths agree.
    """
    leaf = leaf.reshape(len(leaf), *(size for size in leaf.shape[1:] if size > 1))
    places = int(np.prod(leaf.shape[1:]))
    # Tokens and maps may be longer in the next rows, and are added up in any case.
    if leaf.ndim < 3 and places <= WIDEST:
        return leaf.reshape(len(leaf), places)
    code: Array = np.zeros(leaf.shape[1:], np.uint64)
    for axis, size in enumerate(leaf.shape[1:]):
        shape = [1] * (leaf.ndim - 1)
        shape[axis] = size
        code = (code + np.arange(1, size + 1, dtype=np.uint64).reshape(shape)) * np.uint64(0x9E3779B97F4A7C15)
        code ^= code >> np.uint64(29)
    code = code.ravel()
    sign = np.where(code >> np.uint64(63), 1.0, -1.0)
    bucket = ((code >> np.uint64(20)) % np.uint64(WIDEST)).astype(np.int64)
    from scipy.sparse import csr_matrix

    sketch = csr_matrix((sign, (np.arange(places), bucket)), shape=(places, WIDEST))
    flat = np.asarray(leaf, np.float64).reshape(len(leaf), -1)
    return np.asarray((sketch.T @ flat.T).T, np.float32)
