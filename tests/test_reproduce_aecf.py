"""The reproduction on AV-MNIST: its measures against independent code, and the whole of it on made-up digits."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from helpers.real_data import SHARED
from mmaudit.errors import BadInput
from mmaudit.metrics.calibration import expected_calibration_error
from mmaudit.reproduce import aecf_avmnist_measures as measures
from mmaudit.reproduce.aecf_avmnist_data import digits, encode, read
from mmaudit.reproduce.base import Row, Settings, reproductions
from mmaudit.reproduce.experiments.aecf_avmnist import QUICK, REGISTERED
from reference_aecf_cases import one_thread  # noqa: F401

REPRODUCTION = reproductions.get("aecf_avmnist")


# ---- measures


def test_patterns_of_presence_and_their_probabilities() -> None:
    assert measures.patterns(2).tolist() == [[True, True], [True, False], [False, True], [False, False]]
    assert measures.pattern_weights(2, 0.2, "may lose all").tolist() == pytest.approx([0.64, 0.16, 0.16, 0.04])
    assert measures.pattern_weights(2, 0.2, "keep ≥ 1").tolist() == pytest.approx([0.64, 0.18, 0.18, 0.0])
    for protocol in ("may lose all", "keep ≥ 1"):
        weight = measures.pattern_weights(3, 0.4, protocol)  # type: ignore[arg-type]
        assert weight.sum() == pytest.approx(1.0)
        assert measures.pattern_weights(3, 0.0, protocol).tolist() == [1.0] + [0.0] * 7  # type: ignore[arg-type]


def test_probabilities_of_patterns_are_those_of_drawn_masks() -> None:
    rng = np.random.default_rng(0)
    shown = rng.random((100_000, 3)) >= 0.6
    lost = ~shown.any(axis=1)
    kept = shown.copy()
    kept[lost, rng.integers(3, size=lost.sum())] = True
    for protocol, drawn in (("may lose all", shown), ("keep ≥ 1", kept)):
        share = [(drawn == p).all(axis=1).mean() for p in measures.patterns(3)]
        assert share == pytest.approx(measures.pattern_weights(3, 0.6, protocol), abs=0.005)  # type: ignore[arg-type]


def answers(n: int = 200) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(1)
    target = np.arange(n) % 4
    logits = rng.normal(size=(4, n, 4)) + np.array([3.0, 1.5, 1.0, 0.0])[:, None, None] * np.eye(4)[target]
    p = np.exp(logits)
    return p / p.sum(axis=2, keepdims=True), target


def test_weighted_measures_are_those_of_repeated_rows() -> None:
    probability, target = answers()
    counts = np.array([3, 2, 2, 1])
    repeated = np.concatenate([probability[i] for i, c in enumerate(counts) for _ in range(c)])
    truth = np.tile(target, counts.sum())
    weight = counts / counts.sum()
    assert measures.accuracy(probability, target, weight) == pytest.approx((repeated.argmax(axis=1) == truth).mean())
    assert measures.ece(probability, target, weight) == pytest.approx(expected_calibration_error(repeated, truth))
    each = [average_precision_score(truth == c, repeated[:, c]) for c in range(4)]
    assert measures.macro_average_precision(probability, target, weight) == pytest.approx(np.mean(each))
    gaps = []
    for c in range(4):
        score = repeated[:, c]
        places = np.minimum((score * 15).astype(int), 14)
        gaps.append(np.abs(np.bincount(places, (truth == c) - score, 15)).sum() / len(truth))
    assert measures.classwise_ece(probability, target, weight) == pytest.approx(np.mean(gaps))


def test_violations_count_smaller_subsets_that_are_surer() -> None:
    confidence = np.array([[0.9, 0.6], [0.95, 0.5], [0.8, 0.7], [0.99, 0.99]])
    probability = np.stack([confidence, 1 - confidence], axis=2)
    # Of image ⊂ both: row 0 violates; of audio ⊂ both: row 1 does. The empty subset does not count.
    assert measures.violations(probability) == pytest.approx(0.5)


# ---- data


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten classes of a bright bar at a place of its own, and of a tone of its own."""
    rng = np.random.default_rng(0)
    label = np.tile(np.arange(10), 18)
    image = rng.integers(0, 60, (180, 28, 28))
    image[np.arange(180), 2 * label + 3] += 180
    time = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * (300 * 1.3 ** label[:, None]) * time)
    audio = 8000 * tone + rng.normal(scale=300, size=tone.shape)
    path = tmp_path_factory.mktemp("digits") / "avmnist.npz"
    np.savez(
        path,
        image=image.astype(np.uint8),
        audio=audio.astype(np.int16),
        label=label.astype(np.int64),
        split=np.repeat(["train", "val", "test"], (100, 40, 40)),
    )
    return path


def test_pictures_keep_the_share_of_variance_that_is_asked_for(made_up: Path) -> None:
    columns = read(made_up)
    whole, half = digits(columns, None), digits(columns, 0.5)
    train = whole.rows["train"]
    for found in (whole, half):
        for x in found.inputs.values():
            assert x[train].mean().item() == pytest.approx(0.0, abs=1e-4)
            assert x[train].std().item() == pytest.approx(1.0, abs=1e-3)
    flat = half.inputs["image"].reshape(180, -1).double().numpy()
    held = np.linalg.svd(flat[train] - flat[train].mean(axis=0), compute_uv=False)
    rank = int((held > 1e-4 * held[0]).sum())
    before = np.linalg.svd(
        columns["image"][train].reshape(100, -1) - columns["image"][train].reshape(100, -1).mean(axis=0),
        compute_uv=False,
    )
    shares = np.cumsum(before**2) / (before**2).sum()
    assert shares[rank - 2] < 0.5 <= shares[rank - 1]


def test_frozen_features_are_one_per_row_and_reproducible(made_up: Path) -> None:
    data = digits(read(made_up), None, at_most=30)
    assert [len(r) for r in data.rows.values()] == [30, 30, 30]
    one, two = (encode(data, 1, "cpu") for _ in range(2))
    for m in ("image", "audio"):
        assert one.inputs[m].shape == (180, 64)
        assert (one.inputs[m] == two.inputs[m]).all()


def test_missing_or_foreign_data_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"give the path of avmnist\.npz"):
        REPRODUCTION.run(Settings(scale="quick"))
    with pytest.raises(BadInput, match="there is no file"):
        REPRODUCTION.run(Settings(scale="quick", data=tmp_path / "none.npz"))
    np.savez(tmp_path / "other.npz", image=np.zeros(3))
    with pytest.raises(BadInput, match="no column 'audio'"):
        REPRODUCTION.run(Settings(scale="quick", data=tmp_path / "other.npz"))
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    with pytest.raises(BadInput, match="cannot be read"):
        REPRODUCTION.run(Settings(scale="quick", data=tmp_path / "broken.npz"))


# ---- the whole


@pytest.fixture(scope="module")
def rows(made_up: Path) -> Iterator[list[Row]]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield REPRODUCTION.run(Settings(seeds=2, scale="quick", data=made_up))
    torch.set_num_threads(before)


def test_quick_run_measures_every_variant_against_both_concatenations(rows: list[Row]) -> None:
    by_method = {m: [r for r in rows if r.method == m] for m in REGISTERED}
    ours = [m for m in REGISTERED if m.startswith("aecf")]
    assert {r.method for r in rows} == set(REGISTERED)
    for m in REGISTERED:
        settings = [r.setting for r in by_method[m] if r.unit == "share"]
        assert len(settings) == len(set(settings))
        assert sum("accuracy" in s for s in settings) == 2 * len(QUICK.drops) - 1
        assert sum("classwise" in s for s in settings) == 3
        assert all(0 <= r.measured <= 1 and r.seeds == 2 for r in by_method[m] if r.unit == "share")
    gains = [r for r in rows if "gain over" in r.setting]
    assert len(gains) == 2 * len(ours)
    assert all(r.reported == 18.0 and r.origin and r.agrees is (r.low > 0 and r.high >= 18) for r in gains)
    overhead = [r for r in rows if r.unit == "%"]
    assert [r.method for r in overhead] == ours


def test_losing_everything_costs_more_than_keeping_one(rows: list[Row]) -> None:
    found = {(r.setting, r.method): r.measured for r in rows}
    for m in REGISTERED:
        kept, lost = (found[f"pictures reduced: 90 % missing, {p}, accuracy", m] for p in ("keep ≥ 1", "may lose all"))
        assert kept > lost


def test_conclusions_name_the_measured_gain_and_claim_no_reproduction_of_the_paper(rows: list[Row]) -> None:
    said = REPRODUCTION.conclude(rows)
    gain = next(r for r in rows if r.method == "aecf" and r.setting.endswith("gain over concatenation"))
    assert f"{gain.measured:+.1f} points" in said[0]
    assert "no reproduction of the paper's experiment" in said[1]
    assert not isnan(gain.measured)


def test_real_file_has_the_columns_and_splits() -> None:
    path = SHARED / "avmnist.npz"
    if not path.exists():
        pytest.skip("shared data avmnist.npz is not on this machine")
    data = digits(read(path), 0.25, at_most=20)
    assert data.inputs["image"].shape == (3000, 1, 28, 28)
    assert data.inputs["audio"].shape == (3000, 1, 40, 61)
    assert set(data.label.tolist()) == set(range(10))
