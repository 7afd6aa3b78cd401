"""A scenario as a TOML file says it, read and checked key by key.

name = "rainy_night_call"          # what reports call it: lower-case letters, digits and _
summary = "A video call in a car at night, in the rain"
why = "…"             # optional: why its steps go together
spread = 0.5          # optional, in [0, 1): how much samples differ; 0, the default, is the same for all
requires = ["image", "audio"]      # optional: kinds without which it means nothing
independent = true    # optional: also measure it with every modality's severity drawn for itself

[[step]]              # one or more
kind = "image"        # of the modalities that it changes
probe = "low_light"   # a corruption of that kind, as `mmaudit list probes` names it
positions = [1, 2, 3, 4, 5]        # optional: its positions at scenario severities 1 to 5; these five without it
# severities = [0.1, 0.2, …]       # or, in the probe's own unit
modality = "front*"   # optional: only modalities whose name matches
share = 0.4           # optional, in (0, 1]: share of the samples that this step hits
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.errors import BadInput, UnknownName
from mmaudit.probes.base import Probe, probes
from mmaudit.types import KINDS, Modality, digest

KEYS = ("name", "summary", "why", "spread", "requires", "independent", "step")
STEP_KEYS = ("kind", "probe", "positions", "severities", "modality", "share")
FIVE = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)


@dataclass(frozen=True)
class Step:
    """One corruption of a scenario.

    Attributes:
        kind: of the modalities that it changes.
        probe: full name of the corruption.
        positions: places in the probe's severity table at scenario severities 1 to 5; empty where `severities` say it.
        severities: the same in the probe's own unit; empty where `positions` say it.
        modality: pattern of the names that it changes; empty for all of the kind.
        share: of the samples that it hits, in (0, 1].
    """

    kind: str
    probe: str
    positions: tuple[float, ...] = ()
    severities: tuple[float, ...] = ()
    modality: str = ""
    share: float = 1.0

    def reaches(self, modality: Modality) -> bool:
        """Whether it is meant for this modality."""
        return modality.kind == self.kind and (not self.modality or fnmatchcase(modality.name, self.modality))

    @property
    def corruption(self) -> Probe:
        """The probe itself."""
        return probes.get(self.probe)

    @property
    def table(self) -> tuple[float, ...]:
        """Severities in the probe's unit at scenario severities 1 to 5."""
        if self.severities:
            return self.severities
        return tuple(float(x) for x in np.interp(self.positions, FIVE, (0.0, *self.corruption.severities)))

    def severity(self, scenario_severity: float) -> float:
        """Return the probe's severity at a scenario severity in [0, 5]: linear between the table's, from 0 at 0."""
        return float(np.interp(scenario_severity, FIVE, (0.0, *self.table)))


@dataclass(frozen=True)
class Scenario:
    """Corruptions of several modalities that one latent severity drives; see the module for its fields' meaning."""

    name: str
    summary: str
    steps: tuple[Step, ...]
    why: str = ""
    spread: float = 0.0
    requires: tuple[str, ...] = ()
    independent: bool = True

    @property
    def probe(self) -> str:
        """Registered name of its probe."""
        return f"scenario.{self.name}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that its steps change, in the order of the steps."""
        return tuple(dict.fromkeys(step.kind for step in self.steps))

    @cached_property
    def definition(self) -> str:
        """Eight hex digits of all that decides what it does to a sample, the versions of its corruptions included."""
        said = [(s.probe, s.corruption.version, s.table, s.modality, s.share) for s in self.steps]
        return digest(self.name, self.spread, said)[:8]


def read(file: Path | Traversable) -> Scenario:
    """Read a scenario and check it against the registered corruptions.

    Raises:
        BadInput: the file cannot be read or is no TOML, or a key is missing or not what it must be; names file and key.
        UnknownName: a key or a corruption has a name that is not known; the nearest is suggested.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"scenario file {file} does not exist.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"scenario file {file} cannot be read: {error}.") from None
    return parse(text, str(file))


def parse(text: str, file: str) -> Scenario:
    """Return the scenario of a TOML text; `file` is what errors call it. Raises as `read` does."""
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"scenario file {file} is not TOML: {error}.") from None
    top = _Table(given, f"scenario file {file}", KEYS)
    name = top.get("name", _is_name, "lower-case letters, digits and _, such as 'bad_scan'")
    summary = top.get("summary", _is_text, "a text that is not empty, one line")
    steps = top.get("step", _is_tables, "one or more [[step]] tables")
    requires = tuple(top.get("requires", _is_kinds, f"a list of kinds out of {', '.join(KINDS)}", []))
    scenario = Scenario(
        name,
        " ".join(summary.split()),
        tuple(_step(step, f"scenario file {file}: step {i}") for i, step in enumerate(steps, 1)),
        " ".join(top.get("why", _is_text, "a text that is not empty", "").split()),
        float(top.get("spread", lambda x: _is_number(x) and 0 <= x < 1, "a number from 0 to below 1", 0.0)),
        requires,
        top.get("independent", lambda x: isinstance(x, bool), "true or false", True),
    )
    if unmet := [kind for kind in requires if kind not in scenario.kinds]:
        top.refuse("requires", requires, f"kinds that a step changes; no step changes {unmet[0]!r}")
    return scenario


def _step(given: Mapping[str, Any], where: str) -> Step:
    table = _Table(given, where, STEP_KEYS)
    kind = table.get("kind", lambda x: x in KINDS, f"one of {', '.join(KINDS)}")
    said = table.get("probe", _is_text, "the name of a corruption, such as 'gaussian_blur'")
    known = {p.name: p for p in probes if p.family == "corruption" and kind in p.kinds and len(p.severities) == 5}
    name = said if said in known else f"{kind}.{said}"
    if name not in known:
        raise UnknownName(
            f"{where}: probe", said, [p.rpartition(".")[2] for p in known], f"'mmaudit list probes', {kind}.*,"
        )
    if "positions" in given and "severities" in given:
        table.refuse("severities", given["severities"], "nothing, as 'positions' is given too; leave one of them out")
    positions: tuple[float, ...] = ()
    severities: tuple[float, ...] = ()
    if "severities" in given:
        strongest = known[name].severities[-1]
        expected = f"five increasing numbers above 0, none above {strongest:g} ({known[name].unit}), the probe's fifth"
        severities = _five(table.get("severities", lambda x: _is_increasing(x, strongest), expected))
    else:
        expected = "five increasing numbers above 0, none above 5"
        positions = _five(table.get("positions", lambda x: _is_increasing(x, 5.0), expected, [1, 2, 3, 4, 5]))
    return Step(
        kind,
        name,
        positions,
        severities,
        table.get("modality", _is_text, "a name or a pattern such as 'front*'", ""),
        float(table.get("share", lambda x: _is_number(x) and 0 < x <= 1, "a number above 0, at most 1", 1.0)),
    )


_NOTHING = object()


class _Table:
    """A table of the file: its known keys, each checked when it is read."""

    def __init__(self, given: Mapping[str, Any], where: str, keys: tuple[str, ...]) -> None:
        self.given = given
        self.where = where
        if unknown := sorted(set(given) - set(keys)):
            raise UnknownName(f"{where}: key", unknown[0], keys)

    def get(self, key: str, fits: Callable[[Any], bool], expected: str, default: Any = _NOTHING) -> Any:
        """The value of a key, or the default; raises `BadInput` where it is missing or does not fit."""
        if key not in self.given:
            if default is _NOTHING:
                raise BadInput(f"{self.where}: {key!r} is missing; expected {expected}.")
            return default
        if not fits(self.given[key]):
            self.refuse(key, self.given[key], expected)
        return self.given[key]

    def refuse(self, key: str, value: object, expected: str) -> None:
        """Raise `BadInput` for a value."""
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}…"
        raise BadInput(f"{self.where}: {key!r} is {shown}; expected {expected}.")


def _five(values: Any) -> tuple[float, ...]:
    return tuple(float(x) for x in values)


def _is_number(value: Any) -> bool:
    # Whole numbers of TOML may be longer than a float can hold.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _is_increasing(value: Any, most: float) -> bool:
    if not isinstance(value, list) or len(value) != 5 or not all(_is_number(x) for x in value):
        return False
    return value[0] > 0 and value[-1] <= most and all(a < b for a, b in pairwise(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[a-z][a-z0-9_]{0,59}", value) is not None


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _is_kinds(value: Any) -> bool:
    return isinstance(value, list) and all(item in KINDS for item in value)
