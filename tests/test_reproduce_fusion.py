"""Product, concatenation and tensor fusion run again: its made-up worlds, noise, closed form and tables."""

from math import isnan, pi

import numpy as np
import pytest
import torch

from mmaudit.reproduce.base import Settings, reproductions
from mmaudit.reproduce.experiments import fusion_noise as experiment
from mmaudit.reproduce.fusion_reported import CLEAN, FORM, LEVELS, NOISE, PAPER, RERUN, SIZES, clean, tolerance
from mmaudit.reproduce.fusion_worlds import MODALITIES, World, noisy, product_accuracy

SMALL = World("iso", "dot", 16)


@pytest.mark.parametrize(
    ("trial", "reading", "alpha", "expected"),
    [
        ("text", "R1", 0.1, 0.968),
        ("text", "R1", 0.5, 0.852),
        ("image", "R1", 0.95, 0.758),
        ("text", "R2", 0.1, 0.965),
        ("image", "R2", 0.5, 0.750),
        ("text", "R2", 0.95, 0.517),
    ],
)
def test_closed_form_is_the_published_one(trial, reading, alpha, expected):
    assert product_accuracy(trial, reading, alpha) == pytest.approx(expected, abs=5e-4)


def test_closed_form_at_its_ends():
    for trial in experiment.TRIALS:
        for reading in experiment.READINGS:
            assert product_accuracy(trial, reading, 0.0) == 1.0
    assert product_accuracy("text", "R1", 1.0) == pytest.approx(0.75)  # as much noise as signal
    assert product_accuracy("both", "R1", 1.0) == pytest.approx(1 - (pi / 3) / pi)  # r = √3
    # In many dimensions, noise in both is worse than in one, under either reading.
    for reading in experiment.READINGS:
        assert product_accuracy("both", reading, 0.5) < product_accuracy("text", reading, 0.5)


def test_a_perfect_product_model_meets_the_closed_form_within_a_point():
    rows = list(experiment.perfect_rows(64, 40_000))
    assert len(rows) == 2 * 3 * len(LEVELS)
    assert max(abs(r.measured - r.reported) for r in rows) <= 0.01
    assert all(r.agrees and r.origin == FORM for r in rows)


def test_perfect_weights_answer_with_the_sign_of_the_dot_product():
    rows = SMALL.rows(500, 3)
    out = experiment.perfect(16)(rows.inputs, rows.present)
    dots = (rows.inputs["text"] * rows.inputs["image"]).sum(dim=1)
    assert torch.allclose(out[:, 1] - out[:, 0], dots, atol=1e-4)


@pytest.mark.parametrize("regime", ["iso", "aniso", "outl"])
@pytest.mark.parametrize("label", ["dot", "add"])
def test_worlds_have_balanced_labels_and_other_seeds_other_rows(regime, label):
    world = World(regime, label, 16)
    rows, again, other = world.rows(4000, 1), world.rows(4000, 1), world.rows(4000, 2)
    assert 0.45 < rows.target.float().mean() < 0.55
    assert all(torch.equal(rows.inputs[m], again.inputs[m]) for m in MODALITIES)
    assert not any(torch.equal(rows.inputs[m], other.inputs[m]) for m in MODALITIES)
    # The world itself is the same: its means are, to sampling error.
    for m in MODALITIES:
        assert torch.allclose(rows.inputs[m].mean(0), other.inputs[m].mean(0), atol=0.25)


def test_shared_variance_is_nine_per_cent():
    rows = World("aniso", "dot", 32).rows(20000, 0)
    text, image = (rows.inputs[m].numpy() for m in MODALITIES)
    found = [np.corrcoef(text[:, j], image[:, j])[0, 1] for j in range(32)]
    assert np.mean(found) == pytest.approx(0.09, abs=0.01)


def test_additive_label_cannot_be_known_and_leans_on_text():
    rows = World("aniso", "add", 16).rows(20000, 0)
    design = np.hstack([np.ones((20000, 1)), *(rows.inputs[m].numpy() for m in MODALITIES)])
    fit = np.linalg.lstsq(design, rows.target.numpy() * 2.0 - 1, rcond=None)[0]
    accuracy = ((design @ fit > 0) == rows.target.numpy().astype(bool)).mean()
    assert accuracy == pytest.approx(0.79, abs=0.02)  # the best there is: E σ(2 |s|)
    assert np.var(design[:, 1:17] @ fit[1:17]) > 2 * np.var(design[:, 17:] @ fit[17:])


@pytest.mark.parametrize("scalar", [False, True])
def test_noise_has_the_moments_that_the_reading_says(scalar):
    rows = World("outl", "dot", 16).rows(20000, 4)
    x = rows.inputs["text"]
    mean, spread = (x.mean(), x.std()) if scalar else (x.mean(dim=0), x.std(dim=0))
    for alpha in (0.1, 0.95):
        added = noisy(rows, "text", "R1", alpha, scalar=scalar).inputs["text"] - x
        mixed = noisy(rows, "text", "R2", alpha, scalar=scalar).inputs["text"] - (1 - alpha) * x
        for found in (added, mixed):
            assert torch.allclose(found.mean(dim=0), alpha * mean.expand(16), atol=0.06)
            assert torch.allclose(found.std(dim=0), alpha * spread.expand(16), rtol=0.03)


def test_noise_touches_what_it_says_and_keeps_labels_and_draws():
    rows = SMALL.rows(50, 5)
    for reading in experiment.READINGS:
        same = noisy(rows, "both", reading, 0.0)
        assert all(torch.equal(same.inputs[m], rows.inputs[m]) for m in MODALITIES)
        text, image, both = (noisy(rows, t, reading, 0.3) for t in experiment.TRIALS)
        assert torch.equal(text.inputs["image"], rows.inputs["image"])
        assert torch.equal(image.inputs["text"], rows.inputs["text"])
        assert torch.equal(both.inputs["text"], text.inputs["text"])
        assert torch.equal(both.inputs["image"], image.inputs["image"])
        assert torch.equal(both.target, rows.target)


def test_tables_of_the_rerun_are_consistent():
    for (n, _reading, _trial, method, alpha), value in NOISE.items():
        assert 0.49 <= value <= 1
        if alpha == 0:  # the start of every curve is the accuracy of the other table
            assert value == clean("iso", "dot", 64, True, method, n)[0]
    assert all(len(found) == len(SIZES) for found in CLEAN.values())
    assert clean("iso", "add", 64, True, "product", 512) is None
    assert clean("iso", "dot", 64, True, "product", 100) is None
    assert tolerance(0.0) == tolerance(0.002) == 0.02
    assert tolerance(0.02) == pytest.approx(0.06)


def test_rows_of_a_small_training_are_complete_and_agree_with_themselves():
    """Every kind of row, from trainings that take a second."""
    seen = []
    heads = {"product": (32, 128), "concatenation": (32,), "tensor": (32,)}
    todo = [experiment.Setup(World("iso", "dot", 64), True, heads, noise=(128,), levels=(0.1, 0.5))]
    rows = experiment.trained_rows(todo, Settings(seeds=2, scale="quick", progress=lambda *at: seen.append(at)))
    assert seen == [(2, 8), (4, 8), (6, 8), (8, 8)]
    trained = {(r.method, r.setting): r for r in rows if r.origin == RERUN}
    assert set(trained) == {
        ("product", "iso, dot, d = 64, n = 32"),
        ("product", "iso, dot, d = 64, n = 128"),
        ("concatenation", "iso, dot, d = 64, n = 32"),
        ("tensor", "iso, dot, d = 64, n = 32"),
    }
    for row in trained.values():
        assert row.low <= row.measured <= row.high
        assert abs(row.measured - row.reported) < 0.06
    noise = [r for r in rows if "α" in r.setting and r.origin != PAPER]
    assert len(noise) == 2 * 3 * 2
    assert all(isnan(r.reported) and r.agrees is None for r in noise)
    falls = [r for r in rows if r.origin == PAPER]
    assert len(falls) == 4
    assert all(r.measured < 0.05 and r.agrees is False and "n = " in r.note for r in falls)
    said = " ".join(experiment.conclude(rows))
    assert "is not reproduced under any reading" in said
    assert "4 numbers agree with the earlier rerun" in said


def test_all_seeds_are_one_batched_model_from_the_paper_s_own_sizes_on():
    setup = experiment.Setup(SMALL, True, {"product": (600,)})
    few = experiment._train(setup, "product", 40, SMALL.rows(50, 1), Settings(seeds=7))
    assert sorted(len(t.trials) for t in few) == [1, 1, 1, 2, 2]
    assert sorted(trial.seed for t in few for trial in t.trials) == list(range(7))


def test_it_is_registered_with_what_the_paper_claims():
    found = reproductions.get("fusion_noise")
    assert "55 %" in found.claims
    full, quick = experiment.setups(False), experiment.setups(True)
    assert {s.world.label for s in full} == {s.world.label for s in quick} == {"dot", "add"}
    assert {s.rectified for s in full} == {True, False}
    assert min(min(sizes) for s in full for sizes in s.sizes.values()) == 32
