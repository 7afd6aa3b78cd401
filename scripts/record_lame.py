"""Record what LAME does to recordings: python scripts/record_lame.py

Needs the program `lame` (Debian: package lame; 3.100 was used) and the shared spoken digits, and writes
tests/golden/lame.json: for each constant bit rate, mono, at the recordings' own sampling rate, the mean statistics of
what comes back from encoder and decoder (tests/helpers/coded_audio.py). tests/oracle/test_audio_lame.py compares.

Every recording is a file of its own, in 16 bits. The decoder's delay, which LAME knows at some rates only, is found by
correlation.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
GOLDEN = ROOT / "tests" / "golden" / "lame.json"
LATEST = 3000  # samples of delay

Signal = npt.NDArray[np.float32]


def lame(x: Signal, rate: int, kbit_s: int, folder: Path) -> npt.NDArray[np.float64]:
    """Return `x`, in [-1, 1], encoded, decoded, aligned and in its old length."""
    clean, coded, decoded = (folder / name for name in ("clean.wav", "coded.mp3", "decoded.wav"))
    wavfile.write(clean, rate, np.rint(x * 32767).clip(-32768, 32767).astype(np.int16))
    how = ["-m", "m", "-b", str(kbit_s), "--cbr", "--resample", f"{rate / 1000:g}"]
    subprocess.run(["lame", "--quiet", *how, str(clean), str(coded)], check=True)
    subprocess.run(["lame", "--quiet", "--decode", str(coded), str(decoded)], check=True, capture_output=True)
    found, y = wavfile.read(decoded)
    if found != rate:
        raise SystemExit(f"lame returned {found} Hz for {rate} Hz")
    size = len(x) + len(y)
    match = np.fft.irfft(np.fft.rfft(y / 32767, size) * np.conj(np.fft.rfft(x, size)), size)
    y = y[int(np.argmax(match[:LATEST])) :][: len(x)] / 32767
    return np.pad(y, (0, len(x) - len(y)))


def main() -> int:
    """Record."""
    helper = importlib.import_module("helpers.coded_audio")
    about = subprocess.run(["lame", "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    statistics = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, rates in helper.RATES.items():
            clean, rate = helper.recordings(name)
            statistics[name] = {
                str(k): helper.mean_of([helper.coding(x, lame(x, rate, k, Path(folder))) for x in clean]) for k in rates
            }
    document = {"made_by": "scripts/record_lame.py", "version": about, "edges": helper.EDGES, "statistics": statistics}
    lines = json.dumps(document, indent=1)
    GOLDEN.write_text(lines + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
