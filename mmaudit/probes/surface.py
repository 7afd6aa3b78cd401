"""The severity(A) × severity(B) surface: every severity of one modality's corruption with every one of another's.

What the two do alone are the plain corruptions at the same severities. A sample's random numbers are the plain ones',
too, so the noise in the sum is the noise alone, and what the two do together beyond the sum is a paired difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product

from mmaudit.errors import BadInput
from mmaudit.joint import joint_options, parts
from mmaudit.probes.base import Probe, probe, probes
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.probes.stand_in import codes
from mmaudit.types import Batch, Condition, Modality

# One corruption per kind: noise where values are numbers, as it exists for every kind under comparable severities.
CANONICAL = {
    "image": "image.gaussian_noise",
    "text": "text.keyboard",
    "audio": "audio.gaussian_snr",
    "tabular": "tabular.gaussian_noise_additive",
    "series": "series.gaussian_noise_additive",
    "embedding": "embedding.gaussian_noise_additive",
}
# Pairs of modalities that are run without being asked for; each is up to 25 conditions.
MOST_PAIRS = 3

Pair = tuple[Probe, Modality, Probe, Modality]


def single(condition: Condition) -> list[Condition]:
    """Return what a surface's condition is compared with, as the plain corruptions' own conditions."""
    return [replace(part, unit=probes.get(part.probe).unit) for part in parts(condition)]


def _grid(scope: Scope) -> Iterator[Condition | Declined]:
    if len(scope.modalities) < 2:
        yield Declined("surface", scope.names, "one modality alone has no second one to be corrupted with")
        return
    pairs = list(_pairs(scope))
    if not scope.surface and len(pairs) > MOST_PAIRS:
        left = tuple(dict.fromkeys(m.name for _, a, _, b in pairs[MOST_PAIRS:] for m in (a, b)))
        reason = (
            f"{len(pairs) - MOST_PAIRS} of {len(pairs)} pairs are left out; name the corruptions of a pair in surface"
        )
        yield Declined("surface", left, reason)
        pairs = pairs[:MOST_PAIRS]
    for first, a, second, b in pairs:
        names = a.name, b.name
        one, other = _curve(first, a, scope), _curve(second, b, scope)
        refused = [d for d in (*one, *other) if isinstance(d, Declined)]
        for d in refused:
            yield Declined("surface", names, f"{d.probe}: {d.reason}")
        both = product([c for c in one if isinstance(c, Condition)], [c for c in other if isinstance(c, Condition)])
        for x, y in both:
            yield Condition("surface", "scenario", 1, names, options=joint_options(x, y))


def _pairs(scope: Scope) -> Iterator[Pair]:
    """Corruption and modality of each side: those asked for, else every pair with its kinds' own corruptions."""
    if not scope.surface:
        # Pairs of different kinds first: two of a kind are more often two views of the same. Then neighbours, so that
        # the first few pairs leave out as few modalities as can be.
        ordered = sorted(scope.modalities, key=lambda m: m.name)
        place = {m.name: i for i, m in enumerate(ordered)}
        pairs = combinations(ordered, 2)
        for a, b in sorted(pairs, key=lambda p: (p[0].kind == p[1].kind, place[p[1].name] - place[p[0].name])):
            yield _canonical(a), a, _canonical(b), b
        return
    for names in scope.surface:
        first, second = (_corruption(name) for name in names)
        found = [
            (a, b)
            for a, b in product(scope.modalities, repeat=2)
            if a is not b and a.kind in first.kinds and b.kind in second.kinds
        ]
        if not found:
            raise BadInput(
                f"surface names {first.name} and {second.name}, but no two of the modalities "
                f"{', '.join(f'{m.name} ({m.kind})' for m in scope.modalities)} can have them."
            )
        # The same corruption of two modalities is one surface, not two.
        for a, b in [(a, b) for a, b in found if a.name < b.name] if first is second else found:
            yield first, a, second, b


def _canonical(modality: Modality) -> Probe:
    """The corruption that stands for a kind; whole numbers may be codes, which are exchanged instead of shaken."""
    return probes.get("tabular.category_flip" if codes(modality) else CANONICAL[modality.kind])


def _corruption(name: str) -> Probe:
    found = probes.select(name)
    if len(found) != 1 or found[0].family != "corruption" or len(found[0].severities) != 5:
        what = f"{len(found)} probes" if len(found) != 1 else f"no corruption with five severities ({found[0].family})"
        raise BadInput(
            f"surface names {name!r}, which is {what}; name one corruption of one kind in full, such as "
            "'image.gaussian_blur'."
        )
    return found[0]


def _curve(corruption: Probe, modality: Modality, scope: Scope) -> list[Condition | Declined]:
    """The corruption's own conditions for one modality: one repeat, and on the scope's scale of severity."""
    alone = replace(scope, modalities=(modality,), subsets=None, repeats=1)
    found = list(corruption.grid(alone))
    scale = scope.scale
    return [scale.condition(c) if scale is not None and isinstance(c, Condition) else c for c in found]


@probe("surface", family="scenario", grid=_grid, source="mmaudit")
def surface(batch: Batch, condition: Condition, source: Source) -> Batch:
    """Two modalities corrupted at once, every severity of the one with every severity of the other.

    Compared with what each corruption does alone, this shows whether damage adds up. The two are applied with the
    random numbers that they have alone.
    """
    for part in parts(condition):
        batch = probes.get(part.probe).apply(batch, part, source)
    return batch
