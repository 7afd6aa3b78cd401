"""SynIB: cross-entropy, and a penalty on being sure of an answer when one modality's content is destroyed."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mmaudit.errors import BadInput
from mmaudit.reference.base import Hyper, Parts, Step, Tensors, reference
from mmaudit.reference.losses import row_losses
from mmaudit.reference.methods import synib_references as references
from mmaudit.reference.methods.heads import mask
from mmaudit.reference.methods.synib_masks import LearnedMask, no_moments, remember
from mmaudit.reference.methods.synib_passes import MaskedPasses, Pass, mean_over

SOURCE = "SynIB (Kontras et al. 2026, arXiv 2606.09853; kkontras/SynIB, June 2026 release)"
PUBLISHED = {"weight_decay": Hyper(1e-3)}
KL_WEIGHT = {"kl_weight": Hyper(0.1, 0.001, 10.0, log=True), **PUBLISHED}
PROBABILITY = {"mask_probability": Hyper(0.3, 0.1, 0.7)}
HEADS = {"unimodal_weight": Hyper(1.0)}
LABELS: tuple[Literal["classification", "multilabel"], ...] = ("classification", "multilabel")


class SynIB(MaskedPasses):
    """Cross-entropy + λ Σ_i KL(prediction with modality i masked ‖ reference), for any number of modalities.

    `L = E[−log q(y | x)] + λ Σ_i E[KL(q(· | x̃_i, x_rest) ‖ r)]`, with λ the hyper-parameter `kl_weight`, plus
    `unimodal_weight` times the loss of unimodal heads where a variant reads them. Each mean is over the rows in which
    modality i and at least one other are there; absent ones are never masked in. With λ = 0 the loss is that of
    concatenation, bit for bit. The attributes say which variant; those of `MaskedPasses` say how it is masked.

    Multilabel tasks: one binary divergence per label, their mean. Regression has no uniform distribution over
    unbounded answers, so that only the Gaussian divergence is defined, with the running mean and variance of the
    targets as its reference.

    Attributes:
        pulled_to: `uniform`. `prior`: running label frequencies (decay 0.99, from uniform; the authors' ablation uses
            the training set's). `anchor`: what the other modalities' own heads answer, mean of their probabilities,
            fixed; the authors' appendix H.5, without its moving-average copy of the heads. `masked_own`: what the
            masked modality's own head answers to its intact content, which is what the released code computes.
        divergence: `categorical`, or `gaussian` on the logits, with a second head for their log-variance.
        direction: of the divergence: KL(q ‖ r) as the paper writes it, or KL(r ‖ q) as the released anchors have it.
        anneal_epochs: λ grows linearly over so many epochs; 0 for λ from the start.
    """

    pulled_to: ClassVar[Literal["uniform", "prior", "anchor", "masked_own"]] = "uniform"
    divergence: ClassVar[Literal["categorical", "gaussian"]] = "categorical"
    direction: ClassVar[references.Direction] = "masked_to_reference"
    anneal_epochs: ClassVar[float] = 0.0

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        if self.divergence == "gaussian":
            if self.pulled_to != "uniform":
                raise BadInput(f"the gaussian divergence knows no reference {self.pulled_to!r}; use 'uniform'.")
            self.log_variance = nn.Linear(self.head.second.in_features, parts.task.width)
        elif parts.task.kind == "regression":
            raise BadInput("a categorical divergence is not defined for a regression; use 'synib_gaussian'.")

    def initial_state(self) -> Tensors:
        """Adds running frequencies or moments of the target, where the reference is made of them."""
        state = super().initial_state()
        task = self.parts.task
        if self.pulled_to == "prior":
            state["prior"] = references.uniform(task).exp()
        if task.kind == "regression":
            state |= no_moments("target", (task.width,))
        return state

    def loss(self, step: Step) -> Tensor:
        """The task's loss, the penalty on masked answers, and the loss of unimodal heads."""
        features = self.encode(step.inputs, step.present)
        outputs = self.fuse(features, step.present)
        loss = row_losses(outputs, step.target, self.parts.task).mean()
        alone = self.unimodal_outputs(features) if self.has_heads else {}
        loss = loss + self.kl_weight(step) * self.penalty(step, features, outputs, alone)
        if alone:
            loss = loss + step.hyper["unimodal_weight"] * self.unimodal_loss(alone, step)
        return loss

    def kl_weight(self, step: Step) -> Tensor:
        """λ at this step."""
        weight = step.hyper["kl_weight"]
        if not self.anneal_epochs:
            return weight
        return weight * ((step.epoch.floor() + 1) / self.anneal_epochs).clamp(max=1.0)

    def penalty(self, step: Step, features: Tensors, outputs: Tensor, alone: Tensors) -> Tensor:
        """Σ_i of the mean divergence of masked answers from their reference, in nats, a scalar.

        Args:
            step: the mini-batch.
            features: intact ones, by modality.
            outputs: the model's own answers to them, `[b, k]`.
            alone: outputs of the unimodal heads; empty where there are none.
        """
        passes = self.passes(step, features)
        if self.divergence == "gaussian":
            rows = self._gaussian(step, passes)
        else:
            masked = self._ask(step, passes, outputs)
            reference = self._reference(step, passes, alone)
            rows = references.categorical(
                references.log_probabilities(masked, self.parts.task), reference, self.direction
            )
        return torch.stack(
            [mean_over(r, p.rows) for r, p in zip(rows.reshape(len(passes), -1), passes, strict=True)]
        ).sum()

    def _ask(self, step: Step, passes: list[Pass], outputs: Tensor) -> Tensor:
        """Outputs `[passes · b, k]`."""
        if self.masks == "none":
            return outputs.repeat(len(passes), 1)
        return self.fuse(*self.together(passes, step.present))

    def _gaussian(self, step: Step, passes: list[Pass]) -> Tensor:
        hidden = self._hidden(*self.together(passes, step.present))
        mean, log_variance = self.head.second(hidden), self.log_variance(hidden)
        centre, log_spread = torch.zeros_like(mean), torch.zeros_like(mean)
        if self.parts.task.kind == "regression":
            everyone = torch.ones_like(step.target[:, 0], dtype=torch.bool)
            centre, deviation = remember(step.state, "target", step.target.to(mean.dtype), everyone)
            log_spread = 2 * deviation.clamp(min=1e-4).log()
        return references.gaussian(mean, log_variance, centre, log_spread, self.direction)

    def _hidden(self, features: Tensors, present: Tensors) -> Tensor:
        """The head's hidden layer, which `fuse` goes through."""
        names = self.parts.query
        shown = torch.cat([*(features[m] for m in names), mask(present, names, features[names[0]])], dim=1)
        hidden: Tensor = self.head.first(shown)
        return hidden.relu() if self.rectified else hidden

    def _reference(self, step: Step, passes: list[Pass], alone: Tensors) -> Tensor:
        """Log-probabilities `[passes · b, groups, outcomes]`, or one table for all."""
        task = self.parts.task
        if self.pulled_to == "uniform":
            return references.uniform(task).to(step.epoch.device)
        if self.pulled_to == "prior":
            now = references.frequencies(step.target, task)
            prior = references.DECAY * step.state["prior"] + (1 - references.DECAY) * now
            step.state["prior"] = prior.detach()
            return references.as_log(prior.detach())
        tables = {m: references.log_probabilities(o.detach(), task) for m, o in alone.items()}
        if self.pulled_to == "masked_own":
            return torch.cat([tables[p.modality] for p in passes])
        return torch.cat([self._others(tables, step.present, p.modality) for p in passes])

    def _others(self, tables: Tensors, present: Tensors, masked: str) -> Tensor:
        """Mean probabilities of the heads of all present modalities but one; uniform where there is none."""
        rest = [m for m in self.parts.query if m != masked]
        weight = torch.stack([present[m] for m in rest]).to(tables[masked].dtype)[..., None, None]
        total = (torch.stack([tables[m] for m in rest]).exp() * weight).sum(dim=0)
        count = weight.sum(dim=0)
        even = references.uniform(self.parts.task).exp().to(total.device)
        return references.as_log(torch.where(count > 0, total / count.clamp(min=1.0), even))


@reference("synib", title="SynIB", source=SOURCE, tasks=LABELS, hyper={**KL_WEIGHT, **PROBABILITY})
class SynIBRandom(SynIB):
    """SynIB as we recommend it: categorical divergence to uniform, random masks filled from the batch, on features.

    Every coordinate of a modality's features is replaced with probability `mask_probability` by that of another sample
    of the batch, and the answer is pulled towards uniform: log K − H(q). The authors' own ablation finds that other
    references do not help (and cost synergy on Hateful Memes and CREMA-D-Irony), and random masks as good as learned
    ones within half a point.

    Published: λ from 0.001 to 10 by data set (0.1 here), π from 0.1 to 0.7 (0.3 here). Left open: more than two
    modalities (one masked pass each, as the repository's README suggests), multilabel tasks, absent modalities; see
    `SynIB`. The features are those the encoders give; the paper normalises them (LayerNorm without scale) first.
    """


@reference(
    "synib_learned",
    title="SynIB, learned masks",
    source=SOURCE,
    tasks=LABELS,
    hyper={
        "kl_weight": Hyper(1.0, 0.01, 100.0, log=True),
        **PUBLISHED,
        "mask_sparsity": Hyper(0.1, 0.01, 10.0, log=True),
        **HEADS,
    },
)
class SynIBLearned(SynIB):
    """SynIB with learned masks: per sample the features that a modality's own answer rests on are destroyed.

    Per step and modality, keep gates σ(ℓ), ℓ = 1 at first, are moved for 20 steps of Adam (rate 0.1) so that the
    unimodal head fails while little is destroyed (`mask_sparsity` times the destroyed share); then `g·z + (1 − g)·ε`
    with ε noise of the running mean and variance is fused, and the answer pulled towards uniform. As in the released
    benchmark code the gates stay soft, the found features are the destroyed ones, and the penalty does not reach the
    encoders. The other reading, that everything else is destroyed, is `gates.reading = "rest"` (see `LearnedMask`).

    Different here: only the learned branch carries a penalty (the release always adds the random one, too), and the
    divergence is the categorical one to uniform on which the authors' revision settles.
    """

    masks = "learned"
    fill = "gaussian"
    gates = LearnedMask()
    reaches_encoders = False


@reference(
    "synib_gaussian",
    title="SynIB, Gaussian",
    source=SOURCE,
    hyper={"kl_weight": Hyper(0.01, 0.001, 1.0, log=True), **PUBLISHED, **PROBABILITY},
)
class SynIBGaussian(SynIB):
    """SynIB with a Gaussian divergence on the logits: ½ Σ (exp ℓ + μ² − 1 − ℓ), as the release does by default.

    μ are the logits of the masked pass and ℓ comes from a second head on the same hidden layer. As only this term
    trains ℓ, it goes to 0, and what remains is ½ ‖μ‖²: logits are pulled to 0 rather than towards one another.

    Regression: the reference is N(m, s²) with the running mean and variance of the targets, so that a masked answer is
    pulled to the mean; our extension, the paper has classification alone.
    """

    divergence = "gaussian"


@reference(
    "synib_anchor",
    title="SynIB, complementary anchor",
    source=SOURCE,
    tasks=LABELS,
    hyper={"kl_weight": Hyper(0.1, 0.01, 1.0, log=True), **PUBLISHED, **PROBABILITY, **HEADS},
)
class SynIBAnchor(SynIB):
    """SynIB whose reference is what the modalities left intact answer on their own.

    That is the paper's appendix H.5: masked, the fusion may be as sure as the rest is alone, and no surer. The released
    code anchors to the masked modality's own intact answer instead, and measures KL(r ‖ q): `pulled_to =
    "masked_own"`, `direction = "reference_to_masked"`. The heads are trained on detached features with weight 1.
    """

    pulled_to = "anchor"
    heads_wanted = True


@reference("synib_full", title="SynIB, whole modality", source=SOURCE, tasks=LABELS, hyper=KL_WEIGHT)
class SynIBFull(SynIB):
    """SynIB that destroys a whole modality at a time: its features become those of another sample (M_Full).

    The modality still counts as there. Telling the model that it is missing, and then asking it to be unsure, would
    teach it to give up on every incomplete sample.
    """

    masks = "full"
