"""Train several reference methods at the same time, on the machines of a Ray cluster.

    pip install ray && python examples/reference_ray.py

Without a cluster Ray starts two processes on this machine. Each task trains all seeds of one method as one batched
model, as `mmaudit reference` does; what comes back is the same as from one process, since a training depends on its
seeds and rows alone. Ray is no dependency of mmaudit.
"""

from __future__ import annotations

import argparse
import os

import numpy as np
import ray
import torch

from mmaudit import ArrayData, Task
from mmaudit.reference.inputs import Inputs
from mmaudit.reference.loop import Budget, Table
from mmaudit.reference.splits import split
from mmaudit.reference.trained import Trained, Trial

METHODS = ("concatenation", "product", "late_mean", "modality_dropout")


def samples(n: int) -> ArrayData:
    """Two vectors whose product of first entries decides the class: neither alone tells anything."""
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, n, 16)).astype(np.float32)
    return ArrayData({"left": left, "right": right}, (left[:, 0] * right[:, 0] > 0).astype(int), Task.classification(2))


def tables(rows: int) -> tuple[Inputs, Table, Table]:
    """Inputs, and the rows to train and to validate on; the same in every process."""
    data = samples(rows)
    training, validation = split(data)
    inputs = Inputs.fit(data, training, projection="mlp")
    made = [Table(*inputs.read(data, part), torch.from_numpy(data.target[part])) for part in (training, validation)]
    return inputs, made[0], made[1]


def trained(name: str, seeds: int, rows: int, epochs: int) -> Trained:
    """All seeds of a method."""
    import mmaudit.reference.methods  # noqa: F401  (registers the methods)
    from mmaudit.reference.base import Parts, references
    from mmaudit.reference.loop import train

    inputs, training, validation = tables(rows)
    parts = Parts(inputs.modalities, inputs.encoders, inputs.widths, Task.classification(2))
    trials = [Trial(seed) for seed in range(seeds)]
    return train(references.get(name), parts, training, validation, trials, Budget(epochs=epochs))


@ray.remote(num_cpus=1)
def task(name: str, seeds: int, rows: int, epochs: int) -> tuple[list[float], list[np.ndarray]]:
    """What a worker sends back: each seed's validation, and the weights as arrays."""
    torch.set_num_threads(1)
    found = trained(name, seeds, rows, epochs)
    return found.validation, [p.numpy() for p in found.parameters.values()]


def main() -> None:
    """Train every method in a task of its own, then compare the first with this process's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    names = options.methods.split(",")
    settings = options.seeds, options.rows, options.epochs

    ray.init(num_cpus=None if "RAY_ADDRESS" in os.environ else 2, include_dashboard=False, log_to_driver=False)
    results = dict(zip(names, ray.get([task.remote(name, *settings) for name in names]), strict=True))
    for name, (validation, _) in results.items():
        print(f"{name}: validation log-likelihood {np.mean(validation):.3f} ± {np.std(validation):.3f} over seeds")
    torch.set_num_threads(1)
    here = [p.numpy() for p in trained(names[0], *settings).parameters.values()]
    apart = max(float(np.abs(a - b).max()) for a, b in zip(here, results[names[0]][1], strict=True))
    print(f"largest difference of a weight of {names[0]} from this process: {apart:.1e}")
    ray.shutdown()


if __name__ == "__main__":
    main()
