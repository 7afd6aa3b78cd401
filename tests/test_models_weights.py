"""Files of weights and of whole modules: what they run, what they need, and how they can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from helpers.architectures import CLASSES
from mmaudit.errors import BadInput
from mmaudit.models import (
    TorchModel,
    load_factory,
    load_model,
    load_module,
    load_weights,
)
from model_cases import (
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    random_batch,
)

NAMES = ("image", "text")


def saved(folder: Path, name: str, content: Any) -> Path:
    torch.save(content, folder / name)
    return folder / name


def changed() -> nn.Module:
    module = module_of("product")
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.5)
    return module


@pytest.mark.parametrize(
    "save",
    [
        lambda folder, state: saved(folder, "w.pt", state),
        lambda folder, state: saved(folder, "w.ckpt", {"state_dict": state, "epoch": 3}),
        lambda folder, state: saved(folder, "w.bin", {"model_state_dict": state}),
        lambda folder, state: safetensors.torch.save_file(state, folder / "w.safetensors") or folder / "w.safetensors",
    ],
)
def test_weights(tmp_path: Path, save: Callable[[Path, Any], Path]) -> None:
    path = save(tmp_path, changed().state_dict())
    module = module_of("product").train()
    assert load_weights(module, path) is module
    assert not module.training
    assert all((p == 0.5).all() for p in module.parameters())


class Tied(nn.Module):
    """A language model's embedding, used again as its last layer, unless told otherwise."""

    def __init__(self, *, tied: bool = True) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
        if tied:
            self.head.weight = self.embedding.weight


def test_of_tied_weights_a_file_may_name_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    wanted = Tied()
    safetensors.torch.save_model(wanted, str(path))
    assert len(safetensors.torch.load_file(path)) == 1
    loaded = load_weights(Tied(), path)
    assert torch.equal(loaded.get_parameter("head.weight"), wanted.embedding.weight)
    assert torch.equal(loaded.get_parameter("embedding.weight"), wanted.embedding.weight)
    with pytest.raises(BadInput, match=r"missing (head|embedding)\.weight, not expected nothing"):
        load_weights(Tied(tied=False), path)


class Payload:
    """What a hostile file may hold: unpickling it would call a function."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("pwned"),))


def test_weights_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (Payload(), {"state_dict": Payload()}, module_of("product")):
        path = saved(tmp_path, "w.pt", content)
        with pytest.raises(BadInput, match=r"cannot be read as tensors alone.*Save model.state_dict\(\)"):
            load_weights(module_of("product"), path)
        with pytest.raises(BadInput, match=r"opening one can run any code.*--trust"):
            load_factory(str(path))
    assert not Path("pwned").exists()


def test_weights_that_cannot_be_read(tmp_path: Path) -> None:
    module = module_of("product")
    with pytest.raises(BadInput, match="does not exist"):
        load_weights(module, tmp_path / "none.pt")
    (tmp_path / "cut.safetensors").write_bytes(safetensors.torch.save(module.state_dict())[:200])
    with pytest.raises(BadInput, match="are damaged or no safetensors file"):
        load_weights(module, tmp_path / "cut.safetensors")
    good = saved(tmp_path, "w.pt", module.state_dict())
    (tmp_path / "cut.pt").write_bytes(good.read_bytes()[:500])
    with pytest.raises(BadInput, match="cannot be read as tensors alone"):
        load_weights(module, tmp_path / "cut.pt")
    with pytest.raises(BadInput, match="hold list, not a state dict"):
        load_weights(module, saved(tmp_path, "list.pt", [1, 2]))
    with pytest.raises(BadInput, match="hold the keys epoch, best, not a state dict"):
        load_weights(module, saved(tmp_path, "keys.pt", {"epoch": 1, "best": 2}))


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    state = module_of("product").state_dict()
    prefixed = saved(tmp_path, "p.pt", {f"module.{key}": value for key, value in state.items()})
    with pytest.raises(BadInput, match=r"missing image.0.weight, .* more, not expected module.image.0.weight.*prefix"):
        load_weights(module_of("product"), prefixed)
    smaller = saved(tmp_path, "s.pt", state | {"head.2.weight": torch.zeros(2, 16)})
    with pytest.raises(BadInput, match=r"do not fit Product: size mismatch for head\.2\.weight"):
        load_weights(module_of("product"), smaller)


def test_whole_modules_only_with_trust(tmp_path: Path) -> None:
    batch = random_batch(3)
    expected = TorchModel(module_of("product"), NAMES, outputs="logits", device="cpu").predict(batch)
    example = tuple(torch.from_numpy(batch.inputs[name]) for name in NAMES)
    pickled = saved(tmp_path, "model.pt", module_of("product").train())
    exported = tmp_path / "model.pt2"
    rows = torch.export.Dim("rows")
    torch.export.save(
        torch.export.export(module_of("product"), example, dynamic_shapes=({0: rows}, {0: rows})), str(exported)
    )
    for path in (pickled, exported):
        with pytest.raises(BadInput, match=r"holds a whole module.*Safer"):
            load_module(path)
        with pytest.raises(BadInput, match="holds a whole module"):
            load_factory(str(path))
        module = load_factory(str(path), trust=True)
        model = TorchModel(module, NAMES, outputs="logits", device="cpu")
        np.testing.assert_allclose(model.predict(batch), expected, rtol=1e-5, atol=1e-6)
        named = load_model(str(path), modalities=NAMES[::-1], outputs="logits", trust=True)
        np.testing.assert_allclose(named.predict(batch), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")
def test_torchscript_only_with_trust(tmp_path: Path) -> None:
    batch = random_batch(3)
    path = tmp_path / "model.pt"
    example = tuple(torch.from_numpy(batch.inputs[name]) for name in NAMES)
    torch.jit.trace(module_of("product"), example).save(str(path))
    with pytest.raises(BadInput, match="holds a whole module"):
        load_module(path)
    model = load_model(str(path), modalities=NAMES[::-1], outputs="logits", trust=True)
    expected = TorchModel(module_of("product"), NAMES, outputs="logits", device="cpu")
    np.testing.assert_allclose(model.predict(batch), expected.predict(batch), rtol=1e-5, atol=1e-6)
    assert model.stage(batch)[0] is None
    assert len(model.fingerprint) == 16
    assert model.predict(batch).shape == (3, CLASSES)


def test_files_that_hold_no_module(tmp_path: Path) -> None:
    state = saved(tmp_path, "state.pt", module_of("product").state_dict())
    with pytest.raises(BadInput, match="holds a state dict, not a module"):
        load_module(state, trust=True)
    with pytest.raises(BadInput, match="holds list, not a module"):
        load_module(saved(tmp_path, "list.pt", [1]), trust=True)
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_module(tmp_path / "text.pt", trust=True)
