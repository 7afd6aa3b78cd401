"""From a scored run to its report: values only, ready to be rendered, browsed or read by a script."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from mmaudit.by_output import BY_OUTPUT, columns_and_rows
from mmaudit.desync import DESCRIPTIONS
from mmaudit.errors import DamagedRun
from mmaudit.estimates import estimators
from mmaudit.findings.base import Evidence, find
from mmaudit.folder import write_atomically
from mmaudit.interaction import described
from mmaudit.limits import limits, unseen
from mmaudit.memory import give_back
from mmaudit.metrics import metrics
from mmaudit.metrics.primary import PRIMARY
from mmaudit.panel.file import panel_or_reason
from mmaudit.provenance import provenance
from mmaudit.report import Report
from mmaudit.report_schema import SCHEMA
from mmaudit.score import BOOTSTRAP_FILE, evidence, read_table
from mmaudit.store import Run
from mmaudit.summaries import INSTANCE_WORST_CASE, SUMMARIES
from mmaudit.timing import Timing
from mmaudit.types import Finding, Score

DEEPEST = 32  # levels of lists and tables in what is written beside the scores, several times over


def assemble(run: Run, *, timing: Timing | None = None) -> Report:
    """Draw the findings, build the report of a scored run, and write findings.json, report.json and report.html.

    Args:
        run: scored by `mmaudit.score.score`.
        timing: of the audit that just ran; kept beside the run, in timing.json, for later reports.
    """
    if timing is not None:
        write_atomically(run.folder / "timing.json", _json(asdict(timing)))
    give_back()  # what scoring took, before the page takes its own
    seen = evidence(run)
    findings = find(seen)
    write_atomically(run.folder / "findings.json", _json([finding_json(f) for f in findings]))
    report = Report.from_json(report_json(run, seen, findings))
    report.to_json(run.folder / "report.json")
    report.to_html(run.folder / "report.html")
    return report


def report_json(run: Run, seen: Evidence, findings: list[Finding]) -> dict[str, Any]:
    """The whole report as plain JSON values, NaN as null; `mmaudit.report` documents the schema."""
    header = run.header
    samples = run.samples
    applied = {row["condition"]: row for row in read_table(run, "conditions.parquet")}
    columns = list(Score.__dataclass_fields__)
    primary = metrics.get(PRIMARY[run.task.kind])
    rows = read_table(run, "scores.parquet")
    content = {
        "schema": SCHEMA,
        "title": header["title"],
        "created": header["created"],
        "mmaudit": version("mmaudit"),
        "command": header["command"],
        "model": header["model"],
        "data": {
            "n": run.n,
            "fingerprint": header["data"]["fingerprint"],
            "modalities": [{**m, "present": float(samples.present[m["name"]].mean())} for m in header["modalities"]],
            "groups": {
                name: dict(zip(*(x.tolist() for x in np.unique(values.astype(str), return_counts=True)), strict=True))
                for name, values in samples.groups.items()
            },
            "cluster": "cluster" if samples.cluster is not None else None,
            "clusters": len(np.unique(samples.cluster.astype(str))) if samples.cluster is not None else None,
            "unseen": unseen(run, seen),
        },
        "task": header["task"],
        "suite": header["suite"],
        "bootstrap": _read_json(run, BOOTSTRAP_FILE, {}),
        "primary": primary.name,
        "scenarios": header.get("scenarios", []),
        "severity_scales": list(header.get("severity_scales", {}).values()),
        "conditions": [
            {**c.to_json(), **{k: v for k, v in applied[c.key].items() if k not in ("condition", "left")}}
            for c in run.conditions
        ],
        "declined": header["declined"],
        "controls": [c.to_json() for c in seen.controls],
        "checks": header["checks"],
        "metrics": [
            {"name": m.name, "better": m.better, "unit": m.unit_of(run.task), "summary": m.summary}
            for m in metrics
            if run.task.kind in m.tasks
        ]
        + [
            {
                "name": s.name,
                "better": s.better or primary.better,
                "unit": primary.unit_of(run.task) if s.unit is None else s.unit,
                "summary": s.summary,
            }
            for s in (*SUMMARIES, INSTANCE_WORST_CASE)
        ]
        + [dict(zip(("name", "better", "unit", "summary"), d, strict=True)) for d in DESCRIPTIONS]
        + [
            {"name": e.name, "better": e.better, "unit": unit, "summary": f"{e.summary} ({e.source})"}
            for e, unit in {estimators.get(e.estimator): e.unit for e in seen.estimates}.items()
        ]
        + (described(primary, run.task) if any(c.probe == "surface" for c in run.conditions) else []),
        "scores": {"columns": columns, "rows": [[row[c] for c in columns] for row in rows]},
        "reliability": read_table(run, "reliability.parquet"),
        "risk_coverage": read_table(run, "risk_coverage.parquet"),
        "recalibration": read_table(run, "recalibration.parquet"),
        "arbitration": read_table(run, "arbitration.parquet"),
        BY_OUTPUT: columns_and_rows(read_table(run, f"{BY_OUTPUT}.parquet")),
        "estimates": [e.to_json() for e in seen.estimates],
        "synergy": {
            **provenance(run),
            "explanations": seen.explanations,
            "disagreements": seen.disagreements,
            "not_analysed": header.get("not_analysed", {}),
        },
        "references": _references(run),
        "synergy_samples": _read_json(run, "synergy_samples.json", []),
        "findings": [finding_json(f) for f in findings],
        "examples": _read_json(run, "examples.json", []),
        "gallery": (run.folder / "gallery.html").exists(),
        "budget": _budget(run),
        "limits": [],
        "environment": header["environment"],
        # Where the same bytes are asked for, the one part that can never be the same is left out.
        "timing": {} if os.environ.get("SOURCE_DATE_EPOCH") else _read_json(run, "timing.json", {}),
    }
    plain: dict[str, Any] = _plain(content)
    plain["limits"] = limits(run, seen, Report(plain))
    return plain


def _budget(run: Run) -> dict[str, Any] | None:
    """What a budget left unmeasured; None where it left nothing, or there was none."""
    counts, given = run.counts, run.header.get("budget") or {}
    partial = sum(k < run.n for k in counts)
    if not partial:
        return None
    return {
        "forwards": given.get("forwards"),
        "seconds": given.get("seconds"),
        "answers": sum(counts),
        "planned": run.n * len(counts),
        "partial": partial,
        "fewest": min(counts),
        "most": max(counts),
    }


def _references(run: Run) -> dict[str, Any]:
    """The panel of reference methods; why there is none to show where there was one; empty without."""
    panel, reason = panel_or_reason(run)
    return panel.to_json() if panel else {"reason": reason} if reason else {}


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as plain values, with its stable id."""
    return {**asdict(finding), "id": finding.id}


def _read_json(run: Run, name: str, default: Any) -> Any:
    path = run.folder / name
    if not path.exists():
        return default
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedRun(f"{path} is damaged ({error}); delete it to score the run without.") from None
    if type(value) is not type(default) or not _within(value, DEEPEST):
        raise DamagedRun(f"{path} is damaged (of another form); delete it to score the run without.")
    return value


def _within(value: Any, levels: int) -> bool:
    """Whether lists and tables are nested in no more than so many levels."""
    inside = [value]
    for _ in range(levels):
        inside = [x for v in inside if isinstance(v, dict | list) for x in (v.values() if isinstance(v, dict) else v)]
    return not inside


def _plain(value: Any) -> Any:
    """Tuples as lists, NaN and infinities as None, NumPy numbers as Python's."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _json(value: Any) -> bytes:
    return (json.dumps(_plain(value), indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
