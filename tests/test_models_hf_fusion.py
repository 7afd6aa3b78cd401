"""ViLT and its kin: what the library itself answers, whatever stands beside a row; absent modalities; gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers import hf_cases as cases
from mmaudit import ArrayData, Task, audit
from mmaudit.errors import BadInput
from mmaudit.models import check_model, require
from mmaudit.models.gradient import gradient_reasons
from mmaudit.models.hf_files import load_pretrained
from mmaudit.models.hf_fusion import TransformersClassifier
from mmaudit.types import Array, Batch

N = 12
KINDS: Any = {"image": "image", "question": "text"}
TASK = Task.classification(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cases.vilt(tmp_path_factory.mktemp("hf") / "vilt")


def data(n: int = N, size: tuple[int, int] = (40, 50)) -> ArrayData:
    inputs = {"image": cases.images(n, size), "question": cases.texts(n)}
    return ArrayData(inputs, np.arange(n) % 3, TASK)


def rows(n: int = N) -> Batch:
    return data(n).rows(np.arange(n))


@torch.no_grad()
def library(folder: Path, images: Any, texts: Any, **changes: Any) -> Array:
    """What a user of transformers gets for the whole batch at once, padded to its longest and its largest."""
    model, processor = cases.taken_apart(folder, "ViltForQuestionAnswering")
    inputs = processor(
        images=list(images), text=list(texts), return_tensors="pt", padding=True, truncation=True, max_length=16
    )
    return np.asarray(model(**{**inputs, **changes}).logits.numpy())


def test_answers_are_the_librarys(folder: Path) -> None:
    batch = rows()
    model = TransformersClassifier(folder, KINDS)
    expected = library(folder, batch.inputs["image"], batch.inputs["question"])
    assert expected.std(axis=0).min() > 0.05
    assert model.predict(batch) == pytest.approx(expected, abs=1e-5)
    require(check_model(model, batch, TASK))


def test_images_of_any_size(folder: Path) -> None:
    images = np.empty(4, object)
    images[:] = [cases.images(1, size, seed=i)[0] for i, size in enumerate([(40, 50), (64, 32), (33, 33), (20, 90)])]
    batch = cases.batch_of({"image": images, "question": cases.texts(4)})
    expected = library(folder, images, batch.inputs["question"])
    assert TransformersClassifier(folder, KINDS).predict(batch) == pytest.approx(expected, abs=1e-5)


def test_patches_drawn_at_random_are_the_same_for_every_row(tmp_path: Path) -> None:
    folder = cases.vilt(tmp_path / "vilt", patches=4)
    batch = rows()
    torch.manual_seed(1)
    first = library(folder, batch.inputs["image"], batch.inputs["question"])
    second = library(folder, batch.inputs["image"], batch.inputs["question"])
    assert np.abs(first - second).max() > 0.05  # called twice, the library answers twice
    model = TransformersClassifier(folder, KINDS)
    before = torch.get_rng_state()
    found = model.predict(batch)
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(found, np.concatenate([model.predict(batch.take(slice(i, i + 1))) for i in range(N)]))
    alone = []
    for i in range(N):
        torch.manual_seed(0)
        alone.append(library(folder, batch.inputs["image"][i : i + 1], batch.inputs["question"][i : i + 1]))
    assert found == pytest.approx(np.concatenate(alone), abs=1e-5)
    require(check_model(model, batch, TASK))


def test_dummies_stand_for_what_is_absent(folder: Path) -> None:
    batch = rows()
    model = TransformersClassifier(folder, KINDS, absence="dummy")
    require(check_model(model, batch, TASK))
    gone = np.arange(N) % 2 == 0
    texts = np.where(gone, "", batch.inputs["question"])
    without = model.predict(batch.replace(present={"question": ~gone}))
    assert without == pytest.approx(library(folder, batch.inputs["image"], texts), abs=1e-5)
    ones = torch.ones(N, 3, 32, 40)
    blind = library(folder, batch.inputs["image"], batch.inputs["question"], pixel_values=ones)
    assert model.predict(batch.replace(present={"image": np.zeros(N, bool)})) == pytest.approx(
        library(folder, np.zeros((N, 40, 50, 3), np.uint8), batch.inputs["question"], pixel_values=ones), abs=1e-5
    )
    some = model.predict(batch.replace(present={"image": ~gone}))
    assert some[gone] == pytest.approx(blind[gone], abs=1e-5)
    assert some[~gone] == pytest.approx(model.predict(batch)[~gone], abs=1e-5)


def test_processed_inputs_are_used_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TransformersClassifier(folder, KINDS)
    batch = rows(4)
    features = {m: model.encode(m, batch) for m in model.modalities}
    monkeypatch.setattr(type(model._hosted.rows["image"]), "prepare", None)
    assert np.array_equal(model.fuse(features, batch), model.fuse(features, batch))


def test_gradients_show_the_way(folder: Path) -> None:
    batch = rows(6)
    for absence in (None, "dummy"):
        model = TransformersClassifier(folder, KINDS, absence=absence)  # type: ignore[arg-type]
        reasons = gradient_reasons(model, batch, TASK)
        assert reasons is not None
        assert reasons["image"] == ""
        present = np.arange(6) != 2
        part = batch.replace(present={"image": present})
        pixels = batch.inputs["image"].astype(np.float32)
        before, gradient = model.gradient(part, {"image": pixels}, TASK)
        assert not gradient["image"][2].any()
        assert before == pytest.approx(losses(model, part), abs=1e-4)
        moved = (pixels - 3 * np.sign(gradient["image"])).clip(0, 255).round().astype(np.uint8)
        assert (losses(model, part.replace({"image": moved})) < before)[present].all()


def losses(model: Any, batch: Batch) -> Array:
    logits = model.predict(batch).astype(np.float64)
    return np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(batch)), batch.target]


def test_a_whole_audit(folder: Path, tmp_path: Path) -> None:
    suite = {"probes": ["missing", "gaussian_noise"], "positions": [3], "baselines": ["native"], "analyses": []}
    model = TransformersClassifier(folder, KINDS, absence="dummy")
    scores = audit(model, data(20), out=tmp_path / "run", suite=suite, resamples=20).scores
    clean = scores.query("label == 'clean' and metric == 'accuracy' and group == ''")["value"]
    every = rows(20)
    expected = library(folder, every.inputs["image"], every.inputs["question"]).argmax(axis=1)
    assert clean.unique().tolist() == [pytest.approx((expected == every.target).mean())]
    assert {"missing[image, baseline=native]", "image.gaussian_noise[image]@3"} <= set(scores["label"])


def test_what_does_not_fit_is_refused(folder: Path) -> None:
    loaded = load_pretrained(folder)
    with pytest.raises(BadInput, match="one modality of each sort"):
        TransformersClassifier(loaded, {"left": "image", "right": "image"})
    with pytest.raises(BadInput, match="is not one of None, 'dummy'"):
        TransformersClassifier(loaded, KINDS, absence="dumy")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="its processor has no feature_extractor"):
        TransformersClassifier(loaded, {"sound": "audio"}, sample_rate={"sound": 8000})
    checks = check_model(TransformersClassifier(loaded, KINDS), rows(4), Task.classification(5))
    assert [c.clause for c in checks if c.ok is False] == ["shape"]
    checks = check_model(TransformersClassifier(loaded, KINDS, output="odds"), rows(4), TASK)
    assert any(c.ok is False and "odds" in c.message for c in checks)
