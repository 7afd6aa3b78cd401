"""What the balancing methods share: concatenation with a linear head that can be read modality by modality.

OGM-GE, AGM, PMR, MLB and MCR all start from the same observation: trained together, the modality that is learned
faster takes the loss away from the others. They measure how good each modality is by itself, and slow the better one
down or push the worse one. Their sources have two modalities; formulas here are for any number, the other modality of
the source being the mean of the others (so for MLB and AGM in the authors' own versions for three). Where a source
multiplies gradients by a coefficient, the step is multiplied here (`Reference.paces`): with the sources' SGD that is
the same, and AdamW would divide the coefficient out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmaudit.reference.base import Parts, Reference, Tensors
from mmaudit.reference.losses import row_losses
from mmaudit.types import Task


class Balanced(Reference):
    """Concatenated features in one linear layer, as in the sources: an answer is a sum of one part per modality.

    `u_m = W_m [h_m, present_m] + b / M` and the answer is `Σ u_m`; `h_m` is 0 where m is absent, and the flag tells
    so. Features are rectified, as those of the sources' ResNets are; with a linear projection as encoder a modality
    is thus read by one hidden layer. The parts are added only: whatever needs two modalities at once (an exclusive
    or) cannot be represented, here as in the sources.

    An encoder without trainable parameters is followed by a linear layer of its own width: what these methods balance
    is the training of encoders.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.names = parts.query
        for i, m in enumerate(parts.modalities):
            encoder = self.encoders[f"m{i}"]
            if not any(p.requires_grad for p in encoder.parameters()):
                self.encoders[f"m{i}"] = nn.Sequential(encoder, nn.Linear(parts.widths[m], parts.widths[m]))
        sizes = [parts.widths[m] + 1 for m in self.names]
        whole = nn.Linear(sum(sizes), parts.task.width)
        self.weights = nn.ParameterList([w.detach().clone() for w in torch.split(whole.weight, sizes, dim=1)])
        self.bias = whole.bias

    def encode_one(self, modality: str, values: Tensor) -> Tensor:
        """Rectified features `[b, width]` of one modality."""
        return F.relu(super().encode_one(modality, values))

    def contributions(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """`W_m [h_m, present_m]`, `[b, k]` by modality: what each adds to the answer, the bias left out."""
        found = {}
        for m, w in zip(self.names, self.weights, strict=True):
            here = present[m][:, None]
            shown = torch.where(here, features[m], torch.zeros_like(features[m]))
            found[m] = F.linear(torch.cat([shown, here.to(shown.dtype)], dim=1), w)
        return found

    def split(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """`u_m = W_m [h_m, present_m] + b / M`, `[b, k]` by modality; their sum is the answer."""
        share = self.bias / len(self.names)
        return {m: c + share for m, c in self.contributions(features, present).items()}

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]` from features by modality."""
        return added(self.split(features, present).values())

    def alone(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """What each modality answers by itself, `[modalities, b, k]`: the quantity that the method balances."""
        return torch.stack(list(self.split(self.encode(inputs, present), present).values()))

    def place(self, name: str) -> int | None:
        """Place of the modality to which parameter `name` belongs: its encoder, its part of the head, its own head."""
        group, _, rest = name.partition(".")
        if group not in ("encoders", "weights", "own"):
            return None
        return int(rest.partition(".")[0].removeprefix("m"))

    def by_modality(self, factors: Tensor) -> Tensors:
        """A factor for every parameter that belongs to a modality, by name, from one per modality."""
        places = {name: self.place(name) for name, _ in self.named_parameters()}
        return {name: factors[at] for name, at in places.items() if at is not None}


class OwnHeads(Balanced):
    """`Balanced` with a linear head of its own for each modality, beside the common one and not part of the answer."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.own = nn.ModuleList([nn.Linear(parts.widths[m], parts.task.width) for m in self.names])

    def unimodal(self, features: Mapping[str, Tensor]) -> Tensors:
        """What each modality's own head answers, `[b, k]` by modality; its bias where the modality is absent."""
        return {m: head(features[m]) for m, head in zip(self.names, self.own, strict=True)}

    def alone(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """What each modality's own head answers, `[modalities, b, k]`."""
        return torch.stack(list(self.unimodal(self.encode(inputs, present)).values()))


def added(parts: Iterable[Tensor]) -> Tensor:
    """Sum of tensors of one shape, in order."""
    total, *rest = parts
    for part in rest:
        total = total + part
    return total


def certainty(outputs: Tensor, target: Tensor, task: Task) -> Tensor:
    """Probability that each row's truth is given, `[b]`: of its class, or the mean over labels of each label's own."""
    if task.kind == "classification":
        return outputs.softmax(dim=1).gather(1, target[:, None])[:, 0]
    yes = target.to(outputs.dtype)
    return (outputs * (2 * yes - 1)).sigmoid().mean(dim=1)


def mean_where(values: Tensor, here: Tensor) -> Tensor:
    """Mean of `values` `[b]` over the rows where `here`; 0 where there are none."""
    weight = here.to(values.dtype)
    return (torch.where(here, values, torch.zeros_like(values))).sum() / weight.sum().clamp(min=1)


def scores(values: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean of each modality's row values over the rows that have it, `[modalities]`, and whether any row has it.

    Means, not the sums of the sources: a modality that is missing more often is not thereby a weaker one.
    """
    found = torch.stack([mean_where(v, present[m]) for m, v in values.items()])
    known = torch.stack([present[m].any() for m in values])
    return found, known


def mean_of_others(score: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """For each modality the mean score of the other known ones, and whether there is one to compare with.

    Args:
        score, known: `[modalities]`.
    """
    others = (1 - torch.eye(len(score), dtype=score.dtype, device=score.device)) * known.to(score.dtype)
    count = others.sum(dim=1)
    return (others * score).sum(dim=1) / count.clamp(min=1), known & (count > 0)


def only(comparable: Tensor, factor: Tensor) -> Tensor:
    """`factor` where modalities can be compared, 1 elsewhere: nothing is balanced that was not seen."""
    return torch.where(comparable, factor, torch.ones_like(factor))


def unimodal_losses(outputs: Mapping[str, Tensor], present: Mapping[str, Tensor], target: Tensor, task: Task) -> Tensor:
    """Sum over modalities of the task's loss of each one's own answers, over the rows that have it."""
    return added(mean_where(row_losses(u, target, task), present[m]) for m, u in outputs.items())
