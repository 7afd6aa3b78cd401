"""Findings: claims drawn from scores by rules, on interval bounds, never on bare estimates."""

from mmaudit.findings import broken, calibration, conflict, controls, fusion, reference, reliance, synergy
from mmaudit.findings.base import Evidence, Rule, find, rule, rules

__all__ = [
    "Evidence",
    "Rule",
    "broken",
    "calibration",
    "conflict",
    "controls",
    "find",
    "fusion",
    "reference",
    "reliance",
    "rule",
    "rules",
    "synergy",
]
