"""What the panels of reliance and synergy say in words, and the samples they show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmaudit.figures.estimates import of_family, select, text
from mmaudit.figures.estimates import sides as who
from mmaudit.figures.synergy_samples import tag_words
from mmaudit.formats import count, number, plain, readable, shorten
from mmaudit.render.samples import Budget, Shown, sides
from mmaudit.render.summary import Tile
from mmaudit.report import Report

MOST_FACTS = 12
ALPHA = 0.05  # of the adjusted p, as for a finding


@dataclass(frozen=True)
class Fact:
    """How something was measured: what, and in a few words how."""

    name: str
    words: str


@dataclass(frozen=True)
class SampleView:
    """A sample with its tag, what the model answered, and what each subset of modalities says of its target."""

    sample: str
    tag: str
    target: str
    answer: str
    confidence: str
    right: bool
    says: tuple[tuple[str, str], ...]
    modalities: tuple[tuple[str, str, Shown], ...]


def described(report: Report) -> Mapping[str, Any]:
    """What the report says of how synergy and reliance were measured."""
    found: Mapping[str, Any] = report.document.get("synergy", {})
    return found


def explanations(report: Report, name: str) -> list[str]:
    """Sentences on what numbers do not say by themselves: `disagreements` of reliance, `explanations` of synergy."""
    return [str(s) for s in described(report).get(name, ())]


def reliance_facts(report: Report) -> list[Fact]:
    """How the estimators of reliance were computed."""
    facts = []
    crossed, attributions = described(report).get("crossed", {}), described(report).get("attributions", {})
    if "rows" in crossed:
        words = [f"{_whole(crossed['rows'])} samples"]
        words += [f"{_whole(crossed['passes'])} answers"] if "passes" in crossed else []
        share = crossed.get("share_of_all")
        if isinstance(share, int | float):
            words.append(f"{number(float(share), 'share')} of all combinations")
        stopped = shorten(str(crossed["stopped"]), 300) if crossed.get("stopped") else ""
        facts.append(Fact("inputs of different samples", "; ".join([", ".join(words), stopped]).strip("; ")))
    if "rows" in attributions:
        words = [f"{_whole(attributions['rows'])} samples"]
        for name in ("explained", "where"):
            if attributions.get(name):
                words.append(f"{readable(name)}: {_said(attributions[name])}")
        facts.append(Fact("gradient attributions", "; ".join(words)))
    facts += [
        Fact(f"not computed: {_word(declined['method'])}", shorten(str(declined["reason"]), 400))
        for declined in attributions.get("declined", ())
    ]
    facts += [_left_out(report, name) for name in ("emap", "attribution", "off_data") if _is_left_out(report, name)]
    return facts[:MOST_FACTS]


def _is_left_out(report: Report, analysis: str) -> bool:
    return analysis in described(report).get("not_analysed", {})


def _left_out(report: Report, analysis: str) -> Fact:
    """Why an analysis was not made."""
    words = {
        "emap": "inputs of different samples",
        "attribution": "gradient attributions",
        "off_data": "distance of stand-ins",
        "synergy": "predictors of the target",
    }
    reason = str(described(report)["not_analysed"][analysis])
    return Fact(f"not made: {words[analysis]}", shorten(reason, 400))


def synergy_facts(report: Report) -> list[Fact]:
    """How the predictors were fitted, and what could not be."""
    crossfit = described(report).get("crossfit", {})
    facts = []
    size = [
        f"{_whole(crossfit[name])} {words}"
        for name, words in (("rows", "samples"), ("folds", "folds"), ("seeds", "seeds"))
        if name in crossfit
    ]
    if size:
        facts.append(Fact("fitted and read on", ", ".join(size) + "; no predictor answers for samples it has seen"))
    if crossfit.get("learner"):
        facts.append(Fact("predictors", _said(crossfit["learner"])))
    features = crossfit.get("features")
    if isinstance(features, Mapping):
        facts.append(Fact("read from", "; ".join(f"{shorten(str(m), 24)}: {_source(f)}" for m, f in features.items())))
    for name, reason in _named_reasons(crossfit.get("reasons")):
        facts.append(Fact(f"not as asked: {name}" if name else "not as asked", reason))
    facts += [_left_out(report, "synergy")] if _is_left_out(report, "synergy") else []
    return facts[:MOST_FACTS]


def _source(feature: Any) -> str:
    """What a modality is read from."""
    given = feature if isinstance(feature, Mapping) else {"source": feature}
    meaning = {"encoder": "the audited model’s own encoder", "plain": "plain features of the input"}
    source = meaning.get(str(given.get("source")), _said(given.get("source", "not recorded")))
    return f"{source} ({_whole(given['width'])} numbers)" if "width" in given else source


def _named_reasons(reasons: Any) -> list[tuple[str, str]]:
    if isinstance(reasons, Mapping):
        return [(_word(name), shorten(str(reason), 400)) for name, reason in reasons.items()]
    return [("", shorten(str(reason), 400)) for reason in reasons or ()]


def _whole(value: Any) -> str:
    return count(int(value)) if isinstance(value, int | float) and math.isfinite(value) else shorten(str(value), 40)


def _word(value: Any) -> str:
    return shorten(readable(str(value)), 40)


def _said(value: Any) -> str:
    """A plain value in words, at most a line or two."""
    if isinstance(value, Mapping):
        return shorten(", ".join(f"{_word(k)} {_said(v)}" for k, v in value.items()), 300)
    if isinstance(value, list):
        return shorten(", ".join(_said(v) for v in value), 300)
    return plain(float(value), 2) if isinstance(value, float) else shorten(str(value), 300)


def shown_samples(report: Report, budget: Budget) -> list[SampleView]:
    """Samples with their content, those that need several modalities at once first."""
    found = []
    for e in report.document.get("synergy_samples", ()):
        confidence = e["answer"]["confidence"]
        pieces = []
        for m in e["modalities"]:
            shown, _ = sides(m["shown"], None, budget)
            pieces.append((m["name"], m["kind"], shown))
        found.append(
            SampleView(
                sample=str(e["sample"]),
                tag=tag_words(e["tag"]),
                target=e["target"],
                answer=e["answer"]["prediction"],
                confidence="" if confidence is None else number(float(confidence), "share"),
                right=e["answer"]["prediction"] == e["target"],
                says=tuple((_subset(name), _bits(value)) for name, value in e["pvi"].items()),
                modalities=tuple(pieces),
            )
        )
    return sorted(found, key=lambda s: not s.tag.startswith("synerg"))


def _subset(name: str) -> str:
    return shorten(name.replace("+", " + "), 50)


def _bits(value: float | None) -> str:
    return "not defined" if value is None else number(float(value), "bits", signed=True)


def synergy_tile(report: Report) -> list[Tile]:
    """The largest synergy that the data surely offers and the model surely leaves unused; nothing where none is.

    As for a finding, not where the sides' own predictions multiplied say as much: adding up needs no fusion.
    """
    estimates = of_family(report, "synergy")
    adding_up = {
        (e.modalities, e.option("against"))
        for e in select(estimates, "beyond_independence")
        if e.value == e.value and not e.low > 0
    }
    unused = [
        e
        for e in select(estimates, "synergy_unused")
        if e.low > 0 and e.p_adjusted <= ALPHA and (e.modalities, e.option("against")) not in adding_up
    ]
    if not unused:
        return []
    most = max(unused, key=lambda e: e.value)
    value, _, rest = text(most).partition(" [")
    return [Tile("Synergy left unused", value, f"[{rest}" if rest else "", who(most), "synergy")]
