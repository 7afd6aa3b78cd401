"""How a control or a check of the model came out, in one word, and the mark that stands for it on every surface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

PASSED, FAILED, WARNING, SKIPPED, NOT_APPLIED = "passed", "failed", "warning", "skipped", "not applied"
IN_PART = "applied in part"
MARKS = {
    PASSED: "✓ passed",
    FAILED: "✗ FAILED",
    WARNING: "! warning",
    SKIPPED: "– skipped",
    NOT_APPLIED: "! not applied",
    IN_PART: "! applied in part",
}


def control_state(control: Mapping[str, Any]) -> str:
    """A condition that changed nothing says nothing; unlike a failed control it casts no doubt on the others."""
    if control["ok"]:
        return PASSED
    if control["control"] != "applied":
        return FAILED
    return IN_PART if control.get("left") else NOT_APPLIED


def check_state(check: Mapping[str, Any]) -> str:
    """Runs made before warnings were told apart have none."""
    if check["ok"] is None:
        return WARNING if check.get("warning") else SKIPPED
    return PASSED if check["ok"] else FAILED


def counted(checks: Iterable[Mapping[str, Any]]) -> str:
    """How many of the model's checks came out how: `11 passed, 0 failed, 1 warning, 1 skipped`."""
    n = Counter(check_state(c) for c in checks)
    warnings = [f"{n[WARNING]} warning{'s' * (n[WARNING] > 1)}"] if n[WARNING] else []
    return ", ".join([f"{n[PASSED]} passed", f"{n[FAILED]} failed", *warnings, f"{n[SKIPPED]} skipped"])
