"""What an audit costs beyond the forward passes that it replaces: python benchmarks/overhead.py

Ratio = (time of `predict` − time inside probes) ÷ time of the bare forward passes: for every condition of the plan and
every batch, the torch module called once on the perturbed inputs. Making the perturbed inputs is on neither side;
reading, memoised encoders, checking outputs and writing the run folder are on the audit's. Two bare sides:

    loop      what one would write by hand: arrays to tensors, tokeniser, module, result back to an array
    module    the module alone, its tensors already made: the strictest reading

The targets are for `loop`. Each bare pass runs right before or right after the audit's own answer to the same batch, in
turns, and its time is taken off the audit's. So both sides see the same machine, even a busy one. Each repetition is
a whole audit into a fresh run folder; scoring and report are not in it, as they do not depend on the model. Inputs are
made on the model's own thread (`MMAUDIT_THREADS=1`): what happens beside it could not be told from it.

No cache can beat `floor`: of the conditions, the share under which an encoder is given rows that it has not seen,
weighted by what each encoder is of a forward pass. What a ratio has beyond it is the harness.

The last table runs audits with inputs made ahead on a thread of their own, and without, in turns: the ratio of wall
times, which says something on a quiet machine only, and that of processor times, which is what reading ahead costs.

Models: the demo's on easy-VQA, and a random-weight model of three modalities in which the encoders are nearly all of
the work. Each is run whole (boundary="off") and in the two stages that `TorchModel` finds by itself; the second also
under a suite of nothing but missing modalities.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from overhead_models import easy_vqa, three_encoders
from overhead_sides import Bare, Case, audited

from mmaudit.auditing import AnySuite, Prepared, prepare, spread
from mmaudit.data import subset
from mmaudit.predict import predict
from mmaudit.timing import Timing

TARGET_WHOLE = 1.10


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the result: what was run, and the timings of its repetitions."""

    label: str
    found: Sequence[tuple[Timing, Bare]]
    target: float | None
    floor: float = 1.0

    def ratios(self, strict: bool = False) -> list[float]:
        """Ratio of each repetition, sorted; to the module alone where `strict`."""
        return sorted((t.total - t.probing) / (bare.module if strict else bare.loop) for t, bare in self.found)

    @property
    def missed(self) -> bool:
        """Whether the median misses the target."""
        return self.target is not None and statistics.median(self.ratios()) > self.target

    def __str__(self) -> str:
        """The line."""
        ratios = self.ratios()
        low, middle, high = ratios[0], statistics.median(ratios), ratios[-1]
        strict = statistics.median(self.ratios(strict=True))
        probing = statistics.median(t.probing / t.total for t, _ in self.found)
        own = statistics.median(1 - (t.probing + t.model) / t.total for t, _ in self.found)
        bare = statistics.median(bare.loop for _, bare in self.found)
        aim = "none" if self.target is None else f"≤ {self.target:.2f} {'missed' if self.missed else 'met'}"
        return (
            f"  {self.label:<36}{low:6.3f} {middle:6.3f} {high:6.3f}{self.floor:8.3f}{strict:10.3f}"
            f"{probing:10.0%}{own:7.1%}{bare:9.2f} s  {aim}"
        )


HEADER = (
    f"  {'':<36}{'min':>6} {'median':>6} {'max':>6}{'floor':>8}{'÷ module':>10}"
    f"{'probes':>10}{'own':>7}{'bare':>9}    target"
)


def measure(case: Case, suite: AnySuite, what: str, repeats: int) -> list[Row]:
    """Run a case under a suite, whole and in two stages in turns."""
    ways = {boundary: prepare(case.model(boundary), case.data, suite=suite) for boundary in ("off", "auto")}
    found: dict[str, list[tuple[Timing, Bare]]] = {boundary: [] for boundary in ways}
    few = replace(case, data=subset(case.data, spread(len(case.data), 64)))
    with tempfile.TemporaryDirectory() as folder:
        for boundary in ways:  # compiled kernels are loaded and torch is warm afterwards
            prepared = prepare(few.model(boundary), few.data, suite=suite)
            audited(few, prepared, Path(folder) / f"few-{boundary}")
        for repetition in range(repeats):
            for boundary, prepared in ways.items():
                found[boundary].append(audited(case, prepared, Path(folder) / f"{boundary}-{repetition}"))
    conditions = len(ways["off"].plan.conditions)
    encoded = found["auto"][0][0].encoded_rows
    passes = ", ".join(f"{m} {rows / len(case.data):.0f}" for m, rows in encoded.items())
    print(
        f"{case.name}, {what}: {len(case.data):,} rows in batches of {case.batch_rows}, {conditions} conditions\n"
        f"  model: {ways['auto'].stages}\n"
        f"  passes through each memoised encoder, of {conditions}: {passes or 'none: it is run whole'}"
    )
    return [
        Row(f"{what}, run whole", found["off"], TARGET_WHOLE),
        Row(f"{what}, memoised encoders", found["auto"], case.target, floor(case, ways["auto"], found["auto"][0][0])),
    ]


def floor(case: Case, prepared: Prepared, timing: Timing) -> float:
    """The least that a cache of encodings can reach: what was encoded, weighted by what it costs."""
    if prepared.stage is None:
        return 1.0
    stage, names = prepared.stage, prepared.model.modalities
    batch = case.data.rows(np.arange(min(case.batch_rows, len(case.data))))
    features = {name: stage.encode(name, batch) for name in names}
    parts: dict[str, Callable[[], Any]] = {name: lambda name=name: stage.encode(name, batch) for name in names}  # type: ignore[misc]
    parts["fusion"] = lambda: stage.fuse(features, batch)
    seconds = {name: min(_timed(part) for _ in range(5)) for name, part in parts.items()}
    passes = len(case.data) * len(prepared.plan.conditions)
    share = {name: timing.encoded_rows.get(name, passes) / passes for name in parts}
    return sum(seconds[name] * share[name] for name in parts) / sum(seconds.values())


def _timed(part: Callable[[], Any]) -> float:
    begin = time.process_time()
    part()
    return time.process_time() - begin


def beside(case: Case, repeats: int) -> str:
    """Audits with inputs made ahead and without, in turns: wall and processor time, ahead ÷ not ahead."""
    wall: list[float] = []
    processor: list[float] = []
    waited: list[float] = []
    prepared = prepare(replace(case).model("auto"), case.data, suite="standard")
    with tempfile.TemporaryDirectory() as folder:
        for repetition in range(repeats + 1):
            spent: dict[str, tuple[float, float]] = {}
            for threads in ("1", "2") if repetition % 2 else ("2", "1"):
                with mock.patch.dict(os.environ, MMAUDIT_THREADS=threads):
                    place = Path(folder) / f"{repetition}-{threads}"
                    run = prepared.open_run(place, batch_rows=case.batch_rows, title=None, command="")
                    begin = time.perf_counter(), time.process_time()
                    stage, rows = prepared.stage, case.batch_rows
                    timing = predict(run, case.data, prepared.model, prepared.source, stage=stage, batch_rows=rows)
                    spent[threads] = time.perf_counter() - begin[0], time.process_time() - begin[1]
            if repetition:  # the first one warms up
                wall.append(spent["2"][0] / spent["1"][0])
                processor.append(spent["2"][1] / spent["1"][1])
                waited.append(timing.waiting / timing.total)
    return (
        f"  {case.name:<36}{statistics.median(wall):6.2f}{statistics.median(processor):12.2f}"
        f"{statistics.median(waited):10.0%}"
    )


def state() -> str:
    """Machine, versions and settings that the numbers depend on."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    libraries = ", ".join(f"{p} {version(p)}" for p in ("torch", "numpy", "numba", "pyarrow"))
    threads = torch.get_num_threads()
    return (
        f"{name}, {os.cpu_count()} cores, {threads} torch thread{'s' * (threads != 1)}; "
        f"Python {platform.python_version()}, {libraries}; {platform.system()} {platform.machine()}"
    )


def main() -> int:
    """Print ratios and machine; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1024, help="of easy-VQA")
    parser.add_argument("--encoder-rows", type=int, default=256, help="of the three-modality model's data")
    parser.add_argument("--batch-rows", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    warnings.simplefilter("error")

    os.environ["MMAUDIT_THREADS"] = "1"
    demonstration = easy_vqa(asked.rows, asked.batch_rows)
    encoders = three_encoders(asked.encoder_rows, asked.batch_rows)
    missing_only = {"name": "missing only", "probes": ["missing"]}
    rows: list[Row] = []
    for case, suite, what in (
        (demonstration, "standard", "standard suite"),
        (encoders, "standard", "standard suite"),
        (encoders, missing_only, "missing only"),
    ):
        block = measure(case, suite, what, asked.repeats)
        print(HEADER)
        for row in block:
            print(row)
        rows += block
    print(
        f"{asked.repeats} repetitions. Of the audit's time, probes: inside probes; own: reading, bookkeeping, writing."
    )
    print(f"Inputs made ahead on 2 threads ÷ on none\n  {'':<36}{'wall':>6}{'processor':>12}{'waiting':>10}")
    for case in (demonstration, encoders):
        smaller = replace(case, data=subset(case.data, spread(len(case.data), 256)), batch_rows=64)
        print(beside(smaller, asked.repeats), flush=True)
    print(state())
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
