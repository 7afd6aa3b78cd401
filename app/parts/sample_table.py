"""The list of samples under one condition: read once, shown a page at a time, one of them picked."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import pandas as pd
import streamlit as st

from mmaudit.app.parts import state, tables
from mmaudit.browse.answers import Answers
from mmaudit.browse.fragility import Flip
from mmaudit.browse.fragility import fragility as measure
from mmaudit.browse.fragility import passport as measure_passport
from mmaudit.errors import MMAuditError, Undefined
from mmaudit.formats import DASH, number, shorten
from mmaudit.types import Condition

Frame: TypeAlias = pd.DataFrame
LONGEST_LINK = 120
TALL = 320  # px of the list
BY_POSITION = "position:"


def stamp(o: state.Opened) -> tuple[str, int]:
    """What the answers of a run are kept in memory by: its folder, and when its header was written."""
    folder = o.entry.folder
    try:
        return str(folder), (folder / "run.json").stat().st_mtime_ns
    except OSError:
        return str(folder), 0


def table(o: state.Opened, condition: Condition) -> Frame:
    """`Answers.table`, kept in memory; shared, so it must not be changed."""
    return _table(*stamp(o), condition.key, condition, state.answers(o))


@st.cache_resource(max_entries=4, show_spinner="Reading the answers …")
def _table(folder: str, changed: int, key: str, _condition: Condition, _answers: Answers) -> Frame:
    return _answers.table(_condition)


def sample(o: state.Opened, position: int) -> Frame:
    """`Answers.sample`, kept in memory; shared, so it must not be changed."""
    return _sample(*stamp(o), position, state.answers(o))


@st.cache_resource(max_entries=64, show_spinner=False)
def _sample(folder: str, changed: int, position: int, _answers: Answers) -> Frame:
    return _answers.sample(position)


def fragility(o: state.Opened) -> Frame | None:
    """The passports of all samples in short; None where nothing can be flipped."""
    try:
        return _fragility(*stamp(o), state.answers(o))
    except Undefined:
        return None


@st.cache_resource(max_entries=3, show_spinner="Looking for the smallest severity that flips each sample …")
def _fragility(folder: str, changed: int, _answers: Answers) -> Frame:
    return measure(_answers)


def passport(o: state.Opened, position: int) -> tuple[Flip, ...]:
    """The fragility passport of a sample, kept in memory.

    Raises:
        Undefined: it has none; the message says why.
    """
    return _passport(*stamp(o), position, state.answers(o))


@st.cache_resource(max_entries=64, show_spinner=False)
def _passport(folder: str, changed: int, position: int, _answers: Answers) -> tuple[Flip, ...]:
    return measure_passport(_answers, position)


def held(o: state.Opened) -> frozenset[int]:
    """Positions of the samples whose inputs the run keeps; none where the file of inputs cannot be read."""
    try:
        return frozenset(state.kept(o).positions())
    except MMAuditError:
        return frozenset()


# ---- links


def link_of(position: int, name: str) -> str:
    """What stands in a link for a sample: its id, or its position where the id is too long for an address."""
    return name if 0 < len(name) <= LONGEST_LINK and not name.startswith(BY_POSITION) else f"{BY_POSITION}{position}"


def linked(table: Frame, value: str) -> int | None:
    """Position of the sample that a link names; None where there is none."""
    if not value:
        return None
    if value.startswith(BY_POSITION):
        digits = value.removeprefix(BY_POSITION)
        where = int(digits) if digits.isdecimal() and len(digits) < 12 else -1
        return where if 0 <= where < len(table) else None
    found = table.index[table["sample"].astype(str) == value]
    return _whole(table.at[found[0], "position"]) if len(found) else None


def named(table: Frame, row: int) -> tuple[int, str]:
    """Position and id of the sample in a row (by its label in the frame, which is its position)."""
    return _whole(table.at[row, "position"]), str(table.at[row, "sample"])


def _whole(value: Any) -> int:
    return int(value)


# ---- the list


def pick(rows: Frame, o: state.Opened, condition: Condition, key: str, fragility: Frame | None) -> int | None:
    """Show a page of samples; return the place of the one that is picked, or None."""
    answers = state.answers(o)
    kept = held(o)
    unit = answers.damage_unit
    shown = pd.DataFrame({"sample": rows["sample"].astype(str), truth(o).lower(): rows["target"]})
    shown["original"] = [_sure(a, c) for a, c in zip(rows["clean"], rows["clean_confidence"], strict=True)]
    shown["perturbed"] = [_sure(a, c) for a, c in zip(rows["answer"], rows["confidence"], strict=True)]
    shown["damage"] = [number(float(v), unit, signed=True, change=True) for v in rows["damage"]]
    if not answers.flip_reason:
        shown["flipped"] = ["flipped" if v else "" for v in rows["flipped"].fillna(False)]
    if fragility is not None:
        flips = [c for c in fragility.columns if c.startswith("flips.")]
        least = fragility.set_index("position")[flips].min(axis=1).reindex(rows["position"])
        shown["flips at"] = [DASH if v != v else f"{v:.0f} of 5" for v in least]
    if not rows["changed"].all():
        shown["changed"] = ["yes" if v else "no" for v in rows["changed"]]
    if kept:
        shown["inputs"] = ["kept" if p in kept else "" for p in rows["position"]]
    text = st.column_config.TextColumn
    config = {
        "original": text("original", help="The answer to the original input, and how sure the model is of it."),
        "perturbed": text("perturbed", help="The answer under the condition, and how sure the model is of it."),
        "damage": text("damage", help=shorten(answers.damage_summary, 300)),
        "flipped": text("flipped", help="Right on the original input, wrong on the perturbed one."),
        "flips at": text("flips at", help="The smallest severity, 1 to 5, of any probe that flips it."),
        "changed": text("changed", help="Whether the condition changed the sample's input."),
        "inputs": text("inputs", help="Whether the run keeps the inputs, so that they can be shown."),
    }
    height = min(tables.HEADER + tables.ROW * len(shown), TALL)
    return tables.selectable(shown, key, height=height, config=config)


def truth(o: state.Opened) -> str:
    """What the target is called: a regression has no right answer."""
    return "Target" if o.run is not None and o.run.task.kind == "regression" else "Right answer"


def _sure(answer: object, confidence: float) -> str:
    """An answer in words, and how sure the model is of it."""
    said = shorten(str(answer), 80)
    return said if math.isnan(float(confidence)) else f"{said} · {number(float(confidence), 'share')}"
