"""What a reader must know before relying on a run's numbers, in sentences: whom they are about and whom not."""

from __future__ import annotations

import numpy as np

from mmaudit import formats
from mmaudit.findings.base import Evidence
from mmaudit.findings.wording import listing, name
from mmaudit.kernels.inference import FEW
from mmaudit.render.untested import listed
from mmaudit.report import Report
from mmaudit.store import Run
from mmaudit.types import CANDIDATES, RIGHT, IntArray

# Standard deviations of two targets that are further apart than this are no one scale.
UNLIKE = 3.0
# What is worked out from samples that have every modality, by an estimate that there is where it was.
_NEED_ALL = {
    "emap": "EMAP",
    "anova_share": "ANOVA",
    "attribution_share": "attributions",
    "information": "information",
    "synergy_low": "synergy",
}


def limits(run: Run, seen: Evidence, report: Report) -> list[str]:
    """What a reader must know before relying on the numbers."""
    said = _ranked_among(run) if run.task.kind == "retrieval" else []
    if not run.header["data"]["train"]:
        said.append(
            "No training data was given: the means and deviations behind stand-ins and noise are those of the audited "
            "data itself."
        )
    if run.samples.cluster is None:
        said.append(
            "Samples are taken to be independent. If several belong to one patient, speaker or image, the true "
            "intervals are wider; name the cluster column to have them resampled whole."
        )
    else:
        clusters = len(np.unique(run.samples.cluster.astype(str)))
        if clusters < FEW:
            said.append(
                f"There {'is one cluster' if clusters == 1 else f'are {clusters} clusters'}. Intervals are widened for "
                "that (Student's t), and say nothing of clusters unlike these."
            )
    if told := _unlike_targets(run):
        said.append(told)
    present = {m.name: run.samples.present[m.name] for m in run.modalities if m.name != run.task.target_modality}
    absent = [m for m, there in present.items() if not there.all()]
    if absent and not run.header["model"]["native_absence"]:
        said.append(
            f"Samples without {', '.join(absent)} are audited with zeros (or an empty text) in its place, because the "
            "model does not handle absence itself."
        )
    if absent:
        said.append(_partly_recorded(run, seen, absent))
    if untold := unseen(run, seen):
        said.append(untold)
    if weak := len(report.faint_conditions()):
        said.append(
            f"Under {formats.count(weak)} condition{'s' * (weak > 1)} no change was found, though a loss of a tenth of "
            "what the model has above chance could have gone unseen (minimum detectable effect): there, 'no change' "
            "may mean 'too few samples'."
        )
    said.append(
        "A probe shows what the model does under that change, not how often the change occurs in use. Stand-ins for "
        "missing modalities may lie off the data's distribution; compare the baselines before concluding."
    )
    said.append("Intervals cover sampling of the audited data, not a retrained model or another data set.")
    return said


def _ranked_among(run: Run) -> list[str]:
    """What ranks of a retrieval mean: how many candidates there are, and what a corrupted one is."""
    task, truth = run.task, run.samples.target
    candidates, right = truth[:, CANDIDATES], truth[:, RIGHT]
    asked = right > 0
    said = [
        f"Each query is ranked among {_range(candidates[asked])} candidates, of which {_range(right[asked])} "
        f"{'is' if right.max() == 1 else 'are'} right; chance levels are those of a random ranking of them. Ranks "
        "among more or fewer candidates are not comparable.",
        f"Where {task.target_modality} is corrupted, every candidate is, the right one too: the bank as a whole is "
        "worse, not one entry of it.",
    ]
    lacking = int((~run.samples.present[task.target_modality]).sum())
    if lacking:
        said.append(
            f"{formats.count(lacking)} of {formats.count(run.n)} samples lack {task.target_modality}: they are no "
            "candidates. A query of whose right ones none is a candidate is not counted."
        )
    return said


def _unlike_targets(run: Run) -> str:
    """What errors averaged over targets of unlike size hide; empty where there is one, or they are alike."""
    if run.task.kind != "regression" or run.task.width < 2:
        return ""
    spread = run.samples.target.reshape(run.n, -1).std(axis=0)
    least, most = int(spread.argmin()), int(spread.argmax())
    if not spread[most] > UNLIKE * spread[least]:
        return ""
    names = run.task.names
    sizes = " and ".join(f"{name(names[i])} by {formats.plain(float(spread[i]), 3)}" for i in (least, most))
    return (
        f"RMSE and MAE are means over {run.task.width} targets that vary unlike each other ({sizes}, standard "
        f"deviations), so they are about {name(names[most])} nearly alone. R² weighs all alike, and findings go by it. "
        "The table by target has the errors of each; rescale the targets to have an average that is about all."
    )


def _partly_recorded(run: Run, seen: Evidence, names: list[str]) -> str:
    """Whom losses of these modalities are averages over, and what rests on the other samples alone."""
    present = run.samples.present
    shares = listed([f"{name(m)} in {formats.number(present[m].mean(), 'share')}" for m in names], 6, 60)
    it = "it" if len(names) == 1 else "one of them"
    said = (
        f"Not every sample has every modality: {shares} of the samples. Losses under conditions that change {it} are "
        "averages over all samples: those that lack it anyway have nothing to lose there, so the losses are smaller "
        "than they are for the samples that have it. A group column that says who has it shows theirs."
    )
    measured = {e.estimator for e in seen.estimates if e.value == e.value}
    if found := [words for estimator, words in _NEED_ALL.items() if estimator in measured]:
        whole = int(np.all(list(present.values()), axis=0).sum())
        said += f" Only the {formats.count(whole)} samples with every modality enter {listing(found, len(found))}."
    return said


def unseen(run: Run, seen: Evidence) -> str:
    """Classes that no audited sample has, or labels that none or all have: nothing is said of them; empty without."""
    names = run.task.names
    if run.task.kind == "classification":
        if not seen.absent:
            return ""
        which, verb = _of(seen.absent, len(names), "class", "classes"), "has" if len(seen.absent) == 1 else "have"
        them = "it" if len(seen.absent) == 1 else "them"
        return (
            f"{which} {verb} no audited sample: nothing is said of how well the model knows {them}, and means over "
            f"classes leave {them} out."
        )
    if run.task.kind != "multilabel":
        return ""
    share = run.samples.target.mean(axis=0)
    never, always = ([n for n, s in zip(names, share, strict=True) if s == extreme] for extreme in (0, 1))
    parts = [
        f"{_of(found, len(names), 'label', 'labels')} {'occurs' if len(found) == 1 else 'occur'} in {where}"
        for found, where in ((never, "no sample"), (always, "every sample"))
        if found
    ]
    left = len(names) - len(never) - len(always)
    others = "those of the other one" if left == 1 else f"means over the other {formats.count(left)}"
    rest = f" and are {others}" if left else ""
    them = "it" if left == len(names) - 1 else "them"
    return f"{', '.join(parts)}: average precision and AUROC are not defined for {them}{rest}." if parts else ""


def _of(found: list[str], width: int, one: str, several: str) -> str:
    """`1 of 3 labels (c)`."""
    noun = one if width == 1 else several
    return f"{formats.count(len(found))} of {formats.count(width)} {noun} ({listed(found, 4)})"


def _range(counts: IntArray) -> str:
    """`381`, or `4 to 128`."""
    low, high = formats.count(int(counts.min())), formats.count(int(counts.max()))
    return low if low == high else f"{low} to {high}"
