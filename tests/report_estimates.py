"""Reliance and synergy for the reports of the tests, for any number of modalities. No product code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from helpers.report_examples import QUESTIONS, picture, png
from helpers.report_scores import none_if_nan
from mmaudit.estimates import Estimate
from report_samples import COLUMNS

RELIANCE = {
    *("shapley_value", "shapley_interaction", "shapley_efficiency_error", "leave_one_out", "only_one"),
    *("conditional_utilisation", "shape_contribution", "shape_cooperation", "perceptual_score", "emap", "emap_gap"),
    *("anova_share", "anova_order_share", "attribution_share", "attribution_error", "off_data_distance"),
    "reliance_agreement",
}
OF: tuple[tuple[str, float, tuple[tuple[str, str], ...]], ...] = (
    ("data", 1.0, ()),
    ("decision", 0.7, ()),
    ("model", 0.4, (("baseline", "zero"),)),
    ("model", 0.62, (("baseline", "noise"),)),
)


def about(value: float, half: float = 0.02, **more: Any) -> dict[str, Any]:
    """Value and interval of a plausible estimate."""
    return {"value": value, "low": value - half, "high": value + half, "n": 4_831} | more


def code(value: float, null: float, p: float) -> dict[str, Any]:
    """A permutation test."""
    return {"value": value, "null": null, "p": p, "n": 4_831, "reason": "a permutation test has no interval"}


def reliance(
    modalities: Sequence[str], baselines: Sequence[str], unit: str, groups: Sequence[str] = ()
) -> Iterator[Estimate]:
    """Every estimator of reliance: the last modality carries most of it, less so under the first baseline."""
    weight = {m: (i + 1) / sum(range(1, len(modalities) + 1)) for i, m in enumerate(modalities)}
    scale = 0.6 if unit == "share" else 5.0
    for j, baseline in enumerate(baselines):
        b = (("baseline", baseline),)
        for m, w in weight.items():
            w = w + (0.1 * (1 - 2 * w) if j == 0 else 0.0) - (0.5 if j == 2 and m == modalities[0] else 0.0)
            yield Estimate("shapley_value", (m,), b, unit=unit, **about(scale * w, p=0.001))
            yield Estimate("leave_one_out", (m,), b, unit=unit, **about(scale * w * 1.1, p=0.001))
            yield Estimate("only_one", (m,), b, unit=unit, better="higher", **about(0.37 + scale * w, null=0.369))
            yield Estimate("conditional_utilisation", (m,), b, unit="share", **about(w * 0.7))
            yield Estimate("shape_contribution", (m,), b, unit=unit, **about(scale * w * 0.9))
            yield Estimate("off_data_distance", (m,), b, unit="ratio", **about(0.4 + 1.7 * j + w, 0.05))
            for on in ("all", "synergy_subset"):
                yield Estimate("shortcut_score", (m,), (*b, ("on", on)), unit="share", **about(0.9 - 0.5 * w))
            for k, group in enumerate(groups):
                own = Estimate("shapley_value", (m,), b, group, unit=unit, **about(scale * w * (1 - 0.2 * k), 0.06))
                yield own
                yield Estimate("leave_one_out", (m,), b, group, unit=unit, **about(own.value * 1.1, 0.06))
        yield Estimate("shapley_efficiency_error", (), b, unit=unit, **about(0.0, 0.0))
        for size in (2, 3):
            for some in combinations(modalities, size):
                yield Estimate(
                    "shapley_interaction", some, b, unit=unit, **about(0.1 * (-1) ** size + 0.02 * j, p=0.03)
                )
                yield Estimate("shape_cooperation", some, b, unit=unit, **about(0.08 * (-1) ** size))
    for m, w in weight.items():
        for normalised, size in ((None, unit), ("model", "share"), ("task", "share")):
            options = (("normalised", normalised),) if normalised else ()
            yield Estimate("perceptual_score", (m,), options, unit=size, **about(0.5 * w + 0.1, p=0.0004))
        for k, group in enumerate(groups):
            yield Estimate("perceptual_score", (m,), (), group, unit=unit, **about(0.5 * w - 0.1 * k, 0.09))
        yield Estimate("anova_share", (m,), (), unit="share", **about(0.8 * w))
        yield Estimate("attribution_share", (m,), (("method", "integrated_gradients"),), unit="share", **about(1 - w))
        reason = "the model has an embedding layer, through which DeepLift has no rule"
        yield Estimate("attribution_share", (m,), (("method", "deep_lift"),), unit="share", reason=reason)
    for some in combinations(modalities, 2):
        yield Estimate("anova_share", some, (), unit="share", **about(0.15))
    for order, value in (("1", 0.8), ("2", 0.15), ("3+", 0.05))[: len(modalities)]:
        yield Estimate("anova_order_share", (), (("order", order),), unit="share", **about(value))
    yield Estimate("emap", (), (), unit=unit, better="higher", **about(0.71))
    yield Estimate("emap_gap", (), (), unit=unit, **about(0.26, p=0.0002))
    for k, group in enumerate(groups):
        yield Estimate("emap", (), (), group, unit=unit, better="higher", **about(0.71 - 0.1 * k, 0.06))
        yield Estimate("emap_gap", (), (), group, unit=unit, **about(0.26 - 0.1 * k, 0.06))
    yield Estimate("attribution_error", (), (("method", "integrated_gradients"),), unit="share", **about(0.013, 0.002))
    yield Estimate("reliance_agreement", (), (), **about(0.62, 0.11, null=0.31, p=0.04))


def synergy(modalities: Sequence[str], entropy: float = 2.1) -> Iterator[Estimate]:
    """Synergy of every pair and of one against the rest: the model uses half of what the data offers."""
    every = tuple(modalities)
    subsets = [s for size in range(1, len(every) + 1) for s in combinations(every, size)]
    for of, share, baseline in OF:
        yield Estimate("entropy", (), (("of", of), *baseline), unit="bits", **about(entropy - (of == "decision") / 14))
        for s in subsets:
            value = share * entropy * 0.9 * (len(s) / len(every)) ** 2
            yield Estimate("information", s, (("of", of), *baseline), unit="bits", **about(value, null=0.0))
        pairs = [(pair, ()) for pair in combinations(every, 2)]
        rests = [((m,), (("against", "rest"),)) for m in every] if len(every) > 2 else []
        for i, (who, against) in enumerate([*pairs, *rests]):
            more = (*against, ("of", of), *baseline)
            point = share * (0.42 - 0.11 * i)
            yield Estimate("synergy_low", who, more, unit="bits", **about(max(point - 0.1, 0.0)))
            yield Estimate("synergy_high", who, more, unit="bits", **about(point + 0.3))
            yield Estimate("interaction_information", who, more, unit="bits", **about(point - 0.2))
            found = about(point, 0.03, null=0.006 * (i + 1), p=0.0099 if i < 3 else 0.41)
            yield Estimate("synergy", who, more, unit="bits", **found)
            yield Estimate("redundancy", who, more, unit="bits", **about(share * 0.3))
            second = who[1:] or tuple(m for m in every if m not in who)
            beside = (("of", of), *baseline, ("beside", who[1] if len(who) > 1 else "rest"))
            yield Estimate("unique", who[:1], beside, unit="bits", **about(share * 0.16))
            yield Estimate("unique", second, (("of", of), *baseline, ("beside", who[0])), unit="bits", **about(-0.02))
            if of == "data":
                yield Estimate(
                    "synergy_unused", who, against, unit="bits", **about(0.38 * point, 0.04, p_adjusted=0.01)
                )
                yield Estimate("label_shuffle", who, against, unit="bits", **code(0.9, 0.01, 0.0099))
                p = 0.0099 if i != 1 else 0.43
                yield Estimate("within_class_shuffle", who, against, unit="bits", **code(0.4, 0.12, p))
                yield Estimate("beyond_independence", who, against, unit="bits", **about(0.2 if i != 1 else 0.0))
                yield Estimate("synergy_spread", who, more, unit="bits", **about(0.01, 0.0))
                few = "direct BROJA needs n ≥ 36 (K1−1)(K2−1)(KY−1) = 12 996 samples, there are 4 831"
                yield Estimate("plug_in_synergy", who, against, unit="bits", n=4_831, reason=few)
    yield Estimate("o_information", (), (), unit="bits", **about(-0.21))
    for rule, value in (("strict", 0.11), ("majority", 0.19)):
        yield Estimate("synergy_subset", (), (("rule", rule),), unit="share", **about(value))
    tags = [("redundant", ()), *(("unique", (m,)) for m in every), ("synergy", ()), ("conflict", ()), ("none", ())]
    for i, (tag, who) in enumerate(tags):
        yield Estimate("tag_share", who, (("tag", tag),), unit="share", **about(0.3 - 0.04 * i))
        known = about(0.91 - 0.07 * i) if tag != "none" else {"reason": "fewer than 30 samples carry this tag"}
        yield Estimate("accuracy_on", who, (("tag", tag),), unit="share", better="higher", **known)
    strict = (("tag", "synergy_subset_strict"),)
    yield Estimate("accuracy_on", (), strict, unit="share", better="higher", **about(0.44, 0.06))


def samples(modalities: Sequence[str], kinds: Sequence[str], how_many: int) -> list[dict[str, Any]]:
    """Samples with their content; one modality of the fifth is absent."""
    out = []
    for i in range(how_many):
        shown = []
        for j, (m, kind) in enumerate(zip(modalities, kinds, strict=True)):
            value: dict[str, Any] = {"values": np.sin(np.arange(24) / (2 + j)).round(3).tolist()}
            value = {"png": png(picture(i))} if kind == "image" else value
            value = {"text": QUESTIONS[i % 4]} if kind == "text" else value
            shown.append({"name": m, "kind": kind, "shown": {"absent": True} if i == 4 and j == 0 else value})
        pvi = {m: round(0.1 * j - 0.2, 3) for j, m in enumerate(modalities)} | {"+".join(modalities): 1.7}
        pvi[modalities[0]] = None if i == 2 else pvi[modalities[0]]
        out.append(
            {
                "sample": f"test-{71 * i:05d}",
                "target": ("circle", "rectangle", "triangle")[i % 3],
                "answer": {"prediction": ("circle", "yes", "triangle")[i % 3], "confidence": 0.83 if i != 1 else None},
                "tag": ("redundant", "synergy", f"unique_{modalities[0]}")[i % 3],
                "pvi": pvi,
                "modalities": shown,
            }
        )
    return out


def with_estimates(
    document: dict[str, Any], estimates: Sequence[Estimate] | None = None, how_many: int = 9
) -> dict[str, Any]:
    """The report with estimates, how they were made, and samples; of its own modalities and baselines."""
    described = document["data"]["modalities"]
    names, kinds = tuple(m["name"] for m in described), tuple(m["kind"] for m in described)
    unit = next(m["unit"] for m in document["metrics"] if m["name"] == document["primary"])
    baselines = list(dict.fromkeys(c["options"]["baseline"] for c in document["conditions"] if c["probe"] == "missing"))
    groups = [f"{column}={value}" for column, values in document["data"]["groups"].items() for value in values]
    if estimates is None:
        estimates = [*reliance(names, baselines, unit, groups), *(synergy(names) if len(names) > 1 else ())]
    rows = [[none_if_nan(asdict(e.score())[c]) for c in COLUMNS] for e in estimates]
    listed = {e.estimator: e for e in estimates}
    return document | {
        "estimates": [
            {
                "key": e.key,
                "label": e.label,
                "estimator": e.estimator,
                "family": "reliance" if e.estimator in RELIANCE else "synergy",
                "modalities": list(e.modalities),
                "options": dict(e.options),
                "group": e.group,
            }
            for e in estimates
        ],
        "scores": {"columns": COLUMNS, "rows": [*document["scores"]["rows"], *rows]},
        "metrics": [
            *document["metrics"],
            *(
                {"name": e.estimator, "better": e.better, "unit": e.unit, "summary": f"What {e.estimator} means"}
                for e in listed.values()
            ),
        ],
        "synergy": {
            "crossfit": {
                "rows": 4_831,
                "folds": 5,
                "seeds": 3,
                "learner": "logistic regression and a small network, the better by inner folds",
                "features": {m: "encoder" if i == 0 else "plain" for i, m in enumerate(names)},
                "seconds": 14.2,
                "reasons": [f"{names[0]}: the encoder gives 4 096 numbers, reduced to 64 principal components"],
            },
            "disagreements": [
                f"Under the stand-in 'zero' {names[0]} ranks first, under all others {names[-1]}.",
                "integrated gradients weigh the modality with more numbers higher.",
            ],
            "explanations": [f"{names[0]} and {names[-1]}: this is noise averaging, not a cross-modal interaction."],
            "crossed": {
                "rows": 512,
                "passes": 8_192,
                "share_of_all": 0.03125,
                "stopped": "the interval of the gap is narrower than 1 pp",
            },
            "attributions": {
                "rows": 256,
                "explained": "the logit of the predicted class",
                "where": {m: "input" if i == 0 else "embedding" for i, m in enumerate(names)},
                "declined": [{"method": "deep_lift", "reason": "an embedding layer has no rule"}],
            },
        },
        "synergy_samples": samples(names, kinds, how_many) if len(names) > 1 else [],
    }


def slim(document: dict[str, Any]) -> dict[str, Any]:
    """The same with few conditions and no calibration: quick to draw where only estimates matter."""
    kept = [
        c
        for c in document["conditions"]
        if c["family"] in ("clean", "control") or (c["probe"] == "missing" and len(c["modalities"]) == 1)
    ]
    keys = {c["key"] for c in kept}
    rows = [row for row in document["scores"]["rows"] if row[0] in keys]
    empty = {name: [] for name in ("reliability", "recalibration", "arbitration", "scenarios", "severity_scales")}
    return document | empty | {"conditions": kept, "scores": {"columns": COLUMNS, "rows": rows}}
