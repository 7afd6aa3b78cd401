"""Hateful Memes: a picture and the text on it; hateful or not (Kiela et al. 2020, arXiv:2005.04790)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmaudit.data.public.sets import PublicSet
from mmaudit.data.streamed import StreamedData
from mmaudit.data.table import frame_data
from mmaudit.data.tables import load_table


def read_hateful_memes(
    folder: str | os.PathLike[str],
    split: str | None = None,
    modalities: Any = None,
    *,
    image: str = "image",
    whole: bool = False,
) -> StreamedData:
    """Read Hateful Memes from its unpacked zip: `img/` and one `.jsonl` file per split.

    Args:
        folder: holds `img/` and `dev_seen.jsonl` etc.; a `data/` folder within it is found, as the zip has one.
        split: `dev_seen` (default), `dev_unseen`, `test_seen`, `test_unseen`, `train`; `dev` and `test` of the first
            phase, of which `test` has no labels and cannot be audited.
        modalities: `image`, `text` or both.
        image: how pictures are decoded, as in `decoder_of`: `image,size=224x224`.
        whole: as in `StreamedData`.

    Raises:
        BadInput: a file is missing, a sample has no label, or a picture cannot be read.
    """
    base = Path(folder)
    base = base / "data" if (base / "data" / "img").is_dir() else base
    chosen, names = HATEFUL_MEMES.split(split), HATEFUL_MEMES.chosen(modalities)
    HATEFUL_MEMES.need(base, "img", f"{chosen}.jsonl")
    columns = {"image": "img", "text": "text"}
    return frame_data(
        load_table(base / f"{chosen}.jsonl", ["id", "label", *(columns[name] for name in names)]),
        {name: columns[name] for name in names},
        "label",
        "classification",
        names=("not hateful", "hateful"),
        kinds={name: image if name == "image" else "text" for name in names},
        ids="id",
        root=base,
        source=f"Hateful Memes, {chosen}",
        whole=whole,
    )


HATEFUL_MEMES = PublicSet(
    "hateful_memes",
    "Hateful Memes",
    "accept the licence at hatefulmemeschallenge.com (Meta AI; the DrivenData challenge's zip) and unpack it.",
    ("img/01235.png …", "train.jsonl", "dev_seen.jsonl", "dev_unseen.jsonl", "test_seen.jsonl", "test_unseen.jsonl"),
    ("dev_seen", "dev_unseen", "test_seen", "test_unseen", "train", "dev", "test"),
    ("image", "text"),
    read_hateful_memes,
    {
        "*.zip": (
            "d8f1073f5fbf1b08a541cc2325fc8645619ab8ed768091fb1317d5c3a6653a77",
            "a424c003b7d4ea3f3b089168b5f5ea73b90a3ff043df4b8ff4d7ed87c51cb572",
            "6e609b8c230faff02426cf462f0c9528957b7884d68c60ebc26ff83846e5f80f",
            "c1363aae9649c79ae4abfdb151b56d3d170187db77757f3daa80856558ac367c",
        )
    },
    "of the zip: facebookresearch/mmf, mmf_cli/hm_convert.py",
)
