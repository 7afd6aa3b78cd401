"""What SynIB destroys in a modality, and what it puts in its place: donors, fillings, moments and learned gates.

Everything here runs under `torch.func.vmap`. A mask is a tensor of *keep gates* of the values' shape: 1 keeps a
coordinate, 0 destroys it, numbers between mix it with what fills it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import Literal

import torch
from torch import Tensor

DECAY = 0.99  # of running moments, as in the released code


def destroy(values: Tensor, keep: Tensor, filling: Tensor) -> Tensor:
    """Return `keep · values + (1 − keep) · filling`, all of one shape; exact where `keep` is 0 or 1."""
    return keep * values + (1 - keep) * filling


def donors(keys: Tensor, present: Tensor) -> Tensor:
    """Return `int64[b]`, for every row another row whose values it is given.

    Present rows are put in a random circle and each takes from the next one, so that nobody is its own donor as long as
    two are present, and an absent row is never one. Rows that are absent themselves get some present row.

    Args:
        keys: uniform numbers `[b]` in [0, 1).
        present: `bool[b]`.
    """
    order = torch.where(present, keys, keys + 2.0).argsort()  # present rows first
    place = order.argsort()
    following = (place + 1) % present.sum().clamp(min=1)
    return order.gather(0, following)


def spread(rows: Tensor, like: Tensor) -> Tensor:
    """Per-row numbers `[b]` as `[b, 1, …]`, to meet a tensor of any shape."""
    return rows.reshape(-1, *([1] * (like.ndim - 1)))


def no_moments(name: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Running sums that `remember` keeps under `name`, before the first batch."""
    return {f"sum {name}": torch.zeros(shape), f"squares {name}": torch.zeros(shape), f"weight {name}": torch.zeros(())}


def remember(state: dict[str, Tensor], name: str, values: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Add a batch to the running sums in `state`; return mean and standard deviation of what was seen.

    A batch with nothing present changes nothing; before the first other one they are 0 and 1. No gradient passes.

    Args:
        state: a step's; its sums are replaced.
        name: as for `no_moments`.
        values: `[b, …]`.
        present: `bool[b]`, the rows that count.
    """
    values = values.detach()
    counted = spread(present, values).to(values.dtype)
    n = present.sum()
    share = (1 - DECAY) * (n > 0).to(values.dtype)
    batch = {
        f"sum {name}": (values * counted).sum(dim=0) / n.clamp(min=1),
        f"squares {name}": (values.square() * counted).sum(dim=0) / n.clamp(min=1),
        f"weight {name}": torch.ones_like(share),
    }
    for key, new in batch.items():
        state[key] = ((1 - share) * state[key] + share * new).detach()
    weight = state[f"weight {name}"]
    by = torch.where(weight > 0, weight, torch.ones_like(weight))
    mean = state[f"sum {name}"] / by
    deviation = (state[f"squares {name}"] / by - mean.square()).clamp(min=0.0).sqrt()
    return mean, torch.where(weight > 0, deviation, torch.ones_like(deviation))


@dataclass(frozen=True)
class LearnedMask:
    """How gates are learned, and which reading of the paper they serve.

    Attributes:
        steps, rate: of Adam on the gates' logits.
        temperature: gates are `sigmoid(logit / temperature)`.
        start: logit that every gate begins with; 1 keeps 73 % of a value.
        hard: gates of more than ½ become 1 and the others 0 when learned; otherwise they stay soft.
        reading: `found` destroys the features that the gates found to carry the modality's own answer, as the released
            benchmark code does. `rest` keeps those and destroys everything else, as the repository's README says and
            its Spurious-XOR script does.
        cosine: the rate falls to a tenth over the steps, as in the PID-XOR script.
        clip: largest norm of a step's gradient, over the batch; infinity for none.
    """

    steps: int = 20
    rate: float = 0.1
    temperature: float = 1.0
    start: float = 1.0
    hard: bool = False
    reading: Literal["found", "rest"] = "found"
    cosine: bool = False
    clip: float = 1.0


def learned_gates(
    row_loss: Callable[[Tensor], Tensor],
    values: Tensor,
    filling: Tensor,
    rows: Tensor,
    sparsity: Tensor,
    how: LearnedMask,
) -> Tensor:
    """Return keep gates of the shape of `values` that break a modality's own answer while destroying little.

    Adam minimises `−loss(g·z + (1−g)·ε) + sparsity · mean(1 − g)` over the gates' logits; everything else is fixed.
    The returned gates keep what the reading of `how` keeps. No gradient passes through them.

    Args:
        row_loss: the unimodal head's loss, `[b]`, on values `[b, …]`.
        values: z.
        filling: ε of the same shape. Each inner step gives the rows' fillings to the next row, so that gates are not
            fitted to one draw of them.
        rows: weights `[b]`, 0 for rows that do not count.
        sparsity: weight of the destroyed share, 0-d.
        how: settings.
    """
    weights = rows / rows.sum().clamp(min=1.0)
    mean_over = tuple(range(1, values.ndim))

    def objective(logits: Tensor, filling: Tensor) -> Tensor:
        gates = torch.sigmoid(logits / how.temperature)
        loss = (row_loss(destroy(values, gates, filling)) * weights).sum()
        return -loss + sparsity * ((1 - gates).mean(dim=mean_over) * weights).sum()

    # The outer derivative must not see this search; the inner one still does (torch.func.grad within no_grad).
    with torch.no_grad():
        logits = torch.full_like(values, how.start)
        first, second = torch.zeros_like(values), torch.zeros_like(values)
        for t in range(how.steps):
            gradient = torch.func.grad(objective)(logits, filling.roll(t, 0))
            if how.clip < float("inf"):
                gradient = gradient * (how.clip / (gradient.square().sum().sqrt() + 1e-6)).clamp(max=1.0)
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient.square()
            rate = how.rate * (0.1 + 0.45 * (1 + cos(pi * t / how.steps))) if how.cosine else how.rate
            corrected = (second / (1 - 0.999 ** (t + 1))).sqrt() + 1e-8
            logits = logits - rate * (first / (1 - 0.9 ** (t + 1))) / corrected
        gates = torch.sigmoid(logits / how.temperature)
        if how.hard:
            gates = (gates > 0.5).to(gates.dtype)
        return gates if how.reading == "found" else 1 - gates
