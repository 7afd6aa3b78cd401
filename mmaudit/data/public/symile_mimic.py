"""Symile-MIMIC: chest X-ray, electrocardiogram and blood labs of one admission (Saporta et al. 2024)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.cells import Cells, Held
from mmaudit.data.columns import make_column
from mmaudit.data.npy_cells import NpyCells, open_npy
from mmaudit.data.public.sets import PublicSet
from mmaudit.data.streamed import StreamedData
from mmaudit.errors import BadInput
from mmaudit.types import Array, IntArray, Modality, Task

# X-rays are scaled to 0…1, then normalised by these means and deviations of ImageNet, channel by channel.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LOWEST = min((0 - m) / s for m, s in zip(_MEAN, _STD, strict=True))
_HIGHEST = max((1 - m) / s for m, s in zip(_MEAN, _STD, strict=True))
_SLACK = 1e-4  # float32


def read_symile_mimic(
    folder: str | os.PathLike[str],
    split: str | None = None,
    modalities: Any = None,
    *,
    whole: bool = False,
) -> StreamedData:
    """Read Symile-MIMIC from `data_npy/`, as PhysioNet ships it: find the X-ray of an admission by ECG and labs.

    Args:
        folder: holds `data_npy/<split>/cxr_<split>.npy` and so on.
        split: `test` (default) or `val_retrieval`, where each query has its own list of 10 candidates; `val` or
            `train`, where all X-rays of the split are candidates.
        modalities: `ecg` (series [5000, 12], 500 Hz, −1…1), `labs` (tabular [100]: 50 percentiles, then 50 flags, 1
            where the value was observed) and `cxr` (image [3, 320, 320], normalised as published); at least `cxr` and
            another.
        whole: as in `StreamedData`.

    Samples are admissions (ids: `hadm_id`). In the two retrieval splits the published arrays hold a row per query and
    candidate; a sample is the row in which an admission is its own candidate.

    Raises:
        BadInput: a file is missing or is not as published.
    """
    base = Path(folder)
    chosen, names = SYMILE_MIMIC.split(split), SYMILE_MIMIC.chosen(modalities)
    queries = tuple(name for name in names if name != "cxr")
    if "cxr" not in names or not queries:
        raise BadInput("Symile-MIMIC: choose modalities cxr and at least one of ecg and labs.")
    paired = chosen in ("test", "val_retrieval")

    def file(what: str) -> str:
        return f"data_npy/{chosen}/{what}_{chosen}.npy"

    arrays = [x for name in names for x in (("labs_percentiles", "labs_missingness") if name == "labs" else (name,))]
    SYMILE_MIMIC.need(base, *map(file, [*arrays, "hadm_id", *(("label_hadm_id", "label") if paired else ())]))
    admissions = np.asarray(open_npy(base / file("hadm_id")))
    rows, candidates = np.arange(len(admissions)), None
    if paired:
        asked, right = (np.asarray(open_npy(base / file(what))) for what in ("label_hadm_id", "label"))
        rows, candidates = _queries(admissions, asked, right)
    cells: dict[str, Cells] = {}
    kinds: dict[str, Any] = {}
    for name in names:
        if name == "labs":
            parts = [np.asarray(open_npy(base / file(x))) for x in ("labs_percentiles", "labs_missingness")]
            if any(part.ndim != 2 or len(part) != len(admissions) for part in parts):
                raise BadInput(f"Symile-MIMIC: the labs of {chosen} do not fit its hadm_id; copy the files again.")
            with np.errstate(over="ignore"):  # too large a value becomes infinite, and is refused as such
                cells[name] = Held(make_column(name, np.concatenate(parts, axis=1)[rows].astype(np.float32)))
            kinds[name] = "tabular"
            continue
        path = base / file(name)
        shape = open_npy(path).shape[1:]
        if len(shape) != 3 or (name == "ecg" and shape[0] != 1):
            raise BadInput(f"Symile-MIMIC: {path} has rows of shape {list(shape)}, not as published; copy it again.")
        cells[name] = NpyCells(path, rows, shape[1:] if name == "ecg" else shape)
        kinds[name] = (
            Modality(name, "series", layout="TC", range=(-1 - _SLACK, 1 + _SLACK), sample_rate=500.0)
            if name == "ecg"
            else Modality(name, "image", layout="CHW", range=(_LOWEST - _SLACK, _HIGHEST + _SLACK))
        )
    return StreamedData(
        cells,
        None,
        Task.retrieval(queries, "cxr"),
        kinds=kinds,
        ids=admissions[rows],
        candidates=candidates,
        source=f"Symile-MIMIC, {chosen}",
        whole=whole,
    )


def _queries(admissions: Array, asked: Array, right: Array) -> tuple[IntArray, IntArray]:
    """Return each query's own row, and per query the positions of its candidates among the queries."""
    if not (admissions.shape == asked.shape == right.shape):
        raise BadInput("Symile-MIMIC: hadm_id, label_hadm_id and label differ in length; copy them again.")
    rows = np.flatnonzero(right == 1)
    own = admissions[rows]
    position = {int(admission): i for i, admission in enumerate(own.tolist())}
    if len(position) != len(rows) or not np.array_equal(own, asked[rows]):
        raise BadInput("Symile-MIMIC: an admission is not its own right candidate exactly once; copy the files again.")
    found: dict[int, list[int]] = {query: [] for query in position}
    for query, candidate in zip(asked.tolist(), admissions.tolist(), strict=True):
        if query not in found or candidate not in position:
            raise BadInput(f"Symile-MIMIC: candidate {candidate} of {query} is no query itself; copy the files again.")
        found[query].append(position[candidate])
    most = max(len(x) for x in found.values())
    lists = [sorted(set(found[query])) for query in own.tolist()]
    return rows, np.array([x + [-1] * (most - len(x)) for x in lists], np.int64)


SYMILE_MIMIC = PublicSet(
    "symile_mimic",
    "Symile-MIMIC",
    "physionet.org/content/symile-mimic/1.0.0 (credentialed access; doi.org/10.13026/3vvj-s428).",
    (
        *("data_npy/test/cxr_test.npy", "ecg_test.npy", "labs_percentiles_test.npy", "labs_missingness_test.npy"),
        *("hadm_id_test.npy", "label_hadm_id_test.npy", "label_test.npy", "the same for val_retrieval, val and train"),
        "SHA256SUMS.txt",
    ),
    ("test", "val_retrieval", "val", "train"),
    ("ecg", "labs", "cxr"),
    read_symile_mimic,
    {"SHA256SUMS.txt": ()},
    "SHA256SUMS.txt, which PhysioNet ships with the files",
)
