"""What an audit costs beyond bare forward passes on a GPU: python benchmarks/gpu_overhead.py

A two-tower model with random weights: a ResNet-50 (He et al. 2016, written out here) over images of 224 × 224, uint8,
and a transformer of 6 layers of 512 over 64 tokens; a small fusion. Two sides, in turns, the same number of batches:

    bare      batches of the same tensors, pinned, moved and sent through the module one after the other, answers back
    audit     `predict` under clean, the control, missing modalities, and corruptions of both, run whole
              (`boundary="off"`), so that both sides make the same forward passes

Ratio = time of the audit ÷ (passes of the audit × time of a bare pass). Everything is on the audit's side: reading,
corrupting, proving, digesting, transfers, checks, writing. Target on a GPU: at most 1.10. `waiting` is the share of the
audit in which the model had nothing to do; `device` the share in which the GPU computed, by its own clock.

Without a GPU it says so and runs on the CPU with small images, to show that it works; then no target is judged.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import mmaudit
from mmaudit.auditing import prepare
from mmaudit.predict import predict
from mmaudit.threads import workers

TARGET = 1.10
SUITE = {
    "name": "gpu",
    "probes": ["missing", "image.gaussian_blur", "image.brightness", "image.contrast", "image.pixelate"],
    "positions": [1, 3, 5],
    "baselines": ["zero"],
}
TOKENS, VOCABULARY, CLASSES = 64, 30_000, 100


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3, 1 × 1 convolutions around a shortcut."""

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        outside = 4 * width
        self.path = nn.Sequential(
            *(nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, outside, 1, bias=False), nn.BatchNorm2d(outside)),
        )
        same = inside == outside and stride == 1
        projection = [nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)]
        self.shortcut = nn.Identity() if same else nn.Sequential(*projection)

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        return torch.relu(self.path(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    """Fifty layers, 2,048 features; 25.6 million weights with the head that is left out here."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    inside = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(blocks):
            layers.append(Bottleneck(inside, width, 2 if stage and not block else 1))
            inside = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class TwoTowers(nn.Module):
    """ResNet-50 over pixels, a transformer over tokens, and a small fusion."""

    def __init__(self) -> None:
        super().__init__()
        self.image = resnet50()
        self.embedding = nn.Embedding(VOCABULARY, 512)
        layer = nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True, norm_first=True)
        self.text = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.fusion = nn.Sequential(nn.Linear(2048 + 512, 512), nn.ReLU(), nn.Linear(512, CLASSES))

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        """Logits from uint8 [n, H, W, 3] and int64 [n, 64]."""
        pixels = image.permute(0, 3, 1, 2).float().div(127.5).sub(1)
        read = self.text(self.embedding(tokens)).mean(1)
        logits: Tensor = self.fusion(torch.cat([self.image(pixels), read], 1))
        return logits


def samples(rows: int, size: int) -> mmaudit.ArrayData:
    """Smooth random images and random texts of digits, which are their own tokens."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (rows, size // 8, size // 8, 3), np.uint8)
    image = coarse.repeat(8, 1).repeat(8, 2)
    text = np.array([" ".join(map(str, rng.integers(0, VOCABULARY, TOKENS))) for _ in range(rows)], object)
    target = rng.integers(0, CLASSES, rows)
    return mmaudit.ArrayData({"image": image, "tokens": text}, target, mmaudit.Task.classification(CLASSES))


def tokenise(texts: Any) -> Tensor:
    """Numbers of the words, 0 where there are none."""
    ids = np.zeros((len(texts), TOKENS), np.int64)
    for row, text in enumerate(texts):
        words = [int(word) % VOCABULARY if word.isdecimal() else 1 for word in text.split()[:TOKENS]]
        ids[row, : len(words)] = words
    return torch.from_numpy(ids)


def bare(model: mmaudit.TorchModel, data: mmaudit.ArrayData, rows: int, passes: int) -> float:
    """Seconds per forward pass of a loop written by hand, its tensors made beforehand."""
    batch = data.rows(np.arange(rows))
    image, tokens = torch.from_numpy(np.array(batch.inputs["image"])), tokenise(batch.inputs["tokens"])
    if model.device.type == "cuda":
        image, tokens = image.pin_memory(), tokens.pin_memory()
    begin = time.perf_counter()
    with model.session():
        for _ in range(passes):
            there = [x.to(model.device, non_blocking=True) for x in (image, tokens)]
            model.module(*there).float().cpu().numpy()
    return (time.perf_counter() - begin) / passes


def main() -> int:
    """Print ratios and machine; return 1 where a GPU misses the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="of data; 8 batches without")
    parser.add_argument("--batch-rows", type=int, help="256 on a GPU, 8 on the CPU")
    parser.add_argument("--size", type=int, help="of images; 224 on a GPU, 64 on the CPU")
    parser.add_argument("--autocast", choices=("none", "bfloat16", "float16"), default="bfloat16")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    on_gpu = torch.cuda.is_available()
    rows, size = asked.batch_rows or (256 if on_gpu else 8), asked.size or (224 if on_gpu else 64)
    data = samples(asked.rows or 8 * rows if on_gpu else asked.rows or 2 * rows, size)
    torch.manual_seed(0)
    autocast: Any = None if asked.autocast == "none" else asked.autocast
    model = mmaudit.TorchModel(
        *(TwoTowers().eval(), ["image", "tokens"]),
        outputs="logits",
        prepare={"tokens": tokenise},
        autocast=autocast,
        boundary="off",
    )
    prepared = prepare(model, data, suite=SUITE)
    conditions = len(prepared.plan.conditions)
    passes = conditions * -(-len(data) // rows)
    bare(model, data, rows, 3)
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        for repetition in range(asked.repeats):
            before = bare(model, data, rows, max(3, passes // 4))
            run = prepared.open_run(Path(place) / str(repetition), batch_rows=rows, title=None, command="")
            timing = predict(run, data, prepared.model, prepared.source, batch_rows=rows)
            after = bare(model, data, rows, max(3, passes // 4))
            ratios.append(timing.total / (passes * (before + after) / 2))
            print(
                f"  {ratios[-1]:.3f}  bare {1000 * (before + after) / 2:.1f} ms a pass; of the audit: waiting "
                f"{timing.waiting / timing.total:.0%}, device {timing.device_seconds / timing.total:.0%}; highest "
                f"memory {timing.device_bytes / 2**30:.1f} GiB",
                flush=True,
            )
    middle = statistics.median(ratios)
    where = torch.cuda.get_device_name() if on_gpu else "CPU (no GPU here: the target is not judged)"
    print(
        f"audit ÷ bare {middle:.3f}, target ≤ {TARGET}: {conditions} conditions × {len(data):,} rows by {rows}, {size}²"
    )
    print(f"{where}, autocast {asked.autocast}; {workers()} cores; torch {torch.__version__}")
    return 1 if on_gpu and middle > TARGET else 0


if __name__ == "__main__":
    raise SystemExit(main())
