"""What a plan asks of the probes: over which modalities, severities and variants each lists its conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmaudit.errors import BadInput, UnknownName
from mmaudit.types import Modality, Task

if TYPE_CHECKING:
    from mmaudit.probes.scale import Scale
    from mmaudit.probes.scenario_file import Scenario

BASELINES: tuple[str, ...] = ("native", "zero", "mean", "marginal", "noise")
POOLS: tuple[str, ...] = ("random", "within_class", "across_class", "nearest")


SHIFTS = (10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)  # ms


@dataclass(frozen=True)
class Scope:
    """What a probe may enumerate over.

    Attributes:
        modalities: those of the data set that the model reads.
        task: of the data set.
        native: the model handles absent modalities itself.
        positions: severity positions asked for, 1 (mild) to 5 (severe).
        baselines: missing baselines asked for, out of `native`, `zero`, `mean`, `marginal`, `noise`.
        rates: missing rates asked for, each in (0, 1].
        pools: donor pools asked for, out of `random`, `within_class`, `across_class`, `nearest`.
        shares: shares of samples that get another sample's value, each in (0, 1).
        shifts: time shifts asked for, in ms, each above 0.
        lags: how many samples a stale value lies behind, each 1 or more.
        subsets: the subsets of *present* modalities asked for; None for all of them.
        repeats: independent repetitions of probes that draw random numbers, at least 1.
        n: samples in the data set; None where it is not known.
        longest: samples in its largest cluster, all of them where it has none; None where that is not known.
        incomplete: modalities that some samples lack.
        gradients: per modality why the model's gradient cannot be followed, empty where it can; None where the model
            offers none.
        similarity_floor: chrF similarity, in (0, 1], that corruptions of text keep to unless they are meant to change
            the meaning; white space does not count for it; None for no such floor.
        scenarios: those of the user's own files.
        surface: pairs of corruptions asked for; empty for one pair of corruptions per pair of modalities.
        scale: the common scale of severities; None for the corruptions' own tables.
    """

    modalities: tuple[Modality, ...]
    task: Task
    native: bool = False
    positions: tuple[int, ...] = (1, 2, 3, 4, 5)
    baselines: tuple[str, ...] = BASELINES
    rates: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    pools: tuple[str, ...] = POOLS[:3]
    shares: tuple[float, ...] = (0.25, 0.5, 0.75)
    shifts: tuple[float, ...] = SHIFTS
    lags: tuple[int, ...] = (1, 2, 5, 10)
    subsets: tuple[tuple[str, ...], ...] | None = None
    repeats: int = 1
    n: int | None = None
    longest: int | None = None
    incomplete: tuple[str, ...] = ()
    gradients: Mapping[str, str] | None = None
    similarity_floor: float | None = None
    scenarios: tuple[Scenario, ...] = ()
    surface: tuple[tuple[str, str], ...] = ()
    scale: Scale | None = None

    def __post_init__(self) -> None:
        if beyond := [p for p in self.positions if p not in (1, 2, 3, 4, 5)]:
            raise BadInput(f"severity positions {beyond} are outside 1 to 5; give positions in a probe's table.")
        if outside := [r for r in self.rates if not 0 < r <= 1]:
            raise BadInput(f"missing rates {outside} are outside (0, 1]; a rate is a share of the samples.")
        if outside := [s for s in self.shares if not 0 < s < 1]:
            raise BadInput(f"mismatch shares {outside} are outside (0, 1); every sample is what 'mismatch' exchanges.")
        if outside := [d for d in self.shifts if not 0 < d < float("inf")]:
            raise BadInput(f"time shifts {outside} are not usable; give milliseconds above 0.")
        if outside := [k for k in self.lags if k < 1 or k != int(k)]:
            raise BadInput(f"lags {outside} are not usable; give whole numbers of samples from 1 on.")
        if self.repeats < 1:
            raise BadInput(f"repeats is {self.repeats}; give 1 or more.")
        for baseline in self.baselines:
            if baseline not in BASELINES:
                raise UnknownName("missing baseline", baseline, BASELINES)
        for pool in self.pools:
            if pool not in POOLS:
                raise UnknownName("donor pool", pool, POOLS)
        if self.similarity_floor is not None and not 0 < self.similarity_floor <= 1:
            raise BadInput(
                f"similarity_floor is {self.similarity_floor}; give a chrF similarity in (0, 1], or leave it out."
            )
        for name in {name for subset in self.subsets or () for name in subset}:
            if name not in self.names:
                raise UnknownName("modality", name, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities, in their order."""
        return tuple(m.name for m in self.modalities)

    @property
    def together(self) -> tuple[str, ...]:
        """The same by alphabet: for conditions of several, whose key and draws must not hang on the data's order."""
        return tuple(sorted(self.names))


@dataclass(frozen=True)
class Declined:
    """What a probe refuses to do, and why; the plan records it.

    Attributes:
        probe: registered name.
        modalities: what it would have changed.
        reason: one readable sentence without a full stop.
    """

    probe: str
    modalities: tuple[str, ...]
    reason: str
