"""Rules about reference methods: would another method, trained on the same data, do better, and what would it cost?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import scipy.special

from mmaudit import formats
from mmaudit.findings.base import Draft, Evidence, rule
from mmaudit.findings.certainty import FAMILY
from mmaudit.findings.wording import change, name, percent
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import AUDITED, CLEAN, STAND_IN, VALUE, Group, Method, Row
from mmaudit.types import Level, Score

# All in shares of what the audited model has above chance on clean data.
# A gain below this is nothing to change a model for.
WORTHWHILE = 0.02
# A gain that is surely above this, and at least a quarter of what the model loses there, is worth planning for.
LARGE, COMES_BACK = 0.05, 0.25
MOST_OTHERS = 3


@dataclass(frozen=True)
class Gain:
    """What a method is surely better by than the audited model, in the direction of goodness.

    Attributes:
        method: the method.
        row: its value at the place, with the paired difference.
        group: the conditions; None for clean data.
        gain, low: the difference and the lower end of its interval; positive is better.
        lost: what the audited model loses there against clean data; NaN on clean data.
        clean_loss: what the method loses against the audited model on clean data; below 0 it gains.
        room: what the audited model has above chance on clean data.
    """

    method: Method
    row: Row
    group: Group | None
    gain: float
    low: float
    lost: float
    clean_loss: float
    room: float

    @property
    def fair(self) -> bool:
        """Whether it gives more than it takes on clean data."""
        return self.clean_loss <= self.gain

    @property
    def returned(self) -> float:
        """Share of what the model loses there that comes back; NaN where nothing is lost."""
        return self.gain / self.lost if self.lost > 0 else math.nan

    @property
    def level(self) -> Level:
        """Grave enough to plan for, or only to know."""
        if not self.fair:
            return "info"
        if len(self.method.seeds) == 1:
            return "minor"
        large = self.lost > 0 and self.low >= COMES_BACK * self.lost and self.low >= LARGE * self.room
        return "major" if large else "minor"


def gains(panel: Panel) -> list[Gain]:
    """Every gain that is worthwhile, and sure after adjustment over the panel; the largest lower bound first."""
    sign = 1.0 if panel.better == "higher" else -1.0
    base, room = panel.row(AUDITED, VALUE, CLEAN).value, _room(panel)
    found = []
    places = [None, *(g for g in panel.groups if g.counts)]
    for group in places:
        lost = sign * (base - panel.row(AUDITED, VALUE, group.key).value) if group else math.nan
        for method in panel.scored:
            row = panel.row(method.name, VALUE, group.key if group else CLEAN)
            gain = sign * row.delta
            low = row.delta_low if sign > 0 else -row.delta_high
            luck = _luck(panel, row, len(places))
            if not (row.p_adjusted <= FAMILY and gain >= WORTHWHILE * room and gain > math.hypot(gain - low, luck) > 0):
                continue
            clean_loss = -sign * panel.row(method.name, VALUE, CLEAN).delta
            found.append(Gain(method, row, group, gain, low, lost, clean_loss, room))
    return sorted(found, key=lambda g: (not g.fair, -g.low))


def _luck(panel: Panel, row: Row, places: int) -> float:
    """How far one training may lie from the mean of its method: t · s, of this method or of all, whichever s is larger.

    The audited model is one training, which may have been unlucky. A lead that another seed of the same method would
    sometimes have is a reason to train again, none to change the method. As few seeds say little about s, those of all
    methods are pooled; the tail is the share of `FAMILY` that falls on one of the places looked at. 0 where no method
    has two seeds: then it is not known.
    """
    many = [m for m in panel.scored if len(m.seeds) > 1]
    spreads = {m.name: panel.row(m.name, row.quantity, row.place).between for m in many}
    freedoms = {m.name: len(m.seeds) - 1 for m in many if math.isfinite(spreads[m.name])}
    if not freedoms:
        return 0.0
    freedom = sum(freedoms.values())
    pooled = math.sqrt(sum(f * spreads[name] ** 2 for name, f in freedoms.items()) / freedom)
    quantile = -float(scipy.special.stdtrit(freedom, FAMILY / 2 / places))
    return quantile * max(pooled, spreads[row.method] if row.method in freedoms else 0.0)


def _room(panel: Panel) -> float:
    base = panel.row(AUDITED, VALUE, CLEAN).value
    return abs(base - panel.floor) if math.isfinite(panel.floor) else abs(base)


@rule("reference_would_help", level="minor")
def reference_would_help(evidence: Evidence) -> Iterator[Draft]:
    """A reference method trained on the same data does surely better than the model, and what it costs."""
    panel = evidence.panel
    if panel is None:
        return
    found = gains(panel)
    if not found:
        return
    best = found[0]
    shown = [best.row, panel.row(AUDITED, VALUE, best.row.place), panel.row(best.method.name, VALUE, CLEAN)]
    scores = [score_of(panel, row) for row in dict.fromkeys(shown)]
    yield Draft(
        " ".join(part for part in (_claim(panel, best), _cost(panel, best), _told(best), _others(found)) if part),
        best.group.modalities if best.group else (),
        tuple(scores),
        best.gain / best.room if best.room > 0 else 0.0,
        level=best.level,
        command=evidence.reproduce_panel(),
    )


def _claim(panel: Panel, g: Gain) -> str:
    where = f"with {g.group.words}" if g.group else "on clean data"
    share = ""
    if g.group and g.returned >= 1:
        share = ", all that the model loses there"
    elif g.group and g.returned == g.returned:
        share = f", {percent(g.returned)} of what the model loses there"
    gained = f"{formats.readable(panel.metric)} {change(score_of(panel, g.row))}{share}"
    return f"{name(g.method.title)}, trained on {_features(g.method)}, does better than the model {where}: {gained}."


def _features(method: Method) -> str:
    said = [what for _, what in method.features]
    if said and all("frozen" in what for what in said):
        return "the features of the model's own encoders"
    return "the same data"


def _cost(panel: Panel, g: Gain) -> str:
    """What it costs: on clean data, in time; and that it costs more than it gives, where it does."""
    clean = panel.row(g.method.name, VALUE, CLEAN)
    said = []
    if g.group:
        said.append(f"{change(score_of(panel, clean))} on clean data")
    if math.isfinite(g.method.relative_time):
        said.append(f"its fusion takes {formats.plain(g.method.relative_time, 2)} times as long")
    if len(g.method.seeds) == 1:
        said.append("it was trained once, so how much another seed would differ is not in the interval")
    cost = f"Beside that: {'; '.join(said)}." if said else ""
    return cost if g.fair else f"It is no recommendation, for it loses more on clean data than it gives here. {cost}"


def _told(g: Gain) -> str:
    if not g.group or g.group.family != "missing" or not g.method.told_missing or not g.group.remark:
        return ""
    stand_in = g.group.remark.removeprefix(STAND_IN)
    return f"It is told what is missing; the model reads what stands in for it ({stand_in})."


def _others(found: list[Gain]) -> str:
    """Where else some method surely helps, each place with the method that helps most there."""
    best = found[0]
    other: dict[str, Gain] = {}
    for g in found[1:]:
        if g.row.place != best.row.place and g.fair:
            other.setdefault(g.row.place, g)
    said = [
        f"{name(g.method.title)} {'with ' + g.group.words if g.group else 'on clean data'} "
        f"({formats.number(g.row.delta, g.row.unit, signed=True, change=True)})"
        for g in list(other.values())[:MOST_OTHERS]
    ]
    return f"Also surely better: {_joined(said)}." if said else ""


def _joined(said: list[str]) -> str:
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


@rule("no_reference_helps", level="info")
def no_reference_helps(evidence: Evidence) -> Iterator[Draft]:
    """None of the reference methods trained on the same data is surely better by a margin that matters."""
    panel = evidence.panel
    if panel is None or not panel.scored or gains(panel):
        return
    sign = 1.0 if panel.better == "higher" else -1.0
    places = [None, *(g for g in panel.groups if g.counts)]
    rows = [
        (sign * row.delta, group, method, row)
        for group in places
        for method in panel.scored
        if math.isfinite((row := panel.row(method.name, VALUE, group.key if group else CLEAN)).delta)
    ]
    if not rows:
        return
    _, group, method, row = max(rows, key=lambda r: r[0])
    many = len(panel.scored)
    counted = "The one reference method" if many == 1 else f"None of the {many} reference methods"
    seen = ""
    if row.unit == "share" and row.mde >= 1:
        seen = f" With so few samples or seeds ({row.seeds}) no difference could have been told from chance there."
    elif math.isfinite(row.mde):
        least = formats.number(row.mde, row.unit, change=True)
        # What the rule asks for is more: p is adjusted, and another seed must not be as lucky.
        seen = (
            f" A difference of {least} would have been seen there with a chance of 80{formats.NBSP}% by a single test "
            f"at the 5{formats.NBSP}% level; to be sure of one beside all the others takes a larger one."
        )
    if any(m.optimistic for m in panel.scored):
        seen += (
            " They may be weaker than they could be: when to stop training was chosen on rows that the model knows, "
            "and with it its frozen encoders."
        )
    yield Draft(
        f"{counted} trained on the same data is {'not ' if many == 1 else ''}surely better than the model by a margin "
        f"that matters, neither on clean data nor {_damage(panel)}. The nearest is {name(method.title)} "
        f"{'with ' + group.words if group else 'on clean data'}: {formats.readable(panel.metric)} "
        f"{change(score_of(panel, row))}.{seen}",
        (),
        (score_of(panel, row),),
        0.0,
        command=evidence.reproduce_panel(),
    )


def _damage(panel: Panel) -> str:
    said = {"missing": "missing", "corruption": "corrupted"}
    kinds = list(dict.fromkeys(said[g.family] for g in panel.groups if g.counts and g.family in said))
    return f"with a modality {' or '.join(kinds)}" if kinds else "under any other condition"


@rule("reference_not_trained", level="info")
def reference_not_trained(evidence: Evidence) -> Iterator[Draft]:
    """A reference method, or some of its trainings, came to nothing."""
    panel = evidence.panel
    if panel is None:
        return
    failed = [m for m in panel.methods if m.failed or m.refused]
    if not failed:
        return
    said = []
    for m in failed:
        many = len(m.failed) + len(m.seeds)
        which = "" if not m.seeds else f"{len(m.failed)} of {many} trainings, "
        why = m.reason if not m.seeds else m.failed[0][1]
        said.append(f"{name(m.title)} ({which}{formats.shorten(why, 90).rstrip('.')})")
    yield Draft(
        f"Of {len(panel.methods)} reference methods not every training could be used: {_joined(said[:MOST_OTHERS])}"
        f"{f' and {len(said) - MOST_OTHERS} more' if len(said) > MOST_OTHERS else ''}. The others stand as they are.",
        (),
        (),
        len(failed) / len(panel.methods),
        command=evidence.reproduce_panel(),
    )


def score_of(panel: Panel, row: Row) -> Score:
    """A row of the panel as the score that a finding rests on; its `delta` is against the audited model."""
    return Score(
        condition=row.key,
        label=f"{panel.method(row.method).title} · {panel.words(row.place)}",
        metric=panel.metric,
        n=row.n,
        value=row.value,
        low=row.low,
        high=row.high,
        delta=row.delta,
        delta_low=row.delta_low,
        delta_high=row.delta_high,
        p=row.p,
        p_adjusted=row.p_adjusted,
        mde=row.mde,
        floor=panel.floor,
        unit=row.unit,
        better=row.better,
        reason=row.reason,
    )
