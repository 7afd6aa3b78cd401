"""A small folder of pictures and sounds with a table that names them, and what is in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from mmaudit.types import Array

N = 8
LABELS = ["cat", "dog"] * 4
SITES = ["north", "north", "south", "south"] * 2
TEXTS = ["NA", "null", 'a, "b"', "grüße", "שלום", "<b>x</b>", "line\nbreak", "last"]


def pictures(n: int = N) -> Array:
    return np.random.default_rng(1).integers(0, 256, (n, 6, 9, 3), dtype=np.uint8)


def sounds(n: int = N) -> list[Array]:
    """PCM waveforms of differing lengths, as float32."""
    rng = np.random.default_rng(2)
    return [(rng.integers(-32_768, 32_768, 40 + i) / np.float32(32_768)).astype(np.float32) for i in range(n)]


def png(pixels: Array) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def wav(values: Array, rate: int = 8000) -> bytes:
    import soundfile

    out = io.BytesIO()
    values = np.rint(values * 32_768).astype(np.int16)  # soundfile itself would scale floats by 32,767
    soundfile.write(out, values, rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def columns() -> dict[str, Any]:
    return {
        "id": [f"{i:03d}" for i in range(N)],
        "photo": [f"img/{i}.png" for i in range(N)],
        "voice": [f"snd/{i}.wav" for i in range(N)],
        "note": TEXTS,
        "age": [20.0 + i for i in range(N)],
        "height": [1.5 + i / 10 for i in range(N)],
        "label": LABELS,
        "site": SITES,
        "split": ["train"] * 2 + ["test"] * 6,
    }


MODALITIES = {"photo": "photo", "voice": "voice", "note": "note", "body": ["age", "height"]}
KINDS = {"photo": "image", "voice": "audio,sample_rate=8000", "note": "text"}


def write_folder(folder: Path, table: str = "metadata.csv", **changes: Any) -> Path:
    for name in ("img", "snd"):
        (folder / name).mkdir(parents=True)
    for i, (pixels, wave) in enumerate(zip(pictures(), sounds(), strict=True)):
        (folder / "img" / f"{i}.png").write_bytes(png(pixels))
        (folder / "snd" / f"{i}.wav").write_bytes(wav(wave))
    write_table(folder / table, **changes)
    return folder


def write_table(path: Path, **changes: Any) -> None:
    frame = pd.DataFrame({**columns(), **changes})
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
