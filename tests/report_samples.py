"""Reports for the tests: a plausible audit of an image + question model, and variations of it. No product code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from helpers.report_examples import some_examples
from helpers.report_scores import (
    arbitrations,
    none_if_nan,
    plan,
    recalibrations,
    reliabilities,
    scores_of,
    summaries,
    tolerances,
    wanted,
    winners,
)
from mmaudit.formats import estimate
from mmaudit.types import Finding, Score, digest
from report_scenarios import described, residuals, together

COLUMNS = [f.name for f in fields(Score)]
BASELINES = ("zero", "mean", "marginal", "noise")
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
    "overconfidence": ("neither", "share", 0.02, 0.2, "Mean confidence minus share of right decisions."),
}


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
