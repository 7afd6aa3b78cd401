"""The parts that both cards are made of, in Markdown: what was audited, findings, conditions, scope, how to repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmaudit.cards.index import ON_CLEAN, worst
from mmaudit.cards.text import code, plain, row, table
from mmaudit.figures.base import loss, words
from mmaudit.formats import NBSP, change, count, estimate, measure, number, p_value, readable
from mmaudit.render.reproduce import reproduce
from mmaudit.render.scope import perturbed, scope
from mmaudit.render.summary import MARKS
from mmaudit.report import Measured, Report
from mmaudit.types import Score

LONGEST_CLAIM = 600
CLEAN_METRICS = 12


def about(report: Report, level: str) -> list[str]:
    """What was audited, as a table of two columns."""
    doc = report.document
    failed, idle = report.failed_controls(), report.idle_conditions()
    passed = sum(c["ok"] for c in doc["controls"])
    controls = f"**{count(len(failed))} FAILED**" if failed else f"{count(passed)} passed" if passed else "**none run**"
    controls += f", {_conditions(len(idle))} not applied" if idle else ""
    clusters = doc["data"]["clusters"]
    samples = f"{count(doc['data']['n'])} samples" + (f" in {count(clusters)} clusters" if clusters else "")
    lines = (
        ("Model", f"{plain(doc['model']['name'], 80)}, fingerprint {plain(doc['model']['fingerprint'], 80)}"),
        ("Data", f"{samples}, fingerprint {plain(doc['data']['fingerprint'], 80)}"),
        ("Suite", f"{plain(doc['suite']['name'], 40)}, {_conditions(perturbed(report), 'perturbed ')}"),
        ("Findings", f"{plain(report.level_counts())}; worst: {level}"),
        ("Controls", controls),
    )
    return ["| | |", "|---|---|", *(row((f"**{name}**", said)) for name, said in lines)]


def _conditions(n: int, kind: str = "") -> str:
    return f"{count(n)} {kind}condition{'s' * (n != 1)}"


def verdict(sentences: Sequence[str]) -> str:
    """The verdict in three sentences."""
    return " ".join(plain(s, 2 * LONGEST_CLAIM) for s in sentences)


def alarms(report: Report, most: int) -> list[str]:
    """Controls that failed, and conditions that were not applied."""
    lines = [f"- **control failed**: {plain(line)}" for line in report.failed_controls()[:most]]
    lines += [f"- **not applied**: {plain(line)}" for line in report.idle_conditions()[:most]]
    return lines + [f"- **applied in part**: {plain(line)}" for line in report.partly_applied()[:most]]


def findings(report: Report, most: int) -> list[str]:
    """The worst findings, each with the command that shows its evidence."""
    lines = []
    for f in report.findings[:most]:
        lines.append(f"- {MARKS[f.level]} **{f.level}**: {plain(f.claim, LONGEST_CLAIM)}")
        lines += [f"  <br>{code(f.reproduce)}"] if f.reproduce else []
    left = len(report.findings) - most
    if left > 0:
        lines.append(f"- and {count(left)} more in the report")
    return lines or [f"No rule fired: none found its pattern beyond the 95{NBSP}% intervals."]


def conditions(report: Report, most: int) -> list[str]:
    """The conditions that cost most, as a table."""
    m, found = report.primary, worst(report)
    if not found:
        return ["No perturbed condition has a value."]
    titles = (
        "condition",
        plain(measure(m.name, m.unit, m.better)),
        "change against clean",
        "adjusted p",
        "lost above chance",
    )
    lines = table(titles, (_condition(report, c) for c in found[:most]), (False, True, True, True, True))
    left, none = len(found) - most, perturbed(report) - len(found)
    notes = [f"{_conditions(left)} that cost less {'is' if left == 1 else 'are'} left out."] if left > 0 else []
    notes += [f"{_conditions(none)} {'has' if none == 1 else 'have'} no value."] if none > 0 else []
    return [*lines, "", " ".join([f"95{NBSP}% intervals in brackets.", *notes])]


def _condition(report: Report, m: Measured) -> tuple[str, ...]:
    s = report.score(m.key, report.primary.name) or Score(m.key, "", report.primary.name)
    lost = estimate(s.lost, s.lost_low, s.lost_high, "share") if math.isfinite(s.lost) else number(math.nan)
    cells = (
        words(m.condition),
        estimate(s.value, s.low, s.high, s.unit),
        change(s.delta, s.delta_low, s.delta_high, s.unit) + (" ▼" if loss(s) > 0 and s.p_adjusted < 0.05 else ""),
        p_value(s.p_adjusted),
        lost,
    )
    return tuple(plain(cell, 120) for cell in cells)


def clean(report: Report) -> list[str]:
    """Metrics of unperturbed data that have a value, the primary one first."""
    order = [report.primary.name, *ON_CLEAN, "mean_confidence", "overconfidence"]
    names = sorted(report.metrics, key=lambda name: order.index(name) if name in order else len(order))
    rows = []
    for name in names:
        s = report.score(report.clean, name)
        if s is not None and math.isfinite(s.value):
            metric = report.metrics[name]
            chance = number(s.floor, s.unit) if math.isfinite(s.floor) else "none"
            value = estimate(s.value, s.low, s.high, s.unit)
            rows.append([plain(x, 120) for x in (readable(name), value, chance, f"{metric.better} is better")])
    rows = [[*cells[:3], cells[3].replace("neither is better", "no direction")] for cells in rows[:CLEAN_METRICS]]
    if not rows:
        return ["No metric has a value on unperturbed data."]
    return table(("metric", "unperturbed data", "chance", "direction"), rows, (False, True, True, False))


def untested(report: Report, most: int) -> list[str]:
    """What was not tested, and what no audit of this kind looks at."""
    found = scope(report)
    lines = [f"- {plain(g.what)}: {plain(g.why)}" for g in found.untested[:most]]
    left = len(found.untested) - most
    lines += [f"- and {count(left)} more in the report"] if left > 0 else []
    return lines + [f"- {line}" for line in found.outside]


def limits(report: Report, most: int) -> list[str]:
    """Limits that the audit itself recorded."""
    return [f"- {plain(line, LONGEST_CLAIM)}" for line in report.document["limits"][:most]]


def again(report: Report) -> list[str]:
    """How to make the numbers again."""
    found = reproduce(report)
    lines = [f"- Recorded command: {code(found.command, 400)}"] if found.command else []
    lines += [f"- Versions: {code(found.install, 400)}"] if found.install else []
    score = f"mmaudit score {found.folder or 'RUN'}"
    lines.append(f"- From stored answers, without the model: {code(score, 400)}")
    lines.append(f"- SHA-256 of `report.json`: `{found.digest}`")
    return lines
