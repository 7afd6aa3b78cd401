"""MCR: modalities compete in a game over how much the answer depends on each of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import log

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmaudit.reference.base import Draw, Hyper, Parts, Step, Tensors, reference
from mmaudit.reference.losses import task_loss
from mmaudit.reference.methods.balancing import OwnHeads, added, mean_where, unimodal_losses
from mmaudit.types import Task

SOURCE = (
    "Kontras et al., Balancing Multimodal Training Through Game-Theoretic Regularization, NeurIPS 2025; kkontras/MCR"
)
PERMUTATIONS = 8  # per step; with 128 rows as many pairs as the authors' 32 with their 32 rows
TEMPERATURE = 0.5
NOTHING = -1e9  # logarithm of the similarity to a row that is no negative


@reference(
    "mcr",
    title="MCR",
    source=SOURCE,
    hyper={
        "weight_decay": Hyper(1e-4),
        "game": Hyper(0.1, 0.01, 1.0, log=True),
        "unimodal": Hyper(1.0, 0.01, 1.0, log=True),
        "contrast": Hyper(1.0),
        "ceb": Hyper(1.0),
    },
)
class Mcr(OwnHeads):
    """Multimodal competition regulariser with the greedy strategy.

    `loss = L(answer) + unimodal Σ L(own head of m) + game · MIPD + contrast · NT-Xent + ceb · CEB`:

    - MIPD, the game. What modalities in a set S contribute to the logits is permuted among the rows of the batch
      (each modality by a permutation of its own), and `D(m, S)` is the Jensen-Shannon divergence, in nats, between
      the answers with and without, as a function of modality m's contribution alone (all others' are constants). Each
      modality makes the answer depend on itself and not on the others: `Σ_m (Σ_{S without m} D(m, S) − Σ_{S with m}
      D(m, S))`. S is every single modality and every set that leaves one out, as in the authors' versions for two and
      for three.
    - NT-Xent, supervised: features of all modalities and rows together, positives have the same class, cosine
      similarity, temperature 0.5, each positive against all negatives, mean over pairs.
    - CEB: squared error between all features side by side and their prediction from the answer (itself a constant) by
      two layers without biases and a ReLU between.

    Weights in the authors' runs: game 0.01 to 0.1 (0.1), unimodal 0.01 to 1, contrast 1, CEB 0 or 1. In their code
    the gradient also flows through the answer that is not permuted to all modalities; here, as in their equation,
    only to the one that plays. Rows without a modality are left out of its terms. Contrast needs one width: where
    modalities differ, a linear layer of its own brings each to the smallest. Multilabel: divergence is that of each
    label, mean over labels, and positives have the same labels. Regression, as in the authors' code: squared error
    instead of divergence, and positives are the same row's modalities.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        widths = [parts.widths[m] for m in self.names]
        same = len(set(widths)) == 1
        self.shared = nn.ModuleList([nn.Identity() if same else nn.Linear(w, min(widths), bias=False) for w in widths])
        hidden = max(widths)
        self.predicted = nn.Sequential(
            nn.Linear(parts.task.width, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, sum(widths), bias=False)
        )

    def draws(self, rows: int) -> dict[str, Draw]:
        """Numbers whose order is a permutation of the rows, for each modality and repetition."""
        return {"orders": Draw("uniform", (PERMUTATIONS, len(self.names), rows))}

    def loss(self, step: Step) -> Tensor:
        """The sum of the five terms."""
        task, hyper = self.parts.task, step.hyper
        features = self.encode(step.inputs, step.present)
        parts = self.contributions(features, step.present)
        answer = self.fuse(features, step.present)
        loss = task_loss(answer, step.target, task)
        loss = loss + hyper["unimodal"] * unimodal_losses(self.unimodal(features), step.present, step.target, task)
        orders = step.draws["orders"].argsort(dim=2)
        loss = loss + hyper["game"] * mipd(parts, self.bias, step.present, orders, task)
        loss = loss + hyper["contrast"] * self._contrast(features, step)
        return loss + hyper["ceb"] * self._ceb(features, answer, step)

    def _contrast(self, features: Tensors, step: Step) -> Tensor:
        z = torch.cat([shared(features[m]) for m, shared in zip(self.names, self.shared, strict=True)])
        here = torch.cat([step.present[m] for m in self.names])
        rows = same_answer(step.target, self.parts.task)
        return nt_xent(z, rows.repeat(len(self.names), len(self.names)), here)

    def _ceb(self, features: Tensors, answer: Tensor, step: Step) -> Tensor:
        wanted = torch.cat([features[m] for m in self.names], dim=1)
        here = torch.cat([step.present[m][:, None].expand_as(features[m]) for m in self.names], dim=1)
        return mean_where((wanted - self.predicted(answer.detach())).square(), here)


def mipd(
    parts: Mapping[str, Tensor], bias: Tensor, present: Mapping[str, Tensor], orders: Tensor, task: Task
) -> Tensor:
    """The game's term, a scalar: see `Mcr`.

    Args:
        parts: what each modality contributes to the logits, `[b, k]`.
        bias: of the logits, `[k]`.
        present: by modality `bool[b]`.
        orders: permutations of the rows, `[repetitions, modalities, b]`.
        task: decides the divergence.
    """
    names = list(parts)
    still = {m: c.detach() for m, c in parts.items()}
    moved = {m: parts[m][orders[:, i]] for i, m in enumerate(names)}
    pairs = {m: present[m] & present[m][orders[:, i]] for i, m in enumerate(names)}
    sizes = sorted({1, len(names) - 1})
    sets = [frozenset(s) for size in sizes for s in combinations(names, size)]
    terms = []
    for m in names:
        seen = {j: parts[j] if j == m else still[j] for j in names}
        changed = {j: moved[j] if j == m else moved[j].detach() for j in names}
        plain = added(seen.values()) + bias.detach()
        for s in sets:
            permuted = added(changed[j] if j in s else seen[j] for j in names) + bias.detach()
            rows = divergence(permuted, plain.expand_as(permuted), task)
            here = torch.stack([pairs[j] for j in names if j in s]).all(dim=0)
            value = mean_where(rows, here)
            terms.append(-value if m in s else value)
    return added(terms)


def divergence(one: Tensor, two: Tensor, task: Task) -> Tensor:
    """Of two answers `[…, k]`, the Jensen-Shannon divergence in nats (0 to log 2); squared error for a regression."""
    if task.kind == "regression":
        return (one - two).square().mean(dim=-1)
    if task.kind == "multilabel":
        yes_no = [torch.stack([F.logsigmoid(x), F.logsigmoid(-x)]) for x in (one, two)]
        return jensen_shannon(yes_no[0], yes_no[1], dim=0).mean(dim=-1)
    return jensen_shannon(one.log_softmax(dim=-1), two.log_softmax(dim=-1), dim=-1)


def jensen_shannon(one: Tensor, two: Tensor, dim: int) -> Tensor:
    """Divergence of two distributions given by their logarithms along `dim`."""
    middle = torch.logaddexp(one, two) - log(2)
    return 0.5 * (one.exp() * (one - middle) + two.exp() * (two - middle)).sum(dim=dim)


def same_answer(target: Tensor, task: Task) -> Tensor:
    """Which pairs of rows have the same truth, `bool[b, b]`; in a regression only a row and itself."""
    if task.kind == "regression":
        return torch.eye(len(target), dtype=torch.bool, device=target.device)
    if task.kind == "multilabel":
        return (target[:, None, :] == target[None, :, :]).all(dim=2)
    return target[:, None] == target[None, :]


def nt_xent(z: Tensor, same: Tensor, here: Tensor) -> Tensor:
    """Supervised normalised temperature-scaled cross-entropy, mean over positive pairs; 0 where there are none.

    Args:
        z: features `[n, d]`, normalised here.
        same: which pairs are positive, `bool[n, n]`; a row with itself is not counted.
        here: which rows are there, `bool[n]`.
    """
    unit = z / z.square().sum(dim=1, keepdim=True).clamp(min=1e-12).sqrt()
    close = unit @ unit.T / TEMPERATURE
    usable = here[:, None] & here[None, :]
    other = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    negatives = torch.where(usable & ~same, close, torch.full_like(close, NOTHING)).logsumexp(dim=1)
    return mean_where(torch.logaddexp(close, negatives[:, None]) - close, usable & same & other)
