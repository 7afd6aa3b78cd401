"""Audit a model with workers on a Ray cluster, or on this machine where there is none.

    pip install 'mmaudit[ray]'
    python examples/audit_on_ray.py --workers 2                                  # this machine
    ray submit examples/ray_cluster.yaml examples/audit_on_ray.py --workers 16 --gpus 1 --out /shared/run

Each worker is an actor that holds the model and answers one shard of samples at a time. On a cluster the run folder has
to be reached by the same name from every node: a shared folder, or a URL such as s3://bucket/run. Put your own model
and data in `model` and `data`; what they return is sent to the workers once.
"""

from __future__ import annotations

import argparse

import numpy as np

import mmaudit
from mmaudit.execution import Ray


def answer(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Two logits of a model that looks at how bright an image is, and whether its caption says so."""
    bright = image.mean(axis=(1, 2, 3)) / 255 - 0.5
    said = np.array([("bright" in words.split()) - ("dark" in words.split()) for words in text], np.float32)
    score = (4 * bright + said).astype(np.float32)
    return np.stack([-score, score], axis=1)


def model() -> mmaudit.FunctionModel:
    """The model to audit."""
    return mmaudit.FunctionModel(answer, ["image", "text"], outputs="logits")


def data(samples: int) -> mmaudit.ArrayData:
    """Grey images and captions that are right four times in five."""
    rng = np.random.default_rng(0)
    light = rng.random(samples)
    image = (light[:, None, None, None] + 0.1 * rng.normal(size=(samples, 8, 8, 3))).clip(0, 1)
    grey = (255 * image).astype(np.uint8)
    says = (light > 0.5) ^ (rng.random(samples) < 0.2)
    text = [f"a {'bright' if bright else 'dark'} picture" for bright in says]
    return mmaudit.ArrayData({"image": grey, "text": text}, (light > 0.5).astype(int), mmaudit.Task.classification(2))


def main() -> None:
    """Audit, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpus", type=float, default=0.0, help="of each worker; 0.5 puts two on a GPU")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--out", default="runs/on_ray")
    given = parser.parse_args()
    way = Ray(workers=given.workers, gpus=given.gpus)
    suite = {"probes": ["missing", "gaussian_noise"], "positions": [3], "baselines": ["zero"], "analyses": []}
    report = mmaudit.audit(model(), data(given.samples), out=given.out, suite=suite, executor=way, resamples=200)
    print(f"{len(report.conditions)} conditions, {given.workers} workers: {given.out}/report.html")
    for finding in report.findings[:3]:
        print(f"- {finding.claim}")


if __name__ == "__main__":
    main()
