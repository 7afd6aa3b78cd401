"""A dual encoder trained on two drawings of each emoji, audited from the encoders to the page, and from the shell."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from helpers.real_data import SHARED, columns
from mmaudit import Report, RetrievalModel, Run, audit, read_npz
from mmaudit.cli import app
from mmaudit.data import Dataset
from mmaudit.types import CLEAN, Array

DRAWINGS = ("image_twitter", "image_google")
TASK = "retrieval:image_twitter->image_google"
SUITE = {
    "probes": ["missing", "mismatch", "gaussian_noise_additive"],
    "positions": [5],
    "baselines": ["zero", "marginal"],
    "pools": ["random"],
}


class Drawing(nn.Module):
    """Means over 4 × 4 pixels and a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3 * 12 * 12, 64)

    def forward(self, image: Tensor) -> Tensor:
        x = image.float().movedim(-1, 1) / 255
        x = nn.functional.avg_pool2d(x, 4)
        x = (x - x.mean(dim=(1, 2, 3), keepdim=True)).flatten(1)
        return nn.functional.normalize(self.map(x), dim=1)


@cache
def trained() -> tuple[dict[str, Drawing], float]:
    """Encoders and temperature, by the symmetric contrastive loss over all training pairs; a few seconds."""
    train = columns("emoji", DRAWINGS, 0)
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    encoders = {m: Drawing() for m in DRAWINGS}
    images = {m: torch.from_numpy(train[m].copy()) for m in DRAWINGS}
    scale = nn.Parameter(torch.tensor(np.log(10.0)))
    parameters = [scale, *(p for e in encoders.values() for p in e.parameters())]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.1)
    for _ in range(25):
        for rows in torch.randperm(len(train["row"])).split(256):
            one, other = (encoders[m](images[m][rows]) for m in DRAWINGS)
            logits = scale.exp() * one @ other.T
            right = torch.arange(len(rows))
            loss = nn.functional.cross_entropy(logits, right) + nn.functional.cross_entropy(logits.T, right)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    torch.set_num_threads(threads)
    return {m: e.eval() for m, e in encoders.items()}, float(torch.exp(-scale.detach()))


def model() -> RetrievalModel:
    encoders, temperature = trained()
    return RetrievalModel(encoders, "dot", temperature=temperature, name="drawings")


def emoji() -> Dataset:
    if not (SHARED / "emoji.npz").exists():
        pytest.skip("shared data emoji.npz is not on this machine")
    return read_npz(SHARED / "emoji.npz", TASK, split="split=2")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path, Dataset]:
    data = emoji()
    folder = tmp_path_factory.mktemp("retrieval") / "run"
    return audit(model(), data, out=folder, suite=SUITE, resamples=200), folder, data


def value(report: Report, label: str, metric: str = "mrr") -> float:
    key = next(c.condition.key for c in report.conditions if c.condition.label == label)
    score = report.score(key, metric)
    assert score is not None
    return score.value


def test_it_finds_the_other_drawing_far_above_chance(audited: tuple[Report, Path, Dataset]) -> None:
    report, folder, data = audited
    assert report.primary.name == "mrr"
    clean = report.score(report.clean, "recall_at_10")
    assert clean is not None
    assert (clean.floor, clean.n) == (pytest.approx(10 / 381), 381)
    assert clean.value > 0.70
    # The stored answers are what the encoders themselves say.
    encoders, _ = trained()
    batch = data.rows(np.arange(381))
    with torch.inference_mode():
        one, other = (encoders[m](torch.from_numpy(batch.inputs[m])).double().numpy() for m in DRAWINGS)
    scores = one @ other.T
    rank = (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert (np.abs(Run.open(folder).read(CLEAN).outputs[:, 0] - rank) <= 1).all()
    assert clean.value == pytest.approx((rank < 10).mean(), abs=0.005)


def test_damage_to_either_side_costs_and_total_damage_costs_all(audited: tuple[Report, Path, Dataset]) -> None:
    report, _, _ = audited
    clean, chance = value(report, "clean"), float(np.sum(1 / np.arange(1, 382)) / 381)
    for side in DRAWINGS:
        noisy = value(report, f"image.gaussian_noise_additive[{side}]@5")
        assert noisy < clean
        assert value(report, f"mismatch[{side}, pool=random]") == pytest.approx(chance, abs=0.01)
    # With one blank picture for every query all queries are the same, and one right answer of 381 comes first.
    assert value(report, "missing[image_twitter, baseline=zero]") == pytest.approx(chance, abs=1e-5)
    assert report.failed_controls() == ()
    assert set(report.document["synergy"]["not_analysed"]) == {"emap", "attribution", "synergy"}


def test_the_page_says_what_a_retrieval_is(audited: tuple[Report, Path, Dataset]) -> None:
    report, folder, _ = audited
    page = (folder / "report.html").read_text()
    assert "retrieval of image_google given image_twitter" in page
    assert "MRR (%, ↑ better)" in page
    assert "ranked among 381 candidates" in page
    assert Report.read(folder) == report
    for metric in ("recall@1", "recall@5", "recall@10", "median rank", "InfoNCE"):
        assert metric in page
    assert not re.search(r"\b2 classes\b", page)
    for finding in report.findings:
        assert "mrr" not in finding.claim


def test_an_encoder_that_ignores_its_input_is_found(tmp_path: Path) -> None:
    encoders, temperature = trained()

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = encoders["image_twitter"]

        def forward(self, name: Tensor) -> Tensor:
            return 0 * self.inner.map.weight.sum() + torch.zeros(len(name), 64)

    data = read_npz(SHARED / "emoji.npz", "retrieval:image_twitter+name_emb->image_google", split="split=2")
    deaf = RetrievalModel({**encoders, "name_emb": Twice().eval()}, "dot", temperature=temperature)
    report = audit(deaf, data, out=tmp_path / "run", suite=SUITE, resamples=200)
    ignored = [f for f in report.findings if f.rule == "ignored_modality"]
    assert [f.modalities for f in ignored] == [("name_emb",)]
    point = [f for f in report.findings if f.rule == "single_point_of_failure"]
    assert [f.modalities for f in point] == [("image_twitter",)]
    examples = report.document["examples"]
    assert examples
    assert all(re.search(r"rank [\d.]+ of 381", e["perturbed"]["prediction"]) for e in examples)
    assert any(e["clean"]["prediction"] == e["target"] == "the right image_google first" for e in examples)


FACTORY = """
import numpy as np
from mmaudit import RetrievalModel

def colours(images):
    small = images.astype(np.float32).reshape(len(images), 12, 4, 12, 4, 3).mean((2, 4)).reshape(len(images), -1)
    return small - small.mean(axis=1, keepdims=True)

def make():
    return RetrievalModel({"image_twitter": colours, "image_google": colours}, normalise=True)
"""


def test_the_shell_audits_a_retrieval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emoji()
    (tmp_path / "pixels_retrieval.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    options = ["--model", "pixels_retrieval:make", "--data", str(SHARED / "emoji.npz"), "--task", TASK]
    options += ["--split", "split=2", "--out", "run", "--suite", "quick", "--resamples", "50"]
    result = CliRunner().invoke(app, ["audit", *options])
    assert result.exit_code == 0, result.output
    report = Report.read(tmp_path / "run")
    clean = report.score(report.clean, "recall_at_10")
    assert clean is not None
    assert clean.value > 0.6


def test_classes_as_identities_make_it_easier() -> None:
    data = read_npz(SHARED / "emoji.npz", TASK, split="split=2", target="label") if emoji() else None
    assert data is not None
    from mmaudit.retrieval import Bank

    counts: Array = Bank(data).counts
    assert (counts[:, 0] == 381).all()
    assert np.array_equal(counts[:, 1], np.bincount(data.target)[data.target])
