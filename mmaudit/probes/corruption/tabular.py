"""Corruptions of tables. `x` is [n, columns], float32 or float64, in the columns' own units.

σ and mean are a column's over the data set. Corruptions that calculate with values leave the columns alone that are
declared categorical, and decline where all are. Where nothing is declared (`Modality.categorical` is None), whole
numbers may be category codes, since only their dtype says what they are: then these decline them altogether. Those that
take values from another record do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from mmaudit.errors import BadInput
from mmaudit.probes.base import corruption
from mmaudit.probes.canonical import numbers, only_numbers
from mmaudit.probes.corruption.nested import hit_and_sign, how_many, require_share, swapped
from mmaudit.probes.stand_in import codes
from mmaudit.randomness import Draws
from mmaudit.types import Array, BoolArray, IntArray, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics

TABLES = ("tabular",)
RATES = (0.1, 0.2, 0.3, 0.4, 0.5)
JENGA = "jenga (Schelter, Rukat and Biessmann 2021)"
RUBIN = "Rubin 1976; rates of 0.1, 0.3 and 0.5 as in Jäger, Allhorn and Biessmann 2021"
LARGEST_FACTOR = 12  # decimal logarithm: tera
OUTLYING = 5.0  # σ from the mean; far beyond the 3 σ at which CleanML calls a value an outlier


def may_be_codes(modality: Modality) -> str | None:
    """Return why arithmetic on any of a modality's columns may mean nothing, or None where it means something."""
    if not codes(modality):
        return None
    what = "whole numbers, which may be category codes" if modality.categorical is None else "category codes alone"
    return f"{modality.name!r} holds {what}; arithmetic on them means nothing"


def no_codes(modality: Modality) -> str | None:
    """Return why a modality certainly holds no category codes, or None where it does or may."""
    if modality.categorical is not None:
        return None if modality.categorical else f"{modality.name!r} is declared to have no categorical columns"
    if not codes(modality):
        return f"{modality.name!r} holds {modality.dtype} numbers, not category codes (whole numbers or booleans)"
    return None


def codes_alone(modality: Modality) -> str | None:
    """Return a reason where every column is declared categorical: none of their values is high or low."""
    if modality.all_categorical:
        return f"{modality.name!r} holds category codes alone, which are neither high nor low; see missing_mcar"
    return None


def one_column(modality: Modality) -> str | None:
    """Return a reason where there is no second column."""
    if modality.shape == (1,):
        return f"{modality.name!r} has one column, and two are needed"
    return None


def one_number(modality: Modality) -> str | None:
    """Return a reason where there is no second column of numbers."""
    if modality.categorical and len(modality.categorical) + 1 == modality.shape[0]:
        return f"{modality.name!r} has one column that is not categorical, and two are needed"
    return one_column(modality)


@corruption(
    "missing_mcar",
    kinds=TABLES,
    severities=RATES,
    unit="share of cells",
    source=RUBIN,
    batched=True,
)
def missing_mcar(x: Array, severity: float, draws: Draws, statistics: ModalityStatistics) -> Array:
    """Missing completely at random: every cell with the same probability.

    Severity is that probability, in [0, 1]. In place of a missing cell stands its column's mean, since few models
    take NaN; in columns of whole numbers the mean rounded, which between 0 and 1 is the more frequent of the two; in
    categorical columns the most frequent code.
    """
    require_share("missing_mcar", severity, "the cells")
    return _imputed(x, draws.uniform(x.shape[1]) < severity, statistics)


@corruption(
    "missing_mar",
    kinds=TABLES,
    severities=RATES,
    unit="share of cells",
    source=RUBIN,
    batched=True,
    declines=lambda modality: codes_alone(modality) or one_column(modality),
)
def missing_mar(x: Array, severity: float, draws: Draws, modality: Modality, statistics: ModalityStatistics) -> Array:
    """Missing at random: cells go missing where another, observed column of the same record is high.

    One column of each record, drawn at random, stays observed and decides: the others go missing with probability
    Φ(√2·Φ⁻¹(rate) + z), z its value in σ above its mean, so that chance and value weigh the same. Severity is the
    share of all cells that go missing, exactly on average where columns are Gaussian; as one column of d always stays,
    it is (d−1)/d at most (0.5 for two columns). That nothing unobserved decides is what makes it Rubin's MAR.
    A categorical column is never high: where it stays, chance alone decides. Cells are filled as in `missing_mcar`.
    """
    d = x.shape[1]
    require_share("missing_mar", severity, "the cells")
    rate = severity * d / (d - 1) if d > 1 else 0.0
    if rate > 1 + 1e-9:
        raise BadInput(
            f"missing_mar: severity {severity:g} is above {(d - 1) / d:g}; of {d} columns, one stays in every record."
        )
    decides = (draws.uniform(1, "decides") * d).astype(np.int64)
    rate = min(rate, 1.0)
    high = _probability(rate, np.take_along_axis(_z(x, statistics), decides, axis=1))
    chance = np.take_along_axis(np.broadcast_to(~numbers(modality), x.shape), decides, axis=1)
    hit = draws.uniform(d) < np.where(chance, rate, high)
    np.put_along_axis(hit, decides, False, axis=1)
    return _imputed(x, hit, statistics)


@corruption(
    "missing_mnar",
    kinds=TABLES,
    severities=RATES,
    unit="share of cells",
    source=RUBIN,
    batched=True,
    declines=codes_alone,
)
def missing_mnar(x: Array, severity: float, draws: Draws, modality: Modality, statistics: ModalityStatistics) -> Array:
    """Missing not at random: cells go missing where their own value is high.

    With probability Φ(√2·Φ⁻¹(severity) + z), z the value in σ above its column's mean, so that chance and value weigh
    the same. Severity is the share of cells that go missing, exactly on average where columns are Gaussian; in [0, 1].
    Cells are filled as in `missing_mcar`, so what is left of a column leans to low values. In categorical columns,
    whose codes are neither high nor low, chance alone decides.
    """
    require_share("missing_mnar", severity, "the cells")
    rate = np.where(numbers(modality), _probability(severity, _z(x, statistics)), severity)
    hit = draws.uniform(x.shape[1]) < rate
    return _imputed(x, hit, statistics)


@corruption(
    "scaling",
    kinds=TABLES,
    severities=(0.2, 0.4, 1, 2, 3),
    unit="log10 of the factor",
    source=JENGA + ", factors 10, 100 and 1000",
    batched=True,
    declines=may_be_codes,
)
def scaling(x: Array, severity: float, draws: Draws, modality: Modality) -> Array:
    """Unit error: one column of numbers of each record, drawn at random, multiplied by a constant.

    Severity is the factor's decimal logarithm. Positions 3 to 5 are jenga's factors 10 (mm for cm), 100 (a share in
    per cent) and 1000 (g for kg); 1 and 2 are 1.6 and 2.5, about km for miles and cm for inches. A value of 0 stays.
    A constant for the column, not a shift of it: on columns that were standardised it is a change of spread.

    Raises:
        BadInput: a severity above 12, which is no confusion of units.
    """
    if severity > LARGEST_FACTOR:
        raise BadInput(
            f"scaling: severity {severity:g} is above {LARGEST_FACTOR}; it is log10 of a factor between units."
        )
    able = _columns(modality, x)
    column = able[(draws.uniform(1) * len(able)).astype(np.int64)]
    there = np.take_along_axis(x, column, axis=1)
    np.put_along_axis(x, column, there * x.dtype.type(10**severity), axis=1)
    return x


@corruption(
    "shift",
    kinds=TABLES,
    severities=(0.25, 0.5, 1, 2, 3),
    unit="σ of the column",
    source="mmaudit; the offset fault of Ni et al. 2009",
    batched=True,
    declines=may_be_codes,
)
def shift(x: Array, severity: float, modality: Modality, statistics: ModalityStatistics) -> Array:
    """Offset: severity·σ added to every column of numbers of every record, as by a wrong zero point.

    The same for all records, so nothing is drawn. Columns that never change have no σ and stay.
    """
    return only_numbers(x + severity * _sigma(statistics, x), x, modality)


@corruption(
    "outliers",
    kinds=TABLES,
    severities=(0.05, 0.1, 0.2, 0.3, 0.5),
    unit="share of cells",
    source="mmaudit; outliers as CleanML (Li et al. 2021) counts them, by distance from the mean in σ",
    batched=True,
    declines=may_be_codes,
)
def outliers(x: Array, severity: float, draws: Draws, modality: Modality, statistics: ModalityStatistics) -> Array:
    """Outliers: cells replaced by their column's mean + or − 5 σ.

    Severity is the probability of a cell, in [0, 1]. Columns that never change have no σ and stay, as categorical ones
    do.
    """
    require_share("outliers", severity, "the cells")
    hit, sign = hit_and_sign(draws.uniform(x.shape[1]), severity)
    sigma = _sigma(statistics, x)
    outlying = statistics.mean + sign * x.dtype.type(OUTLYING) * sigma
    return np.where(hit & (sigma > 0) & numbers(modality), outlying, x)


@corruption(
    "column_swap",
    kinds=TABLES,
    severities=(0.2, 0.4, 0.6, 0.8, 1),
    unit="share of columns",
    source=JENGA + ", SwappedValues",
    batched=True,
    declines=lambda modality: may_be_codes(modality) or one_number(modality),
)
def column_swap(x: Array, severity: float, draws: Draws, modality: Modality) -> Array:
    """Swapped columns: pairs of columns exchange their values, as after a wrong export or a form filled in wrongly.

    Every record pairs its columns at random (of an odd number one is left out); a pair exchanges with a probability
    of severity, in [0, 1], which so is the share of the paired columns that hold another one's value. Categorical
    columns take no part: in another column their codes would be names of nothing.
    """
    require_share("column_swap", severity, "the columns")
    able = _columns(modality, x)
    d = len(able)
    origin = swapped(severity, draws.uniform(d), draws.uniform(d // 2, "pairs"))
    x[:, able] = np.take_along_axis(x[:, able], origin, axis=1)
    return x


@corruption(
    "category_flip",
    kinds=TABLES,
    severities=RATES,
    unit="share of cells",
    source=JENGA + ", CategoricalShift",
    batched=True,
    declines=no_codes,
)
def category_flip(x: Array, severity: float, draws: Draws, modality: Modality, donor: Array) -> Array:
    """Wrong category: cells take the code that another record has in that column.

    Severity is the probability of a cell, in [0, 1]. The other record, one per record, is drawn from the data set, so
    every code occurs in its column and as often as before; where both have the same code the cell stays, so a
    share of severity·(1 − Σ p²) really changes, p the codes' frequencies. The columns are those declared categorical;
    where nothing is declared, all columns of a table of whole numbers, and other tables decline.
    """
    require_share("category_flip", severity, "the cells")
    hit = draws.uniform(x.shape[1]) < severity
    return np.where(hit & ~numbers(modality) if modality.categorical else hit, donor, x)


@corruption(
    "rounding",
    kinds=TABLES,
    severities=(0.25, 0.5, 1, 2, 3),
    unit="step in σ of the column",
    source="mmaudit; coarse data as in Heitjan and Rubin 1991",
    batched=True,
    declines=may_be_codes,
)
def rounding(x: Array, severity: float, modality: Modality, statistics: ModalityStatistics) -> Array:
    """Rounding: every value to the nearest multiple of a step.

    Severity is the step in σ of the column; the grid holds 0, as that of a number written with fewer digits. Columns
    that never change have no σ and stay, as categorical ones do.
    """
    step = x.dtype.type(severity) * _sigma(statistics, x)
    grid = np.where(step > 0, step, 1)
    return np.where((step > 0) & numbers(modality), np.rint(x / grid) * grid, x)


@corruption(
    "stale_row",
    kinds=TABLES,
    severities=(0.2, 0.4, 0.6, 0.8, 1),
    unit="share of columns",
    source="mmaudit; duplicated records as in CleanML (Li et al. 2021)",
    batched=True,
)
def stale_row(x: Array, severity: float, draws: Draws, donor: Array) -> Array:
    """Stale or mixed-up record: neighbouring columns hold the values of another record.

    Severity is the share of the columns, in [0, 1], rounded up or down at random to whole columns; at 1 the whole
    record is a duplicate of the other one. The columns begin at a random one and follow each other (the first after
    the last), since columns that came from one system by one wrong key stand together.
    """
    require_share("stale_row", severity, "the columns")
    d = x.shape[1]
    u = draws.uniform(2)
    start = (u[:, :1] * d).astype(np.int64)
    stale = (np.arange(d) - start) % d < how_many(severity, d, u[:, 1])[:, None]
    return np.where(stale, donor, x)


def _columns(modality: Modality, x: Array) -> IntArray:
    """The places of the columns to calculate with."""
    return np.flatnonzero(np.broadcast_to(numbers(modality), x.shape[1:]))


def _sigma(statistics: ModalityStatistics, x: Array) -> Array:
    """σ per column, 0 where it is unknown."""
    return np.where(np.isfinite(statistics.std), statistics.std, 0).astype(x.dtype)


def _z(x: Array, statistics: ModalityStatistics) -> Array:
    """Values in σ above their column's mean; 0 in columns that never change."""
    sigma = _sigma(statistics, x)
    known = (sigma > 0) & np.isfinite(statistics.mean)
    return np.where(known, x - np.where(known, statistics.mean, 0), 0) / np.where(known, sigma, 1)


def _probability(rate: float, z: Array) -> Array:
    """Φ(√2·Φ⁻¹(rate) + z), whose mean over z ~ N(0, 1) is `rate`."""
    with np.errstate(invalid="ignore"):  # ∞ − ∞, of an infinite value at a rate of 0 or 1: not missing
        return np.asarray(ndtr(np.sqrt(2) * ndtri(rate) + z.astype(np.float64)))


def _imputed(x: Array, missing: BoolArray, statistics: ModalityStatistics) -> Array:
    """Put in place of missing cells what is typical of their column."""
    typical = statistics.typical
    return np.where(missing & np.isfinite(typical), typical, x)
