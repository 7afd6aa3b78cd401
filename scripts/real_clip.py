"""Train a small CLIP on emoji with transformers, save it, and audit it from its folder.

    python scripts/real_clip.py --data ../shared/data --out clip_audit [--steps 2000]

`--data` names the folder with emoji.npz. Writes the model to OUT/model, the run to OUT/run and the page to
OUT/report.html. 2,000 steps take about five minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmaudit import audit
from mmaudit.models.hf_retrieval import TransformersRetriever

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    """Train, audit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with emoji.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of 128 pairs")
    parser.add_argument("--suite", default="standard", help="which probes: quick, standard, full")
    asked = parser.parse_args()

    from helpers import hf_emoji

    columns = hf_emoji.arrays(asked.data / "emoji.npz")
    folder = hf_emoji.train(columns, asked.out / "model", asked.steps)
    model = TransformersRetriever(folder, {"image": "image", "name": "text"}, name="small CLIP of emoji")
    report = audit(model, hf_emoji.pairs(columns), out=asked.out / "run", suite=asked.suite)
    report.to_html(asked.out / "report.html")
    table = report.scores.query("metric == 'recall_at_10' and group == ''").drop_duplicates("label")
    print(table[["label", "value", "low", "high", "floor"]].to_string(index=False))
    for finding in report.findings:
        print(f"{finding.level}: {finding.claim}")


if __name__ == "__main__":
    main()
