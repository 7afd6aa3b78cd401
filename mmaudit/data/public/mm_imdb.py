"""MM-IMDb: a film's poster and plot; its genres (Arevalo et al. 2017, arXiv:1702.01992)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.cells import Cells, FileCells, Held
from mmaudit.data.columns import make_column
from mmaudit.data.confined import Root
from mmaudit.data.decoding import MAX_BYTES, decoder_of
from mmaudit.data.public.sets import PublicSet, load_json
from mmaudit.data.streamed import StreamedData
from mmaudit.errors import BadInput
from mmaudit.types import Task

# The 23 genres of the paper's Table 2, by their frequency.
GENRES = (
    *("Drama", "Comedy", "Romance", "Thriller", "Crime", "Action", "Adventure", "Horror", "Documentary", "Mystery"),
    *("Sci-Fi", "Fantasy", "Family", "Biography", "War", "History", "Music", "Animation", "Musical", "Western"),
    *("Sport", "Short", "Film-Noir"),
)


def read_mm_imdb(
    folder: str | os.PathLike[str],
    split: str | None = None,
    modalities: Any = None,
    *,
    image: str = "image",
    genres: tuple[str, ...] = GENRES,
    whole: bool = False,
) -> StreamedData:
    """Read MM-IMDb from its unpacked mmimdb.tar.gz: `split.json`, `dataset/<id>.json` and `dataset/<id>.jpeg`.

    Args:
        folder: holds `split.json` and `dataset/`.
        split: `test` (default), `dev` or `train`.
        modalities: `image`, `text` or both. Text is the longest of a film's plots, as in the paper's own code.
        image: how posters are decoded, as in `decoder_of`: `image,size=256x160` (the paper's size).
        genres: labels, in the order of the model's outputs; other genres of a film do not count.
        whole: as in `StreamedData`.

    Raises:
        BadInput: a file is missing or is not as published.
    """
    base = Path(folder)
    chosen, names = MM_IMDB.split(split), MM_IMDB.chosen(modalities)
    MM_IMDB.need(base, "split.json", "dataset")
    splits = load_json(base / "split.json")
    listed = splits.get(chosen) if isinstance(splits, dict) else None
    if not isinstance(listed, list) or not listed:
        raise BadInput(f"MM-IMDb: split.json has no list {chosen!r} of film ids; copy it again.")
    root = Root(base / "dataset")
    films = [_film(root, str(film)) for film in listed]
    number = {genre: column for column, genre in enumerate(genres)}
    target = np.zeros((len(films), len(genres)), np.int8)
    for row, (_, found) in enumerate(films):
        target[row, [number[genre] for genre in found if genre in number]] = 1
    cells: dict[str, Cells] = {}
    kinds: dict[str, Any] = {}
    for name in names:
        if name == "text":
            cells[name] = Held(make_column(name, [plot for plot, _ in films]))
        else:
            kinds[name], decoder = decoder_of(name, image)
            cells[name] = FileCells(name, base / "dataset", [f"{film}.jpeg" for film in listed], decoder)
    return StreamedData(
        cells,
        target,
        Task.multilabel(tuple(genres)),
        kinds=kinds,
        ids=[str(film) for film in listed],
        source=f"MM-IMDb, {chosen}",
        whole=whole,
    )


def _film(root: Root, film: str) -> tuple[str | None, list[str]]:
    """Return a film's longest plot, None where it has none, and its genres."""
    import json

    try:
        record = json.loads(root.read(f"{film}.json", f"film {film}", MAX_BYTES))
        plots, genres = record.get("plot", []), record["genres"]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise BadInput(f"MM-IMDb: dataset/{film}.json is not as published ({error}); copy it again.") from error
    if not isinstance(genres, list) or not isinstance(plots, list) or not all(isinstance(g, str) for g in genres):
        raise BadInput(f"MM-IMDb: dataset/{film}.json is not as published; copy it again.")
    return max((plot for plot in plots if isinstance(plot, str)), key=len, default=None), genres


MM_IMDB = PublicSet(
    "mm_imdb",
    "MM-IMDb",
    "mmimdb.tar.gz of the paper's authors (github.com/johnarevalo/gmu-mmimdb), mirrored at archive.org/details/mmimdb.",
    ("split.json", "dataset/0012349.json …", "dataset/0012349.jpeg …"),
    ("test", "dev", "train"),
    ("image", "text"),
    read_mm_imdb,
)
