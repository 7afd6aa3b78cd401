"""Calibration: does the model know when it is wrong, on every subset of modalities and under every condition?"""

from __future__ import annotations

from mmaudit.app.parts import calibrated, charts, choose, figured, state, tables, texts
from mmaudit.app.parts.view import Filter
from mmaudit.errors import MMAuditError
from mmaudit.formats import readable, shorten
from mmaudit.report import Measured

VIEWS = {
    "reliability": "Reliability",
    "risk": "Risk and coverage",
    "confidence": "Confidence and performance",
    "recalibration": "Recalibration",
    "numbers": "All numbers",
}
FIGURE_OF = {"reliability": "reliability", "risk": "risk_coverage", "recalibration": "recalibration"}
AT_FIRST = 6


def main() -> None:
    """Draw the page."""
    texts.head("Calibration", "Does the model know when it is wrong, with everything there and with something missing?")
    o = state.opened()
    filters = state.filters(o)
    if not any(name in o.report.metrics for name in calibrated.METRICS):
        kind = o.report.document["task"]["kind"]
        texts.nothing(f"The answers of a {kind} come without a confidence, so there is none to be calibrated.")
        return
    if filters.group:
        texts.partial("Calibration was measured over all samples; the filter by group does not apply here.")
    view = choose.one(o, "View", "view", list(VIEWS), "reliability", VIEWS.__getitem__, bar=True)
    everyone = figured.everyone(filters)
    if view == "numbers":
        table = calibrated.table(o.report, [m for m in o.report.conditions if everyone.keeps(m.condition)])
        texts.section("Calibration in numbers", "Every condition, all samples, with 95 % intervals.")
        tables.show(table, "calibration", "calibration-numbers")
    elif view == "confidence":
        _confidence(o, everyone)
    else:
        _by_condition(o, view, everyone)


def _confidence(o: state.Opened, chosen: Filter) -> None:
    found = figured.figures(o, "confidence", chosen)
    for i, figure in enumerate(found):
        charts.show(figure, f"confidence-{i}")
    if not found:
        name = readable(shorten(chosen.metric or o.report.primary.name, 40))
        texts.nothing(
            f"This picture compares confidence with a share of right answers; {name} is not one. Choose accuracy as "
            "the metric in the sidebar, if the task has it."
        )


def _by_condition(o: state.Opened, view: str, chosen: Filter) -> None:
    """Diagrams of the conditions that are chosen.

    The report holds them for clean data, subsets and the worst; those of the others are made from the answers, but for
    recalibration, which is fitted when the run is scored.
    """
    name = FIGURE_OF[view]
    held = dict.fromkeys(entry["condition"] for entry in o.report.document.get(name, ()))
    every = o.run is not None and name != "recalibration" and bool(held)
    offered = [m for m in o.report.conditions if (every or m.key in held) and chosen.keeps(m.condition)]
    if not offered:
        texts.nothing(
            f"This run holds nothing on {VIEWS[view].lower()}, or the filters leave nothing of it. "
            f"“mmaudit score {state.typed(o)}” makes it from the stored answers."
        )
        return
    names = choose.said(offered)
    first = _first([m for m in offered if m.key in held] or offered)
    keys = choose.several(o, "Conditions", "conditions", [m.key for m in offered], first, names.__getitem__)
    more, failed = calibrated.curves(o, name, keys) if every else ([], [])
    for reason in failed:
        texts.partial(reason)
    for i, figure in enumerate(figured.figures(o, name, chosen, tuple(keys), tuple(more))):
        charts.show(figure, f"{view}-{i}")


def _first(offered: list[Measured]) -> list[str]:
    """The clean condition and one of each family in turn, so that the first view shows what differs."""
    rest = sorted(offered, key=lambda m: (m.condition.family != "clean", m.condition.repeat))
    return [m.key for m in rest[:AT_FIRST]]


try:
    main()
except MMAuditError as error:
    texts.damaged(str(error))
