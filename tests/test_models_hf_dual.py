"""Dual encoders of transformers: scores and classes are what the library itself gives, row by row."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from helpers import hf_cases as cases
from mmaudit import ArrayData, Modality, Task, audit
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models import check_model, require
from mmaudit.models.gradient import gradient_reasons
from mmaudit.models.hf_files import Pretrained, load_pretrained
from mmaudit.models.hf_retrieval import TransformersRetriever
from mmaudit.models.hf_rows import waveform
from mmaudit.models.hf_zero_shot import TransformersZeroShot
from mmaudit.preparing import examine
from mmaudit.probes.canonical import middle
from mmaudit.types import Array, Batch

N = 12
BOTH = ["image", "text"]
SMALL: dict[str, Any] = {"probes": ["missing"], "baselines": ["zero"], "analyses": []}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("hf")
    made = {"clip": cases.clip(root / "clip"), "siglip": cases.siglip(root / "siglip")}
    return made | {f"clap_{t}": cases.clap(root / t, t) for t in ("rand_trunc", "fusion")}


def pictures_and_texts(n: int = N, size: tuple[int, int] = (20, 24)) -> ArrayData:
    inputs = {"image": cases.images(n, size), "text": cases.texts(n)}
    return ArrayData(inputs, np.arange(n), Task.retrieval("image", "text"))


def all_rows(data: ArrayData) -> Batch:
    return data.rows(np.arange(len(data)))


def scores(model: TransformersRetriever, batch: Batch, query: str, target: str) -> Array:
    return model.scores({query: model.encode(query, batch)}, model.encode(target, batch), batch.present)


@torch.no_grad()
def library(folder: Path, batch: Batch, length: int, padding: Any) -> Any:
    """What a user of transformers gets for the whole batch at once."""
    model, processor = cases.taken_apart(folder)
    images, texts = list(batch.inputs["image"]), list(batch.inputs["text"])
    options = {"padding": padding, "truncation": True, "max_length": length, "return_tensors": "pt"}
    return model(**processor(images=images, text=texts, **options))


@pytest.mark.parametrize(("name", "length", "padding"), [("clip", 12, True), ("siglip", 10, "max_length")])
def test_scores_are_the_librarys_logits(folders: dict[str, Path], name: str, length: int, padding: Any) -> None:
    batch = all_rows(pictures_and_texts())
    model = TransformersRetriever(folders[name], BOTH)
    assert model.outputs == ("values" if name == "siglip" else "logits")
    expected = library(folders[name], batch, length, padding)
    assert expected.logits_per_image.std() > 1
    assert scores(model, batch, "image", "text") == pytest.approx(expected.logits_per_image.numpy(), abs=1e-4)
    assert scores(model, batch, "text", "image") == pytest.approx(expected.logits_per_text.numpy(), abs=1e-4)


def test_siglip_is_given_texts_of_full_length(folders: dict[str, Path]) -> None:
    batch = all_rows(pictures_and_texts())
    short = library(folders["siglip"], batch, 10, True).logits_per_image.numpy()
    # The library's own default gives it something it was not trained on, and other answers.
    assert np.abs(scores(TransformersRetriever(folders["siglip"], BOTH), batch, "image", "text") - short).max() > 0.05


def sounds_and_texts(length: int) -> ArrayData:
    inputs = {"audio": cases.sounds(N, length), "text": cases.texts(N)}
    modalities = [Modality("audio", "audio", (length,), sample_rate=8000), Modality("text", "text", dtype="str")]
    return ArrayData(inputs, np.arange(N), Task.retrieval("audio", "text"), modalities=modalities)


@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
@pytest.mark.parametrize("length", [5000, 12000])
def test_clap_alone_and_in_a_batch(folders: dict[str, Path], truncation: str, length: int) -> None:
    folder = folders[f"clap_{truncation}"]
    batch = all_rows(sounds_and_texts(length))
    model = TransformersRetriever(folder, ["audio", "text"], sample_rate={"audio": 8000})
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    require(check_model(model, batch, Task.retrieval("audio", "text")))
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    direct, processor = cases.taken_apart(folder)
    features = []
    for wave in batch.inputs["audio"]:
        np.random.seed(0)  # noqa: NPY002
        inputs = processor.feature_extractor(wave, sampling_rate=8000, return_tensors="pt")
        if length < 8000:  # alone, the extractor calls any row of a batch without long audio long
            inputs["is_longer"][:] = False
        with torch.no_grad():
            features.append(direct.get_audio_features(**inputs))
    audio = torch.cat([getattr(f, "pooler_output", f) for f in features]).numpy()
    assert model.encode("audio", batch) == pytest.approx(audio, abs=1e-5)
    tokens = processor.tokenizer(list(batch.inputs["text"]), padding=True, return_tensors="pt")
    with torch.no_grad():
        found = direct.get_text_features(**tokens)
    text = getattr(found, "pooler_output", found).numpy()
    # Each side has a scale of its own.
    assert scores(model, batch, "audio", "text") == pytest.approx(np.exp(2) * audio @ text.T, abs=1e-3)
    assert scores(model, batch, "text", "audio") == pytest.approx(np.exp(3) * text @ audio.T, abs=1e-3)


def test_sample_rates_are_checked_and_converted(folders: dict[str, Path]) -> None:
    folder = folders["clap_rand_trunc"]
    both = ["audio", "text"]
    with pytest.raises(BadInput, match=r"not given; say sample_rate=.*8000 Hz"):
        TransformersRetriever(folder, both)
    with pytest.raises(BadInput, match=r"sampled at 16000 Hz, .* made for 8000 Hz"):
        TransformersRetriever(folder, both, sample_rate={"audio": 16000})
    with pytest.raises(BadInput, match="sample_rate of='text' is not one of 'audio'"):
        TransformersRetriever(folder, both, sample_rate={"text": 8000})
    time = np.arange(16000)
    tone = np.sin(2 * np.pi * 440 * time / 16000)[None].astype(np.float32)
    same = np.sin(2 * np.pi * 440 * time[:8000] / 8000)[None].astype(np.float32)
    fast = TransformersRetriever(folder, both, sample_rate={"audio": 16000}, resample=True)
    slow = TransformersRetriever(folder, both, sample_rate={"audio": 8000})
    assert fast.fingerprint != slow.fingerprint
    # Whole numbers are divided by their range.
    whole = np.round(same * 32767).astype(np.int16)
    features = [m.encode("audio", one(x)) for m, x in ((slow, same), (slow, whole), (fast, tone))]
    # Quantising adds noise where a pure tone has silence, which a logarithm shows.
    assert float(features[1][0] @ features[0][0]) > 0.9999
    assert float(features[2][0] @ features[0][0]) > 0.99
    limits = np.array([-32768, 0, 32767], np.int16)
    assert waveform("", "", limits).tolist() == [-1, 0, 32767 / 32768]
    assert waveform("", "", np.array([0, 128, 255], np.uint8)).tolist() == [-1, 0, 127 / 128]
    with pytest.raises(BadInput, match="one channel"):
        slow.encode("audio", one(np.zeros((1, 2, 8000), np.float32)))


@pytest.mark.parametrize(
    ("values", "limits", "expected"),
    [
        (np.array([0, 50, 100], np.uint8), (0, 100), [-50 / 51, 0, 50 / 51]),
        (np.array([0, 128, 255], np.uint8), (0, 255), [-1, 0, 127 / 128]),
        (np.array([-2048, 0, 2047], np.int16), (-2048, 2047), [-1, 0, 2047 / 2048]),
        (np.array([-5.0, 0.0, 2.5], np.float32), (-5, 5), [-1, 0, 0.5]),
    ],
)
def test_a_waveform_is_of_the_declared_range(values: Array, limits: tuple[float, float], expected: list[float]) -> None:
    assert waveform("", "", values, limits) == pytest.approx(expected, abs=1e-12)
    # Silence is where a corruption puts it, and is 0 to the model.
    declared = Modality("a", "audio", (3,), values.dtype.name, range=limits)
    rest = np.full(3, middle(declared, values.dtype), values.dtype)
    assert waveform("", "", rest, limits).tolist() == [0, 0, 0]


def test_the_range_of_audio_is_declared_to_the_adapter(folders: dict[str, Path]) -> None:
    folder, both = folders["clap_rand_trunc"], ["audio", "text"]
    plain = TransformersRetriever(folder, both, sample_rate={"audio": 8000})
    ranged = TransformersRetriever(folder, both, sample_rate={"audio": 8000}, audio_range={"audio": (0, 200)})
    assert plain.fingerprint != ranged.fingerprint
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    narrow = np.rint(100 + 100 * tone)[None].astype(np.uint8)
    expected = plain.encode("audio", one((narrow - 100.0).astype(np.float32) / 101))
    assert ranged.encode("audio", one(narrow)) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(BadInput, match=r"audio_range=\(1, 0\) of 'audio' is not usable"):
        TransformersRetriever(folder, both, sample_rate={"audio": 8000}, audio_range={"audio": (1, 0)})
    with pytest.raises(BadInput, match="audio_range of='text' is not one of 'audio'"):
        TransformersRetriever(folder, both, sample_rate={"audio": 8000}, audio_range={"text": (0, 1)})


@pytest.mark.parametrize(
    ("declared", "told", "said"),
    [
        ({}, {}, ""),
        ({"range": (-1, 1)}, {}, ""),
        ({"range": (-5, 5)}, {"audio_range": {"audio": (-5, 5)}}, ""),
        ({"range": (-5, 5)}, {}, r"'audio': the data go from -5 to 5, and .* told is none; give .*\(-5, 5\)"),
        ({"range": (-5, 5)}, {"audio_range": {"audio": (-2, 2)}}, r"told is \(-2, 2\)"),
        ({"sample_rate": 4000}, {}, "'audio': the data are sampled at 4000 Hz, .* sample_rate=8000"),
    ],
)
def test_what_the_data_declare_of_audio_is_what_the_adapter_was_told(
    folders: dict[str, Path], declared: dict[str, Any], told: dict[str, Any], said: str
) -> None:
    modalities = [
        Modality("audio", "audio", (8000,), **({"sample_rate": 8000} | declared)), Modality("text", "text", dtype="str")
    ]  # fmt: skip
    inputs = {"audio": cases.sounds(N, 8000), "text": cases.texts(N)}
    data = ArrayData(inputs, np.arange(N), Task.retrieval("audio", "text"), modalities=modalities)
    model = TransformersRetriever(folders["clap_rand_trunc"], ["audio", "text"], sample_rate={"audio": 8000}, **told)
    checks, _ = examine(model, data)
    if said:
        with pytest.raises(ContractBroken, match=said):
            require(checks)
    else:
        require(checks)


def one(values: Array) -> Batch:
    return Batch({"audio": values}, {"audio": np.ones(1, bool)}, *[np.arange(1)] * 3)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_zero_shot_is_the_mean_of_the_prompts(folders: dict[str, Path], name: str) -> None:
    names, templates = ["red", "blue dog", "bell"], ["a photo of a {}", "the {} thing"]
    data = ArrayData({"image": cases.images(N)}, np.arange(N) % 3, Task.classification(3))
    batch = all_rows(data)
    model = TransformersZeroShot(folders[name], ["image"], classes=names, template=templates)
    require(check_model(model, batch, data.task))
    prompts = np.array([t.format(n) for n in names for t in templates], object)
    every = Batch({"image": cases.images(6), "text": prompts}, {}, *[np.arange(6)] * 3)
    padding = ("max_length", 10) if name == "siglip" else (True, 12)
    text = library(folders[name], every, padding[1], padding[0]).text_embeds.numpy()
    means = text.reshape(3, 2, -1).mean(axis=1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    direct, processor = cases.taken_apart(folders[name])
    with torch.no_grad():
        found = direct.get_image_features(**processor(images=list(batch.inputs["image"]), return_tensors="pt"))
    image = getattr(found, "pooler_output", found).numpy()
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    scale, bias = direct.logit_scale.detach(), direct.logit_bias.detach().item() if name == "siglip" else 0.0
    expected = np.exp(scale.item()) * image @ means.T + bias
    assert model.predict(batch) == pytest.approx(expected, abs=1e-4)


def test_several_modalities_are_averaged_and_absent_ones_left_out(folders: dict[str, Path]) -> None:
    kinds = {"left": "image", "right": "image"}
    inputs = {"left": cases.images(N), "right": cases.images(N, (30, 18), seed=1)}
    task = Task.classification(2)
    batch = all_rows(ArrayData(inputs, np.arange(N) % 2, task))
    loaded = load_pretrained(folders["clip"])

    def alone(name: str) -> Array:
        return TransformersZeroShot(loaded, {name: "image"}, classes=["dog", "cat"]).predict(batch)

    model = TransformersZeroShot(loaded, kinds, classes=["dog", "cat"], absence="skip")
    require(check_model(model, batch, task))
    assert model.predict(batch) == pytest.approx((alone("left") + alone("right")) / 2, abs=1e-5)
    without = batch.replace(present={"left": np.zeros(N, bool)})
    assert model.predict(without) == pytest.approx(alone("right"), abs=1e-5)
    with pytest.raises(ValueError, match="sample 0 has no modality present"):
        model.predict(without.replace(present={"right": np.zeros(N, bool)}))


def test_gradients_are_those_of_finite_differences(folders: dict[str, Path]) -> None:
    task = Task.classification(3)
    # Of the size that the model reads, so that preprocessing is exact in whole steps of a pixel.
    data = ArrayData({"image": cases.images(4, (16, 16))}, np.arange(4) % 3, task)
    batch = all_rows(data)
    model = TransformersZeroShot(folders["clip"], ["image"], classes=["red", "blue", "bell"])
    loss, found = model.gradient(batch, {"image": batch.inputs["image"].astype(np.float32)}, task)
    rng = np.random.default_rng(0)
    for _ in range(6):
        direction = rng.choice([-1, 0, 1], batch.inputs["image"].shape)
        inner = batch.inputs["image"].astype(int).clip(1, 254)
        base = batch.replace({"image": inner.astype(np.uint8)})
        _, gradient = model.gradient(base, {"image": inner.astype(np.float32)}, task)
        ends = [losses(model, base.replace({"image": (inner + s * direction).astype(np.uint8)})) for s in (1, -1)]
        expected = (ends[0] - ends[1]) / 2
        along = (gradient["image"] * direction).sum(axis=(1, 2, 3))
        assert along == pytest.approx(expected, abs=0.03 * np.abs(expected).max() + 1e-4)
    assert loss == pytest.approx(losses(model, batch), abs=1e-4)
    assert found["image"].shape == batch.inputs["image"].shape


def losses(model: Any, batch: Batch) -> Array:
    logits = model.predict(batch).astype(np.float64)
    return np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(batch)), batch.target]


def test_gradients_pass_through_resizing_and_cropping(folders: dict[str, Path]) -> None:
    task = Task.classification(3)
    batch = all_rows(ArrayData({"image": cases.images(8, (33, 50))}, np.arange(8) % 3, task))
    for name in ("clip", "siglip"):
        model = TransformersZeroShot(folders[name], ["image"], classes=["red", "blue", "bell"])
        assert gradient_reasons(model, batch, task) == {"image": ""}
        pixels = batch.inputs["image"].astype(np.float32)
        before, gradient = model.gradient(batch, {"image": pixels}, task)
        step = np.sign(gradient["image"]) * 4
        uphill = batch.replace({"image": (pixels + step).clip(0, 255).round().astype(np.uint8)})
        downhill = batch.replace({"image": (pixels - step).clip(0, 255).round().astype(np.uint8)})
        assert (losses(model, uphill) > before).all()
        assert (losses(model, downhill) < before).all()
    inputs = {"text": np.zeros((8, 1), np.float32)}
    worded = TransformersZeroShot(folders["clip"], ["text"], classes=["red", "blue"])
    texts = batch.replace({"text": cases.texts(8)}, {"text": np.ones(8, bool)})
    with pytest.raises(BadInput, match="preprocessing lets no gradient pass"):
        worded.gradient(texts, inputs, task)


def test_whole_audits(folders: dict[str, Path], tmp_path: Path) -> None:
    retriever, pairs = TransformersRetriever(folders["clip"], BOTH), pictures_and_texts()
    found = audit(retriever, pairs, out=tmp_path / "a", suite=SMALL, resamples=20).scores
    # Of the clean rows the recall is that of the library's own logits.
    logits = library(folders["clip"], all_rows(pairs), 12, True).logits_per_image.numpy()
    first = found.query("label == 'clean' and metric == 'recall_at_1' and group == ''")["value"]
    best = logits == logits.max(axis=1, keepdims=True)  # older transformers tie texts of equal beginnings
    assert first.unique().tolist() == [pytest.approx((best.diagonal() / best.sum(axis=1)).mean())]
    task = Task.classification(["red", "blue"])
    data = ArrayData({"image": cases.images(N), "text": cases.texts(N)}, np.arange(N) % 2, task)
    model = TransformersZeroShot(folders["siglip"], BOTH, classes=task.names, absence="skip")
    found = audit(model, data, out=tmp_path / "b", suite={**SMALL, "baselines": ["native"]}, resamples=20).scores
    accuracy = found.query("metric == 'accuracy' and group == ''").drop_duplicates("label").set_index("label")["value"]
    alone = TransformersZeroShot(folders["siglip"], ["text"], classes=task.names).predict(all_rows(data))
    expected = (alone.argmax(axis=1) == data.target).mean()
    assert accuracy["missing[image, baseline=native]"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_the_doctor_finds_nothing(folders: dict[str, Path], name: str) -> None:
    data = pictures_and_texts(20)
    model = TransformersRetriever(folders[name], BOTH, absence="skip")
    require(check_model(model, all_rows(data), data.task))


def test_fingerprints_hold_weights_processor_and_use(folders: dict[str, Path]) -> None:
    loaded = load_pretrained(folders["clip"])
    first = TransformersZeroShot(loaded, ["image"], classes=["red", "blue"])
    batch = cases.batch_of({"image": cases.images(3)})
    before = first.fingerprint
    first.predict(batch)  # using a tokenizer changes what it holds
    assert TransformersZeroShot(folders["clip"], ["image"], classes=["red", "blue"]).fingerprint == before
    assert TransformersZeroShot(loaded, ["image"], classes=["red", "bell"]).fingerprint != before
    other = load_pretrained(folders["clip"])
    other.processor.image_processor.image_mean = [0.5, 0.5, 0.5]
    assert TransformersZeroShot(other, ["image"], classes=["red", "blue"]).fingerprint != before
    with torch.no_grad():
        other.model.logit_scale.add_(0.1)
    third = Pretrained(other.model, loaded.processor)
    assert TransformersZeroShot(third, ["image"], classes=["red", "blue"]).fingerprint != before


def test_what_does_not_fit_is_refused(folders: dict[str, Path]) -> None:
    loaded = load_pretrained(folders["clip"])
    parts = {
        "image_processor": loaded.processor.image_processor,
        "feature_extractor": load_pretrained(folders["clap_fusion"]).processor.feature_extractor,
    }
    mixed = Pretrained(loaded.model, SimpleNamespace(**parts))
    with pytest.raises(BadInput, match="does not embed audio, which 'sound' is; it embeds image and text"):
        TransformersRetriever(mixed, {"image": "image", "sound": "audio"}, sample_rate={"sound": 8000})
    with pytest.raises(BadInput, match="what is 'photo' to the model"):
        TransformersRetriever(loaded, ["photo", "text"])
    with pytest.raises(BadInput, match="two at least"):
        TransformersRetriever(loaded, ["image"])
    for template in ("no place", "{} and {}", []):
        with pytest.raises(BadInput, match=r"is not usable; give text with one \{\} in it"):
            TransformersZeroShot(loaded, ["image"], classes=["a", "b"], template=template)
    with pytest.raises(BadInput, match="class '' is not usable"):
        TransformersZeroShot(loaded, ["image"], classes=["a", ""])
    model = TransformersRetriever(loaded, BOTH)
    for wrong in (np.zeros((2, 8, 8, 3), np.float32), np.zeros((2, 3, 8, 8), np.uint8), np.zeros((2, 8), np.uint8)):
        with pytest.raises(BadInput, match=r"'image' holds images of .* expected uint8"):
            model.encode("image", Batch({"image": wrong}, {"image": np.ones(2, bool)}, *[np.arange(2)] * 3))
    grey = cases.images(2)[..., 0]
    same = [grey, grey[..., None], np.repeat(grey[..., None], 3, axis=-1)]
    found = [model.encode("image", Batch({"image": x}, {"image": np.ones(2, bool)}, *[np.arange(2)] * 3)) for x in same]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
