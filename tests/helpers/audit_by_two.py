"""Audit a small model with two processes, in a driver of its own: python audit_by_two.py OUT FAULT ONCE."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.execution_cases import PLAIN, OnMark, marked, model
from mmaudit.auditing import audit


def main(out: str, fault: str, once: str) -> None:
    print("ready", flush=True)
    audit(model(OnMark(fault, Path(once))), marked(2500), out=out, suite=PLAIN, resamples=20, jobs=2, batch_rows=128)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
