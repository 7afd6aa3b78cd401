"""What every process of `test_reference_distributed` does; started by torchrun with a folder to write to."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.distributed as dist

import mmaudit.reference.methods  # noqa: F401
from mmaudit import Task
from mmaudit.errors import BadInput
from mmaudit.reference import checkpoint
from mmaudit.reference.base import Parts, Step, Tensors, references
from mmaudit.reference.distributed import start, train_distributed
from mmaudit.reference.encoders import encoder
from mmaudit.reference.loop import Budget, Table, train
from mmaudit.reference.methods.ogm_ge import OgmGe
from mmaudit.reference.trained import Trained, Trial

NAMES = ("a", "b", "c")


class Killed(Exception):
    """Stands for a process that is killed between two epochs."""


def table(n: int, seed: int) -> Table:
    rng = np.random.default_rng(seed)
    inputs = {m: torch.from_numpy(rng.normal(size=(n, 6)).astype(np.float32)) for m in NAMES}
    present = {m: torch.from_numpy(rng.random(n) < 0.8) for m in NAMES}
    for m in NAMES:
        inputs[m][~present[m]] = 0
    return Table(inputs, present, (inputs["a"][:, 0] + inputs["b"][:, 0] > 0).long())


def parts() -> Parts:
    factory, width = encoder((6,), 8)
    return Parts(NAMES, dict.fromkeys(NAMES, factory), dict.fromkeys(NAMES, width), Task.classification(2))


def same_everywhere(trained: Trained) -> bool:
    """Whether all processes ended with the same weights and the same epochs."""
    mine = torch.cat([p.flatten().double() for p in trained.parameters.values()])
    mine = torch.cat([mine, torch.tensor([float(trained.best_epoch[0]), trained.validation[0]], dtype=torch.float64)])
    others = [torch.zeros_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(others, mine)
    return all(torch.equal(other, mine) for other in others)


def apart(one: Trained, other: Trained) -> float:
    return max(float((one.parameters[k] - other.parameters[k]).abs().max()) for k in one.parameters)


def noise_of_ogm_ge() -> list[float]:
    """First number of each noise that a process adds to the gradients, and the coefficients that it damps them by."""
    seen: list[float] = []
    usual = OgmGe.after_gradients

    def watched(self: OgmGe, gradients: Tensors, step: Step) -> Tensors:
        seen.extend(float(draw.flatten()[0]) for draw in step.draws.values())
        seen.extend(step.state["coefficients"].tolist())
        return usual(self, gradients, step)

    with patch.object(OgmGe, "after_gradients", watched):
        train_distributed(references.get("ogm_ge"), parts(), table(130, 0), table(41, 1), Trial(0), Budget(epochs=1))
    return seen


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    device = start()
    training, validation, budget = table(130, 0), table(41, 1), Budget(epochs=4, batch=32, clip=0.5)
    found: dict[str, object] = {}
    method, trial = references.get("concatenation"), Trial(3, {"lr": 1e-2})
    together = train_distributed(method, parts(), training, validation, trial, budget, device=device)
    alone = train(method, parts(), training, validation, [trial], budget)
    found["apart"] = apart(together, alone)
    found["moved"] = apart(together, train(method, parts(), training, validation, [trial], Budget(epochs=1, batch=130)))
    found["validation"] = abs(together.validation[0] - alone.validation[0])

    for name in references.names():
        other = references.get(name)
        chosen = parts() if not other.single else Parts(("a",), parts().encoders, parts().widths, parts().task)
        try:
            other.require(chosen)
        except BadInput:
            continue
        tables = training.only(chosen.modalities), validation.only(chosen.modalities)
        trained = train_distributed(other, chosen, *tables, Trial(0), Budget(epochs=1, batch=32))
        finite = all(torch.isfinite(p).all() for p in trained.parameters.values())
        found[f"method {name}"] = [same_everywhere(trained), bool(finite), trained.outcomes]

    found["noise"] = noise_of_ogm_ge()

    checkpoint.SECONDS = 0.0

    def kill(done: int, total: int) -> None:
        if done == 3:
            raise Killed

    place = folder / "training"
    try:
        train_distributed(method, parts(), training, validation, trial, budget, folder=place, progress=kill)
    except Killed:
        found["kept"] = (place / checkpoint.NAME).exists()
    epochs: list[int] = []
    resumed = train_distributed(
        method, parts(), training, validation, trial, budget, folder=place, progress=lambda done, _: epochs.append(done)
    )
    found["resumed"] = apart(resumed, together)
    found["epochs"] = epochs
    try:
        train_distributed(method, parts(), training, validation, trial, Budget(batch=1))
    except BadInput as error:
        found["too few rows"] = str(error)
    (folder / f"{dist.get_rank()}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
