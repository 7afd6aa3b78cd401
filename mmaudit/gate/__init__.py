"""Does a run meet a policy? For continuous integration.

    from mmaudit.gate import judge, read_policy

    verdict = judge("runs/mine", read_policy("policy.toml"), against="runs/previous")
    verdict.outcome     # "pass", "fail" or "undecided"

Bounds of intervals decide, never point values. What cannot be checked fails, with the reason. See `docs/gate.md`.
"""

from mmaudit.gate.judge import judge, judge_report
from mmaudit.gate.policy import Bound, FindingsAllowed, Policy, Requirement
from mmaudit.gate.reading import policy_from, read_policy
from mmaudit.gate.result import Check, Judged, Verdict

__all__ = [
    "Bound",
    "Check",
    "FindingsAllowed",
    "Judged",
    "Policy",
    "Requirement",
    "Verdict",
    "judge",
    "judge_report",
    "policy_from",
    "read_policy",
]
