"""A model that understands "not" changes its answers when a text is negated, and must not be accused of it."""

from __future__ import annotations

import numpy as np

import mmaudit
from mmaudit.probes import probes

SENTENCES = ("The image is red", "The box is empty", "It was good", "The door is open")


def test_a_model_that_reads_negation_is_not_accused(tmp_path):
    rng = np.random.default_rng(0)
    says_not = rng.integers(0, 2, 400)
    texts = [SENTENCES[i % 4].replace(" is", " is not").replace("was", "was not") if s else SENTENCES[i % 4]
             for i, s in enumerate(says_not)]  # fmt: skip
    data = mmaudit.ArrayData(
        {"text": texts, "x": rng.normal(size=(400, 2)).astype(np.float32)},
        says_not,
        mmaudit.Task.classification(["yes", "no"]),
        kinds={"text": "text", "x": "embedding"},
    )
    model = mmaudit.FunctionModel(
        lambda text, x: np.array([[0.0, 6.0] if "not" in t.split() else [6.0, 0.0] for t in text]),
        ["text", "x"],
        outputs="logits",
    )
    report = mmaudit.audit(model, data, out=tmp_path / "run", suite=["negation", "keyboard"], resamples=100)
    negated = {m.key for m in report.conditions if m.condition.probe == "text.negation"}
    scores = report.scores.query("metric == 'accuracy' and group == ''").drop_duplicates("label").set_index("label")
    assert scores["value"]["text.negation[text]@5"] < 0.3, "the probe did change what the texts say"
    assert not [f.rule for f in report.findings for e in f.evidence if e["condition"] in negated]


def test_meaning_changing_probes_are_a_family_of_their_own():
    chosen = [p.name for p in probes.select(["contrast_set"])]
    assert chosen == [p.name for p in probes if p.changes_meaning] == ["text.negation"]
    assert all(not p.changes_meaning for p in probes.select(["corruption"]))
