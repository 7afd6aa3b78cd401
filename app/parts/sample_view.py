"""One sample under one condition: answers and inputs before and after, its fragility passport, all its conditions."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from mmaudit.app.parts import charts, choose, estimated, sample_figures, sample_table, sides, state, tables, texts
from mmaudit.browse.answers import NOT_MEASURED
from mmaudit.browse.fragility import Flip
from mmaudit.browse.kept import Side
from mmaudit.errors import MMAuditError, Undefined
from mmaudit.figures import words
from mmaudit.formats import count, number, printable, readable, shorten
from mmaudit.report import Measured

MOST_TYPED = 120


def show(o: state.Opened, position: int, name: str, measured: Measured) -> None:
    """Draw a sample.

    Args:
        o: the run.
        position: the sample's place in the data set.
        name: its id.
        measured: the condition it is looked at under.
    """
    said = words(measured.condition)
    texts.section(f"Sample {texts.plain(name, 120)}", f"Condition: {texts.plain(said)}")
    table = sample_table.table(o, measured.condition)
    _tiles(o, table[table["position"] == position].iloc[0])
    _inputs(o, position, name, measured, said)
    _distribution(o, position, measured)
    _passport(o, position)
    _conditions(o, position, measured)


def _tiles(o: state.Opened, line: pd.Series) -> None:
    """What is right, what the model said before and after, and what that cost."""
    answers = state.answers(o)
    tiles = (
        (sample_table.truth(o), str(line["target"]), ""),
        ("Answer to the original", str(line["clean"]), _sure(line["clean_confidence"])),
        ("Answer when perturbed", str(line["answer"]), _sure(line["confidence"])),
        (
            "Damage",
            number(float(line["damage"]), answers.damage_unit, signed=True, change=True),
            _beside(line),
        ),
    )
    with st.container(horizontal=True, gap="small", key="answer-tiles"):
        for i, (title, value, more) in enumerate(tiles):
            with st.container(border=True, key=f"tile-answer-{i}", gap="xxsmall", height="stretch"):
                st.caption(title)
                st.markdown(f"**{texts.plain(value, 48)}**")
                if more == "flipped":
                    st.markdown(":red-badge[✗ flipped]")
                elif more:
                    st.caption(texts.plain(more))
    st.caption(f"Damage: {texts.plain(answers.damage_summary)}.")


def _sure(confidence: float) -> str:
    return "" if math.isnan(float(confidence)) else f"{number(float(confidence), 'share')} sure"


def _beside(line: pd.Series) -> str:
    """What is said below the damage."""
    if _flipped(line):
        return "flipped"
    if NOT_MEASURED in (line["clean"], line["answer"]):
        return "a budget left this sample out"
    return "" if line["changed"] else "this condition leaves it as it is"


def _flipped(line: pd.Series) -> bool:
    return line["flipped"] is not pd.NA and bool(line["flipped"])


# ---- inputs


def _inputs(o: state.Opened, position: int, name: str, measured: Measured, said: str) -> None:
    """What is changed is open; what this condition leaves as it is, behind a click."""
    texts.section("Inputs")
    try:
        kept = state.kept(o)
        if position not in kept.positions():
            _not_kept(o, bool(kept.samples), name)
            return
        found = kept.sides(position, measured.key)
    except MMAuditError as error:
        texts.damaged(str(error))
        return
    key = f"{choose.key(o, measured.key)}-{position}"
    changed = [side for side in found if side.perturbed is not None] or found
    for i, side in enumerate(changed):
        sides.show(side, said, f"{key}-{i}")
    same = [side for side in found if side not in changed]
    if same:
        _unchanged(same, said, key)


@st.fragment
def _unchanged(same: list[Side], said: str, key: str) -> None:
    """Sent only once it is asked for."""
    names = ", ".join(texts.plain(side.modality, 40) for side in same)
    more = st.expander(f"Not perturbed: {names}", key=f"same-{key}", on_change="rerun")
    if more.open:
        with more:
            for i, side in enumerate(same):
                sides.show(side, said, f"{key}-same-{i}")


def _not_kept(o: state.Opened, some: bool, name: str) -> None:
    """The designed empty state: why, and the command that keeps them."""
    texts.nothing(
        "The run keeps the inputs of some samples only, to stay small; this is not one of them."
        if some
        else "This run keeps no inputs: it was made by an older mmaudit, or was told to keep none."
    )
    run = state.typed(o)
    st.caption("With the data, and without the model, this keeps them:")
    which = shlex.quote(name) if printable(name) == name and len(name) <= MOST_TYPED else "ID"
    command = f"mmaudit keep {run} --data DATA --sample {which}"
    st.code(command, language="bash", wrap_lines=True)


# ---- answers in full


def _distribution(o: state.Opened, position: int, measured: Measured) -> None:
    try:
        shares = state.answers(o).distribution(position, measured.condition)
    except Undefined:
        return  # regression and retrieval: the tiles say all there is
    assert o.run is not None
    charts.show(sample_figures.answers(shares, o.run.task.kind), "answers")


def _passport(o: state.Opened, position: int) -> None:
    texts.section("Fragility passport", "The smallest severity that turns the right answer wrong.")
    try:
        flips = sample_table.passport(o, position)
    except Undefined as error:
        texts.nothing(estimated.sentence(str(error)))
        return
    if not flips:
        texts.nothing("This run has no probe with severities of a single modality.")
        return
    order = {m["name"]: i for i, m in enumerate(o.report.document["data"]["modalities"])}
    flips = tuple(sorted(flips, key=lambda f: (order.get(f.modality, len(order)), f.position or 9)))
    with st.container(horizontal=True, gap="small", key="passport-tiles"):
        for i, modality in enumerate(dict.fromkeys(f.modality for f in flips)):
            with st.container(border=True, key=f"tile-passport-{i}", gap="xxsmall", height="stretch"):
                _least(modality, [f for f in flips if f.modality == modality])
    charts.show(sample_figures.passport(flips), "passport", heading=False)


def _least(modality: str, flips: Sequence[Flip]) -> None:
    """One modality: the smallest severity of any probe that flips the sample."""
    st.caption(texts.plain(modality, 60))
    broken = [f for f in flips if f.position is not None]
    if not broken:
        asked = sum(bool(f.tested) for f in flips)
        st.markdown("**not flipped**" if asked else "**not measured**")
        st.caption(f"by {count(asked)} {'probe' if asked == 1 else 'probes'}" if asked else "a budget left it out")
        return
    least = min(broken, key=lambda f: f.position or 9)
    st.markdown(f"**{least.position} of 5**")
    at = "" if least.severity is None else f", {sample_figures.severity(least.severity, least.unit)}"
    st.caption(texts.plain(f"{sample_figures.probe_name(least.probe)}{at}", 120))


# ---- every condition


def _conditions(o: state.Opened, position: int, measured: Measured) -> None:
    """All conditions of the sample, the most damaging first; picking one shows the sample under it."""
    answers = state.answers(o)
    every = sample_table.sample(o, position)
    real = every[~every["family"].isin(["clean", "control"])].sort_values("damage", ascending=False, kind="stable")
    flips = int(real["flipped"].fillna(False).astype(bool).sum())
    asked = int((real["answer"] != NOT_MEASURED).sum())
    says = f"{count(flips)} of {count(asked)} conditions flip this sample. " if not answers.flip_reason else ""
    if asked < len(real):
        says += f"A budget left {count(len(real) - asked)} others unmeasured for it. "
    texts.section("Every condition", f"{says}Pick one to see the sample under it.")
    names = choose.said(o.report.conditions)
    shown = pd.DataFrame(
        {"condition": [names.get(k, shorten(v, 80)) for k, v in zip(real["key"], real["label"], strict=True)]}
    )
    shown["family"] = [readable(f) for f in real["family"]]
    shown["answer"] = real["answer"].to_numpy()
    if real["confidence"].notna().any():
        shown["confidence"] = [number(float(v), "share") for v in real["confidence"]]
    shown["damage"] = [number(float(v), answers.damage_unit, signed=True, change=True) for v in real["damage"]]
    if not answers.flip_reason:
        shown["flipped"] = ["flipped" if v else "" for v in real["flipped"].fillna(False)]
    shown["moved"] = [
        "" if math.isnan(float(v)) else sample_figures.amount(float(v), u)
        for v, u in zip(real["moved"], real["moved_unit"], strict=True)
    ]
    place = tables.selectable(shown, choose.key(o, f"conditions-{measured.key}-{position}"))
    tables.downloads(every.drop(columns=["key"]), "sample-conditions", choose.key(o, "sample-conditions"))
    if place is not None and (key := str(real["key"].iloc[place])) != measured.key:
        choose.preset(o, "condition", key)
