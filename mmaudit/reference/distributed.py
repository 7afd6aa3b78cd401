"""One large reference on several GPUs or machines: the training loop's own steps, each batch split over processes.

    torchrun --standalone --nproc-per-node 2 examples/reference_torchrun.py

Small heads are better trained many at a time in one process (`mmaudit.reference.loop`). This is for a reference whose
encoders or batches are too large for one device. torch's `DistributedDataParallel` averages the gradients; order of
rows, learning rates, clipping, validation, early stop and checkpoints are the loop's, so that a method without random
draws whose loss is a mean over rows ends, to rounding, where one process ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mmaudit.errors import BadInput
from mmaudit.reference import checkpoint
from mmaudit.reference.base import Draw, Method, Parts, Reference, Step, Tensors
from mmaudit.reference.batched import Loss, Progress, Training
from mmaudit.reference.budget import Budget
from mmaudit.reference.tables import Table, require_usable
from mmaudit.reference.trained import Trained, Trial


def start() -> torch.device:
    """Join the group of processes that torchrun started, and return this one's device.

    Its own GPU through NCCL where there is one for each process of this machine, else the CPU through Gloo.

    Raises:
        BadInput: the process was not started by torchrun.
    """
    if "RANK" not in os.environ:
        raise BadInput(
            "this process is not one of a group; start the script with: torchrun --standalone --nproc-per-node 2 SCRIPT"
        )
    place = int(os.environ.get("LOCAL_RANK", "0"))
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpu = torch.cuda.is_available() and torch.cuda.device_count() >= beside
    device = torch.device("cuda", place) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo")
    return device


def train_distributed(
    method: Method,
    parts: Parts,
    training: Table,
    validation: Table,
    trial: Trial,
    budget: Budget | None = None,
    *,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train one trial in all processes of the group; every process calls this, and every one returns the same.

    Of each batch a process computes the loss of its own `batch // processes` rows. What that means for a method:

    - A contrastive loss compares rows of one process only, as if the batch were that small.
    - Random draws are made for each process's rows, so a method that draws is not the one-process training bit for bit.
    - What a method remembers from step to step is averaged over processes; whole numbers are those of the first.
    - What it does to the gradients (`after_gradients`) it does with that average and with the first process's draws:
      noise of every process's own would shrink in their mean.

    Args:
        method, parts, training, validation: as in `mmaudit.reference.loop.train`, all rows in every process.
        trial: seed and hyper-parameters.
        budget: `batch` counts the rows of all processes together.
        device: of this process, see `start`.
        folder: where the first process keeps checkpoints. A training that was killed goes on with any number of
            processes whose batches come to as many rows.
        progress: called in every process with (epochs done, epochs planned).

    Raises:
        BadInput: no group of processes, fewer rows in a batch than processes, or as in `train`.
    """
    if not dist.is_initialized():
        raise BadInput(
            "there is no group of processes; call mmaudit.reference.distributed.start() under torchrun first."
        )
    budget = budget or Budget()
    method.require(parts)
    require_usable(parts, training, validation)
    known = {name: h.default for name, h in method.hyper.items()}
    if unknown := sorted(set(trial.hyper) - set(known)):
        raise BadInput(f"reference {method.name!r} has no hyper-parameter {unknown[0]!r}; it has {', '.join(known)}.")
    processes = dist.get_world_size()
    each = min(budget.batch, len(training)) // processes
    if not each:
        raise BadInput(
            f"a batch of {min(budget.batch, len(training))} rows cannot be split over {processes} processes; give "
            "larger batches or start fewer processes."
        )
    filled = Trial(trial.seed, {**known, **trial.hyper})
    place = torch.device(device)
    run = _Distributed(
        method, parts, training.to(place), validation.to(place), [filled], budget, each * processes, place
    )
    with tempfile.TemporaryDirectory() as spare:
        return run.run(_folder(folder, Path(spare)), progress, note=f"batches split over {processes} processes")


class _Distributed(Training):
    """The loop, with the step of its single trial taken by all processes together."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.rank, self.processes = dist.get_rank(), dist.get_world_size()
        each = self.rows // self.processes
        self.mine = slice(self.rank * each, (self.rank + 1) * each)
        # Every process draws for all, and so the draws of one are independent of another's.
        wanted = self.module.draws(each)
        self.draws: Mapping[str, Draw] = {f"{p}/{k}": d for p in range(self.processes) for k, d in wanted.items()}
        self.wanted = tuple(wanted)
        self.wrapped: DistributedDataParallel | None = None
        self.changes = type(self.module).after_gradients is not Reference.after_gradients
        self._step = self._shared_step

    def _shared_step(
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
        """Gradients, loss and new state; everything has a first axis of length 1, the trial."""
        step = Step(
            inputs={m: x[0, self.mine] for m, x in inputs.items()},
            present={m: p[0, self.mine] for m, p in present.items()},
            target=target[0, self.mine],
            draws={k: draws[f"{self.rank}/{k}"][0] for k in self.wanted},
            hyper={k: h[0] for k, h in hyper.items()},
            state={k: s[0] for k, s in state.items()},
            epoch=epoch[0],
            epochs=float(self.budget.epochs),
        )
        # The loop keeps the parameters and changes them in place; the module looks at the same memory.
        for name, p in self.module.named_parameters():
            p.data = parameters[name][0]
            p.grad = None
        if self.wrapped is None:
            self.wrapped = self._wrap(step)
        loss: Tensor = self.wrapped(step)
        torch.autograd.backward(loss)
        gradients = {
            name: torch.zeros_like(p) if p.grad is None else p.grad.detach()
            for name, p in self.module.named_parameters()
        }
        after = {k: s.detach() for k, s in step.state.items()}
        together = {k: _mean(s) if s.is_floating_point() else _first(s) for k, s in after.items()}
        if self.changes:
            step.state = dict(together)
            step.draws = {k: draws[f"0/{k}"][0] for k in self.wanted}
            # The same in all processes, but for what a method reads off its own rows.
            gradients = {k: _mean(g.detach()) for k, g in self.module.after_gradients(gradients, step).items()}
        value = _mean(loss.detach())
        return {k: g[None] for k, g in gradients.items()}, (value[None], {k: s[None] for k, s in together.items()})

    def _wrap(self, step: Step) -> DistributedDataParallel:
        """Ask once whether the loss reaches every parameter: looking for those it does not costs time in every step."""
        objective = Loss(self.module)
        tried = objective(replace(step, state=dict(step.state)))
        reached = torch.autograd.grad(tried, list(self.module.parameters()), allow_unused=True)
        gpu = [self.device.index] if self.device.type == "cuda" else None
        unused = any(g is None for g in reached)
        return DistributedDataParallel(objective, device_ids=gpu, find_unused_parameters=unused)

    def _validation(self, parameters: Tensors) -> Tensor:
        """Mean goodness of the validation rows, `[1]`; of `p` processes each measures every p-th row."""
        whole, n = self.validation, len(self.validation)
        rows = torch.arange(self.rank, n, self.processes, device=self.device)
        self.validation = Table(
            {m: x[rows] for m, x in whole.inputs.items()},
            {m: p[rows] for m, p in whole.present.items()},
            whole.target[rows],
        )
        try:
            total = super()._validation(parameters) * len(rows) if len(rows) else torch.zeros(1, device=self.device)
        finally:
            self.validation = whole
        dist.all_reduce(total)
        return total / n


def _mean(x: Tensor) -> Tensor:
    total = x.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def _first(x: Tensor) -> Tensor:
    found = x.clone()
    dist.broadcast(found, 0)
    return found


def _folder(folder: Path | None, spare: Path) -> Path | None:
    """Where this process keeps its checkpoint: the first in `folder`, others in passing, all starting from the first's.

    Processes save by their own clocks; all must go on from the same epoch.
    """
    content: list[bytes | None] = [None]
    if dist.get_rank() == 0 and folder is not None and (folder / checkpoint.NAME).exists():
        content = [(folder / checkpoint.NAME).read_bytes()]
    dist.broadcast_object_list(content, src=0)
    if folder is None or dist.get_rank() == 0:
        return folder
    if content[0] is not None:
        (spare / checkpoint.NAME).write_bytes(content[0])
    return spare
