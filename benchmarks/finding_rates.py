"""How often planted faults are found and how often a finding is false: python benchmarks/finding_rates.py

Audits worlds whose truth is known in closed form (tests/theory) with random parameters, 600 to 1,500 samples each, and
prints per rule, with 95 % Wilson intervals:

    detection    findings that had to appear, and did
    accusation   audits with a finding of the rule that is not true

`healthy` are Bayes-optimal models that use only one modality, both redundantly, additively or by XOR, and their kin;
`fault` have one fault planted; `random` are a little wrong in every way.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="audits of every scenario (20)")
    parser.add_argument("--first", type=int, default=1000, help="first seed (1000; the tests use 0 to 5)")
    chosen = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    rates = import_module("theory.rates")
    counted, started = rates.Rates(), time.perf_counter()
    for one in rates.every(range(chosen.first, chosen.first + chosen.seeds)):
        counted.add(one)
    print(counted.table())
    print("\n".join(counted.wrong) or "nothing missed, nothing false")
    seconds = time.perf_counter() - started
    print(f"{counted.audits} audits in {seconds:.0f} s, {1000 * seconds / counted.audits:.0f} ms each")


if __name__ == "__main__":
    main()
