"""What a reviewer who was not there needs beside the figures: verdict, scope, method, words, how to do it again."""

from __future__ import annotations

from typing import Any

from mmaudit.render.glossary import glossary
from mmaudit.render.method import method
from mmaudit.render.reproduce import reproduce
from mmaudit.render.scope import scope
from mmaudit.render.signoff import Signed, signoff
from mmaudit.render.summary import verdict_sentences
from mmaudit.report import Report

__all__ = ["Signed", "contents"]


def contents(report: Report, signed: Signed | None = None) -> dict[str, Any]:
    """Return what `scope`, `method`, `reproduce`, `glossary` and `signoff.html.j2` need, by the names they use.

    Beside these: `level` and `sentences`, the verdict in three sentences.

    Args:
        report: the report.
        signed: who signs it, where that is known already.
    """
    level, sentences = verdict_sentences(report)
    return {
        "level": level,
        "sentences": sentences,
        "scope": scope(report),
        "method": method(report),
        "reproduce": reproduce(report),
        "glossary": glossary(report),
        "signoff": signoff(report, signed),
    }
