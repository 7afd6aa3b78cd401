"""Widgets whose value lives in the URL, and the choice of a condition; a link reproduces what they are set to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from mmaudit.app.parts import charts, state
from mmaudit.app.parts.view import Filter
from mmaudit.figures import words
from mmaudit.formats import number, readable, shorten
from mmaudit.report import Measured, Report

NEXT = "choose.next"


def key(o: state.Opened, name: str) -> str:
    """A widget's key: another run has widgets of its own, so that none keeps what this one was set to."""
    return f"{name}-{charts.key_of(o.entry.name)}"


def preset(o: state.Opened, name: str, value: str) -> None:
    """Set a widget of `one` from code, and run the page again."""
    st.session_state[f"{NEXT}.{key(o, name)}"] = value
    st.rerun()


def one(
    o: state.Opened,
    label: str,
    name: str,
    options: Sequence[str],
    default: str,
    said: Callable[[str], str] = str,
    *,
    bar: bool = False,
) -> str:
    """One of several: a list to search, or with `bar` buttons beside each other; `?name=` holds what was chosen.

    Args:
        o: the run.
        label: what is chosen.
        name: in the URL.
        options: at least one; what stands in the URL.
        default: chosen where the URL says nothing, or something that is not among the options.
        said: the option in words. Words of a run must be plain: buttons read Markdown (`texts.plain`), lists do not.
        bar: whether buttons are drawn; for a few short words.
    """
    widget = key(o, name)
    coming = st.session_state.pop(f"{NEXT}.{widget}", None)
    if coming in options:
        st.session_state[widget] = coming
    elif st.session_state.get(widget) not in options:
        linked = state.param(name, default)
        st.session_state[widget] = linked if linked in options else default
    if bar:
        chosen = st.segmented_control(label, options, format_func=said, key=widget, required=True)
    else:
        chosen = st.selectbox(label, options, format_func=said, key=widget)
    value = str(chosen) if chosen in options else default
    state.set_param(name, None if value == default else value)
    return value


def several(
    o: state.Opened,
    label: str,
    name: str,
    options: Sequence[str],
    default: Sequence[str],
    said: Callable[[str], str] = str,
) -> list[str]:
    """Some of several, in the order of the options; `?name=` holds them, separated by commas."""
    widget = key(o, name)
    if widget not in st.session_state:
        named = [v for v in state.param(name, "").split(",") if v in options]
        st.session_state[widget] = named or list(default)
    else:
        st.session_state[widget] = [v for v in st.session_state[widget] if v in options]
    chosen = st.multiselect(label, options, format_func=said, key=widget)
    value = [v for v in options if v in chosen]
    state.set_param(name, None if set(value) in (set(), set(default)) else ",".join(value))
    return value or list(default)


def switch(o: state.Opened, label: str, name: str, note: str = "") -> bool:
    """Yes or no; `?name=yes` holds it."""
    widget = key(o, name)
    if widget not in st.session_state:
        st.session_state[widget] = state.param(name) == "yes"
    value = st.toggle(label, key=widget, help=note or None)
    state.set_param(name, "yes" if value else None)
    return value


def typed(o: state.Opened, label: str, name: str, hint: str = "") -> str:
    """A word to look for; `?name=` holds it, at most 200 characters."""
    widget = key(o, name)
    if widget not in st.session_state:
        st.session_state[widget] = state.param(name)[:200]
    value = st.text_input(label, key=widget, placeholder=hint, max_chars=200).strip()
    state.set_param(name, value or None)
    return value


# ---- conditions


def offered(report: Report, chosen: Filter) -> list[Measured]:
    """The conditions that perturb something and that the filters leave; all of them where they leave none."""
    real = [m for m in report.conditions if m.condition.family not in ("clean", "control")]
    real = real or [m for m in report.conditions if m.condition.family != "clean"]
    return [m for m in real if chosen.keeps(m.condition)] or real


def loss(report: Report, m: Measured) -> float:
    """How far the primary metric fell under a condition, in the direction of goodness; NaN where undefined."""
    score = report.score(m.key, report.primary.name)
    if score is None:
        return float("nan")
    return score.delta if score.better == "lower" else -score.delta


def worst(report: Report, conditions: Sequence[Measured]) -> str:
    """Key of the condition of a single modality that costs most; with nothing left every model fails.

    Of all conditions where none is of a single modality; the first where no effect is known.
    """
    single = [m for m in conditions if len(m.condition.modalities) == 1]
    # Under a conflict the right answer is a matter of view.
    some = [m for m in single if m.condition.family != "conflict"] or single or conditions
    known = [m for m in some if not math.isnan(loss(report, m))]
    return max(known, key=lambda m: loss(report, m)).key if known else some[0].key


def said(conditions: Sequence[Measured]) -> Mapping[str, str]:
    """Every condition in words by its key; those that read alike are told apart by their label."""
    names = {m.key: shorten(words(m.condition), 80) for m in conditions}
    counts: dict[str, int] = {}
    for name in names.values():
        counts[name] = counts.get(name, 0) + 1
    return {
        m.key: names[m.key] if counts[names[m.key]] == 1 else f"{names[m.key]} ({shorten(m.condition.label, 60)})"
        for m in conditions
    }


def condition(o: state.Opened, conditions: Sequence[Measured], default: str, name: str = "condition") -> Measured:
    """Choose a condition, the one that costs most first; each with its price."""
    report = o.report
    names = said(conditions)
    by_key = {m.key: m for m in conditions}
    order = sorted(by_key, key=lambda k: math.inf if math.isnan(loss(report, by_key[k])) else -loss(report, by_key[k]))
    prices = {k: f"{names[k]}   {price(report, by_key[k])}" for k in order}
    return by_key[one(o, "Condition", name, order, default, lambda k: prices.get(k, k))]


def price(report: Report, m: Measured) -> str:
    """The change of the primary metric under a condition: `accuracy −12.3 pp`; empty where undefined."""
    score = report.score(m.key, report.primary.name)
    if score is None or score.delta != score.delta:
        return ""
    return f"{readable(report.primary.name)} {number(score.delta, score.unit, signed=True, change=True)}"
