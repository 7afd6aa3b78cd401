"""Record what imagecorruptions 1.1.2 does to photographs: python scripts/record_imagecorruptions.py

Writes tests/golden/imagecorruptions.json, with which tests/oracle/test_image_imagenet_c.py compares mmaudit. Run it in
an environment of its own that has imagecorruptions, setuptools < 81 (it imports pkg_resources), scikit-image,
opencv-python and scikit-learn; mmaudit's own tests need none of them but scikit-learn.

With current NumPy and scikit-image three of its nineteen corruptions raise. They are given back what they miss, nothing
else: `np.float_`, which is `np.float64` (fog), and `skimage.filters.gaussian(multichannel=True)`, today
`channel_axis=-1` (gaussian_blur, glass_blur).
"""

from __future__ import annotations

import importlib
import json
import platform
import re
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "imagecorruptions.json"
REPEATS = 4
SHIMMED = ("fog", "gaussian_blur", "glass_blur")


def repaired() -> Any:
    """Import imagecorruptions with the two names that it misses."""
    setattr(np, "float_", np.float64)  # noqa: B010 (a name that NumPy 2 no longer declares)
    library = importlib.import_module("imagecorruptions")
    module: Any = importlib.import_module("imagecorruptions.corruptions")
    gaussian = module.gaussian

    def old_gaussian(image: Any, *given: Any, multichannel: bool = False, **named: Any) -> Any:
        return gaussian(image, *given, channel_axis=-1 if multichannel else None, **named)

    module.gaussian = old_gaussian
    return library


def main() -> int:
    """Record."""
    warnings.simplefilter("ignore")
    library = repaired()
    sys.path.insert(0, str(GOLDEN.parents[1]))
    photographs = importlib.import_module("helpers.photographs")
    found: dict[str, list[dict[str, list[float]]]] = {}
    for name in library.get_corruption_names("all"):
        found[name] = []
        for severity in range(1, 6):
            np.random.seed(severity)  # noqa: NPY002 (the library draws from the global state)
            rows = [
                photographs.distances(image, library.corrupt(image, severity=severity, corruption_name=name))
                for image in photographs.crops()
                for _ in range(REPEATS)
            ]
            means = {key: [round(float(v), 4) for v in _per_crop(rows, key)] for key in rows[0]}
            found[name].append(means)
    libraries = ("imagecorruptions", "numpy", "scipy", "scikit-image", "opencv-python", "pillow", "scikit-learn")
    document = {
        "made_by": "scripts/record_imagecorruptions.py",
        "versions": {p: version(p) for p in libraries} | {"python": platform.python_version()},
        "shimmed": SHIMMED,
        "what": (
            f"per corruption and severity 1 to 5, for each crop of tests/helpers/photographs.py the mean of {REPEATS} "
            "repeats; images in 0 to 255"
        ),
        "statistics": found,
    }
    text = re.sub(r"\[[-\d.,\s]+\]", lambda row: " ".join(row[0].split()), json.dumps(document, indent=1))
    GOLDEN.write_text(text + "\n", encoding="utf-8")
    return 0


def _per_crop(rows: list[dict[str, float]], key: str) -> list[float]:
    values = np.array([row[key] for row in rows]).reshape(-1, REPEATS)
    return [float(v) for v in values.mean(1)]


if __name__ == "__main__":
    raise SystemExit(main())
