"""What `mmaudit list` shows: everything that is registered, as plain rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmaudit.errors import BadInput, UnknownName
from mmaudit.place import place

Row = dict[str, Any]


_SHOWN = 5
"""Runs below a folder that an error names."""


def names(what: str) -> list[Row]:
    """Rows with `name` first: of a sort of plug-in, or of a run folder's conditions.

    Raises:
        BadInput: it is a folder without a run; names the runs that lie in it.
        UnknownName: it is no sort and no folder.
    """
    if what in _LISTS:
        return _LISTS[what]()
    folder = place(what)
    if (folder / "run.json").exists():
        from mmaudit.store import Run

        return [{"name": c.label, "family": c.family, "key": c.key} for c in Run.open(what).conditions]
    if folder.is_dir():
        runs = sorted(str(file.parent) for file in folder.glob("*/run.json"))
        more = ", …" if len(runs) > _SHOWN else ""
        raise BadInput(
            f"{folder} is not a run folder: it has no run.json; "
            + (f"give one of the runs in it: {', '.join(runs[:_SHOWN])}{more}." if runs else "there is no run in it.")
        )
    raise UnknownName("list", what, tuple(_LISTS))


def sorts() -> list[Row]:
    """A row for each sort of plug-in that `names` knows: how many there are, and what they are."""
    return [{"name": name, "count": len(rows()), "summary": SORTS[name]} for name, rows in _LISTS.items()]


def _probes() -> list[Row]:
    from mmaudit.probes import probes

    return [
        {
            "name": p.name,
            "family": p.family,
            "kinds": list(p.kinds),
            "summary": p.summary,
            "severities": list(p.severities),
            "unit": p.unit,
            "version": p.version,
            "source": p.source,
            "changes_meaning": p.changes_meaning,
            "not_monotone": p.not_monotone,
        }
        for p in probes
    ]


def _metrics() -> list[Row]:
    from mmaudit.metrics import metrics

    return [
        {"name": m.name, "better": m.better, "unit": m.unit, "tasks": ", ".join(m.tasks), "summary": m.summary}
        for m in metrics
    ]


def _estimators() -> list[Row]:
    from mmaudit.estimates import estimators

    return [
        {"name": e.name, "family": e.family, "unit": e.unit, "summary": e.summary, "source": e.source}
        for e in estimators
    ]


def _analyses() -> list[Row]:
    from mmaudit.plan import ANALYSES

    return [{"name": name, "summary": summary} for name, summary in ANALYSES.items()]


def _rules() -> list[Row]:
    from mmaudit.findings.base import rules

    return [{"name": r.name, "level": r.level, "summary": r.summary} for r in rules]


def _suites() -> list[Row]:
    from mmaudit.plan import SUITES

    return [{"name": s.name, "probes": ", ".join(s.probes), "analyses": ", ".join(s.analyses)} for s in SUITES.values()]


def _references() -> list[Row]:
    from mmaudit.reference import methods
    from mmaudit.reference.base import references

    del methods  # importing it registers them
    return [{"name": m.name, "title": m.title, "summary": m.summary, "source": m.source} for m in references]


def _reproductions() -> list[Row]:
    from mmaudit.reproduce import experiments
    from mmaudit.reproduce.base import reproductions

    del experiments
    return [{"name": r.name, "title": r.title, "source": r.source} for r in reproductions]


_LISTS: dict[str, Callable[[], list[Row]]] = {
    "probes": _probes,
    "metrics": _metrics,
    "estimators": _estimators,
    "analyses": _analyses,
    "references": _references,
    "reproductions": _reproductions,
    "rules": _rules,
    "suites": _suites,
}
SORTS = {
    "probes": "what is done to the data: missing, mismatched and corrupted modalities",
    "metrics": "what is measured on the answers",
    "estimators": "how reliance on modalities, and synergy, are estimated",
    "analyses": "what an audit does besides asking under conditions",
    "references": "published methods that `mmaudit reference` trains for comparison",
    "reproductions": "published experiments that `mmaudit reproduce` runs again",
    "rules": "what makes a finding",
    "suites": "choices of probes and analyses, for --suite",
}
