"""Audio corruptions beside audiomentations' own, as recorded by scripts/record_audiomentations.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.audio_bench import Recordings
from helpers.audio_signals import sounds, statistics_of
from mmaudit.probes import probes

RECORD = json.loads((Path(__file__).parents[1] / "golden" / "audiomentations.json").read_text(encoding="utf-8"))
# Relative tolerances of distance, level, centroid and pace. Those of what is drawn at random allow for the draw.
EXACT = (0.01, 0.002, 0.005, 0.005)
TOLERANCES = {
    "gaussian_snr": EXACT,
    "gain": EXACT,
    "clipping": EXACT,
    "low_pass": EXACT,
    # Where a voice begins, its mirror image here meets one turned by 180° there.
    "high_pass": (0.03, 0.005, 0.005, 0.005),
    "band_pass": EXACT,
    # Another anti-aliasing filter, scipy's and not soxr's.
    "resample": (0.07, 0.003, 0.005, 0.005),
    "time_mask": (0.06, 0.01, 0.01, 0.02),
    # No sinusoid keeps its phase in either of them, so all are at √2; their windows differ.
    "time_stretch": (0.06, 0.02, 0.02, 0.02),
    "pitch_shift": (0.02, 0.025, 0.02, 0.02),
}


def test_every_recorded_operation_is_compared():
    assert set(RECORD["operations"]) == set(TOLERANCES)


@pytest.mark.parametrize("name", TOLERANCES)
def test_statistics_are_those_of_audiomentations(name):
    clean = sounds()
    # Whatever is drawn at random is drawn often.
    copies = 64 if name == "time_mask" else 8
    made = Recordings(np.stack([x for x in clean for _ in range(copies)]))
    for severity, recorded in zip(probes.get(f"audio.{name}").severities, RECORD["operations"][name], strict=True):
        new = made.after(name, severity)
        ours = [statistics_of(x, y) for x, y in zip(made.x, new, strict=True)]
        for key, tolerance in zip(("distance", "level", "centroid", "pace"), TOLERANCES[name], strict=True):
            mean = float(np.mean([f[key] for f in ours]))
            assert mean == pytest.approx(recorded[key], rel=tolerance), (key, severity)
