"""A reproduction: a published experiment run again with this package's methods, beside what its source reported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.stats

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.registry import Registry

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """How a reproduction is run.

    Attributes:
        seeds: trainings per method and setting.
        scale: `full` is the size that the committed tables are made at; `quick` shows in a minute that it runs.
        device: of the trainings.
        data: the data file, for reproductions on real data.
        progress: called with (trainings done, trainings planned).
    """

    seeds: int = 3
    scale: Literal["quick", "full"] = "full"
    device: str = "cpu"
    data: Path | None = None
    progress: Progress | None = None

    @property
    def quick(self) -> bool:
        """Whether the small size is asked for."""
        return self.scale == "quick"


@dataclass(frozen=True)
class Row:
    """One number of a reproduction beside the source's.

    Attributes:
        setting: what was varied, as `p = 0.4`.
        method: whose number it is.
        measured: mean over seeds, in `unit`.
        low, high: 95 % interval of the mean over seeds (t); NaN with one seed.
        seeds: how many.
        reported: what the source says; NaN where it says nothing.
        origin: who reported it: the paper, its repository, a rerun of ours. Empty without `reported`.
        agrees: whether the measurement agrees with it; None where there is nothing to agree with.
        note: what a reader must know.
        unit: of the numbers.
    """

    setting: str
    method: str
    measured: float
    low: float = float("nan")
    high: float = float("nan")
    seeds: int = 1
    reported: float = float("nan")
    origin: str = ""
    agrees: bool | None = None
    note: str = ""
    unit: str = "share"


@dataclass(frozen=True)
class Reproduction:
    """A registered reproduction; call `run` with settings.

    Attributes:
        name: as `mmaudit reproduce` knows it.
        title: heads its table.
        source: the paper or repository.
        claims: what the source concludes, which the rows bear out or not.
        run: makes the rows.
        conclude: says in sentences what held and what did not, from the rows.
    """

    name: str
    title: str
    source: str
    claims: str
    run: Callable[[Settings], list[Row]]
    conclude: Callable[[Sequence[Row]], list[str]] = field(default=lambda rows: [])

    @property
    def doc(self) -> str:
        """How it is done: the function's docstring."""
        return inspect.cleandoc(self.run.__doc__ or "")


reproductions: Registry[Reproduction] = Registry("reproduction", "'mmaudit list reproductions'")


def reproduction(
    name: str,
    *,
    title: str,
    source: str,
    claims: str,
    conclude: Callable[[Sequence[Row]], list[str]],
) -> Callable[[Callable[[Settings], list[Row]]], Callable[[Settings], list[Row]]]:
    """Register a function of `Settings` as a reproduction; see `Reproduction` for the fields.

    Raises:
        ContractBroken: it has no docstring, or the name is taken.
    """

    def register(fn: Callable[[Settings], list[Row]]) -> Callable[[Settings], list[Row]]:
        if not (fn.__doc__ or "").strip():
            raise ContractBroken(f"reproduction {name!r}", "docstring", "says not how it is done")
        reproductions.add(name, Reproduction(name, title, source, claims, fn, conclude))
        return fn

    return register


def over_seeds(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean over seeds and its 95 % interval (Student's t); NaN bounds for one seed.

    Raises:
        BadInput: there are no values.
    """
    if not len(values):
        raise BadInput("no seed gave a value.")
    x = np.asarray(values, np.float64)
    mean = float(x.mean())
    if len(x) < 2:
        return mean, float("nan"), float("nan")
    half = float(scipy.stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return mean, mean - half, mean + half
