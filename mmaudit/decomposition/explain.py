"""What the numbers mean together: whether synergy is there, and what kind it is. In words, for the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmaudit.decomposition import names as called
from mmaudit.decomposition.divide import FALLS_SHORT
from mmaudit.decomposition.neighbours import KSG
from mmaudit.estimates import Estimate

ALPHA = 0.05
GAUSSIAN = (
    "The target is a number: informations are those of predictions with normal errors, redundancy is the smaller of "
    "the two (Barrett 2015, exact for Gaussians). What only shows in the spread of the target, or in kinks, is missed; "
    "where the estimate by nearest neighbours is well above the information, something is."
)
# Below this many bits two predictors differ by how well they were fitted: the data cannot tell that from synergy.
NEGLIGIBLE = 0.005
LEAST_P = 0.001


def present(estimate: Estimate) -> bool:
    """Say whether an estimate of synergy shows that there is some.

    Its 95 % interval must lie above `NEGLIGIBLE` bits (and above the null, what the estimator reads from noise), and
    the test of "nothing to find" must reject at 5 %. False for what is undefined.
    """
    floor = max(NEGLIGIBLE, estimate.null) if estimate.null == estimate.null else NEGLIGIBLE
    return bool(estimate.low > floor and estimate.p <= ALPHA)


def explanations(estimates: Sequence[Estimate]) -> list[str]:
    """Return sentences that keep a reader from drawing the wrong conclusion; none where there is nothing to add.

    Args:
        estimates: of the synergy family, of one run.
    """
    said = []
    for e in estimates:
        if e.estimator == called.SYNERGY and e.option("of") == "data":
            said += _kind(e, estimates)
    said += _better_model(estimates)
    said += _far_baselines(estimates)
    said += _needs_together(estimates)
    if any(e.estimator == KSG for e in estimates):
        said.append(GAUSSIAN)
    return said


def _kind(synergy: Estimate, estimates: Sequence[Estimate]) -> list[str]:
    """Interaction, or two noisy looks at the same thing?"""
    if not present(synergy):
        return []
    shuffle = _beside(called.WITHIN_CLASS, synergy, estimates)
    beyond = _beside(called.BEYOND, synergy, estimates)
    if shuffle is None and beyond is None:
        return []
    what, bits = _sides(synergy), _span(synergy)
    if beyond is not None and beyond.low > NEGLIGIBLE and beyond.p <= ALPHA:
        return [
            f"{what}: synergy of {bits}, and given the truth they depend on each other: what one means changes with "
            f"the other, a cross-modal interaction. The evidence is the joint predictor: it says {_span(beyond)} "
            f"({_p(beyond)}) more than the two sides' predictions multiplied. That could not be if the sides were "
            "independent given the truth, as far as each side's own prediction says all that this side does."
            f"{_seen_by(shuffle)}"
        ]
    if shuffle is not None and shuffle.p <= ALPHA:
        return [
            f"{what}: synergy of {bits}, and given the truth they depend on each other. The evidence is the shuffle "
            f"of one side within the classes ({_p(shuffle)}): there the sides' coarse codes say {shuffle.value:.3f} "
            f"bits of each other, {shuffle.null:.3f} after shuffling. {_not_beyond(beyond)}"
        ]
    tested = []
    if shuffle is not None:
        tested.append(f"shuffling one side within the classes changes nothing that could be seen (p = {shuffle.p:.2f})")
    if beyond is not None:
        less = f"{abs(beyond.value):.3f} bits {'less' if beyond.value < 0 else 'more'}"
        tested.append(f"the joint predictor says {less} than both sides multiplied")
    return [
        f"{what}: synergy of {bits}, but {' and '.join(tested)}. This is noise averaging, not a cross-modal "
        "interaction: two looks at the same thing, each with its own errors, say together what neither says alone. "
        "Adding up what each modality says (late fusion) can use all of it."
    ]


def _seen_by(shuffle: Estimate | None) -> str:
    """What the other test says where the joint predictor shows an interaction."""
    if shuffle is None:
        return ""
    if shuffle.p <= ALPHA:
        return f" Shuffling one side within the classes shows it, too ({_p(shuffle)})."
    return (
        f" Shuffling one side within the classes does not show it ({_p(shuffle)}): that test compares coarse codes of "
        "the sides, made without the class, and what they do not keep it cannot see."
    )


def _not_beyond(beyond: Estimate | None) -> str:
    """What a dependence that only the shuffle shows leaves open."""
    if beyond is None:
        return "Whether that makes the synergy, or is said twice, this test does not tell."
    return (
        f"The joint predictor was not seen to gain by it: it says {_span(beyond)} more than the two sides' predictions "
        "multiplied, so whether the synergy needs this dependence cannot be told."
    )


def _span(e: Estimate) -> str:
    value, low, high = (f"{x:.3f}".replace("-", "−") for x in (e.value, e.low, e.high))
    return f"{value} bits [{low}, {high}]"


def _p(e: Estimate) -> str:
    return f"p < {LEAST_P}" if e.p < LEAST_P else f"p = {e.p:.3f}"


def _better_model(estimates: Sequence[Estimate]) -> list[str]:
    """Where the audited model knows more than the predictors fitted here, `available` counts what it knows."""
    informations = [e for e in estimates if e.estimator == called.INFORMATION and e.value == e.value]
    data = [e for e in informations if e.option("of") == "data"]
    every = max(data, key=lambda e: len(e.modalities), default=None)
    if every is None:
        return []
    own = [e for e in informations if e.option("of") == "model" and e.modalities == every.modalities]
    best = max(own, key=lambda e: e.value, default=None)
    if best is None or not best.value > every.value + NEGLIGIBLE:
        return []
    return [
        f"The model's answers say {best.value:.3f} bits about the truth, the predictors fitted here "
        f"{every.value:.3f}: the model has learned more. Synergy to be had is therefore worked out with the better of "
        "the two for every subset of the modalities; the data may hold more than is found."
    ]


def _far_baselines(estimates: Sequence[Estimate]) -> list[str]:
    """A model that says less than nothing without a modality was shown something it has never seen."""
    return [
        f"{_sides(e)}: with baseline {e.option('baseline')!r} the model's complete answers say less than its answers "
        "to one side, so what it uses together cannot be told."
        for e in estimates
        if e.estimator == called.HIGH and e.option("of") == "model" and e.high < 0
    ]


def _needs_together(estimates: Sequence[Estimate]) -> list[str]:
    """A model that is lost without one modality seems to use more synergy than the data hold.

    Not said where the predictors show none to be had: then it is not the model that makes the difference.
    """
    unused = [e for e in estimates if e.estimator == called.UNUSED and e.high < 0]
    sides = [_sides(e) for e in unused if e.reason != FALLS_SHORT]
    if not sides:
        return []
    more = f" (and {len(sides) - 1} more)" if len(sides) > 1 else ""
    return [
        f"{sides[0]}{more}: the model's own synergy is larger than that of the data, so none is left unused. Without "
        "one side its answers say less than the other side could: it needs together what the data give one by one."
    ]


def _beside(name: str, like: Estimate, estimates: Iterable[Estimate]) -> Estimate | None:
    """The defined estimate of this name for the same sides."""
    for e in estimates:
        same = e.modalities == like.modalities and e.option("against") == like.option("against")
        if e.estimator == name and same and e.p == e.p:
            return e
    return None


def _sides(e: Estimate) -> str:
    return f"{e.modalities[0]} and {'the rest' if e.option('against') else e.modalities[-1]}"
