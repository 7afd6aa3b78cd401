"""The words of a report, for a reader who meets them the first time: those that this report uses, and no others."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from mmaudit.report import Report
from mmaudit.report_schema import asset

FILE = "glossary.toml"


@dataclass(frozen=True)
class Term:
    """A word and what it means here."""

    name: str
    means: str


def glossary(report: Report) -> tuple[Term, ...]:
    """Return the terms that a report uses, by name."""
    used = set(_used(report))
    found = (Term(name, means) for name, means, when in _terms() if used & when)
    return tuple(sorted(found, key=lambda t: t.name.casefold()))


@cache
def _terms() -> tuple[tuple[str, str, frozenset[str]], ...]:
    read = tomllib.loads(asset(FILE).read_text(encoding="utf-8"))
    return tuple((t["name"], t["means"], frozenset(t["when"])) for t in read["term"])


def _used(report: Report) -> Iterator[str]:
    """What a report holds, in the words of `when`."""
    doc = report.document
    yield "always"
    yield f"task:{doc['task']['kind']}"
    for m in report.conditions:
        yield f"family:{m.condition.family}"
        yield f"probe:{m.condition.probe}"
        yield from (f"option:{name}={value}" for name, value in m.condition.options)
        if m.condition.position is not None:
            yield "has:severity"
    for s in report.rows:
        yield f"metric:{s.metric}"
        if s.unit == "share":
            yield "has:share"
        if math.isfinite(s.floor):
            yield "has:floor"
    for f in report.findings:
        yield "has:findings"
        yield f"level:{f.level}"
        yield f"rule:{f.rule}"
    yield from (f"has:{entry['family']}" for entry in doc.get("estimates", ()))
    present = {
        "declined": doc["declined"],
        "clusters": doc["data"]["clusters"],
        "groups": doc["data"]["groups"],
        "recalibration": doc["recalibration"],
        "scale": doc.get("severity_scales"),
        "references": "rows" in doc.get("references", {}),
    }
    yield from (f"has:{name}" for name, there in present.items() if there)
