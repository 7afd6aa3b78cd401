"""What no attack through the gradient can change is declined aloud: in the plan, in the report and on its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.probe_samples import everything, scope_of
from mmaudit import ArrayData, Task, TorchModel, audit
from mmaudit.probes import Declined, probes
from mmaudit.render import page
from mmaudit.types import Array
from report_html import Page

N = 20
RNG = np.random.default_rng(0)
INPUTS = {
    "image": RNG.integers(0, 256, (N, 4, 4, 3)).astype(np.uint8),
    "table": RNG.normal(size=(N, 5)).astype(np.float32),
    "note": ["the same note to all"[: 6 + i % 4] for i in range(N)],
    "beats": [RNG.normal(size=8 + i % 3).astype(np.float32) for i in range(N)],
}
KINDS = {"image": "image", "table": "tabular", "note": "text", "beats": "series"}
UNCHANGED = "which no small step along a gradient can change"


class Reads(nn.Module):
    """A linear model of a picture and a table, and of how long notes and beats are."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        width = {"image": 48, "table": 5, "note": 1, "beats": 1}
        self.heads = nn.ModuleList(nn.Linear(width[name], 3) for name in names)

    def forward(self, *given: Tensor) -> Tensor:
        scaled = (x.float().flatten(1) / (255 if x.ndim > 2 else 1) for x in given)
        return torch.stack([head(x) for head, x in zip(self.heads, scaled, strict=True)]).sum(0)


def lengths(values: Array) -> Array:
    return np.array([[len(x)] for x in values], np.float32)


@pytest.mark.parametrize(
    ("names", "declined"),
    [
        (("image", "table", "note"), {("note",): f"'note' is text, {UNCHANGED}"}),
        (("image", "note"), {("note",): "'note' is text", ("image", "note"): "fewer than two modalities"}),
        (("image", "table", "beats"), {("beats",): "'beats' is text or ragged"}),
        (("image", "table"), {}),
    ],
    ids=["text", "text and one more", "ragged", "nothing"],
)
def test_what_no_attack_changes_is_told_in_the_plan_and_on_the_page(
    tmp_path: Path, names: tuple[str, ...], declined: dict[tuple[str, ...], str]
) -> None:
    given = ArrayData(
        {m: INPUTS[m] for m in names},
        np.arange(N) % 3,
        Task.classification(3),
        kinds={m: KINDS[m] for m in names},
    )
    counted = {m: lengths for m in ("note", "beats") if m in names}
    model = TorchModel(Reads(*names).eval(), list(names), outputs="logits", prepare=counted)
    report = audit(model, given, out=tmp_path / "run", suite=["adversarial"], resamples=10, keep_samples=0)
    for attack in ("joint.fgsm", "joint.pgd"):
        said = {tuple(d["modalities"]): d["reason"] for d in report.document["declined"] if d["probe"] == attack}
        assert set(said) == set(declined)
        assert all(said[modalities].startswith(reason) for modalities, reason in declined.items())
    text = Page(page(report)).text()
    assert all(reason in text for reason in declined.values())
    attacked = {m for c in report.conditions if c.condition.family == "adversarial" for m in c.condition.modalities}
    told = {m for modalities in declined if len(modalities) == 1 for m in modalities}
    assert attacked | told == set(names), "every modality is attacked, or declined with a reason"
    assert not attacked & told


def test_text_and_codes_decline() -> None:
    scope = scope_of(everything())
    for attack in ("joint.fgsm", "joint.pgd"):
        refused = {d.modalities: d.reason for d in probes.get(attack).grid(scope) if isinstance(d, Declined)}
        assert refused["question",] == f"'question' is text, {UNCHANGED}"
        assert "category codes" in refused["codes",]
        assert "text" not in probes.get(attack).kinds
    alone = {d.modalities: d.reason for d in probes.get("tabular.fgsm").grid(scope) if isinstance(d, Declined)}
    assert "category codes" in alone["codes",]
