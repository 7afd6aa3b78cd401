"""The verdict as JUnit XML, as GitLab, Jenkins and GitHub actions read it: a suite per requirement, a case per check.

GitLab tells cases apart by `classname` and `name`, and shows the text within `failure`, not its `message`; Jenkins
takes what stands before the last dot of `classname` as the package. An undecided check that the policy allows is
`skipped`: it neither passed nor failed. A run that is not finished is an `error`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from mmaudit.formats import printable, shorten
from mmaudit.gate.result import Check, Judged, Verdict
from mmaudit.gate.texts import NAME, command, sentence, shown_path, titles


def junit(verdict: Verdict) -> str:
    """Return the verdict as JUnit XML; the same verdict gives the same text."""
    root = ET.Element("testsuites", {"name": f"mmaudit gate: {shorten(verdict.policy, NAME)}"})
    suites = [_suite(root, verdict, judged) for judged in verdict.judged]
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    root.set("time", "0")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, verdict: Verdict, judged: Judged) -> ET.Element:
    suite = ET.SubElement(root, "testsuite", {"name": shorten(judged.name, NAME), "time": "0"})
    if stamp := re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", str(verdict.run.get("created", ""))):
        suite.set("timestamp", stamp[0])
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(verdict, judged):
        ET.SubElement(properties, "property", {"name": name, "value": shorten(value, NAME)})
    classname = ".".join(shorten(name, NAME).replace(".", "_") for name in (verdict.policy, judged.name))
    place = {"file": printable(shown_path(verdict.file)), "line": str(judged.line)} if verdict.file else {}
    said: list[str] = []
    for name, check in titles(judged.checks):
        case = ET.SubElement(suite, "testcase", {"classname": classname, "name": name, "time": "0", **place})
        if check.outcome == "pass":
            continue
        tag = _tag(check, judged)
        said.append(tag)
        about = {"message": sentence(check)}
        if tag != "skipped":
            about["type"] = check.kind if check.outcome == "fail" else "undecided"
        ET.SubElement(case, tag, about).text = _body(check, verdict)
    suite.set("tests", str(len(judged.checks)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(said.count(tag)))
    return suite


def _tag(check: Check, judged: Judged) -> str:
    if not judged.stops(check):
        return "skipped"
    return "error" if check.kind == "run" else "failure"


def _body(check: Check, verdict: Verdict) -> str:
    more = command(check, verdict.run)
    lines = [sentence(check), f"n = {check.n}" if check.n else "", f"to see more: {more}" if more else ""]
    return printable("\n".join(line for line in lines if line))


def _properties(verdict: Verdict, judged: Judged) -> list[tuple[str, str]]:
    run = verdict.run
    known = [("run", run.get("folder")), ("title", run.get("title")), ("model", run.get("model"))]
    known += [(f"{what} fingerprint", value) for what, value in dict(run.get("fingerprints", {})).items()]
    known += [("samples", run.get("n")), ("mmaudit", run.get("mmaudit")), ("against", verdict.against.get("folder"))]
    known += [("left out", ", ".join(judged.left_out))]
    return [(name, str(value)) for name, value in known if value]
