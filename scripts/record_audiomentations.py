"""Record what audiomentations does to known sounds: python scripts/record_audiomentations.py

Needs audiomentations, which mmaudit's own tests do not have. Writes
tests/golden/audiomentations.json: for every operation that both have, at every severity of ours, statistics of its
output on the sounds of tests/helpers/audio_signals.py, mean over them. tests/oracle/test_audio_recorded.py compares.
Severities are passed in the library's own terms, which are written beside them. Its Mp3Compression silences the last
frame of most recordings; scripts/record_lame.py records LAME itself.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

SNR = (40, 30, 20, 10, 0)
HIGHPASS = (100, 300, 600, 1200, 2400)
Q = (0.25, 0.5, 0.75, 1, 2)


def operations(rate: float) -> dict[str, list[tuple[dict[str, float], Any]]]:
    """Return per corruption, for each of its five severities, the parameters and the transforms to average over."""
    import audiomentations as am  # type: ignore[import-not-found]

    def band(q: float) -> tuple[float, float]:
        half = 1 / (2 * q)
        low = 1000 * (np.hypot(1, half) - half)
        return float(low), float(min(low + 1000 / q, 0.4999 * rate))

    steep = {"min_rolloff": 24, "max_rolloff": 24, "zero_phase": True, "p": 1.0}
    found: dict[str, list[tuple[dict[str, float], Any]]] = {
        "gaussian_snr": [({"snr_db": s}, [am.AddGaussianSNR(s, s, p=1.0)]) for s in SNR],
        "gain": [({"db": g}, [am.Gain(g, g, p=1.0), am.Gain(-g, -g, p=1.0)]) for g in (2, 4, 6, 9, 12)],
        # Its percentages are halved and rounded down, so 5 % is not to be had; 4 % and 6 % lie around it.
        "clipping": [
            ({"percent": p}, [am.ClippingDistortion(q, q, p=1.0) for q in ([4, 6] if p == 5 else [p])])
            for p in (2, 5, 10, 20, 40)
        ],
        "low_pass": [
            ({"cutoff_hz": rate / 2 / 2**o}, [am.LowPassFilter(rate / 2 / 2**o, rate / 2 / 2**o, **steep)])
            for o in (0.4, 1, 2, 3, 4)
        ],
        "high_pass": [({"cutoff_hz": f}, [am.HighPassFilter(f, f, **steep)]) for f in HIGHPASS],
        "time_mask": [({"share": s}, [am.TimeMask(s, s, p=1.0)]) for s in (0.05, 0.1, 0.2, 0.3, 0.4)],
        "time_stretch": [
            ({"rate": 1 + s}, [am.TimeStretch(r, r, p=1.0) for r in (1 + s, 1 / (1 + s))])
            for s in (0.05, 0.1, 0.15, 0.2, 0.25)
        ],
        "pitch_shift": [
            ({"semitones": s}, [am.PitchShift(s, s, p=1.0), am.PitchShift(-s, -s, p=1.0)]) for s in (0.5, 1, 2, 3, 4)
        ],
    }
    found["band_pass"] = []
    for q in Q:
        low, high = band(q)
        centre, fraction = (low + high) / 2, 2 * (high - low) / (low + high)
        found["band_pass"].append(
            ({"low_hz": low, "high_hz": high}, [am.BandPassFilter(centre, centre, fraction, fraction, **steep)])
        )
    found["resample"] = []
    for kept in (0.75, 0.5, 0.25, 0.125, 0.0625):
        there, back = int(rate * kept), int(rate)
        pair = am.Compose([am.Resample(there, there, p=1.0), _Back(am.Resample(back, back, p=1.0), there)])
        found["resample"].append(({"rate_hz": there}, [pair]))
    return found


class _Back:
    """A transform that is told the lower sampling rate."""

    def __init__(self, transform: Any, rate: int) -> None:
        self.transform, self.rate = transform, rate

    def __call__(self, samples: Any, sample_rate: int) -> Any:
        return self.transform(samples, self.rate)


def main() -> None:
    """Write the file."""
    from helpers.audio_signals import RATE, sounds, statistics_of

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "golden" / "audiomentations.json")
    given = parser.parse_args()
    clean = sounds()
    record: dict[str, Any] = {
        "about": "made by scripts/record_audiomentations.py",
        "versions": {"audiomentations": version("audiomentations")},
        "operations": {},
    }
    for name, severities in operations(RATE).items():
        rows = []
        for parameters, transforms in severities:
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002, audiomentations draws from it
            # What is drawn at random is drawn often, so that the mean settles.
            drawn = 64 if name == "time_mask" else 1
            found = [statistics_of(x, t(x, RATE)) for x in clean for t in transforms for _ in range(drawn)]
            means = {k: round(float(np.mean([f[k] for f in found])), 5) for k in found[0]}
            rows.append({"parameters": {k: round(float(v), 3) for k, v in parameters.items()}, **means})
        record["operations"][name] = rows
    given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
