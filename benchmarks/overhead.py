"""What an audit costs beyond the forward passes that it replaces: python benchmarks/overhead.py

Ratio = (time of `predict` − time inside probes) ÷ time of the bare forward passes: for every condition of the plan and
every batch, the torch module called once on the perturbed inputs. Making the perturbed inputs is on neither side;
reading, memoised encoders, checking outputs and writing the run folder are on the audit's. Two bare sides:

    loop      what one would write by hand: arrays to tensors, tokeniser, module, result back to an array
    module    the module alone, its tensors already made: the strictest reading

The targets are for `loop`. Each repetition times all sides in one process, one after the other, in alternating order;
ratios are of the same repetition.

Models: the demo's on easy-VQA, and a random-weight model of three modalities in which the encoders are nearly all of
the work. Each is run whole (boundary="off") and in the two stages that `TorchModel` finds by itself; the second also
under a suite of nothing but missing modalities.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import mmaudit
from mmaudit.auditing import AnySuite, Prepared, prepare, spread
from mmaudit.data import Dataset, subset
from mmaudit.demo import run as demo
from mmaudit.demo.model import bag_of_words, load_model
from mmaudit.predict import Timing, predict
from mmaudit.probes import probes
from mmaudit.types import Array

TARGET_WHOLE = 1.10
TARGET_MEMOISED = 0.45

ToTensor = Callable[[Array], Tensor]


@dataclass(frozen=True, eq=False)
class Case:
    """A model, the data it is audited on, and how its inputs become tensors."""

    name: str
    module: nn.Module
    prepare: Mapping[str, ToTensor]
    data: Dataset
    batch_rows: int
    target: float | None

    def model(self, boundary: str) -> mmaudit.TorchModel:
        """The module as an audit sees it."""
        own = {name: f for name, f in self.prepare.items() if f is not torch.from_numpy}
        return mmaudit.TorchModel(
            self.module,
            list(self.prepare),
            outputs="logits",
            prepare=own,
            device="cpu",
            boundary="off" if boundary == "off" else "auto",
            name=self.name,
        )


# ---- the three-modality model


class ThreeEncoders(nn.Module):
    """Image, audio and embedding, each through an encoder of about 3 million multiplications, and a small fusion."""

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        self.audio_encoder = nn.Sequential(
            *(nn.Conv1d(1, 32, 16, stride=4), nn.ReLU()),
            *(nn.Conv1d(32, 64, 8, stride=4), nn.ReLU()),
            *(nn.Conv1d(64, 128, 4, stride=2), nn.ReLU()),
            *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 64)),
        )
        self.text_encoder = nn.Sequential(
            *(nn.Linear(256, 1024), nn.ReLU()),
            *(nn.Linear(1024, 1024), nn.ReLU()),
            *(nn.Linear(1024, 1024), nn.ReLU()),
            nn.Linear(1024, 64),
        )
        self.fusion = nn.Sequential(nn.Linear(3 * 64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, image: Tensor, audio: Tensor, text: Tensor) -> Tensor:
        """Ten logits from uint8 [n, 32, 32, 3], float32 [n, 2048] and float32 [n, 256]."""
        pixels = image.to(torch.float32).permute(0, 3, 1, 2) / 255.0 - 0.5
        features = [self.image_encoder(pixels), self.audio_encoder(audio.unsqueeze(1)), self.text_encoder(text)]
        logits: Tensor = self.fusion(torch.cat(features, dim=1))
        return logits


def three_encoders(rows: int, batch_rows: int) -> Case:
    """The three-modality model with random weights, on random inputs."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    data = mmaudit.ArrayData(
        {
            "image": rng.integers(0, 256, (rows, 32, 32, 3), np.uint8),
            "audio": rng.normal(0, 0.2, (rows, 2048)).clip(-1, 1).astype(np.float32),
            "text": rng.normal(size=(rows, 256)).astype(np.float32),
        },
        rng.integers(0, 10, rows),
        mmaudit.Task.classification(10),
        kinds={"audio": "audio,sample_rate=8000", "text": "embedding"},
    )
    prepare = dict.fromkeys(("image", "audio", "text"), torch.from_numpy)
    return Case("three encoders", ThreeEncoders().eval(), prepare, data, batch_rows, TARGET_MEMOISED)


def easy_vqa(rows: int, batch_rows: int) -> Case:
    """The demo's model on some of its test questions; its encoders are small, so it has no target for memoising."""
    everything = demo.data()
    data = subset(everything, spread(len(everything), rows))
    prepare: dict[str, ToTensor] = {"image": torch.from_numpy, "question": tokenise}
    return Case("easy-VQA demo", load_model(), prepare, data, batch_rows, None)


def tokenise(questions: Array) -> Tensor:
    """The demo's bag of words, as a tensor."""
    return torch.from_numpy(bag_of_words(questions))


# ---- the two sides


def bare(case: Case, prepared: Prepared) -> tuple[float, float]:
    """Seconds of the bare forward passes of every condition and batch, as a loop by hand and by the module alone."""
    loop = module = 0.0
    n = len(case.data)
    with torch.inference_mode():
        for start in range(0, n, case.batch_rows):
            clean = case.data.rows(np.arange(start, min(start + case.batch_rows, n)))
            for condition in prepared.plan.conditions:
                probe = None if condition.family == "clean" else probes.get(condition.probe)
                batch = probe.apply(clean, condition, prepared.source) if probe else clean
                begin = time.perf_counter()
                tensors = [convert(batch.inputs[name]) for name, convert in case.prepare.items()]
                ready = time.perf_counter()
                logits = case.module(*tensors)
                done = time.perf_counter()
                logits.numpy()
                loop += time.perf_counter() - begin
                module += done - ready
    return loop, module


def audited(case: Case, prepared: Prepared, folder: Path) -> Timing:
    """Seconds of the audit's own pass over the same conditions and batches."""
    run = prepared.open_run(folder, batch_rows=case.batch_rows, title=None, command="")
    return predict(
        run, case.data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=case.batch_rows
    )


@dataclass(frozen=True)
class Row:
    """One line of the result: how an audit ran, its timings, and the bare seconds of the same repetitions."""

    label: str
    timings: Sequence[Timing]
    loops: Sequence[float]
    modules: Sequence[float]
    target: float | None

    def ratios(self, bare_seconds: Sequence[float]) -> tuple[float, float, float]:
        """Lowest, median and highest ratio over the repetitions."""
        found = [(t.total - t.probing) / b for t, b in zip(self.timings, bare_seconds, strict=True)]
        return min(found), statistics.median(found), max(found)

    @property
    def missed(self) -> bool:
        """Whether the median misses the target."""
        return self.target is not None and self.ratios(self.loops)[1] > self.target

    def show(self) -> str:
        """The line."""
        low, middle, high = self.ratios(self.loops)
        share = statistics.median(t.probing / t.total for t in self.timings)
        own = statistics.median(1 - (t.probing + t.model) / t.total for t in self.timings)
        aim = "   none " if self.target is None else f" ≤ {self.target:.2f} " + ("missed" if self.missed else "met")
        return (
            f"  {self.label:<34}{low:6.2f} {middle:6.2f} {high:6.2f}{self.ratios(self.modules)[1]:9.2f}"
            f"{share:11.0%}{own:9.1%}  {aim}"
        )


def measure(case: Case, suite: AnySuite, what: str, repeats: int) -> Iterator[Row]:
    """Time all sides of a case under a suite, alternating, after one round that warms up."""
    ways = {boundary: prepare(case.model(boundary), case.data, suite=suite) for boundary in ("off", "auto")}
    timings: dict[str, list[Timing]] = {boundary: [] for boundary in ways}
    bares: list[tuple[float, float]] = []
    for repetition in range(repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            sides: list[str] = ["bare", *ways]
            for side in sides if repetition % 2 else reversed(sides):
                if side == "bare":
                    found = bare(case, ways["off"])
                    if repetition:
                        bares.append(found)
                else:
                    timing = audited(case, ways[side], Path(folder) / side)
                    if repetition:
                        timings[side].append(timing)
    loops, modules = [b[0] for b in bares], [b[1] for b in bares]
    conditions = len(ways["off"].plan.conditions)
    encoded = timings["auto"][0].encoded_rows
    passes = ", ".join(f"{m} {rows / len(case.data):.0f}" for m, rows in encoded.items())
    print(
        f"{case.name}, {what}: {len(case.data):,} rows in batches of {case.batch_rows}, {conditions} conditions; bare "
        f"loop {statistics.median(loops):.2f} s, module {statistics.median(modules):.2f} s\n"
        f"  encoder passes over the data, of {conditions}: {passes or 'not cut in two stages'}"
        f" ({ways['auto'].stages})"
    )
    yield Row(f"{what}, run whole", timings["off"], loops, modules, TARGET_WHOLE)
    yield Row(f"{what}, memoised encoders", timings["auto"], loops, modules, case.target)


def state(threads: int) -> str:
    """Machine, versions and settings that the numbers depend on."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    libraries = ", ".join(f"{p} {version(p)}" for p in ("torch", "numpy", "numba", "pyarrow"))
    usable = torch.get_num_threads()
    return (
        f"{name}, {torch.multiprocessing.cpu_count()} cores, {usable} torch thread{'s' * (usable != 1)}; "
        f"Python {platform.python_version()}, {libraries}; {platform.system()} {platform.machine()}"
    )


def main() -> int:
    """Print ratios and machine; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1024, help="of easy-VQA")
    parser.add_argument("--encoder-rows", type=int, default=512, help="of the three-modality model's data")
    parser.add_argument("--batch-rows", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    warnings.simplefilter("error")

    demonstration = easy_vqa(asked.rows, asked.batch_rows)
    encoders = three_encoders(asked.encoder_rows, asked.batch_rows)
    missing_only = {"name": "missing only", "probes": ["missing"]}
    rows: list[Row] = []
    for case, suite, what in (
        (demonstration, "standard", "standard suite"),
        (encoders, "standard", "standard suite"),
        (encoders, missing_only, "missing only"),
    ):
        block = list(measure(case, suite, what, asked.repeats))
        print(f"  {'':<34}{'min':>6} {'median':>6} {'max':>6}{'÷ module':>9}{'in probes':>11}{'own':>9}  target")
        for row in block:
            print(row.show())
        rows += block
    print(f"  {asked.repeats} repetitions; own: reading, bookkeeping and writing, as a share of the audit's time")
    print(f"  {state(asked.threads)}")
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
