"""Rules about synergy: what both modalities together say, and the model does not use."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit import formats
from mmaudit.estimates import Estimate
from mmaudit.findings.base import Draft, Evidence, rule
from mmaudit.findings.wording import listing, span

# Bits left unused below this share of what there is to know (the target's entropy) are nothing to act on.
WORTHWHILE = 0.05
ALPHA = 0.05
BEYOND = "beyond_independence"
# How far below its accuracy elsewhere a model may be on samples that need both, before it is worth a line.
FAR_BELOW = 0.1


@rule("synergy_unused", level="major")
def synergy_unused(evidence: Evidence) -> Iterator[Draft]:
    """Modalities together say more than each alone, and the model leaves it.

    Where two views of one thing add up there is synergy too, and nothing that a fusion could find: of classes only what
    sides say that go together given the truth counts. Of numbers nobody asked that.
    """
    entropy = next(iter(evidence.estimated("entropy", of="data")), None)
    for unused in evidence.estimated("synergy_unused"):
        if entropy is None or not unused.low > WORTHWHILE * entropy.value:
            continue
        available, used = _of(evidence, unused, "data"), _of(evidence, unused, "model")
        if available is None or not available.p_adjusted <= ALPHA or _adds_up(evidence, unused):
            continue
        sides = (*unused.modalities, *(["the other modalities"] if unused.option("against") else []))
        said = f" The model's own answers hold {span(used.score())} of that sort." if used is not None else ""
        yield Draft(
            f"Together {listing(sides)} say {span(available.score())} about the answer that neither says alone.{said} "
            f"{span(unused.score())} are left unused: a model that fuses them better has something to gain.",
            unused.modalities,
            tuple(e.score() for e in (unused, available, used) if e is not None),
            unused.value / entropy.value,
            subject=listing(sides),
        )


def _of(evidence: Evidence, like: Estimate, of: str) -> Estimate | None:
    """The synergy of data or model that an estimate of what is unused was made of.

    Of several missing baselines the smallest: a stand-in that the model cannot read makes a modality look useless
    alone, and what is used together large, so what is unused goes by the best answers (`unused.unused_rows`).
    """
    against = like.option("against")
    found = evidence.estimated("synergy", like.modalities, of=of)
    found = [e for e in found if e.option("against") == against]
    return min((e for e in found if e.value == e.value), key=lambda e: e.value, default=None)


def _adds_up(evidence: Evidence, like: Estimate) -> bool:
    """Whether the sides say together no more, as far as can be seen, than both predictions multiplied."""
    against = like.option("against")
    beyond = (e for e in evidence.estimated(BEYOND, like.modalities) if e.option("against") == against)
    return any(e.value == e.value and not e.low > 0 for e in beyond)


@rule("weak_on_synergy", level="minor", needs_signal=True)
def weak_on_synergy(evidence: Evidence) -> Iterator[Draft]:
    """Samples that no modality answers alone, only several together, are answered worse than the others.

    Where two views of one thing add up, such samples are those near the border, on which any noise tells; so only where
    modalities surely say more together than views that are independent given the answer.
    """
    if not any(e.low > 0 for e in evidence.estimated(BEYOND)):
        return
    for synergy in evidence.estimated("accuracy_on", tag="synergy"):
        for redundant in evidence.estimated("accuracy_on", synergy.modalities, tag="redundant"):
            if synergy.high < redundant.low - FAR_BELOW:
                gap = formats.number(redundant.value - synergy.value, synergy.unit, change=True)
                needed, enough = "no modality can answer alone", "several modalities can answer alone"
                if len(evidence.modalities) == 2:
                    needed, enough = f"only {listing(evidence.modalities)} together can answer", "either can answer"
                yield Draft(
                    f"Of the samples that {needed} the model gets {span(synergy.score())} right, of those that "
                    f"{enough} {span(redundant.score())}: a gap of {gap}.",
                    synergy.modalities,
                    (synergy.score(), redundant.score()),
                    redundant.value - synergy.value,
                )
