"""What the estimates of synergy are called, and what they mean."""

from __future__ import annotations

from mmaudit.estimates import estimator

_V = "V-information, Xu et al. 2020"
_PID = "Williams & Beer 2010; BROJA, Bertschinger et al. 2014, from posteriors"
_SYNIB = "SynIB, Kontras et al. 2026"
_PVI = "pointwise V-information, Ethayarajh et al. 2022"

ENTROPY = estimator(
    "entropy", family="synergy", unit="bits", summary="what there is to know: entropy of the target", source="Shannon"
)
INFORMATION = estimator(
    "information",
    family="synergy",
    unit="bits",
    summary="what a subset of the modalities says about the target: entropy − held-out cross-entropy",
    source=_V,
)
LOW = estimator(
    "synergy_low",
    family="synergy",
    unit="bits",
    summary="least synergy that any non-negative decomposition allows: max(0, v12 − v1 − v2)",
    source="Williams & Beer 2010",
)
HIGH = estimator(
    "synergy_high",
    family="synergy",
    unit="bits",
    summary="most synergy that any non-negative decomposition allows: v12 − max(v1, v2)",
    source="Williams & Beer 2010",
)
INTERACTION = estimator(
    "interaction_information",
    family="synergy",
    unit="bits",
    summary="synergy minus redundancy: v12 − v1 − v2",
    source="McGill 1954",
)
SYNERGY = estimator(
    "synergy",
    family="synergy",
    unit="bits",
    summary="what two sides say about the target only together",
    source=_PID,
)
REDUNDANCY = estimator(
    "redundancy", family="synergy", unit="bits", summary="what either of two sides says about the target", source=_PID
)
UNIQUE = estimator(
    "unique", family="synergy", unit="bits", summary="what only one of two sides says about the target", source=_PID
)
SPREAD = estimator(
    "synergy_spread",
    family="synergy",
    unit="bits",
    summary="largest minus smallest synergy over the seeds of the predictors",
    source="stability over training",
)
UNUSED = estimator(
    "synergy_unused",
    family="synergy",
    unit="bits",
    summary="synergy to be had that the model's answers do not hold, at most all of it",
    source="difference of two decompositions",
    better="lower",
)
BEYOND = estimator(
    "beyond_independence",
    family="synergy",
    unit="bits",
    summary="v12 minus what both sides would say together if they were independent given the class (naive Bayes)",
    source="conditional independence, held out",
)
LABEL_SHUFFLE = estimator(
    "label_shuffle",
    family="synergy",
    unit="bits",
    summary="information of two modalities' coarse codes, against shuffled labels: is there any?",
    source="permutation test",
)
WITHIN_CLASS = estimator(
    "within_class_shuffle",
    family="synergy",
    unit="bits",
    summary="I(X1; X2 | Y) of coarse codes, against one side shuffled within classes: do they go together?",
    source="permutation test",
)
PLUG_IN = estimator(
    "plug_in_synergy",
    family="synergy",
    unit="bits",
    summary="synergy by BROJA on counts of the coarse codes, where there are enough samples for it",
    source="Liang et al. 2023, with a null",
)
O_INFORMATION = estimator(
    "o_information",
    family="synergy",
    unit="bits",
    summary="redundancy minus synergy among all modalities' predictions and the target; below 0 synergy prevails",
    source="Rosas et al. 2019",
)
SUBSET = estimator(
    "synergy_subset",
    family="synergy",
    unit="share",
    summary="samples on which every unimodal predictor is wrong",
    source=_SYNIB,
)
TAG_SHARE = estimator(
    "tag_share", family="synergy", unit="share", summary="samples with a tag: what a sample needs", source=_PVI
)
ACCURACY_ON = estimator(
    "accuracy_on",
    family="synergy",
    unit="share",
    summary="accuracy of the audited model on the samples with a tag",
    source=_PVI,
    better="higher",
)
SHORTCUT = estimator(
    "shortcut_score",
    family="synergy",
    unit="share",
    summary="confidence above 1/K that stays when a modality is gone",
    source=_SYNIB,
    better="lower",
)
