"""What each modality is worth to the audited model: every index that is made of the table v(S)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.estimates import Estimate, estimator
from mmaudit.kernels.bootstrap import ratio
from mmaudit.metrics import Metric, Resamples
from mmaudit.reliance.found import NO_BOUNDS, Found, found, nothing
from mmaudit.reliance.shapley import interaction_weights, regression, shapley_weights
from mmaudit.reliance.table import Game, Values, games
from mmaudit.types import FloatArray

SHAPLEY = estimator(
    "shapley_value",
    family="reliance",
    unit="primary",
    summary="what a modality adds to the model's value, mean over all orders in which modalities can come in",
    source="Shapley 1953; from sampled subsets: KernelSHAP, Lundberg and Lee 2017",
)
INTERACTION = estimator(
    "shapley_interaction",
    family="reliance",
    unit="primary",
    summary="what two or three modalities are worth together beyond their parts, mean over what else is present; "
    "positive: they need each other, negative: one makes up for the other",
    source="Shapley interaction index, Grabisch and Roubens 1999",
)
EFFICIENCY = estimator(
    "shapley_efficiency_error",
    family="reliance",
    unit="primary",
    summary="sum of the Shapley values minus (value with everything − value with nothing); if not 0, they are wrong",
    source="efficiency, Shapley 1953",
)
LEAVE_ONE_OUT = estimator(
    "leave_one_out",
    family="reliance",
    unit="primary",
    summary="value with everything minus value without this modality",
    source="ablation; Covert, Lundberg and Lee 2021",
)
ONLY_ONE = estimator(
    "only_one",
    family="reliance",
    unit="primary",
    summary="value with this modality alone",
    source="unimodal evaluation of a multimodal model",
    better="higher",
)
UTILISATION = estimator(
    "conditional_utilisation",
    family="reliance",
    unit="share",
    summary="share of the value that is lost without this modality",
    source="conditional utilisation rate, Wu et al. 2022",
)
CONTRIBUTION = estimator(
    "shape_contribution",
    family="reliance",
    unit="primary",
    summary="Shapley value where having nothing is worth as much as the best answer that reads nothing",
    source="SHAPE, Hu et al. 2022",
)
COOPERATION = estimator(
    "shape_cooperation",
    family="reliance",
    unit="primary",
    summary="what modalities are worth together minus what each is worth alone, all above the best answer that reads "
    "nothing; positive: more than the sum",
    source="SHAPE, Hu et al. 2022",
)
HIGHEST_ORDER = 3


def indices(values: Values) -> Iterator[Found]:
    """Yield every index of every missing baseline of a run, over all samples.

    Where not all subsets were run (more than 6 modalities, or a modality without such a stand-in), indices that need
    them are NaN with the reason; Shapley values are then estimated from the sampled subsets where these cover every
    size (option `subsets=sampled`), with an interval that also holds the uncertainty of having sampled them.
    """
    for game in games(values):
        of = _Maker(game, values.metric, values.metric.unit_of(values.task), values.w)
        yield from of.shapley()
        yield from of.interactions()
        yield from of.ablations()
        yield from of.shape()


def grouped(values: Values) -> Iterator[Found]:
    """Yield Shapley value and leave-one-out of each group (site, speaker, …, true class) and missing baseline.

    A group's v(S) is the metric on its samples alone; groups of fewer than 30 samples are left out.
    """
    for group, rows in values.groups.items():
        w = values.w.take(rows)
        for game in games(values, group):
            of = _Maker(game, values.metric, values.metric.unit_of(values.task), w, group)
            yield from of.shapley(check=False)
            yield from (f for f in of.ablations() if f.estimate.estimator == LEAVE_ONE_OUT)


class _Maker:
    """Estimates of one game."""

    def __init__(self, game: Game, metric: Metric, unit: str, w: Resamples, group: str = "") -> None:
        self.game, self.metric, self.w = game, metric, w
        self.options = (("baseline", game.baseline),)
        self.about = partial(Estimate, options=self.options, group=group, unit=unit)

    def linear(
        self,
        about: Estimate,
        weights: FloatArray,
        table: FloatArray,
        *,
        constant: FloatArray | float = 0.0,
        test: bool = True,
        extra: float = 0.0,
    ) -> Found:
        """An index that is a weighted sum of values v(S), and a constant."""
        low, high = self.metric.range
        up, down = float(weights[weights > 0].sum()), float(weights[weights < 0].sum())
        within, share = NO_BOUNDS, None
        if np.isfinite(low) and np.isfinite(high):
            at = float(np.ravel(constant)[0])
            within = (at + up * low + down * high, at + up * high + down * low)
            share = within if self.metric.unit == "share" else None
        values = weights @ table + constant
        # Values that cancel leave rounding, which must not pass for variation.
        rounding = 1e-12 * float(np.abs(weights) @ np.abs(table).max(axis=1, initial=0) + np.abs(constant).max())
        if np.ptp(values) <= rounding:
            values = np.full_like(values, 0.0 if abs(values[0]) <= rounding else values[0])
        endless = within == NO_BOUNDS
        return found(about, values, self.w, within=within, per_sample=share, test=test, extra=extra, endless=endless)

    def shapley(self, check: bool = True) -> Iterator[Found]:
        """Shapley values, and whether they add up."""
        game, players = self.game, len(self.game.players)
        options: tuple[tuple[str, str], ...] = self.options
        extra = np.zeros(players)
        if game.complete:
            weights = shapley_weights(players)
        else:
            try:
                fitted = regression(players, game.masks)
            except Undefined as why:
                for name in game.players:
                    yield nothing(self.about(SHAPLEY, (name,)), self.w, f"{game.reason}; {why}")
                return
            weights, extra = fitted.weights, fitted.standard_errors(game.table[:, 0])
            options = (*options, ("subsets", "sampled"))
        sampled = partial(self.about, options=options)
        for player, name in enumerate(game.players):
            yield self.linear(sampled(SHAPLEY, (name,)), weights[player], game.table, extra=float(extra[player]))
        if check:
            total = (weights @ game.table).sum(axis=0) - (game.values[game.full] - game.values[0])
            yield found(sampled(EFFICIENCY, ()), total, self.w)

    def interactions(self) -> Iterator[Found]:
        """Shapley interaction indices of two and of three modalities."""
        game = self.game
        if len(game.players) > 1 and not game.complete:
            yield nothing(self.about(INTERACTION, ()), self.w, f"{game.reason}; interactions need all of them")
            return
        for order in range(2, HIGHEST_ORDER + 1):
            for chosen, weights in zip(*interaction_weights(len(game.players), order), strict=True):
                names = tuple(game.players[i] for i in chosen)
                yield self.linear(self.about(INTERACTION, names), weights, game.table)

    def ablations(self) -> Iterator[Found]:
        """Leave-one-out drop, conditional utilisation rate, value of one modality alone."""
        game, whole = self.game, self.game.values[self.game.full]
        for player, name in enumerate(game.players):
            loss, only = self.about(LEAVE_ONE_OUT, (name,)), self.about(ONLY_ONE, (name,))
            use = replace(self.about(UTILISATION, (name,)), unit="share")
            only = replace(only, better="higher", null=float(game.chance[0]))
            rest, alone = game.without(player), game.alone(player)
            if rest is None:
                for about in (loss, use):
                    yield nothing(about, self.w, f"{game.reason}; the one without {name!r} is lacking")
            else:
                drop = self.linear(loss, np.array([1.0, -1.0]), np.stack([whole, rest]))
                yield drop
                yield self._utilisation(use, drop, whole)
            if alone is None:
                yield nothing(only, self.w, f"{game.reason}; the one of {name!r} alone is lacking")
            else:
                yield self.linear(only, np.ones(1), alone[None], test=False)

    def _utilisation(self, about: Estimate, drop: Found, whole: FloatArray) -> Found:
        """(v(N) − v(N∖m)) / v(N); undefined where the model is worth nothing to begin with."""
        if not whole[0] > 0:
            return nothing(
                about, self.w, "the value with everything present is not above 0, so there is no share of it"
            )
        share = ratio(drop.values, np.maximum(whole, 0.0))
        # What is left of a value without a lower end (R²) may be below 0, and more than all is lost.
        most = 1.0 if self.metric.range[0] >= 0 else np.inf
        made = found(about, share, self.w, within=(-np.inf, most))
        if np.ptp(drop.values) > 0:
            return made
        # Nothing varies: the exact bounds of the drop, as a share.
        low, high = drop.estimate.low / whole[0], min(drop.estimate.high / whole[0], most)
        return Found(replace(made.estimate, low=float(low), high=float(high)), share)

    def shape(self) -> Iterator[Found]:
        """SHAPE contribution of each modality and cooperation of every two or more.

        With b the value of the best answer that reads nothing (the majority class) in place of v(∅): contribution is
        the Shapley value of that game, cooperation of T is v(T) − b − Σ_{m ∈ T} [v({m}) − b]. The contributions add up
        to v(N) − b, and for two modalities so do what each is worth alone and their cooperation. b is resampled
        with the values.
        """
        game, players = self.game, len(self.game.players)
        singles = [game.alone(i) for i in range(players)]
        if not np.isfinite(game.chance[0]) or any(v is None for v in singles):
            return
        chance = game.chance
        if len(game.values.keys() | {0}) == game.full + 1:
            table = np.stack([game.values[mask] for mask in range(1, game.full + 1)])
            for name, weights in zip(game.players, shapley_weights(players), strict=True):
                about = self.about(CONTRIBUTION, (name,))
                yield self.linear(about, weights[1:], table, constant=float(weights[0]) * chance)
        for size in range(2, players + 1):
            for chosen in combinations(range(players), size):
                joint = game.values.get(sum(1 << i for i in chosen))
                if joint is None:
                    continue
                table = np.stack([joint, *(v for i in chosen if (v := singles[i]) is not None)])
                weights = np.array([1.0, *[-1.0] * size])
                about = self.about(COOPERATION, tuple(game.players[i] for i in chosen))
                yield self.linear(about, weights, table, constant=(size - 1) * chance)
