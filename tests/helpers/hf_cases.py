"""Tiny, randomly initialised transformers models of each family, saved as a user's would be. No download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmaudit.types import Array, Batch

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = [
    "a",
    "an",
    "red",
    "green",
    "blue",
    "round",
    "square",
    "thing",
    "photo",
    "of",
    "sound",
    "dog",
    "cat",
    "bell",
    "yes",
    "no",
    "is",
    "it",
    "what",
    "colour",
    "shape",
    "the",
]
SPECIAL = ("[PAD]", "[BOS]", "[EOS]", "[UNK]", "<image>")


def tokenizer(length: int, *, first: bool = True, last: bool = True) -> Any:
    """A word tokenizer; `first` and `last` add the marks around a text that encoders expect."""
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    pattern = " ".join([*["[BOS]"] * first, "$A", *["[EOS]"] * last])
    raw.post_processor = tokenizers.processors.TemplateProcessing(
        single=pattern, special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        model_max_length=length,
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        unk_token="[UNK]",
        additional_special_tokens=["<image>"],
    )


def pil(name: str) -> Any:
    """The image processor that needs no torchvision: `…Pil` since transformers 5, the plain name before."""
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


def _seeded(kind: Any, config: Any) -> Any:
    """A model whose weights are large enough for outputs to move with every input."""
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn_like(weight) * (0.5 if "embed" in name else weight.shape[-1] ** -0.5))
    return model


def _save(folder: Path, model: Any, processor: Any) -> Path:
    bars = transformers.utils.logging
    bars.disable_progress_bar()
    model.save_pretrained(folder)
    bars.enable_progress_bar()
    processor.save_pretrained(folder)
    return folder


_SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def _vision(size: int = 16) -> dict[str, Any]:
    return {**_SMALL, "image_size": size, "patch_size": 8}


def clip(folder: Path) -> Path:
    """CLIP: images of 16×16 from anything, texts of at most 12 tokens."""
    text = {**_SMALL, "vocab_size": 30, "max_position_embeddings": 12, "eos_token_id": 2, "bos_token_id": 1}
    config = transformers.CLIPConfig(text_config=text, vision_config=_vision(), projection_dim=8)
    size = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    processor = transformers.CLIPProcessor(pil("CLIPImageProcessor")(**size), tokenizer(77))
    return _save(folder, _seeded(transformers.CLIPModel, config), processor)


def siglip(folder: Path) -> Path:
    """SigLIP: with its bias, texts padded to 10 tokens as it was trained."""
    text = {**_SMALL, "vocab_size": 30, "max_position_embeddings": 10, "projection_size": 16}
    config = transformers.SiglipConfig(text_config=text, vision_config=_vision())
    model = _seeded(transformers.SiglipModel, config)
    with torch.no_grad():
        model.logit_scale.fill_(2.3)
        model.logit_bias.fill_(-4.5)
    images = pil("SiglipImageProcessor")(size={"height": 16, "width": 16})
    return _save(folder, model, transformers.SiglipProcessor(images, tokenizer(10, first=False)))


def clap(folder: Path, truncation: str = "rand_trunc") -> Path:
    """CLAP: one second at 8 kHz."""
    text = {**_SMALL, "vocab_size": 30, "max_position_embeddings": 20, "pad_token_id": 0, "projection_dim": 8}
    audio = {
        "window_size": 4, "num_mel_bins": 64, "spec_size": 64, "patch_size": 4, "patch_stride": [4, 4],
        "hidden_size": 16, "patch_embeds_hidden_size": 8, "patch_embed_input_channels": 1, "depths": [1, 1],
        "num_attention_heads": [2, 2], "num_hidden_layers": 2, "projection_dim": 8, "num_classes": 2,
        "enable_fusion": truncation == "fusion",
    }  # fmt: skip
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=8)
    extractor = transformers.ClapFeatureExtractor(
        feature_size=64, sampling_rate=8000, hop_length=160, max_length_s=1, fft_window_size=256, frequency_max=4000,
        truncation=truncation,
    )  # fmt: skip
    processor = transformers.ClapProcessor(extractor, tokenizer(16))
    model = _seeded(transformers.ClapModel, config)
    with torch.no_grad():
        model.logit_scale_a.fill_(2.0)
        model.logit_scale_t.fill_(3.0)
    return _save(folder, model, processor)


def vilt(folder: Path, classes: int = 3, patches: int = -1) -> Path:
    """ViLT that answers questions: patches of 8, images of at least 32 on the shorter edge."""
    config = transformers.ViltConfig(
        **_SMALL, vocab_size=30, max_position_embeddings=16, image_size=32, patch_size=8, num_labels=classes,
        max_image_length=patches, type_vocab_size=2,
    )  # fmt: skip
    images = pil("ViltImageProcessor")(size={"shortest_edge": 32}, size_divisor=8)
    processor = transformers.ViltProcessor(images, tokenizer(16))
    return _save(folder, _seeded(transformers.ViltForQuestionAnswering, config), processor)


def llava(folder: Path) -> Path:
    """LLaVA: a CLIP vision tower before a Llama, four image tokens per image."""
    text = transformers.LlamaConfig(
        **_SMALL, num_key_value_heads=2, vocab_size=30, max_position_embeddings=64, bos_token_id=1, eos_token_id=2
    )
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**_vision()), text_config=text, image_token_index=4,
        image_seq_length=4,
    )  # fmt: skip
    size = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    processor = transformers.LlavaProcessor(
        pil("CLIPImageProcessor")(**size), tokenizer(64, last=False), patch_size=8, num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
    )  # fmt: skip
    return _save(folder, _seeded(transformers.LlavaForConditionalGeneration, config), processor)


def taken_apart(folder: Path, kind: str = "AutoModel") -> tuple[Any, Any]:
    """The model and the processor as a user without mmaudit loads them."""
    bars = transformers.utils.logging
    bars.disable_progress_bar()
    model = getattr(transformers, kind).from_pretrained(folder, local_files_only=True).eval()
    bars.enable_progress_bar()
    newer = int(transformers.__version__.split(".")[0]) >= 5
    options = {"backend": "pil"} if newer else {"use_fast": False}
    return model, transformers.AutoProcessor.from_pretrained(folder, local_files_only=True, **options)


def images(n: int, size: tuple[int, int] = (20, 24), seed: int = 0) -> Array:
    """Pictures with structure: a random colour, and a rectangle of another."""
    rng = np.random.default_rng(seed)
    made = np.empty((n, *size, 3), np.uint8)
    made[:] = rng.integers(0, 256, (n, 1, 1, 3))
    for row in made:
        top, left = rng.integers(0, np.array(size) - 8)
        row[top : top + 8, left : left + 8] = rng.integers(0, 256, 3)
    return made


def texts(n: int, seed: int = 0) -> Array:
    """Word salads of one to eight words."""
    rng = np.random.default_rng(seed)
    made = np.empty(n, object)
    made[:] = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(n)]
    return made


def sounds(n: int, length: int = 6000, seed: int = 0) -> Array:
    """Tones at 8 kHz with a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(length) / 8000
    tones = np.sin(2 * np.pi * rng.uniform(100, 3000, (n, 1)) * time) * rng.uniform(0.1, 0.9, (n, 1))
    return (tones + 0.01 * rng.standard_normal((n, length))).astype(np.float32)


def batch_of(inputs: dict[str, Array], target: Array | None = None) -> Batch:
    """A batch of these columns, all present."""
    n = len(next(iter(inputs.values())))
    rows = np.arange(n)
    return Batch(inputs, {m: np.ones(n, np.bool_) for m in inputs}, rows if target is None else target, rows, rows)
