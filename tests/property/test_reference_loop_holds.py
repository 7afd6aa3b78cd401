"""What every training must hold to: its random numbers, what it keeps, its resumption, failures and refusals."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import mmaudit.reference.methods  # noqa: F401  (registers them)
from helpers.imbalance import PLAIN, Plain, parts, planted
from mmaudit.errors import BadInput
from mmaudit.reference import checkpoint
from mmaudit.reference.base import Draw, references
from mmaudit.reference.draws import orders, steps
from mmaudit.reference.loop import Budget, Table, build, train
from mmaudit.reference.optimiser import AdamW, clip
from mmaudit.reference.trained import Trained, Trial
from mmaudit.types import Task

TABLE, OTHER = planted(64, 1), planted(48, 2)
BUDGET = Budget(epochs=6, batch=16, patience=0)
TWO = [Trial(0), Trial(1, {"lr": 1e-2})]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def kept_at_once(monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)


def same(one: Trained, two: Trained, place: int | None = None) -> bool:
    at = slice(None) if place is None else slice(place, place + 1)
    return all(torch.equal(p[at], two.parameters[k][at]) for k, p in one.parameters.items())


def killed_at(epoch: int):
    def progress(done: int, planned: int) -> None:
        if done == epoch:
            raise KeyboardInterrupt

    return progress


def kill(method, table, budget, folder, epoch=4, trials=TWO):
    with pytest.raises(KeyboardInterrupt):
        train(method, parts(), table, OTHER, trials, budget, folder=folder, progress=killed_at(epoch))
    assert (folder / checkpoint.NAME).exists()


def variant(**overridden):
    """The plain method with some of its methods replaced."""
    return replace(PLAIN, make=type("Variant", (Plain,), {"__doc__": "A variant.", **overridden}))


# ---- random numbers


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), st.integers(0, 50), st.integers(1, 40))
def test_each_trial_reads_every_row_once_in_an_order_of_its_own(seeds, epoch, rows):
    found = orders(seeds, epoch, rows)
    assert all(sorted(order) == list(range(rows)) for order in found.tolist())
    alone = torch.cat([orders([seed], epoch, rows) for seed in seeds])
    assert torch.equal(found, alone)
    if rows > 20:
        assert not torch.equal(found, orders(seeds, epoch + 1, rows))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True), st.integers(0, 5), st.integers(1, 5))
def test_a_trials_numbers_do_not_depend_on_its_neighbours(seeds, epoch, count):
    wanted = {
        "u": Draw("uniform", (3, 2)), "n": Draw("normal", (4,)), "i": Draw("integers", (5,), 3),
        "p": Draw("permutation", (6,)),
    }  # fmt: skip
    together = list(steps(seeds, epoch, count, wanted))
    assert len(together) == count
    for place, seed in enumerate(seeds):
        for one, all_of_them in zip(steps([seed], epoch, count, wanted), together, strict=True):
            assert all(torch.equal(one[k][0], all_of_them[k][place]) for k in wanted)
    for step in together:
        assert all(sorted(row) == list(range(6)) for row in step["p"].tolist())
        assert 0 <= step["u"].min() <= step["u"].max() < 1
        assert 0 <= step["i"].min() <= step["i"].max() < 3


def test_building_and_training_leave_the_global_generator_as_it_was():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    train(references.get("ogm_ge"), parts(), TABLE, OTHER, TWO, replace(BUDGET, epochs=1))
    assert torch.equal(before, torch.random.get_rng_state())


# ---- optimiser


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-4, 1.0), st.floats(0, 0.5), st.integers(1, 6))
def test_the_optimiser_is_adamw_trial_by_trial_and_rate_0_is_none(seed, rate, decay, count):
    source = torch.Generator().manual_seed(seed)
    start = torch.randn(2, 3, 4, generator=source, dtype=torch.float64)
    mine, theirs = {"w": start.clone()}, nn.Parameter(start[0].clone())
    optimiser, reference = AdamW.of(mine), torch.optim.AdamW([theirs], lr=rate, weight_decay=decay)
    rates, decays = {"w": torch.tensor([rate, 0.0])}, {"w": torch.full((2,), decay)}
    for _ in range(count):
        gradient = torch.randn(2, 3, 4, generator=source, dtype=torch.float64)
        optimiser.step(mine, {"w": gradient}, rates, decays)
        theirs.grad = gradient[0]
        reference.step()
    torch.testing.assert_close(mine["w"][0], theirs.detach(), rtol=1e-5, atol=1e-7)
    assert torch.equal(mine["w"][1], start[1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-3, 25), st.floats(0.1, 10))
def test_clipping_bounds_each_trials_norm_and_keeps_its_direction(seed, power, largest):
    source = torch.Generator().manual_seed(seed)
    made = {"a": torch.randn(2, 3, generator=source), "b": torch.randn(2, 2, 2, generator=source)}
    made = {k: torch.stack([g[0] * 10**power, g[1] * 1e-3]) for k, g in made.items()}
    found = clip(made, largest)
    flat, before = (torch.cat([g[0].flatten() for g in x.values()]).double() for x in (found, made))
    assert flat.norm() <= largest * 1.001
    assert flat.norm() >= min(largest, before.norm()) * 0.999
    torch.testing.assert_close(flat / flat.norm(), before / before.norm(), rtol=1e-4, atol=1e-6)
    assert all(torch.equal(found[k][1], made[k][1]) for k in made)


# ---- what is kept


def test_what_is_kept_is_the_epoch_that_validates_best():
    found = train(PLAIN, parts(), TABLE, OTHER, TWO, replace(BUDGET, epochs=10))
    validated = torch.tensor([epoch["validation"] for epoch in found.history])
    assert found.best_epoch == validated.argmax(dim=0).tolist()
    again = found.call("goodness", OTHER.inputs, OTHER.present, OTHER.target).mean(dim=1)
    torch.testing.assert_close(again, torch.tensor(found.validation))


def test_validation_rows_choose_the_epoch_and_nothing_else():
    flipped = Table(OTHER.inputs, OTHER.present, 1 - OTHER.target)
    one, two = (train(PLAIN, parts(), TABLE, chosen, TWO, BUDGET) for chosen in (OTHER, flipped))
    assert [e["loss"] for e in one.history] == [e["loss"] for e in two.history]
    assert one.validation != two.validation


def test_a_trial_that_stopped_early_is_the_same_beside_one_that_goes_on():
    budget = Budget(epochs=25, batch=16, patience=2)
    trials = [Trial(0, {"lr": 0.3}), Trial(1, {"lr": 1e-4})]
    both = train(PLAIN, parts(), TABLE, OTHER, trials, budget)
    alone = train(PLAIN, parts(), TABLE, OTHER, trials[:1], budget)
    assert len(alone.history) < len(both.history)
    assert both.best_epoch[0] == alone.best_epoch[0]
    for k, p in alone.parameters.items():
        torch.testing.assert_close(both.parameters[k][:1], p, rtol=1e-4, atol=1e-5)


def test_parameters_that_an_encoder_freezes_stay_as_they_were():
    def frozen() -> nn.Module:
        made = nn.Linear(8, 4)
        made.weight.requires_grad_(False)
        return made

    made = replace(parts(), encoders={"easy": frozen, "slow": partial(nn.Linear, 8, 4)})
    found = train(PLAIN, made, TABLE, OTHER, [Trial(0)], BUDGET)
    start = build(PLAIN, made, 0)
    assert torch.equal(found.parameters["encoders.m0.weight"][0], start.get_parameter("encoders.m0.weight"))
    assert not torch.equal(found.parameters["encoders.m0.bias"][0], start.get_parameter("encoders.m0.bias"))


# ---- resumption


@pytest.mark.parametrize("name", ["concatenation", "ogm_ge", "agm", "pmr", "mcr"])
def test_a_killed_training_ends_as_if_it_had_not_been_killed(name, tmp_path, kept_at_once):
    method, budget = references.get(name), replace(BUDGET, patience=2)
    kill(method, TABLE, budget, tmp_path)
    resumed = train(method, parts(), TABLE, OTHER, TWO, budget, folder=tmp_path)
    through = train(method, parts(), TABLE, OTHER, TWO, budget)
    assert same(resumed, through)
    assert (resumed.history, resumed.best_epoch) == (through.history, through.best_epoch)
    assert not (tmp_path / checkpoint.NAME).exists()


def reversed_rows(table: Table) -> Table:
    turned = {m: x.flip(0) for m, x in table.inputs.items()}
    return Table(turned, {m: p.flip(0) for m, p in table.present.items()}, table.target.flip(0))


@pytest.mark.parametrize(
    ("table", "budget"),
    [
        (Table(TABLE.inputs, TABLE.present, 1 - TABLE.target), BUDGET),
        (Table(TABLE.inputs, {**TABLE.present, "slow": torch.arange(64) > 5}, TABLE.target), BUDGET),
        (reversed_rows(TABLE), BUDGET),
        (TABLE, replace(BUDGET, epochs=2)),
        (TABLE, replace(BUDGET, epochs=9, schedule="cosine")),
    ],
    ids=["labels", "presence", "order", "fewer epochs", "longer cosine"],
)
def test_what_another_training_left_is_not_gone_on_from(table, budget, tmp_path, kept_at_once):
    kill(PLAIN, TABLE, replace(budget, epochs=6), tmp_path)
    found = train(PLAIN, parts(), table, OTHER, TWO, budget, folder=tmp_path)
    assert same(found, train(PLAIN, parts(), table, OTHER, TWO, budget))


def test_a_checkpoint_of_a_method_that_remembers_other_things_is_not_gone_on_from(tmp_path, kept_at_once):
    kill(PLAIN, TABLE, BUDGET, tmp_path)
    changed = variant(initial_state=lambda self: {"more": torch.zeros(2)})
    found = train(changed, parts(), TABLE, OTHER, TWO, BUDGET, folder=tmp_path)
    assert same(found, train(PLAIN, parts(), TABLE, OTHER, TWO, BUDGET))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\0" * len(b)])
def test_a_damaged_checkpoint_is_as_none(damage, tmp_path, kept_at_once):
    kill(PLAIN, TABLE, BUDGET, tmp_path)
    path = tmp_path / checkpoint.NAME
    path.write_bytes(damage(path.read_bytes()))
    found = train(PLAIN, parts(), TABLE, OTHER, TWO, BUDGET, folder=tmp_path)
    assert same(found, train(PLAIN, parts(), TABLE, OTHER, TWO, BUDGET))


# ---- failures


def test_a_diverging_trial_is_reported_and_leaves_the_others_alone():
    budget = replace(BUDGET, clip=float("inf"))
    found = train(PLAIN, parts(), TABLE, OTHER, [Trial(0), Trial(1, {"lr": 1e38}), Trial(2)], budget)
    calm = train(PLAIN, parts(), TABLE, OTHER, [Trial(0), Trial(1), Trial(2)], budget)
    assert [bool(reason) for reason in found.outcomes] == [False, True, False]
    assert "diverged" in found.outcomes[1]
    assert found.usable == [0, 2]
    assert same(found, calm, 0)
    assert same(found, calm, 2)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_trial_that_never_validates_is_no_success(value):
    def goodness(self, inputs, present, target):
        return self(inputs, present).sum(dim=1) * 0 + value

    found = train(variant(goodness=goodness), parts(), TABLE, OTHER, [Trial(0)], BUDGET)
    assert found.outcomes[0]
    assert found.usable == []


def test_a_batch_too_large_for_memory_is_halved_once_and_said_so():
    def loss(self, step):
        if len(step.target) > 8:
            torch.empty(10**15)
        return Plain.loss(self, step)

    found = train(variant(loss=loss), parts(), TABLE, OTHER, TWO, BUDGET)
    assert "halved to 8" in found.note
    assert found.outcomes == ["", ""]
    with pytest.raises(BadInput, match="ran out of memory"):
        train(variant(loss=loss), parts(), TABLE, OTHER, TWO, replace(BUDGET, batch=64))


def test_an_error_that_is_not_about_memory_is_not_hidden():
    def loss(self, step):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        train(variant(loss=loss), parts(), TABLE, OTHER, TWO, BUDGET)


# ---- refusals


@pytest.mark.parametrize(
    "budget", [{"epochs": 0}, {"batch": 0}, {"schedule": "cosin"}, {"clip": 0.0}, {"patience": -1}, {"warm_up": -1}]
)
def test_a_budget_that_cannot_be_meant_is_refused(budget):
    with pytest.raises(BadInput, match=next(iter(budget))):
        train(PLAIN, parts(), TABLE, OTHER, TWO, replace(BUDGET, **budget))


@pytest.mark.parametrize("where", ["training", "validation"])
def test_targets_that_cannot_be_learned_are_refused(where):
    wrong = Table(TABLE.inputs, TABLE.present, TABLE.target + 1)
    with pytest.raises(BadInput, match="target"):
        train(PLAIN, parts(), *((wrong, TABLE) if where == "training" else (TABLE, wrong)), TWO, BUDGET)
    made, values = parts(2, Task.regression(2)), torch.zeros(64, 2)
    values[3, 1] = float("nan")
    tables = [Table(TABLE.inputs, TABLE.present, t) for t in (values, torch.zeros(64, 2))]
    with pytest.raises(BadInput, match="target"):
        train(
            references.get("concatenation"), made, *(tables if where == "training" else tables[::-1]), TWO, BUDGET
        )  # fmt: skip


def test_tables_of_unequal_lengths_are_refused():
    short = Table({m: x[:32] for m, x in TABLE.inputs.items()}, TABLE.present, TABLE.target)
    long = Table(TABLE.inputs, TABLE.present, TABLE.target[:32])
    for wrong in (short, long):
        with pytest.raises(BadInput, match="rows"):
            train(PLAIN, parts(), wrong, OTHER, TWO, BUDGET)


def test_nan_inputs_unknown_hypers_and_nothing_to_do_are_refused():
    broken = {m: x.clone() for m, x in TABLE.inputs.items()}
    broken["slow"][7, 2] = float("nan")
    with pytest.raises(BadInput, match=r"'slow'.*row 7"):
        train(PLAIN, parts(), Table(broken, TABLE.present, TABLE.target), OTHER, TWO, BUDGET)
    with pytest.raises(BadInput, match="'rate'"):
        train(PLAIN, parts(), TABLE, OTHER, [Trial(0, {"rate": 1.0})], BUDGET)
    with pytest.raises(BadInput, match="no trials"):
        train(PLAIN, parts(), TABLE, OTHER, [], BUDGET)
    empty = Table(
        {m: x[:0] for m, x in TABLE.inputs.items()}, {m: p[:0] for m, p in TABLE.present.items()}, TABLE.target[:0]
    )
    with pytest.raises(BadInput, match="no validation rows"):
        train(PLAIN, parts(), TABLE, empty, TWO, BUDGET)
