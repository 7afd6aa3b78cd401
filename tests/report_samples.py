"""Reports for the tests: a plausible audit of an image + question model, and variations of it. No product code."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from mmaudit.formats import estimate
from mmaudit.types import CLEAN, Condition, Finding, Score, digest
from report_scenarios import described, residuals, together

COLUMNS = [f.name for f in fields(Score)]
BASELINES = ("zero", "mean", "marginal", "noise")
QUESTIONS = (
    "what shape is in the image?",
    "is there a red circle in the image?",
    "what color is the rectangle?",
    "does the image contain a blue triangle?",
)
CLASSIFICATION = {  # name: (better, unit, clean value, value of a model that knows nothing, summary)
    "accuracy": ("higher", "share", 0.974, 0.369, "Share of samples whose most probable class is the true one."),
    "balanced_accuracy": ("higher", "share", 0.968, 1 / 13, "Mean over classes of the share recognised."),
    "macro_f1": ("higher", "share", 0.967, 0.041, "Unweighted mean over classes of F1."),
    "auroc": ("higher", "", 0.9991, 0.5, "Macro one-vs-rest area under the ROC curve."),
    "brier": ("lower", "", 0.041, 0.79, "Mean squared distance of the probabilities from the one-hot truth."),
    "nll": ("lower", "nat", 0.089, 2.1, "Mean negative log probability of the true class."),
    "ece": ("lower", "share", 0.008, 0.31, "Expected calibration error, 15 equal-width bins."),
    "adaptive_ece": ("lower", "share", 0.009, 0.31, "Expected calibration error, bins of equal size."),
    "aurc": ("lower", "share", 0.004, 0.61, "Area under the risk-coverage curve."),
    "flip_rate": ("lower", "share", 0.0, 0.66, "Share of samples whose prediction differs from the clean one."),
    "mean_confidence": ("neither", "share", 0.976, 0.62, "Mean probability of the predicted class."),
}
REGRESSION = {
    "rmse": ("lower", "°C", 1.83, 7.9, "Root mean squared error."),
    "mae": ("lower", "°C", 1.21, 6.2, "Mean absolute error."),
    "r2": ("higher", "", 0.946, 0.0, "Share of variance explained."),
}
MULTILABEL = {
    "average_precision": ("higher", "share", 0.81, 0.14, "Macro mean over labels of average precision."),
    "ece": ("lower", "share", 0.021, 0.2, "Expected calibration error over all label decisions."),
    "mean_confidence": ("neither", "share", 0.93, 0.8, "Mean probability of the decided state."),
}


def png(pixels: np.ndarray) -> str:
    """Base64 of an RGB PNG of uint8 [H, W, 3]."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\x00" + pixels[i].astype(np.uint8).tobytes() for i in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def picture(i: int) -> np.ndarray:
    """A 64 × 64 drawing of one shape on a pale ground."""
    rng = np.random.default_rng(i)
    colours = ((200, 30, 30), (30, 80, 200), (20, 130, 60), (120, 80, 40), (10, 10, 10))
    image = np.full((64, 64, 3), (235 + i % 3 * 8, 240, 235 + i % 5 * 4), np.uint8)
    y, x = np.mgrid[:64, :64]
    cy, cx = rng.integers(22, 42, 2)
    shape = (
        (y - cy) ** 2 + (x - cx) ** 2 < 200,
        (abs(y - cy) < 10) & (abs(x - cx) < 15),
        (y - cy < 12) & (y - cy > -12) & (abs(x - cx) * 2 < y - cy + 12),
    )[i % 3]
    image[shape] = colours[i % 5]
    return image


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


def sample_report(
    modalities: Sequence[str] = ("image", "question"),
    kinds: Sequence[str] = ("image", "text"),
    task: str = "classification",
    baselines: Sequence[str] = BASELINES,
    n: int = 9673,
    examples: int = 12,
    groups: bool = True,
    controls_ok: bool = True,
    findings: bool = True,
    classes: Sequence[str] = ("yes", "no", "circle", "rectangle", "triangle", "black", "blue", "red"),
) -> dict[str, Any]:
    """The plain value of a report with plausible numbers; deterministic."""
    metrics = {"classification": CLASSIFICATION, "regression": REGRESSION, "multilabel": MULTILABEL}[task]
    primary = next(iter(metrics))
    conditions = plan(modalities, kinds, baselines)
    conditions += together(conditions)
    rows: list[Score] = []
    columns = {"answer": ("yes/no", "shape", "colour")} if groups else {}
    for condition, keep in conditions:
        rows += scores_of(condition, keep, metrics, n, "")
        if condition.family == "conflict" and task == "classification":
            rows += winners(condition, keep, n)
        for column, names in columns.items():
            for j, name in enumerate(names):
                part = [m for m in metrics if m == primary]
                rows += scores_of(
                    condition, max(keep - 0.04 * j, 0), {m: metrics[m] for m in part}, n // 3, f"{column}={name}"
                )
    rows += summaries(conditions, metrics[primary], primary) + tolerances(conditions)
    rows += residuals(conditions, metrics[primary])
    worst = min((c for c in conditions if c[0].family == "corruption"), key=lambda c: c[1])[0]
    return {
        "schema": "mmaudit.report/1",
        "title": "easy-VQA: CNN and bag of words",
        "created": "2026-11-21T09:30:00Z",
        "mmaudit": "0.1.0",
        "command": "mmaudit demo --out runs/demo",
        "model": {
            "name": "easy-vqa-cnn-bow",
            "fingerprint": "3f9a1c52e07b44d1",
            "outputs": "values" if task == "regression" else "logits",
            "native_absence": False,
            "stages": f"two-stage, cut by torch.fx: {', '.join(modalities)}",
            "device": "cpu",
        },
        "data": {
            "n": n,
            "fingerprint": "a77b10c4d2e9f083",
            "modalities": [
                {
                    "name": m,
                    "kind": k,
                    "shape": [64, 64, 3] if k == "image" else ([] if k == "text" else [32]),
                    "dtype": {"image": "uint8", "text": "str"}.get(k, "float32"),
                    "unit": None,
                    "present": 1.0 if i else 0.982,
                }
                for i, (m, k) in enumerate(zip(modalities, kinds, strict=True))
            ],
            "groups": {c: dict.fromkeys(vs, n // 3) for c, vs in columns.items()},
            "cluster": "image_id",
            "clusters": 1000,
        },
        "task": {
            "kind": task,
            "names": list(classes) if task != "regression" else ["temperature"],
            "unit": "°C" if task == "regression" else "",
        },
        "suite": {"name": "standard", "version": 1, "replicates": 1000, "seed": 0},
        "primary": primary,
        "conditions": [
            c.to_json()
            | {
                "n": n,
                "changed": 0.0
                if c.probe in ("clean", "identity")
                else min(1.0, c.severity or 1.0)
                if c.probe == "missing_rate"
                else 1.0,
                "moved": None if c.family in ("clean", "control", "missing") else round(0.2 * (c.position or 5), 3),
                "raised": 0,
                "error": "",
                "received": digest("clean" if c.probe in ("clean", "identity") else c.key),
            }
            for c, _ in conditions
        ],
        **described(conditions),
        "declined": [
            {
                "probe": "missing",
                "modalities": list(modalities),
                "reason": "baseline 'native': the model does not handle absent modalities itself",
            },
            {
                "probe": "embedding.gaussian_noise",
                "modalities": ["question"],
                "reason": "question is text, the probe needs numbers",
            },
        ],
        "controls": [
            {"control": "identity", "label": "identity", "ok": True, "message": "no sample's output changed"},
            {
                "control": "destroy",
                "label": "destroy",
                "ok": controls_ok,
                "message": "accuracy reaches chance: 37.1 % against 36.9 %"
                if controls_ok
                else "accuracy stays at 71.0 % although every modality was destroyed",
            },
            {
                "control": "applied",
                "label": "all 48 perturbations",
                "ok": True,
                "message": "each changed at least 10 % of its samples",
            },
        ],
        "checks": [
            {"clause": "evaluation mode", "ok": True, "message": "no module is in training mode"},
            {"clause": "deterministic", "ok": True, "message": "two passes gave the same bits"},
            {"clause": "batch-size invariance", "ok": True, "message": "batch sizes 1, 7 and 64 agree to 1.2e-6"},
            {
                "clause": "absent values ignored",
                "ok": None,
                "message": "not applicable: the model has no native absence",
            },
        ],
        "metrics": [{"name": k, "better": v[0], "unit": v[1], "summary": v[4]} for k, v in metrics.items()],
        "scores": {"columns": COLUMNS, "rows": [[none_if_nan(v) for v in asdict(r).values()] for r in rows]},
        "reliability": [] if task == "regression" else reliabilities([c for c in conditions if wanted(c[0], worst)], n),
        "recalibration": [] if task == "regression" else recalibrations(conditions, worst, n),
        "arbitration": arbitrations(conditions, classes) if task == "classification" else [],
        "findings": [finding(f) for f in some_findings(modalities, rows, primary)] if findings else [],
        "examples": some_examples(modalities, kinds, [c for c, _ in conditions if c.position == 5], examples),
        "limits": [
            "Synthetic perturbations only: no shift of cameras, populations or time was measured.",
            "One training run of one model; another seed may rank conditions differently.",
        ],
        "timing": {"predict": 71.3, "probes": 22.9, "score": 9.8},
    }


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


def some_findings(modalities: Sequence[str], rows: list[Score], primary: str) -> list[Finding]:
    known = {r.label: r for r in rows if r.metric == primary and not r.group}

    def pick(start: str, end: str = "") -> Score:
        return next(r for label, r in known.items() if label.startswith(start) and label.endswith(end))

    def evidence(*scores: Score) -> tuple[dict[str, Any], ...]:
        return tuple({k: none_if_nan(v) for k, v in asdict(s).items()} for s in scores)

    first, last = modalities[0], modalities[-1]
    alone, other = pick(f"missing[{first}, "), pick(f"missing[{last}, ")
    strong = next((r for label, r in known.items() if label.endswith("@5")), alone)
    command = "mmaudit score runs/demo --metric"
    return [
        Finding(
            "cliff",
            "minor",
            f"Under {strong.label} a third of the whole drop happens between two severities.",
            (first,),
            evidence(strong),
            "",
            0.31,
        ),
        Finding(
            "single_point_of_failure",
            "critical",
            f"Without {first}, {primary} falls to {estimate(alone.value, alone.low, alone.high, alone.unit)}.",
            (first,),
            evidence(alone),
            f"{command} {primary} --condition '{alone.label}'",
            0.82,
        ),
        Finding(
            "silent_failure",
            "major",
            f"Under {strong.label} the model is wrong far more often and hardly less sure.",
            (first,),
            evidence(known["clean"], strong),
            f"{command} {primary} --condition '{strong.label}'",
            0.64,
        ),
        Finding(
            "baseline_dependent",
            "major",
            f"How much the model needs {last} depends on what stands in for it.",
            (last,),
            evidence(other, pick(f"missing[{last}, ", "]")),
            f"{command} {primary} --condition '{other.label}'",
            0.5,
        ),
        Finding(
            "mismatch_not_noticed",
            "info",
            f"With another sample's {last} the mean confidence stays high.",
            (last,),
            evidence(pick(f"mismatch[{last}, ")),
            f"{command} {primary}",
            0.1,
        ),
    ]


def finding(f: Finding) -> dict[str, Any]:
    return asdict(f) | {"id": f.id, "modalities": list(f.modalities), "evidence": [dict(e) for e in f.evidence]}


def some_examples(
    modalities: Sequence[str], kinds: Sequence[str], hurting: list[Condition], how_many: int
) -> list[dict[str, Any]]:
    out = []
    for i in range(how_many):
        rng = np.random.default_rng(i)
        hit = i % len(modalities)
        condition = next((c for c in hurting if c.modalities == (modalities[hit],)), hurting[0])
        shown = []
        for j, (m, kind) in enumerate(zip(modalities, kinds, strict=True)):
            original: dict[str, Any]
            perturbed: dict[str, Any]
            if kind == "image":
                image = picture(i)
                noisy = np.clip(image + rng.normal(0, 70, image.shape), 0, 255).astype(np.uint8)
                original, perturbed = {"png": png(image)}, {"png": png(noisy)}
            elif kind == "text":
                text = QUESTIONS[i % 4]
                original, perturbed = {"text": text}, {"text": text.replace("e", "r", 2).replace("is", "si", 1)}
            else:
                wave = np.sin(np.arange(32) / (2 + j)) + 0.1 * i
                original, perturbed = (
                    {"values": wave.round(4).tolist()},
                    {"values": (wave + rng.normal(0, 0.5, 32)).round(4).tolist()},
                )
            if j == hit and i % 5 == 4:
                perturbed = {"absent": True}
            shown.append(
                {
                    "name": m,
                    "kind": kind,
                    "changed": j == hit,
                    "original": original,
                    "perturbed": perturbed if j == hit else original,
                }
            )
        out.append(
            {
                "condition": condition.key,
                "label": condition.label,
                "sample": f"test-{137 * i:05d}",
                "target": ("circle", "rectangle", "triangle")[i % 3],
                "clean": {"prediction": ("circle", "rectangle", "triangle")[i % 3], "confidence": 0.99 - 0.01 * i},
                "perturbed": {"prediction": ("blue", "yes", "circle")[i % 3], "confidence": 0.93 - 0.03 * i},
                "modalities": shown,
            }
        )
    return out


# Names a program decides by: changing them would change what a report means, not what it says.
_MEANING = {"schema", "kind", "outputs", "level", "better", "family", "png", "created", "columns"}
_MISSING_PROBES = {
    *("missing", "missing_rate", "mismatch", "clean", "identity", "destroy"),
    *("mismatch_share", "temporal_shift", "conflict", "surface"),
}
_NAMED_KEYS = {"groups", "timing", "options"}


def poisoned(value: Any, text: str, key: str = "") -> Any:
    """The same document with `text` added to everything a user or a plug-in can name; names keep fitting together."""
    if isinstance(value, str):
        keep = key in _MEANING or (key == "probe" and value in _MISSING_PROBES)
        return value if keep or not value else value + text
    if isinstance(value, list):
        return [poisoned(v, text, key) for v in value]
    if isinstance(value, dict):
        if set(value) == {"columns", "rows"}:
            places = [i for i, c in enumerate(value["columns"]) if c != "better"]
            rows = [[poisoned(v, text) if i in places else v for i, v in enumerate(row)] for row in value["rows"]]
            return {"columns": value["columns"], "rows": rows}
        named = key in _NAMED_KEYS
        inner = {k: "groups" if key == "groups" else k for k in value}
        return {(k + text if named else k): poisoned(v, text, inner[k]) for k, v in value.items()}
    return value


def small_report(**changes: Any) -> dict[str, Any]:
    """One modality, two baselines, one sample: quick to draw."""
    return sample_report(("photo",), ("image",), baselines=("zero", "mean"), examples=1, **changes)
