"""A small CLIP of emoji, trained from nothing: drawings and names, in transformers, saved as a user would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from helpers.hf_cases import pil, tokenizers, transformers
from mmaudit import ArrayData, Task
from mmaudit.types import Array

PIXELS = 48
TOKENS = 24


def arrays(file: Path) -> dict[str, Array]:
    """The columns of emoji.npz."""
    with np.load(file, allow_pickle=False) as found:
        return {
            name: found[name] for name in ("image_twitter", "image_google", "text_name", "label", "classes", "split")
        }


def pairs(columns: dict[str, Array]) -> ArrayData:
    """Test emoji: find the name that a drawing by Twitter has."""
    rows = columns["split"] == 2
    texts = columns["text_name"][rows].astype(object)
    inputs = {"image": columns["image_twitter"][rows], "name": texts}
    classes = np.asarray(columns["classes"]).astype(str)
    groups = {"class": classes[columns["label"][rows]]}
    return ArrayData(inputs, np.arange(rows.sum()), Task.retrieval("image", "name"), groups=groups)


def train(columns: dict[str, Array], folder: Path, steps: int, batch: int = 128, seed: int = 0) -> Path:
    """Train on the drawings of both makers and their names, by the loss that CLIP has, and save model and processor."""
    torch.manual_seed(seed)
    rows = np.flatnonzero(columns["split"] == 0)
    names = [str(t) for t in columns["text_name"][rows]]
    processor = _processor(names)
    small = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2}
    marks = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.CLIPConfig(
        text_config={**small, **marks, "vocab_size": len(processor.tokenizer), "max_position_embeddings": TOKENS},
        vision_config={**small, "image_size": PIXELS, "patch_size": 8},
        projection_dim=64,
    )
    model = transformers.CLIPModel(config).train()
    sides = [torch.from_numpy(columns[f"image_{m}"][rows]) for m in ("twitter", "google")]
    tokens = processor.tokenizer(names, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
    mean, std = (
        torch.tensor(getattr(processor.image_processor, f"image_{k}")).reshape(3, 1, 1) for k in ("mean", "std")
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randperm(len(rows))[:batch]
        images = sides[int(torch.randint(2, ()))][chosen].permute(0, 3, 1, 2) / 255
        shift = torch.randint(-3, 4, (2,)).tolist()
        images = torch.roll(images, shift, dims=(2, 3)) * (0.8 + 0.4 * torch.rand(len(chosen), 3, 1, 1))
        out = model(
            pixel_values=(images - mean) / std,
            input_ids=tokens["input_ids"][chosen],
            attention_mask=tokens["attention_mask"][chosen],
            return_loss=True,
        )
        optimiser.zero_grad()
        out.loss.backward()
        optimiser.step()
        schedule.step()
    bars = transformers.utils.logging
    bars.disable_progress_bar()
    model.eval().save_pretrained(folder)
    bars.enable_progress_bar()
    processor.save_pretrained(folder)
    return folder


def _processor(names: list[str]) -> Any:
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    raw.normalizer = tokenizers.normalizers.Lowercase()
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = ["[PAD]", "[BOS]", "[EOS]", "[UNK]"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=1000, special_tokens=special, show_progress=False)
    raw.train_from_iterator(names, trainer)
    raw.post_processor = tokenizers.processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    marks = {"pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[EOS]", "unk_token": "[UNK]"}
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=TOKENS, **marks)
    size = {"size": {"shortest_edge": PIXELS}, "crop_size": {"height": PIXELS, "width": PIXELS}}
    return transformers.CLIPProcessor(pil("CLIPImageProcessor")(**size), words)
