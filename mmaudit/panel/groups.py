"""Which conditions of a run are summed up together when models are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmaudit.formats import shorten
from mmaudit.panel.values import STAND_IN, Group
from mmaudit.summaries import neutral
from mmaudit.types import Condition

# Families that put something false in a modality's place; only a model that ignores the modality is unharmed.
FALSE = ("mismatch", "conflict")
LONGEST_NAME = 40


def groups_of(
    conditions: Sequence[Condition], modalities: Sequence[str], goodness: Mapping[str, float]
) -> tuple[Group, ...]:
    """Return the groups: per family and modalities; a missing modality by the audited model's best stand-in.

    Whoever uses the audited model may choose what fills a gap, for free; so a reference has to beat its best neutral
    way (`native` where the model handles absence itself; else zeros or the mean). The choice is made on the audited
    model's own values, so it can only favour that model. Removing everything is no group, nor are controls, surfaces
    and scenarios whose modalities are hit one by one.

    Args:
        conditions: of the run.
        modalities: all of the data set's, in order.
        goodness: per condition key the audited model's value, larger is better; NaN where undefined.
    """
    found: dict[tuple[str, ...], list[Condition]] = {}
    for c in conditions:
        if c.family in ("clean", "control") or c.probe == "surface" or c.option("latent") == "independent":
            continue
        if c.family == "missing" and not neutral(c):
            continue
        partly = "partly" if c.family == "missing" and c.probe != "missing" else ""
        if c.probe == "missing" and (c.repeat or set(c.modalities) >= set(modalities)):
            continue
        found.setdefault((c.family, partly, *c.modalities), []).append(c)
    made = [_group(key[0], bool(key[1]), key[2:], members, goodness) for key, members in found.items()]
    order = {name: i for i, name in enumerate(("missing", "corruption", "scenario", "mismatch", "conflict"))}
    return tuple(sorted(made, key=lambda g: (order.get(g.family, 2), "partly" in g.key, len(g.modalities))))


def _group(
    family: str, partly: bool, modalities: tuple[str, ...], members: Sequence[Condition], goodness: Mapping[str, float]
) -> Group:
    names = " and ".join(shorten(m, LONGEST_NAME) for m in modalities)
    remark = ""
    if family == "missing" and not partly:
        native = [c for c in members if c.option("baseline") == "native"]
        known = [c for c in native or members if goodness[c.key] == goodness[c.key]]
        members = [max(known, key=lambda c: goodness[c.key])] if known else list(members)[:1]
        stand_in = members[0].option("baseline") or "native"
        remark = "" if stand_in == "native" else f"{STAND_IN}{stand_in.replace('_', ' ')}"
    said = {
        "missing": f"{names} missing in part of the samples" if partly else f"{names} missing",
        "corruption": f"{names} corrupted",
        "mismatch": f"{names} taken from another sample",
        "conflict": f"{names} taken from a sample of another class",
        "scenario": f"{names} hit by a scenario",
    }
    kind = f"{family}_in_part" if partly else family
    return Group(
        key=f"{kind}[{'+'.join(modalities)}]",
        words=said.get(family, f"{family.replace('_', ' ')} of {names}"),
        family=family,
        modalities=modalities,
        conditions=tuple(c.key for c in members),
        counts=family not in FALSE,
        remark=remark,
    )
