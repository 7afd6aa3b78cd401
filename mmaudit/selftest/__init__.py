"""Models whose truth is known, audited through the whole line: truth beside every estimate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mmaudit.auditing import audit
from mmaudit.plan import Suite
from mmaudit.report import Report
from mmaudit.selftest import truths
from mmaudit.selftest.worlds import NAMES, SUBSETS, WORLDS, World

__all__ = ["RULES", "SUBSETS", "WORLDS", "World", "selftest"]

SAMPLES = 2000
# Truth may lie outside of a 95 % interval; off by more than four standard errors a right estimate is once in sixteen
# thousand times.
STANDARD_ERRORS = 4.0
# Cross-fitted predictors are never quite sure, so they say a little less than there is to know, in bits.
SHRINKAGE = 0.005
RULES = (
    *("ignored_modality", "single_point_of_failure", "non_monotone_subset", "control_failed", "model_raised"),
    *("synergy_unused",),
)

Truth = Callable[[World], float]


def _expected() -> dict[str, Truth]:
    """Labels of scores and estimates with the truth of each, NaN where a world has none."""
    found: dict[str, Truth] = {}
    for present in SUBSETS:
        removed = [name for name in NAMES if name not in present]
        label = f"missing[{'+'.join(removed)}, baseline=native]" if removed else "clean"
        found[label] = partial(truths.accuracy, present=present)
    for name in NAMES:
        found[f"shapley_value[{name}, baseline=native]"] = partial(truths.shapley_value, modality=name)
        found[f"leave_one_out[{name}, baseline=native]"] = partial(truths.leave_one_out, modality=name)
        found[f"perceptual_score[{name}]"] = partial(truths.perceptual_score, modality=name)
    found["shapley_interaction[a+b, baseline=native]"] = truths.shapley_interaction
    found["emap_gap"] = truths.emap_gap
    found["anova_share[a+b]"] = truths.interaction_share
    for of in ("data", "decision"):
        for present in SUBSETS[:3]:
            found[f"information[{'+'.join(present)}, of={of}]"] = partial(_information, present=present, of=of)
        found[f"synergy[a+b, of={of}]"] = partial(_atom, of=of, name="synergy")
        found[f"redundancy[a+b, of={of}]"] = partial(_atom, of=of, name="redundancy")
        found[f"unique[a, of={of}, beside=b]"] = partial(_atom, of=of, name="unique_1")
        found[f"unique[b, of={of}, beside=a]"] = partial(_atom, of=of, name="unique_2")
    return found


def _information(world: World, present: tuple[str, ...], of: str) -> float:
    return truths.information(world, present, of) if of == "data" or truths.decides(world) else float("nan")


def _atom(world: World, of: str, name: str) -> float:
    return float(getattr(truths.atoms(world, of), name)) if of == "data" or truths.decides(world) else float("nan")


def selftest(samples: int = SAMPLES, seed: int = 0) -> list[dict[str, Any]]:
    """Audit every world; return a row for each number and each set of findings that has a known truth.

    Returns:
        Rows with `model`, `quantity`, `truth`, `estimate`, `low`, `high`, `unit` and `ok`; for findings, truth and
        estimate are texts. `ok` allows four standard errors.
    """
    return [row for world in WORLDS for row in _rows(world, samples, seed)]


def _rows(world: World, samples: int, seed: int) -> Iterator[dict[str, Any]]:
    suite = Suite(
        "selftest", ("missing", "mismatch"), baselines=("native",), pools=("random",), analyses=("emap", "synergy")
    )
    with tempfile.TemporaryDirectory() as folder:
        report = audit(world.model(), world.draw(samples, seed), out=Path(folder) / "run", suite=suite)
    # A label may have many metrics; that of a condition is its accuracy, that of an estimate its own name.
    rows = {
        s.label: s
        for s in report.rows
        if not s.group and s.against in ("", report.clean) and s.metric in ("accuracy", s.label.partition("[")[0])
    }
    for label, truth in _expected().items():
        found, true = rows[label], truth(world)
        if true != true:
            continue
        # What no resample changes has no interval, and has to be right by itself.
        low, high = (found.low, found.high) if found.low == found.low else (found.value, found.value)
        room = (STANDARD_ERRORS / 1.96 - 1) * (high - low) / 2 + (SHRINKAGE if found.unit == "bits" else 1e-9)
        yield {
            "model": world.name,
            "quantity": label,
            "truth": true,
            "estimate": found.value,
            "low": found.low,
            "high": found.high,
            "unit": found.unit,
            "ok": bool(low - room <= true <= high + room),
        }
    yield _findings(world, report)


def _findings(world: World, report: Report) -> dict[str, Any]:
    made = {(f.rule, m) for f in report.findings if f.rule in RULES for m in f.modalities or ("",)}
    return {
        "model": world.name,
        "quantity": "findings about reliance and synergy",
        "truth": _text(set(world.findings)),
        "estimate": _text(made),
        "low": None,
        "high": None,
        "unit": "",
        "ok": made == set(world.findings),
    }


def _text(findings: set[tuple[str, str]]) -> str:
    return ", ".join(f"{rule} ({modality})" for rule, modality in sorted(findings)) or "none"
