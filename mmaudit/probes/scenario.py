"""Scenarios: several modalities corrupted at once, by as much as one latent severity says.

What goes wrong in the field goes wrong together: rain darkens the picture and is heard in the microphone. A scenario
has one severity s; sample i meets s·fᵢ of it, and every step of that sample takes its own severity from s·fᵢ. So the
samples that are hit hard are hit hard in all modalities. As a control each modality draws a factor for itself: the
same steps and, per modality, the same distribution of severities, without the correlation between modalities.
A severity above 5, where the tables of the steps end, is refused with `BadInput`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.probes.base import probe, probes
from mmaudit.probes.scenario_file import FIVE, Scenario, Step, read
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source, writable
from mmaudit.randomness import stream_key, uniforms
from mmaudit.types import Array, Batch, Condition, FloatArray, IntArray, Modality, digest

UNIT = "scenario severity"
VERSION = 2
# A sample's factor is one of this many, so that corruptions of whole batches run on a few groups of rows.
FACTORS = 16

# Every scenario that a plan of this process has named, by its definition.
known: dict[str, Scenario] = {}


@cache
def packaged() -> dict[str, Scenario]:
    """The scenarios that come with mmaudit, by name."""
    return {scenario.name: scenario for scenario in map(read, _files())}


def _files() -> list[Traversable]:
    folder = resources.files("mmaudit.probes.scenarios")
    return sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)


def load(files: Sequence[str | Path]) -> tuple[Scenario, ...]:
    """Read a user's scenario files and register their probes.

    Raises:
        BadInput: a file is not usable, or two scenarios have one name.
        UnknownName: a file names a key or corruption that does not exist.
    """
    found: dict[str, Scenario] = {}
    for file in files:
        scenario = read(Path(file))
        if scenario.name in packaged():
            raise BadInput(f"scenario file {file}: the name {scenario.name!r} is mmaudit's own; give it another name.")
        if scenario.name in found:
            raise BadInput(f"scenario file {file}: another file has the name {scenario.name!r}, too; give it another.")
        found[scenario.name] = scenario
        if scenario.probe not in probes:
            register(scenario.name, scenario.summary, "the user's file")
    return tuple(found.values())


def described(conditions: Sequence[Condition], modalities: Sequence[Modality]) -> list[dict[str, Any]]:
    """What the scenarios among the conditions do, as plain values for the report."""
    by_name = {m.name: m for m in modalities}
    found: dict[str, dict[str, Any]] = {}
    for condition in conditions:
        definition = condition.option("definition")
        if condition.probe.startswith("scenario.") and definition and definition not in found:
            scenario = _of(condition)
            steps = [
                {
                    "modalities": [m for m in condition.modalities if step.reaches(by_name[m])],
                    "probe": step.probe,
                    "severities": list(step.table),
                    "unit": step.corruption.unit,
                    "share": step.share,
                }
                for step in scenario.steps
            ]
            found[definition] = {
                "probe": condition.probe,
                "definition": definition,
                "summary": scenario.summary,
                "why": scenario.why,
                "spread": scenario.spread,
                "steps": [step for step in steps if step["modalities"]],
            }
    return list(found.values())


# ---- what is run


def _grid(name: str, scope: Scope) -> Iterator[Condition | Declined]:
    own = {s.name: s for s in scope.scenarios}
    scenario = own.get(name) or packaged().get(name)
    if scenario is None:  # registered for another plan
        return
    reached, refused = _reached(scenario, scope)
    yield from refused
    names = tuple(m for m in scope.together if m in reached)
    if reason := _unmet(scenario, {m.kind for m in scope.modalities if m.name in reached}, names):
        yield Declined(scenario.probe, names or scope.names, reason)
        return
    known[scenario.definition] = scenario
    floor = {o for options in reached.values() for o in options}
    couplings = ("shared", "independent") if scenario.spread and scenario.independent else ("shared",)
    for latent in couplings:
        # The control has one repeat: what it is compared with is the first.
        for repeat in range(scope.repeats if latent == "shared" else 1):
            options = (("definition", scenario.definition), ("latent", latent), *sorted(floor))
            for position in scope.positions:
                yield Condition(
                    scenario.probe, "scenario", VERSION, names, float(position), position, options, repeat, UNIT
                )


def _reached(scenario: Scenario, scope: Scope) -> tuple[dict[str, tuple[tuple[str, str], ...]], list[Declined]]:
    """Per modality that some step changes the options of its corruptions; and the steps that a modality declines."""
    reached: dict[str, tuple[tuple[str, str], ...]] = {}
    refused: list[Declined] = []
    for step in scenario.steps:
        for modality in scope.modalities:
            if not step.reaches(modality):
                continue
            found = _alone(step, modality, scope)
            if isinstance(found, Declined):
                reason = f"without its step {step.probe}: {found.reason}"
                refused.append(Declined(scenario.probe, (modality.name,), reason))
            else:
                reached[modality.name] = (*reached.get(modality.name, ()), *found.options)
    return reached, refused


def _alone(step: Step, modality: Modality, scope: Scope) -> Condition | Declined:
    """The step's corruption of one modality, as that corruption's own grid has it."""
    found = step.corruption.grid(replace(scope, modalities=(modality,), subsets=None, positions=(1,), repeats=1))
    return next(found, Declined(step.probe, (modality.name,), "the corruption has no condition for this modality"))


def _unmet(scenario: Scenario, kinds: set[str], names: tuple[str, ...]) -> str:
    """Why a scenario means nothing for these kinds; empty where it does."""
    if lacking := [kind for kind in scenario.requires if kind not in kinds]:
        return f"it needs {' and '.join(lacking)}, and the data have none that its steps can change"
    if len(kinds) < min(2, len(scenario.kinds)) or len(names) < 2:
        return (
            f"it corrupts {', '.join(scenario.kinds)} together, and finds {len(names)} "
            f"{'modality' if len(names) == 1 else 'modalities'} of {len(kinds)} of these kinds"
        )
    return ""


# ---- how it is applied


def _apply(batch: Batch, condition: Condition, source: Source) -> Batch:
    scenario = _of(condition)
    severity = condition.severity
    assert severity is not None  # a probe with a unit has one
    if severity > FIVE[-1]:
        raise BadInput(f"{condition.label}: severity {severity:g} is above 5, where the tables of its steps end.")
    floor = condition.option("similarity_floor")
    modalities = tuple(source.modality(m) for m in condition.modalities)
    scope = Scope(modalities, source.data.task, similarity_floor=float(floor) if floor else None)
    new = {}
    for place, modality in enumerate(modalities):
        name = modality.name
        met = severity * _factors(scenario, condition, source, batch, place)
        array = batch.inputs[name]
        for number, step in enumerate(scenario.steps):
            if not step.reaches(modality):
                continue
            alone = _alone(step, modality, scope)
            if isinstance(alone, Declined):
                continue
            alone = replace(alone, repeat=condition.repeat)
            hit = np.arange(len(batch))
            if step.share < 1:
                hit = np.flatnonzero(_uniform(condition, source, batch, f"step {number} of {name}") < step.share)
            array = _graded(batch, name, array, step, alone, met, hit, source)
        if array is not batch.inputs[name]:
            new[name] = array
    return batch.replace(new)


def _graded(
    batch: Batch,
    name: str,
    array: Array,
    step: Step,
    alone: Condition,
    met: FloatArray,
    hit: IntArray,
    source: Source,
) -> Array:
    """Return a modality's array with the rows `hit` corrupted, each by what it meets of the scenario."""
    out = writable(array)
    for level in np.unique(met[hit]):
        rows = hit[met[hit] == level]
        part = Batch(
            {name: array[rows]},
            {name: batch.present[name][rows]},
            batch.target[rows],
            batch.ids[rows],
            batch.positions[rows],
        )
        severity = step.severity(float(level))
        if array is not batch.inputs[name] and alone.option("similarity_floor"):
            out[rows] = _limited(part, name, batch.inputs[name][rows], step, alone, severity, source)
        else:
            condition = replace(alone, severity=severity, position=None)
            out[rows] = step.corruption.apply(part, condition, source).inputs[name]
    return out


def _limited(
    part: Batch, name: str, originals: Array, step: Step, alone: Condition, severity: float, source: Source
) -> Array:
    """Texts that an earlier step changed, corrupted as far as their similarity with the samples' own allows."""
    from mmaudit.probes.corruption.similarity import limited

    floor = alone.option("similarity_floor")
    assert floor is not None
    free = replace(alone, position=None, options=tuple(o for o in alone.options if o[0] != "similarity_floor"))

    def corrupted(texts: list[str], severity: float) -> list[str]:
        column = np.array([*texts, None], object)[:-1]  # one dimension, also of none
        applied = step.corruption.apply(part.replace({name: column}), replace(free, severity=severity), source)
        return [str(text) for text in applied.inputs[name].tolist()]

    texts, own = ([str(text) for text in x.tolist()] for x in (part.inputs[name], originals))
    return np.array([*limited(corrupted, texts, severity, float(floor), own), None], object)[:-1]


def _factors(scenario: Scenario, condition: Condition, source: Source, batch: Batch, place: int) -> FloatArray:
    """Return per row the share of the severity that it meets, in (1 − spread, 1]; the same at every severity.

    1 − spread·u with u uniform on a grid of `FACTORS` values. The first modality has the same factors under both
    couplings: they differ in whether the others follow it.
    """
    if not scenario.spread:
        return np.ones(len(batch))
    own = condition.option("latent") == "independent" and place > 0
    u = _uniform(condition, source, batch, condition.modalities[place] if own else "")
    return 1 - scenario.spread * (np.floor(u * FACTORS) + 0.5) / FACTORS


def _uniform(condition: Condition, source: Source, batch: Batch, purpose: str) -> FloatArray:
    # Not the condition's own stream: it differs between the couplings, which are to share what they can.
    stream = digest(condition.probe, condition.option("definition"), condition.modalities, condition.repeat)
    return uniforms(stream_key(stream, "latent", purpose), source.keys(batch))


def _of(condition: Condition) -> Scenario:
    definition = condition.option("definition") or ""
    if definition not in known:
        for scenario in packaged().values():
            known.setdefault(scenario.definition, scenario)
    if definition not in known:
        raise BadInput(
            f"{condition.label}: its definition is not known here; give the suite the file that it was planned from."
        )
    return known[definition]


def register(name: str, summary: str, source: str) -> None:
    """Make a scenario a probe of the name `scenario.NAME`; what it does stands in `known`, or is packaged."""

    def apply(batch: Batch, condition: Condition, data: Source) -> Batch:
        return _apply(batch, condition, data)

    apply.__doc__ = summary
    made = probe(
        f"scenario.{name}",
        family="scenario",
        version=VERSION,
        grid=lambda scope: _grid(name, scope),
        unit=UNIT,
        source=source,
    )
    made(apply)


def _register_packaged() -> None:
    # Without looking at their corruptions, which another plug-in may still have to register.
    for file in _files():
        given = tomllib.loads(file.read_text(encoding="utf-8"))
        register(given["name"], given["summary"], "mmaudit")


_register_packaged()
