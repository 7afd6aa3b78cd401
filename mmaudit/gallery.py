"""Every probe and severity on one sample of the data, to look at and listen to before believing a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data import Dataset, all_statistics
from mmaudit.errors import BadInput, UnknownName
from mmaudit.exhibits import exhibit
from mmaudit.folder import write_atomically
from mmaudit.place import is_local, place
from mmaudit.plan import Suite, as_suite, make_plan
from mmaudit.probes import Declined, Source, probes
from mmaudit.probes.proof import moved
from mmaudit.render.gallery import gallery_page
from mmaudit.types import Batch, Condition, Modality

# These change every modality, or show on one sample what another probe shows already.
_UNSEEN = ("control", "clean", "conflict")
# Options that a reader need not see: what stands in where a probe is not about absence, the digest of a scenario.
_UNSAID = ("baseline", "definition")
_HIDDEN = (*_UNSEEN, "missing", "adversarial")
GALLERY = "gallery.html"
EVERYTHING = Suite("gallery", baselines=("zero", "mean", "marginal", "noise"), subsets="leave-one-out")


def gallery(
    data: Dataset,
    *,
    out: str | Path,
    modalities: Sequence[str] = (),
    suite: str | Suite | Sequence[str] = EVERYTHING,
    sample: str | None = None,
    title: str = "Probe gallery",
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write one HTML page that shows what every probe does to a sample, at every severity; no model is needed.

    Images are shown, sounds can be played, texts are compared letter by letter, series are drawn. The page stands
    alone: no script, nothing is fetched.

    Args:
        data: the samples.
        out: the page to write, or a folder to write `gallery.html` into.
        modalities: names or kinds to show; all without it.
        suite: which probes; everything registered without it. Names, families and globs as for an audit.
        sample: id of the sample to show; without it, for each modality the one in the middle of those that have it.
        title: heads the page.
        progress: called with what is being done.

    Returns:
        The path of the page.

    Raises:
        UnknownName: a modality, probe or sample of that name does not exist.
        BadInput: the sample asked for lacks the modality, or `out` lies in no folder.
    """
    chosen = _chosen(data, modalities)
    where = place(out)
    target = where / GALLERY if where.is_dir() else where
    if is_local(target) and not target.parent.is_dir():
        raise BadInput(f"out={str(out)!r}: the folder {str(target.parent)!r} does not exist; make it, or name another.")
    plan = make_plan(as_suite(suite), data.modalities, data.task)
    step = progress or (lambda what: None)
    step("reading the data once, for means and spreads")
    source = Source(data, all_statistics(data))
    step("drawing what each probe does")
    document = exhibition(data, source, plan.conditions, plan.declined, chosen, sample=sample, title=title)
    write_atomically(target, gallery_page(document).encode("utf-8", "replace"))
    return target


def write_gallery(folder: Path, data: Dataset, source: Source, conditions: Iterable[Condition], title: str) -> None:
    """Write `gallery.html` into a run folder: the conditions of its plan."""
    document = exhibition(data, source, conditions, title=title)
    write_atomically(folder / GALLERY, gallery_page(document).encode("utf-8", "replace"))


def exhibition(
    data: Dataset,
    source: Source,
    conditions: Iterable[Condition],
    declined: Iterable[Declined] = (),
    modalities: Sequence[Modality] | None = None,
    *,
    sample: str | None = None,
    title: str = "Probe gallery",
) -> dict[str, Any]:
    """Return what the page shows, as plain values: per modality its sample, and per probe the perturbed versions."""
    shown = list(conditions)
    refused = list(declined)
    sections = [
        _section(data, source, shown, refused, modality, sample)
        for modality in (data.modalities if modalities is None else modalities)
    ]
    return {"title": title, "n": len(data), "sections": [s for s in sections if s]}


def _chosen(data: Dataset, names: Sequence[str]) -> list[Modality]:
    found = [m for m in data.modalities if not names or m.name in names or m.kind in names]
    known = {x for m in data.modalities for x in (m.name, m.kind)}
    for name in names:
        if name not in known:
            raise UnknownName("modality", name, known)
    return found


def _section(
    data: Dataset,
    source: Source,
    conditions: Sequence[Condition],
    declined: Sequence[Declined],
    modality: Modality,
    sample: str | None,
) -> dict[str, Any] | None:
    position = _position(data, modality, sample)
    if position is None:
        return None
    batch = data.rows(np.array([position]))
    reference = batch.inputs[modality.name][0]
    members: dict[str, list[Condition]] = {}
    for condition in conditions:
        if modality.name in condition.modalities and _seen(condition):
            members.setdefault(condition.probe, []).append(condition)
    by_probe = {
        # A scale that counts 1, 2, 3, … says nothing beside the position; of any other all severities are shown.
        probe: [_item(batch, c, source, modality, reference, all(map(_counts, found))) for c in found]
        for probe, found in members.items()
    }
    return {
        "modality": modality.name,
        "kind": modality.kind,
        "sample": str(batch.ids[0]),
        "original": exhibit(modality, reference, reference),
        "probes": [{**_about(name), "items": items} for name, items in sorted(by_probe.items(), key=_place)],
        "declined": list(_reasons(declined, modality)),
    }


def _seen(condition: Condition) -> bool:
    """Whether a condition has something of its own to show on a single sample."""
    if condition.repeat or condition.family in _UNSEEN or condition.probe == "surface":
        return False
    # Which samples lack a modality is not seen on one of them; what stands in for it is.
    return condition.family != "missing" or (condition.probe == "missing" and len(condition.modalities) == 1)


def _position(data: Dataset, modality: Modality, sample: str | None) -> int | None:
    present = data.presence(modality.name)
    if sample is None:
        rows = np.flatnonzero(present)  # the first has no earlier sample to be stale by
        return int(rows[len(rows) // 2]) if len(rows) else None
    found = np.flatnonzero(np.asarray(data.ids).astype(str) == sample)
    if not len(found):
        raise BadInput(f"no sample has the id {sample!r}; ids look like {str(data.ids[0])!r}.")
    if not present[found[0]]:
        raise BadInput(f"sample {sample!r} has no {modality.name!r}; choose another, or leave that modality out.")
    return int(found[0])


def _counts(condition: Condition) -> bool:
    """Whether the severity is the position itself, or there is none."""
    return condition.severity is None or condition.severity == condition.position


def _item(
    batch: Batch, condition: Condition, source: Source, modality: Modality, reference: Any, counted: bool
) -> dict[str, Any]:
    new = probes.get(condition.probe).apply(batch, condition, source)
    m = modality.name
    withheld = not new.present[m][0]
    changed, distance = moved(batch.inputs[m], new.inputs[m], modality, source.statistics[m])
    options = [value for name, value in condition.options if name not in _UNSAID or condition.family == "missing"]
    severity = "" if counted or condition.severity is None else f"{condition.severity:.4g}"
    return {
        "label": condition.label,
        "caption": ", ".join(filter(None, (severity, *options))) or ("" if condition.position else condition.probe),
        "position": condition.position,
        "changed": bool(changed[0]) or withheld,
        "moved": None if withheld or not np.isfinite(distance[0]) else float(distance[0]),
        "shown": {"absent": True} if withheld else exhibit(modality, new.inputs[m][0], reference),
    }


def _about(name: str) -> dict[str, Any]:
    probe = probes.get(name)
    return {
        "name": name,
        "family": probe.family,
        "version": probe.version,
        "summary": probe.summary,
        "unit": probe.unit,
        "source": probe.source,
        "changes_meaning": probe.changes_meaning,
    }


def _place(entry: tuple[str, list[dict[str, Any]]]) -> tuple[int, str]:
    """Corruptions first: they are what a gallery is looked at for."""
    return (0 if probes.get(entry[0]).family in ("corruption", "contrast_set") else 1, entry[0])


def _reasons(declined: Sequence[Declined], modality: Modality) -> Iterator[dict[str, str]]:
    for d in declined:
        if modality.name in d.modalities and d.probe != "surface" and probes.get(d.probe).family not in _HIDDEN:
            yield {"probe": d.probe, "reason": d.reason}
