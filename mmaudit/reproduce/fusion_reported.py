"""What others measured of product, concatenation and tensor fusion: the numbers that `fusion_noise` is held against.

The paper prints its results as images, with hardly a number in the text; `DROP` is the one that can be tested. The
tables are an earlier rerun of ours on Gaussian embeddings (64 dimensions where not said, 3 seeds), kept in per cent as
mean and standard deviation over seeds (0 where it was not kept).
"""

from __future__ import annotations

PAPER = "the paper"
RERUN = "our earlier rerun"
FORM = "closed form"

DROP = 0.20  # "75 % → 55 %" of product fusion at α = 0.1 of noise in the text
SIZES = (32, 128, 512, 2048, 8192, 20480)
LEVELS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.95)

Pair = tuple[float, float]

# (regime, label, dims, ReLU, method) → accuracy and its standard deviation at each of SIZES
CLEAN: dict[tuple[str, str, int, bool, str], tuple[Pair, ...]] = {
    ("iso", "dot", 64, True, "product"): ((61.8, 0.6), (72.7, 0.7), (87.3, 1.1), (95.5, 0.3), (98.1, 0.1), (98.6, 0.1)),
    ("iso", "dot", 64, True, "concatenation"): (
        (49.7, 0.4), (50.3, 0.3), (50.8, 0.9), (54.7, 1.0), (59.6, 0.2), (61.6, 0.4),
    ),
    ("iso", "dot", 64, True, "tensor"): ((50.5, 0.2), (54.2, 0.4), (58.4, 0.3), (66.0, 1.1), (78.2, 0.2), (87.9, 0.4)),
    ("iso", "dot", 64, False, "product"): (
        (60.8, 1.9), (73.5, 2.0), (89.1, 1.1), (97.0, 0.2), (99.2, 0.1), (99.1, 0.1),
    ),
    ("iso", "dot", 64, False, "concatenation"): (
        (49.4, 1.0), (50.6, 0.2), (49.7, 0.9), (49.8, 0.4), (50.7, 0.6), (50.3, 0.5),
    ),
    ("iso", "dot", 64, False, "tensor"): ((51.1, 0.3), (52.6, 0.4), (57.9, 0.5), (65.1, 1.3), (80.3, 0.1), (90.5, 0.2)),
    ("aniso", "dot", 64, True, "product"): (
        (64.6, 1.4), (77.4, 0.2), (89.3, 0.2), (96.1, 0.4), (98.5, 0.2), (99.2, 0.2),
    ),
    ("aniso", "dot", 64, True, "concatenation"): (
        (57.6, 1.1), (60.8, 0.2), (69.0, 0.8), (73.5, 0.3), (78.9, 0.4), (81.1, 0.4),
    ),
    ("aniso", "dot", 64, True, "tensor"): (
        (57.5, 1.4), (61.1, 0.6), (69.7, 0.7), (78.1, 0.6), (85.1, 0.8), (90.6, 0.4),
    ),
    ("outl", "dot", 64, True, "product"): ((72.8, 1.8), (82.3, 1.4), (91.2, 0.1), (96.1, 0), (98.5, 0.1), (99.0, 0.2)),
    ("outl", "dot", 64, True, "concatenation"): (
        (54.3, 0.6), (59.4, 0.7), (70.4, 1.3), (75.7, 0), (81.0, 0.9), (83.3, 0.1),
    ),
    ("outl", "dot", 64, True, "tensor"): ((53.8, 1.0), (56.6, 1.5), (64.3, 1.8), (77.5, 0), (86.7, 1.0), (91.8, 0.4)),
    ("aniso", "add", 64, True, "product"): (
        (50.7, 1.8), (55.7, 1.0), (60.4, 0.6), (63.9, 0.8), (65.7, 0.2), (66.6, 0.5),
    ),
    ("aniso", "add", 64, True, "concatenation"): (
        (55.0, 0.9), (63.2, 1.6), (71.4, 1.4), (75.9, 0.2), (78.4, 0.5), (78.6, 0.7),
    ),
    ("aniso", "add", 64, True, "tensor"): (
        (53.2, 1.3), (60.8, 0.8), (68.3, 1.0), (74.0, 0.6), (76.6, 0.3), (76.1, 0.6),
    ),
    ("iso", "dot", 768, True, "product"): (
        (53.1, 1.3), (56.6, 1.1), (65.2, 1.0), (76.5, 0.1), (90.1, 0.3), (94.8, 0.4),
    ),
    ("iso", "dot", 768, True, "concatenation"): (
        (50.0, 0.3), (49.0, 0.4), (50.5, 0.9), (50.1, 1.2), (50.0, 0.7), (50.6, 0.6),
    ),
}  # fmt: skip

# (training rows, reading, trial) → product, concatenation, tensor at each of LEVELS; iso, dot, ReLU, 64 dimensions
_2048 = {
    ("R1", "text"): (
        (95.5, 94.5, 89.8, 84.5, 80.6, 75.7), (54.7, 54.4, 54.4, 54.1, 53.7, 52.7), (66.0, 66.2, 65.6, 64.5, 63.3, 61.9)
    ),
    ("R1", "image"): (
        (95.5, 94.6, 89.5, 84.4, 80.7, 75.3), (54.7, 54.5, 54.3, 54.1, 53.6, 53.5), (66.0, 65.9, 65.2, 64.5, 62.5, 61.3)
    ),
    ("R1", "both"): (
        (95.5, 93.5, 86.2, 79.2, 73.2, 67.0), (54.7, 54.5, 54.2, 53.8, 53.7, 52.2), (66.0, 65.9, 64.8, 62.5, 61.2, 57.8)
    ),
    ("R2", "text"): (
        (95.5, 94.5, 86.8, 74.1, 62.0, 52.0), (54.7, 54.7, 54.5, 52.8, 51.1, 49.6), (66.0, 65.9, 64.3, 61.1, 55.5, 50.8)
    ),
    ("R2", "image"): (
        (95.5, 94.4, 86.4, 74.3, 62.9, 51.6), (54.7, 54.3, 53.9, 52.8, 51.5, 50.5), (66.0, 66.2, 64.5, 61.3, 56.5, 50.8)
    ),
    ("R2", "both"): (
        (95.5, 93.7, 81.2, 66.9, 54.7, 50.9), (54.7, 54.7, 53.7, 51.9, 50.7, 50.4), (66.0, 66.1, 63.7, 57.4, 52.6, 50.1)
    ),
}  # fmt: skip
_20480 = {
    ("R1", "text"): (
        (98.6, 96.5, 90.5, 85.0, 79.8, 75.1), (61.6, 61.9, 60.8, 60.2, 58.8, 58.2), (87.9, 87.6, 85.2, 81.4, 77.7, 73.2)
    ),
    ("R1", "both"): (
        (98.6, 95.2, 86.6, 79.0, 73.7, 67.7), (61.6, 61.8, 60.5, 59.0, 57.7, 56.1), (87.9, 87.2, 82.4, 76.3, 71.5, 66.2)
    ),
    ("R2", "text"): (
        (98.6, 96.4, 86.6, 75.5, 62.8, 52.1), (61.6, 61.3, 60.3, 57.2, 54.0, 50.3), (87.9, 87.5, 82.6, 72.9, 61.4, 52.0)
    ),
    ("R2", "both"): (
        (98.6, 95.1, 82.1, 66.4, 54.5, 49.8), (61.6, 61.5, 59.5, 55.4, 51.4, 49.4), (87.9, 87.0, 78.5, 65.5, 54.3, 49.7)
    ),
}  # fmt: skip
_NAMES = ("product", "concatenation", "tensor")

# (training rows, reading, trial, method, α) → accuracy
NOISE: dict[tuple[int, str, str, str, float], float] = {
    (n, reading, trial, name, alpha): value / 100
    for n, found in ((2048, _2048), (20480, _20480))
    for (reading, trial), curves in found.items()
    for name, curve in zip(_NAMES, curves, strict=True)
    for alpha, value in zip(LEVELS, curve, strict=True)
}


def clean(regime: str, label: str, dims: int, rectified: bool, method: str, n: int) -> Pair | None:
    """Accuracy and standard deviation as shares; None where nobody measured it."""
    found = CLEAN.get((regime, label, dims, rectified, method))
    if found is None or n not in SIZES:
        return None
    mean, spread = found[SIZES.index(n)]
    return mean / 100, spread / 100


def tolerance(spread: float) -> float:
    """How far a measurement may be from a rerun's mean: three of its standard deviations, at least 2 points."""
    return max(3 * spread, 0.02)
