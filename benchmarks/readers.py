"""What streaming costs: reading pictures through each reader ÷ a loop written by hand that decodes the same files.

Run: python benchmarks/readers.py
"""

from __future__ import annotations

import io
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmaudit.data import Dataset, read, values

N, SIZE, BATCH, REPEATS = 2000, 96, 100, 5


def main() -> None:
    """Print ratios side by side, each the median of repeats taken in turns."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = _write(folder)
        order = np.random.default_rng(0).permutation(N)
        blocks = np.array_split(order, N // BATCH)

        def bare() -> None:
            for block in blocks:
                np.stack([np.array(Image.open(files[i]).convert("RGB")) for i in block])

        started = time.perf_counter()
        readers = _readers(folder)
        print(f"opening {len(readers)} data sets of {N:,} samples: {time.perf_counter() - started:.1f} s")
        print(f"{N:,} JPEG pictures of {SIZE} x {SIZE} in random order, batches of {BATCH}; time ÷ bare loop")
        for name, data in readers.items():
            ratios = [_time(lambda data=data: _stream(data, blocks)) / _time(bare) for _ in range(REPEATS)]  # type: ignore[misc]
            print(f"{name:14} median {np.median(ratios):.2f} (lowest {min(ratios):.2f}, highest {max(ratios):.2f})")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory {peak:.0f} MiB; the pictures together are {N * SIZE * SIZE * 3 / 2**20:.0f} MiB")


def _write(folder: Path) -> list[Path]:
    rng = np.random.default_rng(1)
    (folder / "img").mkdir()
    smooth = np.linspace(0, 255, SIZE)[:, None, None]
    rows = ["photo,label"]
    with tarfile.open(folder / "x.tar", "w") as out:
        for i in range(N):
            pixels = (smooth + rng.integers(0, 60, (SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "JPEG", quality=90)
            (folder / "img" / f"{i}.jpg").write_bytes(stream.getvalue())
            rows.append(f"img/{i}.jpg,{i % 2}")
            for ending, content in (("jpg", stream.getvalue()), ("cls", str(i % 2).encode())):
                info = tarfile.TarInfo(f"{i}.{ending}")
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    (folder / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    return [folder / "img" / f"{i}.jpg" for i in range(N)]


def _readers(folder: Path) -> dict[str, Dataset]:
    import datasets

    given: dict[str, Any] = {"kinds": {"photo": "image"}}
    readers: dict[str, Dataset] = {
        "folder + CSV": read(folder / "metadata.csv", "classification", target="label", **given),
        "WebDataset": read(folder / "x.tar", "classification", columns={"photo": "jpg"}, target="cls", **given),
    }
    features = datasets.Features({"photo": datasets.Image(), "label": datasets.Value("int64")})
    photos = [{"bytes": (folder / "img" / f"{i}.jpg").read_bytes(), "path": None} for i in range(N)]
    columns = {"photo": photos, "label": [i % 2 for i in range(N)]}
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(folder / "saved")
    readers["Hugging Face"] = read(folder / "saved", "classification", target="label", **given)
    return readers


def _stream(data: Dataset, blocks: list[Any]) -> None:
    for block in blocks:
        values(data, "photo", block)


def _time(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
