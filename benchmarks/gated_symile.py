"""Gated Symile's exact scorer against materialised pairs: python benchmarks/gated_symile.py

Both compute the score of every query with every candidate from the same embeddings, B of each and D wide, two context
modalities, weights and everything else of the gate included:

    exact          `mmaudit.reference.methods.gate.gated_products`, O(B²D) time and O(B²) memory
    materialised   one gated vector per pair, as the definition has it; candidates in chunks of 256 as in the released
                   code, so that it needs B × 256 × D numbers at a time for a forward pass and B × B × D for gradients

on one thread, in turns, medians. The largest difference of scores is printed in float64. Memory is the peak of what the
scoring allocates, from PyTorch's own profiler, for B and 2B: O(B²) grows at most fourfold and does not depend on D; it
is printed for D and D/4 beside it.

Targets: ≥ 20× at B = 512, D = 256, forward and forward with backward; memory at most 4.5 × where B doubles.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from mmaudit.reference.methods.gate import Gate, GateOptions, gated_products, materialised_products

NAMES = ("target", "one", "other")
CHUNK = 256
RATIO, GROWTH = 20.0, 4.5

Scorer = Callable[[Gate, dict[str, Tensor], Tensor], Tensor]


def embeddings(batch: int, width: int, dtype: torch.dtype = torch.float32) -> tuple[dict[str, Tensor], Tensor]:
    """Return unit embeddings of two context modalities and of candidates."""
    generator = torch.Generator().manual_seed(0)
    one, other, target = (
        F.normalize(torch.randn(batch, width, generator=generator, dtype=dtype), dim=1) for _ in range(3)
    )
    return {"one": one, "other": other}, target


def exact(gate: Gate, query: dict[str, Tensor], candidates: Tensor) -> Tensor:
    drawn = gate.drawn(query, candidates, present(query), "target")
    return gated_products(list(query.values()), gate.directions(list(query)), drawn, candidates)


def materialised(gate: Gate, query: dict[str, Tensor], candidates: Tensor) -> Tensor:
    found = []
    for first in range(0, len(candidates), CHUNK):
        part = candidates[first : first + CHUNK]
        drawn = gate.drawn(query, part, present(query), "target")
        found.append(materialised_products(list(query.values()), gate.directions(list(query)), drawn, part))
    return torch.cat(found, dim=1)


def present(query: dict[str, Tensor]) -> dict[str, Tensor]:
    return {m: torch.ones(len(x), dtype=torch.bool) for m, x in query.items()}


def forward(scorer: Scorer, gate: Gate, query: dict[str, Tensor], candidates: Tensor) -> None:
    with torch.no_grad():
        scorer(gate, query, candidates)


def both(scorer: Scorer, gate: Gate, query: dict[str, Tensor], candidates: Tensor) -> None:
    leaves = {m: x.detach().requires_grad_() for m, x in query.items()}
    target = candidates.detach().requires_grad_()
    gate.zero_grad()
    scorer(gate, leaves, target).square().sum().backward()  # type: ignore[no-untyped-call]


def peak(work: Callable[[], None]) -> int:
    """Return the most bytes that were allocated at once during `work` beyond those before it."""
    work()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        work()
    now = most = 0
    for event in sorted(found.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    missed: list[str] = []
    B, D = asked.batch, asked.width
    gate = Gate(NAMES[1:], NAMES[:1], D, GateOptions())
    query, candidates = embeddings(B, D)
    with torch.no_grad():
        wide = Gate(NAMES[1:], NAMES[:1], D, GateOptions()).double()
        arguments = wide, *embeddings(64, D, torch.float64)
        difference = float((exact(*arguments) - materialised(*arguments)).abs().max())
    print(f"B = {B}, D = {D}; largest difference of scores in float64 {difference:.1e}")
    for what, work in (("forward", forward), ("forward and backward", both)):
        times: dict[str, list[float]] = {"exact": [], "materialised": []}
        for _ in range(asked.repeats):
            for name, scorer in (("exact", exact), ("materialised", materialised)):
                times[name].append(seconds(lambda s=scorer, w=work: w(s, gate, query, candidates)))  # type: ignore[misc]
        middle = {name: statistics.median(values) for name, values in times.items()}
        ratio = middle["materialised"] / middle["exact"]
        said = ", ".join(f"{name} {1e3 * value:.1f} ms" for name, value in middle.items())
        print(f"  {what:22s} {said}: {ratio:.0f} ×")
        if ratio < RATIO:
            missed.append(f"{what} {ratio:.0f} ×")
    print("peak memory in MiB, forward and backward")
    peaks: dict[tuple[int, int], float] = {}
    for batch, width in ((B, D), (2 * B, D), (B, D // 4)):
        of = Gate(NAMES[1:], NAMES[:1], width, GateOptions())
        made = embeddings(batch, width)
        peaks[batch, width] = peak(lambda g=of, m=made: both(exact, g, *m)) / 2**20  # type: ignore[misc]
        print(f"  exact         B = {batch:5d}, D = {width:4d} {peaks[batch, width]:10.1f}")
    pairs = peak(lambda: both(materialised, gate, query, candidates)) / 2**20
    print(f"  materialised  B = {B:5d}, D = {D:4d} {pairs:10.1f}: {pairs / peaks[B, D]:.0f} ×")
    growth = peaks[2 * B, D] / peaks[B, D]
    if growth > GROWTH:
        missed.append(f"memory grows {growth:.1f} × where B doubles")
    print(f"Python {platform.python_version()}, torch {torch.__version__}; {platform.system()} {platform.machine()}")
    print("targets missed: " + ("; ".join(missed) if missed else "none"))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
