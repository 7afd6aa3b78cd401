"""A CLIP trained on real emoji in half a minute, saved, loaded from its folder and audited from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import hf_cases, hf_emoji
from mmaudit import audit
from mmaudit.models import check_model, require
from mmaudit.models.hf_retrieval import TransformersRetriever

FILE = Path(__file__).parents[1].parent / "shared" / "data" / "emoji.npz"


@pytest.mark.slow
def test_a_trained_clip(tmp_path: Path) -> None:
    if not FILE.exists():
        pytest.skip("shared data emoji.npz is not on this machine")
    columns = hf_emoji.arrays(FILE)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = hf_emoji.train(columns, tmp_path / "clip", steps=120, batch=96)
    torch.set_num_threads(threads)
    data = hf_emoji.pairs(columns)
    model = TransformersRetriever(folder, {"image": "image", "name": "text"})
    batch = data.rows(np.arange(len(data)))
    require(check_model(model, batch, data.task))
    suite = {"probes": ["mismatch"], "pools": ["random"], "analyses": []}
    scores = audit(model, data, out=tmp_path / "run", suite=suite, resamples=200).scores
    found = scores.query("metric == 'recall_at_10' and group == ''").drop_duplicates("label").set_index("label")
    # The library's own logits, of all images and names at once, ranked by hand.
    direct, processor = hf_cases.taken_apart(folder)
    images, names = list(batch.inputs["image"]), list(batch.inputs["name"])
    limits = {"padding": True, "truncation": True, "max_length": hf_emoji.TOKENS}
    inputs = processor(images=images, text=names, return_tensors="pt", **limits)
    with torch.no_grad():
        logits = direct(**inputs).logits_per_image.numpy()
    n, right = len(data), np.diag(logits)[:, None]
    # Two emoji of one name tie, and the order of rounding is not the same: a share of two samples is allowed.
    expected = ((logits > right).sum(axis=1) < 10).mean()
    assert found["value"]["clean"] == pytest.approx(expected, abs=2 / n)
    chance = 10 / n
    assert found["low"]["clean"] > 2 * chance
    for label in ("mismatch[image, pool=random]", "mismatch[name, pool=random]"):
        # The pairing is broken: hits are a binomial draw at chance, at most four deviations above.
        assert found["value"][label] < chance + 4 * np.sqrt(chance * (1 - chance) / n)
