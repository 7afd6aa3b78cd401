"""Groups: is one site, speaker or device served worse, and is one hit harder?"""

from __future__ import annotations

from mmaudit.app.parts import charts, choose, figured, grouped, state, texts
from mmaudit.app.parts.view import Filter
from mmaudit.errors import MMAuditError
from mmaudit.formats import shorten

RULE = "group_gap"


def main() -> None:
    """Draw the page."""
    texts.head("Groups", "Is one group of samples, one label or one target served worse, and is one hit harder?")
    o = state.opened()
    filters = figured.everyone(state.filters(o))
    for figure in figured.figures(o, "by_output", filters):
        charts.show(figure, "by-output")
    columns = grouped.columns(o.report, filters.metric)
    if not columns:
        _nothing(o, filters)
        return
    for finding in (f for f in o.report.findings if f.rule == RULE):
        texts.level(finding.level)
        texts.literal(finding.claim)
    column = next(iter(columns))
    if len(columns) > 1:
        column = choose.one(o, "Grouped by", "by", list(columns), column, lambda c: texts.plain(c, 60), bar=True)
    every = figured.figures(o, "groups", filters)
    for i, figure in enumerate(every):
        if len(every) != len(columns) or list(columns)[i] == column:
            charts.show(figure, f"groups-{i}")
    _under_one(o, filters, column, columns[column])


def _under_one(o: state.Opened, filters: Filter, column: str, groups: tuple[str, ...]) -> None:
    measured = grouped.conditions(o.report, filters, groups)
    texts.section("Under one condition", f"Every group by {texts.plain(column, 60)}, clean and under it.")
    if not measured:
        texts.nothing("No condition that the filters leave was scored by group.")
        return
    chosen = choose.condition(o, measured, choose.worst(o.report, measured))
    charts.show(grouped.under(o.report, filters.metric, chosen, groups), "group-under", heading=False)


def _nothing(o: state.Opened, filters: Filter) -> None:
    """Why there are no groups, and what would make them."""
    declared = o.report.document["data"].get("groups") or {}
    if not declared:
        texts.nothing(
            "The data set of this run declares no groups. Give columns such as site, speaker or device with "
            "--group COLUMN (in Python: groups={…}) and audit again."
        )
    else:
        names = ", ".join(shorten(str(name), 40) for name in list(declared)[:6])
        metric = shorten(filters.metric or o.report.primary.name, 40)
        texts.nothing(
            f"Groups are declared ({names}), but {metric} was not scored by group: only the task's primary metric and "
            "overconfidence are. Choose one of these in the sidebar."
        )


try:
    main()
except MMAuditError as error:
    texts.damaged(str(error))
