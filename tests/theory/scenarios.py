"""Known worlds with random parameters, all of them by name; and those with one planted fault each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmaudit import FunctionModel
from mmaudit.findings import rules
from mmaudit.probes.corruption.numeric import ALPHA
from mmaudit.types import Array, Batch
from theory import scenarios_healthy, scenarios_random
from theory.expectations import Claim
from theory.known_fusion import Receiver
from theory.known_tasks import Labels, Regression, World
from theory.known_truth import Gaussian, Linear, bayes, gaussian, with_model, wrapped
from theory.scenario_case import NOISE, SCENARIOS, Case, Rng, correlated, native_only, scenario

# The other worlds are in SCENARIOS once their modules are imported.
__all__ = ["SCENARIOS", "Case", "correlated", "scenarios_healthy", "scenarios_random"]


def claim(rule: str, *names: str) -> frozenset[Claim]:
    return frozenset({(rule, frozenset(names))})


def any_but(*judged: str) -> frozenset[str]:
    return frozenset(r.name for r in rules) - set(judged)


@scenario("fault")
def ignores_informative(rng: Rng) -> Case:
    """b is as good as a, and the model reads a alone."""
    world = gaussian([1.5, 1.5])
    full = Linear(np.array([3.0, 0.0]))
    return Case(replace(world, models={("a", "b"): full}))


@scenario("fault")
def sure_of_contradictions(rng: Rng) -> Case:
    """Confidence saturates, so contradicting views leave it where it was."""
    world = gaussian([rng.uniform(2.2, 2.8)] * 2)
    return Case(replace(world, models={s: m.scaled(25.0) for s, m in world.models.items()}))


@scenario("fault")
def overconfident_without_b(rng: Rng) -> Case:
    """A copy less costs next to nothing, but without b the model is far too sure."""
    world = gaussian([1.1, 1.1], cov=correlated(0.3))
    return Case(with_model(world, ("a",), world.models["a",].scaled(rng.uniform(8, 20))))


@scenario("fault")
def silent_without_b(rng: Rng) -> Case:
    world = gaussian([rng.uniform(0.7, 1.0), rng.uniform(1.8, 2.2)])
    return Case(with_model(world, ("a",), world.models["a",].scaled(20.0)))


@scenario("fault")
def silent_labels(rng: Rng) -> Case:
    return Case(Labels({"a": 0.5, "b": rng.uniform(2.0, 2.5)}, sharpen=10.0), native_only())


@scenario("fault")
def overconfident(rng: Rng) -> Case:
    world = gaussian(rng.uniform(0.7, 1.0, 2).tolist())
    factor = rng.uniform(5, 10)
    return Case(replace(world, models={s: m.scaled(factor) for s, m in world.models.items()}))


@scenario("fault")
def loses_lock(rng: Rng) -> Case:
    """A cliff between two severities of noise on a."""
    world = gaussian([4.0, 0.5])
    after = int(rng.integers(1, 5))
    limit = (Receiver.blur(ALPHA[after - 1]) + Receiver.blur(ALPHA[after])) / 2
    receiver = Receiver(world.names, world.mean, world.cov, world.models, world.offset, limit=limit)
    return Case(receiver, NOISE)


@scenario("fault")
def fragile(rng: Rng) -> Case:
    """Leans on the small difference of two large numbers: a little noise on either drowns it."""
    names, mean, cov = ("a", "b"), np.array([0.25, -0.25]), np.array([[2.0, 1.99], [1.99, 2.0]])
    zero = np.zeros(2)
    return Case(Gaussian(names, mean, cov, {names: bayes(names, mean, cov, zero, 0.5)[names]}, zero), NOISE)


@scenario("fault")
def b_hurts(rng: Rng) -> Case:
    """b's weight has the wrong sign."""
    world = gaussian([rng.uniform(1.3, 1.8), rng.uniform(0.7, 1.0)])
    wrong = {s: Linear(m.weights * [1, -1]) for s, m in world.models.items()}
    return Case(replace(world, models=wrong))


@scenario("fault")
def c_hurts(rng: Rng) -> Case:
    """Of three modalities one is noise that the model takes for evidence."""
    world = gaussian([1.2, 1.2, 0.0])
    noisy = {s: Linear(m.weights + (np.array([0, 0, 5.0]) if "c" in s else 0)) for s, m in world.models.items()}
    return Case(replace(world, models=noisy))


@scenario("fault")
def inverted_without_b(rng: Rng) -> Case:
    """The head for a alone has its classes in the wrong order."""
    world = gaussian([rng.uniform(1.0, 1.5)] * 2)
    return Case(with_model(world, ("a",), world.models["a",].scaled(-1.0)))


@scenario("fault")
def zero_is_extreme(rng: Rng) -> Case:
    """b is centred far from 0: its mean can stand in for it, zeros cannot."""
    strength, shift = rng.uniform(1.5, 2.0), rng.uniform(4, 8)
    world = gaussian([strength] * 2, cov=correlated(0.2), offset=[0.0, shift], native=False)
    # The mean costs Φ(1.98 m) − Φ(1.96 m) < 0.004 of accuracy; zeros shift the odds by more than their spread.
    return Case(world, faults=claim("baseline_dependent", "b"))


@scenario("fault")
def no_better_than_chance(rng: Rng) -> Case:
    world = gaussian([0.0, 0.0])
    return Case(replace(world, models={("a", "b"): Linear(rng.normal(0, 2, 2))}))


@scenario("fault")
def inverted(rng: Rng) -> Case:
    world = gaussian([1.0, 1.0])
    return Case(replace(world, models={s: m.scaled(-1.0) for s, m in world.models.items()}))


@scenario("fault")
def leaks(rng: Rng) -> Case:
    """Sample ids tell the class, and the model reads them."""
    return Case(replace(gaussian([1.0, 1.0]), leak=rng.uniform(2, 4)), faults=claim("control_failed"))


@scenario("fault")
def adapts(rng: Rng) -> Case:
    """Keeps adapting its threshold to what it sees, so the same input gives another answer later."""
    return Case(
        gaussian([1.0, 1.0], native=False),
        model=adapting,
        faults=claim("control_failed"),
        tolerated=any_but("group_gap"),
    )


def adapting(world: World) -> FunctionModel:
    seen = [0]

    def drifting(batch: Batch) -> Array:
        # Slow enough for the doctor, which sees 64 samples at a time.
        seen[0] += len(batch)
        return np.asarray(world.logits(batch) + np.array([0.0, 2e-6 * seen[0]]))  # type: ignore[union-attr]

    return wrapped(drifting, world.names, native=False)


@scenario("fault")
def raises_on_zero(rng: Rng) -> Case:
    return Case(gaussian([1.2, 1.2], native=False), model=dividing, faults=claim("model_raised", "b"))


def dividing(world: World) -> FunctionModel:
    def strict(batch: Batch) -> Array:
        if not batch.inputs["b"].any(axis=1).all():
            raise ZeroDivisionError("b has length 0")
        return world.logits(batch)  # type: ignore[union-attr]

    return wrapped(strict, world.names, native=False)


@scenario("fault")
def nan_on_far_inputs(rng: Rng) -> Case:
    """Overflows on inputs far out, which noise on b makes of some samples."""
    return Case(
        gaussian([1.2, 1.2], native=False), NOISE, overflowing, claim("model_raised", "b"), any_but("group_gap")
    )


def overflowing(world: World) -> FunctionModel:
    def fragile_norm(batch: Batch) -> Array:
        z = world.logits(batch)  # type: ignore[union-attr]
        z[np.abs(batch.inputs["b"][:, 0]) > 4.5] = np.nan
        return z

    return wrapped(fragile_norm, world.names, native=False)


@scenario("fault")
def group_left_behind(rng: Rng) -> Case:
    """At a quarter of the samples, all of one site, a says nothing about the class."""
    world = replace(gaussian([2.0, 0.3]), dull=0.25)
    return Case(world, faults=claim("group_gap"), tolerated=any_but("no_signal", "control_failed", "model_raised"))


@scenario("fault")
def regression_ignores(rng: Rng) -> Case:
    return Case(Regression({"a": 1.0, "b": rng.uniform(0.5, 0.8)}, used={"b": 0.0}, native=bool(rng.integers(2))))


@scenario("fault")
def regression_hurts(rng: Rng) -> Case:
    """The model takes noise for evidence. Swapping the noise costs nothing, yet it is not ignored."""
    return Case(Regression({"a": 1.0, "b": 0.0}, used={"b": rng.uniform(0.5, 0.8)}))


@scenario("fault")
def regression_offset(rng: Rng) -> Case:
    """Zeros in place of b are far from anything seen."""
    slopes = {"a": 1.0, "b": 0.1}
    return Case(Regression(slopes, offset={"b": rng.uniform(15, 30)}, native=False))
