"""What a probe is, the registry of probes, and the two decorators that add to it.

A probe changes the modalities that a condition names and nothing else. `@probe` is for functions of a whole batch
(missing, mismatch, controls); `@corruption` is for functions of one sample, and does all the rest for them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from mmaudit.errors import BadInput, ContractBroken, UnknownName
from mmaudit.probes import canonical
from mmaudit.probes.apply import Corruption, corrupt
from mmaudit.probes.scope import Declined, Scope
from mmaudit.registry import Registry
from mmaudit.types import KINDS, Batch, BoolArray, Condition, IntArray, Modality

if TYPE_CHECKING:
    from mmaudit.probes.source import Source

Grid = Callable[[Scope], "Iterator[Condition | Declined]"]
Apply = Callable[[Batch, Condition, "Source"], Batch]
Donors = Callable[[Batch, Condition, "Source"], IntArray]
Withheld = Callable[[Batch, Condition, "Source"], Mapping[str, BoolArray]]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Probe:
    """One way of perturbing a batch.

    Attributes:
        name: registered name; a corruption's carries the kind, as in `image.gaussian_blur`.
        family: `missing`, `corruption`, `mismatch`, `control`, …
        version: goes up whenever the same condition would give other values.
        summary: first line of the function's docstring.
        unit: of the severity; empty where there is none.
        severities: the five of the table, positions 1 to 5; empty where there is none.
        kinds: modality kinds it applies to.
        grid: enumerates a scope's conditions, and what the probe declines.
        apply: returns the batch under a condition; the batch itself at severity 0.
        source: where name, definition and severities come from.
        changes_meaning: a person would answer differently afterwards, so a changed answer is no fault.
        not_monotone: why more severity need not move a sample further; empty where it does.
        donors: returns per row the position of the sample whose values it gets, -1 for none, where the answers are
            to be compared with that sample's truth; None for probes whose donors do not matter.
        by_order: what a sample gets depends on the order of the data set's rows, which every other probe ignores.
        withheld: returns per modality of the condition `bool[n]`, which samples it is taken from, also where it was not
            recorded or its value equals the stand-in; None for probes that take nothing away.
        module: where its function is defined.
    """

    name: str
    family: str
    version: int
    summary: str
    unit: str
    severities: tuple[float, ...]
    kinds: tuple[str, ...]
    grid: Grid
    apply: Apply
    source: str = ""
    changes_meaning: bool = False
    not_monotone: str = ""
    donors: Donors | None = None
    by_order: bool = False
    withheld: Withheld | None = None
    module: str = ""

    def condition(
        self,
        modalities: Sequence[str],
        severity: float | None = None,
        options: tuple[tuple[str, str], ...] = (),
        repeat: int = 0,
    ) -> Condition:
        """Return one of this probe's conditions; a severity need not be in the table, then it has no position."""
        position = self.severities.index(severity) + 1 if severity in self.severities else None
        return Condition(
            self.name, self.family, self.version, tuple(modalities), severity, position, options, repeat, self.unit
        )


class Probes(Registry[Probe]):
    """The registry of probes."""

    def select(self, patterns: str | Sequence[str]) -> list[Probe]:
        """Return the probes that `patterns` name, in that order, each once.

        A pattern is, tried in this order: a full name (`image.gaussian_blur`, `missing`), a short name
        (`gaussian_blur`: the corruption of every kind), a family (`corruption`), a glob of full or short names
        (`image.*`, `missing*`, `gaussian_noise*`).
        Raises `UnknownName`, with a suggestion, for one that matches nothing.
        """
        everything = list(self)
        chosen: dict[str, Probe] = {}
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            found = (
                [p for p in everything if p.name == pattern]
                or [p for p in everything if p.name.rpartition(".")[2] == pattern]
                or [p for p in everything if p.family == pattern]
                or [p for p in everything if fnmatchcase(p.name, pattern)]
                or [p for p in everything if fnmatchcase(p.name.rpartition(".")[2], pattern)]
            )
            if not found:
                raise UnknownName("probe", pattern, self.names(), "'mmaudit list probes'")
            chosen |= {p.name: p for p in found}
        return list(chosen.values())


probes = Probes("probe", "'mmaudit list probes'")


def probe(
    name: str,
    *,
    family: str,
    grid: Grid,
    version: int = 1,
    unit: str = "",
    severities: tuple[float, ...] = (),
    kinds: tuple[str, ...] = KINDS,
    source: str = "",
    changes_meaning: bool = False,
    not_monotone: str = "",
    donors: Donors | None = None,
    by_order: bool = False,
    withheld: Withheld | None = None,
) -> Callable[[F], F]:
    """Register `fn(batch, condition, source) -> Batch`, a probe of whole batches; see `Probe` for the arguments.

    The function returns `batch.replace(...)` with new arrays for `condition.modalities`; changing anything else
    raises `ContractBroken` when it happens. At severity 0 it is not called: that is the batch itself. A severity below
    0, NaN, infinite or, with a `unit`, left out raises `BadInput` before it is called; what is too much is its own to
    say.
    """

    def register(fn: F) -> F:
        def apply(batch: Batch, condition: Condition, data: Source) -> Batch:
            require_modalities(batch, condition)
            require_severity(condition, unit)
            if condition.severity == 0:
                return batch
            changed: Batch = fn(batch, condition, data)
            _require_only_declared(name, batch, changed, condition)
            return changed

        about = (name, family, version, _summary(f"probe {name!r}", fn), unit, severities, kinds)
        said = (source, changes_meaning, not_monotone, donors, by_order, withheld, fn.__module__)
        probes.add(name, Probe(*about, grid, apply, *said))
        return fn

    return register


def corruption(
    name: str,
    *,
    kinds: Sequence[str],
    severities: Sequence[float],
    unit: str,
    source: str = "",
    version: int = 1,
    batched: bool = False,
    declines: Callable[[Modality], str | None] | None = None,
    changes_meaning: bool = False,
    not_monotone: str = "",
) -> Callable[[F], F]:
    """Register `fn(x, severity[, rng][, modality][, statistics][, donor]) -> x`, a corruption of one sample.

    It is registered once per kind, as `kind.name`, in the family `corruption`; in `contrast_set` (Gardner et al. 2020)
    where it changes the meaning. The function asks for what it needs by
    parameter name: `rng` (a `numpy.random.Generator` of this sample; the same numbers at every severity; without
    random numbers the corruption is deterministic and not repeated), `modality` (as the data set declares it),
    `statistics` (mean and standard deviation, in x's own form) and `donor` (another random sample's value; x itself in
    a data set of one). `x` comes in canonical form, a copy it may write to: images float32 [H, W, C] in [0, 1]; text
    `str`; every other kind float32 or float64 of the sample's shape, in its own units. Return the same form and shape.

    Args:
        name: the field's own name for it.
        kinds: modality kinds it applies to.
        severities: five increasing numbers above 0, in `unit`; 0 is no corruption.
        unit: of the severity.
        source: where name, definition and severities come from.
        version: goes up whenever the same severity would give other values.
        batched: the function takes all samples at once: `x` and `donor` are [n, …] (text: a list of `str`), and
            `draws` (`mmaudit.randomness.Draws`) stands in the place of `rng`. Faster for small samples.
        declines: returns the reason why a modality is declined, or None.
        changes_meaning: a person would answer differently afterwards, so a changed answer is no fault.
        not_monotone: why more severity need not move a sample further; empty where it does.

    Raises:
        ContractBroken: an unknown parameter or kind, a severity table that is not five increasing numbers above 0,
            no docstring.
    """
    table = tuple(float(s) for s in severities)
    who = f"corruption {name!r}"
    if len(table) != 5 or list(table) != sorted(set(table)) or table[0] <= 0:
        raise ContractBroken(who, "severity table", f"severities {table} must be five increasing numbers above 0")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ContractBroken(who, "kinds", f"kinds {unknown} are not any of {', '.join(KINDS)}")

    def register(fn: F) -> F:
        work = Corruption(fn, _wanted(who, fn, batched), batched)
        summary = _summary(who, fn)
        for kind in kinds:
            full = f"{kind}.{name}"

            def grid(scope: Scope, full: str = full, kind: str = kind) -> Iterator[Condition | Declined]:
                floor = scope.similarity_floor if kind == "text" and not changes_meaning else None
                options = () if floor is None else (("similarity_floor", format(floor, "g")),)
                for modality in scope.modalities:
                    if modality.kind != kind:
                        continue
                    reason = canonical.declines(modality) or (declines(modality) if declines else None)
                    if reason:
                        yield Declined(full, (modality.name,), reason)
                        continue
                    for repeat in range(scope.repeats if work.random else 1):
                        for position in scope.positions:
                            severity = table[position - 1]
                            yield probes.get(full).condition((modality.name,), severity, options, repeat)

            def apply(batch: Batch, condition: Condition, data: Source) -> Batch:
                require_modalities(batch, condition)
                require_severity(condition, unit)
                if condition.severity == 0:
                    return batch
                return batch.replace({m: corrupt(work, batch, condition, data, m) for m in condition.modalities})

            # Rules about corruptions hold a changed answer against the model; here it may be the right one.
            family = "contrast_set" if changes_meaning else "corruption"
            about = (full, family, version, summary, unit, table, (kind,))
            said = (source, changes_meaning, not_monotone)
            probes.add(full, Probe(*about, grid, apply, *said, module=fn.__module__))
        return fn

    return register


def require_modalities(batch: Batch, condition: Condition) -> None:
    """Raise `UnknownName` where a condition names a modality that the batch does not hold."""
    for name in condition.modalities:
        if name not in batch.inputs:
            raise UnknownName("modality", name, batch.inputs)


def require_severity(condition: Condition, unit: str) -> None:
    """Raise `BadInput` unless a condition's severity is a finite number from 0 on; without a `unit` it may be None."""
    severity = condition.severity
    if severity is None and not unit:
        return
    if severity is None or not 0 <= severity < float("inf"):
        counted = f" ({unit})" if unit else ""
        raise BadInput(f"{condition.label}: severity {severity} must be 0 or more, and finite{counted}.")


def _summary(who: str, fn: Callable[..., Any]) -> str:
    text = inspect.getdoc(fn)
    if not text:
        raise ContractBroken(who, "docstring", "has none; its first line is what lists and reports show")
    return text.splitlines()[0].rstrip(".")


def _wanted(who: str, fn: Callable[..., Any], batched: bool) -> tuple[str, ...]:
    """Names of the optional parameters that a corruption function asks for."""
    given = ("draws" if batched else "rng", "modality", "statistics", "donor")
    names = list(inspect.signature(fn).parameters)
    if names[:1] not in (["x"], ["texts"]) or names[1:2] != ["severity"]:
        raise ContractBroken(who, "signature", f"parameters {names} must begin with x, severity")
    if unknown := [n for n in names[2:] if n not in given]:
        raise ContractBroken(who, "signature", f"parameters {unknown} are unknown; there are only {', '.join(given)}")
    return tuple(names[2:])


def _require_only_declared(name: str, before: Batch, after: Batch, condition: Condition) -> None:
    who = f"probe {name!r}"
    if after.positions is not before.positions or after.ids is not before.ids or after.target is not before.target:
        raise ContractBroken(who, "rows", "changed target, ids or positions; use batch.replace(...)")
    for m in before.inputs:
        if m in condition.modalities:
            continue
        if after.inputs[m] is not before.inputs[m] or after.present[m] is not before.present[m]:
            raise ContractBroken(who, "declared modalities", f"changed {m!r}, which {condition.label} does not name")
