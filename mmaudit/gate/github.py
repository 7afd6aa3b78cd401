"""The verdict for a GitHub workflow: the step's summary in Markdown, and annotations at the lines of the policy."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mmaudit.formats import count, shorten
from mmaudit.gate.result import Check, Judged, Outcome, Verdict
from mmaudit.gate.texts import NAME, sentence, shown_path

LARGEST_SUMMARY = 1024 * 1024
"""Bytes of all summaries of a step together; GitHub shows none of a larger one."""
MOST_ANNOTATIONS = 10
"""Of a level, in a step; GitHub drops the others."""
MOST_CHECKS = 50
# In the middle of a line these mean nothing to Markdown.
_HARMLESS = " ,.%;-/?()=+'"
_WWW = re.compile(r"(www)\.", re.IGNORECASE)
_MARKS: dict[Outcome, str] = {"pass": "✅ pass", "fail": "❌ fail", "undecided": "❔ undecided"}


def summary(verdict: Verdict, room: int = LARGEST_SUMMARY) -> str:
    """Return the verdict as Markdown of at most `room` bytes; what does not fit is counted.

    Every name is written so that it is text: nothing in it becomes a link, a mention, an image or a tag.
    """
    parts = list(_parts(verdict))
    ends = "\n\n… the rest is left out here: {} parts. See the JUnit file, or --json.\n"
    room -= len(ends.format(len(parts)).encode())
    if room <= 0:
        return ""
    kept, used = [], 0
    for part in parts:
        used += len(part.encode())
        if used > room:
            break
        kept.append(part)
    rest = len(parts) - len(kept)
    return "".join(kept) + (ends.format(rest) if rest and used > room else "")


def _parts(verdict: Verdict) -> Iterator[str]:
    said = "open" if verdict.ok else "shut"
    mark = "✅" if verdict.ok else "❌"
    yield f"## {mark} mmaudit gate {said}: {escaped(shorten(verdict.policy, NAME))}\n\n"
    run = verdict.run
    about = [f"Run <code>{escaped(shorten(str(run.get('folder') or run.get('title', '')), NAME))}</code>"]
    if "model" in run:
        about.append(f"model <code>{escaped(shorten(str(run['model']), NAME))}</code>, {count(int(run['n']))} samples")
    if verdict.against:
        paired = "paired by sample" if verdict.against["paired"] else "not paired"
        folder = escaped(shorten(str(verdict.against["folder"]), NAME))
        about.append(f"against <code>{folder}</code> ({paired})")
    yield "; ".join(about) + ".\n\n| | requirement | checks | not passed |\n|---|---|---:|---:|\n"
    for judged in verdict.judged:
        failing = sum(check.outcome != "pass" for check in judged.checks)
        allowed = " (allowed)" if judged.ok and judged.outcome == "undecided" else ""
        name = escaped(shorten(judged.name, NAME))
        yield f"| {_MARKS[judged.outcome]}{allowed} | {name} | {len(judged.checks)} | {failing} |\n"
    for judged in verdict.judged:
        failing_checks = [check for check in judged.checks if check.outcome != "pass"]
        if not failing_checks and not judged.left_out:
            continue
        yield f"\n### {escaped(shorten(judged.name, NAME))}\n\n"
        for check in failing_checks[:MOST_CHECKS]:
            yield f"- {_MARKS[check.outcome]}: {escaped(sentence(check))}\n"
        if (more := len(failing_checks) - MOST_CHECKS) > 0:
            yield f"- … and {more} more.\n"
        if judged.left_out:
            yield f"- Left out as too small: {escaped(shorten(', '.join(judged.left_out), 5 * NAME))}.\n"
    yield "\nThe bound of the 95\u00a0% interval decides, never the point value.\n"


def escaped(text: str) -> str:
    """Text as Markdown that shows it as it is: signs that could start markup or a link become entities."""
    out = "".join(c if c.isalnum() or c in _HARMLESS or ord(c) > 127 else f"&#{ord(c)};" for c in text)
    out = _WWW.sub(r"\1&#46;", out)
    # A word joiner, which is not seen, keeps names and numbers from becoming mentions and references.
    return out.replace("&#64;", "&#64;\u2060").replace("&#35;", "&#35;\u2060")


def workflow_commands(verdict: Verdict) -> list[str]:
    """Return workflow commands, one a line: an error per requirement that stops the gate, a warning where allowed."""
    errors = [judged for judged in verdict.judged if not judged.ok]
    warnings = [judged for judged in verdict.judged if judged.ok and judged.outcome == "undecided"]
    return [*_commands("error", errors, verdict.file), *_commands("warning", warnings, verdict.file)]


def _commands(level: str, listed: list[Judged], file: str) -> Iterator[str]:
    shown = listed if len(listed) <= MOST_ANNOTATIONS else listed[: MOST_ANNOTATIONS - 1]
    for judged in shown:
        yield _command(level, file, judged.line, judged.name, _first(judged))
    if rest := listed[len(shown) :]:
        names = shorten(", ".join(judged.name for judged in rest), 5 * NAME)
        yield _command(level, file, rest[0].line, f"{len(rest)} more requirements", names)


def _first(judged: Judged) -> str:
    checks: list[Check] = [check for check in judged.checks if check.outcome == judged.outcome]
    more = sum(check.outcome != "pass" for check in judged.checks) - 1
    return sentence(checks[0]) + (f" And {more} more." if more else "")


def _command(level: str, file: str, line: int, title: str, message: str) -> str:
    place = f"file={_value(shown_path(file))},line={line}," if file else ""
    return f"::{level} {place}title={_value(f'mmaudit gate: {shorten(title, NAME)}')}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def log_line(text: str) -> str:
    """A line for a workflow's log that is no workflow command: neither `::name::` nor, anywhere, `##[name]`."""
    text = text.replace("##[", "## [")
    return f"\u2060{text}" if text.lstrip().startswith("::") else text
