"""The XOR tasks of SynIB: what is generated, what each trial sees, and a small run of each."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from helpers.synib_steps import a_step
from mmaudit.reference.base import Parts
from mmaudit.reference.loop import Budget, train
from mmaudit.reference.trained import Trial
from mmaudit.reproduce.base import reproductions
from mmaudit.reproduce.experiments import pid_xor, spurious_xor
from mmaudit.reproduce.xor_parts import MODALITIES, TASK, method_on, numbered, row


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only wait for each other on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---- Spurious-XOR


@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0, 2.0])
def test_the_label_is_the_xor_and_the_shortcut_as_strong_as_asked(beta):
    x, y = spurious_xor.samples(4000, 1, beta)
    assert {m: v.shape for m, v in x.items()} == {"x0": (4000, 64), "x1": (4000, 64)}
    bits = [v[:, :4].mean(1) > 0 for v in x.values()]
    assert ((bits[0] ^ bits[1]).long() == y).float().mean() > 0.999
    sign = (2 * y - 1).float()
    for bit in bits:
        assert abs(float((bit.float() * sign).mean())) < 0.05  # neither bit alone says anything
    shortcut = x["x0"][:, 4:10] * sign[:, None]
    assert float(shortcut.mean()) == pytest.approx(1.3 * beta, abs=0.06)
    assert float(shortcut.std()) == pytest.approx(1.3 * math.sqrt(max(0.0, 1 - beta**2)), abs=0.06)
    assert float(x["x1"][:, 4:].std()) == pytest.approx(1.0, abs=0.02)


def test_trials_see_data_of_their_own_and_validation_has_no_shortcut():
    known, checked = spurious_xor.labels(300), spurious_xor.labels(120)
    strong = spurious_xor.BETAS.index(1.0) * spurious_xor.PER_SEED
    one, two = (spurious_xor.world(known, checked, strong + s) for s in (0, 1))
    assert not torch.equal(one["x1"], two["x1"])
    assert torch.equal(one["x0"], spurious_xor.world(known, checked, strong)["x0"])
    sign = (2 * torch.cat([known, checked]) - 1).float()
    shortcut = one["x0"][:, 4:10].mean(1) * sign
    assert (shortcut[:300] > 1).all()
    assert abs(float(shortcut[300:].mean())) < 0.2


def test_concatenation_falls_for_the_shortcut_and_an_oracle_mask_does_not():
    size = spurious_xor.Size((1.0,), (0, 1), 60, (3e-3,), 2000)
    found = {}
    for name in ("vanilla", "SynIB, oracle"):
        trained = spurious_xor.trained_arm(name, size, size.rates, 1e-5, False, "cpu")
        checked, found[name] = spurious_xor.accuracies(trained, size, 1)
        assert checked.shape == found[name].shape == (1, 1, 2)
        assert np.abs(checked - found[name]).max() < 0.15
    assert found["vanilla"].max() < 0.65
    assert found["SynIB, oracle"].min() > 0.95


# ---- PID-XOR


def test_every_source_says_the_label_in_its_own_way():
    y = pid_xor.labels(6000)
    drawn = pid_xor.samples(y, 3, (0.3, 0.2, 0.2, 0.3))
    source = drawn["source"]
    shares = torch.bincount(source, minlength=4) / len(y)
    assert shares.tolist() == pytest.approx([0.3, 0.2, 0.2, 0.3], abs=0.03)
    matrices = pid_xor.projections()

    def sign(which, block, rows):
        columns = slice(6 * block, 6 * block + 6)
        latent = torch.linalg.lstsq(matrices[2 * block + which][columns], drawn[f"x{which}"][rows, columns].T).solution
        assert (latent.sign() == latent[:1].sign()).all()  # the four latents of a sample share their sign
        return latent[0].sign()

    label = (2 * y - 1).float()
    assert torch.equal(sign(0, 0, source == 0), label[source == 0])
    assert torch.equal(sign(1, 0, source == 1), label[source == 1])
    for which in (0, 1):
        assert torch.equal(sign(which, 1, source == 2), label[source == 2])
    rows = source == 3
    assert torch.equal(-sign(0, 2, rows) * sign(1, 2, rows), label[rows])
    assert abs(float((sign(0, 2, rows) * label[rows]).mean())) < 0.08
    noise = drawn["x0"][source != 0][:, :6]
    assert float(noise.std()) == pytest.approx(1.0, abs=0.02)


def test_a_world_is_standardised_by_its_training_rows():
    one, two = (pid_xor.world(500, 300, seed) for seed in (0, 1))
    for m in MODALITIES:
        torch.testing.assert_close(one[m].mean(0), torch.zeros(32), atol=1e-5, rtol=0)
        torch.testing.assert_close(one[m].std(0), torch.ones(32), atol=1e-4, rtol=0)
        assert one[f"test_{m}"].shape == (300, 32)
        assert not torch.equal(one[m], two[m])
    assert one["synergistic"].float().mean() == pytest.approx(0.1, abs=0.05)


def tiny(make, epochs, last=True, seeds=(0,), weight=10.0):
    y = pid_xor.labels(128)
    parts = Parts(MODALITIES, {m: partial(pid_xor.encoder, 8) for m in MODALITIES}, dict.fromkeys(MODALITIES, 8), TASK)
    return train(
        method_on(make, partial(pid_xor.world, 128, 40), last),
        parts,
        numbered(0, y[:96]),
        numbered(96, y[96:]),
        [Trial(seed, {"kl_weight": weight}) for seed in seeds],
        Budget(epochs=epochs, batch=32, patience=0, clip=float("inf")),
    )


def test_the_last_epoch_counts():
    trained = tiny(pid_xor.Vanilla, 3, seeds=(0, 1))
    assert trained.best_epoch == [2, 2]
    torch.testing.assert_close(trained.parameters["clock"], torch.full((2, 1), 3 * 3 * 3e-4))  # nine steps of one rate


def test_the_oracle_touches_synergistic_samples_only():
    trained = tiny(pid_xor.Oracle, 1)
    module = trained.module
    for name, rows in pid_xor.world(128, 40, 0).items():
        setattr(module, f"own_{name}", rows)
    seen = []

    def spy(values, keep):
        seen.append((module.own_synergistic[:32], keep))

    class Spied(type(module)):
        def keep_gates(self, step, values, filling, i, m):
            keep = super().keep_gates(step, values, filling, i, m)
            spy(values, keep)
            return keep

    module.__class__ = Spied
    numbers = numbered(0, pid_xor.labels(128)[:32])
    module.loss(a_step(module, numbers))
    assert len(seen) == 2
    for synergistic, keep in seen:
        assert keep[~synergistic].eq(1).all()
        assert keep[synergistic][:, 12:18].eq(0).all()
        assert keep[synergistic][:, :12].eq(1).all()
        assert keep[synergistic][:, 18:].eq(1).all()


def test_a_small_training_measures_both_shares():
    arm = pid_xor.ARMS["SynIB, random"]
    found = pid_xor.measured(arm, 8, 1, (0, 1), "cpu")
    assert {k: len(v) for k, v in found.items()} == {"synergy": 2, "all": 2}
    assert all(0.3 < v < 1 for values in found.values() for v in values)


def test_learned_gates_are_learned_through_the_encoder():
    trained = tiny(pid_xor.Learned, 1)
    assert trained.outcomes == [""]
    assert any(name.startswith("unimodal.u1.2") for name in trained.parameters)


# ---- rows


def test_agreement_is_three_standard_errors_or_two_points():
    values = [0.90, 0.92, 0.88, 0.91, 0.89]  # standard error 0.007
    assert row("s", "m", values).agrees is None
    assert row("s", "m", values, 0.88).agrees is True
    assert row("s", "m", values, 0.93).agrees is True  # theirs taken as 0.009: three of the difference are 0.035
    assert row("s", "m", values, 0.95, 0.0).agrees is False
    assert row("s", "m", values, 0.95, 0.02).agrees is True
    assert row("s", "m", [0.5] * 5, 0.515).agrees is True
    assert row("s", "m", [0.5] * 5, 0.53).agrees is False
    made = row("s", "m", values, 0.88, origin="theirs", note="n")
    assert (made.measured, made.seeds, made.origin, made.note) == (pytest.approx(0.9), 5, "theirs", "n")


def test_conclusions_say_the_numbers_of_the_rows():
    rows = [
        row(setting, name, [0.5 + 0.01 * i + 0.2 * (key == "all")] * 5, *(arm.reported[key][0] if i else ()))
        for i, (name, arm) in enumerate(pid_xor.ARMS.items())
        for key, setting in pid_xor.SETTINGS.items()
    ]
    said = " ".join(reproductions.get("pid_xor").conclude(rows))
    assert "answers 50.0% of the synergy samples" in said
    assert "51.0% to 53.0%" in said
    assert f"{sum(bool(r.agrees) for r in rows)} of 8 reported numbers agree" in said
    spurious = [
        row(spurious_xor.setting(beta, group), name, [0.5 + beta / 4] * 5)
        for group in (spurious_xor.PUBLISHED, spurious_xor.EQUAL)
        for name in spurious_xor.ARMS
        for beta in (0.0, 1.0)
    ]
    said = reproductions.get("spurious_xor").conclude(spurious)
    assert len(said) == 2
    assert all("vanilla 50.0% without the shortcut and 75.0% with it" in line for line in said)


def test_the_network_is_the_scripts():
    module = tiny(pid_xor.Vanilla, 1).module
    assert [tuple(layer.weight.shape) for layer in module.head if isinstance(layer, nn.Linear)] == [
        (128, 18),
        (128, 128),
        (1, 128),
    ]
