"""Corruptions of text against nlpaug: python benchmarks/text_corruptions.py

Reviews of about 330 characters and questions of about 30, severity 3 of each table. Ours goes through the public probe,
`probes.get("text.x").apply`, everything included; nlpaug gets the list of texts in one call of `augment`, with its
defaults, which touch at most ten words and ten characters of each, so it edits long texts less than ours does. Both in
one process, in turns of five calls, medians of processor time, one thread. `first` is the first call of all 16
corruptions in a fresh process: with an empty cache of compiled kernels, and with the cache of the process before.

Needs an environment with nlpaug 1.1.11. Reviews are those of ../shared/data/clothing.npz where it is there, questions
those of easy-vqa, else made of words. Target: at least ten times nlpaug's throughput for each operation that it has.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data import ArrayData
from mmaudit.probes import Source, probes
from mmaudit.types import Modality, Task

SHARED = Path(__file__).parents[1] / "../shared/data/clothing.npz"
WORDS = (
    "the",
    "a",
    "dress",
    "fits",
    "is",
    "very",
    "nice",
    "and",
    "soft",
    "but",
    "runs",
    "small",
    "i",
    "love",
    "this",
    "color",
)
TARGET = 10.0
IN_A_ROW = 5

FIRST = """
import time
import numpy as np
from mmaudit.data import ArrayData
from mmaudit.probes import Source, probes
from mmaudit.types import Modality, Task
texts = ["This dress is a pretty one, and i bought it.", "is there a red shape?"] * 2
data = ArrayData({"t": texts}, np.arange(4) % 2, Task.classification(2), modalities=[Modality("t", "text")])
source, batch = Source(data, {"t": None}), data.rows(np.arange(4))
start = time.perf_counter()
for p in probes:
    if p.name.startswith("text."):
        p.apply(batch, p.condition(("t",), p.severities[2]), source)
print(time.perf_counter() - start)
"""


def synthetic(count: int, words: int) -> list[str]:
    """Texts of random words."""
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=words)) for _ in range(count)]


def reviews(count: int) -> tuple[str, list[str]]:
    """Real reviews where the shared data set is there, else synthetic ones."""
    if not SHARED.exists():
        return "synthetic reviews", synthetic(count, 70)
    with np.load(SHARED, allow_pickle=False) as found:
        return "clothing reviews", [str(text) for text in found["text"][:count]]


def questions(count: int) -> tuple[str, list[str]]:
    """easy-VQA's questions where the package is installed, else synthetic ones."""
    if find_spec("easy_vqa") is None:
        return "synthetic questions", synthetic(count, 7)
    return "easy-VQA questions", list(importlib.import_module("easy_vqa").get_test_questions()[0][:count])


def theirs() -> dict[str, Any]:
    """nlpaug's augmenter for each of our names that it has."""
    nac = importlib.import_module("nlpaug.augmenter.char")
    naw = importlib.import_module("nlpaug.augmenter.word")
    return {
        "keyboard": nac.KeyboardAug(),
        "ocr": nac.OcrAug(),
        "char_insert": nac.RandomCharAug("insert"),
        "char_replace": nac.RandomCharAug("substitute"),
        "char_swap": nac.RandomCharAug("swap"),
        "char_delete": nac.RandomCharAug("delete"),
        "word_delete": naw.RandomWordAug("delete"),
        "word_swap": naw.RandomWordAug("swap"),
        "whitespace": naw.SplitAug(),
    }


def ours(texts: list[str]) -> dict[str, Callable[[], Any]]:
    """Our probes on these texts, at the middle severity."""
    data = ArrayData(
        {"t": texts}, np.arange(len(texts)) % 2, Task.classification(2), modalities=[Modality("t", "text")]
    )
    source, batch = Source(data, {"t": None}), data.rows(np.arange(len(texts)))
    found: dict[str, Callable[[], Any]] = {}
    for p in probes:
        if p.name.startswith("text."):
            condition = p.condition(("t",), p.severities[2])
            found[p.name.removeprefix("text.")] = partial(p.apply, batch, condition, source)
    return found


def timed(call: Callable[[], Any]) -> float:
    """Seconds of processor time of one call, of some in a row, as an audit makes them for its severities."""
    start = time.process_time()
    for _ in range(IN_A_ROW):
        call()
    return (time.process_time() - start) / IN_A_ROW


def first_calls() -> tuple[float, float]:
    """Seconds of the first call of every corruption, nothing compiled, and compiled by an earlier process."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        cold, cached = (
            float(
                subprocess.run([sys.executable, "-c", FIRST], env=environment, check=True, capture_output=True).stdout
            )
            for _ in range(2)
        )
    return cold, cached


def compare(texts: list[str], repeats: int) -> dict[str, tuple[float, float | None]]:
    """Return per name our microseconds per text and nlpaug's, None where it has no such operation."""
    other = theirs()
    out: dict[str, tuple[float, float | None]] = {}
    for name, run in ours(texts).items():
        augment = other[name].augment if name in other else None
        run()
        mine, his = [], []
        for _ in range(repeats):
            mine.append(timed(run))
            if augment:
                his.append(timed(partial(augment, texts)))
        scale = 1e6 / len(texts)
        out[name] = statistics.median(mine) * scale, statistics.median(his) * scale if his else None
    return out


def main() -> int:
    """Print times, ratios, versions and machine; return 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()

    random.seed(0)
    missed = False
    for what, texts in (reviews(asked.texts), questions(asked.texts)):
        size = statistics.mean(map(len, texts))
        print(f"{len(texts)} {what} of {size:.0f} characters on average; µs per text")
        print(f"  {'':14}{'mmaudit':>10}{'nlpaug':>10}{'ratio':>8}")
        for name, (mine, his) in compare(texts, asked.repeats).items():
            if his is None:
                print(f"  {name:14}{mine:10.1f}{'–':>10}")
                continue
            missed |= his / mine < TARGET
            print(f"  {name:14}{mine:10.1f}{his:10.1f}{his / mine:8.1f}")
    cold, cached = first_calls()
    print(f"first call of all 16: {cold:.1f} s with nothing compiled, {cached:.2f} s with the kernels on disk")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "nlpaug"))
    print(f"Python {platform.python_version()}, {libraries}; {platform.system()} {platform.machine()}, one thread")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
