"""How far what stands in for a missing modality lies from the data: the part of a reliance score that is alien input.

A model that is asked about inputs unlike any it was made for may answer anything, so what it loses under such a
stand-in says little of what the modality is worth. Left of the run: it needs the data set. It writes one small file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from mmaudit.data import Dataset
from mmaudit.errors import DamagedRun
from mmaudit.outputs import column, read_parquet, write_parquet
from mmaudit.probes import Source, canonical
from mmaudit.simple_features import features
from mmaudit.store import Run
from mmaudit.types import Array, BoolArray, FloatArray, IntArray, Modality, digest

FILE = "offdata.parquet"
VERSION = 1
SAMPLES = 500
# Numbers of all samples together that are looked at, and samples that there are at least: large ones are slow.
NUMBERS, FEWEST = 2**24, 100


def measure_off_data(run: Run, data: Dataset, source: Source, *, samples: int = SAMPLES) -> None:
    """Write how far each stand-in of the run's plan lies from the data, unless the file says that already.

    For each modality and missing baseline (`native` puts nothing in its place) at most `samples` samples that recorded
    the modality, the same for any order of the data set's rows. In simple features (see `described`; numbers
    standardised per dimension, texts as they are) the file holds per sample `distance`, from its stand-in to the
    nearest real value, and `own`, from its own value to the nearest different real value. A stand-in that another
    sample lends (`marginal`) is not compared with that sample.

    Args:
        run: predicted; its plan names modalities and baselines.
        data, source: of the audit.
        samples: most samples per modality; fewer of those that hold many numbers.

    Raises:
        BadInput: the data set cannot be read.
    """
    wanted = _wanted(run)
    spec = digest(VERSION, samples, wanted)
    path = run.folder / FILE
    if not wanted or _has(run, spec):
        return
    parts: list[dict[str, Array]] = []
    for name in dict.fromkeys(m for m, _ in wanted):
        parts += _of_modality(data, source, name, [b for m, b in wanted if m == name], samples)
    columns = {key: np.concatenate([p[key] for p in parts]) for key in _COLUMNS}
    table = pa.table({key: pa.array(values.tolist(), _COLUMNS[key]) for key, values in columns.items()})
    write_parquet(path, table.append_column("spec", pa.array([spec] * len(table), pa.string())))


_COLUMNS = {
    "modality": pa.string(),
    "baseline": pa.string(),
    "position": pa.int64(),
    "distance": pa.float64(),
    "own": pa.float64(),
}


def _wanted(run: Run) -> list[list[str]]:
    pairs = {
        (m, str(c.option("baseline")))
        for c in run.conditions
        if c.probe == "missing" and c.option("baseline") not in (None, "native")
        for m in c.modalities
    }
    order = [m.name for m in run.modalities]
    return [list(pair) for pair in sorted(pairs, key=lambda pair: (order.index(pair[0]), pair[1]))]


def _has(run: Run, spec: str) -> bool:
    path = run.folder / FILE
    if not path.exists():
        return False
    try:
        table = read_parquet(path)
    except DamagedRun:
        return False
    return "spec" in table.column_names and set(column(table, "spec").tolist()) == {spec}


def _of_modality(
    data: Dataset, source: Source, name: str, baselines: Sequence[str], samples: int
) -> list[dict[str, Array]]:
    """The rows of one modality, per baseline."""
    modality = source.modality(name)
    positions = source.recorded(name)
    positions = np.sort(positions[: _affordable(data, name, positions, samples)])
    batch = data.rows(positions)
    real = described(batch.inputs[name], modality) if len(positions) else np.zeros((0, 1))
    scale = _Scale(real, modality)
    points = scale(real)
    own = nearest(points, points, different=True)
    found = []
    for baseline in baselines:
        stand_in = source.stand_in(baseline, name, batch) if len(positions) else batch.inputs[name]
        lent = np.zeros((len(positions), len(positions)), np.bool_)
        if baseline == "marginal":
            donors = source.table("stand_in.marginal#0", name, "random")[positions]
            lent = donors[:, None] == positions[None, :]
        new = scale(described(stand_in, modality)) if len(positions) else points
        found.append(
            {
                "modality": np.full(len(positions), name, object),
                "baseline": np.full(len(positions), baseline, object),
                "position": positions,
                "distance": nearest(new, points, leave_out=lent),
                "own": own,
            }
        )
    return found


def _affordable(data: Dataset, name: str, positions: IntArray, samples: int) -> int:
    """How many samples to look at: fewer of those that are large."""
    if not len(positions):
        return 0
    size = np.asarray(data.rows(positions[:1]).inputs[name][0]).size
    return min(samples, max(FEWEST, NUMBERS // max(1, size)))


def described(values: Array, modality: Modality) -> FloatArray:
    """Return `float64[n, d]`: `unimodal.features`, and of images how rough they are, which these do not show.

    Roughness is the mean absolute difference of neighbouring pixels, down and across, per channel. Images of unknown
    layout or range are lists of numbers.
    """
    if modality.kind == "image" and canonical.declines(modality):
        modality = replace(modality, kind="embedding")
    if len(values) > 1 and values.dtype != object and (values == values[:1]).all():  # one stand-in for every sample
        return np.repeat(described(values[:1], modality), len(values), axis=0)
    table = features(values, modality)
    if modality.kind != "image":
        return table
    rough = []
    for value in values:
        x = canonical.forward(np.asarray(value)[None], modality)[0].astype(np.float64)
        steps = (np.abs(np.diff(x, axis=axis)) for axis in (0, 1))
        rough.append(np.concatenate([s.mean(axis=(0, 1)) if s.size else np.zeros(x.shape[2]) for s in steps]))
    return np.concatenate([table, np.nan_to_num(np.stack(rough))], axis=1)


class _Scale:
    """Puts features on a common scale: numbers standardised per dimension, texts as they are."""

    def __init__(self, real: FloatArray, modality: Modality) -> None:
        self.text = modality.kind == "text"
        self.mean = real.mean(axis=0) if len(real) else np.zeros(real.shape[1])
        spread = real.std(axis=0) if len(real) else np.ones(real.shape[1])
        # A dimension in which real samples never differ is measured in the spread of the others: to differ there at all
        # is to be unlike the data.
        usual = float(np.sqrt(np.mean(np.square(spread)))) or 1.0
        self.spread = np.where(spread > 1e-9 * usual, spread, usual)

    def __call__(self, values: FloatArray) -> FloatArray:
        return values if self.text else np.asarray((values - self.mean) / self.spread)


def nearest(
    queries: FloatArray, points: FloatArray, *, different: bool = False, leave_out: BoolArray | None = None
) -> FloatArray:
    """Return `float64[q]`: Euclidean distance from each query to its nearest point; NaN where there is none.

    Args:
        queries, points: `float64[q, d]`, `float64[p, d]`.
        different: points equal to the query (up to rounding) do not count.
        leave_out: `bool[q, p]`, points that do not count for a query.
    """
    if not len(points):
        return np.full(len(queries), np.nan)
    middle = points.mean(axis=0)
    a, b = queries - middle, points - middle
    one, other = np.square(a).sum(axis=1)[:, None], np.square(b).sum(axis=1)[None, :]
    squares = one + other - 2 * (a @ b.T)
    same = squares <= 1e-10 * (one + other)  # what is left of equal values after rounding
    squares = np.where(same, 0.0, squares)
    if different:
        squares[same] = np.inf
    if leave_out is not None:
        squares[leave_out] = np.inf
    place = squares.argmin(axis=1)[:, None]
    least = np.take_along_axis(squares, place, axis=1)[:, 0]
    # The matrix product found who is nearest; its last bits hang on the library's threads, those of one pair do not.
    exact = np.sqrt(np.square(queries - points[place[:, 0]]).sum(axis=1))
    return np.asarray(np.where(np.isfinite(least), np.where(least > 0, exact, 0.0), np.nan))
