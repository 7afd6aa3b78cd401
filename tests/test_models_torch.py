"""The torch adapter: how modules are called, what is refused, what their fingerprint tells apart."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from helpers.architectures import CLASSES, Base, Product
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models import TorchModel
from model_cases import (
    batch_of,
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    questions,
    random_batch,
    tokenize,
)

NAMES = ("image", "text")


def model_of(module: nn.Module | None = None, **options: Any) -> TorchModel:
    given = {"modalities": NAMES, "outputs": "logits", "device": "cpu", **options}
    return TorchModel(module or module_of("product"), **given)


class Recorder(nn.Module):
    """Keeps what it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        self.calls.append((args, kwargs))
        tensors = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        return torch.zeros(len(tensors[0]), CLASSES)


def recorded(batch: Any, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    module = Recorder().eval()
    TorchModel(module, list(batch.inputs), outputs="logits", device="cpu", **options).predict(batch)
    return module.calls[-1]


def test_outputs_must_be_said() -> None:
    with pytest.raises(BadInput, match=r"outputs is not given.*logits.*probabilities.*values.*never guesses"):
        TorchModel(module_of("product"), NAMES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": "logit"}, "outputs='logit' is not one of .* did you mean 'logits'"),
        ({"call": "keywords"}, "call='keywords' .* did you mean 'keyword'"),
        ({"absence": "zeros"}, "absence='zeros' is not one of None, 'none', 'mask'"),
        ({"autocast": "float8"}, "autocast='float8'"),
        ({"boundary": "on"}, "boundary='on' is not one of 'auto', 'off'"),
        ({"modalities": "image"}, "is one string; give a sequence"),
        ({"modalities": []}, "one or more non-empty names"),
        ({"modalities": ["image", "image"]}, "has duplicates"),
        ({"prepare": {"txt": len}}, "prepare names 'txt', .* did you mean 'text'"),
        ({"prepare": {"sound": len}}, "prepare names 'sound', .* it reads 'image', 'text'"),
        ({"device": "gpu"}, "device='gpu' is not a torch device"),
        ({"modalities": ["present", "text"], "call": "keyword", "absence": "mask"}, "called 'present'"),
    ],
)
def test_arguments_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        model_of(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(BadInput, match="torch sees no GPU here"):
        model_of(device="cuda:0")


def test_only_modules_are_wrapped() -> None:
    with pytest.raises(BadInput, match=r"type is not a torch\.nn\.Module; give the module object"):
        TorchModel(Product, NAMES, outputs="logits")


def test_training_mode_is_refused_before_anything() -> None:
    module = module_of("product")
    module.text.train()
    named = r"text, text\.0, text\.1 and 2 more in training mode.*model\.eval"
    with pytest.raises(ContractBroken, match=named) as error:
        model_of(module)
    assert error.value.clause == "evaluation mode"


def test_training_mode_is_noticed_later_too() -> None:
    model = model_of()
    model.module.train()
    for act in (model.predict, model.stage):
        with pytest.raises(ContractBroken, match=r"Product, image, image\.0 and"):
            act(random_batch(2))


def test_ways_to_call() -> None:
    batch = random_batch(3)
    for call, found in (
        ("positional", recorded(batch)[0]),
        ("keyword", tuple(recorded(batch, call="keyword")[1].values())),
        ("dict", tuple(recorded(batch, call="dict")[0][0].values())),
    ):
        assert [tuple(x.shape) for x in found] == [(3, 3, 8, 8), (3, 5), (3, 6)], call
    assert list(recorded(batch, call="keyword")[1]) == ["image", "text", "tokens"]
    assert recorded(batch, call="dict")[1] == {}


def test_masks_are_boolean_tensors_by_modality() -> None:
    mask = np.array([True, False, True])
    args, kwargs = recorded(random_batch(3).replace(present={"text": mask}), absence="mask")
    assert len(args) == 3
    assert list(kwargs) == ["present"]
    assert kwargs["present"]["text"].tolist() == mask.tolist()
    assert kwargs["present"]["image"].dtype == torch.bool


def test_masks_are_not_passed_to_a_module_that_does_not_take_them() -> None:
    assert recorded(random_batch(3).replace(present={"text": np.zeros(3, bool)}))[1] == {}


def test_none_for_the_absent_and_rows_back_in_order() -> None:
    class Which(nn.Module):
        def forward(self, image: Tensor | None, text: Tensor | None) -> Tensor:
            first = image[:, 0, 0, 0] if image is not None else text[:, 0] if text is not None else None
            code = 2.0 * (image is not None) + (text is not None)
            assert first is not None
            return torch.stack([first, torch.full_like(first, code)], 1)

    batch = random_batch(8)
    masks = {"image": np.arange(8) % 2 == 0, "text": np.arange(8) % 4 != 0}
    outputs = model_of(Which().eval(), absence="none").predict(batch.replace(present=masks))
    assert outputs[:, 1].tolist() == [2.0 * a + b for a, b in zip(masks["image"], masks["text"], strict=True)]
    first = np.where(masks["image"], batch.inputs["image"][:, 0, 0, 0], batch.inputs["text"][:, 0])
    assert np.array_equal(outputs[:, 0], first)


def test_nothing_present_names_the_sample() -> None:
    batch = random_batch(4).replace(present={name: np.arange(4) != 2 for name in NAMES})
    with pytest.raises(ValueError, match="sample 102 has no modality present"):
        model_of(module_of("none"), absence="none").predict(batch)


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("uint8", torch.uint8),
        ("int64", torch.int64),
        ("bool", torch.bool),
        ("uint16", torch.int32),
        ("uint32", torch.int64),
        (">i4", torch.int32),
        ("float64", torch.float32),
        ("float16", torch.float32),
        (">f4", torch.float32),
    ],
)
def test_dtypes(given: str, passed: torch.dtype) -> None:
    values = np.arange(6).reshape(3, 2).astype(given)
    (tensor,), _ = recorded(batch_of({"x": values}))
    assert tensor.dtype == passed
    assert np.array_equal(tensor.numpy().astype("float64"), values.astype("float64"))


def test_whole_numbers_that_torch_cannot_hold_are_refused() -> None:
    values = np.array([[1], [2**63]], np.uint64)
    with pytest.raises(BadInput, match="holds 9223372036854775808, more than a torch integer can"):
        recorded(batch_of({"x": values}))
    (tensor,), _ = recorded(batch_of({"x": values - np.uint64(1)}))
    assert tensor.numpy().tolist() == [[0], [2**63 - 1]]


def test_floats_follow_the_module() -> None:
    for name in ("double", "half"):
        assert model_of(module_of(name)).predict(random_batch(3)).dtype == np.float32
    exact, rounded = (model_of(module_of(name)).predict(random_batch(3)) for name in ("product", "double"))
    np.testing.assert_allclose(exact, rounded, rtol=1e-4, atol=1e-6)


def test_autocast_gives_float32_near_the_exact_outputs() -> None:
    cast, exact = model_of(autocast="bfloat16"), model_of()
    batch = random_batch(8)
    found = cast.predict(batch)
    assert found.dtype == np.float32
    assert not np.array_equal(found, exact.predict(batch))
    np.testing.assert_allclose(found, exact.predict(batch), atol=0.05)
    assert cast.tolerance > exact.tolerance


def test_text_needs_a_tokeniser() -> None:
    batch = batch_of({"image": random_batch(3).inputs["image"], "text": questions(3)})
    with pytest.raises(BadInput, match=r"'text' is text or ragged.*prepare=\{'text': function\}"):
        model_of().predict(batch)
    with pytest.raises(BadInput, match="'text' is of dtype complex128"):
        model_of().predict(batch.replace({"text": np.zeros((3, 5), complex)}))


def test_a_tokeniser_may_return_a_dict() -> None:
    batch = batch_of({"text": questions(3)})
    (found,), _ = recorded(batch, prepare={"text": tokenize})
    assert sorted(found) == ["ids", "mask"]
    assert found["ids"].dtype == torch.int64


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda x: x[:2].astype(float), r"prepare\['text'\] returned shape \(2, 5\) for 3 rows"),
        (lambda x: torch.tensor(1.0), r"returned shape \(\) for 3 rows"),
        (lambda x: {"ids": [1, 2, 3]}, "returned int for 3 rows; expected an array or tensor"),
        (lambda x: x.astype(str), "prepare: modality 'text' is text"),
    ],
)
def test_what_prepare_returns_is_checked(prepare: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        model_of(prepare={"text": prepare}).predict(random_batch(3))


def test_prepared_arrays_become_tensors_in_the_modules_dtype() -> None:
    (image, text), _ = recorded(
        batch_of({"image": np.zeros((2, 3)), "text": questions(2)}),
        prepare={"text": lambda column: np.array([[len(x)] for x in column], dtype=np.float64)},
    )
    assert text.dtype == torch.float32
    assert text.shape == (2, 1)
    assert image.dtype == torch.float32


def test_a_missing_modality_is_named() -> None:
    batch = batch_of({"image": np.zeros((2, 3, 8, 8))})
    with pytest.raises(BadInput, match="reads 'image', 'text', but the data has 'image': 'text' is missing"):
        model_of().predict(batch)


def test_which_output() -> None:
    batch, module = random_batch(3), module_of("tuple output")
    assert model_of(module, output=1).predict(batch).shape == (3, CLASSES)
    assert model_of(module, output=lambda found: found[1] * 2).predict(batch).shape == (3, CLASSES)
    assert model_of(module_of("dict output"), output="logits").predict(batch).shape == (3, CLASSES)
    with pytest.raises(
        ContractBroken, match="a tuple of 3, expected a tensor; say which of them is the output, as in output=0 "
    ):
        model_of(module).predict(batch)
    with pytest.raises(ContractBroken, match=r"'logits'\], expected a tensor; say which .* as in output='logits' \[c"):
        model_of(module_of("dict output")).predict(batch)


def test_an_output_that_is_an_attribute() -> None:
    class Found:
        def __init__(self, scores: Tensor) -> None:
            self.scores = scores

    class Attribute(Product):
        def forward(self, image: Tensor, text: Tensor) -> Any:
            return Found(super().forward(image, text))

    assert model_of(Attribute().eval(), output="scores").predict(random_batch(3)).shape == (3, CLASSES)
    with pytest.raises(ContractBroken, match="returned Found, expected a tensor"):
        model_of(Attribute().eval()).predict(random_batch(3))


@pytest.mark.parametrize(
    ("shaped", "n", "shape"),
    [
        (lambda z: z[:, 0], 3, (3, 1)),
        (lambda z: z[:, 0].squeeze(), 1, (1, 1)),
        (lambda z: z, 1, (1, CLASSES)),
    ],
)
def test_vectors_are_one_column(shaped: Any, n: int, shape: tuple[int, int]) -> None:
    assert model_of(output=shaped).predict(random_batch(n)).shape == shape


@pytest.mark.parametrize(
    ("shaped", "n", "message"),
    [
        (lambda z: z.squeeze(), 1, r"shape \(4,\) for 1 rows.*squeeze\(-1\)"),
        (lambda z: z[:2], 3, r"shape \(2, 4\) for 3 rows, expected \[3, k\]"),
        (lambda z: z[:, None], 3, r"shape \(3, 1, 4\)"),
    ],
)
def test_other_shapes_are_refused(shaped: Any, n: int, message: str) -> None:
    with pytest.raises(ContractBroken, match=message) as error:
        model_of(output=shaped).predict(random_batch(n))
    assert error.value.clause == "shape"


def test_arrays_may_be_read_only_and_are_never_changed() -> None:
    batch = random_batch(4)
    before = {name: x.copy() for name, x in batch.inputs.items()}
    for values in (*batch.inputs.values(), *batch.present.values()):
        values.flags.writeable = False
    model_of(module_of("in-place input")).predict(batch)
    model_of(module_of("mask"), absence="mask").predict(batch)
    assert all(np.array_equal(batch.inputs[name], x) for name, x in before.items())


def test_no_gradients() -> None:
    model = model_of()
    model.predict(random_batch(2))
    assert all(p.grad is None for p in model.module.parameters())
    assert torch.is_grad_enabled()


def test_fingerprint_tells_models_apart() -> None:
    base = model_of().fingerprint
    assert base == model_of(copy.deepcopy(module_of("product"))).fingerprint
    assert base == model_of(name="other", boundary="off").fingerprint, "neither name nor boundary changes outputs"

    weight, buffer = module_of("product"), module_of("product")
    with torch.no_grad():
        weight.head[0].bias[0] += 1e-6
        buffer.image[1].running_mean[0] += 1e-6
    slope = module_of("product")
    slope.head[1] = nn.LeakyReLU(0.1).eval()
    others = {
        "weight": model_of(weight),
        "buffer": model_of(buffer),
        "no tensor differs": model_of(slope),
        "class": model_of(module_of("in-place fusion")),
        "outputs": model_of(outputs="probabilities"),
        "order": model_of(modalities=("text", "image")),
        "call": model_of(call="keyword"),
        "absence": model_of(absence="mask"),
        "autocast": model_of(autocast="bfloat16"),
        "prepare": model_of(prepare={"text": lambda x: x}),
        "other prepare": model_of(prepare={"text": lambda x: x * 2}),
        "output": model_of(output=0),
        "given": model_of(fingerprint="mine"),
    }
    found = {name: other.fingerprint for name, other in others.items()}
    assert len({base, *found.values()}) == len(found) + 1, found


def test_fingerprint_reads_buffers_that_are_not_saved() -> None:
    class Scaled(Base):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.register_buffer("scale", torch.tensor(scale), persistent=False)

        def forward(self, image: Tensor, text: Tensor) -> Tensor:
            return self.head(self.image(image) * self.text(text)) * self.scale

    def made(scale: float) -> str:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return model_of(Scaled(scale).eval()).fingerprint

    assert made(1.0) == made(1.0) != made(2.0)


def test_fingerprint_of_all_sorts_of_tensors() -> None:
    module = nn.Module()
    for name, dtype in (("a", torch.bfloat16), ("b", torch.bool), ("c", torch.int8), ("d", torch.float64)):
        module.register_buffer(name, torch.ones(3, dtype=dtype))
    module.register_buffer("scalar", torch.tensor(2))
    module.register_buffer("empty", torch.zeros(0, 3))
    assert len(model_of(module.eval()).fingerprint) == 16
