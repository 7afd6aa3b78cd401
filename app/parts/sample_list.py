"""Which samples the list shows, in which order: plain functions of the table of answers."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pandas as pd

from mmaudit.browse.answers import NOT_MEASURED

PAGE = 25
ANY = "all"
# What can be asked of a sample's answer; `flipped` first: it is what people look for.
FLIPPED, WRONG, STAYED, CHANGED = "flipped", "wrong", "still right", "input changed"
SHOWN = (ANY, FLIPPED, WRONG, STAYED, CHANGED)
DAMAGE, FRAGILE, SURE, ORDER = "damage", "fragility", "confidence", "order"
ORDERS = {
    DAMAGE: "most damaged first",
    FRAGILE: "most fragile first",
    SURE: "most confident first",
    ORDER: "order of the data set",
}


@dataclass(frozen=True)
class Wanted:
    """What the list shows.

    Attributes:
        shown: one of `SHOWN`.
        group: `column=value`; empty for all.
        target: the right answer in words; empty for all.
        text: part of the sample's id, in any case; empty for all.
        kept: positions to keep to, those whose inputs the run holds; None for all.
        order: a key of `ORDERS`.
        modality: for the order by fragility: of which modality; empty for the most fragile of all.
    """

    shown: str = ANY
    group: str = ""
    target: str = ""
    text: str = ""
    kept: AbstractSet[int] | None = None
    order: str = DAMAGE
    modality: str = ""


def chosen(table: pd.DataFrame, wanted: Wanted, fragility: pd.DataFrame | None = None) -> pd.DataFrame:
    """The rows of `Answers.table` that are wanted, in the wanted order; ties keep the order of the data set.

    Args:
        table: one row per sample.
        wanted: what to show.
        fragility: of `browse.fragility`, needed for its order alone.
    """
    flipped = table["flipped"].fillna(False).astype(bool)
    keep = pd.Series(True, index=table.index)
    if wanted.shown == FLIPPED:
        keep &= flipped
    elif wanted.shown == WRONG:
        keep &= wrong(table)
    elif wanted.shown == STAYED:
        # <NA> where the sample was not right or has no answer.
        keep &= right(table) & right_before(table)
    elif wanted.shown == CHANGED:
        keep &= table["changed"].astype(bool)
    if column := _column_of(table, wanted.group):
        keep &= table[f"group.{column}"].astype(str) == wanted.group[len(column) + 1 :]
    if wanted.target:
        keep &= table["target"].astype(str) == wanted.target
    if wanted.text:
        keep &= table["sample"].astype(str).str.contains(wanted.text, case=False, regex=False)
    if wanted.kept is not None:
        keep &= table["position"].isin(list(wanted.kept))
    found = table[keep]
    if wanted.order == DAMAGE:
        return found.sort_values("damage", ascending=False, kind="stable", na_position="last")
    if wanted.order == SURE:
        return found.sort_values("confidence", ascending=False, kind="stable", na_position="last")
    if wanted.order == FRAGILE and fragility is not None:
        flips = [c for c in fragility.columns if c.startswith("flips.")]
        flips = [c for c in flips if not wanted.modality or c == f"flips.{wanted.modality}"] or flips
        least = fragility.set_index("position")[flips].min(axis=1)
        order = least.reindex(found["position"]).to_numpy()
        return (
            found.assign(_flips=order).sort_values("_flips", kind="stable", na_position="last").drop(columns="_flips")
        )
    return found


def _column_of(table: pd.DataFrame, group: str) -> str:
    """The column of a group written as `column=value`; a column's own name may hold "=", too."""
    names = [c.removeprefix("group.") for c in table.columns if c.startswith("group.")]
    return next((name for name in names if group.startswith(f"{name}=")), "")


def right(table: pd.DataFrame) -> pd.Series[bool]:
    """Whether the answer under the condition is the target."""
    return table["answer"].astype(str) == table["target"].astype(str)


def right_before(table: pd.DataFrame) -> pd.Series[bool]:
    """Whether the answer on clean data is the target."""
    return table["clean"].astype(str) == table["target"].astype(str)


def wrong(table: pd.DataFrame) -> pd.Series[bool]:
    """Whether the answer under the condition is not the target; no answer is not right either, where one was asked."""
    return ~right(table) & measured(table)


def measured(table: pd.DataFrame) -> pd.Series[bool]:
    """Whether the model was asked under the condition: a budget may have left the sample out."""
    # A class may have that very name; it comes with a confidence.
    return (table["answer"].astype(str) != NOT_MEASURED) | table["confidence"].notna()


def page_of(found: pd.DataFrame, page: int, size: int = PAGE) -> tuple[pd.DataFrame, int, int]:
    """Rows of a page (1-based; beyond the last: the last), that page's number, and how many pages there are."""
    pages = max(-(-len(found) // size), 1)
    at = min(max(page, 1), pages)
    return found.iloc[(at - 1) * size : at * size], at, pages


def page_with(found: pd.DataFrame, position: int | None, size: int = PAGE) -> int:
    """The page that holds a sample; 1 where none does."""
    where = (found["position"].to_numpy() == position).nonzero()[0]
    return int(where[0]) // size + 1 if len(where) else 1
