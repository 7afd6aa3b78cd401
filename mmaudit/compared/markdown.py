"""A comparison as Markdown, for a pull request. What a run calls its parts stands in code spans, which do nothing."""

from __future__ import annotations

import math

from mmaudit.compared.result import CHANGE, VALUE, Compared, Comparison
from mmaudit.compared.wording import (
    delta_text,
    many,
    method_sentences,
    ranked,
    sentences,
    side_name,
    value_text,
    verdict_text,
)
from mmaudit.formats import count, measure, p_value, readable, shorten

LONGEST = 60_000
MOST_ROWS = 40
LONGEST_TEXT = 90


def markdown(comparison: Comparison) -> str:
    """Return the summary: a verdict per run, what is decided, means by family, and how it was measured."""
    m = comparison.primary
    parts = [f"## Comparison with {code(comparison.first.name)}\n"]
    names = {c.key: c.label for c in comparison.conditions}
    for i, side in enumerate(comparison.others):
        parts.append(f"### {code(side.name)}\n")
        parts.append(" ".join(sentences(comparison, i, lambda key: code(names.get(key, key)), code)) + "\n")
        parts += _remarks(comparison, i)
        means = [r for r in comparison.means if r.other == i and r.quantity == VALUE]
        if means:
            parts.append(_table(comparison, f"Mean by family, {measure(m.name, m.unit, m.better)}", means))
        decided = _decided(comparison, i, VALUE)
        parts += _decided_tables(comparison, i, decided)
        parts += _further(comparison, i)
        parts += _absent(comparison, i)
    parts.append("<details><summary>How it was measured</summary>\n")
    parts.append("\n".join(f"- {text}" for text in method_sentences(comparison)) + "\n")
    parts.append(f"mmaudit {comparison.mmaudit}\n\n</details>\n")
    return _cut("\n".join(parts))


def _remarks(comparison: Comparison, other: int) -> list[str]:
    pairing = comparison.pairings[other]
    said = list(pairing.remarks)
    if not pairing.paired:
        said = [f"not paired, so intervals are wider: {pairing.reason}", *said]
    return ["\n".join(f"- Note: {plain(text)}." for text in said) + "\n"] if said else []


def _decided(comparison: Comparison, other: int, quantity: str, metric: str = "") -> list[Compared]:
    name = metric or comparison.primary.name
    rows = [r for r in comparison.rows if (r.other, r.metric, r.quantity) == (other, name, quantity)]
    return ranked([r for r in rows if r.verdict != "undecided"])


def _decided_tables(comparison: Comparison, other: int, decided: list[Compared]) -> list[str]:
    m = comparison.primary
    parts = []
    if decided:
        parts.append(_table(comparison, f"Decided, {measure(m.name, m.unit, m.better)}", decided))
    change = _decided(comparison, other, CHANGE)
    if change:
        title = f"Decided, change of {readable(m.name)} against the run's own clean data"
        parts.append(_table(comparison, title, change))
    return parts


def _further(comparison: Comparison, other: int) -> list[str]:
    """One line per further metric."""
    lines = []
    for m in comparison.measures[1:]:
        counts = comparison.counts(other, m.name)
        clean = comparison.row(comparison.clean, m.name, other)
        text = f"; clean {delta_text(clean)}" if clean is not None and math.isfinite(clean.delta) else ""
        name = measure(m.name, m.unit, m.better)
        lines.append(
            f"- {plain(name)}: {counts['worse']} worse, {counts['better']} better, "
            f"{counts['undecided']} undecided{text}"
        )
    return ["\n".join(lines) + "\n"] if lines else []


def _absent(comparison: Comparison, other: int) -> list[str]:
    rows = comparison.select(metric=comparison.primary.name, other=other, quantity=VALUE)
    rows = [r for r in rows if r.reason and not math.isfinite(r.delta)]
    if not rows:
        return []
    lines = [f"- {code(r.label)}: {plain(r.reason)}" for r in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"- and {count(len(rows) - MOST_ROWS)} more")
    return [
        f"<details><summary>{many(len(rows))} not compared</summary>\n",
        "\n".join(lines) + "\n",
        "</details>\n",
    ]


def _table(comparison: Comparison, title: str, rows: list[Compared]) -> str:
    names = (code(side_name(s.name)) for s in (comparison.first, comparison.others[rows[0].other]))
    columns = ("condition", *names, "difference", "adjusted p", "verdict")
    lines = [f"**{plain(title)}**", "", f"| {' | '.join(columns)} |", "|---|---:|---:|---:|---:|---|"]
    for r in rows[:MOST_ROWS]:
        group = f" {code(r.group)}" if r.group else ""
        cells = (
            code(r.label) + group,
            value_text(r, "first"),
            value_text(r, "other"),
            delta_text(r) if math.isfinite(r.delta) else plain(r.reason),
            p_value(r.p_adjusted),
            verdict_text(r),
        )
        lines.append("| " + " | ".join(cells) + " |")
    more = f"\n{count(len(rows) - MOST_ROWS)} more rows are in the JSON.\n" if len(rows) > MOST_ROWS else ""
    return "\n".join(lines) + "\n" + more


def code(text: str) -> str:
    """Text from a run as a code span: no mark-up, link, mention or HTML in it has an effect."""
    shown = shorten(text, LONGEST_TEXT).replace("`", "ˋ").replace("|", "\\|")
    return f"`{shown or ' '}`"


def plain(text: str) -> str:
    """Our own words, in which parts of a run may stand: characters with a meaning are escaped."""
    out = "".join(f"\\{c}" if c in r"\`*_{}[]<>()#|~!" else c for c in text)
    return out.replace("@", "&#64;").replace("://", "&#58;//").replace("\n", " ")


def _cut(text: str) -> str:
    data = text.encode()
    if len(data) <= LONGEST:
        return text
    kept = data[: LONGEST - 200].decode("utf-8", "ignore").rpartition("\n")[0]
    closing = "\n</details>\n" if kept.count("<details>") > kept.count("</details>") else "\n"
    return f"{kept}\n{closing}\nCut here: a comment holds no more. The whole comparison is in its JSON and HTML.\n"
