"""The sign-off block: who answers for the report, and for what exactly."""

from __future__ import annotations

from dataclasses import dataclass

from mmaudit.formats import count, shorten
from mmaudit.render.scope import perturbed
from mmaudit.report import Report

LONGEST = 200


@dataclass(frozen=True)
class Signed:
    """What is known of the person who signs; what is empty is left as a line to fill in.

    Attributes:
        name, role, organisation: of the person.
        date: as it is to be shown; nothing here reads a clock.
        statement: what the person adds: conditions of use, restrictions, open points.
    """

    name: str = ""
    role: str = ""
    organisation: str = ""
    date: str = ""
    statement: str = ""


@dataclass(frozen=True)
class Signoff:
    """What the section shows.

    Attributes:
        lines: what is to be filled in: a title, and its value or nothing.
        subject: what is signed, in a sentence.
        open: what whoever signs must have seen: controls that failed, serious findings.
    """

    lines: tuple[tuple[str, str], ...]
    subject: str
    open: tuple[str, ...]


def signoff(report: Report, signed: Signed | None = None) -> Signoff:
    """Return the sign-off block; `signed` fills its lines."""
    who, doc = signed or Signed(), report.document
    lines = (
        ("Name", who.name),
        ("Role", who.role),
        ("Organisation", who.organisation),
        ("Conditions and restrictions of use", who.statement),
        ("Date", who.date),
        ("Signature", ""),
    )
    return Signoff(
        lines=tuple((title, shorten(value, 10 * LONGEST)) for title, value in lines),
        subject=(
            f"Audit “{shorten(doc['title'], LONGEST)}” of model {shorten(doc['model']['name'], LONGEST)} "
            f"(fingerprint {shorten(doc['model']['fingerprint'], 80)}) on {count(doc['data']['n'])} samples "
            f"(fingerprint {shorten(doc['data']['fingerprint'], 80)}) under {count(perturbed(report))} perturbed "
            "conditions."
        ),
        open=tuple(_open(report)),
    )


def _open(report: Report) -> list[str]:
    failed, idle = len(report.failed_controls()), len(report.idle_conditions())
    serious = sum(f.level in ("critical", "major") for f in report.findings)
    said = [f"{count(failed)} of the controls failed: the numbers cannot be relied on"] if failed else []
    said += ["the audit ran without controls"] if not report.document["controls"] else []
    said += [f"{count(idle)} of the conditions changed no sample"] if idle else []
    return said + ([f"the report holds {count(serious)} critical or major findings"] if serious else [])
