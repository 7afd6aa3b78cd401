"""One modality of a sample, original beside perturbed: picture, sound, text with changes marked, curves, numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from mmaudit.app.parts import charts, diff, sample_figures, tables, texts
from mmaudit.browse.kept import Side
from mmaudit.formats import DASH, count, number, plain, shorten

ORIGINAL, PERTURBED = "original", "perturbed"
MARK = "●"
PICTURE = 280  # px, at most


def show(side: Side, condition: str, key: str) -> None:
    """Draw a modality.

    Args:
        side: as `Kept.sides` gives it: pictures and sounds are checked and encoded anew there.
        condition: the condition in words; part of what is read out.
        key: unique on the page.
    """
    with st.container(border=True, key=f"side-{key}"):
        state = ":gray-badge[unchanged]" if side.perturbed is None else ":orange-badge[perturbed]"
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{texts.plain(side.modality, 80)}** :gray[{texts.plain(side.kind, 20)}]", width="content")
            if not side.reason or side.perturbed is not None or side.reason.startswith("Unchanged"):
                st.markdown(state, width="content")
        if side.reason:
            st.caption(texts.plain(side.reason))
        original, perturbed = side.original, side.perturbed
        both = [original] if perturbed is None else [original, perturbed]
        if any("values" in one for one in both):
            _row(original, perturbed, key)
        elif any("curves" in one for one in both):
            _heard(side, condition, key)
        else:
            _beside(side, condition)


def _beside(side: Side, condition: str) -> None:
    """Texts and pictures in two columns; below each other on a phone."""
    original, perturbed = side.original, side.perturbed
    if perturbed is None:
        _one(side, original, ORIGINAL, condition, "")
        return
    left = right = ""
    if "text" in original and "text" in perturbed:
        left, right = diff.marked(original["text"], perturbed["text"])
    for column, one, name, marked in zip(
        st.columns(2, gap="medium"), (original, perturbed), (ORIGINAL, PERTURBED), (left, right), strict=True
    ):
        with column:
            st.caption(name)
            _one(side, one, name, condition, marked)


def _one(side: Side, one: Mapping[str, Any], name: str, condition: str, marked: str) -> None:
    if one.get("absent"):
        _absent(name)
    elif "image" in one:
        what = f"{shorten(side.modality, 40)}, {name}" + (f", {condition}" if name == PERTURBED else "")
        st.image(one["image"], width=min(int(one["width"]), PICTURE), output_format="PNG", alt=what)
    elif "text" in one:
        st.markdown(marked or diff.literal(one["text"]))
        if "of" in one:
            st.caption(f"cut; {count(one['of'])} characters in all")


def _absent(name: str) -> None:
    st.markdown(":material/block: *not recorded*" if name == ORIGINAL else ":material/block: *withheld*")


def _heard(side: Side, condition: str, key: str) -> None:
    """Waveforms and series drawn over each other; sounds can be played."""
    original, perturbed = side.original, side.perturbed
    figure = sample_figures.curves(
        side.modality, original.get("curves", ()), None if perturbed is None else perturbed.get("curves", ())
    )
    for one, name in ((original, ORIGINAL), (perturbed, PERTURBED)):
        if one is not None and one.get("absent"):
            st.caption(name)
            _absent(name)
    if figure.panels:
        charts.show(figure, key, heading=False)
    played = [(name, one) for name, one in ((ORIGINAL, original), (PERTURBED, perturbed)) if one and "audio" in one]
    if not played:
        return
    for column, (name, one) in zip(st.columns(2, gap="medium"), played, strict=False):
        with column:
            st.caption(f"{name}, {number(one['seconds'], 's', decimals=1)} at {count(one['rate'])} Hz")
            what = f"{shorten(side.modality, 40)}, {name}" + (f", {condition}" if name == PERTURBED else "")
            st.audio(one["audio"], format="audio/wav", alt=what)


# ---- a table row


def _row(original: Mapping[str, Any], perturbed: Mapping[str, Any] | None, key: str) -> None:
    frame, changed, total = row(original, perturbed)
    if perturbed is None or perturbed.get("absent") or original.get("absent"):
        for one, name in ((original, ORIGINAL), (perturbed or {}, PERTURBED)):
            if one.get("absent"):
                st.caption(name)
                _absent(name)
    else:
        said = f"{count(changed)} of {count(len(frame))} values shown are changed"
        st.caption(said + (f"; {count(total)} in all" if total > len(frame) else ""))
    tall = min(tables.HEADER + tables.ROW * len(frame), tables.TALLEST)
    styled = frame.style.apply(_highlight, axis=1) if "changed" in frame else frame
    st.dataframe(styled, hide_index=True, width="stretch", height=tall, key=f"row-{key}")


def row(original: Mapping[str, Any], perturbed: Mapping[str, Any] | None) -> tuple[pd.DataFrame, int, int]:
    """A table row or embedding as a table of its values, how many of them are changed, and how many there are in all.

    Columns: value (its number, from 1), original, and where there is a perturbed row: perturbed, changed (a dot), by.
    """
    before, after = original.get("values"), None if perturbed is None else perturbed.get("values")
    size = max(len(before or ()), len(after or ()))
    total = max(int(original.get("of", 0)), int((perturbed or {}).get("of", 0)), size)
    frame = pd.DataFrame({"value": [str(i + 1) for i in range(size)]})
    if before is not None:
        frame["original"] = [_number(v) for v in _filled(before, size)]
    if after is not None:
        frame["perturbed"] = [_number(v) for v in _filled(after, size)]
    if before is None or after is None:
        return frame, 0, total
    pairs = list(zip(_filled(before, size), _filled(after, size), strict=True))
    frame["changed"] = [MARK if a != b else "" for a, b in pairs]
    frame["by"] = [
        "" if a == b or a is None or b is None else plain(b - a, _places(b - a), signed=True) for a, b in pairs
    ]
    return frame, sum(a != b for a, b in pairs), total


def _filled(values: Sequence[float | None], size: int) -> list[float | None]:
    return [*values, *[None] * (size - len(values))]


def _number(value: float | None) -> str:
    return f"{DASH} missing" if value is None else plain(value, _places(value))


def _places(value: float) -> int:
    return 0 if value == round(value) and abs(value) < 1e6 else 3


def _highlight(line: pd.Series[Any]) -> list[str]:
    tone = "background-color: rgba(230, 130, 20, 0.18)" if line["changed"] else ""
    return [tone] * len(line)
