"""The training loop: trials trained together are what they would be alone; nothing that fails takes others along."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helpers.reference_cases import parts, table
from mmaudit.errors import BadInput
from mmaudit.reference import checkpoint
from mmaudit.reference.base import Draw, Hyper, Method, Parts, Reference, Step
from mmaudit.reference.draws import orders, steps
from mmaudit.reference.loop import Budget, Table, build, train
from mmaudit.reference.optimiser import AdamW, clip
from mmaudit.reference.search import trials_of
from mmaudit.reference.trained import Trained, Trial
from mmaudit.types import Task

TASK = Task.classification(3)
TRAINING, VALIDATION = table(TASK), table(TASK, n=48, seed=1)


class Noisy(Reference):
    """A linear head on features with noise."""

    def __init__(self, of: Parts) -> None:
        super().__init__(of)
        self.head = nn.Linear(sum(of.widths.values()), of.task.width)

    def fuse(self, features: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        out: Tensor = self.head(torch.cat([features[m] for m in self.parts.modalities], dim=1))
        return out

    def loss(self, step: Step) -> Tensor:
        noisy = {m: x + step.hyper["noise"] * step.draws[m] for m, x in step.inputs.items()}
        step.state["seen"] = step.state["seen"] + len(step.target)
        return torch.nn.functional.cross_entropy(self(noisy, step.present), step.target)

    def draws(self, rows: int) -> dict[str, Draw]:
        return {m: Draw("normal", (rows, 5)) for m in self.parts.modalities}

    def initial_state(self) -> dict[str, Tensor]:
        return {"seen": torch.zeros(())}


class OnlyFew(Noisy):
    """Runs out of memory on more than 20 rows."""

    def loss(self, step: Step) -> Tensor:
        if len(step.target) > 20:
            raise torch.OutOfMemoryError("tried to allocate 1 TiB")
        return super().loss(step)


class NeverFits(Noisy):
    """Runs out of memory always."""

    def loss(self, step: Step) -> Tensor:
        raise torch.OutOfMemoryError("tried to allocate 1 TiB")


HYPER = {"lr": Hyper(1e-2, 1e-3, 1e-1, log=True), "weight_decay": Hyper(0.01), "noise": Hyper(0.1, 0.0, 0.5)}


def method(cls: type[Reference] = Noisy) -> Method:
    return Method("noisy", "Noisy", "a test", ("classification",), 2, cls, HYPER)


def run(trials: list[Trial], budget: Budget | None = None, cls: type[Reference] = Noisy, **more: object) -> Trained:
    chosen = budget or Budget(epochs=4, batch=32)
    return train(method(cls), parts(TASK), TRAINING, VALIDATION, trials, chosen, **more)  # type: ignore[arg-type]


def test_a_trial_is_what_it_would_be_alone() -> None:
    trials = [Trial(0), Trial(1, {"lr": 0.03}), Trial(2, {"noise": 0.4})]
    together = run(trials)
    for i, trial in enumerate(trials):
        alone = run([trial])
        for name, p in alone.parameters.items():
            torch.testing.assert_close(together.parameters[name][i], p[0], rtol=1e-4, atol=1e-5)
        assert alone.best_epoch[0] == together.best_epoch[i]


def test_the_same_call_gives_the_same_bytes_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, other = run([Trial(0), Trial(1)]), run([Trial(0), Trial(1)])
    assert all(torch.equal(one.parameters[k], other.parameters[k]) for k in one.parameters)
    assert torch.equal(before, torch.get_rng_state())


def test_seeds_differ_in_weights_order_and_draws() -> None:
    module = build(method(), parts(TASK), 0)
    assert not torch.equal(module.head.weight, build(method(), parts(TASK), 1).head.weight)  # type: ignore[arg-type, union-attr]
    assert not torch.equal(*orders([0, 1], 0, 50))
    assert not torch.equal(orders([0], 0, 50), orders([0], 1, 50))
    first, second = steps([0, 1], 0, 2, {"u": Draw("uniform", (4,))})
    assert not torch.equal(first["u"][0], first["u"][1])
    assert not torch.equal(first["u"], second["u"])


def test_draws_are_what_they_are_called() -> None:
    wanted = {
        "u": Draw("uniform", (1000,)),
        "n": Draw("normal", (1000,)),
        "i": Draw("integers", (1000,), high=3),
        "p": Draw("permutation", (1000,)),
    }
    (drawn,) = steps([5], 2, 1, wanted)
    assert drawn["u"].min() >= 0
    assert drawn["u"].max() < 1
    assert abs(float(drawn["u"].mean()) - 0.5) < 0.05
    assert abs(float(drawn["n"].std()) - 1) < 0.1
    assert set(drawn["i"][0].tolist()) == {0, 1, 2}
    assert sorted(drawn["p"][0].tolist()) == list(range(1000))


def test_the_optimiser_is_torchs_trial_by_trial() -> None:
    source = torch.Generator().manual_seed(0)
    start = torch.randn(2, 3, 4, generator=source)
    settings = [(0.01, 0.1), (0.1, 0.0)]
    stacked = {"w": start.clone()}
    mine = AdamW.of(stacked, betas=(0.9, 0.95))
    theirs = [start[i].clone().requires_grad_() for i in range(2)]
    optimisers = [
        torch.optim.AdamW([w], lr=lr, weight_decay=wd, betas=(0.9, 0.95))
        for w, (lr, wd) in zip(theirs, settings, strict=True)
    ]
    for _ in range(7):
        gradient = torch.randn(2, 3, 4, generator=source)
        rates, decays = (torch.tensor(column) for column in zip(*settings, strict=True))
        mine.step(stacked, {"w": gradient}, {"w": rates}, {"w": decays})
        for w, g, optimiser in zip(theirs, gradient, optimisers, strict=True):
            w.grad = g
            optimiser.step()
    torch.testing.assert_close(stacked["w"], torch.stack([w.detach() for w in theirs]), rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_by_each_trials_own_norm() -> None:
    gradients = {"w": torch.tensor([[3.0, 4.0], [0.3, 0.4]]), "b": torch.zeros(2, 1)}
    clipped = clip(gradients, 1.0)["w"]
    torch.testing.assert_close(clipped, torch.tensor([[0.6, 0.8], [0.3, 0.4]]), rtol=1e-4, atol=1e-5)


def test_a_diverging_trial_is_stopped_and_reported_and_the_others_go_on() -> None:
    together = run([Trial(0), Trial(1, {"lr": 1e30}), Trial(2)])
    assert [bool(o) for o in together.outcomes] == [False, True, False]
    assert "no longer finite" in together.outcomes[1]
    assert together.usable == [0, 2]
    alone = run([Trial(0), Trial(2)])
    for name, p in alone.parameters.items():
        torch.testing.assert_close(together.parameters[name][[0, 2]], p, rtol=1e-4, atol=1e-5)


def test_the_best_epoch_is_kept() -> None:
    trained = run([Trial(0), Trial(1)], Budget(epochs=12, batch=32, patience=0))
    for i in range(2):
        validations = [epoch["validation"][i] for epoch in trained.history]
        assert trained.validation[i] == max(validations)
        assert trained.best_epoch[i] == validations.index(max(validations))
    found = trained.call("goodness", VALIDATION.inputs, VALIDATION.present, VALIDATION.target).mean(dim=1)
    torch.testing.assert_close(found, torch.tensor(trained.validation), rtol=1e-4, atol=1e-5)


def test_a_trial_that_no_longer_improves_stops_where_it_is() -> None:
    trained = run([Trial(0, {"lr": 0.0}), Trial(1)], Budget(epochs=9, batch=32, patience=2))
    start = dict(build(method(), parts(TASK), 0).named_parameters())
    for name, p in start.items():
        torch.testing.assert_close(trained.parameters[name][0], p.detach())
    assert trained.best_epoch[0] == 0


def test_out_of_memory_halves_the_batch_once_and_says_so() -> None:
    trained = run([Trial(0)], Budget(epochs=1, batch=40), OnlyFew)
    assert "halved to 20" in trained.note
    with pytest.raises(BadInput, match="ran out of memory"):
        run([Trial(0)], Budget(epochs=1, batch=40), NeverFits)


class Stop(Exception):
    """Stands for a kill."""


def test_a_killed_training_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", -1.0)  # at every epoch

    def kill(done: int, total: int) -> None:
        if done == 3:
            raise Stop

    whole = run([Trial(0), Trial(1)], Budget(epochs=5, batch=32))
    with pytest.raises(Stop):
        run([Trial(0), Trial(1)], Budget(epochs=5, batch=32), folder=tmp_path, progress=kill)
    assert (tmp_path / checkpoint.NAME).exists()
    seen: list[int] = []
    again = run(
        [Trial(0), Trial(1)], Budget(epochs=5, batch=32), folder=tmp_path, progress=lambda done, _: seen.append(done)
    )
    assert seen[0] == 3
    assert all(torch.equal(whole.parameters[k], again.parameters[k]) for k in whole.parameters)
    assert whole.history == again.history
    assert not (tmp_path / checkpoint.NAME).exists()


def test_a_checkpoint_of_other_settings_or_a_damaged_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", -1.0)

    def kill(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        run([Trial(0)], folder=tmp_path, progress=kill)
    other = run([Trial(5)], folder=tmp_path)
    assert torch.equal(other.parameters["head.weight"], run([Trial(5)]).parameters["head.weight"])
    (tmp_path / checkpoint.NAME).write_bytes(b"damaged")
    assert run([Trial(0)], folder=tmp_path).outcomes == [""]


def test_a_checkpoint_of_older_training_code_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", -1.0)

    def kill(done: int, total: int) -> None:
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        run([Trial(0)], folder=tmp_path, progress=kill)
    monkeypatch.setattr(checkpoint, "VERSION", checkpoint.VERSION + 1)
    seen: list[int] = []
    run([Trial(0)], folder=tmp_path, progress=lambda done, _: seen.append(done))
    assert seen[0] == 1


def test_random_search_starts_at_the_defaults_and_stays_within_the_ranges() -> None:
    trials = trials_of(method(), 40)
    assert trials[0] == Trial(0, {})
    rates = [t.hyper["lr"] for t in trials[1:]]
    assert min(rates) >= 1e-3
    assert max(rates) <= 1e-1
    assert sum(rate < 1e-2 for rate in rates) == pytest.approx(20, abs=8)  # uniform in the logarithm
    assert all("weight_decay" not in t.hyper for t in trials)
    assert trials == trials_of(method(), 40)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Table({"a": TRAINING.inputs["a"]}, TRAINING.present, TRAINING.target), "no modality 'b'"),
        (
            Table({**TRAINING.inputs, "b": TRAINING.inputs["b"] * float("nan")}, TRAINING.present, TRAINING.target),
            "'b': 96 training rows hold NaN",
        ),
        (TRAINING.only(()), "no modality 'a'"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(broken: Table, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        train(method(), parts(TASK), broken, VALIDATION, [Trial(0)])


def test_unknown_hyper_parameters_and_no_trials_are_refused() -> None:
    with pytest.raises(BadInput, match="no hyper-parameter 'momentum'"):
        run([Trial(0, {"momentum": 0.9})])
    with pytest.raises(BadInput, match="no trials"):
        run([])
