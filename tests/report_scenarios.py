"""Scenarios, a surface and a common scale of severities for the reports of the tests. No product code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mmaudit.interaction import RESIDUALS
from mmaudit.joint import joint_options, parts
from mmaudit.types import Condition, Score, digest

Kept = list[tuple[Condition, float]]


def together(conditions: Kept) -> Kept:
    """A scenario, hit together and separately, and the surface of the first two modalities' corruptions."""
    out: Kept = []
    curves: dict[str, Kept] = {}
    for c, keep in conditions:
        if c.family == "corruption" and c.position in (1, 3, 5):
            curves.setdefault(c.modalities[0], []).append((c, keep))
    if len(curves) < 2:
        return out
    first, second = ([e for e in curve if e[0].stream == curve[0][0].stream] for curve in list(curves.values())[:2])
    names = (first[0][0].modalities[0], second[0][0].modalities[0])
    for latent, less in (("shared", 0.0), ("independent", 0.03)):
        options = (("definition", "0123abcd"), ("latent", latent))
        for i in range(1, 6):
            keep = 1 - (0.12 - less / 5) * i
            unit = "scenario severity"
            out.append((Condition("scenario.bad_day", "scenario", 1, names, float(i), i, options, 0, unit), keep))
    for a, kept_a in first:
        for b, kept_b in second:
            # At some places damage compounds, at others it overlaps.
            keep = kept_a * kept_b - 0.02 * ((a.position or 0) - (b.position or 0))
            out.append((Condition("surface", "scenario", 1, names, options=joint_options(a, b)), keep))
    return out


def residuals(conditions: Kept, metric: tuple[str, str, float, float, str]) -> list[Score]:
    """Both residuals of every place of the surface, and their means."""
    _, unit, best, worst, _ = metric
    room = abs(best - worst)
    kept = {c.key: keep for c, keep in conditions}
    out: list[Score] = []
    for c, both in conditions:
        if c.probe != "surface":
            continue
        a, b = (kept[part.key] for part in parts(c))
        for residual, value, size in zip(
            RESIDUALS, (room * (both - a - b + 1), both - a * b), (unit, "share"), strict=True
        ):
            half = 0.02 * (room if size == unit else 1.0)
            ends = {"low": value - half, "high": value + half, "p": 0.02, "p_adjusted": 0.03, "mde": 1.4 * half}
            out.append(Score(c.key, c.label, residual.name, value=value, unit=size, better="neither", n=9673, **ends))
    for residual in RESIDUALS:
        cells = [s for s in out if s.metric == residual.name]
        if cells:
            name = f"mean_{residual.name}"
            mean = sum(s.value for s in cells) / len(cells)
            one = replace(cells[0], condition=digest("surface", name), label="surface", metric=name, value=mean)
            out.append(replace(one, low=mean - 0.01, high=mean + 0.01))
    return out


def described(conditions: Kept) -> dict[str, Any]:
    """What the report says of scenarios and scales beside their scores."""
    scenario = next((c for c, _ in conditions if c.probe.startswith("scenario.")), None)
    curve = [c for c, _ in conditions if c.family == "corruption"][:5]
    steps = [
        {
            "modalities": [m],
            "probe": f"image.step_{i}",
            "severities": [0.1, 0.2, 0.3, 0.4, 0.5],
            "unit": "σ",
            "share": 0.5,
        }
        for i, m in enumerate(scenario.modalities if scenario else ())
    ]
    levels = [
        {
            "probe": c.probe,
            "modality": c.modalities[0],
            "position": c.position,
            "severity": c.severity if c.position != 5 else None,
            "distance": 0.1 * (c.position or 0) if c.position != 4 else 0.41,
            "reason": "" if c.position != 5 else "the distance 0.7 cannot be reached: 0.61 is the most",
        }
        for c in curve
    ]
    return {
        "scenarios": [
            {
                "probe": "scenario.bad_day",
                "definition": "0123abcd",
                "summary": "A bad day: everything is a little off",
                "why": "one cause, several senses",
                "spread": 0.5,
                "steps": steps,
            }
        ]
        if scenario
        else [],
        "severity_scales": [
            {
                "name": "input",
                "unit": "σ of the input",
                "targets": [0.1, 0.2, 0.35, 0.5, 0.7],
                "samples": 256,
                "levels": levels,
            }
        ],
    }
