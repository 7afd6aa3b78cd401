"""What a report covers and what it does not: from the report alone, so nothing is said that it cannot know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mmaudit.formats import count, number, readable, shorten
from mmaudit.render.untested import FAMILIES, LONGEST_NAME, LONGEST_REASON, MOST_NAMES, Gap, listed, runs, untested
from mmaudit.report import Measured, Report

LONGEST_LIMIT = 600

ALWAYS_OUTSIDE = (
    "Other data: other sites, devices, people or times than those of the audited samples.",
    "Training: what another training of the same model would have given, and what its training data held.",
    "Use: how often these perturbations occur, what a wrong answer costs, what people do with the answers.",
    "Everything but the model's answers: speed, security, privacy.",
)
NO_ATTACK = "Attacks: inputs that were made to mislead this model."
ONE_ATTACK = "Attacks other than the gradient attacks listed above: stronger, adaptive, or of another kind."


@dataclass(frozen=True)
class Fact:
    """Something that is known of the audit: its name, and what is known in words."""

    name: str
    words: str


@dataclass(frozen=True)
class Tested:
    """One family of conditions.

    Attributes:
        family: in words.
        does: what is true of a sample in it.
        conditions: how many were measured.
        modalities: those that were changed, in words.
        probes: what was run, in words.
    """

    family: str
    does: str
    conditions: int
    modalities: str
    probes: str


@dataclass(frozen=True)
class Declined:
    """A probe that was not run on some modalities, with the reason."""

    probe: str
    modalities: str
    reason: str


@dataclass(frozen=True)
class Scope:
    """Scope and limits of a report.

    Attributes:
        audited: model, data, task, suite: what the numbers are about.
        tested: one entry per family of conditions.
        untested: gaps that this report shows.
        declined: probes that were not run, with reasons; equal reasons of a probe together.
        limits: what to know before relying on the numbers, as the audit wrote it.
        outside: what no audit of this kind looks at.
    """

    audited: tuple[Fact, ...]
    tested: tuple[Tested, ...]
    untested: tuple[Gap, ...]
    declined: tuple[Declined, ...]
    limits: tuple[str, ...]
    outside: tuple[str, ...]


def scope(report: Report) -> Scope:
    """Return scope and limits of a report."""
    attacked = any(m.condition.family == "adversarial" for m in report.conditions)
    return Scope(
        audited=tuple(_audited(report)),
        tested=tuple(_tested(report)),
        untested=tuple(untested(report)),
        declined=tuple(_declined(report)),
        limits=tuple(shorten(str(line), LONGEST_LIMIT) for line in report.document["limits"]),
        outside=(*ALWAYS_OUTSIDE, ONE_ATTACK if attacked else NO_ATTACK),
    )


def _audited(report: Report) -> Iterator[Fact]:
    doc = report.document
    model, data, task = doc["model"], doc["data"], doc["task"]
    yield Fact("model", f"{shorten(model['name'], 80)}, fingerprint {shorten(model['fingerprint'], 80)}")
    rows = f"{count(data['n'])} samples"
    if data["clusters"]:
        rows += f" in {count(data['clusters'])} clusters, which are resampled whole"
    yield Fact("data", f"{rows}, fingerprint {shorten(data['fingerprint'], 80)}")
    for m in data["modalities"]:
        yield Fact(f"modality {shorten(m['name'], LONGEST_NAME)}", f"{m['kind']}, recorded {_recorded(m['present'])}")
    yield Fact("task", f"{task['kind']}: {listed(task['names'], MOST_NAMES, 24)}")
    for column, values in data["groups"].items():
        yield Fact(f"groups by {shorten(column, LONGEST_NAME)}", listed(values, MOST_NAMES, 24))
    controls = sum(m.condition.family == "control" for m in report.conditions)
    ran = f"{count(perturbed(report))} perturbed conditions, {count(controls)} controls"
    yield Fact("suite", f"{shorten(str(doc['suite']['name']), LONGEST_NAME)}: {ran}")
    if doc["created"]:
        yield Fact("run started", when(doc["created"]))


def when(created: str) -> str:
    """An ISO time as a reader meets it."""
    return shorten(created.replace("T", " ").replace("+00:00", " UTC").replace("Z", " UTC"), 40)


def _recorded(present: float | None) -> str:
    if present is None:
        return "in an unknown share of the samples"
    return "in every sample" if present == 1 else f"in {number(float(present), 'share')} of the samples"


def perturbed(report: Report) -> int:
    """How many conditions were measured besides clean data and controls."""
    return sum(m.condition.family not in ("clean", "control") for m in report.conditions)


def _tested(report: Report) -> Iterator[Tested]:
    families: dict[str, dict[str, list[Measured]]] = {}
    for m in report.conditions:
        if m.condition.family != "clean":
            families.setdefault(m.condition.family, {}).setdefault(m.condition.probe, []).append(m)
    for family, probes in families.items():
        name, does = FAMILIES.get(family, (readable(shorten(family, LONGEST_NAME)), "see the conditions as applied"))
        touched = dict.fromkeys(m for found in probes.values() for c in found for m in c.condition.modalities)
        # The same corruption of two kinds of modality is told once.
        run = listed(dict.fromkeys(_probe(probe, found) for probe, found in probes.items()), 12, 120)
        yield Tested(name, does, sum(map(len, probes.values())), listed(touched), run)


def _probe(probe: str, found: list[Measured]) -> str:
    """A probe in words, with the severities and the variants that were measured."""
    name = readable(shorten(probe.split(".", 1)[-1], LONGEST_NAME))
    positions = sorted({m.condition.position for m in found if m.condition.position is not None})
    severities = {m.condition.severity for m in found if m.condition.severity is not None}
    said = []
    if positions:
        said.append(f"severity {runs(positions)} of 5")
    elif len(severities) > 1:
        said.append(f"{len(severities)} severities")
    for option in ("baseline", "pool", "direction"):
        values = dict.fromkeys(v for m in found if (v := m.condition.option(option)) is not None)
        said += [f"{option} {listed((v.replace('_', ' ') for v in values), 6, 20)}"] if values else []
    repeats = 1 + max(m.condition.repeat for m in found)
    said += [f"{repeats} draws"] if repeats > 1 else []
    return f"{name} ({'; '.join(said)})" if said else name


def _declined(report: Report) -> Iterator[Declined]:
    found: dict[tuple[str, str], list[str]] = {}
    for d in report.document["declined"]:
        found.setdefault((d["probe"], d["reason"]), []).extend(d["modalities"])
    for (probe, reason), names in found.items():
        every = listed(dict.fromkeys(names)) if names else "all"
        yield Declined(shorten(probe, 60), every, shorten(reason, LONGEST_REASON))
