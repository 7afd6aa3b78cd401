"""What the command prints: progress, findings, tables of scores. Rich is imported on first use."""

from __future__ import annotations

import json
import shlex
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mmaudit import formats
from mmaudit.place import address, is_local

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from mmaudit.auditing import Cost
    from mmaudit.contract import Verdict
    from mmaudit.estimates import Estimate as Estimated
    from mmaudit.models.clauses import Check
    from mmaudit.panel import Panel
    from mmaudit.plan import Plan
    from mmaudit.report import Report
    from mmaudit.types import Condition, Finding, Score

_STYLE = {"critical": "bold red", "major": "red", "minor": "yellow", "info": "cyan"}
EVERY = 60.0
"""Seconds between lines of progress where there is no terminal."""


def print_json(value: Any) -> None:
    """Plain values as JSON on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))


class Shown:
    """Progress on standard error, as somebody sees it.

    Args:
        show: shows what is done, and how much of it: (what, steps done, steps planned).
        prepare: shows what is being prepared.
        during: what is done while steps are taken, where only they are told.
        then: what is done once all are.
    """

    def __init__(
        self,
        show: Callable[[str, int, int], None],
        prepare: Callable[[str], None],
        during: str = "",
        then: str = "",
    ) -> None:
        self.show, self.preparing = show, prepare
        self._during, self._then = during, then

    def __call__(self, done: int, total: int) -> None:
        """Move it."""
        self.show(self._during if done < total else self._then, done, total)


@contextmanager
def progress_bar(
    quiet: bool, during: str = "asking the model", then: str = "synergy, scores, report"
) -> Iterator[Shown]:
    """Progress on standard error; yields the callback that moves it.

    Args:
        quiet: nothing is shown.
        during: what is done while it moves.
        then: what is done once it is full.
    """
    with _shown(quiet, share=True) as (show, prepare):
        yield Shown(show, prepare, during, then)


@contextmanager
def steps_bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Progress on standard error for work of several kinds; yields the callback that names and moves it."""
    with _shown(quiet, share=False) as (show, _):
        yield show


@contextmanager
def preparing(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Say on standard error that something is prepared; yields the callback that names it. Gone once it is done."""
    with _shown(quiet, share=False, passing=True) as (_, prepare):
        yield prepare


@contextmanager
def _shown(
    quiet: bool, *, share: bool, passing: bool = False
) -> Iterator[tuple[Callable[[str, int, int], None], Callable[[str], None]]]:
    """A bar on a terminal; lines in a file or a pipe, where a bar would be drawn once, at the end.

    Preparing is one line there, whatever it consists of.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True, quiet=quiet)
    if quiet or not console.is_terminal:
        show = _lines(quiet)
        show("preparing", 0, 0)
        yield show, lambda _: None
        return
    left = (TextColumn("left:"), TimeRemainingColumn()) if share else ()
    percent = (TextColumn("{task.percentage:>3.0f} %"),) if share else ()
    columns = (TextColumn("{task.description}"), BarColumn(), *percent, TimeElapsedColumn(), *left)
    with Progress(*columns, console=console, transient=passing) as bar:
        task = bar.add_task("preparing", total=None)
        yield (
            lambda what, done, total: bar.update(task, completed=done, total=total, description=what),
            lambda what: bar.update(task, description=f"preparing: {what}"),
        )


def _lines(quiet: bool) -> Callable[[str, int, int], None]:
    """Lines of a log: one for each kind of work, and one a minute while it lasts."""
    began, last, before = time.monotonic(), 0.0, ""

    def show(what: str, done: int, total: int) -> None:
        nonlocal last, before
        now = time.monotonic()
        if quiet or (what == before and now - last < EVERY):
            return
        before, last = what, now
        share = f", {100 * done // total} %" if 0 < done < total else ""
        typer.echo(f"{timedelta(seconds=int(now - began))}  {what}{share}", err=True)

    return show


def show_report(report: Report, page: Path) -> None:
    """Headline, findings with the command behind each, and how to open the page."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    document, failed = report.document, report.failed_controls()
    console.print(Text(document["title"], style="bold"))
    samples, conditions = formats.count(document["data"]["n"]), len(report.conditions)
    console.print(_wrapped(f"{samples} samples, {conditions} conditions; on clean data {report.headline()}", console))
    if failed:
        console.print(Text(f"Controls failed, do not rely on this report: {'; '.join(failed)}", style="bold red"))
    elif passed := sum(c["ok"] for c in document["controls"]):
        console.print(Text(f"{passed} of {passed} controls passed"))
    for line in report.idle_conditions():
        console.print(Text(f"Not applied: {line}", style="bold red"))
    for line in report.partly_applied():
        console.print(Text(f"Applied in part: {line}", style="bold"))
    if budget := report.budget():
        console.print(_wrapped(budget, console), style="bold")
    if report.unseen:
        console.print(_wrapped(report.unseen, console), style="bold")
    for finding in report.findings:
        console.print()
        console.print(_claimed(finding, console))
        if finding.reproduce:
            console.print(Text(f"  $ {finding.reproduce}", style="dim"), soft_wrap=True)
    if not report.findings:
        console.print("\nNo finding: no rule saw anything that its intervals are sure of.")
    _where(console, page)


def _claimed(finding: Finding, console: Console) -> Text:
    """A finding's level, in its colour, and its claim."""
    said = _wrapped(f"{finding.level}  {finding.claim}", console)
    said.stylize(_STYLE[finding.level], 0, len(finding.level))
    return said


def _wrapped(text: str, console: Console) -> Text:
    """Text in lines of the terminal's width, none of which ends between a number and its unit."""
    from rich.text import Text

    width = max(console.width, 20)
    lines = textwrap.wrap(formats.unbroken(text), width, break_long_words=False, break_on_hyphens=False)
    return Text("\n".join(lines).replace(formats.NBSP, " "))


def _where(console: Console, page: Path) -> None:
    """Where the report lies, and how to open it and the run."""
    console.print(f"\nThe whole report: {page}\nOpen it in a browser: {address(page)}", soft_wrap=True)
    if is_local(page):
        console.print(f"Browse it sample by sample: mmaudit dashboard {shlex.quote(str(page.parent))}", soft_wrap=True)


def show_scores(scores: Sequence[Score], conditions: Sequence[Condition]) -> None:
    """A table of scores; what all rows have in common is said once, above it."""
    labels = {c.key: c.label for c in conditions}
    rows = [
        {
            "condition": s.label,
            "group": s.group or "all samples",
            "metric": f"{s.metric} {formats.ARROWS[s.better]}".strip(),
            "value [95 % interval]": formats.estimate(s.value, s.low, s.high, s.unit)
            if s.value == s.value
            else f"{formats.DASH} {s.reason}",
            "difference": formats.change(s.delta, s.delta_low, s.delta_high, s.unit) if s.delta == s.delta else "",
            "from": labels.get(s.against, ""),
            "p adjusted": formats.p_value(s.p_adjusted) if s.p_adjusted == s.p_adjusted else "",
            "n": str(s.n),
        }
        for s in scores
    ]
    show_table(rows)


def show_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Aligned columns of plain text; columns with one value throughout become a line above."""
    if not rows:
        typer.echo("nothing to show")
        return
    for name in rows[0]:
        if len(rows) > 1 and len({row[name] for row in rows}) == 1 and rows[0][name]:
            typer.echo(f"{name}: {rows[0][name]}")
    shown = [name for name in rows[0] if len(rows) == 1 or len({row[name] for row in rows}) > 1]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in shown}
    told = [row for row in rows if any(row[name] for name in shown)]  # of the others, all stands above
    for row in ({name: name for name in shown}, *told):
        typer.echo("  ".join(f"{row[name]:<{widths[name]}}" for name in shown).rstrip())


def show_checks(checks: Sequence[Check], stages: str) -> None:
    """One line per clause of a model's contract; clauses that were not tested for one reason share a line.

    Args:
        checks: what was found.
        stages: how the model is asked; said where no clause has said it.
    """
    untested: dict[str, list[str]] = {}
    for check in checks:
        if check.ok is None and check.message.startswith("not tested"):
            untested.setdefault(check.message, []).append(check.clause)
        else:
            mark = "warn" if check.warning else {True: "ok  ", False: "FAIL", None: "note"}[check.ok]
            typer.echo(f"{mark}  {check.clause}: {check.message}")
    for why, clauses in untested.items():
        typer.echo(f"note  {why}: {', '.join(clauses)}")
    if not untested and not any(check.message in stages for check in checks if check.clause == "two stages"):
        typer.echo(f"note  stages: {stages}")


def show_estimate(plan: Plan, cost: Cost, stages: str) -> None:
    """What an audit would run, and for how long."""
    for condition in plan.conditions:
        typer.echo(condition.label)
    for declined in plan.declined:
        typer.echo(f"declined: {declined.probe} on {', '.join(declined.modalities)}: {declined.reason}")
    passes = ", ".join(f"{count:,} through the {part}" for part, count in cost.passes.items())
    typer.echo(f"\n{cost.conditions} conditions; the model is {stages}.")
    spared = " at most (equal rows of a batch are encoded once)" if "fusion" in cost.passes else ""
    typer.echo(f"Forward passes, counted in samples: {passes}{spared}.")
    if plan.suite.analyses:
        named = ", ".join(plan.suite.analyses)
        typer.echo(f"Not counted: checks of the model, and analyses, some of which ask it more often still: {named}.")
    typer.echo(f"About {cost.seconds:.0f} s on this machine (estimated on two small batches), then scoring.")


def show_names(rows: Sequence[dict[str, Any]]) -> None:
    """Names, and what is known of each, one per line."""
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        rest = "  ".join(str(v) for k, v in row.items() if k != "name" and v not in ("", [], None))
        typer.echo(f"{row['name']:<{width}}  {rest}")


def show_probes(rows: Sequence[dict[str, Any]]) -> None:
    """Probes by family and kind: name, version, severities with their unit; below it what it does and its source."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        own = row["name"].partition(".")[0] if "." in row["name"] else ""
        groups.setdefault(f"{row['family']}: {own}" if own else row["family"], []).append(row)
    for title, members in sorted(groups.items()):
        typer.echo(f"\n{title}")
        for row in members:
            table = " ".join(f"{severity:.4g}" for severity in row["severities"])
            scale = "  ".join(part for part in (table, row["unit"]) if part)
            notes = [f"{row['summary']}."]
            notes += [f"Source: {row['source']}."] if row["source"] else []
            notes += ["Changes the meaning."] if row["changes_meaning"] else []
            notes += [f"Not monotone: {row['not_monotone']}."] if row["not_monotone"] else []
            typer.echo(f"  {row['name']}  v{row['version']}" + (f"  {scale}" if scale else ""))
            typer.echo(f"      {' '.join(notes)}")


def show_estimates(found: Report | Sequence[Estimated], said: Sequence[str] = ()) -> None:
    """Tables of reliance by modality, and of synergy in the data, used by the model and left unused, in 80 columns.

    Args:
        found: estimates, or a report that holds some.
        said: sentences to print below them.
    """
    from rich.console import Console
    from rich.text import Text

    from mmaudit.figures.synergy_tables import estimate_tables
    from mmaudit.report import Report as Whole

    estimates = found.estimates if isinstance(found, Whole) else tuple(found)
    console = Console()
    tables = estimate_tables(estimates)
    if not tables:
        typer.echo("nothing to show")
    for i, table in enumerate(tables):
        console.print(*([""] if i else []), Text(table.title, style="bold"), Text(table.words, style="dim"), sep="\n")
        console.print(_rich(table.columns, table.rows))
        for reason, letter in table.notes.items():
            console.print(Text(f"({letter}) {reason}", style="dim"))
    for sentence in said:
        console.print()
        console.print(Text(sentence))


def show_panel(panel: Panel, findings: Sequence[Finding], page: Path) -> None:
    """Reference methods beside the audited model: what follows, three tables of 80 columns, and where to read on."""
    from rich.console import Console
    from rich.text import Text

    from mmaudit.panel.lines import lines, title

    console = Console()
    console.print(Text(title(panel), style="bold"))
    for finding in findings:
        console.print()
        console.print(_claimed(finding, console))
    heads, *body = lines(panel)
    for shown in PANEL_TABLES:
        columns = [heads.index(name) for name in shown]
        console.print()
        console.print(_rich([heads[i] for i in columns], [[row[i] for i in columns] for row in body]))
    _where(console, page)


PANEL_TABLES = (
    ("method", "clean", "against yours", "kept"),
    ("method", "worst when", "value there", "against yours there"),
    ("method", "ECE", "above the line", "parameters", "fusion time", "seeds"),
)


def _rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for i, name in enumerate(columns):
        drawn.add_column(Text(name), justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    """One line per probe that keeps its contract, and the broken clauses of the others."""
    by_probe: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_probe.setdefault(verdict.probe, []).append(verdict)
    for name, own in by_probe.items():
        broken = [v for v in own if not v.ok]
        typer.echo(f"{'FAIL' if broken else 'ok  '}  {name}: {len(own) - len(broken)} of {len(own)} clauses kept")
        for verdict in broken:
            typer.echo(f"      broken: {verdict.clause}")
            for violation in verdict.violations[:5]:
                typer.echo(f"        {violation}")
            if len(verdict.violations) > 5:
                typer.echo(f"        and {len(verdict.violations) - 5} more")


def show_truths(rows: Sequence[dict[str, Any]]) -> None:
    """Truth beside estimate, a row for each number."""
    shown = []
    for row in rows:
        truth, found = row["truth"], row["estimate"]
        if row["low"] is not None:
            truth = formats.number(truth, row["unit"])
            found = formats.estimate(found, row["low"], row["high"], row["unit"])
        shown.append(
            {
                "model": row["model"],
                "quantity": row["quantity"],
                "truth": truth,
                "estimate [95 % interval]": found,
                "": "ok" if row["ok"] else "WRONG",
            }
        )
    show_table([{"": row.pop(""), **row} for row in shown])
