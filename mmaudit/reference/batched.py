"""All trials of a method as one batched model: the steps of a training, and what changes from epoch to epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from math import cos, isfinite, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from mmaudit.reference import checkpoint
from mmaudit.reference.base import Draw, Method, Parts, Reference, Step, Tensors
from mmaudit.reference.budget import Budget
from mmaudit.reference.draws import orders, steps
from mmaudit.reference.memory import freed_memory_kept
from mmaudit.reference.optimiser import AdamW, clip
from mmaudit.reference.tables import Table
from mmaudit.reference.trained import Trained, Trial

Progress = Callable[[int, int], None]
VALIDATION_ROWS = 1024  # asked at a time


@dataclass
class Progressed:
    """What changes from epoch to epoch; all that a checkpoint needs."""

    parameters: Tensors
    state: Tensors
    best: Tensors
    optimiser: AdamW
    epoch: int = 0
    best_goodness: list[float] = field(default_factory=list)
    best_epoch: list[int] = field(default_factory=list)
    stopped: list[bool] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    history: list[dict[str, list[float]]] = field(default_factory=list)
    seconds: float = 0.0


class Training:
    """One training of all trials; see `mmaudit.reference.loop.train` for the arguments.

    Args:
        rows: of a step.
    """

    def __init__(
        self,
        method: Method,
        parts: Parts,
        training: Table,
        validation: Table,
        trials: Sequence[Trial],
        budget: Budget,
        rows: int,
        device: torch.device | str,
    ) -> None:
        self.method, self.parts, self.budget, self.trials = method, parts, budget, list(trials)
        self.training, self.validation = training, validation
        self.rows, self.device = rows, torch.device(device)
        modules = [build(method, parts, trial.seed) for trial in trials]
        self.module = modules[0].to(self.device)
        parameters, buffers = stack_module_state(modules)
        self.buffers = {k: b.detach().to(self.device) for k, b in buffers.items()}
        self.start = {k: p.detach().to(self.device).clone() for k, p in parameters.items()}
        self.frozen = {name for name, p in self.module.named_parameters() if not p.requires_grad}
        self.hyper = {
            name: torch.tensor([t.hyper[name] for t in trials], dtype=torch.float32, device=self.device)
            for name in trials[0].hyper
        }
        self.draws: Mapping[str, Draw] = self.module.draws(rows)
        count = len(trials)
        self.initial = {
            k: t.to(self.device).expand(count, *t.shape).clone() for k, t in self.module.initial_state().items()
        }
        names = list(self.start)
        self.rates = {n: self.hyper["lr"] * self._multiplier(n) for n in names}
        still = torch.zeros(count, device=self.device)
        self.decays = {n: self.hyper["weight_decay"] if self.module.decays(n) else still for n in names}
        self.steps = max(1, len(training) // rows)
        self._step = vmap(self._one_step)
        if budget.compile:
            self._step = torch.compile(self._step)
        paced = type(self.module).paces is not Reference.paces
        self._paces: Callable[[Tensors], Tensors] = vmap(self.module.paces) if paced else lambda state: {}
        self._goodness = vmap(self._one_goodness, in_dims=(0, 0, None, None, None))

    @freed_memory_kept()
    def run(self, folder: Path | None, progress: Progress | None, note: str) -> Trained:
        """Train from the start, or from the checkpoint in `folder`, to the end."""
        count = len(self.trials)
        at = Progressed(
            {k: p.clone() for k, p in self.start.items()},
            dict(self.initial),
            {k: p.clone() for k, p in self.start.items()},
            AdamW.of(self.start, self.budget.betas),
            best_goodness=[float("-inf")] * count,
            best_epoch=[-1] * count,
            stopped=[False] * count,
            outcomes=[""] * count,
        )
        spec = {} if folder is None else self._spec()  # digests of all rows, which only a checkpoint needs
        if folder is not None:
            checkpoint.restore(folder, spec, at)
        saved = time.perf_counter()
        while at.epoch < self.budget.epochs and not all(at.stopped):
            began = time.perf_counter()
            losses, finite = self._epoch(at)
            self._validate(at, losses, finite)
            at.epoch += 1
            at.seconds += time.perf_counter() - began
            if progress:
                progress(at.epoch, self.budget.epochs)
            if folder is not None and time.perf_counter() - saved > checkpoint.SECONDS:
                checkpoint.save(folder, spec, at)
                saved = time.perf_counter()
        if progress:
            progress(self.budget.epochs, self.budget.epochs)
        if folder is not None:
            checkpoint.remove(folder)
        return Trained(
            method=self.method,
            parts=self.parts,
            trials=self.trials,
            module=self.module,
            parameters=at.best,
            buffers=self.buffers,
            outcomes=at.outcomes,
            best_epoch=at.best_epoch,
            validation=at.best_goodness,
            history=at.history,
            seconds=at.seconds,
            note=note,
        )

    # ---- one epoch

    def _epoch(self, at: Progressed) -> tuple[Tensor, Tensor]:
        """Take an epoch's steps; return each trial's mean loss, and whether it was finite throughout."""
        seeds = [t.seed for t in self.trials]
        order = orders(seeds, at.epoch, len(self.training)).to(self.device)
        running = torch.tensor([not s for s in at.stopped], device=self.device)
        total = torch.zeros(len(seeds), device=self.device)
        finite = torch.ones(len(seeds), dtype=torch.bool, device=self.device)
        for number, drawn in enumerate(steps(seeds, at.epoch, self.steps, self.draws)):
            rows = order[:, number * self.rows : (number + 1) * self.rows]
            epoch = torch.full((len(seeds),), at.epoch + number / self.steps, device=self.device)
            with self._cast():
                gradients, (loss, state) = self._step(
                    at.parameters,
                    self.buffers,
                    {m: x[rows] for m, x in self.training.inputs.items()},
                    {m: p[rows] for m, p in self.training.present.items()},
                    self.training.target[rows],
                    {k: d.to(self.device) for k, d in drawn.items()},
                    self.hyper,
                    at.state,
                    epoch,
                )
            norms = torch.stack([g.reshape(len(g), -1).sum(dim=1) for g in gradients.values()]).sum(dim=0)
            finite = finite & torch.isfinite(loss) & torch.isfinite(norms)
            going = finite & running
            # On a GPU, asking would wait for it; there the copies cost nothing.
            if self.frozen or self.device.type != "cpu" or not bool(going.all()):
                none = torch.zeros_like(going)
                gradients = {
                    k: torch.where(_like(none if k in self.frozen else going, g), g, torch.zeros_like(g))
                    for k, g in gradients.items()
                }
            if self.budget.clip < float("inf"):
                gradients = clip(gradients, self.budget.clip)
            factor = going * self._factor(at.epoch, number)
            at.state = {k: torch.where(_like(going, s), s, at.state[k]) for k, s in state.items()}
            paces = self._paces(at.state)
            rates = {n: r * factor * paces.get(n, 1.0) for n, r in self.rates.items()}
            at.optimiser.step(at.parameters, gradients, rates, self.decays)
            total = total + loss
        return total / self.steps, finite

    def _one_step(
        self,
        parameters: Tensors,
        buffers: Tensors,
        inputs: Tensors,
        present: Tensors,
        target: Tensor,
        draws: Tensors,
        hyper: Tensors,
        state: Tensors,
        epoch: Tensor,
    ) -> tuple[Tensors, tuple[Tensor, Tensors]]:
        """Gradients, loss and new state of one trial; mapped over trials."""
        step = Step(inputs, present, target, draws, hyper, dict(state), epoch, float(self.budget.epochs))

        def loss(p: Tensors) -> tuple[Tensor, Tensors]:
            value = functional_call(Loss(self.module), _under("module.", {**p, **buffers}), (step,))
            return value, step.state

        gradients, (value, after) = grad_and_value(loss, has_aux=True)(parameters)
        step.state = dict(after)
        return self.module.after_gradients(gradients, step), (value, after)

    def _validate(self, at: Progressed, losses: Tensor, finite: Tensor) -> None:
        """Measure the validation rows, keep what is better than before, and stop who diverged or waited too long."""
        with torch.no_grad(), self._cast():
            goodness = self._validation(at.parameters).cpu().tolist()
        better = []
        for i, (value, ok) in enumerate(zip(goodness, finite.cpu().tolist(), strict=True)):
            usable = ok and not at.stopped[i] and isfinite(value)
            better.append(usable and value > at.best_goodness[i])
            if better[i]:
                at.best_goodness[i], at.best_epoch[i] = value, at.epoch
            if at.stopped[i]:
                continue
            if not ok or not isfinite(value):
                at.stopped[i] = True
                at.outcomes[i] = f"diverged: its loss was no longer finite in epoch {at.epoch + 1}"
            elif self.budget.patience and at.epoch - at.best_epoch[i] >= self.budget.patience:
                at.stopped[i] = True
        mask = torch.tensor(better, device=self.device)
        at.best = {k: torch.where(_like(mask, p), at.parameters[k], p) for k, p in at.best.items()}
        at.history.append({"loss": losses.cpu().tolist(), "validation": goodness})

    def _validation(self, parameters: Tensors) -> Tensor:
        """Mean goodness of the validation rows, `[trials]`."""
        n = len(self.validation)
        total = torch.zeros(len(self.trials), device=self.device)
        for first in range(0, n, VALIDATION_ROWS):
            part = slice(first, min(n, first + VALIDATION_ROWS))
            inputs = {m: x[part] for m, x in self.validation.inputs.items()}
            present = {m: p[part] for m, p in self.validation.present.items()}
            found = self._goodness(parameters, self.buffers, inputs, present, self.validation.target[part])
            total = total + found.float().sum(dim=1)
        return total / n

    def _one_goodness(
        self, parameters: Tensors, buffers: Tensors, inputs: Tensors, present: Tensors, target: Tensor
    ) -> Tensor:
        found: Tensor = functional_call(
            Goodness(self.module), _under("module.", {**parameters, **buffers}), (inputs, present, target)
        )
        return found

    # ---- settings

    def _multiplier(self, name: str) -> Tensor | float:
        if name in self.frozen:
            return 0.0
        key = self.module.rate(name)
        return self.hyper[key] if key else 1.0

    def _factor(self, epoch: int, number: int) -> float:
        """What the learning rate is multiplied by at this step."""
        taken = epoch * self.steps + number
        factor = min(1.0, (taken + 1) / self.budget.warm_up) if self.budget.warm_up else 1.0
        if self.budget.schedule == "cosine":
            factor *= 0.5 * (1 + cos(pi * taken / (self.budget.epochs * self.steps)))
        return factor

    def _cast(self) -> AbstractContextManager[Any]:
        if self.budget.autocast and self.device.type == "cuda":
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return nullcontext()

    def _spec(self) -> dict[str, Any]:
        """What a checkpoint must have been made with to be gone on from."""
        shapes = {k: list(p.shape) for k, p in {**self.start, **self.initial}.items()}
        return {
            "method": self.method.name,
            "trials": [[t.seed, dict(t.hyper)] for t in self.trials],
            "budget": asdict(self.budget),
            "rows": self.rows,
            "training": self.training.content(),
            "validation": self.validation.content(),
            "shapes": shapes,
        }


class Loss(torch.nn.Module):
    """`functional_call` calls a module's `forward`; this one's is the reference's loss."""

    def __init__(self, module: Reference) -> None:
        super().__init__()
        self.module = module

    def forward(self, step: Step) -> Tensor:
        """The loss of a step."""
        return self.module.loss(step)


class Goodness(torch.nn.Module):
    """The same for what decides which epoch is kept."""

    def __init__(self, module: Reference) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensors, present: Tensors, target: Tensor) -> Tensor:
        """The goodness of each row."""
        return self.module.goodness(inputs, present, target)


def build(method: Method, parts: Parts, seed: int) -> Reference:
    """One trial's module, its initial weights drawn from the seed alone; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs' generators, too
        return method.make(parts)


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + k: t for k, t in tensors.items()}


def _like(per_trial: Tensor, t: Tensor) -> Tensor:
    return per_trial.reshape(-1, *([1] * (t.ndim - 1)))
