"""The verdict as SARIF 2.1.0 (OASIS), for code scanning: what keeps the gate shut, at the line of the policy that asks.

Rules are the kinds of checks, so that their ids never change; a fingerprint is of what is asked, not of what came out,
so that a code host follows one alert from run to run.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from mmaudit.formats import printable
from mmaudit.gate.result import Check, Judged, Kind, Verdict
from mmaudit.gate.texts import sentence, shown_path, title
from mmaudit.types import digest

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST_RESULTS = 5000
"""More than GitHub shows."""
RULES: dict[Kind, str] = {
    "value": "A metric is beyond its limit.",
    "estimate": "An estimate of reliance or synergy is beyond its limit.",
    "drop": "A metric drops more than is allowed against clean data.",
    "lost": "A metric loses more than is allowed of what it has above chance.",
    "regression": "A metric is worse than in the previous run by more than is allowed.",
    "growth": "A drop against clean data has grown since the previous run by more than is allowed.",
    "finding": "The audit has a finding above the allowed level.",
    "control": "A control of the audit failed, so none of its numbers can be relied on.",
    "run": "The run is not finished.",
    "policy": "The policy asks for something that the run does not have.",
}


def sarif(verdict: Verdict) -> str:
    """Return the verdict as SARIF; the same verdict gives the same text."""
    found = [(judged, check) for judged in verdict.judged for check in judged.checks if check.outcome != "pass"]
    # What stops the gate comes first, where there are more results than a code host takes.
    found.sort(key=lambda pair: not pair[0].stops(pair[1]))
    run: dict[str, Any] = {
        "tool": {"driver": _driver()},
        "automationDetails": {"id": f"mmaudit-gate/{printable(verdict.policy)}"},
        "invocations": [{"executionSuccessful": True, "exitCode": 0 if verdict.ok else 1}],
        "columnKind": "utf16CodeUnits",
        "results": [_result(verdict, judged, check) for judged, check in found[:MOST_RESULTS]],
        "properties": {"ok": verdict.ok, "resultsLeftOut": max(len(found) - MOST_RESULTS, 0)},
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _driver() -> dict[str, Any]:
    return {
        "name": "mmaudit gate",
        "version": version("mmaudit"),
        "rules": [
            {
                "id": f"mmaudit/{kind}",
                "name": f"{kind.capitalize()}Requirement",
                "shortDescription": {"text": said},
                "fullDescription": {
                    "text": f"{said} The bound of the 95\u00a0% interval decides, not the point value."
                },
                "help": {"text": "docs/gate.md of mmaudit says what each requirement means and what to do."},
                "defaultConfiguration": {"level": "error"},
            }
            for kind, said in RULES.items()
        ],
    }


def _result(verdict: Verdict, judged: Judged, check: Check) -> dict[str, Any]:
    numbers = {name: getattr(check, name) for name in ("value", "low", "high", "limit", "n")}
    return {
        "ruleId": f"mmaudit/{check.kind}",
        "ruleIndex": list(RULES).index(check.kind),
        "level": "error" if judged.stops(check) else "note",
        "message": {"text": _linkless(f"{printable(judged.name)}: {sentence(check)}")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": quote(shown_path(verdict.file or "policy.toml"), errors="surrogateescape")
                    },
                    "region": {"startLine": judged.line},
                }
            }
        ],
        "partialFingerprints": {"mmauditRequirement/v1": digest(verdict.policy, judged.name, check.id)},
        "properties": {
            "requirement": printable(judged.name),
            "check": title(check),
            "outcome": check.outcome,
            "unit": printable(check.unit),
            **{name: value for name, value in numbers.items() if math.isfinite(value)},
        },
    }


def _linkless(text: str) -> str:
    """Text in which `[a](b)` is no link: SARIF's plain messages have them (3.11.6)."""
    return text.replace("](", "] (")
