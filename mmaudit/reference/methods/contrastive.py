"""What contrastive methods share: unit embeddings, a learned logit scale, in-batch losses, scores of candidates.

The same class serves two tasks. For retrieval the candidates are embeddings of the target modality, and training is in
the batch: row i's target is right, those of rows of another identity are wrong. For classification the class takes the
place of the target modality: one learned embedding per class is the bank of candidates, the query is made of all
modalities, and the loss is the cross-entropy over all classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, sqrt
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmaudit.reference.base import Hyper, Parts, Reference, Step, Tensors

CLASS = ""  # the target's name where classes are sought; no modality may be called so
CLIP_SCALE = log(1 / 0.07)  # Radford et al. 2021: 2.659
FILL = -1e9  # in place of −∞ for what may not win: finite, so that its gradient is 0 and not NaN
# The Gated Symile repository's sweeps go up to 10⁻² and end at 2·10⁻³ to 9·10⁻³, for baselines too.
LEARNING_RATE = Hyper(4e-3, 1e-4, 1e-2, log=True)
BLOCK = 128  # validation rows ranked against each other, the batch size of the published runs


class ContrastiveReference(Reference):
    """Embeds every modality on the unit sphere of one space and scores candidates; a method defines `logits`.

    The space is what the encoders return, where all of them have parameters and the same width (trained encoders, as
    in the papers). Otherwise (frozen features, unequal widths) each modality gets an affine map to `space` numbers.

    Missing modalities: an absent row is 0 after `embed`, and `logits` says what takes its place. Rows without target,
    or with nothing but the target, are left out of the loss; a row without target is nobody's candidate.

    Attributes:
        start: logarithm of the logit scale before training; the scale exp(s) is trained and not clamped.
        scaled: whether logits are also multiplied by D^((M−1)/2), M counting the target: the deterministic variance
            scaling of the Gated Symile repository, without which a product of M unit vectors starts near 0.
        space: numbers of an embedding where an affine map makes it.
        width: numbers of an embedding, D.
        sought: name of the target modality, or `CLASS`.
        anchors: what training takes as the target in turn: every modality for a retrieval, else the class alone.
    """

    start: ClassVar[float] = CLIP_SCALE
    scaled: ClassVar[bool] = False
    space: ClassVar[int] = 256

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        widths = [parts.widths[m] for m in parts.modalities]
        trained = all(any(True for _ in encoder.parameters()) for encoder in self.encoders.values())
        project = not trained or len(set(widths)) > 1
        self.width = self.space if project else widths[0]
        self.projections = nn.ModuleDict(
            {self.slot(m): nn.Linear(w, self.width) for m, w in zip(parts.modalities, widths, strict=True)}
            if project
            else {}
        )
        self.logit_scale = nn.Parameter(torch.full((1,), self.start))
        self.sought = CLASS if parts.target is None else parts.target
        self.anchors: tuple[str, ...] = (CLASS,) if parts.target is None else parts.modalities
        if parts.target is None:
            self.classes = nn.Parameter(torch.randn(parts.task.width, self.width) / sqrt(self.width))

    def slot(self, name: str) -> str:
        """Name of what belongs to a modality, or to the class, in a table of modules."""
        return "class" if name == CLASS else f"m{self.parts.modalities.index(name)}"

    # ---- embeddings and scores

    def embed_one(self, modality: str, values: Tensor) -> Tensor:
        """Unit embeddings `[b, D]` of one modality's inputs `[b, …]`, absent rows not zeroed; for candidates, too."""
        return self._unit(modality, self.encode_one(modality, values))

    def embed(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Unit embeddings `[b, D]` by modality from the features of `encode`; 0 where the modality is absent."""
        found = {}
        for m, x in features.items():
            unit = self._unit(m, x)
            found[m] = torch.where(present[m][:, None], unit, torch.zeros_like(unit))
        return found

    def logits(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> Tensor:
        """Logits `[q, c]` of every candidate for every query, for any one target; each pair depends on itself alone.

        Args:
            query: embeddings `[q, D]` of the modalities other than the target, 0 where absent.
            candidates: embeddings `[c, D]` of the target.
            present: `bool[q]` by modality.
            target: name of the target modality, or `CLASS`.
        """
        raise NotImplementedError

    def scores(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Scores `[q, c]` for the task's target, higher is better, finite for any pattern of presence.

        A candidate's score does not depend on the other candidates: a bank may be scored in blocks.

        Args:
            query: embeddings `[q, D]` from `embed`, of all query modalities.
            candidates: embeddings `[c, D]` from `embed_one` of the target modality.
            present: `bool[q]` by modality; None where all are there.
        """
        if present is None:
            present = {m: torch.ones(len(x), dtype=torch.bool, device=x.device) for m, x in query.items()}
        return self.logits({m: query[m] for m in self.parts.query}, candidates, present, self.sought)

    def bank_scores(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor], candidates: Tensor) -> Tensor:
        """`scores` `[q, c]` of candidates given as inputs `[c, …]` of the target modality, for a retrieval."""
        features = {m: self.encode_one(m, inputs[m]) for m in self.parts.query}
        query = self.embed(features, present)
        return self.scores(query, self.embed_one(self.sought, candidates), present)

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Logits of the classes `[b, classes]`; for a retrieval, scores in the batch `[b, b]`, row i's target i."""
        embedded = self.embed(features, present)
        candidates = F.normalize(self.classes, dim=-1) if self.sought == CLASS else embedded[self.sought]
        return self.scores(embedded, candidates, present)

    # ---- training

    def loss(self, step: Step) -> Tensor:
        """Cross-entropy over the classes; for a retrieval, the mean over anchors of `anchor_loss`."""
        if self.sought == CLASS:
            return super().loss(step)
        embedded = self.embed(self.encode(step.inputs, step.present), step.present)
        return torch.stack([self.anchor_loss(embedded, step, t) for t in self.anchors]).mean()

    def anchor_loss(self, embedded: Tensors, step: Step, target: str) -> Tensor:
        """In-batch cross-entropy of finding `target` from the other modalities, against all other rows' targets.

        This is the "pair" sampling of the Gated Symile repository, in which only the target is wrong in a negative,
        with every other row of the batch once instead of 512 draws with replacement (in a batch of 128 the released
        code draws 127). Rows of the same identity are right, too, and no negatives.
        """
        query = {m: x for m, x in embedded.items() if m != target}
        logits = self.logits(query, embedded[target], step.present, target)
        usable = step.present[target] & any_present(step.present, list(query))
        return info_nce(logits, usable, step.present[target], step.target)

    def goodness(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Minus the cross-entropy; for a retrieval, 1 ÷ rank of the first right candidate among those of its block.

        Blocks are 128 rows in the order given. Candidates that tie share their middle rank. A row without target counts
        0, in every epoch alike.
        """
        if self.sought == CLASS:
            return super().goodness(inputs, present, target)
        embedded = self.embed(self.encode(inputs, present), present)
        found = []
        for first in range(0, len(target), BLOCK):
            rows = slice(first, first + BLOCK)
            there = {m: p[rows] for m, p in present.items()}
            block = {m: x[rows] for m, x in embedded.items()}
            scores = self.scores(block, block[self.sought], there)
            found.append(reciprocal_ranks(scores, there[self.sought], target[rows]))
        return torch.cat(found)

    # ---- pieces for methods

    def factor(self, modalities: int) -> Tensor:
        """What a product of `modalities` unit vectors, the target among them, is multiplied by: a logit; shape [1]."""
        scale: Tensor = self.logit_scale.exp()
        return scale * self.width ** ((modalities - 1) / 2) if self.scaled else scale

    def _unit(self, modality: str, features: Tensor) -> Tensor:
        slot = self.slot(modality)
        projected = self.projections[slot](features) if slot in self.projections else features
        return F.normalize(projected, dim=-1)


def info_nce(logits: Tensor, usable: Tensor, columns: Tensor, identity: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the diagonal against the wrong ones of its row; 0 where no row is usable.

    Args:
        logits: `[n, n]`; column i is right for row i.
        usable: `bool[n]`, rows that count.
        columns: `bool[n]`, columns that may be a negative; where a row is usable its own column must be.
        identity: `int64[n]`, of rows and columns; where it is the same, another column is right as well and left out.
    """
    counts = columns[None, :] & (wrong(identity) | own(identity))
    filled = torch.where(counts, logits, torch.full_like(logits, FILL))
    return usable_mean(torch.logsumexp(filled, dim=1) - logits.diagonal(), usable)


def wrong(identity: Tensor) -> Tensor:
    """`bool[n, n]`: whether column j is a wrong candidate for row i; `identity` is `int64[n]`."""
    return identity[:, None] != identity[None, :]


def own(rows: Tensor) -> Tensor:
    """`bool[n, n]`: the diagonal, for n rows."""
    return torch.eye(len(rows), dtype=torch.bool, device=rows.device)


def usable_mean(losses: Tensor, usable: Tensor) -> Tensor:
    """Mean of `losses[usable]`; 0 where there are none."""
    kept = torch.where(usable, losses, torch.zeros_like(losses))
    return kept.sum() / usable.sum().clamp(min=1)


def any_present(present: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """Whether at least one of these modalities is present, `bool[n]`."""
    return torch.stack([present[m] for m in names]).any(dim=0)


def reciprocal_ranks(scores: Tensor, there: Tensor, identity: Tensor) -> Tensor:
    """1 ÷ rank of the first right candidate of each row, `[n]`; of what ties the middle rank; absent rows have 0.

    Args:
        scores: `[n, n]`, row i's own candidate is i.
        there: `bool[n]`, rows whose target exists.
        identity: `int64[n]`; candidates with a row's own are right.
    """
    known, foreign = there[None, :], wrong(identity)
    fill = torch.full_like(scores, FILL)
    best = torch.where(known & ~foreign, scores, fill).amax(dim=1, keepdim=True)
    level = scores == best
    above, tied = (known & foreign & (scores > best)).sum(dim=1), (known & foreign & level).sum(dim=1)
    right = (known & ~foreign & level).sum(dim=1)
    return torch.where(there, 1 / (1 + above + tied / (right + 1)), torch.zeros_like(best[:, 0]))
