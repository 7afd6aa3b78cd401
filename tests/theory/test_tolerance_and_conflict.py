"""A model with a known tolerance of time shifts, and models whose answer to a conflict is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats

from mmaudit import ArrayData, FunctionModel, audit
from mmaudit.desync import bounds, half_width
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.predict import predict
from mmaudit.preparing import prepare
from mmaudit.probes import probes
from mmaudit.score import ScoreTable
from mmaudit.types import Modality, Task
from theory.known_truth import NODES, WEIGHTS, Gaussian, Linear, gaussian
from theory.rates import audit as audit_world
from theory.scenario_case import CONFLICT, Case

RATE, LENGTH, WIDTH = 100.0, 240, 4.0  # Hz, samples, σ of the pulse in samples
SHIFTS = tuple(range(10, 260, 10))


class Correlator:
    """Reads the sign of one sequence's pulse in another by their correlation; the answer is known at every shift.

    a is a pulse exp(−t²/2σ²) at a random time, b the same pulse times ±1, the class, and white noise. The model takes
    the sign of Σ a(t)·b(t + lag). With a shifted by d, the pulses overlap by R(d + lag) = exp(−(d + lag)²/4σ²), and
    the answer is right with probability Φ(strength · R).
    """

    def __init__(self, strength: float, lag: int = 0) -> None:
        self.strength = strength
        self.lag = lag

    def data(self, n: int, seed: int) -> ArrayData:
        rng = np.random.default_rng(seed)
        y = np.arange(n) % 2
        centre = rng.uniform(90, 150, n)[:, None]
        pulse = np.exp(-((np.arange(LENGTH) - centre) ** 2) / (2 * WIDTH**2))
        energy = WIDTH * np.sqrt(np.pi)
        noise = rng.normal(0, np.sqrt(energy) / self.strength, (n, LENGTH))
        inputs = {"a": pulse.astype(np.float32), "b": ((2 * y - 1)[:, None] * pulse + noise).astype(np.float32)}
        modalities = [Modality(m, "series", sample_rate=RATE) for m in "ab"]
        return ArrayData(inputs, y, Task.classification(2), modalities=modalities)

    def logits(self, batch) -> np.ndarray:
        a, b = (batch.inputs[m].astype(np.float64) for m in "ab")
        z = (a * np.roll(b, -self.lag, axis=1)).sum(axis=1)
        return np.stack([-z, z], axis=1)

    def model(self) -> FunctionModel:
        return FunctionModel(self.logits, ("a", "b"), outputs="logits", call="batch", fingerprint=str(self.lag))

    def accuracy(self, shift: float) -> float:
        """With a later by `shift` samples, where b is read `lag` samples ahead."""
        apart = shift + self.lag
        return float(scipy.stats.norm.cdf(self.strength * np.exp(-(apart**2) / (4 * WIDTH**2))))

    def half_width(self, sign: int) -> float:
        """In ms, where half of what the model has above chance in step is lost; by bisection."""
        level = (self.accuracy(0) + 0.5) / 2
        low, high = 0.0, 1.0
        while self.accuracy(sign * high) > level:
            low, high = high, high + 1
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.accuracy(sign * middle) > level else (low, middle)
        return 1000 * high / RATE


def tolerances(world: Correlator, folder: Path, seed: int) -> dict[tuple[str, str], tuple[float, float, float]]:
    """An audit's scores, without the analyses that ask the model more: by modality, and the side or both sides."""
    suite = {"probes": ["temporal_shift"], "shifts": list(SHIFTS)}
    model, data = world.model(), world.data(1600, seed)
    prepared = prepare(model, data, suite=suite, out=folder / "run")
    run = prepared.open_run(folder / "run", batch_rows=None, title=None, command="")
    predict(run, data, prepared.model, prepared.source, stage=prepared.stage)
    found = {}
    for s in ScoreTable(run, resamples=400).rows():
        if s.metric.startswith("tolerance"):
            side = "earlier" if "earlier" in s.label else "later" if "later" in s.label else ""
            found[s.label[len("temporal_shift[")], side] = (s.value, s.low, s.high)
    return found


def test_the_closed_form_by_simulation() -> None:
    for lag in (0, 5):
        world = Correlator(2.0, lag)
        data = world.data(40_000, 3)
        batch = data.rows(np.arange(len(data)))
        for shift in (-8, 0, 6):
            moved = batch.replace({"a": np.roll(batch.inputs["a"], shift, axis=1)})
            right = world.logits(moved).argmax(axis=1) == data.target
            assert right.mean() == pytest.approx(world.accuracy(shift), abs=4 * 0.5 / 200)


def test_a_known_tolerance_lies_in_its_interval(tmp_path: Path) -> None:
    world = Correlator(2.0)
    found = tolerances(world, tmp_path, seed=1)
    true = world.half_width(1)
    assert true == pytest.approx(world.half_width(-1))
    # a shifted against b, or b against a: the same overlap.
    for name in "ab":
        for side in ("earlier", "later"):
            value, low, high = found[name, side]
            assert low <= true <= high, (name, side, found[name, side], true)
            assert abs(value - true) < 12
        assert found[name, ""][1] <= 0 <= found[name, ""][2]


def test_a_model_that_expects_a_lag_is_asymmetric(tmp_path: Path) -> None:
    world = Correlator(3.0, lag=-4)  # right only where a comes four samples later
    found = tolerances(world, tmp_path, seed=2)
    true = {"later": world.half_width(1), "earlier": world.half_width(-1)}
    assert true["later"] > 2 * true["earlier"]
    for side in ("earlier", "later"):
        assert near(found["a", side], true[side])
    asymmetry = (true["later"] - true["earlier"]) / (true["later"] + true["earlier"])
    assert near(found["a", ""], asymmetry)
    # Seen from b it is the other way round.
    assert near(found["b", ""], -asymmetry)


def near(score: tuple[float, float, float], true: float) -> bool:
    """Within four standard errors: one miss in 16,000, where a 95 % interval misses once in twenty."""
    value, low, high = score
    return abs(value - true) <= 4 * (high - low) / 3.92


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Answers drawn at the true rates, each sample with one number for all shifts: paired, as in an audit."""
    world, n, covered, repeats = Correlator(2.0), 400, 0, 200
    shift = np.arange(1, 21, dtype=float)
    rates = np.array([world.accuracy(0), *(world.accuracy(d) for d in shift)])
    at = 1000 * shift / RATE
    line = half_width(at, rates[:1], rates[1:, None], 0.5, "higher")[0]  # of the true curve, with its straight lines
    for repeat in range(repeats):
        rng = np.random.default_rng([5, repeat])
        hits = rng.random((n, 1)) < rates
        w = Resamples.draw(n, 300, seed=repeat)
        means = np.stack([np.concatenate([[h.mean()], w.mean(h)]) for h in hits.T])
        low, high = bounds(half_width(at, means[0], means[1:], 0.5, "higher"))
        covered += low <= line <= high
    # 95 % of 200, give or take four standard errors.
    assert covered >= 200 * 0.95 - 4 * np.sqrt(200 * 0.95 * 0.05)


def test_a_tolerance_beyond_the_shifts_is_no_number(tmp_path: Path) -> None:
    world = Correlator(2.0)
    suite = {"probes": ["temporal_shift"], "shifts": [10, 20, 30]}
    report = audit(world.model(), world.data(400, 0), out=tmp_path / "run", suite=suite, resamples=100)
    rows = {s.label: s for s in report.rows if s.metric.startswith("tolerance")}
    assert len(rows) == 6
    for label, s in rows.items():
        assert np.isnan(s.value)
        said = "not known in both directions" if "direction" not in label else "not reached within 30 ms"
        assert said in s.reason


# ---- conflicts


def expected(world: Gaussian, name: str) -> dict[str, float]:
    """Shares and mean confidences of a linear model on two Gaussian classes with one modality of the other class."""
    condition = probes.get("conflict").condition((name,))
    model, found = world.models[world.names], {"kept": [0.0, 0.0], "exchanged": [0.0, 0.0]}
    for y in (0, 1):
        prior = world.prior if y else 1 - world.prior
        (part,) = world.seen(condition, y)
        mean = model.weights @ part.mean + model.bias
        z = mean + np.sqrt(model.weights @ part.cov @ model.weights) * NODES
        sure = scipy.special.expit(np.abs(z))
        for side, rows in (("kept", (z > 0) == (y == 1)), ("exchanged", (z > 0) != (y == 1))):
            found[side][0] += prior * float(WEIGHTS @ rows)
            found[side][1] += prior * float(WEIGHTS @ (rows * sure))
    return {
        **{f"follows_{side}": share for side, (share, _) in found.items()},
        **{f"confidence_{side}": total / share for side, (share, total) in found.items()},
        "follows_neither": 0.0,
    }


@pytest.mark.parametrize(
    "world",
    [
        gaussian([1.0, 1.0]),
        gaussian([1.8, 0.6], native=False),
        gaussian([0.8, 1.1, 0.9]),
        gaussian([1.0, 1.2], prior=0.3),
        gaussian([1.0, 1.0], cov=np.array([[1.0, 0.4], [0.4, 1.0]])),
    ],
    ids=["equal", "unequal", "three", "rare class", "correlated"],
)
def test_who_wins_a_conflict_of_an_additive_model(world: Gaussian, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 4000
    monkeypatch.setattr("theory.rates.METRICS", ("accuracy", *expected(world, "a")))
    evidence, _ = audit_world(Case(world, CONFLICT), world.data(n, np.random.default_rng(4)))
    for condition in evidence.by_family("conflict"):
        (name,) = condition.modalities
        for metric, true in expected(world, name).items():
            score = evidence.score(condition, metric)
            # Donors of the rarer class serve several samples, so their noise does not average out: twice the error.
            error = np.sqrt(true * (1 - true) / n) if metric.startswith("follows") else (score.high - score.low) / 3.92
            assert score.value == pytest.approx(true, abs=8 * error + 1e-9), (name, metric)
        total = sum(evidence.score(condition, f"follows_{side}").value for side in ("kept", "exchanged", "neither"))
        assert total == pytest.approx(1)


@pytest.mark.parametrize("reader", ["a", "b"])
def test_a_model_that_reads_one_modality_follows_it(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its accuracy on clean data is how often the class it reads is the true one; that is all there is to follow."""
    weights = {"a": [6.0, 0.0], "b": [0.0, 6.0]}[reader]
    world = gaussian([6.0 if w else 1.0 for w in weights])
    monkeypatch.setattr("theory.rates.METRICS", ("accuracy", "follows_kept", "follows_exchanged"))
    only = replace(world, models={world.names: Linear(np.array(weights))})
    evidence, findings = audit_world(Case(only, CONFLICT), only.data(900, np.random.default_rng(0)))
    for condition in evidence.by_family("conflict"):
        own = condition.modalities == (reader,)
        assert evidence.score(condition, "follows_kept").value == (0.0 if own else 1.0)
        assert evidence.score(condition, "follows_exchanged").value == (1.0 if own else 0.0)
    assert [f.modalities for f in findings if f.rule == "conflict_winner"] == [(reader,)]
