"""The head of the report in words and numbers: verdict and tiles. Shared by the page and the notebook summary."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from mmaudit.figures.base import loss, words
from mmaudit.formats import NBSP, change, count, estimate, number, readable
from mmaudit.render.scope import perturbed
from mmaudit.render.untested import FAMILIES, lacking, listed
from mmaudit.report import Measured, Report
from mmaudit.types import LEVELS, Score

MARKS = {"critical": "▲", "major": "◆", "minor": "●", "info": "○"}


@dataclass(frozen=True)
class Tile:
    """A number of the headline; `href` is the section that shows more."""

    title: str
    value: str
    interval: str
    detail: str
    href: str


def verdict(report: Report) -> tuple[str, str]:
    """Level and the report in a sentence or two, from its controls and findings."""
    failed, findings = report.failed_controls(), report.findings
    measured = sum(m.condition.family != "clean" for m in report.conditions)
    if failed:
        which = "one of its controls" if len(failed) == 1 else f"{len(failed)} of its controls"
        return (
            "critical",
            f"Do not rely on this report: {which} failed, so the audit itself may measure something else.",
        )
    if not findings:
        return "none", (
            f"No rule fired under {measured} conditions. The detectable change of each condition says how small a "
            "problem could have been seen."
        )
    serious = sum(f.level in LEVELS[:2] for f in findings)
    if serious:
        noun = "finding" if serious == 1 else "findings"
        return findings[
            0
        ].level, f"{serious} serious {noun} under {measured} conditions. Look at this first: {findings[0].claim}"
    return findings[
        0
    ].level, f"Nothing serious found under {measured} conditions. The largest finding: {findings[0].claim}"


def verdict_sentences(report: Report) -> tuple[str, tuple[str, str, str]]:
    """Return the level of the verdict and three sentences: how good it is, what breaks it, how far that reaches.

    The level is the worst finding's, `none` where no rule fired, and `critical` where a control failed: then the first
    sentence says that the rest cannot be relied on. Everything is read off the report; names of the user stand in
    the sentences as they are and must be escaped by whoever prints them.
    """
    level, _ = verdict(report)
    return level, (_how_good(report), _what_breaks(report), _how_far(report))


def _how_good(report: Report) -> str:
    """Clean performance beside chance, and whether the audit may be believed."""
    failed = report.failed_controls()
    if failed:
        which = "one of its controls" if len(failed) == 1 else f"{count(len(failed))} of its controls"
        return f"Do not rely on this report: {which} failed, so the audit itself may measure something else."
    clean = report.score(report.clean, report.primary.name)
    name = readable(report.primary.name)
    if clean is None or not math.isfinite(clean.value):
        why = clean.reason if clean is not None and clean.reason else "it was not measured"
        return f"How good the model is on unperturbed data is not known: {name} has no value ({why.rstrip('.')})."
    floor = f"chance is {number(clean.floor, clean.unit)}" if math.isfinite(clean.floor) else "it has no chance level"
    passed = sum(c["ok"] for c in report.document["controls"])
    which = "its only control" if passed == 1 else f"its {count(passed)} controls"
    controls = f"{which} passed" if passed else "no control was run"
    value = estimate(clean.value, clean.low, clean.high, clean.unit)
    return f"On {count(clean.n)} unperturbed samples {name} is {value}, {floor}, and {controls}."


def _what_breaks(report: Report) -> str:
    """Findings by level, and the worst of them."""
    findings, measured = report.findings, perturbed(report)
    under = "one perturbed condition" if measured == 1 else f"{count(measured)} perturbed conditions"
    if not findings:
        return f"Under its {under} no rule fired: none found its pattern beyond the 95{NBSP}% intervals."
    *most, last = report.level_counts().split(", ")
    levels = f"{', '.join(most)} and {last}" if most else last
    worst = "" if len(findings) == 1 else ", the worst of them"
    noun = "finding" if len(findings) == 1 else "findings"
    return f"Clean data and {under} gave {levels} {noun}{worst}: {_one_sentence(findings[0].claim)}"


# How claims go on after their first sentence; anything else after a full stop may belong to a user's name.
_NEXT = re.compile(r"\. (So|It|They|This|That|These|The|There|Here|Its|But|And|Under|With|Without|Only|Both|What|Of)\b")


def _one_sentence(claim: str) -> str:
    """A claim of several sentences as one; ends with a full stop."""
    joined = _NEXT.sub(lambda found: f"; {found[1].lower()}", claim.strip())
    return joined if joined.endswith(".") else f"{joined}."


def _how_far(report: Report) -> str:
    """What the numbers hold for, and the largest gaps."""
    gaps = [FAMILIES[family][0] for family in lacking(report)]
    said = [f"not tested: {listed(gaps, 3)}"] if gaps else []
    if weak := report.faint_conditions():
        said.append(f"under {count(len(weak))} of the conditions a loss of a tenth could have gone unseen")
    if idle := len(report.idle_conditions()):
        said.append(f"{count(idle)} changed no sample and {'says' if idle == 1 else 'say'} nothing")
    if partly := len(report.partly_applied()):
        said.append(f"{count(partly)} left one of {'its' if partly == 1 else 'their'} modalities as it was")
    if partial := (report.document.get("budget") or {}).get("partial"):
        said.append(f"a budget left {count(partial)} on a part of the samples")
    if raised := sum(m.raised > 0 for m in report.conditions):
        said.append(f"the model raised an error under {count(raised)}")
    rest = f" ({'; '.join(said)})" if said else ""
    return f"This holds for this model, these samples and these perturbations{rest}, not for others."


def tiles(report: Report) -> list[Tile]:
    """The clean value, and the worst of each family; calibration where it was measured."""
    m = report.primary
    found = []
    clean = report.score(report.clean, m.name)
    if clean is not None:
        detail = f"chance {number(clean.floor, clean.unit)}" if math.isfinite(clean.floor) else ""
        detail = detail if math.isfinite(clean.value) else clean.reason or "no reason was recorded"
        text = estimate(clean.value, clean.low, clean.high, clean.unit)
        found.append(Tile(f"Clean {readable(m.name)}", *_parts(text), detail, "everything"))
    for title, href, belongs in (
        ("Worst missing modality", "modalities", _one_missing),
        ("Worst corruption", "severity", _in_family("corruption")),
        ("Worst mismatch", "conditions", _in_family("mismatch")),
    ):
        worst = _worst(report, m.name, belongs)
        if worst is not None:
            measured, s = worst
            text = change(s.delta, s.delta_low, s.delta_high, s.unit)
            found.append(Tile(title, *_parts(text), words(measured.condition), href))
    return found + _calibration(report)


# Where another answer than the original truth may be right, confidence in it is no error.
_NO_FAULT = ("clean", "control", "conflict", "contrast_set")


def _calibration(report: Report) -> list[Tile]:
    if "ece" not in report.metrics:
        return []
    scores = [(m, s) for m in report.conditions if (s := report.score(m.key, "ece")) and math.isfinite(s.value)]
    clean = next((s for m, s in scores if m.condition.family == "clean"), None)
    if clean is None:
        return []
    others = [(m, s) for m, s in scores if m.condition.family not in _NO_FAULT]
    detail = "no other condition has one"
    if others:
        m, s = max(others, key=lambda e: e[1].value)
        detail = f"worst {number(s.value, s.unit)}: {words(m.condition)}"
    return [
        Tile(
            "Clean calibration error",
            *_parts(estimate(clean.value, clean.low, clean.high, clean.unit)),
            detail,
            "calibration",
        )
    ]


def _worst(report: Report, metric: str, belongs: Callable[[Measured], bool]) -> tuple[Measured, Score] | None:
    found = [(m, s) for m in report.conditions if belongs(m) and (s := report.score(m.key, metric)) is not None]
    return max((e for e in found if math.isfinite(loss(e[1]))), key=lambda e: loss(e[1]), default=None)


def _in_family(family: str) -> Callable[[Measured], bool]:
    return lambda m: m.condition.family == family


def _one_missing(m: Measured) -> bool:
    c = m.condition
    return c.family == "missing" and c.severity is None and len(c.modalities) == 1


def _parts(text: str) -> tuple[str, str]:
    value, _, rest = text.partition(" [")
    return value, f"[{rest}" if rest else ""
