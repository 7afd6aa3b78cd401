"""Models whose truth is known, audited through the whole line: truth beside estimate.

Two classes y = ±1 and two modalities a and b of one number each. In the Gaussian worlds x | y ~ N(y·μ, Σ), and the
model answers by the exact posterior given whatever subset S is present, so its accuracy there is Φ(√(μ_Sᵀ Σ_S⁻¹ μ_S)).
In the XOR world each modality hides a fair sign behind unit noise, y says whether the signs agree, and only both
together tell.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from mmaudit.auditing import audit
from mmaudit.data import ArrayData
from mmaudit.models import FunctionModel
from mmaudit.plan import Suite
from mmaudit.types import Array, Batch, FloatArray, Task

NAMES = ("a", "b")
SUBSETS = (("a", "b"), ("a",), ("b",), ())
SAMPLES = 2000
# A right estimate is off by more than four standard errors once in sixteen thousand times.
STANDARD_ERRORS = 4.0


@dataclass(frozen=True)
class World:
    """One known truth.

    Attributes:
        name: what the model does with its modalities.
        signal: μ of a and b; for XOR the strength of the hidden signs.
        correlation: of a and b within a class.
        xor: whether y is the agreement of two hidden signs.
        findings: rule and modality of every finding about reliance that must come, and no other may.
    """

    name: str
    signal: tuple[float, float]
    correlation: float = 0.0
    xor: bool = False
    findings: tuple[tuple[str, str], ...] = ()

    def accuracy(self, present: tuple[str, ...]) -> float:
        """Accuracy of the model on a subset, in closed form."""
        if self.xor:
            p = scipy.stats.norm.cdf(self.signal[0]), scipy.stats.norm.cdf(self.signal[1])
            return float(p[0] * p[1] + (1 - p[0]) * (1 - p[1])) if len(present) == 2 else 0.5
        return float(scipy.stats.norm.cdf(np.sqrt(self._weights(present) @ np.array(self.signal))))

    def draw(self, n: int, seed: int) -> ArrayData:
        """n samples."""
        rng = np.random.default_rng(seed)
        if self.xor:
            signs = rng.choice([-1, 1], (n, 2))
            x, y = signs * self.signal + rng.standard_normal((n, 2)), (signs.prod(axis=1) > 0).astype(np.int64)
        else:
            y = rng.integers(0, 2, n)
            x = (2 * y - 1)[:, None] * self.signal + rng.multivariate_normal([0, 0], self._covariance, n)
        columns = {name: x[:, [i]] for i, name in enumerate(NAMES)}
        return ArrayData(columns, y, Task.classification(("no", "yes")), kinds=dict.fromkeys(NAMES, "embedding"))

    def model(self) -> FunctionModel:
        """The posterior of the class given whatever is present."""
        return FunctionModel(
            self.logits, NAMES, outputs="logits", call="batch", absence="mask", name=self.name, fingerprint=repr(self)
        )

    def logits(self, batch: Batch) -> Array:
        """`float64[n, 2]`: 0 and the log odds of y = +1."""
        x = np.concatenate([batch.inputs[name] for name in NAMES], axis=1).astype(np.float64)
        there = np.stack([batch.present[name] for name in NAMES], axis=1)
        odds = np.zeros(len(batch))
        for present in SUBSETS:
            rows = (there == [name in present for name in NAMES]).all(axis=1)
            odds[rows] = self._odds(x[rows], present)
        return np.stack([np.zeros_like(odds), odds], axis=1)

    def _odds(self, x: FloatArray, present: tuple[str, ...]) -> FloatArray:
        if not self.xor:
            return np.asarray(2 * x @ self._weights(present))
        if len(present) < 2:
            return np.zeros(len(x))
        u, v = (x * self.signal).T
        # log cosh(u + v) − log cosh(u − v), the log odds that the signs agree.
        return np.asarray(np.logaddexp(u + v, -u - v) - np.logaddexp(u - v, v - u))

    def _weights(self, present: tuple[str, ...]) -> FloatArray:
        """Σ_S⁻¹ μ_S, zero for what is absent."""
        weights = np.zeros(2)
        places = [NAMES.index(name) for name in present]
        if places:
            weights[places] = np.linalg.solve(self._covariance[np.ix_(places, places)], np.array(self.signal)[places])
        return weights

    @property
    def _covariance(self) -> FloatArray:
        return np.array([[1.0, self.correlation], [self.correlation, 1.0]])


WORLDS = (
    World("only a", (1.3, 0.0), findings=(("ignored_modality", "b"), ("single_point_of_failure", "a"))),
    World("only b", (0.0, 1.3), findings=(("ignored_modality", "a"), ("single_point_of_failure", "b"))),
    World("redundant", (1.3, 1.3), correlation=0.8),
    World("additive", (0.9, 0.9)),
    World("xor", (2.0, 2.0), xor=True, findings=(("single_point_of_failure", "a"), ("single_point_of_failure", "b"))),
)
RULES = ("ignored_modality", "single_point_of_failure", "non_monotone_subset", "control_failed", "model_raised")


def selftest(samples: int = SAMPLES, seed: int = 0) -> list[dict[str, Any]]:
    """Audit every world; return a row for each number and each set of findings that has a known truth.

    Returns:
        Rows with `model`, `quantity`, `truth`, `estimate`, `low`, `high` and `ok`; for findings, truth and estimate are
        texts. `ok` allows an accuracy four standard errors.
    """
    suite = Suite("selftest", ("missing", "mismatch"), baselines=("native",), pools=("random",))
    rows: list[dict[str, Any]] = []
    for world in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            report = audit(world.model(), world.draw(samples, seed), out=Path(folder) / "run", suite=suite)
        scores = report.scores
        for present in SUBSETS:
            removed = [name for name in NAMES if name not in present]
            label = f"missing[{'+'.join(removed)}, baseline=native]" if removed else "clean"
            found = scores[(scores["label"] == label) & (scores["metric"] == "accuracy") & (scores["group"] == "")]
            row = found[found["against"].isin(["", report.conditions[0].condition.key])].iloc[0]
            truth = world.accuracy(present)
            error = np.sqrt(truth * (1 - truth) / samples)
            rows.append(
                {
                    "model": world.name,
                    "quantity": f"accuracy with {' and '.join(present) or 'nothing'}",
                    "truth": truth,
                    "estimate": float(row["value"]),
                    "low": float(row["low"]),
                    "high": float(row["high"]),
                    "ok": bool(abs(row["value"] - truth) <= STANDARD_ERRORS * error),
                }
            )
        made = {(f.rule, m) for f in report.findings if f.rule in RULES for m in f.modalities or ("",)}
        rows.append(
            {
                "model": world.name,
                "quantity": "findings about reliance",
                "truth": _text(set(world.findings)),
                "estimate": _text(made),
                "low": None,
                "high": None,
                "ok": made == set(world.findings),
            }
        )
    return rows


def _text(findings: set[tuple[str, str]]) -> str:
    return ", ".join(f"{rule} ({modality})" for rule, modality in sorted(findings)) or "none"
