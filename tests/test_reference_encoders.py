"""Default encoders: trained as one batched model, of the widths they promise, and able to learn real data."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from helpers import real_data
from mmaudit import ArrayData, Modality, Task
from mmaudit.errors import BadInput
from mmaudit.reference.encoders import encoder
from mmaudit.reference.inputs import Inputs

SHAPES = [
    (1,), (7,), (1, 1), (2, 5), (3, 128), (1, 4, 4), (3, 32, 32), (1, 28, 28), (1, 40, 61), (5, 4, 50), (4, 1, 9),
    (2, 9, 8),
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(shape: tuple[int, ...], seed: int = 0, width: int = 8, projection: str = "linear") -> nn.Module:
    torch.manual_seed(seed)
    return encoder(shape, width, projection)[0]()  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_are_encoded_each_by_itself(shape: tuple[int, ...]) -> None:
    module = made(shape)
    x = torch.randn(6, *shape, generator=torch.Generator().manual_seed(1))
    whole = module(x)
    assert whole.shape == (6, 8)
    assert torch.allclose(whole[2:3], module(x[2:3]), atol=1e-6)
    assert torch.isfinite(module(torch.zeros(2, *shape))).all()


TRAINED = [(s, "linear") for s in SHAPES] + [((7,), "mlp"), ((7,), "none")]


@pytest.mark.parametrize(("shape", "projection"), TRAINED, ids=str)
def test_gradients_of_stacked_trials_are_those_of_each_alone(shape: tuple[int, ...], projection: str) -> None:
    heads = [nn.Sequential(made(shape, k, 8, projection), nn.LazyLinear(2)) for k in range(3)]
    x = torch.randn(3, 5, *shape, generator=torch.Generator().manual_seed(1))
    for k, head in enumerate(heads):
        head(x[k])
    parameters, buffers = stack_module_state(heads)
    assert not buffers
    base = copy.deepcopy(heads[0])

    def loss(p: dict[str, Tensor], rows: Tensor) -> Tensor:
        out: Tensor = functional_call(base, (p, {}), (rows,))
        return out.square().mean()

    together = vmap(grad(loss))(parameters, x)
    for k, head in enumerate(heads):
        alone = grad(loss)({name: p.detach() for name, p in head.named_parameters()}, x[k])
        for name, gradient in alone.items():
            assert torch.allclose(together[name][k], gradient, atol=1e-5, rtol=1e-4), name
            assert gradient.abs().sum() > 0 or projection == "mlp", name


def test_widths_are_told_before_anything_is_built() -> None:
    assert [encoder((5,), 8, p)[1] for p in ("linear", "mlp", "none")] == [8, 8, 5]
    for shape in SHAPES:
        factory, width = encoder(shape, 12)
        assert factory()(torch.zeros(2, *shape)).shape == (2, width)


@pytest.mark.parametrize(
    ("shape", "width", "projection", "message"),
    [
        ((3,), 8, "cubic", "projection is 'cubic'; expected one of linear, mlp, none"),
        ((3,), 0, "linear", "width is 0"),
        ((1, 2, 3, 4), 8, "linear", r"shape \[1, 2, 3, 4\] have no default encoder"),
    ],
)
def test_bad_arguments(shape: tuple[int, ...], width: int, projection: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        encoder(shape, width, projection)  # type: ignore[arg-type]


# ---- learning real data


def parts(name: str, column: str, modality: Modality, label: str = "label", rows: int = 400) -> tuple[ArrayData, ...]:
    found = []
    for split in (real_data.TRAIN[name], real_data.TEST[name]):
        data = real_data.columns(name, (column, label), split, rows)
        target = data[label].astype(np.int64)
        task = Task.classification(10 if name != "clothing" else 2)
        kinds = {modality.name: modality.kind} if modality.kind in ("tabular", "embedding") else None
        given = None if kinds or modality.kind == "text" else [modality]
        found.append(ArrayData({modality.name: data[column]}, target, task, modalities=given, kinds=kinds))
    return tuple(found)


def learned(train: ArrayData, test: ArrayData, epochs: int, rate: float = 2e-3) -> float:
    """Balanced accuracy on the test rows of a default encoder with a linear head."""
    (name,) = (m.name for m in train.modalities)
    inputs = Inputs.fit(train, np.arange(len(train)), width=32)
    x, _ = inputs.read(train, np.arange(len(train)))
    target = torch.from_numpy(train.target)
    torch.manual_seed(0)
    model = nn.Sequential(inputs.encoders[name](), nn.ReLU(), nn.Linear(32, train.task.width))
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-2)
    share = torch.bincount(target, minlength=train.task.width).float()
    for _ in range(epochs):
        for rows in torch.randperm(len(target)).split(32):
            loss = functional.cross_entropy(model(x[name][rows]), target[rows], weight=(1 / share.clamp(min=1)))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        guess = model(inputs.read(test, np.arange(len(test)))[0][name]).argmax(1).numpy()
    return float(np.mean([np.mean(guess[test.target == k] == k) for k in np.unique(test.target)]))


CASES = {
    "image": ("avmnist", "image", Modality("x", "image", layout="HW", range=(0, 255)), 4, 0.8),
    "drawing": ("emoji", "image_twitter", Modality("x", "image", layout="HWC", range=(0, 255)), 6, 0.35),
    "waveform": ("avmnist", "audio", Modality("x", "audio", sample_rate=8000), 8, 0.8),
    "text": ("emoji", "text_name", Modality("x", "text", dtype="str"), 6, 0.45),
    "review": ("clothing", "text", Modality("x", "text", dtype="str"), 4, 0.68),
    "table": ("mfeat", "zer", Modality("x", "tabular"), 12, 0.65),
    "embedding": ("clothing", "text_emb", Modality("x", "embedding"), 4, 0.68),
}  # chance: 0.1, of emoji's nine classes 0.11, of clothing 0.5


def test_short_series_of_several_channels_are_learned() -> None:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    rows = [x[:400], x[1200:]]
    described = [Modality("x", "series", layout="TC")]
    given = [
        ArrayData({"x": r.reshape(-1, 8, 8).astype(np.float32)}, t, Task.classification(10), modalities=described)
        for r, t in zip(rows, [y[:400], y[1200:]], strict=True)
    ]
    assert learned(given[0], given[1], 8) > 0.8


def test_oscillations_in_long_series_are_not_averaged_away() -> None:
    rng = np.random.default_rng(0)
    target = np.arange(240) % 2
    loud = (np.arange(1000) < 500) == (target == 0)[:, None]
    x = rng.normal(size=(240, 1000)) * np.where(loud, 3, 1)
    train, test = (
        ArrayData({"x": x[rows]}, target[rows], Task.classification(2), modalities=[Modality("x", "series")])
        for rows in (slice(160), slice(160, None))
    )
    assert learned(train, test, 3) > 0.95


@pytest.mark.parametrize("case", CASES)
def test_real_data_is_learned(case: str) -> None:
    name, column, modality, epochs, least = CASES[case]
    found = learned(*parts(name, column, modality), epochs)
    print(f"{case}: {found:.3f}")
    assert found > least
