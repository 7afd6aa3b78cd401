"""Folders with transformers models: nothing is fetched, nothing in them is run, nothing is drawn at random."""

from __future__ import annotations

import importlib
import json
import pickle
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import hf_cases as cases
from mmaudit.errors import BadInput, MissingExtra
from mmaudit.models.hf_files import load_pretrained
from mmaudit.models.hf_retrieval import TransformersRetriever

BOTH = ["image", "text"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cases.clip(tmp_path_factory.mktemp("hf") / "clip")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def changed(file: Path, **entries: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


class Marks:
    """Unpickling this writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_no_connection_is_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    # What a library might look for elsewhere.
    changed(folder / "config.json", _name_or_path="someone/model")
    changed(folder / "tokenizer_config.json", name_or_path="someone/model")
    assert TransformersRetriever(folder, BOTH).modalities == ("image", "text")
    for name in ("someone/model", "openai/clip-vit-base-patch32", str(folder / "missing")):
        with pytest.raises(BadInput, match="is not a folder here, and mmaudit downloads nothing"):
            load_pretrained(name)


def test_pickled_weights_need_trust(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    before = TransformersRetriever(folder, BOTH).fingerprint
    marked = tmp_path / "ran"
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Marks(marked)))
    assert TransformersRetriever(folder, BOTH).fingerprint == before  # beside safetensors it is not looked at
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"expected weights as safetensors, found only 'pytorch_model.bin'"):
        load_pretrained(folder)
    assert not marked.exists()
    torch.save(weights, folder / "pytorch_model.bin")
    assert TransformersRetriever(folder, BOTH, trust=True).fingerprint == before


def test_code_in_the_folder_needs_trust(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamic = importlib.import_module("transformers.dynamic_module_utils")
    monkeypatch.setattr(dynamic, "HF_MODULES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    marked = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(marked)!r}, 'w').close()\nclass Own: pass\nclass OwnConfig: pass\n")
    classes = {"AutoModel": "own.Own", "AutoConfig": "own.OwnConfig", "AutoProcessor": "own.Own"}
    for file in ("config.json", "processor_config.json", "tokenizer_config.json"):
        changed(folder / file, auto_map={**classes, "AutoTokenizer": ["own.Own", "own.Own"]})
    load_pretrained(folder)  # transformers has these classes itself
    changed(folder / "config.json", architectures=["Own"])
    with pytest.raises(BadInput, match=r"names the class 'Own', which transformers .* say trust=True"):
        load_pretrained(folder)
    changed(folder / "config.json", architectures=None, model_type="own")
    with pytest.raises(BadInput, match=r"say trust=True"):
        load_pretrained(folder)
    assert not marked.exists()
    with pytest.raises(BadInput, match="cannot be loaded"):  # it runs, and what it defines is no model
        load_pretrained(folder, trust=True)
    assert marked.exists()


@pytest.mark.parametrize("name", ["os", "AutoTokenizer", "pipeline", "CLIPConfig", "__builtins__", 3, "a b"])
def test_only_models_of_the_library_are_classes(folder: Path, name: Any) -> None:
    changed(folder / "config.json", architectures=[name])
    with pytest.raises(BadInput, match="names the class"):
        load_pretrained(folder)


def test_attention_code_is_not_fetched(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for place in (config, config["text_config"]):
        place["_attn_implementation"] = "someone/kernel"
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(BadInput, match="attention code to be fetched from elsewhere, 'someone/kernel'"):
            load_pretrained(folder)
        del place["_attn_implementation"]


def test_weights_that_do_not_fit_are_not_drawn_at_random(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    first = sorted(weights)[3]
    save_file({k: v for k, v in weights.items() if k != first}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match=f"lack 1, such as '{first}'. They would be drawn at random"):
        load_pretrained(folder)
    other = {**weights, "visual_projection.weight": torch.zeros(9, 16)}
    save_file(other, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match=r"cannot be loaded|have another shape"):
        load_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_pretrained(folder)


def test_shards_lie_in_the_folder(folder: Path) -> None:
    index = {"metadata": {}, "weight_map": {"logit_scale": "../../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadInput, match=r"names a file elsewhere: '../../elsewhere.safetensors'"):
        load_pretrained(folder)


@pytest.mark.parametrize("content", ["", "[1]", "{", "[" * 100_000, "\x00"])
def test_damaged_configurations(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(BadInput, match=r"config.json' is"):
        load_pretrained(folder)


@pytest.mark.parametrize("limit", ["40", [40], True, 0, -1, float("nan")])
def test_a_limit_of_tokens_that_is_no_number(folder: Path, limit: object) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": limit}))
    with pytest.raises(BadInput, match=r"model_max_length|cannot be loaded"):
        TransformersRetriever(folder, BOTH)


def test_what_is_missing_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BadInput, match="merge the two first"):
        load_pretrained(folder)
    (folder / "adapter_config.json").unlink()
    (folder / "config.json").unlink()
    with pytest.raises(BadInput, match=r"has no config.json"):
        load_pretrained(folder)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mmaudit\[transformers\]'"):
        load_pretrained(folder)


def test_stored_and_other_precision(folder: Path) -> None:
    assert load_pretrained(folder).model.dtype == torch.float32
    half = TransformersRetriever(folder, BOTH, dtype="bfloat16")
    whole = TransformersRetriever(folder, BOTH)
    assert half.fingerprint != whole.fingerprint
    assert half.tolerance > whole.tolerance
    batch = cases.batch_of({"image": cases.images(4), "text": cases.texts(4)})
    near = [m.encode("image", batch) for m in (half, whole)]
    assert near[0].dtype == np.float32
    assert near[0] == pytest.approx(near[1], abs=0.05)
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_pretrained(folder, dtype="float33")
