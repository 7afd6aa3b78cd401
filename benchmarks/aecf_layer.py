"""Cost of AECF's fusion beside its backbone: python benchmarks/aecf_layer.py [--batch 16] [--threads 1] [--device cpu]

(time of AECF's layer − time of concatenation's) ÷ time of a frozen ResNet-50's forward pass, in evaluation, one call
per batch, in one process, in turns, medians. Two modalities: a picture of 224 × 224, whose 2,048 pooled features
ResNet-50 (He et al., CVPR 2016; random weights, with which it takes the same time) makes, and 512 features that are
there already, as of a sentence. 1,000 classes. Also each layer's time by itself, which is what a user who has stored
the features pays.

Target: at most 1 % for `aecf`; the abstract of arXiv 2505.15417 says less than 1 %. Exits with 1 where it is missed.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import mmaudit.reference.methods  # noqa: F401  registers the methods
from mmaudit.reference.base import Parts, references
from mmaudit.reference.loop import build
from mmaudit.types import Task

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride
WIDER = 4  # output channels of a block ÷ its width
PARAMETERS = 25_557_032  # with the classifier of 1,000 classes, as published
FEATURES = {"image": 2048, "text": 512}
METHODS = ("aecf", "aecf_paper", "aecf_release")  # aecf_repository refuses unequal widths
PLAIN = "concatenation"
TARGET = 0.01


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3, 1 × 1 convolutions around a shortcut; the stride is in the 3 × 3."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = WIDER * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        same = channels == out and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet50(nn.Module):
    """Pooled features `[b, 2048]` of pictures `[b, 3, 224, 224]`; the classifier is there to be counted only."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        blocks: list[nn.Module] = []
        channels = 64
        for width, count, stride in STAGES:
            for i in range(count):
                blocks.append(Bottleneck(channels, width, stride if i == 0 else 1))
                channels = WIDER * width
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.blocks(self.stem(x)).mean(dim=(2, 3))
        return found


def medians(calls: dict[str, Callable[[], object]], seconds: float, device: str) -> dict[str, float]:
    """Return each call's median time in seconds; all take turns until `seconds` have passed, five times at least."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    with torch.no_grad():
        for call in calls.values():  # caches, threads, compiled kernels
            call()
        while time.perf_counter() < end or len(taken[PLAIN]) < 5:
            for name, call in calls.items():
                wait(device)
                start = time.perf_counter()
                call()
                wait(device)
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in taken.items()}


def wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=1, help="more make layers this small wait for each other")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    backbone = ResNet50().to(given.device).eval()
    size = sum(p.numel() for p in backbone.parameters())
    if size != PARAMETERS:
        raise SystemExit(f"this ResNet-50 has {size:,} parameters instead of {PARAMETERS:,}; the benchmark is broken.")
    pictures = torch.randn(given.batch, 3, 224, 224, device=given.device)
    features = {m: torch.randn(given.batch, w, device=given.device) for m, w in FEATURES.items()}
    present = {m: torch.ones(given.batch, dtype=torch.bool, device=given.device) for m in FEATURES}
    parts = Parts(tuple(FEATURES), dict.fromkeys(FEATURES, nn.Identity), FEATURES, Task.classification(1000))
    calls: dict[str, Callable[[], object]] = {"ResNet-50": lambda: backbone(pictures)}
    sizes = {"ResNet-50": size}
    for name in (PLAIN, *METHODS):
        module = build(references.get(name), parts, 0).to(given.device).eval()
        sizes[name] = sum(p.numel() for p in module.parameters())
        calls[name] = lambda module=module: module.fuse(features, present)  # type: ignore[misc]
    found = medians(calls, given.seconds, given.device)
    where = torch.cuda.get_device_name() if torch.device(given.device).type == "cuda" else platform.machine()
    print(
        f"{where}, {given.device}, {torch.get_num_threads()} threads, batch {given.batch}, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
    print("| what | parameters | µs per sample | beyond concatenation ÷ ResNet-50 |\n|---|---|---|---|")
    shares = {name: (found[name] - found[PLAIN]) / found["ResNet-50"] for name in METHODS}
    for name, t in found.items():
        share = f"{shares[name]:.3%}" if name in shares else ""
        print(f"| {name} | {sizes[name]:,} | {1e6 * t / given.batch:.1f} | {share} |")
    missed = shares["aecf"] > TARGET
    print(f"aecf: {shares['aecf']:.3%}, target ≤ {TARGET:.0%}{': MISSED' if missed else ''}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
