"""Fusion heads: python benchmarks/reference_heads.py [--threads 2] [--repeats 5]

Twenty seeds of the product-fusion head, batched against one after the other:

    batched      `mmaudit.reference.loop.train`, twenty trials as one model
    sequential   twenty trainings as one writes them: `torch.optim.AdamW`, `loss.backward()`, one model at a time
    fused        the same with the optimiser's fused kernel
    products     the first layer's matrix products alone, forward and weight gradient, all seeds at once: the floor

The same work in the first three: initial weights, order of rows, presence masks, clipped gradients, a validation after
every epoch, the best epoch kept. The best validation losses are compared; they differ by rounding alone.

Then tensor fusion at 768 dimensions, forward and backward, 32 hidden units:

    contracted     `h_k = tᵀ W_k i`, as `mmaudit.reference.methods.tensor` has it
    broadcast      `Linear(589,824 → 32)` on `t[:, :, None] * i[:, None, :]`
    bmm            the same layer on `torch.bmm`'s outer product, as published code of tensor fusion has it

Embeddings of trained encoders need gradients, of frozen ones they do not; both. Memory: the peak beyond weights, their
gradients and the inputs, each side in a process of its own (Linux, or CUDA). All sides multiply and add equally often,
so what can be saved is the writing and reading of the wide product.

On the GPU where there is one (then the targets are the GPU's), on the CPU otherwise. Best of the repeats. Targets: 20
seeds ≥ 2 × on 2 CPU cores, ≥ 8 × on a GPU, at 64 and at 768 dimensions; tensor fusion ≥ 5 × faster than the faster of
the other two with ≤ 1/10 of the memory. Exits with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import copy
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

import mmaudit.reference.methods  # noqa: F401  (registers them)
from mmaudit.reference.base import Parts, references
from mmaudit.reference.draws import orders
from mmaudit.reference.loop import Budget, Table, build, train
from mmaudit.reference.losses import task_loss
from mmaudit.reference.methods.heads import HIDDEN
from mmaudit.reference.methods.tensor import Bilinear
from mmaudit.reference.trained import Trial
from mmaudit.types import Task

SEEDS, ROWS, EPOCHS = 20, 2048, 3
CASES = ((64, 32), (64, 64), (64, 128), (768, 32), (768, 64), (768, 128))  # dimensions, rows a step
WIDTH, BATCHES = 768, (128, 256)
TARGETS = {"cpu": 2.0, "cuda": 8.0, "faster": 5.0, "memory": 0.1}
NAMES = ("text", "image")


def rows(n: int, dims: int, seed: int, device: str) -> Table:
    """Standard normal embeddings; the label is the sign of their dot product."""
    source = torch.Generator().manual_seed(seed)
    x = {m: torch.randn(n, dims, generator=source) for m in NAMES}
    target = ((x["text"] * x["image"]).sum(dim=1) > 0).long()
    return Table(x, {m: torch.ones(n, dtype=torch.bool) for m in NAMES}, target).to(device)


def wait(device: str) -> None:
    """Until the device has done what it was asked for."""
    if device != "cpu":
        torch.cuda.synchronize()


def batched(parts: Parts, training: Table, validation: Table, budget: Budget, device: str) -> list[float]:
    """All seeds as one model; best validation losses."""
    trials = [Trial(seed) for seed in range(SEEDS)]
    trained = train(references.get("product"), parts, training, validation, trials, budget, device=device)
    wait(device)
    return [-value for value in trained.validation]


def sequential(
    parts: Parts, training: Table, validation: Table, budget: Budget, device: str, *, fused: bool
) -> list[float]:
    """One seed after the other, as one writes it."""
    method = references.get("product")
    found = []
    for seed in range(SEEDS):
        model = build(method, parts, seed).to(device)
        optimiser = torch.optim.AdamW(model.parameters(), method.hyper["lr"].default, weight_decay=0.0, fused=fused)
        best, kept = float("inf"), model.state_dict()
        for epoch in range(budget.epochs):
            order = orders([seed], epoch, len(training))[0].to(device)
            for step in range(len(training) // budget.batch):
                chosen = order[step * budget.batch : (step + 1) * budget.batch]
                inputs = {m: x[chosen] for m, x in training.inputs.items()}
                present = {m: p[chosen] for m, p in training.present.items()}
                loss = task_loss(model(inputs, present), training.target[chosen], parts.task)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(model.parameters(), budget.clip)
                optimiser.step()
            with torch.no_grad():
                now = task_loss(model(validation.inputs, validation.present), validation.target, parts.task).item()
            if now < best:
                best, kept = now, copy.deepcopy(model.state_dict())
        model.load_state_dict(kept)
        found.append(best)
    wait(device)
    return found


def products(dims: int, batch: int, steps: int, device: str) -> list[float]:
    """What no way of batching saves: the first layer and its weights' gradient, of rows that are ready."""
    wide = torch.ones(SEEDS, batch, 2 * dims + len(NAMES), device=device)
    weight = torch.ones(SEEDS, wide.shape[2], HIDDEN, device=device)
    for _ in range(steps):
        torch.bmm(wide.transpose(1, 2), torch.bmm(wide, weight))
    wait(device)
    return []


def seeds(dims: int, batch: int, device: str, repeats: int) -> float:
    """Print one line; return the ratio to the faster of the two sequential trainings."""
    parts = Parts(NAMES, dict.fromkeys(NAMES, nn.Identity), dict.fromkeys(NAMES, dims), Task.classification(2))
    budget = Budget(EPOCHS, batch, patience=0)
    steps = EPOCHS * (ROWS // batch)
    given = (parts, rows(ROWS, dims, 0, device), rows(1024, dims, 1, device), budget, device)
    sides: dict[str, Callable[[], list[float]]] = {
        "batched": partial(batched, *given),
        "sequential": partial(sequential, *given, fused=False),
        "fused": partial(sequential, *given, fused=True),
        "products": partial(products, dims, batch, steps, device),
    }
    seconds, losses = fastest(sides, repeats)
    apart = max(abs(a - b) for a, b in zip(losses["batched"], losses["sequential"], strict=True))
    ratio = min(seconds["sequential"], seconds["fused"]) / seconds["batched"]
    each = ", ".join(f"{name} {1e3 * s / steps:.2f}" for name, s in seconds.items())
    print(
        f"  d = {dims:<4} {batch:>4} rows a step: ms a step of 20 seeds {each}: {ratio:.2f} ×; "
        f"losses differ by {apart:.0e}"
    )
    return ratio


Given = dict[str, list[float]]


def fastest(sides: Mapping[str, Callable[[], list[float]]], repeats: int) -> tuple[dict[str, float], Given]:
    """Seconds of the fastest of several rounds in turns, and what each side gave; one more to warm up."""
    seconds, given = dict.fromkeys(sides, float("inf")), Given()
    for repeat in range(repeats + 1):
        for name, call in sides.items():
            start = time.perf_counter()
            given[name] = call()
            if repeat:
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds, given


def pair(batch: int, frozen: bool, device: str) -> tuple[Tensor, Tensor]:
    """Two embeddings."""
    source = torch.Generator().manual_seed(0)
    t, i = (torch.randn(batch, WIDTH, generator=source).to(device).requires_grad_(not frozen) for _ in range(2))
    return t, i


class Broadcast(nn.Module):
    """A linear layer on the outer product."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__()
        self.layer = nn.Linear(one * two, HIDDEN, bias=False)

    def outer(self, t: Tensor, i: Tensor) -> Tensor:
        """`[rows, one, two]`."""
        return t[:, :, None] * i[:, None, :]

    def forward(self, t: Tensor, i: Tensor) -> Tensor:
        """`[rows, 32]`."""
        out: Tensor = self.layer(self.outer(t, i).flatten(1))
        return out


class Bmm(Broadcast):
    """The same; its gradients do not make further wide products."""

    def outer(self, t: Tensor, i: Tensor) -> Tensor:
        """`[rows, one, two]`."""
        return torch.bmm(t[:, :, None], i[:, None, :])


SIDES: dict[str, Callable[[int, int], nn.Module]] = {"contracted": Bilinear, "broadcast": Broadcast, "bmm": Bmm}


def same_weights(device: str) -> dict[str, nn.Module]:
    """All sides with the same weights."""
    ours = Bilinear(WIDTH, WIDTH)
    found: dict[str, nn.Module] = {"contracted": ours.to(device)}
    for name, make in (("broadcast", Broadcast), ("bmm", Bmm)):
        theirs = make(WIDTH, WIDTH)
        with torch.no_grad():
            theirs.layer.weight.copy_(ours.weight.transpose(0, 1).flatten(1))
        found[name] = theirs.to(device)
    return found


def pass_through(model: nn.Module, t: Tensor, i: Tensor, device: str) -> list[float]:
    """Forward and backward."""
    model.zero_grad()
    t.grad = i.grad = None
    out = model(t, i)
    out.square().sum().backward()
    wait(device)
    return [float(x) for x in out.detach().flatten()[:64]]


def peak(side: str, batch: int, frozen: bool, device: str) -> float:
    """MiB that forward and backward take beyond weights, their gradients and inputs; for a fresh process only."""
    t, i = pair(2, True, device)
    pass_through(SIDES[side](8, 8).to(device), t[:, :8], i[:, :8], device)  # libraries loaded
    model = SIDES[side](WIDTH, WIDTH).to(device)
    t, i = pair(batch, frozen, device)
    gradients = sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() / 2**20 if device != "cpu" else highest()
    pass_through(model, t, i, device)
    after = torch.cuda.max_memory_allocated() / 2**20 if device != "cpu" else highest()
    return after - before - gradients


def highest() -> float:
    """Highest resident memory of this process so far, MiB. (`ru_maxrss` would count the parent's as well.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def tensor_fusion(batch: int, frozen: bool, device: str, threads: int, repeats: int) -> tuple[float, float]:
    """Print one line; return the ratios of time and of memory to the better of the other sides."""
    t, i = pair(batch, frozen, device)
    sides = {name: partial(pass_through, model, t, i, device) for name, model in same_weights(device).items()}
    seconds, given = fastest(sides, repeats)
    ours = torch.tensor(given["contracted"])
    apart = max((ours - torch.tensor(other)).abs().max().item() for other in given.values())
    memory = {}
    for name in SIDES:
        asked = [sys.executable, __file__, "--peak", name, str(batch), str(int(frozen)), device, str(threads)]
        memory[name] = float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    faster = min(seconds["broadcast"], seconds["bmm"]) / seconds["contracted"]
    share = memory["contracted"] / min(memory["broadcast"], memory["bmm"])
    times = ", ".join(f"{name} {1e3 * s:.0f}" for name, s in seconds.items())
    space = ", ".join(f"{name} {m:.0f}" for name, m in memory.items())
    print(
        f"  {batch:>4} rows, {'frozen' if frozen else 'trained'} encoders: ms {times}: {faster:.2f} ×; "
        f"MiB {space}: 1/{1 / share:.0f}; outputs differ by {apart:.0e}"
    )
    return faster, share


def main() -> int:
    """Print tables and machine; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak:
        side, batch, frozen, device, threads = asked.peak
        torch.set_num_threads(int(threads))
        print(peak(side, int(batch), bool(int(frozen)), device))
        return 0
    torch.set_num_threads(asked.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    missed = []
    print("20 seeds of the product-fusion head, batched against one after the other")
    for dims, batch in CASES:
        if seeds(dims, batch, device, asked.repeats) < TARGETS[device]:
            missed.append(f"20 seeds, d = {dims}, {batch} rows")
    print(f"tensor fusion of two embeddings of {WIDTH}, forward and backward")
    for frozen in (True, False):
        for batch in BATCHES:
            faster, share = tensor_fusion(batch, frozen, device, asked.threads, asked.repeats)
            if faster < TARGETS["faster"]:
                missed.append(f"tensor fusion's time, {batch} rows, {'frozen' if frozen else 'trained'}")
            if share > TARGETS["memory"]:
                missed.append(f"tensor fusion's memory, {batch} rows, {'frozen' if frozen else 'trained'}")
    where = torch.cuda.get_device_name() if device == "cuda" else f"{asked.threads} CPU threads, no GPU"
    machine = f"{platform.system()} {platform.machine()}"
    print(f"{where}; Python {platform.python_version()}, torch {version('torch')}; {machine}")
    print("targets missed: " + ("; ".join(missed) if missed else "none"))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
