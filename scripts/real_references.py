"""Retrain reference methods for models of real data, and write what is found to docs/real_references.md.

    python scripts/real_references.py --data ../shared/data [--out docs/real_references.md] [--seeds 5]

`--data` names the folder with avmnist.npz and emoji.npz; easy-VQA comes with its package.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mmaudit
from mmaudit.data import Dataset
from mmaudit.panel.lines import lines
from mmaudit.report import Report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

FUSION = ("concatenation", "product", "tensor", "late_mean", "attention", "modality_dropout", "unimodal")
OBJECTIVES = ("aecf", "synib", "masking_only", "ogm_ge", "mcr")


@dataclass(frozen=True)
class Case:
    """A model, its test data and its training data; which methods; what one would expect."""

    name: str
    make: Callable[[Path], tuple[Any, Dataset, Dataset]]
    methods: tuple[str, ...]
    suite: str
    expected: str


def easy_vqa(folder: Path) -> tuple[Any, Dataset, Dataset]:
    """The demo's model on easy-VQA."""
    from mmaudit.demo import run

    return run.model(), run.data("test"), run.data("train")


def avmnist(folder: Path) -> tuple[Any, Dataset, Dataset]:
    """A written and a spoken digit, by a small torch model."""
    from helpers import real_models

    def split(name: str) -> Dataset:
        modalities = [
            mmaudit.Modality("image", "image", layout="HW", range=(0, 255)),
            mmaudit.Modality("audio", "audio", sample_rate=8000),
        ]
        return mmaudit.read_npz(
            folder / "avmnist.npz",
            "classification",
            modalities=modalities,
            target="label",
            cluster="speaker",
            split=name,
        )

    return real_models.digits(), split("test"), split("train")


def emoji(folder: Path) -> tuple[Any, Dataset, Dataset]:
    """Find Google's drawing of an emoji, given Twitter's and the name: linear encoders trained on pairs (CLIP)."""
    names = ("image_twitter", "name_emb", "image_google")
    with np.load(folder / "emoji.npz", allow_pickle=False) as file:
        values = {n: file[n].astype(np.float32) if n == "name_emb" else file[n] for n in names}
        split, codes = file["split"], file["codepoint"]
    drawing = {"kind": "image", "layout": "HWC", "range": (0, 255)}

    def rows(number: int) -> Dataset:
        mine = split == number
        return mmaudit.ArrayData(
            {n: v[mine] for n, v in values.items()},
            np.arange(int(mine.sum())),
            mmaudit.Task.retrieval(("image_twitter", "name_emb"), "image_google"),
            modalities=[mmaudit.Modality(n, **drawing) for n in names if n != "name_emb"],  # type: ignore[arg-type]
            kinds={"name_emb": "embedding"},
            ids=codes[mine].tolist(),
        )

    def prepared(images: Any) -> torch.Tensor:
        x = torch.from_numpy(np.asarray(images)).float().permute(0, 3, 1, 2) / 255
        return torch.nn.functional.avg_pool2d(x, 3).flatten(1) - 0.5

    with torch.random.fork_rng():
        torch.manual_seed(0)
        modules = {
            n: torch.nn.Sequential(
                torch.nn.Linear(384 if n == "name_emb" else 768, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64)
            )
            for n in names
        }
        given = {
            n: torch.from_numpy(v[split == 0]) if n == "name_emb" else prepared(v[split == 0])
            for n, v in values.items()
        }
        optimiser = torch.optim.AdamW([p for m in modules.values() for p in m.parameters()], lr=1e-3, weight_decay=1e-3)
        for _ in range(60):
            for chosen in torch.split(torch.randperm(int((split == 0).sum())), 128):
                unit = {n: torch.nn.functional.normalize(m(given[n][chosen]), dim=1) for n, m in modules.items()}
                logits = 14 * (unit["image_twitter"] + unit["name_emb"]) @ unit["image_google"].T
                loss = torch.nn.functional.cross_entropy(logits, torch.arange(len(chosen)))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    model = mmaudit.RetrievalModel(
        {n: m.eval() for n, m in modules.items()},
        "dot",
        normalise=True,
        temperature=1 / 14,
        prepare={n: prepared for n in names if n != "name_emb"},
        name="drawings of emoji",
    )
    return model, rows(2), rows(0)


CASES = (
    Case(
        "easy-VQA, image + question",
        easy_vqa,
        ("concatenation", "product", "late_mean", "modality_dropout", "aecf", "synib"),
        "quick",
        "needs both modalities at once, so late fusion must lose",
    ),
    Case(
        "AV-MNIST, image + audio",
        avmnist,
        (*FUSION, *OBJECTIVES),
        "standard",
        "redundant, so whoever is told what is missing gains when one is",
    ),
    Case(
        "emoji, two drawings and a name (retrieval)",
        emoji,
        ("clip", "symile_pair", "gated_symile", "pairwise_lse", "gram", "triangle"),
        "quick",
        "pairwise methods suffice",
    ),
)


def main() -> None:
    """Audit every case, retrain, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/real_references.md"))
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    from helpers import real_data

    real_data.SHARED = given.data.resolve()
    parts = [PREFACE.format(seeds=given.seeds)]
    for case in CASES:
        model, data, train = case.make(given.data)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            mmaudit.audit(model, data, out=out, suite=case.suite)
            began = time.perf_counter()
            panel = mmaudit.retrain(
                out, model, data, train, methods=case.methods, seeds=given.seeds, shared_clusters=True
            )
            seconds = time.perf_counter() - began
            print(f"{case.name}: {seconds:.0f} s", flush=True)
            heads, *body = lines(panel)
            parts += [
                f"## {case.name}\n",
                f"{panel.n} samples, {len(panel.conditions)} conditions. Expected: {case.expected}.\n",
            ]
            parts += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
            parts += ["| " + " | ".join(row) + " |" for row in body]
            said = [f.claim for f in Report.read(out).findings if "reference" in f.rule]
            parts += [
                "",
                *(f"- {claim}" for claim in said),
                f"- Training and asking all of them took {seconds:.0f} s.",
                "",
            ]
    given.out.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


PREFACE = """# Reference methods on real data

Would another method, trained on the same training split, do better than these models? Every method has {seeds} seeds
and 4 trials of random search, 30 epochs at most; all are asked the audited model's own probes, samples and seeds. 95 %
intervals in brackets; "against yours" is the paired difference. Made by
`python scripts/real_references.py --data FOLDER`.
"""


if __name__ == "__main__":
    main()
