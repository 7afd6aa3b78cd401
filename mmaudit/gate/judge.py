"""A run and a policy in, a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmaudit.errors import BadInput
from mmaudit.formats import shorten
from mmaudit.gate.conditions import of_conditions, of_summaries
from mmaudit.gate.estimated import columns_of, of_estimates
from mmaudit.gate.holding import missing
from mmaudit.gate.policy import Policy, Requirement
from mmaudit.gate.result import Check, Judged, Verdict
from mmaudit.gate.selection import groups_of, nearest
from mmaudit.gate.subject import Previous, Subject
from mmaudit.gate.whole import controls, findings, outdated, unfinished
from mmaudit.gate.wording import LABEL
from mmaudit.place import place
from mmaudit.report import Report
from mmaudit.store import Run


def judge(run: str | Path, policy: Policy, *, against: str | Path | None = None) -> Verdict:
    """Say whether a run meets a policy.

    Args:
        run: a run folder; without `against` a report.json will do.
        policy: see `read_policy`.
        against: folder of the previous run, where the policy compares with one.

    Returns:
        The verdict. What cannot be checked fails with its reason: a condition, metric or group that the run does not
        have, an undefined value, a run that is not finished.

    Raises:
        BadInput: there is no run, or the policy compares with a previous run and none is given, or the reverse.
        DamagedRun: a file of a run cannot be read.
        StaleRun: a run or report was written by a newer mmaudit, or the report is not of the run.
    """
    path = place(run)
    if policy.needs_previous and against is None:
        asked = next(r.name for r in policy.requirements if r.needs_previous)
        raise BadInput(f"requirement {asked!r} compares with a previous run; give it by --against RUN.")
    if against is not None and not policy.needs_previous:
        raise BadInput(
            f"a previous run is given, {against}, but no requirement compares with it; add max_regression to one, "
            "or leave --against out."
        )
    if reason := unfinished(path):
        return _unfinished(path, policy, reason)
    report = Report.read(path)
    if reason := outdated(path, report):
        return _unfinished(path, policy, reason)
    previous = None
    if against is not None:
        from mmaudit.gate.against import compared

        previous = compared(path, against, policy, report)
    before = str(place(against)) if against else ""
    return judge_report(report, policy, previous=previous, folder=str(path), before=before)


def judge_report(
    report: Report, policy: Policy, *, previous: Previous | None = None, folder: str = "", before: str = ""
) -> Verdict:
    """Say whether a report meets a policy; `folder` and `before` are what the run and the `previous` one are called."""
    subject = Subject(report, policy, previous)
    judged = [_requirement(r, subject) for r in policy.requirements]
    if policy.findings is not None:
        judged.append(findings(policy.findings, report))
    if policy.controls == "fail":
        judged.append(controls(report))
    return Verdict(policy.name, policy.file, _run(report, folder), tuple(judged), _previous(previous, before))


def _requirement(requirement: Requirement, subject: Subject) -> Judged:
    """Return a requirement with its checks; there is at least one, as what nothing matches fails."""
    known = columns_of(requirement.estimate, subject) if requirement.estimate else subject.group_columns
    groups = groups_of(requirement, known)
    checks: list[Check] = []
    if requirement.estimate:
        checks += of_estimates(requirement, subject, groups.names)
    for asked in requirement.metrics:
        name = subject.report.primary.name if asked == "primary" else asked
        if name not in subject.metrics:
            checks.append(missing(f"the run has no metric '{shorten(name, LABEL)}'{nearest(name, subject.metrics)}"))
        elif subject.sums_up(name):
            checks += of_summaries(requirement, subject, name)
        else:
            checks += of_conditions(requirement, subject, name, groups.names)
            if requirement.needs_previous:
                from mmaudit.gate.against import of_differences

                checks += of_differences(requirement, subject, name, groups.names)
    checks += map(missing, groups.lacking)
    # Two metrics lack the same condition for one reason, which is said once.
    unique = tuple({(check.id, check.sentence): check for check in checks}.values())
    allowed = subject.policy.allows_undecided(requirement)
    return Judged(requirement.name, requirement.line, unique, allowed, groups.left_out)


def _unfinished(path: Path, policy: Policy, reason: str) -> Verdict:
    """Return the verdict on a run that is not finished: nothing of it is judged, so everything fails."""
    check = Check("run", "fail", f"the run is not finished: {reason}.", about="run", reason=reason)
    asked = [(r.name, r.line) for r in policy.requirements]
    if policy.findings is not None:
        asked.append(("findings", policy.findings.line))
    header = Run.open(path).header
    about = {"folder": str(path), "title": str(header.get("title", "")), "created": str(header.get("created", ""))}
    return Verdict(policy.name, policy.file, about, tuple(Judged(name, line, (check,)) for name, line in asked))


def _run(report: Report, folder: str) -> dict[str, Any]:
    document = report.document
    return {
        "folder": folder,
        "title": document["title"],
        "created": document["created"],
        "mmaudit": document["mmaudit"],
        "model": document["model"]["name"],
        "fingerprints": {name: document[name]["fingerprint"] for name in ("model", "data")},
        "n": document["data"]["n"],
        "conditions": len(report.conditions),
    }


def _previous(previous: Previous | None, folder: str) -> Mapping[str, Any]:
    if previous is None:
        return {}
    side, pairing = previous.comparison.first, previous.comparison.pairings[0]
    return {
        "folder": folder,
        "title": side.title,
        "created": side.created,
        "model": side.model,
        "fingerprints": {"model": side.fingerprint, "data": side.data},
        "n": side.n,
        "conditions": side.conditions,
        "paired": pairing.paired,
        "shared": pairing.n_other if pairing.paired else 0,
        "reason": pairing.reason,
        "remarks": list(pairing.remarks),
    }
