"""CMU-MOSI and CMU-MOSEI: opinions in video monologues; sentiment from −3 to 3.

Zadeh et al. 2016 (arXiv:1606.06259) and 2018 (ACL, P18-1208). Two published forms are read: the computational sequences
of the authors' SDK (`.csd`, HDF5), and the feature files of MMSA (`.pkl`), which need trust.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.arrays import ArrayData
from mmaudit.data.columns import as_array
from mmaudit.data.public.csd import read_csd
from mmaudit.data.public.numbers_only import load_numbers
from mmaudit.data.public.sets import PublicSet
from mmaudit.data.streamed import StreamedData
from mmaudit.errors import BadInput
from mmaudit.types import Array, Modality, Task

_SENTIMENT = Task.regression(("sentiment",))
_NAMES = {"text": "raw_text", "text_features": "text", "audio": "audio", "vision": "vision"}
_FOLDS = {"train": "standard_train_fold", "valid": "standard_valid_fold", "test": "standard_test_fold"}


def _read(
    which: str,
    folder: str | os.PathLike[str],
    split: str | None = None,
    modalities: Any = None,
    *,
    features: str | None = None,
    whole: bool = False,
    trust: bool = False,
) -> ArrayData | StreamedData:
    """Read CMU-MOSI or CMU-MOSEI from the SDK's `.csd` files, or from MMSA's feature files.

    Args:
        which: `cmu_mosi` or `cmu_mosei`; bound by `read_cmu_mosi` and `read_cmu_mosei`.
        folder: holds either the `.csd` files and the SDK's `…_std_folds.py` (which is parsed, not run), in this folder
            or below; or `unaligned_50.pkl` / `aligned_50.pkl`, in it or in `Processed/`.
        split: `test` (default), `valid` or `train`.
        modalities: of `text` (the words), `text_features` (MMSA only: BERT, [50, 768]), `audio` and `vision` (series of
            features). Left out: for MMSA `text_features`, `audio` and `vision`, which its models take; else the others.
        features: MMSA only: which file, `unaligned_50` or `aligned_50`; left out: the one that is there.
        whole: `.csd` only, as in `StreamedData`; MMSA's arrays are in memory and always looked through.
        trust: let MMSA's pickle be read. Even then nothing but NumPy arrays, numbers and text is built from it.

    Segments are samples, `video[segment]` (MMSA: `video$_$clip`) their ids, videos their cluster; target: sentiment. In
    audio features −inf (silence in COVAREP) becomes 0, as in MMSA.

    Raises:
        BadInput: files are missing or not as published; a pickle without trust.
        MissingExtra: `.csd` files need h5py.
    """
    public = CMU_MOSI if which == "cmu_mosi" else CMU_MOSEI
    base, chosen = Path(folder), public.split(split)
    pickles = [
        base / part / f"{name}.pkl"
        for name in ([features] if features else ["unaligned_50", "aligned_50"])
        for part in ("", "Processed")
    ]
    pickled = next((path for path in pickles if path.is_file()), None)
    if features is not None and pickled is None:
        public.need(base, f"{features}.pkl")
    if pickled is not None:
        names = ("text_features", "audio", "vision") if modalities is None else public.chosen(modalities)
        return _from_mmsa(public, pickled, chosen, names, trust)
    names = ("text", "audio", "vision") if modalities is None else public.chosen(modalities)
    if "text_features" in names:
        raise BadInput(f"{public.title}: text_features are in MMSA's .pkl files only; choose text, audio and vision.")
    return read_csd(public, base, chosen, names, _FOLDS[chosen], whole)


read_cmu_mosi = partial(_read, "cmu_mosi")
read_cmu_mosei = partial(_read, "cmu_mosei")


def _from_mmsa(public: PublicSet, path: Path, split: str, names: tuple[str, ...], trust: bool) -> ArrayData:
    if not trust:
        raise BadInput(
            f"{public.title}: {path.name} is a pickle, and unpickling can run any code; verify its checksum with "
            f"verify_public({public.name!r}, folder) and pass trust=True (--trust), or read the .csd files instead."
        )
    content = load_numbers(path)
    part = content.get(split) if isinstance(content, Mapping) else None
    lacking = [x for x in ("id", "regression_labels", *(_NAMES[n] for n in names)) if x not in (part or {})]
    if not isinstance(part, Mapping) or lacking:
        raise BadInput(f"{public.title}: {path.name} has no {split}/{(lacking or [''])[0]}; get MMSA's newest file.")
    try:
        ids = _texts(part["id"])
        inputs = {name: _column(part[_NAMES[name]], name) for name in names}
        target = np.asarray(_numbers(part["regression_labels"]), np.float64).reshape(len(ids), -1)
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{public.title}: {path.name} is not as published ({error}); get MMSA's newest file.") from error
    return ArrayData(
        inputs,
        target,
        _SENTIMENT,
        modalities=[Modality(name, "series", layout="TC") for name in names if name != "text"],
        ids=ids,
        cluster=[x.partition("$_$")[0] for x in ids],
        source=f"{public.title}, {split}, {path.name} of MMSA",
    )


def _column(given: Any, name: str) -> Any:
    if name == "text":
        return _texts(given)
    with np.errstate(over="ignore"):  # too large a value becomes infinite, and is refused as such
        values: Array = as_array(_numbers(given), f"modality {name!r}").astype(np.float32)
    values[np.isneginf(values)] = 0
    return values


def _texts(given: Any) -> list[str]:
    if not isinstance(given, np.ndarray | list) or not all(isinstance(x, str | int | float) for x in given):
        raise TypeError("ids or words are no list of texts")
    return [str(x) for x in given]


def _numbers(given: Any) -> Any:
    """Values as MMSA has them; lists in lists, which a small file can make endless, are none of them."""
    if not isinstance(given, np.ndarray) and any(isinstance(x, list | dict) for x in given):
        raise TypeError("values are no array")
    return given


def _public(name: str, title: str, folder: str, sums: dict[str, str]) -> PublicSet:
    return PublicSet(
        name,
        title,
        "the .csd files that github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK links to, with its standard folds; or the "
        "feature files that github.com/thuiar/MMSA links to.",
        (
            f"{folder}_*Words.csd, {folder}_COVAREP.csd, {folder}_Visual*Facet*42.csd, {folder}_*Labels.csd and "
            f"{name}_std_folds.py",
            "or Processed/unaligned_50.pkl",
        ),
        ("test", "valid", "train"),
        ("text", "text_features", "audio", "vision"),
        read_cmu_mosi if name == "cmu_mosi" else read_cmu_mosei,
        {f"**/{file}": (digest,) for file, digest in sums.items()},
        "of MMSA's feature files: README of github.com/thuiar/MMSA; of the .csd files none is published",
    )


CMU_MOSI = _public(
    "cmu_mosi",
    "CMU-MOSI",
    "CMU_MOSI",
    {
        "unaligned_50.pkl": "78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524",
        "aligned_50.pkl": "d3994fd25681f9c7ad6e9c6596a6fe9b4beb85ff7d478ba978b124139002e5f9",
    },
)
CMU_MOSEI = _public(
    "cmu_mosei",
    "CMU-MOSEI",
    "CMU_MOSEI",
    {
        "unaligned_50.pkl": "ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f",
        "aligned_50.pkl": "45eccfb748a87c80ecab9bfac29582e7b1466bf6605ff29d3b338a75120bf791",
    },
)
