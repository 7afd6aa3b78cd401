"""What will be run: a suite of probes becomes an ordered list of conditions, before any forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from typing import Any, Literal, get_args

from mmaudit.errors import BadInput, UnknownName
from mmaudit.probes import Declined, Scope, probes
from mmaudit.types import CLEAN, Condition, Modality, Task

MAX_SUBSETS = 64

SubsetChoice = Literal["all", "leave-one-out", "one-at-a-time"]


@dataclass(frozen=True)
class Suite:
    """Which probes to run, and how finely.

    Attributes:
        name: shown in the report.
        probes: names, families or globs, as `mmaudit list probes` shows them; controls are always added.
        positions: places 1-5 in each corruption's severity table.
        baselines: missing baselines to report; those that a modality or the model cannot have are declined.
        rates: shares of samples that lack a modality, for `missing_rate`.
        pools: donors for `mismatch`.
        subsets: present subsets of the modalities for `missing`: "all" proper subsets (refused beyond 64),
            "leave-one-out", "one-at-a-time", or a list of lists of names.
        repeats: independent repetitions of every random probe.
    """

    name: str = "custom"
    probes: tuple[str, ...] = ("*",)
    positions: tuple[int, ...] = (1, 2, 3, 4, 5)
    baselines: tuple[str, ...] = ("native", "zero", "mean", "marginal", "noise")
    rates: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    pools: tuple[str, ...] = ("random", "within_class", "across_class")
    subsets: SubsetChoice | tuple[tuple[str, ...], ...] = "all"
    repeats: int = 1

    def __post_init__(self) -> None:
        for name in ("probes", "positions", "baselines", "rates", "pools"):
            given = getattr(self, name)
            if not isinstance(given, list | tuple):
                raise BadInput(f"suite {self.name!r}: {name}={given!r} is not a list; write [{given!r}].")
            # What is named twice is run once.
            object.__setattr__(self, name, tuple(dict.fromkeys(given)))
        if not isinstance(self.repeats, int) or self.repeats < 1:
            raise BadInput(f"suite {self.name!r}: repeats={self.repeats!r} is not usable; give 1 or more.")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


SUITES: dict[str, Suite] = {
    "quick": Suite(
        "quick",
        ("control", "missing", "mismatch", "gaussian_noise", "gaussian_noise_additive", "gaussian_blur", "keyboard"),
        positions=(3, 5),
        baselines=("native", "zero", "marginal"),
        pools=("random",),
    ),
    "standard": Suite(
        "standard",
        ("control", "missing", "missing_rate", "mismatch", "gaussian_noise*", "gaussian_blur", "keyboard"),
    ),
    "full": Suite("full", ("*",), rates=tuple(round(r / 10, 1) for r in range(1, 10)), repeats=3),
}


@dataclass(frozen=True)
class Plan:
    """The conditions to run, `clean` first, and what the probes declined, with reasons."""

    suite: Suite
    conditions: tuple[Condition, ...]
    declined: tuple[Declined, ...]

    @property
    def declined_json(self) -> list[dict[str, Any]]:
        """The declined probes as plain values."""
        return [{"probe": d.probe, "modalities": list(d.modalities), "reason": d.reason} for d in self.declined]


def as_suite(value: str | Suite | Sequence[str] | Mapping[str, Any]) -> Suite:
    """Return the suite meant by a name, a `Suite`, a list of probe names, or a table of `Suite`'s fields.

    Raises:
        UnknownName: no suite has that name.
        BadInput: a table has a field that `Suite` has not.
    """
    if isinstance(value, Suite):
        return value
    if isinstance(value, str):
        if value not in SUITES:
            raise UnknownName("suite", value, SUITES, "'mmaudit list suites'")
        return SUITES[value]
    if isinstance(value, Mapping):
        known = {f.name for f in fields(Suite)}
        if unknown := set(value) - known - {"base"}:
            raise UnknownName("suite field", min(unknown), known)
        base = as_suite(value.get("base", "standard"))
        given = {k: _tuples(v) for k, v in value.items() if k != "base"}
        return replace(base, **{"name": "custom", **given})
    return Suite(probes=tuple(value))


def make_plan(
    suite: str | Suite | Sequence[str] | Mapping[str, Any],
    modalities: tuple[Modality, ...],
    task: Task,
    *,
    native: bool = False,
) -> Plan:
    """List the conditions that a suite means for these modalities.

    Args:
        suite: see `as_suite`.
        modalities: of the data set.
        task: of the data set; some probes need classes.
        native: whether the model handles absent modalities itself.

    Raises:
        UnknownName: a probe name matches nothing; the nearest is suggested.
        BadInput: a field of the suite is out of range, or there are more than 64 subsets of modalities without an
            explicit choice.
    """
    chosen = as_suite(suite)
    selected = {probe.name for probe in probes.select(chosen.probes)} | {
        p.name for p in probes if p.family == "control"
    }
    scope = Scope(
        modalities=modalities,
        task=task,
        native=native,
        positions=chosen.positions,
        baselines=chosen.baselines,
        rates=chosen.rates,
        pools=chosen.pools,
        subsets=_subsets(chosen, tuple(m.name for m in modalities)) if "missing" in selected else (),
        repeats=chosen.repeats,
    )
    conditions: list[Condition] = []
    declined: list[Declined] = []
    for probe in sorted((probes.get(name) for name in selected), key=lambda p: (_ORDER.get(p.family, 9), p.name)):
        for item in probe.grid(scope):
            if isinstance(item, Declined):
                declined.append(item)
            else:
                conditions.append(item)
    # Conditions with the same stand-in follow each other, so that its encoding is still at hand.
    conditions.sort(key=lambda c: (_ORDER.get(c.family, 9), c.probe, c.option("baseline") or "", c.repeat))
    keys = [c.key for c in conditions]
    if len(set(keys)) != len(keys):
        twice = next(c.label for c in conditions if keys.count(c.key) > 1)
        raise BadInput(f"condition {twice!r} is planned twice; a probe's grid must give distinct conditions.")
    return Plan(chosen, (CLEAN, *conditions), tuple(declined))


_ORDER = {"control": 0, "missing": 1, "mismatch": 2, "conflict": 3, "scenario": 4, "corruption": 5}


def _subsets(suite: Suite, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Present subsets for `missing`, largest first."""
    if suite.subsets == "leave-one-out":
        return tuple(tuple(n for n in names if n != left) for left in names)
    if suite.subsets == "one-at-a-time":
        return tuple((name,) for name in names)
    if suite.subsets == "all":
        count = 2 ** len(names) - 1
        if count > MAX_SUBSETS:
            raise BadInput(
                f"{len(names)} modalities have {count:,} proper subsets, more than {MAX_SUBSETS}; choose "
                "subsets='leave-one-out', subsets='one-at-a-time', or list the present subsets to run."
            )
        return tuple(s for size in range(len(names) - 1, -1, -1) for s in combinations(names, size))
    if isinstance(suite.subsets, str):
        raise UnknownName("choice of subsets", suite.subsets, get_args(SubsetChoice))
    for subset in suite.subsets:
        if isinstance(subset, str):
            raise BadInput(
                f"subsets holds {subset!r}; list the names that are present each time, as in [[{subset!r}]]."
            )
        if unknown := [n for n in subset if n not in names]:
            raise UnknownName("modality", unknown[0], names)
        if set(subset) == set(names):
            raise BadInput(f"subset {subset} has every modality: that is the clean condition; leave it out.")
    return tuple(tuple(n for n in names if n in s) for s in suite.subsets)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
