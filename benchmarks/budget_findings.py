"""What a budget does to findings: `python benchmarks/budget_findings.py [--share 0.1] [--seeds 2]`

The known worlds of `finding_rates.py` (tests/theory), 1,200 samples each, are audited whole, on a share of the samples
(`even`), and with as many answers as a budget. Counted are the planted faults that an audit of all samples has to find
and each way did, and audits with a finding that is not true, with 95 % Wilson intervals.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mmaudit.auditing import prepare
from mmaudit.budget import Budget
from mmaudit.comparison import adjust
from mmaudit.findings import find
from mmaudit.portions import random_order
from mmaudit.predict import Progress, predict
from mmaudit.score import ScoreTable, evidence_from
from mmaudit.spending import require_room, spend
from mmaudit.timing import Timing

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
rates: Any = import_module("theory.rates")
Expectations: Any = import_module("theory.expectations").Expectations
SCENARIOS: Any = import_module("theory.scenarios").SCENARIOS

N = 1200
WAYS = ("whole", "even", "budget")


def within(case: Any, data: Any, share: float) -> Any:
    """The evidence of an audit with a share of the answers, as `rates.audit` takes it of all."""
    model = case.model(case.world) if case.model else case.world.model()
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        prepared = prepare(model, data, suite=case.suite, out=out)
        limit = Budget(round(share * len(data) * len(prepared.plan.conditions)))
        require_room(limit, out, prepared.plan, data)
        run = prepared.open_run(out, batch_rows=4096, title=None, command="", budget=limit)

        def answers(told: Progress | None, first: int) -> Timing:
            source, stage = prepared.source, prepared.stage
            return predict(run, data, prepared.model, source, stage=stage, batch_rows=4096, first=first)

        spend(run, limit, answers)
        table = ScoreTable(run, only=rates.METRICS, resamples=rates.RESAMPLES)
        table.side = rates.NoTables(run.conditions)
        rows = adjust(table.rows())
        return evidence_from(run, rows, list(table.condition_rows()), folder="runs/known")


def findings(way: str, case: Any, data: Any, share: float) -> tuple[Any, Any]:
    """Evidence and findings of one way."""
    if way == "budget":
        evidence = within(case, data, share)
        return evidence, find(evidence)
    if way == "even":
        data = data.subset(np.sort(random_order(data.ids, data.cluster)[: round(share * len(data))]))
    evidence, found = rates.audit(case, data)
    return evidence, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.1, help="of all answers (0.1)")
    parser.add_argument("--seeds", type=int, default=2, help="data sets of every scenario (2)")
    parser.add_argument("--first", type=int, default=2000, help="first seed (2000)")
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    chosen = parser.parse_args()
    wanted, audits, healthy = 0, 0, 0
    found, false, accused = Counter[str](), Counter[str](), Counter[str]()
    wrong: list[str] = []
    started = time.process_time()
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        for name in chosen.scenarios:
            kind, make = SCENARIOS[name]
            rng = np.random.default_rng([seed, *name.encode()])
            case = make(rng)
            data = case.world.data(N, rng)
            audits, healthy = audits + 1, healthy + (kind == "healthy")
            must = None
            for way in WAYS:
                evidence, told = findings(way, case, data, chosen.share)
                expected = Expectations(
                    case.world.given(data), tuple(evidence.conditions), N, case.faults, case.tolerated
                )
                must = expected.must
                found[way] += len(must) - len(expected.missed(told))
                untrue = expected.false(told)
                false[way] += bool(untrue)
                accused[way] += bool(untrue) and kind == "healthy"
                wrong += [f"{name} seed {seed} {way}: false {f.rule} {f.modalities}: {f.claim}" for f in untrue]
            wanted += len(must or ())
    print(f"{audits} worlds of {N} samples, {100 * chosen.share:g} % of the answers")
    print("| | planted faults found | audits with a false finding | of healthy models |\n|---|---|---|---|")
    for way in WAYS:
        cells = (rates.shown(found[way], wanted), rates.shown(false[way], audits), rates.shown(accused[way], healthy))
        print(f"| {way} | {' | '.join(cells)} |")
    print("\n".join(wrong) or "nothing false")
    print(f"{time.process_time() - started:.0f} s of processor time")


if __name__ == "__main__":
    main()
