"""Lightning modules: as torch modules, and from the checkpoints that Lightning's own Trainer writes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.architectures import CLASSES
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models import TorchModel, check_model, load_lightning, load_model
from mmaudit.types import Task
from model_cases import (
    one_thread,  # noqa: F401  (a fixture)
    random_batch,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lightning = pytest.importorskip("lightning")

NAMES = ("image", "text")


class Net(lightning.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self, width: int, rate: float = 0.1, extra: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.image = nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU())
        self.text = nn.Linear(5, width)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(width, CLASSES))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        out: Tensor = self.head(self.image(image) * self.text(text))
        return out

    def training_step(self, batch: Any, _: int) -> Tensor:
        image, text, target = batch
        return nn.functional.cross_entropy(self(image, text), target)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.hparams.rate)


class Configured(lightning.LightningModule):  # type: ignore[misc, name-defined]
    """A module that takes all its settings as one mapping, and makes its layers when Lightning asks for them."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters(config)

    def configure_model(self) -> None:
        self.layer = nn.Linear(self.hparams.inputs, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out

    def training_step(self, batch: Any, _: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.hparams.rate)


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


class Settings:
    """What a user may keep among the settings: an object of a class of their own."""

    depth = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Net, Path]:
    """Two steps of training by the Trainer, and the checkpoint that it writes."""
    of = random_batch(8).inputs
    rows = [(of["image"][i], of["text"][i], i % CLASSES) for i in range(8)]
    torch.manual_seed(0)
    net = Net(width=7, rate=0.05)
    return net, fitted(net, rows, tmp_path_factory.mktemp("lightning"))


def fitted(net: Any, rows: Any, folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_steps=2,
            accelerator="cpu",
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(net, torch.utils.data.DataLoader(rows, batch_size=4))
        trainer.save_checkpoint(folder / "net.ckpt")
    net.eval()
    return folder / "net.ckpt"


def test_a_checkpoint_gives_the_trained_module(trained: tuple[Net, Path]) -> None:
    net, path = trained
    loaded = load_lightning(Net, path)
    assert loaded.hparams.width == 7
    assert not loaded.training
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Net.load_from_checkpoint(path, map_location="cpu").eval()
    of = random_batch(6)
    values = [TorchModel(m, NAMES, outputs="logits", device="cpu").predict(of) for m in (net, loaded, theirs)]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])


def test_it_is_a_torch_module_like_any_other(trained: tuple[Net, Path]) -> None:
    net, path = trained
    model = TorchModel(load_lightning(Net, path), NAMES, outputs="logits", device="cpu")
    checks = check_model(model, random_batch(), Task.classification(CLASSES))
    assert not [c for c in checks if c.ok is False]
    assert [c.ok for c in checks if c.clause == "two stages"] == [True]
    assert model.fingerprint == TorchModel(net, NAMES, outputs="logits", device="cpu").fingerprint
    with pytest.raises(ContractBroken, match="training mode"):
        TorchModel(load_lightning(Net, path).train(), NAMES, outputs="logits", device="cpu")


def test_settings_by_name_win(trained: tuple[Net, Path]) -> None:
    loaded = load_lightning(Net, trained[1], rate=0.7)
    assert (loaded.hparams.width, loaded.hparams.rate) == (7, 0.7)
    with pytest.raises(BadInput, match="does not fit Net"):
        load_lightning(Net, trained[1], width=8)
    with pytest.raises(BadInput, match=r"raised TypeError: .*unknown"):
        load_lightning(Net, trained[1], unknown=1)


def test_settings_saved_as_one_mapping_come_back_as_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Configured({"inputs": 4, "rate": 0.1})
    rows = [(torch.randn(4), i % CLASSES) for i in range(8)]
    path = fitted(net, rows, tmp_path)
    assert "layer.weight" not in Configured({"inputs": 4}).state_dict()
    loaded = load_lightning(Configured, path)
    assert dict(loaded.hparams) == {"inputs": 4, "rate": 0.1}
    assert torch.equal(loaded.layer.weight, net.layer.weight)
    with pytest.raises(BadInput, match="does not fit Configured"):
        load_lightning(Configured, path, config={"inputs": 5, "rate": 0.1})


def test_nothing_is_run_unless_trusted(trained: tuple[Net, Path], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    content = torch.load(trained[1], weights_only=True)
    for held in (Evil(), Settings()):
        content["hyper_parameters"]["extra"] = held
        torch.save(content, "held.ckpt")
        with pytest.raises(BadInput, match="holds Python objects"):
            load_lightning(Net, "held.ckpt")
        assert not Path("ran").exists()
    assert load_lightning(Net, "held.ckpt", trust=True).hparams.extra.depth == 3


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    torch.save([1], tmp_path / "list.ckpt")
    torch.save({"state_dict": {"w": 1}}, tmp_path / "numbers.ckpt")
    torch.save({"w": torch.ones(1)}, tmp_path / "bare.ckpt")
    (tmp_path / "damaged.ckpt").write_bytes(b"PK\x03\x04")
    said = {"list": "holds list", "numbers": "no state_dict", "bare": "no state_dict", "damaged": "is damaged"}
    for name, message in (said | {"none": "does not exist"}).items():
        with pytest.raises(BadInput, match=message):
            load_lightning(Net, tmp_path / f"{name}.ckpt")
    with pytest.raises(BadInput, match="no class of modules"):
        load_lightning(dict, tmp_path / "list.ckpt")  # type: ignore[type-var]
    with pytest.raises(BadInput, match="load_lightning"):
        load_model(str(tmp_path / "list.ckpt"), modalities=NAMES)
