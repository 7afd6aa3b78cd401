"""The worst samples as the template shows them: both sides of every modality, both answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmaudit.figures.base import words
from mmaudit.formats import number, shorten
from mmaudit.render.samples import Budget
from mmaudit.render.samples import sides as both_sides
from mmaudit.report import Report


def examples(report: Report, budget: Budget) -> Sequence[Mapping[str, Any]]:
    """One entry per sample; the first few show different conditions. Pictures beyond the budget become notes."""
    by_key = {m.key: m.condition for m in report.conditions}
    found = []
    for e in report.document["examples"]:
        condition = by_key.get(e["condition"])
        modalities = []
        for m in e["modalities"]:
            one = {"name": m["name"], "kind": m["kind"], "changed": m["changed"]}
            one["original"], one["perturbed"] = both_sides(
                m["original"], m["perturbed"] if m["changed"] else None, budget
            )
            modalities.append(one)
        found.append(
            {
                "what": words(condition) if condition else shorten(e["label"], 80),
                "sample": str(e["sample"]),
                "target": e["target"],
                "clean": _prediction(e["clean"], e["target"]),
                "perturbed": _prediction(e["perturbed"], e["target"]),
                "modalities": modalities,
                "regression": report.document["task"]["kind"] == "regression",
            }
        )
    # One sample of each condition, then a second of each: the first few show different things.
    place = {id(e): [x["what"] for x in found[:i]].count(e["what"]) for i, e in enumerate(found)}
    return sorted(found, key=lambda e: place[id(e)])


def _prediction(p: Mapping[str, Any], target: str) -> dict[str, Any]:
    sure = "" if p["confidence"] is None else number(float(p["confidence"]), "share")
    return {"answer": p["prediction"], "confidence": sure, "right": p["prediction"] == target}
