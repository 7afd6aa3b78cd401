"""Adversarial perturbations through the model's own gradient: the worst that a small change can do.

An attack knows the true target and raises the loss there, within ε of every value (L∞) and within the legal range. It
depends on the model, and, where the model's last bits depend on the batch, so do the signs of gradients next to zero.

What has no values to move by ε, a text, is declined by the joint attacks, which ask every modality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmaudit.errors import NotApplicable
from mmaudit.probes import canonical, stand_in
from mmaudit.probes.base import probe, probes
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.randomness import Draws
from mmaudit.types import Array, Batch, Condition, Modality

# Images: the field's ε, in steps of an 8-bit image. Everything else: shares of the spread of each dimension.
PIXELS = tuple(k / 255 for k in (1, 2, 4, 8, 16))
SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.4)
POSITIONS = (1.0, 2.0, 3.0, 4.0, 5.0)
# Whose values are numbers, which can move by ε.
ATTACKED = ("image", "audio", "tabular", "series", "embedding")
# Madry et al. 2018: steps that add up to 2.5 ε can cross the ball from any start.
STEPS = 10
REACH = 2.5
NO_GRADIENT = "the model offers no gradient with respect to its inputs"
# Version 1 took half a step from values at an end of the legal range.
VERSION = 3


@dataclass(frozen=True, eq=False)
class Ball:
    """How far an attack may move each value of a batch, in the modality's own units and layout.

    Attributes:
        start: where it is.
        low: the lowest that it may become: start − radius, or the end of the legal range.
        high: the highest, likewise.
        radius: ε in these units, not cut by the legal range: a value next to its end still steps by the whole of ε.
    """

    start: Array
    low: Array
    high: Array
    radius: Any


Attack = Callable[[Source, Condition, Batch, Mapping[str, Ball]], dict[str, Array]]


def _fgsm(source: Source, condition: Condition, batch: Batch, balls: Mapping[str, Ball]) -> dict[str, Array]:
    """Fast gradient sign method: one step of size ε along the sign of the loss gradient.

    x' = x + ε · sign(∇ₓ L(f(x), y)): Goodfellow, Shlens and Szegedy, ICLR 2015, arXiv 1412.6572; then clipped to the
    legal range. A value whose gradient is 0 stays as it is.
    """
    _, gradients = _gradient(source, batch, {m: ball.start for m, ball in balls.items()})
    return {m: _ascend(ball.start, gradients[m], 1.0, ball) for m, ball in balls.items()}


def _pgd(source: Source, condition: Condition, batch: Batch, balls: Mapping[str, Ball]) -> dict[str, Array]:
    """Projected gradient descent on the loss: 10 steps from a random start, the worst of them kept.

    xₜ₊₁ = Π[xₜ + α · sign(∇ₓ L(f(xₜ), y))], α = 2.5 ε / 10, Π the projection on the ε-ball (L∞) and the legal range:
    Madry et al., ICLR 2018, arXiv 1706.06083. It starts anywhere in the legal part of the ball. Each sample keeps the
    point of largest loss among the 11 visited.
    """
    points = {}
    for m, ball in balls.items():
        start = ball.start
        u = Draws(condition.stream, m, source.keys(batch)).uniform(start[0].size, "start").reshape(start.shape)
        points[m] = (ball.low + u * (ball.high - ball.low)).astype(start.dtype)
    best, most = dict(points), np.full(len(batch), -np.inf)
    for step in range(STEPS + 1):
        loss, gradients = _gradient(source, batch, points)
        better = loss > most
        most = np.where(better, loss, most)
        best = {m: np.where(_rows(better, x), x, best[m]) for m, x in points.items()}
        if step < STEPS:
            points = {m: _ascend(x, gradients[m], REACH / STEPS, balls[m]) for m, x in points.items()}
    return best


def _ascend(x: Array, gradient: Array, share: float, ball: Ball) -> Array:
    """Step along the sign by `share` of the ball's radius, and back into the ball."""
    return np.asarray(np.clip(x + share * np.sign(gradient) * ball.radius, ball.low, ball.high), x.dtype)


def _gradient(source: Source, batch: Batch, inputs: Mapping[str, Array]) -> tuple[Array, Mapping[str, Array]]:
    if source.gradient is None:
        raise NotApplicable("the model offers no gradient, which adversarial probes need")
    return source.gradient(batch, inputs)


def _rows(mask: Array, x: Array) -> Array:
    return mask.reshape(-1, *[1] * (x.ndim - 1))


def _ball(source: Source, modality: Modality, array: Array, epsilon: float) -> Ball:
    """The values in their own units and layout, and how far each may go."""
    start = array.astype(canonical.working_dtype(array.dtype))
    limits = canonical.legal_range(modality, array.dtype)
    if modality.kind == "image":
        assert limits is not None  # an image without a legal range is declined
        radius: Any = epsilon * (limits[1] - limits[0])
    else:
        radius = epsilon * np.asarray(source.statistics[modality.name].std)  # type: ignore[union-attr]
        radius = np.where(canonical.numbers(modality), radius, 0)
    low, high = np.broadcast_to(start - radius, start.shape), np.broadcast_to(start + radius, start.shape)
    if limits is not None:
        low, high = np.clip(low, *limits), np.clip(high, *limits)
    return Ball(start, low.astype(start.dtype), high.astype(start.dtype), radius)


def _epsilon(modality: Modality, severity: float, joint: bool) -> float:
    """ε of a severity; a joint severity is a position in each modality's own table, in between by interpolation."""
    if not joint:
        return severity
    table = PIXELS if modality.kind == "image" else SIGMAS
    beyond = table[-1] * severity / POSITIONS[-1]
    return beyond if severity > POSITIONS[-1] else float(np.interp(severity, (0.0, *POSITIONS), (0.0, *table)))


def _declines(modality: Modality, scope: Scope) -> str | None:
    if scope.gradients is None:
        return NO_GRADIENT
    if modality.kind not in ATTACKED:
        return f"{modality.name!r} is {modality.kind}, which no small step along a gradient can change"
    reason = canonical.declines(modality) or stand_in.codes(modality)
    return reason or scope.gradients.get(modality.name) or None


def _apply(attack: Attack, joint: bool) -> Callable[[Batch, Condition, Source], Batch]:
    def fn(batch: Batch, condition: Condition, source: Source) -> Batch:
        severity = condition.severity
        assert severity is not None  # adversarial probes always have one
        balls = {}
        for m in condition.modalities:
            modality = source.modality(m)
            balls[m] = _ball(source, modality, batch.inputs[m], _epsilon(modality, severity, joint))
        found = attack(source, condition, batch, balls)
        new = {}
        for m, x in found.items():
            old = batch.inputs[m]
            if old.dtype.kind in "iub":  # whole numbers: rounded towards the value, or they would leave the ball
                x = np.clip(np.rint(x), np.ceil(balls[m].low), np.floor(balls[m].high))
            settled = canonical.settle(x, old.dtype, source.modality(m))
            new[m] = np.where(_rows(batch.present[m], old), settled, old)
        return batch.replace(new)

    fn.__doc__ = attack.__doc__
    return fn


def _single_grid(name: str, kind: str, table: tuple[float, ...], random: bool) -> Callable[[Scope], Any]:
    def grid(scope: Scope) -> Iterator[Condition | Declined]:
        for modality in (m for m in scope.modalities if m.kind == kind):
            if reason := _declines(modality, scope):
                yield Declined(name, (modality.name,), reason)
                continue
            for repeat in range(scope.repeats if random else 1):
                for position in scope.positions:
                    yield probes.get(name).condition((modality.name,), table[position - 1], repeat=repeat)

    return grid


def _joint_grid(name: str, random: bool) -> Callable[[Scope], Any]:
    def grid(scope: Scope) -> Iterator[Condition | Declined]:
        if scope.gradients is None:
            yield Declined(name, scope.names, NO_GRADIENT)
            return
        refused = {m.name: reason for m in scope.modalities if (reason := _declines(m, scope))}
        yield from (Declined(name, (m,), reason) for m, reason in refused.items())
        able = tuple(m for m in scope.together if m not in refused)
        if len(able) < 2:
            yield Declined(name, scope.names, "fewer than two modalities have a gradient to attack together")
            return
        for repeat in range(scope.repeats if random else 1):
            for position in scope.positions:
                yield probes.get(name).condition(able, float(position), repeat=repeat)

    return grid


_ATTACKS: dict[str, tuple[Attack, bool, str]] = {
    "fgsm": (_fgsm, False, "Goodfellow et al. 2015"),
    "pgd": (_pgd, True, "Madry et al. 2018"),
}
for _name, (_attack, _random, _source) in _ATTACKS.items():
    for _kind in ATTACKED:
        _table = PIXELS if _kind == "image" else SIGMAS
        probe(
            f"{_kind}.{_name}",
            family="adversarial",
            version=VERSION,
            grid=_single_grid(f"{_kind}.{_name}", _kind, _table, _random),
            unit="ε (L∞), of the legal range" if _kind == "image" else "ε (L∞), in σ of each dimension",
            severities=_table,
            kinds=(_kind,),
            source=_source,
        )(_apply(_attack, joint=False))
    probe(
        f"joint.{_name}",
        family="adversarial",
        version=VERSION,
        grid=_joint_grid(f"joint.{_name}", _random),
        unit="position in each modality's ε table",
        severities=POSITIONS,
        kinds=ATTACKED,
        source=_source,
    )(_apply(_attack, joint=True))
