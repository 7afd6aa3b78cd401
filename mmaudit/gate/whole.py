"""What concerns a run as a whole: whether it is finished, its controls, its findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.folder import require_free
from mmaudit.formats import shorten
from mmaudit.gate.policy import FindingsAllowed
from mmaudit.gate.result import Check, Judged
from mmaudit.gate.wording import LABEL
from mmaudit.report import Report
from mmaudit.store import Run

LONGEST_CLAIM = 1000


def unfinished(path: Path) -> str:
    """Why a run is not finished; empty where it is, and for a report without its run.

    Raises:
        BadInput: there is no run.
        DamagedRun: run.json cannot be read.
        StaleRun: it was written by a newer mmaudit.
    """
    if not path.is_dir() or not (path / "run.json").is_file():
        return ""  # then there must be a report; reading it says so
    run = Run.open(path)
    try:
        require_free(path)
    except BadInput:
        return "another process is writing to it; wait until that is done"
    except OSError:
        pass  # a file system without locks
    if (path / "report.json").is_file():
        return ""
    try:
        files = [run.file(*piece) for piece in run.pieces()]
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise DamagedRun(f"{path / 'run.json'} does not describe a run ({error!r}); audit again.") from error
    done = sum(file.exists() for file in files)
    what = "score it with 'mmaudit score'" if done == len(files) else "run the same audit again to finish it"
    return f"it has {done} of {len(files)} prediction files and no report; {what}"


def outdated(path: Path, report: Report) -> str:
    """Why a report does not cover its run's plan; empty where it does.

    Raises:
        DamagedRun: run.json does not describe a run.
        StaleRun: the report is of another model or data set than the run.
    """
    if not path.is_dir() or not (path / "run.json").is_file():
        return ""
    run = Run.open(path)
    try:
        planned = {c.key for c in run.conditions}
        prints = {name: run.header[name]["fingerprint"] for name in ("model", "data")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedRun(f"{path / 'run.json'} does not describe a run ({error!r}); audit again.") from error
    for what, fingerprint in prints.items():
        reported = report.document[what]["fingerprint"]
        if reported != fingerprint:
            raise StaleRun(
                f"{path / 'report.json'} is of another {what} ({shorten(str(reported), LABEL)}) than the run "
                f"({shorten(str(fingerprint), LABEL)}); run: mmaudit score {path}"
            )
    lacking = len(planned - {m.key for m in report.conditions})
    many = "condition is" if lacking == 1 else "conditions are"
    return f"{lacking} planned {many} not in its report; run the same audit again to finish it" if lacking else ""


def findings(allowed: FindingsAllowed, report: Report) -> Judged:
    """Hold the findings against the gravest level that is allowed."""
    checks = [
        Check(
            "finding",
            "fail",
            f"{f.level}: {shorten(f.claim, LONGEST_CLAIM)}",
            about=f"{f.rule} {f.id}",
            reason=f"findings above {allowed.worst} are not allowed",
        )
        for f in report.findings
        if not allowed.accepts(f.rule, f.id, f.level)
    ]
    said = "there is no finding" if allowed.worst == "none" else f"there is no finding above {allowed.worst}"
    if accepted := sum(f.rule in allowed.accept or f.id in allowed.accept for f in report.findings):
        said += f", apart from {accepted} that the policy accepts"
    passed = Check("finding", "pass", f"{said}.", about="findings")
    return Judged("findings", allowed.line, tuple(checks) or (passed,))


def controls(report: Report) -> Judged:
    """Judge a run by its own controls: identity must change nothing, destroy must leave chance."""
    return Judged("controls", 1, tuple(_controls(report)))


def _controls(report: Report) -> Iterator[Check]:
    found = [c for c in report.document["controls"] if c["control"] != "applied"]
    if not found:
        lacking = "the run has no control, so nothing speaks for its soundness"
        yield Check("control", "fail", f"{lacking}.", about="controls", reason=lacking)
    for c in found:
        name = c["control"] if c["label"] in ("", c["control"]) else c["label"]
        said = f"control {shorten(name, LABEL)}: {shorten(c['message'], LONGEST_CLAIM)}"
        why = "" if c["ok"] else "a failed control takes back every number of the run"
        yield Check("control", "pass" if c["ok"] else "fail", said, about=name, reason=why)
