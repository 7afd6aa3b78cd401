"""What a budget buys, and what choosing buys over sharing alike: `python benchmarks/budget.py [--shares 0.05 0.1 0.2]`.

The demo's model is audited whole, within a budget (`forwards`), and on so many samples that every condition gets the
same and all together are as many answers. Compared are the widths of the 95 % intervals of the change of accuracy
against clean, and how many of them hold the change on all samples.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit import Report, Run, audit
from mmaudit.demo import run as demo
from mmaudit.portions import random_order
from mmaudit.types import CLEAN

SUITE = {"base": "standard", "analyses": []}


def audited(folder: Path, data: Any, **limit: Any) -> tuple[Report, float]:
    """The report, and seconds of answering."""
    report = audit(
        demo.model(), data, train=demo.data("train"), out=folder, suite=SUITE, keep_samples=0, title="budget", **limit
    )
    return report, float(json.loads((folder / "timing.json").read_text())["total"])


def main() -> None:
    """Print a line per share and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.05, 0.1, 0.2])
    shares = parser.parse_args().shares
    data: Any = demo.data("test")
    order = random_order(data.ids, data.cluster)
    with tempfile.TemporaryDirectory() as scratch:
        whole, seconds = audited(Path(scratch) / "whole", data)
        plan = Run.open(Path(scratch) / "whole").conditions
        asked = [c for c in plan if c.family not in ("clean", "control")]
        answers = len(data) * len(plan)
        print(f"whole: {answers} answers in {seconds:.0f} s")
        print("share  way     answers  seconds  widest  median  intervals that hold the change on all samples")
        for share in shares:
            some = data.subset(np.sort(order[: round(share * len(data))]))
            for way, which, limit in (("alike", some, {}), ("chosen", data, {"forwards": round(share * answers)})):
                folder = Path(scratch) / f"{way}{share}"
                report, took = audited(folder, which, **limit)
                held, widths = [], []
                for condition in asked:
                    mine, full = (r.score(condition.key, "accuracy", against=CLEAN.key) for r in (report, whole))
                    assert mine is not None
                    assert full is not None
                    widths.append(mine.delta_high - mine.delta_low)
                    held.append(mine.delta_low <= full.delta <= mine.delta_high)
                spent = sum(Run.open(folder).counts)
                print(
                    f"{share:5.2f}  {way:6}  {spent:7}  {took:7.1f}  {100 * max(widths):5.1f}  "
                    f"{100 * float(np.median(widths)):6.1f}  {sum(held)} of {len(held)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
