"""Train one reference method in several processes, each with a part of every batch.

    torchrun --standalone --nproc-per-node 2 examples/reference_torchrun.py

Processes use a GPU each where there are enough, else the CPU. The same script runs on several machines with torchrun's
`--nnodes` and `--rdzv-endpoint`. At the end the first process trains again alone and says how far the two are apart.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.distributed as dist

import mmaudit.reference.methods  # noqa: F401  (registers the methods)
from mmaudit import ArrayData, Task
from mmaudit.reference.base import Parts, references
from mmaudit.reference.distributed import start, train_distributed
from mmaudit.reference.inputs import Inputs
from mmaudit.reference.loop import Budget, Table, train
from mmaudit.reference.splits import split
from mmaudit.reference.trained import Trial


def samples(n: int) -> ArrayData:
    """Two vectors whose product of first entries decides the class: neither alone tells anything."""
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, n, 16)).astype(np.float32)
    return ArrayData({"left": left, "right": right}, (left[:, 0] * right[:, 0] > 0).astype(int), Task.classification(2))


def main() -> None:
    """Train with all processes, then compare with one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="concatenation")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    device = start()
    data = samples(options.rows)
    training_rows, validation_rows = split(data)
    inputs = Inputs.fit(data, training_rows, width=options.width, projection="mlp", device=device)
    training, validation = (
        Table(*inputs.read(data, rows), torch.from_numpy(data.target[rows]).to(device))
        for rows in (training_rows, validation_rows)
    )
    parts = Parts(inputs.modalities, inputs.encoders, inputs.widths, data.task)
    method, trial, budget = references.get(options.method), Trial(0, {"lr": 3e-3}), Budget(epochs=options.epochs)

    trained = train_distributed(method, parts, training, validation, trial, budget, device=device)
    if dist.get_rank() == 0:
        alone = train(method, parts, training, validation, [trial], budget, device=device)
        apart = max(float((trained.parameters[k] - alone.parameters[k]).abs().max()) for k in alone.parameters)
        guess = trained.outputs(validation.inputs, validation.present)[0].argmax(dim=1)
        print(
            f"{trained.note}: validation accuracy {float((guess == validation.target).float().mean()):.3f} after "
            f"{trained.best_epoch[0] + 1} epochs; largest difference of a weight from one process: {apart:.1e}"
        )
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
