"""What a report shows that it lacks: families, modalities, severities, subsets and groups without a number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmaudit.figures.base import words
from mmaudit.formats import count, readable, shorten
from mmaudit.report import Report

POSITIONS = (1, 2, 3, 4, 5)
MOST_NAMES = 6
MOST_COUNTED = 30
LONGEST_NAME, LONGEST_REASON = 40, 300

FAMILIES: dict[str, tuple[str, str]] = {
    "missing": ("missing modalities", "a modality is taken away, from all samples or from a share of them"),
    "mismatch": ("modalities that do not belong together", "a modality comes from another sample, place or time"),
    "conflict": ("modalities that contradict each other", "a modality speaks for another class than the others"),
    "scenario": ("several modalities corrupted together", "several modalities are corrupted in the same sample"),
    "corruption": ("corrupted modalities", "the values of one modality are damaged, by degrees"),
    "contrast_set": ("changed meanings", "a text is changed so that it says something else"),
    "adversarial": ("gradient attacks", "a modality is changed in the direction that harms the answer most"),
    "control": ("controls", "the result is known in advance"),
}
"""Family of probes: its name in words, and what is true of a sample in it."""

ANALYSES = {
    "emap": "what is left of an additive model (EMAP)",
    "attribution": "attributions by gradients",
    "off_data": "how far stand-ins lie from the data",
    "synergy": "synergy of data and model",
}


@dataclass(frozen=True)
class Gap:
    """Something that was not tested: what, and why or how that is known."""

    what: str
    why: str


def untested(report: Report) -> Iterator[Gap]:
    """Yield what this report shows that it lacks: kinds of perturbation first, then parts of those that were run."""
    yield from _budget(report)
    yield from _families(report)
    yield from _untouched(report)
    yield from _subsets(report)
    yield from _severities(report)
    yield from _undefined(report)
    yield from _raised(report)
    yield from _groups(report)
    yield from _analyses(report)
    if report.conditions and not any(m.condition.repeat for m in report.conditions):
        yield Gap("other random draws", "each random perturbation was drawn once per sample; no condition was repeated")


def _budget(report: Report) -> Iterator[Gap]:
    if said := report.budget():
        left = report.document["budget"]
        what = f"{count(left['planned'] - left['answers'])} of {count(left['planned'])} answers"
        yield Gap(what, f"{said} The column n of each table says how many samples a number rests on.")


def lacking(report: Report) -> list[str]:
    """Names of the families of perturbations of which no condition was measured."""
    measured = {m.condition.family for m in report.conditions}
    modalities = report.document["data"]["modalities"]
    # What cannot be run on this data or task at all is no gap of this audit.
    impossible = {"control"} | (set() if len(modalities) > 1 else {"mismatch", "conflict", "scenario"})
    impossible |= set() if report.document["task"]["kind"] == "classification" else {"conflict"}
    impossible |= set() if any(m["kind"] == "text" for m in modalities) else {"contrast_set"}
    return [family for family in FAMILIES if family not in measured | impossible]


def _families(report: Report) -> Iterator[Gap]:
    for family in lacking(report):
        name, does = FAMILIES[family]
        yield Gap(name, f"no condition in which {does}")
    if not any(m.condition.family == "control" for m in report.conditions):
        yield Gap("controls", "nothing in this report shows that its probes did what they say")


def _untouched(report: Report) -> Iterator[Gap]:
    """Modalities that a family left alone although it was run on others."""
    for family, (name, _) in FAMILIES.items():
        touched = {m for c in report.conditions if c.condition.family == family for m in c.condition.modalities}
        left = [m for m in _names(report) if m not in touched and not (family == "missing" and m == sought(report))]
        if touched and left and family != "control":
            yield Gap(f"{name}: {listed(left)}", "no condition of this kind changes it; others are changed")


def _names(report: Report) -> list[str]:
    return [str(m["name"]) for m in report.document["data"]["modalities"]]


def sought(report: Report) -> str:
    """The modality that a retrieval looks for, which cannot be missing; empty for other tasks."""
    task: Mapping[str, Any] = report.document["task"]
    return str(task["names"][-1]) if task["kind"] == "retrieval" and task["names"] else ""


def _subsets(report: Report) -> Iterator[Gap]:
    removable = [m for m in _names(report) if m != sought(report)]
    removed = {frozenset(m.condition.modalities) for m in report.conditions if m.condition.probe == "missing"}
    why = "other subsets of the modalities were taken away, these were not"
    if removed and len(removable) > MOST_COUNTED:
        yield Gap("most ways to lack several modalities", why)
    elif removed and len(removed) < (possible := 2 ** len(removable) - 1):
        yield Gap(f"{count(possible - len(removed))} of {count(possible)} ways to lack modalities", why)


def _severities(report: Report) -> Iterator[Gap]:
    curves: dict[str, set[int]] = {}
    for m in report.conditions:
        if m.condition.position is not None:
            curves.setdefault(m.condition.stream, set()).add(m.condition.position)
    short = [tuple(p for p in POSITIONS if p not in seen) for seen in curves.values() if seen < set(POSITIONS)]
    if len(set(short)) == 1:
        whose = "every curve" if len(short) == len(curves) else f"{count(len(short))} of {count(len(curves))} curves"
        yield Gap(f"severity {runs(short[0])} of {whose}", "only the other severities were measured")
    elif short:
        what = f"some severities of {count(len(short))} of {count(len(curves))} curves"
        yield Gap(what, "the table of what was tested names those that were measured")


def runs(positions: Sequence[int]) -> str:
    """`1 to 5`, or `3, 5`."""
    whole = list(positions) == list(range(positions[0], positions[-1] + 1)) and len(positions) > 2
    return f"{positions[0]} to {positions[-1]}" if whole else ", ".join(map(str, positions))


def _undefined(report: Report) -> Iterator[Gap]:
    """Conditions under which the primary metric has no value."""
    reasons: dict[str, list[str]] = {}
    for m in report.conditions:
        score = report.score(m.key, report.primary.name)
        if score is None or not math.isfinite(score.value):
            why = score.reason if score is not None and score.reason else "it has no value in this report"
            reasons.setdefault(why, []).append(words(m.condition))
    for why, found in reasons.items():
        what = f"{readable(report.primary.name)} under {many(found, 'condition')}: {listed(found, 3)}"
        yield Gap(what, shorten(why, LONGEST_REASON))


def _raised(report: Report) -> Iterator[Gap]:
    raised = [m for m in report.conditions if m.raised]
    if raised:
        names = listed((words(m.condition) for m in raised), 3)
        most = count(max(m.raised for m in raised))
        why = f"the model raised an error on samples, on {most} at most in one condition; they have no answer"
        yield Gap(f"some samples under {many(raised, 'condition')}: {names}", why)


def _groups(report: Report) -> Iterator[Gap]:
    columns: Mapping[str, Mapping[str, int]] = report.document["data"]["groups"]
    if not columns:
        yield Gap("differences between groups", "no column of groups was named, so all samples are one group")
    scored: dict[str, bool] = {}
    for s in report.rows:
        if s.group and s.metric == report.primary.name and s.condition == report.clean:
            scored[s.group] = math.isfinite(s.value)
    for column, values in columns.items():
        missing = [v for v in values if f"{column}={v}" not in scored]
        small = [v for v in values if scored.get(f"{column}={v}") is False]
        name = shorten(column, LONGEST_NAME)
        if small:
            yield Gap(f"{many(small, 'group')} of {name}: {listed(small)}", "too few samples for a number")
        if missing:
            yield Gap(f"{many(missing, 'group')} of {name}: {listed(missing)}", "the report holds no number of them")


def _analyses(report: Report) -> Iterator[Gap]:
    left_out: Mapping[str, Any] = report.document.get("synergy", {}).get("not_analysed", {})
    for name, why in left_out.items():
        yield Gap(ANALYSES.get(name, readable(shorten(name, LONGEST_NAME))), shorten(str(why), LONGEST_REASON))
    known = {entry["family"] for entry in report.document.get("estimates", ())}
    several = len(report.document["data"]["modalities"]) > 1
    if several and "reliance" not in known:
        yield Gap("reliance", "the report holds no estimate of what each modality is worth to the model")
    if several and "synergy" not in known and "synergy" not in left_out:
        yield Gap("synergy", "the report holds no estimate of what modalities say only together")
    panel: Mapping[str, Any] = report.document.get("references", {})
    if "rows" not in panel:
        why = str(panel.get("reason") or "none was trained, so it is not known whether another method would do better")
        yield Gap("reference methods", shorten(why, LONGEST_REASON))


def listed(names: Iterable[str], most: int = MOST_NAMES, longest: int = LONGEST_NAME) -> str:
    """Names with commas, of many the first few: `a, b, c and 4 more`; `none` for no name."""
    every = [str(n) for n in names]
    shown = [shorten(n, longest) for n in every[:most]]
    if len(every) > most:
        return f"{', '.join(shown)} and {count(len(every) - most)} more"
    return ", ".join(shown) or "none"


def many(found: Sequence[Any], noun: str) -> str:
    """`1 condition`, `12 conditions`."""
    return f"{count(len(found))} {noun}{'' if len(found) == 1 else 's'}"
