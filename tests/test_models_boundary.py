"""The boundary between encoders and fusion: found or refused as it should be, and never wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.architectures import CLASSES, Base, Branching, Gated, Product, Three, Tokens, TokensBranching
from mmaudit.demo.model import EasyVQANet, bag_of_words
from mmaudit.models import TorchModel, TwoStage
from mmaudit.types import Batch
from model_cases import (
    CASES,
    batch_of,
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    questions,
    random_batch,
    seeded,
    tokenize,
)


def wrapped(name: str) -> TorchModel:
    case = CASES[name]
    return TorchModel(module_of(name), case.modalities, outputs="logits", device="cpu", **case.options)


def features_of(view: Any, batch: Batch) -> dict[str, Any]:
    return {name: view.encode(name, batch) for name in view.modalities}


@pytest.mark.parametrize("name", CASES)
def test_boundary_is_found_or_refused_and_gives_the_same_bits(name: str) -> None:
    model, batch = wrapped(name), random_batch(12)
    view, reason = model.stage(batch)
    if not CASES[name].found:
        assert view is None
        assert "run whole" in reason
        return
    assert isinstance(view, TwoStage), reason
    assert reason.startswith(CASES[name].found)
    other = random_batch(9, seed=3)
    assert np.array_equal(view.fuse(features_of(view, other), other), model.predict(other))
    assert view.predict(other).shape == (9, CLASSES)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.found])
def test_module_and_batch_are_left_as_they_were(name: str) -> None:
    model, batch = wrapped(name), random_batch(6)
    model.module.requires_grad_(True)
    model.predict(batch)  # what the module itself keeps of a pass is there from now on
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    attributes = {key: set(m.__dict__) for key, m in model.module.named_modules()}
    columns = {key: x.copy() for key, x in batch.inputs.items()}
    view, _ = model.stage(batch)
    assert view is not None
    view.fuse(features_of(view, batch), batch)
    assert {key: set(m.__dict__) for key, m in model.module.named_modules()} == attributes
    assert all(torch.equal(value, before[key]) for key, value in model.module.state_dict().items())
    assert all(np.array_equal(batch.inputs[key], x) for key, x in columns.items())
    assert all(p.grad is None and p.requires_grad for p in model.module.parameters())


def test_what_a_forward_pass_keeps_on_the_module_is_no_trace_of_tracing() -> None:
    model = wrapped("remembering")
    model.predict(random_batch(3))
    view, _ = model.stage(random_batch(6))
    assert view is not None
    assert isinstance(model.module.last, Tensor)


@pytest.mark.parametrize(
    ("name", "image", "other"),
    [
        ("product", {"image"}, {"text"}),
        ("recurrent", {"image"}, {"lstm"}),
        ("branching", {"image"}, {"text"}),
        ("opaque encoder", {"image"}, {"text"}),
        ("branching pieces", {"conv", "linear"}, {"text"}),
        # The head is applied to each modality alone too: what depends on one modality only is encoded.
        ("gated", {"image", "head"}, {"text", "head"}),
    ],
)
def test_encoding_runs_one_encoder_and_fusing_runs_none(name: str, image: set[str], other: set[str]) -> None:
    model, batch = wrapped(name), random_batch(8)
    ran: set[str] = set()

    def counted(part: nn.Module, path: str) -> Any:
        def forward(*args: Any) -> Any:
            ran.add(path.split(".")[0])
            return type(part).forward(part, *args)

        return forward

    for path, part in model.module.named_modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.LSTM):
            part.forward = counted(part, path)
    view, _ = model.stage(batch)
    assert view is not None
    for modality, expected in zip(model.modalities, (image, other), strict=True):
        ran.clear()
        view.encode(modality, batch)
        assert ran == expected
    features = features_of(view, batch)
    ran.clear()
    view.fuse(features, batch)
    assert ran
    assert ran.isdisjoint((image | other) - {"head"})


def test_fusing_again_gives_the_same_though_the_module_works_in_place() -> None:
    model, batch = wrapped("in-place fusion"), random_batch(6)
    view, _ = model.stage(batch)
    assert view is not None
    features = features_of(view, batch)
    first = view.fuse(features, batch)
    assert np.array_equal(first, view.fuse(features, batch))
    assert np.array_equal(first, model.predict(batch))


def test_features_of_all_subsets_come_from_two_encodings() -> None:
    model, batch = wrapped("none heads"), random_batch(6)
    view, _ = model.stage(batch)
    assert view is not None
    features = features_of(view, batch)
    for gone in ((), ("image",), ("text",)):
        absent = batch.replace(present={name: np.zeros(6, bool) for name in gone})
        assert np.array_equal(view.fuse(features, absent), model.predict(absent)), gone


@pytest.mark.parametrize("name", ["none", "none heads", "none branching"])
def test_rows_that_lack_different_modalities_are_fused_each_in_its_way(name: str) -> None:
    model, batch = wrapped(name), random_batch(9)
    view, _ = model.stage(batch)
    assert view is not None
    masks = {"image": np.arange(9) % 3 != 0, "text": np.arange(9) % 3 != 1}
    mixed = batch.replace(present=masks)
    staged = view.fuse(features_of(view, mixed), mixed)
    # The plain pass runs each pattern's rows alone, so only the rounding of its matrix products differs.
    np.testing.assert_allclose(staged, model.predict(mixed), rtol=1e-5, atol=1e-6)
    complete = view.fuse(features_of(view, batch), batch)
    whole = masks["image"] & masks["text"]
    assert np.array_equal(staged[whole], complete[whole])


def test_absent_rows_may_hold_anything_when_they_are_passed_as_none() -> None:
    model = TorchModel(module_of("none"), ["image", "text"], outputs="logits", absence="none", device="cpu")
    batch = random_batch(8)
    mask = np.arange(8) < 5
    spoiled = batch.inputs["image"].copy()
    spoiled[~mask] = np.nan
    partial = batch.replace({"image": spoiled}, {"image": mask})
    view, _ = model.stage(partial)
    assert view is not None
    assert np.isfinite(model.predict(partial)).all()
    np.testing.assert_allclose(view.fuse(features_of(view, partial), partial), model.predict(partial), rtol=1e-5)


def test_a_pattern_the_module_cannot_take_is_raised_in_both_ways() -> None:
    model, batch = wrapped("none needs image"), random_batch(6)
    view, _ = model.stage(batch)
    assert view is not None
    absent = batch.replace(present={"image": np.zeros(6, bool)})
    with pytest.raises(Exception, match="conv2d"):
        model.predict(absent)
    with pytest.raises(RuntimeError, match="only 'text' is present"):
        view.fuse(features_of(view, absent), absent)


def test_features_say_when_they_were_made_for_other_rows() -> None:
    model, batch = wrapped("none"), random_batch(6)
    view, _ = model.stage(batch)
    assert view is not None
    absent = batch.replace(present={"image": np.zeros(6, bool)})
    with pytest.raises(ValueError, match="'image' was encoded as absent"):
        view.fuse(features_of(view, absent), batch)


@pytest.mark.parametrize(("name", "expected"), [("mask", frozenset()), ("mask early", frozenset({"text"}))])
def test_masks_enter_the_encoder_only_where_they_must(name: str, expected: frozenset[str]) -> None:
    model, batch = wrapped(name), random_batch(10)
    view, _ = model.stage(batch)
    assert view is not None
    assert view.reads_present == expected
    features = features_of(view, batch)
    for modality in model.modalities:
        partial = batch.replace(present={modality: np.arange(10) % 2 == 0})
        changed = {modality: view.encode(modality, partial)} if modality in expected else {}
        assert np.array_equal(view.fuse({**features, **changed}, partial), model.predict(partial))


@pytest.mark.parametrize("name", ["product", "gated", "recurrent", "branching", "mask", "none", "opaque encoder"])
def test_blended_features_are_those_of_the_blended_column(name: str) -> None:
    model, batch, other = wrapped(name), random_batch(10), random_batch(10, seed=1)
    view, _ = model.stage(batch)
    assert view is not None
    rows = np.arange(10) % 3 == 0
    for modality in model.modalities:
        column = batch.inputs[modality].copy()
        column[rows] = other.inputs[modality][rows]
        blended = view.blend(view.encode(modality, batch), view.encode(modality, other), rows)
        mixed = batch.replace({modality: column})
        assert np.array_equal(view.fuse({**features_of(view, batch), modality: blended}, mixed), model.predict(mixed))


def test_texts_padded_to_different_lengths_blend_only_behind_the_pooling() -> None:
    rows = np.ones(6, bool)
    texts = batch_of({"image": random_batch(6).inputs["image"], "text": questions(6)})
    short = texts.replace({"text": np.array(["red"] * 6, dtype=object)})
    for kind, blends in ((Tokens, True), (TokensBranching, False)):
        model = TorchModel(seeded(kind), ["image", "text"], outputs="logits", prepare={"text": tokenize}, device="cpu")
        view, reason = model.stage(texts)
        assert view is not None, reason
        one, two = view.encode("text", texts), view.encode("text", short)
        assert (view.blend(one, two, rows) is not None) == blends
        assert view.blend(None, two, rows) is None


def test_a_tokeniser_runs_when_encoding_and_not_when_fusing() -> None:
    calls: list[int] = []

    def counted(column: Any) -> Any:
        calls.append(len(column))
        return tokenize(column)

    model = TorchModel(seeded(Tokens), ["image", "text"], outputs="logits", prepare={"text": counted}, device="cpu")
    batch = batch_of({"image": random_batch(6).inputs["image"], "text": questions(6)})
    view, _ = model.stage(batch)
    assert view is not None
    features = features_of(view, batch)
    calls.clear()
    assert np.array_equal(view.fuse(features, batch), model.predict(batch))
    assert calls == [6], "only predict tokenises"


def test_modalities_the_model_does_not_read_have_no_features() -> None:
    model, batch = wrapped("product"), random_batch(6)
    view, _ = model.stage(batch)
    assert view is not None
    features = {name: view.encode(name, batch) for name in batch.inputs}
    assert features["tokens"] is None
    assert np.array_equal(view.fuse(features, batch), model.predict(batch))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")
def test_reasons_for_running_whole() -> None:
    batch = random_batch(6)
    off = TorchModel(module_of("product"), ["image", "text"], outputs="logits", boundary="off", device="cpu")
    assert off.stage(batch) == (None, "boundary='off': the model is run whole")
    assert "at least 2" in wrapped("product").stage(random_batch(1))[1]
    compiled = TorchModel(torch.compile(module_of("product")), ["image", "text"], outputs="logits", device="cpu")
    assert "torch.compile" in compiled.stage(batch)[1]
    absent = batch.replace(present={"text": np.zeros(6, bool)})
    assert "has 'text'" in wrapped("none").stage(absent)[1]


def test_too_many_patterns_to_verify() -> None:
    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, CLASSES)

        def forward(self, *parts: Tensor | None) -> Tensor:
            return torch.stack([self.layer(x) for x in parts if x is not None]).sum(0)

    names = list("abcdef")
    batch = batch_of({name: np.random.default_rng(0).normal(size=(4, 2)) for name in names})
    model = TorchModel(Many().eval(), names, outputs="logits", absence="none", device="cpu")
    assert "too many patterns" in model.stage(batch)[1]
    assert model.predict(batch).shape == (4, CLASSES)


def test_three_modalities_of_a_nested_model() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.core = Three()

        def forward(self, image: Tensor, text: Tensor, tokens: Tensor) -> Tensor:
            return self.core(image=image, tokens=tokens, text=text)

    model = TorchModel(Outer().eval(), ["image", "text", "tokens"], outputs="logits", device="cpu")
    batch = random_batch(5)
    view, reason = model.stage(batch)
    assert view is not None, reason
    assert np.array_equal(view.fuse(features_of(view, batch), batch), model.predict(batch))


def test_a_module_that_fails_on_mixed_rows_is_run_whole() -> None:
    class Suspicious(Base):
        """Refuses images that do not come with their own text."""

        def forward(self, image: Tensor, text: Tensor) -> Tensor:
            if bool((image[:, 0, 0, 0] != text[:, 0]).any()):
                raise ValueError("these do not belong together")
            return self.head(self.image(image) * self.text(text))

    batch = random_batch(6)
    image = batch.inputs["image"].copy()
    image[:, 0, 0, 0] = batch.inputs["text"][:, 0]
    model = TorchModel(Suspicious().eval(), ["image", "text"], outputs="logits", device="cpu")
    view, reason = model.stage(batch.replace({"image": image}))
    assert view is None
    assert "these do not belong together" in reason


def test_a_dependence_through_an_attribute_is_seen() -> None:
    class Hidden(Gated):
        """The text's encoder looks at the image through an attribute, not an argument."""

        seen: Any = None

        def forward(self, image: Tensor, text: Tensor) -> Tensor:
            self.seen = image.mean(dim=(1, 2, 3))[:, None]
            return self.head(self.image(image) * self.inner(text))

        def inner(self, text: Tensor) -> Tensor:
            return self.text(text) + self.seen

    model, batch = TorchModel(Hidden().eval(), ["image", "text"], outputs="logits", device="cpu"), random_batch(6)
    view, _ = model.stage(batch)
    assert view is not None
    other = batch.replace({"image": random_batch(6, seed=5).inputs["image"]})
    mixed = {"image": view.encode("image", other), "text": view.encode("text", batch)}
    assert np.array_equal(view.fuse(mixed, other), model.predict(other))


def test_an_exported_module_is_traced() -> None:
    batch = random_batch(4)
    example = tuple(torch.from_numpy(batch.inputs[name]) for name in ("image", "text"))
    rows = torch.export.Dim("rows")
    exported = torch.export.export(module_of("product"), example, dynamic_shapes=({0: rows}, {0: rows})).module()
    if not hasattr(exported, "_guards_fn"):
        pytest.skip("torch 2.6 exports modules whose check of the inputs cannot be traced; they are run whole")
    for part in exported.modules():
        part.training = False
    model = TorchModel(exported, ["image", "text"], outputs="logits", device="cpu")
    view, reason = model.stage(batch)
    assert view is not None
    assert reason.startswith("traced and cut")
    assert np.array_equal(view.fuse(features_of(view, batch), batch), model.predict(batch))
    np.testing.assert_allclose(model.predict(batch), wrapped("product").predict(batch), rtol=1e-5, atol=1e-6)


def easy_vqa_batch(n: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    asked = np.array(["is there a red circle?", "what color is the shape", "does it contain a triangle"], dtype=object)
    image = rng.integers(0, 256, size=(n, 64, 64, 3), dtype=np.uint8)
    return batch_of({"image": image, "question": asked[rng.integers(0, 3, n)]})


def test_the_demo_model_is_traced_and_its_fusion_is_a_few_operations() -> None:
    model = TorchModel(
        seeded(EasyVQANet), ["image", "question"], outputs="logits", prepare={"question": bag_of_words}, device="cpu"
    )
    view, reason = model.stage(easy_vqa_batch(16))
    assert view is not None
    assert reason.startswith("traced and cut")
    batch = easy_vqa_batch(32, seed=1)
    features = features_of(view, batch)
    assert np.array_equal(view.fuse(features, batch), model.predict(batch))
    assert [tuple(x.shape) for x in (*features["image"], *features["question"])] == [(32, 64), (32, 64)]


def test_replay_is_not_traced_twice_over_on_the_same_submodule() -> None:
    """A submodule that another replayed one calls is not recorded on its own."""

    class Wrapped(Branching):
        def __init__(self) -> None:
            super().__init__()
            self.image = nn.Sequential(self.image, nn.Tanh())

    model, batch = TorchModel(Wrapped().eval(), ["image", "text"], outputs="logits", device="cpu"), random_batch(6)
    view, reason = model.stage(batch)
    assert view is not None
    assert "image = image," in reason


def test_product_is_the_same_on_the_default_device() -> None:
    model = TorchModel(Product().eval(), ["image", "text"], outputs="logits")
    batch = random_batch(6)
    view, reason = model.stage(batch)
    assert view is not None, reason
    assert np.array_equal(view.fuse(features_of(view, batch), batch), model.predict(batch))
