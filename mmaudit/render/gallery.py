"""The gallery page: what each probe does to a sample, drawn from plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmaudit.formats import number
from mmaudit.render.samples import Piece, changes, curve
from mmaudit.render.templates import render, style


@dataclass(frozen=True)
class Side:
    """One version of a sample, ready for the template; what it has not stays empty."""

    pieces: tuple[Piece, ...] = ()
    image: str = ""
    paths: tuple[str, ...] = ()
    audio: str = ""
    values: tuple[tuple[str, bool], ...] = ()
    left_out: int = 0
    note: str = ""


_FAMILIES = {
    "corruption": "Corruptions",
    "contrast_set": "Contrast sets",
    "mismatch": "Mismatch",
    "missing": "Missing",
    "scenario": "Scenarios",
    "adversarial": "Adversarial",
}


def gallery_page(document: Mapping[str, Any]) -> str:
    """Return the whole page. The same values give the same text; nothing is fetched, no script runs."""
    sections = [_section(s) for s in document["sections"]]
    return render(
        "gallery.html.j2",
        css=style("page.css"),
        more=style("gallery.css"),
        doc=document,
        sections=sections,
        # Shown where an audit had a model to attack.
        attacked=any(probe["family"] == "adversarial" for s in document["sections"] for probe in s["probes"]),
    )


def _section(section: Mapping[str, Any]) -> dict[str, Any]:
    original = section["original"]
    probes = [
        {
            **probe,
            "family_title": _FAMILIES.get(probe["family"], probe["family"]),
            "items": [_item(item, original, section["kind"]) for item in probe["items"]],
        }
        for probe in section["probes"]
    ]
    families = list(dict.fromkeys(probe["family_title"] for probe in probes))
    return {
        **section,
        "original": _side(original, original),
        "families": [(f, [p for p in probes if p["family_title"] == f]) for f in families],
        "count": len(probes),
    }


def _item(item: Mapping[str, Any], original: Mapping[str, Any], kind: str) -> dict[str, Any]:
    far = item["moved"]
    if not item["changed"]:
        how = "unchanged here"
    elif far is None:
        how = ""
    else:
        how = f"{number(far, 'share')} of characters" if kind == "text" else f"moved {number(far, 'σ')}"
    return {**item, "how": how, "side": _side(item["shown"], original)}


def _side(shown: Mapping[str, Any], original: Mapping[str, Any]) -> Side:
    if "text" in shown and "text" in original:
        pieces = changes(original["text"], shown["text"])
        return Side(pieces=pieces, note="" if shown["text"].strip() else "empty text")
    if "curves" in shown:
        return Side(paths=_paths(shown["curves"], original["curves"]), audio=shown.get("audio", ""))
    if "values" in shown:
        before = original["values"]
        marked = tuple((f"{v:.4g}", i >= len(before) or v != before[i]) for i, v in enumerate(shown["values"]))
        return Side(values=marked, left_out=shown["of"] - len(shown["values"]))
    return Side(image=shown["image"]) if "image" in shown else Side(note="absent")


def _paths(curves: Sequence[Sequence[float]], original: Sequence[Sequence[float]]) -> tuple[str, ...]:
    """One path per channel, all on the scale that shows original and perturbed values."""
    every = [v for side in (curves, original) for channel in side for v in channel]
    span = (min(every), max(every)) if every else (0.0, 1.0)
    return tuple(curve(channel, span) for channel in curves)
