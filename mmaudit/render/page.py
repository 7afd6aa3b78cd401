"""The report page: one self-contained HTML file, findings first, method and limits last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from markupsafe import Markup

from mmaudit import states
from mmaudit.figures import FIGURES
from mmaudit.formats import readable
from mmaudit.render import live
from mmaudit.render.budget import BUDGET, Part, chosen, said
from mmaudit.render.contents import contents
from mmaudit.render.drawn import FigureView, charts, drawn, folded_of, numbers_of
from mmaudit.render.evidence import findings
from mmaudit.render.examples import examples
from mmaudit.render.paper import Paper, paper_css
from mmaudit.render.references import References, references
from mmaudit.render.samples import IMAGE_BUDGET, Budget
from mmaudit.render.scenarios import scenario_steps, scenario_texts, severity_scales
from mmaudit.render.summary import MARKS, tiles
from mmaudit.render.synergy import (
    explanations,
    reliance_facts,
    shown_samples,
    synergy_facts,
    synergy_tile,
)
from mmaudit.render.tables import TableView, applied, everything, metric_order, summaries, view
from mmaudit.render.templates import macro, render, rows, style
from mmaudit.render.theme import PLAIN, Theme
from mmaudit.report import Metric, Report
from mmaudit.types import LEVELS, Task

OPEN_FINDINGS, OPEN_SAMPLES = 12, 6
# With a tight budget pictures get this many bytes before charts lose their life and tables go.
FEW_PICTURES = 300_000
LONG_TABLE = 40
PICTURES, ALL_PICTURES, LIVE = "pictures", "all pictures", "live charts"
APPLIED, PANEL = "conditions as applied", "every condition under every reference method"
ABSENT = {
    "overview": "No condition besides the clean one was measured.",
    "severity": "No corruption with a severity was measured.",
    "missing_rates": "No missing rates were measured.",
    "lattice": "No subset of modalities was measured.",
    "reliability": "No reliability diagram: they exist where predictions are probabilities.",
    "confidence": "No chart of confidence against performance: it needs a mean confidence and a primary metric that is "
    "a share where higher is better.",
    "samples": "None are shown: of the conditions looked at, none made the answer to a sample worse. Inputs of some "
    "samples are kept in the run folder all the same; mmaudit dashboard shows them.",
    "inputs": "None are shown: this report holds no inputs of samples.",
    "recalibration": "No recalibration was measured.",
}


def page(
    report: Report,
    *,
    budget: int | None = BUDGET,
    theme: Theme = PLAIN,
    paper: Paper = "a4",
    scripts: bool = True,
    long_tables: bool = True,
) -> str:
    """Return the whole page. The same report and options give the same text; nothing is fetched.

    Args:
        report: what it shows.
        budget: bytes that the page may have; what does not fit is left out in a fixed order and named. A page that
            cannot be made that small is as small as it gets, and says so. None: no limit.
        theme: the house style.
        paper: what it is laid out for when printed, `a4` or `letter`.
        scripts: whether charts can be brought to life and tables sorted and filtered. Without, the page holds no
            script at all; what it shows is the same.
        long_tables: whether tables of more than 40 rows are shown. On paper they take most of the sheets and can be
            neither sorted nor searched; without them the page names each of them.
    """
    with ThreadPoolExecutor(1) as aside:
        if scripts:
            # The library is taken out of its package while the charts are drawn.
            aside.submit(live.bundle)
        made = _Made(report, theme, paper, scripts)
        made.figures  # noqa: B018 - drawn now
    if not long_tables:
        return made.html(made.long_tables, "To be readable on paper")
    html, asked = made.html(), 0
    why = "" if budget is None else f"To stay within {said(budget)}"
    while budget is not None and (excess := len(html.encode("utf-8")) - budget) > 0:
        before, asked = made.left_out(asked), asked + excess
        if made.left_out(asked) == before:
            return made.html(before, why, too_large=True)
        html = made.html(made.left_out(asked), why)
    return html


@dataclass(frozen=True)
class _Made:
    """What a page is made of, each part once, however often the page is put together."""

    report: Report
    theme: Theme
    paper: Paper
    scripts: bool

    @cached_property
    def figures(self) -> dict[str, tuple[FigureView, ...]]:
        return {name: tuple(drawn(f) for f in function(self.report)) for name, function in FIGURES.items()}

    @cached_property
    def everything(self) -> tuple[tuple[Metric, TableView], ...]:
        tables = ((self.report.metrics[n], everything(self.report, n)) for n in metric_order(self.report))
        return tuple((m, view(t)) for m, t in tables if t.rows)

    @cached_property
    def applied(self) -> TableView:
        return view(applied(self.report))

    @cached_property
    def panel(self) -> References | None:
        return references(self.report)

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """Everything that no budget changes."""
        report, theme = self.report, self.theme
        estimators = {e.estimator for e in report.estimates}
        return contents(report, theme.signed_by) | {
            "css": style("page.css") + style_of(theme, report, self.paper),
            "theme": theme,
            "report": report,
            "doc": report.document,
            "failed": report.failed_controls(),
            "marks": states.MARKS,
            "control_state": states.control_state,
            "check_state": states.check_state,
            "checks_counted": states.counted(report.document["checks"]),
            "idle": report.idle_conditions(),
            "tiles": [*tiles(report), *synergy_tile(report)],
            "findings": findings(report),
            # Only minor ones are ever put behind a click.
            "open_findings": max(OPEN_FINDINGS, sum(f.level in LEVELS[:2] for f in report.findings)),
            "counts": [(name, MARKS[name], sum(f.level == name for f in report.findings)) for name in LEVELS],
            "absent": ABSENT,
            "summaries": view(summaries(report)),
            "scenario_texts": scenario_texts(report),
            "scenario_steps": view(scenario_steps(report)),
            "scales": [(meaning, view(table)) for meaning, table in severity_scales(report)],
            "disagreements": explanations(report, "disagreements"),
            "explanations": explanations(report, "explanations"),
            "agreement": any(e.estimator == "reliance_agreement" for e in report.estimates),
            "reliance_facts": reliance_facts(report),
            "synergy_facts": synergy_facts(report),
            "open_samples": OPEN_SAMPLES,
            "task": Task.from_json(report.document["task"]).said,
            "regression": report.document["task"]["kind"] == "regression",
            "measures": [m for m in report.document["metrics"] if m["name"] not in estimators],
            "estimators": [m for m in report.document["metrics"] if m["name"] in estimators],
            "raised": sum(m.raised > 0 for m in report.conditions),
            "primary": report.primary,
            # On paper nothing can be clicked.
            "unfolded": not self.scripts,
        }

    @cached_property
    def charts(self) -> live.Live | None:
        return live.scripts(charts(self.figures)) if self.scripts else None

    def html(self, left_out: Iterable[Part] = (), why: str = "", too_large: bool = False) -> str:
        """The page without these parts; `why` it leaves them out, as a sentence starts."""
        parts = tuple(left_out)
        names = {p.name for p in parts}
        shown = {n: tuple(f.without(names) for f in views) for n, views in self.figures.items()}
        if not names & {LIVE, *(folded_of(f.figure) for f in self._all())}:
            scripts = self.charts
        else:
            scripts = live.scripts({} if LIVE in names else charts(shown)) if self.scripts else None
        pictures = Budget(0 if ALL_PICTURES in names else FEW_PICTURES if PICTURES in names else IMAGE_BUDGET)
        samples = examples(self.report, pictures)
        panel = self.panel
        if panel is not None and PANEL in names:
            panel = replace(panel, conditions=panel.conditions.without_rows)
        return render(
            "page.html.j2",
            **self.fixed,
            figures=shown,
            live=scripts,
            samples=samples[:OPEN_SAMPLES],
            more_samples=samples[OPEN_SAMPLES:],
            synergy_samples=shown_samples(self.report, pictures),
            everything=[(m, t.without_rows if _metric(m) in names else t) for m, t in self.everything],
            applied=self.applied.without_rows if APPLIED in names else self.applied,
            references=panel,
            left_out=parts,
            too_large=too_large,
            why=why,
        )

    def left_out(self, excess: int) -> tuple[Part, ...]:
        """What to leave out so that the page is `excess` bytes smaller."""
        return chosen(excess, self._dispensable)

    @cached_property
    def _dispensable(self) -> tuple[Part, ...]:
        """Every part that can be left out, the first to go first."""
        pictures = IMAGE_BUDGET - self._unused_pictures
        found = list(self._further_metrics())
        found.append(Part(PICTURES, "pictures of samples beyond the first few", pictures - FEW_PICTURES))
        found.append(Part(LIVE, "what brings charts to life", self.charts.size if self.charts else 0))
        found += sorted(self._long_tables(), key=lambda p: -p.size)
        found += sorted(self._folded(), key=lambda p: -p.size)
        return (*found, Part(ALL_PICTURES, "all other pictures of samples", min(pictures, FEW_PICTURES)))

    @property
    def long_tables(self) -> tuple[Part, ...]:
        """Every table of more than 40 rows but that of the primary metric."""
        return tuple(p for p in (*self._further_metrics(), *self._long_tables()) if p.rows > LONG_TABLE)

    @property
    def _unused_pictures(self) -> int:
        budget = Budget(IMAGE_BUDGET)
        examples(self.report, budget)
        shown_samples(self.report, budget)
        return budget.left

    def _all(self) -> Iterator[FigureView]:
        return (f for views in self.figures.values() for f in views)

    def _further_metrics(self) -> Iterator[Part]:
        for m, t in reversed(self.everything[1:]):
            yield _table(_metric(m), f"{readable(m.name)} of every condition", t)

    def _long_tables(self) -> Iterator[Part]:
        yield _table(APPLIED, "conditions as applied", self.applied)
        if self.panel is not None:
            yield _table(PANEL, PANEL, self.panel.conditions)
        for f in self._all():
            if f.table.count > LONG_TABLE:
                yield _table(numbers_of(f.figure), f"the numbers of the chart “{f.figure.title}”", f.table)

    def _folded(self) -> Iterator[Part]:
        for f in self._all():
            what = f"{len(f.folded)} drawings of “{f.figure.title}” that are behind a click"
            yield Part(folded_of(f.figure), what, sum(len(p.svg.encode("utf-8")) for p in f.folded))


def style_of(theme: Theme, report: Report, paper: Paper) -> Markup:
    """What theme and paper add to the style sheet."""
    # Colours of a theme are six hex digits, nothing else.
    return Markup(theme.css) + paper_css(paper, theme.header_text or str(report.document["title"]))


def _metric(m: Metric) -> str:
    return f"every condition under {m.name}"


def _table(name: str, what: str, t: TableView) -> Part:
    size = len(macro("macros.html.j2", "table", t, "").encode("utf-8"))
    return Part(name, f"{what} ({rows(t.count)})", size, t.count)
