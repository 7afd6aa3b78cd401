"""Plausible conditions, scores, summaries and tables for reports of the tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mmaudit.types import CLEAN, Condition, Score, digest


def interval(value: float, n: int, unit: str) -> float:
    """Half-width of a plausible 95 % interval."""
    if unit == "share":
        return 1.96 * math.sqrt(max(value * (1 - value), 0.0004) / n)
    return 1.96 * (0.25 + abs(value)) / math.sqrt(n)


def plan(modalities: Sequence[str], kinds: Sequence[str], baselines: Sequence[str]) -> list[tuple[Condition, float]]:
    """Conditions with the share of the model's knowledge that each leaves, in [-0.1, 1]."""
    weight = {m: 1 / (i + 1.4) for i, m in enumerate(modalities)}
    total = sum(weight.values())
    out: list[tuple[Condition, float]] = [
        (CLEAN, 1.0),
        (Condition("identity", "control", 1, tuple(modalities)), 1.0),
        (Condition("destroy", "control", 1, tuple(modalities)), 0.005),
    ]
    for mask in range(1, 2 ** len(modalities)):
        removed = tuple(m for i, m in enumerate(modalities) if mask >> i & 1)
        left = 1 - sum(weight[m] for m in removed) / total
        for j, baseline in enumerate(baselines):
            keep = left**1.5 * (1, 0.93, 0.72, 0.55)[j % 4] - 0.03 * j * (left > 0) * (removed[0] == modalities[0])
            out.append((Condition("missing", "missing", 1, removed, options=(("baseline", baseline),)), keep))
    for m in modalities:
        for rate in (0.1, 0.3, 0.5, 0.7, 0.9):
            keep = 1 - rate * (1 - (1 - weight[m] / total) ** 1.5)
            out.append(
                (Condition("missing_rate", "missing", 1, (m,), rate, None, (("baseline", "mean"),), 0, "share"), keep)
            )
        for k, pool in enumerate(("random", "within_class", "across_class")):
            keep = (1 - weight[m] / total) ** 1.5 * (0.8, 1.25, 0.3)[k]
            out.append((Condition("mismatch", "mismatch", 1, (m,), options=(("pool", pool),)), keep))
    if len(modalities) > 1:
        for m, kind in zip(modalities, kinds, strict=True):
            out += misaligned(m, kind, 1 - weight[m] / total)
    numeric = (("additive", (0.08, 0.2, 0.4, 0.7, 0.95)), ("convex", (0.1, 0.3, 0.5, 0.7, 0.95)))
    for m, kind in zip(modalities, kinds, strict=True):
        curves: list[tuple[str, tuple[float, ...], str, tuple[tuple[str, str], ...], float]] = []
        if kind == "text":
            curves.append(("text.keyboard", (0.02, 0.05, 0.1, 0.2, 0.3), "share of characters", (), 0.55))
        else:
            curves += [
                (f"{kind}.gaussian_noise", s, "α, times the modality's σ", (("reading", r),), 0.8) for r, s in numeric
            ]
        if kind == "image":
            curves.append(("image.gaussian_blur", (0.5, 1.0, 1.5, 2.0, 3.0), "σ, pixels", (), 0.25))
        for probe, severities, unit, options, hurt in curves:
            for position, severity in enumerate(severities, 1):
                bend = 1 / (1 + math.exp(-(position - 3.4) * 1.9))
                keep = 1 - hurt * (0.8 if options == (("reading", "convex"),) else 1.0) * bend
                out.append((Condition(probe, "corruption", 1, (m,), severity, position, options, 0, unit), keep))
    return out


def misaligned(m: str, kind: str, left: float) -> list[tuple[Condition, float]]:
    """Mismatch by degrees, time shifts of what runs in time, and one conflict."""
    out = [
        (Condition("mismatch_share", "mismatch", 1, (m,), share, unit="share of samples"), 1 - share * (1 - left**1.5))
        for share in (0.25, 0.5, 0.75)
    ]
    if kind in ("audio", "series"):
        for direction, width in (("earlier", 60.0), ("later", 150.0)):
            options = (("direction", direction), ("relative_to", "static"))
            for shift in (10.0, 40.0, 160.0, 640.0):
                keep = left + (1 - left) / (1 + (shift / width) ** 2)
                out.append((Condition("temporal_shift", "mismatch", 1, (m,), shift, None, options, 0, "ms"), keep))
    return [*out, (Condition("conflict", "conflict", 1, (m,)), left * 0.6)]


def tolerances(conditions: list[tuple[Condition, float]]) -> list[Score]:
    """Half-widths: one with an interval, one with an open end, one not reached; and what follows for the asymmetry."""
    out, nan = [], math.nan
    shifts = [c for c, _ in conditions if c.probe == "temporal_shift" and c.severity == 10.0]
    for i, c in enumerate(shifts):
        name = c.label.rsplit("@", 1)[0]
        value, low, high, reason = (
            (83.0, 71.0, 96.5, ""),
            (512.0, 430.0, nan, "the upper end of the interval lies beyond 640 ms, the largest shift measured"),
            (nan, nan, nan, "not reached within 640 ms: more than half of what is above chance is left there"),
        )[i % 3]
        more = {"n": 9673, "reason": reason, "better": "higher", "unit": "ms"}
        out.append(Score(digest(name), name, "tolerance_half_width", value=value, low=low, high=high, **more))
        if c.option("direction") == "later":
            both = name.replace(", direction=later", "")
            known = {"value": 0.72, "low": 0.66, "high": 0.8} if i % 3 == 1 else {"reason": "not known in both"}
            out.append(Score(digest(both), both, "tolerance_asymmetry", n=9673, **known))
    return out


def arbitrations(conditions: list[tuple[Condition, float]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Who wins class against class: most pairs measured, the diagonal never."""
    out, size = [], len(classes)
    for c, keep in conditions:
        if c.family != "conflict":
            continue
        n = [[0 if i == j or (i + 2 * j) % 7 == 0 else 3 + (i * j) % 5 for j in range(size)] for i in range(size)]
        kept = [[keep * (0.6 + 0.4 * ((i + j) % 3 / 2)) if n[i][j] else None for j in range(size)] for i in range(size)]
        exchanged = [[None if k is None else 0.9 * (1 - k) for k in row] for row in kept]
        out.append(
            {
                "condition": c.key,
                "label": c.label,
                "classes": list(classes),
                "n": n,
                "kept": kept,
                "exchanged": exchanged,
            }
        )
    return out


def none_if_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def scores_of(condition: Condition, keep: float, metrics: dict[str, Any], n: int, group: str) -> list[Score]:
    out = []
    for i, (name, (better, unit, best, worst, _)) in enumerate(metrics.items()):
        if name == "auroc" and keep < 0.03:
            out.append(
                Score(
                    condition.key,
                    condition.label,
                    name,
                    group,
                    CLEAN.key,
                    n,
                    unit=unit,
                    better=better,
                    reason="every prediction is the same, so no ranking exists",
                )
            )
            continue
        value = worst + (best - worst) * keep + 0.002 * math.sin(13 * keep + i)
        if name == "mean_confidence":
            value = best - 0.3 * (1 - keep) * (1.5 if condition.family == "missing" else 0.6)
        if name == "ece" and condition.family == "corruption":
            value += 0.12 * (1 - keep)
        half = interval(value, n, unit)
        clean = condition.family == "clean"
        delta = value - best - 0.002 * math.sin(13 + i)
        half_delta = 0.75 * half * min(1.0, 0.25 + 3 * abs(1 - keep))
        p = 0.0004 if abs(delta) > half_delta else 0.41
        floor = (
            worst
            if name in ("accuracy", "balanced_accuracy", "auroc", "rmse", "mae", "average_precision")
            else math.nan
        )
        nothing = dict.fromkeys(("delta", "delta_low", "delta_high", "p", "p_adjusted", "mde"), math.nan)
        paired = {
            "delta": delta,
            "delta_low": delta - half_delta,
            "delta_high": delta + half_delta,
            "p": p,
            "p_adjusted": min(1.0, p * 1.4),
            "mde": 1.43 * half_delta,
        }
        out.append(
            Score(
                condition.key, condition.label, name, group, "" if clean else CLEAN.key, n, value,
                value - half, value + half, floor=floor,
                drop=math.nan if clean else (best - value) / best if best else math.nan,
                lost=math.nan if clean or math.isnan(floor) else (best - value) / (best - floor),
                lost_low=math.nan if clean or math.isnan(floor) else (best - value - half_delta) / (best - floor),
                lost_high=math.nan if clean or math.isnan(floor) else (best - value + half_delta) / (best - floor),
                unit=unit, better=better,
                reason="clean is what the others are compared with" if clean else "",
                **(nothing if clean else paired),
            )
        )  # fmt: skip
    return out


def winners(condition: Condition, keep: float, n: int) -> list[Score]:
    """Whom the answers follow under a conflict, and how sure they are; nobody follows neither."""
    out = []
    for i, (side, share) in enumerate((("kept", keep), ("exchanged", 1 - keep), ("neither", 0.0))):
        half = interval(share, n, "share")
        about = {"n": n, "unit": "share", "better": "neither"}
        low, high = max(share - half, 0.0), min(share + half, 1.0)
        out.append(Score(condition.key, condition.label, f"follows_{side}", value=share, low=low, high=high, **about))
        sure = 0.9 - 0.1 * i
        known = {"value": sure, "low": sure - 0.01, "high": sure + 0.01} if share else {"reason": "no answer is so"}
        out.append(Score(condition.key, condition.label, f"confidence_{side}", **about, **known))
    return out


def summaries(conditions: list[tuple[Condition, float]], metric: Any, primary: str) -> list[Score]:
    out = []
    streams: dict[str, list[tuple[Condition, float]]] = {}
    for c, keep in conditions:
        if c.family == "corruption":
            streams.setdefault(c.stream, []).append((c, keep))
    for stream, members in streams.items():
        label = members[0][0].label.split("@")[0]
        mean = sum(k for _, k in members) / len(members)
        out.append(
            Score(
                stream,
                label,
                "severity_auc",
                n=len(members),
                value=mean,
                low=mean - 0.01,
                high=mean + 0.01,
                unit="share",
                better="higher",
            )
        )
    out.append(
        Score(
            "corruption",
            "all corruptions",
            "relative_robustness",
            n=len(streams),
            value=0.71,
            low=0.70,
            high=0.72,
            unit="share",
            better="higher",
        )
    )
    out.append(
        Score(
            "missing", "all missing subsets", "mmi", n=3, value=0.43, low=0.41, high=0.45, unit="share", better="higher"
        )
    )
    return out


def wanted(c: Condition, worst: Condition) -> bool:
    return c.family == "clean" or c == worst or (c.probe == "missing" and c.option("baseline") == "marginal")


def reliabilities(conditions: list[tuple[Condition, float]], n: int) -> list[dict[str, Any]]:
    out = []
    edges = [i / 15 for i in range(16)]
    for c, keep in conditions:
        count, confidence, accuracy, low, high = [], [], [], [], []
        for b in range(15):
            k = 0 if b < 2 else int(n * math.exp(-((b - 14 * (0.55 + 0.45 * keep)) ** 2) / 9) / 6)
            mid = (b + 0.6) / 15
            acc = min(max(mid - (1 - keep) * 0.45 * mid, 0.02), 0.99)
            half = 1.96 * math.sqrt(acc * (1 - acc) / k) if k else 0.0
            count.append(k)
            confidence.append(mid if k else None)
            accuracy.append(acc if k else None)
            low.append(max(acc - half, 0.0) if k else None)
            high.append(min(acc + half, 1.0) if k else None)
        out.append(
            {
                "condition": c.key,
                "label": c.label,
                "edges": edges,
                "count": count,
                "confidence": confidence,
                "accuracy": accuracy,
                "low": low,
                "high": high,
            }
        )
    return out


def recalibrations(conditions: list[tuple[Condition, float]], worst: Condition, n: int) -> list[dict[str, Any]]:
    out = []
    for c, keep in [x for x in conditions if wanted(x[0], worst)]:
        before = 0.008 + 0.3 * (1 - keep)
        for method, gain in (("temperature", 0.45), ("isotonic", 0.2), ("beta", 0.25)):
            for fitted_on, factor in (("clean", 1.6), ("same condition", 0.7)):
                after = before * gain * factor + 0.004
                out.append(
                    {
                        "condition": c.key,
                        "label": c.label,
                        "method": method,
                        "fitted_on": fitted_on,
                        "ece_before": before,
                        "ece_after": after,
                        "low": after * 0.85,
                        "high": after * 1.2,
                        "n": n,
                    }
                )
    return out
