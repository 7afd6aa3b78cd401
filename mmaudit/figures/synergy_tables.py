"""Reliance and synergy as tables of plain text, narrow enough for a terminal of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mmaudit.estimates import Estimate
from mmaudit.figures.estimates import named, text, together
from mmaudit.figures.reliance import splits
from mmaudit.figures.synergy import Sides, every_sides
from mmaudit.figures.synergy_samples import tag_words
from mmaudit.formats import DASH, NBSP, interval, number, p_value, readable, shorten

MOST_COLUMNS = 3
WHOLE_MODEL = ("emap", "emap_gap", "anova_order_share", "reliance_agreement")


@dataclass
class TextTable:
    """Title, a line on what it says, columns and rows of text; reasons by the letter that stands for them."""

    title: str
    words: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def cell(self, e: Estimate | None, two_lines: bool = False) -> str:
        """An estimate, with the letter of the reason where it or its interval is undefined; empty for none."""
        if e is None:
            return ""
        if not math.isfinite(e.value):
            return f"{DASH} ({self.letter(e.reason or 'no reason was recorded')})"
        value, _, rest = text(e).partition(" [")
        if not rest:
            return f"{value} ({self.letter(e.reason)})" if e.reason else value
        return f"{value}\n[{rest}" if two_lines else f"{value} [{rest}"

    def letter(self, reason: str) -> str:
        """The letter of a reason."""
        return self.notes.setdefault(reason, chr(ord("a") + len(self.notes) % 26))

    def add(self, *cells: str) -> None:
        """Add a row unless it says nothing beside its first cell."""
        if any(cells[1:]):
            self.rows.append(cells)


def estimate_tables(estimates: Sequence[Estimate]) -> list[TextTable]:
    """Tables of these estimates, those of groups left out: reliance by modality, together; synergy, tests, samples."""
    overall = [e for e in estimates if not e.group]
    names = list(dict.fromkeys(m for e in overall if len(e.modalities) == 1 for m in e.modalities))
    every = every_sides(overall, names)
    tables = [
        _by_modality(overall, names),
        _together(overall),
        _synergy(overall, every),
        _information(overall),
        _tests(overall, every),
        _samples(overall, names),
    ]
    return [t for t in tables if t.rows]


def _by_modality(estimates: Sequence[Estimate], names: Sequence[str]) -> TextTable:
    words = "Right of what the estimator is: what stands in for a missing modality. Above 0 the modality helps."
    lines = splits(estimates, names)
    columns = tuple(shorten(m, 16) for m in names)
    wide = len(names) <= MOST_COLUMNS
    table = TextTable("Reliance", words, ("estimator", *(columns if wide else ("modality", "value"))))
    for line in lines:
        label = line.name + (f", {shorten(line.baseline, 16)}" if line.baseline else "")
        if wide:
            own = {e.modalities[0]: e for e in line.estimates}
            table.add(label, *(table.cell(own.get(m), two_lines=len(names) == MOST_COLUMNS) for m in names))
            continue
        for e in line.estimates:
            table.add(label, shorten(e.modalities[0], 24), table.cell(e))
    return table


def _together(estimates: Sequence[Estimate]) -> TextTable:
    words = "Above 0: worth more together than alone. EMAP: the model if it may only add its modalities up."
    table = TextTable("Together", words, ("what", "value", "if nothing"))
    for e in estimates:
        if e.estimator in ("shapley_interaction", *WHOLE_MODEL):
            baseline = e.option("baseline")
            about = [together(e.modalities)] if e.modalities else []
            what = ", ".join([named(e), *about, *([shorten(baseline, 16)] if baseline else [])])
            table.add(what, table.cell(e), number(e.null, e.unit) if math.isfinite(e.null) else "")
    return table


def _synergy(estimates: Sequence[Estimate], every: Sequence[Sides]) -> TextTable:
    words = "Bits that only both sides together say. Model: under the stand-in with which it uses most."
    table = TextTable("Synergy", words, ("in bits", "data", "model", "left unused"))
    for s in every:
        best = {of: next(iter(s.variants(estimates, of)), ()) for of in ("data", "model")}
        found = {of: s.get(estimates, "synergy", of, which) for of, which in best.items()}
        unused = s.get(estimates, "synergy_unused")
        points = [*found.values(), unused]
        if not any(points):
            continue
        table.rows.append((s.words, "", "", ""))
        table.add("  point value", *(_plain(table, e) for e in points))
        bounds = (
            _range(s.get(estimates, "synergy_low", of, best[of]), s.get(estimates, "synergy_high", of, best[of]))
            for of in ("data", "model")
        )
        table.add("  least, most", *bounds, "")
        table.add("  if none", *(_null(e) for e in points))
    return _without_empty(table)


def _plain(table: TextTable, e: Estimate | None) -> str:
    """Value and interval in bits, the unit left to the head of the table."""
    return table.cell(e).replace(f"{NBSP}bits", "")


def _null(e: Estimate | None) -> str:
    if e is None:
        return ""
    said = [number(e.null, "bits").replace(f"{NBSP}bits", "")] if math.isfinite(e.null) else []
    return ", ".join([*said, *([f"p {p_value(e.p)}"] if math.isfinite(e.p) else [])])


def _range(low: Estimate | None, high: Estimate | None) -> str:
    if low is None or high is None or not low.value <= high.value:
        return ""
    return interval(low.value, high.value, "bits", 2)


def _information(estimates: Sequence[Estimate]) -> TextTable:
    words = "Bits about the target on samples that the predictor has not seen; entropy is all there is to know."
    kinds = ("data", "model", "decision")
    table = TextTable("Information", words, ("modalities, in bits", "data", "model", "its answers"))
    found = [e for e in estimates if e.estimator == "information"]
    entropy = [e for e in estimates if e.estimator == "entropy"]

    def most(own: Sequence[Estimate], of: str) -> Estimate | None:
        mine = [e for e in own if (e.option("of") or "data") == of]
        return max(mine, key=lambda e: e.value if math.isfinite(e.value) else -math.inf, default=None)

    for subset in sorted(dict.fromkeys(e.modalities for e in found), key=len):
        own = [e for e in found if e.modalities == subset]
        table.add(together(subset), *(_plain(table, most(own, of)) for of in kinds))
    table.add("entropy", *(_plain(table, most(entropy, of)) for of in kinds))
    return _without_empty(table)


def _tests(estimates: Sequence[Estimate], every: Sequence[Sides]) -> TextTable:
    words = "Permutation tests of coarse codes: is there information, do the sides go together within a class?"
    table = TextTable("Tests", words, ("sides", "label shuffle", "within-class shuffle"))
    for s in every:
        cells = []
        for name in ("label_shuffle", "within_class_shuffle"):
            e = s.get(estimates, name)
            known = e is not None and math.isfinite(e.p)
            cells.append(f"p {p_value(e.p)}" if known and e is not None else table.cell(e))
        table.add(s.words, *cells)
    return table


def _samples(estimates: Sequence[Estimate], names: Sequence[str]) -> TextTable:
    words = "What a sample needs, by these predictors, and how the model does on such samples."
    table = TextTable("Samples", words, ("samples", "share", "accuracy of the model"))
    right = {(e.modalities, e.option("tag")): e for e in estimates if e.estimator == "accuracy_on"}
    for e in estimates:
        if e.estimator == "tag_share":
            about = "" if e.modalities in ((), tuple(names)) else f" {together(e.modalities)}"
            other = right.pop((e.modalities, e.option("tag")), None)
            table.add(f"{tag_words(e.option('tag') or '')}{about}", table.cell(e), table.cell(other))
        elif e.estimator == "synergy_subset":
            other = right.pop(((), f"synergy_subset_{e.option('rule')}"), None)
            table.add(f"synergy subset, {readable(e.option('rule') or '')}", table.cell(e), table.cell(other))
    return _without_empty(table)


def _without_empty(table: TextTable) -> TextTable:
    """The same without columns that are empty throughout."""
    kept = [i for i in range(len(table.columns)) if i == 0 or any(row[i] for row in table.rows)]
    rows = [tuple(row[i] for i in kept) for row in table.rows]
    return TextTable(table.title, table.words, tuple(table.columns[i] for i in kept), rows, table.notes)
