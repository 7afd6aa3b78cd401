"""JUnit XML, SARIF, step summary and annotations: valid for their readers, whatever names a run holds."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from junitparser import TestSuite as Suite

from helpers.gate_reports import document
from mmaudit.gate import judge_report, policy_from
from mmaudit.gate.github import (
    LARGEST_SUMMARY,
    MOST_ANNOTATIONS,
    escaped,
    log_line,
    summary,
    workflow_commands,
)
from mmaudit.gate.junit import junit
from mmaudit.gate.result import Check, Judged, Verdict
from mmaudit.gate.sarif import MOST_RESULTS, RULES, sarif
from mmaudit.gate.texts import sentence, shown_path
from mmaudit.report import Report
from mmaudit.types import Condition

HOSTILE = [
    "]]><script>alert(1)</script>",
    "\x00\x1b[31m\x08bell\x07",
    "two\r\nlines\u2028and a half",
    "::error file=x::owned",
    "##[add-path]/tmp",
    "[click](http://evil.example) ![i](x) <img src=x> @team #1 www.evil.example `code` |",
    "\u202eright to left\u202c",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\ud800 lone surrogate",
    "\ufffe\uffff",
    "&lt;&amp;&#0;",
    "x" * 10_000,
    "",
    " ",
]


def check(about: str = "clean", outcome: Any = "fail", **more: Any) -> Check:
    values: dict[str, Any] = {"metric": "accuracy", "limit": 0.9, "value": 0.8, "low": 0.7, "high": 0.85, "n": 50}
    return Check("value", outcome, f"accuracy of {about} is 80 %.", about, f"key of {about[:20]}", **{**values, **more})


def verdict(*judged: Judged, **more: Any) -> Verdict:
    run = {"folder": "runs/new", "title": "a run", "model": "m", "n": 50, "created": "2026-11-21T15:55:58+00:00"}
    run |= {"fingerprints": {"model": "ab", "data": "cd"}, "mmaudit": "0.1.0", **more}
    return Verdict("release", "policies/p.toml", run, judged)


def hostile() -> Verdict:
    requirements = []
    for i, name in enumerate(HOSTILE):
        # The last two cannot be told apart by anything but their place.
        checks = (check(name, group=name), check(name), check(name))
        requirements.append(Judged(name or "empty", i + 1, checks, left_out=(name,)))
    bad = HOSTILE[5] + HOSTILE[1]
    return Verdict(bad, f"p {bad}.toml", {"folder": bad, "title": bad, "model": bad, "n": 3}, tuple(requirements))


MIXED = verdict(
    Judged("passes", 3, (check(outcome="pass"),)),
    Judged("fails", 7, (check(outcome="pass"), check("blur", reason="too dark"), check("noise", "undecided"))),
    Judged("allowed", 12, (check(outcome="undecided"),), allows_undecided=True),
    Judged("unfinished", 15, (Check("run", "fail", "the run is not finished.", "run", reason="no report"),)),
)


# ---- JUnit


def read_junit(text: str) -> list[Suite]:
    read = JUnitXml.fromstring(text.encode("utf-8"))
    assert isinstance(read, JUnitXml)
    return list(read)


def test_junit_says_what_came_out_case_by_case() -> None:
    suites = read_junit(junit(MIXED))
    assert [s.name for s in suites] == ["passes", "fails", "allowed", "unfinished"]
    assert [(s.tests, s.failures, s.errors, s.skipped) for s in suites] == [
        (1, 0, 0, 0),
        (3, 2, 0, 0),
        (1, 0, 0, 1),
        (1, 0, 1, 0),
    ]
    results = [[type(r) for case in suite for r in case.result] for suite in suites]
    assert results == [[], [Failure, Failure], [Skipped], [Error]]
    cases = list(suites[1])
    assert [c.name for c in cases] == ["accuracy max: clean", "accuracy max: blur", "accuracy max: noise"]
    assert {c.classname for c in cases} == {"release.fails"}
    failure = cases[1].result[0]
    assert failure.message == "accuracy of blur is 80 %."
    assert "mmaudit score runs/new --metric accuracy --condition blur" in failure.text
    assert "n = 50" in failure.text
    assert cases[2].result[0].type == "undecided"
    properties = {p.name: p.value for p in suites[0].properties()}
    assert properties["model fingerprint"] == "ab"
    assert properties["samples"] == "50"


def test_junit_keeps_to_what_the_readers_rely_on() -> None:
    root = ET.fromstring(junit(MIXED))
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("6", "2", "1", "1")
    for suite in root:
        # The order of Jenkins' schema: properties first, then cases.
        assert [child.tag for child in suite] == ["properties"] + ["testcase"] * int(suite.get("tests", "0"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        for case in suite.iter("testcase"):
            assert case.get("file") == "policies/p.toml"
            assert case.get("classname", "").count(".") == 1
            assert float(case.get("time", "")) == 0.0
            assert len(case) <= 1
    assert junit(MIXED) == junit(MIXED)


def test_junit_survives_hostile_names_and_keeps_cases_apart() -> None:
    text = junit(hostile())
    suites = read_junit(text)
    assert len(suites) == len(HOSTILE)
    for suite in suites:
        names = [(c.classname, c.name) for c in suite]
        assert len(set(names)) == len(names) == 3
        assert all(len(name) < 1000 for _, name in names)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\ufffe\uffff]", text)
    assert "\u05e9\u05dc\u05d5\u05dd" in text
    assert "<script" not in text


def test_a_command_is_given_only_where_it_can_be_typed() -> None:
    bad = verdict(Judged("a", 1, (check("blur\x1b[0m"), check("two  spaces"), check("it's"))))
    bodies = [case.result[0].text for case in read_junit(junit(bad))[0]]
    assert ["to see more" in body for body in bodies] == [False, False, True]
    assert "--condition 'it'\"'\"'s'" in bodies[2]


# ---- SARIF


def test_sarif_has_what_the_standard_and_code_hosts_require() -> None:
    log = json.loads(sarif(MIXED))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert ids == [f"mmaudit/{kind}" for kind in RULES]
    for rule in driver["rules"]:
        assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    assert [r["level"] for r in run["results"]] == ["error", "error", "error", "note"]
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "policies/p.toml"
        assert place["region"]["startLine"] in (7, 12, 15)
        assert re.fullmatch("[0-9a-f]{16}", result["partialFingerprints"]["mmauditRequirement/v1"])
    prints = [r["partialFingerprints"]["mmauditRequirement/v1"] for r in run["results"]]
    assert len(set(prints)) == len(prints)


def test_a_fingerprint_is_of_what_is_asked_not_of_what_came_out() -> None:
    def prints(line: int, **numbers: float) -> list[str]:
        found = json.loads(sarif(verdict(Judged("fails", line, (check("blur", **numbers),)))))["runs"][0]["results"]
        return [r["partialFingerprints"]["mmauditRequirement/v1"] for r in found]

    assert prints(7, value=0.8) == prints(90, value=0.2, low=0.1, high=0.3, n=7, limit=0.5)
    assert prints(7) != prints(7, upper=False)


def test_sarif_survives_hostile_names() -> None:
    text = sarif(hostile())
    assert text.isascii()
    results = json.loads(text)["runs"][0]["results"]
    assert all("](" not in r["message"]["text"] for r in results)
    assert all(
        re.fullmatch(r"[A-Za-z0-9%/._~!-]+", r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        for r in results
    )


def test_what_stops_the_gate_comes_first_where_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_RESULTS == 5000
    monkeypatch.setattr("mmaudit.gate.sarif.MOST_RESULTS", 20)
    many = verdict(
        Judged("allowed", 1, tuple(check(str(i), "undecided") for i in range(20)), allows_undecided=True),
        Judged("fails", 2, tuple(check(str(i)) for i in range(10))),
    )
    (run,) = json.loads(sarif(many))["runs"]
    assert [r["level"] for r in run["results"]] == ["error"] * 10 + ["note"] * 10
    assert run["properties"]["resultsLeftOut"] == 10


def test_the_policy_is_named_from_the_root_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert shown_path(str(tmp_path / "a" / "p.toml")) == "a/p.toml"
    monkeypatch.delenv("GITHUB_WORKSPACE")
    monkeypatch.chdir(tmp_path)
    assert shown_path(str(tmp_path / "a" / "p.toml")) == "a/p.toml"
    assert shown_path("./a/../p.toml") == "p.toml"
    assert shown_path("/elsewhere/p.toml") == "p.toml"


# ---- GitHub


def test_the_summary_shows_every_requirement_and_each_check_that_did_not_pass() -> None:
    text = summary(MIXED)
    assert "gate shut" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(MIXED.judged)
    assert "| ❌ fail | fails | 3 | 2 |" in rows
    assert "| ❔ undecided (allowed) | allowed | 1 | 1 |" in rows
    assert "- ❌ fail: accuracy of blur is 80 %." in text
    assert "gate open" in summary(verdict(MIXED.judged[0]))


def test_the_summary_keeps_to_its_size_and_counts_what_it_leaves_out() -> None:
    checks = tuple(check(f"{i} {'ü' * 1400}") for i in range(50))
    large = verdict(*(Judged(f"r{i}", i, checks) for i in range(9)))
    text = summary(large)
    assert len(text.encode()) <= LARGEST_SUMMARY
    assert re.search(r"the rest is left out here: \d+ parts", text)
    assert len(text.encode()) > LARGEST_SUMMARY - 4000
    short = summary(MIXED, 500)
    assert len(short.encode()) <= 500
    assert "left out" in short
    assert "left out" not in summary(MIXED)


def test_hostile_names_are_text_in_the_summary() -> None:
    text = summary(hostile())
    for markup in ("<script", "<img", "](", "![", "`", "@", "www.evil", "http://"):
        assert markup not in text
    # What is left of the entities: no reference to an issue, and no heading within a line.
    assert not re.search(r"#\w|[^#\n]#", re.sub(r"&#\d+;\u2060?", "", text))
    rows = [line for line in text.splitlines() if line.startswith(("| ✅", "| ❌", "| ❔"))]
    assert len(rows) == len(HOSTILE)
    assert all(row.count("|") == 5 for row in rows)
    assert escaped("a_b*c[d]") == "a&#95;b&#42;c&#91;d&#93;"
    assert "\u05e9\u05dc\u05d5\u05dd" in text


def test_a_markdown_reader_finds_the_tables_and_no_markup_of_a_name() -> None:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(summary(hostile()))
    inside = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inside} <= {"text", "text_special", "html_inline", "softbreak"}
    assert {child.content for child in inside if child.type == "html_inline"} == {"<code>", "</code>"}
    assert sum(token.type == "tr_open" for token in tokens) == 1 + len(HOSTILE)
    assert not any(token.type in ("html_block", "code_block", "fence") for token in tokens)
    shown = "".join(child.content for child in inside)
    assert "]]><script>alert(1)</script>" in shown


def test_annotations_are_one_line_each_and_escaped() -> None:
    commands = workflow_commands(MIXED)
    assert [c.split(" ")[0] for c in commands] == ["::error", "::error", "::warning"]
    assert commands[0] == (
        "::error file=policies/p.toml,line=7,title=mmaudit gate%3A fails::accuracy of blur is 80 %25. And 1 more."
    )
    for line in workflow_commands(hostile()):
        assert "\n" not in line
        assert "\r" not in line
        head, _, message = line.removeprefix("::").partition("::")
        assert re.fullmatch(r"error file=[^,:]*,line=\d+,title=[^,:]*", head), head
        assert message


def test_annotations_are_no_more_than_are_shown() -> None:
    many = verdict(*(Judged(f"r{i}", i + 1, (check(),)) for i in range(30)))
    commands = workflow_commands(many)
    assert len(commands) == MOST_ANNOTATIONS
    assert "21 more requirements" in commands[-1]


@pytest.mark.parametrize("text", ["::error::x", "  ::add-mask::x", "a ##[group]b", "##[error]"])
def test_no_line_of_the_log_is_a_command(text: str) -> None:
    line = log_line(text)
    assert not line.lstrip().startswith("::")
    assert "##[" not in line


def test_a_verdict_is_plain_json_whatever_it_holds() -> None:
    text = json.dumps(hostile().to_json(), allow_nan=False)
    assert json.loads(text)["requirements"][0]["checks"][0]["upper"] is True
    assert math.isnan(Check("run", "fail", "x").value)
    assert Check("run", "fail", "x").to_json()["value"] is None


@pytest.mark.parametrize("name", HOSTILE[:-2])
def test_a_report_with_hostile_names_is_judged_and_written(name: str) -> None:
    value = document()
    for condition in value["conditions"]:
        condition["modalities"] = [name if m == "image" else m for m in condition["modalities"]]
        condition["label"] = Condition.from_json(condition).label
    value["controls"][0].update(ok=False, label=name, message=name)
    value["data"] = {**value["data"], "groups": {name: {name: 5}}}
    toml = '[[require]]\nname = "a"\nprobe = "*"\nmax_drop = 0\n[[require]]\nname = "b"\nprobe = "missing"\n'
    toml += 'group = "no such group"\nmax_drop = 0\n[findings]\nmax_level = "none"\n'
    found = judge_report(Report(value), policy_from(toml, "p.toml"), folder=name)
    assert not found.ok
    read_junit(junit(found))
    json.loads(sarif(found))
    assert len(summary(found).encode()) <= LARGEST_SUMMARY
    lines = [*workflow_commands(found), *(sentence(c) for j in found.judged for c in j.checks)]
    assert not any(set(line) & {*map(chr, range(32)), "\u202e", "\ud800"} for line in lines)
    assert all(len(line) < 10_000 for line in lines)
